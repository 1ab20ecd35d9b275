"""Exercises of lesson 07: guides of energy one, guided Gram matrices, eroded masks, and the gap between soft masks."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import losses
from nstutils.course.check.judging import Exercise, Wrong, random

GUIDES = [  # shades between 0 and 1, none square but one
    (random(1, 1, 4, 6).abs(),),
    (random(1, 1, 5, 5, seed=1).abs() * 0.3,),
    (random(2, 1, 3, 7, seed=2).abs() + 0.1,),
]
MASKS = [  # hard masks that touch the picture's border, and a radius
    ((random(*shape, seed=seed) < 0.75).double(), radius)
    for shape, seed, radius in [((1, 1, 7, 11), 0, 1), ((1, 1, 9, 9), 3, 1), ((2, 1, 12, 10), 4, 2)]
]
SHARES = [  # R x H x W: shares that add up to 1, then some that overlap and some that leave a gap
    (torch.stack([0.5 + 0.5 * random(4, 6), 0.5 - 0.5 * random(4, 6)]),),
    (random(3, 5, 5, seed=1).abs(),),
    (random(2, 3, 7, seed=2).abs().sqrt(),),
]


def unit_guide(guide: Tensor) -> Tensor:
    """Lesson 07: a guide scaled so that the sum of its squares over the positions is 1."""
    return guide / _energy(guide).sqrt()


def _energy(guide: Tensor) -> Tensor:
    return (guide**2).sum((2, 3), keepdim=True)


GUIDED = [  # features after the ReLU, and a guide of energy one
    (random(batch, filters, *size, seed=k).relu(), unit_guide(random(batch, 1, *size, seed=k + 5).abs()))
    for k, (batch, filters, size) in enumerate([(1, 2, (2, 3)), (1, 3, (4, 7)), (2, 4, (5, 3))])
]


def guided_gram(f: Tensor, t: Tensor) -> Tensor:
    """Lesson 07: (T∘F)(T∘F)ᵀ for a guide whose squares add up to 1."""
    return losses.gram(f, t)


def _product(one: Tensor, other: Tensor) -> Tensor:
    return one.flatten(2) @ other.flatten(2).mT


def eroded(mask: Tensor, radius: int) -> Tensor:
    """Lesson 07: the smallest value in the square of 2r + 1 pixels around each pixel; the picture's border is no edge."""
    return -F.max_pool2d(-mask, 2 * radius + 1, 1, radius)  # max_pool2d pads with minus infinity


def _narrow(mask: Tensor, r: int) -> Tensor:
    rimmed = F.pad(mask, (r,) * 4, mode="replicate")
    return -F.max_pool2d(-rimmed, r, 1)[..., : mask.shape[-2], : mask.shape[-1]]


def border_gap(masks: Tensor) -> Tensor:
    """Lesson 07: the mean over the pixels of 1 − Σ T_r², where that is above 0."""
    return _gaps(masks).mean()


def _gaps(masks: Tensor) -> Tensor:
    return (1 - (masks**2).sum(0)).clamp(min=0)


UNIT_GUIDE: Wrong = {
    "the sum is 1, not the sum of squares; divide by the root of ΣT²": lambda t: t / t.sum((2, 3), keepdim=True),
    "it divides by ΣT²; take the root": lambda t: t / _energy(t),
    "it divides by the largest value; divide by the root of ΣT²": lambda t: t / t.amax((2, 3), keepdim=True),
    "it divides by the root of the number of positions, whatever the mask; divide by the root of ΣT²": (
        lambda t: t / t[0, 0].numel() ** 0.5
    ),
    "it divides by the root of the mean of T²; wanted that of the sum": lambda t: unit_guide(t) * t[0, 0].numel() ** 0.5,
    "the sum runs over the batch too; each guide has its own": lambda t: t / _energy(t).sum().sqrt(),
    "it returns T²; scale T itself": lambda t: unit_guide(t) ** 2,
}
GUIDED_GRAM: Wrong = {
    "it divides by the positions as well; with ΣT² = 1 nothing is left to divide by": lambda f, t: losses.gram(t * f),
    "the guide is left out": lambda f, t: losses.gram(f),
    "T meets one factor alone; both are guided, so that a position counts T²": lambda f, t: _product(t * f, f),
    "both factors are multiplied with T²; T alone, on both": lambda f, t: _product(t**2 * f, t**2 * f),
    "the guide comes after the sum over positions, where there are none left; multiply F first": (
        lambda f, t: losses.gram(f) * t.sum((2, 3))[..., None]
    ),
    "it adds up over the batch; keep one matrix a picture": lambda f, t: guided_gram(f, t).sum(0),
    "it multiplies positions with positions (Fᵀ F, M × M); wanted filters with filters": (
        lambda f, t: (t * f).flatten(2).mT @ (t * f).flatten(2)
    ),
}
ERODED: Wrong = {
    "it grows the region; erosion takes the smallest value around a pixel": lambda m, r: F.max_pool2d(m, 2 * r + 1, 1, r),
    "it averages, which makes the mask soft; take the smallest value": (
        lambda m, r: F.avg_pool2d(m, 2 * r + 1, 1, r, count_include_pad=False)
    ),
    "the picture's border counts as outside; only pixels of the picture do": (
        lambda m, r: -F.max_pool2d(-F.pad(m, (r,) * 4), 2 * r + 1, 1)
    ),
    "the square is r pixels wide; it reaches r pixels each way, so it is 2r + 1 wide": _narrow,
    "the result is smaller than the mask; the squares at the border are cut, not left out": (
        lambda m, r: -F.max_pool2d(-m, 2 * r + 1, 1)
    ),
    "it looks up and down only; look left and right too": lambda m, r: -F.max_pool2d(-m, (2 * r + 1, 1), 1, (r, 0)),
    "it looks left and right only; look up and down too": lambda m, r: -F.max_pool2d(-m, (1, 2 * r + 1), 1, (0, r)),
    "it erodes what lies outside the region": lambda m, r: eroded(1 - m, r),
}
BORDER_GAP: Wrong = {
    "it adds up T; a Gram matrix takes T twice, so add up T²": lambda m: (1 - m.sum(0)).clamp(min=0).mean(),
    "it squares the sum; square each mask, then add up": lambda m: (1 - m.sum(0).square()).clamp(min=0).mean(),
    "an overlap cancels a gap elsewhere; cut each pixel at 0 before the mean": lambda m: (1 - (m**2).sum(0)).mean(),
    "it takes the largest gap; wanted the mean over the pixels": lambda m: _gaps(m).max(),
    "it adds up over the pixels; wanted their mean": lambda m: _gaps(m).sum(),
    "it counts pixels; wanted how much they lack": lambda m: (_gaps(m) > 0).double().mean(),
    "the root of ΣT² is not asked for": lambda m: (1 - m.square().sum(0).sqrt()).clamp(min=0).mean(),
    "it tells what is there; wanted what is missing, 1 − ΣT²": lambda m: 1 - border_gap(m),
}
EXERCISES = (
    Exercise(unit_guide, GUIDES, UNIT_GUIDE),
    Exercise(guided_gram, GUIDED, GUIDED_GRAM, gradient=True),
    Exercise(eroded, MASKS, ERODED),
    Exercise(border_gap, SHARES, BORDER_GAP),
)
