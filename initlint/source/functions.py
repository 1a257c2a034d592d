"""Functions and classes of the project: how they are made, called and instantiated."""

from __future__ import annotations

import ast
from functools import partial

from initlint.source.enumerations import is_enumeration, make_members, member_of, members
from initlint.source.escape import escape
from initlint.source.machine import MOST_DEPTH, Flow, Frame, Machine, Raised
from initlint.source.message_passing import leave_to_facts
from initlint.source.records import call_post_init, fill_record, is_record
from initlint.source.replay import replayed
from initlint.source.rounds import called_rounds
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.values import (
    Arguments,
    Bound,
    Builtin,
    ClassV,
    DictV,
    External,
    FunctionV,
    Instance,
    ListV,
    Partial,
    Scope,
    SuperV,
    TensorV,
    present,
)

_MOST_RECURSION = 24
_MOST_UNCERTAIN_RECURSION = 2
_CALLED = (ClassV, External, FunctionV, Instance, Partial)
_CHOOSING = (*_CALLED, str)
_WITHOUT_CODE = frozenset({"typing", "abc", "enum", "collections", "dataclasses", "typing_extensions", "builtins"})


def make_function(
    machine: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, frame: Frame
) -> FunctionV:
    """The function that `node` defines in `frame`."""
    arguments = node.args
    defaults = tuple(machine.evaluate(default, frame) for default in arguments.defaults)
    keyword_defaults = tuple(
        ABSENT if each is None else machine.evaluate(each, frame) for each in arguments.kw_defaults
    )
    return FunctionV(node, frame.scope.enclosing, defaults, keyword_defaults)


def _is_generator(machine: Machine, function: FunctionV) -> bool:
    node = function.node
    known = machine.generators.get(node)
    if known is None:
        known = "yield" in function.scope.file.words and isinstance(node.body, list) and _yields(node.body)
        machine.generators[node] = known
    return known


