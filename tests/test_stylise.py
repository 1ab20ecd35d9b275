"""Whole runs: their pictures, histories and cards, every kind of start, colour and guide, and going on after any end."""

import inspect
import json
import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import apart
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nstutils import Result, backbone, cli, images, load, save, stylise, sweep
from nstutils.backbones import vgg
from nstutils.library.errors import UserError
from nstutils.runs.options import PAPERS, Options
from nstutils.runs.resolve import prepare
from nstutils.runs.store import state_path

LAYERS = {"content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}
QUICK: dict[str, Any] = PAPERS | {"size": 32, "steps": 6, "scales": "16,32", "dtype": "float32"} | LAYERS
DEFAULTS = {name: getattr(Options(), name) for name in PAPERS if name not in LAYERS}  # what QUICK takes from PAPERS instead


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A narrow network instead of the shipped one, as a weights file of the reader's; one thread, here and in processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.manual_seed(3)
    save_file(vgg((8, 8, 12, 12, 16)).state_dict(), tmp_path / "small.safetensors")
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "small.safetensors"))
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_num_threads(before)


def flags(options: dict[str, Any]) -> list[str]:
    """Options of the Python function as the command line wants them."""
    texts = {k: ",".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for k, v in options.items()}
    return [f"--{key.replace('_', '-')}={text}" for key, text in texts.items()]


def written(path: Path) -> Any:
    """JSON as a stranger reads it; NaN and infinity are not JSON."""

    def refuse(word: str) -> None:
        raise ValueError(f"{path} holds {word}")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def content_loss(net: Any, x: Tensor, p: Tensor, layers: list[str]) -> float:
    """Eq. 1, written out."""
    return sum(0.5 * (net(x, layers)[k].double() - net(p, layers)[k].double()).square().sum().item() for k in layers)


def style_loss(net: Any, x: Tensor, a: Tensor, layers: list[str]) -> float:
    """Eqs. 3 to 5, written out, with equal weights."""
    errors = []
    for k in layers:
        f, g = (net(image, layers)[k].double().flatten(2)[0] for image in (x, a))
        errors.append((f @ f.T / f.shape[1] - g @ g.T / g.shape[1]).square().sum().item() / (4 * len(f) ** 2))
    return sum(errors) / len(errors)


def kappa(net: Any, p: Tensor, a: Tensor, artwork: Tensor) -> float:
    """10^3 L_style(x = p) / L_content(x = a), with a cut to the frame of p."""
    style = style_loss(net, p, artwork, LAYERS["style_layers"])
    return 1e3 * style / content_loss(net, a, p, LAYERS["content_layers"])


