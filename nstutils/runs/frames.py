"""Clips as files: an animated GIF or WebP, or a folder of numbered frames; read with one frame in memory at a time."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import ImageSequence
from torch import Tensor

from nstutils import images
from nstutils.library import fetch, files
from nstutils.library.decoding import from_pil, opened
from nstutils.library.errors import UserError
from nstutils.runs.preflight import free_memory

ANIMATED = {".gif": "GIF", ".webp": "WEBP"}
SHOWN = 40  # thousandths of a second that a frame of a folder is shown


@dataclass(frozen=True)
class Clip:
    """A clip whose frames were all read once: nothing in it is damaged, and all are of one size."""

    path: Path
    size: tuple[int, int]  # width, height
    times: tuple[int, ...]  # how long each frame is shown, in thousandths of a second
    loop: int | None = 0  # how often it plays, 0 for ever; None: a GIF that does not say
    files: tuple[Path, ...] = ()  # of a folder, in their order

    def frames(self, size: int | None = None, first: int = 0) -> Iterator[Tensor]:
        """The frames from number `first` on, their long side at `size` if given."""
        for frame in self._stored(first):
            yield frame if size is None else images.resize(frame, size)

    def _stored(self, first: int) -> Iterator[Tensor]:
        if self.files:
            yield from map(images.load, self.files[first:])
            return
        with opened(self.path) as file:
            yield from map(from_pil, islice(ImageSequence.Iterator(file), first, len(self.times)))

    @property
    def sha256(self) -> str:
        """Of all that it holds."""
        parts = [fetch.sha256(path) for path in self.files or (self.path,)]
        return parts[0] if not self.files else hashlib.sha256("".join(parts).encode()).hexdigest()


def read(path: str | os.PathLike[str]) -> Clip:
    """The clip at a path, of two frames at least; what is wrong with it is told before anything is computed."""
    place = Path(os.path.expanduser(path))
    clip = _folder(place) if place.is_dir() else animation(place)
    if len(clip.times) < 2:
        raise UserError(f"{place} has one frame, but a clip has two at least; paint it as a picture, without --temporal")
    return clip


def animation(path: Path) -> Clip:
    """An animated GIF or WebP, or a still picture as a clip of one frame."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no clip {os.fspath(path)!r}; give an animated GIF or WebP, or a folder of frames")
    with opened(path) as file:
        if file.format not in ANIMATED.values():
            return Clip(path, file.size, (100,))
        # a WebP tells its time once it is read; the header's loop is that of the file
        times = tuple(frame.copy().info.get("duration", 100) for frame in ImageSequence.Iterator(file))
        return Clip(path, file.size, times, file.info.get("loop", None if file.format == "GIF" else 0))


def _folder(folder: Path) -> Clip:
    """The frames of a folder, in the order of the numbers in their names."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in images.FORMATS and not path.name.startswith(".")]
    if not found:
        raise UserError(f"{folder} holds no frames; give a folder of pictures that are numbered, as frame_001.png")
    places: dict[tuple[int, ...], Path] = {}
    for path in sorted(found):
        place = tuple(int(digits) for digits in re.findall(r"\d+", path.stem))
        if not place or place in places:
            like = f"the number of {places[place].name}" if place else "no number"
            raise UserError(
                f"{path.name} has {like} in its name, so its place is not known; number the frames, as frame_001.png"
            )
        places[place] = path
    ordered = tuple(places[place] for place in sorted(places))
    sizes = [_size(path) for path in ordered]
    for path, size in zip(ordered, sizes, strict=True):
        if size != sizes[0]:
            told = f"{path.name} is {size[0]} x {size[1]} pixels, {ordered[0].name} {sizes[0][0]} x {sizes[0][1]}"
            raise UserError(f"{told}; bring all frames to one size")
    return Clip(folder, sizes[0], (SHOWN,) * len(ordered), files=ordered)


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a frame that was read whole."""
    with opened(path) as file:
        file.load()
        return file.size


def place(out: str | os.PathLike[str], clip: Clip) -> Path:
    """Where a clip can go: an animation, or a folder, whose name has no point."""
    target = Path(os.path.expanduser(out))
    if target.suffix and target.suffix.lower() not in ANIMATED:
        told = f"{clip.path.name} has {len(clip.times)} frames, which {target.name} cannot hold"
        raise UserError(f"{told}; end its name in .gif or .webp, or give a folder")
    if target.exists() and target.samefile(clip.path):
        raise UserError(f"{target} is the file to read; give another name to save under")
    files.writable(target if target.suffix else numbered(target, 1), (".png", *ANIMATED))
    return target


def numbered(folder: Path, number: int) -> Path:
    """Where frame `number` of a folder lies, counted from 1."""
    return folder / f"{number:06}.png"


def room(clip: Clip, out: Path, size: tuple[int, int]) -> None:
    """Refuse an animation of frames of this size that would not fit into the memory: Pillow holds all of them to write."""
    need = 4 * len(clip.times) * size[0] * size[1]
    if out.suffix and need > free_memory(torch.device("cpu")):
        raise UserError(f"{len(clip.times)} frames would take {need / 1e9:.1f} GB to be written as {out.name}; give a folder")


def write(pictures: Iterator[Tensor], clip: Clip, out: Path) -> None:
    """Write pictures into a folder, or as an animation that shows each as long as `clip` does, and as often."""
    if not out.suffix:
        for number, picture in enumerate(pictures, 1):
            images.save(picture, numbered(out, number))
        return
    kind, drawn = ANIMATED[out.suffix.lower()], map(images.to_pil, pictures)
    first = next(drawn)
    room(clip, out, first.size)
    facts = images.QUALITY.get(kind, {}) | _loop(clip, kind)
    with files.atomic(out) as part:
        first.save(part, kind, save_all=True, append_images=drawn, duration=list(clip.times), **facts)


def _loop(clip: Clip, kind: str) -> dict[str, Any]:
    """A GIF that says nothing plays once, which WebP writes as 1 and GIF by saying nothing."""
    if clip.loop is not None:
        return {"loop": clip.loop}
    return {"loop": 1} if kind == "WEBP" else {}
