"""Many layers, of many models, may be one layer of the text: what is written for one is written for all."""

from __future__ import annotations

from initlint.model import Layer, Site

Identity = tuple[str, str, Site, Site | None]


def identity(layer: Layer) -> Identity:
    """What makes two layers, perhaps of different models, one layer of the text."""
    return layer.owner, layer.path, layer.site, layer.owner_site


def qualified(layer: Layer) -> str:
    """What a layer is called whatever line it is on: ``Net.features.0``."""
    return f"{layer.owner}.{layer.path}".strip(".")
