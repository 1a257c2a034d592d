"""`initlint trace` and `check_module`, from end to end."""

from __future__ import annotations

import json
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn

import initlint
from initlint.cli import main
from initlint.errors import InitlintError
from initlint.graph.layers import find_layers
from initlint.graph.provenance import Recorder
from initlint.knowledge import load_knowledge
from initlint.live import InitializationError, examine

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=64, depth=9):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)
"""
FINE = NET.replace(
    "        self.head = nn.Linear(width, 10)\n",
    "        self.head = nn.Linear(width, 10)\n"
    "        for layer in self.layers:\n"
    "            nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')\n",
)


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`initlint trace WORDS` in the folder of the nets, in this process: torch is imported once."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "path", [*sys.path])

    def call(*trace: str, words: list[str] | None = None) -> Done:
        for name in [name for name in sys.modules if name.endswith(("net", "fine")) and "." not in name]:
            monkeypatch.delitem(sys.modules, name)
        linecache.clearcache()
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", words or ["initlint", "trace", *trace])
        with pytest.raises(SystemExit) as left:
            main()
        out = capsys.readouterr()
        return Done(int(left.value.code or 0), out.out, out.err)

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    (tmp_path / "fine.py").write_text(FINE, encoding="utf-8")
    return tmp_path


def test_findings_are_those_of_check_with_what_was_measured(folder: Path, run: Run) -> None:
    done = run("net.py:Net", "--output-format", "json")
    assert done.returncode == 1, done.stderr
    found = {each["code"]: each for each in json.loads(done.stdout)}
    assert set(found) == {"INI101", "INI501"}
    assert (found["INI101"]["location"]["row"], found["INI101"]["location"]["column"]) == (8, 37)
    checked = initlint.check_source(NET, filename=str(folder / "net.py"))
    assert [(f.code, f.site.line, f.site.column) for f in checked] == [("INI101", 8, 37)]
    assert found["INI101"]["fix"] is not None
    assert "9 of 9 layers" not in done.stdout
    assert "Net: 10 of 10 layers judged; run on made-up inputs" in done.stderr


def test_check_joins_what_a_live_module_adds(run: Run) -> None:
    words = ["initlint", "check", "net.py", "--no-cache", "--output-format", "json", "--trace", "net.py:Net"]
    done = run(words=words)
    assert [each["code"] for each in json.loads(done.stdout)] == ["INI101", "INI501"]
    alone = run(words=words[:-2])
    assert [each["code"] for each in json.loads(alone.stdout)] == ["INI101"]
    elsewhere = run(words=[*words[:2], "fine.py", *words[3:]])
    assert json.loads(elsewhere.stdout) == []


HIDDEN = """\
import torch
from torch import nn

FILL = {"he": nn.init.kaiming_normal_}


