"""Right answers to the exercises of lesson 09."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def guided_filter(x: Tensor, p: Tensor, radius: int, eps: float) -> Tensor:
    """Window by window, as sums of what lies in it."""
    side = 2 * radius + 1

    def mean(values: Tensor) -> Tensor:
        inside = F.pad(torch.ones_like(values), (radius,) * 4)
        sums = [F.pad(values, (radius,) * 4), inside]
        total, count = (v.unfold(2, side, 1).unfold(3, side, 1).sum((-2, -1)) for v in sums)
        return total / count

    slope = mean((p - 0) * x).sub(mean(p) * mean(x)) / mean(p.square()).sub(mean(p).square()).add(eps)
    return mean(slope) * p + mean(mean(x) - slope * mean(p))


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """The four pixels around each place, by their shares."""
    height, width = picture.shape[-2:]
    row = (torch.arange(height)[:, None] + flow[:, 0]).clamp(0, height - 1)
    column = (torch.arange(width) + flow[:, 1]).clamp(0, width - 1)
    found = torch.zeros_like(picture)
    for down in (0, 1):
        for right in (0, 1):
            i, j = row.floor() + down, column.floor() + right
            share = (1 - (row - i).abs()).clamp(min=0) * (1 - (column - j).abs()).clamp(min=0)
            i, j = i.clamp(max=height - 1).long(), j.clamp(max=width - 1).long()
            for n in range(len(picture)):
                found[n] += share[n] * picture[n][:, i[n], j[n]]
    return found


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "guided_filter": [guided_filter],
    "warp": [warp],
    "warping_error": [lambda a, b, m: (a - b)[m.expand_as(a) > 0].square().mean().sqrt()],
    "temporal_loss": [lambda x, t, m: torch.einsum("bchw,bchw,bhw->b", x - t, x - t, m[:, 0]) / x[0].numel()],
}
GRADIENT = ["temporal_loss"]
