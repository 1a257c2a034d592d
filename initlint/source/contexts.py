"""Which parts of a program are run, and how: functions and scripts that build models, then classes nobody builds."""

from __future__ import annotations

import ast
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from initlint.model import Model
from initlint.source.aftermath import inspect_aftermath
from initlint.source.budget import BARREN_BUDGET, BUDGET, FORWARD_BUDGET, OPEN_BUDGET
from initlint.source.configured import apply_configuration
from initlint.source.coverage import initializer_names
from initlint.source.definitions import Definition, script_words
from initlint.source.demand import Demand
from initlint.source.distant import leave_open
from initlint.source.ends import inputs_of, left_aside, tensors_in
from initlint.source.functions import call_function, call_openly, instantiate, takes_words
from initlint.source.imports import module_scope
from initlint.source.leftovers import Leftovers, calls
from initlint.source.lowering import Lowering, unreached
from initlint.source.machine import Frame, Machine, OutOfBudget, Raised
from initlint.source.module_methods import init_hooks
from initlint.source.relevance import Relevance
from initlint.source.resets import Resets
from initlint.source.scales import Scales
from initlint.source.strangers import Strangers
from initlint.source.symbols import ABSENT
from initlint.source.templates import models_of
from initlint.source.torch_modules import modules_below
from initlint.source.trainers import building_methods, initializing_methods
from initlint.source.uncalled import uncalled_initializers
from initlint.source.values import Arguments, ClassV, FunctionV, Instance, Scope
from initlint.source.variants import spoken_for
from initlint.syntax import is_main_guard

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.source.demand import Listener
    from initlint.source.project import Project, SourceFile

Visits = Mapping[tuple[str, str], frozenset[str]]
"""The files that each context ran code of, by the file and the name of its function or class ("" for a script)."""

_LOG = logging.getLogger(__name__)
_FEW_SIBLINGS = 6
_MOST_SIBLINGS = 24
_MOST_CALLERS = 2
_MOST_PASSING = 8
_UP_TO_CALLERS = frozenset({"in-place-on-leaf"})
"""What whoever calls a function may make right: ``with torch.no_grad(): replace(layer)``."""

_HOOKS = ("configure_model", "setup", "build", "on_fit_start")


