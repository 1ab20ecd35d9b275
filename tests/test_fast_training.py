"""Training of the fast network: what a step sees, that it learns, and that a killed training goes on bit for bit."""

import os
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apart
import numpy as np
import pytest
import torch
from PIL import Image

from nstutils import images
from nstutils.fast import network as fast
from nstutils.fast import training as fast_training
from nstutils.fast.training import FastStep, GridLoss, Photographs, TrainOptions, train
from nstutils.library import decoding
from nstutils.runs import store

TINY: dict[str, Any] = {"batch": 2, "size": 32, "style_size": 48, "width": 4, "blocks": 1}
STYLES = ("swirls", "mosaic")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five small photographs, one in a folder of its own."""
    where = tmp_path_factory.mktemp("photographs")
    for k, size in enumerate([(40, 60), (64, 48), (33, 33), (50, 90), (20, 25)]):
        target = where / ("inner" if k == 4 else "") / f"{k}.png"
        images.save(images.resize(images.noise((6, 6), k), size), target)
    (where / "notes.txt").write_text("no picture")
    return where


def steps_of(*arguments: Any, **options: Any) -> tuple[list[FastStep], fast_training.Training]:
    seen: list[FastStep] = []
    return seen, train(*arguments, watch=seen.append, **options)


def same(one: fast.TransformNet, other: fast.TransformNet) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_photographs_come_from_a_folder_a_zip_or_scikit_image(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(folder))
    inside, packed = Photographs(folder), Photographs(tmp_path / "photos.zip")
    assert len(inside) == 5
    assert inside.names == packed.names
    assert all(np.array_equal(inside.open(k), packed.open(k)) for k in range(5))
    offline = Photographs()
    assert "astronaut" in offline.names
    assert offline.open(0).mode == "RGB"
    assert inside.identity["sha256"] == packed.identity["sha256"] != offline.identity["sha256"]


def test_places_without_photographs_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="give a folder or a zip"):
        Photographs(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="give a folder or a zip"):
        Photographs(folder / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no picture"):
        Photographs(tmp_path / "empty")
    (tmp_path / "empty" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="cut.jpg.*take it out"):
        train(["swirls"], tmp_path / "empty", steps=1, **TINY)


@pytest.mark.parametrize("size", [16, 33, 64])
def test_crops_have_the_size_asked_for_even_of_smaller_photographs(folder: Path, size: int) -> None:
    photos, rng = Photographs(folder), np.random.default_rng(0)
    for k in range(len(photos)):
        for _ in range(5):
            crop = photos.crop(k, size, rng)
            assert crop.shape == (size, size, 3)
            assert crop.std() > 1


def test_a_batch_is_a_function_of_seed_and_step_alone(folder: Path) -> None:
    photos = Photographs(folder)

    def crops(number: int, seed: int = 0) -> torch.Tensor:
        return fast_training.batch(photos, 2, TrainOptions(**TINY, seed=seed), number)[0]

    assert torch.equal(crops(3), crops(3))
    assert not torch.equal(crops(3), crops(4))
    assert not torch.equal(crops(3), crops(-3))
    assert not torch.equal(crops(3), crops(3, seed=1))
    of = torch.cat([fast_training.batch(photos, 3, TrainOptions(**TINY), number)[1] for number in range(1, 7)])
    assert of.bincount().tolist() == [4, 4, 4]


def test_training_lowers_the_loss_and_every_style_becomes_itself(folder: Path) -> None:
    seen, done = steps_of(STYLES, folder, steps=60, lr=1.5e-2, **TINY)  # so few steps need long ones
    assert done.finished
    assert [step.index for step in seen] == list(range(1, 61))
    begin, end = (sum(step.total for step in part) / 10 for part in (seen[:10], seen[-10:]))
    assert end < 0.75 * begin
    photograph = images.load("hills", 64)
    one, other = (fast.apply(done.net, photograph, k) for k in (0, 1))
    assert (one - other).abs().mean() > 0.01  # they begin alike
    rows = done.history["steps"]
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50, 60]
    assert rows[-1].keys() == {"step", "content", "style", "tv", "total", "seconds"}
    assert rows[-1]["total"] == pytest.approx(end)


def test_a_stopped_training_goes_on_exactly(folder: Path, tmp_path: Path) -> None:
    out, stop = tmp_path / "net.safetensors", threading.Event()
    _, whole = steps_of(STYLES, folder, steps=13, **TINY)
    first = train(STYLES, folder, out=out, stop=stop, watch=lambda s: s.index == 4 and stop.set(), steps=13, **TINY)
    assert not first.finished
    assert fast.load(out).styles == STYLES  # usable already
    seen, rest = steps_of(STYLES, folder, out=out, resume=True, steps=13, **TINY)
    assert [step.index for step in seen] == list(range(5, 14))
    assert same(rest.net, whole.net)
    assert [{**row, "seconds": 0} for row in rest.history["steps"]] == [{**r, "seconds": 0} for r in whole.history["steps"]]
    assert not store.state_path(out).exists()
    again, finished = steps_of(STYLES, folder, out=out, resume=True, steps=13, **TINY)
    assert not again
    assert same(finished.net, whole.net)


def test_a_training_killed_at_any_moment_goes_on_exactly(folder: Path, tmp_path: Path) -> None:
    out, state = tmp_path / "net.safetensors", store.state_path(tmp_path / "net.safetensors")
    child = apart.started(apart.trained, STYLES, folder, out, TINY | {"steps": 100000})
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.4)
    child.kill()
    child.join()
    done = store.load_state(state)["done"]
    assert done > 0
    rest, whole = until(done + 3, folder, out=out, resume=True), until(done + 3, folder)
    assert same(rest, whole)


def until(number: int, folder: Path, **options: Any) -> fast.TransformNet:
    """The network after step `number` of a long training."""
    stop = threading.Event()
    return train(
        STYLES, folder, stop=stop, watch=lambda s: stop.set() if s.index == number else None, steps=100000, **options, **TINY
    ).net


def test_a_training_can_begin_with_an_earlier_network_of_the_same_plan(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    earlier = train(STYLES, folder, out=out, steps=3, **TINY)
    further = train(STYLES, folder, begin=str(out), steps=1, lr=1e-12, seed=7, **TINY)
    pairs = zip(earlier.net.state_dict().values(), further.net.state_dict().values(), strict=True)
    assert all(torch.allclose(one, other) for one, other in pairs)
    assert further.card["settings"]["begin"] == fast.facts(out)["sha256"]
    with pytest.raises(ValueError, match="has width 4, not 8; give those, or leave begin out"):
        train(STYLES, folder, begin=str(out), steps=1, **TINY | {"width": 8})


def test_many_processors_read_ahead_and_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = []
    for processors in (1, 16, None):
        monkeypatch.setattr(os, "cpu_count", lambda there=processors: there)
        networks.append(train(STYLES, folder, steps=3, **TINY).net)
    assert same(networks[0], networks[1])
    assert same(networks[0], networks[2])


def test_the_networks_own_grid_is_measured_and_the_pictures_edges_are_not() -> None:
    grid = 0.1 * torch.tensor([1.0, 0, -1, 0]).repeat(16).expand(2, 3, 70, 64)  # columns that come again every 4 pixels
    edge = torch.zeros(1, 3, 70, 64)
    edge[..., 32:] = 1
    assert GridLoss()(0.5 + grid, {}).tolist() == pytest.approx([0.005] * 2)  # the variance of 0.1, 0, -0.1, 0
    assert GridLoss()(edge, {}).tolist() == [0]
    assert GridLoss()(torch.rand(1, 3, 256, 256), {}).item() < (1 / 12) / 32  # of noise a 64th is left, where nothing repeats


def test_a_training_takes_away_what_repeats_where_it_is_asked_to(folder: Path) -> None:
    def left(grid: float) -> float:
        net = train(STYLES, folder, steps=40, grid=grid, seed=1, up="transposed", **TINY).net.eval()
        return GridLoss()(fast.apply(net, images.load("town", 64)), {}).item()

    assert left(1e3) < left(0) / 2


def test_what_does_not_fit_together_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    with pytest.raises(ValueError, match="resume needs out"):
        train(STYLES, folder, resume=True, steps=1, **TINY)
    with pytest.raises(ValueError, match="end its name in .safetensors"):
        train(STYLES, folder, out=tmp_path / "net.pth", steps=1, **TINY)
    with pytest.raises(FileNotFoundError, match="without --resume"):
        train(STYLES, folder, out=out, resume=True, steps=1, **TINY)
    train(STYLES, folder, out=out, steps=1, **TINY)
    with pytest.raises(ValueError, match="other settings .seed: 0, not 1"):
        train(STYLES, folder, out=out, resume=True, steps=1, seed=1, **TINY)
    with pytest.raises(ValueError, match="each once"):
        train(["swirls", "swirls"], folder, steps=1, **TINY)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 0}, {"batch": 0}, {"size": 30}, {"size": 16}, {"width": 0}, {"beta": 0}, {"lr": 0}, {"tv": -1}, {"seed": -1},
     {"alpha": float("nan")}, {"lr": float("inf")}, {"norm": "layer"}, {"up": "shuffle"}, {"style_size": 0}],
    ids=str,
)  # fmt: skip
def test_a_recipe_that_cannot_work_is_refused(folder: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        train(STYLES, folder, **TINY | {"steps": 1} | wrong)


def test_losses_that_explode_are_told(folder: Path) -> None:
    with pytest.raises(ArithmeticError, match="lower lr"):
        train(STYLES, folder, steps=60, lr=1e30, **TINY)


def test_beside_the_network_lie_its_card_and_a_preview(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "net.safetensors"
    train(STYLES, folder, out=out, steps=2, **TINY)
    card = store.read_card(out)
    assert card["finished"]
    assert card["settings"]["photographs"]["count"] == 5
    assert card["backbone"] == "classroom"
    assert fast.facts(out)["kappa"].keys() == set(STYLES)
    with Image.open(tmp_path / "net.safetensors.preview.jpg") as sheet:
        assert sheet.size == (3 * 256, 3 * 192)


def test_training_sees_the_pictures_that_load_sees(tmp_path: Path) -> None:
    ramp = (np.arange(64 * 48, dtype=np.uint16) * 20).reshape(48, 64)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    clear = Image.new("RGBA", (64, 48), (0, 200, 0, 0))
    clear.paste((200, 0, 0, 255), (0, 0, 32, 48))
    clear.save(tmp_path / "clear.png")
    Image.new("CMYK", (64, 48), (0, 90, 200, 30)).save(tmp_path / "printed.jpg")
    photos = Photographs(tmp_path)
    for k, name in enumerate(photos.names):
        assert torch.equal(decoding.from_pil(photos.open(k)), images.load(tmp_path / name).mul(255).round().div(255))


def test_hidden_files_are_no_photographs(folder: Path, tmp_path: Path) -> None:
    names = ["a.png", "._a.png", ".trash/a.png", "__MACOSX/._a.png", "in/.b.png"]
    data = (folder / "0.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in names:
            archive.writestr(name, data)
            (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "folder" / name).write_bytes(data)
    for where in ("photos.zip", "folder"):
        assert Photographs(tmp_path / where).names == ["a.png"]


def test_a_photograph_of_too_many_pixels_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"0.png has too many pixels .*; scale it down first, or take it out of "):
        Photographs(folder).open(0)


def test_photographs_of_the_same_names_are_told_apart_by_their_contents(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes((folder / f"{len(name) - 3}.png").read_bytes())
    assert Photographs(tmp_path / "one").identity["sha256"] != Photographs(tmp_path / "other").identity["sha256"]


def test_a_zip_file_is_opened_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(folder.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    photos = Photographs(tmp_path / "photos.zip")
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("it was opened again"))
    rng = np.random.default_rng(0)
    with ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(lambda k: photos.crop(k, 16, rng), list(range(5)) * 4))) == 20
