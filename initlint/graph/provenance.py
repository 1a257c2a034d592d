"""While a model is built under a `Recorder`, every parameter learns which call at which line last wrote it.

The recorder listens below the Python API, where each write to memory is one operator with a schema that says what it mutates: `nn.init`
functions, tensor methods, `.data`, views, `copy_` and C++ all pass there, on every device including ``meta``. What the user
wrote is then read off the Python stack.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import CodeType, FrameType, TracebackType
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from initlint.graph.frames import (
    Caller,
    copy_site,
    frame_site,
    is_library,
    is_torch,
    pass_on,
    rebuilt_module,
    user_lines,
)
from initlint.graph.walks import Walks
from initlint.knowledge import Knowledge
from initlint.model import Site, Value

_FILLS = frozenset(
    {
        "normal_",
        "uniform_",
        "fill_",
        "zero_",
        "copy_",
        "log_normal_",
        "exponential_",
        "bernoulli_",
        "geometric_",
        "cauchy_",
        "random_",
    }
)
"""The operators that write a tensor whatever it held; every other write changes what was there."""

_ARGUMENT_NAMES = {"from": "a", "to": "b", "value": "val"}
"""What the schema of a tensor method calls the argument that `nn.init` gives another name."""


@dataclass(frozen=True, slots=True)
class Write:
    """One call that wrote a parameter, or the one that created its memory.

    `function` is the initializer (``kaiming_normal_``), tensor method or factory; None where several operations of hand-written code
    made the values together. `whole`: every element was written. `editable`: the call is in the user's own code.
    `swept`: a walk over modules or parameters had come to this one.
    """

    source: Literal["default", "explicit", "loaded"]
    function: str | None
    arguments: tuple[tuple[str, Value], ...]
    site: Site | None
    whole: bool
    created: bool = False
    modified: bool = False
    editable: bool = False
    swept: bool = False
    call: tuple[int, Site | None] = (0, None)


@dataclass(frozen=True, slots=True)
class Copy:
    """A deep copy of memory that an initializer had filled: what it was made from, and the line that asked for it."""

    source: int
    site: Site | None


@dataclass(frozen=True, slots=True)
class Lost:
    """A write to a weight that its module makes anew at every use; `module` is None where it is not known whose it was."""

    write: Write
    module: nn.Module | None


@dataclass(frozen=True, slots=True)
class Wiped:
    """A write over memory that had been loaded: `loaded` and `site` are the lines, in one function, that led to the two."""

    write: Write
    loaded: Site | None
    site: Site | None


class Recorder(TorchDispatchMode):
    """Records who writes which parameter and who constructs which module, while it is entered.

    >>> with Recorder(knowledge) as recorder:  # doctest: +SKIP
    ...     model = Net()
    >>> recorder.writes(model.fc.weight)[-1].function  # doctest: +SKIP
    'kaiming_uniform_'
    """

    def __init__(self, knowledge: Knowledge) -> None:
        super().__init__()
        self._caller = Caller(knowledge)
        self._writes: dict[int, list[Write]] = {}
        self._modules: dict[int, tuple[weakref.ref[nn.Module], Site]] = {}
        self._owners: dict[int, Site] = {}
        self._copies: dict[int, Copy] = {}
        self._rebuilt: dict[int, nn.Module | None] = {}
        self._loads: dict[int, Mapping[CodeType, Site | None]] = {}
        self._wiped: dict[int, Wiped] = {}
        self._walks = Walks()
        self.lost: list[Lost] = []
        self._exits = ExitStack()

    def __enter__(self) -> Recorder:
        self._exits.enter_context(_replaced_constructor(self._note_module))
        handle = register_module_parameter_registration_hook(self._note_parameter)
        self._exits.callback(handle.remove)
        self._exits.enter_context(self._walks.listening())
        self._exits.enter_context(_SkippedOnMeta(self._note_skipped))
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._exits.close()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operator, then note what it wrote or created."""
        result = pass_on(func, args, kwargs or {})
        if func._schema.is_mutable:
            self._note_write(func, args, kwargs or {})
        else:
            for made in result if isinstance(result, tuple) else (result,):
                if isinstance(made, torch.Tensor):
                    self._note_creation(func, args, made)
        return result

    def writes(self, tensor: torch.Tensor) -> tuple[Write, ...]:
        """The calls that wrote `tensor`, oldest first, beginning with the one that created its memory."""
        return tuple(self._writes.get(_memory(tensor), ()))

    def copy(self, tensor: torch.Tensor) -> Copy | None:
        """What `tensor` is a deep copy of, if it is one."""
        return self._copies.get(_memory(tensor))

    def wiped(self, tensor: torch.Tensor) -> Wiped | None:
        """The first write over what had been loaded into `tensor`; None where nothing was, or where the same call had also run before."""
        return self._wiped.get(_memory(tensor))

    def site(self, module: nn.Module) -> Site | None:
        """Where `module` was constructed; for a deep copy, where the original was."""
        entry = self._modules.get(id(module))
        if entry is not None and entry[0]() is module:
            return entry[1]
        owned = (self._owners.get(_memory(parameter)) for parameter in module.parameters(recurse=False))
        return next((site for site in owned if site is not None), None)

    def parameter_site(self, parameter: torch.Tensor) -> Site | None:
        """Where the memory of `parameter` was made."""
        return next((write.site for write in self.writes(parameter) if write.created), None)

    def _note_write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for position, argument in enumerate(func._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            target = args[position] if position < len(args) else kwargs.get(argument.name)
            if isinstance(target, torch.Tensor):
                name = func._schema.name.partition("::")[2]
                self._append(target, self._describe(name, _arguments(func._schema, args, kwargs), target))

    def _note_creation(self, func: Any, args: tuple[Any, ...], result: torch.Tensor) -> None:
        memory = _memory(result)
        sources = [_memory(value) for value in args if isinstance(value, torch.Tensor)]
        if memory in sources:
            return
        name = func._schema.name.partition("::")[2]
        if name == "clone" and sources[0] in self._writes:
            self._writes[memory] = list(self._writes[sources[0]])
            if sources[0] in self._owners:
                self._owners[memory] = self._owners[sources[0]]
            self._copies[memory] = Copy(sources[0], copy_site(sys._getframe(2)))
            return
        self._forget(memory)
        if name in _REBUILDERS:
            self._rebuilt[memory] = rebuilt_module(sys._getframe(2))
        self._writes[memory] = [replace(self._describe(name, (), result), whole=True, created=True)]

    def _forget(self, memory: int) -> None:
        """What was known of memory that was freed, and is another tensor's now."""
        for known in (self._owners, self._copies, self._rebuilt, self._loads, self._wiped):
            known.pop(memory, None)

    def _note_skipped(self, tensor: torch.Tensor, frame: FrameType) -> None:
        self._append(tensor, self._describe("", (), tensor, frame))

    def _describe(
        self, name: str, arguments: tuple[tuple[str, Value], ...], target: torch.Tensor, frame: FrameType | None = None
    ) -> Write:
        call = self._caller.find(frame or sys._getframe(2))
        whole = target.numel() * target.element_size() >= target.untyped_storage().nbytes()
        source: Literal["default", "explicit", "loaded"] = (
            "loaded" if call.loading else "default" if call.constructing else "explicit"
        )
        return Write(
            source=source,
            function=call.function or name,
            arguments=call.arguments if call.function else arguments,
            site=call.site,
            whole=whole,
            modified=call.function is None and name not in _FILLS,
            swept=source == "explicit" and self._is_swept(target),
            editable=source == "explicit" and call.site is not None and not is_library(call.site.file),
            call=(call.frame, call.site if call.function else None),
        )

    def _is_swept(self, target: torch.Tensor) -> bool:
        memory = _memory(target)
        return self._walks.meet(lambda parameter: _memory(parameter) == memory)

    def _append(self, target: torch.Tensor, write: Write) -> None:
        memory = _memory(target)
        writes = self._writes.setdefault(memory, [])
        if write.source == "explicit" and memory in self._rebuilt:
            self.lost.append(Lost(write, self._rebuilt[memory]))
        if write.source == "loaded":
            self._loads.setdefault(memory, user_lines(sys._getframe(2)))
        elif memory in self._loads and memory not in self._wiped and _is_new(write, writes):
            self._wiped[memory] = _wiping(write, self._loads[memory], user_lines(sys._getframe(2)))
        if not writes or writes[-1].call != write.call or writes[-1].created:
            writes.append(write)
            return
        last = writes[-1]
        if write.modified:
            writes[-1] = replace(last, function=None, arguments=(), whole=last.whole or write.whole)
        elif write.call[1] is not None:
            writes[-1] = replace(last, whole=last.whole or write.whole)
        else:
            writes.append(write)

    def _note_module(self, module: nn.Module) -> None:
        site = _construction(module, sys._getframe(2))
        if site is not None:
            self._modules[id(module)] = (weakref.ref(module), site)

    def _note_parameter(self, module: nn.Module, name: str, parameter: torch.Tensor) -> None:
        entry = self._modules.get(id(module))
        if parameter is not None and entry is not None and entry[0]() is module:
            self._owners.setdefault(_memory(parameter), entry[1])


class _SkippedOnMeta(TorchFunctionMode):
    """Hears of the initializers that return early for a tensor without memory, and so write nothing that could be seen."""

    def __init__(self, note: Callable[[torch.Tensor, FrameType], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run `func`; where nn.init asks whether a tensor is on meta, it is about to leave it alone."""
        result = pass_on(func, args, kwargs or {})
        if result is True and getattr(func, "__self__", None) is torch.Tensor.is_meta:
            frame = sys._getframe(1)
            if frame.f_globals.get("__name__") == "torch.nn.init":
                self._note(args[0], frame)
        return result


_REBUILDERS = frozenset({"_weight_norm_interface", "_weight_norm"})
"""The operators that make a weight of its norm and its direction."""


def _is_new(write: Write, before: Sequence[Write]) -> bool:
    """Whether a write fills everything by a call that had not filled it before: else training starts anew on purpose."""
    drawn = write.source == "explicit" and write.whole and not write.modified and write.function is not None
    return drawn and all(earlier.site != write.site for earlier in before if earlier.source == "explicit")


def _wiping(write: Write, load: Mapping[CodeType, Site | None], lines: Mapping[CodeType, Site | None]) -> Wiped:
    """The write, seen from the innermost function that both it and the load were called from."""
    shared = next((code for code in lines if code in load), None)
    if shared is None:
        return Wiped(write, next(iter(load.values()), None), write.site)
    return Wiped(write, load[shared], lines[shared])


def _memory(tensor: torch.Tensor) -> int:
    """What identifies the memory behind a tensor and all its views, on every device."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError, ValueError):  # lazy, sparse and wrapped tensors have none
        return -id(tensor)


def _arguments(schema: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[str, Value], ...]:
    """The numbers passed to a tensor method, named as `nn.init` names them, defaults included."""
    found: list[tuple[str, Value]] = []
    for position, argument in enumerate(schema.arguments):
        value = args[position] if position < len(args) else kwargs.get(argument.name, argument.default_value)
        if isinstance(value, int | float) and argument.name != "non_blocking":
            found.append((_ARGUMENT_NAMES.get(argument.name, argument.name), value))
    return tuple(found)


def _construction(module: nn.Module, frame: FrameType | None) -> Site | None:
    """The first line outside torch and outside the module's own chain of `__init__`."""
    while frame is not None:
        code = frame.f_code
        own = code.co_name == "__init__" and code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is module
        if not own and not is_torch(code.co_filename):
            return frame_site(frame)
        frame = frame.f_back
    return None


@contextmanager
def _replaced_constructor(note: Callable[[nn.Module], None]) -> Iterator[None]:
    """Have `note` called with every module whose `nn.Module.__init__` runs."""
    original = nn.Module.__init__

    def constructor(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        pass_on(original, (self, *args), kwargs)
        note(self)

    setattr(nn.Module, "__init__", constructor)  # noqa: B010 (mypy forbids assigning to a method)
    try:
        yield
    finally:
        setattr(nn.Module, "__init__", original)  # noqa: B010