@pytest.mark.parametrize("method", ["adam", "sgd", "lbfgs"])
def test_the_shipped_network_makes_one_picture_from_two(
    pictures: tuple[str, str], tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NSTUTILS_WEIGHTS")
    out = tmp_path / "out.png"
    result = stylise(*pictures, size=48, steps=12, method=method, out=out)
    rows = result.history["steps"]
    assert len(rows) == 12
    assert result.history["final"]["total"] < rows[0]["total"]
    again = Result.load(out)
    assert again.card["settings"] == json.loads(json.dumps(result.card["settings"]))
    assert again.card["settings"]["content_layers"] == ["relu2_2", "relu3_3"]
    assert again.card["settings"]["style_layers"] == [f"relu{block}_1" for block in range(1, 6)]
    assert (again.image - result.image).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("method", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_seed_gives_the_same_bits_twice_and_another_seed_another_picture(
    method: str, dtype: str, pictures: tuple[str, str]
) -> None:
    first, again, other = (stylise(*pictures, **QUICK | {"method": method, "dtype": dtype}, seed=seed) for seed in (4, 4, 5))
    assert torch.equal(first.image, again.image)
    assert [r["total"] for r in first.history["steps"]] == [r["total"] for r in again.history["steps"]]
    assert (first.image - other.image).abs().max() > 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_history_and_final_losses_are_what_a_stranger_computes(dtype: str, pictures: tuple[str, str], tmp_path: Path) -> None:
    words = flags(QUICK | {"dtype": dtype, "alpha": 0.5, "beta": 200.0, "tv": 0.01, "history": "log.json"})
    assert cli.main(["stylise", *pictures, "-o", "out.png", *words]) == 0
    history, card = written(tmp_path / "log.json"), written(tmp_path / "out.png.run.json")
    assert list(history) == ["backbone", "weights_sha256", "kappa", "setup_seconds", "seconds", "final", "steps"]
    assert card["history"] == history
    net = backbone("classroom")
    assert (history["backbone"], history["weights_sha256"]) == ("classroom", net.sha256)
    photograph, artwork = load(pictures[0]), load(pictures[1])
    for size in (16, 32):
        p, a = images.resize(photograph, size), images.resize(artwork, size)
        assert card["kappa_by_size"][str(size)] == pytest.approx(
            kappa(net, p, images.cover(artwork, p.shape[-2:]), a), rel=2e-3
        )
    assert history["kappa"] == card["kappa"] == card["kappa_by_size"]["32"]
    for number, row in enumerate(history["steps"], start=1):
        assert set(row) == {"step", "size", "content", "style", "tv", "total", "seconds"}
        assert (row["step"], row["size"]) == (number, 16 if number <= 3 else 32)
        assert all(math.isfinite(value) for value in row.values())
        whole = 0.5 * card["kappa_by_size"][str(row["size"])] * row["content"] + 200 * row["style"] + 0.01 * row["tv"]
        assert row["total"] == pytest.approx(whole, rel=1e-5)
    times = [row["seconds"] for row in history["steps"]]
    assert times == sorted(times)
    assert times[0] > 0
    assert history["seconds"] == times[-1]
    assert history["setup_seconds"] > 0
    x, final = load("out.png"), history["final"]
    assert final["content"] == pytest.approx(content_loss(net, x, p, LAYERS["content_layers"]), rel=1e-3)
    assert final["style"] == pytest.approx(style_loss(net, x, a, LAYERS["style_layers"]), rel=1e-3)
    tv = sum(x.double().diff(dim=d).square().sum().item() for d in (-1, -2))
    assert final["tv"] == pytest.approx(tv, rel=1e-5)
    whole = 0.5 * history["kappa"] * final["content"] + 200 * final["style"] + 0.01 * final["tv"]
    assert final["total"] == pytest.approx(whole, rel=1e-5)


def test_the_first_row_tells_the_losses_of_the_start_picture(pictures: tuple[str, str]) -> None:
    result = stylise(*pictures, **QUICK | {"scales": "1"}, seed=7)
    net, row = backbone("classroom"), result.history["steps"][0]
    x, (p, a) = images.noise((21, 32), 7), (load(name, 32) for name in pictures)
    assert row["content"] == pytest.approx(content_loss(net, x, p, LAYERS["content_layers"]), rel=1e-4)
    assert row["style"] == pytest.approx(style_loss(net, x, a, LAYERS["style_layers"]), rel=1e-4)


def remade(card: dict[str, Any], **more: Any) -> Result:
    """A run made again by a second reader, who has the card alone."""
    said = card["settings"]
    assert backbone(said["backbone"]).sha256 == said["weights_sha256"], "the weights of the card are wanted first"
    options = {item.name: said[item.name] for item in fields(Options) if item.name in said}
    options["init"] = said["init"] if isinstance(said["init"], str) else said["init"]["name"]
    for guide in ("content_guide", "style_guide"):
        options[guide] = [mask["name"] for mask in said[guide]] or None
    return stylise(said["content"]["name"], [picture["name"] for picture in said["style"]], **options, **more)


CARDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "the default way": DEFAULTS | {"content_layers": None},
    "presets and defaults": {"size": None, "steps": None, "preset": "smoke", "scales": "auto", "dtype": "auto"},
    "weights": {"alpha": 0.1, "beta": 5.0, "tv": 0.1, "layer_weights": [0.3, 0.7], "seed": 9},
    "a schedule": {"layer_weights": {1: [1, 1], 5: [0.2, 1]}, "lr": 0.1},
    "a start from a file": {"init": "start.png", "method": "sgd", "pool": "max"},
    "two styles": {"styles": 2, "style_weights": [1, 3], "raw_loss": True},
    "guides": {"styles": 2, "content_guide": ["left.png", "right.png"], "style_guide": ["square.png", "left.png"]},
    "guides by field": {"styles": 2, "content_guide": ["left.png", "right.png"], "guide_mode": "field"},
    "colours": {"keep_colour": "luminance", "method": "lbfgs"},
    "bfloat16": {"dtype": "bfloat16", "init": "stripes"},
}


@pytest.mark.parametrize("changes", CARDS.values(), ids=CARDS.keys())
def test_a_second_reader_makes_the_same_picture_from_the_card_alone(
    changes: dict[str, Any], pictures: tuple[str, str], tmp_path: Path
) -> None:
    masks(tmp_path)
    save(torch.rand(1, 3, 20, 20), tmp_path / "start.png")
    options = QUICK | changes
    styles = [pictures[1], pictures[0]][: options.pop("styles", 1)]
    result = stylise(pictures[0], styles, out="one.png", **options)
    again = remade(written(tmp_path / "one.png.run.json"), out="two.png")
    assert torch.equal(result.image, again.image)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert json.loads(json.dumps(result.card)) == json.loads(json.dumps(again.card))
    assert set(result.card) >= {
        "settings",
        "seed",
        "backbone",
        "weights_sha256",
        "kappa",
        "kappa_by_size",
        "versions",
        "threads",
    }
    assert set(result.card["versions"]) >= {"python", "torch", "nstutils"}


@pytest.mark.parametrize("zero", ["alpha", "beta"])
def test_content_or_style_alone_is_allowed_and_falls(zero: str, pictures: tuple[str, str]) -> None:
    result = stylise(*pictures, **QUICK | {"steps": 30, "scales": "1"}, **{zero: 0})
    rows, kept = result.history["steps"], "style" if zero == "alpha" else "content"
    assert result.history["final"][kept] < 0.5 * rows[0][kept]
    factor = Options().beta if zero == "alpha" else result.card["kappa"]
    assert rows[5]["total"] == pytest.approx(factor * rows[5][kept], rel=1e-5)


def test_from_a_picture_no_scale_is_below_256_pixels_and_from_noise_64_are_the_first(pictures: tuple[str, str]) -> None:
    def sides(**asked: Any) -> list[int]:
        task = prepare(*pictures, Options(size=512, steps=9, **asked)).stages()
        return [max(stage.size) for stage in task]

    assert sides() == sides(init="style") == [256, 512]
    assert sides(init="noise") == sides(init="faint") == sides(init="stripes") == [64, 128, 256, 512]
    assert sides(scales="1") == [512]


def test_nothing_to_minimise_is_refused(pictures: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="all zero"):
        stylise(*pictures, alpha=0, beta=0, tv=0)
    with pytest.raises(ValueError, match="stylise has no option 'alfa'; did you mean alpha"):
        stylise(*pictures, alfa=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": "10"}, "steps is '10', but must be a whole number"),
        ({"size": 64.5}, "size is 64.5, but must be a whole number"),
        ({"alpha": "1"}, "alpha is '1', but must be a number"),
        ({"style_layers": "relu1_1"}, r"style_layers is 'relu1_1', but wants a list of layers; give \['relu1_1'\]"),
        ({"content_layers": "relu4_2"}, r"content_layers is 'relu4_2', but wants a list of layers"),
        ({"tile": 32}, "tile is 32, but must be at least 64"),
        ({"lr": 0}, "lr is 0, but must be a positive number; leave it out"),
        ({"beta": -1.0}, "beta is -1.0, but a weight is a number from 0 up"),
        ({"colour": "keep"}, "stylise has no option 'colour'"),
    ],
)
def test_usual_mistakes_are_answered_in_a_sentence(options: dict[str, Any], words: str, pictures: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=words):
        stylise(*pictures, **options)


