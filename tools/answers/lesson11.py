"""Exercises of lesson 11: weights between Gram normalisations, document A's sum, layers alike, optimisers at equal time."""

import torch
from torch import Tensor

from answers.making import PICTURES, Answers, Wrong, random, total

CONVERTED = [(1e3, 64, 1024), (2.0, 8, 48), (0.5, 512, 64)]  # weight, filters, positions
ERRORS = [(random(count, seed=seed).abs() + 0.1,) for seed, count in enumerate((5, 3, 2, 1))]
RACES = [  # seconds of the steps, their losses (which may rise again), and a time within them
    (torch.arange(1, count + 1) * 0.37, random(count, seed=seed + 3).abs() + 0.5, budget)
    for seed, (count, budget) in enumerate([(9, 2.0), (14, 4.5), (7, 1.6), (11, 3.5)])
]


def convert_weight(weight: float, n: int, m: int) -> float:
    """Lesson 11: the weight for Gram matrices F Fᵀ / (N M) that does what `weight` does for F Fᵀ / M."""
    return weight * n**2


def left_out(x: Tensor) -> Tensor:
    """Lesson 11: what document A's printed sum leaves out of the total variation, one number a picture."""
    return total(x.diff(dim=2)[..., -1:] ** 2) + total(x.diff(dim=3)[..., -1:, :] ** 2)


def _whole(x: Tensor) -> Tensor:
    return total(x.diff(dim=2) ** 2) + total(x.diff(dim=3) ** 2)


def counts_alike(errors: Tensor) -> Tensor:
    """Lesson 11: weights w_l that add to 1 and make all w_l E_l equal."""
    return 1 / errors / (1 / errors).sum()


def best_within(seconds: Tensor, losses: Tensor, budget: float) -> Tensor:
    """Lesson 11: the lowest loss that a run has reached after so many seconds."""
    return losses[seconds <= budget].min()


CONVERT_WEIGHT: Wrong = {
    "the square is forgotten: the error is squared, so N comes in twice": lambda weight, n, m: weight * n,
    "it goes the wrong way: smaller matrices need a larger weight, so multiply by N²": lambda weight, n, m: weight / n**2,
    "it divides by N; multiply by N²": lambda weight, n, m: weight / n,
    "both are divided by M, so it cancels; wanted N² alone": lambda weight, n, m: weight * (n * m) ** 2,
    "it takes M for N: both are divided by M, and one of them by N as well": lambda weight, n, m: weight * m**2,
    "it leaves the weight as it is; the matrices are N times smaller": lambda weight, n, m: weight,
    "the factor 4 belongs to eq. 4, not to these two; wanted N² alone": lambda weight, n, m: 4 * weight * n**2,
}
LEFT_OUT: Wrong = {
    "it is A's sum itself; give what is missing from it": lambda x: _whole(x) - left_out(x),
    "it is the whole total variation; take away what A's sum has": _whole,
    "the last row's pairs are forgotten; A's sums stop before both borders": lambda x: total(x.diff(dim=2)[..., -1:] ** 2),
    "the last column's pairs are forgotten; A's sums stop before both borders": (
        lambda x: total(x.diff(dim=3)[..., -1:, :] ** 2)
    ),
    "it takes the pairs across the border's edge, which A has; take those along the last column and the last row": (
        lambda x: total(x.diff(dim=2)[..., -1:, :] ** 2) + total(x.diff(dim=3)[..., -1:] ** 2)
    ),
    "it has the opposite sign; the whole sum is the larger one": lambda x: -left_out(x),
    "it adds up over the batch; give one number a picture": lambda x: left_out(x).sum(),
}
COUNTS_ALIKE: Wrong = {
    "a layer with a large error gets a large weight; it should get a small one": lambda e: e / e.sum(),
    "the weights do not add to 1; divide by their sum": lambda e: 1 / e,
    "all weights are equal, so that w E is not; divide by E": lambda e: torch.full_like(e, 1 / len(e)),
    "it divides by the root of E; w E is alike with 1/E itself": lambda e: e.rsqrt() / e.rsqrt().sum(),
    "it gives w E; give w alone": lambda e: e * counts_alike(e),
    "the weights add to their number; they should add to 1": lambda e: counts_alike(e) * len(e),
}
BEST_WITHIN: Wrong = {
    "it is the last loss in time; one before it was lower": lambda s, v, b: v[s <= b][-1],
    "it is the lowest loss of the whole run; look at the steps within the time alone": lambda s, v, b: v.min(),
    "it is the highest loss in time; take the lowest": lambda s, v, b: v[s <= b].max(),
    "it is the first loss; take the lowest in time": lambda s, v, b: v[0],
    "it takes the time for a number of steps; compare the seconds with it": lambda s, v, b: v[: int(b)].min(),
    "it is the second at which the loss is lowest; give the loss": lambda s, v, b: s[v[s <= b].argmin()],
}
EXERCISES = (
    Answers(convert_weight, "a weight carried over to another normalisation of the Gram matrix", 2, CONVERTED, CONVERT_WEIGHT),
    Answers(left_out, "a printed sum against the formula it stands for", 2, PICTURES, LEFT_OUT, gradient=True),
    Answers(counts_alike, "weights that make layers count alike", 2, ERRORS, COUNTS_ALIKE),
    Answers(best_within, "a comparison at equal time", 1, RACES, BEST_WITHIN),
)
