"""Right answers to the exercises of lesson 06."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def stripes(height: int, width: int, period: int) -> Tensor:
    """Stripes, column by column."""
    picture = torch.ones(1, 3, height, width)
    for column in range(width):
        if column % period < period / 2:
            picture[..., column] = 0
    return picture


def energy_at(row: Tensor, period: float) -> Tensor:
    """Energy by a complex turn."""
    turns = torch.exp(2j * math.pi * torch.arange(len(row)) / period)
    return ((row - row.mean()) * turns).mean().abs() ** 2


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "stripes": [stripes],
    "energy_at": [energy_at],
    "spread": [lambda values: (max(values) - min(values)) / (sum(values) / len(values))],
    "blend_start": [lambda p, noise, share: p + share * (noise - p)],
}
GRADIENT: list[str] = []