def test_help_and_completion_name_every_option() -> None:
    shown = inspect.signature(stylise).parameters
    assert {item.name: item.default for item in fields(Options)}.items() <= {k: p.default for k, p in shown.items()}.items()
    assert [name for name in shown if name in ("content", "style", "out", "watch", "options")] == [
        "content",
        "style",
        "out",
        "watch",
    ]


def test_every_file_is_decoded_once(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen, real = [], Image.open

    def watched(file: Any, *given: Any, **own: Any) -> Any:
        seen.append(str(file))
        return real(file, *given, **own)

    monkeypatch.setattr(Image, "open", watched)
    stylise(*pictures, **QUICK)
    assert sorted(seen) == sorted(pictures)


def test_a_very_large_file_is_never_held_in_floats(tmp_path: Path) -> None:
    """As content and style, 30 million pixels took 1.2 GB at --size 64."""
    Image.new("L", (5500, 5500), 128).save(tmp_path / "large.png")
    large = str(tmp_path / "large.png")
    assert apart.grown(partial(stylise, size=64, steps=1, init="noise", **LAYERS), large, large) < 400


@pytest.mark.parametrize(
    ("shape", "size", "wanted"), [((32, 48), 24, (16, 24)), ((48, 32), 24, (24, 16)), ((20, 20), 33, (33, 33))]
)
def test_size_is_the_long_side(shape: tuple[int, int], size: int, wanted: tuple[int, int]) -> None:
    result = stylise(torch.rand(1, 3, *shape), torch.rand(1, 3, 30, 20), **QUICK | {"size": size, "scales": "1", "steps": 1})
    assert result.image.shape[-2:] == wanted


def test_steps_are_shared_among_the_scales_and_never_more_scales_than_steps(pictures: tuple[str, str]) -> None:
    rows = stylise(*pictures, **QUICK | {"size": 256, "steps": 5, "scales": "auto"}).history["steps"]
    assert [row["size"] for row in rows] == [64, 64, 128, 128, 256]
    rows = stylise(*pictures, **QUICK | {"size": 128, "steps": 1, "scales": "auto"}).history["steps"]
    assert [row["size"] for row in rows] == [128]


def test_raw_loss_minimises_the_losses_as_they_are(pictures: tuple[str, str]) -> None:
    result = stylise(*pictures, **QUICK, raw_loss=True, alpha=2.0, beta=3.0)
    assert result.card["kappa"] == 1
    assert set(result.card["kappa_by_size"].values()) == {1}
    for row in result.history["steps"]:
        assert row["total"] == pytest.approx(2 * row["content"] + 3 * row["style"], rel=1e-5)


@pytest.mark.parametrize("scales", ["1", "16,32"])
def test_layer_weights_change_at_their_step(scales: str, pictures: tuple[str, str], tmp_path: Path) -> None:
    rows = {}
    for weights in ("1,1", "1,1;5:1,0", "1,1;5:0,1", "1,1;5:.2,1"):
        words = flags(QUICK | {"scales": scales, "history": "log.json"})
        assert cli.main(["stylise", *pictures, "-o", "out.png", *words, f"--layer-weights={weights}"]) == 0
        rows[weights] = written(tmp_path / "log.json")["steps"]
    plain, first, second, mixed = rows.values()
    for number in range(5):  # up to the fifth row all see the same pictures
        assert plain[number]["content"] == first[number]["content"] == mixed[number]["content"]
    assert [row["style"] for row in mixed[:4]] == [row["style"] for row in plain[:4]]
    assert mixed[4]["style"] == pytest.approx(0.2 * first[4]["style"] + second[4]["style"], rel=1e-5)
    assert plain[4]["style"] == pytest.approx(first[4]["style"] + second[4]["style"], rel=1e-5)


def test_luminance_keeps_the_colours_of_the_photograph(pictures: tuple[str, str]) -> None:
    photograph = load(pictures[0]) * 0.4 + 0.3  # far from black and white, where colours are cut off
    result = stylise(photograph, pictures[1], **QUICK, keep_colour="luminance")
    wanted = images.resize(photograph, (21, 32))
    inside = ((result.image > 0.001) & (result.image < 0.999)).all(1, keepdim=True).expand_as(wanted)
    chroma, kept = result.image - images.luminance(result.image), wanted - images.luminance(wanted)
    assert inside.float().mean() > 0.3
    assert (chroma - kept)[inside].abs().max() < 1e-4
    plain = stylise(photograph, pictures[1], **QUICK).image
    assert ((plain - images.luminance(plain)) - kept).abs().max() > 0.05


def test_match_gives_the_styles_the_mean_colours_of_the_photograph() -> None:
    photograph = torch.rand(1, 3, 24, 24) * torch.tensor([0.3, 0.1, 0.2]).view(1, 3, 1, 1) + 0.4
    artwork = torch.rand(1, 3, 24, 24) * 0.5
    problem = prepare(photograph, artwork, Options(**QUICK, keep_colour="match"))
    assert torch.allclose(problem.pictures.styles[0].mean((2, 3)), photograph.mean((2, 3)), atol=0.01)
    options = QUICK | {"steps": 60, "scales": "1", "alpha": 0}
    kept, plain = (stylise(photograph, artwork, **options, keep_colour=k).image for k in ("match", None))
    away = [(image.mean((2, 3)) - photograph.mean((2, 3))).norm() for image in (kept, plain)]
    assert away[0] < 0.5 * away[1]


def masks(place: Path) -> None:
    """Two halves that cover the content, and a mask for a square style."""
    half = (torch.arange(48) < 24).float().expand(1, 3, 32, 48)
    save(half, place / "left.png")
    save(1 - half, place / "right.png")
    save((torch.arange(40) < 30).float().expand(1, 3, 40, 40), place / "square.png")


@pytest.mark.parametrize(("first", "second"), [("left", "right"), ("right", "left")])
def test_guides_on_the_command_line_put_each_style_in_its_region(
    first: str, second: str, pictures: tuple[str, str], tmp_path: Path
) -> None:
    masks(tmp_path)
    for name, colour in (("red", (0.9, 0.1, 0.1)), ("blue", (0.1, 0.1, 0.9))):
        save(torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 40, 40), tmp_path / f"{name}.png")
    own = {"size": 32, "steps": 80, "lr": 0.1, "alpha": 0, "style_layers": "conv1_1,conv1_2", "content_layers": "relu1_1"}
    words = flags(PAPERS | own)
    guides = [f"--content-guide={first}.png", f"--content-guide={second}.png"]
    assert cli.main(["stylise", pictures[0], "red.png", "blue.png", "-o", "out.png", *words, *guides]) == 0
    reddish = load("out.png")[0, 0] - load("out.png")[0, 2]
    left, right = reddish[:, :13].mean(), reddish[:, -13:].mean()
    assert (left - right if first == "left" else right - left) > 0.5
    card = written(tmp_path / "out.png.run.json")
    assert [mask["name"] for mask in card["settings"]["content_guide"]] == [f"{first}.png", f"{second}.png"]
    assert card["settings"]["guide_mode"] == "simple"
    assert card["regions"] == {
        "regions": [768, 768], "gap": 0, "overlap": 0, "pixels": 1536, "taken": [[1600, 1600], [1600, 1600]],
        "modes": {"32": "simple"},
    }  # fmt: skip


