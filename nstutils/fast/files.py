"""Files through a fast network: a picture, every picture of a folder, or every frame of an animated GIF or WebP."""

import os
from collections.abc import Iterator
from pathlib import Path

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
    """Paint `source` (a picture, by path or known name, an animation, or a folder of both) and write it to `out`.

    `size` is the long side in pixels (None: as it is). Of a folder, a picture that cannot be read does not stop the others:
    what comes back says, by file, what was wrong; it is empty where all went well.
    """
    net.share(style)
    folder = Path(os.path.expanduser(source))
    if not folder.is_dir():
        _file(net, pictures.find(source), Path(os.path.expanduser(out)), style, size, progress)
        return {}
    target = Path(os.path.expanduser(out))
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
    count = frames(path)
    if out.suffix.lower() == ".gif" or count > 1:
        if out.suffix.lower() not in ANIMATED:
            raise UserError(f"{path.name} has {count} frames, which {out.name} cannot hold; end its name in .gif or .webp")
        _animation(net, path, out, style, size, progress)
    else:
        out = files.writable(out, images.FORMATS)
        images.save(fast.apply(net, images.load(path, size), style, progress=progress), out)


def frames(path: Path) -> int:
    """The number of frames of a picture file; 1 for a still."""
    with images.reading(path), Image.open(path) as file:
        return getattr(images.bounded(file), "n_frames", 1) if file.format in ANIMATED.values() else 1


def _animation(net: fast.TransformNet, path: Path, out: Path, style: fast.Style, size: int | None, progress: bool) -> None:
    """Frame after frame, in the time and order of the original; one frame is in memory at a time."""
    out = files.writable(out, tuple(ANIMATED))
    with Image.open(path) as file:
        with images.reading(path):
            times = [frame.info.get("duration", 100) for frame in ImageSequence.Iterator(file)]
        painted = (fast.apply(net, frame, style) for frame in _frames(path, file, len(times), size))
        bar = tqdm(painted, total=len(times), disable=not progress, desc="frames", unit="frame", delay=0.3)
        with files.atomic(out) as part:
            kind = ANIMATED[out.suffix.lower()]
            facts = (
                images.QUALITY.get(kind, {})
                | {
                    "duration": times if len(times) > 1 else times[0],
                }
                | _loop(file, kind)
            )
            rest = (images.to_pil(image) for image in bar)
            next(rest).save(part, kind, save_all=True, append_images=rest, **facts)


def _loop(file: Image.Image, kind: str) -> dict[str, int]:
    """How often it plays; a GIF that says nothing plays once, which WebP writes as 1 and GIF by saying nothing."""
    if "loop" in file.info or file.format != "GIF":
        return {"loop": file.info.get("loop", 0)}
    return {"loop": 1} if kind == "WEBP" else {}


def _frames(path: Path, file: Image.Image, count: int, size: int | None) -> Iterator[Tensor]:
    """The frames, one read after the other."""
    for number in range(count):
        with images.reading(path):
            file.seek(number)
            image = images.from_pil(file)
        yield image if size is None else images.resize(image, size)
