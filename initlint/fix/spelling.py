"""How one file spells things: its names for torch, its quotes, its indentation, its line length."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TypeVar, cast

from initlint.cells import HEADER
from initlint.fix.edits import BYTE_ORDER_MARK, LineMap
from initlint.fix.recommend import Argument, CalculatedGain, Call, Distribution, Habit, Mode
from initlint.model import Site
from initlint.syntax import last_name, nodes_of, parsed

_Kind = TypeVar("_Kind", bound=ast.AST)

_INIT = "torch.nn.init"
_NN = "torch.nn"
_USUAL = MappingProxyType({"torch": "torch", "nn": _NN})
_PEP8_LINE, _BLACK_LINE, _LONGEST_LINE = 79, 88, 120
_TELLING_LINES = 100
_SCALED = re.compile(r"(kaiming|xavier)_(normal|uniform)_?$")
_STRING_QUOTE = re.compile(r"^[A-Za-z]*(['\"])(?!\1\1)")


class Source:
    """The text of one file with its syntax tree; SyntaxError where it has none."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = LineMap(text)
        self.tree = parsed(text.removeprefix(BYTE_ORDER_MARK))

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree, what is around another before it: many questions to a file are asked for every layer."""
        return tuple(nodes_of(self.tree))

    @cached_property
    def _kinds(self) -> Mapping[type[ast.AST], list[ast.AST]]:
        kinds: dict[type[ast.AST], list[ast.AST]] = {}
        for node in self.nodes:
            kinds.setdefault(type(node), []).append(node)
        return kinds

    def every(self, kind: type[_Kind]) -> Sequence[_Kind]:
        """The nodes of one kind, what is around another before it."""
        return cast("Sequence[_Kind]", self._kinds.get(kind, ()))

    @cached_property
    def imports(self) -> dict[str, str]:
        """The names bound by module-level imports, each with the dotted name it stands for."""
        bound = dict(_imports(self.tree.body))
        if any(isinstance(one, ast.ImportFrom) and one.names[0].name == "*" for one in self.tree.body):
            bound |= self._starred(bound)
        return bound

    def _starred(self, bound: Container[str]) -> dict[str, str]:
        """The usual names of torch and torch.nn where a star import binds them, as no other line of the file does."""
        own = bound_names(self.tree)
        used = {node.id for node in self.every(ast.Name)}
        return {name: full for name, full in _USUAL.items() if name in used and name not in own and name not in bound}

    @cached_property
    def initializer_import(self) -> ast.ImportFrom | None:
        """The statement that imports functions of torch.nn.init by their names."""
        return next((one for one in self.tree.body if isinstance(one, ast.ImportFrom) and one.module == _INIT), None)

    @cached_property
    def names_initializers(self) -> bool:
        """Whether the file calls all initializers by names that it imports."""
        imported = self.initializer_import
        if imported is None or imported.names[0].name == "*" or _INIT in self.imports.values():
            return False
        return not any(self.dotted(node).startswith(f"{_INIT}.") for node in self.every(ast.Attribute))

    @cached_property
    def initializer_prefix(self) -> str | None:
        """How the file names torch.nn.init where it calls its functions, most of the time; None where it calls none."""
        holders = (node.func.value for node in self.every(ast.Call) if isinstance(node.func, ast.Attribute))
        written = Counter(ast.unparse(one) for one in holders if self.dotted(one) == _INIT)
        return written.most_common(1)[0][0] if written else None

    @cached_property
    def newline(self) -> str:
        """The newline that most lines end in."""
        found = Counter(re.findall(r"\r\n|\r|\n", self.text))
        return found.most_common(1)[0][0] if found else "\n"

    @cached_property
    def indent(self) -> str:
        """One step of indentation: that of the first indented block."""
        for node in self.nodes:
            body = getattr(node, "body", None)
            if isinstance(node, ast.stmt) and isinstance(body, list) and body[0].lineno > node.lineno:
                outer = self._margin(node)
                inner = self._margin(body[0])
                if inner.startswith(outer) and inner != outer:
                    return inner.removeprefix(outer)
        return "    "

    @cached_property
    def quote(self) -> str:
        """The quote that most one-line strings of the file open with."""
        found: Counter[str] = Counter()
        for token in tokenize.generate_tokens(io.StringIO(self.text.removeprefix(BYTE_ORDER_MARK)).readline):
            match = _STRING_QUOTE.match(token.string) if token.type == tokenize.STRING else None
            if match is not None:
                found[match[1]] += 1
        return "'" if found["'"] > found['"'] else '"'

    @cached_property
    def width(self) -> int:
        """The line length the author's code keeps to, as far as the file shows it; Black's where it shows nothing.

        What documents and what one line in a hundred does is no sign of it: texts and addresses are not wrapped.
        """
        prose: set[int] = set()
        for node in self.every(ast.Expr):
            if isinstance(node.value, ast.Constant):
                prose.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        written = [
            len(self.lines.line(number).rstrip("\r\n").expandtabs(8))
            for number in range(1, self.lines.count + 1)
            if number not in prose
        ]
        longest = sorted(written)[-1 - len(written) // 100] if written else 0
        if longest <= _PEP8_LINE and len(written) >= _TELLING_LINES:
            return _PEP8_LINE
        return min(max(longest, _BLACK_LINE), _LONGEST_LINE)

    def start(self, node: ast.stmt | ast.expr | ast.alias) -> tuple[int, int]:
        """Line and column, both from 1 and in characters, where a node starts."""
        return node.lineno, self.column(node.lineno, node.col_offset)

    def end(self, node: ast.stmt | ast.expr | ast.alias) -> tuple[int, int]:
        """Line and column one past the last character of a node."""
        if node.end_lineno is None or node.end_col_offset is None:
            raise AssertionError("ast.parse gives every node an end")
        return node.end_lineno, self.column(node.end_lineno, node.end_col_offset)

    def contains(self, node: ast.stmt | ast.expr, site: Site) -> bool:
        """Whether a site lies within a node of this file."""
        return site.file == self.file and self.start(node) <= (site.line, site.column) < self.end(node)

    def is_header(self, definition: ast.ClassDef, site: Site | None) -> bool:
        """Whether a site is where the definition of a class of this file begins, its decorators among it."""
        if site is None or site.file != self.file:
            return False
        first = min((decorator.lineno for decorator in definition.decorator_list), default=definition.lineno)
        return first <= site.line < max(definition.body[0].lineno, definition.lineno + 1)

    def function_around(self, node: ast.stmt | ast.expr) -> ast.FunctionDef | None:
        """The innermost function whose text holds a node."""
        start, end = self.start(node), self.end(node)
        around = [one for one in self.every(ast.FunctionDef) if self.start(one) <= start and end <= self.end(one)]
        return around[-1] if around else None

    def imports_around(self, node: ast.stmt | None) -> dict[str, str]:
        """The imports that hold where a statement stands: those of the module, and of the functions around it."""
        if node is None:
            return self.imports
        start, end = self.start(node), self.end(node)
        around = [one for one in self.every(ast.FunctionDef) if self.start(one) <= start and end <= self.end(one)]
        return {**self.imports, **{name: full for one in around for name, full in _imports(one.body)}}

    def snippet(self, node: ast.stmt | ast.expr) -> str:
        """The text of a node."""
        return self.text[self.lines.offset(*self.start(node)) : self.lines.offset(*self.end(node))]

    def dotted(self, node: ast.expr) -> str:
        """The dotted name that names and attributes stand for, imports resolved; empty for any other expression."""
        match node:
            case ast.Name(id=name):
                return self.imports.get(name, name)
            case ast.Attribute(value=inner, attr=name):
                outer = self.dotted(inner)
                return f"{outer}.{name}" if outer else ""
            case _:
                return ""

    def call_at(self, site: Site) -> ast.Call | None:
        """The call that starts and ends where `site` does."""
        ends = (site.line, site.column), (site.end_line, site.end_column)
        for node in self.every(ast.Call):
            if (self.start(node), self.end(node)) == ends:
                return node
        return None

    def ends_cell(self, statement: ast.stmt) -> bool:
        """Whether a statement is the last in the cell of a notebook, which shows what the last one returns."""
        if not self.file.endswith(".ipynb") or statement not in self.tree.body:
            return False
        below = self.text.split("\n")[statement.end_lineno :]
        code = next((line for line in below if HEADER.fullmatch(line) or not re.match(r"\s*(#|$)", line)), None)
        return code is None or HEADER.fullmatch(code) is not None

    def _margin(self, statement: ast.stmt) -> str:
        line, column = self.start(statement)
        return self.lines.line(line)[: column - 1].lstrip("\f")

    def column(self, line: int, byte: int) -> int:
        """The column, from 1 and in characters, of an offset that ast gives in bytes."""
        return len(self.lines.line(line).encode()[:byte].decode()) + 1


def _imports(body: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Every (local name, dotted name) that importing the module binds; those only for type checkers it does not."""
    for statement in body:
        match statement:
            case ast.Import(names):
                for alias in names:
                    yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
                    if not alias.asname and "." in alias.name:
                        yield alias.name, alias.name
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    yield alias.asname or alias.name, f"{module}.{alias.name}"
            case ast.Try(body=inner, handlers=handlers, orelse=orelse):
                yield from _imports([*inner, *orelse])
                for handler in handlers:
                    yield from ((name, full) for name, full in _imports(handler.body))
            case ast.If(test, inner, orelse) if "TYPE_CHECKING" not in ast.unparse(test):
                yield from _imports([*inner, *orelse])
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Spelling:
    """The names that new code in one scope uses; `missing` is the import that binds them, None where they are bound."""

    source: Source
    init: str
    nn: str
    missing: str | None = None

    def function(self, name: str) -> str:
        """A function of torch.nn.init, as this file would write it."""
        known = self.source.imports.get(name) == f"{_INIT}.{name}"
        return name if known or self.is_imported_by(name) else f"{self.init}.{name}"

    def is_imported_by(self, name: str) -> bool:
        """Whether a function of torch.nn.init is to be imported by its name, as this file imports all that it uses."""
        return self.source.names_initializers and name not in self.source.imports.keys() | bound_names(self.source.tree)

    def module_class(self, kind: str) -> str:
        """A class of torch.nn, as this file would write it."""
        return kind if self.source.imports.get(kind) == f"{_NN}.{kind}" else f"{self.nn}.{kind}"

    def call(self, call: Call, target: str) -> str:
        """One initializer call on one target, on one line."""
        return f"{self.function(call.function)}({', '.join([target, *self.arguments(call)])})"

    def arguments(self, call: Call) -> list[str]:
        """The keyword arguments of a call as text."""
        return [f"{name}={self.argument(value)}" for name, value in call.arguments]

    def argument(self, value: Argument) -> str:
        """One argument's value as text."""
        if isinstance(value, CalculatedGain):
            rest = "" if value.parameter is None else f", {value.parameter!r}"
            return f"{self.function('calculate_gain')}({self.argument(value.nonlinearity)}{rest})"
        if isinstance(value, str):
            return f"{self.source.quote}{value}{self.source.quote}"
        return repr(value)

    def required_import(self, code: str) -> str | None:
        """The import that `code` needs and the file lacks."""
        return self.missing if self.missing is not None and re.search(rf"(?<![\w.]){self.nn}\.", code) else None