def _yields(body: list[ast.stmt]) -> bool:
    """Whether these statements make a generator: a yield outside nested functions."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            pending += ast.iter_child_nodes(node)
    return False


def bind_class(machine: Machine, node: ast.ClassDef, frame: Frame) -> ClassV:
    """Run a class body and make the class."""
    bases = tuple(machine.evaluate(base, frame) for base in node.bases)
    scope = Scope(frame.file, frame.scope, is_class=True)
    made = machine.ahead.get(node)
    if isinstance(made, ClassV):
        made.scope = scope
        made.inherit(bases)
    else:
        made = ClassV(node.name, node, scope, bases)
    inner = Frame(scope)
    for statement in node.body:
        try:
            machine.execute((statement,), inner)
        except Raised:
            continue
    made.data = scope.data
    made.remade = any(base.remade for base in bases if isinstance(base, ClassV)) or any(
        _remakes(machine.evaluate(each.value, frame)) for each in node.keywords if each.arg == "metaclass"
    )
    leave_to_facts(machine, made)
    if is_enumeration(made):
        make_members(machine, made)
    for value in made.data.values():
        _own(made, value)
    return made


def _own(cls: ClassV, value: object) -> None:
    """Let a method know its class, and so the method that a wrapper closes over."""
    if not isinstance(value, FunctionV) or value.owner is not None:
        return
    value.owner = cls
    body = [] if cls.node is None else cls.node.body
    for each in value.scope.data.values() if value.node not in body else ():
        if isinstance(each, FunctionV) and each.node in body:
            _own(cls, each)


def _remakes(metaclass: object) -> bool:
    """Whether a class of classes of the project has a hand in making the objects."""
    return isinstance(metaclass, ClassV) and metaclass.lookup("__call__") is not ABSENT


def implicit_super(frame: Frame) -> object:
    """``super()`` without arguments."""
    function = frame.function
    if function is None or function.owner is None:
        return UNKNOWN
    return SuperV(function.owner, frame.receiver)


def call_function(machine: Machine, function: FunctionV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """Run the body of `function` on `arguments`."""
    running = machine.active.get(function.node, 0)
    if machine.depth >= MOST_DEPTH or running >= (_MOST_UNCERTAIN_RECURSION if machine.branching else _MOST_RECURSION):
        return UNKNOWN if machine.forwarding else escape(machine, function, arguments, node, frame)
    machine.repeats.entered += 1
    machine.called.add(function.node)
    machine.read.add(function.scope.file.path)
    machine.ran.add(function.node)
    run = partial(_run_body, machine, function, arguments, node, frame)
    if arguments.positional and type(arguments.positional[0]) is TensorV and function.scope.parent is None:
        return replayed(machine, function, arguments, run)
    earlier = called_rounds(machine, function, arguments)
    if earlier is None:
        return run()
    rounds, subject = earlier
    return rounds.run(subject, run)


def _run_body(machine: Machine, function: FunctionV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """What the body of `function` returns."""
    running = machine.active.get(function.node, 0)
    scope = Scope(function.scope.file, function.scope)
    scope.data.update(bound_arguments(machine, function, arguments))
    receiver = arguments.positional[0] if arguments.positional else None
    inner = Frame(scope, function, receiver)
    if isinstance(function.node, ast.Lambda):
        return machine.evaluate(function.node.body, inner)
    machine.depth += 1
    machine.no_grad += function.quiet
    machine.active[function.node] = running + 1
    machine.calls.append(machine.place(node, frame))
    try:
        flow = machine.execute(function.node.body, inner)
    except Raised:
        if not inner.returned:
            raise
        flow = Flow.RETURN  # where the last path raises, one of those that returned before was taken
    finally:
        machine.calls.pop()
        if running:
            machine.active[function.node] = running
        else:
            machine.active.pop(function.node, None)
        machine.no_grad -= function.quiet
        machine.depth -= 1
    if inner.yielded or (flow is Flow.NEXT and _is_generator(machine, function)):
        return ListV(inner.yielded)
    if flow is not Flow.RETURN or not inner.returned:
        inner.returned.append(None)
    if len(inner.returned) > 1:
        _drop_bare_none(inner.returned)
    return machine.join(inner.returned)


def _drop_bare_none(returned: list[object]) -> None:
    """Where some path returns a value, the paths that return nothing are errors or early exits."""
    kept = [value for value in returned if value is not None]
    if kept:
        returned[:] = kept


def bound_arguments(machine: Machine, function: FunctionV, arguments: Arguments) -> dict[str, object]:
    """Parameters to values; what a caller must give and did not is a symbol of its own."""
    signature = function.node.args
    names = machine.signatures.get(function.node)
    if names is None:
        names = machine.signatures[function.node] = [each.arg for each in (*signature.posonlyargs, *signature.args)]
    positional = arguments.positional
    bound: dict[str, object] = dict(zip(names, positional, strict=False))
    keywords = arguments.keywords
    used = 0
    if len(bound) < len(names):
        first_default = len(names) - len(function.defaults)
        for position in range(len(bound), len(names)):
            name = names[position]
            if name in keywords:
                default = ABSENT if position < first_default else function.defaults[position - first_default]
                bound[name] = present(keywords[name], default)
                used += 1
            elif position < first_default or arguments.open:
                bound[name] = missing(machine, function, name, is_open=arguments.open)
            else:
                bound[name] = function.defaults[position - first_default]
    for each, default in zip(signature.kwonlyargs, function.keyword_defaults, strict=True):
        if each.arg in keywords:
            bound[each.arg] = present(keywords[each.arg], default)
            used += 1
        else:
            is_open = default is ABSENT or (arguments.open and not isinstance(default, _CHOOSING))
            bound[each.arg] = missing(machine, function, each.arg, is_open=arguments.open) if is_open else default
    if signature.vararg:
        rest = positional[len(names) :]
        bound[signature.vararg.arg] = (
            ListV([*rest, UNKNOWN], repeats=True) if arguments.open and not rest else tuple(rest)
        )
    if signature.kwarg:
        others: dict[object, object] = {}
        if used < len(keywords):
            others = {name: value for name, value in keywords.items() if name not in bound}
        bound[signature.kwarg.arg] = DictV(others, open_=arguments.open)
    return bound


def missing(machine: Machine, function: FunctionV, name: str, *, is_open: bool) -> object:
    """A parameter that nobody gave: an instance of the configuration class it is annotated with, else a symbol."""
    cls = _record(machine, function, name)
    if cls is not None:
        given = Arguments([], open=is_open and bool(machine.staying))
        return instantiate(machine, cls, given, function.node, Frame(function.scope))
    owner = f"{function.owner.name}." if function.owner else ""
    return Sym.named(f"{owner}{function.name}.{name}")


def _record(machine: Machine, function: FunctionV, name: str) -> ClassV | None:
    """The configuration class that a parameter is annotated with."""
    given = function.node.args
    parameters = (*given.posonlyargs, *given.args, *given.kwonlyargs)
    annotation = next((each.annotation for each in parameters if each.arg == name), None)
    if isinstance(annotation, (ast.Name, ast.Attribute)) and machine.depth < MOST_DEPTH // 2:
        cls = machine.evaluate(annotation, Frame(function.scope))
        if isinstance(cls, ClassV) and is_record(cls):
            return cls
    return None


def call_openly(machine: Machine, value: object, node: ast.AST, frame: Frame, *, named: bool) -> None:
    """Call a function or a class on arguments of which nothing is known, but for the defaults that stay.

    The same holds for the fields of a configuration that it is given.
    """
    machine.staying = _CHOOSING if named else _CALLED
    given = Arguments([], called_defaults(value, named=named), open=True)
    try:
        if isinstance(value, ClassV):
            instantiate(machine, value, given, node, frame)
        elif isinstance(value, FunctionV):
            call_function(machine, value, given, node, frame)
    finally:
        machine.staying = ()


def takes_words(machine: Machine, value: object) -> bool:
    """Whether the default of a parameter is a word, or may be one in the configuration that it is."""
    function = value.lookup("__init__") if isinstance(value, ClassV) else value
    if not isinstance(function, FunctionV):
        return False
    if len(called_defaults(value, named=True)) > len(called_defaults(value)):
        return True
    given = function.node.args
    parameters = (*given.posonlyargs, *given.args, *given.kwonlyargs)
    return any(_record(machine, function, each.arg) is not None for each in parameters if each.annotation)


def called_defaults(value: object, *, named: bool = False) -> dict[str, object]:
    """The parameters of a function or a constructor whose defaults are themselves called: functions, classes, modules.

    With what is `named`, those whose defaults are words, too: of several kinds of a thing a word chooses one.
    """
    function = value.lookup("__init__") if isinstance(value, ClassV) else value
    if not isinstance(function, FunctionV):
        return {}
    signature = function.node.args
    positional = [each.arg for each in (*signature.posonlyargs, *signature.args)]
    defaults = [
        *zip(positional[len(positional) - len(function.defaults) :], function.defaults, strict=True),
        *zip([each.arg for each in signature.kwonlyargs], function.keyword_defaults, strict=True),
    ]
    kept = _CHOOSING if named else _CALLED
    return {name: default for name, default in defaults if isinstance(default, kept)}


def instantiate(machine: Machine, cls: ClassV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``cls(...)``."""
    from initlint.source.constructions import constructed

    return constructed(machine, cls, arguments, node, frame, partial(_construct, machine, cls, arguments, node, frame))


