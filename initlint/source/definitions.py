"""The functions and classes of a program, by what their text says: which words, and which others they differ from in numbers only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from initlint.syntax import is_main_guard

if TYPE_CHECKING:
    from initlint.source.project import SourceFile

_WORD = re.compile(r"[A-Za-z_]\w*")
_RUN = re.compile(r"\w+")
_LITERAL = re.compile(r"""'[^'\n]*'|"[^"\n]*"|\b\d[\w.]*""")
_WORD_OR_LITERAL = re.compile(rf"(?:{_LITERAL.pattern})|({_WORD.pattern})")
_WEIGHTS = re.compile(r"\w*weights\w*(?:\.\w+)*", re.IGNORECASE)
_LETTERS = re.compile(r"[a-z]+")
_SIZE = re.compile("tiny|small|base|large|huge|giant|nano|pico|femto|atto|mini|micro|medium|big|xxs|xxl|patch|window")
_COMMENT = re.compile(r"#.*")


class Definition:
    """A function or class at the top level of a file, and the words of its text."""

    __slots__ = ("code", "file", "name", "node", "words")

    def __init__(self, file: SourceFile, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.file = file
        self.node = node
        self.name = node.name
        self.code = _code(file, node)
        self.words = frozenset(filter(None, _WORD_OR_LITERAL.findall(self.code)))

    @property
    def telling_words(self) -> frozenset[str]:
        """The words that set a function apart from its siblings: not its own name, nor that of its weights."""
        return frozenset(
            word
            for word in _WORD.findall(self.code)
            if word != self.name and "weights" not in word.lower() and self.name not in word
        )

    @property
    def shape(self) -> str:
        """The code of its body without its own name, its numbers and strings, and the names of weights."""
        first = self.node.body[0]
        head, *rest = self.code.split("\n")[first.lineno - self.node.lineno :]
        body = "\n".join((head.encode()[first.col_offset :].decode(errors="replace"), *rest))
        text = " ".join(_WEIGHTS.sub("", _LITERAL.sub("", body)).split())
        own = f"_{self.name.lower()}_"
        return _RUN.sub(lambda found: "" if own in f"_{found[0].lower()}_" else found[0], text)

    @property
    def family(self) -> frozenset[str]:
        """The words of its name that say more than a size: ``resnet`` of ``resnet50``, ``vit`` of ``vit_tiny_patch16``."""
        words = _LETTERS.findall(self.name.lower())
        return frozenset(word for word in words if len(word) > 2 and not _SIZE.fullmatch(word))

    @property
    def known_as(self) -> tuple[str, ...]:
        """The names by which other code comes to it: its own, and those of registries that hold it."""
        return self.name, *_registries(self.node)

    @property
    def is_class(self) -> bool:
        """Whether it is a class."""
        return isinstance(self.node, ast.ClassDef)


def _code(file: SourceFile, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """The text of a definition without comments and docstrings."""
    lines = file.lines[node.lineno - 1 : node.end_lineno]
    for part in (node, *(each for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)))):
        first = part.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno is not None:
            for line in range(first.lineno - node.lineno, first.end_lineno - node.lineno + 1):
                lines[line] = ""
    return _COMMENT.sub("", "\n".join(lines))


def definitions(file: SourceFile) -> Iterator[Definition]:
    """The functions and classes at the top level of `file`, also those under an ``if`` or a ``try``."""
    for node in top_level(file):
        yield Definition(file, node)


def top_level(file: SourceFile) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The definitions at the top level of `file`, also those under an ``if`` or a ``try``."""
    pending = list(file.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node
        elif isinstance(node, (ast.If, ast.Try)) and not (isinstance(node, ast.If) and is_main_guard(node.test)):
            pending = [*node.body, *node.orelse, *pending]


def script_words(file: SourceFile) -> frozenset[str]:
    """The words of what a file does at its top level, besides defining and importing."""
    lines: list[str] = []
    for node in file.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Constant, ast.List, ast.Tuple)):
            continue
        lines += file.lines[node.lineno - 1 : node.end_lineno]
    return frozenset(_WORD.findall("\n".join(lines)))


def defined(tree: ast.Module) -> Iterator[str]:
    """The names by which a file's definitions are known: their own, and those of registries that hold them."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
            yield from _registries(node)


def tables(file: SourceFile) -> Iterator[tuple[str, frozenset[str]]]:
    """The tables at the top level of a file whose values are names, ``BUILDERS = {"a": build_a}``, and those names."""
    for node in file.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=values)):
                held = frozenset(each.id for each in values if isinstance(each, ast.Name))
                if held:
                    yield name, held


def _registries(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[str]:
    """``Conv`` where ``@Conv.factory_function("conv")`` stands above a definition."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
            keeper = decorator.func.value
            if isinstance(keeper, ast.Name) and keeper.id != "torch":
                yield keeper.id
