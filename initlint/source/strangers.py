"""Initializers that a program runs on models which it does not build by name: whatever nobody builds may be such a model.

``net = hydra.utils.instantiate(cfg.net); net.apply(init_weights)``, ``def __init__(self, net): net.apply(init_weights)``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from initlint.pytest_names import is_test_module
from initlint.source.imports import module_scope
from initlint.source.machine import Frame
from initlint.source.program_calls import ProgramCalls, parameters
from initlint.source.project import import_root
from initlint.source.resets import leave_open
from initlint.source.sweeps import tried
from initlint.source.symbols import UNKNOWN
from initlint.source.torch_modules import modules_below, own_parameters
from initlint.source.uncalled import TELLING
from initlint.source.values import Arguments, Bound, ClassV, FunctionV, Instance, Scope
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.source.machine import Machine
    from initlint.source.program_calls import Function, ProgramCall
    from initlint.source.project import Project, SourceFile

_CONFIGURED = re.compile(r"instantiate|from_(?:config|cfg|yaml)")
_APPLIES = re.compile(rf"(?<!self)\.apply\(\s*(?:lambda\s+\w+\s*:\s*)?[\w.]*(?:{TELLING})".encode(), re.IGNORECASE)
"""A file without a match has no such initializer."""

_CALLED = re.compile(rb"(?<!def )\b([A-Za-z_]\w*)\(")
_KNOWN = frozenset({"default", "uninitialized", "explicit"})
_ITSELF = frozenset({"self", "cls"})
_MOVES = frozenset({"to", "cuda", "cpu", "float", "double", "half", "train", "eval", "requires_grad_"})


class _Initializer(NamedTuple):
    """What is applied for initialization, where, and the folder that is imported from there."""

    function: object
    node: ast.AST
    frame: Frame
    root: str


class Strangers:
    """The initializers of a program that meet models which it is given, or builds by what a configuration names."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._calls = ProgramCalls(project)
        self._found: list[_Initializer] | None = None

    def leave_open(self, machine: Machine, model: object, file: SourceFile) -> None:
        """Of what such an initializer would write to a model of `file` that nobody was seen to build, nothing is known.

        It may meet what its own file can import: a script knows nothing of the folders beside its own.
        """
        if not isinstance(model, Instance) or not model.torch_class:
            return
        if self._found is None:
            self._found = [each for file in self._files() for each in self._initializers(machine, file)]
        modules = [module for module in modules_below(model) if any(own_parameters(module))]
        for each in self._found:
            if not Path(file.path).is_relative_to(each.root):
                continue
            for module in modules:
                leave_open(machine, each.function, Arguments([module]), each.node, each.frame, sources=_KNOWN)

    def are_loaded(self, builder: str) -> bool:
        """Whether whatever calls a function of that name, which may be one of many modules, loads what it returns."""
        if builder not in self._called_where_loading:
            return False
        call = f"{builder}(".encode()
        found = (file for file, text in self._project.contents() if call in text)
        files = [file for file in found if not is_test_module(file.name)]
        calls = [(call, file) for file in files for call in self._calls.inside(file)]
        calls = [(call, file) for call, file in calls if last_name(call.node.func) == builder]
        return bool(calls) and all(self._is_loaded(call, file) for call, file in calls)

    @cached_property
    def _called_where_loading(self) -> frozenset[str]:
        """All names that are called in a file in which anything is loaded."""
        texts = (text for _, text in self._project.contents() if b"load_state_dict" in text)
        return frozenset(name.decode() for text in texts for name in _CALLED.findall(text))

    def _is_loaded(self, call: ProgramCall, file: SourceFile) -> bool:
        holders = {ast.unparse(each) for each in _holders(call)}
        for other in self._calls.inside(file):
            if other.function is call.function and set(other.guards) <= set(call.guards):
                match other.node.func:
                    case ast.Attribute(value=value, attr="load_state_dict") if ast.unparse(value) in holders:
                        return True
                    case _:
                        continue
        return False

    def _files(self) -> Iterator[SourceFile]:
        for file, text in self._project.contents():
            if b".apply(" in text and _APPLIES.search(text) and not is_test_module(file.name):
                yield file

    def _initializers(self, machine: Machine, file: SourceFile) -> Iterator[_Initializer]:
        for call in self._calls.inside(file):
            match call.node:
                case ast.Call(func=ast.Attribute(value=model, attr="apply"), args=[given], keywords=[]):
                    pass
                case _:
                    continue
            if self._is_stranger(model, call, file):
                function = _function(machine, given, call, file)
                if function is not None:
                    yield _Initializer(function, call.node, Frame(Scope(file)), import_root(file.path))

    def _is_stranger(self, model: ast.expr, call: ProgramCall, file: SourceFile) -> bool:
        """Whether a configuration says what is built there, or whoever builds the object gives it."""
        if isinstance(model, ast.Attribute) and model.attr == "module":
            model = model.value
        match model:
            case ast.Name(id=name) if call.function is not None and name not in _ITSELF:
                return any(
                    self._comes_from_outside(value, call.function, call.owner)
                    for value in (model, *_assigned(call.function, model))
                )
            case ast.Attribute(value=ast.Name(id=itself)) if itself in _ITSELF and call.owner:
                return any(
                    self._comes_from_outside(value, method, call.owner)
                    for method in _methods(file, call.owner)
                    for value in _assigned(method, model)
                )
            case ast.Call():
                return self._comes_from_outside(model, call.function, call.owner)
            case _:
                return False

    def _comes_from_outside(self, value: ast.expr, function: Function | None, owner: str) -> bool:
        while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _MOVES:
            value = value.func.value
        match value:
            case ast.Call(func=ast.Call() | ast.Subscript()):
                return True
            case ast.Call(func=called):
                return _CONFIGURED.search(last_name(called)) is not None
            case ast.Name(id=name) if owner and function is not None and function.name == "__init__":
                return name in parameters(function) and not any(self._calls.to(owner))
            case _:
                return False


def _function(machine: Machine, given: ast.expr, call: ProgramCall, file: SourceFile) -> object:
    """What is called for initialization, as far as it can be told without running what is around it."""
    scope = module_scope(machine, file)
    match given:
        case ast.Attribute(value=ast.Name(id=itself), attr=name) if itself in _ITSELF:
            cls = scope.data.get(call.owner)
            method = cls.lookup(name) if isinstance(cls, ClassV) else None
            if not isinstance(method, FunctionV):
                return None
            return method if method.role == "static" else Bound(method, UNKNOWN)
        case ast.Lambda() | ast.Name() | ast.Call():
            found: list[object] = []
            tried(machine, lambda: found.append(machine.evaluate(given, Frame(scope))))
            return next((each for each in found if isinstance(each, FunctionV)), None)
        case _:
            return None


def _assigned(function: Function, target: ast.expr) -> Iterator[ast.expr]:
    """What a function puts under a name or an attribute."""
    text = ast.unparse(target)
    for node in nodes_of(function):
        match node:
            case ast.Assign(targets=targets, value=value) if text in map(ast.unparse, targets):
                yield value
            case ast.AnnAssign(target=one, value=ast.expr() as value) if ast.unparse(one) == text:
                yield value


def _holders(call: ProgramCall) -> Iterator[ast.expr]:
    """What the function around a call puts its result under."""
    for node in nodes_of(call.function) if call.function is not None else ():
        if isinstance(node, ast.Assign) and call.node in nodes_of(node.value):
            yield from node.targets


def _methods(file: SourceFile, owner: str) -> Iterator[Function]:
    for node in file.body:
        if isinstance(node, ast.ClassDef) and node.name == owner:
            yield from (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
