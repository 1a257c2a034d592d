"""INI312: a text argument goes where it belongs, spelled as torch spells it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import inserted, replaced
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source, bound_names, spell
from initlint.knowledge import Knowledge
from initlint.model import Edit, Fix

_MODES = ("fan_in", "fan_out")
_RAISING = frozenset({"mode", "nonlinearity", "slope"})
_SYNONYMS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "normal": {"stddev": "std", "stdev": "std", "sigma": "std", "mu": "mean"},
        "uniform": {"low": "a", "high": "b", "minval": "a", "maxval": "b"},
        "constant": {"value": "val"},
        "kaiming": {"slope": "a", "negative_slope": "a"},
    }
)
"""What other libraries call the arguments of these families."""


_PLACES = ("tensor", "a", "mode", "nonlinearity")


@dataclass(frozen=True, slots=True)
class _Text:
    """A text argument, the name it was given under (None: by its position), and where it belongs, as torch spells it.

    `stays` says that it stands at the position where it belongs, and that nothing before it is moved.
    """

    node: ast.expr
    name: ast.keyword | None
    written: str
    belongs: str
    value: str
    stays: bool = False


def correct(scene: Scene) -> Fix | Refusal:
    """The argument that was meant, where only one can have been."""
    call, problem = scene.call, scene.word("problem")
    if call is None or any(isinstance(one, ast.Starred) for one in call.args) or _has_unpacking(call):
        return Refusal("the argument is not written in the call")
    if scene.word("function") == "calculate_gain":
        return _calculated(scene, call) if problem == "nonlinearity" else Refusal("no slope is certain")
    if problem in _RAISING or problem == "mode-as-slope":
        return _sorted_texts(scene, call)
    if problem == "gain":
        return _gain(scene, call, "gain")
    if problem == "unexpected":
        return _unexpected(scene, call)
    return Refusal("no argument is certain")


def spelled(value: str, knowledge: Knowledge) -> str | None:
    """The nonlinearity that torch knows and that has the gain of the one named; ``relu`` for ``GELU``."""
    folded = _fold(value)
    known = next((name for name in knowledge.gains if _fold(name) == folded), None)
    if known is not None:
        return known
    activation = next((one for name, one in knowledge.activations.items() if _fold(name) == folded), None)
    if activation is None or activation.exempt:
        return None
    recommended = activation.recommended.get("nonlinearity")
    return str(recommended) if recommended in knowledge.gains and "a" not in activation.recommended else None


def _fold(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


def _has_unpacking(call: ast.Call) -> bool:
    return any(each.arg is None for each in call.keywords)


def _calculated(scene: Scene, call: ast.Call) -> Fix | Refusal:
    node = next((one for one in (*call.args[:1], *(each.value for each in call.keywords)) if _text(one)), None)
    written = None if node is None else _text(node)
    if node is None or written is None:
        return Refusal("the argument is not written in the call")
    value = spelled(written, scene.knowledge)
    if value is None:
        return Refusal(f"torch has no gain like that of '{written}'")
    return fix(f"Write '{value}'", "safe", [_revalued(scene.source, node, value)])


def _sorted_texts(scene: Scene, call: ast.Call) -> Fix | Refusal:
    """Every text argument of a Kaiming call under the name that it belongs to."""
    texts = _texts(call, scene.knowledge)
    if isinstance(texts, Refusal):
        return texts
    if not texts:
        return Refusal("the argument is not written in the call")
    names = [each.belongs for each in texts]
    moved = {each.name for each in texts}
    names += [each.arg for each in call.keywords if each not in moved and each.arg is not None]
    if len(names) > len(set(names)):
        return Refusal("the call names the argument twice")
    if _is_followed_by_position(call, texts) or _takes_another_place(call, names, texts):
        return Refusal("a positional argument would come after a named one")
    edits = [edit for each in texts for edit in _placed(scene.source, each)]
    wanted = ", ".join(f"{each.belongs}='{each.value}'" for each in texts if list(_placed(scene.source, each)))
    harmless = scene.word("problem") in _RAISING or all(
        each.value == _MODES[0] for each in texts if each.belongs == "mode"
    )
    return fix(f"Write {wanted}", "safe" if harmless else "unsafe", edits)


def _texts(call: ast.Call, knowledge: Knowledge) -> list[_Text] | Refusal:
    found = []
    given: list[tuple[ast.expr, ast.keyword | None]] = [
        *((one, None) for one in call.args),
        *((each.value, each) for each in call.keywords),
    ]
    in_place = True
    for index, (node, name) in enumerate(given):
        written = _text(node)
        if written is None:
            continue
        mode = next((mode for mode in _MODES if _fold(mode) == _fold(written)), None)
        nonlinearity = None if mode else spelled(written, knowledge)
        if mode is None and nonlinearity is None:
            return Refusal(f"torch knows nothing like '{written}'")
        belongs = "mode" if mode else "nonlinearity"
        in_place = in_place and name is None and _PLACES[index : index + 1] == (belongs,)
        found.append(_Text(node, name, written, belongs, mode or str(nonlinearity), in_place))
    return found


def _text(node: ast.expr) -> str | None:
    """The text that an argument is."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_followed_by_position(call: ast.Call, texts: Iterable[_Text]) -> bool:
    """Whether an argument that stays positional stands behind one that gets a name."""
    named = [call.args.index(each.node) for each in texts if each.name is None and not each.stays]
    return bool(named) and len(call.args) - min(named) > len(named)


