"""A target such as ``pkg.mod:Net`` or ``path/to/net.py:make`` becomes a live module, with every error of the user's code shown as theirs."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from initlint.errors import InitlintError
from initlint.graph.frames import is_own, pass_on
from initlint.graph.modes import seeded
from initlint.graph.provenance import Recorder
from initlint.knowledge import Knowledge
from initlint.model import Value


class UserCodeError(InitlintError):
    """The user's own code failed; `traceback` is theirs, without the frames of initlint."""

    def __init__(self, doing: str, error: BaseException) -> None:
        self.traceback = user_traceback(error)
        super().__init__(f"{doing} failed\n\n{self.traceback}".rstrip())


@dataclass(frozen=True, slots=True)
class Built:
    """A module, and the record of its construction."""

    model: nn.Module
    recorder: Recorder


def build(target: str, arguments: Mapping[str, Value], knowledge: Knowledge, *, device: str = "cpu") -> Built:
    """Import and call `target` under a recorder, on seeded numbers.

    Raises InitlintError for a target that names nothing, and UserCodeError with the user's traceback for what their code raises.
    """
    recorder = Recorder(knowledge)
    with seeded(), torch.device(device), recorder, users_errors(f"building {target}"):
        named = load(target)
        model = named if isinstance(named, nn.Module) else _call(target, named, arguments)
    if not isinstance(model, nn.Module):
        raise InitlintError(
            f"gives a {type(model).__name__}, not a torch.nn.Module",
            where=target,
            hint="name a module class, an instance, or a function that returns a module",
        )
    return Built(model, recorder)


def load(target: str) -> Any:
    """The object that ``module:name`` or ``file.py:name`` names; its module is imported."""
    place, separator, name = target.rpartition(":")
    if not separator or not place or not name:
        raise InitlintError("names no object", where=target, hint="write pkg.mod:Class or path/to/file.py:Class")
    module = _import_file(target, Path(place)) if place.endswith(".py") else _import_module(target, place)
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError:
        known = sorted(key for key, value in vars(module).items() if _is_buildable(value, module))
        hint = f"it has {', '.join(known)}" if known else "it defines no module class"
        raise InitlintError(f"{place} has no {name}", where=target, hint=hint) from None


def parse_argument(text: str) -> tuple[str, Value]:
    """``key=value`` with a Python literal, or a word, as value."""
    key, separator, value = text.partition("=")
    if not separator or not key.isidentifier():
        raise InitlintError(f"{text!r} is not key=value", where="--arg", hint="write for example --arg depth=12")
    try:
        literal: Value = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        literal = value
    return key, literal


def user_traceback(error: BaseException) -> str:
    """The traceback of `error` as the user would see it without initlint."""
    whole = traceback.TracebackException.from_exception(error)
    step: traceback.TracebackException | None = whole
    while step is not None:
        kept = [frame for frame in step.stack if not is_own(frame.filename) and not _is_plumbing(frame.filename)]
        step.stack = traceback.StackSummary.from_list(kept)
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return "".join(whole.format())


@contextmanager
def users_errors(doing: str) -> Iterator[None]:
    """What the user's code raises inside becomes a UserCodeError; what initlint's own code raises is a bug and stays one."""
    try:
        yield
    except InitlintError:
        raise
    except (Exception, SystemExit) as error:
        if _is_raised_by_initlint(error):
            raise
        raise UserCodeError(doing, error) from error


def _is_raised_by_initlint(error: BaseException) -> bool:
    """Whether initlint's own code raised, other than by calling the user's."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return is_own(last.filename) and last.name != pass_on.__name__


def _call(target: str, factory: object, arguments: Mapping[str, Value]) -> object:
    if not callable(factory):
        raise InitlintError(
            f"is a {type(factory).__name__} and cannot be called", where=target, hint="name a class or a function"
        )
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        hint = f"it is {getattr(factory, '__name__', target)}{inspect.signature(factory)}; give arguments with --arg"
        raise InitlintError(f"cannot be called so: {error}", where=target, hint=hint) from None
    except ValueError:  # a signature that Python cannot read; the call will tell
        pass
    return pass_on(factory, (), arguments)


def _import_module(target: str, name: str) -> ModuleType:
    """Import by dotted name, with the working directory on the path as ``python -m`` has it."""
    with _importable(Path.cwd()):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
                raise
            raise InitlintError(
                f"there is no module {error.name}",
                where=target,
                hint="run initlint where it can be imported, or give the path of its file",
            ) from None


def _import_file(target: str, path: Path) -> ModuleType:
    """Import a file under the name it has in its package, so that relative imports in it work."""
    path = path.absolute()
    if not path.is_file():
        raise InitlintError("there is no such file", where=target, hint=f"looked for {path}")
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    name = ".".join(part for part in parts if part != "__init__")
    with _importable(root):
        loaded = sys.modules.get(name)
        if len(parts) > 1 or (loaded is not None and _is_from(loaded, path)):
            return importlib.import_module(name)
        if loaded is not None:
            name = f"_initlint_target_{name}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise InitlintError("cannot be imported", where=target, hint="name a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module


def _is_from(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).absolute() == path


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """`folder` leads the import path, and stays on it: a forward may still import from there."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    yield


def _is_buildable(value: object, module: ModuleType) -> bool:
    """Whether a target could have meant this: a module, or a module class that is no import."""
    if isinstance(value, type):
        return issubclass(value, nn.Module) and value.__module__ == module.__name__
    return isinstance(value, nn.Module)


def _is_plumbing(file: str) -> bool:
    parts = Path(file).parts[-2:]
    return file.startswith("<frozen importlib") or parts in _PLUMBING or f"importlib{os.sep}__init__" in file


_PLUMBING = {("torch", "_compile.py"), ("_dynamo", "eval_frame.py"), ("torch", "overrides.py")}
