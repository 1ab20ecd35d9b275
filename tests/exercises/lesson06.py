"""Right answers to the exercises of lesson 06."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def left_of_start(end: Tensor, noise_end: Tensor, start: Tensor) -> Tensor:
    """Least squares of the difference on the start's pattern."""
    pattern = (start - start.mean()).flatten()
    return torch.dot((end - noise_end).flatten(), pattern) / torch.dot(pattern, pattern)


def energy_at(row: Tensor, period: float) -> Tensor:
    """Energy by a complex turn."""
    turns = torch.exp(2j * math.pi * torch.arange(len(row)) / period)
    return ((row - row.mean()) * turns).mean().abs() ** 2


def uphill(x: Tensor, gradient: Callable[[Tensor], Tensor], count: int, lr: float) -> Tensor:
    """Steps up, each kept between black and white."""
    if count == 0:
        return x
    up = torch.where(gradient(x) > 0, x + lr, x - lr)
    return uphill(up.minimum(torch.ones_like(x)).maximum(torch.zeros_like(x)), gradient, count - 1, lr)


def apart(one: Tensor, other: Tensor) -> float:
    """In plain Python."""
    first, second = one.tolist(), other.tolist()
    ranges = [max(values) - min(values) for values in (first, second)]
    return abs(sum(first) / len(first) - sum(second) / len(second)) / max(ranges)


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "left_of_start": [left_of_start],
    "energy_at": [energy_at],
    "uphill": [uphill],
    "apart": [apart],
}
GRADIENT: list[str] = []
