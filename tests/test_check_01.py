"""The exercises of lesson 01: right answers pass, every usual mistake is named, and the hidden tests catch it too."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import check
from nstutils.backbones import geometry
from nstutils.weights import structure

LESSON = Path(__file__).parent.parent / "notebooks" / "solutions" / "01_inside_vgg.ipynb"


def looped(image: Tensor, kernel: Tensor) -> Tensor:
    """A convolution as a beginner writes it."""
    padded, result = F.pad(image, (1, 1, 1, 1)), torch.zeros_like(image)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            result[i, j] = (padded[i : i + 3, j : j + 3] * kernel).sum()
    return result


def backwards(layers: Sequence[tuple[int, int]]) -> int:
    """The receptive field from the last layer down."""
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "parameters": [
        lambda k, c, n: k * k * c * n + n,
        lambda k, c, n: n * (k**2 * c + 1),
        lambda k, c, n: torch.tensor(n) * (k * k * c + 1),
    ],
    "convolve": [looped, lambda image, kernel: F.conv2d(image[None, None], kernel[None, None], padding=1)[0, 0]],
    "average_pool": [
        lambda x: F.avg_pool2d(x, 2),
        lambda x: (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4,
        lambda x: x.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-3, -1)),
    ],
    "receptive_field": [check._receptive_field, backwards],
}
EXERCISES = list(RIGHT)
MISTAKES = [(name, sentence) for name in EXERCISES for sentence in check.WRONG[name]]


def verdict(name: str, answer: Any) -> str:
    """What the check says of an answer it must refuse."""
    with pytest.raises(AssertionError) as said:
        getattr(check, name)(answer)
    return str(said.value)


def hidden(name: str, answer: Any) -> None:
    """Run the hidden tests of the lesson on an answer."""
    cells = nbformat.read(LESSON, as_version=4).cells
    source = next(cell.source for cell in cells if cell.source.startswith(f"check.{name}("))
    tests = source.split("### BEGIN HIDDEN TESTS")[1].split("### END HIDDEN TESTS")[0]
    exec(compile(tests, name, "exec"), {f"my_{name}": answer, "torch": torch, "F": F, "check": check})


@pytest.mark.parametrize("name", EXERCISES)
def test_right_answers_pass(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for answer in RIGHT[name]:
        getattr(check, name)(answer)
        assert capsys.readouterr().out.startswith(f"{name}: right")
        hidden(name, answer)


@pytest.mark.parametrize(("name", "sentence"), MISTAKES, ids=[f"{name}: {sentence}" for name, sentence in MISTAKES])
def test_mistakes_are_named_and_hidden_tests_catch_them(name: str, sentence: str) -> None:
    wrong = check.WRONG[name][sentence]
    assert verdict(name, wrong) == f"{name}: {sentence}"
    with pytest.raises(AssertionError):
        hidden(name, wrong)


@pytest.mark.parametrize("name", EXERCISES)
def test_unfinished_answers_are_told_what_is_missing(name: str) -> None:
    def stub(*given: Any) -> None:
        raise NotImplementedError

    assert "not written yet" in verdict(name, stub)
    assert "returns None" in verdict(name, lambda *given: None)
    assert "stops with" in verdict(name, lambda *given: given[99])
    assert "give its name without brackets" in verdict(name, 7)


def test_every_exercise_has_at_least_three_usual_mistakes() -> None:
    assert all(len(check.WRONG[name]) >= 3 for name in EXERCISES)


def test_in_place_and_detached_answers_are_refused() -> None:
    def emptied(image: Tensor, kernel: Tensor) -> Tensor:
        result = looped(image, kernel)
        image.zero_()
        return result

    assert "changes its input" in verdict("convolve", emptied)
    assert "no gradient comes back" in verdict("average_pool", lambda x: F.avg_pool2d(x, 2).detach())


def test_an_answer_for_squares_alone_is_named_or_told_where_it_stops() -> None:
    def square(image: Tensor, kernel: Tensor) -> Tensor:
        return looped(image[: len(image), : len(image)], kernel)

    assert "square" in verdict(
        "convolve", check.WRONG["convolve"]["it works for square pictures only; take height and width from image.shape"]
    )
    assert "for a tensor (4, 6)" in verdict("convolve", square)
    assert "for a tensor (1, 3, 4, 6) it stops" in verdict(
        "average_pool", lambda x: x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[2] // 2, 2).mean((3, 5))
    )


def test_the_right_receptive_field_is_the_librarys() -> None:
    steps: list[tuple[int, int]] = []
    for row in geometry(structure("vgg19")):
        kernel = 3 if row.name.startswith("conv") else 2 if row.name.startswith("pool") else 1
        steps.append((kernel, 2 if row.name.startswith("pool") else 1))
        assert check._receptive_field(steps) == row.receptive_field
