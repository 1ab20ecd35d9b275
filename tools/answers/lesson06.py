"""Exercises of lesson 06: what is left of a start, starts that fail, and what seeds tell."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from answers.making import Answers, Wrong, random
from nstutils.course.check.special import Slope

Gradient = Callable[[Tensor], Tensor]
ROWS = [(random(n, seed=n) + 0.5, period) for n, period in ((16, 4), (30, 8), (45, 16))]


def _picture(*shape: int, seed: int) -> Tensor:
    return random(*shape, seed=seed).abs()


ENDS = [
    tuple(_picture(*shape, seed=seed + k) for k in range(3))
    for shape, seed in (((1, 3, 4, 6), 0), ((2, 3, 5, 3), 10), ((1, 3, 8, 8), 20))
]
GROUPS = [
    (random(n, seed=n).abs() + 1, shift + random(m, seed=n + 9).abs())
    for n, m, shift in ((4, 4, 3.0), (3, 5, 0.5), (5, 2, 1.2))
]


CLIMBS = [
    (_picture(1, 3, 4, 6, seed=1), Slope(7.0), 5, 0.1),
    (_picture(2, 3, 3, 5, seed=2), Slope(3.0), 3, 0.3),
    (_picture(1, 3, 6, 6, seed=3), Slope(20.0), 8, 0.05),
]


def left_of_start(end: Tensor, noise_end: Tensor, start: Tensor) -> Tensor:
    """Lesson 06: how much of a start is in its end and not in the end from noise: 0 nothing, 1 all of its contrast."""
    pattern = start - start.mean()
    return ((end - noise_end) * pattern).sum() / pattern.square().sum()


def energy_at(row: Tensor, period: float) -> Tensor:
    """Lesson 06: energy of a row of brightness at one frequency, (Σ v cos)² + (Σ v sin)² over W², the mean taken away."""
    return _energy(row - row.mean(), 2 * math.pi / period)


def _energy(v: Tensor, step: float, sine: float = 1.0) -> Tensor:
    angle = step * torch.arange(len(v), dtype=v.dtype)
    return ((v @ angle.cos()) ** 2 + sine * (v @ angle.sin()) ** 2) / len(v) ** 2


def uphill(x: Tensor, gradient: Gradient, count: int, lr: float) -> Tensor:
    """Lesson 06: x moved `count` times by lr along the sign of the gradient, a picture in [0, 1] after every step."""
    for _ in range(count):
        x = (x + lr * gradient(x).sign()).clamp(0, 1)
    return x


def _unclamped(x: Tensor, gradient: Gradient, count: int, lr: float) -> Tensor:
    for _ in range(count):
        x = x + lr * gradient(x).sign()
    return x


def _by_gradient(x: Tensor, gradient: Gradient, count: int, lr: float) -> Tensor:
    for _ in range(count):
        x = (x + lr * gradient(x)).clamp(0, 1)
    return x


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Lesson 06: the difference of two means of losses over the larger of the two ranges that seeds alone make."""
    return (one.mean() - other.mean()).abs() / torch.maximum(_range(one), _range(other))


def _range(losses: Tensor) -> Tensor:
    return losses.max() - losses.min()


LEFT_OF_START: Wrong = {
    "the end from noise is not taken away: what every end has counts as left": lambda e, n, s: left_of_start(e, 0 * n, s),
    "the start's mean is not taken away: a brighter end counts as stripes": (
        lambda e, n, s: ((e - n) * s).sum() / s.square().sum()
    ),
    "it is not divided by the start's own Σ (s − mean)²; all of it left must give 1": (
        lambda e, n, s: ((e - n) * (s - s.mean())).sum()
    ),
    "it divides by the number of pixels; divide by the start's own Σ (s − mean)²": (
        lambda e, n, s: ((e - n) * (s - s.mean())).mean()
    ),
    "the sign is lost: a start that has become its negative gives a negative number": (
        lambda e, n, s: left_of_start(e, n, s).abs()
    ),
    "the difference is the wrong way round; take the end from noise away from the end": (
        lambda e, n, s: left_of_start(n, e, s)
    ),
}
ENERGY_AT: Wrong = {
    "the mean is not taken away; it leaks into every frequency": lambda row, period: _energy(row, 2 * math.pi / period),
    "the cosine alone depends on where the stripes begin; add the square of the sine's sum": (
        lambda row, period: _energy(row - row.mean(), 2 * math.pi / period, sine=0)
    ),
    "the 2π is missing: one period is a full turn": lambda row, period: energy_at(row, period * 2 * math.pi),
    "it turns by 2π · period at each pixel; wanted 2π / period": lambda row, period: energy_at(row, 1 / period),
    "it is not divided by W², so wide pictures have more energy": lambda row, period: energy_at(row, period) * len(row) ** 2,
    "it divides by W; the square of a sum wants W²": lambda row, period: energy_at(row, period) * len(row),
    "it is the root; energy is the sum of the two squares": lambda row, period: energy_at(row, period).sqrt(),
}
UPHILL: Wrong = {
    "it goes downhill; add the step": lambda x, g, n, lr: uphill(x, lambda y: -g(y), n, lr),
    "it leaves [0, 1]; clamp after every step": _unclamped,
    "it clamps at the end alone; on the way the gradient is asked at pictures that are none": (
        lambda x, g, n, lr: _unclamped(x, g, n, lr).clamp(0, 1)
    ),
    "it asks for the gradient once; ask at every new picture": lambda x, g, n, lr: uphill(x, lambda y: g(x), n, lr),
    "it moves by the gradient; by its sign every pixel does all that it can": _by_gradient,
    "it goes one step; go `count` of them": lambda x, g, n, lr: uphill(x, g, 1, lr),
}
APART: Wrong = {
    "it is the difference alone, and depends on the unit; divide by what seeds make": (
        lambda one, other: (one.mean() - other.mean()).abs()
    ),
    "it divides by the mean: that says how large, not whether seeds make as much": (
        lambda one, other: (one.mean() - other.mean()).abs() / other.mean()
    ),
    "it takes the smaller range; the larger is the careful one": (
        lambda one, other: (one.mean() - other.mean()).abs() / torch.minimum(_range(one), _range(other))
    ),
    "both groups are thrown together; then the difference itself is in the range": (
        lambda one, other: (one.mean() - other.mean()).abs() / _range(torch.cat([one, other]))
    ),
    "the sign should not count; which of the two is named first is chance": (
        lambda one, other: (one.mean() - other.mean()) / torch.maximum(_range(one), _range(other))
    ),
}
EXERCISES = (
    Answers(left_of_start, "a measure of one’s own: least squares on a pattern", 3, ENDS, LEFT_OF_START),
    Answers(energy_at, "one value of a spectrum, whatever the phase", 2, ROWS, ENERGY_AT),
    Answers(uphill, "a loop that asks for the gradient anew, and keeps a picture", 2, CLIMBS, UPHILL),
    Answers(apart, "a difference against what chance alone makes", 2, GROUPS, APART),
)
