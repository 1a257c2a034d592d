"""INI207: the padding row is zeroed again behind the initializer."""

from __future__ import annotations

import ast
import re

from initlint.fix.fixers.construction import argument, construction
from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.fixers.target import bare_tensor, method_receiver, target_of
from initlint.fix.lines import written_after
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import bound_names, spell
from initlint.fix.spot import Function
from initlint.model import Fix
from initlint.syntax import nodes_of

_EMBEDDING = "torch.nn.Embedding"
_OWN_LOOPS = frozenset({"parameters", "named_parameters", "modules", "named_modules"})
_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def zero_again(scene: Scene) -> Fix | Refusal:
    """The row zeroed in the next statement: in the way it was filled, and where there may be none, after a test."""
    call = scene.call
    target = None if call is None else target_of(scene.source, call)
    if call is None or target is None or not isinstance(scene.spot.around[0], ast.Expr):
        return Refusal("the call is part of another statement")
    if isinstance(target, ast.Name):
        return _behind_loop(scene, call, target.id)
    if not isinstance(target, ast.Attribute) or target.attr != "weight":
        return Refusal("what it fills is not named as a weight")
    holder = scene.source.snippet(target.value)
    if "(" in holder or "\n" in holder:
        return Refusal("what it fills is computed")
    lines = _zeroing(scene, call, holder, _condition(scene, target.value, holder))
    edit = written_after(scene.source, scene.spot.statement, lines)
    return fix("Zero the padding row again", "unsafe", None if edit is None else [edit])


def _zeroing(scene: Scene, call: ast.Call, holder: str, condition: str) -> list[str]:
    row = f"{holder}.padding_idx"
    receiver = method_receiver(scene.source, call)
    spelling = spell(scene.source, _taken(scene))
    function = spelling.function("zeros_")
    if isinstance(call.func, ast.Attribute) and receiver is None and _is_init(scene, call):
        function = f"{scene.source.snippet(call.func.value)}.zeros_"
    tensor = receiver if receiver is not None else call.args[0] if call.args else None
    plain = tensor is None or bare_tensor(tensor) is tensor
    if not plain or spelling.required_import(f"{function}(") is not None:
        statement = f"{holder}.weight.data[{row}].zero_()"
    elif receiver is not None:
        statement = f"{holder}.weight[{row}].zero_()"
    else:
        statement = f"{function}({holder}.weight[{row}])"
    return [statement] if not condition else [f"if {condition}:", f"{scene.source.indent}{statement}"]


def _is_init(scene: Scene, call: ast.Call) -> bool:
    return scene.source.dotted(call.func).startswith("torch.nn.init.")


def _taken(scene: Scene) -> frozenset[str]:
    return frozenset() if scene.spot.function is None else bound_names(scene.spot.function)


def _condition(scene: Scene, holder: ast.expr, text: str) -> str:
    """What must hold for there to be a padding row; empty where there surely is one."""
    present = f"{text}.padding_idx is not None"
    built = _construction(scene, text)
    if built is not None:
        return "" if _has_row(scene, built) else present
    if isinstance(holder, ast.Attribute) or _is_embedding_here(scene, text):
        return present
    spelling = spell(scene.source, _taken(scene))
    return f"isinstance({text}, {spelling.module_class('Embedding')}) and {present}"


def _construction(scene: Scene, text: str) -> ast.Call | None:
    """The call that builds the embedding of that name."""
    built = construction(scene.spot, text)
    return built if built is not None and scene.source.dotted(built.func) == _EMBEDDING else None


def _has_row(scene: Scene, built: ast.Call) -> bool:
    """Whether an embedding is built with a number for its padding row, as far as its function shows."""
    row = argument(built, "padding_idx", 2)
    if isinstance(row, ast.Constant):
        return isinstance(row.value, int)
    if not isinstance(row, ast.Name):
        return False
    around = [node for node in scene.source.nodes if isinstance(node, Function) and built in nodes_of(node)]
    arguments = around[-1].args if around else None
    if arguments is None:
        return False
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return any(
        each.arg == row.id and isinstance(each.annotation, ast.Name) and each.annotation.id == "int" for each in given
    )


def _is_embedding_here(scene: Scene, text: str) -> bool:
    """Whether a test around the call lets in nothing but embeddings."""
    inner: ast.AST = scene.spot.statement
    for node in scene.spot.outside:
        if isinstance(node, ast.If) and inner in node.body:
            for test in node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]:
                match test:
                    case ast.Call(func=ast.Name(id="isinstance"), args=[subject, kind]):
                        if scene.source.snippet(subject) == text and scene.source.dotted(kind) == _EMBEDDING:
                            return not isinstance(node.test, ast.BoolOp) or isinstance(node.test.op, ast.And)
                    case _:
                        pass
        inner = node
    return False


def _behind_loop(scene: Scene, call: ast.Call, name: str) -> Fix | Refusal:
    """Behind a loop over the parameters of the class, each embedding that it met by its attribute."""
    loop = next((node for node in scene.spot.outside if isinstance(node, ast.For)), None)
    definition = scene.spot.definition
    if loop is None or definition is None or not _runs_over_self(loop):
        return Refusal("no expression names the embedding")
    lines: list[str] = []
    for layer in sorted({str(event.detail("layer")) for event in scene.events}):
        owner, _, path = layer.partition(".")
        if owner != definition.name or not _PATH.fullmatch(path):
            return Refusal("no expression names the embedding")
        holder = f"self.{path}"
        built = _construction(scene, holder)
        sure = built is not None and _has_row(scene, built)
        lines += _zeroing(scene, call, holder, "" if sure else f"{holder}.padding_idx is not None")
    edit = written_after(scene.source, loop, lines)
    return fix("Zero the padding row again", "unsafe", None if edit is None else [edit])


def _runs_over_self(loop: ast.For) -> bool:
    match loop.iter:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=walk), args=[], keywords=[]):
            return walk in _OWN_LOOPS
        case _:
            return False
