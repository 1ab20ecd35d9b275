"""Right answers to the exercises of lesson 11."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nstutils import TVLoss
from nstutils.papers import recipes


def converted(weight: float, filters: int, positions: int) -> float:
    """The weight by way of the library's table of factors."""
    factors = recipes.factors(filters, positions)
    return weight * factors["hw (Gatys' code)"][1] / factors["chw (PyTorch's tutorial, d2l)"][1]


def missing(x: Tensor) -> Tensor:
    """The whole total variation less A's sum."""
    here = x[..., :-1, :-1]
    printed = (x[..., 1:, :-1] - here).square() + (x[..., :-1, 1:] - here).square()
    return TVLoss()(x, {}) - printed.sum((1, 2, 3))


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "convert_weight": [converted],
    "left_out": [missing],
    "counts_alike": [lambda errors: torch.softmax(-errors.log(), 0)],
    "best_within": [lambda seconds, losses, budget: min(v for s, v in zip(seconds, losses, strict=True) if s <= budget)],
}
GRADIENT = ["left_out"]
