"""Many runs: grids, batches that agree with single runs, what is kept, going on after any end, and what is told of failures."""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apart
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from nstutils import Result, UserError, load, save, stylise, sweep
from nstutils import losses as losses_module
from nstutils.backbones import vgg
from nstutils.losses import ContentLoss, StyleLoss, TVLoss, gram
from nstutils.runs import preflight, store, sweeps
from nstutils.runs.options import PAPERS
from nstutils.runs.resolve import joined
from nstutils.runs.sweeps import SweepError, grid

optimise_module = sys.modules["nstutils.descent"]
LAYERS = ["relu1_1", "relu2_1", "relu3_1"]
SMALL: dict[str, Any] = {"size": 64, "steps": 6, "scales": "48,64", "dtype": "float32", "content_layers": ["relu2_1"]}
QUICK = PAPERS | SMALL  # Adam, whose runs share batches, from noise, so that seeds differ
COMMON: dict[str, Any] = QUICK | {"style_layers": LAYERS[:2], "progress": False}


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow network instead of the shipped one; one thread, here and in processes."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.manual_seed(3)
    save_file(vgg((8, 8, 12, 12, 16)).state_dict(), tmp_path / "small.safetensors")
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "small.safetensors"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many runs went through the network together, each time."""
    seen: list[int] = []

    def counted(net: Any, init: Tensor, *rest: Any, **options: Any) -> Result:
        seen.append(len(init))
        return optimise_module.coarse_to_fine(net, init, *rest, **options)

    for name in ("runs.sweeps", "transfer"):
        monkeypatch.setattr(sys.modules[f"nstutils.{name}"], "coarse_to_fine", counted)
    return seen


def plain(card: Mapping[str, Any]) -> Any:
    """A card or history without its seconds."""
    if isinstance(card, Mapping):
        return {key: plain(value) for key, value in card.items() if "seconds" not in key and key != "card_sha256"}
    return [plain(value) for value in card] if isinstance(card, list) else card


def same(one: Result, other: Result) -> bool:
    """Whether two results agree in every bit but their seconds."""
    return (
        torch.equal(one.image, other.image)
        and plain(one.history) == plain(other.history)
        and plain(one.card) == plain(other.card)
    )


def kept(folder: Path) -> dict[str, Any]:
    """What a folder of runs holds, without seconds and seals: the bytes of the pictures, the cards as read."""
    cards = {path.name: plain(json.loads(path.read_text(encoding="utf-8"))) for path in folder.glob("*.json")}
    return cards | {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


def test_a_grid_is_every_combination_and_the_last_setting_varies_fastest() -> None:
    assert grid(a=[1, 2], b=("x", "y")) == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    assert grid() == [{}]
    assert [cell["alpha"] for cell in grid(alpha=torch.tensor([1.0, 2.0]).numpy())] == [1, 2]
    for wrong in ("relu1_1", []):
        with pytest.raises(ValueError, match=r"style_layers is .*; put them in \[ \]"):
            grid(style_layers=wrong)


def test_joined_terms_give_every_picture_its_own_losses_and_gradient(toy: Any) -> None:
    torch.manual_seed(0)
    p, q, a, x = (torch.rand(1, 3, 12, 14).double() for _ in range(4))
    shared = toy(p, ("relu1_1", "relu2_1"))
    styles = {layer: gram(f) for layer, f in toy(a, ("conv1_1", "relu2_1")).items()}
    parts = [
        {
            "content": (1.0, ContentLoss(shared)),
            "style": (3.0, StyleLoss(styles)),
            "tv": (0.0, TVLoss()),
        },
        {
            "content": (0.0, ContentLoss(shared, [1, 3.0])),
            "style": (2.0, StyleLoss(styles, [0, 1.0])),
            "tv": (0.5, TVLoss()),
        },
        {
            "content": (2.0, ContentLoss(toy(q, ("relu1_1", "relu2_1")), [0.5, 0])),
            "style": (1.0, StyleLoss(styles, [1, 0.2])),
            "tv": (0.5, TVLoss()),
        },
    ]
    xs = torch.cat([x, x * 0.5, x.flip(3)])

    def seen(image: Tensor, terms: Any) -> tuple[dict[str, Tensor], Tensor]:
        image = image.clone().requires_grad_()
        found = losses_module.evaluate(toy, image, terms)
        (gradient,) = torch.autograd.grad(losses_module.total(found, terms).sum(), image)
        return found, gradient

    together = seen(xs, joined(parts))
    for k, part in enumerate(parts):
        losses, gradient = seen(xs[k : k + 1], part)
        assert all(torch.allclose(together[0][name][k], loss[0], rtol=1e-5) for name, loss in losses.items())
        assert torch.allclose(together[1][k], gradient[0], rtol=1e-5)
    assert joined(parts[:1] * 2)["style"][1].targets["relu2_1"] is styles["relu2_1"]
    with pytest.raises(ValueError, match="one by one"):
        joined([{"style": (1.0, StyleLoss(styles, guides=guides))} for guides in (styles, None)])
    with pytest.raises(ValueError, match="one by one"):
        joined([{"content": (1.0, ContentLoss(toy(q, layers)))} for layers in (("relu1_1",), ("relu2_1",))])


@pytest.mark.parametrize("kind", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_a_gram_matrix_lies_in_memory_as_its_features(kind: torch.memory_format) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, 4, 5).double().contiguous(memory_format=kind).requires_grad_()
    weights = torch.randn(2, 3, 3).double()
    (gradient,) = torch.autograd.grad((gram(features) * weights).sum(), features)
    assert gradient.is_contiguous(memory_format=kind)  # mixed layouts cost the network a quarter of its time
    flat = features.flatten(2)
    (wanted,) = torch.autograd.grad(((flat @ flat.mT / 20) * weights).sum(), features)
    assert torch.allclose(gradient, wanted)


VARIED = [
    {"alpha": 0.1, "seed": 1},
    {"alpha": 0, "layer_weights": [3, 0]},
    {"beta": 10.0, "init": "content"},
    {"beta": 0, "tv": 0.1, "raw_loss": True},
    {"style": "other.png", "init": "stripes", "keep_colour": "luminance"},
    {"content": "again.png", "layer_weights": [3, 1]},
]


@pytest.mark.parametrize("method", ["adam", "sgd"])
def test_a_batch_gives_what_every_run_gives_by_itself(method: str, pictures: tuple[str, str], batches: list[int]) -> None:
    torch.manual_seed(4)
    save(torch.rand(1, 3, 30, 50), "other.png")
    save(torch.rand(1, 3, 32, 48), "again.png")
    common = COMMON | {"method": method, "init": "noise"}
    found = sweep(*pictures, VARIED, **common)
    assert batches == [len(VARIED)]
    for given, result in zip(VARIED, found, strict=True):
        own = {"content": pictures[0], "style": pictures[1]} | common | given
        own.pop("progress")
        single = stylise(own.pop("content"), own.pop("style"), **own)
        assert (result.image - single.image).abs().max() < 0.01
        assert result.card["settings"] == json.loads(json.dumps(single.card["settings"]))
        assert result.card["kappa_by_size"] == pytest.approx(single.card["kappa_by_size"], rel=1e-4)
        assert result.card["batch"] == len(VARIED)
        for one, other in zip(
            [*result.history["steps"], result.history["final"]],
            [*single.history["steps"], single.history["final"]],
            strict=True,
        ):
            names = {"content", "style", "tv", "total"}
            assert {k: one[k] for k in names} == pytest.approx({k: other[k] for k in names}, rel=2e-3, abs=1e-6)
        assert result.history.keys() == single.history.keys()


def test_sizes_layers_methods_and_guides_that_differ_do_not_share_a_batch(
    pictures: tuple[str, str], batches: list[int]
) -> None:
    save((torch.arange(48) < 24).float().expand(1, 3, 32, 48), "left.png")
    apart = [{"method": "lbfgs"}, {"layer_weights": {1: [1, 1], 3: [0, 1]}}, {"content_guide": ["left.png"]}, {"tile": 64}]
    others = [{"steps": 5}, {"lr": 0.1}, {"pool": "max"}, {"size": 48, "scales": "1"}, {"dtype": "bfloat16"}]
    others += [{"style_layers": LAYERS}, {"content_layers": ["relu1_1"]}]
    found = sweep(*pictures, [*apart, *apart[:1], {"seed": 1}, *others, {"seed": 2}], **COMMON)
    assert sorted(batches) == [1] * 11 + [2]
    assert [result.card["settings"]["seed"] for result in found] == [0] * 5 + [1] + [0] * 7 + [2]
    assert same(found[0], found[4])


def test_memory_and_the_reader_bound_a_batch(
    pictures: tuple[str, str], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = grid(seed=range(7))
    sweep(*pictures, seeds, batch=3, **COMMON)
    assert batches == [2, 2, 3]
    batches.clear()
    sweep(*pictures, seeds[:2], batch=1, **COMMON)
    assert batches == [1, 1]
    batches.clear()
    run = sweeps.accepted({"content": pictures[0], "style": pictures[1]} | QUICK, sweeps.Desk())
    monkeypatch.setattr(sweeps, "BATCH", 4.5 * run.bytes)
    sweep(*pictures, seeds, **COMMON)
    assert batches == [3, 4]
    batches.clear()
    scarce = SimpleNamespace(memory=preflight.memory, free_memory=lambda device: 4 * run.bytes)
    monkeypatch.setattr(sweeps, "preflight", scarce)
    sweep(*pictures, seeds[:4], **COMMON)
    assert batches == [2, 2]


def test_pictures_too_small_for_others_layers_share_a_batch_only_with_their_like(
    pictures: tuple[str, str], batches: list[int]
) -> None:
    deep = {"style_layers": ["relu1_1", "relu5_1"]}
    common = COMMON | {"size": 12, "scales": "1"}
    with pytest.raises(SweepError, match="too small") as told:
        sweep(*pictures, [{"seed": 1}, deep, {"seed": 2}], **common)
    assert list(told.value.failed) == [1]
    assert batches == [2]


def test_what_comes_back_is_what_is_kept(pictures: tuple[str, str], tmp_path: Path, batches: list[int]) -> None:
    settings = [{"seed": 1}, {"alpha": 0.5, "beta": 3000}, {"method": "lbfgs"}, {"alpha": 0.5, "beta": 3000.0}]
    fresh = sweep(*pictures, settings, folder="runs", **COMMON)
    assert batches == [2, 1]
    assert len(list((tmp_path / "runs").iterdir())) == 6
    again = sweep(*pictures, settings[::-1], folder="runs", **COMMON)[::-1]
    assert batches == [2, 1]
    nowhere = sweep(*pictures, settings, **COMMON)
    for one, two, three in zip(fresh, again, nowhere, strict=True):
        assert same(one, two)
        assert same(one, three)
        assert one.history["seconds"] == two.history["seconds"] == one.history["steps"][-1]["seconds"] > 0
        assert one.finished
    stored = [Result.load(path) for path in (tmp_path / "runs").glob("*.png")]
    assert any(same(fresh[0], result) for result in stored)


def test_a_longer_list_makes_only_what_is_new(pictures: tuple[str, str], batches: list[int]) -> None:
    first = sweep(*pictures, grid(seed=[1, 3]), folder="runs", **COMMON)
    found = sweep(*pictures, grid(seed=[1, 2, 3, 4]), folder="runs", **COMMON)
    assert batches == [2, 2]
    assert same(first[1], found[2])
    assert [result.card["seed"] for result in found] == [1, 2, 3, 4]


def test_what_differs_in_a_picture_or_a_weight_is_another_run(
    pictures: tuple[str, str], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(*pictures, [{}], folder="runs", **COMMON)
    save(torch.rand(1, 3, 40, 40), pictures[1])
    sweep(*pictures, [{}], folder="runs", **COMMON)
    save_file(vgg((8, 8, 12, 12, 16)).state_dict(), "small.safetensors")
    sweep(*pictures, [{}], folder="runs", **COMMON)
    assert batches == [1, 1, 1]


COMPUTED = {  # by COMPUTING: thousandths that a picture of each optimiser has in 2 x 3 parts, red, green and blue
    1: {
        "lbfgs": [463, 625, 639, 224, 362, 247, 592, 629, 618, 327, 375, 361, 647, 643, 641, 459, 425, 407],
        "adam": [407, 472, 536, 409, 474, 541, 413, 483, 550, 409, 477, 542, 416, 480, 548, 422, 487, 551],
    }
}


@pytest.mark.parametrize(("method", "init"), [("lbfgs", "content"), ("adam", "stripes")])
def test_whoever_changes_what_pictures_come_out_raises_the_number_that_says_so(method: str, init: str, tmp_path: Path) -> None:
    """Else what was kept before would pass for what is computed now. Processors agree to half a thousandth."""
    torch.manual_seed(3)
    save_file(vgg((8, 8, 12, 12, 16)).state_dict(), tmp_path / "fixed.safetensors")
    way: dict[str, Any] = {"method": method, "init": init, "weights": tmp_path / "fixed.safetensors"}
    result = stylise("town", "swirls", size=64, steps=12, dtype="float32", device="cpu", **way)
    made = torch.nn.functional.adaptive_avg_pool2d(result.image, (2, 3))
    assert store.COMPUTING in COMPUTED, f"record {(1000 * made).round().int().flatten().tolist()} for {method}"
    wanted = torch.tensor(COMPUTED[store.COMPUTING][method]) / 1000
    assert (made.flatten() - wanted).abs().max() < 0.002, "raise store.COMPUTING, and record what comes out now"


@pytest.mark.parametrize(("where", "other"), [("nstutils.runs.store.COMPUTING", 0), ("torch.__version__", "2.9.0")])
def test_runs_of_another_version_are_told_and_made_again(
    where: str,
    other: Any,
    pictures: tuple[str, str],
    batches: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = COMMON | {"folder": "runs", "progress": True}
    sweep(*pictures, grid(seed=[1, 2]), **told)
    with monkeypatch.context() as patch:
        patch.setattr(where, other)
        capsys.readouterr()
        sweep(*pictures, grid(seed=[1, 2, 3]), **told)
        said = capsys.readouterr().err
        assert "2 runs in " in said
        assert "were made by another version of nstutils or torch; they are made again" in said
        assert batches == [2, 3]
        sweep(*pictures, grid(seed=[1, 2, 3]), **told)
        assert "another version" not in capsys.readouterr().err
    sweep(*pictures, grid(seed=[1, 2]), **told)
    assert batches == [2, 3]


def test_a_picture_is_the_same_by_any_name_and_in_any_folder(
    pictures: tuple[str, str], batches: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sweep("content.png", "style.png", [{"init": "style.png"}], folder="runs", **COMMON)
    (tmp_path / "moved").mkdir()
    for name in ("content.png", "style.png", "runs"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    monkeypatch.chdir(tmp_path / "moved")
    names = [str(Path(name).absolute()) for name in ("content.png", "style.png")]
    (again,) = sweep(*names, [{"init": names[1]}], folder="runs", **COMMON)
    assert batches == [1]
    assert torch.equal(first[0].image, again.image)
    assert again.card["settings"]["init"]["name"] == names[1]
    stylise(*names, out="a.png", **QUICK)
    stylise("content.png", "style.png", out="a.png", resume=True, **QUICK)
    assert batches == [1, 1]


def test_two_sweeps_may_share_a_folder(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [*grid(seed=range(3)), {"method": "lbfgs"}]
    whole = sweep(*pictures, settings, **COMMON)
    monkeypatch.setattr(optimise_module, "EVERY", 0.0)
    with ThreadPoolExecutor(2) as pool:
        for number in range(4):
            both = [pool.submit(sweep, *pictures, settings, folder=f"runs{number}", **COMMON) for _ in range(2)]
            for found in both:
                assert all(torch.equal(one.image, two.image) for one, two in zip(whole, found.result(), strict=True))


def test_two_processes_may_share_a_folder(pictures: tuple[str, str]) -> None:
    def ended(folder: str, count: int) -> list[int | None]:
        both = [apart.started(apart.swept, pictures, RUNS, 0.0, KILLED | {"folder": folder}) for _ in range(count)]
        for process in both:
            process.join()
        return [process.exitcode for process in both]

    assert ended("whole", 1) == [0]
    assert ended("runs", 2) == [0, 0]
    assert kept(Path("runs")) == kept(Path("whole"))


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_a_picture_is_read_once_for_a_sweep(method: str, pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda file, *given: opened.append(str(file)) or real(file, *given))
    sweep(*pictures, grid(seed=range(10)), folder="runs", **COMMON | {"method": method, "steps": 2})
    assert len([name for name in opened if not name.startswith("runs")]) == 2


def test_a_run_that_another_sweep_made_meanwhile_is_taken(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    real = sweeps.coarse_to_fine

    def overtaken(*given: Any, **options: Any) -> Result:
        with monkeypatch.context() as patch:
            patch.setattr(sweeps, "coarse_to_fine", real)
            sweep(*pictures, [{}], folder="runs", **COMMON)
        raise FileNotFoundError("the state is gone")

    monkeypatch.setattr(sweeps, "coarse_to_fine", overtaken)
    (found,) = sweep(*pictures, [{}], folder="runs", **COMMON)
    assert found.finished
    with pytest.raises(SweepError, match="the state is gone"):
        sweep(*pictures, [{}], **COMMON)


def test_a_record_that_another_sweep_has_just_removed_is_none(pictures: tuple[str, str], batches: list[int]) -> None:
    Path("runs").mkdir()
    Path("runs/gone.batch.safetensors").symlink_to("nowhere")  # listed, but not there any more when it is read
    Path("runs/damaged.batch.safetensors").write_text("{", encoding="utf-8")
    sweep(*pictures, [{}], folder="runs", **COMMON)
    assert batches == [1]


def test_a_batch_that_fails_for_no_fault_of_its_runs_is_not_made_again_one_by_one(
    pictures: tuple[str, str], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (OSError(28, "No space left on device"), KeyError("a bug")):
        monkeypatch.setattr(sweeps, "_part", lambda *given, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(SweepError, match="2 of 2 runs failed") as told:
            sweep(*pictures, grid(seed=[1, 2]), folder="runs", **COMMON)
        assert set(told.value.failed.values()) == {error}
        assert told.value.__cause__ is (error if isinstance(error, KeyError) else None)  # a bug keeps its traceback
    assert batches == [2, 2]


@pytest.mark.parametrize("error", [RuntimeError("DefaultCPUAllocator: can't allocate memory"), UserError("one is spoilt")])
def test_a_batch_that_fails_with_its_runs_is_told_and_each_made_by_itself(
    error: Exception,
    pictures: tuple[str, str],
    batches: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sweeps, "joined", lambda *given: (_ for _ in ()).throw(error))
    assert len(sweep(*pictures, grid(seed=[1, 2]), folder="runs", **COMMON)) == 2
    said = f"a batch of 2 runs failed ({error}); each of them is made by itself"
    assert said in capsys.readouterr().err
    assert batches == [1, 1]


def test_a_batch_that_was_begun_stays_as_it_was_under_other_memory(
    pictures: tuple[str, str], batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles: list[Any] = []
    real = sweeps.coarse_to_fine
    monkeypatch.setattr(sweeps, "coarse_to_fine", lambda net, *given, **own: tiles.append(net.tile) or real(net, *given, **own))
    with monkeypatch.context() as patch:
        patch.setattr(preflight, "tile_for", lambda *given: 48)
        patch.setattr(sweeps, "measured", lambda *given: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            sweep(*pictures, grid(seed=range(4)), folder="runs", **COMMON)
    monkeypatch.setattr(sweeps, "BATCH", 1)
    found = sweep(*pictures, grid(seed=range(4)), folder="runs", **COMMON)
    assert (batches, tiles) == ([4, 4], [48, 48])
    assert {result.card["tile"] for result in found} == {48}


def test_a_damaged_run_is_made_again(pictures: tuple[str, str], tmp_path: Path, batches: list[int]) -> None:
    whole = sweep(*pictures, grid(seed=[1, 2, 3]), folder="runs", batch=1, **COMMON)
    paths = sorted((tmp_path / "runs").glob("*.png"))
    paths[0].write_bytes(b"no picture")
    Path(f"{paths[1]}.run.json").write_text("{", encoding="utf-8")
    again = sweep(*pictures, grid(seed=[1, 2, 3]), folder="runs", batch=1, **COMMON)
    assert len(batches) == 5
    assert all(same(one, two) for one, two in zip(whole, again, strict=True))


def test_failed_runs_are_told_by_their_settings_and_lose_no_others(pictures: tuple[str, str], batches: list[int]) -> None:
    settings = [{"seed": 1}, {"beta": -1.0}, {"alfa": 1}, {"content": "nowhere.png"}, {"seed": 2}, {"alpha": 1e300, "seed": 3}]
    with pytest.raises(SweepError) as told:
        sweep(*pictures, settings, folder="runs", **COMMON)
    error, said = told.value, str(told.value)
    assert list(error.failed) == [1, 2, 3, 5]
    assert [bool(result) for result in error.results] == [True, False, False, False, True, False]
    assert said.startswith("4 of 6 runs failed")
    for words in ("beta=-1.0", "alfa=1", "no option", "content=nowhere.png", "alpha=1e+300", "seed=3"):
        assert words in said
    assert batches == [3, 1, 1, 1]
    assert not list(Path("runs").glob("*.batch*"))
    good = sweep(*pictures, [settings[0], settings[4]], folder="runs", **COMMON)
    assert len(batches) == 4
    assert all(same(one, two) for one, two in zip(good, [error.results[0], error.results[4]], strict=True))


def test_many_failures_are_told_in_one_line_of_bearable_length(pictures: tuple[str, str]) -> None:
    with pytest.raises(SweepError, match="9 of 9 runs failed") as told:
        sweep(load(pictures[0]), load(pictures[1]), [{"beta": -k} for k in range(1, 10)], content_layers=["no"], progress=False)
    assert "and 4 more" in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 1000


def test_wrong_calls_are_refused_at_once(pictures: tuple[str, str]) -> None:
    with pytest.raises(TypeError, match=r"one dict.*; put it in"):
        sweep(*pictures, {"seed": 1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch is 0.*; leave it out"):
        sweep(*pictures, [{}], batch=0)
    with pytest.raises(NotADirectoryError, match="is a file.*; give another name"):
        sweep(*pictures, [{}], folder=pictures[0])
    assert sweep(*pictures, [], **COMMON) == []


def test_the_bar_tells_the_runs(
    pictures: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = sweeps.tqdm
    monkeypatch.setattr(sweeps, "tqdm", lambda **facts: bar(**facts | {"mininterval": 0, "delay": 0}))
    sweep(*pictures, [{"seed": 1}, {"seed": 2}, {"method": "lbfgs"}], **COMMON | {"progress": True, "steps": 40})
    said = capsys.readouterr().err
    assert "sweep" in said
    assert "3.0/3" in said
    assert sweep(*pictures, [{}], **COMMON)
    assert not capsys.readouterr().err


class Now(Executor):
    """An executor that does its work when it is given."""

    def submit(self, work: Any, /, *given: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*given, **named))
        except Exception as error:
            future.set_exception(error)
        return future


MIXED = [{"seed": 1}, {"method": "lbfgs"}, {"seed": 2}, {"size": 48, "scales": "1"}, {"beta": -1.0}, {"alpha": 1e300}]


def test_an_executor_gets_batches_and_single_runs(pictures: tuple[str, str], batches: list[int]) -> None:
    said = []
    for executor in (None, Now()):
        with pytest.raises(SweepError) as told:
            sweep(*pictures, MIXED, executor=executor, **COMMON)
        said.append(told.value)
    assert batches[: len(batches) // 2] == batches[len(batches) // 2 :]
    assert str(said[0]) == str(said[1])
    for one, two in zip(said[0].results, said[1].results, strict=True):
        assert (one is two is None) or (one and two and same(one, two))


def test_a_worker_that_sees_other_files_says_so(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(Now):
        def submit(self, work: Any, /, *given: Any, **named: Any) -> Future[Any]:
            save(torch.rand(1, 3, 40, 40), pictures[1])
            return super().submit(work, *given, **named)

    with pytest.raises(SweepError, match="this worker would make another picture .*; give it the same files"):
        sweep(*pictures, [{}], executor=Elsewhere(), **COMMON)


@pytest.mark.long
def test_processes_make_the_same_pictures(pictures: tuple[str, str]) -> None:
    settings = [*MIXED[:4], {"content": load(pictures[0]), "seed": 5}]
    whole = sweep(*pictures, settings, **COMMON)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = sweep(*pictures, settings, executor=pool, folder="runs", **COMMON)
    assert all(same(one, two) for one, two in zip(whole, found, strict=True))
    assert len(list(Path("runs").glob("*.png"))) == 5


@pytest.mark.long
def test_two_dask_workers_make_the_same_pictures(pictures: tuple[str, str]) -> None:
    distributed = pytest.importorskip("distributed")
    whole = sweep(*pictures, MIXED[:4], **COMMON)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        found = sweep(*pictures, MIXED[:4], executor=client.get_executor(), folder="runs", **COMMON)
        with pytest.raises(SweepError) as told:
            sweep(*pictures, MIXED, executor=client.get_executor(), folder="runs", **COMMON)
    assert all(same(one, two) for one, two in zip(whole, found, strict=True))
    assert list(told.value.failed) == [4, 5]


KILLED: dict[str, Any] = COMMON | {"steps": 30, "batch": 3}
RUNS = [*grid(seed=[1, 2, 3, 4, 5]), {"method": "lbfgs", "steps": 10}, {"steps": 10}]


def killed(pictures: tuple[str, str], kills: int) -> None:
    """Kill sweeps at random moments and begin each again until it ends; all end like an undisturbed one."""

    def started(folder: str, every: float) -> BaseProcess:
        return apart.started(apart.swept, pictures, RUNS, every, KILLED | {"folder": folder})

    spans = []
    for folder in ("whole", "whole again"):  # the first one also loads torch
        begin, process = time.monotonic(), started(folder, 30.0)
        process.join()
        spans.append(time.monotonic() - begin)
        assert process.exitcode == 0
    wanted, count, number = kept(Path("whole")), 0, 0
    assert kept(Path("whole again")) == wanted
    while count < kills:
        number, code = number + 1, -signal.SIGKILL
        while code == -signal.SIGKILL:
            process = started(f"runs{number}", random.choice([0.0, 30.0]))
            process.join(random.uniform(0, spans[1]))
            process.kill()
            process.join()
            code = process.exitcode
            count += code == -signal.SIGKILL
        assert code == 0
        found = {name: what for name, what in kept(Path(f"runs{number}")).items() if not name.startswith(".")}
        assert found == wanted  # a write that was killed leaves a hidden .part, and nothing else


def test_a_sweep_killed_three_times_ends_like_an_undisturbed_one(pictures: tuple[str, str]) -> None:
    killed(pictures, 3)


@pytest.mark.long
def test_a_sweep_killed_twenty_times_ends_like_an_undisturbed_one(pictures: tuple[str, str]) -> None:
    killed(pictures, 25)


class Killed(BaseException):
    """The end of a process, at a chosen moment."""


@pytest.mark.parametrize("last", [0, 1, 3, 4, 6, 7, 8, 9, 11])
def test_a_sweep_killed_between_any_two_files_goes_on(
    last: int, pictures: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, common = [{"seed": 1}, {"seed": 2}, {"seed": 3}, {"alpha": 1e300}], COMMON | {"steps": 4}
    count, put = 0, os.replace

    def replace(*names: Any) -> None:
        nonlocal count
        if count == last:
            raise Killed
        count += 1
        put(*names)

    def run(folder: str) -> None:
        with pytest.raises(SweepError, match="1 of 4"):
            sweep(*pictures, settings, folder=folder, **common)

    with monkeypatch.context() as patch:
        patch.setattr(optimise_module, "EVERY", 0.0)
        patch.setattr("os.replace", replace)
        with pytest.raises(Killed):
            run("runs")
    run("runs")
    run("whole")
    assert kept(tmp_path / "runs") == kept(tmp_path / "whole")


def test_a_run_with_tensors_and_a_begun_batch_goes_on(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    content = load(pictures[0])
    settings = [{"content": content, "seed": seed} for seed in range(3)]
    whole = sweep(*pictures, settings, **COMMON)
    with monkeypatch.context() as patch:
        patch.setattr(sweeps, "measured", lambda *given: (_ for _ in ()).throw(Killed()))
        patch.setattr(optimise_module, "EVERY", 0.0)
        with pytest.raises(Killed):
            sweep(*pictures, settings, folder="runs", **COMMON)
    assert list(Path("runs").glob("*.batch.safetensors"))
    found = sweep(*pictures, settings, folder="runs", **COMMON)
    assert all(same(one, two) for one, two in zip(whole, found, strict=True))
    assert whole[0] != found[0]
    assert len({*whole, *found}) == 6


@pytest.mark.parametrize("batch", [1, 3])
def test_an_interrupt_keeps_what_is_done_and_goes_on(
    batch: int, pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = grid(seed=range(6))
    whole = sweep(*pictures, settings, batch=batch, **COMMON)
    steps, original = 0, optimise_module.descend

    def descend(*given: Any, **options: Any) -> Iterator[Any]:
        nonlocal steps
        for step in original(*given, **options):
            steps += 1
            if steps == 9:
                signal.raise_signal(signal.SIGINT)
            yield step

    with monkeypatch.context() as patch:
        patch.setattr(optimise_module, "descend", descend)
        with pytest.raises(KeyboardInterrupt, match=rf"stopped: {batch} of 6 runs are done and kept in .*runs; the same call"):
            sweep(*pictures, settings, folder="runs", batch=batch, **COMMON)
    assert steps == 9
    found = sweep(*pictures, settings, folder="runs", batch=batch, **COMMON)
    assert all(same(one, two) for one, two in zip(whole, found, strict=True))
    assert not [path for path in Path("runs").iterdir() if "state" in path.name or "batch" in path.name]
