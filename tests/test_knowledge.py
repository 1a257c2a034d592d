"""A table or page that is wrong is named with its file and key; what is right is read as it stands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlint.errors import InitlintError
from initlint.knowledge import Knowledge, Rule, load_knowledge, load_rules, rules_dir
from initlint.knowledge.loader import read_knowledge
from initlint.knowledge.pages import read_page, read_rules
from initlint.knowledge.table import Table, constant, expand, read_table

ROOT = Path(__file__).parents[1]


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """A copy of the facts that a test may spoil."""
    return Path(shutil.copytree(rules_dir() / "facts", tmp_path / "facts"))


def spoil(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / f"{file}.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_copy_of_the_facts_is_the_same_knowledge(facts: Path) -> None:
    copied, own = read_knowledge(facts), load_knowledge()
    for field in fields(Knowledge):
        one, other = getattr(copied, field.name), getattr(own, field.name)
        assert list(one) == list(other), field.name
    assert copied.activations["sigmoid"] == own.activations["sigmoid"]


def test_knowledge_is_read_once() -> None:
    assert load_knowledge() is load_knowledge()


def test_the_tables_are_read_only() -> None:
    knowledge = load_knowledge()
    for table in (
        knowledge.layers,
        knowledge.layers["torch.nn.Linear"].default,
        knowledge.activations["relu"].recommended,
    ):
        with pytest.raises(TypeError):
            table["mine"] = 1  # type: ignore[index]


SPOILED = [
    ("activations", "[gelu]\n", "[gelu\n", "", "is not TOML"),
    ("activations", 'family = "rectifier"', 'family = "rectifer"', "relu.family", "'rectifer' is not allowed here"),
    ("activations", 'family = "rectifier"\n', "", "relu.family", "is missing"),
    ("activations", "gain = 1.4142135623730951\n", 'gain = "sqrt(2)"\n', "relu.gain", "'sqrt(2)' is not a number"),
    ("activations", "bands = [[1.13, 1.77]]\n", "", "relu.bands", "is missing"),
    ("activations", "[[1.13, 1.77]]", "[[1.77, 1.13]]", "relu.bands", "[1.77, 1.13] is not [low, high]"),
    ("activations", "[[1.13, 1.77]]", "[1.13, 1.77]", "relu.bands", "1.13 is not [low, high]"),
    ("activations", "exempt = true", "exempt = 1", "identity.exempt", "1 is not true or false"),
    ("activations", "bands = [[1.13", "band = [[1.13", "relu.bands", "is missing"),
    ("activations", 'reference = "Gl', 'referenz = "Gl', "identity.referenz", "nothing reads this key"),
    ("activations", 'function = "xavier_uniform_"', 'func = "x"', "identity.recommended", "lacks the function to call"),
    ("activations", "negative_slope = 0.01", "a = 0.01", "leaky_relu.slope_parameter", "none of the parameters"),
    ("activations", "torch.nn.ReLU6", "torch.nn.ReLU", "relu6.spellings", "torch.nn.ReLU is one of relu already"),
    (
        "activations",
        "spellings = '''torch.nn.ReLU ",
        "spellings = 1 # '''",
        "relu.spellings",
        "is not a string of words",
    ),
    ("layers", 'role = "weight"', 'role = "weigth"', "linear.role", "'weigth' is not allowed here"),
    ("layers", "bias=True, device", "bias=maybe, device", "linear.signature", "'maybe' is not a default"),
    ("layers", "bias=True, device", "2bias=True, device", "linear.signature", "'2bias=True' is not a parameter"),
    ("layers", "parameter | shape", "name | shape", "linear.parameters", "has no column 'name'"),
    ("layers", " | bias\n", " | bias | 1\n", "linear.parameters", "has 6 cells for 5 columns"),
    ("layers", "dimensions = [1, 2, 3]", "dimensions = [1, 2]", "conv.dimensions", "2 for 3 names"),
    ("layers", "dimensions = [1, 2, 3]", 'dimensions = ["1"]', "conv.dimensions", "not a list of whole numbers"),
    ("layers", "torch.nn.Bilinear", "torch.nn.Linear", "bilinear", "torch.nn.Linear stands in this file twice"),
    ("layers", 'fans = "linear"', 'fans = "wide"', "linear.fans", "'wide' is not allowed here"),
    ("initializers", "[gains]", "[gain]", "gains", "is missing"),
    ("initializers", 'by_parameter = "leaky_relu"', "leaky_relu = true", "gains.leaky_relu", "True is not a number"),
    (
        "initializers",
        "uniform      | uniform ",
        "unifrom      | uniform ",
        "torch.calls",
        "has no known formula: 'unifrom'",
    ),
    ("initializers", 'target = "module"', 'target = "modul"', "timm_of_modules.target", "'modul' is not allowed"),
    ("initializers", "init.{uniform,", "init.{unifrom,", "torch.deprecated", "has no successor torch.nn.init.unifrom_"),
    ("initializers", "init.normal_(", "init.uniform_(", "torch", "torch.nn.init.uniform_ stands in this file twice"),
    ("operations", 'effect = "transparent"', 'effect = "transparant"', "view.effect", "'transparant' is not allowed"),
    ("operations", 'factor_by = "dropout"', 'factor_by = "drop"', "dropout.factor_by", "'drop' is not allowed"),
    ("operations", "factor = 1.5", "factor = [1.5]", "max_pool.factor", "[1.5] is not a number"),
    ("operations", "stack(tensors, dim=0)", "stack(tensors, dim=O)", "concat.calls", "'O' is not a default"),
    ("operations", "calls = '''\ntorch.nn.Identity", "calls = 3 # '''", "", "is not TOML"),
    ("libraries", "= torch.nn.LayerNorm\n", "\n", "alias", "should be name = target"),
    ("libraries", "timm.models.named_apply\n", "timm.models.named_apply = x\n", "apply", "should be names only"),
    ("libraries", "= transparent\n", "= transparant\n", "operation", "has no effect called 'transparant'"),
    ("libraries", "= hardswish\n", "= hard_swish\n", "activation", "points to 'hard_swish', which no table has"),
    ("libraries", "= torch.nn.init.eye_", "= torch.nn.init.eyes_", "initializer", "points to 'torch.nn.init.eyes_'"),
    (
        "libraries",
        "[registry.classes]",
        "[registry.classes]\nentry = ''",
        "registry.classes.entry",
        "nothing reads this key",
    ),
    ("libraries", "[prefixes]", "[prefixes]\nx = 1", "prefixes", "is not a table of strings"),
    ("libraries", "layer = '''", "layer = [1]\nlayers = '''", "layer", "is not a string of lines"),
]


@pytest.mark.parametrize(("file", "old", "new", "key", "what"), SPOILED)
def test_a_malformed_table_is_named_with_file_and_key(
    facts: Path, file: str, old: str, new: str, key: str, what: str
) -> None:
    spoil(facts, file, old, new)
    with pytest.raises(InitlintError) as caught:
        read_knowledge(facts)
    assert what in caught.value.what
    assert caught.value.where == f"rules/facts/{file}.toml" + (f": {key}" if key else "")


def test_a_missing_file_is_named(facts: Path) -> None:
    (facts / "layers.toml").unlink()
    with pytest.raises(InitlintError, match="cannot be read") as caught:
        read_knowledge(facts)
    assert caught.value.where == "rules/facts/layers.toml"


def test_an_error_names_the_nearest_word() -> None:
    table = Table("f.toml", {"role": "weigth", "colour": 1})
    with pytest.raises(InitlintError) as caught:
        table.choice("role", ("weight", "norm"))
    assert caught.value.hint == "did you mean 'weight'?"
    table.take("color")
    with pytest.raises(InitlintError) as caught:
        table.end()
    assert caught.value.hint == "did you mean 'color'?"


def test_rows_are_cells_by_the_names_of_their_columns() -> None:
    table = Table("f.toml", {"rows": "b | a\n 1 | 2 \n\n3\n"})
    assert list(table.rows("rows", ("a", "b", "c"))) == [("2", "1", ""), ("", "3", "")]
    assert list(table.rows("absent", ("a",))) == []


@given(st.lists(st.text("abc.", min_size=1), min_size=1), st.text("xyz"), st.text("xyz"))
def test_braces_expand_as_in_a_shell(choices: list[str], before: str, after: str) -> None:
    assert expand(f"{before}{{{','.join(choices)}}}{after}") == tuple(f"{before}{c}{after}" for c in choices)


def test_braces_multiply() -> None:
    assert expand("{a,b}.{c,d}") == ("a.c", "a.d", "b.c", "b.d")
    assert expand("plain") == ("plain",)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        ("-1", -1.0),
        ("sqrt(5)", 5**0.5),
        ("1 / sqrt(3)", 1 / 3**0.5),
        ("1 / sqrt(fan_in)", "1 / sqrt(fan_in)"),
    ],
)
def test_constants_are_numbers_and_expressions_stay(text: str, value: object) -> None:
    assert constant(text) == value


def test_defaults_of_signatures_are_python_values() -> None:
    signature = Table("f.toml", {"s": "x, *, p=0.5, n=2, mode='fan_in', bias=True, out=None"}).signature("s")
    assert signature == (("x", ...), ("p", 0.5), ("n", 2), ("mode", "fan_in"), ("bias", True), ("out", None))
    assert isinstance(dict(signature)["n"], int)


def test_a_file_that_is_not_utf8_is_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(InitlintError, match="is not TOML"):
        read_table(path, "rules/facts/x.toml")


@pytest.mark.parametrize(
    ("name", "resolved"),
    [
        ("torch.nn.ReLU", "torch.nn.ReLU"),
        ("torch.nn.modules.activation.ReLU", "torch.nn.ReLU"),
        ("torch.nn.modules.Linear", "torch.nn.Linear"),
        ("torch.nn.modules.batchnorm._BatchNorm", "torch.nn._BatchNorm"),
        ("timm.models.layers.weight_init.trunc_normal_", "timm.layers.trunc_normal_"),
        ("timm.models.layers.linear.Linear", "torch.nn.Linear"),
        ("pytorch_lightning.LightningModule", "lightning.pytorch.LightningModule"),
        ("fvcore.nn.weight_init.c2_msra_fill", "fvcore.nn.c2_msra_fill"),
        ("transformers.models.bert.modeling_bert.BertPreTrainedModel", "transformers.BertPreTrainedModel"),
        ("mine.torch.nn.modules.x", "mine.torch.nn.modules.x"),
        ("", ""),
    ],
)
def test_resolve(name: str, resolved: str) -> None:
    assert load_knowledge().resolve(name) == resolved


def test_every_alias_leads_to_a_fact() -> None:
    knowledge = load_knowledge()
    known = {**knowledge.layers, **knowledge.operations, **knowledge.activation_of}
    for name, library in knowledge.libraries.items():
        if library.kind == "alias":
            assert knowledge.resolve(name) in known


def test_every_name_of_a_library_is_its_own_resolution() -> None:
    knowledge = load_knowledge()
    for table in (knowledge.libraries, knowledge.initializers, knowledge.layers, knowledge.activation_of):
        for name in table:
            library = knowledge.libraries.get(name)
            assert knowledge.resolve(name) == name or (library is not None and library.kind == "alias")


def test_names_of_libraries_are_found_in_the_tables_too() -> None:
    knowledge = load_knowledge()
    assert knowledge.initializers["transformers.initialization.normal_"].formula == "normal"
    assert knowledge.activation_of["timm.layers.Swish"] == "silu"
    assert knowledge.operations["timm.layers.DropPath"].effect == "transparent"


# Where the facts lie


def run(code: str, *paths: Path) -> str:
    """What a fresh interpreter prints that finds initlint in `paths` only."""
    program = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}; {code}"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_checkout_keeps_its_rules_beside_the_package() -> None:
    assert rules_dir() == ROOT / "rules"


def test_an_installed_package_has_its_rules_inside(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "initlint", tmp_path / "initlint", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "rules", tmp_path / "initlint" / "rules")
    code = "from initlint.knowledge import rules_dir, load_knowledge; print(rules_dir(), len(load_knowledge().layers))"
    assert run(code, tmp_path) == f"{tmp_path / 'initlint' / 'rules'} {len(load_knowledge().layers)}"


def test_knowledge_needs_neither_torch_nor_libcst() -> None:
    code = (
        "from initlint.knowledge import load_knowledge; load_knowledge(); print({'torch', 'libcst'} & set(sys.modules))"
    )
    assert run(code, ROOT) == "set()"


# Rule pages


PAGE = """# Default initialization before a rectifier

