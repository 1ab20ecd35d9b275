"""Lesson 02: every check takes the right answer and names the usual wrong ones, and so do the hidden tests of its notebook."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor

from nstutils import check, losses

Answer = Callable[..., Any]
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "solutions" / "02_content_reconstruction.ipynb"

RIGHT: dict[str, Answer] = {
    "content_loss": lambda f, p: 0.5 * ((f - p) ** 2).flatten(1).sum(1),
    "relative_error": lambda f, p: ((f - p) ** 2).flatten(1).sum(1) / (p**2).flatten(1).sum(1),
    "content_gradient": lambda f, p: (f - p) * (f > 0),
    "step_down": lambda x, gradient, lr: torch.clamp(x - gradient * lr, 0, 1),
}
FIRST = dict.fromkeys(RIGHT, check.PAIRS[0]) | {"step_down": check.STEPS[0]}

WRONG = [(name, sentence) for name in RIGHT for sentence in check.WRONG[name]]


def hidden(name: str, answer: Answer) -> None:
    """Run the hidden tests of an exercise on an answer."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    source = next(cell.source for cell in cells if cell.id == f"check-{name.replace('_', '-')}")
    tests = source.split("### BEGIN HIDDEN TESTS")[1].split("### END HIDDEN TESTS")[0]
    exec(tests, {"torch": torch, "gram": losses.gram, f"my_{name}": answer})


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
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    source = next(cell.source for cell in cells if cell.id == f"solution-{name.replace('_', '-')}")
    space: dict[str, Any] = {"torch": torch, "gram": losses.gram}
    exec(source, space)
    getattr(check, name)(space[f"my_{name}"])
    hidden(name, space[f"my_{name}"])


@pytest.mark.parametrize(("name", "sentence"), WRONG)
def test_a_usual_mistake_is_named_and_fails_the_hidden_tests(name: str, sentence: str) -> None:
    wrong = check.WRONG[name][sentence]
    assert refused(name, wrong) == f"{name}: {sentence}"
    with pytest.raises((AssertionError, RuntimeError, IndexError)):
        hidden(name, wrong)


@pytest.mark.parametrize("name", RIGHT)
def test_an_answer_that_is_none_unwritten_or_in_place_is_refused(name: str) -> None:
    def unwritten(*given: Tensor) -> Tensor:
        raise NotImplementedError

    def in_place(first: Tensor, *rest: Any) -> Any:
        result = RIGHT[name](first, *rest)
        first.mul_(2).add_(1)
        return result

    assert "it returns None" in refused(name, lambda *given: None)
    assert "not written yet" in refused(name, unwritten)
    assert "it changes its input" in refused(name, in_place)
    assert "wanted your function" in refused(name, RIGHT[name](*FIRST[name]))


@pytest.mark.parametrize("name", ["content_loss"])
def test_a_detached_answer_is_refused(name: str) -> None:
    assert "no gradient comes back" in refused(name, lambda *given: RIGHT[name](*given).detach())


@pytest.mark.parametrize("name", RIGHT)
def test_every_exercise_has_at_least_three_wrong_answers(name: str) -> None:
    assert len(check.WRONG[name]) >= 3
