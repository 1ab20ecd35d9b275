"""Clips: how they are read and told wrong, what a frame takes from the one before, and runs that are stopped and go on."""

import itertools
import re
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from nstutils import cli, images, motion
from nstutils.course import measures
from nstutils.course.moving import moving
from nstutils.losses import TemporalLoss
from nstutils.runs import clips, frames, preflight, store
from nstutils.runs.options import WAYS, Options
from nstutils.runs.resolve import prepare

SMALL: dict[str, Any] = {"size": 40, "steps": 2}


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """A smooth random picture."""
    waves = torch.rand((1, 3, 9, 12), generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.interpolate(waves, (60, 76), mode="bicubic").clamp(0, 1)


@pytest.fixture
def folder(scene: Tensor, tmp_path: Path) -> Path:
    """Three numbered frames of a camera that pans."""
    for k in range(3):
        images.save(scene[..., 6 : 6 + 30, 4 * k : 4 * k + 40], tmp_path / "clip" / f"shot_{8 + k}.png")
    return tmp_path / "clip"


def animated(path: Path, scene: Tensor, times: list[int]) -> Path:
    pictures = [images.to_pil(scene[..., 6 : 6 + 30, 4 * k : 4 * k + 40]) for k in range(len(times))]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=times, loop=2)
    return path


def test_the_flow_between_two_pictures_brings_one_to_the_other(scene: Tensor) -> None:
    now, before = scene[..., 5:50, 8:68], scene[..., 4:49, 5:65]
    found = motion.flow(now, before)
    assert (found.median(-1).values.median(-1).values - torch.tensor([[1.0, 3.0]])).abs().max() < 0.1
    assert (motion.warp(before, found) - now)[..., 3:-3, 3:-6].abs().max() < 0.05


def test_warp_looks_where_the_flow_points_and_keeps_to_the_border() -> None:
    picture = torch.arange(12.0).view(1, 1, 3, 4).expand(1, 3, 3, 4) / 12
    way = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 3, 4)
    rows, columns = (torch.arange(3) + 1).clamp(max=2), (torch.arange(4) - 1).clamp(min=0)
    assert torch.allclose(motion.warp(picture, way), picture[..., rows, :][..., columns], atol=1e-6)


def test_what_comes_into_view_is_occluded_before() -> None:
    """A square of 4 pixels goes right by 3: what it uncovers, and what comes in from outside, was not to be seen."""
    forward, backward = torch.zeros(1, 2, 10, 20), torch.zeros(1, 2, 10, 20)
    forward[:, 1, 3:7, 4:8], backward[:, 1, 3:7, 7:11] = 3, -3
    expected = torch.zeros(1, 1, 10, 20)
    expected[..., 3:7, 4:7] = 1
    assert torch.equal(motion.occluded(forward, backward), expected)
    assert torch.equal(motion.occluded(0 * forward, 0 * backward - 1.5)[0, 0, :, :2], torch.ones(10, 2))


def test_the_temporal_loss_is_the_masked_mean_of_squares() -> None:
    image, target = torch.rand(2, 3, 4, 5), torch.rand(1, 3, 4, 5)
    mask = (torch.rand(1, 1, 4, 5) > 0.5).float()
    by_hand = [0.0, 0.0]
    for n, c, i, j in itertools.product(range(2), range(3), range(4), range(5)):
        by_hand[n] += float(mask[0, 0, i, j]) * float(image[n, c, i, j] - target[0, c, i, j]) ** 2 / 60
    assert torch.allclose(TemporalLoss(target, mask)(image, {}), torch.tensor(by_hand), atol=1e-6)
    assert torch.allclose(TemporalLoss(target)(image, {}), (image - target).square().mean((1, 2, 3)))


def test_the_motion_of_a_made_clip_is_exact() -> None:
    clip = moving(size=64, count=4)
    for k, (way, seen) in enumerate(zip(clip.flows, clip.seen, strict=True)):
        before, now = clip.frames[k : k + 2]
        along = measures.warping_error(before, now, way, seen)
        assert along < 0.3 * measures.warping_error(before, now, 0 * way, seen)
        assert 0.5 < seen.mean() < 0.98
        assert way.norm(dim=1).max() > 3
    assert moving(size=64, count=3, still=True).flows[0].norm(dim=1).median() < 1e-4


