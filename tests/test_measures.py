"""Measures against pictures whose answer is known."""

import math

import pytest
import torch
from torch import Tensor

from nstutils import images
from nstutils.backbones import FeatureExtractor
from nstutils.course import measures


def waves(period: float, size: int = 128) -> Tensor:
    """Vertical sine waves in grey."""
    row = 0.5 + 0.4 * torch.sin(2 * math.pi * torch.arange(size) / period)
    return row.expand(1, 3, size, size).clone()


def test_psnr_of_a_known_error_and_of_equal_pictures() -> None:
    picture = torch.full((1, 3, 8, 8), 0.5)
    assert measures.psnr(picture + 0.1, picture) == pytest.approx(20, abs=1e-4)
    assert measures.psnr(picture, picture) == math.inf


def test_fine_energy_tells_waves_of_three_pixels_from_waves_of_sixteen() -> None:
    assert measures.fine_energy(waves(3)) > 0.95
    assert measures.fine_energy(waves(16)) < 0.01


def test_white_noise_has_the_fine_energy_of_the_area_beyond_a_quarter() -> None:
    assert measures.fine_energy(images.noise((256, 256))) == pytest.approx(1 - math.pi * 0.25**2, abs=0.03)


def test_autocorrelation_length_grows_with_the_size_of_structures() -> None:
    noise = images.noise((128, 128))
    lengths = [measures.autocorrelation_length(torch.nn.functional.avg_pool2d(noise, k, 1)) for k in (1, 5, 9)]
    assert lengths[0] < 1
    assert lengths == sorted(lengths)
    assert lengths[2] == pytest.approx(9 * (1 - 1 / math.e), rel=0.15)  # a box of n falls along a triangle of n


def test_edge_correlation_is_one_with_itself_and_low_with_another_place() -> None:
    picture = torch.nn.functional.avg_pool2d(images.noise((96, 96)), 5, 1)
    assert measures.edge_correlation(picture, picture) == pytest.approx(1)
    assert abs(measures.edge_correlation(picture, picture.roll(40, -1))) < 0.2


def test_colour_distance_is_zero_for_shuffled_pixels_and_one_for_other_colours() -> None:
    picture = images.noise((32, 32))
    shuffled = picture.flatten(2)[..., torch.randperm(1024)].view_as(picture)
    assert measures.colour_distance(picture, shuffled) == 0
    assert measures.colour_distance(torch.zeros_like(picture), torch.ones_like(picture)) == 1


def test_style_distance_is_zero_for_the_style_itself(toy: FeatureExtractor) -> None:
    style, other = images.noise((32, 32)).double(), waves(8, 32).double()
    assert measures.style_distance(style, style, toy, ["relu1_1", "relu2_1"]) == 0
    assert measures.style_distance(other, style, toy, ["relu1_1", "relu2_1"]) > 0.1