HALVES: dict[str, Any] = {"content_guide": ["left.png", "right.png"]}
GUIDED: list[dict[str, Any]] = [
    HALVES,
    HALVES | {"guide_mode": "field", "style_weights": [1, 3], "seed": 2},
    {"content_guide": ["right.png", "soft.png"], "style_guide": ["square.png", "left.png"], "guide_mode": "inside"},
    HALVES | {"style_layers": ["relu1_1"], "alpha": 0.1},
]


def guided(place: Path) -> dict[str, Any]:
    """The masks of `masks`, and a soft one from black on the left to white on the right; options of a guided run."""
    masks(place)
    save(torch.linspace(0, 1, 48).expand(1, 3, 32, 48), place / "soft.png")
    return QUICK | {"size": 64, "scales": "48,64", "method": "adam"}


def test_guided_runs_of_a_sweep_give_what_each_gives_by_itself(pictures: tuple[str, str], tmp_path: Path) -> None:
    common = guided(tmp_path)
    found = sweep(pictures[0], pictures[::-1], [*GUIDED, {"seed": 1}], progress=False, **common)
    assert not any("batch" in result.card for result in found)
    assert "regions" not in found[4].card
    for given, result in zip(GUIDED, found, strict=False):
        single = stylise(pictures[0], pictures[::-1], **common | given)
        assert (result.image - single.image).abs().max() < 0.01
        assert result.card["regions"] == single.card["regions"]
        assert result.card["settings"] == json.loads(json.dumps(single.card["settings"]))
        for one, other in zip(result.history["steps"], single.history["steps"], strict=True):
            assert one["style"] == pytest.approx(other["style"], rel=2e-3)
    assert (found[0].image - found[2].image).abs().max() > 0.1


