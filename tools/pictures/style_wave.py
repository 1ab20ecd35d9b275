"""A woodblock print of a great wave with claws of foam before a far mountain."""

import numpy as np
from canvas import Picture, enlarged, shrink
from maps import SCALE, Array, Size, beside, flat, grid, heading, mix, noise, ramp, smooth, unit, xy
from PIL import Image, ImageDraw
from scipy import ndimage
from shapes import blob, curve, sketch, turned
from strokes import scatter, trace

INK, MID, PALE, FOAM, PAPER = (24, 44, 84), (60, 104, 146), (150, 184, 196), (240, 232, 208), (222, 204, 164)
CREST = xy("0,262 60,214 110,150 160,92 226,50 300,40 362,66 402,116 412,168")
FACE = xy("""412,168 384,140 346,138 304,168 276,220 268,284 288,346 340,398 420,424 500,416 566,380 620,336 668,318 716,340
    768,384""")
BACK = xy("430,400 520,372 610,392 690,356 768,300")
FRONT = xy("0,470 90,440 170,452 260,488 380,500 520,470 620,478 768,440")
PEAK = xy("452,396 520,330 560,296 574,290 590,295 634,334 720,400")
SNOW = xy("532,318 560,296 574,290 590,295 614,317 602,314 596,326 584,312 572,330 562,314 548,326")


def claw(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, root: Array, angle: float, size: float, bend: float, depth: int = 2
) -> None:
    """A hooked finger of foam with smaller fingers on it."""
    t = np.linspace(0, 1, 9)
    a = angle + bend * t**1.4 * 1.9
    spine = root + np.cumsum(heading(a), axis=0) * size / 9
    half = (0.21 * size * (1 - t) ** 0.8 + 0.4)[:, None]
    for grow, fill in ((1.0, (*INK, 120)), (0.0, (*FOAM, 150))):
        aside = beside(heading(a)) * (half + grow)
        draw.polygon(flat(np.vstack([spine + aside, (spine - aside)[::-1]])), fill=fill)
    for k in (2, 4, 6, 7) if depth else ():
        way = a[k] + rng.choice((-1, 1)) * rng.uniform(0.5, 1.1)
        claw(draw, rng, spine[k], way, size * rng.uniform(0.4, 0.55), bend * rng.uniform(0.7, 1.3), depth - 1)


def wave_foam(image: Image.Image, rng: np.random.Generator, edge: Array, inward: float, size: float, bend: float) -> None:
    """Foam along an edge: round lumps with a contour, and claws that reach over it."""
    draw = ImageDraw.Draw(image)
    normal = beside(unit(np.gradient(edge, axis=0))) * inward
    for k in rng.permutation(len(edge)):
        p = edge[k] + normal[k] * rng.uniform(0.0, size * 0.7) + rng.normal(0, 2, 2)
        r = rng.uniform(0.1, 0.3) * size
        for grow, fill in ((1.0, (*INK, 110)), (0, (*FOAM, 140))):
            draw.ellipse(flat([*(p - r - grow), *(p + r + grow)]), fill=fill)
    for k in range(0, len(edge), 4):
        out = np.arctan2(-normal[k, 1], -normal[k, 0])
        claw(draw, rng, edge[k] + normal[k] * size * 0.3, out + rng.uniform(-0.3, 0.5), size * rng.uniform(1.0, 1.9), bend)


def wave_water(rng: np.random.Generator, size: Size, face: Array, stripe: float) -> Array:
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
    return mix(bands, INK, key)


def below(size: Size, edge: Array) -> Array:
    """Mask of everything below an edge."""
    return blob(size, np.vstack([edge, [(768, 540), (0, 540)]]))


def wave_sky(rng: np.random.Generator, size: Size) -> Array:
    """Graded sky with banks of cloud, and a far mountain."""
    x, y = grid(size)
    sky = ramp(y / 400, [(196, 168, 120), (230, 212, 170), (236, 222, 186), (216, 196, 160), (150, 150, 140), (96, 110, 124)])
    for base, tone in ((112, (244, 232, 204)), (196, (206, 180, 140)), (262, (238, 220, 184)), (306, (176, 160, 134))):
        top = base + 20 * np.sin(x / 110 + base) + 12 * np.abs(np.sin(x / 37 + base)) + 6 * noise(rng, size, (70, 900), 2)
        body = smooth(-1, 1, y - top) * smooth(40, 26, y - top) * smooth(-0.4, 0.2, np.sin(x / 150 + base * 1.7))
        sky = mix(sky, tone, body)
        sky = mix(sky, (120, 96, 80), 0.8 * body * smooth(2.2, 1.0, np.abs(y - top - 1.5)))
    return sketch(sky, [(PEAK, (70, 90, 116)), (SNOW, FOAM)])


