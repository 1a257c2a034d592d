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
    rb"""\.backward\( | zero_grad | \boptim\.[A-Z] | from[ ]torch\.optim | \.train\(\) | def[ ](?:fit\(|_?train)
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
    """One sign of training, and what has to be spoken of elsewhere for anybody to come to it: nothing where that is sure."""

    kind: _Kind
    user: str = ""


def trains(project: Project) -> bool:
    """Whether somebody trains: a gradient is taken and an optimizer made, or a framework or a function is there that does both.

    A gradient alone may guide a sampler. What stands in a function or a class that no other code speaks of was left behind in code
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
            if sign.user:
                open_.append(sign)
            else:
                seen.add(sign.kind)
            if _is_enough(seen):
                return True
    for sign in open_:
        if sign.kind not in seen and _is_spoken_of(sign.user, project):
            seen.add(sign.kind)
    return _is_enough(seen)


def _is_enough(seen: set[_Kind]) -> bool:
    return "training" in seen or {"gradient", "optimizer"} <= seen


def _signs(file: SourceFile) -> Iterator[_Sign]:
    """All signs in a file."""
    pending: list[tuple[ast.AST, str, bool]] = [] if file.tree is None else [(file.tree, "", False)]
    optimizers = _from_optim(file)
    while pending:
        node, user, repeated = pending.pop()
        kind = _kind(node, optimizers)
        if kind is not None:
            yield _Sign(kind, "" if repeated or not isinstance(node, ast.Call) else user)
        if isinstance(node, _Function | ast.ClassDef):
            user, repeated = user or node.name, False
        repeated |= isinstance(node, ast.For | ast.AsyncFor | ast.While)
        pending += [(each, user, repeated) for each in ast.iter_child_nodes(node)]


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


def _is_spoken_of(name: str, project: Project) -> bool:
    """Whether any code but its own definition says a name."""
    word = re.compile(rb"\b" + name.encode() + rb"\b")
    times = 0
    for _, text in project.contents():
        if name.encode() in text:
            times += sum(1 for _ in word.finditer(text))
            if times > 1:
                return True
    return False
