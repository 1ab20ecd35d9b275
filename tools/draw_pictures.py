"""Draw the style pictures, content scenes and masks of data/pictures from fixed seeds.

Usage: python tools/draw_pictures.py [NAME ...] [--out DIR]

Every picture is drawn at twice its size and reduced at the end, so that no edge is jagged. Maps such as a
colour plan or a flow field are kept at the final size; strokes are placed in final pixels and drawn at twice
the size on an RGBA canvas whose fourth channel holds the height of the paint, so that one call lays down
colour and relief together. Positions are rounded to 1/16 px before drawing: a last-digit difference in sin or
exp between processors then does not move a pixel.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage import measure

Array = np.ndarray
Size = tuple[int, int]  # width, height, as in Pillow
Colour = tuple[float, float, float]
SCALE = 2  # canvas pixels per final pixel
STOP = 110.0  # a stroke ends where the plan differs this much (sum over the channels) from its colour


@dataclass(frozen=True)
class Picture:
    """A finished picture and, where the scene has one, its sky (True inside)."""

    image: Image.Image
    sky: Array | None = None


@dataclass(frozen=True)
class Brush:
    """Stroke geometry in final pixels, and how far colours stray (in levels of 255)."""

    width: float
    length: float
    bristles: int = 6
    value: float = 10.0
    chroma: float = 6.0
    streak: float = 9.0
    ridge: float = 30.0
    steps: int = 7
    taper: float = 0.45


# ---------------------------------------------------------------------------------------------- small tools


def snap(values: Array | Sequence) -> Array:
    """Round coordinates to 1/16 px."""
    return np.round(np.asarray(values, dtype=np.float64) * 16) / 16


def grid(size: Size) -> tuple[Array, Array]:
    """x and y of every pixel centre of a picture."""
    return np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)


def smooth(low: float | Array, high: float | Array, x: Array) -> Array:
    """Smooth step from 0 at low to 1 at high."""
    t = np.clip((x - low) / (np.asarray(high) - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array | Colour, b: Array | Colour, t: Array | float) -> Array:
    """Blend two colours or colour maps; t has one axis less where it is a map."""
    t = np.asarray(t, dtype=np.float64)[..., None]
    return np.asarray(a) * (1 - t) + np.asarray(b) * t


def ramp(t: Array, colours: Sequence[Colour]) -> Array:
    """Colour map that runs through evenly spaced colours as t goes from 0 to 1."""
    stops = np.linspace(0, 1, len(colours))
    table = np.asarray(colours, dtype=np.float64)
    return np.stack([np.interp(t, stops, table[:, c]) for c in range(3)], axis=-1)


def noise(
    rng: np.random.Generator, size: Size, cell: float | tuple[float, float], octaves: int = 5, gain: float = 0.5
) -> Array:
    """Fractal value noise with mean 0 and deviation 1; cell is the size of its largest lump (x, y)."""
    width, height = size
    cell_x, cell_y = cell if isinstance(cell, tuple) else (cell, cell)
    total = np.zeros((height, width))
    for octave in range(octaves):
        cx, cy = max(cell_x / 2**octave, 1.0), max(cell_y / 2**octave, 1.0)
        lattice = rng.random((int(height / cy) + 5, int(width / cx) + 5), dtype=np.float32)
        left, top = 1 + rng.random(2)
        box = (left, top, left + width / cx, top + height / cy)
        layer = Image.fromarray(lattice).resize(size, Image.Resampling.BICUBIC, box=box)
        total += gain**octave * np.asarray(layer, dtype=np.float64)
    total -= total.mean()
    return total / total.std()


def blob(size: Size, points: Array | Sequence, blur: float = 0.0) -> Array:
    """Soft mask (0 to 1) of a polygon."""
    image = Image.new("L", (size[0] * SCALE, size[1] * SCALE), 0)
    ImageDraw.Draw(image).polygon((snap(points) * SCALE).ravel().tolist(), fill=255)
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


def lookup(field: Array, points: Array) -> Array:
    """Value of a map at the pixel under each point."""
    x = np.clip(points[..., 0].astype(int), 0, field.shape[1] - 1)
    y = np.clip(points[..., 1].astype(int), 0, field.shape[0] - 1)
    return field[y, x]


def xy(text: str) -> Array:
    """Points written as "x,y x,y ..."."""
    return np.array([[float(number_) for number_ in pair.split(",")] for pair in text.split()])


def unit(vectors: Array) -> Array:
    """Vectors of a map scaled to length one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def along(psi: Array) -> Array:
    """Unit flow along the level lines of a stream function."""
    dy, dx = np.gradient(psi)
    return unit(np.stack([dy, -dx], axis=-1))


def heading(angle: Array | float, shape: tuple[int, int] | None = None) -> Array:
    """Unit flow with the given angle (radians) at every pixel."""
    angle = np.broadcast_to(angle, shape) if shape else np.asarray(angle)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


# ---------------------------------------------------------------------------------------- canvas and brushes


def canvas(size: Size, colour: Colour) -> Image.Image:
    """Empty canvas at drawing scale; the fourth channel is the height of the paint."""
    return Image.new("RGBA", (size[0] * SCALE, size[1] * SCALE), (*map(int, colour), 60))


def underpainting(plan: Array) -> Image.Image:
    """Canvas with the colour plan thinly on it, so that no gap between strokes shows bare ground."""
    full = (plan.shape[1] * SCALE, plan.shape[0] * SCALE)
    image = Image.fromarray(np.clip(plan, 0, 255).astype(np.uint8)).resize(full, Image.Resampling.BICUBIC)
    image.putalpha(60)
    return image


def scatter(rng: np.random.Generator, size: Size, count: int, where: Array | None = None) -> Array:
    """Random points in shuffled order, one per cell of a jittered lattice; kept with probability where."""
    width, height = size
    pitch = (width * height / count) ** 0.5
    nx, ny = int(width / pitch) + 2, int(height / pitch) + 2
    points = np.stack(np.meshgrid(np.arange(nx), np.arange(ny)), axis=-1).reshape(-1, 2)
    points = snap((points + rng.random(points.shape) - 0.5) * pitch)
    keep = rng.random(len(points))
    order = rng.permutation(len(points))
    if where is not None:
        order = order[keep[order] < lookup(where, points[order])]
    return points[order]


def march(points: Array, flow: Array, stride: Array, number: int) -> Array:
    """Positions (count, number, 2) after each step along the flow."""
    position, part = points, []
    for _ in range(number):
        position = snap(position + stride[:, None] * lookup(flow, position))
        part.append(position)
    return np.stack(part, axis=1)


def trace(points: Array, flow: Array, length: Array, steps: int, plan: Array | None = None) -> Array:
    """Paths (count, steps + 1, 2) along the flow through the points; they stop where the plan changes colour."""
    stride = length / steps
    halves = []
    for sign, number in ((-1, steps // 2), (1, steps - steps // 2)):
        part = march(points, flow, sign * stride, number)
        if plan is not None:
            change = np.abs(lookup(plan, part) - lookup(plan, points)[:, None]).sum(axis=-1)
            share = np.logical_and.accumulate(change < STOP, axis=1).mean(axis=1)
            part = march(points, flow, sign * stride * np.maximum(share, 0.12), number)
        halves.append(part)
    return np.concatenate([halves[0][:, ::-1], points[:, None], halves[1]], axis=1)


def bristle_paths(rng: np.random.Generator, paths: Array, width: Array, brush: Brush) -> Array:
    """Parallel copies (count, bristles, steps + 1, 2) of the paths that make up each stroke."""
    tangent = unit(np.gradient(paths, axis=1))
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], axis=-1)
    offset = np.linspace(-0.5, 0.5, brush.bristles) if brush.bristles > 1 else np.zeros(1)
    offset = offset + rng.normal(0, 0.05, (len(paths), brush.bristles))
    s = np.linspace(0, 1, paths.shape[1])
    profile = 1 - brush.taper * np.abs(2 * s - 1) ** 2.5
    shift = offset[:, :, None] * width[:, None, None] * profile
    lines = paths[:, None] + shift[..., None] * normal[:, None]
    ragged = rng.uniform(-0.5, 0.5, (len(paths), brush.bristles, 2, 1)) * (lines[:, :, 1] - lines[:, :, 0])[:, :, None]
    lines[:, :, 0] += ragged[:, :, 0]
    lines[:, :, -1] += ragged[:, :, 1]
    return snap(lines * SCALE)


def lay(
    image: Image.Image, rng: np.random.Generator, paths: Array, colours: Array, brush: Brush, width: Array | None = None
) -> None:
    """Lay down one bristled stroke per path, in order."""
    n, b = len(paths), brush.bristles
    width = np.full(n, brush.width) if width is None else width
    lines = bristle_paths(rng, paths, width, brush).reshape(n * b, -1)
    tone = colours[:, None, :] + rng.normal(0, brush.streak, (n, b, 1))
    edge = np.abs(np.linspace(-1, 1, b)) ** 3 if b > 1 else np.zeros(1)
    height = rng.uniform(90, 150, (n, 1)) + brush.ridge * edge + rng.normal(0, brush.ridge * 0.4, (n, b))
    ink = np.clip(np.concatenate([tone, height[..., None]], axis=-1), 0, 255).round().astype(int).reshape(n * b, 4)
    thick = np.maximum(np.round(SCALE * width * 1.7 / b), 1).astype(int).repeat(b)
    draw = ImageDraw.Draw(image)
    for line, fill, pen in zip(lines.tolist(), map(tuple, ink.tolist()), thick.tolist(), strict=True):
        draw.line(line, fill=fill, width=pen)


def stray(rng: np.random.Generator, colours: Array, brush: Brush) -> Array:
    """Colours that stray from the plan, in lightness and in hue."""
    n = len(colours)
    return colours + rng.normal(0, brush.value, (n, 1)) + rng.normal(0, brush.chroma, (n, 3))


def paint(
    image: Image.Image,
    rng: np.random.Generator,
    plan: Array,
    flow: Array,
    brush: Brush,
    cover: float = 2.0,
    where: Array | None = None,
) -> None:
    """Cover the canvas (or the part where) with strokes that take their colour from the plan."""
    size = (plan.shape[1], plan.shape[0])
    count = int(cover * size[0] * size[1] / (brush.width * brush.length))
    points = scatter(rng, size, count, where)
    length = brush.length * rng.uniform(0.6, 1.35, len(points))
    width = brush.width * rng.uniform(0.65, 1.3, len(points))
    colours = stray(rng, lookup(plan, points), brush)
    lay(image, rng, trace(points, flow, length, brush.steps, plan), colours, brush, width)


def dab(
    image: Image.Image, rng: np.random.Generator, points: Array, colours: Array, radius: float, squash: float = 0.8
) -> None:
    """Round dabs of paint with a raised middle."""
    n = len(points)
    rx = radius * rng.uniform(0.75, 1.25, n)
    ry = rx * rng.uniform(squash, 1 / squash, n)
    half = snap(np.stack([rx, ry], axis=-1) * SCALE)
    boxes = np.concatenate([points * SCALE - half, points * SCALE + half], axis=-1)
    tint = np.clip(colours, 0, 255).round().astype(int)
    height = rng.integers(90, 170, n)
    draw = ImageDraw.Draw(image)
    for box, rgb, h in zip(boxes.tolist(), tint.tolist(), height.tolist(), strict=True):
        draw.ellipse(box, fill=(*rgb, h))


def weave(size: Size, pitch: float = 3.1) -> Array:
    """Height of a canvas weave at drawing scale."""
    x, y = grid((size[0] * SCALE, size[1] * SCALE))
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


def sketch(plan: Array, shapes: Sequence[tuple[Sequence, Colour]]) -> Array:
    """Fill polygons into a colour plan."""
    for points, colour in shapes:
        plan = mix(plan, colour, blob((plan.shape[1], plan.shape[0]), points))
    return plan


def edges(plan: Array, reach: float = 2.5, gain: float = 1.0) -> Array:
    """Where the plan has detail (0 to 1): small strokes go there."""
    g = ndimage.gaussian_gradient_magnitude(plan.mean(axis=-1), reach)
    return np.clip(gain * g / (np.percentile(g, 97) + 1e-9), 0, 1)


# ----------------------------------------------------------------------------------------- style: the swirls

SWIRL_STARS = (
    (664, 92, 40),
    (70, 62, 15),
    (176, 132, 19),
    (262, 48, 14),
    (352, 92, 17),
    (446, 40, 13),
    (534, 132, 18),
    (205, 262, 22),
    (596, 226, 15),
    (700, 250, 14),
    (118, 214, 11),
    (486, 96, 10),
)


def swirl_stream(rng: np.random.Generator, size: Size) -> Array:
    """Stream function of the night wind: long waves, two great eddies, and one ring per star."""
    x, y = grid(size)
    psi = 1.2 * y + 26 * np.sin(x / 95 + y / 160) + 22 * noise(rng, size, 170, 2)
    for cx, cy, r, turn in ((330, 205, 88, 3.0), (462, 268, 56, -2.6), (230, 330, 40, 1.4)):
        psi += turn * r * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * r * r))
    for cx, cy, r in SWIRL_STARS:
        psi += 6.5 * r * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (1.3 * r) ** 2))
    return psi


def swirl_sky(rng: np.random.Generator, size: Size, psi: Array) -> Array:
    """Colours of the sky: bands along the stream lines, and glowing rings."""
    x, y = grid(size)
    band = 0.5 + 0.3 * np.sin(psi / 6.5) + 0.3 * np.sin(psi / 15 + 1) + 0.14 * noise(rng, size, 60, 3)
    deep = ramp(band, [(14, 24, 74), (26, 48, 118), (38, 82, 160), (84, 134, 190), (168, 200, 208)])
    low = ramp(band, [(30, 70, 120), (80, 130, 160), (150, 180, 170), (200, 206, 158)])
    sky = mix(deep, low, 0.75 * smooth(250, 430, y))
    for cx, cy, r in SWIRL_STARS:
        d = np.hypot(x - cx, y - cy) / r
        ring = ramp(
            d / 2.6 + 0.05 * np.sin(d * 9),
            [(255, 250, 214), (252, 214, 84), (240, 186, 52), (226, 206, 110), (150, 186, 150), (70, 120, 170)],
        )
        sky = mix(sky, ring, np.exp(-((d / 1.75) ** 4)))
    return sky


def swirl_village(rng: np.random.Generator) -> list[list[tuple[Array, Array]]]:
    """A village with lit windows and a spire at the foot of the hills; one list of shapes per house, far ones first."""
    houses = []
    for y in np.sort(rng.uniform(470, 572, 24)):
        x, w = rng.uniform(205, 740), rng.uniform(22, 38) * (y / 520) ** 2
        h, roof = 0.55 * w, 0.45 * w
        wall = np.array((110, 142, 176)) + rng.normal(0, 14, 3)
        top = tint(rng, ((120, 70, 60), (44, 66, 96), (80, 96, 76), (150, 110, 70)), 8)
        shapes = [
            (box(x, y, w, h), wall),
            (np.array([(x - 3, y), (x + 0.3 * w, y - roof), (x + 0.8 * w, y - roof), (x + w + 3, y)]), top),
        ]
        for k in range(rng.integers(1, 3)):
            shapes.append((box(x + (0.18 + 0.42 * k) * w, y + 0.25 * h, 0.2 * w, 0.42 * h), np.array((255, 206, 88))))
        houses.append(shapes)
    church = [
        (box(452, 470, 34, 54), np.array((96, 124, 160))),
        (np.array([(450, 472), (460, 372), (469, 350), (478, 372), (488, 472)]), np.array((36, 54, 92))),
        (box(486, 494, 52, 30), np.array((120, 150, 180))),
        (np.array([(484, 496), (496, 476), (530, 476), (542, 496)]), np.array((70, 84, 110))),
        (box(464, 484, 9, 18), np.array((255, 206, 88))),
    ]
    return [*houses[:12], church, *houses[12:]]


