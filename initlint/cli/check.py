"""`initlint check`: find, show, and on request repair."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initlint import __version__
from initlint.cache import FOLDER, Cache
from initlint.cli.options import (
    FileArguments,
    LiveArguments,
    file_options,
    live_options,
    output_options,
    selecting,
    taken,
)
from initlint.cli.output import display_root, wants_color, write
from initlint.config import FORMATS, SEVERITIES, Settings
from initlint.engine import Fixes, Outcome, Sources, check, check_cached
from initlint.errors import InitlintError
from initlint.fingerprint import shown_path
from initlint.model import Finding, Severity

if TYPE_CHECKING:
    from initlint.repair import Repair
    from initlint.report import View

_WITH_EDITS = frozenset({"json", "json-lines", "rdjson", "sarif"})
"""Formats whose readers write the edits of a fix themselves: those must have been verified."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The options of one call, as click hands them over; None is what was not said."""

    files: FileArguments
    live: LiveArguments
    select: tuple[str, ...]
    extend_select: tuple[str, ...]
    ignore: tuple[str, ...]
    per_file_ignores: tuple[str, ...]
    min_severity: str | None
    fail_on: str | None
    fix: bool | None
    unsafe_fixes: bool | None
    fix_only: bool
    diff: bool
    show_fixes: bool | None
    exit_zero: bool
    exit_non_zero_on_fix: bool
    statistics: bool
    add_noqa: bool
    baseline: Path | None
    write_baseline: bool
    trace: tuple[str, ...]
    jobs: int | None
    no_cache: bool
    verbose: bool
    quiet: bool
    output_format: str | None
    output_file: Path | None
    color: str


@click.command("check")
@file_options
@click.option("--select", metavar="RULES", multiple=True, help="Only these rules: codes, prefixes of codes, or names.")
@click.option("--extend-select", metavar="RULES", multiple=True, help="These rules, too.")
@click.option("--ignore", metavar="RULES", multiple=True, help="Not these rules.")
@click.option("--per-file-ignores", metavar="GLOB:RULES", multiple=True, help="Not these rules in files that match.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Show nothing milder.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 only for findings at least as severe.")
@click.option("--fix/--no-fix", default=None, help="Write the safe fixes.")
@click.option("--unsafe-fixes/--no-unsafe-fixes", default=None, help="With --fix or --diff, the unsafe ones as well.")
@click.option("--fix-only", is_flag=True, help="Write the fixes, report nothing, exit with 0.")
@click.option(
    "--diff", is_flag=True, help="Show what the fixes would change, write nothing, exit with 1 if they would."
)
@click.option("--show-fixes/--no-show-fixes", default=None, help="List what was fixed.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even where something was found.")
@click.option("--exit-non-zero-on-fix", is_flag=True, help="Exit with 1 if anything was fixed.")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule instead of showing them.")
@click.option("--add-noqa", is_flag=True, help="Silence every finding with a `# noqa` on its line.")
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Report only what is not in this file.",
)
@click.option("--write-baseline", is_flag=True, help="Write what is found now to the baseline.")
@click.option(
    "--trace",
    metavar="TARGET",
    multiple=True,
    help="Also build and run this module, as `initlint trace` does: what that shows of its layers replaces what was read.",
)
@live_options
@click.option("--jobs", type=click.IntRange(min=1), help="Scan in so many processes.")
@click.option("--no-cache", is_flag=True, help="Do not reuse what an earlier run found.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is read and how long it takes.")
@click.option("-q", "--quiet", is_flag=True, help="Show findings only, no closing lines.")
@output_options(FORMATS)
def command(**options: Any) -> int:
    """Find layers whose initialization does not fit what follows.

    PATHS are files and folders; without any, the current folder. `-` is standard input.
    """
    files = taken(FileArguments, options)
    arguments = Arguments(files, taken(LiveArguments, options), **options)
    _require_target(arguments)
    settings = _settings(arguments)
    sources = files.sources(settings)
    if arguments.add_noqa:
        return _add_noqa(sources, settings, arguments)
    if arguments.write_baseline:
        return _write_baseline(sources, settings, arguments)
    outcome = _check(sources, settings, arguments)
    _tell(arguments, settings, outcome)
    if arguments.diff:
        return _diff(outcome, settings, arguments)
    if settings.fix:
        return _fix(outcome, settings, arguments)
    _report(outcome, settings, arguments)
    return _status(outcome, settings, arguments)


