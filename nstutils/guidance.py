"""Guidance: which region of the picture takes which style (document A §V; Gatys et al. 2017). A mask is 1 x 1 x H x W in [0,
1], hard or soft. Pixels of no region keep their content and take no style, those of several take several: allowed, and told.
Masks that cannot be meant (of another shape or number, or of which nothing is left at a layer) are refused."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import images
from nstutils.backbones import FeatureExtractor, Layer, geometry
from nstutils.library.errors import UserError
from nstutils.runs.options import GUIDE_MODES

Mask = str | os.PathLike[str] | Tensor | images.InMemory


def load_mask(mask: Mask, picture: Tensor) -> Tensor:
    """A mask (file, known name or tensor 1 x 1 x H x W; white belongs to the region) in the size of `picture`, in [0, 1]."""
    found = read_mask(mask).to(picture.device)
    name = f"the mask {os.fspath(mask)}" if isinstance(mask, str | os.PathLike) else "the mask"
    (height, width), (tall, wide) = picture.shape[-2:], found.shape[-2:]
    if abs(wide * height - tall * width) > max(tall, wide, height, width):
        raise UserError(f"{name} is {wide} x {tall} pixels, its picture {width} x {height}; give a mask of the picture's shape")
    if not bool((found > 0).any()):
        raise UserError(f"{name} is black everywhere (0 of {found.numel()} pixels); paint its region white")
    return F.adaptive_avg_pool2d(found, (height, width))


def read_mask(mask: Mask) -> Tensor:
    """A mask in its own size, its brightest pixel 1 (one in dark grey works as a white one): the mean of a file's red, green
    and blue; what is transparent lies outside."""
    values = images.checked(mask, "mask", 1) if isinstance(mask, Tensor) else images.load(mask, behind="black")
    found = values.mean(1, keepdim=True)
    return found / found.max().clamp(min=1e-9)


def propagate(mask: Tensor, net: FeatureExtractor, layers: Sequence[str], mode: str = "simple") -> dict[str, Tensor]:
    """The guide of each layer, 1 x 1 x h x w with ΣT² = 1, in one of `MODES`."""
    if mode not in MODES:
        raise UserError(f"mode {mode!r} is not known; choose from {', '.join(MODES)}")
    rows = {row.name: row for row in geometry(net)}
    net.check(layers, mask)
    guides = {}
    for layer in layers:
        guide = MODES[mode](mask, rows[layer])
        energy = guide.square().sum()
        if not energy > 0:
            count = f"{int((mask > 0.5).sum())} of {mask.numel()} pixels ({mask.shape[-1]} x {mask.shape[-2]})"
            raise UserError(
                f"the mask is empty at layer {layer}: its region has {count}, too few for mode {mode!r}; draw a larger region, "
                "take a larger picture, leave this layer out, or use mode 'simple'"
            )
        guides[layer] = guide / energy.sqrt()
    return guides


def simple(mask: Tensor, row: Layer) -> Tensor:
    """The mask averaged over each position's own pixels (its stride): sharp, and the regions share out all positions."""
    return F.avg_pool2d(mask, row.stride, ceil_mode=True)[..., : row.size(mask.shape[-2]), : row.size(mask.shape[-1])]


def inside(mask: Tensor, row: Layer) -> Tensor:
    """The same of the mask eroded by one position: the centre of every receptive field lies inside, but a gap is left."""
    s = row.stride
    return simple(1 - F.max_pool2d(F.pad(1 - mask, (s,) * 4, mode="replicate"), 2 * s + 1, 1), row)


def field(mask: Tensor, row: Layer) -> Tensor:
    """The mask averaged over all that a position sees, as the layers below average: soft, and it overlaps the neighbours."""
    for kernel, stride, padding, up in row.steps:
        mask = F.avg_pool2d(mask, kernel, stride, padding, ceil_mode=up, count_include_pad=False)
    return mask


MODES: dict[str, Callable[[Tensor, Layer], Tensor]] = dict(zip(GUIDE_MODES, (simple, inside, field), strict=True))


def reaches(mask: Tensor, net: FeatureExtractor, layers: Sequence[str], mode: str) -> bool:
    """Whether anything of the mask is left at every one of `layers`."""
    return all(bool((MODES[mode](mask, row) > 0).any()) for row in geometry(net) if row.name in layers)


def coverage(masks: Sequence[Tensor]) -> dict[str, Any]:
    """Pixels of each region, of none ('gap'), of more than one ('overlap'), and in all; a soft mask counts from one half."""
    total = torch.stack([mask[0, 0] for mask in masks]).sum(0)
    counts = {"gap": int((total < 0.5).sum()), "overlap": int((total > 1.5).sum()), "pixels": total.numel()}
    return {"regions": [int((mask > 0.5).sum()) for mask in masks]} | counts
