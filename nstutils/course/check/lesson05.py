"""Checks of lesson 05: ratios, ranks and curves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nstutils.course.check.judging import Answer, CheckFailed, alike, demand_function, judge, random, tried

RATIOS = [((1e-5, 1e-4, 1e-3, 1e-2), 1e3), ((0.1, 1.0), 2.0), ((0.5, 2.0, 8.0), 4.0)]
ERRORS = [(random(5, seed=k).abs() + 0.1, 2.0 + 3 * k) for k in range(2)] + [(random(2, seed=2).abs() + 0.1, 0.5)]
RANKED = [(random(n, seed=n), random(n, seed=n + 50) + shift * random(n, seed=n)) for n, shift in ((4, 2), (7, -3), (20, 0.5))]
POINTS = [  # some of them alike in one loss
    (torch.tensor([[1.0, 5.0], [2.0, 3.0], [3.0, 3.0], [4.0, 1.0], [5.0, 4.0], [1.0, 6.0]]),),
    (torch.tensor([[2.0, 2.0], [2.0, 2.0], [3.0, 4.0], [4.0, 2.0]]),),
    (random(12, 2, seed=3),),
]


def ratio_settings(answer: Answer) -> None:
    """Lesson 05: a dict of settings for each α/β, with the same beta."""
    name = "ratio_settings"
    demand_function(name, answer)
    found = [tried(name, answer, given) for given in RATIOS]
    wanted = [_weights(_ratio_settings(*given)) for given in RATIOS]
    if any(not isinstance(one, list) or not all(isinstance(item, dict) for item in one) for one in found):
        raise CheckFailed(f"{name}: it returns {type(found[0]).__name__}; wanted a list of dicts, one for each ratio")
    if any(set(item) != {"alpha", "beta"} for one in found for item in one):
        raise CheckFailed(f"{name}: each dict needs the keys 'alpha' and 'beta', and no others")
    if any(not alike(_weights(one), right) for one, right in zip(found, wanted, strict=True)):
        for sentence, wrong in WRONG[name].items():
            if all(alike(_weights(one), _weights(wrong(*given))) for one, given in zip(found, RATIOS, strict=True)):
                raise CheckFailed(f"{name}: {sentence}")
        first = f"for {RATIOS[1]} it returns {found[1]}, wanted {_ratio_settings(*RATIOS[1])}"
        raise CheckFailed(f"{name}: {first}; check alpha / beta of each by hand")
    print(f"{name}: right, on {len(RATIOS)} inputs")


def _ratio_settings(ratios: Sequence[float], beta: float) -> list[dict[str, float]]:
    return [{"alpha": ratio * beta, "beta": beta} for ratio in ratios]


def _weights(settings: list[dict[str, float]]) -> Tensor:
    """alpha and beta of each of the settings, n x 2."""
    return torch.tensor([[item["alpha"], item["beta"]] for item in settings])


def _shared(ratios: Sequence[float], beta: float) -> list[dict[str, float]]:
    one, together = {"beta": beta}, []
    for ratio in ratios:
        one["alpha"] = ratio * beta
        together.append(one)
    return together


def kappa(answer: Answer) -> None:
    """Lesson 05: 10³ · (mean of the E_l of x = p) / (content loss of x = a)."""
    judge("kappa", answer, _kappa, ERRORS, WRONG["kappa"])


def _kappa(errors: Tensor, content: float) -> Tensor:
    return 1e3 * errors.mean() / content


def spearman(answer: Answer) -> None:
    """Lesson 05: the correlation of ranks, for values that all differ."""
    judge("spearman", answer, _spearman, RANKED, WRONG["spearman"])


def _spearman(x: Tensor, y: Tensor) -> Tensor:
    return _pearson(_ranks(x), _ranks(y))


def _ranks(x: Tensor) -> Tensor:
    return x.argsort().argsort().double()


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    x, y = x - x.mean(), y - y.mean()
    return x @ y / (x.norm() * y.norm())


def _apart(x: Tensor, y: Tensor) -> Tensor:
    return (_ranks(x) - _ranks(y)).square().sum()


def pareto(answer: Answer) -> None:
    """Lesson 05: which of n x 2 losses are on the curve: no other point is as low in both and lower in one."""
    judge("pareto", answer, _pareto, POINTS, WRONG["pareto"])


def _pareto(points: Tensor) -> Tensor:
    low, lower = _compared(points)
    return ~(low.all(-1) & lower.any(-1)).any(1)


def _compared(points: Tensor) -> tuple[Tensor, Tensor]:
    """[i, j, loss]: whether point j is at most point i, and whether it is lower."""
    return points[None] <= points[:, None], points[None] < points[:, None]


WRONG: dict[str, dict[str, Answer]] = {
    "ratio_settings": {
        "it gives β/α: alpha is ratio · beta, not beta / ratio": lambda ratios, beta: [
            {"alpha": beta / ratio, "beta": beta} for ratio in ratios
        ],
        "alpha is the ratio itself, so α/β is beta times too small; take ratio · beta": lambda ratios, beta: [
            {"alpha": ratio, "beta": beta} for ratio in ratios
        ],
        "all runs share one dict, so all have the last ratio; make a new dict for each": _shared,
        "it changes beta; keep the beta that is given, and choose alpha": lambda ratios, beta: [
            {"alpha": 1.0, "beta": 1 / ratio} for ratio in ratios
        ],
        "it changes both weights; keep the beta that is given, and choose alpha": lambda ratios, beta: [
            {"alpha": ratio * beta, "beta": beta / ratio} for ratio in ratios
        ],
    },
    "kappa": {
        "it is upside down: the style is above, the content below": lambda errors, content: content / errors.mean() / 1e3,
        "the factor 10³ is missing": lambda errors, content: errors.mean() / content,
        "it divides by 10³; multiply": lambda errors, content: errors.mean() / content / 1e3,
        "it adds up the E_l; with w_l = 1/(number of layers) the style loss is their mean": lambda errors, content: (
            1e3 * errors.sum() / content
        ),
        "it takes the largest E_l; wanted their mean": lambda errors, content: 1e3 * errors.max() / content,
        "it multiplies the two losses; divide": lambda errors, content: 1e3 * errors.mean() * content,
    },
    "spearman": {
        "it correlates the values; correlate their ranks": _pearson,
        "one argsort gives places, not ranks; take argsort of it once more": lambda x, y: _pearson(
            x.argsort().double(), y.argsort().double()
        ),
        "only x is turned into ranks; do it with y too": lambda x, y: _pearson(_ranks(x), y),
        "one of the two is ranked from above, so the sign is wrong; rank both from below": lambda x, y: -_spearman(x, y),
        "the sign is lost; a falling relation has −1": lambda x, y: _spearman(x, y).abs(),
        "it divides by n³; wanted n (n² − 1)": lambda x, y: 1 - 6 * _apart(x, y) / len(x) ** 3,
        "the factor 6 is missing": lambda x, y: 1 - _apart(x, y) / (len(x) * (len(x) ** 2 - 1)),
    },
    "pareto": {
        "it looks at the content loss alone; a point counts by both": lambda points: points[:, 0] == points[:, 0].min(),
        "it looks at the style loss alone; a point counts by both": lambda points: points[:, 1] == points[:, 1].min(),
        "it looks for large losses; here low is good": lambda points: _pareto(-points),
        "it marks the beaten points; wanted the others": lambda points: ~_pareto(points),
        "a point counts as beaten here when another is lower in one loss; the other must be at least as low in both": (
            lambda points: ~_compared(points)[1].any(-1).any(1)
        ),
        "a point with the same content loss and a lower style loss beats too; ask for lower in one, not in both": (
            lambda points: ~_compared(points)[1].all(-1).any(1)
        ),
        "every point is as low as itself, so all are beaten; ask for lower in at least one": lambda points: (
            ~_compared(points)[0].all(-1).any(1)
        ),
    },
}
