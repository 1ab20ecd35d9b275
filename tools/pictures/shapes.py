"""Outlines, the masks that they fill, and shapes laid into a colour plan."""

from collections.abc import Sequence

import numpy as np
from maps import SCALE, Array, Colour, Size, doubled, flat, grid, heading, mix, noise, size_of, smooth, unit
from PIL import Image, ImageDraw
from scipy import ndimage


def blob(size: Size, points: Array | Sequence, blur: float = 0.0) -> Array:
    """Soft mask (0 to 1) of a polygon."""
    image = Image.new("L", doubled(size), 0)
    ImageDraw.Draw(image).polygon(flat(points), fill=255)
    mask = np.asarray(image.reduce(SCALE), dtype=np.float64) / 255
    return ndimage.gaussian_filter(mask, blur) if blur else mask


def curve(points: Sequence, count: int = 60) -> Array:
    """Smooth curve (Catmull-Rom) through the given points."""
    p = np.asarray(points, dtype=np.float64)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, len(p) - 3 - 1e-9, count)
    i, f = t.astype(int), (t % 1)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return 0.5 * (2 * b + (c - a) * f + (2 * a - 5 * b + 4 * c - d) * f**2 + (3 * b - a - 3 * c + d) * f**3)


def sketch(plan: Array, shapes: Sequence[tuple[Sequence, Colour]]) -> Array:
    """Fill polygons into a colour plan."""
    for points, colour in shapes:
        plan = mix(plan, colour, blob(size_of(plan), points))
    return plan


def foliage(
    rng: np.random.Generator, size: Size, centre: tuple[float, float], radius: float, lumps: int
) -> tuple[Array, Array]:
    """A crown of leaves: its mask, and how much light each part takes (0 to 1)."""
    x, y = grid(size)
    mask, light = np.zeros(x.shape), np.zeros(x.shape)
    wobble = 0.16 * noise(rng, size, radius * 0.5, 4)
    for _ in range(lumps):
        a, d = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0, 0.8) ** 0.7
        cx, cy, r = centre[0] + d * np.cos(a) * 1.15, centre[1] + d * np.sin(a) * 0.85, radius * rng.uniform(0.25, 0.45)
        inside = smooth(1.05, 0.85, np.hypot(x - cx, y - cy) / r + wobble)
        shade = np.clip(0.55 - 0.4 * (x - cx) / r - 0.5 * (y - cy) / r, 0, 1)
        light = light * (1 - inside) + shade * inside
        mask = np.maximum(mask, inside)
    return mask, light


def facet(plan: Array, flow: Array, mask: Array, first: Array, second: Array, angle: float) -> tuple[Array, Array]:
    """Lay a shape into plan and flow, shaded from one colour to another across the given direction."""
    x, y = grid(size_of(plan))
    s = x * np.cos(angle) + y * np.sin(angle)
    inside = s[mask > 0.5]
    low, high = (inside.min(), inside.max()) if inside.size else (0.0, 1.0)
    shade = mix(first, second, np.clip((s - low) / (high - low + 1e-9), 0, 1))
    return mix(plan, shade, mask), unit(mix(flow, heading(angle + np.pi / 2, mask.shape), mask) + 1e-6)


def ring_points(cx: float, cy: float, r: float, start: float = 0.0, end: float = 2 * np.pi, count: int = 50) -> Array:
    """Points on an arc."""
    a = np.linspace(start, end, count)
    return np.stack([cx + r * np.cos(a), cy + r * np.sin(a)], axis=-1)


def turned(points: Array | Sequence, angle: float) -> Array:
    """Points turned round the origin."""
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def box(x: float, y: float, w: float, h: float) -> Array:
    """Corners of a rectangle from its upper left corner."""
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
