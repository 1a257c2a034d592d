"""INI312: an initializer is given an argument that it rejects, or that it silently does not use."""

from __future__ import annotations

from collections.abc import Callable

from initlint.checks.incident import Incident, Statement, incident_check
from initlint.model import Severity


def _raises(incident: Incident, why: str, advice: str) -> Statement:
    message = f"`{incident.word('function')}` raises {incident.word('error')} here: {why}"
    return Statement(message, Severity.ERROR, advice)


def _unexpected(incident: Incident) -> Statement:
    name = incident.word("argument")
    return _raises(incident, f"it has no argument `{name}`", "leave it out")


def _too_many(incident: Incident) -> Statement:
    return _raises(incident, f"it does not take {incident.word('value')} arguments", "leave out the last one")


def _missing(incident: Incident) -> Statement:
    name = incident.word("argument")
    return _raises(incident, f"`{name}` is missing", f"give it `{name}`")


def _mode(incident: Incident) -> Statement:
    why = f"'{incident.word('value')}' is no mode"
    return _raises(incident, why, "write `mode='fan_in'` or `mode='fan_out'`")


def _nonlinearity(incident: Incident) -> Statement:
    why = f"it knows no nonlinearity '{incident.word('value')}'"
    return _raises(
        incident, why, "name one that it knows: 'relu' has about the gain that gelu, silu, elu and mish want"
    )


def _slope(incident: Incident) -> Statement:
    why = f"'{incident.word('value')}' stands where the slope of leaky_relu belongs"
    return _raises(incident, why, "name the arguments: `mode='fan_out', nonlinearity='relu'`")


def _gain(incident: Incident) -> Statement:
    value = incident.word("value")
    return _raises(incident, f"gain '{value}' is no number", f"write `gain=nn.init.calculate_gain('{value}')`")


def _mode_as_slope(incident: Incident) -> Statement:
    value = incident.word("value")
    return Statement(
        f"'{value}' is taken for the slope `a` of `{incident.word('function')}` and ignored; the mode stays fan_in",
        Severity.WARNING,
        f"name it: `mode='{value}'`",
    )


def _slope_ignored(incident: Incident) -> Statement:
    return Statement(
        f"a={incident.word('value')} does nothing here: `{incident.word('function')}` reads it for leaky_relu alone, not for"
        f" {incident.word('error')}",
        Severity.INFO,
        "leave it out, or name `nonlinearity='leaky_relu'`",
    )


_SAYINGS: dict[str, Callable[[Incident], Statement]] = {
    "unexpected": _unexpected,
    "too-many": _too_many,
    "missing": _missing,
    "mode": _mode,
    "nonlinearity": _nonlinearity,
    "slope": _slope,
    "gain": _gain,
    "mode-as-slope": _mode_as_slope,
    "slope-ignored": _slope_ignored,
}


def _say(incident: Incident) -> Statement:
    return _SAYINGS[incident.word("problem")](incident)


CHECK = incident_check("INI312", "invalid-initializer-argument", ("invalid-initializer-argument",), _say)
