"""Makes notebooks as their various writers store them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

PYTHON = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the JSON is written: Jupyter's way unless said otherwise."""

    indent: int | str | None = 1
    listed: bool = True
    ascii: bool = False
    newline: str = "\n"
    end: str = "\n"

    def source(self, text: str) -> object:
        return re.findall(r"[^\n]*\n|[^\n]+", text) if self.listed else text

    def dump(self, document: object) -> str:
        separators = (",", ":") if self.indent is None else None
        text = json.dumps(document, indent=self.indent, ensure_ascii=self.ascii, separators=separators)
        return text.replace("\n", self.newline) + self.end


LAYOUTS = (
    Layout(),
    Layout(indent=4, end=""),
    Layout(indent="\t", newline="\r\n"),
    Layout(indent=None, end=""),
    Layout(indent=2, listed=False, ascii=True),
    Layout(indent=None, listed=False),
)


def notebook(
    *cells: str | dict[str, object], metadata: object = None, layout: Layout = LAYOUTS[0], version: int = 4
) -> str:
    """A notebook of code cells, or of cells given whole."""
    document = {
        "cells": [cell if isinstance(cell, dict) else code(cell, layout) for cell in cells],
        "metadata": PYTHON if metadata is None else metadata,
        "nbformat": version,
        "nbformat_minor": 5,
    }
    return layout.dump(document)


def code(text: str, layout: Layout = LAYOUTS[0], **metadata: object) -> dict[str, object]:
    """A code cell that has been run."""
    output = {"name": "stdout", "output_type": "stream", "text": ["größe\n", '"source": ["x = 1"]']}
    return {
        "cell_type": "code",
        "execution_count": 3,
        "metadata": metadata,
        "outputs": [output],
        "source": layout.source(text),
    }


def prose(text: str) -> dict[str, object]:
    """A Markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def sources(text: str) -> list[str]:
    """The source of every cell in a notebook."""
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


def without_sources(text: str) -> object:
    """Everything in a notebook but the sources of its cells, with the keys in order."""
    document = json.loads(text, object_pairs_hook=lambda pairs: [pair for pair in pairs if pair[0] != "source"])
    return list(document)
