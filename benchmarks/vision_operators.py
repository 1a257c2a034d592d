"""Two operators of torchvision in plain torch, for a machine without its compiled ones: detectors run with them, slowly."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.library import Library
from torch.nn import functional as F  # noqa: N812 (as everybody calls it)

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width,"
    " int sampling_ratio, bool aligned) -> Tensor",
}
_UNUSED = """qnms qroi_align _roi_align_backward ps_roi_align _ps_roi_align_backward roi_pool _roi_pool_backward
ps_roi_pool _ps_roi_pool_backward deform_conv2d _deform_conv2d_backward"""
"""What torchvision mentions when it is imported; a model that calls one of these cannot run."""

_LIBRARIES: list[Library] = []
"""A library forgets its operators when it is collected."""


def import_torchvision() -> None:
    """Import ``torchvision.models``, with the operators of this module where the compiled ones are missing."""
    try:
        import_module("torchvision.models")
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _register()
        import_module("torchvision.models")
        for module in ("torchvision.extension", "torchvision.ops.roi_align"):
            setattr(sys.modules[module], "_has_ops", lambda: True)  # noqa: B010 (a module is no class of its own)


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The indices of the boxes that overlap no better one by more than `iou_threshold`, best first."""
    order = scores.argsort(descending=True, stable=True)
    boxes = dets[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    kept = torch.ones(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if kept[place]:
            corners = torch.maximum(boxes[place, :2], boxes[place + 1 :, :2])
            sides = (torch.minimum(boxes[place, 2:], boxes[place + 1 :, 2:]) - corners).clamp(min=0)
            shared = sides.prod(dim=1)
            kept[place + 1 :] &= shared <= iou_threshold * (areas[place] + areas[place + 1 :] - shared)
    return order[kept]


def roi_align(
    features: Tensor,
    rois: Tensor,
    spatial_scale: float,
    height: int,
    width: int,
    sampling_ratio: int,
    aligned: bool,  # noqa: FBT001 (the order is that of the schema)
) -> Tensor:
    """Each box of `rois` (image, x1, y1, x2, y2) as `height` x `width` means of samples of `features`."""
    samples = sampling_ratio if sampling_ratio > 0 else 2
    boxes = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    sides = boxes[:, 2:] - boxes[:, :2]
    sides = sides if aligned else sides.clamp(min=1.0)
    made = features.new_zeros(len(rois), features.shape[1], height, width)
    for image in range(len(features)):
        chosen = (rois[:, 0] == image).nonzero()[:, 0]
        if not len(chosen):
            continue
        x = _places(boxes[chosen, 0], sides[chosen, 0], width * samples, features.shape[3])
        y = _places(boxes[chosen, 1], sides[chosen, 1], height * samples, features.shape[2])
        grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=-1)
        flat = grid.reshape(1, -1, width * samples, 2)
        taken = F.grid_sample(features[image : image + 1], flat, padding_mode="border", align_corners=True)
        split = taken[0].unflatten(1, (len(chosen), height * samples)).transpose(0, 1)
        made = made.index_copy(0, chosen, F.avg_pool2d(split, samples))
    return made


def _places(start: Tensor, side: Tensor, count: int, size: int) -> Tensor:
    """The middles of `count` equal parts of each side, from -1 to 1 over a map of `size`."""
    parts = (torch.arange(count) + 0.5) / count
    return (start[:, None] + side[:, None] * parts) * 2 / max(size - 1, 1) - 1


def _register() -> None:
    library = Library("torchvision", "DEF")
    for schema in _SCHEMAS.values():
        library.define(schema)
    for name in _UNUSED.split():
        library.define(f"{name}(Tensor x) -> Tensor")
    implementations: dict[str, Any] = {"nms": nms, "roi_align": roi_align}
    for name, function in implementations.items():
        for key in ("CPU", "AutogradCPU"):  # torchvision brings the one for meta
            library.impl(name, function, key)
    _LIBRARIES.append(library)
