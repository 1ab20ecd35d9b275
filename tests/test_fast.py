"""The fast network: any size, in one piece or in tiles; styles and their blends; saved and loaded again."""

import itertools
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nstutils import backbone, images
from nstutils.backbones import STYLE_LAYERS
from nstutils.fast import network as fast
from nstutils.fast.options import NORMS, UPS
from nstutils.library import pictures
from nstutils.losses import StyleLoss
from nstutils.runs import tiles

KINDS = list(itertools.product(NORMS, UPS))


def network(styles: Sequence[str] = ("one", "other"), **plan: Any) -> fast.TransformNet:
    """A small network with values of its own for every style."""
    generator = torch.Generator().manual_seed(3)
    net = fast.TransformNet(styles, **{"width": 4, "blocks": 1} | plan)
    for name, value in [*net.named_parameters(), *net.named_buffers()]:
        spread = 0.3 if value.ndim < 4 else value[0].numel() ** -0.5
        value.data = torch.randn(value.shape, generator=generator) * spread + name.endswith(("scale", "variance"))
    return net.eval()


def picture(height: int, width: int) -> Tensor:
    return images.noise((height, width), 5)


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 18), (65, 67)])
def test_a_picture_of_any_size_keeps_it_and_stays_in_range(size: tuple[int, int]) -> None:
    painted = fast.apply(network(), picture(*size))
    assert painted.shape == (1, 3, *size)
    assert painted.dtype == torch.float32
    assert 0 <= painted.min() < painted.max() <= 1


@pytest.mark.parametrize(("norm", "up"), KINDS)
@pytest.mark.parametrize("size", [(205, 131), (97, 300)])
def test_tiles_give_what_the_whole_picture_gives(norm: str, up: str, size: tuple[int, int]) -> None:
    net, image = network(norm=norm, up=up, blocks=2), picture(*size)
    whole = fast.apply(net, image, [1, 2], dtype="float32")
    assert whole.std() > 0.01
    assert (fast.apply(net, image, [1, 2], dtype="float32", tile=64) - whole).abs().max() < 1e-4


def test_no_tile_looks_at_much_more_than_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    convolved = fast.Unit.convolved
    monkeypatch.setattr(fast.Unit, "convolved", lambda self, x: (seen.append(x.shape[-1] * x.shape[-2]), convolved(self, x))[1])
    fast.apply(network(), picture(256, 512), tile=64)
    assert max(seen) <= (64 + 2 * 16) ** 2


def test_large_pictures_go_in_tiles_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "LARGEST", 64 * 64)
    monkeypatch.setattr(fast, "TILE", 32)
    monkeypatch.setattr(fast.TransformNet, "forward", lambda *_: pytest.fail("in one piece"))
    assert fast.apply(network(), picture(80, 80)).shape[-1] == 80


def test_a_blend_has_the_mean_scale_and_shift() -> None:
    net, image = network(), picture(32, 32)
    mean = network(["both"])
    both = {k: v.mean(0, keepdim=True) if k.endswith(("scale", "shift")) else v for k, v in net.state_dict().items()}
    mean.load_state_dict(both)
    assert torch.allclose(fast.apply(net, image, [2, 2], dtype="float32"), fast.apply(mean, image, dtype="float32"), atol=1e-6)
    one, other = (fast.apply(net, image, k, dtype="float32") for k in (0, 1))
    assert torch.equal(fast.apply(net, image, [1, 0], dtype="float32"), one)
    assert torch.equal(fast.apply(net, image, "other", dtype="float32"), other)
    assert (one - other).abs().max() > 0.05


def test_each_picture_of_a_batch_is_normalised_alone() -> None:
    net, two = network(), torch.cat([picture(32, 32), picture(32, 32) * 0.2])
    together = fast.apply(net, two, dtype="float32")
    assert torch.allclose(together[1:], fast.apply(net, two[1:], dtype="float32"), atol=1e-5)