def paint_house(image: Image.Image, rng: np.random.Generator, shapes: list[tuple[Array, Array]]) -> None:
    """Paint one house in its place: flat colour, a few streaks along each part, a broken dark outline."""
    draw = ImageDraw.Draw(image)
    for k, (points, colour) in enumerate(shapes):
        inner = np.clip(colour, 0, 255).astype(int).tolist()
        draw.polygon((snap(points) * SCALE).ravel().tolist(), fill=(*inner, 120))
        low, high = points.min(axis=0), points.max(axis=0)
        for _ in range(int(np.ptp(points[:, 1]) / 2)):
            y, inset = rng.uniform(low[1] + 1, high[1] - 1), 0.3 * (high[0] - low[0])
            ends = np.linspace(
                (low[0] + inset * rng.uniform(0.4, 1), y), (high[0] - inset * rng.uniform(0.4, 1), y + rng.normal()), 4
            )
            line(image, rng, ends, colour + rng.normal(0, 22) + rng.normal(0, 9, 3), 2.2, 0.3)
        if k < 2 or len(points) == 5:
            for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
                line(image, rng, np.linspace(a, b, 4) + rng.normal(0, 0.4, 2), (20, 30, 58), rng.uniform(1.4, 2.4), 0.3)


def swirl_cypress(size: Size, plan: Array, flow: Array) -> tuple[Array, Array, Array]:
    """A cypress like a dark flame: plan and flow with it, and its mask."""
    x, y = grid(size)
    tree = blob(size, curve(xy("30,612 40,480 62,380 74,250 98,108 112,240 142,330 134,430 170,520 186,612")))
    wind = heading(-np.pi / 2 + 0.5 * np.sin(y / 34 + x / 22), tree.shape)
    stripe = 0.5 + 0.4 * np.sin(x / 5 + 2.2 * np.sin(y / 34))
    bark = ramp(stripe, [(12, 20, 22), (26, 48, 34), (58, 64, 34), (96, 74, 40)])
    return mix(plan, bark, tree), unit(mix(flow, wind, tree)), tree


def draw_swirls(rng: np.random.Generator) -> Picture:
    """A windy night: thousands of thick strokes along eddies of blue round yellow lights."""
    size = (768, 608)
    x, y = grid(size)
    psi = swirl_stream(rng, size)
    ridge = 425 - 46 * np.sin(x / 130 - 0.9) - 40 * smooth(420, 760, x) + 5 * noise(rng, size, (90, 900), 3)
    above = (y < ridge[300])[..., None]
    hill_psi = (y - ridge[300]) + 7 * np.sin(x / 46 + y / 30) + 6 * noise(rng, size, 70, 2)
    band = 0.5 + 0.32 * np.sin(hill_psi / 8) + 0.2 * noise(rng, size, 50, 3)
    land = ramp(band, [(16, 30, 50), (28, 62, 84), (46, 96, 92), (96, 128, 84), (150, 150, 80)])
    plan = np.where(above, swirl_sky(rng, size, psi), land)
    village = swirl_village(rng)
    for shapes in village:
        plan = sketch(plan, shapes)
    plan, flow, tree = swirl_cypress(size, plan, np.where(above, along(psi), along(hill_psi)))
    image = underpainting(plan)
    paint(image, rng, plan, flow, Brush(13, 62, 7, 9, 6, 9), 2.4)
    paint(image, rng, plan, flow, Brush(7.5, 44, 6, 14, 8, 12), 2.2)
    paint(image, rng, plan, flow, Brush(4.6, 26, 4, 15, 9, 12), 1.6, 0.25 + edges(plan))
    paint(image, rng, plan, flow, Brush(3.0, 11, 3, 8, 6, 8), 1.5, edges(plan, 1.5, 1.6) * smooth(300, 420, y))
    for shapes in village:
        paint_house(image, rng, shapes)
    for cx, cy, r in SWIRL_STARS:
        line(image, rng, ring_points(cx, cy, 0.12 * r, 0, 7, 14), (255, 246, 196), 0.26 * r, 0.1)
    sky = above[..., 0] & (tree < 0.5)
    for points, _ in (part for shapes in village for part in shapes):
        sky &= blob(size, points) < 0.5
    return Picture(relief(image, 1.5, 5 * weave(size), gloss=0.25), sky)


# ------------------------------------------------------------------------------------------ style: the fields


def field_sky(rng: np.random.Generator, size: Size, psi: Array) -> Array:
    """A heavy cobalt sky with two pale, turning clouds."""
    x, y = grid(size)
    band = 0.42 + 0.28 * np.sin(psi / 9) + 0.2 * noise(rng, size, 90, 4)
    sky = ramp(band, [(16, 28, 76), (28, 60, 128), (52, 104, 172), (112, 158, 202), (190, 212, 216)])
    for cx, cy, rx, ry in ((190, 88, 100, 42), (560, 120, 120, 40)):
        d = np.hypot((x - cx) / rx, (y - cy) / ry) + 0.16 * noise(rng, size, 50, 3)
        sky = mix(sky, ramp(d, [(244, 240, 220), (214, 224, 216), (130, 170, 200)]), 0.9 * smooth(1.15, 0.5, d))
    return mix(sky, (20, 26, 60), 0.5 * smooth(110, 0, y))


def field_land(rng: np.random.Generator, size: Size, horizon: Array) -> tuple[Array, Array]:
    """Wheat in the wind with three cart tracks; colours and flow."""
    x, y = grid(size)
    depth = np.clip((y - horizon) / (size[1] - horizon), 0, 1)
    gust = noise(rng, size, (130, 34), 4)
    wheat = ramp(
        0.5 + 0.22 * gust + 0.12 * np.sin(x / 17 + 3 * gust),
        [(120, 74, 24), (186, 120, 30), (226, 168, 44), (246, 206, 84), (238, 224, 150)],
    )
    flow = heading(-np.pi / 2 + 0.75 * np.tanh((x - 400) / 300) + 0.4 * gust, x.shape)
    for start, bend, half in ((40, -120, 70), (400, 60, 84), (800, 130, 66)):
        centre = 400 + (start - 400) * depth**0.8 + bend * np.sin(depth * 2.6)
        t = np.abs(x - centre) / (6 + half * depth)
        side = np.sin(t * 5 + gust)
        track = ramp(0.5 + 0.4 * side + 0.1 * gust, [(110, 54, 34), (160, 88, 50), (92, 112, 44), (122, 160, 60)])
        inside = smooth(1.15, 0.8, t)
        wheat = mix(wheat, track, inside)
        flow = mix(flow, along(np.where(depth > 0, (x - centre) / (6 + half * depth), 0) * 100), inside)
    return mix(wheat, (96, 124, 70), 0.6 * smooth(0.08, 0.0, depth)), unit(flow)


def crow(x: float, y: float, s: float) -> Array:
    """Outline of a flying crow."""
    shape = np.array(
        [
            (-1, -0.25),
            (-0.5, -0.5),
            (0, -0.05),
            (0.45, -0.55),
            (1, -0.3),
            (0.45, -0.25),
            (0.1, 0.22),
            (-0.08, 0.2),
            (-0.5, -0.22),
        ]
    )
    return shape * s + (x, y)


def draw_fields(rng: np.random.Generator) -> Picture:
    """A wheat field under a stormy sky: ochre, green and cobalt."""
    size = (768, 496)
    x, y = grid(size)
    psi = 0.9 * y + 30 * noise(rng, size, 150, 2)
    for cx, cy, r, turn in ((190, 88, 52, 2.6), (560, 120, 56, -2.6), (380, 40, 40, 1.5)):
        psi += turn * r * np.exp(-(((x - cx) / 1.5) ** 2 + (y - cy) ** 2) / (2 * r * r))
    horizon = np.broadcast_to((206 + 8 * np.sin(x / 150) + 3 * noise(rng, size, (60, 900), 3))[200], x.shape)
    land, land_flow = field_land(rng, size, horizon)
    below = (y > horizon)[..., None]
    plan = np.where(below, land, field_sky(rng, size, psi))
    flow = np.where(below, land_flow, along(psi))
    image = underpainting(plan)
    far = smooth(320, 200, y)
    paint(image, rng, plan, flow, Brush(12, 52, 7, 10, 7, 10), 2.4, np.where(below[..., 0], 1 - far, 1))
    paint(image, rng, plan, flow, Brush(7, 34, 5, 16, 9, 13), 2.6)
    paint(image, rng, plan, flow, Brush(4, 22, 4, 22, 10, 14), 2.2, np.where(below[..., 0], 0.9, 0.35))
    paint(image, rng, plan + 24, flow, Brush(2.6, 17, 3, 26, 12, 12), 1.2, np.where(below[..., 0], 0.8, 0.1))
    dark = ImageDraw.Draw(image)
    for _ in range(30):
        cx = rng.uniform(30, 740)
        shape = crow(cx, rng.uniform(30, 270) - 0.05 * abs(cx - 400), rng.uniform(7, 19))
        dark.line((snap(shape[[0, 1, 2, 3, 4]] * SCALE)).ravel().tolist(), fill=(20, 22, 34, 190), width=7)
        dark.polygon((snap(shape) * SCALE).ravel().tolist(), fill=(24, 24, 38, 170))
    return Picture(relief(image, 1.5, 5 * weave(size), gloss=0.25), ~below[..., 0])


# -------------------------------------------------------------------------------------------- style: the dots


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


def promenader(x: float, y: float, s: float, coat: Colour, shade: Colour) -> list[tuple[Array, Colour]]:
    """A walker with a parasol, standing at (x, y), s pixels tall."""
    body = np.array([(-0.14, 0), (-0.1, -0.45), (-0.12, -0.72), (0.1, -0.72), (0.12, -0.45), (0.24, -0.1), (0.2, 0)])
    head = np.array([(-0.07, -0.74), (-0.08, -0.88), (0, -0.94), (0.08, -0.88), (0.06, -0.74)])
    angle = np.linspace(np.pi, 2 * np.pi, 14)
    top = np.stack([0.12 + 0.36 * np.cos(angle), -0.98 + 0.3 * np.sin(angle)], axis=-1)
    stick = np.array([(0.1, -0.6), (0.13, -0.98), (0.16, -0.98), (0.13, -0.6)])
    here = np.array((x, y))
    cast = np.array([(-0.1, 0), (0.2, 0), (1.1, 0.14), (0.9, 0.17)])
    return [
        (here + s * cast, (34, 70, 66)),
        (here + s * body, coat),
        (here + s * head, (196, 140, 110)),
        (here + s * stick, (70, 50, 40)),
        (here + s * top, shade),
    ]


def dots_plan(rng: np.random.Generator, size: Size) -> tuple[Array, Array]:
    """Colour plan of a sunny river bank, and its sky."""
    x, y = grid(size)
    sky = ramp(
        y / 170 + 0.05 * noise(rng, size, (200, 50), 4),
        [(120, 170, 216), (176, 206, 226), (240, 226, 196), (250, 214, 160)],
    )
    bank = 150 + 6 * np.sin(x / 60) - 16 * smooth(200, 0, x) + 6 * noise(rng, size, (40, 900), 3)
    bank = np.broadcast_to(bank[100], x.shape)
    plan = np.where((y < bank)[..., None], sky, ramp((y - bank) / 26, [(110, 140, 150), (86, 128, 100), (70, 110, 90)]))
    river = ramp(
        (y - 180) / 150 + 0.12 * noise(rng, size, (90, 9), 3),
        [(206, 210, 196), (120, 170, 206), (62, 118, 182), (40, 88, 160)],
    )
    plan = np.where((y > 176)[..., None], river, plan)
    shore = 300 - 0.24 * x + 16 * np.sin(x / 70) + 4 * noise(rng, size, (50, 50), 3)
    lawn = ramp(0.62 + 0.1 * noise(rng, size, (120, 30), 4), [(58, 104, 52), (104, 148, 66), (162, 182, 82), (216, 206, 116)])
    shadow = smooth(0.0, 0.5, np.sin(y / 27 + 0.006 * x + 0.6) + 0.5 * noise(rng, size, (160, 26), 3) - 0.2)
    lawn = mix(lawn, (30, 84, 72), 0.85 * shadow)
    plan = np.where((y > shore)[..., None], lawn, plan)
    boats = []
    for cx, cy, s in ((70, 236, 60), (168, 206, 36), (262, 214, 44), (330, 194, 22)):
        boats += [
            ([(cx, cy), (cx + 0.1 * s, cy - 1.2 * s), (cx + 0.62 * s, cy - 0.1 * s)], (250, 240, 216)),
            ([(cx - 0.05 * s, cy), (cx + 0.04 * s, cy - s), (cx - 0.4 * s, cy - 0.08 * s)], (236, 206, 170)),
            (
                [(cx - 0.5 * s, cy), (cx + 0.7 * s, cy), (cx + 0.5 * s, cy + 0.14 * s), (cx - 0.36 * s, cy + 0.14 * s)],
                (120, 50, 44),
            ),
            (
                [(cx - 0.3 * s, cy + 0.2 * s), (cx + 0.5 * s, cy + 0.2 * s), (cx + 0.1 * s, cy + 0.9 * s)],
                (190, 200, 190),
            ),
        ]
    return sketch(plan, boats), y < bank


def dots_trees(rng: np.random.Generator, plan: Array, sky: Array) -> tuple[Array, Array]:
    """Add trunks, crowns and walkers to the river bank."""
    size = (plan.shape[1], plan.shape[0])
    for cx, foot, r in ((700, 356, 130), (560, 300, 92), (470, 262, 58), (640, 250, 80)):
        trunk = curve(
            [
                (cx - 9, foot),
                (cx - 6, foot - r),
                (cx - 10, foot - 1.7 * r),
                (cx + 5, foot - 1.7 * r),
                (cx + 7, foot - r),
                (cx + 13, foot),
            ]
        )
        plan = sketch(plan, [(trunk, (86, 56, 62))])
        mask, light = foliage(rng, size, (cx, foot - 1.95 * r), r, 26)
        leaves = ramp(
            light + 0.08 * noise(rng, size, 14, 2),
            [(24, 50, 92), (28, 90, 74), (80, 146, 60), (186, 196, 70), (244, 224, 110)],
        )
        plan = mix(plan, leaves, mask)
        sky = sky & (mask < 0.5)
    people = [
        (150, 462, 150, (60, 44, 96), (214, 60, 52)),
        (236, 420, 96, (190, 60, 60), (240, 176, 70)),
        (380, 398, 90, (40, 60, 110), (226, 110, 130)),
        (505, 452, 128, (206, 120, 60), (90, 60, 130)),
        (610, 400, 76, (240, 226, 210), (200, 70, 60)),
        (330, 330, 42, (70, 50, 90), (230, 150, 80)),
        (440, 334, 44, (150, 60, 70), (240, 220, 190)),
    ]
    shapes = [part for person in sorted(people, key=lambda p: p[1]) for part in promenader(*person)]
    return sketch(plan, shapes), sky


def optical(rng: np.random.Generator, colours: Array) -> Array:
    """Break colours into purer dabs: some warmer and lighter, some cooler and darker, some nearly complementary."""
    n = len(colours)
    light = colours.mean(axis=1, keepdims=True) / 255
    warm, cool = np.array((42, 14, -38)), np.array((-34, -8, 42))
    pick = rng.random((n, 1))
    shift = np.where(pick < 0.36, warm, np.where(pick < 0.72, cool, np.array((26, -26, 12))))
    amount = rng.uniform(0.1, 1.5, (n, 1)) * (0.7 + 0.6 * (1 - np.abs(2 * light - 1)))
    pure = colours + 0.35 * (colours - colours.mean(axis=1, keepdims=True))
    return pure + shift * amount + rng.normal(0, 9, (n, 1))


def draw_dots(rng: np.random.Generator) -> Picture:
    """A pointillist river bank on a sunny afternoon: tens of thousands of dabs."""
    size = (768, 528)
    plan, sky = dots_trees(rng, *dots_plan(rng, size))
    image = canvas(size, (206, 180, 140))
    paint(image, rng, plan, heading(0.25 * noise(rng, size, 80, 2)), Brush(9, 22, 5, 12, 9, 8), 2.5)
    for radius, cover, where in ((3.6, 0.9, None), (2.6, 1.0, None), (1.9, 0.75, 0.35 + edges(plan, 2))):
        count = int(cover * size[0] * size[1] / (np.pi * radius**2))
        points = scatter(rng, size, count, where)
        dab(image, rng, points, optical(rng, lookup(plan, points)), radius)
    return Picture(relief(image, 0.9, 3 * weave(size), gloss=0.1), sky)


