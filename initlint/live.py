"""A live module is traced, judged, checked and repaired like a file: what joins the tracer with the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initlint.config import Settings
from initlint.engine import Fixes, Outcome, Reading, Sources, conclude, fix_options, read_sources, reported, understand
from initlint.errors import InitlintError
from initlint.knowledge import Knowledge, load_knowledge, load_rules
from initlint.model import Finding, Judgement, Measure, Model, Severity, Site
from initlint.selection import MEASURED, UNUSED_SUPPRESSION

if TYPE_CHECKING:
    from torch import nn

    from initlint.fix import FixedTexts
    from initlint.graph.inputs import Inputs, InputShape
    from initlint.graph.measure import Measurement
    from initlint.graph.profile import Point
    from initlint.graph.provenance import Recorder
    from initlint.joining import Disagreement
    from initlint.model import Value


class InitializationError(AssertionError):
    """A module has findings that a test does not accept; `findings` are all of them."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        lines = (f"{f.site.file}:{f.site.line}:{f.site.column}: {f.code} {f.message}" for f in findings)
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Request:
    """What to build, and what to call it with."""

    target: str
    arguments: Mapping[str, Value]
    inputs: tuple[InputShape, ...] = ()
    inputs_function: str | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many layers were judged, and why the others were not, by reason."""

    judged: int
    total: int
    reasons: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Live:
    """All that was learned of one live module.

    `judgements` are one per layer of the model, in its order; `merged` one per layer of the text. `measurement` is None where
    nothing could be run, `opaque` names what could not be read.
    """

    model: Model
    judgements: tuple[Judgement, ...]
    merged: tuple[Judgement, ...]
    findings: tuple[Finding, ...]
    measurement: Measurement | None
    synthetic: bool
    opaque: tuple[str, ...]
    module: nn.Module
    inputs: Inputs | None
    measures: Mapping[int, Measure]

    @property
    def coverage(self) -> Coverage:
        """The layers that a verdict could be given on."""
        reasons: dict[str, list[str]] = {}
        for judgement in self.judgements:
            if judgement.verdict == "unknown":
                name = f"{judgement.layer.owner}.{judgement.layer.path}"
                reasons.setdefault(judgement.reason or "not judged", []).append(name)
        total = len(self.judgements)
        judged = total - sum(map(len, reasons.values()))
        return Coverage(judged, total, {reason: tuple(names) for reason, names in reasons.items()})


def make_request(
    target: str,
    *,
    arguments: Sequence[str] = (),
    inputs: Sequence[str] = (),
    inputs_function: str | None = None,
    device: str = "cpu",
) -> Request:
    """The request that the words of a command line make; InitlintError for a word that means nothing."""
    _require_torch()
    from initlint.graph.inputs import parse_input
    from initlint.graph.target import parse_argument

    shapes = tuple(parse_input(text) for text in inputs)
    return Request(target, dict(map(parse_argument, arguments)), shapes, inputs_function, device)


def trace_target(request: Request) -> Live:
    """Build, run and judge what `request` names.

    Raises InitlintError where torch is missing or the target names nothing, and its subclass UserCodeError for what the user's code raises.
    """
    _require_torch()
    from initlint.graph.inputs import call_inputs, make_inputs
    from initlint.graph.target import build, users_errors

    knowledge = load_knowledge()
    built = build(request.target, request.arguments, knowledge, device=request.device)
    given: Inputs | None = None
    if request.inputs_function is not None:
        given = call_inputs(request.inputs_function, built.model)
    elif request.inputs:
        given = make_inputs(request.inputs, built.model)
    with users_errors(f"running {request.target}"):
        return examine(built.model, knowledge, recorder=built.recorder, inputs=given)


def examine(
    model: nn.Module, knowledge: Knowledge, *, recorder: Recorder | None = None, inputs: Inputs | None = None
) -> Live:
    """All that a module tells, run on `inputs`, on made-up ones where they can be guessed, or not at all."""
    from initlint import checks
    from initlint.analysis import judge, merge
    from initlint.graph.inputs import synthesize
    from initlint.graph.measure import measure
    from initlint.graph.measures import measure_layers
    from initlint.graph.observations import observed
    from initlint.graph.symbolic import trace_symbolically
    from initlint.graph.tracer import lower, trace

    chosen, measurement = inputs, None
    if chosen is None:
        symbolic = trace_symbolically(model, knowledge)
        chosen = synthesize(model, symbolic.calls)
    if chosen is None:
        traced = lower(model, symbolic.calls, symbolic.opaque, knowledge, recorder)
    elif chosen.heavy:
        traced = trace(model, knowledge, recorder=recorder, inputs=chosen)
    else:
        measurement = measure(model, chosen, knowledge, recorder=recorder)
        traced = measurement.trace
    judgements = judge(traced.model, knowledge)
    described = traced.model if measurement is None else observed(measurement, judgements, knowledge)
    merged = merge(judgements)
    findings = (*checks.run(merged, (described,), knowledge), *_measured(merged, described, knowledge))
    return Live(
        model=described,
        judgements=judgements,
        merged=merged,
        findings=findings,
        measurement=measurement,
        synthetic=chosen is not None and chosen.synthetic,
        opaque=traced.model.opaque,
        module=model,
        inputs=chosen,
        measures=measure_layers(traced, measurement, judgements, described.events),
    )


def report_live(live: Live, settings: Settings, *, fixes: bool = True) -> Outcome:
    """What is to be reported of a live module: selected, not suppressed, severe enough, with fixes for the user's own code."""
    sources = _sources(live)
    texts = sources.texts
    kept = tuple(f for f in reported(live.findings, texts, settings) if f.code != UNUSED_SUPPRESSION)
    reading = Reading((live.model,), live.merged, live.findings)
    return Outcome(_with_fixes(kept, texts, settings, live) if fixes else kept, sources, reading)


