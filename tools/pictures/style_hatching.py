"""A sepia etching of an abbey by a lake, in hatching, cross hatching and scribbles."""

import numpy as np
from canvas import Picture, shrink
from maps import SCALE, Array, Size, doubled, grid, heading, mix, noise, size_of, smooth, unit, xy
from PIL import Image
from scipy import ndimage
from shapes import blob, curve, foliage, ring_points
from strokes import Brush, paint


def hatch_tone(rng: np.random.Generator, size: Size) -> tuple[Array, Array]:
    """Darkness (0 to 1) of sky, mountains and lake, and the form lines to hatch along."""
    x, y = grid(size)
    cloud = noise(rng, size, (240, 110), 5)
    tone = 0.30 + 0.2 * cloud + 0.25 * smooth(160, 0, y)
    form = y + 14 * cloud
    for base, high, cell, dark in ((250, 90, 200, 0.30), (300, 56, 130, 0.42), (332, 30, 80, 0.6)):
        edge = np.broadcast_to((base - high * 0.5 * np.abs(noise(rng, (size[0], 8), (cell, 900), 5)))[3], x.shape)
        rock = noise(rng, size, (60, 90), 5)
        slope = np.gradient(ndimage.gaussian_filter(rock, 2), axis=1)
        light = np.clip(dark + 0.26 * slope * 12 + 0.1 * smooth(0, 60, y - edge), 0, 1)
        tone, form = np.where(y > edge, light, tone), np.where(y > edge, 0.8 * x + 0.6 * y + 9 * rock, form)
    lake = y > 352
    ripple = noise(rng, size, (120, 8), 4)
    mirror = np.clip(tone[np.clip((2 * 352 - y).astype(int), 0, size[1] - 1), x.astype(int)], 0, 1)
    return np.where(lake, 0.25 + 0.45 * mirror + 0.14 * ripple, tone), np.where(lake, y + 1.5 * ripple, form)


RUIN = """430,372 430,236 446,228 452,196 470,190 478,214 500,222 512,250 560,246 580,262 600,258 640,276 660,270
    668,150 676,118 690,140 704,126 716,156 720,374"""


def hatch_ruin(tone: Array, form: Array) -> tuple[Array, Array]:
    """A ruined abbey with arches on the far shore."""
    size = size_of(tone)
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
    size = size_of(tone)
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


def hatch_ink(rng: np.random.Generator, full: Size, *maps: Array) -> tuple[Array, Array]:
    """The engraved lines, 1 where there is ink, and the darkness, at drawing scale."""
    big = (Image.fromarray(m.astype(np.float32)).resize(full, Image.Resampling.BILINEAR) for m in maps)
    dark, phase, leaf = (np.asarray(m, dtype=np.float64) for m in big)
    x, y = (c / SCALE for c in grid(full))
    ink = hatch_lines(rng, full, phase, 3.3, np.clip(0.80 * dark - 0.05, 0, 0.6) * (1 - 0.35 * leaf))
    for angle, pitch, start in ((0.85, 3.6, 0.48), (2.3, 3.9, 0.64), (1.5, 4.2, 0.8)):
        ruled = x * np.cos(angle) + y * np.sin(angle) + 2.5 * noise(rng, full, 200, 2)
        ink = np.maximum(ink, hatch_lines(rng, full, ruled, pitch, np.clip((dark - start) * 1.4, 0, 0.5) * (1 - 0.5 * leaf)))
    return ink, dark


def hatch_plate(rng: np.random.Generator, full: Size, ink: Array, dark: Array) -> Image.Image:
    """The ink on toned paper."""
    paper = np.array((232, 214, 176)) + (7 * noise(rng, full, 200, 4) + 5 * noise(rng, full, 4, 3))[..., None]
    plate = mix(paper, (196, 164, 116), np.clip(0.25 * dark + 0.05 * noise(rng, full, 60, 4), 0, 1))
    rgb = mix(plate, (58, 34, 22), np.clip(ink * (0.9 + 0.12 * noise(rng, full, 5, 2)), 0, 1))
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).convert("RGBA")


def draw(rng: np.random.Generator) -> Picture:
    """A sepia etching of an abbey by a lake, in hatching, cross hatching and scribbles."""
    size = (768, 560)
    full = doubled(size)
    tone, form, leafy = hatch_shore(rng, *hatch_ruin(*hatch_tone(rng, size)))
    tone = np.maximum(tone, 0.2 + 0.04 * noise(rng, size, 90, 3))
    rims = smooth(0.07, 0.16, ndimage.gaussian_gradient_magnitude(tone, 1.2))
    image = hatch_plate(rng, full, *hatch_ink(rng, full, tone, form, leafy))
    sepia = np.full((size[1], size[0], 3), (52, 30, 20), dtype=np.float64)
    curl = heading(2.4 * noise(rng, size, 16, 2))
    paint(image, rng, sepia, curl, Brush(0.65, 9, 1, 10, 3, 4, steps=6), 1.1, leafy * np.clip(1.5 * tone - 0.6, 0, 1))
    paint(image, rng, sepia, curl, Brush(0.45, 6, 1, 10, 3, 4, steps=6), 0.5, leafy * np.clip(tone - 0.1, 0, 1))
    dy, dx = np.gradient(ndimage.gaussian_filter(tone, 1.2))
    contour = unit(np.stack([dy, -dx], axis=-1) + 1e-9)
    paint(image, rng, sepia, contour, Brush(0.55, 9, 1, 10, 3, 4), 0.8, rims * (1 - 0.7 * leafy))
    return Picture(shrink(np.asarray(image, dtype=np.float64)[..., :3]))