# ------------------------------------------------------------------------------------------ style: the impasto


def impasto_plan(rng: np.random.Generator, size: Size) -> Array:
    """A burning sky over a dark sea."""
    x, y = grid(size)
    t = y / 430 + 0.11 * noise(rng, size, (260, 60), 4) + 0.05 * np.sin(x / 80 + y / 50)
    sky = ramp(t, [(46, 30, 84), (110, 34, 90), (186, 40, 60), (232, 86, 34), (250, 150, 40), (255, 206, 92), (255, 236, 160)])
    cloud = smooth(0.3, 1.5, noise(rng, size, (220, 46), 5))
    sky = mix(sky, ramp(t, [(24, 24, 58), (64, 26, 70), (120, 28, 60), (170, 50, 50), (220, 90, 60)]), 0.85 * cloud)
    d = np.hypot(x - 395, y - 372) / 44
    sky = mix(sky, ramp(d / 3, [(255, 252, 226), (255, 232, 140), (255, 190, 60), (246, 120, 40)]), np.exp(-((d / 1.6) ** 2)))
    wave = noise(rng, size, (120, 16), 4) + 0.7 * np.sin(y / (4 + (y - 430).clip(0) / 22) + x / 60)
    sea = ramp(0.4 + 0.18 * wave, [(14, 20, 48), (20, 48, 84), (26, 90, 110), (70, 140, 140), (190, 200, 170)])
    glint = np.exp(-(((x - 395 - 14 * wave) / (34 + 0.42 * (y - 430).clip(0))) ** 2))
    sea = mix(
        sea,
        ramp(0.5 + 0.3 * wave, [(150, 40, 50), (236, 96, 36), (255, 180, 60), (255, 236, 170)]),
        0.92 * glint * smooth(-0.6, 0.7, wave),
    )
    plan = np.where((y < 430)[..., None], sky, sea)
    left = curve([(0, 470), (40, 400), (96, 372), (140, 396), (190, 424), (236, 446), (0, 520)])
    right = curve([(640, 452), (590, 420), (560, 428), (520, 440), (640, 470)])
    return sketch(plan, [(left, (30, 22, 46)), (right, (66, 30, 66))])


def draw_impasto(rng: np.random.Generator) -> Picture:
    """A palette-knife sunset over the sea with thick, lit relief."""
    size = (624, 768)
    x, y = grid(size)
    plan = impasto_plan(rng, size)
    swing = np.where(
        y < 430, 0.5 * np.sin(x / 120 + y / 90) + 0.35 * noise(rng, size, 110, 2), 0.16 * noise(rng, size, (60, 30), 2)
    )
    flow = heading(swing)
    knife = Brush(30, 74, 15, 13, 8, 7, 60, 5, 0.08)
    image = underpainting(plan)
    paint(image, rng, plan, flow, knife, 2.8)
    paint(image, rng, plan, flow, replace(knife, width=18, length=46, bristles=11, value=16, chroma=11), 2.6)
    cross = heading(swing + np.where(y < 430, 1.1, 0.35) * np.sign(noise(rng, size, 60, 1)))
    paint(
        image,
        rng,
        plan,
        cross,
        replace(knife, width=10, length=28, bristles=8, value=20, chroma=12),
        1.5,
        0.3 + 0.7 * edges(plan, 3),
    )
    paint(image, rng, plan, flow, replace(knife, width=5, length=16, bristles=5, value=22, chroma=12), 1.2, edges(plan, 2))
    return Picture(relief(image, 2.6, 4 * weave(size), 1.0, gloss=0.5), y < 430)


# ------------------------------------------------------------------------------------------- style: the arcs

BRIGHT = (
    (214, 40, 40),
    (240, 120, 30),
    (250, 200, 50),
    (40, 90, 180),
    (30, 140, 130),
    (110, 50, 140),
    (240, 150, 170),
    (20, 40, 90),
    (90, 160, 80),
    (140, 190, 225),
    (160, 70, 40),
    (245, 232, 200),
)


def tint(rng: np.random.Generator, palette: Sequence[Colour], spread: float = 10) -> Array:
    """One colour of the palette, slightly off."""
    return np.asarray(palette[rng.integers(len(palette))]) + rng.normal(0, spread, 3)


def facet(plan: Array, flow: Array, mask: Array, first: Array, second: Array, angle: float) -> tuple[Array, Array]:
    """Lay a shape into plan and flow, shaded from one colour to another across the given direction."""
    size = (plan.shape[1], plan.shape[0])
    x, y = grid(size)
    s = x * np.cos(angle) + y * np.sin(angle)
    inside = s[mask > 0.5]
    low, high = (inside.min(), inside.max()) if inside.size else (0.0, 1.0)
    shade = mix(first, second, np.clip((s - low) / (high - low + 1e-9), 0, 1))
    return mix(plan, shade, mask), unit(mix(flow, heading(angle + np.pi / 2, mask.shape), mask) + 1e-6)


def line(
    image: Image.Image,
    rng: np.random.Generator,
    points: Array | Sequence,
    colour: Array | Colour,
    width: float,
    taper: float = 0.5,
) -> None:
    """One long bristled stroke through the given points."""
    path = snap(points)[None]
    brush = Brush(width, 1, max(2, int(width * 1.3)), streak=8, ridge=24, taper=taper)
    lay(image, rng, path, np.asarray(colour, dtype=np.float64)[None], brush)


def ring_points(cx: float, cy: float, r: float, start: float = 0.0, end: float = 2 * np.pi, count: int = 50) -> Array:
    """Points on an arc."""
    a = np.linspace(start, end, count)
    return np.stack([cx + r * np.cos(a), cy + r * np.sin(a)], axis=-1)


def lump(rng: np.random.Generator, cx: float, cy: float, r: float) -> Array:
    """Smooth closed outline of a random pebble."""
    a = np.linspace(0, 2 * np.pi, 8)[:-1] + rng.uniform(0, 6)
    d = r * rng.uniform(0.5, 1.3, 7)
    p = np.stack([cx + d * np.cos(a), cy + d * np.sin(a)], axis=-1)
    return curve(np.vstack([p, p[:2]]), 60)[: 60 * 7 // 8 + 1]


def arcs_ground(rng: np.random.Generator, size: Size) -> tuple[Array, Array]:
    """Washes of colour that run into each other."""
    x, y = grid(size)
    plan = ramp(0.5 + 0.25 * noise(rng, size, 260, 4), [(150, 180, 206), (226, 222, 206), (246, 230, 190), (236, 196, 150)])
    flow = heading(1.2 * noise(rng, size, 200, 2))
    for _ in range(34):
        cx, cy = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        r = rng.uniform(40, 120)
        d = np.hypot(x - cx, y - cy) / r + 0.28 * noise(rng, size, 70, 3)
        plan = mix(plan, tint(rng, BRIGHT, 16), rng.uniform(0.45, 0.95) * smooth(1.0, 0.55, d))
    return plan, flow


def arcs_shape(rng: np.random.Generator, size: Size, scale: float) -> tuple[Array, float]:
    """Outline and direction of one random wedge, pebble, crescent or bar."""
    cx, cy = rng.normal(size[0] / 2, size[0] * 0.27), rng.normal(size[1] / 2, size[1] * 0.27)
    angle, kind = rng.uniform(0, 2 * np.pi), rng.integers(5)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if kind == 0:
        shape = np.array([(-1.6, -0.1), (1.6, -0.5), (1.5, 0.45)]) * scale
    elif kind == 1:
        return lump(rng, cx, cy, scale), angle
    elif kind == 2:
        sweep = rng.uniform(1.6, 3.4)
        shape = np.vstack([ring_points(0, 0, scale * 1.3, 0, sweep), ring_points(-0.25 * scale, 0, scale * 0.95, sweep, 0)])
    elif kind == 3:
        shape = np.array([(-1.5, -0.22), (1.5, -0.3), (1.6, 0.1), (-1.4, 0.3)]) * scale
    else:
        shape = np.array([(-0.8, -0.7), (0.9, -0.5), (0.7, 0.8), (-0.9, 0.5)]) * scale
    return shape @ turn + (cx, cy), angle


def arcs_fan(
    rng: np.random.Generator,
    plan: Array,
    flow: Array,
    centre: tuple[float, float],
    radii: Sequence[float],
    start: float,
    sweep: float,
) -> tuple[Array, Array]:
    """A rainbow of ring segments round a centre."""
    size = (plan.shape[1], plan.shape[0])
    x, y = grid(size)
    d, a = np.hypot(x - centre[0], y - centre[1]), (np.arctan2(y - centre[1], x - centre[0]) - start) % (2 * np.pi)
    wobble = 1.5 * noise(rng, size, 40, 2)
    for inner, outer in zip(radii, radii[1:], strict=False):
        cuts = np.sort(rng.uniform(0, sweep, rng.integers(1, 6)))
        for low, high in zip([0, *cuts], [*cuts, sweep], strict=True):
            mask = (
                smooth(inner - 1, inner + 1, d + wobble) * smooth(outer + 1, outer - 1, d + wobble) * ((a > low) & (a < high))
            )
            plan = mix(plan, tint(rng, BRIGHT), 0.92 * mask)
    ring = smooth(radii[-1] + 1, radii[-1] - 1, d) * smooth(radii[0] - 1, radii[0] + 1, d) * (a < sweep)
    return plan, unit(mix(flow, heading(np.arctan2(y - centre[1], x - centre[0]) + np.pi / 2), ring) + 1e-6)


def arcs_lines(image: Image.Image, rng: np.random.Generator, size: Size, outlines: Sequence[Array]) -> None:
    """Black outlines, sheaves of straight lines, whips and dots on top of the shapes."""
    width, height = size
    for outline in outlines:
        part = outline[: max(4, int(len(outline) * rng.uniform(0.5, 1)))]
        line(image, rng, curve(part, 50) if len(part) > 6 else part, (24, 20, 30), rng.uniform(1.5, 4.5), 0.8)
    for _ in range(15):
        p, angle = (
            np.array((rng.uniform(0, width), rng.uniform(0, height))),
            rng.choice((0.5, 0.9, 2.2, 2.6)) + rng.normal(0, 0.15),
        )
        ahead, beside = np.array((np.cos(angle), np.sin(angle))), np.array((-np.sin(angle), np.cos(angle)))
        colour = tint(rng, ((20, 18, 28), (20, 18, 28), (150, 30, 34), (250, 240, 220)))
        for k in range(rng.integers(1, 5)):
            reach = rng.uniform(40, 190)
            line(
                image,
                rng,
                np.linspace(p + beside * k * 10 - ahead * reach, p + beside * k * 11 + ahead * reach, 9),
                colour,
                rng.uniform(2, 5.5),
                0.95,
            )
    for _ in range(24):
        arcs_whip(image, rng, np.array((rng.uniform(0, width), rng.uniform(0, height))))
    for _ in range(70):
        p, r = np.array((rng.uniform(0, width), rng.uniform(0, height))), rng.uniform(2, 10)
        dab(image, rng, snap(p)[None], tint(rng, BRIGHT)[None], r, 0.9)
        if r > 5:
            line(image, rng, ring_points(*p, r + 1, rng.uniform(0, 6), rng.uniform(8, 11), 20), (24, 20, 30), 1.8, 0.6)


def arcs_whip(image: Image.Image, rng: np.random.Generator, start: Array) -> None:
    """A wavy or coiling line."""
    t = np.linspace(0, 1, 60)
    colour = tint(rng, ((22, 20, 34), (250, 244, 226), (190, 30, 36), (30, 60, 130), (22, 20, 34)))
    if rng.random() < 0.6:
        angle, waves = rng.uniform(0, np.pi), rng.integers(2, 6)
        reach, high = rng.uniform(60, 190), rng.uniform(6, 18)
        along_, across = t * reach, high * np.sin(t * waves * 2 * np.pi) * (1 - 0.6 * t)
        path = start + np.stack(
            [along_ * np.cos(angle) - across * np.sin(angle), along_ * np.sin(angle) + across * np.cos(angle)], axis=-1
        )
    else:
        angle, radius = rng.uniform(0, 6) + t * rng.uniform(3, 11), rng.uniform(20, 70) * (1 - 0.85 * t)
        path = start + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    line(image, rng, path, colour, rng.uniform(2.0, 6.0), 0.9)


def arcs_checks(rng: np.random.Generator, plan: Array, corner: tuple[float, float], angle: float, pitch: float) -> Array:
    """A slanting chequered patch."""
    u = np.array((np.cos(angle), np.sin(angle))) * pitch
    v = np.array((-np.sin(angle + 0.4), np.cos(angle + 0.4))) * pitch * 0.8
    colours = (tint(rng, BRIGHT), tint(rng, ((20, 18, 30), (250, 240, 220))))
    cells = [(i, j) for i in range(6) for j in range(4)]
    shapes = [
        (
            [np.array(corner) + (i + a) * u + (j + b) * v for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))],
            colours[(i + j) % 2] + rng.normal(0, 10, 3),
        )
        for i, j in cells
    ]
    return sketch(plan, shapes)


def draw_arcs(rng: np.random.Generator) -> Picture:
    """An abstract composition: washes, wedges, rainbows of arcs, whips and lines."""
    size = (768, 540)
    plan, flow = arcs_ground(rng, size)
    outlines = []
    for scale in np.geomspace(150, 16, 80):
        outline, angle = arcs_shape(rng, size, scale * rng.uniform(0.6, 1.1))
        mask = blob(size, outline, 0.5) * rng.uniform(0.85, 1)
        plan, flow = facet(plan, flow, mask, tint(rng, BRIGHT, 14), tint(rng, BRIGHT, 14), angle)
        if rng.random() < 0.5:
            outlines.append(outline)
    for cx, cy, r, start, sweep in (
        (180, 150, 96, 0, 6.28),
        (560, 330, 130, 3.6, 2.6),
        (330, 420, 84, 0.4, 2.4),
        (640, 110, 66, 0, 6.28),
        (70, 420, 60, 4.4, 3.2),
        (440, 190, 44, 0, 6.28),
    ):
        radii = np.cumsum(rng.uniform(0.5, 1.3, 7))
        plan, flow = arcs_fan(rng, plan, flow, (cx, cy), radii / radii[-1] * r, start, sweep)
        outlines.append(ring_points(cx, cy, r * 1.03, start, start + sweep))
    for corner, angle, pitch in (
        ((590, 440), -0.3, 20),
        ((250, 20), 0.35, 17),
        ((30, 250), -0.7, 15),
        ((400, 320), 0.8, 14),
    ):
        plan = arcs_checks(rng, plan, corner, angle, pitch)
    plan = plan + 16 * noise(rng, size, 46, 4)[..., None]
    image = canvas(size, (200, 190, 170))
    paint(image, rng, plan, flow, Brush(11, 40, 8, 10, 7, 9, taper=0.2), 2.8)
    paint(image, rng, plan, flow, Brush(6, 22, 6, 12, 8, 10, taper=0.2), 2.2, 0.35 + edges(plan, 2.5))
    paint(image, rng, plan, flow, Brush(3, 10, 4, 9, 6, 8, taper=0.2), 3.2, edges(plan, 1.5, 2.0))
    arcs_lines(image, rng, size, outlines)
    return Picture(relief(image, 1.3, 6 * weave(size), gloss=0.15))


# ------------------------------------------------------------------------------------------ style: the glass


def number(*parts: Array) -> Array:
    """One piece number per distinct combination of the parts."""
    code = np.zeros(parts[0].shape, dtype=np.int64)
    for part in parts:
        code = code * 997 + part.astype(np.int64) % 997
    return code


def nearest(points: Array, x: Array, y: Array, stretch: float = 1.0) -> Array:
    """Index of the nearest point for every pixel."""
    seeds = points * (1, stretch)
    return cKDTree(snap(seeds)).query(np.stack([x, y * stretch], axis=-1).reshape(-1, 2))[1].reshape(x.shape)


