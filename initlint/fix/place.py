"""Where calls go: the end of `__init__`, an init method that it calls, or right after a variable's assignment."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from initlint.fix.access import Access, read_access
from initlint.fix.bindings import Binding, bindings_in, is_bound_by_all
from initlint.fix.choosers import is_chosen, is_optional
from initlint.fix.closing import closes
from initlint.fix.naming import Function, function_around, returned_container
from initlint.fix.rebinding import unbinds
from initlint.fix.recommend import Refusal
from initlint.fix.resets import resetting_method, resetting_method_of_local
from initlint.fix.spelling import Source
from initlint.model import Layer, Site
from initlint.syntax import last_name, nodes_of

_INITIALIZING = re.compile(
    r"^apply$|^_?(init|reset)\w*(weight|param)|^(xavier|kaiming|normal|uniform|orthogonal|constant)_"
)
_INIT_METHOD = re.compile(r"init|reset|weight|param")
_WRITERS = frozenset(
    {
        "apply",
        "modules",
        "named_modules",
        "children",
        "named_children",
        "parameters",
        "named_parameters",
        "reset_parameters",
    }
)
_DEPLOYMENT = re.compile(r"(?:^|_)(?:inference|deploy\w*)(?:$|_)")
_LOADERS = re.compile(r"load|from_pretrained|deepcopy")


@dataclass(frozen=True, slots=True)
class Meeting:
    """The place behind a condition all of whose branches bind the same root, and what they bind to it."""

    place: Place
    values: tuple[ast.expr, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Next to which statement code is inserted, and for which layer that was found out.

    `value` is what the root was bound to, `function` and `definition` are around the anchor; `extends` says that the
    function is an init method of the author's, `nested` that the anchor stands in an inner block, `naming` is the name
    to give to what the anchor returns, `meeting` where the branches meet that all build such a layer.
    """

    source: Source
    anchor: ast.stmt
    before: bool
    access: Access
    value: ast.expr
    function: Function | None = None
    definition: ast.ClassDef | None = None
    extends: bool = False
    nested: bool = False
    naming: str | None = None
    meeting: Meeting | None = None

    def takes(self, activation: str, site: Site | None, known: Mapping[str, bool]) -> bool:
        """Whether who builds the model chooses the activation at a site, or whether there is any; `known` as in `is_chosen`."""
        builder = self.function if self.definition is None else _method(self.definition, "__init__")
        if builder is None:
            return False
        scope = self.definition or builder
        optional = site is not None and is_optional(builder, scope, self.access.root_text, self.source, site)
        return optional or is_chosen(builder, scope, activation, known)

    @property
    def key(self) -> tuple[str, int, int, bool]:
        """What two layers share whose calls are written together."""
        return self.source.file, self.anchor.lineno, self.anchor.col_offset, self.before


def find_place(layer: Layer, sources: Callable[[str], Source | None]) -> Place | Refusal:
    """Where the calls for one layer are written, or why nowhere."""
    access = read_access(layer.access) if layer.access is not None else None
    if access is None:
        return Refusal("no expression names the layer where it could be initialized")
    if not access.owner:
        source = sources(layer.site.file)
        return Refusal("its file cannot be read") if source is None else _beside_variable(layer, access, source)
    homes = list(_homes(layer, sources))
    if not homes:
        return Refusal("the class that holds it is in no file that can be rewritten")
    for source, definition in homes:
        constructor = _method(definition, "__init__")
        if constructor is None or not _is_method(constructor):
            continue
        bindings = list(_class_bindings(definition, constructor, access))
        if bindings:
            beside = _in_builder(layer, access, source, definition, constructor)
            place = beside or _in_class(layer, access, source, definition, constructor, bindings)
            return place if isinstance(place, Refusal) else _lasting(place, definition)
    return Refusal("the class that holds it does not build it in __init__")


