"""What a careless or hostile reader gives: odd names, pictures, masks, cards, states, networks, streams and interrupts."""

import errno
import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import apart
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F
from tqdm import tqdm

from nstutils import Result, cli, images, stylise, sweep
from nstutils.backbones import vgg
from nstutils.fast import network as fast
from nstutils.fast.files import apply_file
from nstutils.fast.training import Photographs, train
from nstutils.guidance import load_mask
from nstutils.library import decoding, files
from nstutils.runs import store

SHALLOW = ("--size=16", "--steps=2", "--content-layers=relu1_1", "--style-layers=relu1_1")
TINY: dict[str, Any] = {"steps": 1, "batch": 1, "size": 32, "style_size": 48, "width": 4, "blocks": 0}


@pytest.fixture(autouse=True)
def _desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with a narrow network instead of the shipped one."""
    torch.manual_seed(0)
    save_file(vgg((4, 4, 6, 6, 8)).state_dict(), tmp_path / "small.safetensors")
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "small.safetensors"))
    monkeypatch.chdir(tmp_path)


def picture(name: str, size: tuple[int, int] = (16, 24)) -> str:
    """A picture file of noise."""
    images.save(images.noise(size), "made.png")
    os.replace("made.png", name)
    return name


def command(*words: str) -> int:
    """The exit status of a command, run in this process."""
    try:
        return cli.main(words)
    except SystemExit as end:
        return int(end.code or 0)


def program(*words: str, before: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    shell = before + " ".join(["exec", sys.executable, "-m", "nstutils", *words])
    return subprocess.run(shell, shell=True, capture_output=True, text=True, check=False, **options)


def assert_told(said: str, *clues: str) -> None:
    """The last line is one sentence with something to do."""
    assert "Traceback" not in said, said
    line = said.strip().splitlines()[-1]
    assert line.startswith("nstutils")
    assert "; " in line, line
    assert all(clue in line for clue in clues), line


BYTES = os.fsdecode(b"fot\xf6")


@pytest.mark.parametrize("place", ["content", "style", "init", "out"])
def test_a_file_name_that_is_no_unicode_is_saved_on_the_card_and_goes_on(place: str) -> None:
    names = {"content": picture("a.png"), "style": picture("b.png"), "init": "noise", "out": "out.png"}
    names[place] = f"{BYTES}.png" if place == "out" else picture(f"{BYTES}.png")
    words = ["stylise", names["content"], names["style"], f"--init={names['init']}", "-o", names["out"], *SHALLOW]
    assert command(*words) == 0
    assert command(*words, "--resume") == 0
    card = store.read_card(Path(names["out"]))
    assert place == "out" or BYTES in json.dumps(card["settings"], ensure_ascii=False)


def test_a_fast_network_learns_from_files_whose_names_are_no_unicode(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    style = picture(f"{BYTES}.png", (64, 64))
    picture(f"photos/{BYTES}.png", (40, 40))
    done = train([style], "photos", out="m.safetensors", **TINY)
    assert train([style], "photos", out="m.safetensors", resume=True, **TINY).card == done.card


def test_a_mask_painted_white_on_nothing_is_its_white_part() -> None:
    mask = Image.new("RGBA", (24, 16), (0, 0, 0, 0))
    mask.paste((255,) * 4, (0, 0, 12, 16))
    mask.save("mask.png")
    found = load_mask("mask.png", torch.zeros(1, 3, 16, 24))
    assert torch.equal(found, (torch.arange(24) < 12).float().expand(1, 1, 16, 24))


@pytest.mark.parametrize("colour", [(255, 0, 0), (1, 1, 1), (90, 90, 90)])
def test_what_is_told_of_a_mask_is_what_it_does(colour: tuple[int, int, int]) -> None:
    for name, shade in (("white.png", (255, 255, 255)), ("mask.png", colour)):
        mask = Image.new("RGB", (24, 16))
        mask.paste(shade, (0, 0, 12, 16))
        mask.save(name)
    common: dict[str, Any] = {"size": 24, "steps": 1, "content_layers": ["relu1_1"], "style_layers": ["relu1_1"]}
    content, style = picture("a.png"), picture("b.png")
    made = [stylise(content, style, content_guide=[name], **common) for name in ("white.png", "mask.png")]
    assert torch.equal(made[0].image, made[1].image)
    assert made[0].card["regions"] == made[1].card["regions"]
    assert made[0].card["regions"]["gap"] == 192


@pytest.mark.parametrize("depth", ["f4", "i4", "u4"])
@pytest.mark.parametrize("stray", [-1, 1.001, 256, 70000])
def test_one_stray_value_does_not_blacken_a_picture(depth: str, stray: float) -> None:
    values = np.tile(np.linspace(0, 1, 24), (16, 1)) * (1 if depth == "f4" else 255)
    stored = values.astype(depth)
    stored[3, 3] = np.array(stray).astype("i8" if depth != "f4" else "f4").astype(depth)
    tifffile.imwrite("x.tif", stored)
    found = images.load("x.tif")[0, 0]
    assert (found - torch.from_numpy(values / values.max())).abs().mean() < 0.01


def net(width: int = 4) -> fast.TransformNet:
    """A small fast network."""
    return fast.TransformNet(["one", "other"], width=width, blocks=1).eval()


def moving(path: str, times: int = 3, **facts: Any) -> Path:
    """An animation of noise."""
    frames = [images.to_pil(images.noise((30, 40), k)) for k in range(times)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=50, **facts)
    return Path(path)


@pytest.mark.parametrize("part", [0.1, 0.4, 0.7, 0.95])
def test_a_cut_animation_does_not_stop_the_pictures_after_it(part: float) -> None:
    os.mkdir("in")
    data = moving("in/b.gif").read_bytes()
    Path("in/b.gif").write_bytes(data[: int(part * len(data))])
    picture("in/c.png", (20, 20))
    wrong = apply_file(net(), "in", "out")
    assert wrong.keys() <= {"b.gif"}
    assert Path("out/c.png").exists()
    assert all("; " in reason for reason in wrong.values())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_what_is_no_file_is_passed_by_in_a_folder() -> None:
    os.mkdir("in")
    os.mkfifo("in/a.png")
    os.mkdir("in/b.png")
    picture("in/c.png", (20, 20))
    assert Photographs("in").names == ["c.png"]
    assert apply_file(net(), "in", "out") == {}
    assert os.listdir("out") == ["c.png"]


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_very_narrow_network_keeps_its_stride(width: int) -> None:
    narrow = net(width)
    unit = narrow.segments[0][1]  # type: ignore[index]
    x = torch.rand(1, width, 20, 24)
    expected = F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), unit.conv.weight, None, 2)
    assert torch.allclose(unit.convolved(x), expected, atol=1e-6)
    assert fast.apply(narrow, torch.rand(1, 3, 32, 48)).shape == (1, 3, 32, 48)


def test_the_program_alone_lists_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert command() == 2
    said = capsys.readouterr().err
    assert all(re.search(rf"^ +{name} ", said, re.MULTILINE) for name in ("stylise", "figure", "fast", "fetch", "doctor"))


def test_the_program_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--version") == 0
    assert re.fullmatch(r"nstutils \d+\.\d+\.\d+\n", capsys.readouterr().out)


def beside_the_bar(said: str) -> str:
    """What was said, without the progress that a busy computer takes long enough to show."""
    return re.sub(r"^style transfer: .*\n", "", said, flags=re.MULTILINE)


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_costs_nothing(closed: str) -> None:
    done = program("figure", "list", closed)
    assert (done.returncode, done.stderr) == (0, "")


def test_two_closed_streams_cost_no_picture() -> None:
    assert program("stylise", picture("a.png"), picture("b.png"), "-o out.png", *SHALLOW, ">&- 2>&-").returncode == 0
    assert Result.load("out.png").finished


def test_a_file_that_knows_few_letters_is_told_with_escapes_and_of_a_bar_its_end() -> None:
    words = [picture("ä.png"), picture("ö.png"), "-o bildü.png", *SHALLOW, "--steps=400", "--method=adam"]
    done = program("stylise", *words, before="LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 PYTHONIOENCODING=ascii ")
    assert (done.returncode, beside_the_bar(done.stderr)) == (0, "")
    assert "\r" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert re.match(r"bild(\\xfc|\\udcc3\\udcbc)\.png: classroom \w+, 400 steps of adam, ", done.stdout)
    assert Result.load("bildü.png").finished


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_a_full_disk_behind_the_output_is_told_with_something_to_do() -> None:
    done = program("figure", "list", ">/dev/full")
    assert done.returncode == 1
    assert_told(done.stderr, "figure", "No space left")
    assert done.stderr.count("\n") == 1


INTERRUPT = """
import os, runpy, signal, sys
module = sys.argv.pop(1)
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Hook())
runpy.run_module("nstutils", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "module", ["nstutils.cli", "argparse", "requests", "torch", "numpy", "torch.nn", "nstutils.transfer", "nstutils.descent"]
)
def test_an_interrupt_while_modules_load_is_one_line(module: str) -> None:
    words = [module, "stylise", picture("a.png"), picture("b.png"), "-o", "out.png", *SHALLOW]
    done = subprocess.run([sys.executable, "-c", INTERRUPT, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "nstutils: stopped before anything was done\n")


def test_a_bar_is_plain_lines_where_there_is_no_screen() -> None:
    file = io.StringIO()
    lines = cli.Lines(file, every=0)
    with tqdm(total=3, file=lines, mininterval=0, desc="steps") as bar:
        for _ in range(3):
            bar.update()
        tqdm.write("a word between", file=lines)
    print("the end", file=lines)
    said = file.getvalue()
    assert "\r" not in said
    assert "\n\n" not in said
    assert re.search(r"^steps: .* 2/3 ", said, re.MULTILINE)
    assert said.splitlines()[-3:-1] == ["a word between", said.splitlines()[-2]]
    assert said.endswith("\nthe end\n")


def test_a_quiet_command_shows_no_bar_whoever_draws_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: Any) -> Any:
        for _ in tqdm(range(3), mininterval=0):
            tqdm.write("a word between", file=sys.stderr)
        yield cli.Said("done", {"all": "done"})

    monkeypatch.setattr(cli, "run_fetch", run)
    assert command("fetch", "vgg19", "--quiet") == 0
    assert capsys.readouterr() == ("", "a word between\n" * 3)


