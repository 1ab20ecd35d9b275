"""The command line: everything that can be wrong with every option, from the parser itself, and odd input that is fine."""

import argparse
import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nstutils import cli
from nstutils.backbones import vgg
from nstutils.images import load, save
from nstutils.runs.options import Options
from nstutils.runs.sweeps import SweepError

SHALLOW = ("--size=16", "--steps=2", "--content-layers=relu1_1", "--style-layers=relu1_1")
RUN = ("stylise", "content.png", "style.png", "-o", "out.png", *SHALLOW)
FIGURE = ("figure", "convolution")
ABSENT = "mps" if torch.cuda.is_available() else "cuda"

WHOLE = ("x", "", "1.5", "nan", "inf", "-1", "1e3")
NUMBER = ("x", "", "nan", "inf", "-inf", "-1", "1,2")
NUMBERS = (*NUMBER, "0", "1,1", "1,", "1,nan")
PICTURE = (
    "",
    "missing.png",
    "folder",
    "text.png",
    "cut.png",
    "empty.png",
    "other.safetensors",
    "~nobody/a.png",
    "starry_night",
)
LAYERS = ("", "relu9_9", "relu1_1,relu1_1", "relu1_1,", "fire2", "relu5_1")
MASK = (*PICTURE, "black.png", "wide.png")
BOTH = ("--content-guide=white.png",)
OWN: dict[str, tuple[object, ...]] = {  # of the options whose values are texts; a tuple holds more arguments
    "content": PICTURE,
    "style": (*PICTURE, ("style.png", "missing.png")),
    "out": (
        "",
        "out",
        "out.gif",
        "folder",
        "content.png",
        "style.png",
        "link.png",
        "content.png/out.png",
        "a" * 300 + ".png",
        ("white.png", "--init=white.png"),
        ("white.png", "--content-guide=white.png"),
    ),  # fmt: skip
    "scales": ("", "x", "0", "-1", "16,8", "16,16", "8,", "4,8", "4,32", "nan", "1,99999999999"),
    "weights": (
        "",
        "missing.pth",
        "folder",
        "text.pth",
        "text.png",
        "code.pth",
        "cut.safetensors",
        "empty.pth",
        "broken.pth",
        "other.safetensors",
        "list.pth",
    ),  # fmt: skip
    "init": PICTURE,
    "content_layers": LAYERS,
    "style_layers": LAYERS,
    "layer_weights": (*NUMBERS, "2:1", "0:1", "1;1:1", "1;5:1;5:1", "1;x:1", "1;", "1;5:1,1", "1;5:-1", "1;5:0", "1:1:1"),
    "style_weights": NUMBERS,
    "content_guide": (*MASK, ("white.png", "--content-guide=white.png")),
    "style_guide": ("white.png", *((name, *BOTH) for name in MASK), ("white.png", "--style-guide=white.png", *BOTH)),
    "history": ("", "log.txt", "folder", "folder.json", "content.png/log.json", "out.png.run.json"),
    "id": ("", "unknown", ("all", "unknown"), ("unknown", "list", "x")),
    "folder": ("", "content.png", "content.png/made"),
    "dask": ("", "nowhere", "tcp://127.0.0.1"),
    "name": ("", "unknown", "folder", "starry_night", "squeezenet", ("pictures", "unknown")),
}
MORE = {  # beside what the kind of the option brings
    "size": ("99999999999", "9" * 30, ("4", "--style-layers=relu5_1")),
    "style_size": ("99999999999", "21", ("4", "--style-layers=relu5_1")),
    "device": (ABSENT,),
    "backbone": (("squeezenet", "--weights=other.safetensors"), ("random-vgg19", "--weights=other.safetensors")),
    "alpha": (("0", "--beta=0", "--tv=0"),),
    "beta": (("0", "--alpha=0", "--tv=0"),),
}

pytestmark = pytest.mark.filterwarnings("error")  # a warning would be a second line on stderr


