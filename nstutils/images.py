"""Pictures in and out: any file or known name to a tensor 1 x 3 x H x W in [0, 1], and back.

Everywhere outside a network an image is float32, RGB, [0, 1], a batch N x 3 x H x W.
"""

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional as F

from nstutils.library import files, pictures
from nstutils.library.errors import UserError
from nstutils.library.files import reason

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
QUALITY = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}}
MANY = 2**24  # pixels from which a picture is made smaller in 8 bits
InMemory = Image.Image | np.ndarray  # pictures of other packages


def load(picture: str | os.PathLike[str] | InMemory, size: int | None = None, *, behind: str = "white") -> Tensor:
    """A picture as 1 x 3 x H x W in [0, 1], its long side scaled to `size` pixels if given (the shape is kept).

    Turned as the camera meant it; grey, palette, CMYK and 16-bit become RGB, other colour spaces sRGB; what is transparent
    lies on the colour `behind`; of an animation the first frame is taken. Instead of a path or known name it may be a Pillow
    image or a numpy array, height x width (x 3), in [0, 1] or of 8 bits.
    """
    image = near(picture, size, behind=behind)
    return image if size is None else resize(image, size)


def near(picture: str | os.PathLike[str] | InMemory, size: int | None, *, behind: str = "white") -> Tensor:
    """A picture in its own size; a very large file smaller, but with four times the long side `size` at least."""
    if isinstance(picture, np.ndarray):
        return _from_array(picture, behind)
    if isinstance(picture, Image.Image):
        return from_pil(picture, behind)
    with opened(pictures.find(picture)) as file:
        return from_pil(_reduced(ImageOps.exif_transpose(file), size), behind)


def eight_bits(data: bytes, name: str) -> Image.Image:
    """The bytes of a picture file, called `name`, as Pillow's RGB: what `load` gives, without its float numbers."""
    with opened(io.BytesIO(data), name) as file:
        picture = in_srgb(ImageOps.exif_transpose(file))
        plain = picture.mode == "RGB" and not picture.has_transparency_data
        return picture if plain else to_pil(from_pil(picture))


def checked(picture: Tensor, what: str, channels: int = 3) -> Tensor:
    """A picture or a mask that came as a tensor, in float32; another shape is refused, and values outside [0, 1]."""
    if picture.ndim != 4 or picture.shape[:2] != (1, channels) or not picture.numel():
        raise UserError(f"the {what} is a tensor {tuple(picture.shape)}, wanted 1 x {channels} x height x width; reshape it")
    if not bool(torch.isfinite(picture).all()) or picture.min() < 0 or picture.max() > 1:
        raise UserError(f"the {what} has values outside [0, 1]; scale it, for instance with {what} / 255")
    return picture.detach().float()


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
    """A Pillow image in sRGB, if it says what its colours are (Display P3, Adobe RGB, a printer's CMYK) and has 8 bits; a
    profile that is damaged or belongs to another kind of picture is ignored."""
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


def resize(image: Tensor, size: int | tuple[int, int]) -> Tensor:
    """`image` with its long side at `size` pixels (aspect ratio kept), or at exactly (height, width); [0, 1] is kept."""
    height, width = image.shape[-2:]
    size = fitted(image, size) if isinstance(size, int) else size
    if size == (height, width):
        return image
    return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)


def fitted(image: Tensor, long: int) -> tuple[int, int]:
    """(height, width) of `image` scaled to `long` pixels on its long side, its shape kept."""
    if long < 1:
        raise UserError(f"size is {long}, but a picture needs at least 1 pixel; give a positive number")
    height, width = image.shape[-2:]
    return max(1, round(height * long / max(height, width))), max(1, round(width * long / max(height, width)))


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """`image` scaled to cover height x width and cropped in the middle, undistorted."""
    factor = max(size[0] / image.shape[-2], size[1] / image.shape[-1])
    height, width = (max(want, round(have * factor)) for want, have in zip(size, image.shape[-2:], strict=True))
    scaled = resize(image, (height, width))
    top, left = (scaled.shape[-2] - size[0]) // 2, (scaled.shape[-1] - size[1]) // 2
    return scaled[..., top : top + size[0], left : left + size[1]]


