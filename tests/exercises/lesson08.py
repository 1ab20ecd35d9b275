"""Right answers to the exercises of lesson 08."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def training(batches: list[Tensor], painter: nn.Module, loss: Any, lr: float) -> list[float]:
    """Adam by hand, on copies of the weights."""
    weights = {name: weight.detach().clone() for name, weight in painter.named_parameters()}
    mean, square = ({name: torch.zeros_like(w) for name, w in weights.items()} for _ in range(2))
    found = []
    for number, crops in enumerate(batches, 1):
        weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        value = loss(torch.func.functional_call(painter, weights, (crops,)), crops)
        found.append(value.item())
        for name, slope in zip(weights, torch.autograd.grad(value, list(weights.values())), strict=True):
            mean[name] = 0.9 * mean[name] + 0.1 * slope
            square[name] = 0.999 * square[name] + 0.001 * slope**2
            m, v = mean[name] / (1 - 0.9**number), square[name] / (1 - 0.999**number)
            weights[name] = weights[name] - lr * m / (v.sqrt() + 1e-8)
    return found


def overlaps(count: int, kernel: int, stride: int) -> Tensor:
    """Input by input, place by place."""
    written = torch.zeros((count - 1) * stride + kernel)
    for k in range(count):
        written[k * stride : k * stride + kernel] += 1
    return written


def style_blend(normal: Tensor, scales: Tensor, shifts: Tensor, weights: Tensor) -> Tensor:
    """The mean of what each style alone would give."""
    alone = normal[:, None] * scales[None, :, :, None, None] + shifts[None, :, :, None, None]
    return torch.einsum("bk,bkchw->bchw", weights, alone) / weights.sum(1)[:, None, None, None]


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "training": [training],
    "instance_norm": [lambda y, scale, shift: F.group_norm(y, y.shape[1], scale, shift)],
    "overlaps": [overlaps],
    "style_blend": [style_blend],
}
GRADIENT = ["instance_norm", "style_blend"]