def wave_boat(image: Image.Image, x: float, y: float, s: float, tilt: float) -> None:
    """A slim rowing boat with a bent row of rowers."""
    t = np.linspace(-1, 1, 15)
    upper, lower = np.stack([t, -0.22 * t**2], axis=-1), np.stack([t * 0.96, 0.13 - 0.32 * t**2], axis=-1)
    hull = turned(np.vstack([upper, lower[::-1]]), tilt) * s + (x, y)
    draw = ImageDraw.Draw(image)
    draw.polygon(flat(hull), fill=(196, 156, 96, 130), outline=(*INK, 110), width=3)
    for k in np.linspace(-0.5, 0.4, 7):
        px, py = turned(np.array((k, -0.07)), tilt) * s + (x, y)
        r = 0.055 * s
        draw.ellipse(flat([px - r, py - 1.2 * r, px + r, py + r]), fill=(*MID, 120), outline=(*INK, 110), width=2)


def wave_print(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Pull the print: wood grain, mottled ink and paper fibres."""
    full = image.size
    x, y = grid(full)
    rings = noise(rng, full, (900, 60), 4)
    wood = np.sin(y / 3.1 + 11 * rings) * 0.5 + 0.5 * np.sin(y / 7.3 + 19 * rings)
    rgb = np.asarray(image, dtype=np.float64)[..., :3]
    dark = 1 - rgb.mean(axis=-1) / 255
    mottle = 0.06 * wood * (0.5 + dark) + 0.05 * noise(rng, full, 5, 3) * (0.3 + dark) + 0.03 * noise(rng, full, 160, 4)
    bare = np.clip(noise(rng, full, 4, 2) * 0.5 + noise(rng, full, (70, 20), 3) - 1.75, 0, 1) * 0.6
    rgb = mix(rgb * (1 + mottle[..., None]), PAPER, bare)
    pulled = Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).convert("RGBA")
    wave_fibres(rng, pulled)
    return shrink(np.asarray(pulled, dtype=np.float64)[..., :3])


def wave_fibres(rng: np.random.Generator, image: Image.Image) -> None:
    """Fibres of the paper, a little lighter or darker than what is under them."""
    size = (image.width // SCALE, image.height // SCALE)
    fibres = scatter(rng, size, 2600)
    paths = trace(fibres, heading(1.5 * noise(rng, size, 30, 2)), rng.uniform(6, 26, len(fibres)), 5)
    draw, under = ImageDraw.Draw(image), np.array(image)
    for path in paths:
        px, py = np.clip(path[2] * SCALE, 0, np.array(image.size) - 1).astype(int)
        tone = np.clip(under[py, px, :3].astype(int) + rng.integers(-16, 26), 0, 255)
        draw.line(flat(path), fill=(*tone.tolist(), 255), width=1)


def draw(rng: np.random.Generator) -> Picture:
    """A woodblock print of a great wave with claws of foam before a far mountain."""
    size = (768, 532)
    crest, face, back, front = curve(CREST, 70), curve(FACE, 140), curve(BACK, 60), curve(FRONT, 110)
    plan = wave_sky(rng, size)
    for edge, run, stripe in ((back, back, 17), (np.vstack([crest, face]), face, 27)):
        plan = mix(plan, wave_water(rng, size, run, stripe), below(size, edge))
    colour = enlarged(plan).convert("RGBA")
    for edge, pen in ((back, 2), (crest, 4), (face, 4)):
        ImageDraw.Draw(colour).line(flat(edge), fill=(*INK, 120), width=pen, joint="curve")
    wave_foam(colour, rng, back[::2], 1, 11, 0.8)
    wave_boat(colour, 470, 430, 74, 0.25)
    wave_boat(colour, 690, 408, 62, -0.3)
    colour.paste(enlarged(wave_water(rng, size, front, 19)), (0, 0), enlarged(below(size, front) * 255))
    wave_foam(colour, rng, front[::2], 1, 15, -0.9)
    wave_foam(colour, rng, crest[12:], 1, 25, 0.9)
    wave_foam(colour, rng, face[4:34:2], -1, 18, 0.8)
    draw = ImageDraw.Draw(colour)
    for _ in range(420):
        p, r = rng.normal((400, 190), (110, 90)), rng.uniform(0.8, 3.0)
        draw.ellipse(flat([*(p - r), *(p + r)]), fill=(*FOAM, 140), outline=(*MID, 120))
    return Picture(wave_print(rng, colour))
