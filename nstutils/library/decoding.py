"""The one decoder of pictures: any file or known name, Pillow image or array to a tensor 1 x 3 x H x W in [0, 1]."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from nstutils.library import pictures
from nstutils.library.errors import UserError
from nstutils.library.files import reason

MANY = 2**24  # pixels from which a picture is made smaller in 8 bits
InMemory = Image.Image | np.ndarray  # pictures of other packages


def near(picture: str | os.PathLike[str] | InMemory, size: int | None, *, behind: str = "white") -> Tensor:
    """A picture in its own size; a very large file smaller, but with four times the long side `size` at least."""
    if isinstance(picture, np.ndarray):
        return _from_array(picture, behind)
    if isinstance(picture, Image.Image):
        return from_pil(picture, behind)
    with opened(pictures.find(picture)) as file:
        return from_pil(_reduced(ImageOps.exif_transpose(file), size), behind)


@contextmanager
def opened(file: Path | io.BytesIO, name: str = "") -> Iterator[Image.Image]:
    """A picture file to read from, if it has not too many pixels for that; what goes wrong is told in one sentence. Pillow's
    warnings are not told; the filter stays: one that is taken back (`catch_warnings`) is taken from all threads."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    name = name or str(file)
    try:
        with Image.open(file) as picture:
            if Image.MAX_IMAGE_PIXELS and picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
                raise Image.DecompressionBombError
            yield picture
    except UnidentifiedImageError as error:
        wanted = "give a PNG, JPEG, TIFF, WebP or GIF file with 8 or 16 bits a channel"
        raise UserError(f"{name} is not a picture that can be read; {wanted}") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{name} has too many pixels to be read safely; scale it down first") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise all sorts on damaged files
        raise UserError(f"{name} is damaged or cannot be read ({reason(error)}); replace the file") from error


def _reduced(picture: Image.Image, size: int | None) -> Image.Image:
    """A very large picture, brought near to four times the long side `size` while it takes a byte a number, not four."""
    factor = max(picture.size) // (4 * size) if size and size > 0 and picture.width * picture.height > MANY else 1
    if factor < 2 or _is_deep(picture):
        return picture
    smaller = in_srgb(picture).convert("RGBA" if picture.has_transparency_data else "RGB").reduce(factor)
    smaller.info.pop("icc_profile", None)  # what it told is done
    return smaller


def _is_deep(picture: Image.Image) -> bool:
    """Whether it is grey in more than 8 bits."""
    return picture.mode.startswith(("I", "F"))


def in_srgb(picture: Image.Image) -> Image.Image:
    """A Pillow image in sRGB, if it says what its colours are and has 8 bits; a damaged or unfit profile is ignored."""
    data = picture.info.get("icc_profile")
    if not data or _is_deep(picture):
        return picture
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return picture
        plain = picture if picture.mode in ("RGB", "CMYK", "L") else picture.convert("RGB")
        found = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), plain.mode, "RGB").apply(plain)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    if picture.has_transparency_data:
        found.putalpha(picture.convert("RGBA").getchannel("A"))
    return found


def from_pil(picture: Image.Image, behind: str = "white") -> Tensor:
    """A Pillow image of any mode as 1 x 3 x H x W in [0, 1]; what is transparent lies on the colour `behind`."""
    if _is_deep(picture):
        return _from_array(_grey(np.asarray(picture), picture.mode), behind)
    picture = in_srgb(picture)
    if picture.has_transparency_data:
        layered = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layered.size, behind), layered)
    pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None]
    return pixels.contiguous().float().div_(255)


def _from_array(values: np.ndarray, behind: str) -> Tensor:
    """A numpy array as 1 x 3 x H x W: 8 bits as Pillow takes them, other numbers in [0, 1]."""
    told, bytes_ = f"the picture is an array {values.shape} of {values.dtype}", values.dtype == np.uint8
    depths = ((), (2,), (3,), (4,)) if bytes_ else ((), (3,))
    if values.ndim < 2 or values.shape[2:] not in depths or not values.size:
        raise UserError(f"{told}, wanted height x width x 3; reshape it")
    if bytes_:
        return from_pil(Image.fromarray(values), behind)
    if values.dtype.kind not in "fb" or not (values.min() >= 0 and values.max() <= 1):
        raise UserError(f"{told}, wanted uint8, or numbers with a point in [0, 1]; scale it, for instance with picture / 255")
    rgb = np.broadcast_to(values.reshape(*values.shape[:2], -1), (*values.shape[:2], 3))
    return torch.from_numpy(np.array(rgb, dtype=np.float32)).permute(2, 0, 1)[None].contiguous()


def _grey(values: np.ndarray, mode: str) -> np.ndarray:
    """Deep grey in [0, 1]. Of floats and 32 bits no file says which value is white: the usual one that suits nearly all."""
    if not np.isfinite(values).all():
        raise UserError("it holds NaN or infinity")
    bright = 65535.0 if mode.startswith("I;16") else float(np.percentile(values, 99))  # a stray value decides nothing
    if mode == "I" and not 0 <= bright <= 2 * 65535:  # Pillow reads 32 bits without a sign as if they had one
        values = values.astype(np.uint32)
        bright = float(np.percentile(values, 99))
    usual = ((1,) if mode == "F" else ()) + (255, 65535, 2**32 - 1)
    white = next(white for white in (*usual, bright) if bright <= 2 * white)
    return np.clip(values.astype(np.float32) / white, 0, 1)
