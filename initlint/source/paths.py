"""Paths of files: where one lies is not known before the program runs, but it is a text, and its end is often written down."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable

from initlint.source.machine import Frame, Machine
from initlint.source.patterns import GAP, Pattern, known_part, patterned
from initlint.source.symbols import UNKNOWN
from initlint.source.values import Arguments


def under(folder: object, name: object) -> object:
    """``folder / name``, ``os.path.join(folder, name)``; a folder of which nothing is known may be the one that is at hand."""
    if isinstance(folder, str) and isinstance(name, str):
        return posixpath.join(folder, name)
    known = known_part(folder)
    return patterned(GAP + known_part(name) if known == GAP else posixpath.join(known, known_part(name)))


def _join(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if not arguments.positional or arguments.open:
        return UNKNOWN
    path, *rest = arguments.positional
    for name in rest:
        path = under(path, name)
    return path if isinstance(path, (str, Pattern)) else UNKNOWN


def _somewhere(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``os.path.abspath(path)``: the same file, by another way to it."""
    return under(UNKNOWN, posixpath.basename(known_part(arguments.get(0, "path", UNKNOWN))))


def _fetched(position: int, keyword: str) -> Callable[..., object]:
    """A call that fetches a file and returns where it lies; which file, is given."""

    def call(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
        return under(UNKNOWN, arguments.get(position, keyword, UNKNOWN))

    return call


PATHS: dict[str, Callable[..., object]] = {
    "os.path.join": _join,
    "os.path.abspath": _somewhere,
    "os.path.realpath": _somewhere,
    "os.path.normpath": _somewhere,
    "os.path.expanduser": _somewhere,
    "huggingface_hub.hf_hub_download": _fetched(1, "filename"),
}
