"""A cubist guitar: facets of ochre, brown and grey, shaded at their edges, in short dabs."""

from collections.abc import Sequence

import numpy as np
from canvas import Picture, relief, underpainting, weave
from maps import Array, Colour, Size, edges, grid, heading, lookup, mix, noise, ramp, size_of, smooth, tint, unit, xy
from PIL import Image
from scipy import ndimage
from shapes import blob, box, curve, facet, ring_points, sketch, turned
from strokes import Brush, line, paint

EARTH = xy("206,170,110 176,132,76 128,94,58 90,70,52 222,206,166 150,148,130 104,110,104 60,54,50 190,186,168 36,32,32")
LEFT = xy("300,330 236,344 206,400 236,456 212,510 196,580 236,640 300,652")
RIGHT = xy("318,318 380,330 410,384 384,440 420,490 440,566 404,636 318,664")
BOTTLE = xy("470,330 474,250 492,214 492,130 520,128 522,210 544,250 548,340")
GLASS = xy("92,250 176,240 160,340 142,350 144,400 172,412 104,420 128,402 126,352 108,344")
PARTS: tuple[tuple[Array, Colour, Colour, float], ...] = (  # outline, two colours, direction of the shading
    (np.vstack([curve(BOTTLE, 50), xy("548,520 470,512")]), (70, 84, 70), (150, 160, 130), 0.2),
    (xy("60,470 208,440 240,610 92,648"), (232, 222, 190), (196, 184, 150), 1.0),  # a sheet of music
    (curve(LEFT, 60), (150, 92, 46), (222, 172, 100), 0.1),
    (curve(RIGHT, 60), (226, 190, 124), (120, 76, 44), 0.3),
    (xy("292,372 330,366 368,96 338,90"), (60, 44, 36), (110, 84, 60), 0.1),  # neck and head of the guitar
    (xy("334,100 374,106 392,40 342,30"), (120, 84, 52), (60, 46, 40), 1.2),
    (GLASS, (200, 206, 190), (130, 140, 130), 0.4),
    (ring_points(312, 478, 42), (28, 24, 24), (74, 52, 38), 0.9),
    (ring_points(352, 500, 36, -1.2, 1.9), (186, 140, 80), (96, 70, 48), 0.9),
)


def cubist_quads(rng: np.random.Generator, size: Size, count: int) -> list[tuple[Array, float]]:
    """Facets from large to small that lean on one another round the middle axis."""
    quads = []
    for s in np.geomspace(340, 58, count):
        cx, cy = rng.normal(size[0] * 0.5, size[0] * (0.16 + 0.001 * s)), rng.uniform(-20, size[1] + 20)
        angle = rng.choice((-1.15, -0.75, 0.1, 0.7, 1.05, 1.5)) + rng.normal(0, 0.12)
        w, h = s * rng.uniform(0.35, 0.75), s * rng.uniform(0.6, 1.1)
        p = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2 + rng.normal(0, 0.10 * s, (4, 2))
        quads.append((turned(p, angle) + (cx, cy), angle))
    return quads


def cubist_facets(rng: np.random.Generator, still: Array, quads: Sequence[tuple[Array, float]]) -> Array:
    """Break a still life into facets: each shows it a little displaced, shaded across, with a shadow beside it."""
    size = size_of(still)
    x, y = grid(size)
    plan = still
    for quad, angle in quads:
        across = heading(angle)
        side = (x * across[0] + y * across[1] - quad.mean(axis=0) @ across) / np.ptp(quad @ across) * rng.choice((-1, 1)) + 0.5
        mask = blob(size, quad)
        shadow = np.roll(ndimage.gaussian_filter(mask, 5), rng.integers(-5, 8, 2).tolist(), (0, 1)) * (1 - mask)
        moved = np.roll(still, rng.integers(-34, 35, 2).tolist(), (0, 1))
        light = 0.46 + 0.85 * np.clip(side, 0, 1) + 0.22 * smooth(0.95, 1.0, side)
        shade = mix(moved, tint(rng, EARTH), rng.uniform(0.2, 0.6)) * light[..., None]
        plan = mix(plan * (1 - 0.4 * shadow[..., None]), shade, mask * np.clip(rng.uniform(0.7, 1.2) + 0.5 * side, 0, 0.97))
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
    for points, *_ in PARTS:
        cut = int(len(points) * rng.uniform(0.7, 1))
        line(image, rng, points[:cut] if len(points) > 8 else np.vstack([points, points[:1]]), (30, 24, 22), 2.6, 0.5)
    for k in range(6):
        string = np.linspace((296 + 6 * k, 620), (341 + 5 * k, 60), 12)
        line(image, rng, string, (238, 226, 190) if k % 2 else (30, 26, 26), 1.3, 0.2)
    for k in range(5):
        line(image, rng, np.linspace((76, 504 + 20 * k), (216, 476 + 20 * k), 8), (50, 42, 40), 1.3, 0.2)
        for x in rng.uniform(80, 210, 4):
            y = 504 + 20 * k - 0.2 * (x - 76) + rng.integers(0, 3) * 5
            line(image, rng, ring_points(x, y, 2.6, 0, 7, 12), (30, 24, 24), 3, 0.1)
            line(image, rng, np.linspace((x + 3, y), (x + 3, y - 16), 4), (30, 24, 24), 1.2, 0.2)
    for k in range(7):
        fret = np.linspace((297 + 6 * k, 350 - 38 * k), (332 + 5.4 * k, 345 - 38 * k), 4)
        line(image, rng, fret, (214, 190, 140), 1.6, 0.1)


def draw(rng: np.random.Generator) -> Picture:
    """A cubist guitar: facets of ochre, brown and grey, shaded at their edges, in short dabs."""
    size = (600, 768)
    plan = ramp(0.5 + 0.22 * noise(rng, size, 300, 4), [(70, 62, 54), (136, 116, 84), (186, 160, 112), (160, 154, 136)])
    flow = heading(0.2 * noise(rng, size, 200, 2))
    for points, first, second, angle in PARTS:
        plan, flow = facet(plan, flow, blob(size, points), np.array(first), np.array(second), angle)
    strings = (box(296 + 7 * k, 110, 2.4, 510) @ np.array([[1, 0], [-0.07, 1]]) + (38, 0) for k in range(5))
    still = sketch(plan, [(string, (232, 220, 186)) for string in strings])
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
