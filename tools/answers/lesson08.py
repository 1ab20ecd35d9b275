"""Exercises of lesson 08: a training, instance normalisation, blended styles, what transposed convolutions write twice."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from answers.making import Answers, Wrong, random
from nstutils.course.check.special import Lighter, Painter

EPSILON = 1e-5  # under the root, as everywhere in the network
NORMALISED = [  # maps, then a scale and a shift for each channel
    (random(*shape, seed=seed) * spread + 0.7, random(shape[1], seed=seed + 1), random(shape[1], seed=9))
    for shape, seed, spread in [((1, 2, 3, 4), 0, 1.0), ((2, 3, 4, 4), 3, 2.0), ((2, 4, 5, 3), 6, 0.01)]
]
WRITTEN = [(4, 3, 2), (5, 4, 2), (3, 2, 3), (6, 3, 1), (4, 5, 2)]  # inputs, kernel, stride
PAINTED = [  # normalised maps, scales and shifts of K styles, B x K weights
    (
        random(len(w), channels, 3, 5, seed=k),
        *(random(len(w[0]), channels, seed=k + n) for n in (1, 2)),
        torch.tensor(w).double(),
    )
    for channels, k, w in [
        (3, 0, [[3.0, 1.0]]),
        (4, 4, [[0.0, 1.0, 0.0], [0.5, 0.2, 0.1]]),
        (2, 8, [[1.0, 0.0], [1.0, 5.0], [2.0, 2.0]]),
    ]
]


TRAININGS = [  # batches of crops, an untrained painter, a loss, a learning rate
    (
        [random(n, 3, *size, seed=k + i) for i in range(count)],
        Painter(random(3, 1, 1, seed=k), random(1, seed=k + 1)),
        Lighter(),
        lr,
    )
    for count, n, size, k, lr in [(4, 1, (3, 5), 0, 0.1), (6, 2, (4, 4), 20, 0.03), (5, 2, (5, 2), 40, 0.01)]
]


def training(batches: Sequence[Tensor], painter: nn.Module, loss: Any, lr: float, **ways: Any) -> list[float]:
    """Lesson 08: one step a batch for all weights of a painter; the loss of every step, before its update."""
    return trained(batches, copy.deepcopy(painter), loss, lr, **ways)  # the inputs are used again


def trained(
    batches: Iterable[Tensor], painter: nn.Module, loss: Any, lr: float, kind: Any = torch.optim.Adam, forgotten: str = ""
) -> list[float]:
    """The training itself, which changes the painter; what is `forgotten` makes the usual mistakes."""
    optimiser, found = kind(painter.parameters(), lr), []
    for crops in batches:
        value = loss(painter(crops), crops)
        if forgotten != "zero_grad":
            optimiser.zero_grad()
        value.backward()
        if forgotten != "step":
            optimiser.step()
        if forgotten == "memory":
            optimiser = kind(painter.parameters(), lr)
        found.append((loss(painter(crops), crops) if forgotten == "before" else value).item())
    return found


def instance_norm(y: Tensor, scale: Tensor, shift: Tensor, over: tuple[int, ...] = (2, 3), correction: int = 0) -> Tensor:
    """Lesson 08: s · (y − mean) / √(variance + 1e-5) + b, with mean and variance of each picture and channel."""
    variance, mean = torch.var_mean(y, over, correction=correction, keepdim=True)
    return _affine((y - mean) / (variance + EPSILON).sqrt(), scale, shift)


def _affine(y: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return y * scale[:, None, None] + shift[:, None, None]


def _off_mean(y: Tensor) -> Tensor:
    return y - y.mean((2, 3), keepdim=True)


def _deviation(y: Tensor, epsilon: float = 0.0) -> Tensor:
    return (y.var((2, 3), correction=0, keepdim=True) + epsilon).sqrt()


def overlaps(count: int, kernel: int, stride: int) -> Tensor:
    """Lesson 08: how many inputs of a transposed convolution write into each place of its output."""
    return F.conv_transpose1d(torch.ones(1, 1, count), torch.ones(1, 1, kernel), stride=stride)[0, 0]


def style_blend(normal: Tensor, scales: Tensor, shifts: Tensor, weights: Tensor) -> Tensor:
    """Lesson 08: normalised maps with the scale and the shift of a blend of styles."""
    return _painted(normal, scales, shifts, weights / weights.sum(1, keepdim=True))


def _painted(y: Tensor, scales: Tensor, shifts: Tensor, shares: Tensor) -> Tensor:
    return y * (shares @ scales)[..., None, None] + (shares @ shifts)[..., None, None]


def _scaled_shift(y: Tensor, s: Tensor, b: Tensor, w: Tensor) -> Tensor:
    shares = w / w.sum(1, keepdim=True)
    return (y + (shares @ b)[..., None, None]) * (shares @ s)[..., None, None]


def _largest(weights: Tensor) -> Tensor:
    """All of the weight on the largest."""
    return F.one_hot(weights.argmax(1), weights.shape[1]).to(weights)


TRAINING: Wrong = {
    "nothing is learnt; after backward() call optimiser.step()": lambda *given: training(*given, forgotten="step"),
    "the gradients of earlier steps are added up; call optimiser.zero_grad() before backward()": (
        lambda *given: training(*given, forgotten="zero_grad")
    ),
    "a new optimiser every step forgets what Adam has gathered; make one before the loop": (
        lambda *given: training(*given, forgotten="memory")
    ),
    "it takes another optimiser; wanted torch.optim.Adam": lambda *given: training(*given, kind=torch.optim.SGD),
    "it tells the loss after the update; keep the one that backward() was called on": lambda *given: training(
        *given, forgotten="before"
    ),
    "it trains on the first batch alone; each step takes the next": (
        lambda batches, *rest: training([batches[0]] * len(batches), *rest)
    ),
    "the painter is compared with its own picture; loss(painter(crops), crops)": (
        lambda batches, painter, loss, lr: training(batches, painter, lambda x, crops: loss(x, x), lr)
    ),
    "it returns the last loss alone; wanted that of every step": lambda *given: training(*given)[-1],
}
INSTANCE_NORM: Wrong = {
    "mean and variance run over the batch too: that is batch norm; take each picture alone": (
        lambda y, s, b: instance_norm(y, s, b, (0, 2, 3))
    ),
    "mean and variance run over the channels too; take each channel alone": lambda y, s, b: instance_norm(y, s, b, (1, 2, 3)),
    "mean and variance run over the width alone; take height and width": lambda y, s, b: instance_norm(y, s, b, (3,)),
    "the variance divides by M − 1; here it is the mean of the squares (correction=0)": (
        lambda y, s, b: instance_norm(y, s, b, correction=1)
    ),
    "it divides by the variance; take its root": lambda y, s, b: _affine(_off_mean(y) / _deviation(y, EPSILON) ** 2, s, b),
    "the mean is not taken away": lambda y, s, b: _affine(y / _deviation(y, EPSILON), s, b),
    "the 1e-5 under the root is missing; a flat map would be divided by zero": (
        lambda y, s, b: _affine(_off_mean(y) / _deviation(y), s, b)
    ),
    "the 1e-5 is added to the root; add it to the variance": (
        lambda y, s, b: _affine(_off_mean(y) / (_deviation(y) + EPSILON), s, b)
    ),
    "the shift is scaled as well; scale first, then shift": lambda y, s, b: instance_norm(y, s, s * b),
    "scale and shift are left out": lambda y, s, b: instance_norm(y, torch.ones_like(s), torch.zeros_like(b)),
    "scale and shift are exchanged": lambda y, s, b: instance_norm(y, b, s),
}
OVERLAPS: Wrong = {
    "it ends too early: the last input begins at (count − 1) · stride and writes `kernel` places": (
        lambda n, k, s: overlaps(n, k, s)[: n * s]
    ),
    "every input starts one place further; wanted `stride` places": lambda n, k, s: overlaps(n, k, 1),
    "a place that several inputs write into counts each of them; add, do not overwrite": lambda n, k, s: overlaps(
        n, k, s
    ).clamp(max=1),
    "kernel and stride are exchanged": lambda n, k, s: overlaps(n, s, k),
    "not every weight reaches every place; count the inputs, not the kernel's places": (
        lambda n, k, s: torch.full_like(overlaps(n, k, s), k)
    ),
    "it counts each input once at its first place; it writes `kernel` places": lambda n, k, s: F.pad(
        overlaps(n, 1, s), (0, k - 1)
    ),
}
STYLE_BLEND: Wrong = {
    "the weights are not divided by their sum: (2, 2) and (1, 1) are one blend": _painted,
    "the weights are divided by the sum over the batch; each picture has a blend of its own": (
        lambda y, s, b, w: _painted(y, s, b, w / w.sum())
    ),
    "every picture takes the weights of the first; row k belongs to picture k": lambda y, s, b, w: style_blend(y, s, b, w[:1]),
    "the shift is left out": lambda y, s, b, w: style_blend(y, s, 0 * b, w),
    "the scale is left out": lambda y, s, b, w: style_blend(y, torch.ones_like(s), b, w),
    "it takes the style of the largest weight alone": lambda y, s, b, w: style_blend(y, s, b, _largest(w)),
    "it is the plain mean of the styles, whatever the weights": lambda y, s, b, w: style_blend(y, s, b, torch.ones_like(w)),
    "the shift is scaled as well; scale first, then shift": _scaled_shift,
    "scale and shift are exchanged": lambda y, s, b, w: style_blend(y, b, s, w),
}
EXERCISES = (
    Answers(training, "the loop of a training: one optimiser, losses of before the update", 3, TRAININGS, TRAINING),
    Answers(
        instance_norm, "over which axes mean and variance run, and which variance", 2, NORMALISED, INSTANCE_NORM, gradient=True
    ),
    Answers(overlaps, "why transposed convolutions write a checkerboard", 2, WRITTEN, OVERLAPS),
    Answers(style_blend, "a blend for every picture of a batch", 2, PAINTED, STYLE_BLEND, gradient=True),
)
