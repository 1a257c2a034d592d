"""Programs that load the weights of their models and train nowhere: how a layer starts there matters to nobody."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initlint.pytest_names import is_test_file, is_test_folder
from initlint.source.sites import site_of
from initlint.source.values import Place
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.model import Site
    from initlint.source.project import Project, SourceFile

_TRAINING = (
    b".backward(",
    b"optim.",
    b"optimizer",
    b"Optimizer",
    b"import optim",
    b".train()",
    b"def train",
    b"def fit(",
    b"Trainer",
    b"ightning",
    b"Accelerator",
    b"mmcv",
    b"mmengine",
    b"detectron2",
    b"fastai",
    b"skorch",
    b"ignite",
    b"stable_baselines",
)
"""One of these in any file, if only in a comment, and somebody may train here."""
_LOAD = "load_state_dict"
_MOST_LEVELS = 4

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Guard = tuple[ast.If | ast.IfExp, bool]


def is_deployed(project: Project, followed: Collection[Site]) -> bool:
    """Whether no file of the program trains, and it loads weights, whatever its users choose, into nobody knows which models.

    `followed` are the calls whose models are known: these are told from those that are not loaded. A zoo that loads where it
    is asked to (``if pretrained:``) is no such program: whoever does not ask trains what it builds.
    """
    loading: list[SourceFile] = []
    for file, text in project.contents():
        if any(sign in text for sign in _TRAINING):
            return False
        if _LOAD.encode() in text and not _is_test(file):
            loading.append(file)
    calls = _Calls(project)
    return any(call.site not in followed and calls.is_certain(call) for file in loading for call in calls.loads(file))


def _is_test(file: SourceFile) -> bool:
    return any(is_test_file(part) or is_test_folder(part) for part in file.name.split("."))


@dataclass(frozen=True, slots=True)
class _Call:
    """A call, the function that it stands in, the branches around it, and the class around all that."""

    node: ast.Call
    site: Site | None
    function: _Function | None
    guards: tuple[_Guard, ...]
    owner: str


class _Calls:
    """The calls of a program, found by the last part of the name of what is called."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._of: dict[SourceFile, list[_Call]] = {}

    def loads(self, file: SourceFile) -> Iterator[_Call]:
        """The calls that load the weights of something, but those that hand on what a method of that name is given."""
        for call in self._in(file):
            function = call.function
            if last_name(call.node.func) == _LOAD and (function is None or function.name != _LOAD):
                yield call

    def is_certain(self, call: _Call) -> bool:
        """Whether what loads is met whatever the options are, and by the program itself where it loads what it is given."""
        return not _is_optional(call) and self._is_called(call, _MOST_LEVELS, entered=not _loads_what_is_given(call))

    def _is_called(self, call: _Call, levels: int, *, entered: bool) -> bool:
        """Whether the function around a call is called without a choice; where nobody calls it, what `entered` says."""
        function = call.function
        if function is None:
            return True
        name = call.owner if function.name == "__init__" else function.name
        callers = [other for other in self._calling(name) if other.function is not function]
        if not callers:
            entered = entered or function.name == "__init__"
            return entered and not any(last_name(each) == "classmethod" for each in function.decorator_list)
        if not levels:
            return False
        return any(not _is_optional(each) and self._is_called(each, levels - 1, entered=True) for each in callers)

    def _calling(self, name: str) -> Iterator[_Call]:
        for file, text in self._project.contents():
            if name.encode() in text:
                yield from (call for call in self._in(file) if last_name(call.node.func) == name)

    def _in(self, file: SourceFile) -> list[_Call]:
        known = self._of.get(file)
        if known is None:
            known = self._of[file] = list(_calls(file))
        return known


def _calls(file: SourceFile) -> Iterator[_Call]:
    """All calls in a file, each with what is around it."""
    pending: list[tuple[ast.AST, _Function | None, tuple[_Guard, ...], str]] = []
    if file.tree is not None:
        pending.append((file.tree, None, (), ""))
    while pending:
        node, function, guards, owner = pending.pop()
        guarded: dict[ast.AST, tuple[_Guard, ...]] = {}
        match node:
            case ast.Call():
                yield _Call(node, site_of(Place(file, node)), function, guards, owner)
            case ast.ClassDef(name=owner):
                pass
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                function, guards = node, ()
            case ast.If():
                guarded |= dict.fromkeys(node.body, (*guards, (node, True)))
                guarded |= dict.fromkeys(node.orelse, (*guards, (node, False)))
            case ast.IfExp():
                guarded |= {node.body: (*guards, (node, True)), node.orelse: (*guards, (node, False))}
            case _:
                pass
        pending += [(each, function, guarded.get(each, guards), owner) for each in ast.iter_child_nodes(node)]


def _parameters(function: _Function) -> frozenset[str]:
    given = function.args
    return frozenset(each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def _loads_what_is_given(call: _Call) -> bool:
    """Whether a function loads the weights of something that it is given: of an argument, or of a part of its object."""
    receiver = call.node.func
    while isinstance(receiver, ast.Attribute | ast.Subscript):
        receiver = receiver.value
    return call.function is not None and isinstance(receiver, ast.Name) and receiver.id in _parameters(call.function)


def _is_optional(call: _Call) -> bool:
    """Whether a call stands where an option is set, and nothing is loaded where it is not."""
    return any(_asks(guard.test) and not _loads(guard.orelse if taken else guard.body) for guard, taken in call.guards)


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
        isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and last_name(node.func) == _LOAD)
        for root in roots
        for node in nodes_of(root)
    )
