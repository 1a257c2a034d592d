"""Families of real models, each built untrained by its name, with the inputs that cannot be guessed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
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
_SMALL = ("atto", "femto", "pico", "nano", "xxs", "micro", "xxtiny", "tiny", "xs", "b0", "18", "_s", "small")
_ENCODERS = ("resnet18", "mobilenet_v2", "efficientnet-b0", "densenet121", "vgg11_bn", "mit_b0")


def _guessed(model: Any) -> Any:
    return None


@dataclass(frozen=True, slots=True)
class Family:
    """What a family calls its models, how one is built, and what it reads where that cannot be guessed."""

    names: Callable[[], Iterator[str]]
    build: Callable[[str], Any]
    inputs: Callable[[Any], Any] = _guessed
    needs_torchvision: bool = True


def prepare(family: str, sources: Sequence[Path]) -> Family:
    """A family, importable from the folders of `sources` first.

    Where torchvision's compiled operators are missing, those that detectors need run in plain torch.
    """
    sys.path[:0] = [str(folder) for folder in sources if str(folder) not in sys.path]
    chosen = FAMILIES[family]
    if chosen.needs_torchvision:
        import_module("vision_operators").import_torchvision()
    return chosen


def _torchvision_names() -> Iterator[str]:
    yield from import_module("torchvision.models").list_models()


def _build_torchvision(name: str) -> Any:
    """The model; a detector for smaller images than its own, where it takes them of any size."""
    models = import_module("torchvision.models")
    for options in ({"weights_backbone": None, "min_size": _SIDE, "max_size": _SIDE}, {"weights_backbone": None}, {}):
        try:
            return models.get_model(name, weights=None, **options)
        except (TypeError, ValueError):
            continue
    raise ValueError(name)


_SIDE = 320


def _scenes(model: Any) -> Any:
    """Two images with an object each, for a detector; None for any other model."""
    import torch

    from initlint.graph.inputs import Inputs

    if not type(model).__module__.startswith("torchvision.models.detection"):
        return None
    targets = [
        {
            "boxes": torch.tensor([[20.0, 30.0, 200.0, 220.0]]),
            "labels": torch.tensor([1]),
            "masks": torch.ones(1, _SIDE, _SIDE, dtype=torch.uint8),
            "keypoints": torch.tensor([[[60.0 + 5 * joint, 80.0, 1.0] for joint in range(17)]]),
        }
        for _ in range(2)
    ]
    return Inputs(([torch.rand(3, _SIDE, _SIDE) for _ in targets], targets))


def _timm_names() -> Iterator[str]:
    """The smallest model, by its name, of every module of timm."""
    timm = import_module("timm")
    for module in sorted(timm.list_modules()):
        names = timm.list_models(module=module)
        yield min(names, key=lambda name: (not any(mark in name for mark in _SMALL), len(name), name))


def _build_timm(name: str) -> Any:
    return import_module("timm").create_model(name, pretrained=False)


def _segmentation_names() -> Iterator[str]:
    """Every decoder on one encoder, and one decoder on every kind of encoder."""
    architectures = sorted(import_module("segmentation_models_pytorch").MODEL_ARCHITECTURES_MAPPING)
    yield from (f"{name}/{'tu-vit_tiny_patch16_224' if name == 'dpt' else 'resnet18'}" for name in architectures)
    yield from (f"unet/{encoder}" for encoder in _ENCODERS[1:])


def _build_segmentation(name: str) -> Any:
    architecture, encoder = name.split("/")
    library = import_module("segmentation_models_pytorch")
    return library.create_model(architecture, encoder_name=encoder, encoder_weights=None)


def _build_transformers(name: str) -> Any:
    transformers = import_module("transformers")
    known = transformers.AutoConfig.for_model(name)
    tiny = {key: value for key, value in TINY.items() if _is_settable(known, key)}
    config = transformers.AutoConfig.for_model(name, **tiny)
    config.use_cache = False
    kind = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    return kind.from_config(config)


def _is_settable(config: Any, key: str) -> bool:
    return hasattr(config, key) and not isinstance(getattr(type(config), key, None), property)


def _tokens(model: Any) -> Any:
    """What a language model reads; an encoder and a decoder read one text each."""
    import torch

    from initlint.graph.inputs import Inputs

    ids = torch.randint(3, 256, (4, 16))
    if model.config.is_encoder_decoder:
        return Inputs((), {"input_ids": ids, "decoder_input_ids": ids.flip(1)})
    return Inputs((), {"input_ids": ids})


def layer_rows(live: Any) -> list[dict[str, Any]]:
    """The layers of a traced model as `initlint trace --layers --output-format json` gives them, one per layer of the text.

    `read` says whether what follows the layer was understood.
    """
    from initlint.report.layers import document

    rows: list[dict[str, Any]] = json.loads(document(live.merged, Path("/")))["layers"]
    lost = {name for names in live.coverage.reasons.values() for name in names}
    return [
        {**row, "file": str(Path("/") / row["file"]), "read": f"{row['class']}.{row['path']}" not in lost}
        for row in rows
    ]


def _awkward_names() -> Iterator[str]:
    yield from import_module("awkward").names()


def _build_awkward(name: str) -> Any:
    return import_module("awkward").build(name)


def _rows(model: Any) -> Any:
    import torch

    from initlint.graph.inputs import Inputs

    return Inputs((torch.randn(8, import_module("awkward").WIDTH),))


LIBRARIES: Mapping[str, Family] = {
    "torchvision": Family(_torchvision_names, _build_torchvision, inputs=_scenes),
    "timm": Family(_timm_names, _build_timm),
    "segmentation": Family(_segmentation_names, _build_segmentation),
    "transformers": Family(lambda: iter(LANGUAGE_MODELS), _build_transformers, inputs=_tokens, needs_torchvision=False),
}

FAMILIES: Mapping[str, Family] = {
    **LIBRARIES,
    "awkward": Family(_awkward_names, _build_awkward, inputs=_rows, needs_torchvision=False),
}
"""What people use, and what was made up to be hard to trace."""
