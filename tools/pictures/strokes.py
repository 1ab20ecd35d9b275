"""Brush strokes and dabs: where they lie, along what they run, how they are laid down."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from maps import SCALE, Array, Colour, Size, beside, lookup, size_of, snap, unit
from PIL import Image, ImageDraw

STOP = 110.0  # a stroke ends where the plan differs this much (sum over the channels) from its colour


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
    offset = np.linspace(-0.5, 0.5, brush.bristles) if brush.bristles > 1 else np.zeros(1)
    offset = offset + rng.normal(0, 0.05, (len(paths), brush.bristles))
    s = np.linspace(0, 1, paths.shape[1])
    profile = 1 - brush.taper * np.abs(2 * s - 1) ** 2.5
    shift = offset[:, :, None] * width[:, None, None] * profile
    lines = paths[:, None] + shift[..., None] * beside(tangent)[:, None]
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
    size = size_of(plan)
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
