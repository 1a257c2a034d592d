"""rules/facts/*.toml become `Knowledge`, checked on the way; how a table is written stands at its head."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar, cast, get_args

from initlint.knowledge.facts import (
    Activation,
    Effect,
    FactorFormula,
    Family,
    Fans,
    InitializerFact,
    Knowledge,
    LayerFact,
    LayerRole,
    LibraryFact,
    LibraryKind,
    OperationFact,
    Target,
)
from initlint.knowledge.table import Signature, Table, constant, expand, read_table

if TYPE_CHECKING:
    from initlint.errors import InitlintError

Fact = TypeVar("Fact")

_EVERYTHING = ((0.0, float("inf")),)
_INITIALIZER_COLUMNS = ("formula", "distribution", "canonical", "fixed", "bias", "call")
_FORMULAS = (
    "kaiming",
    "xavier",
    "normal",
    "uniform",
    "trunc_normal",
    "trunc_normal_tf",
    "constant",
    "orthogonal",
    "identity",
    "sparse",
    "variance_scaling",
    "scale",
    "copy",
    "opaque",
)
_EMPTY: Mapping[str, str] = MappingProxyType({})


def rules_dir() -> Path:
    """The folder of rule pages and facts: inside the package where it is installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "rules"
    return inside if inside.is_dir() else package.parent / "rules"


@functools.cache
def load_knowledge() -> Knowledge:
    """All facts, read once per process from rules/facts; InitlintError names file and key of what is wrong there."""
    return read_knowledge(rules_dir() / "facts")


def read_knowledge(folder: Path) -> Knowledge:
    """The facts in the five TOML files of `folder`; InitlintError names file and key of what is wrong there."""
    activations_file = _read(folder, "activations")
    activations = _activations(activations_file)
    spellings = _spellings(activations.values(), activations_file)
    initializers, gains = _initializers(_read(folder, "initializers"))
    operations = _operations(_read(folder, "operations"))
    libraries_file = _read(folder, "libraries")
    prefixes = _prefixes(libraries_file)
    libraries = _libraries(libraries_file)
    for library in libraries.values():
        match library.kind:
            case "initializer":
                initializers[library.name] = _target(library, initializers, libraries_file)
            case "activation":
                spellings[library.name] = _target(library, activations, libraries_file).name
            case "operation" if library.effect is not None:
                operations[library.name] = OperationFact(library.name, library.effect, None, None, ())
    return Knowledge(
        activations=MappingProxyType(activations),
        activation_of=MappingProxyType(spellings),
        layers=MappingProxyType(_layers(_read(folder, "layers"))),
        initializers=MappingProxyType(initializers),
        operations=MappingProxyType(operations),
        libraries=MappingProxyType(libraries),
        gains=MappingProxyType(gains),
        prefixes=prefixes,
        parts=frozenset(
            name.rpartition(".")[2] for name, fact in operations.items() if fact.effect in {"select", "split"}
        ),
    )


def _read(folder: Path, name: str) -> Table:
    return read_table(folder / f"{name}.toml", f"rules/facts/{name}.toml")


def _activations(file: Table) -> dict[str, Activation]:
    found = {}
    for name, table in file.tables():
        found[name] = _activation(name, table)
        table.end()
    file.end()
    return found


def _activation(name: str, table: Table) -> Activation:
    parameters = table.numbers("parameters") or ()
    functional = table.numbers("functional_parameters")
    slope = table.text("slope_parameter", "") or None
    if slope is not None and slope not in dict(parameters):
        raise table.error("slope_parameter", f"{slope!r} is none of the parameters")
    bands = table.intervals("bands")
    exempt = table.flag("exempt")
    if bands is None and not exempt:
        raise table.error("bands", "is missing", "add the intervals of gain that match, or exempt = true")
    bands = bands or _EVERYTHING
    return Activation(
        name=name,
        family=table.choice("family", get_args(Family)),
        spellings=tuple(_names(table, "spellings")),
        parameters=parameters,
        functional_parameters=parameters if functional is None else functional,
        slope_parameter=slope,
        gain=table.number("gain"),
        second_moment_gain=table.optional_number("second_moment_gain"),
        bands=bands,
        output_bands=table.intervals("output_bands") or bands,
        exempt=exempt,
        nonlinearity=table.text("nonlinearity", "") or None,
        recommended=_recommendation(table, "recommended") or _EMPTY,
        reference=table.text("reference", ""),
        output_gain=table.optional_number("output_gain"),
        output_recommended=_recommendation(table, "output_recommended"),
        gain_reference=table.text("gain_reference", "") or None,
    )


