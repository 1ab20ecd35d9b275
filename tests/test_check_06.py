"""Lesson 06: every check takes the right answer and names the usual wrong ones, and so do the hidden tests of its notebook."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor

from nstutils import check

Answer = Callable[..., Any]
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "solutions" / "06_initialisation.ipynb"


def stripes(height: int, width: int, period: int) -> Tensor:
    picture = torch.ones(1, 3, height, width)
    for column in range(width):
        if column % period < period / 2:
            picture[..., column] = 0
    return picture


def energy_at(row: Tensor, period: float) -> Tensor:
    turns = torch.exp(2j * math.pi * torch.arange(len(row)) / period)
    return ((row - row.mean()) * turns).mean().abs() ** 2


RIGHT: dict[str, Answer] = {
    "stripes": stripes,
    "energy_at": energy_at,
    "spread": lambda values: (max(values) - min(values)) / (sum(values) / len(values)),
    "blend_start": lambda p, noise, share: p + share * (noise - p),
}
FIRST: dict[str, Any] = {"energy_at": check.ROWS[0], "spread": check.LOSSES[0], "blend_start": check.BLENDS[0]}
WRONG = [(name, sentence) for name in RIGHT for sentence in check.WRONG[name]]


def cell(name: str) -> str:
    """The source of a cell of the notebook."""
    return next(str(c.source) for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.id == name.replace("_", "-"))


def hidden(name: str, answer: Answer) -> None:
    """Run the hidden tests of an exercise on an answer."""
    tests = cell(f"check-{name}").split("### BEGIN HIDDEN TESTS")[1].split("### END HIDDEN TESTS")[0]
    exec(tests, {"torch": torch, f"my_{name}": answer})


def refused(name: str, answer: Answer) -> str:
    """What the check says to a wrong answer."""
    with pytest.raises(AssertionError) as caught:
        getattr(check, name)(answer)
    return str(caught.value)


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_passes_the_check_and_the_hidden_tests(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(check, name)(RIGHT[name])
    assert "right, on 3 inputs" in capsys.readouterr().out
    hidden(name, RIGHT[name])


@pytest.mark.parametrize("name", RIGHT)
def test_the_solution_of_the_notebook_is_right(name: str) -> None:
    space: dict[str, Any] = {"torch": torch}
    exec(cell(f"solution-{name}"), space)
    getattr(check, name)(space[f"my_{name}"])
    hidden(name, space[f"my_{name}"])


@pytest.mark.parametrize(("name", "sentence"), WRONG)
def test_a_usual_mistake_is_named_and_fails_the_hidden_tests(name: str, sentence: str) -> None:
    wrong = check.WRONG[name][sentence]
    assert refused(name, wrong) == f"{name}: {sentence}"
    with pytest.raises((AssertionError, RuntimeError, ValueError, IndexError)):
        hidden(name, wrong)


@pytest.mark.parametrize("name", RIGHT)
def test_an_answer_that_is_none_or_unwritten_is_refused(name: str) -> None:
    def unwritten(*given: Any) -> Any:
        raise NotImplementedError

    assert "it returns None" in refused(name, lambda *given: None)
    assert "not written yet" in refused(name, unwritten)
    assert "wanted your function" in refused(name, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FIRST)
def test_an_answer_that_changes_its_input_is_refused(name: str) -> None:
    def in_place(first: Tensor, *rest: Any) -> Any:
        result = RIGHT[name](first, *rest)
        first.mul_(2).add_(1)
        return result

    assert "it changes its input" in refused(name, in_place)


@pytest.mark.parametrize("name", RIGHT)
def test_every_exercise_has_at_least_three_wrong_answers(name: str) -> None:
    assert len(check.WRONG[name]) >= 3