def find_place_in_owner(layer: Layer, sources: Callable[[str], Source | None]) -> Place | Refusal:
    """Where the calls for a layer that its class inherits are written so that no other heir gets them."""
    source = None if layer.owner_site is None else sources(layer.owner_site.file)
    definition = None if source is None or layer.owner_site is None else _class_at(source, layer.owner_site)
    access = None if layer.access is None else read_access(layer.access)
    constructor = None if definition is None else _method(definition, "__init__")
    if source is None or definition is None or access is None or constructor is None or not _is_method(constructor):
        return Refusal("other classes that inherit it use it otherwise")
    bindings = [one for one in bindings_in(constructor.body, replace(access, root=None)) if not one.conditions]
    place = _in_class(layer, access, source, definition, constructor, bindings)
    return place if isinstance(place, Refusal) else _lasting(place, definition)


def _lasting(place: Place, definition: ast.ClassDef) -> Place | Refusal:
    """The same place, unless another method initializes the layer anew when somebody calls it."""
    writer = place.function
    resetting = None if writer is None else resetting_method(definition, place.access, writer)
    return place if resetting is None else Refusal(f"{resetting} initializes it anew")


def _homes(layer: Layer, sources: Callable[[str], Source | None]) -> Iterator[tuple[Source, ast.ClassDef]]:
    """The classes a call may be written into: the layer's owner, then the class whose text builds it."""
    if layer.owner_site is not None:
        source = sources(layer.owner_site.file)
        definition = None if source is None else _class_at(source, layer.owner_site)
        if source is not None and definition is not None:
            yield source, definition
    source = sources(layer.site.file)
    if source is not None:
        around = [node for node in source.every(ast.ClassDef) if source.contains(node, layer.site)]
        if around:
            yield source, around[-1]


def _class_at(source: Source, site: Site) -> ast.ClassDef | None:
    return next((node for node in source.every(ast.ClassDef) if source.is_header(node, site)), None)


def _method(definition: ast.ClassDef, name: str) -> Function | None:
    return next((one for one in definition.body if isinstance(one, ast.FunctionDef) and one.name == name), None)


def _is_method(function: Function) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args]
    return bool(arguments) and arguments[0].arg == "self"


def _class_bindings(definition: ast.ClassDef, constructor: Function, access: Access) -> Iterator[Binding]:
    """Where `__init__`, or a method it calls, binds the root of an access."""
    found = False
    for binding in bindings_in(constructor.body, access):
        found = True
        yield binding
    if found:
        return
    for statement in constructor.body:
        method = _called_method(definition, statement)
        if method is not None:
            for binding in bindings_in(method.body, access):
                yield Binding(statement, tuple(constructor.body), binding.value, binding.conditions)


def _called_method(definition: ast.ClassDef, statement: ast.stmt) -> Function | None:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name))):
            return _method(definition, name)
        case _:
            return None


def _in_class(
    layer: Layer,
    access: Access,
    source: Source,
    definition: ast.ClassDef,
    constructor: Function,
    bindings: list[Binding],
) -> Place | Refusal:
    binding = _the_binding(layer, source, bindings)
    if binding is None:
        return Refusal("it is built in several places")
    if isinstance(binding.value, ast.IfExp | ast.BoolOp):
        return Refusal("it is built only under a condition")
    conditions = [one for one in binding.conditions if not isinstance(one, ast.With)]
    if any(not isinstance(one, ast.If) for one in conditions):
        return Refusal("it is built in a loop")
    if conditions and binding.statement in constructor.body:
        return Refusal("it is built only under a condition, in another method")
    if any(_is_deployed(one, binding.statement) for one in conditions):
        return Refusal("it is built for weights that are loaded into it")
    place = _behind(layer, access, source, definition, constructor, replace(binding, conditions=tuple(conditions)))
    if isinstance(place, Place) and conditions and conditions[0] in constructor.body:
        return replace(place, meeting=_meeting(layer, place, definition, constructor, conditions[0]))
    return place


