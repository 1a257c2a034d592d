"""Records: classes whose annotations are their constructor, and what constructing one stores."""

from __future__ import annotations

import ast

from initlint.source.machine import Frame, Machine
from initlint.source.symbols import ABSENT, UNKNOWN, Sym
from initlint.source.values import Arguments, ClassV, DictV, External, FunctionV, Instance, ListV, Scope
from initlint.syntax import decorator_name

_DECORATORS = frozenset({"dataclass", "define", "frozen", "attrs", "s"})
_BASES = frozenset({"NamedTuple", "BaseModel", "BaseSettings", "TypedDict"})
_NAMED_TUPLE = External("typing.NamedTuple")


def is_record(cls: ClassV) -> bool:
    """Whether the annotations are the constructor: a dataclass, a named tuple, an attrs or a pydantic class."""
    for each in cls.mro:
        decorators = each.node.decorator_list if each.node else ()
        if any(decorator_name(decorator) in _DECORATORS for decorator in decorators):
            return True
    return any(isinstance(base, External) and base.name.rpartition(".")[2] in _BASES for base in cls.external_bases)


def fields(record: Instance) -> list[object] | None:
    """The values of a named tuple in order, None for any other object."""
    cls = record.cls
    if record.torch_class or not isinstance(cls, ClassV):
        return None
    named = any(isinstance(base, External) and base.name.endswith("NamedTuple") for base in cls.external_bases)
    return list(record.data.values()) if named else None


def named_tuple(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``namedtuple("Point", "x y")`` and ``NamedTuple("Point", [("x", int)])``: a class with these fields."""
    name, listed = arguments.get(0, "typename"), arguments.get(1, "field_names", arguments.get(1, "fields"))
    if isinstance(listed, str):
        listed = tuple(listed.replace(",", " ").split())
    members = listed.data if isinstance(listed, ListV) else listed
    if not isinstance(name, str) or not isinstance(members, (tuple, list)):
        return UNKNOWN
    names = [each[0] if isinstance(each, tuple) and each else each for each in members]
    if not all(isinstance(each, str) for each in names):
        return UNKNOWN
    body: list[ast.stmt] = [
        ast.AnnAssign(ast.Name(each, ast.Store()), ast.Name("object", ast.Load()), None, simple=1)
        for each in names
        if isinstance(each, str)
    ]
    made = ast.copy_location(ast.ClassDef(name, [], [], body or [ast.Pass()], []), node)
    cls = ClassV(name, made, Scope(frame.file, frame.scope, is_class=True), (_NAMED_TUPLE,))
    defaults = arguments.keywords.get("defaults", ())
    values = defaults.data if isinstance(defaults, ListV) else defaults
    if isinstance(values, (tuple, list)):
        cls.data = dict(zip([str(each) for each in names[len(names) - len(values) :]], values, strict=False))
    return cls


def call_post_init(machine: Machine, cls: ClassV, instance: Instance, node: ast.AST, frame: Frame) -> None:
    """What a dataclass does once its fields are set."""
    hook = cls.lookup("__post_init__")
    if isinstance(hook, FunctionV):
        machine.call(hook, Arguments([instance]), node, frame)


def fill_record(machine: Machine, cls: ClassV, instance: Instance, arguments: Arguments, frame: Frame) -> None:
    """Set the fields of a new record from its arguments, then from their defaults."""
    declared = _declared(cls)
    machine.touch(instance)
    given = dict(zip(declared, arguments.positional, strict=False))
    for name, statement in declared.items():
        if name in given:
            instance.data[name] = given[name]
        elif name in arguments.keywords:
            instance.data[name] = arguments.keywords[name]
        elif name not in instance.data:
            value = _field_default(machine, cls, name, statement)
            may_differ = arguments.open and machine.staying and not isinstance(value, machine.staying)
            instance.data[name] = Sym.named(f"{cls.name}.{name}") if may_differ and _is_option(value) else value


def _is_option(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _declared(cls: ClassV) -> dict[str, ast.AnnAssign]:
    """The fields of a record by name, those that it inherits first."""
    return {
        statement.target.id: statement
        for each in reversed(cls.mro)
        for statement in (each.node.body if each.node else ())
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def replaced(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``dataclasses.replace(config, width=8)``: one more record, built anew from the fields of the first."""
    from initlint.source.functions import instantiate

    record = arguments.positional[0] if arguments.positional else UNKNOWN
    if not isinstance(record, Instance) or not isinstance(record.cls, ClassV) or not is_record(record.cls):
        return UNKNOWN
    if arguments.open or record.uncertain:
        return UNKNOWN
    names = _declared(record.cls)
    kept = {name: value for name, value in record.data.items() if name in names}
    return instantiate(machine, record.cls, Arguments([], {**kept, **arguments.keywords}), node, frame)


def as_dict(machine: Machine, arguments: Arguments, node: ast.AST, frame: Frame) -> object:
    """``dataclasses.asdict(config)``, records inside it included."""
    record = arguments.positional[0] if arguments.positional else UNKNOWN
    if not isinstance(record, Instance) or not isinstance(record.cls, ClassV) or not is_record(record.cls):
        return UNKNOWN
    names = _declared(record.cls)
    inner = {name: value for name, value in record.data.items() if name in names}
    made = {
        name: as_dict(machine, Arguments([value]), node, frame) if isinstance(value, Instance) else value
        for name, value in inner.items()
    }
    return DictV(dict(made), open_=record.uncertain)


def _field_default(machine: Machine, cls: ClassV, name: str, statement: ast.AnnAssign) -> object:
    value = cls.lookup(name)
    if isinstance(statement.value, ast.Call):
        scope = Frame(next(each.scope for each in cls.mro if name in each.data))
        keywords = {each.arg: each.value for each in statement.value.keywords}
        if "default" in keywords:
            return machine.evaluate(keywords["default"], scope)
        factory = keywords.get("default_factory") or keywords.get("factory")
        if factory is not None:
            return machine.call(machine.evaluate(factory, scope), Arguments([]), statement, scope)
    return UNKNOWN if value is ABSENT else value