def commands() -> dict[str, argparse.ArgumentParser]:
    """The sub-parsers by name."""
    (found,) = [action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def bad_values(action: argparse.Action) -> tuple[object, ...]:
    """What an option must refuse, by its kind; nothing for an option that this test knows nothing of."""
    more = MORE.get(action.dest, ())
    if action.nargs == 0:
        return ("1", "", *more)
    if action.choices:
        return ("unknown", "", "nan", *more)
    if action.type is int:
        return (
            *WHOLE,
            *(() if action.dest == "seed" else ("0",)),
            *(("1" + "0" * 20,) if action.dest == "seed" else ()),
            *more,
        )
    if action.type is float:
        return (*NUMBER, *(("0",) if action.dest == "lr" else ()), *more)
    return OWN.get(action.dest, ())


def actions() -> list[tuple[str, argparse.Action]]:
    """Every option and argument of every command, but for --help."""
    return [(name, a) for name, sub in commands().items() for a in sub._actions if not isinstance(a, argparse._HelpAction)]


def cases() -> Iterator[object]:
    """The wrong command lines, one for every bad value of every option."""
    for name, action in actions():
        for value in bad_values(action):
            first, *rest = (value,) if isinstance(value, str) else value  # type: ignore[misc]
            if name != "stylise" and any(word.startswith("--") for word in rest):
                continue  # the second option is one of stylise
            words = list(RUN) if name == "stylise" else list(FIGURE) if name == "figure" and action.option_strings else [name]
            if action.option_strings:
                words.append(f"{action.option_strings[-1]}={first}")
            elif name == "stylise":
                words[1 if action.dest == "content" else 2] = first
            else:
                words.append(first)
            if action.dest == "style":
                words[2:3] = [first, *rest]
            else:
                words += rest
            yield pytest.param(
                words,
                action.dest,
                [first, *rest][-1 if action.dest == "style" else 0],
                id=f"{name}-{action.dest}-{' '.join([first, *rest])[:40]}",
            )


class Trap:
    """Unpickled, it would make a file."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("ran",)


@pytest.fixture(scope="session")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of everything: pictures and masks, good, damaged and mistaken, and a finished picture that must stay."""
    place = tmp_path_factory.mktemp("things")
    torch.manual_seed(0)
    for name, size in (("content.png", (16, 24)), ("style.png", (20, 20)), ("wide.png", (4, 30))):
        save(torch.rand((1, 3, *size)), place / name)
    save(torch.ones((1, 3, 16, 24)), place / "white.png")
    save(torch.zeros((1, 3, 16, 24)), place / "black.png")
    (place / "folder").mkdir()
    (place / "folder.json").mkdir()
    for name in ("text.png", "text.pth", "out.png", "out.png.run.json"):
        (place / name).write_text("only words\n" * 3)
    for name in ("empty.png", "empty.pth"):
        (place / name).touch()
    (place / "cut.png").write_bytes((place / "content.png").read_bytes()[:300])
    save_file({"conv1_1.weight": torch.zeros(4, 3, 3, 3)}, place / "other.safetensors")
    (place / "cut.safetensors").write_bytes((place / "other.safetensors").read_bytes()[:-9])
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, place / "broken.pth", _use_new_zipfile_serialization=False)
    (place / "broken.pth").write_bytes((place / "broken.pth").read_bytes()[:-20])
    torch.save([1, 2], place / "list.pth")
    save_file(vgg((4, 4, 6, 6, 8)).state_dict(), place / "small.safetensors")
    (place / "code.pth").write_bytes(pickle.dumps(Trap()))
    (place / "link.png").symlink_to("content.png")
    return place


@pytest.fixture
def seat(things: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder itself as the working folder, for tests that touch nothing: hundreds of copies would be thousands of files."""
    monkeypatch.chdir(things)
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(things / "small.safetensors"))
    return things


@pytest.fixture
def desk(things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one of everything in it."""
    place = tmp_path / "desk"
    shutil.copytree(things, place, symlinks=True)
    monkeypatch.chdir(place)
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(place / "small.safetensors"))
    return place


