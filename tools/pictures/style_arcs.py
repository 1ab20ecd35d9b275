"""An abstract composition: washes, wedges, rainbows of arcs, whips and lines."""

import itertools
from collections.abc import Sequence

import numpy as np
from canvas import Picture, canvas, relief, weave
from maps import Array, Size, beside, edges, grid, heading, mix, noise, ramp, size_of, smooth, snap, tint, unit, xy
from PIL import Image
from shapes import blob, curve, facet, ring_points, sketch, turned
from strokes import Brush, dab, line, paint

BRIGHT = xy("""214,40,40 240,120,30 250,200,50 40,90,180 30,140,130 110,50,140 240,150,170 20,40,90 90,160,80 140,190,225
    160,70,40 245,232,200""")
FANS = (  # x, y, radius, first angle, sweep
    *((180, 150, 96, 0, 6.28), (560, 330, 130, 3.6, 2.6), (330, 420, 84, 0.4, 2.4)),
    *((640, 110, 66, 0, 6.28), (70, 420, 60, 4.4, 3.2), (440, 190, 44, 0, 6.28)),
)
CHECKS = (((590, 440), -0.3, 20), ((250, 20), 0.35, 17), ((30, 250), -0.7, 15), ((400, 320), 0.8, 14))  # corner, angle, pitch


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
    return turned(shape, angle) + (cx, cy), angle


def between(d: Array, inner: float, outer: float) -> Array:
    """Soft mask of a ring."""
    return smooth(inner - 1, inner + 1, d) * smooth(outer + 1, outer - 1, d)


def arcs_fan(rng: np.random.Generator, plan: Array, flow: Array, fan: Sequence[float]) -> tuple[Array, Array]:
    """A rainbow of ring segments."""
    cx, cy, r, start, sweep = fan
    radii = np.cumsum(rng.uniform(0.5, 1.3, 7))
    radii = radii / radii[-1] * r
    size = size_of(plan)
    x, y = grid(size)
    d, bearing = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx)
    a = (bearing - start) % (2 * np.pi)
    wobble = 1.5 * noise(rng, size, 40, 2)
    for inner, outer in zip(radii, radii[1:], strict=False):
        cuts = np.sort(rng.uniform(0, sweep, rng.integers(1, 6)))
        for low, high in zip([0, *cuts], [*cuts, sweep], strict=True):
            mask = between(d + wobble, inner, outer) * ((a > low) & (a < high))
            plan = mix(plan, tint(rng, BRIGHT), 0.92 * mask)
    ring = between(d, radii[0], radii[-1]) * (a < sweep)
    return plan, unit(mix(flow, heading(bearing + np.pi / 2), ring) + 1e-6)


def arcs_lines(image: Image.Image, rng: np.random.Generator, size: Size, outlines: Sequence[Array]) -> None:
    """Black outlines, sheaves of straight lines, whips and dots on top of the shapes."""
    for outline in outlines:
        part = outline[: max(4, int(len(outline) * rng.uniform(0.5, 1)))]
        line(image, rng, curve(part, 50) if len(part) > 6 else part, (24, 20, 30), rng.uniform(1.5, 4.5), 0.8)
    for _ in range(15):
        arcs_sheaf(image, rng, anywhere(rng, size))
    for _ in range(24):
        arcs_whip(image, rng, anywhere(rng, size))
    for _ in range(70):
        p, r = anywhere(rng, size), rng.uniform(2, 10)
        dab(image, rng, snap(p)[None], tint(rng, BRIGHT)[None], r, 0.9)
        if r > 5:
            line(image, rng, ring_points(*p, r + 1, rng.uniform(0, 6), rng.uniform(8, 11), 20), (24, 20, 30), 1.8, 0.6)


def anywhere(rng: np.random.Generator, size: Size) -> Array:
    """A point of the picture."""
    return np.array((rng.uniform(0, size[0]), rng.uniform(0, size[1])))


def arcs_sheaf(image: Image.Image, rng: np.random.Generator, start: Array) -> None:
    """A few straight lines side by side."""
    ahead = heading(rng.choice((0.5, 0.9, 2.2, 2.6)) + rng.normal(0, 0.15))
    colour = tint(rng, ((20, 18, 28), (20, 18, 28), (150, 30, 34), (250, 240, 220)))
    for k in range(rng.integers(1, 5)):
        reach, aside = ahead * rng.uniform(40, 190), beside(ahead) * k
        path = np.linspace(start + aside * 10 - reach, start + aside * 11 + reach, 9)
        line(image, rng, path, colour, rng.uniform(2, 5.5), 0.95)


def arcs_whip(image: Image.Image, rng: np.random.Generator, start: Array) -> None:
    """A wavy or coiling line."""
    t = np.linspace(0, 1, 60)
    colour = tint(rng, ((22, 20, 34), (250, 244, 226), (190, 30, 36), (30, 60, 130), (22, 20, 34)))
    if rng.random() < 0.6:
        angle, waves = rng.uniform(0, np.pi), rng.integers(2, 6)
        reach, high = rng.uniform(60, 190), rng.uniform(6, 18)
        run, swing = t * reach, high * np.sin(t * waves * 2 * np.pi) * (1 - 0.6 * t)
        path = start + np.stack([run * np.cos(angle) - swing * np.sin(angle), run * np.sin(angle) + swing * np.cos(angle)], -1)
    else:
        angle, radius = rng.uniform(0, 6) + t * rng.uniform(3, 11), rng.uniform(20, 70) * (1 - 0.85 * t)
        path = start + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    line(image, rng, path, colour, rng.uniform(2.0, 6.0), 0.9)


def arcs_checks(rng: np.random.Generator, plan: Array, corner: tuple[float, float], angle: float, pitch: float) -> Array:
    """A slanting chequered patch."""
    u, v = heading(angle) * pitch, beside(heading(angle + 0.4)) * pitch * 0.8
    colours = (tint(rng, BRIGHT), tint(rng, ((20, 18, 30), (250, 240, 220))))
    for i, j in itertools.product(range(6), range(4)):
        square = [np.array(corner) + (i + a) * u + (j + b) * v for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
        plan = sketch(plan, [(square, colours[(i + j) % 2] + rng.normal(0, 10, 3))])
    return plan


def draw(rng: np.random.Generator) -> Picture:
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
    for cx, cy, r, start, sweep in FANS:
        plan, flow = arcs_fan(rng, plan, flow, (cx, cy, r, start, sweep))
        outlines.append(ring_points(cx, cy, r * 1.03, start, start + sweep))
    for corner, angle, pitch in CHECKS:
        plan = arcs_checks(rng, plan, corner, angle, pitch)
    plan = plan + 16 * noise(rng, size, 46, 4)[..., None]
    image = canvas(size, (200, 190, 170))
    paint(image, rng, plan, flow, Brush(11, 40, 8, 10, 7, 9, taper=0.2), 2.8)
    paint(image, rng, plan, flow, Brush(6, 22, 6, 12, 8, 10, taper=0.2), 2.2, 0.35 + edges(plan, 2.5))
    paint(image, rng, plan, flow, Brush(3, 10, 4, 9, 6, 8, taper=0.2), 3.2, edges(plan, 1.5, 2.0))
    arcs_lines(image, rng, size, outlines)
    return Picture(relief(image, 1.3, 6 * weave(size), gloss=0.15))
