"""The exercises of lesson 00: right answers pass, every usual mistake is named, and the hidden tests catch it too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import Tensor

from nstutils import check, images

LESSON = Path(__file__).parent.parent / "notebooks" / "solutions" / "00_start_here.ipynb"
RIGHT: dict[str, list[Callable[..., Any]]] = {
    "to_unit": [lambda x: x / 255, lambda x: x.double().div(255), lambda x: x.float() * (1 / 255)],
    "brightness": [
        images.luminance,
        lambda x: (0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])[:, None],
        lambda x: torch.einsum("nchw,c->nhw", x, x.new_tensor([0.299, 0.587, 0.114])).unsqueeze(1),
    ],
    "psnr": [
        lambda x, p: -10 * (x - p).square().mean().log10(),
        lambda x, p: -20 * torch.log10(((x - p) ** 2).mean().sqrt()).item(),
    ],
    "noise": [
        lambda height, width, seed: images.noise((height, width), seed),
        lambda height, width, seed: torch.empty(1, 3, height, width).uniform_(
            generator=torch.Generator().manual_seed(seed + 1)
        ),
    ],
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
    exec(compile(tests, name, "exec"), {f"my_{name}": answer, "torch": torch, "images": images, "check": check})


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
    with torch.random.fork_rng(), pytest.raises(AssertionError):
        hidden(name, wrong)


@pytest.mark.parametrize("name", EXERCISES)
def test_unfinished_answers_are_told_what_is_missing(name: str) -> None:
    def stub(*given: Any) -> None:
        raise NotImplementedError

    assert "not written yet" in verdict(name, stub)
    assert "returns None" in verdict(name, lambda *given: None)
    assert "stops with" in verdict(name, lambda *given: given[99])
    assert "give its name without brackets" in verdict(name, 0.5)


def test_every_exercise_has_at_least_three_usual_mistakes() -> None:
    assert all(len(check.WRONG[name]) >= 3 for name in EXERCISES)


def test_in_place_and_detached_answers_are_refused() -> None:
    def darker(x: Tensor) -> Tensor:
        return x.mul_(0)

    def difference(x: Tensor, p: Tensor) -> Tensor:
        x -= p
        return -10 * x.square().mean().log10()

    assert "changes its input" in verdict("to_unit", darker)
    assert "changes its input" in verdict("psnr", difference)
    assert "no gradient comes back" in verdict("brightness", lambda x: images.luminance(x.detach()))


def test_an_in_place_division_of_bytes_stops_and_says_so() -> None:
    assert "RuntimeError" in verdict("to_unit", lambda x: x.div_(255))


def test_noise_leaves_the_global_numbers_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    verdict("noise", check.WRONG["noise"][check.GLOBAL_SEED])
    assert torch.equal(before, torch.random.get_rng_state())
    assert "wanted (1, 3, 5, 8)" in verdict("noise", lambda height, width, seed: torch.rand(3, height, width))
    assert "wanted (1, 3, 5, 8)" in verdict("noise", lambda height, width, seed: [0.5])