def fill(module, name):
    FILL["".join(chr(code) for code in (104, 101))](getattr(module, name).weight)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain = getattr(nn, open(__file__).readline()[:0] or "Linear")(64, 64)
        self.filled = nn.Linear(64, 64)
        exec("fill(self, 'filled')", {"fill": fill, "self": self})
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(torch.relu(self.filled(torch.relu(self.plain(x)))))
"""


def test_where_scanner_and_tracer_disagree_the_tracer_is_right(folder: Path, run: Run) -> None:
    (folder / "hiddennet.py").write_text(HIDDEN, encoding="utf-8")
    words = ["initlint", "check", "hiddennet.py", "--no-cache", "--isolated", "--output-format", "json"]
    read = {each["layer"] for each in json.loads(run(words=words).stdout)}
    assert "Net.filled" in read
    joined = run(words=[*words, "--trace", "hiddennet.py:Net", "--verbose"])
    assert [each["layer"] for each in json.loads(joined.stdout)] == ["Net.plain"]
    told = "Net.filled: read as default gain 0.58 -> relu, mismatch; traced as kaiming_normal_ gain 1.41 -> relu, match"
    assert f"hiddennet.py:15:23: {told}" in joined.stderr
    quiet = run(words=[*words, "--trace", "hiddennet.py:Net"])
    assert "read as" not in quiet.stderr


def test_what_only_the_tracer_knows_is_repaired_by_check(folder: Path, run: Run) -> None:
    (folder / "hiddennet.py").write_text(HIDDEN, encoding="utf-8")
    words = ["initlint", "check", "hiddennet.py", "--isolated", "--trace", "hiddennet.py:Net"]
    shown = run(words=[*words, "--diff"])
    assert (shown.returncode, "+        nn.init.kaiming_normal_(self.plain.weight" in shown.stdout) == (1, True)
    assert (folder / "hiddennet.py").read_text(encoding="utf-8") == HIDDEN
    assert run(words=[*words, "--fix"]).returncode == 0
    assert run("hiddennet.py:Net", "-q").stdout == ""


def test_a_comment_silences_what_the_tracer_adds(folder: Path, run: Run) -> None:
    text = NET.replace("for _ in range(depth))", "for _ in range(depth))  # noqa: INI501")
    (folder / "net.py").write_text(text, encoding="utf-8")
    words = [
        "initlint",
        "check",
        "net.py",
        "--no-cache",
        "--isolated",
        "--output-format",
        "json",
        "--trace",
        "net.py:Net",
    ]
    assert [each["code"] for each in json.loads(run(words=words).stdout)] == ["INI101"]


WIDE = NET.replace("width=64, depth=9", "width, depth").replace("def forward(self, x):", "def forward(self, *, x):")
INPUTS = "import torch\n\n\ndef batch():\n    return {'x': torch.randn(8, 48)}\n"


@pytest.mark.parametrize("inputs", [["--input", "x=8x48"], ["--inputs", "batchnet:batch"], ["--device", "meta"]])
def test_check_builds_and_runs_a_module_with_what_it_needs(inputs: list[str], folder: Path, run: Run) -> None:
    (folder / "widenet.py").write_text(WIDE, encoding="utf-8")
    (folder / "batchnet.py").write_text(INPUTS, encoding="utf-8")
    words = ["initlint", "check", "widenet.py", "--no-cache", "--isolated", "--output-format", "json"]
    done = run(words=[*words, "--trace", "widenet.py:Net", "--arg", "width=48", "--arg", "depth=9", *inputs])
    codes = [each["code"] for each in json.loads(done.stdout)]
    assert codes == (["INI101"] if "meta" in inputs else ["INI101", "INI501"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--arg", "width=48"], "--arg: needs a module to build"),
        (["--inputs", "net:batch"], "--inputs: needs a module to build"),
        (["--device", "meta"], "--device: needs a module to build"),
        (["--trace", "net.py:Net", "--trace", "fine.py:Net", "--input", "8x64"], "--input: cannot be told whose it is"),
        (["--trace", "net.py:Net", "--input", "8x64", "--inputs", "net:batch"], "cannot be combined with --input"),
        (["--trace", "net.py:Net", "--arg", "width"], "is not key=value"),
        (["--trace", "net.py:Net", "--arg", "widht=3"], "it is Net(width=64, depth=9)"),
        (["--trace", "net.py:Net", "--input", "8x63"], "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
    ],
)
@pytest.mark.parametrize("action", [[], ["--add-noqa"], ["--baseline", "known.json", "--write-baseline"]])
def test_what_check_cannot_build_is_said(
    action: list[str], words: list[str], says: str, folder: Path, run: Run
) -> None:
    done = run(words=["initlint", "check", "net.py", "--no-cache", *action, *words])
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert (folder / "net.py").read_text(encoding="utf-8") == NET
    assert not (folder / "known.json").exists()


def test_a_baseline_knows_what_a_live_module_adds(folder: Path, run: Run) -> None:
    words = ["initlint", "check", "net.py", "--no-cache", "--baseline", "known.json", "--trace", "net.py:Net"]
    assert "Wrote 2 findings" in run(words=[*words, "--write-baseline"]).stdout
    assert "INI501" in (folder / "known.json").read_text(encoding="utf-8")
    assert run(words=words).returncode == 0


def test_a_noqa_is_added_for_what_a_live_module_adds(folder: Path, run: Run) -> None:
    words = ["initlint", "check", "net.py", "--no-cache", "--trace", "net.py:Net"]
    assert "Added" in run(words=[*words, "--add-noqa"]).stdout
    text = (folder / "net.py").read_text(encoding="utf-8")
    assert "# noqa: INI101, INI501" in text
    assert run(words=words).returncode == 0


def test_a_fix_of_what_was_read_says_that_what_was_measured_is_no_longer_known(folder: Path, run: Run) -> None:
    words = ["initlint", "check", "net.py", "--no-cache", "--fix", "--trace", "net.py:Net"]
    done = run(words=words)
    assert (done.returncode, "INI501" in done.stdout) == (0, False)
    assert done.stderr == "1 measured finding may be gone with what was fixed: trace again.\n"
    assert run(words=words).stderr == ""


def test_a_sound_model_has_no_findings(folder: Path, run: Run) -> None:
    done = run("fine:Net", "--input", "8x64", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_arguments_reach_the_target(folder: Path, run: Run) -> None:
    done = run("net:Net", "--arg", "depth=2", "--arg", "width=32", "--layers", "--output-format", "json")
    assert done.returncode == 0, done.stderr
    layers = json.loads(done.stdout)["layers"]
    assert [layer["path"] for layer in layers] == ["layers.0", "layers.1", "head"]
    assert layers[0]["chain"]["length"] == 3


def test_the_list_of_layers_holds_what_was_measured(folder: Path, run: Run) -> None:
    done = run("net:Net", "--arg", "depth=6", "--layers", "--output-format", "json")
    layers = {layer["measured"]["path"]: layer for layer in json.loads(done.stdout)["layers"]}
    assert set(layers) == {*(f"layers.{number}" for number in range(6)), "head"}
    last = layers["layers.5"]
    assert last["measured"]["gain"] == pytest.approx(1 / 3**0.5, rel=0.05)
    assert last["measured"]["rms"] > last["measured"]["spread"] > 0
    assert 0 < last["measured"]["dead"] < 1
    assert last["measured"]["gradient"] > layers["layers.0"]["measured"]["gradient"]
    assert last["measured"]["chain_signal"] == pytest.approx(last["chain"]["signal"], rel=0.7)
    shown = run("net:Net", "--layers").stdout
    assert "layers.8" in shown
    assert "measured)" in shown
    meta = run("net:Net", "--device", "meta", "--layers", "--output-format", "json")
    assert json.loads(meta.stdout)["layers"][0]["measured"]["std"] is None


def test_what_overflows_is_no_number_in_json(folder: Path, run: Run) -> None:
    text = NET.replace("torch.relu(layer(x))", "layer(x) * 1e30")
    (folder / "largenet.py").write_text(text, encoding="utf-8")
    done = run("largenet:Net", "--layers", "--output-format", "json")
    layers = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))["layers"]
    assert layers[-1]["measured"]["rms"] is None


TWICE = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(9))
        self.head = nn.Linear(64, 10)
        self.early = nn.Linear(64, 10)

    def forward(self, x):
        seen = []
        for layer in self.layers:
            x = torch.relu(layer(x))
            seen.append(x)
        return self.head(x), self.early(seen[6])
"""


