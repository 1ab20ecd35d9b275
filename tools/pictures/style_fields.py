"""A wheat field under a stormy sky: ochre, green and cobalt."""

import numpy as np
from canvas import Picture, relief, underpainting, weave
from maps import SCALE, Array, Size, along, flat, grid, heading, mix, noise, ramp, smooth, snap, unit, xy
from PIL import ImageDraw
from strokes import Brush, paint


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
    return xy("-1,-0.25 -0.5,-0.5 0,-0.05 0.45,-0.55 1,-0.3 0.45,-0.25 0.1,0.22 -0.08,0.2 -0.5,-0.22") * s + (x, y)


def draw(rng: np.random.Generator) -> Picture:
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
        dark.line(snap(shape[:5] * SCALE).ravel().tolist(), fill=(20, 22, 34, 190), width=7)
        dark.polygon(flat(shape), fill=(24, 24, 38, 170))
    return Picture(relief(image, 1.5, 5 * weave(size), gloss=0.25))
