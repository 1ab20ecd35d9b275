"""Guidance: which region of the picture takes which style (document A §V; Gatys et al. 2017).

A mask is 1 x 1 x H x W in [0, 1], hard or soft. `propagate` brings it to every layer, in one of three `MODES`, and scales it
to ΣT² = 1 there; the guided Gram matrix itself is `nstutils.gram(features, guide)`.

What is done with masks that do not fit, always told in pixels:

- a gap (pixels of no region) keeps its content and takes no style; an overlap takes several styles. Both are allowed: their
  pixels stand on the run card (`coverage`), and the command line tells them before the run;
- another resolution than the picture's is brought to its size by averaging; another shape is refused;
- a mask that is black everywhere, or that has nothing left at a layer, is refused with the layer and the region's pixels. At
  the scales of a run before its last, which are only the way there, the mode 'simple' takes its place: the card tells;
- another number of masks than of styles is refused. Masks in another order than the styles are a choice that nobody can see
  to be wrong: the pixels of every region stand on the card, in the order of the styles.
"""

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
    height, width = picture.shape[-2:]
    if abs(found.shape[-1] * height - found.shape[-2] * width) > max(*found.shape[-2:], height, width):
        raise UserError(
            f"{name} is {found.shape[-1]} x {found.shape[-2]} pixels, its picture {width} x {height}; "
            "give a mask of the picture's shape"
        )
    if not bool((found > 0).any()):
        raise UserError(f"{name} is black everywhere (0 of {found.numel()} pixels); paint its region white")
    return F.adaptive_avg_pool2d(found, (height, width))


def read_mask(mask: Mask) -> Tensor:
    """A mask in its own size, 1 x 1 x H x W, its brightest pixel 1: the mean of a file's red, green and blue.

    What is transparent lies outside. A guide is brought to ΣT² = 1, so that a mask in dark grey or red, or of zeros and ones
    in a file of 8 bits, works as a white one: scaled to 1 it is also counted as one.
    """
    if not isinstance(mask, Tensor):
        return _scaled(images.load(mask, behind="black").mean(1, keepdim=True))
    if mask.ndim != 4 or mask.shape[:2] != (1, 1) or not mask.numel():
        raise UserError(f"a mask is a tensor 1 x 1 x height x width, this one is {tuple(mask.shape)}; reshape it")
    if not bool(torch.isfinite(mask).all()) or mask.min() < 0 or mask.max() > 1:
        raise UserError("the mask has values outside [0, 1]; scale it, for instance with mask / 255")
    return _scaled(mask.detach().float())


def _scaled(mask: Tensor) -> Tensor:
    return mask / mask.max().clamp(min=1e-9)


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