def test_what_is_expected_of_a_frame_follows_the_way() -> None:
    clip = moving(size=48, count=3)
    before, now, made = clip.frames[1], clip.frames[2], 1 - clip.frames[1]
    told = {way: clips.expected(way, 2, (before, made), now, clip.moves) for way in WAYS}
    targets = {way: hint.target for way, hint in told.items() if hint}
    assert told["independent"] is None
    assert torch.equal(targets["warm"], made)
    assert torch.equal(targets["difference"], (made + now - before).clamp(0, 1))
    assert torch.equal(targets["warped"], motion.warp(made, clip.flows[1]))
    assert torch.equal(targets["flow"], targets["warped"])
    assert all(clips.expected(way, 0, None, now) is None for way in WAYS)


@pytest.fixture(scope="module")
def shaken() -> dict[str, float]:
    """How far the frames of a clip are from one another along its motion, by the way they were made."""
    clip = moving(size=48, count=3)
    problem = prepare(clip.frames[0], "swirls", Options(size=48, steps=30))
    errors = {}
    for way in ("independent", "flow"):
        made = [result.image for result in clips.painted(problem, clip.frames, way, moves=clip.moves)]
        errors[way] = measures.warping_error(made[1], made[2], clip.flows[1], clip.seen[1])
    return errors


def test_a_temporal_loss_holds_frames_together(shaken: dict[str, float]) -> None:
    assert shaken["flow"] < 0.7 * shaken["independent"]


@pytest.mark.parametrize("end", [".gif", ".webp"])
def test_an_animation_keeps_its_frames_and_times(scene: Tensor, tmp_path: Path, end: str) -> None:
    source, out = animated(tmp_path / f"in{end}", scene, [60, 200, 90]), tmp_path / f"out{end}"
    card = clips.stylise_clip(source, "swirls", out=out, temporal="difference", **SMALL)
    assert frames.read(out) == frames.Clip(out, (40, 30), (60, 200, 90), 2)
    assert [row["frame"] for row in card["frames"]] == [1, 2, 3]
    assert {"seconds", "content", "style", "temporal", "total"} <= card["frames"][2].keys()
    assert [row["steps"] for row in card["frames"]] == [2, 1, 1]
    assert store.read_card(out)["finished"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, out.name, f"{out.name}.run.json"])


def film(path: Path, scene: Tensor, times: list[int], size: tuple[int, int] = (30, 40)) -> Path:
    """An MP4 of a camera that pans."""
    pytest.importorskip("av")
    shots = (scene[..., 6 : 6 + size[0], 4 * k : 4 * k + size[1]] for k in range(len(times)))
    frames.write(shots, frames.Clip(path, size[::-1], tuple(times)), path)
    return path


def test_a_film_is_read_and_written_with_its_times(scene: Tensor, tmp_path: Path) -> None:
    source, out = film(tmp_path / "in.mp4", scene, [60, 200, 500], (31, 41)), tmp_path / "out.mp4"
    assert frames.read(source) == frames.Clip(source, (40, 30), (60, 200, 500))
    for k, shot in enumerate(frames.read(source).frames()):
        assert images.luminance(shot - scene[..., 6 : 6 + 30, 4 * k : 4 * k + 40]).abs().mean() < 0.02
    assert cli.main(["stylise", str(source), "swirls", "-o", str(out), "--size", "40", "--steps", "2"]) == 0
    assert frames.read(out) == frames.Clip(out, (40, 30), (60, 200, 500))
    assert store.read_card(out)["finished"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4", "out.mp4.run.json"]


def test_a_film_of_a_telephone_held_upright_is_upright(scene: Tensor, tmp_path: Path) -> None:
    path = film(tmp_path / "in.mp4", scene, [40, 40])
    data = path.read_bytes()
    place = data.index(b"tkhd") + 44  # its matrix: turn clockwise
    path.write_bytes(data[:place] + struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30) + data[place + 36 :])
    clip = frames.read(path)
    assert clip.size == (30, 40)
    turned = scene[..., 6:36, :40].rot90(-1, (-2, -1))
    assert images.luminance(next(clip.frames()) - turned).abs().mean() < 0.02


def test_a_film_is_written_with_few_of_its_pictures_in_memory_and_whole_or_not_at_all(tmp_path: Path) -> None:
    pytest.importorskip("av")
    seen, most, out = [], 0, tmp_path / "out.mp4"

    def drawn() -> Iterator[Tensor]:
        nonlocal most
        for k in range(30):
            picture = images.noise((16, 16), k)
            seen.append(weakref.ref(picture))
            most = max(most, sum(one() is not None for one in seen))
            yield picture
        raise RuntimeError("stopped")

    out.write_bytes(b"as it was")
    with pytest.raises(RuntimeError, match="stopped"):
        frames.write(drawn(), frames.Clip(out, (16, 16), (40,) * 31), out)
    assert most < 5
    assert out.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [out]