def _construct(machine: Machine, cls: ClassV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """An object of `cls`, made by running its code."""
    from initlint.source.mappings import call_inherited, hold_items, items_of
    from initlint.source.torch_modules import adopt_torch_base, construct_torch_part

    machine.called.add(cls.node or node)
    machine.read.add(cls.file.path)
    if is_enumeration(cls) and members(cls):
        found = member_of(machine, cls, arguments.get(0, "value"))
        if found is ABSENT:
            raise Raised
        return found
    place = machine.place(node, frame)
    instance = machine.new_instance(cls, place)
    adopt_torch_base(machine, instance)
    instance.uncertain |= cls.remade
    hold_items(cls, instance)
    maker = cls.lookup("__new__")
    if isinstance(maker, FunctionV) and not instance.torch_class:
        made = call_function(
            machine, maker, Arguments([cls, *arguments.positional], arguments.keywords, arguments.open), node, frame
        )
        if made is not UNKNOWN and not isinstance(made, Sym):
            return made
    initializer = cls.lookup("__init__")
    if isinstance(initializer, FunctionV):
        given = Arguments([instance, *arguments.positional], arguments.keywords, arguments.open)
        call_function(machine, initializer, given, node, frame)
        if is_record(cls):
            call_post_init(machine, cls, instance, node, frame)
    elif is_record(cls):
        fill_record(machine, cls, instance, arguments, frame)
        call_post_init(machine, cls, instance, node, frame)
    elif instance.torch_class:
        construct_torch_part(machine, instance, arguments, node, frame)
    elif (items := items_of(instance)) is not None:
        call_inherited(machine, items, "__init__", arguments, node, frame)
    return instance


def call_bound(machine: Machine, bound: Bound, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """A method of the project: the receiver comes first. A module whose ``forward`` a program calls by its name is fed, too."""
    module = bound.receiver
    if not machine.forwarding and isinstance(module, Instance) and module.torch_class and _is_forward_of(bound, module):
        from initlint.source.forward import run_forward

        return run_forward(machine, module, arguments, node, frame)
    given = Arguments([bound.receiver, *arguments.positional], arguments.keywords, arguments.open)
    sweep = machine.sweep
    if sweep is None or bound.receiver is sweep.root or bound.receiver not in sweep.seen:
        return call_function(machine, bound.function, given, node, frame)
    machine.sweep = None  # a module that is asked to initialize itself knows what it is
    try:
        return call_function(machine, bound.function, given, node, frame)
    finally:
        machine.sweep = sweep


def _is_forward_of(bound: Bound, module: Instance) -> bool:
    """Whether a method is what calling its module runs, not that of a class which it inherits from."""
    return isinstance(module.cls, ClassV) and module.cls.lookup("forward") is bound.function


def call_instance(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``instance(...)``: `__call__`, or the forward pass of a module."""
    from initlint.source.forward import run_forward

    own = instance.cls.lookup("__call__") if isinstance(instance.cls, ClassV) else ABSENT
    if isinstance(own, FunctionV):
        return call_bound(machine, Bound(own, instance), arguments, node, frame)
    if instance.torch_class:
        return run_forward(machine, instance, arguments, node, frame)
    return escape(machine, instance.cls, arguments, node, frame)


def harmless_base(base: object) -> bool:
    """A base class outside the project that brings no code of its own."""
    return isinstance(base, Builtin) or (isinstance(base, External) and base.name.partition(".")[0] in _WITHOUT_CODE)