def test_what_one_line_built_is_one_finding(folder: Path, run: Run) -> None:
    (folder / "twicenet.py").write_text(TWICE, encoding="utf-8")
    found = json.loads(run("twicenet.py:Net", "--select", "INI5", "--output-format", "json").stdout)
    assert [each["code"] for each in found] == ["INI501"]
    assert "after 9 layers" in found[0]["message"]
    assert found[0]["message"].endswith(", and 1 more like it at this line")


def test_a_fix_is_written_and_what_it_leaves_is_sound(folder: Path, run: Run) -> None:
    shown = run("net.py:Net", "--diff")
    assert shown.returncode == 1
    assert "+            nn.init.kaiming_" in shown.stdout
    assert (folder / "net.py").read_text(encoding="utf-8") == NET
    fixed = run("net.py:Net", "--fix")
    assert (fixed.returncode, "INI501" in fixed.stdout) == (0, False)
    assert "Fixed 1 finding. 1 measured one may be gone with it: trace again." in fixed.stderr
    assert (folder / "net.py").read_text(encoding="utf-8") != NET
    again = run("net.py:Net", "-q")
    assert (again.returncode, again.stdout) == (0, "")


def test_a_comment_silences(folder: Path, run: Run) -> None:
    silent = NET.replace("range(depth))\n", "range(depth))  # initlint: ignore[INI101, INI501]\n")
    (folder / "net.py").write_text(silent, encoding="utf-8")
    assert run("net.py:Net", "-q").stdout == ""


