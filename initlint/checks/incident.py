"""What happened at one line while models were built becomes one finding, however many layers and models it happened to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from initlint.checks.check import Check
from initlint.knowledge import Knowledge
from initlint.model import Event, Finding, Judgement, Model, Related, Severity, Site, Value


@dataclass(frozen=True, slots=True)
class Incident:
    """Everything of one kind that happened at one place, first things first."""

    events: tuple[Event, ...]

    @property
    def kind(self) -> str:
        """What happened."""
        return self.events[0].kind

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers it happened to, as a user calls them: ``Net.conv1``."""
        return tuple(dict.fromkeys(name for event in self.events if isinstance(name := event.detail("layer"), str)))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters it happened to: ``Net.conv1.weight``."""
        found = []
        for event in self.events:
            parts = [
                part for part in (event.detail("layer"), event.detail("parameter")) if isinstance(part, str) and part
            ]
            if parts:
                found.append(".".join(parts))
        return tuple(dict.fromkeys(found))

    def detail(self, name: str) -> Value:
        """The detail called `name` of the first event, or None."""
        return self.events[0].detail(name)

    def details(self, name: str) -> tuple[Value, ...]:
        """The detail called `name` of every event."""
        return tuple(event.detail(name) for event in self.events)

    def word(self, name: str) -> str:
        """The detail called `name` as text, empty where there is none."""
        value = self.detail(name)
        return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a check says of an incident; `related` explains the other places of the event, all in one way."""

    message: str
    severity: Severity
    help: str | None = None
    related: str | None = None


Say = Callable[[Incident], Statement | None]


def incident_check(code: str, name: str, kinds: Iterable[str], say: Say) -> Check:
    """The check that reports incidents of `kinds`; `say` may keep silent."""
    wanted = frozenset(kinds)

    def run(_: Sequence[Judgement], models: Sequence[Model], __: Knowledge) -> Iterable[Finding]:
        places: dict[tuple[str, Site], list[Event]] = {}
        for model in models:
            for event in model.events:
                if event.kind in wanted:
                    places.setdefault((event.kind, event.site), []).append(event)
        for events in places.values():
            incident = Incident(tuple(events))
            statement = say(incident)
            if statement is not None:
                yield _finding(code, name, incident, statement)

    return Check(code, name, run)


def _finding(code: str, name: str, incident: Incident, statement: Statement) -> Finding:
    event = incident.events[0]
    return Finding(
        code=code,
        name=name,
        message=statement.message,
        severity=statement.severity,
        site=event.site,
        help=statement.help,
        layer=listed(incident.layers) or None,
        related=() if statement.related is None else tuple(Related(site, statement.related) for site in event.related),
        events=incident.events,
    )


def listed(names: Sequence[str]) -> str:
    """``Net.fc`` or ``Net.fc and 3 more``."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""


def quoted(names: Sequence[str], otherwise: str) -> str:
    """The same with the first name in backticks, and `otherwise` where there is no name."""
    return f"`{names[0]}`" + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else otherwise