@pytest.mark.parametrize("given", GUIDED[1:3], ids=["field", "inside"])
def test_a_guided_picture_made_in_tiles_is_the_picture_made_whole(
    given: dict[str, Any], pictures: tuple[str, str], tmp_path: Path
) -> None:
    common = guided(tmp_path) | {"size": 160, "scales": "80,160"}
    whole, tiled = (stylise(pictures[0], pictures[::-1], tile=tile, **common | given) for tile in (None, 64))
    assert tiled.card["tile"] == 64
    assert (whole.image - tiled.image).abs().mean() < 1e-5  # one pixel whose gradient is nearly 0 may take a step of its own
    for one, other in zip(whole.history["steps"], tiled.history["steps"], strict=True):
        assert other["style"] == pytest.approx(one["style"], rel=1e-4)


def test_an_empty_guide_is_simple_on_the_way_and_an_error_at_the_end(pictures: tuple[str, str], tmp_path: Path) -> None:
    corner = torch.zeros(1, 3, 32, 48)
    corner[..., :10, :10] = 1
    save(corner, tmp_path / "corner.png")
    save(1 - corner, tmp_path / "rest.png")
    options = QUICK | {"steps": 3, "scales": "auto", "content_guide": ["corner.png", "rest.png"], "style_layers": ["relu5_1"]}

    def modes(size: int, mode: str, **given: Any) -> dict[str, str]:
        card = stylise(pictures[0], pictures, **options | {"size": size, "guide_mode": mode} | given).card
        return dict(card["regions"]["modes"])

    assert modes(256, "simple") == {"64": "simple", "128": "simple", "256": "simple"}
    assert modes(256, "field") == {"64": "field", "128": "field", "256": "field"}
    assert modes(256, "inside") == {"64": "simple", "128": "inside", "256": "inside"}
    assert modes(256, "inside", scales="64,256") == {"64": "simple", "256": "inside"}
    words = r"empty at layer relu5_1: its region has \d+ of 2752 pixels \(64 x 43\), too few for mode 'inside'"
    with pytest.raises(ValueError, match=words):
        modes(64, "inside")


