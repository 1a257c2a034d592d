"""`initlint trace`: build the real model, run it, and judge what is there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initlint import __version__
from initlint.cli.options import LiveArguments, live_options, output_options, selecting, taken
from initlint.cli.output import display_root, wants_color, write
from initlint.config import FORMATS, SEVERITIES, Settings, load_settings
from initlint.model import Severity

if TYPE_CHECKING:
    from initlint.engine import Outcome
    from initlint.live import Coverage, Live


@dataclass(frozen=True, slots=True)
class Arguments:
    """The options of one call, as click hands them over."""

    target: str
    live: LiveArguments
    layers: bool
    plot: Path | None
    select: tuple[str, ...]
    extend_select: tuple[str, ...]
    ignore: tuple[str, ...]
    min_severity: str | None
    fail_on: str | None
    fix: bool
    unsafe_fixes: bool
    diff: bool
    exit_zero: bool
    config: Path | None
    isolated: bool
    quiet: bool
    output_format: str | None
    output_file: Path | None
    color: str


@click.command("trace")
@click.argument("target")
@live_options
@click.option(
    "--layers", is_flag=True, help="List every layer with its verdict and what it measures, instead of the findings."
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw signal and gradient along the depth: .png, .svg or .html.",
)
@click.option("--select", metavar="RULES", multiple=True, help="Only these rules: codes, prefixes of codes, or names.")
@click.option("--extend-select", metavar="RULES", multiple=True, help="These rules, too.")
@click.option("--ignore", metavar="RULES", multiple=True, help="Not these rules.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Show nothing milder.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 only for findings at least as severe.")
@click.option("--fix", is_flag=True, help="Write the safe fixes into the user's own files.")
@click.option("--unsafe-fixes", is_flag=True, help="With --fix or --diff, the unsafe ones as well.")
@click.option(
    "--diff", is_flag=True, help="Show what the fixes would change, write nothing, exit with 1 if they would."
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even where something was found.")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="A configuration file.")
@click.option("--isolated", is_flag=True, help="Read no configuration file.")
@click.option("-q", "--quiet", is_flag=True, help="Show findings only, no closing lines.")
@output_options(FORMATS)
def command(**options: Any) -> int:
    """Judge a live module.

    TARGET is `pkg.mod:Class`, `pkg.mod:function` or `path/to/file.py:Class`. Only this command, and `check --trace`, run
    your code: they import the module, build the model and run it forward and backward once. That needs torch.

    Without --input, inputs are made up from the first layers where that works; where it does not, torch.fx reads
    the forward pass and nothing is measured.
    """
    arguments = Arguments(live=taken(LiveArguments, options), **options)
    settings = _settings(arguments)
    from initlint.live import report_live, trace_target

    if arguments.plot is not None:
        from initlint.live import require_drawable

        require_drawable(arguments.plot)
    live = trace_target(arguments.live.request(arguments.target))
    if arguments.plot is not None:
        from initlint.live import plot_live

        plot_live(live, arguments.plot)
    if arguments.layers:
        return _list_layers(live, settings, arguments)
    outcome = report_live(live, settings)
    if arguments.diff or arguments.fix:
        return _repair(outcome, settings, arguments)
    _report(outcome, settings, arguments)
    _tell(live, arguments)
    return _status(outcome, settings, arguments)


def _settings(arguments: Arguments) -> Settings:
    place = arguments.target.rpartition(":")[0]
    paths = (Path(place),) if place.endswith(".py") else (Path(),)
    settings = selecting(
        load_settings(paths, config=arguments.config, isolated=arguments.isolated),
        select=arguments.select,
        extend_select=arguments.extend_select,
        ignore=arguments.ignore,
        per_file_ignores=(),
    )
    return replace(
        settings,
        min_severity=_severity(arguments.min_severity, settings.min_severity),
        fail_on=_severity(arguments.fail_on, settings.fail_on),
        unsafe_fixes=arguments.unsafe_fixes or settings.unsafe_fixes,
        output_format=arguments.output_format or settings.output_format,
    )


def _severity(word: str | None, otherwise: Severity) -> Severity:
    return Severity[word.upper()] if word else otherwise


def _list_layers(live: Live, settings: Settings, arguments: Arguments) -> int:
    from initlint.report.layers import document, table

    if settings.output_format == "json":
        text = document(live.judgements, Path.cwd(), live.measures)
    else:
        text = table(
            live.judgements, Path.cwd(), live.measures, color=wants_color(arguments.color, arguments.output_file)
        )
    write(text, arguments.output_file)
    _tell(live, arguments)
    return 0


def _report(outcome: Outcome, settings: Settings, arguments: Arguments) -> None:
    from initlint.knowledge import load_rules
    from initlint.report import View, render

    view = View(
        findings=outcome.findings,
        texts=outcome.sources.texts,
        root=display_root(settings.output_format),
        rules=load_rules() if outcome.findings and settings.output_format == "sarif" else {},
        unsafe_fixes=settings.unsafe_fixes,
        color=wants_color(arguments.color, arguments.output_file),
        quiet=arguments.quiet,
        show_fixes=False,
        fixed=(),
        version=__version__,
    )
    write(render(view, settings.output_format), arguments.output_file)


def _repair(outcome: Outcome, settings: Settings, arguments: Arguments) -> int:
    from initlint.live import left_after, repair_live
    from initlint.report.view import count

    repaired = repair_live(outcome, settings)
    originals = outcome.sources.files
    if arguments.diff:
        from initlint.cli.diff import unified

        color = wants_color(arguments.color, arguments.output_file)
        root = display_root(settings.output_format)
        text = b"".join(unified(originals[path], new, root, color=color) for path, new in repaired.texts.items())
        write(text, arguments.output_file)
        return 1 if repaired.texts and not arguments.exit_zero else 0
    from initlint.sourcefile import write_all

    write_all((originals[path], text) for path, text in repaired.texts.items())
    left = left_after(outcome, repaired)
    _report(left, settings, arguments)
    if not arguments.quiet:
        stale = len(outcome.findings) - len(repaired.fixed) - len(left.findings)
        again = f" {count(stale, 'measured one')} may be gone with it: trace again." if stale else ""
        write(f"Fixed {count(len(repaired.fixed), 'finding')}.{again}\n", err=True)
    return _status(left, settings, arguments)


def _tell(live: Live, arguments: Arguments) -> None:
    """What was judged and what was not, on standard error: it is no finding."""
    if arguments.quiet:
        return
    coverage: Coverage = live.coverage
    run = "run on made-up inputs" if live.synthetic else "run on the given inputs"
    how = run if live.measurement is not None else "read by torch.fx, not run: give --input or --inputs to measure it"
    if live.measurement is None and live.inputs is not None:
        how = f"{run}, not measured: a backward pass would not fit into memory; give a smaller --input"
    if live.measurement is not None and not live.measurement.signals:
        how = f"nothing measured on {arguments.live.device or 'cpu'}"
    lines = [f"{live.model.name}: {coverage.judged} of {coverage.total} layers judged; {how}"]
    lines += [f"  not judged, {reason}: {_few(names)}" for reason, names in coverage.reasons.items()]
    lines += [f"  not read: {place}" for place in live.opaque]
    write("".join(f"{line}\n" for line in lines), err=True)


def _few(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _status(outcome: Outcome, settings: Settings, arguments: Arguments) -> int:
    if arguments.exit_zero or outcome.worst is None:
        return 0
    return 1 if outcome.worst >= settings.fail_on else 0
