"""What each kind of statement does."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial

from initlint.source.attributes import delete_attribute, get_item, set_attribute, set_item
from initlint.source.decorators import decorated, register
from initlint.source.functions import bind_class, make_function
from initlint.source.imports import import_from, import_names
from initlint.source.in_place import carry_on, changed, put_in, stands_for_many
from initlint.source.initialization import rescale
from initlint.source.machine import Flow, Frame, Machine, Raised
from initlint.source.misuse import inspect_discarded
from initlint.source.operators import binary
from initlint.source.presence import tested_parts
from initlint.source.removals import delete_item
from initlint.source.rounds import loop_rounds, subject_of
from initlint.source.sequences import elements, repeats, unpacked
from initlint.source.sweeps import loop_sweep, swept, told_of_subject
from initlint.source.symbols import ABSENT, UNKNOWN, Sym, Unknown
from initlint.source.torch_modules import append_all
from initlint.source.types import narrowed
from initlint.source.values import Choice, External, Instance, ListV, ParamV, Scope, TensorV, View, truth
from initlint.source.variants import without_variants
from initlint.syntax import is_main_guard

_WITH_GRADIENTS = frozenset({"torch.enable_grad", "torch.autocast"})
_MOST_ROUNDS = 400
_MOST_WHILE = 64
_MOST_TOIL = 4_000
"""Steps that a loop may take without meeting a new part of a model: it trains, or fills a table of all pairs of positions."""


def assign(machine: Machine, target: ast.expr, value: object, frame: Frame) -> None:
    """Bind `target` to `value`."""
    if isinstance(target, ast.Name):
        scope = frame.scope
        if frame.elsewhere and frame.elsewhere.get(target.id, scope) is not scope:
            scope = frame.elsewhere[target.id]
            machine.touched.append(scope)
            machine.globals.remember(scope, target.id)
        if scope.parent is None and scope.data.get(target.id, value) is not value:
            machine.repeats.outdate()
        machine.touch(scope)
        scope.data[target.id] = value
    elif isinstance(target, ast.Attribute):
        set_attribute(machine, machine.evaluate(target.value, frame), target.attr, value, target, frame)
    elif isinstance(target, ast.Subscript):
        container = machine.evaluate(target.value, frame)
        put_in(machine, target.value, container, value, frame)
        set_item(machine, container, machine.evaluate(target.slice, frame), value, target, frame)
    elif isinstance(target, (ast.Tuple, ast.List)):
        _unpack(machine, target.elts, value, frame)
    elif isinstance(target, ast.Starred):
        assign(machine, target.value, value, frame)


def _unpack(machine: Machine, targets: list[ast.expr], value: object, frame: Frame) -> None:
    starred = next((index for index, each in enumerate(targets) if isinstance(each, ast.Starred)), None)
    values = unpacked(machine, value, len(targets), starred)
    for target, each in zip(targets, values, strict=True):
        assign(machine, target, each, frame)


def _assign(machine: Machine, node: ast.Assign, frame: Frame) -> Flow:
    value = machine.evaluate(node.value, frame)
    for target in node.targets:
        assign(machine, target, value, frame)
    return Flow.NEXT


def _annotated(machine: Machine, node: ast.AnnAssign, frame: Frame) -> Flow:
    if node.value is not None:
        assign(machine, node.target, machine.evaluate(node.value, frame), frame)
    return Flow.NEXT


def _loaded(target: ast.Name | ast.Attribute) -> ast.expr:
    """The expression that reads what an assignment to `target` writes."""
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    return ast.copy_location(ast.Attribute(target.value, target.attr, ast.Load()), target)


def _augmented(machine: Machine, node: ast.AugAssign, frame: Frame) -> Flow:
    target = node.target
    value = machine.evaluate(node.value, frame)
    if isinstance(target, ast.Subscript):
        container = machine.evaluate(target.value, frame)
        key = machine.evaluate(target.slice, frame)
        old = get_item(machine, container, key, target, frame)
        new = binary(machine, type(node.op), old, value, node, frame)
        put_in(machine, target.value, container, new, frame)
        set_item(machine, container, key, new, target, frame)
        return Flow.NEXT
    old = machine.evaluate(_loaded(target), frame)
    if isinstance(old, ListV) and isinstance(node.op, ast.Add):
        items = elements(machine, value, node, frame)
        machine.touch(old)
        old.data = old.data + (items or [])
        old.repeats |= items is None or repeats(value) or machine.repeating > old.depth
        return Flow.NEXT
    if isinstance(old, Instance) and old.torch_class and isinstance(node.op, ast.Add):
        append_all(machine, old, elements(machine, value, node, frame) or [])
        return Flow.NEXT
    if isinstance(old, (ParamV, View)) and isinstance(node.op, (ast.Mult, ast.Div)):
        rescale(machine, old, value, machine.place(node, frame), divides=isinstance(node.op, ast.Div))
        return Flow.NEXT
    assign(machine, target, binary(machine, type(node.op), old, value, node, frame), frame)
    return Flow.NEXT


def _expression(machine: Machine, node: ast.Expr, frame: Frame) -> Flow:
    if isinstance(node.value, ast.Constant):
        return Flow.NEXT
    before = machine.serial
    value = machine.evaluate(node.value, frame)
    if isinstance(value, Instance) and value.serial > before:
        value.discarded = True
        inspect_discarded(machine, value, node.value, frame)
    changed(machine, node.value, value, frame)
    return Flow.NEXT


def _return(machine: Machine, node: ast.Return, frame: Frame) -> Flow:
    frame.returned.append(None if node.value is None else machine.evaluate(node.value, frame))
    return Flow.RETURN


def _if(machine: Machine, node: ast.If, frame: Frame) -> Flow:
    if is_main_guard(node.test):
        return Flow.NEXT
    known = truth(machine.evaluate(node.test, frame))
    if machine.sweep is not None:
        machine.sweep.note(node, told_of_subject(machine, node.test, known, frame), frame.file)
    if known is not None:
        return machine.execute(node.body if known else node.orelse, frame)
    told = narrowed(machine, node.test, frame)
    if told is None:
        branches = [partial(machine.execute, node.body, frame), partial(machine.execute, node.orelse, frame)]
    else:
        target, passing, failing = told
        branches = [
            partial(_execute_with, machine, target, passing, node.body, frame),
            partial(_execute_with, machine, target, failing, node.orelse, frame),
        ]
    staying: list[bool] = []
    ways = [partial(_try_way, run, staying, way) for way, run in zip((True, False), branches, strict=True)]
    parts = tested_parts(machine, node.test, frame)
    if parts is not None:
        ways[parts.way] = partial(parts.watch, ways[parts.way])
    flow = machine.fork(ways, frame)
    if parts is not None:
        parts.settle(machine)
    if len(staying) == 1:
        _conclude(machine, node.test, frame, holds=staying[0])
    return flow


def _try_way(run: Callable[[], Flow], staying: list[bool], way: bool) -> Flow:  # noqa: FBT001 - how a test came out
    """Run a branch, and note that it does not leave the function."""
    flow = run()
    if flow is not Flow.RETURN:
        staying.append(way)
    return flow


def _conclude(machine: Machine, test: ast.expr, frame: Frame, *, holds: bool) -> None:
    """Behind ``if x: raise`` or ``if x: return`` the name x stands for something false, if nothing was known of it."""
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, holds = test.operand, not holds
    if not holds and isinstance(test, ast.Name) and isinstance(machine.evaluate(test, frame), (Unknown, Sym)):
        assign(machine, test, Choice((False, None)), frame)


def _execute_with(machine: Machine, target: ast.expr, value: object, body: list[ast.stmt], frame: Frame) -> Flow:
    """Run a branch in which more is known of `target`."""
    assign(machine, target, value, frame)
    return machine.execute(body, frame)


class _Toil:
    """The steps that a loop has spent since it last met a parameter or a module that it had not met before."""

    __slots__ = ("_begun", "_machine", "_met")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._begun, self._met = machine.steps, machine.met

    @property
    def is_vain(self) -> bool:
        """Whether the rounds to come will hardly meet a new one, as those of a loop that trains."""
        machine = self._machine
        if machine.steps - self._begun <= _MOST_TOIL:
            return False
        met = machine.met
        if met == self._met:
            return True
        self._begun, self._met = machine.steps, met
        return False


def _for(machine: Machine, node: ast.For | ast.AsyncFor, frame: Frame) -> Flow:
    sweep = loop_sweep(machine, node, frame)
    if sweep is None:
        return _left(machine, frame, partial(_loop, machine, node, frame))
    with swept(machine, sweep):
        return _left(machine, frame, partial(_loop, machine, node, frame))


def _left(machine: Machine, frame: Frame, loop: Callable[[], Flow]) -> Flow:
    """Run a loop; where a branch may have left it, its names are joined with those of its end."""
    around, frame.left = frame.left, []
    try:
        flow = loop()
    finally:
        left, frame.left = frame.left, around
    if flow is not Flow.RETURN:
        machine.rejoin(left, frame)
    return flow


def _loop(machine: Machine, node: ast.For | ast.AsyncFor, frame: Frame) -> Flow:
    iterable = machine.evaluate(node.iter, frame)
    items = elements(machine, iterable, node, frame)
    if items is not None and len(items) > 1:
        items = without_variants(machine, items)
    unknown = items is None
    many = unknown or repeats(iterable)
    parts = items is not None and _is_part(items[-1:])
    turns = [UNKNOWN] if items is None else items[: None if parts else _MOST_ROUNDS]
    rounds = loop_rounds(machine, node, turns, frame)
    machine.repeating += many
    if machine.forwarding and (many or stands_for_many(iterable, turns)):
        carry_on(machine, node.body, frame)
    toil, last = _Toil(machine), False
    try:
        for item in turns:
            if item is ABSENT:
                continue
            if not many and not parts and toil.is_vain:
                machine.repeating += 1  # one more round stands for all that are left
                last = True
            assign(machine, node.target, item, frame)
            subject = None if rounds is None else subject_of(item)
            flow: object
            if rounds is None or subject is None:
                flow = _maybe_absent_round(machine, node, item, frame)
            else:
                flow = rounds.run(subject, partial(machine.execute, node.body, frame))
            if flow is Flow.BREAK:
                return Flow.NEXT
            if flow is Flow.RETURN:
                return flow
            if last:
                break
    finally:
        machine.repeating -= many + last
    return _otherwise(machine, node, frame)


def _otherwise(machine: Machine, node: ast.For | ast.AsyncFor, frame: Frame) -> Flow:
    """The ``else`` of a loop, which is passed by where the loop was left."""
    run = partial(machine.execute, node.orelse, frame)
    return machine.fork([run, lambda: Flow.NEXT], frame) if node.orelse and frame.left else run()


def _is_part(last: list[object]) -> bool:
    """Whether a loop goes over modules or parameters, none of which may be left out however many there are."""
    item = last[0] if last else None
    return isinstance(item[-1] if isinstance(item, tuple) and item else item, (Instance, ParamV))


def _maybe_absent_round(machine: Machine, node: ast.For | ast.AsyncFor, item: object, frame: Frame) -> Flow:
    """One round; it is only tried where the item may not exist."""
    if isinstance(item, Choice) and ABSENT in item.alternatives:
        present = machine.join([each for each in item.alternatives if each is not ABSENT])
        assign(machine, node.target, present, frame)
        return machine.fork([partial(machine.execute, node.body, frame), lambda: Flow.NEXT], frame)
    return machine.execute(node.body, frame)


def _while(machine: Machine, node: ast.While, frame: Frame) -> Flow:
    return _left(machine, frame, partial(_turns, machine, node, frame))


def _turns(machine: Machine, node: ast.While, frame: Frame) -> Flow:
    toil = _Toil(machine)
    for _ in range(_MOST_WHILE):
        if toil.is_vain:
            break
        known = truth(machine.evaluate(node.test, frame))
        if known is False:
            return Flow.NEXT
        endless = known is None or isinstance(node.test, ast.Constant)
        machine.repeating += endless
        try:
            flow = machine.execute(node.body, frame)
        finally:
            machine.repeating -= endless
        if flow is Flow.BREAK or (endless and flow is not Flow.RETURN):
            return Flow.NEXT
        if flow is Flow.RETURN:
            return flow
    return Flow.NEXT


def _try(machine: Machine, node: ast.Try, frame: Frame) -> Flow:
    try:
        flow = _guarded(machine, node, frame)
        if flow is Flow.NEXT:
            flow = machine.execute(node.orelse, frame)
    except Raised:
        if not node.handlers:
            machine.execute(node.finalbody, frame)
            raise
        flow = machine.execute(node.handlers[0].body, frame)
    last = machine.execute(node.finalbody, frame)
    return last or flow


def _guarded(machine: Machine, node: ast.Try, frame: Frame) -> Flow:
    """The body of a ``try``: what it raises, a handler may expect."""
    machine.guarded += bool(node.handlers)
    try:
        return machine.execute(node.body, frame)
    finally:
        machine.guarded -= bool(node.handlers)


def _with(machine: Machine, node: ast.With | ast.AsyncWith, frame: Frame) -> Flow:
    quiet, guarding = 0, False
    for item in node.items:
        guarding |= _suppresses(machine, item.context_expr, frame)
        manager = machine.evaluate(item.context_expr, frame)
        if not isinstance(manager, External) or manager.name not in _WITH_GRADIENTS:
            quiet += 1
        if item.optional_vars is not None:
            assign(machine, item.optional_vars, UNKNOWN if isinstance(manager, External) else manager, frame)
    machine.no_grad += quiet
    machine.guarded += guarding
    try:
        return machine.execute(node.body, frame)
    except Raised:
        if guarding:
            return Flow.NEXT
        raise
    finally:
        machine.no_grad -= quiet
        machine.guarded -= guarding


def _suppresses(machine: Machine, manager: ast.expr, frame: Frame) -> bool:
    """Whether a ``with`` expects what its body raises: ``contextlib.suppress(ValueError)``."""
    if not isinstance(manager, ast.Call) or not manager.args:
        return False
    function = machine.evaluate(manager.func, frame)
    return isinstance(function, External) and function.name == "contextlib.suppress"


def _raise(machine: Machine, node: ast.Raise, frame: Frame) -> Flow:
    raise Raised


def _assert(machine: Machine, node: ast.Assert, frame: Frame) -> Flow:
    if truth(machine.evaluate(node.test, frame)) is False and machine.branching:
        raise Raised
    return Flow.NEXT


def _function(machine: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> Flow:
    machine.touch(frame.scope)
    scope = frame.elsewhere.get(node.name, frame.scope)
    function = make_function(machine, node, frame)
    scope.data[node.name] = decorated(machine, node, function, frame)
    if node.decorator_list:
        register(machine, node, function, frame)
    return Flow.NEXT


def _class(machine: Machine, node: ast.ClassDef, frame: Frame) -> Flow:
    made = bind_class(machine, node, frame)
    machine.touch(frame.scope)
    frame.scope.data[node.name] = made
    if node.decorator_list:
        register(machine, node, made, frame)
    return Flow.NEXT


def _delete(machine: Machine, node: ast.Delete, frame: Frame) -> Flow:
    for target in node.targets:
        if isinstance(target, ast.Name):
            machine.touch(frame.scope)
            frame.scope.data.pop(target.id, None)
        elif isinstance(target, ast.Attribute):
            delete_attribute(machine, machine.evaluate(target.value, frame), target.attr)
        elif isinstance(target, ast.Subscript):
            delete_item(machine, target, frame)
    return Flow.NEXT


def _import(machine: Machine, node: ast.Import, frame: Frame) -> Flow:
    import_names(machine, node, frame)
    return Flow.NEXT


def _import_from(machine: Machine, node: ast.ImportFrom, frame: Frame) -> Flow:
    import_from(machine, node, frame)
    return Flow.NEXT


def _global(machine: Machine, node: ast.Global, frame: Frame) -> Flow:
    module = _module_scope(frame.scope)
    frame.elsewhere.update(dict.fromkeys(node.names, module))
    return Flow.NEXT


def _module_scope(scope: Scope) -> Scope:
    while scope.parent is not None:
        scope = scope.parent
    return scope


def _nonlocal(machine: Machine, node: ast.Nonlocal, frame: Frame) -> Flow:
    for name in node.names:
        scope = frame.scope.parent
        while scope is not None and name not in scope.data:
            scope = scope.parent
        if scope is not None:
            frame.elsewhere[name] = scope
    return Flow.NEXT


def _match(machine: Machine, node: ast.Match, frame: Frame) -> Flow:
    subject = machine.evaluate(node.subject, frame)
    tried: list[Callable[[], Flow]] = []
    for case in node.cases:
        verdict = _matches(machine, case.pattern, subject, frame)
        if verdict is False or (case.guard is not None and truth(machine.evaluate(case.guard, frame)) is False):
            continue
        tried.append(partial(machine.execute, case.body, frame))
        if verdict and case.guard is None:
            break
    else:
        tried.append(lambda: Flow.NEXT)
    return tried[0]() if len(tried) == 1 else machine.fork(tried, frame)


def _matches(machine: Machine, pattern: ast.pattern, subject: object, frame: Frame) -> bool | None:
    if isinstance(pattern, ast.MatchValue):
        from initlint.source.operators import compare

        return truth(compare(machine, ast.Eq, subject, machine.evaluate(pattern.value, frame), pattern, frame))
    if isinstance(pattern, ast.MatchSingleton):
        return None if subject is UNKNOWN or isinstance(subject, (ParamV, TensorV)) else subject is pattern.value
    if isinstance(pattern, ast.MatchOr):
        verdicts = [_matches(machine, each, subject, frame) for each in pattern.patterns]
        return True if True in verdicts else None if None in verdicts else False
    if isinstance(pattern, ast.MatchAs):
        if pattern.pattern is None:
            if pattern.name:
                assign(machine, ast.Name(pattern.name), subject, frame)
            return True
        return _matches(machine, pattern.pattern, subject, frame)
    return None


STATEMENTS: dict[type[ast.stmt], Callable[..., Flow]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Expr: _expression,
    ast.Return: _return,
    ast.If: _if,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Raise: _raise,
    ast.Assert: _assert,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Delete: _delete,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Global: _global,
    ast.Nonlocal: _nonlocal,
    ast.Match: _match,
    ast.Break: lambda *_: Flow.BREAK,
    ast.Continue: lambda *_: Flow.CONTINUE,
}
