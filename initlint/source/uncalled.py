"""Functions that initialize, and that nothing in the project mentions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from initlint.model import Event, Site
from initlint.source.coverage import is_initializer
from initlint.source.imports import imported_files, module_scope
from initlint.source.values import ClassV, External
from initlint.source.written_names import filled_by_constructor, made_here, root, spelled, written
from initlint.syntax import decorator_name, last_name, nodes_of

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.source.machine import Machine
    from initlint.source.project import Project, SourceFile

TELLING = "init|reset_param|reset_weight|xavier|kaiming|orthogonal"
"""The parts of names by which functions say that they initialize."""

_INITIALIZING = re.compile(TELLING, re.IGNORECASE)
_HARMLESS_DECORATORS = frozenset({"staticmethod", "classmethod", "no_grad"})
_TORCH_CALLS = frozenset({"reset_parameters", "_reset_parameters"})
"""What the constructors of torch's own layers call."""

_PLAIN_BASES = frozenset({"Module", "object", "ABC", "LightningModule"})

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class Candidate:
    """A function or method that, by its name and its body, is there to initialize."""

    __slots__ = ("file", "node", "owner")

    def __init__(self, file: SourceFile, node: _Function, owner: ast.ClassDef | None) -> None:
        self.file = file
        self.node = node
        self.owner = owner

    @property
    def is_alone(self) -> bool:
        """Whether it needs nothing but its object."""
        arguments = self.node.args
        return len(arguments.args) - len(arguments.defaults) == 1 and None not in arguments.kw_defaults

    @property
    def makes_initializer(self) -> bool:
        """Whether it returns a function of its own, which then initializes."""
        own = {each.name for each in self.node.body if isinstance(each, _FUNCTIONS)}
        returned = (each.value for each in self.node.body if isinstance(each, ast.Return))
        return any(isinstance(each, ast.Name) and each.id in own for each in returned)

    def asks_for(self, initializers: frozenset[str]) -> str:
        """What it wants to be given: ``nothing``, each ``module`` in turn, the ``model``, or ``more``; a ``maker`` gives out what does."""
        if self.makes_initializer:
            return "maker"
        required = self._required
        if not required:
            return "nothing"
        if len(required) > 1:
            return "more"
        visited = {root(each) for each in written(self.node, lambda function: is_initializer(function, initializers))}
        return "module" if visited.issuperset(required) else "model"

    @property
    def _required(self) -> tuple[str, ...]:
        """The parameters that a caller has to give."""
        arguments = self.node.args
        bound = self.owner is not None and "staticmethod" not in map(decorator_name, self.node.decorator_list)
        taken = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
        named = [
            each.arg
            for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if default is None
        ]
        return (*taken[bound : len(taken) - len(arguments.defaults)], *named)

    @property
    def site(self) -> Site:
        """The ``def`` and the name."""
        node = self.node
        keyword = "async def " if isinstance(node, ast.AsyncFunctionDef) else "def "
        end = node.col_offset + len(keyword) + len(node.name)
        return Site(self.file.path, node.lineno, node.col_offset + 1, node.lineno, end + 1)


def uncalled_initializers(
    machine: Machine, project: Project, files: Iterable[SourceFile], initializers: frozenset[str]
) -> tuple[Event, ...]:
    """An event for every such function in `files` that no file of the project mentions."""
    open_ = [each for file in files for each in _candidates(file, initializers)]
    open_ = [each for each in open_ if each.node not in machine.called or each.owner is None]
    open_ = [
        each for each in open_ if not _is_called_by_framework(machine, each) and not _mentions(project, each.file, each)
    ]
    for file in project.targets:
        open_ = [each for each in open_ if file is each.file or not _mentions(project, file, each)]
    names = {each.node.name for each in open_}
    for file in project.mentioning(names, project.targets) if names else ():
        open_ = [each for each in open_ if not _mentions(project, file, each)]
    return tuple(
        Event(
            "init-never-called",
            each.site,
            details=(
                ("name", each.node.name),
                ("owner", None if each.owner is None else each.owner.name),
                ("asks_for", each.asks_for(initializers)),
            ),
        )
        for each in open_
    )


def _candidates(file: SourceFile, initializers: frozenset[str]) -> Iterator[Candidate]:
    tree = file.tree
    for node in tree.body if tree is not None else ():
        if isinstance(node, _Function) and _initializes(node, initializers):
            yield Candidate(file, node, None)
        elif isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, _Function) and _initializes(each, initializers)]
            for method in methods:
                if not _repeats_constructor(node, method, initializers):
                    yield Candidate(file, method, node)


def _repeats_constructor(definition: ast.ClassDef, method: _Function, initializers: frozenset[str]) -> bool:
    """Whether the constructor has initialized all that the method would: it is there to draw again."""

    def is_one(function: ast.expr) -> bool:
        return is_initializer(function, initializers)

    targets = {spelled(each) for each in written(method, is_one)}
    return bool(targets) and targets <= filled_by_constructor(definition, is_one)