def glass_sky(rng: np.random.Generator, x: Array, y: Array) -> tuple[Array, Array]:
    """Rays round a sun: piece numbers and colours."""
    d, a = np.hypot(x - 300, y - 236), np.arctan2(y - 236, x - 300) + np.pi
    sector = np.floor(a / (2 * np.pi) * 20)
    cut = np.cumsum(rng.uniform(0.6, 1.4, (20, 9)), axis=1) * 62 + 62
    ring = (d[..., None] > cut[sector.astype(int) % 20]).sum(axis=-1) + 1
    core = np.floor(a / (2 * np.pi) * 10 + 0.5) % 10
    ring, sector = np.where(d < 62, 0, ring), np.where(d < 62, core, sector)
    ring, sector = np.where(d < 26, 90, ring), np.where(d < 26, 0, sector)
    colour = ramp(
        np.clip((d - 20) / 420, 0, 1),
        [
            (255, 244, 180),
            (255, 206, 60),
            (250, 140, 30),
            (220, 60, 40),
            (170, 36, 80),
            (96, 40, 140),
            (44, 50, 160),
            (30, 80, 190),
            (40, 120, 200),
        ],
    )
    return number(0 * x, ring, sector), colour


def glass_land(rng: np.random.Generator, x: Array, y: Array, piece: Array, colour: Array) -> tuple[Array, Array]:
    """Hills, a river and a meadow laid over the sky, each cut across its own run."""
    rows = (
        (430, 40, 150, 0.4, ((40, 60, 130), (60, 90, 160)), 60),
        (478, 34, 110, 2.2, ((30, 110, 110), (24, 140, 120)), 52),
        (528, 26, 130, 4.0, ((60, 150, 70), (120, 180, 60)), 46),
        (580, 16, 90, 1.0, ((20, 90, 170), (60, 160, 220)), 40),
        (622, 10, 60, 3.0, ((30, 70, 160), (110, 190, 230)), 46),
        (664, 18, 120, 5.0, ((40, 120, 50), (150, 190, 50)), 36),
        (712, 12, 80, 2.0, ((24, 84, 60), (90, 150, 40)), 40),
    )
    for k, (base, swell, wave, phase, shades, cut) in enumerate(rows, start=1):
        edge = base + swell * np.sin(x / wave * 1.6 + phase)
        band = np.floor((x + 0.35 * (y - base) * np.sin(k) + 9 * np.sin(y / 21 + k)) / cut) + 40
        layer = np.floor((y - edge) / 30).clip(0, 1)
        inside = y > edge
        wash = mix(shades[0], shades[1], np.clip(0.5 + 0.5 * np.sin(band * 2.4 + layer * 2), 0, 1))
        piece, colour = (
            np.where(inside, number(0 * x + k, band, layer), piece),
            np.where(inside[..., None], wash, colour),
        )
    return piece, colour


def glass_plants(rng: np.random.Generator, x: Array, y: Array, piece: Array, colour: Array) -> tuple[Array, Array]:
    """A tree with a crown of leaves, and irises at its foot."""
    stem = np.abs(x - (112 + 16 * np.sin(y / 70))) < 10 + 0.0006 * (y - 300).clip(0) ** 2 * 0.3
    stem &= (y > 250) & (y < 700)
    piece = np.where(stem, number(0 * x + 20, np.floor(y / 52)), piece)
    colour = np.where(stem[..., None], mix((120, 60, 40), (80, 40, 60), 0.5 + 0.5 * np.sin(np.floor(y / 52) * 2)), colour)
    crown = np.hypot((x - 126) / 108, (y - 210) / 132) + 0.10 * np.sin(5 * np.arctan2(y - 210, x - 126)) < 1
    leaf = nearest(rng.uniform((0, 50), (260, 360), (90, 2)), x, y, 0.8)
    shade = ramp(rng.random(90), [(20, 110, 60), (60, 160, 60), (150, 190, 50), (220, 210, 70), (24, 130, 110)])[leaf]
    piece, colour = np.where(crown, number(0 * x + 21, leaf), piece), np.where(crown[..., None], shade, colour)
    for k, (cx, cy, s) in enumerate(((220, 640, 34), (330, 690, 40), (440, 646, 36), (500, 706, 30), (60, 700, 32))):
        stalk = (np.abs(x - cx - 6 * np.sin(y / 30)) < 5) & (y > cy)
        piece, colour = (
            np.where(stalk, number(0 * x + 30, 0 * x + k), piece),
            np.where(stalk[..., None], (40, 140, 60), colour),
        )
        d, a = np.hypot(x - cx, y - cy) / s, np.arctan2(y - cy, x - cx)
        petal = np.floor((a / (2 * np.pi) + 0.5) * 6)
        flower, heart = d < 0.75 + 0.3 * np.abs(np.sin(3 * (a + np.pi))), d < 0.27
        wash = np.where(
            heart[..., None], (255, 220, 70), mix((150, 60, 180), (236, 110, 170), 0.5 + 0.5 * np.sin(petal * 2 + k))
        )
        piece = np.where(flower, number(0 * x + 31 + k, np.where(heart, 9, petal)), piece)
        colour = np.where(flower[..., None], wash, colour)
    return piece, colour


def glass_frame(x: Array, y: Array, size: Size, piece: Array, colour: Array) -> tuple[Array, Array]:
    """A border of alternating red, blue and gold pieces."""
    gap = np.minimum(np.minimum(x, size[0] - x), np.minimum(y, size[1] - y))
    upright = np.minimum(x, size[0] - x) < np.minimum(y, size[1] - y)
    run = np.floor(np.where(upright, y, x) / 48) + np.where(upright, 300, 0)
    side = np.where(upright, x > size[0] / 2, y > size[1] / 2)
    wash = np.array(((190, 30, 44), (30, 60, 170), (240, 180, 50), (30, 130, 110)))[(run.astype(int) + side * 2) % 4]
    wide, thin = gap < 30, gap < 8
    code = np.where(thin, number(0 * x + 51, np.floor(run / 3), side), number(0 * x + 50, run, side))
    wash = np.where(thin[..., None], (226, 214, 170), wash)
    return np.where(wide, code, piece), np.where(wide[..., None], wash, colour)


def glass_light(rng: np.random.Generator, size: Size, piece: Array, colour: Array) -> Array:
    """Colour of the lit glass: every piece its own shade, streaks, bubbles and a dirty rim."""
    names, label = np.unique(piece, return_inverse=True)
    label = label.reshape(piece.shape)
    tone = (colour + rng.normal(0, 11, (len(names), 3))[label]) * rng.uniform(0.72, 1.22, len(names))[label][..., None]
    edge = np.zeros(piece.shape, dtype=bool)
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    edge[1:] |= label[1:] != label[:-1]
    far = ndimage.distance_transform_edt(~edge)
    angle = rng.uniform(0, np.pi, len(names))[label]
    x, y = grid(size)
    slant = (x * np.cos(angle) + y * np.sin(angle)) / 26 + rng.uniform(0, 9, len(names))[label]
    streak = (
        0.10 * np.sin(slant + 1.5 * noise(rng, size, 90, 3))
        + 0.09 * noise(rng, size, (60, 16), 5)
        + 0.05 * noise(rng, size, 7, 3)
    )
    bubble = np.clip(noise(rng, size, 9, 2) - 2.1, 0, 1) * 0.5
    lit = tone * (0.86 + 0.3 * smooth(6, 34, far) + streak + bubble)[..., None]
    hatch = smooth(0.72, 0.95, np.sin(slant * 7.0)) * smooth(26, 9, far) * (rng.random(len(names)) < 0.6)[label]
    lit = lit * (1 - 0.45 * hatch[..., None])
    came = smooth(7.0, 5.4, far)
    bead = np.sqrt(np.clip(1 - (far / 7.0) ** 2, 0, 1))
    dy, dx = np.gradient(ndimage.gaussian_filter(bead, 1.2))
    lead = (44 + 190 * np.clip(dx + dy, -0.15, 0.4) + 5 * noise(rng, size, 6, 3))[..., None] * np.array((0.96, 0.98, 1.06))
    return lit * (1 - came[..., None]) + lead * came[..., None]


def draw_glass(rng: np.random.Generator) -> Picture:
    """A stained glass window: a sun over hills, a river and irises."""
    size = (560, 768)
    full = (size[0] * SCALE, size[1] * SCALE)
    x, y = (c / SCALE for c in grid(full))
    x, y = x + 2.2 * noise(rng, full, 130, 2), y + 2.2 * noise(rng, full, 130, 2)
    piece, colour = glass_sky(rng, x, y)
    piece, colour = glass_land(rng, x, y, piece, colour)
    piece, colour = glass_plants(rng, x, y, piece, colour)
    piece, colour = glass_frame(x, y, size, piece, colour)
    lit = glass_light(rng, full, piece, np.asarray(colour, dtype=np.float64))
    halo = ndimage.gaussian_filter(lit, (14, 14, 0))
    return Picture(shrink(lit * 0.9 + 0.22 * halo))


# -------------------------------------------------------------------------------------------- style: the wave

INK, MID, PALE, FOAM, PAPER = (24, 44, 84), (60, 104, 146), (150, 184, 196), (240, 232, 208), (222, 204, 164)
CREST = ((0, 262), (60, 214), (110, 150), (160, 92), (226, 50), (300, 40), (362, 66), (402, 116), (412, 168))
FACE = (
    (412, 168),
    (384, 140),
    (346, 138),
    (304, 168),
    (276, 220),
    (268, 284),
    (288, 346),
    (340, 398),
    (420, 424),
    (500, 416),
    (566, 380),
    (620, 336),
    (668, 318),
    (716, 340),
    (768, 384),
)


def claw(
    draw: ImageDraw.ImageDraw, root: Array, angle: float, size: float, bend: float, depth: int, rng: np.random.Generator
) -> None:
    """A hooked finger of foam with smaller fingers on it."""
    t = np.linspace(0, 1, 9)
    a = angle + bend * t**1.4 * 1.9
    spine = root + np.cumsum(np.stack([np.cos(a), np.sin(a)], axis=-1), axis=0) * size / 9
    normal = np.stack([-np.sin(a), np.cos(a)], axis=-1)
    half = (0.21 * size * (1 - t) ** 0.8 + 0.4)[:, None]
    for grow, fill in ((1.0, (*INK, 120)), (0.0, (*FOAM, 150))):
        shape = np.vstack([spine + normal * (half + grow), (spine - normal * (half + grow))[::-1]])
        draw.polygon((snap(shape) * SCALE).ravel().tolist(), fill=fill)
    if depth:
        for k in (2, 4, 6, 7):
            side = rng.choice((-1, 1))
            claw(
                draw,
                spine[k],
                a[k] + side * rng.uniform(0.5, 1.1),
                size * rng.uniform(0.4, 0.55),
                bend * rng.uniform(0.7, 1.3),
                depth - 1,
                rng,
            )


def wave_foam(image: Image.Image, rng: np.random.Generator, edge: Array, inward: float, size: float, bend: float) -> None:
    """Foam along an edge: round lumps with a contour, and claws that reach over it."""
    draw = ImageDraw.Draw(image)
    tangent = unit(np.gradient(edge, axis=0))
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=-1) * inward
    for k in rng.permutation(len(edge)):
        p = edge[k] + normal[k] * rng.uniform(0.0, size * 0.7) + rng.normal(0, 2, 2)
        r = rng.uniform(0.1, 0.3) * size
        for grow, fill in ((1.0, (*INK, 110)), (0, (*FOAM, 140))):
            draw.ellipse((snap([*(p - r - grow), *(p + r + grow)]) * SCALE).tolist(), fill=fill)
    for k in range(0, len(edge), 4):
        out = np.arctan2(-normal[k, 1], -normal[k, 0])
        claw(
            draw,
            edge[k] + normal[k] * size * 0.3,
            out + rng.uniform(-0.3, 0.5),
            size * rng.uniform(1.0, 1.9),
            bend,
            2,
            rng,
        )


def wave_water(rng: np.random.Generator, size: Size, mask: Array, face: Array, stripe: float) -> Array:
    """Water in bands that follow the face of a wave, in three blues and the paper."""
    x, y = grid(size)
    near = np.ones(x.shape, dtype=bool)
    ix, iy = np.clip(face[:, 0].astype(int), 0, size[0] - 1), np.clip(face[:, 1].astype(int), 0, size[1] - 1)
    near[iy, ix] = False
    d = ndimage.gaussian_filter(ndimage.distance_transform_edt(near), 2)
    lumps, cut = noise(rng, size, (190, 190), 3), 0.5 + 0.2 * noise(rng, size, 110, 3)
    phase = (d / stripe + 0.5 * np.sin(d / 50 + x / 120) + 0.3 * lumps) % 1.0
    depth = smooth(0, 130, d)
    stops = np.array((0.34, 0.56, 0.80))[:, None, None] * (0.55 + 0.9 * np.clip(cut, 0, 1)) * (1 - 0.36 * depth)
    bands = np.broadcast_to(np.asarray(FOAM, dtype=np.float64), (*x.shape, 3))
    for stop, colour in zip((*stops, np.full(x.shape, 0.97)), (PALE, MID, INK, FOAM), strict=True):
        bands = mix(bands, colour, smooth(stop - 1.1 / stripe, stop + 1.1 / stripe, phase))
    key = smooth(1.8, 0.8, np.abs(phase - stops[2] - 0.06) * stripe)
    return mix(bands, INK, key) * mask[..., None]


def wave_sky(rng: np.random.Generator, size: Size) -> Array:
    """Graded sky with banks of cloud, and a far mountain."""
    x, y = grid(size)
    sky = ramp(y / 400, [(196, 168, 120), (230, 212, 170), (236, 222, 186), (216, 196, 160), (150, 150, 140), (96, 110, 124)])
    for base, tone in ((112, (244, 232, 204)), (196, (206, 180, 140)), (262, (238, 220, 184)), (306, (176, 160, 134))):
        top = base + 20 * np.sin(x / 110 + base) + 12 * np.abs(np.sin(x / 37 + base)) + 6 * noise(rng, size, (70, 900), 2)
        body = smooth(-1, 1, y - top) * smooth(40, 26, y - top) * smooth(-0.4, 0.2, np.sin(x / 150 + base * 1.7))
        sky = mix(sky, tone, body)
        sky = mix(sky, (120, 96, 80), 0.8 * body * smooth(2.2, 1.0, np.abs(y - top - 1.5)))
    peak = [(452, 396), (520, 330), (560, 296), (574, 290), (590, 295), (634, 334), (720, 400)]
    snow = [
        (532, 318),
        (560, 296),
        (574, 290),
        (590, 295),
        (614, 317),
        (602, 314),
        (596, 326),
        (584, 312),
        (572, 330),
        (562, 314),
        (548, 326),
    ]
    return sketch(sky, [(peak, (70, 90, 116)), (snow, FOAM)])


def wave_boat(image: Image.Image, x: float, y: float, s: float, tilt: float) -> None:
    """A slim rowing boat with a bent row of rowers."""
    t = np.linspace(-1, 1, 15)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    upper, lower = np.stack([t, -0.22 * t**2], axis=-1), np.stack([t * 0.96, 0.13 - 0.32 * t**2], axis=-1)
    hull = np.vstack([upper, lower[::-1]]) @ turn * s + (x, y)
    draw = ImageDraw.Draw(image)
    draw.polygon((snap(hull) * SCALE).ravel().tolist(), fill=(196, 156, 96, 130), outline=(*INK, 110), width=3)
    for k in np.linspace(-0.5, 0.4, 7):
        p = np.array((k, -0.07)) @ turn * s + (x, y)
        r = 0.055 * s
        draw.ellipse(
            (snap([p[0] - r, p[1] - 1.2 * r, p[0] + r, p[1] + r]) * SCALE).tolist(),
            fill=(*MID, 120),
            outline=(*INK, 110),
            width=2,
        )


