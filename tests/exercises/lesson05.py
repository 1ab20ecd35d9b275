"""Right answers to the exercises of lesson 05."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def unfinished(ratios: Tensor, points: Tensor) -> Tensor:
    """Run by run."""
    totals = [[r * c + s for c, s in points.tolist()] for r in ratios.tolist()]
    return torch.tensor([min(row) < row[k] for k, row in enumerate(totals)])


def next_ratio(ratios: Tensor, points: Tensor) -> float:
    """Gap by gap."""
    logs = [[math.log(value) for value in point] for point in points.tolist()]
    gaps = [math.dist(one, other) for one, other in zip(logs[:-1], logs[1:], strict=True)]
    k = gaps.index(max(gaps))
    return math.exp((math.log(ratios[k]) + math.log(ratios[k + 1])) / 2)


def one_at_a_time(base: Mapping[str, float], choices: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """A plan in two loops."""
    runs = [{**base}]
    for name in choices:
        for value in choices[name]:
            if value != base[name]:
                runs.append({**base, name: value})
    return runs


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "raw_alpha": [lambda errors, content, beta, times: times * beta * errors.sum() / len(errors) / content],
    "unfinished": [unfinished],
    "next_ratio": [next_ratio],
    "one_at_a_time": [one_at_a_time],
}
GRADIENT: list[str] = []
