"""Which parts of a program are run, and how: functions and scripts that build models, then classes nobody builds."""

from __future__ import annotations

import ast
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from initlint.model import Model
from initlint.source.aftermath import inspect_aftermath
from initlint.source.coverage import initializer_names
from initlint.source.functions import call_function, instantiate
from initlint.source.imports import imported_files, module_scope
from initlint.source.lowering import Lowering, top_modules, unreached
from initlint.source.machine import Frame, Machine, OutOfBudget, Raised
from initlint.source.statements import is_main_guard
from initlint.source.symbols import ABSENT, UNKNOWN
from initlint.source.uncalled import uncalled_initializers
from initlint.source.values import Arguments, ClassV, FunctionV, Instance, ListV, Scope, TensorV

if TYPE_CHECKING:
    from initlint.knowledge import Knowledge
    from initlint.source.project import Project, SourceFile

_LOG = logging.getLogger(__name__)
BUDGET = 150_000
FORWARD_BUDGET = 150_000
_WORD = re.compile(r"[A-Za-z_]\w*")
_LITERAL = re.compile(r"""'[^'\n]*'|"[^"\n]*"|\b\d[\w.]*""")
_WEIGHTS = re.compile(r"\w*weights\w*(?:\.\w+)*", re.IGNORECASE)
_COMMENT = re.compile(r"#.*")
_MOST_HOPS = 3
_FEW_SIBLINGS = 6
_MOST_SIBLINGS = 24
_HOOKS = ("configure_model", "setup", "build", "on_fit_start")


class Definition:
    """A function or class at the top level of a file, and the words of its text."""

    __slots__ = ("code", "file", "name", "node", "words")

    def __init__(self, file: SourceFile, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.file = file
        self.node = node
        self.name = node.name
        self.code = _code(file, node)
        self.words = frozenset(_WORD.findall(_LITERAL.sub("", self.code)))

    @property
    def telling_words(self) -> frozenset[str]:
        """The words that set a function apart from its siblings: not its own name, nor that of its weights."""
        return frozenset(
            word
            for word in _WORD.findall(self.code)
            if word != self.name and "weights" not in word.lower() and self.name not in word
        )

    @property
    def is_class(self) -> bool:
        """Whether it is a class."""
        return isinstance(self.node, ast.ClassDef)


def _code(file: SourceFile, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    """The text of a definition without comments and docstrings."""
    lines = file.lines[node.lineno - 1 : node.end_lineno]
    for part in (node, *(each for each in node.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)))):
        first = part.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.end_lineno is not None:
            for line in range(first.lineno - node.lineno, first.end_lineno - node.lineno + 1):
                lines[line] = ""
    return _COMMENT.sub("", "\n".join(lines))


def definitions(file: SourceFile) -> Iterator[Definition]:
    """The functions and classes at the top level of `file`, also those under an ``if`` or a ``try``."""
    pending = list(file.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield Definition(file, node)
        elif isinstance(node, (ast.If, ast.Try)) and not (isinstance(node, ast.If) and is_main_guard(node.test)):
            pending = [*node.body, *node.orelse, *pending]


def script_words(file: SourceFile) -> frozenset[str]:
    """The words of what a file does at its top level, besides defining and importing."""
    lines: list[str] = []
    for node in file.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Constant, ast.List, ast.Tuple)):
            continue
        lines += file.lines[node.lineno - 1 : node.end_lineno]
    return frozenset(_WORD.findall("\n".join(lines)))


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name


def _shape(definition: Definition) -> str:
    """The code of a function without its own name, its numbers and strings, and the names of weights."""
    lines = definition.code.partition(":\n")[2]
    text = " ".join(_WEIGHTS.sub("", _LITERAL.sub("", lines)).split())
    return re.sub(rf"\w*{re.escape(definition.name)}\w*", "", text, flags=re.IGNORECASE)


