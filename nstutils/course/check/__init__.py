"""Checks for the lessons' exercises: each takes the reader's function, tries it, and names the usual mistake.

A check is silent about how the right answer is written, and does not hold it: `lessonNN.json` has for each exercise the inputs,
the values that are wanted for them, and for each answer that readers really give the sentence that names it and the marks by
which it is known. Right and wrong answers themselves are in `tools/answers`, which students do not get. A check raises an
AssertionError with one sentence, which is all that a notebook shows of it. `claim` tells whether what a document says holds.
tools/README.md says how to add an exercise."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nstutils.course.check.judging import CheckFailed, Exercise, claim, random, tried
from nstutils.course.check.special import FAULTS, MADE


def _decoded(value: Any) -> Any:
    """An input or a value as it was before it was stored."""
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    if isinstance(value, dict) and "tensor" in value:
        return torch.tensor(value["values"], dtype=getattr(torch, value["of"])).view(value["tensor"])
    return MADE[value["made"]](*_decoded(value["from"])) if isinstance(value, dict) and "made" in value else value


def _stored() -> dict[str, Exercise]:
    """All exercises, by lesson and in their order."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("lesson*.json")):
        for name, one in json.loads(path.read_text(encoding="utf-8")).items():
            inputs = [tuple(_decoded(given)) for given in one["given"]]
            fault = FAULTS[one["judged by"]]
            found[name] = Exercise(name, one["about"], inputs, _decoded(one["wanted"]), one["wrong"], one["gradient"], fault)
    return found


EXERCISES = _stored()
__all__ = ["EXERCISES", "CheckFailed", "Exercise", "claim", "random", "right"]


def __getattr__(name: str) -> Exercise:
    """The check of an exercise by its name."""
    try:
        return EXERCISES[name]
    except KeyError:
        raise AttributeError(f"there is no exercise {name!r}; there are {', '.join(EXERCISES)}") from None


def __dir__() -> list[str]:
    return [*__all__, *EXERCISES]


def right(answer: Callable[..., Any], name: str) -> bool:
    """Whether a reader's function passes the check `name`, without a word: a lesson paints with it, or with the library's."""
    try:
        return not EXERCISES[name].fault(EXERCISES[name], partial(tried, name, answer))
    except CheckFailed:
        return False
