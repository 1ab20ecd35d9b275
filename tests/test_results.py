"""What a run leaves, and how it is read again."""

import base64
import hashlib
import io
import json
import math
import os
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apart
import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from nstutils import images
from nstutils.library import weights
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.store import card_path, load_state, save_state, state_path


def image(seed: int = 0) -> Tensor:
    """A small random picture."""
    return torch.rand((1, 3, 6, 8), generator=torch.Generator().manual_seed(seed))


def made(step: int = 1, finished: bool = True, **settings: Any) -> Result:
    """A result as it would be after `step` steps, with a picture of its own."""
    card = {"settings": {"steps": 9, "lr": 0.1, "style_weights": (1.0, 2.0), **settings}, "seed": 3}
    history = {"steps": [{"step": n + 1, "total": 1 / (n + 3)} for n in range(step)], "final": {"total": 0.1}}
    return Result(image(step), history, card, None if finished else {"step": step, "x": image(step)})


def assert_sentence(error: BaseException, *words: str) -> None:
    """The error is one sentence with `words` in it and, after the semicolon, something to do."""
    text = str(error)
    assert "\n" not in text
    assert not re.search(r"[.!?]\s", text), text
    assert re.search(r"[;,] ", text), text
    for word in words:
        assert word in text


def as_json(value: Any) -> Any:
    """`value` as JSON gives it back: tuples are lists."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("finished", [True, False])
def test_a_result_comes_back_as_it_was_saved(tmp_path: Path, finished: bool) -> None:
    result = made(4, finished)
    path = result.save(tmp_path / "out.png")
    again = Result.load(path)
    assert (again.image - result.image).abs().max() <= 0.5 / 255 + 1e-6
    assert as_json(again.history) == as_json(result.history)
    assert as_json(again.card) == as_json(result.card)
    assert again.finished is finished
    if again.state:
        assert again.state["step"] == 4
        assert torch.equal(again.state["x"], image(4))
    files = {path, card_path(path)} | (set() if finished else {state_path(path)})
    assert set(tmp_path.iterdir()) == files


def test_a_result_is_one_line_and_in_a_notebook_its_picture_too() -> None:
    card = {"settings": {"method": "adam"}, "backbone": "classroom", "weights_sha256": "1a2b3c4d" * 8}
    final = {"content": 0.01, "style": 0.0212345, "total": 3.0}
    done = Result(image(), {"setup_seconds": 0.5, "seconds": 1.8, "steps": [{}] * 100, "final": final}, card)
    line = "classroom 1a2b3c4d, 100 steps of adam, 2.3 s, content 0.01, style 0.02123"
    assert str(done) == line
    assert repr(done) == f"Result(8 x 6 pixels, {line})"
    found = re.fullmatch(r'<img alt="(.+)" src="data:image/png;base64,(.+)"><br>(.+)', done._repr_html_())
    assert found
    assert found[1] == found[3] == line
    with Image.open(io.BytesIO(base64.b64decode(found[2]))) as shown:
        assert shown.size == (8, 6)
    several = Result(torch.cat([image(), image(1)]), {"steps": [], "final": {"total": [1.0, 2.0]}}, {"backbone": "<b>"}, {})
    assert str(several) == "<b>, 0 steps, not finished"
    assert several._repr_html_().endswith("<br>&lt;b&gt;, 0 steps, not finished")
    assert repr(Result(image(), {}, {})) == "Result(8 x 6 pixels, a picture)"


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_a_picture_of_any_format_is_known_again(tmp_path: Path, suffix: str) -> None:
    path = made(finished=False).save(tmp_path / f"out{suffix}")
    assert Result.load(path).state is not None


def test_a_name_or_a_path_with_a_tilde_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made().save("~/out.png")
    assert Result.load(str(tmp_path / "out.png")).finished
    assert Result.load("~/out.png").finished


def test_the_card_can_be_read_by_anyone(tmp_path: Path) -> None:
    path = made(2).save(tmp_path / "out.png")
    card = json.loads(card_path(path).read_text(encoding="utf-8"))
    assert card["finished"] is True
    assert card["seed"] == 3
    assert card["picture_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(card["history"]["steps"]) == 2


def test_finishing_removes_the_state(tmp_path: Path) -> None:
    path = made(1, finished=False).save(tmp_path / "out.png")
    assert state_path(path).exists()
    made(2).save(path)
    assert not state_path(path).exists()
    assert Result.load(path).finished


@pytest.mark.parametrize("finished", [True, False])
def test_a_picture_that_was_changed_is_refused(tmp_path: Path, finished: bool) -> None:
    path = made(1, finished).save(tmp_path / "out.png")
    images.save(image(7), path)
    with pytest.raises(ValueError, match="not the picture") as caught:
        Result.load(path)
    assert_sentence(caught.value, "out.png", "make it again")


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused_and_named(tmp_path: Path, finished: bool) -> None:
    path = made(1, finished).save(tmp_path / "out.png")
    with pytest.raises(ValueError, match="other settings") as caught:
        Result.load(path, {"steps": 9, "lr": 0.2, "new": None, "style_weights": (1.0, 2.0)})
    assert_sentence(caught.value, "lr: 0.1, not 0.2")
    assert "steps" not in str(caught.value)
    assert "style_weights" not in str(caught.value)


def test_equal_settings_are_accepted_though_tuples_became_lists(tmp_path: Path) -> None:
    path = made().save(tmp_path / "out.png")
    assert Result.load(path, made().card["settings"]).finished


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (None, FileNotFoundError, "is missing"),
        (b"", ValueError, "damaged"),
        (b'{"finished": true, "hist', ValueError, "damaged"),
        (b"\xff\xfe\x00", ValueError, "damaged"),
        (b"[1, 2]", ValueError, "not a run card"),
        (b'{"settings": [1]}', ValueError, "was changed"),
        (b"{}", ValueError, "was changed"),
        (b"null", ValueError, "not a run card"),
        (b"[" * 100_000, ValueError, "damaged"),
    ],
)
def test_a_card_that_is_missing_or_damaged_is_told(
    tmp_path: Path, content: bytes | None, kind: type[Exception], word: str
) -> None:
    path = made().save(tmp_path / "out.png")
    card_path(path).unlink()
    if content is not None:
        card_path(path).write_bytes(content)
    with pytest.raises(kind, match=word) as caught:
        Result.load(path)
    assert_sentence(caught.value, "out.png", "make")


def test_a_card_that_is_a_folder_is_told(tmp_path: Path) -> None:
    path = images.save(image(), tmp_path / "out.png")
    card_path(path).mkdir()
    with pytest.raises(ValueError, match="damaged") as caught:
        Result.load(path)
    assert_sentence(caught.value, "make the picture again")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda path: path.unlink(), FileNotFoundError),
        (lambda path: path.write_bytes(b""), ValueError),
        (lambda path: path.write_bytes(path.read_bytes()[:-20]), ValueError),
        (lambda path: path.write_bytes(b"\xff" * 200), ValueError),
        (lambda path: path.write_bytes(struct.pack("<Q", 2) + b"{}"), ValueError),
        (lambda path: save_state({"something": "else"}, path), ValueError),
        (lambda path: path.unlink() or path.mkdir(), ValueError),
    ],
)
def test_a_state_that_is_missing_or_damaged_is_told(
    tmp_path: Path, damage: Callable[[Path], object], kind: type[Exception]
) -> None:
    path = made(1, finished=False).save(tmp_path / "out.png")
    damage(state_path(path))
    with pytest.raises(kind, match=r"out\.png\.state\.safetensors is (missing|damaged)") as caught:
        Result.load(path)
    assert_sentence(caught.value, "without --resume")


def test_a_state_of_a_run_that_finished_is_not_asked(tmp_path: Path) -> None:
    path = made().save(tmp_path / "out.png")
    state_path(path).write_bytes(b"rubbish")
    assert Result.load(path).finished


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_in_a_history_is_refused_before_anything_is_written(tmp_path: Path, value: float, finished: bool) -> None:
    path = made(1, finished).save(tmp_path / "out.png")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    wrong = Result(image(5), {"steps": [{"total": value}]}, {}, None if finished else {})
    with pytest.raises(ValueError, match="NaN or infinity") as caught:
        wrong.save(path)
    assert_sentence(caught.value)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


class Killed(BaseException):
    """As if the process were ended."""


def killed_while_saving(result: Result, path: Path, after: int) -> None:
    """Save, but be killed before file number `after` is put in place or removed."""
    done = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def act(*arguments: Any, **keywords: Any) -> object:
            nonlocal done
            if isinstance(arguments[0], Path) and arguments[0].suffix == ".part":
                return real(*arguments, **keywords)  # tidying up is no step of the saving
            done += 1
            if done > after:
                raise Killed
            return real(*arguments, **keywords)

        return act

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        with pytest.raises(Killed):
            result.save(path)


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("finished", [True, False])
def test_a_kill_between_two_files_leaves_a_run_that_goes_on(tmp_path: Path, finished: bool, after: int) -> None:
    path = made(1, finished=False).save(tmp_path / "out.png")
    killed_while_saving(made(2, finished), path, after)
    again = Result.load(path, made().card["settings"])
    if again.state is None:
        assert (finished, after) == (True, 2)
        assert (again.image - image(2)).abs().max() <= 0.5 / 255 + 1e-6
        assert len(again.history["steps"]) == 2
    else:
        step = again.state["step"]
        assert step == (1 if finished or after == 0 else 2)
        assert torch.equal(again.state["x"], image(step))
        assert len(again.history["steps"]) == step


@pytest.mark.parametrize(("after", "loads"), [(0, None), (1, None), (2, 1)])
def test_a_kill_in_the_first_checkpoint_leaves_a_sentence_or_a_run_that_goes_on(
    tmp_path: Path, after: int, loads: int | None
) -> None:
    path = tmp_path / "out.png"
    killed_while_saving(made(1, finished=False), path, after)
    if loads is None:
        with pytest.raises(FileNotFoundError) as caught:
            Result.load(path)
        assert_sentence(caught.value, "there is no picture")
    else:
        again = Result.load(path)
        assert again.state is not None
        assert again.state["step"] == loads


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("finished", [True, False])
def test_a_kill_while_a_new_run_takes_the_place_of_a_finished_one_never_mixes_the_two(
    tmp_path: Path, finished: bool, after: int
) -> None:
    path = made(1, lr=0.5).save(tmp_path / "out.png")
    killed_while_saving(made(2, finished), path, after)
    try:
        again = Result.load(path)
    except ValueError as error:
        assert_sentence(error, "make it again")
        assert (finished, after) == (True, 1)
    else:
        step = 1 if again.card["settings"]["lr"] == 0.5 else 2
        assert (again.image - image(step)).abs().max() <= 0.5 / 255 + 1e-6
        assert len(again.history["steps"]) == step


@pytest.mark.parametrize("after", [0, 1, 2])
def test_no_part_of_a_file_is_left(tmp_path: Path, after: int) -> None:
    path = made(1, finished=False).save(tmp_path / "out.png")
    killed_while_saving(made(2, finished=False), path, after)
    assert set(tmp_path.iterdir()) == {path, card_path(path), state_path(path)}


STATE = {
    "step": 7,
    "none": None,
    "yes": True,
    "no": False,
    "text": "Tübingen",
    "floats": [0.1, 1e-300, -0.0, 1 / 3, math.pi, math.inf],
    "nested": {"a": {"exp_avg": torch.ones(2)}, "b": {"deep": [{"a": [1, [2, []]]}]}},
    "empty": {},
    "looks": {"tensor": "t0", "items": [], "list": [1], "value": None},
    "param_groups": [{"lr": 0.1, "params": [0]}],
}


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    save_state(STATE, tmp_path / "s")
    again = load_state(tmp_path / "s")
    ones = again["nested"]["a"].pop("exp_avg")
    assert torch.equal(ones, torch.ones(2))
    wanted = STATE | {"nested": {"a": {}, "b": STATE["nested"]["b"]}}  # type: ignore[index]
    assert again == wanted
    assert again["yes"] is True
    assert [struct.pack("d", x) for x in again["floats"]] == [struct.pack("d", x) for x in STATE["floats"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_a_tensor_of_any_type_and_shape_comes_back(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensor = (torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 9).to(dtype)
    save_state({"t": tensor}, tmp_path / "s")
    again = load_state(tmp_path / "s")["t"]
    assert again.dtype == dtype
    assert again.shape == shape
    assert torch.equal(again, tensor)


def test_tensors_that_share_memory_or_are_not_contiguous_are_saved(tmp_path: Path) -> None:
    whole = torch.arange(12.0).view(3, 4)
    save_state({"a": whole, "b": whole, "c": whole.T, "d": whole[1:, ::2], "e": whole.requires_grad_()}, tmp_path / "s")
    again = load_state(tmp_path / "s")
    for name, wanted in {"a": whole, "b": whole, "c": whole.T, "d": whole[1:, ::2], "e": whole}.items():
        assert torch.equal(again[name], wanted)


def test_tensors_of_a_state_lie_in_memory_as_torch_lays_its_own(tmp_path: Path) -> None:
    """Sums over tensors that begin elsewhere are rounded another way, and a resumed L-BFGS run would end a little off."""
    save_state({"step": 3, "pairs": [torch.rand(n) for n in (5, 7, 16, 9)]}, tmp_path / "s")
    found = [t.data_ptr() % 64 for t in load_state(tmp_path / "s")["pairs"]]
    assert found == [torch.rand(n).data_ptr() % 64 for n in (5, 7, 16, 9)]


def test_nan_in_a_tensor_of_a_state_is_kept(tmp_path: Path) -> None:
    save_state({"t": torch.tensor([math.nan, math.inf])}, tmp_path / "s")
    assert torch.equal(load_state(tmp_path / "s")["t"].nan_to_num(5, 6), torch.tensor([5.0, 6.0]))


@pytest.mark.parametrize("method", ["adam", "sgd", "lbfgs"])
def test_the_state_of_a_real_optimiser_comes_back(tmp_path: Path, method: str) -> None:
    x = torch.ones(3, requires_grad=True)
    kinds: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adam": lambda: torch.optim.Adam([x]),
        "sgd": lambda: torch.optim.SGD([x], lr=0.1, momentum=0.9),
        "lbfgs": lambda: torch.optim.LBFGS([x], max_iter=2),
    }

    def closure() -> float:
        x.grad = 4 * x.detach() ** 3
        return float((x.detach() ** 4).sum())

    first = kinds[method]()
    for _ in range(3):
        first.step(closure)
    save_state(first.state_dict(), tmp_path / "s")
    middle = x.detach().clone()
    first.step(closure)
    wanted, second = x.detach().clone(), kinds[method]()
    x.data.copy_(middle)
    state = load_state(tmp_path / "s")
    second.load_state_dict(state | {"state": {int(number): own for number, own in state["state"].items()}})
    second.step(closure)
    assert torch.equal(x, wanted)


def test_a_full_disk_is_told_and_the_old_state_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state({"step": 1}, tmp_path / "s")

    def full(*given: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save_state({"step": 2}, tmp_path / "s")
    assert_sentence(caught.value, "room")
    assert load_state(tmp_path / "s") == {"step": 1}
    assert list(tmp_path.iterdir()) == [tmp_path / "s"]


def test_on_device_moves_every_tensor_and_nothing_else() -> None:
    moved = store.on_device(STATE, torch.device("meta"))
    assert moved["nested"]["a"]["exp_avg"].device.type == "meta"
    assert STATE["nested"]["a"]["exp_avg"].device.type == "cpu"  # type: ignore[index]
    assert moved["param_groups"] == STATE["param_groups"]
    assert moved["step"] == 7


def test_differences_names_only_what_is_wanted_and_differs() -> None:
    assert store.differences({"a": 1, "b": (1, 2), "c": 3}, {"a": 1, "b": [1, 2]}) == ""
    assert store.differences({"a": 1}, {"a": 2, "b": None, "c": 5}) == "a: 1, not 2, c: None, not 5"


def test_versions_name_what_a_run_depends_on() -> None:
    assert set(store.versions()) == {"python", "nstutils", "torch", "numpy", "pillow"}


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is told otherwise, or not at all")
def test_a_state_is_written_without_a_copy_of_it(tmp_path: Path) -> None:
    assert apart.found(apart.grown_by_saving, tmp_path / "large") < 40
    assert (tmp_path / "large").stat().st_size > 200e6
