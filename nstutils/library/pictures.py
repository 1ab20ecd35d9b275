"""The pictures that have names: those of this project, scikit-image's photographs, and those that can be fetched."""

import difflib
import os
from importlib.util import find_spec
from pathlib import Path

from nstutils.library import fetch

PHOTOGRAPHS = {  # ship inside scikit-image
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "hubble": "hubble_deep_field.jpg",
    "camera": "camera.png",
}
INSTEAD = {"tubingen": "town", "golden_gate": "coast"}  # a shipped picture to take for a fetched one; styles: 'swirls'


def data_folder() -> Path:
    """The folder `data` of the project: beside the package in a checkout, inside it when installed from a wheel."""
    inside = Path(__file__).parent.parent / "data"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "data"


def shipped() -> dict[str, Path]:
    """The pictures that need no network, by name: those of this project and scikit-image's photographs."""
    found = {}
    for path in sorted((data_folder() / "pictures").glob("*.[jp][pn]g")):
        found[path.stem.removeprefix("style_").removeprefix("content_")] = path
    package = find_spec("skimage")  # its place alone: importing it takes a while
    folder = Path(package.submodule_search_locations[0]) / "data" if package and package.submodule_search_locations else None
    photographs = {name: folder / file for name, file in PHOTOGRAPHS.items()} if folder else {}
    return {name: path for name, path in photographs.items() if path.is_file()} | found


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The file behind a path or the name of a known picture; says what to do where there is none."""
    path = Path(os.path.expanduser(name_or_path))
    if os.path.isfile(path):
        if not os.access(path, os.R_OK):
            raise PermissionError(f"{path} may not be read; change its permissions or give another picture")
        return path
    name = os.fspath(name_or_path)
    pictures = shipped()
    if name in pictures:
        return pictures[name]
    if name in fetch.PICTURES:
        here = fetch.cached(name)
        if here:
            return here
        raise FileNotFoundError(
            f"the picture {name!r} is not on this computer yet; run `nstutils fetch {name}` with a network, "
            f"or take the shipped picture {INSTEAD.get(name, 'swirls')!r} instead"
        )
    if os.path.isdir(path):
        raise IsADirectoryError(f"{name!r} is a folder, not a picture; give the path of a picture file")
    near = difflib.get_close_matches(name, [*pictures, *fetch.PICTURES], 3) or ["town", "swirls"]
    known = f"the name of a known one, as {' or '.join(near)} (`nstutils doctor` lists them)"
    raise FileNotFoundError(f"there is no picture {name!r}; give the path of a picture file or {known}")
