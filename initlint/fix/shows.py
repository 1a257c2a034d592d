"""A model that nobody trains may start as torch likes: one that is only looked at, one that is built anew at every call."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from initlint.fix.containers import unmoved
from initlint.fix.place import Place
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source
from initlint.pytest_names import is_test_file, is_test_folder
from initlint.sourcefile import NOTEBOOK_SUFFIX
from initlint.syntax import last_name, nodes_of

_TRAINING = re.compile(
    r"train|fit|learn|optim|backward|(?<!no_)(?<!requires_)grad|loss|criterion|(?<!named_)parameters|step|experiment",
    re.IGNORECASE,
)
COPIED = Refusal("it is a copy of another project's code, which is mended there")
_COPIES = re.compile(r"(?:_?vendor(?:ed)?|(?:third|3rd)[_-]?party|extern(?:als?)?|[A-Za-z][\w.-]*-v?\d+(?:\.\d+)+)\Z")


def is_test(file: str, root: str) -> bool:
    """Whether a file below `root` is part of tests, as pytest and its users name them."""
    return is_test_file(Path(file).stem) or any(map(is_test_folder, _folders(file, root)))


def is_copied(file: str, root: str) -> bool:
    """Whether a file below `root` was copied from another project, as a folder says: ``third_party``, ``vision-0.9.0``."""
    return any(map(_COPIES.match, _folders(file, root)))


def _folders(file: str, root: str) -> tuple[str, ...]:
    path = Path(file)
    return path.relative_to(root).parts[:-1] if root and path.is_relative_to(root) else ()


def is_for_show(place: Place) -> bool:
    """Whether a model that a variable holds is deleted again, or leaves the function around it neither trained nor at all."""
    name, function = place.access.root_text, place.function
    scope = list(nodes_of(function or place.source.tree))
    deleted = (target for node in scope if isinstance(node, ast.Delete) for target in node.targets)
    if any(_reads(target, name) for target in deleted):
        return True
    return (
        function is not None
        and place.naming is None
        and not any(_leaves(node, name) or _trains(node) for node in scope)
    )


def is_shown_by_script(name: str, source: Source) -> bool:
    """Whether a script never speaks of training, and runs a model of this name, or one that it builds by this name.

    A notebook is none: the cell that trains may be the next to be written.
    """
    if source.file.endswith(NOTEBOOK_SUFFIX):
        return False
    models = {
        target.id
        for statement in source.tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)
        for target in statement.targets
        if isinstance(target, ast.Name) and name in {target.id, last_name(statement.value.func)}
    }
    calls = (node for statement in source.tree.body if not _is_definition(statement) for node in nodes_of(statement))
    runs = any(isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id in models for one in calls)
    return runs and not any(map(_trains, nodes_of(source.tree)))


def _is_definition(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ClassDef | ast.FunctionDef)


def is_passing(definition: ast.ClassDef, source: Source) -> bool:
    """Whether all that a file does with a class is to build it where a function computes something, and to forget it there."""
    built = [node for node in source.every(ast.Call) if _is_name(node.func, definition.name)]
    if not built or not all(_is_forgotten(call, source) for call in built):
        return False
    named = [sum(_is_name(node, definition.name) for node in nodes_of(tree)) for tree in (source.tree, definition)]
    return named[0] - named[1] == len(built)


def _is_forgotten(call: ast.Call, source: Source) -> bool:
    """Whether a variable of a function that returns something holds what a call builds, and is called and no more."""
    function = source.function_around(call)
    nodes = [] if function is None else list(nodes_of(function))
    assigned = (node for node in nodes if isinstance(node, ast.Assign) and unmoved(node.value) is call)
    names = {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}
    if len(names) != 1 or not any(isinstance(node, ast.Return) and node.value is not None for node in nodes):
        return False
    reads = sum(isinstance(node, ast.Name) and node.id in names for node in nodes)
    calls = sum(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names for node in nodes
    )
    return reads == calls + 1


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _leaves(node: ast.AST, name: str) -> bool:
    """Whether a node hands on what a variable holds to whoever called, or to what outlives the call."""
    match node:
        case ast.Return(value=ast.expr() as value) | ast.Yield(value=ast.expr() as value):
            return _reads(value, name)
        case ast.Assign(targets=targets, value=value):
            return _reads(value, name) and not all(isinstance(target, ast.Name) for target in targets)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return name in names
        case _:
            return False


def _trains(node: ast.AST) -> bool:
    """Whether a name speaks of training."""
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word) | ast.keyword(arg=str(word)):
            return _TRAINING.search(word) is not None
        case _:
            return False


def _reads(value: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in nodes_of(value))
