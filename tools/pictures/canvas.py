"""The canvas at twice the size of the picture, its weave, and the light on the paint."""

from dataclasses import dataclass

import numpy as np
from maps import SCALE, Array, Colour, Size, doubled, grid, size_of
from PIL import Image
from scipy import ndimage


@dataclass(frozen=True)
class Picture:
    """A finished picture and, where the scene has one, its sky (True inside)."""

    image: Image.Image
    sky: Array | None = None


def canvas(size: Size, colour: Colour) -> Image.Image:
    """Empty canvas at drawing scale; the fourth channel is the height of the paint."""
    return Image.new("RGBA", doubled(size), (*map(int, colour), 60))


def underpainting(plan: Array) -> Image.Image:
    """Canvas with the colour plan thinly on it, so that no gap between strokes shows bare ground."""
    image = enlarged(plan)
    image.putalpha(60)
    return image


def enlarged(plan: Array) -> Image.Image:
    """A colour plan as a picture at drawing scale."""
    return Image.fromarray(np.clip(plan, 0, 255).astype(np.uint8)).resize(doubled(size_of(plan)), Image.Resampling.BICUBIC)


def weave(size: Size, pitch: float = 3.1) -> Array:
    """Height of a canvas weave at drawing scale."""
    x, y = grid(doubled(size))
    k = np.pi / (pitch * SCALE / 2)
    return np.sin(x * k / 2) * np.sin(y * k / 2) * np.sign(np.sin((x + y) * k / 4 + 0.3))


def relief(
    image: Image.Image, strength: float, extra: Array | None = None, blur: float = 0.8, gloss: float = 0.0
) -> Image.Image:
    """Light the paint from the upper left by its height and reduce the canvas to the final size."""
    data = np.asarray(image, dtype=np.float32)
    height = ndimage.gaussian_filter(data[..., 3], blur)
    if extra is not None:
        height = height + extra
    dy, dx = np.gradient(height)
    slope = np.clip((dx + dy) * strength / 100, -0.55, 0.55)[..., None]
    rgb = data[..., :3] * (1 + slope) + 255 * gloss * np.clip(slope - 0.12, 0, 1)
    return shrink(rgb)


def shrink(rgb: Array) -> Image.Image:
    """Turn a colour map at drawing scale into a picture at final size."""
    return Image.fromarray(np.clip(rgb, 0, 255).round().astype(np.uint8)).reduce(SCALE)


def halve(mask: Array) -> Array:
    """Mask at final size from one at drawing scale."""
    image = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).reduce(SCALE)
    return np.asarray(image) >= 128
