"""What an import binds: a module of the project, loaded when first used, or the dotted name of something outside."""

from __future__ import annotations

import ast
import itertools
import os
from collections.abc import Iterator, Mapping

from initlint.source.budget import loading
from initlint.source.machine import Flow, Frame, Machine, OutOfBudget, Raised
from initlint.source.project import Imported, Project, SourceFile
from initlint.source.repeats import Watch
from initlint.source.symbols import ABSENT, UNKNOWN
from initlint.source.values import CLOCK, Arguments, ClassV, External, ModuleRef, Scope


def module_scope(machine: Machine, file: SourceFile) -> Scope:
    """The names of a project module; its top level runs when they are first asked for."""
    scope = machine.module_scopes.get(file.path)
    if scope is not None:
        return scope
    scope = machine.module_scopes[file.path] = Scope(file)
    scope.data["__name__"] = file.name
    scope.data["__file__"] = file.path
    if file.tree is None:
        return scope
    outer = machine.journal, machine.branching, machine.branch, machine.repeating, machine.depth
    machine.journal, machine.branching, machine.branch, machine.repeating, machine.depth = None, 0, machine.trunk, 0, 0
    watch = Watch(machine)
    machine.unfinished.add(file.path)
    machine.globals.loading += 1
    try:
        with loading(machine), watch:
            run_top_level(machine, file, Frame(scope))
    finally:
        machine.globals.loading -= 1
        machine.unfinished.discard(file.path)
        if watch.changed:
            machine.repeats.outdate()
        machine.lasting = machine.serial, next(CLOCK)
        machine.journal, machine.branching, machine.branch, machine.repeating, machine.depth = outer
    return scope


def run_top_level(machine: Machine, file: SourceFile, frame: Frame) -> None:
    """Run the statements of a module one by one; one that raises does not stop the next."""
    for statement in file.body:
        if isinstance(statement, ast.Assign) and statement in machine.ahead:
            continue
        try:
            if machine.execute((statement,), frame) is not Flow.NEXT:
                break
        except (Raised, RecursionError):
            continue
        except OutOfBudget:
            machine.budget += 5_000


def import_statements(file: SourceFile) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports anywhere in `file`; only statements are looked at, of which there are few."""
    pending: list[ast.stmt] = list(file.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
            continue
        for block in ("body", "orelse", "finalbody"):
            pending += getattr(node, block, ())
        for handler in getattr(node, "handlers", ()):
            pending += handler.body


def imports(project: Project, file: SourceFile) -> tuple[Imported, ...]:
    """What `file` imports, anywhere in its text; modules outside the project are None."""
    known = project.imported.get(file)
    if known is None:
        known = project.imported[file] = tuple(_imports(project, file))
    return known


def _imports(project: Project, file: SourceFile) -> Iterator[Imported]:
    yield from _lazy_modules(project, file)
    for node in import_statements(file):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name, "", project.module(alias.name, file), None
            continue
        source, name = (
            _relative(project, node, file)
            if node.level
            else (project.module(node.module or "", file), node.module or "")
        )
        for alias in node.names:
            below = project.module(f"{name}.{alias.name}", file) if source is None or source.is_package else None
            yield alias.asname or alias.name, alias.name, source, below


def _lazy_modules(project: Project, file: SourceFile) -> Iterator[Imported]:
    """The modules of a package that imports them by name when it is asked for something."""
    if not file.is_package or not {"__getattr__", "import_module"} <= file.words:
        return
    folder = os.path.dirname(file.path)
    for name in sorted(os.listdir(folder)):
        stem = name.removesuffix(".py")
        below = project.under(folder, stem) if stem in file.words else None
        if below is not None and below is not file:
            yield stem, "", below, None


def imported_files(project: Project, file: SourceFile) -> Iterator[SourceFile]:
    """The files of the project that `file` imports from, anywhere in its text."""
    for _, _, source, below in imports(project, file):
        if source is not None:
            yield source
        if below is not None:
            yield below


def import_names(machine: Machine, node: ast.Import, frame: Frame) -> None:
    """``import a.b`` and ``import a.b as c``."""
    for alias in node.names:
        machine.touch(frame.scope)
        if alias.asname:
            frame.scope.data[alias.asname] = module_named(machine, alias.name, frame.file)
        else:
            top = alias.name.partition(".")[0]
            frame.scope.data[top] = module_named(machine, top, frame.file)


def module_named(machine: Machine, name: str, asker: SourceFile) -> object:
    """The project's module of that name, else the outside one."""
    file = machine.project.module(name, asker)
    return External(name) if file is None or file is asker else ModuleRef(file)


def import_from(machine: Machine, node: ast.ImportFrom, frame: Frame) -> None:
    """``from a import b``, relative ones by folder, stars through the module's ``__all__`` or public names."""
    file: SourceFile | None
    if node.level:
        file, name = _relative(machine.project, node, frame.file)
    else:
        name = node.module or ""
        file = machine.project.module(name, frame.file)
        file = None if file is frame.file else file
    for alias in node.names:
        if alias.name == "*":
            if file is not None and file is not frame.file:
                _import_star(machine, file, frame)
            elif name.startswith("torch"):
                _import_torch_star(machine, name, frame)
            continue
        value: object = External(f"{name}.{alias.name}")
        if file is not None:
            value = member(machine, file, alias.name, frame.file)
        elif machine.project.module(f"{name}.{alias.name}", frame.file) is not None:
            value = module_named(machine, f"{name}.{alias.name}", frame.file)
        machine.touch(frame.scope)
        frame.scope.data[alias.asname or alias.name] = value