def wave_print(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Pull the print: wood grain, mottled ink and paper fibres."""
    full = image.size
    size = (full[0] // SCALE, full[1] // SCALE)
    x, y = grid(full)
    rings = noise(rng, full, (900, 60), 4)
    wood = np.sin(y / 3.1 + 11 * rings) * 0.5 + 0.5 * np.sin(y / 7.3 + 19 * rings)
    rgb = np.asarray(image, dtype=np.float64)[..., :3]
    dark = 1 - rgb.mean(axis=-1) / 255
    mottle = 0.06 * wood * (0.5 + dark) + 0.05 * noise(rng, full, 5, 3) * (0.3 + dark) + 0.03 * noise(rng, full, 160, 4)
    bare = np.clip(noise(rng, full, 4, 2) * 0.5 + noise(rng, full, (70, 20), 3) - 1.75, 0, 1) * 0.6
    rgb = mix(rgb * (1 + mottle[..., None]), PAPER, bare)
    print_ = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).convert("RGBA")
    fibres = scatter(rng, size, 2600)
    paths = trace(fibres, heading(1.5 * noise(rng, size, 30, 2)), rng.uniform(6, 26, len(fibres)), 5)
    draw = ImageDraw.Draw(print_)
    under = np.asarray(print_)
    for path in paths:
        px, py = (np.clip(path[2] * SCALE, 0, np.array(full) - 1)).astype(int)
        tone = np.clip(under[py, px, :3].astype(int) + rng.integers(-16, 26), 0, 255)
        draw.line((path * SCALE).ravel().tolist(), fill=(*tone.tolist(), 255), width=1)
    return shrink(np.asarray(print_, dtype=np.float64)[..., :3])


def draw_wave(rng: np.random.Generator) -> Picture:
    """A woodblock print of a great wave with claws of foam before a far mountain."""
    size = (768, 532)
    crest, face = curve(CREST, 70), curve(FACE, 140)
    back = curve([(430, 400), (520, 372), (610, 392), (690, 356), (768, 300)], 60)
    plan = wave_sky(rng, size)
    for edge, stripe in ((back, 17), (np.vstack([crest, face]), 27)):
        mask = blob(size, np.vstack([edge, [(768, 540), (0, 540)]]))
        water = wave_water(rng, size, np.ones_like(mask), face if stripe == 27 else edge, stripe)
        plan = mix(plan, water, mask)
    full = (size[0] * SCALE, size[1] * SCALE)
    colour = Image.fromarray(np.clip(plan, 0, 255).astype(np.uint8)).resize(full, Image.Resampling.BICUBIC).convert("RGBA")
    front = curve([(0, 470), (90, 440), (170, 452), (260, 488), (380, 500), (520, 470), (620, 478), (768, 440)], 110)
    for edge, pen in ((back, 2), (crest, 4), (face, 4)):
        ImageDraw.Draw(colour).line((snap(edge) * SCALE).ravel().tolist(), fill=(*INK, 120), width=pen, joint="curve")
    wave_foam(colour, rng, back[::2], 1, 11, 0.8)
    wave_boat(colour, 470, 430, 74, 0.25)
    wave_boat(colour, 690, 408, 62, -0.3)
    low = blob(size, np.vstack([front, [(768, 540), (0, 540)]]))
    water = Image.fromarray(wave_water(rng, size, np.ones_like(low), front, 19).astype(np.uint8)).resize(
        full, Image.Resampling.BICUBIC
    )
    colour.paste(water, (0, 0), Image.fromarray((low * 255).astype(np.uint8)).resize(full, Image.Resampling.BICUBIC))
    wave_foam(colour, rng, front[::2], 1, 15, -0.9)
    wave_foam(colour, rng, crest[12:], 1, 25, 0.9)
    wave_foam(colour, rng, face[4:34:2], -1, 18, 0.8)
    draw = ImageDraw.Draw(colour)
    for _ in range(420):
        p, r = rng.normal((400, 190), (110, 90)), rng.uniform(0.8, 3.0)
        draw.ellipse((snap([*(p - r), *(p + r)]) * SCALE).tolist(), fill=(*FOAM, 140), outline=(*MID, 120))
    return Picture(wave_print(rng, colour))


# ---------------------------------------------------------------------------------------- style: the hatching


def hatch_tone(rng: np.random.Generator, size: Size) -> tuple[Array, Array, Array]:
    """Darkness (0 to 1) of sky, mountains and lake, the form lines to hatch along, and the sky."""
    x, y = grid(size)
    cloud = noise(rng, size, (240, 110), 5)
    tone = 0.30 + 0.2 * cloud + 0.25 * smooth(160, 0, y)
    form = y + 14 * cloud
    sky = np.ones(x.shape, dtype=bool)
    for base, high, cell, dark in ((250, 90, 200, 0.30), (300, 56, 130, 0.42), (332, 30, 80, 0.6)):
        edge = np.broadcast_to((base - high * 0.5 * np.abs(noise(rng, (size[0], 8), (cell, 900), 5)))[3], x.shape)
        rock = noise(rng, size, (60, 90), 5)
        light = np.clip(
            dark + 0.26 * np.gradient(ndimage.gaussian_filter(rock, 2), axis=1) * 12 + 0.1 * smooth(0, 60, y - edge),
            0,
            1,
        )
        inside = y > edge
        tone, form, sky = (
            np.where(inside, light, tone),
            np.where(inside, 0.8 * x + 0.6 * y + 9 * rock, form),
            sky & ~inside,
        )
    lake = y > 352
    ripple = noise(rng, size, (120, 8), 4)
    mirror = np.clip(
        np.flipud(tone)[np.clip((2 * 352 - y).astype(int) * -1 + size[1] - 1, 0, size[1] - 1), x.astype(int)], 0, 1
    )
    tone = np.where(lake, 0.25 + 0.45 * mirror + 0.14 * ripple, tone)
    return tone, np.where(lake, y + 1.5 * ripple, form), sky


RUIN = """430,372 430,236 446,228 452,196 470,190 478,214 500,222 512,250 560,246 580,262 600,258 640,276 660,270
    668,150 676,118 690,140 704,126 716,156 720,374"""


def hatch_ruin(tone: Array, form: Array) -> tuple[Array, Array]:
    """A ruined abbey with arches on the far shore."""
    size = (tone.shape[1], tone.shape[0])
    x, y = grid(size)
    stone = blob(size, xy(RUIN))
    joints = np.sin((x + 5 * np.floor(y / 7)) * 2 * np.pi / 11) > 0.9
    courses = 0.12 * (np.sin(y * 2 * np.pi / 7) > 0.86) + 0.12 * joints
    light = 0.26 + 0.22 * smooth(430, 720, x) + courses + 0.4 * (x > 692) * (y < 374)
    tone, form = tone * (1 - stone) + light * stone, np.where(stone > 0.5, x * 0.35 + y, form)
    for cx, base, w, h in xy("462,372,20,70 528,372,34,66 592,372,30,60 646,372,22,54 682,250,11,44 462,270,9,26"):
        top = ring_points(cx, base - h + w / 2, w / 2, np.pi, 2 * np.pi)
        hole = blob(size, np.vstack([[(cx - w / 2, base)], top, [(cx + w / 2, base)]]))
        tone = tone * (1 - hole) + hole * np.clip(0.95 - 0.3 * smooth(cx - w / 2, cx + w / 2, x), 0, 1)
    return tone, form


def hatch_limbs(cx: float, foot: float, r: float) -> list[Array]:
    """Outlines of a trunk and two boughs."""
    stem = xy("-20,20 -8,0 -6,0 6,0 10,0 26,20") + np.array([(0, 0), (0, -r), (0, -1.8 * r), (0, -1.8 * r), (0, -r), (0, 0)])
    bough = xy("0,-1 0.3,-1.4 0.8,-1.7 0.3,-1.25 0,-0.8") * r
    return [curve(stem + (cx, foot)), *(curve(bough * (side, 1) + (cx, foot)) for side in (-1, 1))]


def hatch_shore(rng: np.random.Generator, tone: Array, form: Array) -> tuple[Array, Array, Array]:
    """A near bank with old trees; also returns where leaves and grass call for scribbles."""
    size = (tone.shape[1], tone.shape[0])
    x, y = grid(size)
    bank = 470 - 120 * smooth(420, 0, x) - 40 * smooth(500, 760, x) + 7 * noise(rng, size, (60, 60), 4)
    ground = smooth(-2, 2, y - bank)
    earth = 0.5 + 0.16 * noise(rng, size, (100, 40), 5) + 0.2 * smooth(60, 0, y - bank) * np.sin(x / 40) ** 2
    tone, form = tone * (1 - ground) + earth * ground, np.where(ground > 0.5, y - 0.5 * bank + 0.25 * x, form)
    leafy = ground * 0.8
    for cx, foot, r in ((96, 440, 118), (262, 432, 66), (728, 470, 62)):
        for limb in hatch_limbs(cx, foot, r):
            wood = blob(size, limb)
            tone = tone * (1 - wood) + wood * (0.6 + 0.3 * np.tanh((x - cx) / 8))
            form = np.where(wood > 0.5, y * 0.9 + 0.06 * (x - cx) ** 2, form)
        mask, light = foliage(rng, size, (cx, foot - 1.75 * r), r, 30)
        dark = np.clip(0.98 - 0.95 * light + 0.12 * noise(rng, size, 12, 3), 0.05, 1)
        tone, leafy = tone * (1 - mask) + dark * mask, np.maximum(leafy, mask)
        form = np.where(mask > 0.5, 60 * light + 0.7 * x, form)
    return np.clip(tone, 0, 1), form, leafy


def hatch_lines(rng: np.random.Generator, size: Size, phase: Array, pitch: float, dark: Array) -> Array:
    """Engraved lines along the level lines of a phase, as wide as the tone asks; 1 where there is ink."""
    wobble = 0.12 * noise(rng, size, 40, 3)
    saw = np.abs(((phase / pitch + wobble) % 1.0) - 0.5) * 2
    slope = np.hypot(*np.gradient(phase)) / pitch
    width = dark * (1 + 0.16 * noise(rng, size, 22, 3))
    soft = np.clip(slope * 2, 0.04, 0.8)
    return smooth(-0.5, 0.5, (width - saw) / soft) * smooth(0.03, 0.10, width)


def draw_hatching(rng: np.random.Generator) -> Picture:
    """A sepia etching of an abbey by a lake, in hatching, cross hatching and scribbles."""
    size = (768, 560)
    full = (size[0] * SCALE, size[1] * SCALE)
    tone, form, _ = hatch_tone(rng, size)
    tone, form = hatch_ruin(tone, form)
    tone, form, leafy = hatch_shore(rng, tone, form)
    tone = np.maximum(tone, 0.2 + 0.04 * noise(rng, size, 90, 3))
    rims = smooth(0.07, 0.16, ndimage.gaussian_gradient_magnitude(tone, 1.2))
    big = [
        np.asarray(Image.fromarray(m.astype(np.float32)).resize(full, Image.Resampling.BILINEAR), dtype=np.float64)
        for m in (tone, form, leafy)
    ]
    dark, phase, leaf = big
    x, y = (c / SCALE for c in grid(full))
    ink = hatch_lines(rng, full, phase, 3.3, np.clip(0.80 * dark - 0.05, 0, 0.6) * (1 - 0.35 * leaf))
    for angle, pitch, start in ((0.85, 3.6, 0.48), (2.3, 3.9, 0.64), (1.5, 4.2, 0.8)):
        ruled = x * np.cos(angle) + y * np.sin(angle) + 2.5 * noise(rng, full, 200, 2)
        ink = np.maximum(ink, hatch_lines(rng, full, ruled, pitch, np.clip((dark - start) * 1.4, 0, 0.5) * (1 - 0.5 * leaf)))
    paper = np.array((232, 214, 176)) + (7 * noise(rng, full, 200, 4) + 5 * noise(rng, full, 4, 3))[..., None]
    plate = mix(paper, (196, 164, 116), np.clip(0.25 * dark + 0.05 * noise(rng, full, 60, 4), 0, 1))
    rgb = mix(plate, (58, 34, 22), np.clip(ink * (0.9 + 0.12 * noise(rng, full, 5, 2)), 0, 1))
    image = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).convert("RGBA")
    sepia = np.full((size[1], size[0], 3), (52, 30, 20), dtype=np.float64)
    curl = heading(2.4 * noise(rng, size, 16, 2))
    paint(image, rng, sepia, curl, Brush(0.65, 9, 1, 10, 3, 4, steps=6), 1.1, leafy * np.clip(1.5 * tone - 0.6, 0, 1))
    paint(image, rng, sepia, curl, Brush(0.45, 6, 1, 10, 3, 4, steps=6), 0.5, leafy * np.clip(tone - 0.1, 0, 1))
    dy, dx = np.gradient(ndimage.gaussian_filter(tone, 1.2))
    contour = unit(np.stack([dy, -dx], axis=-1) + 1e-9)
    paint(image, rng, sepia, contour, Brush(0.55, 9, 1, 10, 3, 4), 0.8, rims * (1 - 0.7 * leafy))
    return Picture(shrink(np.asarray(image, dtype=np.float64)[..., :3]))


# ------------------------------------------------------------------------------------------ style: the mosaic


def fish(cx: float, cy: float, s: float, turn: float) -> dict[str, Array]:
    """Outlines of a fish that swims along an arc: body, tail, fins, gill, eye."""
    parts = {
        "tail": curve(
            [(-0.8, 0.0), (-1.25, -0.42), (-1.42, -0.4), (-1.22, 0.02), (-1.42, 0.44), (-1.22, 0.42), (-0.8, 0.06)], 50
        ),
        "fin": curve([(-0.3, -0.3), (-0.28, -0.72), (0.1, -0.66), (0.36, -0.34), (0.0, -0.2)], 40),
        "belly": curve([(-0.1, 0.3), (-0.34, 0.62), (-0.06, 0.58), (0.22, 0.3)], 40),
        "body": curve(
            [
                (-0.9, 0.0),
                (-0.5, -0.26),
                (0.1, -0.42),
                (0.7, -0.28),
                (1.0, 0.02),
                (0.7, 0.26),
                (0.1, 0.38),
                (-0.5, 0.22),
                (-0.9, 0.05),
            ],
            90,
        ),
        "head": np.vstack(
            [
                ring_points(0.38, 0.0, 0.33, -1.35, 1.35, 20) + (0.0, 0),
                curve([(0.45, 0.32), (0.7, 0.26), (1.0, 0.02), (0.7, -0.28), (0.45, -0.34)], 30),
            ]
        ),
        "eye": ring_points(0.74, -0.08, 0.085),
    }
    bent = {}
    for name, p in parts.items():
        a = turn + 0.55 * p[:, 0]
        mid = np.stack([(np.sin(a) - np.sin(turn)) / 0.55, -(np.cos(a) - np.cos(turn)) / 0.55], axis=-1)
        bent[name] = np.array((cx, cy)) + s * (mid + p[:, 1:] * np.stack([-np.sin(a), np.cos(a)], axis=-1))
    return bent


FISHES = (
    (250, 190, 150, 0.35, ((236, 120, 40), (250, 190, 70), (190, 50, 36))),
    (470, 430, 140, 3.3, ((200, 50, 50), (244, 150, 90), (120, 24, 50))),
    (600, 150, 82, 1.2, ((240, 200, 90), (250, 236, 170), (180, 120, 40))),
    (130, 440, 84, -1.0, ((150, 190, 90), (226, 226, 130), (60, 120, 80))),
)


def mosaic_scene(rng: np.random.Generator, size: Size) -> tuple[Array, Array, Array]:
    """Region labels, colours, and the field whose level lines the stones of the sea follow."""
    x, y = grid(size)
    swell = y + 26 * np.sin(x / 62 + y / 120) + 10 * noise(rng, size, 140, 2)
    plan = ramp(
        0.5 + 0.34 * np.sin(swell / 17) + 0.12 * noise(rng, size, 60, 3),
        [(14, 40, 90), (24, 84, 140), (40, 140, 170), (120, 200, 196), (236, 236, 214)],
    )
    label = np.zeros(x.shape, dtype=int)
    for k, (cx, cy, s, turn, (main, light, deep)) in enumerate(FISHES):
        for j, (name, points) in enumerate(fish(cx, cy, s, turn).items()):
            mask = blob(size, points) > 0.5
            d = ndimage.distance_transform_edt(mask)
            scale = 0.5 + 0.5 * np.sin(d / 3.4) * np.sin((x * np.cos(turn) + y * np.sin(turn)) / 6)
            shade = {
                "body": mix(mix(main, deep, smooth(30, 0, d)), light, 0.6 * scale),
                "eye": mix((20, 20, 30), (250, 250, 240), smooth(7, 3, d)),
                "head": mix(light, main, smooth(10, 26, d)),
            }.get(name, mix(deep, light, 0.5 + 0.5 * np.sin((x + y * 0.6) / 5)))
            label, plan = np.where(mask, 10 * k + j + 1, label), np.where(mask[..., None], shade, plan)
    gap = np.minimum(np.minimum(x, size[0] - x), np.minimum(y, size[1] - y))
    run = np.where(np.minimum(x, size[0] - x) < np.minimum(y, size[1] - y), y, x)
    braid = np.where(np.sin(run / 13)[..., None] > 0, (190, 60, 40), (240, 206, 120))
    for low, high, code, colour in ((0, 9, 90, (60, 34, 36)), (9, 36, 91, braid), (36, 45, 92, (240, 228, 200))):
        ring = (gap >= low) & (gap < high)
        label, plan = np.where(ring, code, label), np.where(ring[..., None], colour, plan)
    return label, plan, swell


def stones(field: Array, label: Array, pitch: float, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Places (x, y, angle) for stones set in rows along the level lines of the field, outer rows first."""
    places = []
    for level in np.arange(0.5, field.max() / pitch) * pitch:
        for contour in measure.find_contours(field, level):
            path = contour[:, ::-1]
            step = np.hypot(*np.diff(path, axis=0).T)
            s = np.concatenate([[0], np.cumsum(step)])
            if s[-1] < pitch:
                continue
            at = np.arange(rng.uniform(0, 0.5) * pitch, s[-1], pitch * 1.04)
            p = np.stack([np.interp(at, s, path[:, 0]), np.interp(at, s, path[:, 1])], axis=-1)
            ahead = np.stack([np.interp(at + 1, s, path[:, 0]), np.interp(at + 1, s, path[:, 1])], axis=-1) - np.stack(
                [np.interp(at - 1, s, path[:, 0]), np.interp(at - 1, s, path[:, 1])], axis=-1
            )
            places += zip(p[:, 0], p[:, 1], np.arctan2(ahead[:, 1], ahead[:, 0]), strict=True)
    return places


def set_stones(
    image: Image.Image,
    rng: np.random.Generator,
    plan: Array,
    places: Sequence[tuple[float, float, float]],
    size: float,
    taken: Image.Image,
) -> None:
    """Set every stone that finds room."""
    draw, room = ImageDraw.Draw(image), ImageDraw.Draw(taken)
    pixels = taken.load()
    for x, y, angle in places:
        here = (min(max(int(x), 0), taken.width - 1), min(max(int(y), 0), taken.height - 1))
        along_, across = np.array((np.cos(angle), np.sin(angle))), np.array((-np.sin(angle), np.cos(angle)))
        probes = [
            np.array((x, y)) + size * 0.3 * (a * along_ + b * across) for a, b in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
        ]
        if any(0 <= p[0] < taken.width and 0 <= p[1] < taken.height and pixels[int(p[0]), int(p[1])] for p in probes):
            continue
        half = size * 0.47 * rng.uniform(0.86, 1.04, (4, 2)) * ((-1, -1), (1, -1), (1, 1), (-1, 1))
        quad = snap(np.array((x, y)) + half[:, :1] * along_ + half[:, 1:] * across)
        tone = plan[here[1], here[0]] * rng.uniform(0.74, 1.22) + rng.normal(0, 9, 3)
        fill = tuple(np.clip(tone, 0, 255).astype(int).tolist())
        draw.polygon((quad * SCALE).ravel().tolist(), fill=(*fill, int(rng.integers(150, 220))))
        room.polygon(quad.ravel().tolist(), fill=1)


def draw_mosaic(rng: np.random.Generator) -> Picture:
    """A mosaic floor with four fish in a swelling sea, set stone by stone."""
    size, pitch = (736, 592), 7.0
    label, plan, swell = mosaic_scene(rng, size)
    border = np.zeros(label.shape, dtype=bool)
    border[:, 1:] |= label[:, 1:] != label[:, :-1]
    border[1:] |= label[1:] != label[:-1]
    border[0], border[-1], border[:, 0], border[:, -1] = True, True, True, True
    d = ndimage.gaussian_filter(ndimage.distance_transform_edt(~border), 0.7)
    near = [p for p in stones(d, label, pitch, rng) if label[int(p[1]), int(p[0])] > 0 or d[int(p[1]), int(p[0])] < 3 * pitch]
    sea = stones(swell - swell.min(), label, pitch, rng)
    image, taken = canvas(size, (96, 90, 84)), Image.new("1", size, 0)
    set_stones(image, rng, plan, near, pitch, taken)
    set_stones(image, rng, plan, sea, pitch, taken)
    for small in (5.0, 3.6):
        gaps = scatter(rng, size, 26000)
        set_stones(
            image,
            rng,
            plan,
            [(x, y, a) for (x, y), a in zip(gaps, rng.uniform(0, 3, len(gaps)), strict=True)],
            small,
            taken,
        )
    full = image.size
    rough = 9 * noise(rng, full, 12, 4) + 5 * noise(rng, full, 3, 2)
    lit = relief(image, 1.1, rough, 1.3, gloss=0.5)
    tone = np.asarray(lit, dtype=np.float64) * (1 + 0.05 * noise(rng, size, 220, 3) + 0.04 * noise(rng, size, 3, 2))[..., None]
    return Picture(Image.fromarray(np.clip(tone, 0, 255).astype(np.uint8)))


# ---------------------------------------------------------------------------------------- style: the cut paper

EARTH = (
    (206, 170, 110),
    (176, 132, 76),
    (128, 94, 58),
    (90, 70, 52),
    (222, 206, 166),
    (150, 148, 130),
    (104, 110, 104),
    (60, 54, 50),
    (190, 186, 168),
    (36, 32, 32),
)


def cubist_quads(rng: np.random.Generator, size: Size, number_: int) -> list[tuple[Array, float]]:
    """Facets from large to small that lean on one another round the middle axis."""
    quads = []
    for s in np.geomspace(340, 58, number_):
        cx, cy = rng.normal(size[0] * 0.5, size[0] * (0.16 + 0.001 * s)), rng.uniform(-20, size[1] + 20)
        angle = rng.choice((-1.15, -0.75, 0.1, 0.7, 1.05, 1.5)) + rng.normal(0, 0.12)
        w, h = s * rng.uniform(0.35, 0.75), s * rng.uniform(0.6, 1.1)
        p = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2 + rng.normal(0, 0.10 * s, (4, 2))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        quads.append((p @ turn + (cx, cy), angle))
    return quads


def guitar_parts() -> list[tuple[Array, Colour, Colour, float]]:
    """Pieces of a guitar, a bottle, a glass and a sheet of music, slid against each other."""
    left = curve([(300, 330), (236, 344), (206, 400), (236, 456), (212, 510), (196, 580), (236, 640), (300, 652)], 60)
    right = curve([(318, 318), (380, 330), (410, 384), (384, 440), (420, 490), (440, 566), (404, 636), (318, 664)], 60)
    neck = np.array([(292, 372), (330, 366), (368, 96), (338, 90)])
    head = np.array([(334, 100), (374, 106), (392, 40), (342, 30)])
    bottle = curve([(470, 330), (474, 250), (492, 214), (492, 130), (520, 128), (522, 210), (544, 250), (548, 340)], 50)
    bottle = np.vstack([bottle, [(548, 520), (470, 512)]])
    sheet = np.array([(60, 470), (208, 440), (240, 610), (92, 648)])
    glass = np.array(
        [
            (92, 250),
            (176, 240),
            (160, 340),
            (142, 350),
            (144, 400),
            (172, 412),
            (104, 420),
            (128, 402),
            (126, 352),
            (108, 344),
        ]
    )
    return [
        (bottle, (70, 84, 70), (150, 160, 130), 0.2),
        (sheet, (232, 222, 190), (196, 184, 150), 1.0),
        (left, (150, 92, 46), (222, 172, 100), 0.1),
        (right, (226, 190, 124), (120, 76, 44), 0.3),
        (neck, (60, 44, 36), (110, 84, 60), 0.1),
        (head, (120, 84, 52), (60, 46, 40), 1.2),
        (glass, (200, 206, 190), (130, 140, 130), 0.4),
        (ring_points(312, 478, 42), (28, 24, 24), (74, 52, 38), 0.9),
        (ring_points(352, 500, 36, -1.2, 1.9), (186, 140, 80), (96, 70, 48), 0.9),
    ]


def cubist_facets(rng: np.random.Generator, still: Array, quads: Sequence[tuple[Array, float]]) -> Array:
    """Break a still life into facets: each shows it a little displaced, shaded across, with a shadow beside it."""
    size = (still.shape[1], still.shape[0])
    x, y = grid(size)
    plan = still
    for quad, angle in quads:
        across = np.array((np.cos(angle), np.sin(angle)))
        side = (x * across[0] + y * across[1] - quad.mean(axis=0) @ across) / np.ptp(quad @ across) * rng.choice((-1, 1)) + 0.5
        mask = blob(size, quad)
        shadow = np.roll(ndimage.gaussian_filter(mask, 5), rng.integers(-5, 8, 2).tolist(), (0, 1)) * (1 - mask)
        moved = np.roll(still, rng.integers(-34, 35, 2).tolist(), (0, 1))
        shade = (
            mix(moved, tint(rng, EARTH), rng.uniform(0.2, 0.6))
            * (0.46 + 0.85 * np.clip(side, 0, 1) + 0.22 * smooth(0.95, 1.0, side))[..., None]
        )
        plan = plan * (1 - 0.4 * shadow[..., None])
        plan = mix(plan, shade, mask * np.clip(rng.uniform(0.7, 1.2) + 0.5 * side, 0, 0.97))
    return plan


def cubist_contours(image: Image.Image, rng: np.random.Generator, size: Size, quads: Sequence[tuple[Array, float]]) -> None:
    """Dark contours along those edges of the facets that no later facet hides."""
    top = np.full((size[1], size[0]), -1)
    for k, (quad, _) in enumerate(quads):
        top[blob(size, quad) > 0.5] = k
    for k, (quad, _) in enumerate(quads):
        for a, b in zip(quad, np.roll(quad, -1, axis=0), strict=True):
            points = np.linspace(a, b, 24)
            seen = np.flatnonzero(lookup(top, points + 0.04 * (quad.mean(axis=0) - points)) == k)
            width, keep = rng.uniform(1.2, 3.2), rng.random() < 0.7
            for run in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1):
                if len(run) > 3 and keep:
                    line(image, rng, points[run], tint(rng, ((34, 28, 26), (60, 46, 38), (40, 34, 30)), 4), width, 0.7)


