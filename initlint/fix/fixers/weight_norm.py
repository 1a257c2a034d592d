"""A call of `weight_norm` wraps a layer in place, so it can be taken from around a construction and made later."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from initlint.fix.lines import bare
from initlint.fix.spelling import Source
from initlint.model import Edit

_FUNCTIONS = frozenset(
    {
        "torch.nn.utils.weight_norm",
        "torch.nn.utils.weight_norm.weight_norm",
        "torch.nn.utils.parametrizations.weight_norm",
    }
)


@dataclass(frozen=True, slots=True)
class Wrap:
    """One call ``weight_norm(layer, ...)`` of a file."""

    source: Source
    call: ast.Call

    @classmethod
    def read(cls, source: Source, node: ast.AST | None) -> Wrap | None:
        """The wrap that a node is, None for anything else."""
        if not isinstance(node, ast.Call) or not node.args or source.dotted(node.func) not in _FUNCTIONS:
            return None
        return None if isinstance(node.args[0], ast.Starred) else cls(source, node)

    @property
    def layer(self) -> ast.expr:
        """What is wrapped."""
        return self.call.args[0]

    def of(self, name: str) -> str:
        """The same call for a layer that has a name."""
        snippet = self.source.snippet
        further = [snippet(each) for each in self.call.args[1:]]
        named = [
            f"{each.arg}={snippet(each.value)}" if each.arg else f"**{snippet(each.value)}"
            for each in self.call.keywords
        ]
        return f"{snippet(self.call.func)}({', '.join([name, *further, *named])})"

    def undone(self) -> list[Edit]:
        """The edits that leave the layer alone, its further lines moved as far as what they are aligned with."""
        source = self.source
        start, end = source.start(self.call), source.end(self.call)
        inner_start, inner_end = source.start(self.layer), source.end(self.layer)
        edits = [Edit(source.file, *start, *inner_start, ""), Edit(source.file, *inner_end, *end, "")]
        if _opens_with_argument(source, self.layer):
            shift = start[1] - inner_start[1]
        else:
            shift = _margin(source, start[0]) - _margin(source, inner_start[0])
        for line in range(inner_start[0] + 1, inner_end[0] + 1):
            removed = min(max(-shift, 0), _margin(source, line))
            added = " " * max(shift, 0) if bare(source, line).strip() else ""
            if removed or added:
                edits.append(Edit(source.file, line, 1, line, removed + 1, added))
        return edits


def _opens_with_argument(source: Source, node: ast.expr) -> bool:
    """Whether the first argument stands on the line of its parenthesis, so that further lines are aligned with it."""
    if not isinstance(node, ast.Call) or not (node.args or node.keywords):
        return False
    lines = [*(each.lineno for each in node.args), *(each.lineno for each in node.keywords)]
    return min(lines) == source.end(node.func)[0]


def is_wrapper(source: Source, node: ast.AST) -> bool:
    """Whether a node is a call of one of torch's functions."""
    return isinstance(node, ast.Call) and source.dotted(node.func) in _FUNCTIONS


def _margin(source: Source, line: int) -> int:
    text = bare(source, line)
    return len(text) - len(text.lstrip())