def spell(source: Source, taken: frozenset[str] = frozenset(), around: ast.stmt | None = None) -> Spelling:
    """How to spell torch.nn.init in a scope where the names in `taken` mean something else, or where a statement stands."""
    imports = source.imports_around(around)
    names = {full: name for name, full in imports.items() if name.partition(".")[0] not in taken}
    nn = names.get(_NN) or (f"{names['torch']}.nn" if "torch" in names else None)
    usual = source.initializer_prefix
    init = usual if usual is not None and usual.partition(".")[0] not in taken else names.get(_INIT)
    if nn is not None:
        return Spelling(source, init or f"{nn}.init", nn)
    if "nn" not in taken | source.imports.keys() | bound_names(source.tree):
        return Spelling(source, init or "nn.init", "nn", "from torch import nn")
    return Spelling(source, init or "torch.nn.init", "torch.nn", "import torch")


def bound_names(scope: ast.AST) -> frozenset[str]:
    """The names that a function or module binds by itself: arguments, assignments, loops, definitions."""
    names: set[str] = set()
    for node in nodes_of(scope):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) if node is not scope:
                names.add(name)
            case _:
                pass
    return frozenset(names)


def used_names(scope: ast.AST) -> frozenset[str]:
    """The names that a function or module reads or binds anywhere: a new variable of that name would hide them."""
    return bound_names(scope) | {node.id for node in nodes_of(scope) if isinstance(node, ast.Name)}


def habit(scope: ast.AST, file: ast.Module) -> Habit:
    """Which fan the initializers of a class scale by, and their distribution there or, if it has none, in its file."""
    inner = _scaled_calls(scope)
    return Habit(_distribution([last_name(call.func) for call in inner or _scaled_calls(file)]), _mode(inner))


def _scaled_calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in nodes_of(tree) if isinstance(node, ast.Call) and _SCALED.match(last_name(node.func))]


def _distribution(names: list[str]) -> Distribution | None:
    uniform = sum("uniform" in name for name in names)
    if uniform * 2 == len(names):
        return None
    return "uniform" if uniform * 2 > len(names) else "normal"


def _mode(calls: list[ast.Call]) -> Mode | None:
    modes = {
        keyword.value.value
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "mode" and isinstance(keyword.value, ast.Constant)
    }
    return "fan_out" if modes == {"fan_out"} else None
