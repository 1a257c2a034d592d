"""Findings get their fixes, and a run of `--fix` gets one set of texts in which no fix is lost to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from initlint.checks.wording import advice
from initlint.fix.bench import Bench, FixedTexts
from initlint.fix.options import FixOptions
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import spell
from initlint.fix.verify import Heed, Judge, Rescan
from initlint.fix.workshop import Repair, Workshop
from initlint.knowledge import Knowledge, load_knowledge
from initlint.model import Finding, Fix, Judgement

_ROUNDS = 10


def attach(
    findings: Sequence[Finding],
    texts: Mapping[str, str],
    options: FixOptions,
    rescan: Rescan | None,
    *,
    judgements: Iterable[Judgement] = (),
    heed: Heed | None = None,
    judge: Judge | None = None,
) -> tuple[Finding, ...]:
    """The findings, each with a fix where one is certain and with the reason in its help where none is.

    `texts` are the current texts by absolute path. Without a `rescan` the fixes are drafts: not written, and they may
    yet fail their verification. `judgements` are those of all layers, not only the reported ones: with them loops are
    rewritten and written that otherwise might reach a layer that is right. `heed` tells what of a rescan would be
    reported: only that may be repaired along with a finding. `judge` gives the judgements of all layers of a rescan.
    """
    bench = _bench(findings, texts, options, rescan, judgements, heed, judge)
    knowledge = load_knowledge()
    return tuple(
        _with_fix(_as_written(finding, bench.repairs(index), bench.workshop, knowledge), bench.answer(index))
        for index, finding in enumerate(findings)
    )


def plan(
    findings: Sequence[Finding],
    texts: Mapping[str, str],
    options: FixOptions,
    rescan: Rescan,
    *,
    unsafe: bool = False,
    judgements: Iterable[Judgement] = (),
    heed: Heed | None = None,
    judge: Judge | None = None,
) -> FixedTexts:
    """All fixes made together, again and again until a further run would change nothing.

    Fixes that write into one function become one insertion. `rescan` sees the texts written so far, and `judge` gives
    the judgements of all their layers.
    """
    first = tuple(judgements)
    rescan = _remembering(rescan)
    current = dict(texts)
    fixed: list[Finding] = []
    left: tuple[tuple[Finding, str], ...] = ()
    for _ in range(_ROUNDS):
        bench = _bench(findings, current, options, rescan, judgements, heed, judge)
        step = bench.together(unsafe=unsafe)
        left = step.left
        if not step.texts:
            break
        current.update(step.texts)
        fixed += step.fixed
        changed = {file: text for file, text in current.items() if text != texts.get(file)}
        findings = rescan(changed)
        elsewhere = (one for one in first if judge is not None and one.layer.site.file not in changed)
        judgements = () if judge is None else (*judge(changed), *elsewhere)
    return FixedTexts({file: text for file, text in current.items() if text != texts.get(file)}, tuple(fixed), left)


def _remembering(rescan: Rescan) -> Rescan:
    """The same scan, which looks at no texts twice: what was verified in one round is where the next one starts."""
    known: dict[tuple[tuple[str, str], ...], tuple[Finding, ...]] = {}

    def scan(texts: Mapping[str, str]) -> tuple[Finding, ...]:
        key = tuple(sorted(texts.items()))
        if key not in known:
            known[key] = rescan(texts)
        return known[key]

    return scan


def _as_written(finding: Finding, repairs: Sequence[Repair], workshop: Workshop, knowledge: Knowledge) -> Finding:
    """The finding whose help names the very call that its repair writes, in the words of its file."""
    if not repairs or any(repair.call != repairs[0].call for repair in repairs):
        return finding
    source = workshop.source(repairs[0].layer.site.file)
    if source is None or finding.help is None:
        return finding
    spelling = spell(source)
    judgements = [repair.judgement for repair in repairs]
    return replace(finding, help=advice(judgements, knowledge, lambda target: spelling.call(repairs[0].call, target)))


def _with_fix(finding: Finding, answer: Fix | Refusal | None) -> Finding:
    if answer is None:
        return finding
    if isinstance(answer, Fix):
        return replace(finding, fix=answer)
    reason = f"not repaired automatically: {answer.reason}"
    return replace(finding, help=reason if finding.help is None else f"{finding.help}; {reason}")


def _bench(
    findings: Sequence[Finding],
    texts: Mapping[str, str],
    options: FixOptions,
    rescan: Rescan | None,
    judgements: Iterable[Judgement],
    heed: Heed | None,
    judge: Judge | None,
) -> Bench:
    activations = load_knowledge().activations
    return Bench(findings, texts, Workshop(texts, activations, options, judgements), rescan, heed, judge)