def _relative(project: Project, node: ast.ImportFrom, asker: SourceFile) -> tuple[SourceFile | None, str]:
    package = asker.package.split(".") if asker.package else []
    base = package[: len(package) - (node.level - 1)] if node.level - 1 <= len(package) else []
    name = ".".join([*base, *([node.module] if node.module else [])])
    folder = os.path.dirname(asker.path)
    for _ in range(node.level - 1):
        folder = os.path.dirname(folder)
    file = project.under(folder, node.module or "")
    return file, name


def member(machine: Machine, file: SourceFile, name: str, asker: SourceFile) -> object:
    """``file.name``: a name bound at its top level, or a submodule of the package."""
    scope = module_scope(machine, file)
    value = scope.data.get(name, ABSENT)
    if value is not ABSENT:
        return value
    if file.is_package:
        below = machine.project.under(os.path.dirname(file.path), name)
        if below is not None:
            return ModuleRef(below)
    lazy = scope.data.get("__getattr__", ABSENT)
    if lazy is not ABSENT:
        return _lazily(machine, file, lazy, name)
    return _deferred(machine, file, name)


def _lazily(machine: Machine, file: SourceFile, function: object, name: str) -> object:
    """What the module's own ``__getattr__`` gives for a name."""
    try:
        return machine.call(
            function, Arguments([name]), file.tree or ast.Pass(), Frame(machine.module_scopes[file.path])
        )
    except Raised:
        return UNKNOWN


def import_named(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``importlib.import_module(name, package)``."""
    name = arguments.get(0, "name")
    if not isinstance(name, str):
        return UNKNOWN
    level = len(name) - len(name.lstrip("."))
    if level == 0:
        return module_named(machine, name, frame.file)
    statement = ast.ImportFrom(name[level:] or None, [], level)
    file, _ = _relative(machine.project, statement, frame.file)
    return UNKNOWN if file is None else ModuleRef(file)


def _deferred(machine: Machine, file: SourceFile, name: str) -> object:
    """In a cycle of imports the name may not be bound yet: find its definition in the syntax.

    A class stays the same object when the module comes to its definition: its subclasses and `isinstance` hold on to it.
    So does what is assigned: others may have put something into it by then.
    """
    for statement in file.body:
        if name in _bound_by(statement):
            scope = machine.module_scopes[file.path]
            if machine.ahead.get(statement, ABSENT) is None:
                return UNKNOWN  # asked for by its own definition
            machine.ahead[statement] = None
            try:
                machine.execute((statement,), Frame(scope))
            except Raised:
                return UNKNOWN
            finally:
                machine.ahead.pop(statement, None)
            found = scope.data.get(name, UNKNOWN)
            if isinstance(statement, ast.Assign) or (isinstance(statement, ast.ClassDef) and isinstance(found, ClassV)):
                machine.ahead[statement] = found
            return found
    return _starred(machine, file, name)


def _starred(machine: Machine, file: SourceFile, name: str) -> object:
    """What a star import that is still to come will bring under a name."""
    for alias, _, source, _ in imports(machine.project, file):
        if alias == "*" and source is not None and source is not file and name in _bound_in(source):
            return member(machine, source, name, file)
    return UNKNOWN


def _bound_in(file: SourceFile) -> Mapping[str, None]:
    """The names that statements at the top level of a file bind, in order."""
    return dict.fromkeys(itertools.chain.from_iterable(map(_bound_by, file.body)))


def _bound_by(statement: ast.stmt) -> tuple[str, ...]:
    """The names that a definition, an import of names, or an assignment to a single one binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
            return (name,)
        case ast.ImportFrom(names=aliases):
            return tuple(each.asname or each.name for each in aliases)
        case _:
            return ()


def _import_star(machine: Machine, file: SourceFile, frame: Frame) -> None:
    from initlint.source.values import ListV

    scope = module_scope(machine, file)
    for name in _bound_in(file) if file.path in machine.unfinished else ():
        if name != "*" and name not in scope.data:
            _deferred(machine, file, name)  # a cycle of imports: what will be there is there already
    listed = scope.data.get("__all__")
    names = listed.data if isinstance(listed, ListV) else listed if isinstance(listed, tuple) else None
    machine.touch(frame.scope)
    for name, value in list(scope.data.items()):
        if name in names if names is not None else not name.startswith("_"):
            frame.scope.data[name] = value


def _import_torch_star(machine: Machine, name: str, frame: Frame) -> None:
    machine.touch(frame.scope)
    prefix = f"{name}."
    knowledge = machine.knowledge
    for table in (knowledge.activation_of, knowledge.layers, knowledge.initializers, knowledge.operations):
        for known in table:
            if known.startswith(prefix) and "." not in known[len(prefix) :]:
                frame.scope.data[known[len(prefix) :]] = External(known)
    if name == "torch":
        frame.scope.data["nn"] = External("torch.nn")
    if name == "torch.nn":
        frame.scope.data["Module"] = External("torch.nn.Module")
        frame.scope.data["Parameter"] = External("torch.nn.Parameter")
        frame.scope.data["init"] = External("torch.nn.init")
        frame.scope.data["functional"] = External("torch.nn.functional")
