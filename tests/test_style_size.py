"""A size of its own for the style: the rule, what it changes (targets, masks, kappa, stores), tiles, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from nstutils import Result, backbone, cli, guidance, images, load, save, stylise, sweep
from nstutils.backbones import FeatureExtractor, vgg
from nstutils.fast import network as fast
from nstutils.fast.training import train
from nstutils.losses import gram
from nstutils.papers.experiments import find
from nstutils.papers.judging import targets
from nstutils.papers.rows import Case, Plan
from nstutils.runs import preflight
from nstutils.runs.options import PAPERS, Options
from nstutils.runs.resolve import prepare
from nstutils.runs.tasks import accept, style_long
from nstutils.runs.tiles import View

LAYERS: dict[str, Any] = {"content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}
QUICK: dict[str, Any] = PAPERS | {"size": 32, "steps": 4, "scales": "16,32", "dtype": "float32"} | LAYERS


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow network instead of the shipped one."""
    torch.manual_seed(3)
    save_file(vgg((8, 8, 12, 12, 16)).state_dict(), tmp_path / "small.safetensors")
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "small.safetensors"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("factor", "asked", "at", "least", "wanted"),
    [
        (1.0, None, 128, 1, 128), (1.0, None, 32, 1, 32), (1.0, 40, 128, 1, 40), (1.0, 40, 32, 1, 10), (1.0, 40, 32, 16, 16),
        (1.0, 40, 32, 90, 40), (0.5, None, 128, 1, 64), (0.5, 40, 128, 1, 40), (1.5, None, 32, 1, 25), (1.5, None, 128, 1, 100),
        (2.0, None, 32, 1, 25), (2.0, None, 128, 1, 100), (2.0, None, 128, 120, 100), (2.0, 40, 128, 1, 40),
    ],
)  # fmt: skip
def test_the_rule_of_the_styles_long_side(factor: float, asked: int | None, at: int, least: int, wanted: int) -> None:
    """A file of 100 pixels, a picture of 128."""
    options = Options(size=128, style_size=asked, style_scale=factor)
    assert style_long(options, torch.zeros(1, 3, 50, 100), at, least) == wanted


@pytest.mark.parametrize(("size", "wanted"), [(32, 64), (50, 100), (64, 100), (128, 100)])
def test_without_a_word_the_style_has_twice_the_pictures_size_and_at_most_its_own(size: int, wanted: int) -> None:
    assert style_long(Options(size=size), torch.zeros(1, 3, 50, 100), size) == wanted


def test_before_the_last_scale_a_style_keeps_the_pixels_that_its_layers_need() -> None:
    styles = [torch.zeros(1, 3, 30, 60), torch.zeros(1, 3, 64, 64)]
    task = accept("town", styles, Options(size=128, style_size=40, style_layers=("relu5_1",)))
    assert task.style_sizes(styles, 128) == [(20, 40), (40, 40)]
    assert task.style_sizes(styles, 32) == [(16, 32), (16, 16)]


@pytest.mark.parametrize(("scale", "long"), [(1.0, 64), (2.0, 40)])
def test_a_style_smaller_than_the_picture_is_enlarged_to_it_at_scale_1_alone(
    scale: float, long: int, pictures: tuple[str, str]
) -> None:
    problem = prepare(*pictures, Options(**QUICK | {"size": 64, "scales": "1", "style_scale": scale}))
    wanted = gram(problem.task.exact(images.resize(load(pictures[1]), long), ["relu1_1"])["relu1_1"])
    assert torch.equal(problem.scales[-1].styles[0].targets["relu1_1"], wanted)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_a_style_of_its_own_size_is_the_style_resized_beforehand(pictures: tuple[str, str], method: str) -> None:
    own = QUICK | {"scales": "1", "method": method, "raw_loss": True, "style_size": 20}
    first, second = (stylise(pictures[0], style, **own).image for style in (pictures[1], load(pictures[1], 20)))
    assert torch.equal(first, second)
    assert (first - stylise(pictures[0], pictures[1], **own | {"style_size": None}).image).abs().max() > 0.01