def may_initialize_by_name(name: str) -> bool:
    """Whether a function of that name may be there to initialize."""
    return not name.startswith("__") and _INITIALIZING.search(name) is not None


def _initializes(node: _Function, initializers: frozenset[str]) -> bool:
    """Whether the function is named for initialization and calls an initializer on an argument or on its own layers."""
    if not may_initialize_by_name(node.name) or not node.args.args:
        return False
    if any(decorator_name(each) not in _HARMLESS_DECORATORS for each in node.decorator_list):
        return False
    functions = (each for each in nodes_of(node) if isinstance(each, (*_FUNCTIONS, ast.Lambda)))
    made, given = made_here(node), {each.arg for function in functions for each in function.args.args}
    return any(
        root(each) not in made and _tensor(each) not in given
        for each in written(node, lambda function: is_initializer(function, initializers))
    )


def _tensor(target: ast.expr) -> str:
    """``w`` of ``w.data``: what is written as a whole is a tensor, and a function that is given one initializes no model.

    Neither does one that returns a function which is given one.
    """
    while isinstance(target, ast.Attribute) and target.attr == "data":
        target = target.value
    return target.id if isinstance(target, ast.Name) else ""


def _mentions(project: Project, file: SourceFile, candidate: Candidate) -> bool:
    """Whether `file` speaks of the function anywhere outside its own body."""
    name = candidate.node.name
    if name not in file.words:
        return False
    tree = file.tree
    if tree is not None and file is not candidate.file and _has_its_own(project, file, tree, candidate):
        return False
    return tree is None or any(_names(node, candidate) for node in _outside(tree, candidate))


def _has_its_own(project: Project, file: SourceFile, tree: ast.Module, candidate: Candidate) -> bool:
    """Whether a file that mentions the name defines one itself, and neither it nor the candidate's file knows of the other."""
    name = candidate.node.name
    if candidate.owner is None:
        defines = any(isinstance(node, _Function) and node.name == name for node in tree.body)
        return defines and not any(isinstance(node, ast.alias) and node.name == name for node in nodes_of(tree))
    if candidate.owner.name in file.words or candidate.file.name.rpartition(".")[2] in file.words:
        return False
    if file in imported_files(project, candidate.file):
        return False
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return any(isinstance(inner, _Function) and inner.name == name for each in classes for inner in each.body)


def _outside(tree: ast.Module, candidate: Candidate) -> Iterator[ast.AST]:
    """The nodes that may speak of the function: not its own body, and not other classes speaking of themselves."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if node is candidate.node:
            continue
        if isinstance(node, ast.ClassDef) and _is_stranger(node, candidate):
            yield from (inner for inner in nodes_of(node) if not _is_about_self(inner))
            continue
        yield node
        pending += ast.iter_child_nodes(node)


def _is_stranger(node: ast.ClassDef, candidate: Candidate) -> bool:
    """Whether the class has nothing to do with the one that the method belongs to."""
    if candidate.owner is None or node.name == candidate.owner.name:
        return False
    relatives = {last_name(base) for base in candidate.owner.bases}
    return node.name not in relatives and all(last_name(base) in _PLAIN_BASES for base in node.bases)


def _is_about_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _names(node: ast.AST, candidate: Candidate) -> bool:
    """Whether this node may speak of the function; a method has no name without a dot outside its class."""
    name = candidate.node.name
    if isinstance(node, ast.Attribute):
        return node.attr == name
    if candidate.owner is None and isinstance(node, ast.Name):
        return node.id == name
    if candidate.owner is None and isinstance(node, ast.alias):
        return node.name.rpartition(".")[2] == name
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value == name


def _is_called_by_framework(machine: Machine, candidate: Candidate) -> bool:
    """Whether a base class outside the project may call the method by its name."""
    if candidate.owner is None:
        return False
    cls = module_scope(machine, candidate.file).data.get(candidate.owner.name)
    if not isinstance(cls, ClassV):
        return True
    name = candidate.node.name
    if any(not _leaves_alone(machine.knowledge, base, name) for base in cls.external_bases):
        return True
    return candidate.is_alone and _is_called_by_parent(machine.knowledge, candidate.file, name)


def _is_called_by_parent(knowledge: Knowledge, file: SourceFile, name: str) -> bool:
    """Whether the file speaks of a framework whose modules may call the method on every module below them."""
    facts = (fact for fact in knowledge.libraries.values() if fact.kind == "initializing-base" and name in fact.hooks)
    return any(fact.name.partition(".")[0] in file.words for fact in facts)


def _leaves_alone(knowledge: Knowledge, base: object, name: str) -> bool:
    """Whether this class outside the project is known not to call a method of that name."""
    if not isinstance(base, External):
        return False
    known = knowledge.resolve(base.name)
    if known.startswith("torch.nn."):
        return known == "torch.nn.Module" or name not in _TORCH_CALLS
    if known.partition(".")[0] in ("abc", "typing", "builtins"):
        return True
    fact = knowledge.libraries.get(known)
    return fact is not None and fact.kind in ("module-base", "mixin") and name not in fact.hooks
