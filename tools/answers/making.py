"""What the answers of all lessons are made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nstutils.course.check import judging

Wrong = Mapping[str, Callable[..., Any]]  # the usual mistakes, each by the sentence that names it


def random(*shape: int, seed: int = 0) -> Tensor:
    """Numbers between -1 and 1 with three digits, the same for the same seed."""
    return judging.random(*shape, seed=seed).mul(1000).round().div(1000)


PICTURES = [(random(*shape, seed=k).abs(),) for k, shape in enumerate([(1, 3, 4, 6), (1, 3, 5, 5), (2, 3, 7, 3)])]
PAIRS = [  # features after the ReLU
    (random(*shape, seed=k).relu(), random(*shape, seed=k + 9).relu())
    for k, shape in enumerate([(1, 3, 4, 6), (1, 3, 4, 6), (2, 5, 3, 2)])
]


@dataclass(frozen=True)
class Answers:
    """The right function, whose name is the exercise's, what it tests and how hard it is, inputs, and the usual mistakes.

    Levels: 1 puts a formula into code, 2 has a trap or asks for a thought, 3 has several steps to plan. With `gradient` an
    answer must let gradients through to its first input; `judged` names what judges more than values.
    """

    right: Callable[..., Any]
    aim: str
    level: int
    inputs: Sequence[tuple[Any, ...]]
    wrong: Wrong
    gradient: bool = False
    judged: str = "values"


def total(x: Tensor) -> Tensor:
    """The sum over all but the batch: one number a picture."""
    return x.flatten(1).sum(1)
