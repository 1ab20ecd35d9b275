"""What only one exercise can get wrong, lesson by lesson; tests/test_check.py has what all share."""

from typing import Any

import pytest
import torch
from exercises import RIGHT, WRONG, refused, solution
from exercises.lesson01 import downwards, looped
from torch import Tensor
from torch.nn import functional as F

from nstutils.backbones import geometry
from nstutils.course import check
from nstutils.course.check.judging import TRIES
from nstutils.library.weights import structure


def test_pictures_that_are_darkened_or_subtracted_in_place_are_refused() -> None:
    def darker(x: Tensor) -> Tensor:
        return x.mul_(0)

    def difference(x: Tensor, p: Tensor) -> Tensor:
        x -= p
        return -10 * x.square().mean().log10()

    assert "changes its input" in refused("to_bytes", darker)
    assert "changes its input" in refused("psnr", difference)


def test_bytes_clamped_in_place_are_refused_and_numbers_for_bytes_too() -> None:
    assert "changes its input" in refused("to_bytes", lambda x: x.mul_(255).round_().clamp_(0, 255).byte())
    TRIES["to_bytes"] = 2
    assert "they are no bytes" in refused("to_bytes", lambda x: (x * 255).round().clamp(0, 255).long())
    assert "they are no bytes" in refused("to_bytes", lambda x: (x * 255).round().clamp(0, 255).tolist())


def test_noise_leaves_the_global_numbers_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    (reseeded,) = [wrong for sentence, wrong in WRONG["noise"].items() if "random numbers of everybody" in sentence]
    refused("noise", reseeded)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("answer", [lambda height, width, seed: torch.rand(3, height, width), lambda *given: [0.5]])
def test_noise_of_another_shape_is_told_what_is_wanted(answer: Any) -> None:
    assert "wanted (1, 3, 5, 8)" in refused("noise", answer)


def test_a_picture_emptied_after_its_convolution_is_refused() -> None:
    def emptied(image: Tensor, kernel: Tensor) -> Tensor:
        result = looped(image, kernel)
        image.zero_()
        return result

    assert "changes its input" in refused("convolve", emptied)


def test_an_answer_for_squares_alone_is_named_or_told_where_it_stops() -> None:
    def square(image: Tensor, kernel: Tensor) -> Tensor:
        return looped(image[: len(image), : len(image)], kernel)

    sentence = "it works for square pictures only; take height and width from image.shape"
    TRIES["convolve"] = 2
    assert "square" in refused("convolve", WRONG["convolve"][sentence])
    assert "for a tensor (4, 6)" in refused("convolve", square)
    assert "for a tensor (1, 3, 4, 6) it stops" in refused(
        "average_pool", lambda x: x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[2] // 2, 2).mean((3, 5))
    )


def test_a_window_is_as_wide_as_the_librarys_receptive_field() -> None:
    for row in geometry(structure("vgg19")):
        first, last = downwards([step[:3] for step in row.steps], 7)
        assert last - first + 1 == row.receptive_field
        assert first - downwards([step[:3] for step in row.steps], 6)[0] == row.stride


def test_a_pool_that_is_detached_on_the_way_is_refused() -> None:
    assert "no gradient comes back" in refused("average_pool", lambda x: F.avg_pool2d(x.detach(), 2))
    assert "no gradient comes back" in refused("average_pool", lambda x: torch.tensor(F.avg_pool2d(x, 2).numpy()))


def test_another_order_for_every_filter_is_refused_whatever_the_orders() -> None:
    generator = torch.Generator().manual_seed(0)

    def at_random(f: Tensor, order: Tensor) -> Tensor:
        rows = [f.flatten(2)[:, k, order[torch.randperm(len(order), generator=generator)]] for k in range(f.shape[1])]
        return torch.stack(rows, 1).reshape(f.shape)

    assert "try it by hand" in refused("shuffled", at_random)


def test_weights_that_are_normalised_in_place_are_refused() -> None:
    def in_place(grams: Tensor, weights: Tensor) -> Tensor:
        weights /= weights.sum()
        return (weights[:, None, None] * grams).sum(0)

    assert "it changes its input" in refused("blend", in_place)


def test_weights_that_meet_the_columns_stop_or_are_refused() -> None:
    assert "stops with RuntimeError" in refused("blend", lambda grams, weights: (weights * grams).sum(0) / weights.sum())


def test_a_plan_that_is_no_list_of_whole_dicts_is_told() -> None:
    (right,) = RIGHT["one_at_a_time"]
    assert "wanted a list of dicts" in refused("one_at_a_time", lambda base, choices: choices)
    assert "all settings of base" in refused("one_at_a_time", lambda base, choices: [base, {"alpha": 0.5}])
    assert "it returns tuple" in refused("one_at_a_time", lambda base, choices: tuple(right(base, choices)))


def test_a_plan_that_changes_base_spoils_no_later_try() -> None:
    def in_place(base: dict[str, float], choices: dict[str, list[float]]) -> list[dict[str, float]]:
        runs = [base]
        for name, values in choices.items():
            for value in values:
                base[name] = value
                runs.append(base)
        return runs

    TRIES["one_at_a_time"] = 0
    for _ in range(3):
        refused("one_at_a_time", in_place)
    check.one_at_a_time(RIGHT["one_at_a_time"][0])


def test_a_training_changes_the_painter_that_it_is_given_and_not_that_of_the_check() -> None:
    painter = check.training.given[0][1]
    before, handed = [weight.detach().clone() for weight in painter.parameters()], []

    def trained(batches: Any, painter: Any, loss: Any, lr: float) -> Any:
        handed.append(painter)
        return solution("training")(batches, painter, loss, lr)

    check.training(trained)
    assert all(torch.equal(a, b) for a, b in zip(painter.parameters(), before, strict=True))
    assert not torch.equal(handed[0].gain, painter.gain)


def test_a_training_that_stops_is_told_with_its_inputs_in_words() -> None:
    said = refused("training", lambda batches, painter, loss, lr: painter.weight)
    assert "for 4 tensors (1, 3, 3, 5), Painter, a loss, 0.1 it stops with AttributeError" in said
