"""What a sweep did not reach although it was meant to: later layers, nested layers, names that no parameter has."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from initlint.source.machine import MOST_TRAIL
from initlint.source.sweeps import FALSE, Sweep, trial
from initlint.source.symbols import UNKNOWN, Sym, names_of
from initlint.source.torch_modules import CONTAINERS, children, modules_below, named_parameters, walk
from initlint.source.values import Choice, ClassV, Instance, ListV, ParamV, Place
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.source.machine import Machine

_CHANGES = frozenset({"scale", "opaque", "copy"})
_FILLED = frozenset({"weight", "embedding", "head"})


def inspect_sweeps(machine: Machine) -> None:
    """Note what the sweeps of this context missed; at its end, when all modules are built."""
    outermost = [sweep for sweep in machine.sweeps if sweep.outer is None]
    if not outermost:
        return
    names = initializer_names(machine)
    failed = _failed_tests(outermost)
    for sweep in outermost:
        if not sweep.certain:
            machine.reached.update(node.test for node in sweep.tests)
        elif sweep.root.uncertain or (not _inspect_order(machine, sweep) and not _inspect_depth(machine, sweep)):
            _inspect_tests(machine, sweep, names, failed)


def _failed_tests(sweeps: list[Sweep]) -> set[ast.If]:
    """The tests that were false for all that any of the sweeps met: a function may sweep below each module in turn."""
    verdicts: dict[ast.If, int] = {}
    for sweep in sweeps:
        for node, verdict in sweep.tests.items():
            verdicts[node] = verdicts.get(node, 0) | verdict
    return {node for node, verdict in verdicts.items() if verdict == FALSE}


def initializer_names(machine: Machine) -> frozenset[str]:
    """How the name of an initializer that fills a tensor by itself ends: ``kaiming_normal_``, ``init.kaiming_normal_``."""
    names = [name for name, fact in machine.knowledge.initializers.items() if fact.formula not in _CHANGES]
    return frozenset(".".join(name.split(".")[-parts:]) for name in names for parts in (1, 2))


def copying_names(machine: Machine) -> frozenset[str]:
    """The names of the methods that fill a tensor with the values of another: ``copy_``."""
    copies = (name for name, fact in machine.knowledge.initializers.items() if fact.formula == "copy")
    return frozenset(name.rpartition(".")[2] for name in copies)


def default_weight(module: Instance) -> ParamV | None:
    """The weight of a layer that nothing but torch has written."""
    if module.fact is None or module.fact.role not in _FILLED or module.uncertain or module.fact.lazy:
        return None
    if module.parametrization is not None:
        return None
    weight = module.data.get("weight")
    if not isinstance(weight, ParamV) or weight.frozen or any(write.source != "default" for write in weight.data):
        return None
    return weight


# -- order ---------------------------------------------------------------------------------------------------------------


def _inspect_order(machine: Machine, sweep: Sweep) -> bool:
    """Layers below the root that were added after the sweep, and that it would have initialized; whether there are any."""
    if sweep.seen.issuperset(modules_below(sweep.root)):
        return False
    late = [(path, module) for path, module in walk(sweep.root) if module not in sweep.seen]
    if _is_own(sweep):
        late = [(path, module) for path, module in late if _is_made_with(sweep.root, module)]
    missed: list[Instance] = []
    for path, module in late:
        weight = default_weight(module)
        if weight is not None and _would_write(machine, sweep, path, module, weight):
            missed.append(module)
    for module in missed:
        related = () if module.place is None else (module.place,)
        machine.occur(
            "init-before-layers", sweep.place, module, related=related, walk=sweep.kind, empty=not sweep.writes
        )
    return bool(missed)


def _is_own(sweep: Sweep) -> bool:
    """Whether the class of the root walks over its own objects."""
    cls, place = sweep.root.cls, sweep.place
    nodes = [each.node for each in cls.mro if each.file is place.file] if isinstance(cls, ClassV) else []
    line = place.node.lineno
    return any(node is not None and node.lineno <= line <= (node.end_lineno or line) for node in nodes)


def _is_made_with(root: Instance, module: Instance) -> bool:
    """Whether a module was made while the root was: what others hang into it later, its class cannot mean."""
    made = root.place
    calls = [*module.trail, *([] if module.place is None else [module.place])]
    return made is None or len(module.trail) == MOST_TRAIL or any(each.node is made.node for each in calls)


def _would_write(machine: Machine, sweep: Sweep, path: str, module: Instance, weight: ParamV) -> bool:
    subject: Instance | ParamV = weight if sweep.over_parameters else module
    name = f"{path}.weight" if sweep.over_parameters else path
    return weight in trial(machine, sweep, name, subject)


# -- depth ---------------------------------------------------------------------------------------------------------------


def _inspect_depth(machine: Machine, sweep: Sweep) -> bool:
    """Layers below the children, of a class that a loop over the children initializes; whether there are any."""
    if "children" not in sweep.kind or not sweep.writes or sweep.root.torch_class in CONTAINERS:
        return False
    direct = {child for _, child in children(sweep.root)}
    initialized = {
        child.torch_class
        for child in direct
        if isinstance(weight := child.data.get("weight"), ParamV)
        and any(write.source == "explicit" for write in weight.data)
    }
    found = False
    for path, module in walk(sweep.root):
        if module in direct or module.torch_class not in initialized:
            continue
        weight = default_weight(module)
        if weight is not None and weight in trial(machine, sweep, path.rpartition(".")[2], module):
            related = () if module.place is None else (module.place,)
            machine.occur("init-misses-nested-layers", sweep.place, module, related=related, walk=sweep.kind)
            found = True
    return found


# -- tests ---------------------------------------------------------------------------------------------------------------


def _inspect_tests(machine: Machine, sweep: Sweep, initializers: frozenset[str], failed: set[ast.If]) -> None:
    """Tests inside the sweep that let nothing in, or everything."""
    guards = [node for node in sweep.tests if _initializes(node, initializers)]
    if not guards:
        return
    names = [name for name, _ in named_parameters(sweep.root)] if not failed.isdisjoint(guards) else []
    barren = not sweep.writes and _is_known_to_the_bottom(sweep.root) and _has_default_layer(sweep.root)
    for node in sorted(guards, key=lambda each: each.lineno):
        machine.reached.add(node.test)
        place = Place(sweep.files[node], node.test)
        words = _bare_strings(node.test)
        if words:
            machine.occur("init-always-matches", place, sweep.root, words=" or ".join(words))
        elif node in failed and (literal := _unqualified(node.test, names)):
            machine.occur("init-never-matches", place, sweep.root, literal=literal, example=_qualified(literal, names))
        elif barren and all(each in failed for each in guards):
            machine.occur("init-never-matches", place, sweep.root, literal=None, example=None)
            barren = False


def _initializes(node: ast.If, initializers: frozenset[str]) -> bool:
    """Whether the body of an ``if`` calls an initializer, by the last part of its name."""
    for statement in node.body:
        for each in nodes_of(statement):
            if isinstance(each, ast.Call) and is_initializer(each.func, initializers):
                return True
    return False


def is_initializer(function: ast.expr, initializers: frozenset[str]) -> bool:
    """Whether what is called is an initializer, by the end of its name; ``numpy.ones`` ends as one of a library, and is none."""
    name = last_name(function)
    if isinstance(function, ast.Attribute) and not name.endswith("_"):
        return f"{last_name(function.value)}.{name}" in initializers
    return name in initializers


def _bare_strings(test: ast.expr) -> list[str]:
    """The strings that stand alone in an ``or``: ``"a" or "b" in name`` is true."""
    if not isinstance(test, ast.BoolOp) or not isinstance(test.op, ast.Or):
        return []
    constants = [each.value for each in test.values if isinstance(each, ast.Constant)]
    return [repr(value) for value in constants if isinstance(value, str) and value]


def _unqualified(test: ast.expr, names: list[str]) -> str | None:
    """The text that a name is compared with although it is only the end of one."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return None
    for each in (test.left, test.comparators[0]):
        if (
            isinstance(each, ast.Constant)
            and isinstance(each.value, str)
            and each.value
            and _qualified(each.value, names)
        ):
            return each.value
    return None


def _qualified(literal: str, names: list[str]) -> str | None:
    return next((name for name in names if name.endswith(f".{literal}")), None)


def _has_default_layer(root: Instance) -> bool:
    return any(default_weight(module) is not None for _, module in walk(root))


def _is_known_to_the_bottom(root: Instance) -> bool:
    """Whether no attribute of any module below may be a module that is not known."""
    modules = [module for _, module in walk(root)]
    numbers = {name for module in modules for value in module.arguments.values() for name in names_of(value)}
    for module in modules:
        if module.uncertain:
            return False
        if isinstance(module.cls, ClassV) and any(_may_be_module(value, numbers) for value in module.data.values()):
            return False
    return True


def _may_be_module(value: object, numbers: set[str]) -> bool:
    if isinstance(value, Choice):
        return any(_may_be_module(each, numbers) for each in value.alternatives)
    if isinstance(value, ListV):
        return any(_may_be_module(each, numbers) for each in value.data)
    if isinstance(value, Sym):
        return not numbers & set(names_of(value))
    return value is UNKNOWN
