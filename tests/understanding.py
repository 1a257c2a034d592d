"""Small programs as the scanner understands them: judgements of their layers, by owner and path."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from initlint.analysis import judge, merge
from initlint.knowledge import load_knowledge
from initlint.model import Judgement
from initlint.source import scan

HEADER = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n\n\n"


class Understanding:
    """Scans one file of text and finds a layer by its owner and path."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "net.py"

    def __call__(self, text: str) -> dict[str, Judgement]:
        self.file.write_text(HEADER + dedent(text), encoding="utf-8")
        knowledge = load_knowledge()
        models = scan([self.file], knowledge=knowledge).models
        judged = merge(judgement for model in models for judgement in judge(model, knowledge))
        return {f"{found.layer.owner}.{found.layer.path}": found for found in judged}


def followers(judgement: Judgement) -> list[str]:
    """The names of what a layer runs into."""
    return [found.activation for found in judgement.followers]
