"""A check is a record: a code, the name of its rule, and one pure function from what is known to what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from initlint.knowledge import Knowledge
from initlint.model import Event, Finding, Judgement, Layer, Model

Run = Callable[[Sequence[Judgement], Sequence[Model], Knowledge], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule at work: `run` gets the merged judgements of a whole run, every model they come from, and the facts."""

    code: str
    name: str
    run: Run


Say = Callable[[Event, Layer | None, Knowledge], Finding | None]


def event_check(code: str, name: str, kinds: Iterable[str], say: Say) -> Check:
    """The check that says something of every event of one of `kinds`.

    `say` gets the event and the layer it concerns, and may keep silent. What several models tell of the same place
    is said once.
    """
    wanted = frozenset(kinds)

    def run(_: Sequence[Judgement], models: Sequence[Model], knowledge: Knowledge) -> Iterable[Finding]:
        said = set()
        for model in models:
            layers = {layer.id: layer for layer in model.layers}
            for event in model.events:
                if event.kind not in wanted:
                    continue
                layer = None if event.layer is None else layers.get(event.layer)
                finding = say(event, layer, knowledge)
                if finding is not None and (finding.site, finding.message) not in said:
                    said.add((finding.site, finding.message))
                    yield finding

    return Check(code, name, run)