def noise(size: tuple[int, int], seed: int = 0) -> Tensor:
    """White noise 1 x 3 x height x width, uniform in [0, 1]; one seed always gives the same pixels on the same torch."""
    return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed))


def faint(size: tuple[int, int], seed: int = 0) -> Tensor:
    """The white noise that Gatys' own program starts from, 1 x 3 x height x width: grey, by about one level of 255."""
    return 0.5 + torch.randn((1, 3, *size), generator=torch.Generator().manual_seed(seed)) / 255


def stripes(size: tuple[int, int], period: int = 16) -> Tensor:
    """Black vertical stripes on white, `period` pixels apart (document C's pathological start)."""
    row = (torch.arange(size[1]) % period >= period // 2).float()
    return row.expand(1, 3, *size).clone()


def save(image: Tensor, path: str | os.PathLike[str]) -> Path:
    """Write a picture as PNG, JPEG, TIFF or WebP by its extension; the file appears whole or not at all."""
    path = files.writable(path, FORMATS)
    files.write(encoded(image, path.suffix), path)
    return path


def encoded(image: Tensor, suffix: str) -> bytes:
    """The bytes of a picture file whose name ends in `suffix`."""
    picture, kind, file = to_pil(image), FORMATS[suffix.lower()], io.BytesIO()
    try:
        picture.save(file, kind, **QUALITY.get(kind, {}))
    except (OSError, ValueError) as error:
        size = f"{picture.width} x {picture.height} pixels"
        raise UserError(f"{size} cannot be written as {kind} ({reason(error)}); make it smaller or take PNG") from error
    return file.getvalue()


def to_pil(image: Tensor) -> Image.Image:
    """The picture (1 x 3 x H x W or 3 x H x W) as a Pillow image; values outside [0, 1] are clipped."""
    if image.ndim == 4 and image.shape[0] != 1:
        raise UserError(f"this is a batch of {image.shape[0]} pictures; choose one of them, for instance image[:1]")
    if image.shape[-3:-2] != (3,) or image.ndim > 4:
        raise UserError(f"this is a tensor {tuple(image.shape)}, wanted 1 x 3 x height x width; reshape it")
    if bool(image.isnan().any()):
        raise UserError("this picture holds NaN, which is no colour; lower the learning rate or the weights that made it")
    pixels = image.detach().reshape(image.shape[-3:]).float().clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


LUMA = (0.299, 0.587, 0.114)


def luminance(image: Tensor) -> Tensor:
    """Brightness as the eye weighs it, N x 1 x H x W."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def with_luminance_of(image: Tensor, colours: Tensor) -> Tensor:
    """The brightness of `image` with the colours of `colours` (Gatys 2017, luminance-only transfer)."""
    return (colours + luminance(image) - luminance(colours)).clamp(0, 1)


def match_colour(image: Tensor, colours: Tensor) -> Tensor:
    """`image` with mean and covariance of its colours moved to those of `colours` (Gatys 2017, by symmetric roots)."""

    def statistics(picture: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pixels = picture[0].flatten(1).cpu().double()  # some accelerators have no float64
        values, vectors = torch.linalg.eigh(torch.cov(pixels, correction=0) + 1e-6 * torch.eye(3).double())
        root = vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T
        return pixels, pixels.mean(1, keepdim=True), root, torch.linalg.inv(root)

    pixels, mean, _, inverse = statistics(image)
    _, wanted, root, _ = statistics(colours)
    return (root @ inverse @ (pixels - mean) + wanted).view(image.shape).to(image).clamp(0, 1)


def in_grey(photograph: Tensor, artworks: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All pictures by brightness alone, the artworks' mean and spread moved to the photograph's (Gatys 2017)."""
    grey = luminance(photograph)
    moved = []
    for artwork in artworks:
        own = luminance(artwork)
        spread = grey.std(correction=0) / own.std(correction=0).clamp(min=1e-6)
        moved.append(((own - own.mean()) * spread + grey.mean()).clamp(0, 1).expand(-1, 3, -1, -1).contiguous())
    return grey.expand(-1, 3, -1, -1).contiguous(), tuple(moved)