def test_instance_norm_takes_the_contrast_away_and_batch_norm_does_not() -> None:
    image = picture(32, 32)
    for norm, same in (("instance", True), ("batch", False)):
        net = network(norm=norm)
        bright, faint = (fast.apply(net, 0.5 + factor * (image - 0.5), dtype="float32") for factor in (1.0, 0.5))
        assert bool((bright - faint).abs().max() < 0.05) == same


def test_batch_norm_learns_the_moments_of_what_it_sees() -> None:
    net = network(norm="batch").train()
    first = next(module for module in net.modules() if isinstance(module, fast.Unit))
    for _ in range(200):
        net(picture(32, 32), net.share(0))
    y = first.convolved(picture(32, 32) - 0.5)
    assert torch.allclose(first.mean, y.mean((0, 2, 3)), atol=1e-3)
    assert torch.allclose(first.variance, y.var((0, 2, 3), correction=0), atol=1e-3)


@pytest.mark.parametrize("style", [2, -1, "third", [1], [1, 2, 3], [0, 0], [1, -1], [float("nan"), 1], [float("inf"), 1]])
def test_a_style_that_is_not_there_is_refused_with_those_that_are(style: Any) -> None:
    with pytest.raises(ValueError, match="for one, other|choose from one, other"):
        network().share(style)


@pytest.mark.parametrize("image", [picture(15, 40), picture(40, 40)[0], picture(40, 40)[:, :1]])
def test_what_is_no_picture_is_refused(image: Tensor) -> None:
    with pytest.raises(ValueError, match="wanted N x 3"):
        fast.apply(network(), image)


def test_tiles_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        fast.apply(network(), picture(80, 80), tile=32)


@pytest.mark.parametrize(
    ("styles", "plan", "clue"),
    [
        ([], {}, "none"),
        (["a", "a"], {}, "each once"),
        (["a"], {"width": 0}, "width is 0"),
        (["a"], {"blocks": -1}, "blocks is -1"),
        (["a"], {"norm": "layer"}, "'layer'"),
        (["a"], {"up": "shuffle"}, "'shuffle'"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(styles: list[str], plan: dict[str, Any], clue: str) -> None:
    with pytest.raises(ValueError, match=clue):
        fast.TransformNet(styles, **plan)


@pytest.mark.parametrize(("norm", "up"), KINDS)
def test_a_saved_network_is_the_same_when_loaded(tmp_path: Path, norm: str, up: str) -> None:
    net, path = network(norm=norm, up=up), tmp_path / "net.safetensors"
    fast.save(net, path, {"steps": 7})
    again = fast.load(path)
    assert again.styles == net.styles
    assert torch.equal(fast.apply(again, picture(32, 32), 1), fast.apply(net, picture(32, 32), 1))
    assert fast.facts(path)["steps"] == 7
    assert len(fast.facts(path)["sha256"]) == 64


def test_a_network_that_finds_no_room_is_told_in_one_sentence(tmp_path: Path) -> None:
    path = fast.save(network(), tmp_path / "net.safetensors")
    before, limit = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError, match=r"net\.safetensors cannot be written \(.*\); make room there"):
            fast.save(network(["one"]), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_are_no_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no network 'none.safetensors'.*fast"):
        fast.load("none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"12345678")
    with pytest.raises(ValueError, match="damaged"):
        fast.load(tmp_path / "cut.safetensors")
    with pytest.raises(ValueError, match="not a fast network"):
        fast.load(pictures.data_folder() / "weights" / "classroom.safetensors")


def test_the_shipped_network_paints_in_each_of_its_styles() -> None:
    net, judge = fast.load(), backbone("squeezenet")  # a network that did not train it
    layers = STYLE_LAYERS[judge.family]
    styles = [tiles.View(judge).grams(images.load(name, 384), layers) for name in net.styles]
    assert len(styles) >= 4
    photograph = images.load("hills", 256)
    with torch.no_grad():
        before = [float(StyleLoss(grams)(photograph, judge(photograph, layers))) for grams in styles]
        seen = [judge(fast.apply(net, photograph, k), layers) for k in range(len(styles))]
        for own, grams in enumerate(styles):
            found = [float(StyleLoss(grams)(photograph, one)) for one in seen]
            assert min(found) == found[own] < 0.5 * before[own], net.styles[own]
