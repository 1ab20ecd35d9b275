"""Checks of lesson 06: start pictures, and how alike their ends are."""

import math

import torch
from torch import Tensor

from nstutils import images
from nstutils.course.check.judging import Answer, judge, random
from nstutils.course.check.lesson00 import TWO

BARS = [(4, 12, 4), (8, 20, 8), (9, 10, 2)]
ROWS = [(random(n, seed=n) + 0.5, period) for n, period in ((16, 4), (30, 8), (45, 16))]
LOSSES = [(random(n, seed=n).abs() + 1,) for n in (4, 5, 9)]
BLENDS = [(*two, share) for two, share in zip(TWO, (0.25, 0.8), strict=True)] + [(*TWO[0], 1.0)]


def stripes(answer: Answer) -> None:
    """Lesson 06: black vertical stripes on white, 1 x 3 x height x width, the first of them at the left edge."""
    judge("stripes", answer, _stripes, BARS, WRONG["stripes"])


def _stripes(height: int, width: int, period: int) -> Tensor:
    return images.stripes((height, width), period)


def energy_at(answer: Answer) -> None:
    """Lesson 06: energy of a row of brightness at one frequency, (Σ v cos)² + (Σ v sin)² over W², the mean taken away."""
    judge("energy_at", answer, _energy_at, ROWS, WRONG["energy_at"])


def _energy_at(row: Tensor, period: float, full: float = 2 * math.pi, mean: bool = True) -> Tensor:
    real, imaginary = _waves(row - row.mean() if mean else row, full / period)
    return (real.square() + imaginary.square()) / len(row) ** 2


def _waves(v: Tensor, step: float) -> tuple[Tensor, Tensor]:
    angle = step * torch.arange(len(v), dtype=v.dtype)
    return v @ angle.cos(), v @ angle.sin()


def spread(answer: Answer) -> None:
    """Lesson 06: (largest - smallest) / mean of some losses."""
    judge("spread", answer, _spread, LOSSES, WRONG["spread"])


def _spread(values: Tensor) -> Tensor:
    return (values.max() - values.min()) / values.mean()


def blend_start(answer: Answer) -> None:
    """Lesson 06: a start picture between photograph and noise; `share` of it is noise."""
    judge("blend_start", answer, _blend_start, BLENDS, WRONG["blend_start"])


def _blend_start(p: Tensor, noise: Tensor, share: float) -> Tensor:
    return (1 - share) * p + share * noise


WRONG: dict[str, dict[str, Answer]] = {
    "stripes": {
        "the stripes lie; let the brightness change along the width": lambda height, width, period: _stripes(
            width, height, period
        ).mT.contiguous(),
        "height and width are exchanged; a picture is 1 × 3 × height × width": lambda height, width, period: _stripes(
            width, height, period
        ),
        "black and white are exchanged; the first half of each period is black (0)": lambda height, width, period: (
            1 - _stripes(height, width, period)
        ),
        "a period is one black and one white stripe together; yours is twice as long": lambda height, width, period: _stripes(
            height, width, 2 * period
        ),
        "it has one channel; a picture has three": lambda height, width, period: _stripes(height, width, period)[:, :1],
        "the batch dimension is missing; wanted 1 × 3 × height × width": lambda height, width, period: _stripes(
            height, width, period
        )[0],
    },
    "energy_at": {
        "the mean is not taken away; it leaks into every frequency": lambda row, period: _energy_at(row, period, mean=False),
        "the cosine alone depends on where the stripes begin; add the square of the sine's sum": lambda row, period: (
            _waves(row - row.mean(), 2 * math.pi / period)[0].square() / len(row) ** 2
        ),
        "the 2π is missing: one period is a full turn": lambda row, period: _energy_at(row, period, 1),
        "it turns by 2π · period at each pixel; wanted 2π / period": lambda row, period: _energy_at(row, 1 / period),
        "it is not divided by W², so wide pictures have more energy": lambda row, period: (
            _energy_at(row, period) * len(row) ** 2
        ),
        "it divides by W; the square of a sum wants W²": lambda row, period: _energy_at(row, period) * len(row),
        "it is the root; energy is the sum of the two squares": lambda row, period: _energy_at(row, period).sqrt(),
    },
    "spread": {
        "it is not divided by the mean, so it depends on the unit": lambda values: values.max() - values.min(),
        "it is the standard deviation over the mean; wanted largest minus smallest": lambda values: (
            values.std() / values.mean()
        ),
        "it divides by the smallest; wanted the mean": lambda values: (values.max() - values.min()) / values.min(),
        "it divides by the largest; wanted the mean": lambda values: (values.max() - values.min()) / values.max(),
        "it is last minus first; sort them, or take max and min": lambda values: (values[-1] - values[0]) / values.mean(),
        "it is the largest over the mean; take the smallest away first": lambda values: values.max() / values.mean(),
    },
    "blend_start": {
        "the shares are exchanged: `share` belongs to the noise": lambda p, noise, share: share * p + (1 - share) * noise,
        "the photograph keeps its full weight, so values leave [0, 1]; weigh it with 1 − share": lambda p, noise, share: (
            p + share * noise
        ),
        "clamping hides that the photograph keeps its full weight; weigh it with 1 − share": lambda p, noise, share: (
            p + share * noise
        ).clamp(0, 1),
        "it is the plain mean whatever the share": lambda p, noise, share: (p + noise) / 2,
        "it scatters noise around the photograph; wanted a mean of the two pictures": lambda p, noise, share: (
            p + share * (noise - 0.5)
        ),
    },
}
