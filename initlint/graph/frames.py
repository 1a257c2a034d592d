"""A Python frame says where the user's code was, and which initializer it was in."""

from __future__ import annotations

import copy
import linecache
import os
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

from initlint.knowledge import Knowledge
from initlint.model import Site, Value

_LOADERS = frozenset({"_load_from_state_dict", "load_state_dict", "from_pretrained"})
_CONSTRUCTORS = frozenset({"__init__", "reset_parameters", "_reset_parameters", "initialize_parameters"})


def pass_on(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call `function` for the user: what it raises from here is not initlint's error, though the call is."""
    return function(*args, **kwargs)


@cache
def is_torch(file: str) -> bool:
    """Whether a code file is torch's own."""
    return file.startswith((str(Path(torch.__file__).parent) + os.sep, "<eval_with_key>", "<frozen "))


@cache
def is_own(file: str) -> bool:
    """Whether a code file is initlint's own."""
    return file.startswith(str(Path(__file__).parents[1]) + os.sep)


@cache
def is_library(file: str) -> bool:
    """Whether a file is installed rather than written by the user: no fix may touch it."""
    if not file or file.startswith("<"):
        return True
    standard = sysconfig.get_paths()["stdlib"]
    return "site-packages" in file or "dist-packages" in file or file.startswith(standard)


def frame_site(frame: FrameType) -> Site | None:
    """The expression a frame is evaluating, None where the code has no file."""
    file = frame.f_code.co_filename
    if file.startswith("<"):
        return None
    position = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), (None, None, None, None))
    line, end_line, column, end_column = position
    line = line or frame.f_lineno
    end_line = end_line or line
    return Site(
        str(Path(file).resolve()),
        line,
        character(file, line, column or 0),
        end_line,
        character(file, end_line, end_column or 0),
    )


def call_site(frame: FrameType | None) -> Site | None:
    """The innermost expression outside torch and initlint that `frame` is evaluated for."""
    while frame is not None and (is_torch(frame.f_code.co_filename) or is_own(frame.f_code.co_filename)):
        frame = frame.f_back
    return frame_site(frame) if frame is not None else None


def copy_site(frame: FrameType | None) -> Site | None:
    """The expression that asked for the deep copy that `frame` works on; None where it is no such copy, or torch itself asked."""
    while frame is not None and frame.f_code.co_filename != copy.__file__:
        frame = frame.f_back
    while frame is not None and (frame.f_code.co_filename == copy.__file__ or frame.f_code.co_name == "__deepcopy__"):
        frame = frame.f_back
    return None if frame is None or is_torch(frame.f_code.co_filename) else frame_site(frame)


def rebuilt_module(frame: FrameType | None) -> nn.Module | None:
    """The module whose weight `frame` makes anew, if it is one that was parametrized."""
    while frame is not None and (is_torch(frame.f_code.co_filename) or is_own(frame.f_code.co_filename)):
        for module in (frame.f_locals.get("self"), frame.f_locals.get("module")):
            if isinstance(module, nn.Module) and (
                "parametrizations" in module._modules or "weight_g" in module._parameters
            ):
                return module
        frame = frame.f_back
    return None


def user_lines(frame: FrameType | None) -> dict[CodeType, Site | None]:
    """The line that each function on the stack is at, innermost first; without those of torch and initlint."""
    lines: dict[CodeType, Site | None] = {}
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_torch(file) and not is_own(file):
            lines.setdefault(frame.f_code, frame_site(frame))
        frame = frame.f_back
    return lines


def character(file: str, line: int, offset: int) -> int:
    """The 1-based column in characters of a 0-based offset in UTF-8 bytes."""
    text = linecache.getline(file, line)
    if text.isascii():
        return offset + 1
    return len(text.encode()[:offset].decode(errors="replace")) + 1


@dataclass(frozen=True, slots=True)
class Call:
    """Who is writing: the initializer (None for a bare tensor method), its arguments, and the line that called it.

    `constructing` says that a torch layer is filling itself, `loading` that a checkpoint is read. `frame` tells two calls apart.
    """

    function: str | None
    arguments: tuple[tuple[str, Value], ...]
    site: Site | None
    constructing: bool
    loading: bool
    frame: int


class Caller:
    """Reads calls off the stack, knowing the initializers of torch and of the libraries in rules/facts."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._names: dict[str, list[str]] = {}
        self._canonical: dict[str, str] = {}
        for name, fact in knowledge.initializers.items():
            if name.partition(".")[0] not in {"torch", "Tensor"}:
                self._names.setdefault(name.rpartition(".")[2], []).append(name)
                self._canonical[name] = fact.canonical
        self._known: dict[CodeType, str | None] = {}

    def find(self, frame: FrameType | None) -> Call:
        """The call that `frame`, or a frame that called it, makes."""
        function: str | None = None
        arguments: tuple[tuple[str, Value], ...] = ()
        constructing = loading = False
        mark = 0
        while frame is not None:
            code = frame.f_code
            name = self._initializer(frame)
            if name is not None:
                function, arguments, mark = name, _frame_arguments(frame), id(frame)
            elif is_torch(code.co_filename):
                constructing = constructing or _fills_itself(frame)
            elif not is_own(code.co_filename):
                outer = self._enclosing(frame)
                if outer is None:
                    break
                frame = outer
                continue
            loading = loading or code.co_name in _LOADERS
            frame = frame.f_back
        site = frame_site(frame) if frame is not None else None
        loading = loading or _is_loading(frame)
        return Call(function, arguments, site, constructing, loading, mark or id(frame))

    def _enclosing(self, frame: FrameType) -> FrameType | None:
        """The known initializer that `frame` is an inner function of: the next caller in the same file that is one."""
        caller = frame.f_back
        while caller is not None and caller.f_code.co_filename == frame.f_code.co_filename:
            if self._initializer(caller) is not None:
                return caller
            caller = caller.f_back
        return None

    def _initializer(self, frame: FrameType) -> str | None:
        """The canonical name of the initializer that a frame runs."""
        code = frame.f_code
        if frame.f_globals.get("__name__") == "torch.nn.init":
            return code.co_name if not code.co_name.startswith("_") else None
        candidates = self._names.get(code.co_name)
        if candidates is None:
            return None
        if code not in self._known:
            self._known[code] = next((self._canonical[name] for name in candidates if _code(name) is code), None)
        return self._known[code]


def _code(name: str) -> CodeType | None:
    """The code behind a dotted name, if its module has been imported."""
    module, _, attribute = name.rpartition(".")
    function = getattr(sys.modules.get(module), attribute, None)
    return getattr(function, "__code__", None)


def _frame_arguments(frame: FrameType) -> tuple[tuple[str, Value], ...]:
    """The plain arguments a function was called with, the tensor left out."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    values = ((name, frame.f_locals.get(name)) for name in names)
    return tuple((name, value) for name, value in values if isinstance(value, str | int | float | bool))


def _fills_itself(frame: FrameType) -> bool:
    code = frame.f_code
    if code.co_name not in _CONSTRUCTORS or not code.co_argcount:
        return False
    return isinstance(frame.f_locals.get(code.co_varnames[0]), nn.Module)


def _is_loading(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name in _LOADERS:
            return True
        frame = frame.f_back
    return False