class Contexts:
    """Runs the contexts of one project, one after the other, and yields a Model for each that built something."""

    def __init__(
        self,
        project: Project,
        knowledge: Knowledge,
        known: Visits | None = None,
        listener: Listener | None = None,
    ) -> None:
        """`known` are the visits of an earlier scan: what ran no code of the files at hand then is not run again.

        A `listener` hears each model; once it asks for no more, files that were not named are not run.
        """
        self.project = project
        self._known = known
        self._listener = listener
        self._demand: Demand | None = None
        self.visits: dict[tuple[str, str], frozenset[str]] = {}
        self.knowledge = knowledge
        self.machine = Machine(project, knowledge, budget=BUDGET)
        self.relevance = Relevance(project, knowledge)
        self.used: frozenset[str] = frozenset()
        self.tried: set[Definition] = set()
        self.opened: set[Definition] = set()
        self.doubted: set[ast.AST] = set()
        self.unseen: set[ast.AST] = set()
        self.unbuilt: set[ast.AST] = set()
        self.scales = Scales(knowledge)
        self.leftovers = Leftovers(knowledge)
        self.resets = Resets(project)
        self.strangers = Strangers(project)
        self.interesting: list[Definition] = []
        self.built: frozenset[str] = frozenset()
        self.said: frozenset[str] = frozenset()
        self.users: dict[str, list[Definition]] = {}

    def settled(self) -> tuple[Model, ...]:
        """All models, with the events that no other context speaks against."""
        models = leave_open(tuple(map(self._heard, self.models())), self.machine.distant)
        self.machine.restart(BUDGET)
        settled = self.machine.evidence.settled(models, {file.path for file in self.project.targets})
        names = initializer_names(self.machine)
        uncalled = uncalled_initializers(self.machine, self.project, self.relevance.files, names)
        return (*settled, Model("", (), (), uncalled)) if uncalled else settled

    def _heard(self, model: Model) -> Model:
        if self._listener is not None:
            self._listener.hear(model)
        return model

    def models(self) -> Iterator[Model]:
        """All models, scripts and functions first."""
        files = [*self.relevance.files, *self.relevance.users(self.relevance.files)]
        files += [file for file in self._readers() if file not in files]
        found = [each for file in files for each in self.relevance.definitions(file)]
        interesting = self.interesting = self.relevance.interesting(found)
        mentioned = self.used = self.relevance.mentioned(interesting)
        names = {each.name for each in interesting}
        self.built = frozenset(names)
        self.said = frozenset().union(*map(script_words, self.relevance.files))
        if self._listener is not None and len(files) > len(self.relevance.files):
            self._demand = Demand(self.machine, self.relevance, self.leftovers, interesting, self._listener)
        for file in files:
            words = script_words(file)
            if (
                words & (names | self.relevance.seeds(file))
                and self._concerns(file, "")
                and self._asks_for_one_of(words, file)
            ):
                yield from self._visited(file, "", self._run_file(file))
        candidates = self._without_variants(interesting)
        for each in candidates:
            if each.is_class or each.name in mentioned or each.node in self.machine.called:
                continue
            if self._asks_for(each):
                yield from self._run(each)
        for each in self._callers_first(candidates):
            if each.node in self.machine.called or each in self.tried or not self._asks_for(each):
                continue
            yield from self._run_passed_by(each)
            if each.node not in self.machine.called:
                yield from self._run(each)
        self.leftovers.rule_out([each for each in candidates if each.file in self.project.targets], self._users_of)
        for each in self._callers_first([each for each in candidates if self._has_leftovers(each)]):
            for named in (True, False):
                if self.leftovers.holds_unbuilt(each):
                    yield from self._run_open(each, named=named)

    def _has_leftovers(self, definition: Definition) -> bool:
        """Whether a definition in the files at hand holds a layer that no context has built."""
        if self._demand is not None and not self._demand.is_fully_seen(definition):
            return False
        return definition.file in self.project.targets and self.leftovers.holds_unbuilt(definition)

    def _without_variants(self, found: list[Definition]) -> list[Definition]:
        """Those that no others speak for; of many functions in one file, the first few and then those that bring a new word."""
        skipped = {each for each in spoken_for(found) if each.name not in self.used}
        seen: dict[str, set[str]] = {}
        siblings: Counter[str] = Counter()
        kept: list[Definition] = []
        for each in found:
            if each in skipped:
                continue
            if not each.is_class and each.name not in self.used:
                words = seen.setdefault(each.file.path, set())
                new = each.telling_words - words
                words |= new
                siblings[each.file.path] += 1
                count = siblings[each.file.path]
                if count > _FEW_SIBLINGS and not (new and count <= _MOST_SIBLINGS):
                    continue
            kept.append(each)
        return kept

    def _callers_first(self, found: list[Definition]) -> Iterator[Definition]:
        """Definitions in an order in which one that mentions another comes before it, as far as there is one."""
        by_name: dict[str, list[Definition]] = {}
        for each in found:
            by_name.setdefault(each.name, []).append(each)
        users = Counter(
            name for each in found for name in self.relevance.names(each) & by_name.keys() if name != each.name
        )
        ready = [each for each in found if not users[each.name]]
        done: set[Definition] = set()
        rest = iter(sorted(found, key=lambda each: each.is_class))
        while len(done) < len(found):
            each = ready.pop(0) if ready else next(other for other in rest if other not in done)
            if each in done:
                continue
            done.add(each)
            yield each
            for name in sorted(self.relevance.names(each) & by_name.keys()):
                users[name] -= 1
                if not users[name]:
                    ready += by_name[name]

    def _asks_for(self, definition: Definition) -> bool:
        """Whether something is still to be learned from a context that begins here."""
        return self._demand is None or self._demand.wants(definition)

    def _asks_for_one_of(self, words: frozenset[str], file: SourceFile) -> bool:
        return self._demand is None or file in self.project.targets or self._demand.wants_one_of(words)

    def _run(self, definition: Definition) -> Iterator[Model]:
        if self._concerns(definition.file, definition.name):
            run = self._run_class(definition) if definition.is_class else self._run_function(definition)
            yield from self._visited(definition.file, definition.name, run)

    def _concerns(self, file: SourceFile, name: str) -> bool:
        """Whether a context may run code of the files at hand, as far as an earlier scan of the same program tells."""
        if self._known is None or file in self.project.targets:
            return True
        read = self._known.get((file.path, name), frozenset())
        return any(target.path in read for target in self.project.targets)

    def _readers(self) -> list[SourceFile]:
        """The files whose code ran in contexts that ran code of the files at hand, as far as an earlier scan tells.

        Between a context and what it builds in the end there may be classes that these files do not name.
        """
        targets = {target.path for target in self.project.targets}
        paths = [path for read in (self._known or {}).values() if not targets.isdisjoint(read) for path in sorted(read)]
        return [self.project.file(path) for path in dict.fromkeys(paths)]

    def _visited(self, file: SourceFile, name: str, run: Iterator[Model]) -> Iterator[Model]:
        """Remember which files a context runs code of."""
        self.machine.read = {file.path}
        yield from run
        self.visits[file.path, name] = frozenset(self.machine.read)

    def _run_file(self, file: SourceFile) -> Iterator[Model]:
        """The top level of a file, and what it does as a script."""
        machine = self.machine
        machine.restart(BUDGET, barren=BARREN_BUDGET)
        scope = module_scope(machine, file)
        if any(each.torch_class for each in machine.instances):
            yield from self._finish(file.name, file)
        for statement in file.body:
            if isinstance(statement, ast.If) and is_main_guard(statement.test):
                machine.restart(BUDGET, barren=BARREN_BUDGET)
                before = set(machine.called)
                if self._survives(lambda body=statement.body, names=scope: machine.execute(body, Frame(names))):
                    yield from self._finish(file.name, file)
                else:
                    machine.called = before

    def _run_function(self, definition: Definition) -> Iterator[Model]:
        machine = self.machine
        self.tried.add(definition)
        function = self._value(definition)
        if not isinstance(function, FunctionV):
            return
        machine.restart(BUDGET, barren=BARREN_BUDGET)
        frame = Frame(Scope(definition.file))
        returned: list[object] = []
        before = set(machine.called)
        if self._survives(
            lambda: returned.append(call_function(machine, function, Arguments([]), definition.node, frame))
        ):
            self.strangers.leave_open(machine, returned[0], definition.file)
            if definition.name in self.used or definition.name in self.said:  # how others call it is not known
                machine.occurrences = [each for each in machine.occurrences if each.kind not in _UP_TO_CALLERS]
            yield from self._finish(definition.name, definition.file, doubtful=self._is_for_loading(definition))
        else:
            self._doubt(definition, before)

    def _run_class(self, definition: Definition) -> Iterator[Model]:
        machine = self.machine
        cls = self._value(definition)
        if not isinstance(cls, ClassV):
            return
        yield from self._run_constructors(definition, cls)
        if definition.node in machine.called or self._went_on_from(cls):
            return
        if definition.name in self.used:
            self.unseen.add(definition.node)
        machine.restart(BUDGET, barren=BARREN_BUDGET)
        frame = Frame(Scope(definition.file))
        made: list[object] = []
        survives = self._survives(lambda: made.append(instantiate(machine, cls, Arguments([]), definition.node, frame)))
        if survives:
            self._run_builders(definition, made[0])
        if survives and any(each.torch_class for each in machine.instances):
            self._doubt_unswept(definition)
            self.unbuilt.add(definition.node)
            self.strangers.leave_open(machine, made[0], definition.file)
            for model in self._finish(definition.name, definition.file):
                yield replace(model, alone=True)

    def _is_for_loading(self, definition: Definition) -> bool:
        """Whether those that ran and speak of a definition load all that they build: what they build of it for another option, too."""
        users = [
            each for each in self._users_of(definition) if each is not definition and each.node in self.machine.called
        ]
        return (bool(users) and all(map(self.leftovers.is_loaded, users))) or self.strangers.are_loaded(definition.name)

    def _went_on_from(self, cls: ClassV) -> bool:
        """Whether this is a module that was seen as the base of another: alone nobody builds it."""
        own = cls.data.get("__init__")
        is_module = isinstance(cls.lookup("forward"), FunctionV)
        return is_module and isinstance(own, FunctionV) and own.node in self.machine.called

    def _run_builders(self, definition: Definition, made: object) -> None:
        """The methods of an object that is no module, such as a trainer, that build what others initialize or load, then those."""
        if not isinstance(made, Instance) or made.torch_class:
            return
        machine = self.machine
        names = self.relevance.names(definition) & self.built
        if not names:
            return
        initializers = initializer_names(machine)
        building = building_methods(machine, made, names, initializers)
        for method in itertools.chain(building, initializing_methods(machine, made, initializers)):
            before = set(machine.called)
            given = Arguments([made] if method.role == "function" else [])
            if not self._survives(
                lambda method=method, given=given: call_function(
                    machine, method, given, method.node, Frame(method.scope)
                )
            ):
                self._doubt(definition, before)

    def _doubt_unswept(self, definition: Definition) -> None:
        """Alone, a class is not what it is below one that initializes all it holds."""
        if self.leftovers.may_be_swept(definition, self._users_of):
            self.doubted.add(definition.node)

    def _users_of(self, definition: Definition) -> list[Definition]:
        if not self.users:
            for each in self.interesting:
                for name in self.relevance.names(each):
                    self.users.setdefault(name, []).append(each)
        return [each for each in self.users.get(definition.name, ()) if self.relevance.means(each, definition)]

    def _run_passed_by(self, definition: Definition) -> Iterator[Model]:
        """Those that ran but passed by the branch on which they build this class: below them it may be a part of a gate."""
        users = self._passing(definition, _MOST_CALLERS) if definition.is_class and definition.name in self.used else ()
        for user in itertools.islice(users, _MOST_PASSING):
            if definition.node in self.machine.called:
                return
            yield from self._run_open(user)

    def _passing(self, definition: Definition, outwards: int) -> Iterator[Definition]:
        """Those that ran and call a definition, after those that call them: what these do to a model counts, too."""
        for user in self._users_of(definition):
            if user.node in self.machine.called and calls(user, definition.name):
                yield from self._passing(user, outwards - 1) if outwards else ()
                yield user

    def _run_open(self, definition: Definition, *, named: bool = False) -> Iterator[Model]:
        """A definition whose defaults leave layers out, run once more on arguments of which nothing is known.

        It speaks only for those layers; whatever else it builds, a context with known arguments knows better. Defaults
        that are called (``activation=F.relu``, ``norm=nn.LayerNorm``) leave nothing out and stay; so do, where it is asked
        for what is `named`, words (``activation="relu"``).
        """
        machine = self.machine
        value = self._value(definition)
        if definition in self.opened or (named and not takes_words(machine, value)):
            return
        if not named:
            self.opened.add(definition)
        machine.restart(OPEN_BUDGET)
        self._doubt_unswept(definition)
        frame, before = Frame(Scope(definition.file)), set(machine.called)
        if self._survives(lambda: call_openly(machine, value, definition.node, frame, named=named)):
            if doubtful := definition.node in self.doubted:
                self.doubted |= machine.called - before
            spoken = frozenset(self.leftovers.built)
            doubtful = doubtful or self.leftovers.is_loaded(definition)
            for model in self._finish(definition.name, definition.file, spoken, doubtful=doubtful):
                yield replace(model, alone=definition.node in self.unbuilt)
        machine.reached, machine.occurrences = set(), []

    def _run_constructors(self, definition: Definition, cls: ClassV) -> Iterator[Model]:
        """Class methods that build their class, or another, are contexts, also when nobody calls them."""
        machine = self.machine
        for name, method in list(cls.data.items()):
            if not isinstance(method, FunctionV) or method.role != "class" or name.startswith("__"):
                continue
            machine.restart(BUDGET, barren=BARREN_BUDGET)
            before = set(machine.called)
            arguments = Arguments([cls])
            frame = Frame(Scope(definition.file))
            if self._survives(
                lambda method=method, given=arguments, at=frame: call_function(
                    machine, method, given, definition.node, at
                )
            ):
                if any(each.torch_class for each in machine.instances):
                    yield from self._finish(f"{cls.name}.{name}", definition.file)
            else:
                machine.called = before

    def _doubt(self, definition: Definition, before: set[ast.AST]) -> None:
        """A context not followed to its end may initialize whatever it built: that is judged alone, and silently."""
        reached = self.machine.called - before
        self.machine.called -= {node for node in reached if isinstance(node, ast.ClassDef)}
        self.doubted |= reached
        _LOG.debug("abandoned %s", definition.name)

    def _value(self, definition: Definition) -> object:
        self.machine.restart(BUDGET)
        return module_scope(self.machine, definition.file).data.get(definition.name, ABSENT)

    def _survives(self, run: Callable[..., object]) -> bool:
        """Whether a context runs to its end; the program's own exceptions end it, ours are bugs."""
        machine = self.machine
        branch = machine.branch
        try:
            run()
        except (Raised, OutOfBudget, RecursionError):
            machine.journal = None
            return False
        finally:
            machine.depth = machine.repeating = machine.branching = machine.no_grad = machine.guarded = 0
            machine.branch = branch
            machine.calls.clear()
            machine.active.clear()
        return True

    def _finish(
        self, name: str, file: SourceFile, spoken: frozenset[ast.AST] | None = None, *, doubtful: bool = False
    ) -> Iterator[Model]:
        """Run the hooks and forward passes that are still due, and lower what there is.

        Of layers that other contexts have `spoken` for, and of what happened to them, nothing is said. Where all of it is
        `doubtful`, something that was not run may initialize the whole.
        """
        machine = self.machine
        machine.steps, machine.budget, machine.reserve = 0, FORWARD_BUDGET, 0
        for top in models_of(machine):
            self._hooks(top)
            self._initialize(top)
            if top not in machine.forwarded:
                self._forward(top, whole=True, optional=spoken is not None)
        below = {top: modules_below(top) for top in models_of(machine)}
        if left := unreached(machine, below):
            for module in left:
                if module not in machine.forwarded:
                    self._forward(module, whole=False, optional=spoken is not None)
            below = {top: modules_below(top) for top in models_of(machine)}
        for module in left_aside(machine, dict.fromkeys(itertools.chain.from_iterable(below.values()))):
            self._forward(module, whole=False, optional=True)
        if spoken is None:
            inspect_aftermath(machine, below, self.doubted, self.unseen, doubtful=doubtful)
        else:
            machine.occurrences = []
        lowering = Lowering(machine, self.scales, name, file, [*below], self.doubted, doubtful=doubtful)
        model = lowering.model()
        self.leftovers.take_in(machine, opened=spoken is not None)
        if spoken:
            model = replace(model, silent=lowering.built_at(spoken))
        if model.layers or model.events:
            yield model

    def _hooks(self, module: Instance) -> None:
        if not isinstance(module.cls, ClassV) or not module.uncertain:
            return
        machine = self.machine
        for name in _HOOKS:
            hook = module.cls.lookup(name)
            if isinstance(hook, FunctionV) and hook.node not in machine.called:
                self._survives(
                    lambda hook=hook: call_function(machine, hook, Arguments([module]), hook.node, Frame(hook.scope))
                )

    def _initialize(self, top: Instance) -> None:
        """What a framework does before it trains: call the init methods of its modules, where the program did not."""
        machine = self.machine
        modules = modules_below(top)
        for module in modules:
            apply_configuration(machine, module)
        due = [(module, hook) for module in modules for hook in init_hooks(machine, module)]
        for module, hook in [each for each in due if each[1].node not in machine.ran]:
            self._survives(
                lambda hook=hook, module=module: call_function(
                    machine, hook, Arguments([module]), hook.node, Frame(hook.scope)
                )
            )
        for module in modules:
            self.resets.leave_open(machine, module)

    def _forward(self, module: Instance, *, whole: bool, optional: bool) -> None:
        """One forward pass on inputs of which nothing is known; what a whole model returns is its output."""
        machine = self.machine
        place = module.place
        node = place.node if place is not None else ast.Pass()
        frame = Frame(Scope(place.file if place is not None else self.project.targets[0]))
        arguments = inputs_of(machine, module, optional=optional)
        results: list[object] = []
        before = machine.graph.end
        if self._survives(lambda: results.append(machine.call(module, arguments, node, frame))):
            for op in tensors_in(results):
                if whole:
                    machine.graph.add("output", "output", (op,))
                elif op >= before:
                    machine.graph.add("opaque", "unknown", (op,))
            machine.graph.hand_over()
        machine.forwarded.add(module)
