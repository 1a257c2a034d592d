"""What a method initializes is not known to be default where code that was not followed calls it: ``module.reset_parameters()``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from initlint.source.functions import call_function
from initlint.source.machine import Frame
from initlint.source.sweeps import tried
from initlint.source.uncalled import TELLING, may_initialize_by_name
from initlint.source.values import Arguments, ClassV, FunctionV, Instance, Write
from initlint.syntax import nodes_of

if TYPE_CHECKING:
    from initlint.source.machine import Machine
    from initlint.source.project import Project, SourceFile

_CALLED = re.compile(rf"\w\s*\.\s*(\w*(?:{TELLING})\w*)\s*\(".encode(), re.IGNORECASE)
_ITSELF = frozenset({"self", "cls"})
_OPEN = frozenset({"default", "uninitialized"})


class Resets:
    """The methods that a project's classes have for initialization, and that it calls on what a variable holds."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._methods: dict[ClassV, tuple[FunctionV, ...]] = {}
        self._called: dict[str, bool] = {}

    def leave_open(self, machine: Machine, module: Instance) -> None:
        """Of what such a method of `module` would write, had this context called it, nothing is said to be default."""
        if not isinstance(module.cls, ClassV):
            return
        for method in self._of(module.cls):
            if method.node not in machine.ran:
                _leave_open(machine, module, method)

    def _of(self, cls: ClassV) -> tuple[FunctionV, ...]:
        known = self._methods.get(cls)
        if known is None:
            known = self._methods[cls] = tuple(self._found(cls))
        return known

    def _found(self, cls: ClassV) -> Iterator[FunctionV]:
        for name in dict.fromkeys(name for each in cls.mro for name in each.data if may_initialize_by_name(name)):
            method = cls.lookup(name)
            if isinstance(method, FunctionV) and method.role == "function" and self._is_called_on_something(name):
                yield method

    def _is_called_on_something(self, name: str) -> bool:
        known = self._called.get(name)
        if known is None:
            files = [file for file in self._project.targets if name in file.words]
            files += self._elsewhere.get(name, ())
            known = self._called[name] = any(_calls_on_something(file, name) for file in files)
        return known

    @cached_property
    def _elsewhere(self) -> Mapping[str, list[SourceFile]]:
        """The files around the named ones, by the names of the initializing methods that they seem to call on something."""
        return self._project.sorted_by(_CALLED)


def _calls_on_something(file: SourceFile, name: str) -> bool:
    """Whether the file calls a method of that name on what a variable holds."""
    return file.tree is not None and any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id not in _ITSELF
        for node in nodes_of(file.tree)
    )


def _leave_open(machine: Machine, module: Instance, method: FunctionV) -> None:
    frame = Frame(method.scope)
    ran, called = set(machine.ran), set(machine.called)
    written = tried(machine, lambda: call_function(machine, method, Arguments([module], open=True), method.node, frame))
    machine.ran, machine.called = ran, called
    place = machine.place(method.node, frame)
    for param, write in (written or {}).items():
        if write.source != "default" and param.data and param.data[-1].source in _OPEN:
            machine.write(param, Write("", (), place, source="unknown"))
