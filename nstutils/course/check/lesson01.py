"""Checks of lesson 01: the parts of a network."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

from nstutils.course.check.judging import Answer, judge, random

CONVOLUTIONS = [(3, 3, 64), (3, 64, 128), (3, 512, 512), (1, 4096, 1000), (5, 2, 7)]
KERNELS = [(random(*size, seed=k), random(3, 3, seed=k + 5)) for k, size in enumerate([(5, 5), (4, 6), (3, 8)])]
EVEN = [(random(1, 1, 4, 4),), (random(1, 3, 4, 6, seed=1),), (random(2, 2, 6, 2, seed=2),)]
TOWERS = [  # (kernel, stride) from the picture up
    (((3, 1),),),
    (((3, 1), (3, 1), (2, 2)),),
    (((3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1)),),
    (((5, 2), (3, 2), (3, 1)),),
]


def parameters(answer: Answer) -> None:
    """Lesson 01: P = K² · C · N + N of a convolution."""
    judge("parameters", answer, _parameters, CONVOLUTIONS, WRONG["parameters"])


def _parameters(k: int, c: int, n: int) -> int:
    return k * k * c * n + n


def convolve(answer: Answer) -> None:
    """Lesson 01: a 3 x 3 kernel over a picture H x W with a rim of zeros, as networks do it (not flipped)."""
    judge("convolve", answer, _convolve, KERNELS, WRONG["convolve"])


def _convolve(image: Tensor, kernel: Tensor, rim: tuple[int, int, int, int] = (1, 1, 1, 1)) -> Tensor:
    return conv2d(pad(image, rim)[None, None], kernel[None, None])[0, 0]


def _square_only(image: Tensor, kernel: Tensor) -> Tensor:
    return torch.cat([_convolve(image, kernel)[:, : len(image)], torch.zeros_like(image)[:, len(image) :]], 1)


def average_pool(answer: Answer) -> None:
    """Lesson 01: the mean of every 2 x 2 square, N x C x H x W to N x C x H/2 x W/2."""
    judge("average_pool", answer, _average_pool, EVEN, WRONG["average_pool"], gradient=True)


def _average_pool(x: Tensor) -> Tensor:
    return avg_pool2d(x, 2)


def receptive_field(answer: Answer) -> None:
    """Lesson 01: how many pixels wide one position of the last layer sees."""
    judge("receptive_field", answer, _receptive_field, TOWERS, WRONG["receptive_field"])


def _receptive_field(layers: Sequence[tuple[int, int]], start: int = 1, less: int = 1, early: bool = False) -> int:
    field, stride = start, 1
    for kernel, step in layers:
        field, stride = field + (kernel - less) * stride * (step if early else 1), stride * step
    return field


WRONG: dict[str, dict[str, Answer]] = {
    "parameters": {
        "the biases are missing: + N": lambda k, c, n: k * k * c * n,
        "a kernel has K² places, not K": lambda k, c, n: k * c * n + n,
        "there is one bias a filter: + N, not + C": lambda k, c, n: k * k * c * n + c,
        "there is one bias a filter: + N, not + 1": lambda k, c, n: k * k * c * n + 1,
        "every filter looks at all C input channels: times C": lambda k, c, n: k * k * n + n,
        "the bias belongs to a filter, not to each of its channels: + N, not + C · N": lambda k, c, n: k * k * c * n + c * n,
    },
    "convolve": {
        "it flips the kernel; a network's convolution does not (it is a cross-correlation)": lambda image, kernel: _convolve(
            image, kernel.flip(0, 1)
        ),
        "the rim of zeros is missing, so the result is 2 smaller each way; pad by 1 on every side": lambda image, kernel: (
            _convolve(image, kernel, (0, 0, 0, 0))
        ),
        "it pads on the right and below only, so everything moves; pad by 1 on every side": lambda image, kernel: _convolve(
            image, kernel, (0, 2, 0, 2)
        ),
        "it pads on the left and above only, so everything moves; pad by 1 on every side": lambda image, kernel: _convolve(
            image, kernel, (2, 0, 2, 0)
        ),
        "rows and columns of the kernel are swapped": lambda image, kernel: _convolve(image, kernel.T),
        "it works for square pictures only; take height and width from image.shape": _square_only,
        "it takes the mean of the nine products; wanted their sum": lambda image, kernel: _convolve(image, kernel) / 9,
    },
    "average_pool": {
        "it takes the maximum; wanted the mean": lambda x: max_pool2d(x, 2),
        "it takes the sum of the four; wanted the mean": lambda x: 4 * _average_pool(x),
        "its windows overlap (stride 1); move by 2": lambda x: avg_pool2d(x, 2, 1),
        "it keeps one of the four and drops three; take the mean of the four": lambda x: x[..., ::2, ::2],
        "it takes four neighbours in a row; wanted squares of 2 × 2": lambda x: x.reshape(
            *x.shape[:2], x.shape[2] // 2, x.shape[3] // 2, 4
        ).mean(-1),
        "it averages over the batch or the channels too; every map is pooled alone": lambda x: (
            _average_pool(x).mean((0, 1), keepdim=True).expand(*x.shape[:2], -1, -1)
        ),
        "it pools along the height only; pool both ways": lambda x: avg_pool2d(x, (2, 1)),
    },
    "receptive_field": {
        "it ignores the strides: after a stride of 2 one step is 2 pixels wide": lambda layers: _receptive_field(
            [(kernel, 1) for kernel, _ in layers]
        ),
        "a kernel of K adds K - 1 steps, not K": lambda layers: _receptive_field(layers, less=0),
        "the stride comes too early: a layer's own stride counts from the next layer on": lambda layers: _receptive_field(
            layers, early=True
        ),
        "start from 1: a pixel sees itself": lambda layers: _receptive_field(layers, start=0),
        "it multiplies the kernels; add (K - 1) · stride for each layer": lambda layers: math.prod(
            kernel for kernel, _ in layers
        ),
        "it adds a layer's own stride; multiply the strides of the layers before it": lambda layers: (
            1 + sum((kernel - 1) * step for kernel, step in layers)
        ),
    },
}
