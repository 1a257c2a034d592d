"""Tracing with torch.fx: the forward pass without an input, what resists it opaque and its children traced alone."""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx._symbolic_trace import _assert_is_none

from initlint.graph.calls import Call, Result, Stored, class_name, function_name, is_leaf
from initlint.graph.frames import call_site
from initlint.knowledge import Knowledge
from initlint.model import Site


@dataclass(frozen=True, slots=True)
class SymbolicTrace:
    """The calls of a forward pass, and why each opaque module, by path, could not be read."""

    calls: tuple[Call, ...]
    opaque: Mapping[str, str]


def trace_symbolically(model: nn.Module, knowledge: Knowledge) -> SymbolicTrace:
    """The forward pass of `model` as torch.fx sees it; never fails, what cannot be traced is named in `opaque`."""
    reader = _Reader(model, knowledge)
    reader.read(model, "")
    return SymbolicTrace(tuple(reader.calls), reader.opaque)


class _Reader:
    """Turns fx graphs into calls, first of the whole model, then of the children of what stayed opaque."""

    def __init__(self, model: nn.Module, knowledge: Knowledge) -> None:
        self._model = model
        self._knowledge = knowledge
        self.calls: list[Call] = []
        self.opaque: dict[str, str] = {}

    def read(self, module: nn.Module, path: str) -> None:
        """Append the calls of `module`, whose place in the model is `path`."""
        if is_leaf(module, self._knowledge):
            self._append_alone(module, path)
            return
        tracer = _Tracer(self._knowledge)
        try:
            graph = tracer.trace(module, _defaults(module))
        except Exception as error:  # noqa: BLE001 (whatever the user's forward raises on proxies)
            self.opaque[path] = _reason(error)
            self._read_children(module, path)
            return
        self._convert(graph, tracer, module, path)
        for inner, reason in tracer.opaque.items():
            inner_path = _joined(path, inner)
            self.opaque[inner_path] = reason
            self._read_children(module.get_submodule(inner), inner_path)
        if tracer.looped:
            called = {str(node.target) for node in graph.nodes if node.op == "call_module"}
            self._read_uncalled(module, path, "", called)

    def _read_uncalled(self, module: nn.Module, path: str, inner: str, called: set[str]) -> None:
        """Read alone what a loop that ran once has not come to; `inner` is the place of `module` in the one that was traced."""
        for name, child in module.named_children():
            place = _joined(inner, name)
            reached = any(each == place or each.startswith(f"{place}.") for each in called)
            if place in called or not any(True for _ in child.parameters()):
                continue
            if reached or isinstance(child, nn.ModuleList | nn.ModuleDict):
                self._read_uncalled(child, path, place, called)
            else:
                self.read(child, _joined(path, place))

    def _read_children(self, module: nn.Module, path: str) -> None:
        for name, child in module.named_children():
            if any(True for _ in child.parameters()):
                self.read(child, _joined(path, name))

    def _append_alone(self, module: nn.Module, path: str) -> None:
        """A layer whose surroundings were not understood: something enters it and something takes its output."""
        start = len(self.calls)
        self.calls.append(Call(start, "input", "input"))
        name = class_name(type(module))
        self.calls.append(Call(start + 1, "module", name, (Result(start),), {}, module, path))
        self.calls.append(Call(start + 2, "opaque", "unread", (Result(start + 1),)))

    def _convert(self, graph: fx.Graph, tracer: _Tracer, module: nn.Module, path: str) -> None:
        numbers: dict[fx.Node, int] = {}
        prefix = _joined(path, "")
        inner = path != ""

        def stand_in(value: Any) -> Any:
            if isinstance(value, fx.Node):
                stored = tracer.stored.get(value)
                if stored is not None:
                    return Stored(f"{prefix}{stored[0]}", stored[1])
                return Result(numbers[value]) if value in numbers else None
            return value

        for node in graph.nodes:
            if node in tracer.stored or (node.op == "call_function" and node.target in _ASSERTIONS):
                continue
            args = fx.node.map_aggregate(node.args, stand_in)
            kwargs = fx.node.map_aggregate(node.kwargs, stand_in)
            number = numbers[node] = len(self.calls)
            site = tracer.sites.get(node)
            match node.op:
                case "placeholder":
                    call = Call(number, "input", str(node.target), site=site)
                case "output":
                    kind, name = ("opaque", "unread") if inner else ("output", "output")
                    call = Call(number, kind, name, args, {}, site=site)  # type: ignore[arg-type]
                case "call_module":
                    called = module.get_submodule(str(node.target))
                    read = node.target not in tracer.opaque
                    call = Call(
                        number,
                        "module" if read else "opaque",
                        class_name(type(called)),
                        args,
                        kwargs,
                        called,
                        f"{prefix}{node.target}",
                        site,
                    )
                case _:
                    name = f"Tensor.{node.target}" if node.op == "call_method" else function_name(node.target)
                    if name == "builtins.getattr":
                        name = f"Tensor.{node.args[1]}"
                    call = Call(number, "function", name, args, kwargs, site=site)
            self.calls.append(call)
            if node.args and isinstance(node.args[0], fx.Node) and _writes_in_place(node, call):
                numbers[node.args[0]] = number


