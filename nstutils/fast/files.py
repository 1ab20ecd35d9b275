"""Files through a fast network: a picture, every picture of a folder, or every frame of an animated GIF or WebP."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence
from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images
from nstutils.fast import network as fast
from nstutils.library import files, pictures
from nstutils.library.errors import UserError

ANIMATED = {".gif": "GIF", ".webp": "WEBP"}
READ = (*images.FORMATS, ".gif")


def apply_file(
    net: fast.TransformNet,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    style: fast.Style = None,
    *,
    size: int | None = None,
    progress: bool = False,
) -> dict[str, str]:
    """Paint `source` (a picture, by path or known name, an animation, or a folder of both), its long side at `size` pixels
    if given, and write it to `out`. What comes back says, by file of a folder, what was wrong."""
    net.share(style)
    folder, target = Path(os.path.expanduser(source)), Path(os.path.expanduser(out))
    if not folder.is_dir():
        _file(net, pictures.find(source), target, style, size, progress)
        return {}
    if target.exists() and (not target.is_dir() or target.samefile(folder)):
        raise UserError(f"{target} cannot take the pictures of {folder}; give another folder")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in READ and path.is_file())
    if not found:
        raise UserError(f"{folder} holds no picture; give a folder with {', '.join(READ)} in it")
    wrong = {}
    for path in tqdm(found, disable=not progress, desc="pictures", unit="picture", delay=0.3):
        try:
            _file(net, path, target / path.name, style, size, False)
        except (ValueError, OSError) as error:
            wrong[path.name] = str(error)
    return wrong


def _file(net: fast.TransformNet, path: Path, out: Path, style: fast.Style, size: int | None, progress: bool) -> None:
    """One picture or animation."""
    if out.exists() and out.samefile(path):
        raise UserError(f"{out} is the file to read; give another name to save under")
    times, end = durations(path), out.suffix.lower()
    if end != ".gif" and len(times) == 1:
        files.writable(out, images.FORMATS)
        images.save(fast.apply(net, images.load(path, size), style, progress=progress), out)
        return
    if end not in ANIMATED:
        raise UserError(f"{path.name} has {len(times)} frames, which {out.name} cannot hold; end its name in .gif or .webp")
    files.writable(out, ANIMATED)
    bar = tqdm(_frames(path, len(times), size), total=len(times), disable=not progress, desc="frames", unit="frame", delay=0.3)
    painted = (images.to_pil(fast.apply(net, frame, style)) for frame in bar)
    facts = images.QUALITY.get(ANIMATED[end], {}) | _loop(path, ANIMATED[end])
    with files.atomic(out) as part:
        next(painted).save(part, ANIMATED[end], save_all=True, append_images=painted, duration=times, **facts)


def durations(path: Path) -> list[int]:
    """How long each frame of an animation is shown, in thousandths of a second; of a still, one number."""
    with images.opened(path) as file:
        if file.format not in ANIMATED.values():
            return [100]
        return [frame.copy().info.get("duration", 100) for frame in ImageSequence.Iterator(file)]  # WebP tells once it is read


def _loop(path: Path, kind: str) -> dict[str, Any]:
    """How often it plays; a GIF that says nothing plays once, which WebP writes as 1 and GIF by saying nothing."""
    with Image.open(path) as file:
        if "loop" in file.info or file.format != "GIF":
            return {"loop": file.info.get("loop", 0)}
        return {"loop": 1} if kind == "WEBP" else {}


def _frames(path: Path, count: int, size: int | None) -> Iterator[Tensor]:
    """The frames, one read after the other: one is in memory at a time."""
    with images.opened(path) as file:
        for frame in islice(ImageSequence.Iterator(file), count):
            image = images.from_pil(frame)
            yield image if size is None else images.resize(image, size)
