"""Exercises of lesson 06: start pictures, and how alike their ends are."""

import math

import torch
from torch import Tensor

from nstutils import images
from nstutils.course.check.judging import Exercise, Wrong, random
from nstutils.course.check.lesson00 import TWO

BARS = [(4, 12, 4), (8, 20, 8), (9, 10, 2)]
ROWS = [(random(n, seed=n) + 0.5, period) for n, period in ((16, 4), (30, 8), (45, 16))]
LOSSES = [(random(n, seed=n).abs() + 1,) for n in (4, 5, 9)]
BLENDS = [(*TWO[0], 0.25), (*TWO[1], 0.8), (*TWO[0], 1.0)]


def stripes(height: int, width: int, period: int) -> Tensor:
    """Lesson 06: black vertical stripes on white, 1 x 3 x height x width, the first of them at the left edge."""
    return images.stripes((height, width), period)


def energy_at(row: Tensor, period: float) -> Tensor:
    """Lesson 06: energy of a row of brightness at one frequency, (Σ v cos)² + (Σ v sin)² over W², the mean taken away."""
    return _energy(row - row.mean(), 2 * math.pi / period)


def _energy(v: Tensor, step: float, sine: float = 1.0) -> Tensor:
    angle = step * torch.arange(len(v), dtype=v.dtype)
    return ((v @ angle.cos()) ** 2 + sine * (v @ angle.sin()) ** 2) / len(v) ** 2


def spread(values: Tensor) -> Tensor:
    """Lesson 06: (largest - smallest) / mean of some losses."""
    return (values.max() - values.min()) / values.mean()


def blend_start(p: Tensor, noise: Tensor, share: float) -> Tensor:
    """Lesson 06: a start picture between photograph and noise; `share` of it is noise."""
    return (1 - share) * p + share * noise


STRIPES: Wrong = {
    "the stripes lie; let the brightness change along the width": lambda h, w, t: stripes(w, h, t).mT.contiguous(),
    "height and width are exchanged; a picture is 1 × 3 × height × width": lambda h, w, t: stripes(w, h, t),
    "black and white are exchanged; the first half of each period is black (0)": lambda h, w, t: 1 - stripes(h, w, t),
    "a period is one black and one white stripe together; yours is twice as long": lambda h, w, t: stripes(h, w, 2 * t),
    "it has one channel; a picture has three": lambda h, w, t: stripes(h, w, t)[:, :1],
    "the batch dimension is missing; wanted 1 × 3 × height × width": lambda h, w, t: stripes(h, w, t)[0],
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
SPREAD: Wrong = {
    "it is not divided by the mean, so it depends on the unit": lambda values: values.max() - values.min(),
    "it is the standard deviation over the mean; wanted largest minus smallest": lambda values: values.std() / values.mean(),
    "it divides by the smallest; wanted the mean": lambda values: (values.max() - values.min()) / values.min(),
    "it divides by the largest; wanted the mean": lambda values: (values.max() - values.min()) / values.max(),
    "it is last minus first; sort them, or take max and min": lambda values: (values[-1] - values[0]) / values.mean(),
    "it is the largest over the mean; take the smallest away first": lambda values: values.max() / values.mean(),
}
BLEND_START: Wrong = {
    "the shares are exchanged: `share` belongs to the noise": lambda p, noise, share: blend_start(noise, p, share),
    "the photograph keeps its full weight, so values leave [0, 1]; weigh it with 1 − share": lambda p, noise, s: p + s * noise,
    "clamping hides that the photograph keeps its full weight; weigh it with 1 − share": (
        lambda p, noise, share: (p + share * noise).clamp(0, 1)
    ),
    "it is the plain mean whatever the share": lambda p, noise, share: (p + noise) / 2,
    "it scatters noise around the photograph; wanted a mean of the two pictures": lambda p, noise, s: p + s * (noise - 0.5),
}
EXERCISES = (
    Exercise(stripes, BARS, STRIPES),
    Exercise(energy_at, ROWS, ENERGY_AT),
    Exercise(spread, LOSSES, SPREAD),
    Exercise(blend_start, BLENDS, BLEND_START),
)
