"""INI313: the layer is built bare, initialized, and wrapped then."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeGuard

from initlint.fix.fixers.constructor import Constructor
from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.fixers.target import target_of
from initlint.fix.fixers.weight_norm import Wrap, is_wrapper
from initlint.fix.lines import moved, written_after
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source, used_names
from initlint.fix.spot import Spot, find_spot, spot_of
from initlint.model import Edit, Event, Fix
from initlint.syntax import nodes_of

_VARIABLES = ("layer", "module", "m")
_CONTAINER = "torch.nn.ModuleList"


def wrap_later(scene: Scene) -> Fix | Refusal:
    """The method that wraps called after the one that initializes, or the layers wrapped after they are initialized."""
    return _swapped(scene) or _wrapped_behind_apply(scene) or _wrapped_in_place(scene)


def _swapped(scene: Scene) -> Fix | Refusal | None:
    """``self.reset_parameters()`` above ``self.apply_weight_norm()``; None where there are no two such methods."""
    definition = scene.spot.definition
    constructor = None if definition is None else Constructor.of(definition)
    if definition is None or constructor is None or scene.spot.function is constructor.node:
        return None
    methods = {node.name: node for node in definition.body if isinstance(node, ast.FunctionDef)}
    initializer = next((name for name, node in methods.items() if node in scene.spot.around), None)
    if initializer is None:
        return None
    wrappers = [name for name, node in methods.items() if _wraps(scene.source, node)]
    for wrapping, calling in pairwise(constructor.body):
        inner = wrapping.body[0] if _is_condition(wrapping) else wrapping
        if _calls(calling, initializer) and any(_calls(inner, name) for name in wrappers):
            edits = moved(scene.source, calling, above=wrapping)
            return fix(f"Call {initializer} before weight_norm is applied", "unsafe", edits)
    return None


def _is_condition(statement: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(statement, ast.If) and len(statement.body) == 1 and not statement.orelse


def _wraps(source: Source, method: ast.FunctionDef) -> bool:
    """Whether a method wraps layers in weight_norm."""
    return any(is_wrapper(source, node) for node in nodes_of(method))


# -- layers that a function is applied to ----------------------------------------------------------------------------------


def _wrapped_behind_apply(scene: Scene) -> Fix | Refusal | None:
    """``weight_norm`` behind each ``self.convs.apply(init_weights)``; None where the initializer is not so applied."""
    applied = {_applied(scene, event) for event in scene.events}
    if None in applied:
        return None
    edits: list[Edit] = []
    for spot in applied:
        written = None if spot is None else _wrapped_again(spot)
        if written is None:
            return Refusal("not all layers that it is applied to are wrapped one by one")
        edits += written
    for spot in _optional([each for each in applied if each is not None]):
        edits += _wrapped_again(spot) or ()
    return fix("Wrap the layers in weight_norm after they are initialized", "unsafe", edits)


def _applied(scene: Scene, event: Event) -> Spot | None:
    """The call of `apply` on an attribute of `self` by which an event came about."""
    for site in reversed(event.related):
        source = scene.read(site.file)
        spot = None if source is None else find_spot(source, site)
        match None if spot is None else spot.node:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=ast.Name(id="self")), attr="apply")):
                return spot
            case _:
                pass
    return None


def _optional(applied: Sequence[Spot]) -> Iterator[Spot]:
    """Where the constructors of such calls make the same of other layers if they are asked to, which no default does."""
    calls = {ast.unparse(each.node): each for each in applied}
    arguments = {ast.unparse(one) for each in applied if isinstance(each.node, ast.Call) for one in each.node.args}
    constructors = {Constructor.around(each): each.source for each in applied}
    for constructor, source in constructors.items():
        for statement in () if constructor is None else constructor.body:
            match statement:
                case ast.If(
                    body=[ast.Expr(value=ast.Call(func=ast.Attribute(attr="apply"), args=[argument]) as call)],
                    orelse=[],
                ) if ast.unparse(argument) in arguments and ast.unparse(call) not in calls:
                    yield spot_of(source, call)
                case _:
                    pass


def _wrapped_again(spot: Spot) -> list[Edit] | None:
    """The edits for one ``self.convs.apply(f)`` in a constructor; None where what it wraps is not certain."""
    source, constructor, call = spot.source, Constructor.around(spot), spot.node
    statement = spot.parent if _is_condition(spot.parent) else spot.statement
    if constructor is None or statement not in constructor.body or not isinstance(spot.around[0], ast.Expr):
        return None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    name = source.snippet(call.func.value)
    above = constructor.body[: constructor.body.index(statement)]
    built = _built(source, above, name)
    wraps = [Wrap.read(source, each) for each in built]
    sure = [each for each in wraps if each is not None and _is_layer(source, each.layer)]
    if not sure or len(sure) < len(wraps):
        return None
    is_one = any(_assigns(each, source, name) and each.value is sure[0].call for each in above)
    variable = next((each for each in _VARIABLES if each not in used_names(constructor.node)), None)
    subject = name if is_one else variable
    if subject is None or len({each.of(subject) for each in sure}) != 1:
        return None
    again = sure[0].of(subject)
    lines = [again] if is_one else [f"for {subject} in {name}:", f"{source.indent}{again}"]
    written = written_after(source, statement, lines)
    return None if written is None else [*(edit for each in sure for edit in each.undone()), written]


def _built(source: Source, statements: list[ast.stmt], name: str) -> list[ast.expr]:
    """What statements build under a name: the value assigned to it, or the members of the list that it is."""
    built: list[ast.expr] = []
    for node in (inner for each in statements for inner in nodes_of(each)):
        match node:
            case ast.Assign(targets=[target], value=value) if source.snippet(target) == name:
                built += _members(source, value)
            case ast.Call(func=ast.Attribute(value=holder), args=arguments) if source.snippet(holder) == name:
                built += arguments
            case _:
                pass
    return built


def _members(source: Source, value: ast.expr) -> list[ast.expr]:
    match value:
        case ast.Call(func=function, args=[]) if source.dotted(function) == _CONTAINER:
            return []
        case ast.Call(func=function, args=[ast.List(elts=members)]) if source.dotted(function) == _CONTAINER:
            return members
        case ast.Call(func=function, args=[ast.ListComp(elt=member) | ast.GeneratorExp(elt=member)]) if (
            source.dotted(function) == _CONTAINER
        ):
            return [member]
        case _:
            return [value]


def _is_layer(source: Source, node: ast.expr) -> bool:
    """Whether an expression builds one layer of torch, not a container of several."""
    name = source.dotted(node.func) if isinstance(node, ast.Call) else ""
    return name.startswith("torch.nn.") and not name.endswith(("Sequential", "ModuleList", "ModuleDict"))


# -- one layer ---------------------------------------------------------------------------------------------------------------


def _wrapped_in_place(scene: Scene) -> Fix | Refusal:
    """``self.conv = nn.Conv1d(...)``, the initializer, then ``weight_norm(self.conv)``, which wraps in place."""
    target = None if scene.call is None else target_of(scene.source, scene.call)
    match target:
        case ast.Attribute(value=ast.Attribute() | ast.Name() as holder, attr="weight"):
            name = scene.source.snippet(holder)
        case _:
            return Refusal("what it writes to is not named as a weight")
    anchor = _anchor(scene)
    if anchor is None:
        return Refusal("it is not initialized where it is built")
    block = spot_of(scene.source, anchor).block
    above = block[: block.index(anchor)]
    wraps = [each for each in above if _assigns(each, scene.source, name)]
    wrap = Wrap.read(scene.source, wraps[0].value) if len(wraps) == 1 else None
    if wrap is None:
        return Refusal("it is not wrapped where it is named")
    last = block[_last_use(scene, block, block.index(anchor), name)]
    written = written_after(scene.source, last, [wrap.of(name)])
    edits = None if written is None else [*wrap.undone(), written]
    return fix(f"Wrap {name} in weight_norm after it is initialized", "unsafe", edits)


def _anchor(scene: Scene) -> ast.stmt | None:
    """The statement that initializes, in the block where the layer is built: the call, or that of its method.

    A ``with torch.no_grad():`` around the call belongs to it.
    """
    statement: ast.stmt = scene.spot.statement
    function, definition = scene.spot.function, scene.spot.definition
    if not isinstance(statement, ast.Expr):
        return None
    outside = list(scene.spot.outside)
    while isinstance(block := outside[0], ast.With):
        statement = block
        del outside[0]
    if function is None or definition is None or function.name == "__init__":
        return statement
    constructor = Constructor.of(definition)
    if constructor is None or outside[0] is not function:
        return None
    calls = [each for each in constructor.body if _calls(each, function.name)]
    mentions = [node for node in nodes_of(definition) if isinstance(node, ast.Attribute) and node.attr == function.name]
    return calls[0] if len(calls) == 1 and len(mentions) == 1 else None


def _calls(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=called))):
            return called == name
        case _:
            return False


def _assigns(statement: ast.stmt, source: Source, name: str) -> TypeGuard[ast.Assign]:
    return isinstance(statement, ast.Assign) and any(source.snippet(each) == name for each in statement.targets)


def _last_use(scene: Scene, block: list[ast.stmt], index: int, name: str) -> int:
    """The last of the statements from the anchor on that write to the layer without a break."""
    while index + 1 < len(block) and _writes(scene, block[index + 1], name):
        index += 1
    return index


def _writes(scene: Scene, statement: ast.stmt, name: str) -> bool:
    """Whether a statement is another initializer of the layer: of its bias, say."""
    if not isinstance(statement, ast.Expr):
        return False
    target = target_of(scene.source, statement.value)
    return isinstance(target, ast.Attribute) and scene.source.snippet(target.value) == name
