"""The benchmark of what a fix is worth runs, and what the README quotes of it is what it wrote."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "training.md"


@pytest.fixture(scope="module")
def training() -> ModuleType:
    spec = importlib.util.spec_from_file_location("training", ROOT / "benchmarks" / "training.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["training"] = module
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_made_of_the_rows_below_them(training: ModuleType) -> None:
    text = RESULTS.read_text(encoding="utf-8")
    assert training.document(training.read_rows(text), text.split("\n\n")[2]) == text


def test_every_net_is_there_at_every_rate(training: ModuleType) -> None:
    rows = training.read_rows(RESULTS.read_text(encoding="utf-8"))
    expected = [
        (training.Net(family, activation, layers), optimizer, rate)
        for family, depths in training.DEPTHS.items()
        for activation, layers in itertools.product(training.ACTIVATIONS, depths)
        for optimizer, rates in training.RATES.items()
        for rate in (*map(str, rates), training.BEST)
    ]
    assert [(row.net, row.optimizer, row.rate) for row in rows] == expected


def test_the_readme_quotes_the_tables(training: ModuleType) -> None:
    rows = training.read_rows(RESULTS.read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert training.by_depth(rows) in readme
    assert training.by_signal(rows) in readme
    assert training.by_rate(rows) in readme


def test_a_quick_run_trains_what_initlint_repaired(training: ModuleType, tmp_path: Path) -> None:
    assert training.main(["--quick", "--output", str(tmp_path / "out.md")]) == 0
    rows = training.read_rows((tmp_path / "out.md").read_text(encoding="utf-8"))
    assert {row.net.activation for row in rows} == {"ReLU", "tanh"}
    for row in rows:
        written, safe, unsafe = row.comparison.accuracies
        assert 0 <= written <= 100
        assert (safe is None) != (unsafe is None)
        assert row.signal != ""
    assert any(row.comparison.written != row.comparison.repaired for row in rows)


def test_the_repaired_source_builds_the_gain_that_it_names(training: ModuleType, tmp_path: Path) -> None:
    net = training.Net("MLP", "ReLU", 6)
    text = training.fixed([net], tmp_path / "fixed", ("--fix",))[net]
    assert 'kaiming_normal_(layer.weight, nonlinearity="relu")' in text
    weight = training.built(text)().body[3].weight.detach()
    assert float(weight.std()) * 8 == pytest.approx(2**0.5, rel=0.05)


def test_the_same_seed_trains_to_the_same_end(training: ModuleType) -> None:
    make = training.built(training.Net("MLP", "tanh", 3).source)
    first, again, other = (training.train(make, "Adam", 0.003, 20, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_repair_is_compared_with_the_net_as_written(training: ModuleType) -> None:
    def comparison(**accuracies: list[float]) -> object:
        runs = {name: [training.Trained(0.1, value) for value in values] for name, values in accuracies.items()}
        return training.compare([*runs, list(runs)[-1]], runs)

    better = comparison(written=[90, 91, 10], fixed=[92, 10, 95])
    assert better == training.Comparison((90, 92, None))
    assert (better.verdict, better.is_safe) == ("helps", True)
    assert comparison(written=[90, 91, 10], fixed=[91.9, 10, 95]).verdict == "no difference"
    assert comparison(written=[90, 91, 10], fixed=[88, 10, 95]).verdict == "hurts"
    unsafe = training.compare(["a", "a", "b"], {name: [training.Trained(0.1, 90)] for name in "ab"})
    assert unsafe == training.Comparison((90, None, 90))
    assert not unsafe.is_safe
