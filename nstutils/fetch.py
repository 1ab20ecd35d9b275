"""Downloads with a pinned address and hash: the paper's pictures and the real networks' weights.

`fetch(name)` gives the path of the file in the cache and downloads it first if it is not there. NSTUTILS_MIRROR (a folder or
an address) is looked at before the pinned address. Nothing half-written or with a wrong hash ever stands under a file's name.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from nstutils.settings import settings


@dataclass(frozen=True)
class Source:
    """A file to download: its name in the cache, its address, and the first digits (or all) of its sha256."""

    file: str
    url: str
    sha256: str
    about: str


_EXAMPLES = "https://raw.githubusercontent.com/jcjohnson/neural-style/07c4b8299f8fbdafec0c514fc820ff1d7ff62e46/examples/inputs/"
_MODELS = "https://download.pytorch.org/models/"

PICTURES = {
    "tubingen": Source(
        "tubingen.jpg",
        _EXAMPLES + "tubingen.jpg",
        "e67d1869f01fd805385c681a80d9ebcf0f70ea4a5fe6127f0606bb1c7f4bf506",
        "Neckarfront in Tübingen, photograph by Andreas Praefcke",
    ),
    "golden_gate": Source(
        "golden_gate.jpg",
        _EXAMPLES + "golden_gate.jpg",
        "f8476ac216e0d409af2e52bf82ad2cdc3433e23d7895e6f9b2048fc014ed57ba",
        "Golden Gate Bridge, photograph",
    ),
    "starry_night": Source(
        "starry_night.jpg",
        _EXAMPLES + "starry_night.jpg",
        "0592ab0f7b51b3ce72608a95e53880bd93971e5b48f93a0ce8dfd3cbccf3d098",
        "Vincent van Gogh, The Starry Night, 1889",
    ),
    "the_scream": Source(
        "the_scream.jpg",
        _EXAMPLES + "the_scream.jpg",
        "f3075cddeb974a9ee1d6418f7f33fd05185a7ac7dcb4288bd2805d499a9dcaee",
        "Edvard Munch, Der Schrei, 1893",
    ),
    "shipwreck": Source(
        "shipwreck.jpg",
        _EXAMPLES + "shipwreck.jpg",
        "4f7cf34e3cd4a5daaf3f421f059ca9a01aaa2a3afd7243d6670c9c8bc001a213",
        "J. M. W. Turner, The Shipwreck of the Minotaur, 1805",
    ),
    "seated-nude": Source(
        "seated-nude.jpg",
        _EXAMPLES + "seated-nude.jpg",
        "f398757cfb5346842c3bc309ca65d03381b38b1f5f8d7c60abe68a804a405cf1",
        "Pablo Picasso, Femme nue assise, 1910",
    ),
}

WEIGHTS = {  # torchvision's ImageNet weights; the file name carries the first eight digits of the hash
    "vgg19": Source("vgg19-dcbb9e9d.pth", _MODELS + "vgg19-dcbb9e9d.pth", "dcbb9e9d", "VGG-19, 548 MB"),
    "vgg16": Source("vgg16-397923af.pth", _MODELS + "vgg16-397923af.pth", "397923af", "VGG-16, 528 MB"),
    "squeezenet": Source(
        "squeezenet1_1-b8a52dc0.pth", _MODELS + "squeezenet1_1-b8a52dc0.pth", "b8a52dc0", "SqueezeNet 1.1, 5 MB"
    ),
}


def names(what: str) -> list[str]:
    """The downloads that `what` stands for: 'pictures' is all pictures, any other name itself."""
    if what == "pictures":
        return list(PICTURES)
    _source(what, None)
    return [what]


def _source(name: str, sources: Mapping[str, Source] | None) -> Source:
    sources = sources or {**WEIGHTS, **PICTURES}
    if name not in sources:
        raise ValueError(f"{name!r} cannot be fetched; choose from pictures, {', '.join(sources)}")
    return sources[name]


def cached(name: str, sources: Mapping[str, Source] | None = None) -> Path | None:
    """The file in the cache if it is there and whole, else None."""
    source = _source(name, sources)
    path = settings().cache / source.file
    return path if path.is_file() and sha256(path).startswith(source.sha256) else None


def fetch(name: str, *, sources: Mapping[str, Source] | None = None, progress: bool = False, timeout: float = 30) -> Path:
    """The path of the downloaded file `name`; downloads it (mirror first) unless the cache has it."""
    source = _source(name, sources)
    here = cached(name, sources)
    if here:
        return here
    cache = settings().cache
    problems = []
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as folder:
            for place in _places(source):
                part, problem = _download(place, Path(folder) / source.file, source, progress, timeout)
                if part:
                    os.replace(part, cache / source.file)
                    return cache / source.file
                problems.append(problem)
    except OSError as error:
        raise OSError(f"{name} cannot be kept in {cache} ({error.strerror or error}); set NSTUTILS_CACHE to a folder "
                      "with room that you may write to") from error  # fmt: skip
    raise ConnectionError(
        f"{name} ({source.about}) could not be downloaded: {'; '.join(problems)}; try again with a network, or put the "
        f"file {source.file} into {cache} yourself"
    )


def _places(source: Source) -> list[str]:
    mirror = os.path.expanduser(settings().mirror or "")
    return ([f"{mirror.rstrip('/')}/{source.file}"] if mirror else []) + [source.url]


def _download(place: str, target: Path, source: Source, progress: bool, timeout: float) -> tuple[Path | None, str]:
    """One attempt: the file, or why there is none."""
    if "://" not in place:
        if not Path(place).is_file():
            return None, f"{place} does not exist"
        if not os.access(place, os.R_OK):
            return None, f"{place} may not be read"
        shutil.copyfile(place, target)
    else:
        try:
            pooch.HTTPDownloader(progressbar=progress, timeout=timeout, chunk_size=2**16)(place, str(target), None)
        except requests.HTTPError as error:
            return None, f"{place} answered {error.response.status_code}"
        except requests.exceptions.ChunkedEncodingError:
            return None, f"{place} broke off"
        except (requests.ConnectionError, requests.Timeout) as error:
            began = target.exists() and target.stat().st_size > 0
            return None, f"{place} {'broke off' if began else 'cannot be reached'} ({type(error).__name__})"
        except (requests.RequestException, ValueError) as error:  # a length that is no number
            return None, f"{place} failed ({type(error).__name__})"
    found = sha256(target)
    if not found.startswith(source.sha256):
        return None, f"{place} gave a file of {target.stat().st_size} bytes with sha256 {found[:8]}…, not {source.sha256[:8]}…"
    return target, ""


def sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