def test_a_film_without_its_library_is_told_before_anything_is_made(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert cli.main(["stylise", str(folder), "swirls", "-o", str(tmp_path / "out.mp4")]) == 2
    said = capsys.readouterr().err.strip()
    assert said.endswith(
        "out.mp4 needs the package av, which is not installed; install it, or take .gif, .webp or a folder of frames"
    )
    assert not list(tmp_path.glob("out.mp4*"))


@pytest.mark.parametrize("spoil", [lambda data: data[:900], lambda data: data[:400] + bytes(300) + data[700:], lambda _: b"no"])
def test_a_film_that_is_damaged_is_told(scene: Tensor, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = film(tmp_path / "in.mp4", scene, [40] * 6)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match="in.mp4 is damaged or no film that can be read; replace the file"):
        frames.read(path)


def test_a_stopped_clip_goes_on_where_it_was_and_ends_the_same(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    clips.stylise_clip(folder, "swirls", out=out, temporal="warm", **SMALL)
    whole = [path.read_bytes() for path in sorted(out.glob("*.png"))]
    (out / "000002.png").write_bytes(b"killed in the middle")
    (out / "000003.png").unlink()
    before = (out / "000001.png").stat().st_mtime_ns
    card = clips.stylise_clip(folder, "swirls", out=out, temporal="warm", resume=True, **SMALL)
    assert card["finished"]
    assert [path.read_bytes() for path in sorted(out.glob("*.png"))] == whole
    assert (out / "000001.png").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="made with other settings .*beta: 10000.0, not 5.*; make it again"):
        clips.stylise_clip(folder, "swirls", out=out, temporal="warm", resume=True, beta=5, **SMALL)
    with pytest.raises(ValueError, match="out holds files already; go on with --resume"):
        clips.stylise_clip(folder, "swirls", out=out, **SMALL)


def test_an_animation_killed_while_its_frames_are_removed_is_not_made_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def removed(path: Path) -> None:
        (path / "000001.png").unlink()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", removed)
        with pytest.raises(Killed):
            clips.stylise_clip(folder, "swirls", out=tmp_path / "out.gif", temporal="warm", **SMALL)
    whole = (tmp_path / "out.gif").read_bytes()
    monkeypatch.setattr(clips, "painted", None)
    assert clips.stylise_clip(folder, "swirls", out=tmp_path / "out.gif", temporal="warm", resume=True, **SMALL)["finished"]
    assert (tmp_path / "out.gif").read_bytes() == whole
    assert not (tmp_path / "out.gif.frames").exists()


def test_a_folder_of_the_readers_own_is_not_taken_for_what_a_kill_has_left(folder: Path, tmp_path: Path) -> None:
    told: dict[str, Any] = {"out": tmp_path / "out.gif", "temporal": "warm", **SMALL}
    clips.stylise_clip(folder, "swirls", **told)
    mine = images.save(images.noise((8, 8)), tmp_path / "out.gif.frames" / "000001.png")
    assert clips.stylise_clip(folder, "swirls", resume=True, **told)["finished"]
    assert mine.exists()


def test_frames_that_the_camera_turned_otherwise_are_of_two_sizes(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    for number, facts in enumerate(({}, {"exif": turned})):
        Image.new("RGB", (40, 30)).save(tmp_path / f"{number}.png", **facts)
    with pytest.raises(ValueError, match="1.png is 30 x 40 pixels, 0.png 40 x 30; bring all frames to one size"):
        frames.read(tmp_path)


def test_a_frame_that_was_stopped_is_not_kept(scene: Tensor) -> None:
    stop = threading.Event()
    stop.set()
    problem = prepare(scene, "swirls", Options(**SMALL))
    results = list(clips.painted(problem, [scene, scene], "warm", stop=stop))
    assert [result.finished for result in results] == [False]


def test_brightness_alone_keeps_the_colours_of_every_frame(folder: Path) -> None:
    shot = frames.read(folder)
    problem = prepare(next(shot.frames()), "swirls", Options(keep_colour="luminance", **SMALL))
    made = [result.image for result in clips.painted(problem, shot.frames(), "difference")]
    for image, frame in zip(made, shot.frames(40), strict=True):
        kept = images.with_luminance_of(image, frame)
        assert (kept - image).abs().mean() < 0.01


def test_frames_come_in_the_order_of_their_numbers(folder: Path) -> None:
    clip = frames.read(folder)
    assert [path.name for path in clip.files] == ["shot_8.png", "shot_9.png", "shot_10.png"]
    assert torch.equal(next(clip.frames(first=2)), images.load(folder / "shot_10.png"))


def spoilt(folder: Path, what: str) -> Path:
    """The folder of frames with something wrong."""
    found = sorted(folder.iterdir())
    if what in ("empty", "one"):
        for path in found[what == "one" :]:
            path.unlink()
    elif what == "sizes":
        images.save(images.noise((20, 21)), folder / "shot_9.png")
    elif what == "damaged":
        (folder / "shot_9.png").write_bytes((folder / "shot_9.png").read_bytes()[:300])
    elif what == "names":
        images.save(images.noise((30, 40)), folder / "last.png")
    elif what == "twice":
        images.save(images.noise((30, 40)), folder / "again_009.png")
    return folder


@pytest.mark.parametrize(
    ("what", "clue"),
    [
        ("empty", "holds no frames; give a folder of pictures that are numbered"),
        ("one", "has one frame, but a clip has two at least; paint it as a picture"),
        ("sizes", "shot_9.png is 21 x 20 pixels, shot_8.png 40 x 30; bring all frames to one size"),
        ("damaged", "shot_9.png is damaged or cannot be read .*; replace the file"),
        ("names", "last.png has no number in its name, so its place is not known; number the frames"),
        ("twice", "shot_9.png has the number of again_009.png in its name"),
    ],
)
def test_a_clip_that_cannot_be_painted_is_told_before_anything_is_made(
    folder: Path, what: str, clue: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stylise", str(spoilt(folder, what)), "swirls", "-o", str(tmp_path / "out"), "--temporal"]
    assert cli.main(words) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    with pytest.raises(ValueError, match=clue):
        frames.read(folder)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "clue"),
    [
        (
            {"out": "out.png"},
            "clip has 3 frames, which out.png cannot hold; end its name in .gif, .webp, .mp4, or give a folder",
        ),
        ({"out": "clip"}, "clip is the file to read"),
        ({"temporal": "often"}, "temporal 'often' is not known; choose from independent"),
        ({"draft": True}, "draft is on, but the frames of a clip"),
        ({"resume": True}, "out.gif.run.json is missing"),
    ],
)
def test_what_no_clip_can_have_is_refused(folder: Path, more: dict[str, Any], clue: str) -> None:
    given = {"out": "out.gif", **SMALL} | more
    given["out"] = folder.parent / str(given["out"])
    with pytest.raises((ValueError, FileNotFoundError), match=clue):
        clips.stylise_clip(folder, "swirls", **given)


@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:-700], lambda data: data.replace(b"\x21\xf9", b"\x3b\xf9").replace(b"\x3b\xf9", b"\x21\xf9", 1)],
)
def test_an_animation_with_a_damaged_frame_is_told(scene: Tensor, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = animated(tmp_path / "in.gif", scene, [50, 50, 50])
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(ValueError, match="in.gif is damaged"):
        frames.read(path)


def test_thousands_of_frames_are_refused_as_an_animation_and_not_as_a_folder() -> None:
    long = frames.Clip(Path("in"), (4000, 3000), (40,) * 10**6)
    frames.room(long, Path("out"), (3000, 4000))
    frames.room(long, Path("out.mp4"), (3000, 4000))
    with pytest.raises(
        ValueError, match=r"1000000 frames would take 48000.0 GB to be written as out.gif; give .mp4 or a folder"
    ):
        frames.room(long, Path("out.gif"), (3000, 4000))


def test_a_clip_on_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stylise", str(folder), "swirls", "-o", str(tmp_path / "out.gif"), "--size", "40", "--steps", "2"]
    assert cli.main([*words, "--temporal", "warped"]) == 0
    assert "out.gif: 3 frames" in capsys.readouterr().out
    assert frames.read(tmp_path / "out.gif").times == (40, 40, 40)
    assert cli.main([*words, "--temporal", "warped", "--resume"]) == 0  # finished: nothing to do
    assert cli.main([*words, "--history", "x.json"]) == 2
    assert "--history is for pictures" in capsys.readouterr().err


def test_the_time_of_a_long_clip_is_told_beforehand(scene: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "PROBES", (24, 56))
    problem = prepare(scene, "swirls", Options(**SMALL))
    assert clips.announced(problem, 3, "flow") == ""
    assert re.fullmatch(
        r"300000 frames will take about \d+ minutes and 299999 flows, and 0.\d GB", clips.announced(problem, 300_000, "flow")
    )


def test_a_still_gif_is_no_clip(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "still.gif")
    with pytest.raises(ValueError, match="has one frame"):
        frames.read(tmp_path / "still.gif")
    with pytest.raises(FileNotFoundError, match="there is no clip"):
        frames.read(tmp_path / "none.gif")