def test_kappa_takes_the_gram_matrices_at_the_styles_size_and_the_artwork_over_the_frame(pictures: tuple[str, str]) -> None:
    scale = prepare(*pictures, Options(**QUICK, style_size=24)).scales[-1]
    net, artwork, p = backbone("classroom"), load(pictures[1]), load(pictures[0], 32)
    for layer in LAYERS["style_layers"]:
        g, a = (gram(net(x, [layer])[layer]) for x in (p, images.resize(artwork, 24)))
        assert scale.style_errors[layer] == pytest.approx(float((g - a).square().sum()) / (4 * len(g[0]) ** 2), rel=1e-4)
    covered = images.cover(artwork, (p.shape[-2], p.shape[-1]))
    lost = (net(covered, ["relu2_1"])["relu2_1"] - net(p, ["relu2_1"])["relu2_1"]).square().sum() / 2
    assert scale.content_errors["relu2_1"] == pytest.approx(float(lost), rel=1e-4)


def masks(place: Path) -> dict[str, Any]:
    """Two halves of the content, and the parts of two styles of 40 x 40."""
    half = (torch.arange(48) < 24).float().expand(1, 3, 32, 48)
    most = (torch.arange(40) < 30).float().expand(1, 3, 40, 40)
    for name, mask in (("left", half), ("right", 1 - half), ("most", most), ("all", torch.ones(1, 3, 40, 40))):
        save(mask, place / f"{name}.png")
    return {"content_guide": ["left.png", "right.png"], "style_guide": ["most.png", "all.png"]}


def test_masks_of_the_style_are_those_of_its_size(pictures: tuple[str, str], tmp_path: Path) -> None:
    options = QUICK | masks(tmp_path) | {"style_size": 24}
    found = prepare(pictures[0], [pictures[1], pictures[1]], Options(**options)).scales[-1].styles[0]
    net, a = backbone("classroom"), load(pictures[1], 24)
    taken = F.adaptive_avg_pool2d(load("most.png")[:, :1], (24, 24))
    guides = guidance.propagate(taken, net, LAYERS["style_layers"])
    for layer, features in net(a, LAYERS["style_layers"]).items():
        assert torch.allclose(found.targets[layer], gram(features, guides[layer]), rtol=1e-4, atol=1e-6)
        assert found.guides is not None
        assert found.guides[layer].shape[-2:] == net(load(pictures[0], 32), [layer])[layer].shape[-2:]


def test_a_mask_that_a_small_style_leaves_empty_on_the_way_is_simple_there(pictures: tuple[str, str], tmp_path: Path) -> None:
    options = QUICK | masks(tmp_path) | {"size": 256, "scales": "128,256", "steps": 2, "style_layers": ["relu5_1"]}
    modes = {}
    for size in (None, 40):
        card = stylise(pictures[0], [pictures[1]] * 2, **options, guide_mode="inside", style_size=size).card
        modes[size] = card["regions"]["modes"]
    assert modes == {None: {"128": "inside", "256": "inside"}, 40: {"128": "simple", "256": "inside"}}


def single(pictures: tuple[str, str], given: dict[str, Any]) -> Result:
    """One run by itself."""
    return stylise(*pictures, **given)


def test_runs_of_a_sweep_with_other_style_sizes_share_a_batch_and_have_targets_of_their_own(pictures: tuple[str, str]) -> None:
    common = QUICK | {"size": 64, "scales": "48,64"}
    asked: list[dict[str, Any]] = [{}, {"style_size": 20}, {"style_size": 40}]
    found = sweep(*pictures, asked, progress=False, **common)
    assert [result.card["batch"] for result in found] == [3] * 3
    assert len({result.card["kappa"] for result in found}) == 3
    for given, result in zip(asked, found, strict=True):
        alone = single(pictures, common | given)
        assert (result.image - alone.image).abs().max() < 0.01
        assert result.card["kappa_by_size"] == pytest.approx(alone.card["kappa_by_size"], rel=1e-4)
        assert result.card["settings"]["style_size"] == given.get("style_size")


