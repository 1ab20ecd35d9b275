"""Masks and guides: sizes, strengths, the three modes, and what is done with masks that do not fit."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from toys import Counting

from nstutils import gram
from nstutils.backbones import FeatureExtractor, geometry, squeezenet, vgg
from nstutils.guidance import MODES, coverage, load_mask, propagate, reaches
from nstutils.images import noise, save
from nstutils.losses import StyleLoss

LAYERS = {
    "vgg": ("relu1_1", "relu1_2", "pool1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "squeezenet": ("relu1", "fire3", "fire5"),
}
torch.manual_seed(0)  # the same networks each time
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


def test_the_modes_differ_at_the_region_s_edge_only() -> None:
    mask = region(64, 160, columns=slice(0, 80))
    row = next(row for row in geometry(NETS["vgg"]) if row.name == "relu3_1")
    simple, inside, field = (guide[0, 0, 8] / guide.max() for guide in (MODES[mode](mask, row) for mode in MODES))
    edge, reach = 80 // row.stride, (row.receptive_field - row.stride) // 2  # a position sees so far beyond its own pixels
    assert simple.tolist() == [1.0] * edge + [0.0] * edge
    assert inside.tolist() == [1.0] * (edge - 1) + [0.0] * (edge + 1), "eroded by one position, but not at the picture's border"
    whole, nothing = (80 - reach) // row.stride, -(-(80 + reach) // row.stride)
    assert field[:whole].tolist() == pytest.approx([1.0] * whole)
    assert field[nothing:].tolist() == [0.0] * (2 * edge - nothing)
    falls = field[whole - 1 : nothing + 1]
    assert len(falls) > 5
    assert (falls.diff() < 0).all()


def test_the_field_guide_goes_through_the_layers_as_averages(toy: Counting) -> None:
    mask = torch.rand(6, 8, generator=torch.Generator().manual_seed(0))
    pixels = {(i, j): mask[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2].mean() for i in range(6) for j in range(8)}
    blurred = torch.tensor([[pixels[i, j] for j in range(8)] for i in range(6)])
    wanted = blurred.view(3, 2, 4, 2).mean((1, 3))
    found = propagate(mask[None, None], toy, ["relu1_1", "pool1"], "field")
    torch.testing.assert_close(found["relu1_1"][0, 0], blurred / blurred.norm())
    torch.testing.assert_close(found["pool1"][0, 0], wanted / wanted.norm())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["vgg", "squeezenet"])
def test_a_mask_of_everything_gives_the_plain_gram_matrix_at_every_layer(kind: str, mode: str) -> None:
    net, x = NETS[kind], noise((75, 90), 1)
    layers = [layer for layer in net.layers if layer != "pool5"]
    found, guides = net(x, layers), propagate(torch.ones(1, 1, 75, 90), net, layers, mode)
    for layer in layers:
        plain = gram(found[layer])
        assert (gram(found[layer], guides[layer]) - plain).abs().max() <= 1e-5 * plain.abs().max()
    targets = {layer: gram(f.flip(1)) for layer, f in found.items()}
    one, other = StyleLoss(targets)(x, found), StyleLoss(targets, guides=guides)(x, found)
    assert other.item() == pytest.approx(one.item(), rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_the_strength_of_a_style_does_not_depend_on_the_area_of_its_mask(mode: str) -> None:
    net, texture = NETS["vgg"], noise((16, 16), 3).repeat(1, 1, 8, 16)  # the same everywhere
    layers = ["relu1_1", "relu2_1", "relu3_1"]
    found, target = net(texture, layers), {layer: torch.zeros(1, 2, 2) for layer in layers}
    values, means = [], []
    for width in (32, 64, 192):
        mask = region(128, 256, columns=slice(32, 32 + width))
        guides = propagate(mask, net, layers, mode)
        values.append(StyleLoss(target, guides=guides)(texture, found).item())
        means.append(mask.mean().item())
    assert max(values) / min(values) < 1.05
    assert max(means) / min(means) == 6, "without ΣT² = 1 the loss would differ by the square of this"


def test_a_hard_mask_cuts_features_of_16_bits_without_rounding_them() -> None:
    features = torch.rand((1, 5, 12, 37), generator=torch.Generator().manual_seed(0)).bfloat16()
    found = gram(features, region(12, 37, columns=slice(0, 23))[0, 0])
    torch.testing.assert_close(found, gram(features[..., :23].float()), rtol=1e-5, atol=0)


SMALL = region(64, 96, slice(0, 9), slice(10, 20))


@pytest.mark.parametrize(("mode", "mask"), [("inside", SMALL), *((mode, torch.zeros(1, 1, 64, 96)) for mode in MODES)])
def test_a_mask_that_is_empty_at_a_deep_layer_is_refused_with_its_pixel_counts(mode: str, mask: Tensor) -> None:
    pixels = int(mask.sum())
    words = (
        rf"empty at layer relu5_1: its region has {pixels} of 6144 pixels \(96 x 64\), too few for mode '{mode}'; draw a larger"
    )
    with pytest.raises(ValueError, match=words):
        propagate(mask, NETS["vgg"], ["relu5_1"], mode)
    assert not reaches(mask, NETS["vgg"], ["relu1_1", "relu5_1"], mode)
    if pixels:
        assert reaches(mask, NETS["vgg"], ["relu1_1", "relu2_1"], mode)
        assert (propagate(mask, NETS["vgg"], ["relu1_1", "relu2_1"], mode)["relu2_1"] > 0).any()
        assert reaches(mask, NETS["vgg"], ["relu5_1"], "simple")


@pytest.mark.parametrize(
    ("layers", "mode", "size", "words"),
    [
        (["relu1_1"], "soft", (64, 64), "mode 'soft' is not known; choose from simple, inside, field"),
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
    with pytest.raises(ValueError, match="is 30 x 20 pixels, its picture 20 x 30; give a mask of the picture's shape"):
        load_mask(path, torch.zeros(1, 3, 30, 20))
    black = save(torch.zeros(1, 3, 20, 30), tmp_path / "black.png")
    with pytest.raises(ValueError, match=r"black everywhere \(0 of 600 pixels\); paint its region white"):
        load_mask(black, torch.zeros(1, 3, 20, 30))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (torch.ones(20, 30), r"the mask is a tensor \(20, 30\), wanted 1 x 1 x height x width; reshape it"),
        (torch.ones(1, 3, 20, 30), r"the mask is a tensor \(1, 3, 20, 30\), wanted 1 x 1 x height x width; reshape it"),
        (torch.full((1, 1, 20, 30), 255.0), "outside \\[0, 1\\]; scale it"),
        (torch.full((1, 1, 20, 30), torch.nan), "outside \\[0, 1\\]; scale it"),
        (torch.ones(1, 1, 30, 20), "the mask is 20 x 30 pixels, its picture 30 x 20"),
        (torch.zeros(1, 1, 20, 30), r"black everywhere \(0 of 600 pixels\)"),
    ],
)
def test_a_mask_that_is_a_tensor_is_looked_at_too(mask: Tensor, words: str) -> None:
    picture = torch.zeros(1, 3, 20, 30)
    with pytest.raises(ValueError, match=words):
        load_mask(mask, picture)
    half = region(10, 15, columns=slice(0, 5))
    assert torch.equal(load_mask(half, picture), region(20, 30, columns=slice(0, 10)))


def test_coverage_counts_the_pixels_of_every_region_of_no_region_and_of_several() -> None:
    masks = [region(4, 10, columns=slice(0, 5)), region(4, 10, columns=slice(4, 8))]
    assert coverage(masks) == {"regions": [20, 16], "gap": 8, "overlap": 4, "pixels": 40}
    soft = torch.linspace(0, 1, 10).expand(1, 1, 4, 10)
    assert coverage([soft, 1 - soft]) == {"regions": [20, 20], "gap": 0, "overlap": 0, "pixels": 40}
