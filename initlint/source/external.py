"""Calls to what lies outside the project: torch and known libraries by tables of facts, Python's library by ours."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from initlint.source.escape import escape, reachable_params
from initlint.source.initialization import call_initializer, load_write, make_parameter
from initlint.source.paths import PATHS
from initlint.source.regex import REGULAR_EXPRESSIONS
from initlint.source.stdlib import STANDARD, call_math
from initlint.source.symbols import UNKNOWN
from initlint.source.tensors import call_activation, call_operation, maximum
from initlint.source.torch_modules import construct_external, is_torch_class
from initlint.source.values import Arguments, Choice, External, Instance, ParamV, TensorV, View, Write

if TYPE_CHECKING:
    from initlint.knowledge import LibraryFact
    from initlint.source.machine import Frame, Machine

_FALSE = frozenset(
    {
        "torch.jit.is_scripting",
        "torch.jit.is_tracing",
        "torch._C._is_tracing",
        "torch._C._get_tracing_state",
        "torch._jit_internal.is_scripting",
        "torch.onnx.is_in_onnx_export",
        "torch.compiler.is_compiling",
        "torch.compiler.is_dynamo_compiling",
        "torch.overrides.has_torch_function",
        "torch.overrides.has_torch_function_unary",
        "torch.cuda.is_available",
        "torch.distributed.is_initialized",
        "torch.distributed.is_available",
    }
)
_MAXIMA = frozenset({"torch.maximum", "torch.max", "torch.fmax"})
_SAME_MODEL = frozenset(
    {
        "torch.compile",
        "torch.jit.script",
        "torch.jit.trace",
        "torch.jit.ignore",
        "torch.jit.unused",
        "torch.jit.export",
        "torch.fx.wrap",
        "torch.nn.DataParallel",
        "torch.nn.parallel.DataParallel",
        "torch.nn.parallel.DistributedDataParallel",
        "torch.nn.SyncBatchNorm.convert_sync_batchnorm",
    }
)
_SAME_TENSOR = frozenset({"torch.as_tensor", "torch.asarray"})
_CONTEXTS = frozenset(
    {"torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.autocast", "torch.set_grad_enabled"}
)
_RERUNS = frozenset({"torch.utils.checkpoint.checkpoint"})
_PARAMETERS = frozenset({"torch.nn.Parameter", "torch.nn.parameter.Parameter"})
_BUFFERS = frozenset({"torch.nn.Buffer", "torch.nn.parameter.Buffer"})


def call_external(machine: Machine, function: External, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``torch.nn.Linear(...)``, ``math.sqrt(...)``, ``timm.layers.trunc_normal_(...)``."""
    knowledge = machine.knowledge
    name = machine.resolve(function.name)
    if name in _PARAMETERS or name in _BUFFERS:
        return make_parameter(machine, arguments, node, frame, buffer=name in _BUFFERS)
    initializer = knowledge.initializers.get(name)
    if initializer is not None:
        return call_initializer(machine, initializer, arguments, node, frame)
    if is_torch_class(machine, name) and name not in _SAME_MODEL:
        return construct_external(machine, name, arguments, node, frame)
    handler = STANDARD.get(name) or REGULAR_EXPRESSIONS.get(name) or PATHS.get(name)
    if handler is not None:
        return handler(machine, arguments, node, frame)
    if name.startswith(("math.", "numpy.", "np.")):
        return call_math(machine, name, arguments)
    library = knowledge.libraries.get(name)
    if library is not None:
        return _call_library(machine, name, library, arguments, node, frame)
    if name.startswith(("torch.", "Tensor.", "operator.", "einops.", "xformers.", "flash_attn.")):
        return _call_torch(machine, name, arguments, node, frame)
    result = escape(machine, External(name), arguments, node, frame)
    if result is UNKNOWN and name.rpartition(".")[2][:1].isupper():
        return machine.new_instance(External(name), machine.place(node, frame))
    return result


