"""What moves between two pictures: a flow tells where each pixel is found in the other, 1 x 2 x H x W: down and right."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import images


def flow(a: Tensor, b: Tensor) -> Tensor:
    """Where each pixel of `a` is found in `b`, as far as the brightness tells (TV-L1 of Zach 2007, by scikit-image)."""
    from skimage.registration import optical_flow_tvl1  # loaded for clips alone

    one, other = (images.luminance(x)[0, 0].cpu().numpy() for x in (a, b))
    return torch.from_numpy(np.stack(optical_flow_tvl1(one, other)))[None].to(a)


def warp(picture: Tensor, way: Tensor) -> Tensor:
    """A picture looked at where a flow points: warp(b, flow(a, b)) has what b shows in the places of a."""
    return _seen(picture, way, "bicubic").clamp(0, 1)


def _seen(values: Tensor, way: Tensor, mode: str) -> Tensor:
    """The values at the places that a flow points to; beyond the border those of the border."""
    height, width = values.shape[-2:]
    down, right = _places(way)
    places = torch.stack([2 * right / (width - 1) - 1, 2 * down / (height - 1) - 1], -1)
    return F.grid_sample(values, places, mode, padding_mode="border", align_corners=True)


def _places(way: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column that a flow points to from each pixel."""
    rows, columns = (torch.arange(n).to(way) for n in way.shape[-2:])
    return way[:, 0] + rows[:, None], way[:, 1] + columns


def occluded(forward: Tensor, backward: Tensor) -> Tensor:
    """1 for each pixel that the picture before does not show (1 x 1 x H x W), else 0.

    `backward` leads from now to before, `forward` from before to now: where the two do not lead back to the same place, or
    out of the frame, something came into view (Ruder 2016, after Sundaram 2010)."""
    back = _seen(forward, backward, "bilinear")
    lengths = (back.square() + backward.square()).sum(1, keepdim=True)
    lost = (back + backward).square().sum(1, keepdim=True) > 0.01 * lengths + 0.5
    down, right = _places(backward)
    height, width = backward.shape[-2:]
    outside = (down < 0) | (down > height - 1) | (right < 0) | (right > width - 1)
    return (lost | outside[:, None]).to(backward)