def cubist_lines(image: Image.Image, rng: np.random.Generator) -> None:
    """Contours of the things, then strings, staves and frets."""
    for points, *_ in guitar_parts():
        cut = int(len(points) * rng.uniform(0.7, 1))
        line(image, rng, points[:cut] if len(points) > 8 else np.vstack([points, points[:1]]), (30, 24, 22), 2.6, 0.5)
    for k in range(6):
        line(
            image,
            rng,
            np.linspace((296 + 6 * k, 620), (341 + 5 * k, 60), 12),
            (238, 226, 190) if k % 2 else (30, 26, 26),
            1.3,
            0.2,
        )
    for k in range(5):
        line(image, rng, np.linspace((76, 504 + 20 * k), (216, 476 + 20 * k), 8), (50, 42, 40), 1.3, 0.2)
        for x in rng.uniform(80, 210, 4):
            y = 504 + 20 * k - 0.2 * (x - 76) + rng.integers(0, 3) * 5
            line(image, rng, ring_points(x, y, 2.6, 0, 7, 12), (30, 24, 24), 3, 0.1)
            line(image, rng, np.linspace((x + 3, y), (x + 3, y - 16), 4), (30, 24, 24), 1.2, 0.2)
    for k in range(7):
        line(
            image,
            rng,
            np.linspace((297 + 6 * k, 350 - 38 * k), (332 + 5.4 * k, 345 - 38 * k), 4),
            (214, 190, 140),
            1.6,
            0.1,
        )


def draw_cutpaper(rng: np.random.Generator) -> Picture:
    """A cubist guitar: facets of ochre, brown and grey, shaded at their edges, in short dabs."""
    size = (600, 768)
    plan = ramp(0.5 + 0.22 * noise(rng, size, 300, 4), [(70, 62, 54), (136, 116, 84), (186, 160, 112), (160, 154, 136)])
    flow = heading(0.2 * noise(rng, size, 200, 2))
    for points, first, second, angle in guitar_parts():
        plan, flow = facet(plan, flow, blob(size, points), np.array(first), np.array(second), angle)
    still = sketch(
        plan,
        [(box(296 + 7 * k, 110, 2.4, 510) @ np.array([[1, 0], [-0.07, 1]]) + (38, 0), (232, 220, 186)) for k in range(5)],
    )
    quads = cubist_quads(rng, size, 96)
    plan = cubist_facets(rng, still, quads)
    plan = plan + 9 * noise(rng, size, 40, 4)[..., None]
    flow = unit(0.7 * flow + np.array((1.0, 0.08)))
    image = underpainting(plan)
    paint(image, rng, plan, flow, Brush(8, 18, 8, 7, 2, 7, taper=0.1), 3.0)
    paint(image, rng, plan, flow, Brush(5.5, 13, 6, 12, 3, 8, taper=0.1), 2.6, 0.5 + edges(plan, 2))
    paint(image, rng, plan, flow, Brush(3, 7, 4, 9, 3, 7, taper=0.1), 3.5, edges(plan, 1.2, 2.2))
    cubist_contours(image, rng, size, quads)
    cubist_lines(image, rng)
    return Picture(relief(image, 1.4, 7 * weave(size), gloss=0.1))


# ------------------------------------------------------------------------------------- scenes: sky and light


def sample(texture: Array, u: Array, v: Array) -> Array:
    """Texture read at real coordinates, mirrored at its borders."""
    return ndimage.map_coordinates(texture, [v, u], order=1, mode="mirror")


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


def halve(mask: Array) -> Array:
    """Mask at final size from one at drawing scale."""
    image = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).reduce(SCALE)
    return np.asarray(image) >= 128


# ------------------------------------------------------------------------------- scenes: hills and the coast


@dataclass(frozen=True)
class View:
    """A camera over a height field, at drawing scale; heights and distances in metres."""

    size: Size
    horizon: float
    eye: float
    focal: float = 1250.0
    far: float = 7000.0

    def depths(self) -> Array:
        """Distances of the rows of the ray march: even on the picture near by, even in scale far off."""
        rows = self.focal * self.eye * 1.2 / np.arange(self.size[1] - self.horizon + 500, 40, -0.7)
        return np.unique(snap(np.concatenate([rows, np.geomspace(rows.min(), self.far, 1100)])))

    def rays(self) -> tuple[Array, Array]:
        """World x and z of every column at every depth."""
        z = self.depths()
        column = (np.arange(self.size[0]) + 0.5 - self.size[0] / 2) / self.focal
        return z[:, None] * column, np.broadcast_to(z[:, None], (len(z), self.size[0]))

    def hits(self, height: Array, z: Array) -> Array:
        """For every pixel, the depth row that its ray meets first (the number of rows where it meets none)."""
        row = np.round((self.horizon - self.focal * (height - self.eye) / z) * 64) / 64
        seen = -np.minimum.accumulate(row, axis=0)
        pixel = -(np.arange(self.size[1]) + 0.5)
        return np.stack([np.searchsorted(seen[:, c], pixel) for c in range(self.size[0])], axis=1)


def octaves(texture: Array, x: Array, z: Array, cell: float, number_: int, gain: float = 0.5) -> Array:
    """Fractal sum of one texture read at finer and finer scales; cell is the largest lump in metres."""
    total = np.zeros(x.shape)
    for k in range(number_):
        scale = 64 / cell * 2**k
        total += gain**k * sample(texture, x * scale + 531 + 97 * k, z * scale + 213 + 61 * k)
    return total


