"""A pointillist river bank on a sunny afternoon: tens of thousands of dabs."""

import numpy as np
from canvas import Picture, canvas, relief, weave
from maps import Array, Colour, Size, edges, grid, heading, lookup, mix, noise, ramp, size_of, smooth, xy
from shapes import curve, foliage, sketch
from strokes import Brush, dab, paint, scatter

BOAT = (  # two sails, the hull, its mirror image in the water
    ("0,0 0.1,-1.2 0.62,-0.1", (250, 240, 216)),
    ("-0.05,0 0.04,-1 -0.4,-0.08", (236, 206, 170)),
    ("-0.5,0 0.7,0 0.5,0.14 -0.36,0.14", (120, 50, 44)),
    ("-0.3,0.2 0.5,0.2 0.1,0.9", (190, 200, 190)),
)
PEOPLE = (  # x, y, height, coat, parasol; far ones first
    (330, 330, 42, (70, 50, 90), (230, 150, 80)),
    (440, 334, 44, (150, 60, 70), (240, 220, 190)),
    (380, 398, 90, (40, 60, 110), (226, 110, 130)),
    (610, 400, 76, (240, 226, 210), (200, 70, 60)),
    (236, 420, 96, (190, 60, 60), (240, 176, 70)),
    (505, 452, 128, (206, 120, 60), (90, 60, 130)),
    (150, 462, 150, (60, 44, 96), (214, 60, 52)),
)


def promenader(x: float, y: float, s: float, coat: Colour, shade: Colour) -> list[tuple[Array, Colour]]:
    """A walker with a parasol, standing at (x, y), s pixels tall."""
    angle = np.linspace(np.pi, 2 * np.pi, 14)
    parts = (
        (xy("-0.1,0 0.2,0 1.1,0.14 0.9,0.17"), (34, 70, 66)),  # the shadow
        (xy("-0.14,0 -0.1,-0.45 -0.12,-0.72 0.1,-0.72 0.12,-0.45 0.24,-0.1 0.2,0"), coat),
        (xy("-0.07,-0.74 -0.08,-0.88 0,-0.94 0.08,-0.88 0.06,-0.74"), (196, 140, 110)),
        (xy("0.1,-0.6 0.13,-0.98 0.16,-0.98 0.13,-0.6"), (70, 50, 40)),
        (np.stack([0.12 + 0.36 * np.cos(angle), -0.98 + 0.3 * np.sin(angle)], axis=-1), shade),
    )
    return [(np.array((x, y)) + s * outline, colour) for outline, colour in parts]


def dots_plan(rng: np.random.Generator, size: Size) -> tuple[Array, Array]:
    """Colour plan of a sunny river bank, and its sky."""
    x, y = grid(size)
    sky = ramp(
        y / 170 + 0.05 * noise(rng, size, (200, 50), 4), [(120, 170, 216), (176, 206, 226), (240, 226, 196), (250, 214, 160)]
    )
    bank = 150 + 6 * np.sin(x / 60) - 16 * smooth(200, 0, x) + 6 * noise(rng, size, (40, 900), 3)
    bank = np.broadcast_to(bank[100], x.shape)
    plan = np.where((y < bank)[..., None], sky, ramp((y - bank) / 26, [(110, 140, 150), (86, 128, 100), (70, 110, 90)]))
    river = ramp(
        (y - 180) / 150 + 0.12 * noise(rng, size, (90, 9), 3), [(206, 210, 196), (120, 170, 206), (62, 118, 182), (40, 88, 160)]
    )
    plan = np.where((y > 176)[..., None], river, plan)
    shore = 300 - 0.24 * x + 16 * np.sin(x / 70) + 4 * noise(rng, size, (50, 50), 3)
    lawn = ramp(0.62 + 0.1 * noise(rng, size, (120, 30), 4), [(58, 104, 52), (104, 148, 66), (162, 182, 82), (216, 206, 116)])
    shadow = smooth(0.0, 0.5, np.sin(y / 27 + 0.006 * x + 0.6) + 0.5 * noise(rng, size, (160, 26), 3) - 0.2)
    lawn = mix(lawn, (30, 84, 72), 0.85 * shadow)
    plan = np.where((y > shore)[..., None], lawn, plan)
    for place, s in (((70, 236), 60), ((168, 206), 36), ((262, 214), 44), ((330, 194), 22)):
        plan = sketch(plan, [(xy(outline) * s + place, colour) for outline, colour in BOAT])
    return plan, y < bank


def dots_trees(rng: np.random.Generator, plan: Array, sky: Array) -> tuple[Array, Array]:
    """Add trunks, crowns and walkers to the river bank."""
    size = size_of(plan)
    for cx, foot, r in ((700, 356, 130), (560, 300, 92), (470, 262, 58), (640, 250, 80)):
        top = foot - 1.7 * r
        trunk = curve([(cx - 9, foot), (cx - 6, foot - r), (cx - 10, top), (cx + 5, top), (cx + 7, foot - r), (cx + 13, foot)])
        plan = sketch(plan, [(trunk, (86, 56, 62))])
        mask, light = foliage(rng, size, (cx, foot - 1.95 * r), r, 26)
        leaves = ramp(
            light + 0.08 * noise(rng, size, 14, 2), [(24, 50, 92), (28, 90, 74), (80, 146, 60), (186, 196, 70), (244, 224, 110)]
        )
        plan = mix(plan, leaves, mask)
        sky = sky & (mask < 0.5)
    return sketch(plan, [part for person in PEOPLE for part in promenader(*person)]), sky


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


def draw(rng: np.random.Generator) -> Picture:
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