def test_rules_are_selected_and_severities_decide(folder: Path, run: Run) -> None:
    done = run("net.py:Net", "--select", "INI5", "--output-format", "concise", "-q")
    assert done.returncode == 1
    assert "INI501" in done.stdout
    assert "INI101" not in done.stdout
    assert run("net.py:Net", "--fail-on", "error", "--arg", "depth=3").returncode == 0
    assert run("net.py:Net", "--exit-zero").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["net.py:Nett"], "it has Net"),
        (["nowhere.py:Net"], "there is no such file"),
        (["net.py:Net", "--arg", "depth"], "is not key=value"),
        (["net.py:Net", "--input", "8x-3"], "is not an input"),
        (["net.py:Net", "--input", "8x63"], "RuntimeError: mat1 and mat2 shapes cannot be multiplied"),
        (["net.py:Net", "--plot", "picture.pdf"], "name a .png, .svg or .html file"),
        (["net.py:Net", "--plot", "picture.png", "--device", "meta"], "nothing was measured"),
    ],
)
def test_a_mistake_ends_with_two_and_says_what_to_do(words: list[str], says: str, run: Run) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "initlint/graph" not in done.stderr


def test_a_model_too_large_for_memory_is_judged_on_meta(folder: Path, run: Run) -> None:
    done = run("net.py:Net", "--device", "meta", "--arg", "width=60000", "--output-format", "concise")
    assert done.returncode == 1, done.stderr
    assert "INI101" in done.stdout
    assert "10 of 10 layers judged; nothing measured on meta" in done.stderr


@pytest.mark.parametrize("kind", ["png", "svg", "html"])
def test_a_picture_is_drawn(kind: str, folder: Path, run: Run) -> None:
    pytest.importorskip("matplotlib")
    run("net.py:Net", "--plot", f"picture.{kind}")
    data = (folder / f"picture.{kind}").read_bytes()
    assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!doctype html>"}[kind])
    if kind == "html":
        text = data.decode()
        assert text.count('<tr class="mismatch">') == 9
        assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
            "http://creativecommons.org", ""
        ).replace("https://matplotlib.org", "")


class Plain(nn.Module):
    def __init__(self, depth: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(*[layer for _ in range(depth) for layer in (nn.Linear(64, 64), nn.ReLU())])
        self.head = nn.Linear(64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class Sound(Plain):
    def __init__(self) -> None:
        super().__init__()
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def test_check_module_raises_in_a_test_suite() -> None:
    with pytest.raises(InitializationError, match="INI101") as raised:
        initlint.check_module(Plain)
    assert {finding.code for finding in raised.value.findings} == {"INI101", "INI501"}
    assert initlint.check_module(Sound, torch.randn(16, 64)) == ()
    assert initlint.check_module(lambda: Plain(2)) != ()
    with pytest.raises(InitializationError):
        initlint.check_module(lambda: Plain(2), raise_on="info")
    assert len(initlint.check_module(Plain, raise_on=None)) == 2


def test_check_module_says_what_it_was_not_given() -> None:
    with pytest.raises(InitlintError, match="there is no severity 'warn'"):
        initlint.check_module(Plain, raise_on="warn")
    with pytest.raises(InitlintError, match="is a int, not a torch"):
        initlint.check_module(lambda: 3)


def test_check_module_knows_the_default_of_a_module_that_it_did_not_see_built() -> None:
    with pytest.raises(InitializationError) as raised:
        initlint.check_module(Plain(), {"x": torch.randn(16, 64)})
    (finding,) = [found for found in raised.value.findings if found.code == "INI101"]
    line = Path(__file__).read_text(encoding="utf-8").splitlines()[finding.site.line - 1]
    assert line.lstrip().startswith("self.body = ")


def test_check_module_is_silent_of_trained_weights() -> None:
    model = Sound()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    assert initlint.check_module(model) == ()


def test_what_is_not_understood_is_not_called_judged() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen = nn.Linear(8, 8)
            self.lost = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft(self.lost(torch.relu(self.seen(x)))).real

    knowledge = load_knowledge()
    with Recorder(knowledge) as recorder:
        model = Odd()
    coverage = examine(model, knowledge, recorder=recorder).coverage
    assert (coverage.judged, coverage.total) == (1, 2)
    assert coverage.reasons == {"what it runs into was not understood": ("Odd.lost",)}
    assert len(find_layers(model, recorder, knowledge).layers) == 2