def _meeting(
    layer: Layer, place: Place, definition: ast.ClassDef, constructor: Function, condition: ast.stmt
) -> Meeting | None:
    """Where the branches of a condition meet, if each of them binds the root that a place is for."""
    if not isinstance(condition, ast.If) or not is_bound_by_all(condition, place.access):
        return None
    binding = Binding(condition, tuple(constructor.body), place.value, ())
    found = _behind(layer, place.access, place.source, definition, constructor, binding)
    values = tuple(one.value for one in bindings_in([condition], place.access))
    return Meeting(found, values) if isinstance(found, Place) else None


def _behind(
    layer: Layer,
    access: Access,
    source: Source,
    definition: ast.ClassDef,
    constructor: Function,
    binding: Binding,
) -> Place | Refusal:
    """The place in the block of a binding where its layer is built, nothing replaces it and the author initializes, too."""
    conditions = binding.conditions
    body = list(binding.block) if conditions else constructor.body
    start = _last_index(body, source, binding, layer.weight.site)
    barrier = next((index for index, one in enumerate(body) if index >= start and _calls(one, _LOADERS)), len(body))
    if barrier == start and barrier < len(body):
        return Refusal("it is loaded or copied where it is built")
    built = max((index for index, one in enumerate(body) if source.contains(one, layer.site)), default=start)
    later = range(max(start, built) + 1, barrier)
    barrier = next((index for index in later if unbinds(body[index], access)), barrier)
    # What its author scales afterwards is scaled after any initializer.
    barrier = next((index for index in later if index < barrier and _rescales(body[index])), barrier)
    if not conditions:
        extended = _init_method(source, definition, constructor, start, barrier)
        if extended is not None:
            resets = [one for one in extended.body if _resets(one, access)]
            anchor, before = (resets[-1], False) if resets else _end_of(extended.body, len(extended.body))
            return Place(source, anchor, before, access, binding.value, extended, definition, extends=True)
        wrote = [index for index in range(start + 1, barrier) if _writes(body[index])]
        if layer.weight.source == "explicit" and wrote:
            return Place(
                source,
                body[wrote[-1]],
                before=False,
                access=access,
                value=binding.value,
                function=constructor,
                definition=definition,
            )
    handed = (index for index in range(max(start, built) + 1, barrier) if _hands_on_parameters(body[index]))
    barrier = next(handed, barrier)
    while barrier - 1 > max(start, built) and closes(body[barrier - 1]):
        barrier -= 1
    # What initializes where its test says so is the caller's choice, and comes last.
    chosen = (index for index in range(start + 1, barrier) if isinstance(body[index], ast.If))
    barrier = next((index for index in chosen if _may_initialize(body[index], access)), barrier)
    anchor, before = _end_of(body, barrier)
    return Place(source, anchor, before, access, binding.value, constructor, definition, nested=bool(conditions))


def _in_builder(
    layer: Layer, access: Access, source: Source, definition: ast.ClassDef, constructor: Function
) -> Place | None:
    """At the end of the method that builds the layer for `__init__`, if it initializes others there, or others may call it.

    Then what it builds is built anew. Nothing may be initialized or loaded behind it.
    """
    found = [(index, one) for index, one in enumerate(constructor.body) if _builds(definition, one, access)]
    if len(found) != 1 or any(_writes(one) or _calls(one, _LOADERS) for one in constructor.body[found[0][0] + 1 :]):
        return None
    method = _called_method(definition, found[0][1])
    bindings = [] if method is None else list(bindings_in(method.body, access))
    if method is None or len(bindings) != 1 or not _is_method(method):
        return None
    if not (_initializes(method) or _may_be_called_again(method, source)):
        return None
    place = _in_class(layer, access, source, definition, method, bindings)
    return place if isinstance(place, Place) and not place.nested else None


