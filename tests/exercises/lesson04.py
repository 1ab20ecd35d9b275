"""Right answers to the exercises of lesson 04."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nstutils import TVLoss
from nstutils.papers import recipes
from nstutils.runs.resolve import sum_of


def weighed(content: Tensor, style: Tensor, tv: Tensor, alpha: float, beta: float, gamma: float, kappa: float) -> Tensor:
    """The whole loss written another way than in the check."""
    return torch.stack([content, style, tv], -1) @ content.new_tensor([alpha * kappa, beta, gamma])


def converted(weight: float, filters: int, positions: int) -> float:
    """The weight by way of the library's table of factors."""
    factors = recipes.factors(filters, positions)
    return weight * factors["hw (Gatys' code)"][1] / factors["chw"][1]


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "total_loss": [weighed],
    "total_variation": [lambda x: TVLoss()(x, {})],
    "convert_weight": [converted],
    "blend": [lambda grams, weights: sum_of(list(weights), list(grams))],
}
GRADIENT = ["total_loss", "total_variation", "blend"]
