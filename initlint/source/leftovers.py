"""What no context has shown: layers on branches that no default takes, and classes whose users nobody saw build them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from initlint.source.options import Users, is_ruled_out
from initlint.source.values import ClassV
from initlint.syntax import last_name, nodes_of

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.source.definitions import Definition
    from initlint.source.machine import Machine

_LISTED = frozenset({"weight", "embedding", "recurrent", "attention", "head"})


def calls(user: Definition, name: str) -> bool:
    """Whether a call of that name stands in `user`."""
    return any(isinstance(node, ast.Call) and last_name(node.func) == name for node in nodes_of(user.node))


class Leftovers:
    """Keeps which calls have built a layer, and below which classes a sweep has initialized something."""

    def __init__(self, knowledge: Knowledge) -> None:
        names = (name for name, fact in knowledge.layers.items() if fact.role in _LISTED)
        self._layer_names = frozenset(name.rpartition(".")[2] for name in names)
        self._swept: set[ast.AST] = set()
        self._bare: set[ast.AST] = set()
        self._through: set[ast.AST] = set()
        self.built: set[ast.AST] = set()
        self.ruled_out: set[ast.AST] = set()

    def take_in(self, machine: Machine, *, opened: bool = False) -> None:
        """Remember what the context that `machine` has just run built and swept; one that was `opened` shows nothing of loading."""
        self.built.update(each.place.node for each in machine.instances if each.fact is not None and each.place)
        self.built.update(each.place.node for each in machine.params if each.place)
        kept = set(machine.instances)
        for param in () if opened else machine.params:
            if not param.buffer and param.owner in kept and param.owner.place is not None:
                last = param.data[-1] if param.data else None
                if last is None or last.source != "loaded" or last.conditional:
                    self._bare.add(param.owner.place.node)
                    self._bare.update(call.node for call in param.owner.trail)
                self._through.update(call.node for call in param.owner.trail)
        for sweep in machine.sweeps:
            if sweep.writes:
                self._swept.update(
                    each.cls.node for each in sweep.seen if isinstance(each.cls, ClassV) and each.cls.node
                )

    def unbuilt(self, definition: Definition) -> Iterator[ast.AST]:
        """The calls in `definition` that read like a layer's constructor and have built nothing yet."""
        for node in nodes_of(definition.node) if definition.words & self._layer_names else ():
            if isinstance(node, ast.Call) and last_name(node.func) in self._layer_names and node not in self.built:
                yield node

    def rule_out(self, found: Iterable[Definition], users: Users) -> None:
        """Say nothing of what lies on branches that no call in the program takes."""
        self.ruled_out.update(node for each in found for node in self.unbuilt(each) if is_ruled_out(each, node, users))

    def holds_unbuilt(self, definition: Definition) -> bool:
        """Whether something in it has built nothing yet that somebody may have built."""
        return any(node not in self.ruled_out for node in self.unbuilt(definition))

    def is_loaded(self, definition: Definition) -> bool:
        """Whether whoever has built this class or called this function loaded all of it: so will those that choose another branch."""
        nodes = list(nodes_of(definition.node))
        built = [node for node in nodes if node in self.built] or [node for node in nodes if node in self._through]
        return bool(built) and self._bare.isdisjoint(built)

    def may_be_swept(self, definition: Definition, users: Callable[[Definition], Iterable[Definition]]) -> bool:
        """Whether this class, or one of its `users` or theirs, was initialized by a sweep."""
        pending, seen = [definition], {definition}
        while pending:
            used = pending.pop()
            if used.node in self._swept:
                return True
            found = [each for each in users(used) if each not in seen]
            pending += found
            seen.update(found)
        return False
