"""Programs that load the weights of their models and train nowhere: how a layer starts there matters to nobody."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from initlint.pytest_names import is_test_module
from initlint.source.program_calls import Function, ProgramCall, ProgramCalls, parameters
from initlint.source.training import trains
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.model import Site
    from initlint.source.project import Project, SourceFile

_LOADS = ("load_state_dict", "load_weights")
"""torch's own method, and the one that models of inference engines fill themselves by."""
_FROM_HUB = "from_pretrained"
_HUBS = ("HubMixin", "PreTrainedModel", "PretrainedModel")
_AUTO = "AutoModel"
_FROM_HUBS = (*_HUBS, f"def {_FROM_HUB}", f"{_AUTO}.register")


class Deployment(Enum):
    """What a program loads that trains nowhere, whatever its users choose.

    A zoo that loads where it is asked to (``if pretrained:``) is no such program: whoever does not ask trains what it builds.
    """

    NONE = "nothing, or it trains"
    SEEN = "models that are seen to be loaded: those that it builds beside them speak for themselves, those that nobody builds for nobody"
    UNSEEN = "nobody can tell what: how anything starts matters to nobody"


def deployment_of(project: Project, followed: Collection[Site]) -> Deployment:
    """How a program is deployed; `followed` are the calls whose models are known to be loaded."""
    if trains(project):
        return Deployment.NONE
    loads = _Loads(project)
    found = Deployment.NONE
    for file, text in project.contents():
        if is_test_module(file.name) or not any(name.encode() in text for name in (*_LOADS, _FROM_HUB)):
            continue
        for call in filter(loads.is_certain, loads.inside(file)):
            if call.site not in followed:
                return Deployment.UNSEEN
            found = Deployment.SEEN
    return found


class _Loads:
    """The calls by which a program loads weights, and which of them are certain."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._calls = ProgramCalls(project)

    def inside(self, file: SourceFile) -> Iterator[ProgramCall]:
        """The calls that load the weights of something, but those that hand on what a method of that name is given."""
        for call in self._calls.inside(file):
            function, called = call.function, call.node.func
            loads = last_name(called) in _LOADS and (function is None or function.name not in _LOADS)
            if loads or (
                last_name(called) == _FROM_HUB
                and isinstance(called, ast.Attribute)
                and last_name(called.value) in self._from_hub
            ):
                yield call

    @cached_property
    def _from_hub(self) -> frozenset[str]:
        """The classes that load models of the program by that name: the hub's way, a framework's or their own."""
        files = [file for file, text in self._project.contents() if any(name.encode() in text for name in _FROM_HUBS)]
        nodes = [node for file in files if file.tree is not None for node in nodes_of(file.tree)]
        own = {node.name for node in nodes if isinstance(node, ast.ClassDef) and _comes_from_hub(node)}
        return frozenset(own).union(*map(_registrar, nodes))

    def is_certain(self, call: ProgramCall) -> bool:
        """Whether what loads is met whatever the options are, and by the program itself where it loads what it is given."""
        if _is_optional(call):
            return False
        pending = [(call, not _loads_what_is_given(call))]
        seen: set[Function] = set()
        while pending:
            inner, entered = pending.pop()
            if (function := inner.function) is None:
                return True
            if function in seen:
                continue
            seen.add(function)
            name = inner.owner if function.name == "__init__" else function.name
            callers = [other for other in self._calls.to(name) if other.function is not function]
            if not callers and (entered or function.name == "__init__") and not _is_of_class(function):
                return True
            pending += [(each, True) for each in callers if not _is_optional(each)]
        return False


def _comes_from_hub(cls: ast.ClassDef) -> bool:
    """Whether a class is loaded by the name that hubs use, which it inherits or defines itself."""
    inherits = any(last_name(base).endswith(_HUBS) for base in cls.bases)
    return inherits or any(isinstance(node, Function) and node.name == _FROM_HUB for node in cls.body)


def _registrar(node: ast.AST) -> tuple[str, ...]:
    """What a model of the program is registered with, to be loaded by: ``AutoModel.register(Config, Model)``."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="register")) if last_name(value).startswith(_AUTO):
            return (last_name(value),)
        case _:
            return ()


def _is_of_class(function: Function) -> bool:
    return any(last_name(each) == "classmethod" for each in function.decorator_list)


def _loads_what_is_given(call: ProgramCall) -> bool:
    """Whether a function loads something that it is given and does not make: an argument, or a part of its object."""
    if call.function is None or not isinstance(call.node.func, ast.Attribute):
        return False
    receiver = root = call.node.func.value
    while isinstance(root, ast.Attribute | ast.Subscript):
        root = root.value
    is_given = isinstance(root, ast.Name) and root.id in parameters(call.function)
    return is_given and not _stores(nodes_of(call.function), receiver)


def _stores(nodes: Iterable[ast.AST], target: ast.expr) -> bool:
    """Whether one of the nodes writes a name or an attribute."""
    written = (node for node in nodes if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store))
    return any(ast.unparse(node) == ast.unparse(target) for node in written)


def _is_optional(call: ProgramCall) -> bool:
    """Whether a call stands where an option is set, and nothing is loaded where it is not."""
    return any(
        _asks(guard.test) and not _loads(guard.orelse if taken else guard.body) and not _is_first_time(guard, taken)
        for guard, taken in call.guards
    )


def _is_first_time(guard: ast.If | ast.IfExp, taken: bool) -> bool:  # noqa: FBT001 - which branch it is
    """Whether a branch makes what a test misses (``if self.model is None: self.model = load()``): that is no option."""
    match guard.test:
        case ast.Compare(left=subject, ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            pass
        case ast.UnaryOp(op=ast.Not(), operand=subject):
            pass
        case _:
            return False
    if not taken or not isinstance(guard, ast.If) or not isinstance(subject, ast.Attribute):
        return False
    return _stores((node for statement in guard.body for node in nodes_of(statement)), subject)


def _asks(test: ast.expr) -> bool:
    """Whether a test asks if an option is set: ``pretrained``, ``weights is not None``."""
    match test:
        case ast.Name() | ast.Attribute():
            return True
        case ast.UnaryOp(op=ast.Not(), operand=inner) | ast.NamedExpr(value=inner):
            return _asks(inner)
        case ast.BoolOp(values=values):
            return any(map(_asks, values))
        case ast.Compare(left=ast.Name() | ast.Attribute(), comparators=[ast.Constant(value=None | True | False)]):
            return True
        case _:
            return False


def _loads(branch: list[ast.stmt] | ast.expr) -> bool:
    """Whether a branch loads, too, or raises an error."""
    roots: list[ast.AST] = list(branch) if isinstance(branch, list) else [branch]
    return any(
        isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and last_name(node.func) in _LOADS)
        for root in roots
        for node in nodes_of(root)
    )
