"""The other distances between styles against plain loops in numpy, and what a run does with them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import Counting

from nstutils import backbone, cli, distances, images, optimise, stylise
from nstutils.distances import KINDS, CloudLoss, directions, targets_of
from nstutils.library.errors import UserError
from nstutils.losses import Mixture
from nstutils.runs import preflight
from nstutils.runs.options import STYLE_LOSSES
from nstutils.runs.preflight import Ahead, stepping
from nstutils.runs.sweeps import sweep
from nstutils.runs.tiles import View

IMAGE = torch.zeros(1, 3, 1, 1)  # for losses that look at activations only


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moments_by_hand(x: np.ndarray, a: np.ndarray) -> float:
    """Of clouds C x M, filter by filter."""
    rows = zip(x, a, strict=True)
    return float(
        np.mean([(f.mean() - g.mean()) ** 2 + ((f.var() + 1e-8) ** 0.5 - (g.var() + 1e-8) ** 0.5) ** 2 for f, g in rows])
    )


def sliced_by_hand(x: np.ndarray, a: np.ndarray) -> float:
    """Direction by direction: the k-th smallest of M numbers is the quantile (k + ½) / M."""
    errors = []
    for way in directions(torch.zeros(1, len(x), 1).double()).numpy():
        one, other = np.sort(way @ x), np.sort(way @ a)
        levels = [(k + 0.5) / len(one) for k in range(len(one))]
        wanted = np.interp(levels, [(k + 0.5) / len(other) for k in range(len(other))], other)
        errors.append(sum((u - v) ** 2 for u, v in zip(one, wanted, strict=True)) / len(one))
    return float(np.mean(errors))


def emd_by_hand(x: np.ndarray, a: np.ndarray) -> float:
    """Every point to its nearest, and of the two ways the longer; and the moments."""

    def cost(u: np.ndarray, v: np.ndarray) -> float:
        return float(1 - u @ v / (np.linalg.norm(u) * np.linalg.norm(v)))

    there = np.mean([min(cost(u, v) for v in a.T) for u in x.T])
    back = np.mean([min(cost(u, v) for u in x.T) for v in a.T])
    return float(4 * max(there, back) + moments_by_hand(x, a))


BY_HAND: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "moments": moments_by_hand,
    "sliced": sliced_by_hand,
    "emd": emd_by_hand,
}


def flat(features: Tensor) -> np.ndarray:
    return features.flatten(1).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(4, 6), (3, 5), (7, 9)], ids=["equal", "smaller", "larger"])
def test_a_distance_is_the_one_computed_by_hand_for_every_picture_of_a_batch(kind: str, size: tuple[int, int]) -> None:
    f, a = {"x": rand(2, 3, 4, 6), "y": rand(2, 5, 2, 3)}, {"x": rand(1, 3, *size, seed=1), "y": rand(1, 5, 4, 4, seed=2)}
    loss = CloudLoss(kind, targets_of(kind, a), weights=(2.0, torch.tensor([0.5, 1.0]).double()))
    by_layer = {k: [KINDS[kind].factor * BY_HAND[kind](flat(one), flat(a[k][0])) for one in f[k]] for k in f}
    wanted = [2 * x + w * y for x, y, w in zip(by_layer["x"], by_layer["y"], (0.5, 1.0), strict=True)]
    assert loss(IMAGE, f).tolist() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_distance_is_zero_at_its_target_and_does_not_see_where_a_point_lies(kind: str) -> None:
    f = rand(1, 4, 5, 6)
    loss = CloudLoss(kind, targets_of(kind, {"l": f}))
    moved = f.flatten(2)[..., torch.randperm(30, generator=torch.Generator().manual_seed(1))].view(1, 4, 6, 5)
    assert loss(IMAGE, {"l": moved}).item() == pytest.approx(0, abs=1e-12)
    assert loss(IMAGE, {"l": rand(1, 4, 5, 6, seed=3)}).item() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_the_derivative_of_a_distance_is_that_of_differences(kind: str) -> None:
    f, loss = rand(2, 3, 3, 4), CloudLoss(kind, targets_of(kind, {"l": rand(1, 3, 4, 5, seed=1)}))
    assert torch.autograd.gradcheck(lambda v: loss(IMAGE, {"l": v}), (f.requires_grad_(),), eps=1e-7, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_that_never_fires_and_a_point_without_length_have_a_finite_derivative(kind: str) -> None:
    f = rand(1, 3, 3, 4)
    f[:, 0], f[..., 0, 0] = 0, 0
    f.requires_grad_()
    CloudLoss(kind, targets_of(kind, {"l": rand(1, 3, 4, 5, seed=1)}))(IMAGE, {"l": f}).sum().backward()
    assert f.grad is not None
    assert f.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_changes_a_distance_little_and_the_loss_is_of_32_bits(kind: str) -> None:
    f, loss = rand(1, 8, 9, 9).float(), CloudLoss(kind, targets_of(kind, {"l": rand(1, 8, 7, 8, seed=1).float()}))
    found = loss(IMAGE, {"l": f.bfloat16()})
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(IMAGE, {"l": f}).item(), rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_guide_takes_the_points_of_its_brighter_half_alone(kind: str) -> None:
    f, a, guide = rand(2, 3, 4, 6), rand(1, 3, 5, 5, seed=1), torch.full((4, 6), 0.1).double()
    guide[:, :3] = torch.tensor([1.0, 0.8, 0.6])
    batch = torch.stack([guide, guide.flip(1)])[:, None]
    target = targets_of(kind, {"l": a})
    plain = CloudLoss(kind, target)
    for one, parts in ((guide, [f[:1, ..., :3], f[1:, ..., :3]]), (batch, [f[:1, ..., :3], f[1:, ..., 3:]])):
        found = CloudLoss(kind, target, guides={"l": one})(IMAGE, {"l": f})
        assert found.tolist() == pytest.approx([plain(IMAGE, {"l": part}).item() for part in parts])
    part = targets_of(kind, {"l": f[:1]}, {"l": guide})
    assert torch.equal(part["l"], targets_of(kind, {"l": f[:1, ..., :3]})["l"])


def test_large_pictures_are_compared_at_a_sample_of_their_points_and_long_targets_are_thinned() -> None:
    many = rand(1, 2, 130, 130)
    assert targets_of("sliced", {"l": many})["l"].shape == (1, 2, distances.QUANTILES)
    assert targets_of("emd", {"l": many})["l"].shape == (1, 2, 2 + distances.SAMPLES)
    for kind in ("sliced", "emd"):
        assert CloudLoss(kind, targets_of(kind, {"l": many}))(IMAGE, {"l": many}).item() < 1e-3


def test_the_loss_of_an_artwork_sees_its_activations(toy: Counting) -> None:
    a, layers = rand(1, 3, 10, 12), ["relu1_1", "relu2_1"]
    loss = CloudLoss.of(toy, a, layers, [0.3, 0.7], kind="sliced")
    assert (loss.layers, loss.weights, loss.kind) == (tuple(layers), [0.3, 0.7], "sliced")
    assert loss(a, toy(a, layers)).item() == pytest.approx(0, abs=1e-12)
    other = CloudLoss.of(toy, rand(1, 3, 9, 9, seed=1), layers, kind="emd")
    parts = [0.25 * loss(a, toy(a, layers)), 3 * other(a, toy(a, layers))]
    torch.testing.assert_close(Mixture((loss, other), (0.25, 3.0))(a, toy(a, layers)), sum(parts))


def test_what_a_distance_cannot_take_is_refused_in_a_sentence() -> None:
    f = {"l": rand(1, 3, 4, 5)}
    for make, words in (
        (lambda: targets_of("gram", f), "there is no distance 'gram'; choose from moments, sliced, emd"),
        (lambda: targets_of("emd", f, {"l": torch.zeros(4, 5)}), "zero everywhere in this layer; give a larger region"),
        (lambda: targets_of("emd", f, {"l": torch.ones(5, 4)}), r"\(5, 4\) positions, the features \(4, 5\); bring it to"),
        (lambda: CloudLoss("emd", targets_of("emd", f), weights=(1, 2)), "2 weights for 1 layers; give one for each"),
    ):
        with pytest.raises(UserError, match=words):
            make()


SMALL: dict[str, Any] = {"size": 32, "scales": "1", "steps": 3, "dtype": "float32", "progress": False}


def test_the_options_name_the_distances_there_are() -> None:
    assert ("gram", *KINDS) == STYLE_LOSSES


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_takes_the_distance_it_is_asked_for_and_tells_it(kind: str) -> None:
    first = stylise("town", "swirls", style_loss=kind, **SMALL)
    assert first.card["settings"]["style_loss"] == kind
    steps = first.history["steps"]
    assert steps[-1]["style"] < steps[0]["style"]


def test_several_styles_regions_and_a_draft_take_another_distance_too(tmp_path: Path) -> None:
    sky = torch.zeros(1, 1, 24, 32)
    sky[..., :12, :] = 1
    town = images.resize(images.load("town"), (24, 32))
    plain = stylise(town, ["swirls", "dots"], style_loss="emd", style_weights=[3, 1], **SMALL)
    guided = stylise(town, ["swirls", "dots"], style_loss="emd", content_guide=[sky, 1 - sky], **SMALL)
    assert (plain.image - guided.image).abs().mean() > 1e-3
    assert plain.history["steps"][-1]["style"] < plain.history["steps"][0]["style"]
    assert guided.history["steps"][-1]["style"] < guided.history["steps"][0]["style"]


def test_a_sweep_keeps_a_run_for_every_distance(tmp_path: Path) -> None:
    runs = [{"style_loss": kind} for kind in STYLE_LOSSES]
    own = SMALL | {"method": "adam", "steps": 2}
    found = sweep("town", "swirls", runs, folder=tmp_path, **own)
    assert [one.card["settings"]["style_loss"] for one in found] == list(STYLE_LOSSES)
    assert len(list(tmp_path.glob("*.png"))) == 4
    assert len({one.image.sum().item() for one in found}) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_distance_of_whole_pictures_is_refused_in_tiles_before_anything_is_computed(kind: str) -> None:
    with pytest.raises(
        UserError, match=f"style_loss '{kind}' compares pictures as wholes.*tiles.*; give a smaller size and style_size"
    ):
        stylise("town", "swirls", style_loss=kind, tile=64, **SMALL | {"size": 128})


@pytest.mark.parametrize("mixed", [False, True])
def test_a_distance_of_whole_pictures_is_refused_by_a_network_in_tiles(toy: Counting, mixed: bool) -> None:
    loss: Any = CloudLoss.of(toy, rand(1, 3, 10, 12), ["relu1_1"])
    terms = {"style": (1.0, Mixture((loss, loss), (1.0, 1.0)) if mixed else loss)}
    with pytest.raises(UserError, match="loss 'style' compares pictures as wholes, not in tiles of 64 .*; give the network"):
        optimise(View(toy, 64), images.noise((40, 80)), terms, steps=1)
    assert optimise(View(toy, 80), rand(1, 3, 40, 80), terms, steps=1, method="adam").finished


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_that_is_told_is_that_of_the_distance_that_is_asked_for(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(points: Tensor, target: Tensor) -> Tensor:
        time.sleep(0.02)
        return (points - points.mean().detach()).square().mean((1, 2))

    monkeypatch.setitem(KINDS, kind, KINDS[kind]._replace(distance=slow))
    monkeypatch.setattr(preflight, "PROBES", (24, 56))
    net = backbone("classroom")
    run = Ahead(View(net), ("relu1_1", "relu2_1"), "adam", [((96, 96), 99)], style=(kind, ("relu1_1",)))
    assert 2 <= stepping(run) < 60


def test_an_unknown_distance_is_told_with_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="style_loss 'gramm' is not known; choose from gram, moments, sliced, emd"):
        stylise("town", "swirls", style_loss="gramm")
    with pytest.raises(SystemExit):
        cli.main(["stylise", "town", "swirls", "-o", str(tmp_path / "x.png"), "--style-loss", "wasserstein"])
    assert "choose from 'gram', 'moments', 'sliced', 'emd'" in capsys.readouterr().err.replace("gram,", "'gram',")
