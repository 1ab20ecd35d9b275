"""Exercises of lesson 05: units, minima, where to look next, and a plan of runs."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from answers.making import Answers, Wrong, random

Plan = list[dict[str, float]]
UNITS = [
    (random(count, seed=k).abs() + 0.1, content, beta, times)
    for k, (count, content, beta, times) in enumerate([(5, 2.0, 4.0, 0.5), (3, 500.0, 1e3, 2.0), (1, 0.5, 2.0, 10.0)])
]
POINTS = [  # content and style loss by ratio; some runs have not come to their end
    (torch.tensor([0.5, 1.0, 2.0]), torch.tensor([[6.0, 1.0], [3.0, 5.0], [1.0, 4.0]])),
    (torch.tensor([0.5, 2.0]), torch.tensor([[50.0, 1.0], [1.0, 4.0]])),
    (torch.tensor([0.1, 1.0, 10.0]), torch.tensor([[4.0, 1.0], [2.0, 2.0], [1.0, 5.0]])),
    (torch.tensor([0.1, 0.3, 1.0, 3.0]), torch.tensor([[9.0, 2.0], [7.0, 2.1], [1.0, 2.2], [2.0, 2.0]])),
]
CURVES = [
    (torch.tensor([1e-5, 1e-4, 1e-3, 1e-2]), torch.tensor([[900.0, 1.0], [300.0, 1.5], [200.0, 3.0], [90.0, 30.0]])),
    (torch.tensor([1e-4, 1e-3, 1e-2]), torch.tensor([[80.0, 2.0], [10.0, 2.5], [4.0, 4.0]])),
    (torch.tensor([1.0, 2.0, 8.0, 10.0]), torch.tensor([[9.0, 1.0], [8.0, 9.0], [4.0, 11.0], [3.0, 13.0]])),
]
PLANS = [
    ({"alpha": 1.0, "seed": 0.0}, {"alpha": [0.5, 1.0, 2.0], "seed": [0.0, 1.0]}),
    ({"alpha": 2.0, "beta": 5.0, "tv": 0.0}, {"beta": [5.0, 7.0], "tv": [1.0, 0.0, 3.0]}),
    ({"size": 64.0, "steps": 10.0}, {"steps": [20.0]}),
]


def raw_alpha(errors: Tensor, content: float, beta: float, times: float) -> Tensor:
    """Lesson 05: the α with which all of the content weighs `times` all of the style, whose weight is beta."""
    return times * beta * errors.mean() / content


def unfinished(ratios: Tensor, points: Tensor) -> Tensor:
    """Lesson 05: which runs have a higher total, at their own α/β, than another run's picture has there."""
    judged = _judged(ratios, points)
    return (judged < judged.diagonal()[:, None]).any(1)


def _judged(ratios: Tensor, points: Tensor) -> Tensor:
    """[i, j]: the total of picture j by the weights of run i."""
    return ratios[:, None] * points[:, 0] + points[:, 1]


def next_ratio(ratios: Tensor, points: Tensor) -> Tensor:
    """Lesson 05: the α/β in the middle of the widest gap of the curve, both seen on logarithmic axes."""
    return _middle(ratios, points.log().diff(dim=0).norm(dim=1))


def _middle(ratios: Tensor, gaps: Tensor) -> Tensor:
    widest = gaps.argmax()
    return (ratios[widest] * ratios[widest + 1]).sqrt()


def _halfway(ratios: Tensor, points: Tensor) -> Tensor:
    widest = points.log().diff(dim=0).norm(dim=1).argmax()
    return (ratios[widest] + ratios[widest + 1]) / 2


def one_at_a_time(base: Mapping[str, float], choices: Mapping[str, Sequence[float]]) -> Plan:
    """Lesson 05: the settings `base`, then those that differ from it in one of the choices, each once."""
    changed = [dict(base) | {name: value} for name, values in choices.items() for value in values if value != base[name]]
    return [dict(base), *changed]