def check_with(
    sources: Sources, settings: Settings, lives: Sequence[Live], *, fixes: Fixes = Fixes.VERIFIED
) -> tuple[Outcome, tuple[Disagreement, ...]]:
    """As `engine.check`, with what live modules show of the layers in `sources`; and where the two disagree."""
    from initlint.joining import join

    texts = sources.texts
    traced = [Reading((live.model,), live.merged, live.findings) for live in lives]
    scanned = understand(texts, jobs=settings.jobs)
    joined = join(scanned, traced, texts)
    rescan = _rescan_of(joined.reading.findings, scanned.findings)
    outcome = conclude(joined.reading, sources, settings, fixes=fixes, rescan=rescan)
    return outcome, joined.disagreements


def require_drawable(file: Path) -> None:
    """Object before anything is built; InitlintError for a file that is no picture, and where matplotlib is missing."""
    from importlib.util import find_spec

    if file.suffix not in _PICTURES:
        raise InitlintError("is no picture that can be drawn", where=str(file), hint="name a .png, .svg or .html file")
    if find_spec("matplotlib") is None:
        raise InitlintError("needs matplotlib", where="--plot", hint="pip install 'initlint[trace]'")


_PICTURES = frozenset({".png", ".svg", ".html"})


def plot_live(live: Live, file: Path) -> None:
    """Draw signal and gradient along the depth into `file`; InitlintError where nothing was measured."""
    from initlint.graph.plot import write_plot
    from initlint.graph.profile import profile

    points: tuple[Point, ...] = ()
    if live.measurement is not None and live.inputs is not None:
        points = profile(live.module, live.inputs, live.measurement, live.judgements, load_knowledge())
    wrong = sum(judgement.verdict == "mismatch" for judgement in live.judgements)
    write_plot(points, f"{live.model.name}: {wrong} of {len(live.judgements)} layers mismatched", file)


def repair_live(outcome: Outcome, settings: Settings) -> FixedTexts:
    """The fixes of an outcome made together, checked against what the scanner reads in the new text; nothing is written."""
    from initlint.fix import plan

    wanted = [f for f in outcome.findings if f.fix is not None]
    texts = _writable(outcome.sources.texts)
    return plan(
        wanted,
        texts,
        fix_options(settings),
        _rescan_of(wanted, understand(texts).findings),
        unsafe=settings.unsafe_fixes,
        judgements=outcome.reading.judgements,
    )


def left_after(outcome: Outcome, repaired: FixedTexts) -> Outcome:
    """What a repair leaves: neither what it fixed nor what was measured of layers in a file that it rewrote, as it was before."""
    findings = tuple(
        finding
        for finding in outcome.findings
        if finding not in repaired.fixed
        and not (finding.code.startswith(MEASURED) and finding.site.file in repaired.texts)
    )
    return replace(outcome, findings=findings)


