"""Draft and polish: the copy's steps first, then the network's own; card, history, going on; what cannot be drafted."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nstutils import Result, backbone, cli, load, save, stylise, sweep
from nstutils.backbones import VGG_CONVS, vgg
from nstutils.losses import evaluate, total
from nstutils.runs import preflight, store
from nstutils.runs.options import Options
from nstutils.runs.resolve import prepare
from nstutils.runs.tasks import POLISH

LAYERS = {"content_layers": ["relu2_1"], "style_layers": ["relu1_1", "relu2_1"]}
DRAFT: dict[str, Any] = {"backbone": "vgg16-hed", "weights": "large.safetensors", "draft": True, **LAYERS}
DRAFT |= {"size": 32, "steps": 12, "scales": "16,32", "dtype": "float32"}


class Killed(BaseException):
    """Ends a run as a kill does."""


@pytest.fixture(autouse=True)
def _networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small VGG-16 for the network and a narrower one for its copy."""
    monkeypatch.chdir(tmp_path)
    for name, widths, seed in (("large", (16, 16, 24, 24, 32), 3), ("narrow", (8, 8, 12, 12, 16), 4)):
        torch.manual_seed(seed)
        save_file(vgg(widths, VGG_CONVS["vgg16"]).state_dict(), tmp_path / f"{name}.safetensors")
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "narrow.safetensors"))


def killed_at(number: int) -> Any:
    """A watch that kills the run at its step of this number."""
    count = 0

    def watch(step: Any) -> None:
        nonlocal count
        count += 1
        if count > number:
            raise Killed

    return watch


def card_of(path: str) -> Any:
    """The run card beside a picture."""
    return store.read_card(Path(path))


def test_the_copy_takes_all_scales_and_the_network_the_last_steps_at_full_size(pictures: tuple[str, str]) -> None:
    problem = prepare(*pictures, Options(**DRAFT))
    stages, polish = problem.stages(), round(POLISH * 12)
    assert [max(stage.size) for stage in stages] == [16, 32, 32]
    assert sum(stage.steps for stage in stages) == 12
    assert stages[-1].steps == polish
    assert [stage.net and stage.net.net.name for stage in stages] == ["classroom", "classroom", None]
    assert [max(targets.size) for targets in problem.scales] == [32], "targets that no step looks at"
    seen: list[Tensor] = []
    result = stylise(*pictures, **DRAFT, watch=lambda step: seen.append(step.image))
    rows = result.history["steps"]
    assert [row["step"] for row in rows] == [*range(1, 13)]
    assert [row.get("backbone") for row in rows] == ["classroom"] * (12 - polish) + [None] * polish
    net, terms = problem.task.exact, stages[-1].terms
    first = rows[12 - polish]  # the network's first step looks at the picture that the draft has left
    with torch.no_grad():
        assert first["total"] == pytest.approx(float(total(evaluate(net, seen[11 - polish], terms), terms)), rel=1e-4)  # type: ignore[arg-type]
        final = evaluate(net, result.image.mul(255).round().div(255), terms)  # type: ignore[arg-type]
    assert result.history["final"]["total"] == pytest.approx(float(total(final, terms)), rel=1e-4)  # type: ignore[arg-type]


def test_the_card_tells_the_draft_and_is_enough_to_make_the_picture_again(pictures: tuple[str, str]) -> None:
    result = stylise(*pictures, **DRAFT, out="one.png")
    card, copy = card_of("one.png"), backbone("classroom")
    assert card["draft"].items() >= {"backbone": "classroom", "weights_sha256": copy.sha256, "steps": 10}.items()
    assert card["draft"]["kappa_by_size"].keys() == {"16", "32"}
    assert (card["backbone"], card["settings"]["draft"]) == ("vgg16-hed", True)
    assert card["settings"]["draft_sha256"] == copy.sha256
    said = {item.name: card["settings"][item.name] for item in fields(Options) if item.name in card["settings"]}
    said |= {"content_guide": None, "style_guide": None, "weights": DRAFT["weights"]}
    assert torch.equal(stylise(*pictures, **said).image, result.image)
    plain = stylise(*pictures, **DRAFT | {"draft": False})
    assert "draft" not in plain.card
    assert not torch.equal(plain.image, result.image)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
