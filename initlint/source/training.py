"""Signs that somebody trains in a program: a gradient with an optimizer, a framework that has both, functions that say so."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.source.project import Project, SourceFile

_TRACES = (
    *(b".backward(", b"zero_grad", b"optim", b".train()", b"fit(", b"train", b"Trainer", b"Accelerator", b"ightning"),
    *(b"mmcv", b"mmengine", b"detectron2", b"fastai", b"skorch", b"ignite", b"stable_baselines"),
)
_SIGN = re.compile(
    rb"""\.backward\( | zero_grad | optim\w*\.step\( | \boptim\.[A-Z] | from[ ]torch\.optim | \.train\(\) | def[ ](?:fit\(|_?train)
      | Trainer | Accelerator | (?:import|from)[ ](?:(?:pytorch_)?lightning|mmcv|mmengine|detectron2|fastai|skorch|ignite|stable_baselines)""",
    re.VERBOSE,
)
"""A file without a match shows no training. Every match holds one of the traces, which are found in a tenth of the time."""

_FRAMEWORKS = re.compile(
    r"""(?:fastai|skorch|ignite|stable_baselines\d?|(?:pytorch_)?lightning)(?:\.|$)
      | (?:mmcv|mmengine)\.(?:runner|model|registry|hooks|optim) | detectron2\.(?:engine|modeling|solver)""",
    re.VERBOSE,
)
"""Who takes no more than their images, operators and configurations from OpenMMLab or detectron2 need not train with these."""
_TRAINER = re.compile(
    r"(?<!SentencePiece)(?<!WordPiece)(?<!WordLevel)(?<!Unigram)(?<!Bpe)Trainer(?!Spec)|^Accelerator$"
)
_TRAINING = re.compile(r"fit$|_?train(?!able|_mode|ing_loss)")

_Kind = Literal["training", "gradient", "optimizer"]
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class _Sign:
    """One sign of training, and the classes and functions around it that other code has to come to: none where that is sure."""

    kind: _Kind
    around: tuple[str, ...] = ()


def trains(project: Project) -> bool:
    """Whether somebody trains: a gradient is taken and an optimizer made, or a framework or a function is there that does both.

    A gradient alone may guide a sampler. What stands in a function or a class that no other code comes to was left behind in code
    that came from elsewhere, unless it stands in a loop: that is what users call. Comments and strings are no signs.
    """
    seen: set[_Kind] = set()
    open_: list[_Sign] = []
    for file, text in project.contents():
        if not any(trace in text for trace in _TRACES) or _SIGN.search(text) is None:
            continue
        if file.tree is None:
            return True
        for sign in _signs(file):
            if sign.around:
                open_.append(sign)
            else:
                seen.add(sign.kind)
            if _is_enough(seen):
                return True
    speech = _Speech(project)
    for sign in open_:
        if sign.kind not in seen and speech.comes_to(sign.around):
            seen.add(sign.kind)
    return _is_enough(seen)


def _is_enough(seen: set[_Kind]) -> bool:
    return "training" in seen or {"gradient", "optimizer"} <= seen


def _signs(file: SourceFile) -> Iterator[_Sign]:
    """All signs in a file."""
    optimizers = _from_optim(file)
    for node, around, repeated in _nodes(file):
        kind = _kind(node, optimizers)
        if kind is not None:
            yield _Sign(kind, () if repeated or not isinstance(node, ast.Call) else around)


def _from_optim(file: SourceFile) -> frozenset[str]:
    """What a file takes from ``torch.optim``."""
    nodes = () if file.tree is None else nodes_of(file.tree)
    taken = (node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "torch.optim")
    found = (each for node in taken for each in node.names)
    return frozenset(each.asname or each.name for each in found if each.name[0].isupper() and each.name != "Optimizer")


def _kind(node: ast.AST, optimizers: frozenset[str]) -> _Kind | None:
    match node:
        case ast.Call(func=ast.Attribute(attr="backward")):
            return "gradient"
        case ast.Call(func=ast.Attribute(attr="zero_grad")):
            return "optimizer"
        case ast.Call(func=ast.Attribute(value=value, attr="step")) if "optim" in last_name(value):
            return "optimizer"
        case ast.Call(func=ast.Name(id=name)) if name in optimizers:
            return "optimizer"
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if last_name(value) == "optim":
            return "optimizer" if name[0].isupper() and name != "Optimizer" else None
        case ast.Call(func=ast.Attribute(attr="train"), args=[], keywords=[]):
            return "training"
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return "training" if _says_that_it_trains(node) else None
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.ClassDef(name=name) | ast.alias(name=name):
            return "training" if _TRAINER.search(name) or _is_framework(node) else None
        case ast.ImportFrom(module=str(module), level=0):
            return "training" if any(_FRAMEWORKS.match(f"{module}.{each.name}") for each in node.names) else None
        case _:
            return None


def _is_framework(node: ast.AST) -> bool:
    """Whether a name that is imported is that of a framework (``import lightning as L``)."""
    return isinstance(node, ast.alias) and _FRAMEWORKS.match(node.name) is not None


def _says_that_it_trains(function: _Function) -> bool:
    """Whether a function trains by its name; torch's own ``train(self, mode)`` and what only raises or returns are none."""
    if not _TRAINING.match(function.name):
        return False
    parameters = [each.arg for each in function.args.args]
    return "mode" not in parameters and not all(map(_does_nothing, function.body))


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case (
            ast.Pass()
            | ast.Raise()
            | ast.Expr(value=ast.Constant())
            | ast.Return(value=ast.Name() | ast.Constant() | None)
        ):
            return True
        case _:
            return False


class _Speech:
    """Where the code of a program says a name: in its calls, references and imports, and in strings that are that name."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._said: dict[SourceFile, dict[str, list[tuple[str, ...]]]] = {}
        self._reached: dict[str, bool] = {}

    def comes_to(self, around: tuple[str, ...]) -> bool:
        """Whether other code comes to what stands in these classes and functions."""
        return all(name.startswith("__") or self._is_reached(name) for name in around)

    def _is_reached(self, name: str) -> bool:
        known = self._reached.get(name)
        if known is None:
            self._reached[name] = False  # what only itself speaks of is not reached
            known = self._reached[name] = any(
                self.comes_to(around) for around in self._places(name) if name not in around
            )
        return known

    def _places(self, name: str) -> Iterator[tuple[str, ...]]:
        for file, text in self._project.contents():
            if name.encode() in text:
                yield from self._in(file).get(name, ())

    def _in(self, file: SourceFile) -> dict[str, list[tuple[str, ...]]]:
        said = self._said.get(file)
        if said is None:
            said = self._said[file] = {}
            for node, around, _ in _nodes(file):
                for name in _names(node):
                    said.setdefault(name, []).append(around)
        return said


def _nodes(file: SourceFile) -> Iterator[tuple[ast.AST, tuple[str, ...], bool]]:
    """All nodes of a file, the classes and functions around each, and whether there is a loop between the innermost and the node."""
    pending: list[tuple[ast.AST, tuple[str, ...], bool]] = [] if file.tree is None else [(file.tree, (), False)]
    while pending:
        node, around, repeated = pending.pop()
        yield node, around, repeated
        if isinstance(node, _Function | ast.ClassDef):
            around, repeated = (*around, node.name), False
        repeated |= isinstance(node, ast.For | ast.AsyncFor | ast.While)
        pending += [(each, around, repeated) for each in ast.iter_child_nodes(node)]


def _names(node: ast.AST) -> tuple[str, ...]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) | ast.Constant(value=str(name)):
            return (name,)
        case _:
            return ()