def check_module(
    model: nn.Module | Callable[[], nn.Module], example_inputs: Any = None, raise_on: str | None = "warning"
) -> tuple[Finding, ...]:
    """The findings in a live module, for a test-suite.

    `model` is a module, or better a class or function that builds one: then who wrote each weight is known, else only the
    default initialization is recognised, by its values. `example_inputs` is a tensor, a tuple of arguments or a dict of
    keyword arguments. Raises InitializationError if a finding is at least as severe as `raise_on` (``info``, ``warning``,
    ``error``; None never raises); what the forward pass raises comes through.
    """
    _require_torch()
    from torch import nn

    worst = None if raise_on is None else _severity(raise_on)
    from initlint.graph.inputs import as_inputs
    from initlint.graph.modes import seeded
    from initlint.graph.provenance import Recorder

    knowledge = load_knowledge()
    recorder = None
    if not isinstance(model, nn.Module):
        recorder = Recorder(knowledge)
        with seeded(), recorder:
            model = model()
    if not isinstance(model, nn.Module):
        hint = "give a module, or a class or function that returns one"
        raise InitlintError(f"is a {type(model).__name__}, not a torch.nn.Module", where="check_module", hint=hint)
    inputs = None if example_inputs is None else as_inputs(example_inputs)
    live = examine(model, knowledge, recorder=recorder, inputs=inputs)
    findings = tuple(
        f for f in reported(live.findings, _sources(live).texts, Settings()) if f.code != UNUSED_SUPPRESSION
    )
    if worst is not None and any(f.severity >= worst for f in findings):
        raise InitializationError(findings)
    return findings


def _severity(word: str) -> Severity:
    try:
        return Severity[word.upper()]
    except KeyError:
        known = ", ".join(severity.label for severity in Severity)
        raise InitlintError(f"there is no severity {word!r}", where="raise_on", hint=f"choose from {known}") from None


def _measured(judgements: tuple[Judgement, ...], model: Model, knowledge: Knowledge) -> tuple[Finding, ...]:
    """The findings of the rules that only a measured model can be held to."""
    from initlint.checks import dead_units, exploding_signal, saturated_units, vanishing_gradient, vanishing_signal

    modules = (vanishing_signal, exploding_signal, dead_units, saturated_units, vanishing_gradient)
    found = [finding for module in modules for finding in module.CHECK.run(judgements, (model,), knowledge)]
    places: dict[tuple[str, Site], list[Finding]] = {}
    for finding in found:
        places.setdefault((finding.code, finding.site), []).append(finding)
    return tuple(map(_as_one, places.values()))


def _as_one(findings: list[Finding]) -> Finding:
    """One finding for all that one line built: the most severe, over the longest chain, which counts the others."""
    worst = max(findings, key=lambda finding: (finding.severity, finding.chain_length or 0))
    if len(findings) == 1:
        return worst
    events = tuple(event for finding in findings for event in finding.events)
    return replace(worst, message=f"{worst.message}, and {len(findings) - 1} more like it at this line", events=events)


def _require_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InitlintError("needs torch", where="initlint trace", hint="pip install 'initlint[trace]'")


def _sources(live: Live) -> Sources:
    """The files that the findings and layers of a live module lie in."""
    names = {f.site.file for f in live.findings} | {judgement.layer.site.file for judgement in live.judgements}
    return read_sources(path for name in sorted(names) if (path := Path(name)).is_file())


def _writable(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that are the user's own."""
    from initlint.graph.frames import is_library

    return {file: text for file, text in texts.items() if not is_library(file)}


def _with_fixes(
    findings: tuple[Finding, ...], texts: Mapping[str, str], settings: Settings, live: Live
) -> tuple[Finding, ...]:
    rules = load_rules()
    writable = _writable(texts)
    places = [
        place
        for place, finding in enumerate(findings)
        if finding.site.file in writable and (finding.judgements or finding.events) and _has_fix(finding, rules)
    ]
    if not places:
        return findings
    from initlint import fix

    chosen = [findings[place] for place in places]
    options = fix_options(settings)
    fixed = fix.attach(
        chosen, writable, options, _rescan_of(chosen, understand(writable).findings), judgements=live.merged
    )
    by_place = dict(zip(places, fixed, strict=True))
    return tuple(by_place.get(place, finding) for place, finding in enumerate(findings))


def _has_fix(finding: Finding, rules: Mapping[str, Any]) -> bool:
    rule = rules.get(finding.code)
    return rule is None or rule.fix != "none"


def _rescan_of(
    findings: Sequence[Finding], scanned: Sequence[Finding]
) -> Callable[[Mapping[str, str]], tuple[Finding, ...]]:
    """A scan that hears of what `findings` are about and of anything new: what else was `scanned` before is not this run's business."""
    subjects = {_subject(finding) for finding in findings}
    elsewhere = {_subject(finding) for finding in scanned} - subjects

    def rescan(rewritten: Mapping[str, str]) -> tuple[Finding, ...]:
        return tuple(finding for finding in understand(rewritten).findings if _subject(finding) not in elsewhere)

    return rescan


def _subject(finding: Finding) -> tuple[str, str, str | None]:
    return finding.code, finding.site.file, finding.layer
