"""What must hold for every file of the repository, whoever wrote it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from initlint.knowledge import load_rules
from initlint.syntax import nodes_of

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "initlint").rglob("*.py"))
IDS = [path.relative_to(ROOT).as_posix() for path in SOURCES]
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}
LONGEST_MODULE = 500


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def literal_start(node: ast.expr) -> str | None:
    """The text that an expression surely begins with, None if it begins with a value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr) and node.values:
        return literal_start(node.values[0]) if isinstance(node.values[0], ast.Constant) else None
    return None


def literal_end(node: ast.expr) -> str | None:
    if isinstance(node, ast.JoinedStr) and node.values:
        return literal_end(node.values[-1]) if isinstance(node.values[-1], ast.Constant) else None
    return literal_start(node)


def said_to_users(module: ast.Module) -> Iterator[ast.expr]:
    """The clauses that findings and errors are made of."""
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "InitlintError" and node.args:
            yield node.args[0]
        if name in {"Finding", "InitlintError", "replace"}:
            yield from (keyword.value for keyword in node.keywords if keyword.arg in {"message", "help", "hint"})


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_what_is_said_is_one_lower_case_clause_without_a_full_stop(path: Path) -> None:
    for clause in said_to_users(tree(path)):
        start, end = literal_start(clause), literal_end(clause)
        place = f"{path.name}:{clause.lineno}"
        assert start is None or not re.match(r"[A-Z][a-z]", start), f"{place}: begins with a capital: {start!r}"
        assert end is None or not end.rstrip().endswith("."), f"{place}: ends with a full stop: {end!r}"


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_only_the_command_line_prints(path: Path) -> None:
    names = {
        node.func.id for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "print" not in names
    if "cli" not in path.parts:
        assert "click" not in imports(tree(path))


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_torch_is_for_the_tracer_and_libcst_for_the_pen(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    imported = imports(tree(path))
    if not place.startswith("initlint/graph/") and place != "initlint/live.py":
        assert imported.isdisjoint({"torch", "numpy", "matplotlib"})
    if not place.startswith("initlint/fix/"):
        assert "libcst" not in imported


def imports(module: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_a_module_is_a_noun_with_one_sentence_of_its_own(path: Path) -> None:
    assert path.stem.strip("_") not in FORBIDDEN_NAMES
    docstring = ast.get_docstring(tree(path))
    assert docstring, "says nothing of itself"
    assert docstring.splitlines()[0].endswith((".", ":")), docstring.splitlines()[0]


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_a_module_reads_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_no_state_in_modules(path: Path) -> None:
    """No list, dict or set at module level that a function could fill: tuples, frozensets and read-only annotations."""
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Dict | ast.Set | ast.ListComp):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if names == ["__all__"]:
                continue
            changed = {
                inner.func.value.id
                for inner in ast.walk(tree(path))
                if isinstance(inner, ast.Call)
                and isinstance(inner.func, ast.Attribute)
                and isinstance(inner.func.value, ast.Name)
                and inner.func.attr in {"append", "update", "setdefault", "add", "pop", "clear", "extend", "insert"}
            }
            assert not changed & set(names), f"{path.name}:{node.lineno}"


def test_every_code_that_a_check_speaks_has_a_page_and_the_page_its_name() -> None:
    rules = load_rules()
    pages = {path.stem for path in (ROOT / "rules").glob("*.md")} - {"README"}
    assert {rule.name for rule in rules.values()} == pages
    for path in SOURCES:
        for code in re.findall(r"[\"'](INI\d{3})[\"']", path.read_text(encoding="utf-8")):
            assert code in rules, f"{path.name} speaks of {code}"


def test_every_check_is_named_as_its_rule() -> None:
    from initlint.checks import CHECKS

    rules = load_rules()
    for check in CHECKS:
        assert rules[check.code].name == check.name
    assert len({check.code for check in CHECKS}) == len(CHECKS)


def test_fixtures_and_rules_ship_with_the_tests_and_the_wheel() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'only-include = ["initlint", "rules"]' in text
    assert '"rules" = "initlint/rules"' in text


def test_nodes_of_a_tree_are_those_of_ast_walk_in_their_order() -> None:
    for path in SOURCES:
        module = tree(path)
        assert [*map(id, nodes_of(module))] == [*map(id, ast.walk(module))], path
