"""Clips as files: an animated GIF or WebP, an MP4, or a folder of numbered frames; read with one frame in memory at a time."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, islice, pairwise
from pathlib import Path

import torch
from PIL import Image, ImageOps, ImageSequence
from torch import Tensor

from nstutils import images
from nstutils.library import fetch, files
from nstutils.library.decoding import from_pil, opened
from nstutils.library.errors import UserError, optional
from nstutils.runs.preflight import free_memory

ANIMATED, FILM = {".gif": "GIF", ".webp": "WEBP"}, ".mp4"
MOVING = (*ANIMATED, FILM)
PYAV = partial(optional, "av", instead="or take .gif, .webp or a folder of frames")
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
        elif self.path.suffix.lower() == FILM:
            yield from (from_pil(picture) for picture, _, _ in islice(_filmed(self.path), first, None))
        else:
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
    """An animated GIF or WebP, an MP4, or a still picture as a clip of one frame."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no clip {os.fspath(path)!r}; give a GIF, WebP or MP4, or a folder of frames")
    if path.suffix.lower() == FILM:
        shown = [(picture.size, begin, end) for picture, begin, end in _filmed(path)]
        starts = [begin for _, begin, _ in shown] + [shown[-1][2]]
        return Clip(path, shown[0][0], tuple(b - a for a, b in pairwise(starts)))
    with opened(path) as file:
        if file.format not in ANIMATED.values():
            return Clip(path, file.size, (100,))
        # a WebP tells its time once it is read; the header's loop is that of the file
        times = tuple(frame.copy().info.get("duration", 100) for frame in ImageSequence.Iterator(file))
        if file.format == "GIF" and any(path.read_bytes()[file.fp.tell() :]):  # type: ignore[attr-defined]
            raise ValueError("it goes on after its end")  # which Pillow sees where a frame is damaged
        return Clip(path, file.size, times, file.info.get("loop", None if file.format == "GIF" else 0))


def _filmed(path: Path) -> Iterator[tuple[Image.Image, int, int]]:
    """The frames of an MP4, upright, each with when it begins and ends, rounded, so that thirtieths of a second add up."""
    av = PYAV(path.name)
    try:
        with av.open(os.fspath(path)) as film:
            film.streams.video[0].codec_context.options = {"err_detect": "explode"}  # or a damaged frame would be made up
            for one in film.decode(video=0):
                end = one.time + one.duration * one.time_base
                yield one.to_image().rotate(one.rotation, expand=True), round(1000 * one.time), round(1000 * end)
    except (av.FFmpegError, IndexError, TypeError) as error:
        raise UserError(f"{path} is damaged or no film that can be read; replace the file") from error


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
    sizes = []
    for path in ordered:
        with opened(path) as file:
            sizes.append(ImageOps.exif_transpose(file).size)  # reads it whole: a damaged one is told before others are painted
    for path, size in zip(ordered, sizes, strict=True):
        if size != sizes[0]:
            told = f"{path.name} is {size[0]} x {size[1]} pixels, {ordered[0].name} {sizes[0][0]} x {sizes[0][1]}"
            raise UserError(f"{told}; bring all frames to one size")
    return Clip(folder, sizes[0], (SHOWN,) * len(ordered), files=ordered)


def place(out: str | os.PathLike[str], clip: Clip) -> Path:
    """Where a clip can go: an animation, an MP4, or a folder, whose name has no point."""
    target = Path(os.path.expanduser(out))
    if target.suffix and target.suffix.lower() not in MOVING:
        told = f"{clip.path.name} has {len(clip.times)} frames, which {target.name} cannot hold"
        raise UserError(f"{told}; end its name in {', '.join(MOVING)}, or give a folder")
    if target.suffix.lower() == FILM:
        PYAV(target.name)
    if target.exists() and target.samefile(clip.path):
        raise UserError(f"{target} is the file to read; give another name to save under")
    files.writable(target if target.suffix else numbered(target, 1), (".png", *MOVING))
    return target


def numbered(folder: Path, number: int) -> Path:
    """Where frame `number` of a folder lies, counted from 1."""
    return folder / f"{number:06}.png"


def room(clip: Clip, out: Path, size: tuple[int, int]) -> None:
    """Refuse an animation of frames of this size that would not fit into the memory: Pillow holds all of them to write."""
    need = 4 * size[0] * size[1] * (1 if out.suffix.lower() == FILM else len(clip.times))
    if out.suffix and need > free_memory(torch.device("cpu")):
        told = f"{len(clip.times)} frames would take {need / 1e9:.1f} GB to be written as {out.name}"
        raise UserError(f"{told}; give .mp4 or a folder")


def write(pictures: Iterator[Tensor], clip: Clip, out: Path) -> None:
    """Write pictures into a folder, or as an animation that shows each as long as `clip` does, and as often."""
    if not out.suffix:
        for number, picture in enumerate(pictures, 1):
            images.save(picture, numbered(out, number))
        return
    drawn = map(images.to_pil, pictures)
    first = next(drawn)
    if out.suffix.lower() == FILM:
        _film(chain([first], drawn), first.size, clip.times, out)
        return
    room(clip, out, first.size)
    kind = ANIMATED[out.suffix.lower()]
    plays = 1 if clip.loop is None and kind == "WEBP" else clip.loop  # a GIF that does not say plays once
    facts = images.QUALITY.get(kind, {}) | ({} if plays is None else {"loop": plays})
    with files.atomic(out) as part:
        first.save(part, kind, save_all=True, append_images=drawn, duration=list(clip.times), **facts)


def _film(pictures: Iterator[Image.Image], size: tuple[int, int], times: Sequence[int], out: Path) -> None:
    """Write pictures as MP4, one in memory at a time. H.264 has even sides: of an odd one the last pixels are left out."""
    av, tick, begin = PYAV(out.name), Fraction(1, 1000), 0
    width, height = (side // 2 * 2 for side in size)
    with files.atomic(out) as part, av.open(part, "w", format="mp4") as film:
        facts = {"width": width, "height": height, "pix_fmt": "yuv420p", "time_base": tick}
        stream = film.add_stream("libx264", options={"crf": "16", "bf": "0"}, **facts)
        stream.codec_context.colorspace = 6  # BT.601, as it is made; players guess otherwise
        stream.codec_context.flags |= av.codec.context.Flags.frame_duration  # else the last is shown for no time
        for picture, time in zip(pictures, times, strict=True):
            one = av.VideoFrame.from_image(picture.crop((0, 0, width, height)))
            one.pts, one.time_base, one.duration = begin, tick, time or 100  # a GIF's 0 is a tenth of a second to players
            begin += one.duration
            film.mux(stream.encode(one))
        film.mux(stream.encode(None))