@pytest.mark.parametrize("number", [2, 5, 8, 10, 11], ids="in the {}th step".format)
def test_a_run_killed_in_the_draft_or_in_the_polish_goes_on_exactly(
    method: str, number: int, pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = DRAFT | {"method": method}
    straight = stylise(*pictures, **options)
    monkeypatch.setattr("nstutils.descent.EVERY", 0.0)
    with pytest.raises(Killed):
        stylise(*pictures, **options, out="out.png", watch=killed_at(number))
    kept = Result.load("out.png")
    assert len(kept.history["steps"]) == number
    assert kept.history["final"].get("backbone") == ("classroom" if number <= 10 else None)
    result = stylise(*pictures, **options, out="out.png", resume=True)
    assert torch.equal(result.image, straight.image)
    assert [row["total"] for row in result.history["steps"]] == [row["total"] for row in straight.history["steps"]]


def test_a_run_does_not_go_on_with_another_copy(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstutils.descent.EVERY", 0.0)
    with pytest.raises(Killed):
        stylise(*pictures, **DRAFT, out="out.png", watch=killed_at(3))
    monkeypatch.delenv("NSTUTILS_WEIGHTS")
    with pytest.raises(ValueError, match="made with other settings .*draft_sha256"):
        stylise(*pictures, **DRAFT, out="out.png", resume=True)


WITH: dict[str, dict[str, Any]] = {
    "several styles": {"styles": 2, "style_weights": [1, 3]},
    "guides": {"styles": 2, "content_guide": ["left.png", "right.png"]},
    "luminance": {"keep_colour": "luminance"},
    "matched colours": {"keep_colour": "match"},
    "tiles": {"size": 96, "scales": "48,96", "tile": 64},
    "a schedule": {"layer_weights": {1: [1, 1], 4: [1, 0], 12: [0, 1]}},
    "noise, full size": {"init": "noise", "scales": "1"},
    "bfloat16": {"dtype": "bfloat16"},
    "two steps": {"steps": 2},
}


@pytest.mark.parametrize("changes", WITH.values(), ids=WITH.keys())
def test_a_draft_goes_with_every_other_option(changes: dict[str, Any], pictures: tuple[str, str]) -> None:
    half = (torch.arange(48) < 24).float().expand(1, 3, 32, 48)
    save(half, "left.png")
    save(1 - half, "right.png")
    options = DRAFT | changes
    styles = [pictures[1], pictures[0]][: options.pop("styles", 1)]
    result = stylise(pictures[0], styles, **options)
    rows = result.history["steps"]
    assert len(rows) == options["steps"]
    polished = [row for row in rows if "backbone" not in row]
    assert len(polished) == max(1, round(POLISH * options["steps"]))
    assert torch.equal(result.image, stylise(pictures[0], styles, **options).image)


def test_the_draft_has_the_tiles_of_the_run(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nstutils.runs.preflight.tile_for", lambda net, *_: 16 if net.name == "vgg16-hed" else None)
    problem = prepare(*pictures, Options(**DRAFT))
    assert problem.draft
    assert (problem.net.tile, problem.draft.net.tile) == (16, 16)


@pytest.mark.parametrize("name", ["classroom", "random-vgg19"])
def test_a_network_without_a_copy_is_told_which_has_one(
    name: str, pictures: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["stylise", *pictures, "-o", "out.png", f"--backbone={name}", "--draft"]) == 2
    said = capsys.readouterr().err
    assert said.strip().endswith(
        f"{name} has no narrow copy to make a draft with; leave draft out, or take vgg16-hed, which has one"
    )
    assert not Path("out.png").exists()


def test_a_draft_of_one_step_is_refused(pictures: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="steps is 1, but a draft needs at least 2"):
        stylise(*pictures, **DRAFT | {"steps": 1})


def test_a_layer_that_the_copy_lacks_is_told(pictures: tuple[str, str]) -> None:
    state = vgg((8, 8, 12, 12, 16), VGG_CONVS["vgg19"]).state_dict()
    save_file(state, "large.safetensors")
    with pytest.raises(ValueError, match="vgg16-hed|relu3_4"):
        stylise(*pictures, **DRAFT | {"content_layers": ["relu3_4"]})


def test_a_long_run_is_announced_once_with_the_steps_of_both(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def stepping(run: preflight.Ahead) -> float:
        asked.append((run.net.net.name, [count for _, count in run.steps]))
        return 50.0

    monkeypatch.setattr(preflight, "LONG", 0.0)
    monkeypatch.setattr("nstutils.runs.preflight.stepping", stepping)
    stylise(*pictures, **DRAFT, progress=True)
    assert asked == [("classroom", [5, 5]), ("vgg16-hed", [2])]
    assert capsys.readouterr().err.count("this run will take about 100 seconds and 0.1 GB, once its targets") == 1


def test_a_sweep_makes_drafts_one_by_one_and_keeps_them_by_the_copys_weights(
    pictures: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = DRAFT | {"method": "adam", "folder": tmp_path / "runs", "progress": False}
    found = sweep(*pictures, [{"beta": 100.0}, {"beta": 1000.0}], **common)
    for beta, result in zip((100.0, 1000.0), found, strict=True):
        assert "batch" not in result.card
        alone = stylise(*pictures, **DRAFT | {"method": "adam"}, beta=beta)
        assert torch.equal(result.image, alone.image.mul(255).round().div(255))
    pictures_kept = sorted(path.name for path in (tmp_path / "runs").glob("*.png"))
    again = sweep(*pictures, [{"beta": 100.0}], **common)
    assert sorted(path.name for path in (tmp_path / "runs").glob("*.png")) == pictures_kept
    assert torch.equal(again[0].image, found[0].image)
    torch.manual_seed(9)
    save_file(vgg((8, 8, 12, 12, 16), VGG_CONVS["vgg16"]).state_dict(), "other.safetensors")
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "other.safetensors"))
    other = sweep(*pictures, [{"beta": 100.0}], **common)
    assert len(list((tmp_path / "runs").glob("*.png"))) == 3
    assert not torch.equal(other[0].image, found[0].image)
    assert json.loads(json.dumps(other[0].card))["draft"]["weights_sha256"] != found[0].card["draft"]["weights_sha256"]


def test_colours_are_those_of_the_photograph_while_the_draft_is_made(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstutils.descent.EVERY", 0.0)
    with pytest.raises(Killed):
        stylise(*pictures, **DRAFT, keep_colour="luminance", out="out.png", watch=killed_at(3))
    seen = Result.load("out.png")
    assert seen.image.shape == load(pictures[0], 32).shape
    assert (seen.image - seen.image.mean(1, keepdim=True)).abs().max() > 0.05, "it is grey"