def snapshot(place: Path) -> dict[str, bytes | None]:
    """Every file below a folder with what is in it, and every folder."""
    return {str(p.relative_to(place)): p.read_bytes() if p.is_file() else None for p in place.rglob("*")}


def run(*words: str) -> int:
    """The exit status of a command, run in this process."""
    try:
        return cli.main(words)
    except SystemExit as end:
        return int(end.code or 0)


def check_sentence(said: str, status: int, *clues: str) -> None:
    """One sentence that names what came and says what to do."""
    assert status in (1, 2), said
    assert said.count("\n") == 1, said
    assert said.startswith("nstutils")
    assert "; " in said, f"what to do is missing: {said}"
    assert not any(word in said for word in ("Traceback", "Errno", "Error:", "object at 0x")), said
    plain = said.replace("-", "_")
    assert any(clue.replace("-", "_") in plain for clue in clues), f"what came is missing: {said}"


@pytest.mark.parametrize(("words", "dest", "value"), list(cases()))
def test_wrong_input_is_refused_in_one_sentence_and_nothing_is_touched(
    words: list[str], dest: str, value: str, seat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshot(seat)
    status = run(*words)
    said = capsys.readouterr()
    check_sentence(said.err, status, dest, *([value[:20], os.path.dirname(value) or value] if value else ["''", "'.'"]))
    assert said.out == ""
    assert snapshot(seat) == before


@pytest.mark.parametrize(("command", "action"), [pytest.param(n, a, id=f"{n}-{a.dest}") for n, a in actions()])
def test_every_option_has_wrong_values_to_be_tried(command: str, action: argparse.Action) -> None:
    assert len(bad_values(action)) >= 2, f"add the wrong values of {command} {action.dest} to OWN or MORE"


def test_the_command_line_has_exactly_the_options_of_the_python_function() -> None:
    own = {"content", "style", "out", "temporal", "history", "resume", "quiet", "json"}
    assert {a.dest for n, a in actions() if n == "stylise"} - own == set(Options.__dataclass_fields__)


@pytest.mark.parametrize("words",
    [["unknown"], ["stylise"], ["stylise", "content.png"], [*RUN, "--unknown"], [*RUN, "--lr"], [*RUN, "--unknown=a\nb"],
     ["fetch"], ["doctor", "extra"], ["fast", "apply", "fast", "white.png", "-o", "out.png", "--style=1,x"]],
)  # fmt: skip
def test_wrong_use_is_told_in_one_sentence(words: list[str], seat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(seat)
    assert run(*words) == 2
    check_sentence(capsys.readouterr().err, 2, "required", "invalid", "unrecognized", "expected", "unknown")
    assert snapshot(seat) == before


@pytest.mark.parametrize("words", [[*RUN, "--alpha=x"], ["fetch", "unknown"]], ids=lambda w: w[-1])
def test_wrong_input_is_refused_by_the_installed_program_too(words: list[str], desk: Path) -> None:
    before = snapshot(desk)
    done = subprocess.run([sys.executable, "-m", "nstutils", *words], capture_output=True, text=True, check=False)
    check_sentence(done.stderr, done.returncode, words[-1].split("=")[0].strip("-"))
    assert snapshot(desk) == before


@pytest.mark.parametrize(
    ("variable", "value"),
    [("NSTUTILS_PRESET", "huge"), ("NSTUTILS_BACKBONE", "vgg20"), ("NSTUTILS_WEIGHTS", "missing.pth"),
     ("NSTUTILS_WEIGHTS", "code.pth")],
)  # fmt: skip
def test_a_wrong_environment_variable_is_named(
    variable: str, value: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    before = snapshot(desk)
    status = run(*RUN)
    check_sentence(capsys.readouterr().err, status, value)
    assert snapshot(desk) == before


def test_the_code_in_a_weights_file_would_run_if_it_were_unpickled(desk: Path) -> None:
    pickle.loads((desk / "code.pth").read_bytes())
    assert (desk / "ran").is_dir()


def test_a_refused_run_makes_no_folders(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(desk)
    for wrong in (["--init=missing.png"], ["--content-layers=relu9_9"], ["--resume"]):
        assert run("stylise", "content.png", "style.png", "-o", "new/folder/out.png", *SHALLOW, *wrong) == 2
    assert snapshot(desk) == before


@pytest.mark.parametrize("name", ["town", "content_town.jpg"])
def test_a_shipped_picture_is_never_written_over(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nstutils.library.pictures.data_folder", lambda: desk)
    (desk / "pictures").mkdir()
    save(torch.rand(1, 3, 16, 16), desk / "pictures" / "content_town.jpg")
    before = snapshot(desk)
    content = name if name == "town" else f"pictures/{name}"
    assert run("stylise", content, "style.png", "-o", "pictures/content_town.jpg", *SHALLOW) == 2
    check_sentence(capsys.readouterr().err, 2, "content_town.jpg")
    assert snapshot(desk) == before


@pytest.mark.parametrize(("damage", "clue"), [
    (lambda p: p.joinpath("a.png.run.json").unlink(), "run.json"),
    (lambda p: p.joinpath("a.png.run.json").write_text("{"), "run.json"),
    (lambda p: p.joinpath("a.png.run.json").write_text("[]"), "run.json"),
    (lambda p: shutil.copy(p / "content.png", p / "a.png"), "a.png"),
    (lambda p: p.joinpath("a.png").write_text("words"), "a.png"),
    (lambda p: p.joinpath("a.png").unlink(), "a.png"),
], ids=["no card", "cut card", "odd card", "another picture", "no picture", "nothing"])  # fmt: skip
def test_a_run_whose_files_were_changed_does_not_go_on(
    damage: Callable[[Path], object], clue: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("stylise", "content.png", "style.png", "-o", "a.png", *SHALLOW)
    assert run(*words) == 0
    damage(desk)
    before = snapshot(desk)
    capsys.readouterr()
    status = run(*words, "--resume")
    check_sentence(capsys.readouterr().err, status, clue)
    assert snapshot(desk) == before


@pytest.mark.parametrize(
    "other",
    ["--seed=1", "--steps=3", "--beta=7", "--lr=0.5", "--method=sgd", "--init=noise", "--pool=max", "--raw-loss",
     "--layer-weights=2", "--keep-colour=match", "--style-size=18"],
)  # fmt: skip
def test_a_run_does_not_go_on_with_other_settings(other: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("stylise", "content.png", "style.png", "-o", "a.png", *SHALLOW)
    assert run(*words) == 0
    before = snapshot(desk)
    capsys.readouterr()
    status = run(*words, other, "--resume")
    check_sentence(capsys.readouterr().err, status, other.strip("-").split("=")[0])
    assert snapshot(desk) == before


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"),
     MemoryError(), RuntimeError("can't allocate memory: you tried 9 bytes"),
     RuntimeError("could not create a primitive"), MemoryError("Unable to allocate 9 GiB for an array")],
)  # fmt: skip
def test_no_room_is_told_in_one_sentence(
    error: Exception, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    if isinstance(error, OSError):
        monkeypatch.setattr("os.replace", fail)
    else:
        monkeypatch.setattr(sys.modules["nstutils.transfer"], "prepare", fail)
    before = snapshot(desk)
    assert run(*RUN) == 1
    said = capsys.readouterr().err.splitlines()[-1] + "\n"
    check_sentence(said, 1, "memory", "out.png")
    assert snapshot(desk) == before


FINE = {
    "spaces and letters of other alphabets in names": ("my photo ä 写真.png", 'it\'s "art".png', "-o", "größe ✓ é.png"),
    "a large extension": ("content.png", "style.png", "-o", "OUT.PNG"),
    "a JPEG in a new folder": ("content.png", "style.png", "-o", "new/folder/a.jpg"),
    "sixteen pixels": ("tiny.png", "tiny.png", "-o", "a.png"),
    "a very wide picture": ("ribbon.png", "style.png", "-o", "a.png", "--size=400"),
    "a very tall style": ("content.png", "tower.png", "-o", "a.png"),
    "several styles with weights": (
        "content.png",
        "style.png",
        "wide.png",
        "tiny.png",
        "-o",
        "a.png",
        "--style-weights=1,.5,0",
    ),
    "two guides": (
        "content.png",
        "style.png",
        "wide.png",
        "-o",
        "a.png",
        "--content-guide=left.png",
        "--content-guide=right.png",
    ),
    "a start from a file of another shape": ("content.png", "style.png", "-o", "a.png", "--init=wide.png"),
    "spaces after commas": (
        "content.png",
        "style.png",
        "-o",
        "a.png",
        "--style-layers=relu1_1, relu2_1",
        "--layer-weights=1, 2",
    ),
    "scales by hand": ("content.png", "style.png", "-o", "a.png", "--scales=8,16"),
    "the same picture twice": ("content.png", "content.png", "-o", "a.png", "--alpha=0"),
    "black and white": ("content.png", "black.png", "-o", "a.png", "--keep-colour=luminance"),
    "one colour matched": ("content.png", "black.png", "-o", "a.png", "--keep-colour=match"),
    "a name of a known picture": ("chelsea", "coffee", "-o", "a.png"),
}


@pytest.mark.parametrize("words", FINE.values(), ids=FINE.keys())
def test_unusual_input_is_fine(words: tuple[str, ...], desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for copy in ("my photo ä 写真.png", 'it\'s "art".png'):
        shutil.copy("content.png", copy)
    for name, size in (("tiny.png", (16, 16)), ("ribbon.png", (20, 400)), ("tower.png", (120, 6))):
        save(torch.rand((1, 3, *size)), name)
    half = (torch.arange(24) < 12).float().expand(1, 3, 16, 24)
    save(half, "left.png")
    save(1 - half, "right.png")
    out = words[words.index("-o") + 1]
    before = snapshot(desk)
    assert run("stylise", *SHALLOW, *words) == 0, capsys.readouterr().err
    size = next((int(word.split("=")[1]) for word in words if word.startswith("--size=")), 16)
    assert max(load(out).shape) == size
    assert out in capsys.readouterr().out
    new = {name for name in snapshot(desk) if name not in before and not name.startswith("new") or name.endswith(".jpg")}
    assert {n for n in new if not n.endswith(".run.json")} == {out}
    assert all(snapshot(desk)[name] == data for name, data in before.items())


def test_a_finished_run_over_an_older_picture_replaces_picture_and_card(desk: Path) -> None:
    assert run(*RUN, "--seed=5") == 0
    assert json.loads((desk / "out.png.run.json").read_text())["settings"]["seed"] == 5
    with Image.open(desk / "out.png") as picture:
        assert picture.size == (16, 11)
    assert not list(desk.rglob("*.state.safetensors")) + list(desk.rglob("*.part"))


def test_a_reader_who_goes_away_is_no_error(desk: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m nstutils figure list | true", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def program(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> object:
    """What a command says to a program: JSON on stdout."""
    capsys.readouterr()
    assert run(*words, "--json") == status
    return json.loads(capsys.readouterr().out)


def test_a_program_reads_what_became_of_a_picture(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = program(capsys, *RUN)
    card = json.loads((desk / "out.png.run.json").read_text())
    assert isinstance(told, dict)
    assert (told["out"], told["finished"], told["steps"]) == ("out.png", True, 2)
    assert told["weights_sha256"] == card["weights_sha256"]
    assert told["final"] == card["history"]["final"]
    assert told["seconds"] > 0


def test_a_program_reads_of_figures_reports_and_downloads(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = program(capsys, "figure", "list")
    assert isinstance(names, list)
    assert "gallery" in names
    (made,) = program(capsys, "figure", "convolution", "--preset=smoke", "--out=made")  # type: ignore[misc]
    assert made["path"] == str(desk / "made" / "convolution.png")
    assert {"id", "holds", "seconds", "backbone"} < made.keys()
    report = program(capsys, "doctor")
    assert isinstance(report, dict)
    assert report["preset"].startswith("quick")
    table = program(capsys, "doctor", "--layers=classroom")
    assert isinstance(table, list)
    assert table[0] == {"layer": "conv1_1", "channels": 4, "at 256 px": 256, "stride": 1, "field": 3, "parameters": 112,
                        "filters kept": []}  # fmt: skip
    monkeypatch.setattr(cli.fetch, "fetch", lambda name, **_: desk / name)
    assert program(capsys, "fetch", "tubingen") == [{"name": "tubingen", "path": str(desk / "tubingen")}]


def test_a_program_reads_of_fast_networks_also_what_went_wrong(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--images=photos", "--steps=2", "--batch=1", "--size=32", "--style-size=20", "--width=4", "--blocks=0")
    (desk / "photos").mkdir()
    save(torch.rand(1, 3, 40, 40), "photos/a.png")
    trained = program(capsys, "fast", "train", "style.png", "-o", "m.safetensors", *words)
    assert isinstance(trained, dict)
    assert (trained["out"], trained["finished"], trained["steps"]) == ("m.safetensors", True, 2)
    assert trained["loss"] > 0
    for name in ("content.png", "text.png"):
        shutil.copy(name, desk / "folder" / name)
    applied = program(capsys, "fast", "apply", "m.safetensors", "folder", "-o", "painted", status=1)
    assert isinstance(applied, dict)
    assert list(applied["wrong"]) == ["text.png"]
    assert (applied["out"], applied["seconds"] > 0) == ("painted", True)


def test_a_program_reads_which_figures_failed_and_people_read_it_on_stderr(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ArithmeticError("the loss is nan; lower the weights")

    monkeypatch.setattr("nstutils.papers.experiments.figure", explode)
    assert run("figure", "tv", "seeds", "--json", "--out=made") == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == [{"id": id, "error": "the loss is nan; lower the weights"} for id in ("tv", "seeds")]
    assert "nstutils figure seeds: the loss is nan; lower the weights\n" in said.err


@pytest.mark.parametrize("words", [RUN, (*FIGURE, "--preset=smoke", "--out=made"), ("fetch", "tubingen")], ids=lambda w: w[0])
def test_quiet_says_nothing_but_errors(
    words: tuple[str, ...], desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(name: str, progress: bool = False) -> Path:
        assert not progress
        return desk / name

    monkeypatch.setattr(cli.fetch, "fetch", fetched)
    assert run(*words, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run(RUN[0], "missing.png", *RUN[2:], "--quiet") == 2
    check_sentence(capsys.readouterr().err, 2, "missing.png")


@pytest.mark.parametrize("bug", [ValueError("odd"), KeyError("odd"), TypeError("odd"), RuntimeError("odd")])
def test_a_bug_keeps_its_traceback(bug: Exception, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise bug

    monkeypatch.setattr(sys.modules["nstutils.transfer"], "prepare", fail)
    with pytest.raises(type(bug), match="odd"):
        run(*RUN)
    monkeypatch.setattr(sys.modules["nstutils.runs.sweeps"], "prepare", fail)
    with pytest.raises(SweepError) as told:
        run("figure", "ratio-row", "seeds", "--preset=smoke", "--out=made", "--quiet")
    assert told.value.__cause__ is bug
