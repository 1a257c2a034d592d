"""A notebook is checked, repaired and silenced like any file, and told of by cell."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from command_line import NET, Result, Shell
from notebook_builder import Layout, notebook, prose, sources, without_sources

import initlint
from initlint.config import Settings
from initlint.engine import check, read_sources
from initlint.sourcefile import SourceFile, read

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "notebooks"
FIXTURES = sorted(path for path in FOLDER.glob("*.ipynb") if not path.name.endswith(".fixed.ipynb"))
IMPORTS = "import torch\nfrom torch import nn"
CLASS = NET.partition("\n\n\n")[2]
PLAIN = notebook(prose("# Title"), IMPORTS, CLASS)
"""One finding: INI101 at cell 3:4:23, info, with a safe fix."""
MODEL = "net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))"
FIX = 'nn.init.kaiming_normal_(net[0].weight, nonlinearity="relu")'

each_fixture = pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)


def twin(path: Path) -> Path:
    return path.with_suffix(".fixed.ipynb")


def marked(text: str) -> Counter[tuple[int, int, str]]:
    """Cell, line and code of every `# expect:`."""
    return Counter(
        (cell, line, found[1])
        for cell, source in enumerate(sources(text), start=1)
        for line, words in enumerate(source.split("\n"), start=1)
        if (found := re.search(r"# expect: (INI\d+)$", words))
    )


def codes(result: Result) -> list[str]:
    """The codes in a concise report, in order."""
    return re.findall(r": (INI\d+)", result.out)


def build(file: SourceFile) -> dict[str, object]:
    """What the names of a notebook stand for after all its cells have run."""
    import torch

    torch.manual_seed(0)
    names: dict[str, object] = {"get_ipython": MagicMock()}
    exec(compile(file.text, file.path.name, "exec"), names)
    return names


@each_fixture
def test_marks_are_what_is_reported(path: Path) -> None:
    findings = initlint.check_paths([path], settings=Settings())
    said = Counter((f.site.cell, f.site.line, f.code) for f in findings if f.code != "INI900")
    assert said == marked(path.read_text(encoding="utf-8"))
    assert ("broken" in path.stem) == any(f.code == "INI900" for f in findings)


@each_fixture
def test_the_repair_equals_its_twin_and_a_second_run_changes_nothing(path: Path, shell: Shell) -> None:
    copy = shell.folder / path.name
    shutil.copy(path, copy)
    for _ in range(2):
        shell("check", "--isolated", "--fix", path.name)
        assert copy.read_bytes() == twin(path).read_bytes()
    assert without_sources(copy.read_text(encoding="utf-8")) == without_sources(path.read_text(encoding="utf-8"))


@each_fixture
def test_the_diff_is_one_that_patch_takes(path: Path, shell: Shell) -> None:
    copy = shell.folder / path.name
    shutil.copy(path, copy)
    diff = shell("check", "--isolated", "--diff", path.name).out
    if diff:
        subprocess.run(["patch", "-p0", path.name], input=diff.encode(), cwd=shell.folder, check=True)
    assert copy.read_bytes() == twin(path).read_bytes()


@each_fixture
def test_the_repaired_cells_run_and_the_layers_have_the_gains_promised(path: Path) -> None:
    torch = pytest.importorskip("torch")
    outcome = check(read_sources([path]), Settings())
    build(read(path))
    names = build(read(twin(path)))
    for judgement in (one for finding in outcome.findings if finding.fix for one in finding.judgements):
        layer = judgement.layer
        root = next(v for v in names.values() if type(v).__name__ == layer.owner) if layer.owner else None
        weight = (root or names["probe" if "probe" in names else "model"]).get_submodule(layer.path).weight.detach()
        assert isinstance(weight, torch.Tensor)
        assert float(weight.std()) * math.sqrt(weight.shape[1]) == pytest.approx(judgement.ideal, rel=0.05)


@pytest.mark.parametrize(
    ("output_format", "words"),
    [
        ("concise", "nb.ipynb:cell 3:4:23: INI101 [*] info: "),
        ("grouped", "nb.ipynb:\n  cell 3:4:23  INI101"),
        ("full", "--> nb.ipynb:cell 3:4:23\n   |\n 2 |     def __init__(self) -> None:"),
        ("full", "::: nb.ipynb:cell 3:8:26\n"),
        ("github", "file=nb.ipynb,line=47,col=28,endLine=47,endColumn=47::nb.ipynb:cell 3:4:23: INI101"),
        ("junit", "cell 3, line 4, column 23: `Net.hidden`"),
        ("junit", 'at cell 3:4:23" classname="nb" file="nb.ipynb" line="47" column="28">'),
    ],
)
def test_where_a_finding_is_said_to_be(shell: Shell, output_format: str, words: str) -> None:
    shell.write("nb.ipynb", PLAIN)
    assert PLAIN.split("\n")[46].startswith('    "        self.hidden')
    result = shell("check", "nb.ipynb", "--isolated", "--output-format", output_format)
    assert (result.status, words in result.out) == (1, True), result.out


def test_json_counts_within_the_cell(shell: Shell) -> None:
    shell.write("nb.ipynb", PLAIN)
    (record,) = json.loads(shell("check", "nb.ipynb", "--isolated", "--output-format", "json").out)
    assert (record["cell"], record["location"]) == (3, {"row": 4, "column": 23})
    assert record["end_location"] == {"row": 4, "column": 42}
    assert record["noqa_row"] == 4
    assert (record["related"][0]["cell"], record["related"][0]["location"]) == (3, {"row": 8, "column": 26})
    (edit,) = record["fix"]["edits"]
    assert (edit["cell"], edit["location"]) == (3, {"row": 6, "column": 1})


def test_code_hosts_are_shown_the_lines_of_the_file(shell: Shell) -> None:
    layout = Layout(indent=None, listed=False)
    text = notebook("größe = '\\u00fc'", IMPORTS, CLASS, layout=layout)
    shell.write("nb.ipynb", text)
    column = text.index("nn.Linear(128, 128)") + 1
    run = json.loads(shell("check", "--isolated", "--output-format", "sarif").out)["runs"][0]
    (result,) = run["results"]
    region = {"startLine": 1, "startColumn": column, "endLine": 1, "endColumn": column + 19}
    assert result["locations"][0]["physicalLocation"]["region"] == region
    assert "fixes" not in result
    (issue,) = json.loads(shell("check", "--isolated", "--output-format", "gitlab").out)
    assert issue["location"]["lines"] == {"begin": 1, "end": 1}
    (diagnostic,) = json.loads(shell("check", "--isolated", "--output-format", "rdjson").out)["diagnostics"]
    start = len(text[: column - 1].encode()) + 1
    assert diagnostic["location"]["range"]["start"] == {"line": 1, "column": start}
    assert "suggestions" not in diagnostic


def test_inspect_counts_within_the_cell(shell: Shell) -> None:
    text = notebook(IMPORTS, MODEL, "nn.init.kaiming_normal_(net[0].weight)", "x = (")
    shell.write("nb.ipynb", text)
    result = shell("inspect", "nb.ipynb", "--output-format", "json")
    first = json.loads(result.out)["layers"][0]
    assert (first["cell"], first["line"], first["init"]["cell"], first["init"]["line"]) == (2, 1, 3, 1)
    assert "nb.ipynb:cell 4:1:5: '(' was never closed" in result.err
    assert "cell 2:1:21  0  Linear  kaiming_normal_" in shell("inspect", "nb.ipynb").out


def test_folders_are_searched_for_notebooks(shell: Shell) -> None:
    for name in ("a.ipynb", "sub/b.ipynb", "sub/.ipynb_checkpoints/b.ipynb", "old/c.ipynb", "skip/d.ipynb"):
        shell.write(name, PLAIN)
    shell.write(".gitignore", "old/\n")
    result = shell("check", ".", "--isolated", "--output-format", "concise", "--extend-exclude", "skip")
    assert [line.partition(":")[0] for line in result.out.splitlines() if ": INI" in line] == ["a.ipynb", "sub/b.ipynb"]


def test_a_notebook_sees_the_modules_beside_it(shell: Shell) -> None:
    shell.write("net.py", NET)
    shell.write("train.ipynb", notebook("import torch\nfrom net import Net", "%time Net().apply(print)"))
    assert shell("check", "train.ipynb", "--isolated").out == "All checks passed!\n"
    shell.write(
        "init.ipynb",
        notebook(
            "import torch.nn as nn\nfrom net import Net",
            "def init(m):\n    if isinstance(m, nn.Linear):\n        nn.init.kaiming_normal_(m.weight)",
            "net = Net()\nnet.apply(init)",
        ),
    )
    assert shell("check", "init.ipynb", "net.py", "--isolated").out == "All checks passed!\n"


def test_what_a_comment_silences(shell: Shell) -> None:
    quiet = f"{MODEL}  # initlint: ignore[INI101]"
    shell.write("nb.ipynb", notebook(IMPORTS, quiet, "x = 1  # initlint: ignore[INI102]\n# initlint: ignore[INI103]"))
    result = shell("check", "--isolated", "--output-format", "concise")
    assert [line.split()[:3] for line in result.out.splitlines()[:2]] == [
        ["nb.ipynb:cell", "3:1:8:", "INI901"],
        ["nb.ipynb:cell", "3:2:1:", "INI901"],
    ]
    shell("check", "--isolated", "--fix")
    assert sources(shell.read("nb.ipynb")) == [IMPORTS, quiet, "x = 1"]


def test_a_whole_notebook_is_silenced(shell: Shell) -> None:
    shell.write("nb.ipynb", notebook("# initlint: ignore-file", IMPORTS, MODEL))
    assert shell("check", "--isolated").status == 0


def test_add_noqa_marks_the_line_in_its_cell(shell: Shell) -> None:
    shell.write("nb.ipynb", notebook("%ls", IMPORTS, MODEL))
    shell("check", "--isolated", "--add-noqa")
    assert sources(shell.read("nb.ipynb")) == ["%ls", IMPORTS, f"{MODEL}  # noqa: INI101"]
    assert shell("check", "--isolated").status == 0


def test_a_baseline_survives_new_cells(shell: Shell) -> None:
    shell.write("nb.ipynb", notebook(IMPORTS, MODEL))
    shell("check", "--isolated", "--baseline", "known.json", "--write-baseline")
    shell.write("nb.ipynb", notebook(prose("new"), "%ls", IMPORTS, "x = 1", f"y = 2\n{MODEL}"))
    assert shell("check", "--isolated", "--baseline", "known.json").status == 0


def test_what_is_remembered_is_placed_where_it_is_now(shell: Shell) -> None:
    shell.write("nb.ipynb", notebook(IMPORTS, MODEL))
    first = shell("check", "--output-format", "github")
    assert shell("check", "--output-format", "github").out == first.out
    shell.write("nb.ipynb", notebook(IMPORTS, MODEL, layout=Layout(indent=None)))
    assert "line=1," in shell("check", "--output-format", "github").out
    shell.write("nb.ipynb", notebook(IMPORTS, MODEL, "x = ("))
    for _ in range(2):
        assert codes(shell("check", "--output-format", "concise")) == ["INI101", "INI900"]


def test_a_fix_that_ends_a_cell_shows_no_tensor(shell: Shell) -> None:
    shell.write("nb.ipynb", notebook(IMPORTS, f"{MODEL}\n# done", MODEL, f"{MODEL}\nnet"))
    shell("check", "--isolated", "--fix")
    assert sources(shell.read("nb.ipynb"))[1:] == [
        f"{MODEL}\n{FIX};\n# done",
        f"{MODEL}\n{FIX};",
        f"{MODEL}\n{FIX}\nnet",
    ]


def test_standard_input_is_repaired_onto_standard_output(shell: Shell) -> None:
    text = notebook(IMPORTS, MODEL)
    result = shell("check", "--isolated", "--fix", "--stdin-filename", "nb.ipynb", "-", stdin=text)
    assert sources(result.out) == [IMPORTS, f"{MODEL}\n{FIX};"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"cells": [\n  torch', "nb.ipynb:2:3: INI900 error: the notebook is no JSON: expecting value"),
        (notebook("import torch", version=3), "nb.ipynb:1:1: INI900 error: the notebook has format 3"),
        ('["torch"]', "nb.ipynb:1:1: INI900 error: the file is JSON but no notebook"),
    ],
)
def test_a_notebook_that_cannot_be_read_does_not_stop_the_run(shell: Shell, text: str, words: str) -> None:
    shell.write("nb.ipynb", text)
    shell.write("net.py", NET)
    result = shell("check", "--isolated", "--output-format", "concise")
    assert words in result.out
    assert codes(result) == ["INI900", "INI101"]


@pytest.mark.parametrize("text", ["", "{", notebook("library(torch)", metadata={"language_info": {"name": "R"}})])
def test_what_holds_no_python_about_torch_is_no_finding(shell: Shell, text: str) -> None:
    shell.write("nb.ipynb", text)
    assert shell("check", "--isolated").out == "All checks passed!\n"


def test_the_public_functions_count_within_the_cell() -> None:
    (finding,) = initlint.check_source(notebook(IMPORTS, MODEL), filename="nb.ipynb")
    assert (finding.site.cell, finding.site.line, finding.related[0].site.cell) == (2, 1, 2)
    assert finding.fix is not None
    assert finding.fix.edits[0].cell == 2


def test_plain_files_never_pay_for_notebooks(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "plot.ipynb").write_text(notebook("import matplotlib"), encoding="utf-8")
    program = "import sys; from initlint.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, "check", "--isolated", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(FOLDER.parents[1])},
    )
    assert "INI101" in done.stdout
    assert "initlint.source.project" in done.stdout
    assert "initlint.source.notebook" not in done.stdout
