"""Masks and guides: sizes, strengths, and what 'inside' may not touch."""

from pathlib import Path

import pytest
import torch
from conftest import Counting
from torch import Tensor

from nstutils.backbones import FeatureExtractor, geometry, squeezenet, vgg
from nstutils.guidance import MODES, coverage, load_mask, propagate
from nstutils.images import save

LAYERS = {
    "vgg": ("relu1_1", "relu1_2", "pool1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "squeezenet": ("relu1", "fire3", "fire5"),
}
NETS = {
    "vgg": FeatureExtractor(vgg((2, 2, 2, 2, 2)), name="vgg"),
    "squeezenet": FeatureExtractor(squeezenet(), name="squeezenet"),
}


def region(height: int, width: int, rows: slice = slice(None), columns: slice = slice(None)) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[..., rows, columns] = 1
    return mask


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["vgg", "squeezenet"])
@pytest.mark.parametrize("size", [(96, 160), (95, 157), (133, 111)])
def test_a_guide_has_its_layer_s_size_and_energy_one(size: tuple[int, int], kind: str, mode: str) -> None:
    mask = region(*size, columns=slice(0, 100)) * torch.linspace(0.5, 1, size[0])[:, None]
    before = mask.clone()
    guides = propagate(mask, NETS[kind], LAYERS[kind], mode)
    found = NETS[kind](torch.rand(1, 3, *size), LAYERS[kind])
    assert tuple(guides) == LAYERS[kind]
    for layer, guide in guides.items():
        assert guide.shape == (1, 1, *found[layer].shape[-2:])
        assert guide.square().sum().item() == pytest.approx(1, rel=1e-5)
    assert torch.equal(mask, before)


@pytest.mark.parametrize("mode", MODES)
def test_the_mask_of_everything_is_an_even_guide(mode: str) -> None:
    for guide in propagate(torch.ones(1, 1, 75, 90), NETS["vgg"], LAYERS["vgg"], mode).values():
        torch.testing.assert_close(guide, torch.full_like(guide, guide.numel() ** -0.5))


def test_the_simple_guide_is_the_average_of_the_mask_over_each_position(toy: Counting) -> None:
    mask = torch.rand(1, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    wanted = mask.view(1, 1, 4, 2, 6, 2).mean((3, 5))
    torch.testing.assert_close(propagate(mask, toy, ["pool1"])["pool1"], wanted / wanted.norm())


@pytest.mark.parametrize("size", [(96, 192), (95, 191), (111, 175)])
@pytest.mark.parametrize("side", ["left", "right", "bottom"])
def test_the_inside_guide_touches_no_position_with_a_pixel_outside_the_region(side: str, size: tuple[int, int]) -> None:
    cut = {"left": {"columns": slice(0, 87)}, "right": {"columns": slice(61, None)}, "bottom": {"rows": slice(33, None)}}[side]
    mask = region(*size, **cut)
    guides = propagate(mask, NETS["vgg"], LAYERS["vgg"], "inside")
    for row in geometry(NETS["vgg"]):
        if row.name in guides:
            guide, s = guides[row.name], row.stride
            lowest = -torch.nn.functional.max_pool2d(-mask, s, ceil_mode=True)
            assert not (guide[lowest < 1] > 0).any()
            assert (guide > 0).any()


def test_the_inside_guide_is_cut_by_a_quarter_of_the_receptive_field_at_the_region_s_edge_only() -> None:
    mask = region(64, 160, columns=slice(0, 80))
    row = next(row for row in geometry(NETS["vgg"]) if row.name == "relu3_1")
    simple, inside = (propagate(mask, NETS["vgg"], ["relu3_1"], mode)["relu3_1"][0, 0] for mode in MODES)
    assert (simple.sum(0) > 0).nonzero().max().item() == 80 // row.stride - 1
    assert (inside.sum(0) > 0).nonzero().max().item() == (80 - row.receptive_field // 4 - 1) // row.stride
    assert (inside[:, 0] > 0).all(), "the picture's border is no edge of the region"


@pytest.mark.parametrize(
    ("mode", "mask"), [("inside", region(64, 96, slice(0, 9), slice(10, 20))), ("simple", torch.zeros(1, 1, 64, 96))]
)
def test_a_mask_that_is_empty_at_a_deep_layer_is_refused_with_its_pixel_counts(mode: str, mask: Tensor) -> None:
    pixels = int(mask.sum())
    words = (
        f"empty at layer relu5_1: its region has {pixels} of 6144 pixels; draw a larger region, leave this layer out, or use"
    )
    with pytest.raises(ValueError, match=words):
        propagate(mask, NETS["vgg"], ["relu5_1"], mode)
    if pixels:
        assert (propagate(mask, NETS["vgg"], ["relu1_1", "relu2_1"], mode)["relu2_1"] > 0).any()


@pytest.mark.parametrize(
    ("layers", "mode", "size", "words"),
    [
        (["relu1_1"], "soft", (64, 64), "mode 'soft' is not known; choose from simple, inside"),
        (["relu7_1"], "simple", (64, 64), "vgg has no layer relu7_1; choose from"),
        (["relu7_1"], "inside", (64, 64), "vgg has no layer relu7_1; choose from"),
        (["relu5_1"], "simple", (64, 12), "a picture of 12 x 64 is too small for relu5_1, which needs at least 16 pixels"),
    ],
)
def test_what_cannot_be_propagated_is_refused_in_a_sentence(
    layers: list[str], mode: str, size: tuple[int, int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        propagate(torch.ones(1, 1, *size), NETS["vgg"], layers, mode)


def test_a_mask_file_is_brought_to_its_picture_s_size_in_shades_of_grey(tmp_path: Path) -> None:
    path = save(region(20, 30, columns=slice(0, 12)).expand(1, 3, -1, -1), tmp_path / "mask.png")
    mask = load_mask(path, torch.zeros(1, 3, 40, 60))
    assert torch.equal(mask, region(40, 60, columns=slice(0, 24)))
    half = load_mask(path, torch.zeros(1, 3, 6, 9))
    assert half.shape == (1, 1, 6, 9)
    assert 0 < half[0, 0, 0, 3] < 1


def test_a_mask_of_another_shape_or_all_black_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = save(torch.ones(1, 3, 20, 30), tmp_path / "mask.png")
    with pytest.raises(ValueError, match="is 30 x 20, its picture 20 x 30; give a mask of the picture's shape"):
        load_mask(path, torch.zeros(1, 3, 30, 20))
    black = save(torch.zeros(1, 3, 20, 30), tmp_path / "black.png")
    with pytest.raises(ValueError, match=r"black everywhere \(0 of 600 pixels\); paint its region white"):
        load_mask(black, torch.zeros(1, 3, 20, 30))


def test_coverage_counts_the_pixels_of_no_region_and_of_several() -> None:
    masks = [region(4, 10, columns=slice(0, 5)), region(4, 10, columns=slice(4, 8))]
    assert coverage(masks) == {"gap": 8, "overlap": 4, "pixels": 40}