def test_a_store_keeps_a_run_for_every_style_size_and_for_every_style_scale(pictures: tuple[str, str], tmp_path: Path) -> None:
    def stored(**own: Any) -> int:
        sweep(*pictures, [own], folder="runs", progress=False, **QUICK)
        return len(list((tmp_path / "runs").glob("*.png")))

    assert [stored(), stored(style_size=20), stored(style_size=20), stored(style_size=24)] == [1, 2, 2, 3]
    assert [stored(style_size=24, style_scale=1.5), stored(style_scale=1.5)] == [3, 4]


REFUSED = {
    (0, "positive whole number"): {},
    (-3, "positive whole number"): {},
    (99999, "at most 16384"): {},
    (41, r"style.png has 40 x 40 pixels, and enlarging it adds no strokes; give at most 40, or a larger file"): {},
    (12, r"style.png then has 12 pixels on its short side, and relu5_1 needs 16; give at least 16, or shallower style"): {
        "style_layers": ["relu1_1", "relu5_1"]
    },
    (40, r"flat.png then has 8 pixels on its short side, and relu5_1 needs 16; take a larger file, or shallower style"): {
        "style": "flat.png", "style_layers": ["relu5_1"]
    },
}  # fmt: skip


@pytest.mark.parametrize(("value", "words"), REFUSED, ids=str)
def test_a_style_size_that_cannot_be_is_refused(value: int, words: str, pictures: tuple[str, str]) -> None:
    save(torch.rand(1, 3, 8, 40), "flat.png")
    given = dict(REFUSED[value, words])
    style = given.pop("style", pictures[1])
    with pytest.raises(ValueError, match=f"style_size is {value}, .*{words}"):
        stylise(pictures[0], style, **QUICK | given, style_size=value)
    with pytest.raises(ValueError, match=f"style_size is {value}, .*{words}"):
        sweep(pictures[0], style, [{}], progress=False, **QUICK | given, style_size=value)


