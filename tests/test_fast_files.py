"""The fast network on files, and on the command line."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from nstutils import cli, images
from nstutils.fast import network as fast
from nstutils.fast.files import STEADY, apply_file, steadied
from nstutils.library import decoding
from nstutils.motion import warp
from nstutils.runs.frames import animation

TINY = ("--steps=2", "--batch=1", "--size=32", "--style-size=48", "--width=4", "--blocks=1")


@pytest.fixture
def net() -> fast.TransformNet:
    torch.manual_seed(1)
    return fast.TransformNet(["one", "other"], width=4, blocks=1).eval()


@pytest.fixture
def model(net: fast.TransformNet, tmp_path: Path) -> str:
    return str(fast.save(net, tmp_path / "model.safetensors"))


def moving(path: Path, times: list[int], size: tuple[int, int] = (40, 30)) -> Path:
    """An animation of a black square that goes right."""
    pictures = []
    for k in range(len(times)):
        picture = Image.new("RGB", size, (250, 200, 40))
        picture.paste((0, 0, 0), (4 * k, 8, 4 * k + 9, 17))
        pictures.append(picture)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=times, loop=3)
    return path


def test_a_picture_is_painted_at_its_own_size_or_the_one_asked_for(net: fast.TransformNet, tmp_path: Path) -> None:
    source = images.save(images.noise((50, 70)), tmp_path / "in.png")
    assert apply_file(net, source, tmp_path / "out.png", "other") == {}
    expected = fast.apply(net, images.load(source), 1).mul(255).round().div(255)
    assert torch.allclose(images.load(tmp_path / "out.png"), expected)
    apply_file(net, source, tmp_path / "small.jpg", size=35)
    assert images.load(tmp_path / "small.jpg").shape[-2:] == (25, 35)
    apply_file(net, "town", tmp_path / "town.png", size=64)  # a known name
    assert images.load(tmp_path / "town.png").shape[-1] == 64


@pytest.mark.parametrize("begin", [".gif", ".webp"])
@pytest.mark.parametrize("end", [".gif", ".webp"])
def test_an_animation_keeps_its_frames_times_and_loops(net: fast.TransformNet, tmp_path: Path, begin: str, end: str) -> None:
    source, out = moving(tmp_path / f"in{begin}", [100, 250, 80]), tmp_path / f"out{end}"
    apply_file(net, source, out)
    assert animation(out).times == (100, 250, 80)
    with Image.open(source) as before, Image.open(out) as after:
        assert after.size == before.size
        for k in range(3):
            before.seek(k)
            after.seek(k)
            before.load()
            after.load()
            assert after.info["duration"] == before.info["duration"]
        assert after.info["loop"] == 3
        painted = fast.apply(net, decoding.from_pil(before), 0)
        assert (images.luminance(decoding.from_pil(after) - painted)).abs().mean() < 0.05  # the last frame, its colours coarser


def test_an_animation_becomes_a_film_and_a_film_or_a_folder_of_frames_a_clip(net: fast.TransformNet, tmp_path: Path) -> None:
    pytest.importorskip("av")
    apply_file(net, moving(tmp_path / "in.gif", [100, 250, 0]), tmp_path / "out.mp4")
    assert animation(tmp_path / "out.mp4").times == (100, 250, 100)  # players take 0 for a tenth of a second
    apply_file(net, tmp_path / "out.mp4", tmp_path / "again.gif", size=32)
    assert animation(tmp_path / "again.gif").times == (100, 250, 100)
    for k in range(2):
        images.save(images.noise((24, 32), k), tmp_path / "frames" / f"{k}.png")
    apply_file(net, tmp_path / "frames", tmp_path / "joined.mp4")
    assert animation(tmp_path / "joined.mp4").size == (32, 24)


def test_an_animation_does_not_fit_into_a_still(net: fast.TransformNet, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in.gif has 2 frames, which out.png cannot hold; end its name in .gif, .webp, .mp4"):
        apply_file(net, moving(tmp_path / "in.gif", [50, 50]), tmp_path / "out.png")


def test_a_still_gif_may_become_a_png_and_a_png_a_gif(net: fast.TransformNet, tmp_path: Path) -> None:
    source = moving(tmp_path / "in.gif", [50])
    apply_file(net, source, tmp_path / "out.png")
    apply_file(net, tmp_path / "out.png", tmp_path / "again.gif")
    assert len(animation(tmp_path / "again.gif").times) == 1


def test_of_a_folder_a_damaged_picture_does_not_stop_the_others(net: fast.TransformNet, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    images.save(images.noise((20, 30)), folder / "a.png")
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff no")
    moving(folder / "c.gif", [50, 60])
    (folder / "notes.txt").write_text("no picture")
    wrong = apply_file(net, folder, out)
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.gif"]
    assert wrong.keys() == {"b.jpg"}
    assert "; give a PNG" in wrong["b.jpg"]


def test_nothing_is_written_over_what_is_read(net: fast.TransformNet, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    source = images.save(images.noise((20, 30)), folder / "a.png")
    with pytest.raises(ValueError, match="is the file to read"):
        apply_file(net, source, source)
    with pytest.raises(ValueError, match="give another folder"):
        apply_file(net, folder, folder)
    with pytest.raises(ValueError, match="give another folder"):
        apply_file(net, folder, source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no picture"):
        apply_file(net, tmp_path / "empty", tmp_path / "out")


def test_train_and_apply_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, photo = tmp_path / "model.safetensors", images.save(images.noise((40, 40)), tmp_path / "photos" / "a.png")
    train = ["fast", "train", "swirls", "mosaic", "-o", str(model), "--images", str(photo.parent), *TINY]
    assert cli.main(train) == 0
    assert "2 steps" in capsys.readouterr().out
    assert cli.main([*train, "--resume"]) == 0  # finished: nothing to do
    out = tmp_path / "out.png"
    assert cli.main(["fast", "apply", str(model), str(photo), "-o", str(out), "--style", "1,3"]) == 0
    expected = fast.apply(fast.load(model), images.load(photo), [1, 3])
    assert (images.load(out) - expected).abs().max() < 0.01
    card = json.loads((tmp_path / "model.safetensors.run.json").read_text())
    assert card["settings"]["width"] == 4


@pytest.mark.parametrize(
    ("words", "clue"),
    [
        (["apply", "MODEL", "town", "-o", "out.png", "--style", "third"], "no style 'third'"),
        (["apply", "MODEL", "town", "-o", "out.png", "--style", "5"], "style 5 is not there"),
        (["apply", "MODEL", "town", "-o", "out.png", "--style", "1,x"], "invalid style value: '1,x'"),
        (["apply", "MODEL", "town", "-o", "out.png", "--style", "1,1,1"], "wanted 2 weights"),
        (["apply", "MODEL", "town", "-o", "out.txt"], "end its name in"),
        (["apply", "MODEL", "town", "-o", "out.png", "--size", "0"], "size is 0"),
        (["apply", "MODEL", "nowhere.png", "-o", "out.png"], "no picture 'nowhere.png'"),
        (["apply", "none", "town", "-o", "out.png"], "no network 'none'"),
        (["train", "nowhere.png", "-o", "m.safetensors", *TINY], "no picture 'nowhere.png'"),
        (["train", "swirls", "-o", "m.safetensors", "--style-loss", "emd"], "unrecognized arguments: --style-loss emd"),
        (["train", "swirls", "-o", "m.pth", *TINY], "end its name in .safetensors"),
        (["train", "swirls", "-o", "m.safetensors", "--images", "nowhere"], "no photographs at 'nowhere'"),
        (["train", "swirls", "-o", "m.safetensors", "--steps", "0"], "steps is 0"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(
    model: str, words: list[str], clue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = cli.main(["fast", *(model if word == "MODEL" else word for word in words)])
    except SystemExit as end:  # of argparse
        status = end.code
    assert status == 2
    told = capsys.readouterr().err.strip()
    assert clue in told
    assert "\n" not in told
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("out", ["out.bmp", "out", "out.gif.txt"])
def test_a_name_that_cannot_be_written_is_refused_before_anything_is_computed(
    out: str, net: fast.TransformNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = images.save(images.noise((20, 20)), tmp_path / "in.png")
    monkeypatch.setattr(fast, "apply", lambda *given: pytest.fail("it computed"))
    with pytest.raises(ValueError, match="cannot tell the format of .*; end its name in"):
        apply_file(net, source, tmp_path / out)


def test_frames_are_blended_with_the_last_along_the_motion(net: fast.TransformNet, tmp_path: Path) -> None:
    pictures = [images.noise((20, 24), seed) for seed in (1, 2)]
    first, second = (fast.apply(net, picture) for picture in pictures)
    way, seen = torch.full((1, 2, 20, 24), 2.0), (torch.arange(24) < 9).float().expand(1, 1, 20, 24)
    made = list(steadied(net, pictures, None, lambda number, before, now: (way, seen)))
    assert torch.equal(made[0], first)
    assert torch.allclose(made[1], second.lerp(warp(first, way), STEADY * seen))
    for number, picture in enumerate(pictures):
        images.save(picture, tmp_path / "in" / f"{number}.png")
    assert apply_file(net, tmp_path / "in", tmp_path / "out", temporal=True) == {}
    assert (images.load(tmp_path / "out" / "000001.png") - first).abs().mean() < 0.02
    assert images.load(tmp_path / "out" / "000002.png").shape == first.shape
