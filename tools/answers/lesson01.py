"""Exercises of lesson 01: the parts of a network."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

from answers.making import Answers, Wrong, random

STACKS = [(3, 64), (5, 128), (7, 64), (9, 2), (7, 256), (21, 5)]
KERNELS = [(random(*size, seed=k), random(3, 3, seed=k + 5)) for k, size in enumerate([(5, 5), (4, 6), (3, 8)])]
EVEN = [(random(*shape, seed=k),) for k, shape in enumerate([(1, 1, 4, 4), (1, 3, 4, 6), (2, 2, 6, 2)])]
TOWERS = [  # (kernel, stride, padding) from the picture up, and a position of the last layer
    (((3, 1, 1),), 0),
    (((3, 1, 1), (3, 1, 1), (2, 2, 0)), 5),
    (((3, 1, 1), (3, 1, 1), (2, 2, 0), (3, 1, 1), (3, 1, 1), (2, 2, 0), (3, 1, 1)), 7),
    (((5, 2, 0), (3, 2, 1), (3, 1, 1)), 4),
]


def stacked(field: int, c: int) -> int:
    """Lesson 01: the parameters of a stack of 3 x 3 convolutions, C to C channels each, that sees `field` pixels."""
    return _stack((field - 1) // 2, c)


def _stack(layers: int, c: int) -> int:
    return layers * (9 * c * c + c)


def convolve(image: Tensor, kernel: Tensor, left: int = 1, right: int = 1) -> Tensor:
    """Lesson 01: a 3 x 3 kernel over a picture H x W with a rim of zeros, as networks do it (not flipped)."""
    return conv2d(pad(image, (left, right, left, right))[None, None], kernel[None, None])[0, 0]


def _square_only(image: Tensor, kernel: Tensor) -> Tensor:
    return torch.cat([convolve(image, kernel)[:, : len(image)], torch.zeros_like(image)[:, len(image) :]], 1)


def average_pool(x: Tensor) -> Tensor:
    """Lesson 01: the mean of every 2 x 2 square, N x C x H x W to N x C x H/2 x W/2."""
    return avg_pool2d(x, 2)


def window(layers: Sequence[tuple[int, int, int]], position: int) -> list[int]:
    """Lesson 01: the first and the last pixel that one position of the last layer sees."""
    first = last = position
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return [first, last]


def _early(layers: Sequence[tuple[int, int, int]], position: int) -> list[int]:
    first = last = position
    for kernel, stride, padding in reversed(layers):
        first = (first - padding) * stride
        last = (last - padding) * stride + kernel - 1
    return [first, last]


STACKED: Wrong = {
    "it counts one large kernel; wanted the stack of 3 × 3 that sees as far": lambda f, c: f * f * c * c + c,
    "every layer of the stack has C biases; add C for each": lambda f, c: _stack((f - 1) // 2, c) - (f - 1) // 2 * c,
    "it adds the biases once; every layer has C of its own": lambda f, c: (f - 1) // 2 * 9 * c * c + c,
    "each further 3 × 3 sees one pixel more on either side, so n of them see 2 n + 1; solve that for n": (
        lambda f, c: _stack(f // 3, c)
    ),
    "it has one layer too many: the first sees 3 pixels already; n layers see 2 n + 1": lambda f, c: _stack((f + 1) // 2, c),
    "every filter looks at all C channels that come in, and there are C filters; C² kernels a layer": (
        lambda f, c: (f - 1) // 2 * (9 * c + c)
    ),
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
WINDOW: Wrong = {
    "it goes through the layers from the picture up; a position is known in the last layer, so begin there (reversed)": (
        lambda t, at: window(t[::-1], at)
    ),
    "it forgets the padding: a layer that pads by 1 begins 1 before the picture; subtract it": (
        lambda t, at: window([(k, s, 0) for k, s, _ in t], at)
    ),
    "a window of K positions ends K - 1 after its first, not K; subtract 1": (
        lambda t, at: window([(k + 1, s, p) for k, s, p in t], at)
    ),
    "it ignores the strides: position i of a layer begins at i · stride in the layer below; multiply": (
        lambda t, at: window([(k, 1, p) for k, _, p in t], at)
    ),
    "the padding counts in positions of the layer below; multiply by the stride first, then subtract it": _early,
    "first and last are the same: the last one is K - 1 further in every layer; add it to the last alone": (
        lambda t, at: window([(1, s, p) for _, s, p in t], at)
    ),
    "it tells the width alone, from 0 on; the window lies where the position is": (
        lambda t, at: [0, window(t, 0)[1] - window(t, 0)[0]]
    ),
}
EXERCISES = (
    Answers(stacked, "from a receptive field to a number of layers, and their parameters with biases", 2, STACKS, STACKED),
    Answers(
        convolve, "a window that moves: padding, orientation of the kernel, pictures that are not square", 2, KERNELS, CONVOLVE
    ),
    Answers(average_pool, "every map pooled alone, with a gradient for every input", 1, EVEN, AVERAGE_POOL, gradient=True),
    Answers(window, "which pixels a position sees: strides and padding, traced back layer by layer", 3, TOWERS, WINDOW),
)
