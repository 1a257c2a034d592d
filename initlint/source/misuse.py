"""What is wrong with one call of an initializer: its name, its arguments, or what it is called on.

Every function here notes an occurrence or does nothing. What a test that is not understood may prevent is not noted: a
fault of the target counts only where the line certainly runs, a fault of the arguments wherever it stands.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from initlint.source.rebuilding import is_rebuilt
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.torch_modules import number, walk
from initlint.source.values import Arguments, ClassV, External, Instance, Method, ParamV, TensorV, View, quotable
from initlint.syntax import nodes_of

if TYPE_CHECKING:
    from initlint.knowledge import InitializerFact
    from initlint.source.machine import Frame, Machine

_TORCH = "torch.nn.init."
_METHOD = "Tensor."
_NAMED_SPREAD = ("std", "sigma", "stdev", "stddev")
_MODES = frozenset({"fan_in", "fan_out"})
_SCALED_BY_GAIN = frozenset({"xavier", "orthogonal"})
_COPYING = frozenset({"clone", "deepcopy", "copy"})
_WRITES = frozenset({"data", "zero_", "fill_", "normal_", "uniform_", "copy_", "detach", "mul_", "clamp_"})


def inspect_call(
    machine: Machine,
    fact: InitializerFact,
    arguments: Arguments,
    bound: dict[str, object],
    target: object,
    node: ast.AST,
    frame: Frame,
) -> None:
    """Note what is wrong with ``nn.init.kaiming_normal_(target, ...)`` or ``target.normal_(...)``."""
    if fact.deprecated:
        machine.occur(
            "deprecated-initializer", machine.place(node, frame), function=_last(fact.name), successor=fact.canonical
        )
    _inspect_arguments(machine, fact, arguments, bound, node, frame)
    if target is None:
        _write_to_none(machine, node, frame)
    elif isinstance(target, Method):
        missing_attribute(machine, target, node, frame)
    elif isinstance(target, (ParamV, View)):
        machine.reached.add(node)
        owner = (target.param if isinstance(target, View) else target).owner
        if machine.is_certain(owner) if owner is not None else not machine.branching:
            _inspect_target(machine, fact, target, node, frame)
    elif isinstance(target, TensorV):
        machine.reached.add(node)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _inspect_arguments(
    machine: Machine, fact: InitializerFact, arguments: Arguments, bound: dict[str, object], node: ast.AST, frame: Frame
) -> None:
    if arguments.open:
        return
    if fact.formula in ("normal", "trunc_normal", "trunc_normal_tf") and _is_positional_mean(fact, arguments, node):
        mean = arguments.positional[1]
        machine.occur(
            "positional-mean",
            machine.place(node, frame),
            function=fact.canonical,
            mean=quotable(mean),
            text=_second_argument(node),
        )
    if not fact.name.startswith(_TORCH) or fact.deprecated:
        return
    fault = _wrong_signature(fact, arguments, node) or (
        _wrong_kaiming(machine, arguments, bound) if fact.formula == "kaiming" else _wrong_gain(fact, bound)
    )
    if fault is not None:
        problem, name, value, error = fault
        machine.occur(
            "invalid-initializer-argument",
            machine.place(node, frame),
            function=fact.canonical,
            problem=problem,
            argument=name,
            value=quotable(value),
            error=error,
        )


_Fault = tuple[str, str, object, str | None]
"""What is wrong (a key of the check's wording), with which argument, its value, and the exception it raises, if any."""


def _wrong_signature(fact: InitializerFact, arguments: Arguments, node: ast.AST) -> _Fault | None:
    """What does not fit the parameters; a call on ``*args`` that nobody was seen to give misses nothing."""
    names = [name for name, _ in fact.signature]
    unexpected = next((name for name in arguments.keywords if name not in names), None)
    if unexpected is not None:
        return "unexpected", unexpected, arguments.keywords[unexpected], "TypeError"
    if len(arguments.positional) > len(names):
        return "too-many", "", len(arguments.positional), "TypeError"
    for position, (name, default) in enumerate(() if _spreads(node) else fact.signature):
        if default is ... and position >= len(arguments.positional) and name not in arguments.keywords:
            return "missing", name, None, "TypeError"
    return None


def _spreads(node: ast.AST) -> bool:
    """Whether the call is written with ``*args`` or ``**kwargs``."""
    return isinstance(node, ast.Call) and (
        any(isinstance(each, ast.Starred) for each in node.args) or any(each.arg is None for each in node.keywords)
    )


def _wrong_kaiming(machine: Machine, arguments: Arguments, bound: dict[str, object]) -> _Fault | None:
    nonlinearity, mode, slope = (bound.get(name, UNKNOWN) for name in ("nonlinearity", "mode", "a"))
    if isinstance(mode, str) and mode.lower() not in _MODES:
        return "mode", "mode", mode, "ValueError"
    if isinstance(nonlinearity, str) and nonlinearity not in machine.knowledge.gains:
        return "nonlinearity", "nonlinearity", nonlinearity, "ValueError"
    leaky = nonlinearity == "leaky_relu"
    if isinstance(slope, (str, bool)) and leaky:
        return "slope", "a", slope, "ValueError"
    if isinstance(slope, str) and isinstance(nonlinearity, str):
        return "mode-as-slope", "a", slope, None
    known = number(slope)
    if known and isinstance(nonlinearity, str) and not leaky and _is_given(arguments, 1, "a"):
        return "slope-ignored", "a", slope, nonlinearity
    return None


def _is_given(arguments: Arguments, position: int, name: str) -> bool:
    return len(arguments.positional) > position or name in arguments.keywords


def _wrong_gain(fact: InitializerFact, bound: dict[str, object]) -> _Fault | None:
    gain = bound.get("gain")
    if fact.formula in _SCALED_BY_GAIN and isinstance(gain, str):
        return "gain", "gain", gain, "TypeError"
    return None


def inspect_calculated_gain(machine: Machine, nonlinearity: object, slope: object, node: ast.AST, frame: Frame) -> None:
    """Note a ``calculate_gain`` that raises."""
    if isinstance(nonlinearity, str) and nonlinearity not in machine.knowledge.gains:
        fault, name, value = "nonlinearity", "nonlinearity", nonlinearity
    elif nonlinearity == "leaky_relu" and isinstance(slope, (str, bool)):
        fault, name, value = "slope", "param", str(slope)
    else:
        return
    machine.occur(
        "invalid-initializer-argument",
        machine.place(node, frame),
        function="calculate_gain",
        problem=fault,
        argument=name,
        value=value,
        error="ValueError",
    )


def _is_positional_mean(fact: InitializerFact, arguments: Arguments, node: ast.AST) -> bool:
    """Whether the one number behind the tensor is a standard deviation by its size, its formula or its name."""
    if len(arguments.positional) != 2 or {"mean", "std"} & arguments.keywords.keys():
        return False
    mean = arguments.positional[1]
    known = number(mean)
    if known is not None:
        return 0 < abs(known) < 1
    if isinstance(mean, Sym) and mean.powers and all(power < 0 for _, power in mean.powers):
        return True
    return any(word in _second_argument(node).lower() for word in _NAMED_SPREAD)


def _second_argument(node: ast.AST) -> str:
    """The number that stands where the mean belongs, as the author wrote it; empty when it is not written there."""
    if not isinstance(node, ast.Call) or not node.args:
        return ""
    method = isinstance(node.func, ast.Attribute) and len(node.args) == 1
    written = node.args[0] if method else node.args[1] if len(node.args) == 2 else None
    return ast.unparse(written) if isinstance(written, (ast.Constant, ast.Name, ast.Attribute)) else ""


def _inspect_target(
    machine: Machine, fact: InitializerFact, target: ParamV | View, node: ast.AST, frame: Frame
) -> None:
    param, view = (target.param, target) if isinstance(target, View) else (target, None)
    plain = view is None or (view.whole and not view.reshaped)
    owner = param.owner
    if is_rebuilt(param) and plain:
        machine.occur(
            "write-to-rebuilt-weight",
            machine.place(node, frame),
            owner,
            related=tuple(machine.calls[-4:]),
            function=fact.canonical,
            parameter=param.name,
        )
        return
    if machine.guarded:
        return
    if (
        plain
        and owner is not None
        and owner.fact is not None
        and owner.fact.lazy
        and _is_unmaterialized(machine, owner, view)
    ):
        machine.occur(
            "init-of-lazy-layer", machine.place(node, frame), owner, function=fact.canonical, parameter=param.name
        )
    elif plain and param.shape is not None and len(param.shape) < fact.minimum_dimensions:
        machine.occur(
            "fan-of-vector",
            machine.place(node, frame),
            owner,
            function=fact.canonical,
            parameter=param.name,
            dimensions=len(param.shape),
            minimum=fact.minimum_dimensions,
        )
    if fact.name.startswith(_METHOD):
        inspect_in_place(machine, target, f"{fact.name.removeprefix(_METHOD)}()", node, frame)


def _is_unmaterialized(machine: Machine, owner: Instance, view: View | None) -> bool:
    """Whether the parameter of a lazy layer has no shape yet, and this access to it feels that."""
    return owner not in machine.forwarded and view is None


def inspect_in_place(machine: Machine, target: ParamV | View, operation: str, node: ast.AST, frame: Frame) -> None:
    """Note an in-place operation on a leaf that autograd watches."""
    param = target.param if isinstance(target, View) else target
    if machine.no_grad or machine.guarded or param.frozen or param.buffer:
        return
    if machine.branching and (param.owner is None or not machine.is_certain(param.owner)):
        return
    if isinstance(target, View) and target.detached:
        return
    machine.occur(
        "in-place-on-leaf",
        machine.place(node, frame),
        param.owner,
        operation=operation,
        parameter=param.name,
        part=isinstance(target, View),
    )


def inspect_attribute_of_none(machine: Machine, name: str, node: ast.AST, frame: Frame) -> None:
    """Note ``m.bias.data`` where ``m.bias`` is None."""
    if name in _WRITES:
        _write_to_none(machine, node, frame)


def _write_to_none(machine: Machine, node: ast.AST, frame: Frame) -> None:
    """The bias of a layer built without one, or the weight of a norm without affine parameters, is None."""
    if machine.guarded:
        return
    source = _target_node(node)
    if not isinstance(source, ast.Attribute) or source.attr not in ("bias", "weight"):
        return
    holder = machine.evaluate(source.value, frame)
    if not isinstance(holder, Instance) or holder.fact is None or source.attr not in holder.fact.optional:
        return
    if not machine.is_certain(holder):
        return
    condition = holder.fact.optional[source.attr]
    machine.occur(
        "bias-may-be-none",
        machine.place(node, frame),
        holder,
        parameter=source.attr,
        argument=condition.removeprefix("not "),
    )


def _target_node(node: ast.AST) -> ast.AST | None:
    """The expression that an initializer writes to."""
    if isinstance(node, ast.Call):
        if node.args and not _is_method_of_attribute(node):
            return node.args[0]
        if isinstance(node.func, ast.Attribute):
            return node.func.value
        return next((each.value for each in node.keywords if each.arg in ("tensor", "input")), None)
    return node.value if isinstance(node, ast.Attribute) else None


def _is_method_of_attribute(node: ast.Call) -> bool:
    """Whether the call is ``m.bias.fill_(0)``: its target stands in front of it."""
    receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
    return isinstance(receiver, ast.Attribute) and receiver.attr in ("bias", "weight")


def missing_attribute(machine: Machine, method: Method, node: ast.AST, frame: Frame) -> None:
    """Note ``m.weight`` of a module that has none, where a test on the name of its class let the module in."""
    module = method.receiver
    if method.name not in ("weight", "bias") or not isinstance(module, Instance) or not isinstance(module.cls, ClassV):
        return
    if (
        module.uncertain
        or not machine.is_certain(module)
        or machine.guarded
        or module.cls.lookup("__getattr__") is not ABSENT
    ):
        return
    test = _test_by_name(node, module.class_name, frame)
    if test is not None:
        machine.occur(
            "class-name-test-too-wide",
            machine.place(test, frame),
            module,
            attribute=method.name,
            class_name=module.class_name,
        )


def _test_by_name(node: ast.AST, name: str, frame: Frame) -> ast.expr | None:
    """The innermost ``if`` around `node` that looks for a part of `name`."""
    function = frame.function
    if function is None or isinstance(function.node, ast.Lambda):
        return None
    found: ast.expr | None = None
    for each in nodes_of(function.node):
        if isinstance(each, ast.If) and any(node is inner for statement in each.body for inner in nodes_of(statement)):
            words = [
                part.value
                for part in nodes_of(each.test)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            if any(word and word in name for word in words):
                found = each.test
    return found


def inspect_applied(machine: Machine, instance: Instance, function: object, node: ast.AST, frame: Frame) -> None:
    """Note ``self.apply(init(self))``: what the call returned is no function."""
    if not isinstance(node, ast.Call) or not machine.is_certain(instance) or machine.guarded:
        return
    given = node.args[0] if node.args else next((each.value for each in node.keywords if each.arg == "fn"), None)
    if not isinstance(given, ast.Call):
        return
    returned = isinstance(function, Instance) and any(function is module for _, module in walk(instance))
    if function is None or returned:
        called = ast.unparse(given.func)
        machine.occur(
            "apply-of-call-result",
            machine.place(node, frame),
            instance,
            called=called,
            returns="a module" if returned else "None",
        )


def inspect_copy(machine: Machine, param: ParamV, node: ast.AST, frame: Frame) -> None:
    """Note an initializer that fills a copy of a weight, where nothing holds on to the copy."""
    if _copies(_target_node(node)) and _is_statement(node, frame):
        machine.occur("write-to-copy", machine.place(node, frame), param.owner, parameter=param.name)


def _copies(target: ast.AST | None) -> bool:
    """Whether the copy is made in this very expression, so that nothing else holds it."""
    while isinstance(target, (ast.Call, ast.Attribute, ast.Subscript)):
        if isinstance(target, ast.Call) and isinstance(target.func, ast.Attribute) and target.func.attr in _COPYING:
            return True
        target = target.func if isinstance(target, ast.Call) else target.value
    return False


def _is_statement(node: ast.AST, frame: Frame) -> bool:
    """Whether nobody looks at the value of this expression."""
    body = frame.file.tree if frame.function is None else frame.function.node
    return body is not None and any(isinstance(each, ast.Expr) and each.value is node for each in nodes_of(body))


def inspect_discarded(machine: Machine, instance: Instance, node: ast.expr, frame: Frame) -> None:
    """Note ``Net().apply(init)`` and ``copy.deepcopy(net).apply(init)``: nothing keeps what was initialized."""
    call: ast.AST = node
    while isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        if call.func.attr == "apply" and isinstance(call.func.value, ast.Call):
            if instance.torch_class and not machine.guarded:
                machine.occur(
                    "write-to-discarded", machine.place(call, frame), instance, called=ast.unparse(call.func.value.func)
                )
            return
        call = call.func.value


def inspect_type_test(machine: Machine, node: ast.AST, frame: Frame) -> None:
    """Note ``isinstance(m, A or B)``."""
    if not isinstance(node, ast.Call) or len(node.args) != 2 or not isinstance(node.args[1], ast.BoolOp):
        return
    named = [machine.evaluate(each, frame) for each in node.args[1].values]
    if all(map(_is_class, named)):
        seen, lost = ast.unparse(node.args[1].values[0]), ast.unparse(node.args[1].values[-1])
        if isinstance(node.args[1].op, ast.And):
            seen, lost = lost, seen
        machine.occur("type-test-always-wrong", machine.place(node, frame), sees=seen, misses=lost, always=False)


def _is_class(value: object) -> bool:
    """Whether this is a class; of what lies outside the project the name says so."""
    return isinstance(value, ClassV) or (isinstance(value, External) and value.name.rpartition(".")[2][:1].isupper())


def inspect_alternative_types(machine: Machine, node: ast.BoolOp, frame: Frame) -> None:
    """Note ``type(m) == A or B``: the second operand is a class, and true."""
    first = node.values[0]
    if not isinstance(node.op, ast.Or) or not isinstance(first, ast.Compare):
        return
    if all(_is_class(machine.evaluate(each, frame)) for each in (first.comparators[-1], node.values[-1])):
        machine.occur(
            "type-test-always-wrong",
            machine.place(node, frame),
            sees=ast.unparse(node.values[-1]),
            misses=None,
            always=True,
        )