def _builds(definition: ast.ClassDef, statement: ast.stmt, access: Access) -> bool:
    """Whether a statement of `__init__` calls the method that binds the root of an access."""
    method = _called_method(definition, statement)
    return method is not None and any(True for _ in bindings_in(method.body, access))


def _may_be_called_again(method: Function, source: Source) -> bool:
    """Whether others may call a method of a class that its `__init__` calls: its name is public, or called elsewhere."""
    if not method.name.startswith("_"):
        return True
    called = (one.func for one in source.every(ast.Call))
    return sum(isinstance(one, ast.Attribute) and one.attr == method.name for one in called) > 1


def _initializes(method: Function) -> bool:
    """Whether statements of a method call something in place, as initializers do."""
    return any(
        isinstance(one, ast.Expr) and isinstance(one.value, ast.Call) and last_name(one.value.func).endswith("_")
        for one in method.body
    )


def _the_binding(layer: Layer, source: Source, bindings: list[Binding]) -> Binding | None:
    if len(bindings) > 1:
        around = [binding for binding in bindings if source.contains(binding.statement, layer.site)]
        bindings = around or [binding for binding in bindings if _uses_list(layer, source, binding)]
    return bindings[0] if len(bindings) == 1 else None


def _uses_list(layer: Layer, source: Source, binding: Binding) -> bool:
    """Whether a binding unpacks a local list that a statement before it puts the layer into."""
    names = {
        node.value.id
        for node in nodes_of(binding.value)
        if isinstance(node, ast.Starred) and isinstance(node.value, ast.Name)
    }
    for statement in binding.block:
        if statement is binding.statement:
            return False
        if source.contains(statement, layer.site):
            return any(isinstance(node, ast.Name) and node.id in names for node in nodes_of(statement))
    return False


def _last_index(body: list[ast.stmt], source: Source, binding: Binding, written: Site | None) -> int:
    """The index of the last statement that builds the layer or writes its weight, which to scale it is not."""
    built = [index for index, one in enumerate(body) if one is binding.statement or binding.statement in nodes_of(one)]
    wrote = [
        index
        for index, one in enumerate(body)
        if written is not None and source.contains(one, written) and not _rescales(one)
    ]
    return max([*built, *wrote], default=0)


def _is_deployed(condition: ast.stmt, statement: ast.stmt) -> bool:
    """Whether a statement runs only where a model is built for inference, as its condition says."""
    if not isinstance(condition, ast.If):
        return False
    test, branch = condition.test, condition.body
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, branch = test.operand, condition.orelse
    flag = last_name(test)
    return bool(_DEPLOYMENT.search(flag)) and any(statement in nodes_of(one) for one in branch)


def _rescales(statement: ast.stmt) -> bool:
    """Whether a statement makes the weight of a layer larger or smaller: ``self.fc.weight.data *= eps``."""
    match statement:
        case ast.AugAssign(target=target, op=ast.Mult() | ast.Div()):
            return any(isinstance(node, ast.Attribute) and node.attr == "weight" for node in nodes_of(target))
        case _:
            return False


def _hands_on_parameters(statement: ast.stmt) -> bool:
    """Whether a statement gives the model's parameters to what trains them: ``Adam(self.parameters())``."""
    calls = (node for node in nodes_of(statement) if isinstance(node, ast.Call))
    given = (argument for call in calls for argument in (*call.args, *(one.value for one in call.keywords)))
    return any(ast.unparse(argument) == "self.parameters()" for argument in given)


def _end_of(body: list[ast.stmt], stop: int) -> tuple[ast.stmt, bool]:
    """The anchor for code that runs last among `body[:stop]`, and whether it goes before the anchor."""
    if stop < len(body):
        return body[stop], True
    return body[-1], isinstance(body[-1], ast.Return)


