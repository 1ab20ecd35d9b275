"""Pictures in and out. Everywhere outside a network an image is float32, RGB, [0, 1], a batch N x 3 x H x W."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from nstutils.library import files
from nstutils.library.decoding import InMemory, near
from nstutils.library.errors import UserError
from nstutils.library.files import reason

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
QUALITY = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 95}}
LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue are to the eye


def load(picture: str | os.PathLike[str] | InMemory, size: int | None = None, *, behind: str = "white") -> Tensor:
    """A picture as 1 x 3 x H x W in [0, 1], its long side scaled to `size` pixels if given (the shape is kept).

    Turned as the camera meant it; grey, palette, CMYK and 16-bit become RGB, other colour spaces sRGB; what is transparent
    lies on the colour `behind`; of an animation the first frame is taken. Instead of a path or known name it may be a Pillow
    image or a numpy array, height x width (x 3), in [0, 1] or of 8 bits."""
    image = near(picture, size, behind=behind)
    return image if size is None else resize(image, size)


def checked(picture: Tensor, what: str, channels: int = 3) -> Tensor:
    """A picture or a mask that came as a tensor, in float32; another shape is refused, and values outside [0, 1]."""
    if picture.ndim != 4 or picture.shape[:2] != (1, channels) or not picture.numel():
        raise UserError(f"the {what} is a tensor {tuple(picture.shape)}, wanted 1 x {channels} x height x width; reshape it")
    if not bool(torch.isfinite(picture).all()) or picture.min() < 0 or picture.max() > 1:
        raise UserError(f"the {what} has values outside [0, 1]; scale it, for instance with {what} / 255")
    return picture.detach().float()


def resize(image: Tensor, size: int | tuple[int, int]) -> Tensor:
    """`image` with its long side at `size` pixels (aspect ratio kept), or at exactly (height, width); [0, 1] is kept."""
    size = fitted(image, size) if isinstance(size, int) else size
    if size == image.shape[-2:]:
        return image
    return torch.nn.functional.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)


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


def luminance(image: Tensor) -> Tensor:
    """Brightness as the eye weighs it, N x 1 x H x W."""
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def with_luminance_of(image: Tensor, colours: Tensor) -> Tensor:
    """The brightness of `image` with the colours of `colours` (Gatys 2017, luminance-only transfer)."""
    return (colours + luminance(image) - luminance(colours)).clamp(0, 1)


def match_colour(image: Tensor, colours: Tensor) -> Tensor:
    """`image` with mean and covariance of its colours moved to those of `colours` (Gatys 2017, by symmetric roots)."""

    def statistics(picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pixels = picture[0].flatten(1).cpu().double()  # some accelerators have no float64
        values, vectors = torch.linalg.eigh(torch.cov(pixels, correction=0) + 1e-6 * torch.eye(3).double())
        return pixels, pixels.mean(1, keepdim=True), vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T

    pixels, mean, own = statistics(image)
    _, wanted, root = statistics(colours)
    return (root @ torch.linalg.inv(own) @ (pixels - mean) + wanted).view(image.shape).to(image).clamp(0, 1)


def in_grey(photograph: Tensor, artworks: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All pictures by brightness alone, the artworks' mean and spread moved to the photograph's (Gatys 2017)."""
    grey = luminance(photograph)
    moved = []
    for artwork in artworks:
        own = luminance(artwork)
        spread = grey.std(correction=0) / own.std(correction=0).clamp(min=1e-6)
        moved.append(((own - own.mean()) * spread + grey.mean()).clamp(0, 1).expand(-1, 3, -1, -1).contiguous())
    return grey.expand(-1, 3, -1, -1).contiguous(), tuple(moved)
