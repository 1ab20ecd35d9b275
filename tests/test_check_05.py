"""Lesson 05: every check takes the right answer and names the usual wrong ones, and so do the hidden tests of its notebook."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor

from nstutils import check, claims

Answer = Callable[..., Any]
NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "solutions" / "05_tradeoff.ipynb"


def pareto(points: Tensor) -> Tensor:
    pairs = points.tolist()
    return torch.tensor([not any(u <= x and v <= y and (u, v) != (x, y) for u, v in pairs) for x, y in pairs])


RIGHT: dict[str, Answer] = {
    "ratio_settings": lambda ratios, beta: [{"beta": beta, "alpha": beta * ratio} for ratio in ratios],
    "kappa": lambda errors, content: 1000 * errors.sum() / len(errors) / content,
    "spearman": lambda x, y: claims.spearman(x.tolist(), y.tolist()),
    "pareto": pareto,
}
FIRST: dict[str, Any] = {"kappa": check.ERRORS[0], "spearman": check.RANKED[0], "pareto": check.POINTS[0]}
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


def test_settings_that_are_no_list_of_dicts_are_told() -> None:
    assert "wanted a list of dicts" in refused("ratio_settings", lambda ratios, beta: dict.fromkeys(ratios, beta))
    assert "wanted a list of dicts" in refused("ratio_settings", lambda ratios, beta: [ratio * beta for ratio in ratios])
    assert "'alpha' and 'beta'" in refused("ratio_settings", lambda ratios, beta: [{"alpha": r * beta} for r in ratios])
    other = refused("ratio_settings", lambda ratios, beta: [{"alpha": 3.0, "beta": beta} for _ in ratios])
    assert "wanted [{'alpha': 0.2, 'beta': 2.0}" in other
    assert "it returns tuple" in refused("ratio_settings", lambda ratios, beta: tuple(RIGHT["ratio_settings"](ratios, beta)))


@pytest.mark.parametrize("name", RIGHT)
def test_every_exercise_has_at_least_three_wrong_answers(name: str) -> None:
    assert len(check.WRONG[name]) >= 3
