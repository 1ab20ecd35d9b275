"""Right answers to the exercises of lesson 01."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def looped(image: Tensor, kernel: Tensor) -> Tensor:
    """A convolution as a beginner writes it."""
    padded, result = F.pad(image, (1, 1, 1, 1)), torch.zeros_like(image)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            result[i, j] = (padded[i : i + 3, j : j + 3] * kernel).sum()
    return result


def downwards(layers: Sequence[tuple[int, int, int]], position: int) -> tuple[int, ...]:
    """The window pixel by pixel, from the last layer down."""
    seen = {position}
    for kernel, stride, padding in layers[::-1]:
        seen = {place * stride - padding + k for place in seen for k in range(kernel)}
    return min(seen), max(seen)


def upwards(layers: Sequence[tuple[int, int, int]], position: int) -> tuple[int, int]:
    """The window by its width and its middle, from the picture up."""
    first, field, distance = 0, 1, 1
    for kernel, stride, padding in layers:
        first, field, distance = first - padding * distance, field + (kernel - 1) * distance, distance * stride
    return first + position * distance, first + position * distance + field - 1


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "stacked": [
        lambda field, c: (field - 1) // 2 * (9 * c * c + c),
        lambda field, c: sum(c * (9 * c + 1) for _ in range(3, field + 1, 2)),
        lambda field, c: torch.tensor((field - 1) // 2) * c * (9 * c + 1),
    ],
    "convolve": [looped, lambda image, kernel: F.conv2d(image[None, None], kernel[None, None], padding=1)[0, 0]],
    "average_pool": [
        lambda x: F.avg_pool2d(x, 2),
        lambda x: (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4,
        lambda x: x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-3, -1)),
    ],
    "window": [downwards, upwards],
}
GRADIENT = ["average_pool"]
