"""Right answers to the exercises of lesson 01."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils.course.check import lesson01


def looped(image: Tensor, kernel: Tensor) -> Tensor:
    """A convolution as a beginner writes it."""
    padded, result = F.pad(image, (1, 1, 1, 1)), torch.zeros_like(image)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            result[i, j] = (padded[i : i + 3, j : j + 3] * kernel).sum()
    return result


def backwards(layers: Sequence[tuple[int, int]]) -> int:
    """The receptive field from the last layer down."""
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "parameters": [
        lambda k, c, n: k * k * c * n + n,
        lambda k, c, n: n * (k**2 * c + 1),
        lambda k, c, n: torch.tensor(n) * (k * k * c + 1),
    ],
    "convolve": [looped, lambda image, kernel: F.conv2d(image[None, None], kernel[None, None], padding=1)[0, 0]],
    "average_pool": [
        lambda x: F.avg_pool2d(x, 2),
        lambda x: (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4,
        lambda x: x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-3, -1)),
    ],
    "receptive_field": [lesson01.receptive_field, backwards],
}
GRADIENT = ["average_pool"]