def test_an_interrupt_of_any_command_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_fetch", run)
    assert command("fetch", "tubingen") == 1
    assert capsys.readouterr().err == "nstutils fetch: stopped; the same command begins again\n"


def edited(change: Any) -> None:
    """Change the card of out.png by hand."""
    path = store.card_path(Path("out.png"))
    card = json.loads(path.read_text())
    path.write_text(json.dumps(change(card) or card))


CHANGES = {
    "no history": lambda card: card.pop("history") and None,
    "an empty history": lambda card: card.update(history={}),
    "no steps": lambda card: card["history"].update(steps=None),
    "no end": lambda card: card["history"].pop("final") and None,
    "not finished": lambda card: card.update(finished="no"),
    "perhaps finished": lambda card: card.pop("finished") and None,
    "another loss": lambda card: card["history"]["final"].update(style=1.0),
    "no list": lambda card: [card],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_card_that_was_changed_by_hand_is_not_believed(change: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stylise", picture("a.png"), picture("b.png"), "-o", "out.png", *SHALLOW]
    assert command(*words) == 0
    edited(change)
    assert command(*words, "--resume") == 2
    assert_told(capsys.readouterr().err, "out.png.run.json", "make the picture again")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_run_of_a_store_whose_card_was_changed_is_made_again(change: Any) -> None:
    common: dict[str, Any] = {"size": 16, "steps": 2, "content_layers": ["relu1_1"], "style_layers": ["relu1_1"]}
    asked = (picture("a.png"), picture("b.png"), [{"seed": 0}])
    (first,) = sweep(*asked, folder="store", progress=False, **common)
    (path,) = Path("store").glob("*.png")
    for file in (path, store.card_path(path)):
        os.rename(file, file.name.replace(path.name, "out.png"))
    edited(change)
    os.rename("out.png", path)
    os.rename("out.png.run.json", store.card_path(path))
    (again,) = sweep(*asked, folder="store", progress=False, **common)
    assert torch.equal(again.image, first.image)
    assert [row["total"] for row in again.history["steps"]] == [row["total"] for row in first.history["steps"]]


def test_a_card_that_is_nested_without_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["stylise", picture("a.png"), picture("b.png"), "-o", "out.png", *SHALLOW]
    assert command(*words) == 0
    Path("out.png.run.json").write_text("[" * 100_000 + "]" * 100_000)
    assert command(*words, "--resume") == 2
    assert_told(capsys.readouterr().err, "out.png.run.json is damaged")


def test_a_flipped_bit_anywhere_in_a_state_is_found(tmp_path: Path) -> None:
    state = {"x": torch.rand(3, 5), "half": torch.rand(4).bfloat16(), "none": torch.zeros(0), "one": torch.tensor(True)}
    path = tmp_path / "a.state.safetensors"
    store.save_state({"step": 3, "rows": [1.5, {"k": None}]} | state, path)
    data = path.read_bytes()
    for bit in range(0, 8 * len(data), 7):  # one or two of every byte
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="is damaged .* without --resume"):
            store.load_state(path)


@pytest.mark.parametrize("record", [None, b"", b"{}", {}, {"runs": [1]}, {"runs": [], "state": None}], ids=str)
def test_a_damaged_record_of_a_batch_does_not_block_its_folder(record: Any) -> None:
    os.mkdir("store")
    path = Path("store/x.batch.safetensors")
    if isinstance(record, dict):
        store.save_state(record, path)
    else:
        path.symlink_to("nowhere") if record is None else path.write_bytes(record)
    common: dict[str, Any] = {"size": 16, "steps": 2, "content_layers": ["relu1_1"], "style_layers": ["relu1_1"]}
    done = sweep(picture("a.png"), picture("b.png"), [{"seed": 0}, {"seed": 1}], folder="store", progress=False, **common)
    assert len(done) == 2
    assert list(Path("store").glob("*.batch*")) == ([path] if record == {"runs": [1]} else [])


TRAIN = ("fast", "train", "swirls", "-o", "m.safetensors", "--batch=1", "--size=32", "--style-size=48", "--steps=3")


def begun(*words: str) -> None:
    """A training that was stopped after its first step."""
    stop = threading.Event()
    options = {"steps": 3, "batch": 1, "size": 32, "style_size": 48, "width": 4, "blocks": 1}
    train(["swirls"], out="m.safetensors", stop=stop, watch=lambda _: stop.set(), **options)


@pytest.mark.parametrize("other", ["--width=5", "--blocks=2", "--norm=batch", "--up=transposed"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_training_does_not_go_on_with_another_network(other: str, finished: bool, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TRAIN, "--width=4", "--blocks=1", "--resume"]
    begun()
    if finished:
        assert command(*words) == 0
    assert command(*words, other) == 2
    assert_told(capsys.readouterr().err, "other settings", other.strip("-").split("=")[0])


def test_a_training_does_not_go_on_from_the_state_of_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    begun()
    store.save_state({"card": {}, "state": {"x": torch.ones(2)}}, store.state_path(Path("m.safetensors")))
    assert command(*TRAIN, "--width=4", "--blocks=1", "--resume") == 2
    assert_told(capsys.readouterr().err, "not the state of a training")


def test_a_training_does_not_go_on_from_an_emptied_history(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*TRAIN, "--width=4", "--blocks=1"]
    assert command(*words) == 0
    path = store.card_path(Path("m.safetensors"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"history": {"seconds": 1, "steps": []}}))
    assert command(*words, "--resume") == 2
    assert_told(capsys.readouterr().err, "m.safetensors.run.json")


@pytest.mark.parametrize(("option", "value"), [("lr", "1e308"), ("lr", "1e31"), ("seed", "9" * 20), ("seed", str(2**63))])
def test_what_no_training_can_use_is_refused(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*TRAIN, f"--{option}={value}") == 2
    assert_told(capsys.readouterr().err, f"{option} is ")


@pytest.mark.parametrize(
    "wrong",
    [{"styles": [1, 2]}, {"styles": "ab"}, {"styles": None}, {"styles": ["a"]}, {"styles": ["a"] * 1000}, {"blocks": 1_000_000},
     {"blocks": "1"}, {"width": 10_000}, {"more": 1}],
    ids=lambda wrong: str(wrong)[:30],
)  # fmt: skip
def test_a_network_with_another_plan_is_refused_before_it_is_made(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {key: value.contiguous() for key, value in net().state_dict().items()}
    plan = {"styles": ["one", "other"], "width": 4, "blocks": 1, "norm": "instance", "up": "resize"} | wrong
    save_file(state, "m.safetensors", {"plan": json.dumps(plan), "facts": "{}"})
    monkeypatch.setattr(fast, "Unit", lambda *_, **__: pytest.fail("it is made"))
    assert command("fast", "apply", "m.safetensors", picture("a.png"), "-o", "out.png") == 2
    assert_told(capsys.readouterr().err, "not a fast network")


@pytest.mark.parametrize("key", ["mean", "std"])
@pytest.mark.parametrize("value", ["[1]", "null", "3", "", "[1, 2, null]", '"abc"', "[1, 2, NaN]", "[" * 100_000])
def test_weights_with_an_odd_header_are_refused(key: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(vgg((4, 4, 6, 6, 8)).state_dict(), "odd.safetensors", {key: value})
    assert command("stylise", picture("a.png"), picture("b.png"), "-o", "out.png", "--weights=odd.safetensors", *SHALLOW) == 2
    assert_told(capsys.readouterr().err, f"gives {key} as")


@pytest.mark.parametrize("state", [{0: torch.ones(2)}, {"conv1_1.weight": torch.tensor(1.0)}], ids=["a number", "no kernel"])
def test_weights_that_are_of_no_network_are_refused(state: dict[Any, Any], capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(state, "odd.pth")
    assert command("stylise", picture("a.png"), picture("b.png"), "-o", "out.png", "--weights=odd.pth", *SHALLOW) == 2
    assert_told(capsys.readouterr().err, "weights")


@pytest.mark.parametrize("words", [["-o", "é" * 114 + ".png"]])
def test_a_name_that_is_too_long_is_told_in_bytes(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stylise", picture("a.png"), picture("b.png"), *words, *SHALLOW) == 2
    assert_told(capsys.readouterr().err, "takes 232 bytes")


def test_a_picture_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names, real = (picture("a.png"), picture("b.png")), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("b.png") and real(path, mode))
    assert command("stylise", *names, "-o", "out.png", *SHALLOW) == 1
    assert_told(capsys.readouterr().err, "b.png may not be read")


def test_an_error_of_the_system_is_told_with_something_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error", "b.png")

    monkeypatch.setattr(cli, "run_doctor", fail)
    assert command("doctor") == 1
    assert_told(capsys.readouterr().err, "b.png: Input/output error")


@pytest.mark.parametrize("style", ["²", "½", "-1", "٣"])
def test_a_style_that_is_no_number_is_told(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    fast.save(net(), "m.safetensors")
    assert command("fast", "apply", "m.safetensors", picture("a.png"), "-o", "out.png", f"--style={style}") == 2
    assert_told(capsys.readouterr().err, "style ")


@pytest.mark.parametrize("end", ["gif", "webp"])
@pytest.mark.parametrize("loop", [None, 0, 2])
def test_an_animation_plays_as_often_as_before(loop: int | None, end: str) -> None:
    source = moving("in.gif", **({} if loop is None else {"loop": loop}))
    assert apply_file(net(), source, f"out.{end}") == {}
    with Image.open(source) as before, Image.open(f"out.{end}") as after:
        assert before.info.get("loop") == loop
        assert after.info.get("loop") == (1 if loop is None and end == "webp" else loop)


def test_a_link_stays_a_link_and_what_it_leads_to_is_written() -> None:
    os.mkdir("there")
    os.symlink("there/real.png", "out.png")
    for seed in (0, 1):
        images.save(images.noise((8, 8), seed), "out.png")
        assert os.path.islink("out.png")
        assert (images.load("there/real.png") - images.noise((8, 8), seed)).abs().max() < 0.01


def test_a_file_that_is_protected_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    data = Path(picture("out.png")).read_bytes()
    os.chmod("out.png", 0o444)
    assert command("stylise", picture("a.png"), picture("b.png"), "-o", "out.png", *SHALLOW) == 1
    assert_told(capsys.readouterr().err, "'out.png' is write-protected")
    assert Path("out.png").read_bytes() == data


@pytest.mark.parametrize("finished", [True, False])
def test_a_disk_that_is_full_at_the_end_leaves_picture_and_card_as_they_were(
    finished: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def result(seed: int) -> Result:
        history = {"steps": [{"step": 1, "total": float(seed)}]}
        return Result(images.noise((8, 8), seed), history, {"settings": {}}, None if finished else {"step": seed})

    path = result(1).save("out.png")
    before = {name: Path(name).read_bytes() for name in ("out.png", "out.png.run.json")}
    real, count = Path.write_bytes, 0

    def full(self: Path, data: bytes) -> int:
        nonlocal count
        count += 1
        if count == 2 or (not finished and count == 3):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"out\.png(\.run\.json)? cannot be written \(No space left on device\); make room"):
            result(2).save(path)
    assert {name: Path(name).read_bytes() for name in before} == before
    assert Result.load(path).history["steps"][0]["total"] in (1.0, 2.0)
    assert not list(Path().glob(".*.part"))


def test_what_a_killed_process_left_is_removed_later() -> None:
    old, new, other = Path(".abcd1234.part"), Path(".abcd5678.part"), Path(".of-another-program.part")
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (1e9, 1e9))
    files.write(b"1", Path("x.json"))
    assert not old.exists()
    assert new.exists()
    assert other.exists()


def test_pictures_of_pillow_and_numpy_are_taken() -> None:
    content, style = picture("a.png"), picture("b.png", (20, 20))
    options: dict[str, Any] = {"size": 16, "steps": 2, "content_layers": ["relu1_1"], "style_layers": ["relu1_1"]}
    mask = (np.arange(24) < 12) * np.ones((16, 1), dtype=bool)
    Image.fromarray(mask).save("mask.png")
    expected = stylise(content, style, content_guide=["mask.png"], **options)
    array = np.asarray(Image.open(style))
    for one, other, where in [
        (Image.open(content), array, mask),
        (np.asarray(Image.open(content)), array.astype("f4") / 255, Image.fromarray(mask)),
        (images.load(content), array / 255, mask.astype("f8")),
    ]:
        assert (stylise(one, other, content_guide=[where], **options).image - expected.image).abs().max() < 1e-3
        assert (stylise(one, [other], content_guide=[where], **options).image - expected.image).abs().max() < 1e-3
    assert torch.equal(images.load(array, 10), images.load(style, 10))
    assert torch.equal(images.load(array[..., 0]), images.load(Image.fromarray(array[..., 0])))
    cards = [stylise(image, style, **options).card["settings"]["content"] for image in (array, array.copy(), 255 - array)]
    assert cards[0] == cards[1] != cards[2]


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4, 2)), np.zeros((4,)), np.zeros((0, 4, 3)), np.zeros((4, 0, 3), "u1"), np.zeros((4, 4, 5), "u1"),
     np.full((4, 4, 3), 2.0), np.full((4, 4, 3), np.nan), np.zeros((4, 4, 3), "i8"), np.zeros((1, 3, 8, 8))],
    ids=lambda wrong: f"{wrong.shape} {wrong.dtype} {wrong.max(initial=0)}",
)  # fmt: skip
def test_an_array_that_is_no_picture_is_told(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"the picture is an array .*, wanted .*; (reshape|scale) it"):
        images.load(wrong)


@pytest.mark.parametrize("place", ["content", "style", "content_guide"])
def test_an_empty_tensor_is_told(place: str) -> None:
    given: dict[str, Any] = {"content": torch.rand(1, 3, 16, 16), "style": torch.rand(1, 3, 16, 16), "size": 16}
    given |= {place: [torch.rand(1, 1, 0, 16)] if place == "content_guide" else torch.rand(1, 3, 16, 0)}
    with pytest.raises(ValueError, match="reshape it"):
        stylise(given.pop("content"), given.pop("style"), **given)


@pytest.mark.parametrize("tile", ["99999999999999999999", "16385", "63"])
def test_a_tile_that_no_picture_has_is_refused(tile: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stylise", picture("a.png"), picture("b.png"), "-o", "out.png", f"--tile={tile}", *SHALLOW) == 2
    assert_told(capsys.readouterr().err, f"tile is {tile}")


def test_a_missing_picture_is_told_shortly_with_the_names_that_are_near(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stylise", "twon", picture("b.png"), "-o", "out.png", *SHALLOW) == 2
    said = capsys.readouterr().err
    assert_told(said, "'twon'", "town", "doctor")
    assert len(said) < 200


@pytest.mark.parametrize(("limit", "passes"), [(1000, 11), (10**6, 3)], ids=["in tiles", "in one piece"])
def test_one_picture_shows_how_far_it_is(
    limit: int, passes: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "LARGEST", limit)
    monkeypatch.setattr(fast, "TILE", 64)
    monkeypatch.setattr(fast, "tqdm", lambda **how: tqdm(**how | {"delay": 0}))
    apply_file(net(), picture("a.png", (200, 400)), "out.png", progress=True)
    assert re.search(rf"painting: 100%.* {passes}/{passes} ", capsys.readouterr().err)


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "RGBA"])
def test_a_very_large_picture_is_made_smaller_before_it_takes_memory(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    smooth = images.to_pil(images.resize(images.noise((6, 8)), (300, 400)))
    smooth.convert(mode).save("x.png")
    expected, seen, real = images.load("x.png", 10), [], decoding.from_pil

    def spied(picture: Image.Image, behind: str = "white") -> torch.Tensor:
        seen.append(picture.size)
        return real(picture, behind)

    monkeypatch.setattr(decoding, "from_pil", spied)
    monkeypatch.setattr(decoding, "MANY", 1000)
    assert (images.load("x.png", 10) - expected).abs().max() < 0.02
    assert seen == [(40, 30)]
    assert images.load("x.png").shape == (1, 3, 300, 400)


def test_a_small_file_of_many_pixels_takes_little_memory_where_a_small_size_is_asked_for() -> None:
    Image.new("P", (4200, 4200)).save("x.gif")
    assert apart.grown(images.load, "x.gif", 64) < 250  # its numbers alone would be 212 MB, and were there twice