def sunlight(height: Array, x: Array, z: Array, sun: tuple[float, float, float]) -> Array:
    """Lambert shading of the height field (x to the right, up, away)."""
    dx = np.maximum(x[:, 1:2] - x[:, 0:1], 1e-3)
    slope_x = np.gradient(height, axis=1) / dx
    slope_z = np.gradient(height, axis=0) / np.gradient(z[:, :1], axis=0)
    length = np.sqrt(slope_x**2 + slope_z**2 + 1)
    s = np.asarray(sun) / np.linalg.norm(sun)
    return np.clip((-slope_x * s[0] + s[1] - slope_z * s[2]) / length, 0, 1)


def flatness(height: Array, x: Array, z: Array) -> Array:
    """How level the ground is: 1 on a plain, 0 on a wall."""
    dx = np.maximum(x[:, 1:2] - x[:, 0:1], 1e-3)
    soft = ndimage.gaussian_filter(height, (2, 3))
    return 1 / np.sqrt(
        1 + (np.gradient(soft, axis=1) / dx) ** 2 + (np.gradient(soft, axis=0) / np.gradient(z[:, :1], axis=0)) ** 2
    )


def pick(values: Array, hit: Array) -> Array:
    """Values of the ray march at the pixels that hit something."""
    column = np.broadcast_to(np.arange(hit.shape[1]), hit.shape)
    return values[np.minimum(hit, len(values) - 1), column]


def hill_ground(texture: Array, x: Array, z: Array) -> tuple[Array, Array]:
    """Height of rolling hills and mountains, and where there is forest."""
    roll = 26 * octaves(texture, x, z, 420, 3) * smooth(20, 400, z)
    range_ = smooth(1500, 5200, z) * (
        640 + 480 * np.abs(octaves(texture, x + 900, z, 1900, 6, 0.52)) * -1 + 240 * smooth(-1500, 1800, x)
    )
    knoll = 74 * np.exp(-(((x + 190) / 170) ** 2 + ((z - 640) / 210) ** 2)) + 90 * np.exp(
        -(((x - 420) / 240) ** 2 + ((z - 1150) / 260) ** 2)
    )
    height = roll + knoll + np.clip(range_, 0, None)
    wood = octaves(texture, x + 300, z - 800, 300, 3) + 0.35 * smooth(500, 1500, z)
    forest = smooth(0.42, 0.55, wood) * smooth(380, 520, z)
    crown = np.abs(sample(texture, x * 6.5, z * 6.5)) + 0.4 * np.abs(sample(texture, x * 15, z * 15 + 50))
    return height + forest * (5 + 5 * np.clip(1.5 - crown, 0, 2)), forest


def hill_colour(texture: Array, x: Array, z: Array, height: Array, forest: Array) -> Array:
    """Meadow, stubble, ploughed strips, forest and rock."""
    patch = (
        np.floor((x + 0.5 * z + 40 * octaves(texture, x, z, 500, 2)) / 130) * 3
        + np.floor((z - 0.3 * x + 30 * octaves(texture, z, x, 400, 2)) / 170) * 7
    )
    kind = (np.sin(patch * 12.9898) * 43758.5453) % 1.0
    field = ramp(
        np.round(kind * 8) / 8,
        [(104, 128, 58), (132, 150, 70), (190, 176, 100), (92, 118, 56), (150, 160, 84), (146, 122, 84)],
    )
    near = octaves(texture, x, z, 5, 6, 0.85) * smooth(420, 40, z)
    blade = octaves(texture, x * 1.6, z * 0.5, 1.1, 4, 0.9) * smooth(260, 30, z)
    field = mix(field, (112, 138, 60), smooth(330, 120, z))
    field = field * (1 + 0.12 * octaves(texture, x, z, 60, 6, 0.6) + 0.10 * near + 0.13 * blade)[..., None]
    field = mix(field, (196, 190, 96), 0.30 * smooth(0.5, 2.2, near + 0.6 * blade))
    bloom = smooth(2.3, 2.6, octaves(texture, x * 3 + 77, z * 1.4, 1.6, 2, 0.8) + 0.5 * octaves(texture, x, z, 40, 2)) * smooth(
        240, 60, z
    )
    field = mix(field, (236, 226, 200), 0.8 * bloom)
    leaves = ramp(0.5 + 0.25 * octaves(texture, x, z, 12, 5, 0.7), [(26, 46, 24), (46, 72, 32), (74, 98, 44), (112, 120, 54)])
    rock = ramp(0.5 + 0.25 * octaves(texture, x, z, 300, 6, 0.65), [(86, 92, 92), (124, 124, 118), (160, 156, 146)])
    colour = mix(field, leaves, np.clip(forest * 1.3, 0, 1))
    return mix(colour, rock, smooth(190, 330, height))


def hill_light(texture: Array, x: Array, z: Array, sun: Array, shade: Array) -> Array:
    """Warm sunlight broken by the shadows of clouds, and cool light from the sky."""
    cloud = smooth(0.2, 1.2, octaves(texture, x + 5000, z, 900, 3)) * smooth(100, 500, z)
    warm = (sun * (1 - 0.6 * cloud))[..., None] * np.array((1.18, 1.1, 0.94))
    return warm + 0.62 * shade[..., None] * np.array((0.62, 0.74, 0.92))


def plant(site: Site, rng: np.random.Generator, cx: float, cy: float, r: float) -> None:
    """A tree in a meadow, with its shadow on the grass."""
    size = (site.solid.shape[1], site.solid.shape[0])
    foot = ring_points(0, 0, 1) * (1.5 * r, 0.26 * r) + (cx + 0.9 * r, cy + 1.45 * r)
    shadow = ndimage.gaussian_filter(blob(size, foot * SCALE), 0.22 * r)
    site.rgb *= 1 - 0.6 * shadow[..., None]
    tree(site, rng, cx, cy, r, OLIVE)


def draw_hills(rng: np.random.Generator) -> Picture:
    """Meadows and woods that roll away to hazy mountains under broken clouds."""
    full = (768 * SCALE, 544 * SCALE)
    view = View(full, 470, 44)
    texture = noise(rng, (1024, 1024), 64, 3)
    x, z = view.rays()
    height, forest = hill_ground(texture, x, z)
    hollow = np.clip(0.5 + 0.12 * (height - ndimage.uniform_filter(height, (9, 15))), 0.25, 1)
    hit = view.hits(height, z)
    sky = hit >= len(height)
    hx, hz, hh, hf = (pick(v, hit) for v in (x, z, height, forest))
    colour = hill_colour(texture, hx, hz, hh, hf)
    aside = np.abs(hx - 10 * np.sin(hz / 33) + 0.16 * hz - 9) + 0.3 * octaves(texture, hx, hz, 5, 3)
    colour = mix(colour, (186, 166, 130), 0.8 * smooth(2.3, 1.5, aside) * (hz < 420) * (1 - hf))
    sun = pick(sunlight(height, x, z, (-0.75, 0.55, -0.25)), hit)
    rgb = colour * hill_light(texture, hx, hz, sun, pick(hollow, hit))
    rgb = mix(rgb, (190, 208, 226), 0.93 * (1 - np.exp(-((hz / 3300) ** 1.1))))
    heaven = clouds(rng, full, 470, 0.0, (70, 122, 190), (206, 220, 230))
    site = Site(np.where(sky[..., None], heaven, rgb), ~sky, np.ones(sky.shape), np.ones(sky.shape))
    for cx, cy, r in xy("560,318,9 578,322,12 300,330,10 640,352,26 676,348,20 88,352,34 40,344,24 132,340,18"):
        plant(site, rng, cx, cy, r)
    return Picture(develop(rng, site.rgb), halve(~site.solid))


def coast_ground(texture: Array, x: Array, z: Array) -> Array:
    """Height of a bay: a near dune, a beach on the left, and headlands that run into the sea."""
    shore = -30 - 0.16 * z + 60 * np.sin(z / 190) + 22 * octaves(texture, x * 0, z, 200, 3)
    inland = shore - x
    land = np.where(inland > 0, 1.6 * (1 - np.exp(-inland / 30)) + 0.10 * np.clip(inland - 34, 0, None), inland * 0.05)
    head = np.zeros(x.shape)
    for cx, cz, wide, deep, high in (
        (-330, 900, 280, 150, 96),
        (-250, 1750, 520, 240, 150),
        (-150, 3300, 1050, 420, 240),
    ):
        rim = np.hypot((x - cx) / wide, (z - cz) / deep) + 0.24 * octaves(texture, x, z, 260, 4, 0.6)
        head = np.maximum(head, high * smooth(1.06, 0.84, rim) * (0.7 + 0.5 * smooth(0.9, 0.1, rim)))
    for cx, cz, r, high in ((30, 700, 22, 34), (78, 760, 15, 22), (150, 1500, 40, 46)):
        rim = np.hypot((x - cx) / r, (z - cz) / r) + 0.3 * octaves(texture, x, z, 30, 3, 0.6)
        head = np.maximum(head, high * smooth(1.1, 0.6, rim))
    rough = octaves(texture, x, z, 50, 5, 0.6) * np.clip(land + head - 2.4, 0, 30) * 0.11
    return np.maximum(land, -3) + head + rough


def coast_land(texture: Array, x: Array, z: Array, height: Array, flat: Array) -> Array:
    """Colours of sand, dune grass, turf and cliff."""
    sand = (
        np.array((214, 194, 156))
        * (
            1
            + 0.05 * octaves(texture, x, z, 8, 6, 0.75)
            + 0.05 * octaves(texture, x * 1.5, z * 0.6, 0.9, 3, 0.9) * smooth(200, 30, z)
        )[..., None]
    )
    sand = mix(sand, (150, 128, 98), smooth(0.75, 0.1, height))
    grass = ramp(
        0.5 + 0.22 * octaves(texture, x, z, 14, 6, 0.75), [(62, 76, 38), (98, 112, 52), (140, 142, 74), (190, 178, 112)]
    )
    strata = octaves(texture, x * 0.12, 4 * height + 0.05 * x, 60, 5, 0.75)
    cliff = ramp(0.5 + 0.24 * strata, [(74, 62, 54), (124, 102, 84), (170, 146, 118), (206, 188, 156)])
    colour = mix(sand, grass, smooth(1.9, 3.4, height + 0.5 * octaves(texture, x, z, 12, 4, 0.7)))
    return mix(colour, cliff, smooth(3, 7, height) * smooth(0.80, 0.55, flat + 0.06 * strata))


def coast_sea(texture: Array, view: View, x: Array, z: Array, height: Array, heaven: Array) -> Array:
    """Sea that mirrors the sky in its ripples, with green shallows and surf."""
    near = smooth(1600, 60, z)
    swell = octaves(texture, x * 0.25, z, 14, 5, 0.66)
    ripple = octaves(texture, x * 0.4, z, 2.2, 3, 0.7) * smooth(240, 20, z)
    row = np.clip(view.horizon * 0.72 - (26 + 60 * near) * np.abs(swell + ripple), 0, view.horizon - 1)
    mirror = sample_rows(heaven, row)
    deep = mix((18, 66, 96), (54, 148, 148), smooth(-3.0, -0.4, height) * smooth(2200, 300, z))
    glance = np.clip(0.34 + 0.20 * swell + 0.14 * ripple, 0.05, 0.85)
    sea = mix(deep, mirror, glance + 0.25 * smooth(400, 4000, z))
    lace = octaves(texture, x, z * 0.8, 16, 6, 0.75)
    lines = (
        2.0 * np.exp(-(((height + 0.07) / 0.07) ** 2))
        + 1.3 * np.exp(-(((height + 0.55 + 0.08 * swell) / 0.10) ** 2))
        + 1.1 * np.exp(-(((height + 1.3 + 0.15 * swell) / 0.12) ** 2))
    )
    surf = smooth(0.7, 1.9, 0.75 * lace + lines) * smooth(-2.6, -0.9, height)
    crest = smooth(1.75, 2.3, swell) * 0.5
    return mix(sea, (240, 244, 242), np.clip(0.85 * surf + crest, 0, 0.92))


def sample_rows(picture: Array, row: Array) -> Array:
    """Every pixel of a picture taken from the given row of its own column."""
    column = np.broadcast_to(np.arange(row.shape[1]), row.shape)
    return picture[np.clip(row.astype(int), 0, len(picture) - 1), column]


def draw_coast(rng: np.random.Generator) -> Picture:
    """A sandy bay with cliffs and sea stacks under a fresh sky."""
    size = (768, 512)
    full = (size[0] * SCALE, size[1] * SCALE)
    view = View(full, 452, 26, far=9000)
    texture = noise(rng, (1024, 1024), 64, 3)
    x, z = view.rays()
    ground = coast_ground(texture, x, z)
    height = np.maximum(ground, 0)
    light = sunlight(height, x, z, (0.7, 0.6, -0.45))
    hit = view.hits(height, z)
    rows = np.arange(full[1])[:, None]
    sky = (hit >= len(height)) & (rows < view.horizon)
    hx, hz, hh, hl, hf = (pick(v, hit) for v in (x, z, ground, light, flatness(height, x, z)))
    heaven = clouds(rng, full, 452, 0.45, (58, 118, 196), (214, 226, 232))
    land = coast_land(texture, hx, hz, hh, hf)
    land = land * (hl[..., None] * np.array((1.06, 1.0, 0.88)) + 0.36 * np.array((0.8, 0.92, 1.1)))
    rgb = np.where((hh > 0)[..., None], land, coast_sea(texture, view, hx, hz, hh, heaven))
    rgb = mix(rgb, (200, 216, 228), 0.88 * (1 - np.exp(-((hz / 4200) ** 1.15))))
    return Picture(develop(rng, np.where(sky[..., None], heaven, rgb)), halve(sky))


# ------------------------------------------------------------------------------------------ scenes: the town


@dataclass
class Site:
    """The town while it is built, at drawing scale: colours, what is solid, and shared textures."""

    rgb: Array
    solid: Array
    plaster: Array
    tiles: Array

    def fill(self, points: Array | Sequence, colour: Array | Colour, texture: Array | None = None, fade: float = 0.0) -> None:
        """Fill a polygon (final pixels) with a textured colour that darkens downwards by fade."""
        p = snap(points) * SCALE
        height, width = self.solid.shape
        x0, y0 = np.clip(np.floor(p.min(axis=0)).astype(int), 0, (width - 1, height - 1))
        x1, y1 = np.clip(np.ceil(p.max(axis=0)).astype(int) + 1, 1, (width, height))
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


def box(x: float, y: float, w: float, h: float) -> Array:
    """Corners of a rectangle from its upper left corner."""
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])


def window(
    site: Site, rng: np.random.Generator, x: float, y: float, w: float, h: float, frame: Colour, shutter: Array | None
) -> None:
    """A casement window with sill, panes that catch some sky, and perhaps shutters."""
    if shutter is not None:
        for side in (-0.62 * w, w * 1.05):
            site.fill(box(x + side, y, w * 0.55, h), shutter * rng.uniform(0.9, 1.1), site.plaster)
    site.fill(box(x - 0.8, y - 0.8, w + 1.6, h + 1.6), frame)
    glass = mix((38, 44, 52), (120, 140, 160), 0.7 * rng.random() ** 2)
    for i in range(2):
        for j in range(2):
            site.fill(
                box(x + i * w / 2 + 0.3, y + j * h / 2 + 0.3, w / 2 - 0.7, h / 2 - 0.7),
                glass * rng.uniform(0.8, 1.15),
                None,
                0.25,
            )
    site.fill(box(x - 0.4, y, w + 0.8, 0.8), np.asarray(frame) * 0.45)
    site.fill(box(x - 1.4, y + h + 0.6, w + 2.8, 1.1), np.asarray(frame) * 0.9)


def chimney(site: Site, x: float, y: float, h: float) -> None:
    """A brick chimney with a dark cap."""
    site.fill(box(x, y - h, 5, h + 3), (146, 92, 74), site.plaster, 0.2)
    site.fill(box(x + 3.2, y - h, 1.8, h + 3), (98, 62, 54), site.plaster)
    site.fill(box(x - 0.8, y - h - 1.2, 6.6, 1.6), (84, 74, 70))