def _require_target(arguments: Arguments) -> None:
    """Object to options of a live module that no module, or more than one, would have to take."""
    said = arguments.live.said
    if not said or len(arguments.trace) == 1:
        return
    if arguments.trace:
        hint = "check one target at a time, or name functions that build the models"
        raise InitlintError(f"cannot be told whose it is, of {len(arguments.trace)} targets", where=said[0], hint=hint)
    raise InitlintError("needs a module to build", where=said[0], hint="name it with --trace pkg.mod:Net")


def _check_traced(
    sources: Sources, settings: Settings, arguments: Arguments, *, fixes: Fixes = Fixes.VERIFIED
) -> Outcome:
    """The findings, where the live modules that were asked for are right about their layers."""
    from initlint.live import check_with, trace_target

    lives = [trace_target(arguments.live.request(target)) for target in arguments.trace]
    outcome, disagreements = check_with(sources, settings, lives, fixes=fixes)
    if arguments.verbose:
        from initlint.report.layers import summary

        for each in disagreements:
            layer, site = each.scanned.layer, each.scanned.layer.site
            place = f"{shown_path(site.file, Path.cwd())}:{site.line}:{site.column}"
            said = f"read as {summary(each.scanned)}; traced as {summary(each.traced)}"
            write(f"{place}: {layer.owner}.{layer.path}: {said}\n", err=True)
    return outcome


def _repair(outcome: Outcome, settings: Settings, arguments: Arguments) -> Repair:
    if not arguments.trace:
        from initlint.repair import repair

        return repair(outcome, settings)
    from initlint.live import left_after, repair_live
    from initlint.repair import Repair

    fixed = repair_live(outcome, settings)
    return Repair(fixed.fixed, fixed.texts, left_after(outcome, fixed))


def _settings(arguments: Arguments) -> Settings:
    """The configuration with the command line over it."""
    settings = selecting(
        arguments.files.settings(),
        select=arguments.select,
        extend_select=arguments.extend_select,
        ignore=arguments.ignore,
        per_file_ignores=arguments.per_file_ignores,
    )
    return replace(
        settings,
        min_severity=_severity(arguments.min_severity, settings.min_severity),
        fail_on=_severity(arguments.fail_on, settings.fail_on),
        fix=arguments.fix_only or (settings.fix if arguments.fix is None else arguments.fix),
        unsafe_fixes=settings.unsafe_fixes if arguments.unsafe_fixes is None else arguments.unsafe_fixes,
        show_fixes=settings.show_fixes if arguments.show_fixes is None else arguments.show_fixes,
        jobs=arguments.jobs or settings.jobs,
        output_format=arguments.output_format or settings.output_format,
        baseline=arguments.baseline.absolute() if arguments.baseline else settings.baseline,
    )


def _check_anew(sources: Sources, settings: Settings, arguments: Arguments) -> Outcome:
    """The findings without fixes, from the texts and the live modules as they are now."""
    if arguments.trace:
        return _check_traced(sources, settings, arguments, fixes=Fixes.NONE)
    return check(sources, settings, fixes=Fixes.NONE)


def _check(sources: Sources, settings: Settings, arguments: Arguments) -> Outcome:
    """The findings, from an earlier run where nothing changed since; a fix needs more than is remembered."""
    if arguments.trace:
        return _check_traced(sources, settings, arguments)
    if arguments.diff or settings.fix:
        return check(sources, settings)
    fixes = Fixes.VERIFIED if settings.output_format in _WITH_EDITS else Fixes.DRAFTED
    if arguments.no_cache or arguments.files.reads_stdin or not sources.files:
        return check(sources, settings, fixes=fixes)
    return check_cached(sources, settings, Cache(settings.root / FOLDER), fixes=fixes)


def _severity(word: str | None, otherwise: Severity) -> Severity:
    return Severity[word.upper()] if word else otherwise


def _tell(arguments: Arguments, settings: Settings, outcome: Outcome) -> None:
    """On request, and on standard error, what the run went by."""
    if not arguments.verbose:
        return
    lines = [f"configuration: {settings.file or 'none'}", f"files read: {len(outcome.sources.files)}"]
    if outcome.stale:
        lines.append(f"entries of the baseline that nothing matches any more: {outcome.stale}")
    write("".join(f"{line}\n" for line in lines), err=True)


