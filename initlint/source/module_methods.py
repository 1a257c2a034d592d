"""Methods of nn.Module: walking it, registering in it, applying functions to it, moving and loading it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial

from initlint.source.attributes import seen_as, set_attribute
from initlint.source.configured import base_kind, kinds_named
from initlint.source.escape import escape
from initlint.source.forward import leaf_forward, run_forward
from initlint.source.initialization import load_write, reset_write
from initlint.source.machine import Frame, Machine
from initlint.source.message_passing import pass_messages
from initlint.source.misuse import inspect_applied
from initlint.source.patterns import name_of
from initlint.source.rebuilding import as_listed
from initlint.source.removals import take_module
from initlint.source.rounds import applied_rounds
from initlint.source.sequences import elements
from initlint.source.sites import site_of
from initlint.source.sweeps import Sweep, swept
from initlint.source.symbols import ABSENT, UNKNOWN
from initlint.source.torch_modules import (
    CONTAINERS,
    MODULE_DICT,
    adopt,
    all_parameters,
    append_all,
    children,
    construct_torch_part,
    container_items,
    has_children,
    linked,
    modules_below,
    named_parameters,
    own_parameters,
    walk,
)
from initlint.source.values import Arguments, Bound, ClassV, DictV, External, FunctionV, Instance, ListV, ParamV, Write

_SAME_MODULE = frozenset(
    [
        "to",
        "cuda",
        "cpu",
        "xpu",
        "ipu",
        "float",
        "half",
        "double",
        "bfloat16",
        "type",
        "train",
        "eval",
        "requires_grad_",
        "share_memory",
        "to_empty",
        "compile",
        "type_as",
    ]
)
_NOTHING = frozenset(
    [
        "zero_grad",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_backward_hook",
        "register_load_state_dict_post_hook",
        "_register_load_state_dict_pre_hook",
        "extra_repr",
        "__repr__",
        "register_state_dict_pre_hook",
        "__init_subclass__",
        "set_extra_state",
        "save_hyperparameters",
        "log",
        "log_dict",
        "print",
        "freeze",
        "unfreeze",
    ]
)
_OF_CHILDREN = frozenset({"children", "named_children"})
"""Methods that tell nothing of a module without any."""

_LOADS = frozenset(
    ["load_state_dict", "load_weights", "load_pretrained", "load_checkpoint", "from_pretrained", "load_from_checkpoint"]
)


def post_order(
    instance: Instance, prefix: str = "", seen: set[Instance] | None = None
) -> Iterator[tuple[str, Instance]]:
    """The module and all below it, each once, children first: the order of `apply`."""
    seen = set() if seen is None else seen
    if instance in seen:
        return
    seen.add(instance)
    for name, child in list(children(instance)):
        yield from post_order(child, f"{prefix}.{name}" if prefix else name, seen)
    yield prefix, instance


def call_module_method(
    machine: Machine, instance: Instance, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """``module.name(...)`` where the project's classes define no `name`."""
    machine.repeats.asked += name not in _OF_CHILDREN or has_children(instance)
    handler = _METHODS.get(name)
    if handler is not None:
        return handler(machine, instance, arguments, node, frame)
    if name in _SAME_MODULE:
        if name == "requires_grad_":
            for param in all_parameters(instance):
                param.frozen = arguments.get(0, "requires_grad", True) is False
        return instance
    if name in _NOTHING:
        return None
    if name in _LOADS:
        return _load(machine, instance, arguments, node, frame)
    hooked = _call_hook(machine, instance, name, node, frame)
    if hooked:
        return None
    sent = pass_messages(machine, instance, name, arguments, node, frame)
    if sent is not ABSENT:
        return sent
    if instance.uncertain and any(word in name for word in ("init", "load", "reset", "build", "setup", "post")):
        write = Write("", (), machine.place(node, frame), source="unknown")
        for param in all_parameters(instance):
            machine.write(param, write)
    return escape(machine, External(f"torch.nn.Module.{name}"), arguments, node, frame)


def _call_hook(machine: Machine, instance: Instance, name: str, node: ast.AST, frame: Frame) -> bool:
    """``self.post_init()`` of a framework's base class calls the init methods that the framework names."""
    if not isinstance(instance.cls, ClassV):
        return False
    for base in instance.cls.external_bases:
        fact = machine.knowledge.libraries.get(machine.resolve(base.name)) if isinstance(base, External) else None
        if (
            fact is None
            or fact.kind != "initializing-base"
            or name not in ("post_init", "init_weights", "initialize_weights", *fact.hooks)
        ):
            continue
        found = False
        for hook in fact.hooks:
            method = instance.cls.lookup(hook)
            if isinstance(method, FunctionV) and hook != name:
                found = True
                _call_on_all(machine, instance, method, node, frame)
        if not found:
            write = Write("", (), machine.place(node, frame), source="unknown")
            for param in all_parameters(instance):
                machine.write(param, write)
        return True
    return False


