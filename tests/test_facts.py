"""Every fact about torch has a name and a signature that the installed torch has."""

from __future__ import annotations

import inspect
import itertools
import operator

import pytest
import torch
from torch import nn
from torch.nn import functional

from initlint.knowledge import Activation
from tests.installed_torch import KNOWLEDGE, named, of_torch, private

pytestmark = pytest.mark.usefixtures("same_numbers")


@pytest.mark.parametrize("table", ["activation_of", "layers", "initializers", "operations"])
def test_every_name_of_torch_exists(table: str) -> None:
    unknown = []
    for name in of_torch(getattr(KNOWLEDGE, table)):
        try:
            named(private(name))
        except AttributeError:
            unknown.append(name)
    assert not unknown


def test_every_torch_name_that_a_library_points_to_exists() -> None:
    for library in KNOWLEDGE.libraries.values():
        for target in (*library.entries.values(), library.target or ""):
            if target.split(".")[0] in ("torch", "Tensor"):
                named(target)
        for target in library.entries.values():
            assert target in {**KNOWLEDGE.activation_of, **KNOWLEDGE.operations}, library.name


def test_every_module_class_of_torch_is_known() -> None:
    tables = (KNOWLEDGE.layers, KNOWLEDGE.operations, KNOWLEDGE.activation_of, KNOWLEDGE.libraries)
    unknown = {
        name
        for name, value in vars(nn).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and not any(f"torch.nn.{name}" in t for t in tables)
    }
    # The bases of what is known.
    assert unknown == {"RNNBase", "RNNCellBase"}


def test_every_function_of_torch_nn_functional_is_known() -> None:
    machinery = {
        *("assert_int_or_pair", "boolean_dispatch", "handle_torch_function", "Optional"),
        *("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"),
    }
    unknown = [
        name
        for name, value in vars(functional).items()
        if callable(value)
        and not inspect.isclass(value)
        and not name.startswith("_")
        and not name.endswith("_with_indices")
        and name not in machinery
        and f"torch.nn.functional.{name}" not in {**KNOWLEDGE.activation_of, **KNOWLEDGE.operations}
    ]
    assert not unknown


def test_every_function_of_torch_nn_init_is_known() -> None:
    public = {
        name
        for name, value in vars(nn.init).items()
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == "torch.nn.init"
    }
    assert {f"torch.nn.init.{name}" for name in public} - KNOWLEDGE.initializers.keys() == {
        "torch.nn.init.calculate_gain"
    }


def test_a_torch_name_stands_in_one_table() -> None:
    signals = [KNOWLEDGE.activation_of, KNOWLEDGE.operations, KNOWLEDGE.layers]
    for one, other in itertools.combinations(signals, 2):
        assert one.keys() & other.keys() <= {"torch.nn.PReLU"}


@pytest.mark.parametrize("name", sorted(KNOWLEDGE.layers))
def test_the_long_path_of_a_class_leads_to_its_fact(name: str) -> None:
    cls = named(private(name))
    assert isinstance(cls, type)
    assert KNOWLEDGE.resolve(f"{cls.__module__}.{cls.__name__}") == name


Parameters = tuple[tuple[str, object], ...]


def inspected(value: object) -> Parameters | None:
    """The parameters of a callable that is written in Python; None where it is not, or hands *args on."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (ValueError, TypeError):
        return None
    if {p.kind for p in parameters} & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return None
    own = (parameter for parameter in parameters if parameter.name != "self")
    return tuple((p.name, ... if p.default is inspect.Parameter.empty else p.default) for p in own)


def overloads(name: str) -> list[Parameters]:
    """The parameters of each way to call a function or Tensor method, be it written in Python or C++."""
    written = inspected(named(name))
    if written is None and name.startswith("torch.nn.functional."):
        written = inspected(getattr(functional, f"{name.rpartition('.')[2]}_with_indices", None))
    if written is not None:
        return [written]
    found = []
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{name.rpartition('.')[2]}"):
        arguments = [(a.name, _plain(a.default_value) if a.has_default_value() else ...) for a in schema.arguments]
        if name.startswith("Tensor."):
            arguments = [argument for argument in arguments if argument[0] != "self"]
        found.append(tuple(("input" if key == "self" else key, default) for key, default in arguments))
    return found


def _plain(default: object) -> object:
    """A default of a schema as it is called: one number for each dimension is that number, no number at all None."""
    if not isinstance(default, list):
        return default
    return default[0] if default else None


def matches(claimed: Parameters, ways: list[Parameters]) -> bool:
    """Whether one way to call has these names in this order, and these defaults; it may have more at its end."""
    return any(
        len(claimed) <= len(way)
        and all(
            name == found and (_same_default(default, value) or (value is ... and _omitted(name, ways)))
            for (name, default), (found, value) in zip(claimed, way, strict=False)
        )
        for way in ways
    )


def _same_default(claimed: object, actual: object) -> bool:
    # A function as a default is written as its name.
    return claimed == actual or (callable(actual) and getattr(actual, "__name__", None) == claimed)


def _omitted(name: str, ways: list[Parameters]) -> bool:
    return any(name not in dict(way) for way in ways)


@pytest.mark.parametrize("name", sorted(KNOWLEDGE.layers))
def test_constructor_signatures(name: str) -> None:
    actual = inspected(named(private(name))) or recurrent_signature(name)
    claimed = KNOWLEDGE.layers[name].signature
    assert matches(claimed, [actual])
    assert len(claimed) == len(actual)


def recurrent_signature(name: str) -> tuple[tuple[str, object], ...]:
    """RNN, LSTM and GRU hand *args on: their own parameters, from the base class that takes them."""
    base = list(inspected(nn.RNNBase) or ())[1:]
    if name == "torch.nn.RNN":
        base.insert(3, ("nonlinearity", "tanh"))
    return tuple(pair for pair in base if name == "torch.nn.LSTM" or pair[0] != "proj_size")


@pytest.mark.parametrize("name", [name for name in of_torch(KNOWLEDGE.initializers) if name.startswith("torch")])
def test_signatures_of_torch_nn_init(name: str) -> None:
    fact = KNOWLEDGE.initializers[name]
    current = named(f"torch.nn.init.{fact.canonical}")
    assert inspected(current) == fact.signature


@pytest.mark.parametrize(("table", "at_least"), [("initializers", 28), ("operations", 250)])
def test_signatures_of_operations(table: str, at_least: int) -> None:
    compared = []
    wrong = []
    for name, fact in getattr(KNOWLEDGE, table).items():
        if name.split(".")[0] not in ("torch", "Tensor") or not fact.signature or getattr(fact, "deprecated", False):
            continue
        ways = overloads(name)
        if not ways or any("*" in parameter for parameter, _ in fact.signature):
            continue
        compared.append(name)
        if not matches(fact.signature, ways):
            wrong.append((name, fact.signature, ways))
    assert len(compared) >= at_least
    assert not wrong


@pytest.mark.parametrize("activation", KNOWLEDGE.activations.values(), ids=operator.attrgetter("name"))
def test_parameters_of_activations(activation: Activation) -> None:
    for spelling in activation.spellings:
        value = named(spelling)
        numbers = activation.parameters if inspect.isclass(value) else activation.functional_parameters
        for way in overloads(spelling):
            own = way if inspect.isclass(value) or spelling.startswith("Tensor.") else way[1:]
            for (name, default), (found, theirs) in zip(numbers, own, strict=False):
                assert name == found
                # What torch requires stands in the table with the value that makes the activation a rectifier.
                assert theirs in (default, ...)
