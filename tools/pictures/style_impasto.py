"""A palette-knife sunset over the sea with thick, lit relief."""

from dataclasses import replace

import numpy as np
from canvas import Picture, relief, underpainting, weave
from maps import Array, Size, edges, grid, heading, mix, noise, ramp, smooth
from shapes import curve, sketch
from strokes import Brush, paint


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


def draw(rng: np.random.Generator) -> Picture:
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
    small = replace(knife, width=10, length=28, bristles=8, value=20, chroma=12)
    paint(image, rng, plan, cross, small, 1.5, 0.3 + 0.7 * edges(plan, 3))
    paint(image, rng, plan, flow, replace(knife, width=5, length=16, bristles=5, value=22, chroma=12), 1.2, edges(plan, 2))
    return Picture(relief(image, 2.6, 4 * weave(size), 1.0, gloss=0.5))
