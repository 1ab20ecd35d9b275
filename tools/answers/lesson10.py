"""Exercises of lesson 10: rows of self-similarity, earth moved along lines, measures between anchors, agreement of people."""

import torch
from torch import Tensor
from torch.nn import functional as F

from answers.making import Answers, Wrong, random

SEEN = [(random(*shape, seed=k),) for k, shape in enumerate([(1, 3, 2, 3), (1, 4, 2, 2), (2, 3, 3, 2)])]
HEAPS = [(random(*shape, seed=k), 2 * random(*shape, seed=k + 9)) for k, shape in enumerate([(1, 6), (3, 5), (4, 4)])]
FOUND = [
    (2 * random(pictures, measures, seed=k), random(measures, seed=k + 5), random(measures, seed=k + 19))
    for k, (pictures, measures) in enumerate([(3, 2), (1, 4), (4, 3)])
]
RANKS = [
    (torch.stack([random(pictures, seed=k + 7 * n).argsort().argsort() + 1.0 for n in range(people)]).double(),)
    for k, (people, pictures) in enumerate([(4, 3), (2, 5), (6, 4), (5, 6)])
]


def self_similarity(features: Tensor) -> Tensor:
    """Lesson 10: logarithms of shares, how like each position is to every position."""
    return _table(F.normalize(features.flatten(2), dim=1))


def _table(points: Tensor, sharpness: float = 10) -> Tensor:
    return (sharpness * points.mT @ points).log_softmax(-1)


def wasserstein(x: Tensor, y: Tensor) -> Tensor:
    """Lesson 10: the mean squared way from each row of x to that of y, as sets."""
    return (x.sort(-1).values - y.sort(-1).values).square().mean(-1)


def anchored(found: Tensor, nothing: Tensor, copy: Tensor) -> Tensor:
    """Lesson 10: measures on the scale from what doing nothing gets (0) to what copying gets (1)."""
    return (found - nothing) / (copy - nothing)


def kendall_w(ranks: Tensor) -> Tensor:
    """Lesson 10: Kendall's W of ranks, people x pictures, without ties."""
    people, pictures = ranks.shape
    return 12 * _deviations(ranks.sum(0)) / (people**2 * (pictures**3 - pictures))


def _deviations(sums: Tensor) -> Tensor:
    return (sums - sums.mean()).square().sum()


SELF_SIMILARITY: Wrong = {
    "it takes the products themselves, in which strong positions win; bring each position to length 1 first": (
        lambda f: _table(f.flatten(2))
    ),
    "each filter is brought to length 1; bring each position to it (dim=1 of N x C x M)": lambda f: _table(
        F.normalize(f.flatten(2), dim=2)
    ),
    "the shares sum to 1 down the columns; a row belongs to one position": lambda f: self_similarity(f).mT,
    "all of the table shares one 1; each row has a 1 of its own": (
        lambda f: self_similarity(f) - self_similarity(f).flatten(1).logsumexp(1)[:, None, None]
    ),
    "it gives the shares; give their logarithms": lambda f: self_similarity(f).exp(),
    "it gives the cosines; the softmax of each row is missing": (
        lambda f: 10 * F.normalize(f.flatten(2), dim=1).mT @ F.normalize(f.flatten(2), dim=1)
    ),
    "the cosines are not multiplied by 10, and the rows are all but flat": (
        lambda f: _table(F.normalize(f.flatten(2), dim=1), 1)
    ),
    "it compares filters, C x C; compare positions, M x M": lambda f: _table(F.normalize(f.flatten(2), dim=1).mT),
}
WASSERSTEIN: Wrong = {
    "the grains are paired as they come; sort both rows first": lambda x, y: (x - y).square().mean(-1),
    "only x is sorted; sort y too": lambda x, y: (x.sort(-1).values - y).square().mean(-1),
    "it sorts across the rows; each row is a line of its own (sort(-1))": (
        lambda x, y: (x.sort(0).values - y.sort(0).values).square().mean(-1)
    ),
    "it adds up the squares; give their mean": lambda x, y: wasserstein(x, y) * x.shape[-1],
    "it takes the way; give its square": lambda x, y: (x.sort(-1).values - y.sort(-1).values).abs().mean(-1),
    "it takes the root at the end; leave the mean of the squares": lambda x, y: wasserstein(x, y).sqrt(),
    "it gives one number for all rows; give one a row": lambda x, y: wasserstein(x, y).mean(),
    "it compares the means of the rows; every grain has a way of its own": lambda x, y: (x.mean(-1) - y.mean(-1)).square(),
}
ANCHORED: Wrong = {
    "0 and 1 are exchanged: doing nothing is 0": lambda x, p, a: (x - a) / (p - a),
    "it is the distance from doing nothing; divide by the way from there to the copy": lambda x, p, a: x - p,
    "it divides by what copying gets; divide by the way from doing nothing to the copy": lambda x, p, a: (x - p) / a,
    "it does not begin at doing nothing; take that away first": lambda x, p, a: x / (a - p),
    "it stops at 0 and 1; a result may lie beyond an anchor": lambda x, p, a: anchored(x, p, a).clamp(0, 1),
    "it loses the side: behind doing nothing is below 0": lambda x, p, a: anchored(x, p, a).abs(),
    "it has the opposite sign": lambda x, p, a: -anchored(x, p, a),
}
KENDALL_W: Wrong = {
    "it adds up each person's ranks, which are the same for all; add up each picture's (sum(0))": (
        lambda r: 12 * _deviations(r.sum(1)) / (len(r) ** 2 * (r.shape[1] ** 3 - r.shape[1]))
    ),
    "it divides by m; divide by m²": lambda r: kendall_w(r) * len(r),
    "it takes the mean of the squared deviations; take their sum": lambda r: kendall_w(r) / r.shape[1],
    "it takes n³; wanted n³ − n": lambda r: kendall_w(r) * (1 - 1 / r.shape[1] ** 2),
    "it takes n² − n; wanted n³ − n": lambda r: kendall_w(r) * (r.shape[1] + 1),
    "people and pictures are exchanged: rows are people": (
        lambda r: 12 * _deviations(r.sum(0)) / (r.shape[1] ** 2 * (len(r) ** 3 - len(r)))
    ),
    "the 12 is missing": lambda r: kendall_w(r) / 12,
    "the mean of the sums is not taken away": (
        lambda r: 12 * r.sum(0).square().sum() / (len(r) ** 2 * (r.shape[1] ** 3 - r.shape[1]))
    ),
}
EXERCISES = (
    Answers(
        self_similarity,
        "a table of all positions with all: which vectors have length 1, along which side shares sum to 1",
        3,
        SEEN,
        SELF_SIMILARITY,
    ),
    Answers(wasserstein, "sets compared instead of sequences, row by row", 2, HEAPS, WASSERSTEIN),
    Answers(anchored, "a scale with two anchors, whichever is the larger", 1, FOUND, ANCHORED),
    Answers(kendall_w, "agreement of people: over which side ranks add up", 2, RANKS, KENDALL_W),
)