```toml
code = "INI101"
summary = "default initialization, then ReLU"
severity = "by chain"
fix = "sometimes"
since = "0.1.0"
references = ["https://arxiv.org/abs/1502.01852"]
```

Why.

```python
a = 1
```

More.

```text
not python
```

```python
b = 2
```
"""


def test_a_page_is_read_as_it_stands() -> None:
    rule = read_page(PAGE, "default-init-before-rectifier")
    assert rule == Rule(
        code="INI101",
        name="default-init-before-rectifier",
        title="Default initialization before a rectifier",
        summary="default initialization, then ReLU",
        severity="by chain",
        fix="sometimes",
        since="0.1.0",
        default=True,
        references=("https://arxiv.org/abs/1502.01852",),
        text=PAGE[PAGE.index("Why.") :].strip(),
        examples=("a = 1\n", "b = 2\n"),
    )


@pytest.mark.parametrize(
    ("old", "new", "key", "what"),
    [
        ("# Default", "Default", "", "does not start with a title"),
        ("```toml", "```yaml", "", "has no toml block below its title"),
        ("\n```toml", "\nWords first.\n\n```toml", "", "has no toml block below its title"),
        ('code = "INI101"', "code = INI101", "", "its toml block is not TOML"),
        ('code = "INI101"', 'code = "INI1"', ": code", "'INI1' is not a code"),
        ('code = "INI101"\n', "", ": code", "is missing"),
        ("summary =", "sumary =", ": summary", "is missing"),
        ('since = "0.1.0"', "since = 0.1", ": since", "0.1 is not a string"),
        ('fix = "sometimes"', 'fix = "always"', ": fix", "'always' is not allowed here"),
        ("references =", "refs = 1\nreferences =", ": refs", "nothing reads this key"),
        ("references =", "default = 0\nreferences =", ": default", "0 is not true or false"),
    ],
)
def test_a_malformed_page_is_named_with_file_and_key(old: str, new: str, key: str, what: str) -> None:
    assert old in PAGE
    with pytest.raises(InitlintError) as caught:
        read_page(PAGE.replace(old, new, 1), "some-rule")
    assert what in caught.value.what
    assert caught.value.where == f"rules/some-rule.md{key}"


def test_pages_come_in_the_order_of_their_codes(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Rules\n", encoding="utf-8")
    (tmp_path / "a-rule.md").write_text(PAGE.replace("INI101", "INI302"), encoding="utf-8")
    (tmp_path / "b-rule.md").write_text(PAGE.replace("INI101", 'INI101"\ndefault = false #'), encoding="utf-8")
    rules = read_rules(tmp_path)
    assert [(code, rule.name, rule.default) for code, rule in rules.items()] == [
        ("INI101", "b-rule", False),
        ("INI302", "a-rule", True),
    ]


def test_a_code_belongs_to_one_page(tmp_path: Path) -> None:
    for name in ("a-rule", "b-rule"):
        (tmp_path / f"{name}.md").write_text(PAGE, encoding="utf-8")
    with pytest.raises(InitlintError, match="INI101 is taken by a-rule") as caught:
        read_rules(tmp_path)
    assert caught.value.where == "rules/b-rule.md: code"


def test_the_pages_of_this_project_are_in_order() -> None:
    rules = load_rules()
    assert list(rules) == sorted(rules)
    assert {f"{rule.name}.md" for rule in rules.values()} == {p.name for p in rules_dir().glob("*.md")} - {"README.md"}