def _recommendation(table: Table, key: str) -> Mapping[str, str | float] | None:
    call = table.mapping(key)
    if call is None:
        return None
    if not isinstance(call.get("function"), str):
        raise table.error(key, "lacks the function to call", 'write { function = "kaiming_normal_", ... }')
    return cast("Mapping[str, str | float]", call)


def _spellings(activations: Iterable[Activation], file: Table) -> dict[str, str]:
    found: dict[str, str] = {}
    for activation in activations:
        for spelling in activation.spellings:
            if spelling in found:
                raise file.error(f"{activation.name}.spellings", f"{spelling} is one of {found[spelling]} already")
            found[spelling] = activation.name
    return found


def _layers(file: Table) -> dict[str, LayerFact]:
    found: dict[str, LayerFact] = {}
    for key, table in file.tables():
        names = tuple(_names(table, "names"))
        dimensions = table.integers("dimensions") or (0,) * len(names)
        if len(dimensions) != len(names):
            raise table.error("dimensions", f"{len(dimensions)} for {len(names)} names")
        inferred = table.text("lazy", "")
        shared = _layer(table)
        table.end()
        for name, count in zip(names, dimensions, strict=True):
            fact = dataclasses.replace(shared, name=name, dimensions=count)
            _add(found, fact.name, fact, file, key)
            if inferred:
                lazy = _lazy(fact, inferred)
                _add(found, lazy.name, lazy, file, key)
    file.end()
    return found


def _layer(table: Table) -> LayerFact:
    rows = tuple(table.rows("parameters", ("parameter", "shape", "filled by", "effective gain", "exists if")))
    return LayerFact(
        name="",
        role=table.choice("role", get_args(LayerRole)),
        signature=table.signature("signature"),
        shape=MappingProxyType({row[0]: tuple(part.strip() for part in row[1].split(",")) for row in rows if row[1]}),
        optional=MappingProxyType({row[0]: row[4] for row in rows if row[4]}),
        fans=table.choice("fans", get_args(Fans), "none"),
        dimensions=0,
        lazy=table.flag("deferred"),
        default=MappingProxyType({row[0]: _default(row[2], row[3]) for row in rows if row[2]}),
        bases=(*_names(table, "bases"), "torch.nn.Module"),
    )


def _default(call: str, effective_gain: str) -> Mapping[str, object]:
    function, _, arguments = call.removesuffix(")").partition("(")
    default: dict[str, object] = {"function": function}
    for argument in arguments.split(", ") if arguments else ():
        name, _, value = argument.partition("=")
        default[name] = constant(value)
    if effective_gain:
        default["effective_gain"] = constant(effective_gain)
    return MappingProxyType(default)


def _lazy(fact: LayerFact, inferred: str) -> LayerFact:
    package, _, short = fact.name.rpartition(".")
    return dataclasses.replace(
        fact,
        name=f"{package}.Lazy{short}",
        signature=tuple(parameter for parameter in fact.signature if parameter[0] != inferred),
        lazy=True,
        bases=("torch.nn.LazyModuleMixin", fact.name, *fact.bases),
    )


def _initializers(file: Table) -> tuple[dict[str, InitializerFact], dict[str, float | None]]:
    gains = _gains(file)
    found: dict[str, InitializerFact] = {}
    for key, table in file.tables():
        for fact in _initializer_rows(table):
            _add(found, fact.name, fact, file, key)
        for old in _names(table, "deprecated"):
            if f"{old}_" not in found:
                raise table.error("deprecated", f"{old} has no successor {old}_ above")
            _add(found, old, dataclasses.replace(found[f"{old}_"], name=old, deprecated=True), file, key)
        table.end()
    file.end()
    return found, gains


def _initializer_rows(table: Table) -> Iterator[InitializerFact]:
    target = cast("Target", table.choice("target", get_args(Target), "tensor"))
    minimum_dimensions = int(table.number("minimum_dimensions", 0))
    for formula, distribution, canonical, fixed, bias, call in table.rows("calls", _INITIALIZER_COLUMNS):
        if formula not in _FORMULAS:
            raise table.error("calls", f"{call} has no known formula: {formula!r}", f"one of {', '.join(_FORMULAS)}")
        for name, signature in _expanded(table, call):
            yield InitializerFact(
                name=name,
                canonical=canonical or name.rpartition(".")[2],
                signature=signature,
                formula=formula,
                distribution=distribution,
                fixed=MappingProxyType(dict(table.parameters("calls", fixed))),
                deprecated=False,
                target=target,
                minimum_dimensions=minimum_dimensions,
                bias=bias or None,
            )


def _gains(file: Table) -> dict[str, float | None]:
    table = file.table("gains")
    if table is None:
        raise file.error("gains", "is missing", "list what calculate_gain knows")
    gains: dict[str, float | None] = dict.fromkeys(table.words("by_parameter"))
    gains.update((name, table.number(name)) for name in table.untaken())
    return gains