def init_hooks(machine: Machine, instance: Instance) -> Iterator[FunctionV]:
    """The methods of a module that a framework calls, on it alone, to initialize it."""
    for base in instance.cls.external_bases if isinstance(instance.cls, ClassV) else ():
        fact = machine.knowledge.libraries.get(machine.resolve(base.name)) if isinstance(base, External) else None
        for name in fact.hooks if fact is not None and fact.kind == "initializing-base" else ():
            method = instance.cls.lookup(name) if isinstance(instance.cls, ClassV) else None
            if isinstance(method, FunctionV) and len(method.node.args.args) - len(method.defaults) == 1:
                yield method


def _call_on_all(machine: Machine, instance: Instance, method: FunctionV, node: ast.AST, frame: Frame) -> None:
    takes_module = len(method.node.args.args) > 1
    bound = Bound(method, instance)
    if not takes_module:
        machine.call(bound, Arguments([]), node, frame)
        return

    def repeat(_: str, module: Instance | ParamV) -> object:
        return machine.call(bound, Arguments([module]), node, frame)

    sweep = Sweep("apply", instance, machine.place(node, frame), repeat, certain=False)
    before, sweep.seen = machine.writes, set(modules_below(instance))
    for path, module in list(post_order(instance)):
        repeat(path, module)
    sweep.writes = machine.writes - before
    machine.sweeps.append(sweep)


