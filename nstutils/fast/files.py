"""Files through a fast network: a picture, every picture of a folder, or every frame of an animated GIF or WebP or an MP4."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images
from nstutils.fast import network as fast
from nstutils.library import files, pictures
from nstutils.library.errors import UserError
from nstutils.motion import warp
from nstutils.runs import frames
from nstutils.runs.clips import Motion, estimated

READ = (*images.FORMATS, ".gif", frames.FILM)
STEADY = 0.5  # of a frame is the last one brought along; more makes it hardly steadier, and softer


def apply_file(
    net: fast.TransformNet,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    style: fast.Style = None,
    *,
    size: int | None = None,
    temporal: bool = False,
    progress: bool = False,
) -> dict[str, str]:
    """Paint `source` (a picture, by path or known name, an animation, or a folder of both), its long side at `size` pixels
    if given, and write it to `out`. What comes back says, by file of a folder, what was wrong.

    With `temporal` the source is a clip, and every frame is blended with the last one, brought along the motion.
    """
    net.share(style)
    folder, target = Path(os.path.expanduser(source)), Path(os.path.expanduser(out))
    joined = temporal or (folder.is_dir() and target.suffix.lower() in frames.MOVING)
    if joined or not folder.is_dir():
        clip = frames.read(source) if joined else frames.animation(pictures.find(source))
        _file(net, clip, target, style, size, temporal, progress)
        return {}
    if target.exists() and (not target.is_dir() or target.samefile(folder)):
        raise UserError(f"{target} cannot take the pictures of {folder}; give another folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in READ and path.is_file())
    if not found:
        raise UserError(f"{folder} holds no picture; give a folder with {', '.join(READ)} in it")
    wrong = {}
    for path in tqdm(found, disable=not progress, desc="pictures", unit="picture", delay=0.3):
        try:
            _file(net, frames.animation(path), target / path.name, style, size, False, False)
        except (ValueError, OSError) as error:
            wrong[path.name] = str(error)
    return wrong


def _file(
    net: fast.TransformNet, clip: frames.Clip, out: Path, style: fast.Style, size: int | None, temporal: bool, progress: bool
) -> None:
    """One picture, or every frame of a clip; one is in memory at a time."""
    count = len(clip.times)
    if count == 1 and out.suffix.lower() not in (".gif", frames.FILM):
        if out.exists() and out.samefile(clip.path):
            raise UserError(f"{out} is the file to read; give another name to save under")
        files.writable(out, images.FORMATS)
        images.save(fast.apply(net, images.load(clip.path, size), style, progress=progress), out)
        return
    place = frames.place(out, clip)
    bar = tqdm(clip.frames(size), total=count, disable=not progress, desc="frames", unit="frame", delay=0.3)
    frames.write(steadied(net, bar, style) if temporal else (fast.apply(net, frame, style) for frame in bar), clip, place)


def steadied(
    net: fast.TransformNet, pictures: Iterable[Tensor], style: fast.Style, moves: Motion = estimated
) -> Iterator[Tensor]:
    """The frames painted, each blended with the last one, brought along the motion, where that shows the same."""
    last: tuple[Tensor, Tensor] | None = None
    for number, frame in enumerate(pictures):
        image = fast.apply(net, frame, style)
        if last:
            back, seen = moves(number, last[0], frame)
            image = image.lerp(warp(last[1], back), STEADY * seen)
        yield image
        last = frame, image
