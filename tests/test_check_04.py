"""Lesson 04: every check takes the right answer and names the usual wrong ones, and so do the hidden tests of its notebook."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor

from nstutils import TVLoss, check, recipes
from nstutils.problem import sum_of

Answer = Callable[..., Any]
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "solutions" / "04_style_transfer.ipynb"


def weighed(content: Tensor, style: Tensor, tv: Tensor, alpha: float, beta: float, gamma: float, kappa: float) -> Tensor:
    """The whole loss written another way than in the check."""
    return torch.stack([content, style, tv], -1) @ content.new_tensor([alpha * kappa, beta, gamma])


RIGHT: dict[str, Answer] = {
    "total_loss": weighed,
    "total_variation": lambda x: TVLoss()(x, {}),
    "convert_weight": lambda weight, n, m: (
        weight * recipes.factors(n, m)["hw (Gatys' code)"][1] / recipes.factors(n, m)["chw"][1]
    ),
    "blend": lambda grams, weights: sum_of(list(weights), list(grams)),
}
FIRST: dict[str, tuple[Any, ...]] = {
    "total_loss": check.SUMS[0],
    "total_variation": check.VARIED[0],
    "convert_weight": check.CONVERTED[0],
    "blend": check.MIXED[0],
}
TENSORS = ["total_loss", "total_variation", "blend"]
WRONG = [(name, sentence) for name in RIGHT for sentence in check.WRONG[name]]


def source(kind: str, name: str) -> str:
    """The code of a cell of an exercise."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    return str(next(cell.source for cell in cells if cell.id == f"{kind}-{name.replace('_', '-')}"))


def hidden(name: str, answer: Answer) -> None:
    """Run the hidden tests of an exercise on an answer."""
    tests = source("check", name).split("### BEGIN HIDDEN TESTS")[1].split("### END HIDDEN TESTS")[0]
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
    exec(source("solution", name), space)
    getattr(check, name)(space[f"my_{name}"])
    hidden(name, space[f"my_{name}"])


@pytest.mark.parametrize(("name", "sentence"), WRONG)
def test_a_usual_mistake_is_named_and_fails_the_hidden_tests(name: str, sentence: str) -> None:
    wrong = check.WRONG[name][sentence]
    assert refused(name, wrong) == f"{name}: {sentence}"
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        hidden(name, wrong)


@pytest.mark.parametrize("name", RIGHT)
def test_an_answer_that_is_none_or_unwritten_is_refused(name: str) -> None:
    def unwritten(*given: Any) -> Any:
        raise NotImplementedError

    assert "it returns None" in refused(name, lambda *given: None)
    assert "not written yet" in refused(name, unwritten)
    assert "wanted your function" in refused(name, RIGHT[name](*FIRST[name]))


@pytest.mark.parametrize("name", TENSORS)
def test_an_answer_in_place_or_detached_is_refused(name: str) -> None:
    def in_place(first: Tensor, *rest: Any) -> Any:
        result = RIGHT[name](first, *rest)
        first.mul_(2).add_(1)
        return result

    assert "it changes its input" in refused(name, in_place)
    assert "no gradient comes back" in refused(name, lambda *given: RIGHT[name](*given).detach())


def test_weights_that_are_normalised_in_place_are_refused() -> None:
    def in_place(grams: Tensor, weights: Tensor) -> Tensor:
        weights /= weights.sum()
        return (weights[:, None, None] * grams).sum(0)

    assert "it changes its input" in refused("blend", in_place)


def test_weights_that_meet_the_columns_stop_or_are_refused() -> None:
    assert "stops with RuntimeError" in refused("blend", lambda grams, weights: (weights * grams).sum(0) / weights.sum())


@pytest.mark.parametrize("name", RIGHT)
def test_every_exercise_has_at_least_three_wrong_answers(name: str) -> None:
    assert len(check.WRONG[name]) >= 3
