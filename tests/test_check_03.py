"""Lesson 03: every check takes the right answer and names the usual wrong ones, and so do the hidden tests of its notebook."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor

from nstutils import check, losses

Answer = Callable[..., Any]
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "solutions" / "03_style_reconstruction.ipynb"


def einsum_gradient(f: Tensor, a: Tensor) -> Tensor:
    """Eq. 6 written another way than in the library."""
    count, filters, height, width = f.shape
    slope = torch.einsum("bij,bjhw->bihw", torch.einsum("bihw,bjhw->bij", f, f) / (height * width) - a, f)
    return slope / (filters**2 * height * width) * (f > 0)


RIGHT: dict[str, Answer] = {
    "gram": lambda f: torch.einsum("bihw,bjhw->bij", f, f) / (f.shape[2] * f.shape[3]),
    "shuffled": lambda f, order: torch.gather(f.flatten(2), 2, order.expand(*f.shape[:2], -1)).view_as(f),
    "layer_loss": lambda g, a, n: ((g - a) ** 2).flatten(1).mean(1) / 4,
    "style_gradient": einsum_gradient,
}
FIRST: dict[str, tuple[Any, ...]] = {
    "gram": check.FEATURES[0],
    "shuffled": check.ORDERS[0],
    "layer_loss": check.GRAMS[0],
    "style_gradient": check.STYLES[0],
}

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


@pytest.mark.parametrize("name", ["gram", "layer_loss"])
def test_a_detached_answer_is_refused(name: str) -> None:
    assert "no gradient comes back" in refused(name, lambda *given: RIGHT[name](*given).detach())


@pytest.mark.parametrize("name", RIGHT)
def test_every_exercise_has_at_least_three_wrong_answers(name: str) -> None:
    assert len(check.WRONG[name]) >= 3


def test_another_order_for_every_filter_is_refused_whatever_the_orders() -> None:
    generator = torch.Generator().manual_seed(0)

    def at_random(f: Tensor, order: Tensor) -> Tensor:
        rows = [f.flatten(2)[:, k, order[torch.randperm(len(order), generator=generator)]] for k in range(f.shape[1])]
        return torch.stack(rows, 1).reshape(f.shape)

    assert "try it by hand" in refused("shuffled", at_random)
