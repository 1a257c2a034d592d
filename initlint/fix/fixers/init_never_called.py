"""INI301: the method is called at the end of the constructor of its class."""

from __future__ import annotations

import ast
import re

from initlint.fix.closing import closes
from initlint.fix.containers import is_container
from initlint.fix.fixers.constructor import Constructor, attributes, initializes
from initlint.fix.fixers.scene import Scene, fix
from initlint.fix.lines import written_after
from initlint.fix.recommend import Refusal
from initlint.fix.spelling import Source
from initlint.knowledge import Knowledge
from initlint.model import Fix
from initlint.syntax import nodes_of

_LOADING = re.compile("load|pretrain")
_SHORTEST = 3
_WALKS = frozenset(
    {"modules", "named_modules", "children", "named_children", "parameters", "named_parameters", "apply"}
)


def call_it(scene: Scene) -> Fix | Refusal:
    """``self.init_weights()``, or ``self.apply(self.init_weights)`` for a method that initializes one module."""
    method, definition = scene.spot.node, scene.spot.definition
    if not isinstance(method, ast.FunctionDef) or definition is None or method not in definition.body:
        return Refusal("it is not certain which model it is for")
    constructor = Constructor.of(definition)
    if constructor is None:
        return Refusal("its class has no __init__")
    is_owner = any(
        scene.source.is_header(definition, one) or scene.source.contains(definition, one) for one in scene.owned
    )
    if not is_owner and not _is_module(scene.source, definition):
        return Refusal("it is not certain that its class is a module")
    if constructor.returns or any(initializes(each) for each in constructor.body):
        return Refusal("__init__ initializes or loads weights already")
    if _is_disabled(scene.source, definition, method.name):
        return Refusal("a comment mentions it: it may be switched off on purpose")
    if _names_a_manner(method.name, scene.knowledge):
        return Refusal("it is one of several ways to start, which its users may choose")
    if any(isinstance(node, ast.Call) and _LOADING.search(_name(node.func)) for node in nodes_of(method)):
        return Refusal("it may load weights")
    rivals = [node for node in definition.body if isinstance(node, ast.FunctionDef) and _is_found(scene, node)]
    if len(rivals) > 1 or _is_overridden(scene.source, definition, method.name):
        return Refusal("there is another that may be meant")
    call = _call(method)
    if call is None:
        return Refusal("it is not certain what it is to be called with")
    if attributes(method) - _known(definition, constructor):
        return Refusal("it uses what __init__ does not surely build")
    if (missing := _asked_of_container(method, constructor)) is not None:
        return Refusal(f"a container has no {missing}")
    last = next((each for each in reversed(constructor.body) if not closes(each)), constructor.body[-1])
    edit = written_after(scene.source, last, [call])
    return fix(f"Call {call} at the end of __init__", "unsafe", None if edit is None else [edit])


def _is_disabled(source: Source, definition: ast.ClassDef, name: str) -> bool:
    """Whether a comment inside the class speaks of the method."""
    first, last = source.start(definition)[0], source.end(definition)[0]
    return any(re.search(rf"#.*\b{name}\b", source.lines.line(line)) for line in range(first, last + 1))


def _names_a_manner(name: str, knowledge: Knowledge) -> bool:
    """Whether a public method says in what way it initializes: ``zero_init``, ``init_xavier``."""
    functions = [one.rpartition(".")[2] for one in knowledge.initializers if one.startswith("torch.nn.init.")]
    manners = {word for function in functions for word in function.split("_") if word}
    said = [word for word in name.lower().split("_") if len(word) >= _SHORTEST]
    return not name.startswith("_") and any(manner.startswith(word) for word in said for manner in manners)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_module(source: Source, definition: ast.ClassDef) -> bool:
    """Whether a class is surely a module: by its bases, as far as the file has them."""
    local = {node.name: node for node in source.tree.body if isinstance(node, ast.ClassDef)}
    pending, seen = [definition], {definition.name}
    while pending:
        for base in pending.pop().bases:
            name = source.dotted(base)
            if name == "torch.nn.Module":
                return True
            if name in local and name not in seen:
                seen.add(name)
                pending.append(local[name])
    return False


def _is_found(scene: Scene, node: ast.FunctionDef) -> bool:
    start = scene.source.start(node)
    return any((site.line, site.column) == start for site in scene.sites)


def _is_overridden(source: Source, definition: ast.ClassDef, name: str) -> bool:
    """Whether a class of the file that inherits from this one has a method of that name."""
    family = {definition.name}
    for node in source.every(ast.ClassDef):
        if node is definition or not any(source.dotted(base) in family for base in node.bases):
            continue
        family.add(node.name)
        if any(isinstance(each, ast.FunctionDef) and each.name == name for each in node.body):
            return True
    return False


def _call(method: ast.FunctionDef) -> str | None:
    """The call that the signature and the body of a method admit; None where they admit none, or several."""
    arguments = method.args
    if arguments.kwonlyargs or arguments.posonlyargs or arguments.vararg or arguments.kwarg:
        return None
    if any(isinstance(node, ast.Return) and node.value is not None for node in nodes_of(method)):
        return None
    decorators = {node.id for node in method.decorator_list if isinstance(node, ast.Name)}
    if "classmethod" in decorators:
        return None
    given = [each.arg for each in arguments.args]
    if "staticmethod" not in decorators:
        if given[:1] != ["self"]:
            return None
        given = given[1:]
    required = given[: len(given) - len(arguments.defaults)] if arguments.defaults else given
    if not required and "staticmethod" not in decorators:
        return f"self.{method.name}()"
    return f"self.apply(self.{method.name})" if len(required) == 1 and _takes_module(method, required[0]) else None


def _asked_of_container(method: ast.FunctionDef, constructor: Constructor) -> str | None:
    """The reset that a method asks of one of torch's containers, none of which has any: it would raise when called."""
    containers = {
        ast.unparse(target)
        for statement in constructor.body
        if isinstance(statement, ast.Assign) and is_container(statement.value)
        for target in statement.targets
    }
    for node in nodes_of(method):
        match node:
            case ast.Call(func=ast.Attribute(value=holder, attr=name)) if name.startswith(("reset_", "init_")):
                if ast.unparse(holder) in containers:
                    return name
            case _:
                pass
    return None


def _takes_module(method: ast.FunctionDef, name: str) -> bool:
    """Whether a method looks at the class of its argument and walks over nothing: made for `apply`."""
    nodes = list(nodes_of(method))
    walks = any(isinstance(node, ast.Attribute) and node.attr in _WALKS for node in nodes)
    tests = any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("isinstance", "type")
        and bool(node.args)
        and isinstance(node.args[0], ast.Name)
        and node.args[0].id == name
        for node in nodes
    )
    return tests and not walks


def _known(definition: ast.ClassDef, constructor: Constructor) -> frozenset[str]:
    """The attributes that `self` surely has at the end of `__init__`."""
    assigned = [each for each in constructor.body if isinstance(each, ast.Assign | ast.AnnAssign)]
    methods = {node.name for node in definition.body if isinstance(node, ast.FunctionDef)}
    return attributes(*assigned, context=ast.Store) | methods | _WALKS
