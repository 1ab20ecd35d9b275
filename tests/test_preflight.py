"""Estimates before a run: what they count, when they refuse."""

import math
import re
from pathlib import Path

import pytest
import torch

from nstutils import backbone, images, stylise
from nstutils.cli import main
from nstutils.runs import preflight
from nstutils.runs.options import PAPERS
from nstutils.runs.tiles import View

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "relu4_2")


def test_the_work_of_vgg19_is_the_count_of_its_products() -> None:
    net = backbone("random-vgg19")
    plan = [(3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2), (128, 256, 4), *[(256, 256, 4)] * 3]
    plan += [(256, 512, 8), *[(512, 512, 8)] * 3, (512, 512, 16)]
    products = sum(9 * c * n * (256 // stride) ** 2 for c, n, stride in plan)
    assert preflight.work(net, LAYERS, [((256, 256), 10)]) == pytest.approx(10 * 4 * products)


def test_memory_grows_with_the_pixels_and_a_tile_bounds_its_activations() -> None:
    net = backbone("classroom")
    fixed, small, large = (preflight.memory(View(net), LAYERS, (n, n), "adam") for n in (16, 512, 1024))
    assert large - fixed == pytest.approx(4 * (small - fixed), rel=0.01)
    tiled = [preflight.memory(View(net, 512), LAYERS, (n, n), "adam") for n in (4096, 8192)]
    pictures = preflight.PICTURES * 3 * 4 * 4096**2
    assert tiled[1] - tiled[0] == 3 * pictures
    assert preflight.memory(View(net), LAYERS, (512, 512), "lbfgs") > small


def test_what_does_not_fit_goes_in_tiles_and_what_never_fits_is_refused_with_a_size_that_does(
    monkeypatch: pytest.MonkeyPatch, pictures: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = backbone("classroom")
    need = [preflight.memory(View(net, tile), LAYERS, (2048, 2048), "adam") for tile in (None, preflight.TILE)]
    monkeypatch.setattr(preflight, "free_memory", lambda _: need[0])
    assert preflight.tile_for(net, LAYERS, (2048, 2048), "adam") is None
    monkeypatch.setattr(preflight, "free_memory", lambda _: need[1])
    assert preflight.tile_for(net, LAYERS, (2048, 2048), "adam") == preflight.TILE
    monkeypatch.setattr(preflight, "free_memory", lambda _: need[1] // 4)
    with pytest.raises(MemoryError, match=r"2048 pixels would take .* the largest that fits is about (\d+)") as caught:
        preflight.tile_for(net, LAYERS, (2048, 2048), "adam")
    fits = int(str(caught.value).split()[-1])
    assert preflight.memory(View(net, preflight.TILE), LAYERS, (fits, fits), "adam") <= need[1] // 4
    assert main(["stylise", *pictures, "-o", str(tmp_path / "out.png"), "--size", "2048"]) == 1
    assert "the largest that fits" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_an_estimate_names_finite_seconds_that_grow_with_the_steps() -> None:
    net = backbone("classroom")
    few, many = (preflight.stepping(preflight.Ahead(View(net), LAYERS[:2], "adam", [((256, 256), n)])) for n in (10, 1000))
    assert 0 < few < many < math.inf


COLOURS = {"keep_colour": "luminance", "layer_weights": {1: [1] * 5, 2: [0.2] * 5}}


@pytest.mark.parametrize("options", [PAPERS, PAPERS | COLOURS], ids=["plain", "colours"])
def test_a_picture_made_in_tiles_is_the_picture_made_whole(options: dict[str, object]) -> None:
    content, style = images.noise((100, 140), 1), images.noise((90, 120), 2)
    content, style = (torch.nn.functional.avg_pool2d(x, 7, 1) for x in (content, style))
    settings = {"size": 144, "scales": "1", "steps": 2, "dtype": "float32", **options}
    whole, tiled = (stylise(content, style, tile=tile, **settings) for tile in (None, 64))
    assert tiled.card["tile"] == 64
    assert (whole.image - tiled.image).abs().max() < 2e-3
    for name, value in whole.history["final"].items():
        assert tiled.history["final"][name] == pytest.approx(value, rel=1e-4)


def test_the_default_way_takes_the_same_steps_in_tiles() -> None:
    content, style = (torch.nn.functional.avg_pool2d(images.noise((106, 146), seed), 7, 1) for seed in (1, 2))
    settings = {"size": 144, "scales": "1", "steps": 2, "dtype": "float32"}
    whole, tiled = (stylise(content, style, tile=tile, **settings) for tile in (None, 64))
    assert (whole.image - tiled.image).abs().max() < 2e-3
    for one, other in zip(whole.history["steps"], tiled.history["steps"], strict=True):
        assert all(other[name] == pytest.approx(one[name], rel=1e-4) for name in ("content", "style", "tv", "total"))


def test_guides_work_in_tiles_too(tmp_path: Path) -> None:
    content, styles = images.noise((64, 128), 1), [images.noise((64, 96), seed) for seed in (2, 3)]
    left = torch.zeros(1, 3, 64, 128)
    left[..., :64] = 1
    masks = [str(images.save(mask, tmp_path / f"{k}.png")) for k, mask in enumerate((left, 1 - left))]
    settings = PAPERS | {"size": 128, "scales": "1", "steps": 3, "dtype": "float32", "content_guide": masks}
    whole, tiled = (stylise(content, styles, tile=tile, **settings) for tile in (None, 64))
    assert (whole.image - tiled.image).abs().mean() < 1e-5  # one pixel whose gradient is nearly 0 may take a step of its own


def test_only_scales_larger_than_a_tile_cost_more_and_by_their_own_margins() -> None:
    net = backbone("classroom")
    assert preflight._pixels(View(net, 512), LAYERS, (300, 512)) == 300 * 512
    assert preflight._pixels(View(net), LAYERS, (512, 1024)) == 512 * 1024
    two = 2 * (512 + 96) * 512  # two tiles, each with its margin on one side
    assert preflight._pixels(View(net, 512), LAYERS, (512, 1024)) == pytest.approx(preflight.TILED * two)


def test_a_long_run_is_announced_before_its_targets_are_computed(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of 4096 pixels take minutes, in silence till then."""

    def targets(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nstutils.runs.resolve._targets", targets)
    monkeypatch.setattr(preflight, "PROBES", (24, 56))
    with pytest.raises(KeyboardInterrupt):
        stylise(*pictures, size=200, tile=64, steps=4, progress=True)
    assert re.search(r"this run will take about .* in tiles of 64 pixels, once its targets", capsys.readouterr().err)
    with pytest.raises(KeyboardInterrupt):
        stylise(*pictures, size=64, steps=4, progress=True)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_bounds_the_memory(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = dict(zip((1, 2), preflight.FILES[::-1], strict=True))[version]
    own = tmp_path / "groups" / ("memory/hub/user" if version == 1 else "hub/user")
    own.mkdir(parents=True)

    def write(folder: Path, limit: str) -> None:
        for name, text in zip((*names[:2], "memory.stat"), (limit, "700", f"anon 600\n{names[2]} 100"), strict=True):
            (folder / name).write_text(f"{text}\n", encoding="utf-8")

    of = tmp_path / "cgroup"
    of.write_text("9:memory:/hub/user\n0::/\n" if version == 1 else "0::/hub/user\n", encoding="utf-8")
    write(own, "max")
    assert preflight.granted(tmp_path / "groups", of) == math.inf
    write(own.parent, "1500")
    assert preflight.granted(tmp_path / "groups", of) == 900
    write(own, "1000")
    assert preflight.granted(tmp_path / "groups", of) == 400
    write(own, "500")
    assert preflight.granted(tmp_path / "groups", of) == 0
    assert preflight.granted(tmp_path / "groups", tmp_path / "nowhere") == math.inf
    monkeypatch.setattr(preflight, "granted", lambda: 1000)
    assert preflight.free_memory(torch.device("cpu")) == int(1000 * preflight.SHARE)