def _fix(outcome: Outcome, settings: Settings, arguments: Arguments) -> int:
    """Write what can be repaired; standard input is repaired onto standard output."""
    from initlint.sourcefile import write_all

    repaired = _repair(outcome, settings, arguments)
    originals = outcome.sources.files
    if arguments.files.reads_stdin:
        texts = {path: repaired.texts.get(path, file.text) for path, file in originals.items()}
        for path, text in texts.items():
            sys.stdout.buffer.write(originals[path].encode(text))
    else:
        write_all((originals[path], text) for path, text in repaired.texts.items())
    if not arguments.fix_only:
        _report(repaired.outcome, settings, arguments, fixed=repaired.fixed)
        _tell_stale(outcome, repaired, arguments)
    if arguments.exit_non_zero_on_fix and repaired.texts:
        return 1
    return 0 if arguments.fix_only else _status(repaired.outcome, settings, arguments)


def _tell_stale(outcome: Outcome, repaired: Repair, arguments: Arguments) -> None:
    """Say on standard error that what a live module measured no longer holds: it was built from the text before the fix."""
    from initlint.report.view import count

    stale = len(outcome.findings) - len(repaired.fixed) - len(repaired.outcome.findings)
    if arguments.trace and stale and not arguments.quiet:
        write(f"{count(stale, 'measured finding')} may be gone with what was fixed: trace again.\n", err=True)


def _diff(outcome: Outcome, settings: Settings, arguments: Arguments) -> int:
    from initlint.cli.diff import unified
    from initlint.report.view import count

    repaired = _repair(outcome, settings, arguments)
    color = wants_color(arguments.color, arguments.output_file)
    originals = outcome.sources.files
    root = display_root(settings.output_format)
    diff = b"".join(unified(originals[path], new, root, color=color) for path, new in repaired.texts.items())
    write(diff, arguments.output_file)
    if not arguments.quiet:
        write(f"Would fix {count(len(repaired.fixed), 'finding')}.\n", err=True)
    return 1 if repaired.texts and not arguments.exit_zero else 0


def _report(outcome: Outcome, settings: Settings, arguments: Arguments, *, fixed: Sequence[Finding] = ()) -> None:
    """Show the findings; for GitHub, also in the summary of the step."""
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
        show_fixes=settings.show_fixes,
        fixed=tuple(fixed),
        version=__version__,
        cells=outcome.sources.cells,
    )
    text = _counted(view, settings.output_format) if arguments.statistics else render(view, settings.output_format)
    write(text, arguments.output_file, err=arguments.files.reads_stdin and settings.fix and not arguments.output_file)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if settings.output_format == "github" and summary:
        from initlint.report.github import summary as table

        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(table(view))


def _counted(view: View, output_format: str) -> str:
    from initlint.report import json, text

    if output_format not in {"full", "concise", "grouped", "json"}:
        hint = "leave --output-format away, or use json"
        raise InitlintError(f"cannot be written as {output_format}", where="--statistics", hint=hint)
    return json.statistics(view) if output_format == "json" else text.statistics(view)


def _add_noqa(sources: Sources, settings: Settings, arguments: Arguments) -> int:
    from initlint.noqa import add_noqa
    from initlint.report.view import count
    from initlint.sourcefile import write_all

    outcome = _check_anew(sources, settings, arguments)
    added = 0
    texts = []
    for path, file in sources.files.items():
        findings = [finding for finding in outcome.findings if finding.site.file == path]
        text, marks = add_noqa(path, file.text, findings)
        if marks:
            texts.append((file, text))
            added += marks
    write_all(texts)
    write(f"Added {count(added, 'noqa comment')}.\n")
    return 0


def _write_baseline(sources: Sources, settings: Settings, arguments: Arguments) -> int:
    from initlint.baseline import render_baseline
    from initlint.report.view import count

    if settings.baseline is None:
        hint = "name the file with --baseline, or in the configuration"
        raise InitlintError("there is no baseline to write", where="--write-baseline", hint=hint)
    outcome = _check_anew(sources, replace(settings, baseline=None), arguments)
    write(render_baseline(outcome.findings, sources.texts, settings.baseline.parent), settings.baseline)
    write(f"Wrote {count(len(outcome.findings), 'finding')} to {settings.baseline}.\n")
    return 0


def _status(outcome: Outcome, settings: Settings, arguments: Arguments) -> int:
    if arguments.exit_zero or outcome.worst is None:
        return 0
    return 1 if outcome.worst >= settings.fail_on else 0
