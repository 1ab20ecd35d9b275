"""Exercises of lesson 07: guides of energy one, guided Gram matrices and losses, and the gap between soft masks."""

import torch
from torch import Tensor

from answers.making import Answers, Wrong, random
from nstutils import losses

GUIDES = [  # shades between 0 and 1, none square but one
    (random(1, 1, 4, 6).abs(),),
    (random(1, 1, 5, 5, seed=1).abs() * 0.3,),
    (random(2, 1, 3, 7, seed=2).abs() + 0.1,),
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


REGIONS = [  # features after the ReLU, a guide of energy one for each region, and what its Gram matrix is to be
    (f, t, torch.stack([random(f.shape[1], f.shape[1], seed=k + r) for r in range(len(t))]))
    for k, f, t in [
        (20, GUIDED[0][0], unit_guide(random(2, 1, 2, 3, seed=8).abs())),
        (30, GUIDED[1][0], unit_guide(random(3, 1, 4, 7, seed=9).abs())),
        (40, GUIDED[2][0], unit_guide(random(2, 1, 5, 3, seed=7).abs())),
    ]
]


def guided_loss(f: Tensor, t: Tensor, a: Tensor) -> Tensor:
    """Lesson 07: the style loss of one layer over the regions, 1/R Σ_r 1/(4 N²) Σ (G_r − A_r)², one number a picture."""
    return torch.stack([_of_region(f, *one) for one in zip(t, a, strict=True)]).mean(0)


def _of_region(f: Tensor, t: Tensor, a: Tensor) -> Tensor:
    return losses.StyleLoss({"layer": a[None]}, (1.0,), {"layer": t[None]})(f, {"layer": f})


def border_gap(masks: Tensor) -> Tensor:
    """Lesson 07: the mean over the pixels of 1 − Σ T_r², where that is above 0."""
    return _gaps(masks).mean()


def _gaps(masks: Tensor) -> Tensor:
    return (1 - (masks**2).sum(0)).clamp(min=0)


def _squares(f: Tensor, difference: Tensor) -> Tensor:
    return difference.square().sum((1, 2)) / (4 * f.shape[1] ** 2)


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
GUIDED_LOSS: Wrong = {
    "the regions are added up; each has the share 1/R": lambda f, t, a: len(a) * guided_loss(f, t, a),
    "every region is compared with the first target; region r has A_r": (lambda f, t, a: guided_loss(f, t, a[:1].expand_as(a))),
    "every region has the guide of the first; region r has T_r": lambda f, t, a: guided_loss(f, t[:1].expand_as(t), a),
    "the guides are added up before the Gram matrix; each region has a Gram matrix of its own": (
        lambda f, t, a: guided_loss(f, t.sum(0, keepdim=True).expand_as(t), a)
    ),
    "the guides are left out": lambda f, t, a: torch.stack([_squares(f, losses.gram(f) - one) for one in a]).mean(0),
    "1/(4 N²) is missing": lambda f, t, a: guided_loss(f, t, a) * 4 * f.shape[1] ** 2,
    "it takes 1/(4 N); square N": lambda f, t, a: guided_loss(f, t, a) * f.shape[1],
    "it adds up over the batch; keep one number a picture": lambda f, t, a: guided_loss(f, t, a).sum(),
    "the mean of G_r is compared with the mean of A_r; compare region by region, then take the mean": (
        lambda f, t, a: _squares(f, torch.stack([guided_gram(f, one[None]) for one in t]).mean(0) - a.mean(0))
    ),
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
    Answers(unit_guide, "a scale that makes styles independent of a region’s area", 1, GUIDES, UNIT_GUIDE),
    Answers(
        guided_gram,
        "eq. 3 of a region: the guide on both factors, nothing left to divide by",
        2,
        GUIDED,
        GUIDED_GRAM,
        gradient=True,
    ),
    Answers(guided_loss, "a loss over regions, each with its own guide and target", 3, REGIONS, GUIDED_LOSS, gradient=True),
    Answers(border_gap, "what soft masks lack at a border, pixel by pixel", 2, SHARES, BORDER_GAP),
)