def _call_torch(machine: Machine, name: str, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    knowledge = machine.knowledge
    if isinstance(filled := arguments.keywords.get("out"), (ParamV, View)):
        machine.write(filled, Write("assignment", (), machine.place(node, frame)))
        return filled
    if name in _FALSE:
        return False
    if name in _CONTEXTS:
        return External(name)
    if name in _SAME_MODEL:
        return arguments.positional[0] if arguments.positional else UNKNOWN
    if name in _SAME_TENSOR and isinstance(arguments.get(0, "data"), (ParamV, View, TensorV)):
        return arguments.get(0, "data")
    if name in _RERUNS and arguments.positional:
        keywords = {
            key: value
            for key, value in arguments.keywords.items()
            if key not in ("use_reentrant", "preserve_rng_state")
        }
        return machine.call(arguments.positional[0], Arguments(arguments.positional[1:], keywords), node, frame)
    if name.startswith("Tensor.") and arguments.positional:
        from initlint.source.methods import call_method
        from initlint.source.values import Method

        receiver, *rest = arguments.positional
        return call_method(
            machine, Method(receiver, name.removeprefix("Tensor.")), Arguments(rest, arguments.keywords), node, frame
        )
    activation = knowledge.activation_of.get(name)
    if activation is not None:
        return call_activation(machine, activation, arguments, node, frame)
    operation = knowledge.operations.get(name)
    if name in _MAXIMA and len(arguments.positional) == 2:
        return maximum(machine, arguments, node, frame)
    if operation is not None:
        return call_operation(machine, name, operation, arguments, node, frame)
    if name in ("torch.load", "torch.hub.load_state_dict_from_url"):
        return UNKNOWN
    return escape(machine, External(name), arguments, node, frame)


def _call_library(
    machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    handler = _LIBRARY.get(fact.kind)
    if handler is None:
        return escape(machine, External(name), arguments, node, frame)
    return handler(machine, name, fact, arguments, node, frame)


def _alias(machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if fact.target is None or fact.target == name:
        return UNKNOWN
    return call_external(machine, External(fact.target), arguments, node, frame)


def _activation(
    machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    spelled = next(
        (
            each
            for each, known in machine.knowledge.activation_of.items()
            if known == fact.target and each.startswith("torch.nn.") and each.rpartition(".")[2][0].isupper()
        ),
        None,
    )
    if name.rpartition(".")[2][:1].isupper():
        return UNKNOWN if spelled is None else construct_external(machine, spelled, Arguments([]), node, frame)
    return call_activation(machine, fact.target or "", arguments, node, frame)


def _operation(
    machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    if name.rpartition(".")[2][:1].isupper():
        instance = machine.new_instance(External(name), machine.place(node, frame))
        instance.torch_class = name
        return instance
    return effect_on(machine, fact, name, arguments, node, frame)


def effect_on(
    machine: Machine, fact: LibraryFact, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """A library operation on its first tensor."""
    kind = fact.effect if fact.effect in ("transparent", "norm", "softmax", "scale") else "opaque"
    source = next((each for each in arguments.positional if isinstance(each, TensorV)), None)
    if source is None:
        return UNKNOWN
    op = machine.graph.add(kind, name.rpartition(".")[2], (source.op,), place=machine.place(node, frame))
    return TensorV(op)


def _self_initializing(
    machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    instance = machine.new_instance(External(name), machine.place(node, frame))
    instance.torch_class = "torch.nn.Module"
    instance.uncertain = True
    for position, value in enumerate(arguments.positional):
        if isinstance(value, Instance):
            instance.data[str(position)] = value
    return instance


def _apply_each(
    machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """``named_apply(fn, module)``: fn(module=, name=) on every module, the children first."""
    from initlint.source.module_methods import post_order

    values = [*arguments.positional, *arguments.keywords.values()]
    module = next((each for each in values if isinstance(each, Instance) and each.torch_class), None)
    function = next((each for each in values if not isinstance(each, Instance)), None)
    if module is None or function is None:
        return escape(machine, UNKNOWN, arguments, node, frame)
    for path, each in post_order(module):
        machine.call(function, Arguments([], {"module": each, "name": path}), node, frame)
    return module


def _load(machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    for param in reachable_params([*arguments.positional, *arguments.keywords.values()]):
        machine.write(param, load_write(machine, node, frame))
    return UNKNOWN


def _parametrize(
    machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    module = arguments.positional[0] if arguments.positional else arguments.keywords.get("module", UNKNOWN)
    wanted = arguments.get(1, "name", "weight")
    for each in module.alternatives if isinstance(module, Choice) else (module,):
        if isinstance(each, Instance) and each.torch_class and wanted in ("weight", "weight_hh_l0", "in_proj_weight"):
            each.parametrization = (machine.is_certain(each) and fact.target) or "other"
    return module


def _skip_init(
    machine: Machine, name: str, fact: LibraryFact, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """``skip_init(nn.Linear, 8, 8)``: a layer whose memory stays as it is."""
    if not name.endswith("skip_init") or not arguments.positional:
        return escape(machine, External(name), arguments, node, frame)
    rest = Arguments(arguments.positional[1:], arguments.keywords, arguments.open)
    made = machine.call(arguments.positional[0], rest, node, frame)
    if isinstance(made, Instance):
        empty = Write("empty", (), machine.place(node, frame), source="uninitialized")
        for param in reachable_params([made]):
            machine.touch(param)
            param.data = (empty,)
    return made


_LIBRARY: dict[str, Callable[..., object]] = {
    "alias": _alias,
    "activation": _activation,
    "operation": _operation,
    "layer": _self_initializing,
    "apply": _apply_each,
    "loader": _load,
    "parametrization": _parametrize,
    "uninitialized": _skip_init,
}