def _operations(file: Table) -> dict[str, OperationFact]:
    found: dict[str, OperationFact] = {}
    for key, table in file.tables():
        effect = cast("Effect", table.choice("effect", get_args(Effect)))
        factor = table.optional_number("factor")
        slope = table.optional_number("slope")
        factor_by = table.optional_choice("factor_by", cast("tuple[FactorFormula, ...]", get_args(FactorFormula)))
        for name, signature in (*_calls(table), *_shared(table)):
            _add(found, name, OperationFact(name, effect, factor, factor_by, signature, slope), file, key)
        table.end()
    file.end()
    return found


def _calls(table: Table) -> Iterator[tuple[str, Signature]]:
    """The calls of a table: ``torch.nn.Dropout(p=0.5)`` a line, or bare names where arguments do not matter."""
    for line in table.lines("calls"):
        yield from _expanded(table, line)


def _expanded(table: Table, call: str) -> Iterator[tuple[str, Signature]]:
    names, bracket, parameters = call.removesuffix(")").partition("(")
    signature = table.parameters("calls", parameters) if bracket else ()
    for name in names.split():
        for one in expand(name):
            yield one, signature


def _shared(table: Table) -> Iterator[tuple[str, Signature]]:
    """What exists twice: ``flatten(input, start_dim=0)`` is torch.flatten, and Tensor.flatten without `input`."""
    for line in table.lines("shared"):
        name, _, parameters = line.removesuffix(")").partition("(")
        signature = table.parameters("shared", parameters)
        yield f"torch.{name}", signature
        yield f"Tensor.{name}", signature[1:]


def _prefixes(file: Table) -> tuple[tuple[str, str], ...]:
    return tuple((f"{prefix}.", package) for prefix, package in file.texts("prefixes").items())


def _libraries(file: Table) -> dict[str, LibraryFact]:
    found: dict[str, LibraryFact] = {}
    for kind in cast("tuple[LibraryKind, ...]", get_args(LibraryKind)):
        if kind == "registry":
            continue
        for line in file.lines(kind):
            names, equals, target = (part.strip() for part in line.partition("="))
            if kind not in _HOOKED and bool(equals) != (kind in _POINTING):
                raise file.error(kind, f"{line!r} should be {'name = target' if kind in _POINTING else 'names only'}")
            for name in names.split():
                for one in expand(name):
                    _add(found, one, _library(one, kind, target, file), file, kind)
    for name, entries in _registries(file):
        fact = LibraryFact(name, "registry", None, None, (), entries)
        _add(found, name, fact, file, "registry")
    file.end()
    return found


_POINTING = frozenset({"initializer", "alias", "operation", "activation", "parametrization"})
"""The kinds of library name that point to something: a fact, an effect, a parametrization."""

_HOOKED = frozenset({"initializing-base", "module-base", "message-passing"})
"""The kinds that may point to the methods which their framework calls."""


def _library(name: str, kind: LibraryKind, target: str, file: Table) -> LibraryFact:
    if kind in _HOOKED:
        return LibraryFact(name, kind, None, None, tuple(target.split()), _EMPTY)
    if kind == "operation":
        for effect in cast("tuple[Effect, ...]", get_args(Effect)):
            if effect == target:
                return LibraryFact(name, kind, None, effect, (), _EMPTY)
        raise file.error(kind, f"{name} has no effect called {target!r}")
    return LibraryFact(name, kind, target or None, None, (), _EMPTY)


def _registries(file: Table) -> Iterator[tuple[str, Mapping[str, str]]]:
    table = file.table("registry")
    if table is None:
        return
    for key, registry in table.tables():
        entries = {}
        for line in registry.lines("entries"):
            words, _, target = line.partition("=")
            entries.update(dict.fromkeys(words.split(), target.strip()))
        for name in _names(registry, "names"):
            yield name, MappingProxyType(entries)
        registry.end()
        if not entries:
            raise table.error(f"{key}.entries", "is missing", "write a line name = dotted name for each entry")


def _names(table: Table, key: str) -> Iterator[str]:
    for word in table.words(key):
        yield from expand(word)


def _add(found: dict[str, Fact], name: str, fact: Fact, file: Table, key: str) -> None:
    if name in found:
        raise _twice(file, key, name)
    found[name] = fact


def _twice(file: Table, key: str, name: str) -> InitlintError:
    return file.error(key, f"{name} stands in this file twice", "remove one of them")


def _target(library: LibraryFact, facts: Mapping[str, Fact], file: Table) -> Fact:
    fact = facts.get(library.target or "")
    if fact is None:
        raise file.error(library.kind, f"{library.name} points to {library.target!r}, which no table has")
    return fact
