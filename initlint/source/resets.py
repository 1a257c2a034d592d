"""What a method initializes is not known to be default where code that was not followed calls it, or applies it.

``module.reset_parameters()``, ``module.apply(module.init_weights)``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from initlint.source.machine import Frame
from initlint.source.sweeps import tried
from initlint.source.torch_modules import modules_below
from initlint.source.uncalled import TELLING, may_initialize_by_name
from initlint.source.values import Arguments, ClassV, FunctionV, Instance, Write
from initlint.syntax import nodes_of

if TYPE_CHECKING:
    from initlint.source.machine import Machine
    from initlint.source.project import Project, SourceFile

_CALLED = re.compile(rf"\w\s*\.\s*(\w*(?:{TELLING})\w*)\s*[()]".encode(), re.IGNORECASE)
_ITSELF = frozenset({"self", "cls"})
_OPEN = frozenset({"default", "uninitialized"})


class _Reset(NamedTuple):
    """A method that is called somewhere, on a module alone or, where it is applied, for all modules below one."""

    method: FunctionV
    applied: bool


class Resets:
    """The methods that a project's classes have for initialization, and that it calls on what a variable holds."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._resets: dict[ClassV, tuple[_Reset, ...]] = {}
        self._uses: dict[str, frozenset[bool]] = {}

    def leave_open(self, machine: Machine, module: Instance) -> None:
        """Of what such a method of `module` would write, had this context called it, nothing is said to be default."""
        if not isinstance(module.cls, ClassV):
            return
        for method, applied in self._of(module.cls):
            if method.node in machine.ran:
                continue
            given = (
                [Arguments([module, below]) for below in modules_below(module)]
                if applied
                else [Arguments([module], open=True)]
            )
            for each in given:
                leave_open(machine, method, each, method.node, Frame(method.scope), sources=_OPEN)

    def _of(self, cls: ClassV) -> tuple[_Reset, ...]:
        known = self._resets.get(cls)
        if known is None:
            known = self._resets[cls] = tuple(self._found(cls))
        return known

    def _found(self, cls: ClassV) -> Iterator[_Reset]:
        for name in dict.fromkeys(name for each in cls.mro for name in each.data if may_initialize_by_name(name)):
            method = cls.lookup(name)
            if isinstance(method, FunctionV) and method.role == "function":
                yield from (_Reset(method, applied) for applied in sorted(self._used_on_something(name)))

    def _used_on_something(self, name: str) -> frozenset[bool]:
        known = self._uses.get(name)
        if known is None:
            files = [file for file in self._project.targets if name in file.words]
            files += self._elsewhere.get(name, ())
            known = self._uses[name] = frozenset(use for file in files for use in _uses_on_something(file, name))
        return known

    @cached_property
    def _elsewhere(self) -> Mapping[str, list[SourceFile]]:
        """The files around the named ones, by the names of the initializing methods that they seem to call on something."""
        return self._project.sorted_by(_CALLED)


def _uses_on_something(file: SourceFile, name: str) -> Iterator[bool]:
    """For each time that the file calls a method of that name on what a variable holds, or applies it there: whether it applies it.

    So does what an object holds, ``self.model.reset_weights()``, but where it is built or hands on what it was asked itself.
    """
    for node in nodes_of(file.tree) if file.tree is not None else ():
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=variable), attr=called)) if variable not in _ITSELF:
                if called == name:
                    yield False
                elif called == "apply" and _is_method_of(variable, name, node.args):
                    yield True
            case ast.FunctionDef(name=caller) if caller != name and not caller.startswith("__"):
                if any(map(partial(_is_call_on_attribute, name), nodes_of(node))):
                    yield False


def _is_call_on_attribute(name: str, node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name()), attr=called)):
            return called == name
        case _:
            return False


def _is_method_of(variable: str, name: str, arguments: list[ast.expr]) -> bool:
    """Whether all that is handed over is that method of what the variable holds."""
    match arguments:
        case [ast.Attribute(value=ast.Name(id=holder), attr=given)]:
            return holder == variable and given == name
        case _:
            return False


def leave_open(
    machine: Machine,
    function: object,
    given: Arguments,
    node: ast.AST,
    frame: Frame,
    *,
    sources: Container[str],
) -> None:
    """Run what may initialize elsewhere, on trial: how it would overwrite what comes from one of `sources` is not known."""
    ran, called = set(machine.ran), set(machine.called)
    written = tried(machine, lambda: machine.call(function, given, node, frame))
    machine.ran, machine.called = ran, called
    for param, write in (written or {}).items():
        if write.source != "default" and param.data and param.data[-1].source in sources:
            machine.write(param, Write("", (), machine.place(node, frame), source="unknown"))
