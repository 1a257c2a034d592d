"""Which files are tests, by the names that pytest and its users give them."""

from __future__ import annotations

import re

_FOLDERS = frozenset({"test", "tests"})
_CLASS = re.compile(r"_+Test(?![a-z])")


def is_test_folder(name: str) -> bool:
    """Whether a folder, or a module of that name, holds tests and nothing else."""
    return name in _FOLDERS


def is_test_file(stem: str) -> bool:
    """Whether a file of that name, its suffix left out, is a test or serves some."""
    return stem.startswith("test_") or stem.endswith("_test") or stem == "conftest"


def is_test_module(name: str) -> bool:
    """Whether a module of that dotted name is a test, or lies among tests."""
    return any(is_test_file(part) or is_test_folder(part) for part in name.split("."))


def is_test_double(name: str) -> bool:
    """Whether a class of that name is there for tests only: ``_TestModule``; a `TestNet` may be a model of its own."""
    return _CLASS.match(name) is not None
