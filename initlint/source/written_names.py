"""What the initializers in a function write to, as the code names it: ``self.weight``, ``module``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from initlint.syntax import last_name, nodes_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
IsInitializer = Callable[[ast.expr], bool]

_SAME_MEMORY = (".data", ".detach()")
_UNFILLED = frozenset({"empty", "new_empty", "empty_like", "Tensor", "FloatTensor", "DoubleTensor"})
_PARAMETERS = frozenset({"Parameter", "Buffer"})


def written(node: Function, is_initializer: IsInitializer) -> Iterator[ast.expr]:
    """The target of every call of an initializer: its first argument, or what its method belongs to."""
    own = _own_names(node)
    for each in nodes_of(node):
        if isinstance(each, ast.Call) and is_initializer(each.func):
            holder = each.func.value if isinstance(each.func, ast.Attribute) else None
            if holder is not None and root(holder) in own:
                yield holder
            elif each.args:
                yield each.args[0]


def is_filled_in(node: Function, target: str, is_initializer: IsInitializer) -> bool:
    """Whether the function initializes or copies something into `target`, spelled ``self.centers``, or assigns to it."""
    if any(spelled(each) == target for each in written(node, is_initializer)):
        return True
    assigned = (one for each in nodes_of(node) if isinstance(each, ast.Assign) for one in each.targets)
    return any(spelled(one.value if isinstance(one, ast.Subscript) else one) == target for one in assigned)


def root(node: ast.expr) -> str:
    """``self`` of ``self.layers[0].weight``; empty where it begins in no name."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def made_here(node: Function) -> frozenset[str]:
    """The variables that hold what the function itself has constructed."""
    return frozenset(
        target.id
        for each in nodes_of(node)
        if isinstance(each, ast.Assign)
        and isinstance(each.value, ast.Call)
        and last_name(each.value.func)[:1].isupper()
        for target in each.targets
        if isinstance(target, ast.Name)
    )


def filled_by_constructor(definition: ast.ClassDef, is_initializer: IsInitializer) -> frozenset[str]:
    """What ``__init__`` initializes of its object, or makes parameters of that hold numbers already."""
    constructor = next(
        (each for each in definition.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None
    )
    if constructor is None:
        return frozenset()
    found = {spelled(each) for each in written(constructor, is_initializer)}
    for each in nodes_of(constructor):
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call) and _is_filled(each.value):
            found.update(spelled(target) for target in each.targets)
    return frozenset(found)


def spelled(target: ast.expr) -> str:
    """``self.weight`` for ``self.weight.data``, which is the same memory."""
    text = ast.unparse(target)
    for ending in _SAME_MEMORY:
        text = text.removesuffix(ending)
    return text


def _own_names(node: Function) -> frozenset[str]:
    arguments = node.args
    given = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    bound = {each.id for each in nodes_of(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return frozenset(given | bound)


def _is_filled(call: ast.Call) -> bool:
    """Whether ``nn.Parameter(torch.zeros(4))`` is what is called: made of anything but fresh memory."""
    made_of = call.args[0] if call.args else None
    return (
        last_name(call.func) in _PARAMETERS
        and isinstance(made_of, ast.Call)
        and not any(isinstance(each, ast.Call) and last_name(each.func) in _UNFILLED for each in nodes_of(made_of))
    )