def _modules(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV([*modules_below(instance)])


def _named_modules(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    prefix = arguments.get(1, "prefix", "")
    return ListV(list(walk(instance, prefix if isinstance(prefix, str) else "")))


def _children(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV(list(dict.fromkeys(child for _, child in children(instance))))


def _named_children(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV(list(children(instance)))


def _parameters(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if arguments.get(0, "recurse", True) is False:
        return ListV([param for _, param in as_listed(own_parameters(instance))])
    return ListV([param for _, param in as_listed(named_parameters(instance))])


def _named_parameters(
    machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    if arguments.get(1, "recurse", True) is False:
        return ListV(list(as_listed(own_parameters(instance))))
    return ListV(list(as_listed(named_parameters(instance))))


def _empty(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV([])


def _submodule(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    path = arguments.get(0, "target", "")
    if not isinstance(path, str):
        return UNKNOWN
    found: object = instance
    for name in path.split(".") if path else ():
        found = found.data.get(name, UNKNOWN) if isinstance(found, Instance) else UNKNOWN
    return found


def _apply(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    function = arguments.get(0, "fn", UNKNOWN)
    inspect_applied(machine, instance, function, node, frame)

    def repeat(_: str, module: Instance | ParamV) -> object:
        return machine.call(function, Arguments([module]), node, frame)

    place = machine.place(node, frame)
    with swept(machine, Sweep("apply", instance, place, repeat, certain=machine.is_certain(instance))):
        rounds = applied_rounds(machine, function)
        for path, module in list(post_order(instance)):
            if rounds is None:
                repeat(path, module)
            else:
                rounds.run(module, partial(repeat, path, module))
    return instance


def _construct(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    if instance.fact is not None or instance.torch_class in CONTAINERS or instance.torch_class != "torch.nn.Module":
        construct_torch_part(machine, instance, arguments, node, frame)
    else:
        _construct_framework_base(machine, instance, arguments)
    return None


def _construct_framework_base(machine: Machine, instance: Instance, arguments: Arguments) -> None:
    """What a framework's base class is given: a configuration that it keeps, or one by which it initializes later."""
    instance.arguments.update(arguments.keywords)
    configuration = arguments.get(0, "init_cfg", None)
    if configuration is not None and base_kind(machine, instance) == "initializing-base":
        machine.touch(instance)
        instance.data["init_cfg"] = configuration
        instance.uncertain |= kinds_named(configuration) is None
    if instance.uncertain:
        machine.touch(instance)
        for key, value in arguments.keywords.items():
            instance.data.setdefault(key, value)
        if arguments.positional and "config" not in instance.data:
            instance.data["config"] = arguments.positional[0]


def _reset(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    for name, param in own_parameters(instance):
        machine.write(param, reset_write(machine, instance, name, node, frame))
    return None


def _forward(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return leaf_forward(machine, instance, arguments, node, frame)


def _call(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return run_forward(machine, instance, arguments, node, frame)


def _load(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    params = list(all_parameters(instance))
    if params and not machine.branching:  # what is loaded in one case only may be loaded elsewhere, too
        machine.evidence.loads.add(site_of(machine.place(node, frame)))
    for param in params:
        machine.write(param, load_write(machine, node, frame))
    return instance


def _register(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    name = arguments.get(0, "name", UNKNOWN)
    value = arguments.get(1, "module", arguments.get(1, "param", UNKNOWN))
    machine.touch(instance)
    key = name if isinstance(name, str) else name_of(name, instance.data)
    place = machine.place(node, frame)
    if instance.torch_class in CONTAINERS:
        value = linked(machine, value, place)
    instance.data[key] = adopt(machine, instance, key, value, place)
    return None


def _set_attribute(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    name, value = arguments.get(0, "name", UNKNOWN), arguments.get(1, "value", UNKNOWN)
    key = name if isinstance(name, str) else name_of(name, instance.data)
    set_attribute(machine, instance, key, value, node, frame)
    return None


def _register_buffer(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    name = arguments.get(0, "name", UNKNOWN)
    value = arguments.get(1, "tensor", UNKNOWN)
    if isinstance(value, ParamV):
        value.buffer = True
    if isinstance(name, str):
        machine.touch(instance)
        instance.data[name] = UNKNOWN if value is None else value
    return None


def _append(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    append_all(machine, instance, [arguments.get(0, "module", UNKNOWN)])
    return instance


def _extend(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    append_all(machine, instance, elements(machine, arguments.get(0, "modules", UNKNOWN), node, frame) or [])
    return instance


def _insert(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    index, module = arguments.get(0, "index", 0), arguments.get(1, "module", UNKNOWN)
    items = container_items(instance)
    if items is None or not isinstance(index, int):
        return instance
    items.insert(index, module)
    machine.touch(instance)
    instance.data = {name: value for name, value in instance.data.items() if not name.isdigit()}
    append_all(machine, instance, items)
    return instance


def _items(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV(list(children(instance)))


def _values(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV([child for _, child in children(instance)])


def _keys(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return ListV([name for name, _ in children(instance)])


def _update(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    source = arguments.get(0, "modules", UNKNOWN)
    if isinstance(source, DictV) and instance.torch_class == MODULE_DICT:
        machine.touch(instance)
        instance.data.update({str(key): value for key, value in source.data.items()})
    return None


def _pop(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return take_module(machine, instance, arguments.get(0, "key", -1))


def _state_dict(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return DictV({name: seen_as(param, detached=True) for name, param in named_parameters(instance)})


def _device(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    return UNKNOWN


def _zero_padding(machine: Machine, instance: Instance, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    for _, param in own_parameters(instance):
        machine.write(param, Write("constant_", (("val", 0.0),), machine.place(node, frame), partial=True))
    return None


_METHODS: dict[str, Callable[..., object]] = {
    "modules": _modules,
    "named_modules": _named_modules,
    "children": _children,
    "named_children": _named_children,
    "parameters": _parameters,
    "named_parameters": _named_parameters,
    "buffers": _empty,
    "named_buffers": _empty,
    "get_submodule": _submodule,
    "get_parameter": _submodule,
    "apply": _apply,
    "smart_apply": _apply,  # what transformers adds to nn.Module
    "__init__": _construct,
    "reset_parameters": _reset,
    "_reset_parameters": _reset,
    "forward": _forward,
    "__call__": _call,
    "_call_impl": _call,
    "__setattr__": _set_attribute,
    "add_module": _register,
    "register_module": _register,
    "register_parameter": _register,
    "register_buffer": _register_buffer,
    "append": _append,
    "extend": _extend,
    "insert": _insert,
    "items": _items,
    "values": _values,
    "keys": _keys,
    "update": _update,
    "pop": _pop,
    "state_dict": _state_dict,
    "get_device": _device,
    "_fill_padding_idx_with_zero": _zero_padding,
}


def call_class_method(
    machine: Machine, cls: ClassV, name: str, arguments: Arguments, node: ast.AST, frame: Frame
) -> object:
    """``Net.from_pretrained(...)``, and torch's own methods called through a project class."""
    if name in _LOADS:
        from initlint.source.functions import instantiate

        made = instantiate(machine, cls, Arguments([], {}, open=True), node, frame)
        return _load(machine, made, arguments, node, frame) if isinstance(made, Instance) else UNKNOWN
    if name == "__init__" and arguments.positional and isinstance(arguments.positional[0], Instance):
        rest = Arguments(arguments.positional[1:], arguments.keywords, arguments.open)
        return call_module_method(machine, arguments.positional[0], name, rest, node, frame)
    if name == "apply" and any(isinstance(each, External) and each.name in _FUNCTIONS for each in cls.external_bases):
        return _apply_function(machine, cls, arguments, node, frame)
    return escape(machine, External(f"class.{name}"), arguments, node, frame)


_FUNCTIONS = frozenset({"torch.autograd.Function", "torch.autograd.function.Function"})


def _apply_function(machine: Machine, cls: ClassV, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``Swish.apply(x)``: the forward pass of an operation whose gradient is written by hand."""
    forward = cls.lookup("forward")
    if not isinstance(forward, FunctionV):
        return escape(machine, cls, arguments, node, frame)
    context = [] if cls.lookup("setup_context") is not ABSENT else [UNKNOWN]
    given = Arguments([*context, *arguments.positional], arguments.keywords, arguments.open)
    return machine.call(forward, given, node, frame)