def layer_words(knowledge: Knowledge) -> frozenset[str]:
    """The last parts of the names of everything that makes a layer or initializes one."""
    layers = [name for name, fact in knowledge.layers.items() if fact.role not in ("norm", "activation")]
    names = [*layers, *(name for name in knowledge.initializers if not name.startswith("Tensor."))]
    return frozenset(name.rpartition(".")[2] for name in names) | {"Parameter", "init_weights", "_init_weights"}


class Contexts:
    """Runs the contexts of one project, one after the other, and yields a Model for each that built something."""

    def __init__(self, project: Project, knowledge: Knowledge) -> None:
        self.project = project
        self.knowledge = knowledge
        self.machine = Machine(project, knowledge, budget=BUDGET)
        self.seeds = layer_words(knowledge)
        self.used: frozenset[str] = frozenset()
        self.tried: set[Definition] = set()
        self.doubted: set[ast.AST] = set()

    def settled(self) -> tuple[Model, ...]:
        """All models, with the events that no other context speaks against."""
        models = tuple(self.models())
        self.machine.restart(BUDGET)
        settled = self.machine.evidence.settled(models, {file.path for file in self.project.targets})
        files = self._relevant(self.project.targets)
        uncalled = uncalled_initializers(self.machine, self.project, files, initializer_names(self.machine))
        return (*settled, Model("", (), (), uncalled)) if uncalled else settled

    def models(self) -> Iterator[Model]:
        """All models, scripts and functions first."""
        files = self._relevant(self.project.targets)
        files += self._users(files)
        found = [each for file in files for each in definitions(file)]
        interesting = self._interesting(found)
        mentioned = self.used = self._mentioned(interesting)
        names = {each.name for each in interesting}
        for file in files:
            if script_words(file) & (names | self.seeds):
                yield from self._run_file(file)
        candidates = self._without_variants(interesting)
        for each in candidates:
            if not each.is_class and each.name not in mentioned:
                yield from self._run_function(each)
        for each in self._callers_first(candidates):
            if each.node in self.machine.called or each in self.tried:
                continue
            yield from self._run_class(each) if each.is_class else self._run_function(each)

    def _relevant(self, files: list[SourceFile]) -> list[SourceFile]:
        """The files that make or initialize layers, or mention a name that such a file defines."""
        kept = [file for file in files if "torch" in file.text and file.words & self.seeds]
        names = {name for file in kept if file.tree is not None for name in _defined(file.tree)}
        rest = [file for file in files if file not in kept]
        while added := [file for file in rest if "import" in file.words and file.words & names]:
            kept += added
            rest = [file for file in rest if file not in added]
            names = {name for file in added if file.tree is not None for name in _defined(file.tree)}
        kept += [file for file in rest if "Module" in file.words and self._borrows(file)]
        return [file for file in files if file in set(kept) and file.tree is not None]

    def _borrows(self, file: SourceFile) -> bool:
        """Whether a file builds on layers that files which were not named define; their names then count as layers."""
        lenders = [
            each
            for each in imported_files(self.project, file)
            if each.words & self.seeds and each not in self.project.targets
        ]
        names = {name for each in lenders if each.tree is not None for name in _defined(each.tree)} & file.words
        self.seeds |= names
        return bool(names)

    def _users(self, files: list[SourceFile]) -> list[SourceFile]:
        """The files around the named ones that use what these define, and those that use them in turn."""
        known = list(self.project.targets)
        added: list[SourceFile] = []
        newest = set(files)
        names = {each.name for file in files for each in definitions(file) if len(each.name) > 1}
        for _ in range(_MOST_HOPS):
            mentioning = self.project.mentioning(names, known)
            newest = {file for file in mentioning if not newest.isdisjoint(imported_files(self.project, file))}
            if not newest:
                break
            added += [file for file in mentioning if file in newest]
            known += newest
        return added

    def _interesting(self, found: list[Definition]) -> list[Definition]:
        """Those that make or initialize layers, or lead to others that do."""
        kept = {id(each) for each in found if each.words & self.seeds}
        names = {each.name for each in found if id(each) in kept}
        while True:
            added = [each for each in found if id(each) not in kept and each.words & names]
            if not added:
                return [each for each in found if id(each) in kept]
            kept |= {id(each) for each in added}
            names |= {each.name for each in added}

    def _mentioned(self, interesting: list[Definition]) -> frozenset[str]:
        """Names that some other definition uses."""
        names = {each.name for each in interesting}
        return frozenset(name for each in interesting for name in each.words & names if name != each.name)

    def _without_variants(self, found: list[Definition]) -> list[Definition]:
        """Of functions that differ in numbers and strings only (resnet18, resnet34, ...) the first and the last.

        Of many others in one file, the first few and then those that bring a new word.
        """
        families: dict[tuple[str, str], list[Definition]] = {}
        for each in found:
            if not each.is_class:
                families.setdefault((each.file.path, _shape(each)), []).append(each)
        skipped = {each for family in families.values() for each in family[1:-1] if each.name not in self.used}
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
        users = Counter(name for each in found for name in each.words & by_name.keys() if name != each.name)
        ready = [each for each in found if not users[each.name]]
        done: set[Definition] = set()
        rest = iter(sorted(found, key=lambda each: each.is_class))
        while len(done) < len(found):
            each = ready.pop(0) if ready else next(other for other in rest if other not in done)
            if each in done:
                continue
            done.add(each)
            yield each
            for name in each.words & by_name.keys():
                users[name] -= 1
                if not users[name]:
                    ready += by_name[name]

    def _run_file(self, file: SourceFile) -> Iterator[Model]:
        """The top level of a file, and what it does as a script."""
        machine = self.machine
        machine.restart(BUDGET)
        scope = module_scope(machine, file)
        if any(each.torch_class for each in machine.instances):
            yield from self._finish(file.name)
        for statement in file.body:
            if isinstance(statement, ast.If) and is_main_guard(statement.test):
                machine.restart(BUDGET)
                if self._survives(lambda body=statement.body, names=scope: machine.execute(body, Frame(names))):
                    yield from self._finish(file.name)

    def _run_function(self, definition: Definition) -> Iterator[Model]:
        machine = self.machine
        self.tried.add(definition)
        function = self._value(definition)
        if not isinstance(function, FunctionV):
            return
        machine.restart(BUDGET)
        frame = Frame(Scope(definition.file))
        returned: list[object] = []
        before = set(machine.called)
        if self._survives(
            lambda: returned.append(call_function(machine, function, Arguments([]), definition.node, frame))
        ):
            yield from self._finish(definition.name)
        else:
            self._doubt(definition, before)

    def _run_class(self, definition: Definition) -> Iterator[Model]:
        machine = self.machine
        cls = self._value(definition)
        if not isinstance(cls, ClassV):
            return
        yield from self._run_constructors(definition, cls)
        if definition.node in machine.called:
            return
        machine.restart(BUDGET)
        frame = Frame(Scope(definition.file))
        made: list[object] = []
        if not self._survives(lambda: made.append(instantiate(machine, cls, Arguments([]), definition.node, frame))):
            return
        instance = made[0] if made else None
        if isinstance(instance, Instance) and instance.torch_class:
            yield from self._finish(definition.name)

    def _run_constructors(self, definition: Definition, cls: ClassV) -> Iterator[Model]:
        """Class methods that build the class are contexts, also when nobody calls them."""
        machine = self.machine
        for name, method in list(cls.data.items()):
            if not isinstance(method, FunctionV) or method.role != "class" or name.startswith("__"):
                continue
            machine.restart(BUDGET)
            before = set(machine.called)
            arguments = Arguments([cls])
            frame = Frame(Scope(definition.file))
            if self._survives(
                lambda method=method, given=arguments, at=frame: call_function(
                    machine, method, given, definition.node, at
                )
            ):
                if definition.node in machine.called:
                    yield from self._finish(f"{cls.name}.{name}")
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
        try:
            run()
        except (Raised, OutOfBudget, RecursionError):
            machine.journal = None
            return False
        finally:
            machine.depth = machine.repeating = machine.branching = machine.no_grad = machine.guarded = 0
            machine.calls.clear()
            machine.active.clear()
        return True

    def _finish(self, name: str) -> Iterator[Model]:
        """Run the hooks and forward passes that are still due, and lower what there is."""
        machine = self.machine
        machine.steps, machine.budget = 0, FORWARD_BUDGET
        for top in top_modules(machine):
            if top.discarded and top not in machine.forwarded:
                machine.instances = [each for each in machine.instances if each is not top]
                continue
            self._hooks(top)
            if top not in machine.forwarded:
                self._forward(top, whole=True)
        for module in unreached(machine):
            if module not in machine.forwarded and isinstance(module.cls, ClassV):
                self._forward(module, whole=False)
        inspect_aftermath(machine, self.doubted)
        model = Lowering(machine, name, self.doubted).model()
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

    def _forward(self, module: Instance, *, whole: bool) -> None:
        """One forward pass on inputs of which nothing is known; what a whole model returns is its output."""
        machine = self.machine
        place = module.place
        node = place.node if place is not None else ast.Pass()
        frame = Frame(Scope(place.file if place is not None else self.project.targets[0]))
        arguments = self._inputs(module)
        results: list[object] = []
        before = machine.graph.end
        if self._survives(lambda: results.append(machine.call(module, arguments, node, frame))):
            for op in _tensors(results):
                if whole:
                    machine.graph.add("output", "output", (op,))
                elif op >= before:
                    machine.graph.add("opaque", "unknown", (op,))
        machine.forwarded.add(module)

    def _inputs(self, module: Instance) -> Arguments:
        method = module.cls.lookup("forward") if isinstance(module.cls, ClassV) else ABSENT
        if not isinstance(method, FunctionV):
            return Arguments([self._input("input")])
        signature = method.node.args
        names = [*signature.posonlyargs, *signature.args][1:]
        required = names[: max(len(names) - len(method.defaults), 0)]
        given = [self._input_like(each) for each in required]
        if not required and names:
            given = [self._input_like(names[0])]
        if signature.vararg and not given:
            given = [self._input("input")]
        keywords = {
            each.arg: self._input_like(each)
            for each, default in zip(signature.kwonlyargs, method.keyword_defaults, strict=True)
            if default is ABSENT
        }
        return Arguments(given, keywords)

    def _input_like(self, parameter: ast.arg) -> object:
        annotation = ast.dump(parameter.annotation) if parameter.annotation is not None else ""
        if "'List'" in annotation or "'list'" in annotation or "'Sequence'" in annotation:
            return ListV([self._input(parameter.arg)], repeats=True)
        if any(f"id='{word}'" in annotation for word in ("int", "float", "bool", "str")) and "Tensor" not in annotation:
            return UNKNOWN
        return self._input(parameter.arg)

    def _input(self, name: str) -> TensorV:
        return TensorV(self.machine.graph.add("input", name))


def _tensors(values: list[object], depth: int = 0) -> list[int]:
    from initlint.source.values import Choice, DictV

    found: list[int] = []
    for value in values:
        if isinstance(value, TensorV):
            found.append(value.op)
        elif depth < 4 and isinstance(value, (tuple, ListV, DictV, Choice, Instance)):
            inner: list[object]
            if isinstance(value, Instance):
                inner = [] if value.torch_class else list(value.data.values())
            elif isinstance(value, DictV):
                inner = list(value.data.values())
            elif isinstance(value, Choice):
                inner = list(value.alternatives)
            else:
                inner = list(value.data if isinstance(value, ListV) else value)
            found += _tensors(inner, depth + 1)
    return list(dict.fromkeys(found))