def _init_method(
    source: Source, definition: ast.ClassDef, constructor: Function, start: int, stop: int
) -> Function | None:
    """The author's own init method, if `__init__` calls it after the layer is built and nothing is written later."""
    for statement in reversed(constructor.body[start + 1 : stop]):
        called = statement.body[0] if isinstance(statement, ast.If) and not statement.orelse else statement
        method = _called_method(definition, called)
        if method is not None and _INIT_METHOD.search(method.name) and _is_method(method) and _writes(method):
            returns = [node for node in nodes_of(method) if isinstance(node, ast.Return | ast.Yield)]
            outermost = source.start(method)[1] < source.start(method.body[0])[1]
            return method if not returns and outermost else None
        if _writes(statement):
            return None
    return None


def _resets(statement: ast.stmt, access: Access) -> bool:
    """Whether a statement gives a layer torch's default anew: ``self.fc.reset_parameters()``."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=target, attr="reset_parameters"))):
            return ast.unparse(target) == access.text
        case _:
            return False


def _writes(node: ast.AST) -> bool:
    """Whether code visits modules or parameters, or calls something in place."""
    names = [last_name(one.func) for one in nodes_of(node) if isinstance(one, ast.Call)]
    return any(name in _WRITERS or (name.endswith("_") and not name.endswith("__")) for name in names)


def _calls(node: ast.AST, pattern: re.Pattern[str]) -> bool:
    """Whether code calls a function whose name matches."""
    return any(isinstance(one, ast.Call) and bool(pattern.search(last_name(one.func))) for one in nodes_of(node))


def _may_initialize(statement: ast.stmt, access: Access) -> bool:
    """Whether code may initialize a layer: it walks modules or calls a method for that, or it names the layer, or who knows what."""
    calls = (one for one in nodes_of(statement) if isinstance(one, ast.Call))
    for call in calls:
        name = last_name(call.func)
        if not _INITIALIZING.search(name):
            continue
        function = call.func.value if isinstance(call.func, ast.Attribute) else None
        targets = [
            one for one in (function, *call.args[:1]) if one is not None and ast.unparse(one).startswith("self.")
        ]
        if not name.endswith("_") or not targets or any(_is_within(one, access) for one in targets):
            return True
    return False


def _is_within(target: ast.expr, access: Access) -> bool:
    """Whether an expression names the root of an access, or a part of it."""
    return f"{ast.unparse(target)}.".startswith((f"{access.root_text}.", f"{access.root_text}["))


def _beside_variable(layer: Layer, access: Access, source: Source) -> Place | Refusal:
    """Right after the assignment to a variable, or after the later statement of its block that wrote the weight."""
    function = function_around(layer, source)
    found = list(bindings_in(source.tree.body if function is None else function.body, access))
    if len(found) > 1:
        found = [binding for binding in found if source.contains(binding.statement, layer.site)]
    if not found:
        return _before_return(layer, access, source)
    if len(found) > 1:
        return Refusal("it is built in several places")
    binding = found[0]
    if isinstance(binding.value, ast.IfExp | ast.BoolOp):
        return Refusal("it is built only under a condition")
    around = [one for one in source.every(ast.ClassDef) if function in one.body]
    resetting = resetting_method_of_local(around[0], access, function) if around and function is not None else None
    if resetting is not None:
        return Refusal(f"{resetting} initializes it anew")
    anchor = binding.block[_last_index(list(binding.block), source, binding, layer.weight.site)]
    return Place(source, anchor, before=False, access=access, value=binding.value, function=function, nested=True)


def _before_return(layer: Layer, access: Access, source: Source) -> Place | Refusal:
    """Between the building of a container and its return, which gives it a name."""
    function = function_around(layer, source)
    returned = None if function is None else returned_container(function)
    if function is None or returned is None or returned.value is None:
        return Refusal("the statement that builds it was not found")
    return Place(
        source,
        returned,
        before=False,
        access=access,
        value=returned.value,
        function=function,
        nested=True,
        naming=access.root,
    )
