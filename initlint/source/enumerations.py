"""Enumerations: classes whose members are made once, found by value or by name, and equal to nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlint.source.symbols import ABSENT, UNKNOWN, Sym, Unknown
from initlint.source.values import Builtin, Choice, ClassV, External, FunctionV, Instance

if TYPE_CHECKING:
    from initlint.source.machine import Machine

AUTO = External("enum.auto()")
_TEXTS = frozenset({"enum.StrEnum", "strenum.StrEnum", "backports.strenum.StrEnum"})
_NUMBERS = frozenset({"enum.IntEnum", "enum.IntFlag"})


def is_enumeration(cls: object) -> bool:
    """Whether `cls` is a class that inherits from an `enum.Enum` of some kind."""
    return isinstance(cls, ClassV) and any(
        isinstance(base, External) and (base.name.startswith("enum.") or base.name in _TEXTS)
        for base in cls.external_bases
    )


def make_members(machine: Machine, cls: ClassV) -> None:
    """The values assigned in the body of an enumeration become its members."""
    count = 0
    for name, value in list(cls.data.items()):
        if name.startswith("_") or isinstance(value, (FunctionV, ClassV)):
            continue
        count += 1
        member = Instance(cls, None, 0)
        member.data.update(name=name, value=_numbered(cls, name, count) if value == AUTO else value)
        cls.data[name] = member


def _numbered(cls: ClassV, name: str, count: int) -> object:
    """What ``auto()`` gives the member."""
    if cls.lookup("_generate_next_value_") is not ABSENT:
        return UNKNOWN
    return name.lower() if _mixed_in(cls) == "str" else count


def members(cls: ClassV) -> list[object]:
    """The members in order of definition."""
    return [each for each in cls.data.values() if isinstance(each, Instance) and each.cls is cls]


def _mixed_in(cls: ClassV) -> str | None:
    """The built-in type that the members are instances of, too."""
    for each in cls.mro:
        for base in each.bases:
            if isinstance(base, Builtin) and base.name in ("str", "int", "float"):
                return base.name
            if isinstance(base, External) and base.name in _TEXTS | _NUMBERS:
                return "str" if base.name in _TEXTS else "int"
    return None


def plain(value: object) -> object:
    """The text or number that a member of ``class Mode(str, Enum)`` is; any other value itself."""
    if isinstance(value, Instance) and is_enumeration(value.cls) and isinstance(value.cls, ClassV):
        held = value.data.get("value", UNKNOWN)
        return held if _mixed_in(value.cls) else value
    return value


def member_of(machine: Machine, cls: ClassV, wanted: object) -> object:
    """``Mode("nearest")``: the member of that value; ABSENT where there is certainly none."""
    found = members(cls)
    if isinstance(wanted, Instance) and wanted in found:
        return wanted
    if isinstance(wanted, (Unknown, Sym, Choice)):
        return machine.join(found)
    values = [each.data.get("value", UNKNOWN) for each in found if isinstance(each, Instance)]
    for member, value in zip(found, values, strict=True):
        if type(value) is type(wanted) and value == wanted:
            return member
    certain = all(isinstance(value, (str, int, float, bool)) for value in values)
    return ABSENT if certain and cls.lookup("_missing_") is ABSENT else UNKNOWN