@pytest.mark.parametrize(("weights", "first", "second"), [([1, 0], True, False), ([0, 2], False, True)])
def test_the_weight_of_a_style_is_that_of_its_region(
    weights: list[float], first: bool, second: bool, pictures: tuple[str, str], tmp_path: Path
) -> None:
    masks(tmp_path)
    options = QUICK | {"scales": "1", "steps": 1, "alpha": 0, "init": "content", "style_layers": ["relu1_1"]}
    options |= {"method": "adam", "lr": 0.1}
    made = stylise(pictures[0], pictures[::-1], **options, **HALVES, style_weights=weights).image
    moved = (made - load(pictures[0], 32)).abs().amax((0, 1, 2)) > 0.01
    assert bool(moved[:14].any()) is first
    assert bool(moved[18:].any()) is second


def test_masks_given_as_tensors_are_the_files(pictures: tuple[str, str], tmp_path: Path) -> None:
    masks(tmp_path)
    tensors = {"content_guide": [load(path)[:, :1] for path in HALVES["content_guide"]]}
    one, other = (stylise(pictures[0], pictures, **QUICK, **given) for given in (HALVES, tensors))
    assert torch.equal(one.image, other.image)
    with pytest.raises(ValueError, match=r"content_guide is not a list, but wants one mask for each style; put it in \[ \]"):
        stylise(*pictures, **QUICK, content_guide="left.png")


def test_gaps_and_overlaps_are_told_with_their_pixels(
    pictures: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks(tmp_path)
    save((torch.arange(48) < 30).float().expand(1, 3, 32, 48), tmp_path / "most.png")
    told = {}
    for second in ("right", "left", "most"):
        words = flags(QUICK | {"guide_mode": "field"})
        guides = ["--content-guide=left.png", f"--content-guide={second}.png"]
        assert cli.main(["stylise", pictures[0], *pictures, "-o", "out.png", *words, *guides]) == 0
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("masks:")]
        card = written(tmp_path / "out.png.run.json")
        told[second] = lines
        assert card["settings"]["guide_mode"] == "field"
    gap, overlap = "of 1536 pixels belong to no region and take no style", "of 1536 pixels take more than one style"
    assert told["right"] == []
    assert told["left"] == [f"masks: 768 {gap}", f"masks: 768 {overlap}"]
    assert told["most"] == [f"masks: 576 {gap}", f"masks: 768 {overlap}"]
    assert (card["regions"]["regions"], card["regions"]["gap"], card["regions"]["overlap"]) == ([768, 960], 576, 768)