def _writes_in_place(node: fx.Node, call: Call) -> bool:
    """Whether a later use of the first argument means what this call returned."""
    if call.module is not None:
        return bool(getattr(call.module, "inplace", False))
    name = call.name.rpartition(".")[2]
    augmented = call.name.startswith("operator.i") and name != "is_"
    return augmented or bool(node.kwargs.get("inplace")) or (name.endswith("_") and not name.endswith("__"))


class _Tracer(fx.Tracer):
    """fx's tracer with the leaves of rules/facts, that notes source lines and goes on behind what fails."""

    def __init__(self, knowledge: Knowledge) -> None:
        super().__init__()
        self._knowledge = knowledge
        self.opaque: dict[str, str] = {}
        self.looped = False
        self.sites: dict[fx.Node, Site] = {}
        self.stored: dict[fx.Node, tuple[str, torch.Tensor]] = {}
        self._tensors: dict[str, torch.Tensor] = {}

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        """The graph of `root`, which keeps none of the constants that fx leaves on it."""
        self._tensors = {
            **dict(root.named_parameters(remove_duplicate=False)),
            **dict(root.named_buffers(remove_duplicate=False)),
        }
        before = set(vars(root))
        try:
            return super().trace(root, concrete_args)
        finally:
            for name in set(vars(root)) - before:
                delattr(root, name)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` is one step of the graph."""
        return module_qualified_name in self.opaque or is_leaf(m, self._knowledge)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Trace into `m`; where that fails, forget what it did and make one opaque step of it."""
        nodes = len(self.graph.nodes)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:
            if not nodes:
                raise
            for node in reversed(list(self.graph.nodes)[nodes:]):
                self.graph.erase_node(node)
            path = self.path_of_module(m)
            self.opaque[path] = _reason(error)
            return self.create_proxy("call_module", path, args, kwargs)

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """A loop over an unknown number of tensors runs its body once: what happens to one of them happens to all."""
        try:
            return super().iter(obj)
        except fx.proxy.TraceError:
            self.looped = True
            return iter((operator.getitem(obj, 0),))

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """A node that knows the line of the user's forward that made it."""
        node = super().create_node(kind, target, *args, **kwargs)
        site = call_site(sys._getframe(1))
        if site is not None:
            self.sites[node] = site
        if kind == "get_attr":
            value = self._tensors.get(str(target), vars(self.root).get(str(target)))
            if isinstance(value, torch.Tensor):
                self.stored[node] = (str(target), value)
        return node


_ASSERTIONS = frozenset({torch._assert, _assert_is_none})


def _defaults(module: nn.Module) -> dict[str, Any]:
    """The optional arguments of a forward, at their defaults: a branch on ``mask is not None`` is then decided."""
    parameters = inspect.signature(module.forward).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not inspect.Parameter.empty and parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    }


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
