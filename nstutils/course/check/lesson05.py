"""Exercises of lesson 05: ratios, ranks and curves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nstutils.course.check.judging import Answer, Exercise, Wrong, by_values, random

RATIOS = [((0.1, 1.0), 2.0), ((1e-5, 1e-4, 1e-3, 1e-2), 1e3), ((0.5, 2.0, 8.0), 4.0)]
ERRORS = [(random(count, seed=k).abs() + 0.1, content) for k, (count, content) in enumerate([(5, 2.0), (5, 5.0), (2, 0.5)])]
RANKED = [(random(n, seed=n), random(n, seed=n + 50) + shift * random(n, seed=n)) for n, shift in ((4, 2), (7, -3), (20, 0.5))]
POINTS = [  # some of them alike in one loss
    (torch.tensor([[1.0, 5.0], [2.0, 3.0], [3.0, 3.0], [4.0, 1.0], [5.0, 4.0], [1.0, 6.0]]),),
    (torch.tensor([[2.0, 2.0], [2.0, 2.0], [3.0, 4.0], [4.0, 2.0]]),),
    (random(12, 2, seed=3),),
]


def ratio_settings(ratios: Sequence[float], beta: float) -> list[dict[str, float]]:
    """Lesson 05: a dict of settings for each α/β, with the same beta."""
    return [{"alpha": ratio * beta, "beta": beta} for ratio in ratios]


def _fault_of_settings(exercise: Exercise, answer: Answer) -> str:
    """What is wrong with the form of the settings, else with their values."""
    for given in exercise.inputs:
        found = answer(*given)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            return f"it returns {type(found).__name__}; wanted a list of dicts, one for each ratio"
        if any(set(item) != {"alpha", "beta"} for item in found):
            return "each dict needs the keys 'alpha' and 'beta', and no others"
    return by_values(exercise, answer)


def _shared(ratios: Sequence[float], beta: float) -> list[dict[str, float]]:
    return [ratio_settings(ratios, beta)[-1]] * len(ratios)


def kappa(errors: Tensor, content: float) -> Tensor:
    """Lesson 05: 10³ · (mean of the E_l of x = p) / (content loss of x = a)."""
    return 1e3 * errors.mean() / content


def spearman(x: Tensor, y: Tensor) -> Tensor:
    """Lesson 05: the correlation of ranks, for values that all differ."""
    return _pearson(_ranks(x), _ranks(y))


def _ranks(x: Tensor) -> Tensor:
    return x.argsort().argsort().double()


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    return torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1]


def _apart(x: Tensor, y: Tensor) -> Tensor:
    return (_ranks(x) - _ranks(y)).square().sum()


def pareto(points: Tensor) -> Tensor:
    """Lesson 05: which of n x 2 losses are on the curve: no other point is as low in both and lower in one."""
    low, lower = _compared(points)
    return ~(low.all(-1) & lower.any(-1)).any(1)


def _compared(points: Tensor) -> tuple[Tensor, Tensor]:
    """[i, j, loss]: whether point j is at most point i, and whether it is lower."""
    return points[None] <= points[:, None], points[None] < points[:, None]


RATIO_SETTINGS: Wrong = {
    "it gives β/α: alpha is ratio · beta, not beta / ratio": lambda rs, b: ratio_settings([1 / r for r in rs], b),
    "alpha is the ratio itself, so α/β is beta times too small; take ratio · beta": (
        lambda rs, b: [{"alpha": r, "beta": b} for r in rs]
    ),
    "all runs share one dict, so all have the last ratio; make a new dict for each": _shared,
    "it changes beta; keep the beta that is given, and choose alpha": lambda rs, _: [{"alpha": 1.0, "beta": 1 / r} for r in rs],
    "it changes both weights; keep the beta that is given, and choose alpha": (
        lambda rs, b: [{"alpha": r * b, "beta": b / r} for r in rs]
    ),
}
KAPPA: Wrong = {
    "it is upside down: the style is above, the content below": lambda e, c: c / e.mean() / 1e3,
    "the factor 10³ is missing": lambda e, c: e.mean() / c,
    "it divides by 10³; multiply": lambda e, c: e.mean() / c / 1e3,
    "it adds up the E_l; with w_l = 1/(number of layers) the style loss is their mean": lambda e, c: 1e3 * e.sum() / c,
    "it takes the largest E_l; wanted their mean": lambda e, c: 1e3 * e.max() / c,
    "it multiplies the two losses; divide": lambda e, c: 1e3 * e.mean() * c,
}
SPEARMAN: Wrong = {
    "it correlates the values; correlate their ranks": _pearson,
    "one argsort gives places, not ranks; take argsort of it once more": lambda x, y: _pearson(x.argsort(), y.argsort()),
    "only x is turned into ranks; do it with y too": lambda x, y: _pearson(_ranks(x), y),
    "one of the two is ranked from above, so the sign is wrong; rank both from below": lambda x, y: -spearman(x, y),
    "the sign is lost; a falling relation has −1": lambda x, y: spearman(x, y).abs(),
    "it divides by n³; wanted n (n² − 1)": lambda x, y: 1 - 6 * _apart(x, y) / len(x) ** 3,
    "the factor 6 is missing": lambda x, y: 1 - _apart(x, y) / (len(x) * (len(x) ** 2 - 1)),
}
PARETO: Wrong = {
    "it looks at the content loss alone; a point counts by both": lambda x: x[:, 0] == x[:, 0].min(),
    "it looks at the style loss alone; a point counts by both": lambda x: x[:, 1] == x[:, 1].min(),
    "it looks for large losses; here low is good": lambda x: pareto(-x),
    "it marks the beaten points; wanted the others": lambda x: ~pareto(x),
    "a point counts as beaten here when another is lower in one loss; the other must be at least as low in both": (
        lambda x: ~_compared(x)[1].any(-1).any(1)
    ),
    "a point with the same content loss and a lower style loss beats too; ask for lower in one, not in both": (
        lambda x: ~_compared(x)[1].all(-1).any(1)
    ),
    "every point is as low as itself, so all are beaten; ask for lower in at least one": lambda x: x[:, 0] < -torch.inf,
}
EXERCISES = (
    Exercise(ratio_settings, RATIOS, RATIO_SETTINGS, fault=_fault_of_settings),
    Exercise(kappa, ERRORS, KAPPA),
    Exercise(spearman, RANKED, SPEARMAN),
    Exercise(pareto, POINTS, PARETO),
)
