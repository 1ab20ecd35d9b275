"""A sandy bay with cliffs and sea stacks under a fresh sky."""

import numpy as np
from canvas import Picture, halve
from maps import Array, doubled, mix, noise, ramp, smooth
from scenes import clouds, develop
from terrain import View, flatness, octaves, pick, sunlight


def coast_ground(texture: Array, x: Array, z: Array) -> Array:
    """Height of a bay: a near dune, a beach on the left, and headlands that run into the sea."""
    shore = -30 - 0.16 * z + 60 * np.sin(z / 190) + 22 * octaves(texture, x * 0, z, 200, 3)
    inland = shore - x
    land = np.where(inland > 0, 1.6 * (1 - np.exp(-inland / 30)) + 0.10 * np.clip(inland - 34, 0, None), inland * 0.05)
    head = np.zeros(x.shape)
    for cx, cz, wide, deep, high in ((-330, 900, 280, 150, 96), (-250, 1750, 520, 240, 150), (-150, 3300, 1050, 420, 240)):
        rim = np.hypot((x - cx) / wide, (z - cz) / deep) + 0.24 * octaves(texture, x, z, 260, 4, 0.6)
        head = np.maximum(head, high * smooth(1.06, 0.84, rim) * (0.7 + 0.5 * smooth(0.9, 0.1, rim)))
    for cx, cz, r, high in ((30, 700, 22, 34), (78, 760, 15, 22), (150, 1500, 40, 46)):
        rim = np.hypot((x - cx) / r, (z - cz) / r) + 0.3 * octaves(texture, x, z, 30, 3, 0.6)
        head = np.maximum(head, high * smooth(1.1, 0.6, rim))
    rough = octaves(texture, x, z, 50, 5, 0.6) * np.clip(land + head - 2.4, 0, 30) * 0.11
    return np.maximum(land, -3) + head + rough


def coast_land(texture: Array, x: Array, z: Array, height: Array, flat: Array) -> Array:
    """Colours of sand, dune grass, turf and cliff."""
    grain = 1 + 0.05 * octaves(texture, x, z, 8, 6, 0.75)
    grain = grain + 0.05 * octaves(texture, x * 1.5, z * 0.6, 0.9, 3, 0.9) * smooth(200, 30, z)
    sand = mix(np.array((214, 194, 156)) * grain[..., None], (150, 128, 98), smooth(0.75, 0.1, height))
    tufts = 0.5 + 0.22 * octaves(texture, x, z, 14, 6, 0.75)
    grass = ramp(tufts, [(62, 76, 38), (98, 112, 52), (140, 142, 74), (190, 178, 112)])
    strata = octaves(texture, x * 0.12, 4 * height + 0.05 * x, 60, 5, 0.75)
    cliff = ramp(0.5 + 0.24 * strata, [(74, 62, 54), (124, 102, 84), (170, 146, 118), (206, 188, 156)])
    colour = mix(sand, grass, smooth(1.9, 3.4, height + 0.5 * octaves(texture, x, z, 12, 4, 0.7)))
    return mix(colour, cliff, smooth(3, 7, height) * smooth(0.80, 0.55, flat + 0.06 * strata))


def coast_sea(texture: Array, view: View, x: Array, z: Array, height: Array, heaven: Array) -> Array:
    """Sea that mirrors the sky in its ripples, with green shallows and surf."""
    near = smooth(1600, 60, z)
    swell = octaves(texture, x * 0.25, z, 14, 5, 0.66)
    ripple = octaves(texture, x * 0.4, z, 2.2, 3, 0.7) * smooth(240, 20, z)
    row = np.clip(view.horizon * 0.72 - (26 + 60 * near) * np.abs(swell + ripple), 0, view.horizon - 1)
    mirror = sample_rows(heaven, row)
    deep = mix((18, 66, 96), (54, 148, 148), smooth(-3.0, -0.4, height) * smooth(2200, 300, z))
    glance = np.clip(0.34 + 0.20 * swell + 0.14 * ripple, 0.05, 0.85)
    sea = mix(deep, mirror, glance + 0.25 * smooth(400, 4000, z))
    lace = octaves(texture, x, z * 0.8, 16, 6, 0.75)
    lines = (
        2.0 * np.exp(-(((height + 0.07) / 0.07) ** 2))
        + 1.3 * np.exp(-(((height + 0.55 + 0.08 * swell) / 0.10) ** 2))
        + 1.1 * np.exp(-(((height + 1.3 + 0.15 * swell) / 0.12) ** 2))
    )
    surf = smooth(0.7, 1.9, 0.75 * lace + lines) * smooth(-2.6, -0.9, height)
    crest = smooth(1.75, 2.3, swell) * 0.5
    return mix(sea, (240, 244, 242), np.clip(0.85 * surf + crest, 0, 0.92))


def sample_rows(picture: Array, row: Array) -> Array:
    """Every pixel of a picture taken from the given row of its own column."""
    column = np.broadcast_to(np.arange(row.shape[1]), row.shape)
    return picture[np.clip(row.astype(int), 0, len(picture) - 1), column]


def draw(rng: np.random.Generator) -> Picture:
    """A sandy bay with cliffs and sea stacks under a fresh sky."""
    size = (768, 512)
    full = doubled(size)
    view = View(full, 452, 26, far=9000)
    texture = noise(rng, (1024, 1024), 64, 3)
    x, z = view.rays()
    ground = coast_ground(texture, x, z)
    height = np.maximum(ground, 0)
    light = sunlight(height, x, z, (0.7, 0.6, -0.45))
    hit = view.hits(height, z)
    rows = np.arange(full[1])[:, None]
    sky = (hit >= len(height)) & (rows < view.horizon)
    hx, hz, hh, hl, hf = (pick(v, hit) for v in (x, z, ground, light, flatness(height, x, z)))
    heaven = clouds(rng, full, 452, 0.45, (58, 118, 196), (214, 226, 232))
    land = coast_land(texture, hx, hz, hh, hf)
    land = land * (hl[..., None] * np.array((1.06, 1.0, 0.88)) + 0.36 * np.array((0.8, 0.92, 1.1)))
    rgb = np.where((hh > 0)[..., None], land, coast_sea(texture, view, hx, hz, hh, heaven))
    rgb = mix(rgb, (200, 216, 228), 0.88 * (1 - np.exp(-((hz / 4200) ** 1.15))))
    return Picture(develop(rng, np.where(sky[..., None], heaven, rgb)), halve(sky))