WALLS = (
    *((232, 214, 176), (226, 190, 120), (214, 160, 120), (236, 230, 214), (196, 206, 196)),
    *((206, 176, 160), (222, 200, 140), (176, 190, 206), (210, 140, 100)),
)
ROOFS = ((168, 84, 56), (150, 72, 52), (182, 100, 66), (132, 78, 62))


def house(site: Site, rng: np.random.Generator, x: float, base: float, w: float, h: float, gabled: bool, haze: float) -> None:
    """One house front: gabled, or with its eaves to the river and dormers in the roof."""
    air = np.array((196, 208, 220))
    wall, tile = mix(tint(rng, WALLS, 6), air, haze), mix(tint(rng, ROOFS, 7), air, haze)
    rise = w * rng.uniform(0.52, 0.72) if gabled else h * rng.uniform(0.42, 0.6)
    (gable_front if gabled else eaves_front)(site, rng, box(x, base - h, w, h), rise, wall, tile)
    site.fill(box(x + w - 1.4, base - h + 2, 1.4, h - 2), wall * 0.62, site.plaster)
    floors(site, rng, x, base, w, h, rise if gabled else 0, mix((240, 236, 226), air, haze), wall)


def gable_front(site: Site, rng: np.random.Generator, front: Array, rise: float, wall: Array, tile: Array) -> None:
    """Wall and roof edges of a house that turns its gable to the river."""
    (x, eave), (right, base) = front[0], front[2]
    mid, peak = (x + right) / 2, eave - rise
    chimney(site, x + (right - x) * rng.uniform(0.6, 0.8), eave - 0.45 * rise, 0.3 * rise)
    site.fill([(x - 2.5, eave + 2), (mid, peak - 2.5), (right + 2.5, eave + 2)], tile * 0.8, site.tiles)
    outline = [(x, base), (x, eave), (mid, peak + 1.5), (right, eave), (right, base)]
    site.fill(outline, wall, site.plaster, 0.14)
    site.fill([(mid, peak - 2.5), (right + 2.5, eave + 2), (right, eave + 3), (mid, peak + 3)], tile * 0.5)
    site.fill([(mid, peak - 2.5), (x - 2.5, eave + 2), (x, eave + 3), (mid, peak + 3)], tile * 1.12, site.tiles)


def eaves_front(site: Site, rng: np.random.Generator, front: Array, rise: float, wall: Array, tile: Array) -> None:
    """Wall, roof and dormers of a house that turns its eaves to the river."""
    (x, eave), right = front[0], front[2][0]
    w, inset, ridge = right - x, rng.uniform(2, 7), eave - rise
    chimney(site, x + w * rng.uniform(0.2, 0.7), eave - 0.9 * rise, 0.35 * rise)
    site.fill(front, wall, site.plaster, 0.14)
    slope = [(x - 2, eave + 1.5), (x + inset, ridge), (right - inset, ridge), (right + 2, eave + 1.5)]
    site.fill(slope, tile, site.tiles, -0.16)
    site.fill(box(x, eave + 1.5, w, 2.4), wall * 0.5)
    for dx in np.arange(0.2, 0.75, 18 / w):
        dormer(site, rng, x + dx * w, eave - 0.28 * rise, wall, tile)


def dormer(site: Site, rng: np.random.Generator, x: float, y: float, wall: Array, tile: Array) -> None:
    """A small gabled window in a roof."""
    site.fill([(x - 1.6, y - 6), (x + 4.5, y - 11), (x + 10.6, y - 6)], tile * 0.72)
    site.fill([(x, y + 2), (x, y - 5.4), (x + 4.5, y - 9), (x + 9, y - 5.4), (x + 9, y + 2)], wall * 0.94, site.plaster)
    window(site, rng, x + 2.4, y - 4.4, 4.2, 5.2, (232, 228, 218), None)


def floors(
    site: Site,
    rng: np.random.Generator,
    x: float,
    base: float,
    w: float,
    h: float,
    rise: float,
    frame: Array,
    wall: Array,
) -> None:
    """Rows of windows on every floor, and smaller ones in the gable."""
    shutter = (
        mix(tint(rng, ((70, 96, 74), (110, 60, 50), (76, 90, 110), (130, 110, 80)), 6), wall, 0.15)
        if rng.random() < 0.6
        else None
    )
    storey = rng.uniform(19, 23)
    count = max(2, int(w / rng.uniform(14, 18)))
    pitch = w / count
    for k in range(int(h // storey)):
        top = base - h + 6 + k * storey
        if rng.random() < 0.3:
            site.fill(box(x, top - 4.4, w, 0.9), wall * 0.8)
        for j in range(count):
            ww = min(6.6, pitch * 0.42)
            window(site, rng, x + (j + 0.5) * pitch - ww / 2, top, ww, storey * 0.5, frame, shutter)
    for k in range(int(rise // 15)):
        y = base - h - 11 - 14 * k
        span = w * (1 - (base - h - y + 9) / rise) * 0.5
        for j in np.arange(-np.floor(span / 13), np.floor(span / 13) + 1):
            window(site, rng, x + w / 2 + j * 12.5 - 2.4, y, 4.8, 7.4, frame, None)


def tower(site: Site, rng: np.random.Generator, x: float, base: float, w: float, h: float) -> None:
    """A church tower of dressed stone with a belfry, a clock and a steep slate spire."""
    stone = np.array((202, 186, 156))
    site.fill(box(x, base - h, w, h), stone, site.plaster, 0.1)
    site.fill(box(x + 0.68 * w, base - h, 0.32 * w, h), stone * 0.68, site.plaster)
    for level in (0.0, 0.32, 0.62):
        site.fill(box(x - 1.4, base - h + level * h, w + 2.8, 2.2), stone * 1.08, site.plaster)
        site.fill(box(x, base - h + level * h + 2.2, w, 1.2), stone * 0.55)
    for dx in (0.16, 0.56):
        arch = np.vstack(
            [
                [(x + dx * w, base - 0.72 * h)],
                ring_points(x + (dx + 0.13) * w, base - 0.9 * h, 0.13 * w, np.pi, 2 * np.pi, 14),
                [(x + (dx + 0.26) * w, base - 0.72 * h)],
            ]
        )
        site.fill(arch, (52, 48, 50), site.plaster)
    site.fill(ring_points(x + w * 0.42, base - 0.53 * h, 0.2 * w), (236, 230, 214), site.plaster)
    site.fill(ring_points(x + w * 0.42, base - 0.53 * h, 0.15 * w), (60, 70, 92))
    peak = (x + w / 2, base - h - 2.5 * w)
    site.fill([(x - 3, base - h + 1), peak, (x + 0.62 * w, base - h + 1)], (112, 120, 126), site.tiles)
    site.fill([(x + 0.62 * w, base - h + 1), peak, (x + w + 3, base - h + 1)], (66, 72, 82), site.tiles)
    site.fill(box(x + w / 2 - 0.5, base - h - 2.5 * w - 9, 1, 10), (70, 66, 60))


def tree(site: Site, rng: np.random.Generator, cx: float, cy: float, r: float, leaf: Sequence[Colour]) -> None:
    """A leafy crown on a short trunk."""
    site.fill(
        curve([(cx - 0.07 * r, cy + 1.5 * r), (cx - 0.05 * r, cy), (cx + 0.05 * r, cy), (cx + 0.1 * r, cy + 1.5 * r)], 20),
        (74, 62, 50),
        site.plaster,
    )
    side = int(3.2 * r * SCALE)
    mask, light = foliage(rng, (side, side), (side / 2, side / 2), r * SCALE, 34)
    fine = noise(rng, (side, side), 9, 3)
    ragged = mask + 0.22 * fine > 0.55
    tone = ramp(np.clip(0.86 * light + 0.13 * fine + 0.1 * noise(rng, (side, side), 30, 2), 0, 1), leaf)
    x0, y0 = int(cx * SCALE) - side // 2, int(cy * SCALE) - side // 2
    height, width = site.solid.shape
    ax, ay, bx, by = max(x0, 0), max(y0, 0), min(x0 + side, width), min(y0 + side, height)
    cut = (slice(ay - y0, by - y0), slice(ax - x0, bx - x0))
    here = (slice(ay, by), slice(ax, bx))
    site.rgb[here][ragged[cut]] = tone[cut][ragged[cut]]
    site.solid[here] |= ragged[cut]


LEAVES = ((22, 34, 18), (40, 58, 26), (70, 92, 38), (112, 130, 56), (164, 172, 88))
OLIVE = ((20, 30, 16), (34, 52, 22), (58, 80, 32), (88, 108, 46), (128, 142, 72))
WILLOW = ((36, 48, 24), (66, 84, 36), (104, 124, 52), (146, 160, 76), (192, 196, 116))


def town_rows(site: Site, rng: np.random.Generator, size: Size) -> None:
    """Hillside, houses row upon row, the tower, and the fronts along the quay."""
    x = np.linspace(0, size[0], 60)
    far = 214 - 34 * np.sin(x / 210 + 0.4) + rng.normal(0, 1.2, 60)
    site.fill(np.vstack([np.stack([x, far], axis=-1), [(size[0], 400), (0, 400)]]), (126, 146, 140), site.plaster)
    for _ in range(60):
        cx = rng.uniform(0, size[0])
        hazy = [tuple(mix(c, (170, 190, 200), 0.5)) for c in LEAVES]
        tree(site, rng, cx, 210 - 34 * np.sin(cx / 210 + 0.4) + rng.uniform(4, 60), rng.uniform(10, 17), hazy)
    for base, haze, low, high in ((276, 0.34, 28, 40), (304, 0.2, 34, 52)):
        position = -20.0
        while position < size[0]:
            w = rng.uniform(34, 58)
            house(
                site,
                rng,
                position,
                base + rng.uniform(-6, 6) - 26 * np.exp(-(((position - 420) / 190) ** 2)),
                w,
                rng.uniform(low, high),
                rng.random() < 0.5,
                haze,
            )
            position += w * rng.uniform(0.7, 1.1)
        if haze > 0.3:
            tower(site, rng, 404, 292, 36, 128)
            for _ in range(12):
                tree(site, rng, rng.uniform(0, size[0]), rng.uniform(250, 270), rng.uniform(9, 15), LEAVES)
    position = -14.0
    while position < size[0]:
        w = rng.uniform(42, 68)
        house(site, rng, position, 384, w, rng.uniform(66, 98), rng.random() < 0.68, 0.04)
        position += w + rng.choice((0, 0, 3))


def town_quay(site: Site, rng: np.random.Generator, size: Size, stone: Array) -> None:
    """The quay wall with its coping, bushes and trees."""
    site.fill(box(-5, 382, size[0] + 10, 24), (150, 140, 122), stone, 0.3)
    site.fill(box(-5, 381, size[0] + 10, 2.6), (198, 188, 166), site.plaster)
    for _ in range(46):
        tree(site, rng, rng.uniform(0, size[0]), rng.uniform(382, 402), rng.uniform(4, 9), LEAVES)
    for cx, r in ((40, 42), (104, 30), (318, 22), (520, 30), (566, 38), (735, 44)):
        tree(site, rng, cx, 380 - 0.95 * r, r, WILLOW if r > 36 else LEAVES)


def river(rng: np.random.Generator, rgb: Array, line_: int) -> Array:
    """Water below the given row that mirrors what stands above it in moving ripples."""
    height, width = rgb.shape[:2]
    x, y = grid((width, height - line_))
    depth = y / (height - line_)
    # Rows of ripples come closer together towards the far bank.
    v = np.log1p(y / 26) * 210
    texture = noise(rng, (1024, 1024), 64, 4)
    wave = sample(texture, x / 7 + 40, v * 2.1) + 0.6 * sample(texture, x / 2.6 + 300, v * 4.7)
    row = line_ - 1 - y * 0.98 - wave * (3 + 34 * depth)
    column = x + 3 * sample(texture, x / 11, v * 2.4 + 500) * (0.5 + 4 * depth)
    soft = ndimage.gaussian_filter(rgb[:line_], (5, 1.2, 0))
    mirror = np.stack(
        [ndimage.map_coordinates(soft[..., c], [row, column], order=1, mode="nearest") for c in range(3)], axis=-1
    )
    own = mix((52, 70, 58), (66, 92, 96), depth)
    water = mix(mirror * 0.86, own, np.clip(0.22 + 0.10 * wave + 0.12 * depth, 0.05, 0.6))
    glint = smooth(1.5, 2.4, wave) * 0.3 * smooth(0.0, 0.25, depth)
    return mix(water, (214, 224, 230), glint)


def draw_town(rng: np.random.Generator) -> Picture:
    """A river front of gabled houses below a church tower, mirrored in the water."""
    size = (768, 576)
    full = (size[0] * SCALE, size[1] * SCALE)
    x, y = grid(full)
    plaster = (
        1
        + 0.045 * noise(rng, full, 60, 4)
        + 0.035 * noise(rng, full, 6, 3)
        - 0.03 * np.clip(noise(rng, full, (5, 60), 3), 0, 2)
    )
    course = np.floor(y / 5)
    tiles = (
        0.92
        + 0.16 * smooth(0, 4, y % 5)
        - 0.10 * (((x + 3 * course) % 6) < 1)
        + 0.08 * noise(rng, full, 5, 2)
        + 0.06 * noise(rng, full, 50, 3)
    )
    rows = np.floor(y / 11)
    stone = 0.9 + 0.12 * noise(rng, full, 24, 4) - 0.22 * ((y % 11) < 1.5) - 0.2 * (((x + 17 * rows) % 26) < 1.5)
    heaven = clouds(rng, full, 640, 0.3, (74, 128, 194), (212, 222, 230))
    site = Site(heaven.copy(), np.zeros(x.shape, dtype=bool), plaster, tiles)
    town_rows(site, rng, size)
    town_quay(site, rng, size, stone)
    line_ = 405 * SCALE
    site.rgb[line_:] = river(rng, site.rgb, line_)
    site.solid[line_:] = True
    warm = 1 + 0.07 * (1 - x / full[0]) * (y < line_)
    return Picture(develop(rng, site.rgb * warm[..., None] * np.array((1.02, 1.0, 0.97))), halve(~site.solid))


# ----------------------------------------------------------------------------------------------- the catalogue

PICTURES: dict[str, tuple[Callable[[np.random.Generator], Picture], int]] = {
    "style_swirls": (draw_swirls, 11),
    "style_fields": (draw_fields, 12),
    "style_dots": (draw_dots, 13),
    "style_impasto": (draw_impasto, 14),
    "style_arcs": (draw_arcs, 15),
    "style_glass": (draw_glass, 16),
    "style_wave": (draw_wave, 17),
    "style_hatching": (draw_hatching, 18),
    "style_mosaic": (draw_mosaic, 19),
    "style_cutpaper": (draw_cutpaper, 20),
    "content_town": (draw_town, 31),
    "content_hills": (draw_hills, 32),
    "content_coast": (draw_coast, 33),
}
MASKED = ("style_swirls", "style_dots")


def save(name: str, picture: Picture, folder: Path) -> None:
    """Write one picture, and its two masks where it has a sky."""
    picture.image.save(folder / f"{name}.jpg", quality=91, subsampling=0)
    if picture.sky is not None and (name in MASKED or name.startswith("content_")):
        sky = np.where(picture.sky, 255, 0).astype(np.uint8)
        short = name.split("_")[1]
        Image.fromarray(sky).save(folder / f"mask_{short}_sky.png", optimize=True)
        Image.fromarray(255 - sky).save(folder / f"mask_{short}_ground.png", optimize=True)


def main(arguments: list[str] | None = None) -> None:
    """Draw the named pictures, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to draw, such as style_swirls or swirls")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "data" / "pictures")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = [n for n in PICTURES if not options.names or n in options.names or n.split("_")[1] in options.names]
    for name in wanted:
        function, seed = PICTURES[name]
        start = time.perf_counter()
        picture = function(np.random.default_rng(seed))
        save(name, picture, options.out)
        width, height = picture.image.size
        size = (options.out / f"{name}.jpg").stat().st_size // 1024
        print(f"{name:16} {width} x {height}  {size:4d} KiB  {time.perf_counter() - start:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