def test_another_number_of_masks_than_of_styles_is_refused_with_their_pixels(pictures: tuple[str, str], tmp_path: Path) -> None:
    masks(tmp_path)
    with pytest.raises(ValueError, match=r"content_guide gives 1 masks \(768 of 1536 pixels\) for 2 styles; give one for each"):
        stylise(pictures[0], pictures, **QUICK, content_guide=["left.png"])
    three = ["square.png", "left.png", "right.png"]
    words = r"style_guide gives 3 masks \(1200 of 1600, 768 of 1536, 768 of 1536 pixels\) for 2 styles; give one for each"
    with pytest.raises(ValueError, match=words):
        stylise(pictures[0], pictures, **QUICK, **HALVES, style_guide=three)


@pytest.mark.parametrize("init", ["noise", "faint", "content", "style", "stripes", "start.png"])
def test_every_kind_of_start_is_where_the_run_begins(init: str, pictures: tuple[str, str], tmp_path: Path) -> None:
    torch.manual_seed(1)
    save(torch.rand(1, 3, 21, 32), tmp_path / "start.png")
    words = flags(QUICK | {"steps": 1, "scales": 1, "lr": 1e-4, "init": init, "seed": 3})
    assert cli.main(["stylise", *pictures, "-o", "out.png", *words]) == 0
    wanted = {
        "noise": images.noise((21, 32), 3),
        "faint": images.faint((21, 32), 3),
        "content": load(pictures[0], 32),
        "style": images.cover(load(pictures[1]), (21, 32)),
        "stripes": images.stripes((21, 32)),
        "start.png": load("start.png"),
    }
    distance = {name: (load("out.png") - picture).abs().max().item() for name, picture in wanted.items()}
    assert distance.pop(init) < 0.004
    assert min(distance.values()) > 0.1


LONG = {
    "method": "adam",
    "init": "noise",
    "size": 48,
    "steps": 300,
    "scales": "24,48",
    "layer_weights": "1,1;150:.2,1",
    "seed": 2,
    **LAYERS,
}


