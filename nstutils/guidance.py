"""Guidance: which region of the picture takes which style (document A §V; Gatys et al. 2017).

A mask is 1 x 1 x H x W in [0, 1]. `propagate` brings it to the size of each layer and scales it to ΣT² = 1 there; the guided
Gram matrix itself is `nstutils.gram(features, guide)`.
"""

import os
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import images
from nstutils.backbones import FeatureExtractor, geometry

MODES = ("simple", "inside")


def load_mask(path: str | os.PathLike[str], picture: Tensor) -> Tensor:
    """A mask as 1 x 1 x H x W in [0, 1] (white belongs to the region) that has the shape of `picture`, in any resolution."""
    mask = images.load(path).mean(1, keepdim=True).to(picture.device)
    height, width = picture.shape[-2:]
    if abs(mask.shape[-1] * height - mask.shape[-2] * width) > max(*mask.shape[-2:], height, width):
        raise ValueError(
            f"the mask {os.fspath(path)} is {mask.shape[-1]} x {mask.shape[-2]}, its picture {width} x {height}; "
            "give a mask of the picture's shape"
        )
    if not bool((mask > 0).any()):
        raise ValueError(f"the mask {os.fspath(path)} is black everywhere (0 of {mask.numel()} pixels); paint its region white")
    return F.adaptive_avg_pool2d(mask, (height, width))


def propagate(mask: Tensor, net: FeatureExtractor, layers: Sequence[str], mode: str = "simple") -> dict[str, Tensor]:
    """The guide of each layer, 1 x 1 x h x w with ΣT² = 1.

    'simple' averages the mask over the pixels of each position. 'inside' keeps only positions whose receptive field, cut to
    its central half, lies inside the region, so that less of the neighbour's texture is seen.
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} is not known; choose from {', '.join(MODES)}")
    rows = {row.name: row for row in geometry(net)}
    net.check(layers, mask)
    guides = {}
    for layer in layers:
        row = rows[layer]
        inner = mask if mode == "simple" else _eroded(mask, row.receptive_field // 4)
        height, width = row.size(mask.shape[-2]), row.size(mask.shape[-1])
        guide = F.avg_pool2d(inner, row.stride, ceil_mode=True)[..., :height, :width]
        energy = guide.square().sum()
        if not energy > 0:
            inside = int((mask > 0.5).sum())
            raise ValueError(
                f"the mask is empty at layer {layer}: its region has {inside} of {mask.numel()} pixels; "
                "draw a larger region, leave this layer out, or use mode 'simple'"
            )
        guides[layer] = guide / energy.sqrt()
    return guides


def _eroded(mask: Tensor, radius: int) -> Tensor:
    if radius < 1:
        return mask
    return 1 - F.max_pool2d(F.pad(1 - mask, (radius,) * 4, mode="replicate"), 2 * radius + 1, 1)


def coverage(masks: Sequence[Tensor]) -> dict[str, int]:
    """Pixels that belong to no region ('gap'), to more than one ('overlap'), and in all."""
    total = torch.stack([mask[0, 0] for mask in masks]).sum(0)
    return {"gap": int((total < 0.5).sum()), "overlap": int((total > 1.5).sum()), "pixels": total.numel()}