def _product(base: Mapping[str, float], choices: Mapping[str, Sequence[float]]) -> Plan:
    return [dict(base) | dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def _repeated(base: Mapping[str, float], choices: Mapping[str, Sequence[float]]) -> Plan:
    return [dict(base), *(dict(base) | {name: value} for name, values in choices.items() for value in values)]


def _piled(base: Mapping[str, float], choices: Mapping[str, Sequence[float]]) -> Plan:
    found = [dict(base)]
    for change in one_at_a_time(base, choices)[1:]:
        found.append(found[-1] | {name: value for name, value in change.items() if value != base[name]})
    return found


RAW_ALPHA: Wrong = {
    "it is upside down: the style's loss is above, the content's below": lambda e, c, b, t: t * b * c / e.mean(),
    "beta is missing: the style weighs beta times its loss": lambda e, c, b, t: t * e.mean() / c,
    "it does not ask for `times`; all content would weigh as much as all style": lambda e, c, b, t: b * e.mean() / c,
    "it divides by `times`; more times the content wants a larger alpha": lambda e, c, b, t: b * e.mean() / c / t,
    "it adds up the E_l; with w_l = 1/(number of layers) the style loss is their mean": lambda e, c, b, t: t * b * e.sum() / c,
    "the factor 10³ belongs to κ, not to alpha; leave it out": lambda e, c, b, t: 1e3 * t * b * e.mean() / c,
}
UNFINISHED: Wrong = {
    "it compares totals of different weights; judge all pictures by the ratio of the one run": (
        lambda r, x: (r * x[:, 0] + x[:, 1]) > (r * x[:, 0] + x[:, 1]).min()
    ),
    "it judges one picture by all ratios; judge all pictures by one ratio": (
        lambda r, x: (_judged(r, x) < _judged(r, x).diagonal()).any(0)
    ),
    "it marks the runs that are done; wanted the others": lambda r, x: ~unfinished(r, x),
    "every run is as low as itself, so all are marked; ask for lower": lambda r, x: r > -1,
    "the ratio stands at the style; it weighs the content": lambda r, x: unfinished(r, x.flip(1)),
    "lower in both losses is too much to ask; the total decides": (lambda r, x: (x[None] < x[:, None]).all(-1).any(1)),
}
NEXT_RATIO: Wrong = {
    "the ratios run in powers of ten; take the root of their product, not half of their sum": _halfway,
    "it looks at the losses as they are; on logarithmic axes the gap is one of their logarithms": (
        lambda r, x: _middle(r, x.diff(dim=0).norm(dim=1))
    ),
    "it looks for the widest gap of the ratios; look at the points": lambda r, x: _middle(r, r.log().diff()),
    "it looks at the content alone; a gap is one of both losses": lambda r, x: _middle(r, x[:, 0].log().diff().abs()),
    "it looks at the style alone; a gap is one of both losses": lambda r, x: _middle(r, x[:, 1].log().diff().abs()),
    "it fills the narrowest gap; look for the widest": lambda r, x: _middle(r, -x.log().diff(dim=0).norm(dim=1)),
}
ONE_AT_A_TIME: Wrong = {
    "it makes all combinations; change one setting of base at a time": _product,
    "base itself is missing; every change is compared with it": lambda base, choices: one_at_a_time(base, choices)[1:],
    "it runs base again where a choice has its value; leave that one out": _repeated,
    "the changes pile up; begin each from base": _piled,
    "all runs share one dict, so all have the last change; make a new dict for each": (
        lambda base, choices: [one_at_a_time(base, choices)[-1]] * len(one_at_a_time(base, choices))
    ),
}
EXERCISES = (
    Answers(raw_alpha, "the unit of α: from a wish in words to a weight", 2, UNITS, RAW_ALPHA),
    Answers(unfinished, "what a minimum forbids: all pictures judged by each run’s own weights", 3, POINTS, UNFINISHED),
    Answers(next_ratio, "where to look next on logarithmic axes", 2, CURVES, NEXT_RATIO),
    Answers(
        one_at_a_time, "the plan of an experiment: one setting changed, none twice", 2, PLANS, ONE_AT_A_TIME, judged="plan"
    ),
)
