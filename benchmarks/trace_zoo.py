"""What the tracer makes of real models: traced without a crash, layers judged, provenance right, seconds and memory.

    python benchmarks/trace_zoo.py torchvision timm transformers --output zoo.json

Every model runs in a process of its own, with made-up inputs. torchvision may be a folder of its sources (`--torchvision DIR`):
its compiled operators are not needed.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

LANGUAGE_MODELS = (
    "bart",
    "bert",
    "bloom",
    "cohere",
    "falcon",
    "gemma",
    "gemma2",
    "gpt2",
    "gpt_neox",
    "gptj",
    "granite",
    "llama",
    "mamba",
    "mistral",
    "mixtral",
    "olmo2",
    "opt",
    "phi",
    "persimmon",
    "phi3",
    "qwen2",
    "qwen3",
    "stablelm",
    "starcoder2",
    "t5",
)
TINY = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 256,
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 4,
    "d_model": 64,
    "d_ff": 128,
    "d_kv": 16,
    "num_layers": 4,
    "num_heads": 4,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "ffn_dim": 128,
    "word_embed_proj_dim": 64,
    "rotary_dim": 8,
    "num_local_experts": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_OPERATORS = """nms qnms roi_align qroi_align _roi_align_backward ps_roi_align _ps_roi_align_backward roi_pool _roi_pool_backward
ps_roi_pool _ps_roi_pool_backward deform_conv2d _deform_conv2d_backward"""
_LIMIT = 600


@dataclass
class Row:
    """What became of one model."""

    family: str
    name: str
    error: str = ""
    ran: bool = False
    opaque: list[str] = field(default_factory=list)
    layers: int = 0
    judged: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    provenance_checked: int = 0
    provenance_right: int = 0
    provenance_wrong: list[str] = field(default_factory=list)
    without_site: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    parameters: int = 0
    build_seconds: float = 0.0
    plain_build_seconds: float = 0.0
    seconds: float = 0.0
    peak_mib: float = 0.0


def main() -> None:
    """Run the models asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=["torchvision", "timm", "transformers"])
    parser.add_argument("--torchvision", type=Path, help="the folder that holds torchvision's sources")
    parser.add_argument("--output", type=Path, help="write every row as JSON")
    parser.add_argument("--one", help="FAMILY:NAME in this process, its row as JSON")
    parser.add_argument("--limit", type=int, help="at most so many models of each family")
    options = parser.parse_args()
    if options.one:
        family, _, name = options.one.partition(":")
        print(json.dumps(asdict(measure_model(family, name, options.torchvision))))
        return
    rows: list[Row] = []
    for family in options.families:
        names = list(model_names(family, options.torchvision))[: options.limit]
        for name in names:
            rows.append(run_apart(family, name, options.torchvision))
            print(line_of(rows[-1]), flush=True)
        if options.output:
            options.output.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    for family in options.families:
        print(summary_of(family, [row for row in rows if row.family == family]))


def run_apart(family: str, name: str, torchvision: Path | None) -> Row:
    """The row of one model, from a process of its own."""
    command = [sys.executable, __file__, "--one", f"{family}:{name}"]
    command += ["--torchvision", str(torchvision)] if torchvision else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return Row(family, name, error=f"no answer in {_LIMIT} s")
    if done.returncode:
        return Row(family, name, error=(done.stderr.strip().splitlines() or ["died"])[-1])
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def model_names(family: str, torchvision: Path | None) -> Iterator[str]:
    """The models of a family: all of torchvision's, one of each of timm's modules, some language models."""
    if family == "torchvision":
        yield from import_torchvision(torchvision).list_models()
    elif family == "timm":
        import_torchvision(torchvision)
        yield from timm_names()
    else:
        yield from LANGUAGE_MODELS


def timm_names() -> Iterator[str]:
    """The smallest model, by its name, of every module of timm."""
    timm = import_module("timm")
    for module in sorted(timm.list_modules()):
        names = timm.list_models(module=module)
        yield min(names, key=lambda name: (not any(mark in name for mark in _SMALL), len(name), name))


_SMALL = ("atto", "femto", "pico", "nano", "xxs", "micro", "xxtiny", "tiny", "xs", "b0", "18", "_s", "small")


