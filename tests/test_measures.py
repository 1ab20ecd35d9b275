"""Measures against pictures whose answer is known: waves, stripes, checkerboards, shifts, blurs, negatives, constants."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor
from torch.nn import functional as F

from nstutils import images
from nstutils.backbones import FeatureExtractor
from nstutils.course import measures

GREY = torch.full((1, 3, 32, 48), 0.3)


def waves(period: float, size: int = 128) -> Tensor:
    """Vertical sine waves in grey."""
    row = 0.5 + 0.4 * torch.sin(2 * math.pi * torch.arange(size) / period)
    return row.expand(1, 3, size, size).clone()


def checkerboard(square: int, count: int = 16) -> Tensor:
    """Black and white squares of so many pixels, `count` each way."""
    fields = (torch.arange(count)[:, None] + torch.arange(count)) % 2
    return F.interpolate(fields.float().expand(1, 3, -1, -1), scale_factor=square)


def blurred(image: Tensor, size: int) -> Tensor:
    """The means of squares of `size` x `size` pixels."""
    return F.avg_pool2d(image, size, 1)


def half(left: tuple[float, ...], right: tuple[float, ...]) -> Tensor:
    """A picture of two colours, side by side."""
    return torch.tensor([left, right]).T[None, :, None, :].repeat_interleave(8, -1).repeat(1, 1, 8, 1)


def crossing(alike: list[float]) -> float:
    """Where a falling line through numbers at 0, 1, 2, ... comes to 1/e."""
    return float(np.interp(-1 / math.e, [-value for value in alike], range(len(alike))))


@pytest.mark.parametrize(("error", "decibels"), [(0.1, 20), (0.01, 40), (1.0, 0), (-0.1, 20)])
def test_psnr_of_an_error_that_is_the_same_everywhere(error: float, decibels: float) -> None:
    assert measures.psnr(GREY + error, GREY) == pytest.approx(decibels, abs=1e-4)


def test_psnr_of_equal_pictures_is_infinite() -> None:
    assert measures.psnr(GREY, GREY.clone()) == math.inf


def test_psnr_of_one_pixel_that_is_off() -> None:
    off = GREY.clone()
    off[0, 1, 3, 4] += 0.5
    assert measures.psnr(off, GREY) == pytest.approx(-10 * math.log10(0.25 / GREY.numel()), abs=1e-4)


def test_psnr_is_scikit_images() -> None:
    one, other = images.noise((20, 30), 0), images.noise((20, 30), 1)
    assert measures.psnr(one, other) == pytest.approx(
        peak_signal_noise_ratio(one.numpy(), other.numpy(), data_range=1), abs=1e-5
    )
    assert measures.psnr(one, other) == measures.psnr(other, one)


def test_fine_energy_tells_waves_of_three_pixels_from_waves_of_sixteen() -> None:
    assert measures.fine_energy(waves(3)) > 0.95
    assert measures.fine_energy(waves(16)) < 0.01


@pytest.mark.parametrize(("period", "above", "fine"), [(5, 0.25, False), (5, 0.15, True), (8, 0.25, False), (2, 0.25, True)])
def test_fine_energy_begins_at_the_frequency_that_is_asked_for(period: float, above: float, fine: bool) -> None:
    picture = checkerboard(1, 64) if period == 2 else waves(period)
    assert measures.fine_energy(picture, above) == pytest.approx(float(fine), abs=0.01)


def test_fine_energy_of_two_waves_is_the_share_of_the_fine_one() -> None:
    both = 0.5 + 0.3 * (waves(16) - 0.5) + 0.6 * (waves(3) - 0.5).mT
    assert measures.fine_energy(both) == pytest.approx(0.6**2 / (0.3**2 + 0.6**2), abs=0.01)


def test_white_noise_has_the_fine_energy_of_the_area_beyond_a_quarter() -> None:
    assert measures.fine_energy(images.noise((256, 256))) == pytest.approx(1 - math.pi * 0.25**2, abs=0.03)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1.0])
def test_a_constant_picture_has_no_fine_energy(value: float) -> None:
    assert measures.fine_energy(torch.full((1, 3, 37, 53), value)) == 0


@pytest.mark.parametrize("square", [1, 2, 3, 5, 8])
def test_autocorrelation_of_a_checkerboard_is_that_of_its_borders(square: int) -> None:
    alike = [1 - 2 * 15 * d / (16 * square - d) for d in range(square + 1)]  # of 16 s - d pairs, 15 d lie across a border
    assert measures.autocorrelation_length(checkerboard(square)) == pytest.approx(crossing(alike), abs=1e-6)


def test_autocorrelation_of_waves_falls_along_a_cosine() -> None:
    crossed = waves(32, 512) + waves(32, 512).mT
    alike = [0.5 + 0.5 * math.cos(2 * math.pi * d / 32) for d in range(16)]  # one of the two does not vary along a direction
    assert measures.autocorrelation_length(crossed) == pytest.approx(crossing(alike), abs=0.1)


def test_autocorrelation_length_grows_with_the_size_of_structures() -> None:
    noise = images.noise((128, 128))
    lengths = [measures.autocorrelation_length(blurred(noise, k)) for k in (1, 5, 9)]
    assert lengths[0] < 1
    assert lengths == sorted(lengths)
    assert lengths[2] == pytest.approx(9 * (1 - 1 / math.e), rel=0.15)  # a box of n falls along a triangle of n


def test_autocorrelation_length_is_at_most_half_the_short_side_and_that_where_nothing_varies() -> None:
    assert measures.autocorrelation_length(GREY) == 16
    ramp = torch.linspace(0, 1, 48).expand(1, 3, 4, 48)
    assert measures.autocorrelation_length(ramp) == 2


def test_channels_that_do_not_vary_are_left_out_of_the_autocorrelation() -> None:
    board = checkerboard(3)
    with_dead = torch.cat([board, torch.full_like(board, 0.1), torch.zeros_like(board)], 1)
    assert measures.autocorrelation_length(with_dead) == measures.autocorrelation_length(board)


def test_autocorrelation_length_knows_neither_brightness_nor_contrast_nor_direction() -> None:
    picture = blurred(images.noise((60, 80)), 4)
    wanted = measures.autocorrelation_length(picture)
    for other in (1 - picture, 0.1 * picture + 0.2, picture.mT, picture.flip(-1)):
        assert measures.autocorrelation_length(other) == pytest.approx(wanted, abs=1e-5)


def test_correlation_of_a_picture_with_itself_its_negative_and_a_change_of_contrast() -> None:
    picture = images.noise((30, 40))
    assert measures.correlation(picture, picture) == pytest.approx(1)
    assert measures.correlation(picture, 1 - picture) == pytest.approx(-1)
    assert measures.correlation(picture, 0.2 * picture + 0.5) == pytest.approx(1)


def test_correlation_of_waves_a_quarter_and_half_a_period_apart() -> None:
    assert measures.correlation(waves(16), waves(16).roll(4, -1)) == pytest.approx(0, abs=1e-5)
    assert measures.correlation(waves(16), waves(16).roll(8, -1)) == pytest.approx(-1, abs=1e-5)


def test_correlation_of_a_mixture_is_the_share_of_the_picture_in_it() -> None:
    one, other = images.noise((128, 128), 0), images.noise((128, 128), 1)
    assert measures.correlation(0.6 * one + 0.8 * other, one) == pytest.approx(0.6, abs=0.02)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.7])
def test_a_constant_picture_correlates_with_nothing(value: float) -> None:
    flat, other = torch.full((1, 3, 37, 53), value), images.noise((37, 53))
    for measure in (measures.correlation, measures.edge_correlation):
        assert measure(flat, other) == measure(other, flat) == measure(flat, flat) == 0


def test_edge_correlation_is_one_with_itself_its_negative_and_another_contrast_and_low_with_another_place() -> None:
    picture = blurred(images.noise((96, 96)), 5)
    assert measures.edge_correlation(picture, picture) == pytest.approx(1)
    assert measures.edge_correlation(picture, 1 - picture) == pytest.approx(1)
    assert measures.edge_correlation(picture, 0.3 * picture + 0.1) == pytest.approx(1)
    assert abs(measures.edge_correlation(picture, picture.roll(40, -1))) < 0.2


def test_edge_correlation_falls_as_a_picture_is_shifted() -> None:
    board = checkerboard(8)
    shifted = [measures.edge_correlation(board, board.roll(apart, -1)) for apart in (0, 1, 2, 4)]
    assert shifted == sorted(shifted, reverse=True)
    assert shifted[-1] < 0.5


def test_edges_of_a_step_stand_on_its_two_sides_and_are_as_strong_as_it_is_high() -> None:
    found = measures.edges(half((0.2, 0.2, 0.2), (0.8, 0.8, 0.8)))
    assert torch.equal(found[0].nonzero().flatten(), torch.tensor([7, 8]))
    assert torch.allclose(found[:, 7:9] * math.sqrt(2), torch.tensor(0.6).double())


def test_colour_distance_is_zero_for_shuffled_pixels_and_one_for_other_colours() -> None:
    picture = images.noise((32, 32))
    shuffled = picture.flatten(2)[..., torch.randperm(1024)].view_as(picture)
    assert measures.colour_distance(picture, shuffled) == 0
    assert measures.colour_distance(torch.zeros_like(picture), torch.ones_like(picture)) == 1


def test_colour_distance_is_the_share_of_the_pixels_that_changed_their_colour() -> None:
    red, green, blue = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
    assert measures.colour_distance(half(red, green), half(red, blue)) == pytest.approx(0.5)
    assert measures.colour_distance(half(red, green), half(green, red)) == 0
    off = GREY.clone()
    off[..., 0, 0] = 0.9
    assert measures.colour_distance(off, GREY) == pytest.approx(1 / (32 * 48))


def test_colours_within_an_eighth_are_alike_and_values_outside_are_clamped() -> None:
    assert measures.colour_distance(GREY, GREY + 0.05) == 0
    assert measures.colour_distance(GREY, GREY + 0.1) == 1
    assert measures.colour_distance(GREY + 2, torch.ones_like(GREY)) == 0


def test_style_distance_is_zero_for_the_style_itself(toy: FeatureExtractor) -> None:
    style, other = images.noise((32, 32)).double(), waves(8, 32).double()
    assert measures.style_distance(style, style, toy, ["relu1_1", "relu2_1"]) == 0
    assert measures.style_distance(other, style, toy, ["relu1_1", "relu2_1"]) > 0.1


def test_style_distance_of_one_layer_is_that_of_its_gram_matrices_and_of_more_their_mean(toy: FeatureExtractor) -> None:
    one, other = images.noise((16, 24), 0).double(), 0.5 * images.noise((16, 24), 1).double()
    parts = []
    for layer in ("relu1_1", "relu2_1"):
        f, a = (toy(x, [layer])[layer].flatten(2)[0] for x in (one, other))
        g, wanted = f @ f.T / f.shape[1], a @ a.T / a.shape[1]
        parts.append(float((g - wanted).norm() / wanted.norm()))
        assert measures.style_distance(one, other, toy, [layer]) == pytest.approx(parts[-1])
    assert measures.style_distance(one, other, toy, ["relu1_1", "relu2_1"]) == pytest.approx(sum(parts) / 2)


def test_style_distance_knows_no_places(toy: FeatureExtractor) -> None:
    picture = images.noise((16, 24)).double()
    assert measures.style_distance(picture.flip(-1), picture, toy, ["relu1_1"]) < 0.5
    repeated = measures.style_distance(picture.repeat(1, 1, 2, 2), picture, toy, ["relu1_1"])
    assert repeated < measures.style_distance(waves(6, 16).double(), picture, toy, ["relu1_1"])


def test_content_distance_is_relative_and_zero_for_the_photograph(toy: FeatureExtractor) -> None:
    picture, other = images.noise((16, 16), 0), images.noise((16, 16), 1)
    assert measures.content_distance(picture, picture, toy, ["relu1_1"]) == 0
    f, g = (toy(x, ["relu1_1"])["relu1_1"] for x in (other, picture))
    assert measures.content_distance(other, picture, toy, ["relu1_1"]) == pytest.approx(((f - g).norm() / g.norm()).item())


def test_rows_of_self_similarity_are_shares_of_the_cosines() -> None:
    features = torch.tensor([[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]]).view(1, 2, 1, 3)
    e = math.exp(10)
    wanted = torch.tensor([[e, e, 1], [e, e, 1], [1, 1, e]])
    assert torch.allclose(measures.self_similarity(features).exp(), (wanted / wanted.sum(1, keepdim=True))[None], atol=1e-6)


def test_structure_distance_forgets_scale_and_sees_what_moved(toy: FeatureExtractor) -> None:
    picture = images.noise((16, 24), 0)
    found = [measures.structure_distance(x, picture, toy, "relu1_1") for x in (picture, 0.9 * picture, picture.flip(-1))]
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[1] < found[2] / 4
    rows, wanted = (measures.self_similarity(toy(x, ["relu1_1"])["relu1_1"])[0] for x in (picture.flip(-1), picture))
    assert found[2] == pytest.approx((wanted.exp() * (wanted - rows)).sum(1).mean().item(), rel=1e-5)


def test_structure_distance_of_a_large_picture_looks_at_fewer_positions(toy: FeatureExtractor) -> None:
    seen: list[int] = []

    def rows(features: torch.Tensor) -> torch.Tensor:
        seen.append(features.shape[-2] * features.shape[-1])
        return measures.self_similarity(features[..., :4, :4])

    picture = images.noise((96, 128), 0)
    assert measures.structure_distance(picture, picture, toy, "relu1_1", rows) == 0
    assert seen == [48 * 64, 48 * 64]


def test_anchors_are_0_and_1() -> None:
    nothing, copy = torch.tensor([0.0, 9]), torch.tensor([2.0, 5])
    found = torch.stack([nothing, copy, torch.tensor([3.0, 8])])
    assert measures.anchored(found, nothing, copy).tolist() == [[0, 0], [1, 1], [1.5, 0.25]]
