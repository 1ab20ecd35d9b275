"""A windy night: thousands of thick strokes along eddies of blue round yellow lights."""

import numpy as np
from canvas import Picture, relief, underpainting, weave
from maps import Array, Size, along, edges, flat, grid, heading, mix, noise, ramp, smooth, tint, unit, xy
from PIL import Image, ImageDraw
from shapes import blob, box, curve, ring_points, sketch
from strokes import Brush, line, paint

STARS = (  # x, y, radius
    *((664, 92, 40), (70, 62, 15), (176, 132, 19), (262, 48, 14), (352, 92, 17), (446, 40, 13)),
    *((534, 132, 18), (205, 262, 22), (596, 226, 15), (700, 250, 14), (118, 214, 11), (486, 96, 10)),
)


def swirl_stream(rng: np.random.Generator, size: Size) -> Array:
    """Stream function of the night wind: long waves, two great eddies, and one ring per star."""
    x, y = grid(size)
    psi = 1.2 * y + 26 * np.sin(x / 95 + y / 160) + 22 * noise(rng, size, 170, 2)
    for cx, cy, r, turn in ((330, 205, 88, 3.0), (462, 268, 56, -2.6), (230, 330, 40, 1.4)):
        psi += turn * r * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * r * r))
    for cx, cy, r in STARS:
        psi += 6.5 * r * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (1.3 * r) ** 2))
    return psi


def swirl_sky(rng: np.random.Generator, size: Size, psi: Array) -> Array:
    """Colours of the sky: bands along the stream lines, and glowing rings."""
    x, y = grid(size)
    band = 0.5 + 0.3 * np.sin(psi / 6.5) + 0.3 * np.sin(psi / 15 + 1) + 0.14 * noise(rng, size, 60, 3)
    deep = ramp(band, [(14, 24, 74), (26, 48, 118), (38, 82, 160), (84, 134, 190), (168, 200, 208)])
    low = ramp(band, [(30, 70, 120), (80, 130, 160), (150, 180, 170), (200, 206, 158)])
    sky = mix(deep, low, 0.75 * smooth(250, 430, y))
    for cx, cy, r in STARS:
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
        draw.polygon(flat(points), fill=(*inner, 120))
        low, high = points.min(axis=0), points.max(axis=0)
        for _ in range(int(np.ptp(points[:, 1]) / 2)):
            y, inset = rng.uniform(low[1] + 1, high[1] - 1), 0.3 * (high[0] - low[0])
            start = (low[0] + inset * rng.uniform(0.4, 1), y)
            end = (high[0] - inset * rng.uniform(0.4, 1), y + rng.normal())
            line(image, rng, np.linspace(start, end, 4), colour + rng.normal(0, 22) + rng.normal(0, 9, 3), 2.2, 0.3)
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


def draw(rng: np.random.Generator) -> Picture:
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
    for cx, cy, r in STARS:
        line(image, rng, ring_points(cx, cy, 0.12 * r, 0, 7, 14), (255, 246, 196), 0.26 * r, 0.1)
    sky = above[..., 0] & (tree < 0.5)
    for points, _ in (part for shapes in village for part in shapes):
        sky &= blob(size, points) < 0.5
    return Picture(relief(image, 1.5, 5 * weave(size), gloss=0.25), sky)
