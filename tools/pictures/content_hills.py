"""Meadows and woods that roll away to hazy mountains under broken clouds."""

import numpy as np
from canvas import Picture, halve
from maps import SCALE, Array, mix, noise, ramp, sample, size_of, smooth, xy
from scenes import OLIVE, Site, clouds, develop, tree
from scipy import ndimage
from shapes import blob, ring_points
from terrain import View, octaves, pick, sunlight

FIELDS = ((104, 128, 58), (132, 150, 70), (190, 176, 100), (92, 118, 56), (150, 160, 84), (146, 122, 84))


def hill_ground(texture: Array, x: Array, z: Array) -> tuple[Array, Array]:
    """Height of rolling hills and mountains, and where there is forest."""
    roll = 26 * octaves(texture, x, z, 420, 3) * smooth(20, 400, z)
    ridges = 640 - 480 * np.abs(octaves(texture, x + 900, z, 1900, 6, 0.52)) + 240 * smooth(-1500, 1800, x)
    knoll = 74 * np.exp(-(((x + 190) / 170) ** 2 + ((z - 640) / 210) ** 2))
    knoll = knoll + 90 * np.exp(-(((x - 420) / 240) ** 2 + ((z - 1150) / 260) ** 2))
    height = roll + knoll + np.clip(smooth(1500, 5200, z) * ridges, 0, None)
    wood = octaves(texture, x + 300, z - 800, 300, 3) + 0.35 * smooth(500, 1500, z)
    forest = smooth(0.42, 0.55, wood) * smooth(380, 520, z)
    crown = np.abs(sample(texture, x * 6.5, z * 6.5)) + 0.4 * np.abs(sample(texture, x * 15, z * 15 + 50))
    return height + forest * (5 + 5 * np.clip(1.5 - crown, 0, 2)), forest


def hill_colour(texture: Array, x: Array, z: Array, height: Array, forest: Array) -> Array:
    """Meadow, stubble, ploughed strips, forest and rock."""
    patch = np.floor((x + 0.5 * z + 40 * octaves(texture, x, z, 500, 2)) / 130) * 3
    patch = patch + np.floor((z - 0.3 * x + 30 * octaves(texture, z, x, 400, 2)) / 170) * 7
    kind = (np.sin(patch * 12.9898) * 43758.5453) % 1.0
    field = ramp(np.round(kind * 8) / 8, FIELDS)
    near = octaves(texture, x, z, 5, 6, 0.85) * smooth(420, 40, z)
    blade = octaves(texture, x * 1.6, z * 0.5, 1.1, 4, 0.9) * smooth(260, 30, z)
    field = mix(field, (112, 138, 60), smooth(330, 120, z))
    field = field * (1 + 0.12 * octaves(texture, x, z, 60, 6, 0.6) + 0.10 * near + 0.13 * blade)[..., None]
    field = mix(field, (196, 190, 96), 0.30 * smooth(0.5, 2.2, near + 0.6 * blade))
    bloom = octaves(texture, x * 3 + 77, z * 1.4, 1.6, 2, 0.8) + 0.5 * octaves(texture, x, z, 40, 2)
    field = mix(field, (236, 226, 200), 0.8 * (smooth(2.3, 2.6, bloom) * smooth(240, 60, z)))
    leaves = ramp(0.5 + 0.25 * octaves(texture, x, z, 12, 5, 0.7), [(26, 46, 24), (46, 72, 32), (74, 98, 44), (112, 120, 54)])
    rock = ramp(0.5 + 0.25 * octaves(texture, x, z, 300, 6, 0.65), [(86, 92, 92), (124, 124, 118), (160, 156, 146)])
    colour = mix(field, leaves, np.clip(forest * 1.3, 0, 1))
    return mix(colour, rock, smooth(190, 330, height))


def hill_light(texture: Array, x: Array, z: Array, sun: Array, shade: Array) -> Array:
    """Warm sunlight broken by the shadows of clouds, and cool light from the sky."""
    cloud = smooth(0.2, 1.2, octaves(texture, x + 5000, z, 900, 3)) * smooth(100, 500, z)
    warm = (sun * (1 - 0.6 * cloud))[..., None] * np.array((1.18, 1.1, 0.94))
    return warm + 0.62 * shade[..., None] * np.array((0.62, 0.74, 0.92))


def plant(site: Site, rng: np.random.Generator, cx: float, cy: float, r: float) -> None:
    """A tree in a meadow, with its shadow on the grass."""
    size = size_of(site.solid)
    foot = ring_points(0, 0, 1) * (1.5 * r, 0.26 * r) + (cx + 0.9 * r, cy + 1.45 * r)
    shadow = ndimage.gaussian_filter(blob(size, foot * SCALE), 0.22 * r)
    site.rgb *= 1 - 0.6 * shadow[..., None]
    tree(site, rng, cx, cy, r, OLIVE)


def draw(rng: np.random.Generator) -> Picture:
    """Meadows and woods that roll away to hazy mountains under broken clouds."""
    full = (768 * SCALE, 544 * SCALE)
    view = View(full, 470, 44)
    texture = noise(rng, (1024, 1024), 64, 3)
    x, z = view.rays()
    height, forest = hill_ground(texture, x, z)
    hollow = np.clip(0.5 + 0.12 * (height - ndimage.uniform_filter(height, (9, 15))), 0.25, 1)
    hit = view.hits(height, z)
    sky = hit >= len(height)
    hx, hz, hh, hf = (pick(v, hit) for v in (x, z, height, forest))
    colour = hill_colour(texture, hx, hz, hh, hf)
    aside = np.abs(hx - 10 * np.sin(hz / 33) + 0.16 * hz - 9) + 0.3 * octaves(texture, hx, hz, 5, 3)
    colour = mix(colour, (186, 166, 130), 0.8 * smooth(2.3, 1.5, aside) * (hz < 420) * (1 - hf))
    sun = pick(sunlight(height, x, z, (-0.75, 0.55, -0.25)), hit)
    rgb = colour * hill_light(texture, hx, hz, sun, pick(hollow, hit))
    rgb = mix(rgb, (190, 208, 226), 0.93 * (1 - np.exp(-((hz / 3300) ** 1.1))))
    heaven = clouds(rng, full, 470, 0.0, (70, 122, 190), (206, 220, 230))
    site = Site(np.where(sky[..., None], heaven, rgb), ~sky, np.ones(sky.shape), np.ones(sky.shape))
    for cx, cy, r in xy("560,318,9 578,322,12 300,330,10 640,352,26 676,348,20 88,352,34 40,344,24 132,340,18"):
        plant(site, rng, cx, cy, r)
    return Picture(develop(rng, site.rgb), halve(~site.solid))