def test_the_command_line_takes_it_and_a_run_of_another_style_size_does_not_go_on(
    pictures: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stylise", *pictures, "-o", "out.png", "--size=32", "--steps=2", "--content-layers=relu1_1"]
    words.append("--style-layers=relu1_1")
    assert cli.main([*words, "--style-size", "20"]) == 0
    card = json.loads(Path("out.png.run.json").read_text(encoding="utf-8"))
    assert (card["settings"]["style_size"], card["settings"]["style_scale"]) == (20, None)
    for other in (["--style-size", "24"], []):
        assert cli.main([*words, *other, "--resume"]) == 2
        assert "style_size: 20, not" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([*words, "--style-size", "large"])
    assert "invalid int value: 'large'" in capsys.readouterr().err


def test_targets_of_a_large_style_are_made_in_tiles_where_the_memory_asks_for_it_and_are_the_same(
    pictures: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(images.resize(images.noise((30, 40), 5), 400), tmp_path / "large.png")
    options = Options(**QUICK, style_size=400)
    whole = prepare(pictures[0], "large.png", options)
    net, seen, forward = whole.task.exact, [0], FeatureExtractor.forward
    monkeypatch.setattr(preflight, "TILE", 64)
    need = [preflight.memory(View(net, tile), LAYERS["style_layers"], (300, 400), None) for tile in (None, 64)]
    monkeypatch.setattr(preflight, "free_memory", lambda _: need[0] - 1)

    def watched(self: FeatureExtractor, image: torch.Tensor, layers: Any) -> dict[str, torch.Tensor]:
        seen.append(max(image.shape[-2:]))
        return forward(self, image, layers)

    monkeypatch.setattr(FeatureExtractor, "forward", watched)
    tiled = prepare(pictures[0], "large.png", options)
    assert max(seen) < 200, "the style is never looked at whole"
    assert (whole.net.tile, tiled.net.tile) == (None, None)
    for one, other in zip(whole.scales, tiled.scales, strict=True):
        assert one.kappa == pytest.approx(other.kappa, rel=1e-4)
        for layer, wanted in one.styles[0].targets.items():
            assert torch.allclose(wanted, other.styles[0].targets[layer], rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(preflight, "free_memory", lambda _: need[1] - 1)
    with pytest.raises(MemoryError, match="a style_size of 400 pixels would take .*; choose a smaller style_size: the largest"):
        prepare(pictures[0], "large.png", options)


def test_a_pass_without_gradients_takes_less_memory_than_a_step() -> None:
    net, layers = backbone("random-vgg19"), ("relu1_1", "relu5_1")
    passing, step = (preflight.memory(View(net), layers, (512, 512), method) for method in (None, "adam"))
    assert passing < 0.8 * step
    whole, tiled = (preflight.memory(View(net, tile), layers, (4096, 4096), None) for tile in (None, 512))
    assert tiled < 0.2 * whole


def test_the_time_of_large_targets_is_told(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nstutils.runs.resolve._targets", stopped)
    monkeypatch.setattr(preflight, "LONG", 2e9)
    told = []
    for size in (None, 768):
        with pytest.raises(KeyboardInterrupt):
            stylise(pictures[0], "swirls", **QUICK, style_size=size, progress=True)
        told.append(capsys.readouterr().err)
    assert not told[0]
    assert re.search(r"will take about .* GB, once its targets are computed, which takes about \d+ seconds$", told[1].strip())
    net = backbone("classroom")
    few, many = (
        preflight.passing(preflight.Ahead(View(net), ("relu2_1",), "adam", [], [(View(net), (n, n))])) for n in (64, 4096)
    )
    assert 0 < few < many


def test_training_of_the_fast_network_refuses_a_style_size_above_the_files(pictures: tuple[str, str], tmp_path: Path) -> None:
    own: dict[str, Any] = {"batch": 1, "size": 32, "width": 4, "blocks": 0, "steps": 1}
    with pytest.raises(ValueError, match="style_size is 384, but the style style has 40 x 40 pixels.*give at most 40"):
        train([pictures[1]], **own)
    assert train([pictures[1]], **own, style_size=40, out=tmp_path / "net.safetensors").finished
    assert fast.aims(tmp_path / "net.safetensors") == {"beta": 4e3, "tv": 0.03, "style_size": 40}
    fast.save(fast.load(tmp_path / "net.safetensors"), tmp_path / "plain.safetensors")
    assert fast.aims(tmp_path / "plain.safetensors") == {}


def test_the_fast_network_is_judged_at_the_style_size_it_was_trained_with(tmp_path: Path) -> None:
    make = find("fast-transfer").made
    assert make
    made = make(Case(Plan("smoke", "classroom", 64, 2, tmp_path, PAPERS), "town", "swirls"), False)
    assert made["the run"].card["settings"]["style_size"] == fast.facts()["settings"]["style_size"] == 384


def test_the_targets_of_a_figures_run_are_those_of_its_style_size(tmp_path: Path) -> None:
    own: dict[str, Any] = PAPERS | {"size": 64, "steps": 1, "scales": "1", "dtype": "float32"}
    results = {str(size): stylise("town", "swirls", **own, style_size=size) for size in (None, 128)}
    case = Case(Plan("quick", "classroom", 64, 1, tmp_path), "town", "swirls", 0, results)
    found = {label: targets(case, label).kappa for label in results}
    assert found == pytest.approx({label: result.card["kappa"] for label, result in results.items()}, rel=1e-4)
    assert found["None"] != pytest.approx(found["128"], rel=1e-3)
