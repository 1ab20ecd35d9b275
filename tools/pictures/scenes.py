"""What the three scenes share: sky, the finish of a photograph, things filled in with texture, trees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from canvas import shrink
from maps import SCALE, Array, Colour, Size, grid, mix, noise, ramp, sample, size_of, smooth, snap
from PIL import Image, ImageDraw
from scipy import ndimage
from shapes import curve, foliage

LEAVES = ((22, 34, 18), (40, 58, 26), (70, 92, 38), (112, 130, 56), (164, 172, 88))
OLIVE = ((20, 30, 16), (34, 52, 22), (58, 80, 32), (88, 108, 46), (128, 142, 72))
WILLOW = ((36, 48, 24), (66, 84, 36), (104, 124, 52), (146, 160, 76), (192, 196, 116))


def clouds(rng: np.random.Generator, size: Size, horizon: float, cover: float, zenith: Colour, low: Colour) -> Array:
    """A sky with a sheet of broken clouds in perspective; size and horizon at drawing scale."""
    x, y = grid(size)
    up = np.clip(horizon - y, 4, None)
    sky = mix(zenith, low, np.exp(-up / (0.36 * size[1])))
    puff = noise(rng, (1400, 1400), 300, 8, 0.56)
    depth = size[1] * 260 / (up + 0.09 * size[1])
    u, v = 700 + (x - size[0] / 2) * depth / size[1] * 0.55, depth * 1.5
    wisp = noise(rng, size, 30, 4)
    density = sample(puff, u + 2 * wisp, v + 2 * wisp)
    thick = sample(ndimage.gaussian_filter(puff, 6), u - 22, v + 24)
    body = smooth(cover, cover + 1.1, density)
    lit = np.clip(1.02 - 0.16 * np.clip(thick - cover + 0.3, 0, 3) - 0.1 * body * smooth(1.2, 2.6, density), 0.55, 1.05)
    white = mix((150, 160, 178), (255, 252, 246), (lit - 0.55) / 0.5)
    return mix(sky, mix(white, low, 0.55 * np.exp(-up / (0.12 * size[1]))), 0.93 * body)


def develop(rng: np.random.Generator, rgb: Array) -> Image.Image:
    """Finish a scene like a photograph: a little lens blur, falling-off corners, contrast and grain."""
    height, width = rgb.shape[:2]
    soft = ndimage.gaussian_filter(np.clip(rgb, 0, 255), (0.7, 0.7, 0)) / 255
    glow = ndimage.gaussian_filter(soft, (24, 24, 0))
    soft = 1 - (1 - soft) * (1 - 0.07 * glow)
    x, y = grid((width, height))
    corner = np.hypot(x / width - 0.5, y / height - 0.5)
    tone = soft * (1.03 - 0.34 * corner**2)[..., None]
    tone = tone + 0.10 * (tone - 0.5) * (1 - np.abs(2 * tone - 1))
    grain = 0.012 * noise(rng, (width, height), 2.5, 2) + 0.008 * rng.standard_normal((height, width))
    return shrink(255 * (tone + grain[..., None]))


@dataclass
class Site:
    """A scene while it is built, at drawing scale: colours, what is solid, and shared textures."""

    rgb: Array
    solid: Array
    plaster: Array
    tiles: Array

    def fill(self, points: Array | Sequence, colour: Array | Colour, texture: Array | None = None, fade: float = 0.0) -> None:
        """Fill a polygon (final pixels) with a textured colour that darkens downwards by fade."""
        p, size = snap(points) * SCALE, np.array(size_of(self.solid))
        x0, y0 = np.clip(np.floor(p.min(axis=0)).astype(int), 0, size - 1)
        x1, y1 = np.clip(np.ceil(p.max(axis=0)).astype(int) + 1, 1, size)
        if x1 <= x0 or y1 <= y0:
            return
        image = Image.new("L", (int(x1 - x0), int(y1 - y0)), 0)
        ImageDraw.Draw(image).polygon((p - (x0, y0)).ravel().tolist(), fill=255)
        inside = np.asarray(image) > 0
        light = 1 - fade * np.linspace(0, 1, y1 - y0)[:, None] * np.ones((1, x1 - x0))
        if texture is not None:
            light = light * texture[y0:y1, x0:x1]
        area = self.rgb[y0:y1, x0:x1]
        area[inside] = (np.asarray(colour) * light[..., None])[inside]
        self.solid[y0:y1, x0:x1] |= inside


def tree(site: Site, rng: np.random.Generator, cx: float, cy: float, r: float, leaf: Sequence[Colour]) -> None:
    """A leafy crown on a short trunk."""
    foot = cy + 1.5 * r
    trunk = curve([(cx - 0.07 * r, foot), (cx - 0.05 * r, cy), (cx + 0.05 * r, cy), (cx + 0.1 * r, foot)], 20)
    site.fill(trunk, (74, 62, 50), site.plaster)
    side = int(3.2 * r * SCALE)
    mask, light = foliage(rng, (side, side), (side / 2, side / 2), r * SCALE, 34)
    fine = noise(rng, (side, side), 9, 3)
    ragged = mask + 0.22 * fine > 0.55
    tone = ramp(np.clip(0.86 * light + 0.13 * fine + 0.1 * noise(rng, (side, side), 30, 2), 0, 1), leaf)
    x0, y0 = int(cx * SCALE) - side // 2, int(cy * SCALE) - side // 2
    width, height = size_of(site.solid)
    ax, ay, bx, by = max(x0, 0), max(y0, 0), min(x0 + side, width), min(y0 + side, height)
    cut = (slice(ay - y0, by - y0), slice(ax - x0, bx - x0))
    here = (slice(ay, by), slice(ax, bx))
    site.rgb[here][ragged[cut]] = tone[cut][ragged[cut]]
    site.solid[here] |= ragged[cut]