def import_torchvision(folder: Path | None) -> Any:
    """torchvision.models; from bare sources, its operators are declared and never called."""
    try:
        return import_module("torchvision.models")
    except (ImportError, RuntimeError):
        if folder is None:
            raise
    import torch

    sys.path.insert(0, str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for operator in _OPERATORS.split():
        library.define(f"{operator}(Tensor x) -> Tensor")
    _LIBRARIES.append(library)
    return import_module("torchvision.models")


_LIBRARIES: list[Any] = []
"""A library forgets its operators when it is collected."""


def build_model(family: str, name: str) -> Any:
    """An untrained model."""
    if family == "torchvision":
        models = import_module("torchvision.models")
        try:
            return models.get_model(name, weights=None, weights_backbone=None)
        except (TypeError, ValueError):
            return models.get_model(name, weights=None)
    if family == "timm":
        return import_module("timm").create_model(name, pretrained=False)
    transformers = import_module("transformers")
    known = transformers.AutoConfig.for_model(name)
    tiny = {key: value for key, value in TINY.items() if _is_settable(known, key)}
    config = transformers.AutoConfig.for_model(name, **tiny)
    config.use_cache = False
    kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    return kind.from_config(config)


def _is_settable(config: Any, key: str) -> bool:
    return hasattr(config, key) and not isinstance(getattr(type(config), key, None), property)


def inputs_of(family: str, model: Any) -> Any:
    """Inputs where they cannot be guessed: what an encoder and a decoder read."""
    import torch

    from initlint.graph.inputs import Inputs

    if family != "transformers":
        return None
    ids = torch.randint(3, 256, (4, 16))
    if model.config.is_encoder_decoder:
        return Inputs((), {"input_ids": ids, "decoder_input_ids": ids.flip(1)})
    return Inputs((), {"input_ids": ids})


def measure_model(family: str, name: str, torchvision: Path | None) -> Row:
    """Build and trace one model in this process."""
    from initlint.config import Settings
    from initlint.graph.modes import seeded
    from initlint.graph.provenance import Recorder
    from initlint.knowledge import load_knowledge
    from initlint.live import examine, report_live

    if family in {"torchvision", "timm"}:
        import_torchvision(torchvision)
    knowledge = load_knowledge()
    row = Row(family, name)
    build_model(family, name)  # imports are not the model's time
    row.plain_build_seconds, _ = timed(lambda: build_model(family, name))
    recorder = Recorder(knowledge)
    with seeded(), recorder:
        row.build_seconds, model = timed(lambda: build_model(family, name))
    row.seconds, live = timed(lambda: examine(model, knowledge, recorder=recorder, inputs=inputs_of(family, model)))
    row.ran = live.measurement is not None
    row.opaque = list(live.opaque)
    row.layers, row.judged = live.coverage.total, live.coverage.judged
    row.reasons = {reason: len(names) for reason, names in live.coverage.reasons.items()}
    row.verdicts = counted(judgement.verdict for judgement in live.judgements)
    row.sources = counted(judgement.layer.weight.source for judgement in live.judgements)
    row.without_site = sum(judgement.layer.site.file.startswith("<") for judgement in live.judgements)
    row.codes = counted(finding.code for finding in report_live(live, Settings(), fixes=False).findings)
    row.parameters = sum(parameter.numel() for parameter in model.parameters())
    check_provenance(live, row)
    row.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


def check_provenance(live: Any, row: Row) -> None:
    """Compare what each recorded initializer promises with what the weights measure."""
    for judgement in live.judgements:
        layer, weight = judgement.layer, judgement.layer.weight
        if weight.std is None or weight.effective_gain is None or not layer.fan_in or not layer.fan_out:
            continue
        row.provenance_checked += 1
        measured = weight.effective_gain / math.sqrt(layer.fan_in)
        tolerance = 0.02 + 5 / math.sqrt(2 * layer.fan_in)  # at least so many elements
        if abs(measured - weight.std) <= tolerance * max(weight.std, 1e-12) + 1e-9:
            row.provenance_right += 1
        else:
            row.provenance_wrong.append(
                f"{layer.owner}.{layer.path}: {weight.source} {weight.function} promises {weight.std:.4g}, is {measured:.4g}"
            )


def timed(action: Any) -> tuple[float, Any]:
    """The seconds that `action` takes, and what it returns."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def counted(values: Iterable[str]) -> dict[str, int]:
    """How often each value occurs."""
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts


def line_of(row: Row) -> str:
    """A model on one line."""
    if row.error:
        return f"{row.family:12} {row.name:36} CRASH {row.error}"
    how = "ran" if row.ran else f"fx, {len(row.opaque)} opaque"
    return (
        f"{row.family:12} {row.name:36} {how:14} judged {row.judged:4}/{row.layers:4}"
        f"  provenance {row.provenance_right:4}/{row.provenance_checked:4}  {row.seconds:6.1f} s {row.peak_mib:7.0f} MiB  {row.codes}"
    )


def summary_of(family: str, rows: list[Row]) -> str:
    """A family in a few figures."""
    good = [row for row in rows if not row.error]
    if not good:
        return f"{family}: nothing traced"
    judged, layers = sum(row.judged for row in good), sum(row.layers for row in good)
    right, checked = sum(row.provenance_right for row in good), sum(row.provenance_checked for row in good)
    recording = median(row.build_seconds / max(row.plain_build_seconds, 1e-9) for row in good)
    return (
        f"{family}: {len(good)} of {len(rows)} traced without a crash, {sum(row.ran for row in good)} run;"
        f" {judged} of {layers} layers judged ({judged / max(layers, 1):.1%});"
        f" provenance right in {right} of {checked} ({right / max(checked, 1):.2%});"
        f" {median(row.seconds for row in good):.1f} s median, {max(row.seconds for row in good):.1f} s most;"
        f" recording makes building {recording:.1f} times as long; {max(row.peak_mib for row in good):.0f} MiB at most"
    )


if __name__ == "__main__":
    main()
