"""Exercises of lesson 01: the parts of a network."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

from nstutils.course.check.judging import Exercise, Wrong, random

CONVOLUTIONS = [(3, 3, 64), (3, 64, 128), (3, 512, 512), (1, 4096, 1000), (5, 2, 7)]
KERNELS = [(random(*size, seed=k), random(3, 3, seed=k + 5)) for k, size in enumerate([(5, 5), (4, 6), (3, 8)])]
EVEN = [(random(*shape, seed=k),) for k, shape in enumerate([(1, 1, 4, 4), (1, 3, 4, 6), (2, 2, 6, 2)])]
TOWERS = [  # (kernel, stride) from the picture up
    (((3, 1),),),
    (((3, 1), (3, 1), (2, 2)),),
    (((3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1)),),
    (((5, 2), (3, 2), (3, 1)),),
]


def parameters(k: int, c: int, n: int) -> int:
    """Lesson 01: P = K² · C · N + N of a convolution."""
    return k * k * c * n + n


def convolve(image: Tensor, kernel: Tensor, left: int = 1, right: int = 1) -> Tensor:
    """Lesson 01: a 3 x 3 kernel over a picture H x W with a rim of zeros, as networks do it (not flipped)."""
    return conv2d(pad(image, (left, right, left, right))[None, None], kernel[None, None])[0, 0]


def _square_only(image: Tensor, kernel: Tensor) -> Tensor:
    return torch.cat([convolve(image, kernel)[:, : len(image)], torch.zeros_like(image)[:, len(image) :]], 1)


def average_pool(x: Tensor) -> Tensor:
    """Lesson 01: the mean of every 2 x 2 square, N x C x H x W to N x C x H/2 x W/2."""
    return avg_pool2d(x, 2)


def receptive_field(layers: Sequence[tuple[int, int]], start: int = 1, less: int = 1, early: bool = False) -> int:
    """Lesson 01: how many pixels wide one position of the last layer sees."""
    field, stride = start, 1
    for kernel, step in layers:
        field, stride = field + (kernel - less) * stride * (step if early else 1), stride * step
    return field


PARAMETERS: Wrong = {
    "the biases are missing: + N": lambda k, c, n: k * k * c * n,
    "a kernel has K² places, not K": lambda k, c, n: k * c * n + n,
    "there is one bias a filter: + N, not + C": lambda k, c, n: k * k * c * n + c,
    "there is one bias a filter: + N, not + 1": lambda k, c, n: k * k * c * n + 1,
    "every filter looks at all C input channels: times C": lambda k, c, n: k * k * n + n,
    "the bias belongs to a filter, not to each of its channels: + N, not + C · N": lambda k, c, n: k * k * c * n + c * n,
}
CONVOLVE: Wrong = {
    "it flips the kernel; a network's convolution does not (it is a cross-correlation)": lambda x, k: convolve(x, k.flip(0, 1)),
    "the rim of zeros is missing, so the result is 2 smaller each way; pad by 1 on every side": lambda x, k: convolve(
        x, k, 0, 0
    ),
    "it pads on the right and below only, so everything moves; pad by 1 on every side": lambda x, k: convolve(x, k, 0, 2),
    "it pads on the left and above only, so everything moves; pad by 1 on every side": lambda x, k: convolve(x, k, 2, 0),
    "rows and columns of the kernel are swapped": lambda x, k: convolve(x, k.T),
    "it works for square pictures only; take height and width from image.shape": _square_only,
    "it takes the mean of the nine products; wanted their sum": lambda x, k: convolve(x, k) / 9,
}
AVERAGE_POOL: Wrong = {
    "it takes the maximum; wanted the mean": lambda x: max_pool2d(x, 2),
    "it takes the sum of the four; wanted the mean": lambda x: 4 * average_pool(x),
    "its windows overlap (stride 1); move by 2": lambda x: avg_pool2d(x, 2, 1),
    "it keeps one of the four and drops three; take the mean of the four": lambda x: x[..., ::2, ::2],
    "it takes four neighbours in a row; wanted squares of 2 × 2": lambda x: x.reshape(*average_pool(x).shape, 4).mean(-1),
    "it averages over the batch or the channels too; every map is pooled alone": (
        lambda x: average_pool(x.mean((0, 1), keepdim=True).expand_as(x))
    ),
    "it pools along the height only; pool both ways": lambda x: avg_pool2d(x, (2, 1)),
}
RECEPTIVE_FIELD: Wrong = {
    "it ignores the strides: after a stride of 2 one step is 2 pixels wide": lambda t: receptive_field([(k, 1) for k, _ in t]),
    "a kernel of K adds K - 1 steps, not K": lambda t: receptive_field(t, less=0),
    "the stride comes too early: a layer's own stride counts from the next layer on": lambda t: receptive_field(t, early=True),
    "start from 1: a pixel sees itself": lambda t: receptive_field(t, start=0),
    "it multiplies the kernels; add (K - 1) · stride for each layer": lambda t: math.prod(k for k, _ in t),
    "it adds a layer's own stride; multiply the strides of the layers before it": lambda t: 1 + sum((k - 1) * s for k, s in t),
}
EXERCISES = (
    Exercise(parameters, CONVOLUTIONS, PARAMETERS),
    Exercise(convolve, KERNELS, CONVOLVE),
    Exercise(average_pool, EVEN, AVERAGE_POOL, gradient=True),
    Exercise(receptive_field, TOWERS, RECEPTIVE_FIELD),
)