def _takes_another_place(call: ast.Call, names: Iterable[str], texts: Iterable[_Text]) -> bool:
    """Whether an argument that stays positional is one of those that get a name: ``f(w, 0, "fan_in", a=...)``."""
    moved = {each.node for each in texts}
    return any(place in names for place, one in zip(_PLACES, call.args, strict=False) if one not in moved)


def _placed(source: Source, text: _Text) -> Iterable[Edit]:
    """The edits that put a text under its name."""
    if text.name is None and not text.stays:
        yield inserted(source, source.start(text.node), f"{text.belongs}=")
    elif text.name is not None and text.name.arg != text.belongs:
        yield _renamed(source, text.name, text.belongs)
    if text.written != text.value and not (text.belongs == "mode" and text.written.lower() == text.value):
        yield _revalued(source, text.node, text.value)


def _renamed(source: Source, keyword: ast.keyword, name: str) -> Edit:
    line, column = keyword.lineno, source.column(keyword.lineno, keyword.col_offset)
    return Edit(source.file, line, column, line, column + len(keyword.arg or ""), name)


def _revalued(source: Source, node: ast.expr, value: str) -> Edit:
    """Another text in the author's quotes."""
    written = source.snippet(node)
    quote = written[-1]
    return replaced(source, node, f"{quote}{value}{quote}")


def _gain(scene: Scene, call: ast.Call, name: str) -> Fix | Refusal:
    """``gain="relu"`` made the number that it stands for."""
    keyword = next((each for each in call.keywords if each.arg == name), None)
    node = keyword.value if keyword is not None else call.args[1] if len(call.args) > 1 else None
    written = None if node is None else _text(node)
    if node is None or written is None:
        return Refusal("the argument is not written in the call")
    value = spelled(written, scene.knowledge)
    if value is None:
        return Refusal(f"torch has no gain like that of '{written}'")
    source = scene.source
    quote = source.snippet(node)[-1]
    edits = [replaced(source, node, f"{_calculate_gain(scene, call)}({quote}{value}{quote})")]
    if keyword is not None and keyword.arg != "gain":
        edits.append(_renamed(source, keyword, "gain"))
    return fix(f"Calculate the gain of {value}", "safe", edits)


def _calculate_gain(scene: Scene, call: ast.Call) -> str:
    """The function, by the prefix of the call itself."""
    if isinstance(call.func, ast.Attribute):
        return f"{scene.source.snippet(call.func.value)}.calculate_gain"
    function = scene.spot.function
    return spell(scene.source, frozenset() if function is None else bound_names(function)).function("calculate_gain")


def _unexpected(scene: Scene, call: ast.Call) -> Fix | Refusal:
    """An argument by the name that it has elsewhere."""
    fact = scene.knowledge.initializers.get(f"torch.nn.init.{scene.word('function')}")
    name = scene.word("argument")
    given = {each.arg: each for each in call.keywords}
    if fact is None or name not in given:
        return Refusal("no argument is certain")
    if name == "nonlinearity" and fact.formula in ("xavier", "orthogonal") and "gain" not in given:
        return Refusal("the gain is given already") if len(call.args) > 1 else _gain(scene, call, name)
    family = "normal" if fact.formula == "trunc_normal" else fact.formula
    meant = _SYNONYMS.get(family, {}).get(name)
    places = [place for place, _ in fact.signature]
    if meant is None or meant in given or places.index(meant) < len(call.args):
        return Refusal("no argument is certain")
    return fix(f"Write {meant}=", "safe", [_renamed(scene.source, given[name], meant)])
