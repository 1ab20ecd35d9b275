"""A mosaic floor with four fish in a swelling sea, set stone by stone."""

from collections.abc import Sequence

import numpy as np
from canvas import Picture, canvas, relief
from maps import Array, Size, beside, borders, flat, grid, heading, laid, mix, noise, ramp, rim, smooth, snap, xy
from PIL import Image, ImageDraw
from scipy import ndimage
from shapes import blob, curve, ring_points
from skimage import measure
from strokes import scatter


def fish(cx: float, cy: float, s: float, turn: float) -> dict[str, Array]:
    """Outlines of a fish that swims along an arc: body, tail, fins, gill, eye."""
    gill, face = ring_points(0.38, 0.0, 0.33, -1.35, 1.35, 20), curve(xy("0.45,0.32 0.7,0.26 1,0.02 0.7,-0.28 0.45,-0.34"), 30)
    parts = {
        "tail": curve(xy("-0.8,0 -1.25,-0.42 -1.42,-0.4 -1.22,0.02 -1.42,0.44 -1.22,0.42 -0.8,0.06"), 50),
        "fin": curve(xy("-0.3,-0.3 -0.28,-0.72 0.1,-0.66 0.36,-0.34 0,-0.2"), 40),
        "belly": curve(xy("-0.1,0.3 -0.34,0.62 -0.06,0.58 0.22,0.3"), 40),
        "body": curve(xy("-0.9,0 -0.5,-0.26 0.1,-0.42 0.7,-0.28 1,0.02 0.7,0.26 0.1,0.38 -0.5,0.22 -0.9,0.05"), 90),
        "head": np.vstack([gill, face]),
        "eye": ring_points(0.74, -0.08, 0.085),
    }
    bent = {}
    for name, p in parts.items():
        a = turn + 0.55 * p[:, 0]
        mid = np.stack([(np.sin(a) - np.sin(turn)) / 0.55, -(np.cos(a) - np.cos(turn)) / 0.55], axis=-1)
        bent[name] = np.array((cx, cy)) + s * (mid + p[:, 1:] * beside(heading(a)))
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
    band = 0.5 + 0.34 * np.sin(swell / 17) + 0.12 * noise(rng, size, 60, 3)
    plan = ramp(band, [(14, 40, 90), (24, 84, 140), (40, 140, 170), (120, 200, 196), (236, 236, 214)])
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
            label, plan = laid(mask, (10 * k + j + 1, shade), (label, plan))
    gap, upright = rim(x, y, size)
    braid = np.where(np.sin(np.where(upright, y, x) / 13)[..., None] > 0, (190, 60, 40), (240, 206, 120))
    for low, high, code, colour in ((0, 9, 90, (60, 34, 36)), (9, 36, 91, braid), (36, 45, 92, (240, 228, 200))):
        label, plan = laid((gap >= low) & (gap < high), (code, colour), (label, plan))
    return label, plan, swell


def stones(rng: np.random.Generator, field: Array, pitch: float) -> list[tuple[float, float, float]]:
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
            (x, y), before, after = ([np.interp(at + off, s, path[:, axis]) for axis in (0, 1)] for off in (0, -1, 1))
            places += zip(x, y, np.arctan2(after[1] - before[1], after[0] - before[0]), strict=True)
    return places


def overlaps(taken: Image.Image, place: Array, reach: float, ahead: Array, across: Array) -> bool:
    """Whether the middle of a stone, or a point near one of its sides, is taken."""
    pixels = taken.load()
    probes = (place + reach * (a * ahead + b * across) for a, b in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)))
    return any(0 <= x < taken.width and 0 <= y < taken.height and pixels[int(x), int(y)] for x, y in probes)


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
    for x, y, angle in places:
        here = (min(max(int(x), 0), taken.width - 1), min(max(int(y), 0), taken.height - 1))
        ahead = heading(angle)
        across = beside(ahead)
        if overlaps(taken, np.array((x, y)), size * 0.3, ahead, across):
            continue
        half = size * 0.47 * rng.uniform(0.86, 1.04, (4, 2)) * ((-1, -1), (1, -1), (1, 1), (-1, 1))
        quad = snap(np.array((x, y)) + half[:, :1] * ahead + half[:, 1:] * across)
        tone = plan[here[1], here[0]] * rng.uniform(0.74, 1.22) + rng.normal(0, 9, 3)
        fill = tuple(np.clip(tone, 0, 255).astype(int).tolist())
        draw.polygon(flat(quad), fill=(*fill, int(rng.integers(150, 220))))
        room.polygon(quad.ravel().tolist(), fill=1)


def draw(rng: np.random.Generator) -> Picture:
    """A mosaic floor with four fish in a swelling sea, set stone by stone."""
    size, pitch = (736, 592), 7.0
    label, plan, swell = mosaic_scene(rng, size)
    border = borders(label)
    border[0], border[-1], border[:, 0], border[:, -1] = True, True, True, True
    d = ndimage.gaussian_filter(ndimage.distance_transform_edt(~border), 0.7)
    near = [p for p in stones(rng, d, pitch) if label[int(p[1]), int(p[0])] > 0 or d[int(p[1]), int(p[0])] < 3 * pitch]
    sea = stones(rng, swell - swell.min(), pitch)
    image, taken = canvas(size, (96, 90, 84)), Image.new("1", size, 0)
    set_stones(image, rng, plan, near, pitch, taken)
    set_stones(image, rng, plan, sea, pitch, taken)
    for small in (5.0, 3.6):
        gaps = scatter(rng, size, 26000)
        places = [(x, y, angle) for (x, y), angle in zip(gaps, rng.uniform(0, 3, len(gaps)), strict=True)]
        set_stones(image, rng, plan, places, small, taken)
    full = image.size
    rough = 9 * noise(rng, full, 12, 4) + 5 * noise(rng, full, 3, 2)
    lit = relief(image, 1.1, rough, 1.3, gloss=0.5)
    tone = np.asarray(lit, dtype=np.float64) * (1 + 0.05 * noise(rng, size, 220, 3) + 0.04 * noise(rng, size, 3, 2))[..., None]
    return Picture(Image.fromarray(np.clip(tone, 0, 255).astype(np.uint8)))