def saved(out: Path, alive: Callable[[], bool]) -> None:
    """Wait until a run in another process has saved something new."""
    before = state_path(out).stat().st_mtime_ns if state_path(out).exists() else 0
    end = time.monotonic() + 150
    while not state_path(out).exists() or state_path(out).stat().st_mtime_ns == before:
        assert alive()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_run_killed_three_times_ends_like_an_undisturbed_one(
    pictures: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stylise", *pictures, *flags(LONG)]
    out = tmp_path / "out.png"
    seen = []
    for attempt in range(3):
        own = [*words, "-o", "out.png", *(["--resume"] if attempt else [])]
        process = apart.started(apart.commanded, own, tmp_path / "said")
        saved(out, process.is_alive)
        time.sleep(random.uniform(0.05, 0.3))
        assert process.is_alive(), "the run ended before it was killed: make it longer"
        process.kill()
        process.join()
        seen.append(len(Result.load(out).history["steps"]))
    assert seen == sorted(seen)
    assert 0 < seen[0] < seen[-1] < LONG["steps"]
    assert cli.main([*words, "-o", "out.png", "--resume"]) == 0
    assert cli.main([*words, "-o", "whole.png"]) == 0
    assert out.read_bytes() == (tmp_path / "whole.png").read_bytes()
    one, two = (written(tmp_path / f"{name}.png.run.json")["history"] for name in ("out", "whole"))
    assert [row["total"] for row in one["steps"]] == [row["total"] for row in two["steps"]]
    assert one["final"] == two["final"]
    assert not list(tmp_path.glob("*.state.safetensors"))
    capsys.readouterr()


@pytest.mark.parametrize("way", [PAPERS, DEFAULTS], ids=["papers", "default"])
@pytest.mark.parametrize("last", [*range(1, 8), 14, 15, 16])
def test_a_run_killed_between_any_two_files_goes_on(
    last: int, way: dict[str, Any], pictures: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = QUICK | way | LAYERS

    class Killed(BaseException):
        pass

    whole = stylise(*pictures, **options).image
    count, put = 0, os.replace

    def replace(*names: Any) -> None:
        nonlocal count
        if count == last:
            raise Killed
        count += 1
        put(*names)

    with monkeypatch.context() as patch:
        patch.setattr("nstutils.descent.EVERY", 0.0)
        patch.setattr("os.replace", replace)
        with pytest.raises(Killed):
            stylise(*pictures, **options, out="out.png")
    result = stylise(*pictures, **options, out="out.png", resume=last >= 2)
    assert result.finished
    assert torch.equal(result.image, whole)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.png", "out.png.run.json"]


def test_an_interrupt_keeps_the_picture_and_says_how_to_go_on(pictures: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    process = apart.started(apart.commanded, ["stylise", *pictures, "-o", "out.png", *flags(LONG)], tmp_path / "said")
    saved(out, process.is_alive)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(150)
    said = (tmp_path / "said").read_text(encoding="utf-8")
    last = said.splitlines()[-1]
    assert process.exitcode == 1
    assert last.startswith("stopped after step ")
    assert "--resume" in last
    assert "out.png" in last
    assert "Traceback" not in said
    sofar = Result.load(out)
    assert not sofar.finished
    assert sofar.image.shape == (1, 3, 32, 48)
    assert f"stopped after step {len(sofar.history['steps'])} of {LONG['steps']}" in last


def test_going_on_with_a_finished_run_says_so_and_does_nothing(
    pictures: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["stylise", *pictures, "-o", "out.png", *flags(QUICK)]
    assert cli.main(words) == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("out*")}
    capsys.readouterr()
    monkeypatch.setattr(sys.modules["nstutils.transfer"], "coarse_to_fine", None)
    assert cli.main([*words, "--resume", "--history=log.json"]) == 0
    assert "finished already" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in tmp_path.glob("out*")} == before
    assert written(tmp_path / "log.json") == written(tmp_path / "out.png.run.json")["history"]


def test_an_input_behind_a_tilde_is_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save(torch.rand(1, 3, 24, 32), "in.png")
    before = Path("in.png").read_bytes()
    for content, style in (("~/in.png", "swirls"), ("town", "~/in.png")):
        with pytest.raises(ValueError, match="is one of the files to read; give another name"):
            stylise(content, style, out="~/in.png", **QUICK)
    assert Path("in.png").read_bytes() == before


def test_a_picture_that_was_fetched_is_never_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    save(torch.rand(1, 3, 24, 32), "kept.png")
    monkeypatch.setattr("nstutils.library.fetch.cached", lambda name: Path("kept.png"))
    with pytest.raises(ValueError, match="is one of the files to read"):
        stylise("starry_night", "swirls", out="kept.png", **QUICK)


def test_the_picture_so_far_has_the_photographs_colours_too(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(step: Any) -> None:
        if step.index == 4:
            raise Killed

    monkeypatch.setattr("nstutils.descent.EVERY", 0.0)
    options = QUICK | {"scales": "1", "keep_colour": "luminance", "out": "out.png"}
    with pytest.raises(Killed):
        stylise(*pictures, **options, watch=killed)
    seen = Result.load("out.png")
    assert not seen.finished
    colours = load(pictures[0], 32)
    wanted = images.with_luminance_of(seen.image, colours)
    assert (seen.image - wanted).abs().mean() < 2 / 255  # but for what was cut to [0, 1]
    assert (images.luminance(seen.image).expand(-1, 3, -1, -1) - seen.image).abs().max() > 0.1, "it is grey"
    whole = stylise(*pictures, **options | {"out": None})
    assert torch.equal(stylise(*pictures, **options, resume=True).image, whole.image)


def test_a_run_that_goes_on_keeps_its_tiles_whatever_memory_is_free(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(step: Any) -> None:
        raise Killed

    monkeypatch.setattr("nstutils.descent.EVERY", 0.0)
    for number, (then, now) in enumerate([(16, None), (None, 16)]):
        out = f"{number}.png"
        monkeypatch.setattr("nstutils.runs.preflight.tile_for", lambda *given, then=then: then)
        with pytest.raises(Killed):
            stylise(*pictures, out=out, **QUICK, watch=lambda step: step.index > 1 and killed(step))
        monkeypatch.setattr("nstutils.runs.preflight.tile_for", lambda *given, now=now: now)
        assert stylise(*pictures, out=out, **QUICK, resume=True).card["tile"] == then
