"""A stained glass window: a sun over hills, a river and irises."""

import numpy as np
from canvas import Picture, shrink
from maps import SCALE, Array, Size, borders, doubled, grid, laid, mix, noise, ramp, rim, smooth, snap, xy
from scipy import ndimage
from scipy.spatial import cKDTree

SKY = xy("255,244,180 255,206,60 250,140,30 220,60,40 170,36,80 96,40,140 44,50,160 30,80,190 40,120,200")
ROWS = (  # base, swell, wave, phase, two shades, width of a piece
    (430, 40, 150, 0.4, ((40, 60, 130), (60, 90, 160)), 60),
    (478, 34, 110, 2.2, ((30, 110, 110), (24, 140, 120)), 52),
    (528, 26, 130, 4.0, ((60, 150, 70), (120, 180, 60)), 46),
    (580, 16, 90, 1.0, ((20, 90, 170), (60, 160, 220)), 40),
    (622, 10, 60, 3.0, ((30, 70, 160), (110, 190, 230)), 46),
    (664, 18, 120, 5.0, ((40, 120, 50), (150, 190, 50)), 36),
    (712, 12, 80, 2.0, ((24, 84, 60), (90, 150, 40)), 40),
)
IRISES = ((220, 640, 34), (330, 690, 40), (440, 646, 36), (500, 706, 30), (60, 700, 32))

Pieces = tuple[Array, Array]  # number and colour of the piece of glass at every pixel


def number(*parts: Array | int) -> Array:
    """One piece number per distinct combination of the parts."""
    code = np.int64(0)
    for part in parts:
        code = code * 997 + np.asarray(part).astype(np.int64) % 997
    return code


def nearest(points: Array, x: Array, y: Array, stretch: float = 1.0) -> Array:
    """Index of the nearest point for every pixel."""
    seeds = points * (1, stretch)
    return cKDTree(snap(seeds)).query(np.stack([x, y * stretch], axis=-1).reshape(-1, 2))[1].reshape(x.shape)


def glass_sky(rng: np.random.Generator, x: Array, y: Array) -> Pieces:
    """Rays round a sun."""
    d, a = np.hypot(x - 300, y - 236), np.arctan2(y - 236, x - 300) + np.pi
    sector = np.floor(a / (2 * np.pi) * 20)
    cut = np.cumsum(rng.uniform(0.6, 1.4, (20, 9)), axis=1) * 62 + 62
    ring = (d[..., None] > cut[sector.astype(int) % 20]).sum(axis=-1) + 1
    core = np.floor(a / (2 * np.pi) * 10 + 0.5) % 10
    ring, sector = np.where(d < 62, 0, ring), np.where(d < 62, core, sector)
    ring, sector = np.where(d < 26, 90, ring), np.where(d < 26, 0, sector)
    return number(0, ring, sector), ramp(np.clip((d - 20) / 420, 0, 1), SKY)


def glass_land(x: Array, y: Array, glass: Pieces) -> Pieces:
    """Hills, a river and a meadow laid over the sky, each cut across its own run."""
    for k, (base, swell, wave, phase, shades, cut) in enumerate(ROWS, start=1):
        edge = base + swell * np.sin(x / wave * 1.6 + phase)
        band = np.floor((x + 0.35 * (y - base) * np.sin(k) + 9 * np.sin(y / 21 + k)) / cut) + 40
        layer = np.floor((y - edge) / 30).clip(0, 1)
        wash = mix(shades[0], shades[1], np.clip(0.5 + 0.5 * np.sin(band * 2.4 + layer * 2), 0, 1))
        glass = laid(y > edge, (number(k, band, layer), wash), glass)
    return glass


def glass_tree(rng: np.random.Generator, x: Array, y: Array, glass: Pieces) -> Pieces:
    """A tree with a crown of leaves."""
    stem = np.abs(x - (112 + 16 * np.sin(y / 70))) < 10 + 0.0006 * (y - 300).clip(0) ** 2 * 0.3
    stem &= (y > 250) & (y < 700)
    log = np.floor(y / 52)
    glass = laid(stem, (number(20, log), mix((120, 60, 40), (80, 40, 60), 0.5 + 0.5 * np.sin(log * 2))), glass)
    crown = np.hypot((x - 126) / 108, (y - 210) / 132) + 0.10 * np.sin(5 * np.arctan2(y - 210, x - 126)) < 1
    leaf = nearest(rng.uniform((0, 50), (260, 360), (90, 2)), x, y, 0.8)
    shade = ramp(rng.random(90), [(20, 110, 60), (60, 160, 60), (150, 190, 50), (220, 210, 70), (24, 130, 110)])[leaf]
    return laid(crown, (number(21, leaf), shade), glass)


def glass_irises(x: Array, y: Array, glass: Pieces) -> Pieces:
    """Irises in the meadow: a stalk, six petals and a heart each."""
    for k, (cx, cy, s) in enumerate(IRISES):
        stalk = (np.abs(x - cx - 6 * np.sin(y / 30)) < 5) & (y > cy)
        glass = laid(stalk, (number(30, k), (40, 140, 60)), glass)
        d, a = np.hypot(x - cx, y - cy) / s, np.arctan2(y - cy, x - cx)
        petal = np.floor((a / (2 * np.pi) + 0.5) * 6)
        flower, heart = d < 0.75 + 0.3 * np.abs(np.sin(3 * (a + np.pi))), d < 0.27
        purple = mix((150, 60, 180), (236, 110, 170), 0.5 + 0.5 * np.sin(petal * 2 + k))
        code, wash = laid(heart, (9, (255, 220, 70)), (petal, purple))
        glass = laid(flower, (number(31 + k, code), wash), glass)
    return glass


def glass_frame(x: Array, y: Array, size: Size, glass: Pieces) -> Pieces:
    """A border of alternating red, blue and gold pieces."""
    gap, upright = rim(x, y, size)
    run = np.floor(np.where(upright, y, x) / 48) + np.where(upright, 300, 0)
    side = np.where(upright, x > size[0] / 2, y > size[1] / 2)
    wash = np.array(((190, 30, 44), (30, 60, 170), (240, 180, 50), (30, 130, 110)))[(run.astype(int) + side * 2) % 4]
    both = laid(gap < 8, (number(51, np.floor(run / 3), side), (226, 214, 170)), (number(50, run, side), wash))
    return laid(gap < 30, both, glass)


def glass_light(rng: np.random.Generator, size: Size, piece: Array, colour: Array) -> Array:
    """Colour of the lit glass: every piece its own shade, streaks, bubbles and a dirty rim."""
    names, label = np.unique(piece, return_inverse=True)
    label = label.reshape(piece.shape)
    tone = (colour + rng.normal(0, 11, (len(names), 3))[label]) * rng.uniform(0.72, 1.22, len(names))[label][..., None]
    far = ndimage.distance_transform_edt(~borders(label))
    angle = rng.uniform(0, np.pi, len(names))[label]
    x, y = grid(size)
    slant = (x * np.cos(angle) + y * np.sin(angle)) / 26 + rng.uniform(0, 9, len(names))[label]
    streak = 0.10 * np.sin(slant + 1.5 * noise(rng, size, 90, 3))
    streak = streak + 0.09 * noise(rng, size, (60, 16), 5) + 0.05 * noise(rng, size, 7, 3)
    bubble = np.clip(noise(rng, size, 9, 2) - 2.1, 0, 1) * 0.5
    lit = tone * (0.86 + 0.3 * smooth(6, 34, far) + streak + bubble)[..., None]
    hatch = smooth(0.72, 0.95, np.sin(slant * 7.0)) * smooth(26, 9, far) * (rng.random(len(names)) < 0.6)[label]
    lit = lit * (1 - 0.45 * hatch[..., None])
    return leaded(rng, size, lit, far)


def leaded(rng: np.random.Generator, size: Size, lit: Array, far: Array) -> Array:
    """The glass with rounded strips of lead along the borders of the pieces."""
    came = smooth(7.0, 5.4, far)
    bead = np.sqrt(np.clip(1 - (far / 7.0) ** 2, 0, 1))
    dy, dx = np.gradient(ndimage.gaussian_filter(bead, 1.2))
    lead = (44 + 190 * np.clip(dx + dy, -0.15, 0.4) + 5 * noise(rng, size, 6, 3))[..., None] * np.array((0.96, 0.98, 1.06))
    return lit * (1 - came[..., None]) + lead * came[..., None]


def draw(rng: np.random.Generator) -> Picture:
    """A stained glass window: a sun over hills, a river and irises."""
    size = (560, 768)
    full = doubled(size)
    x, y = (c / SCALE for c in grid(full))
    x, y = x + 2.2 * noise(rng, full, 130, 2), y + 2.2 * noise(rng, full, 130, 2)
    glass = glass_tree(rng, x, y, glass_land(x, y, glass_sky(rng, x, y)))
    piece, colour = glass_frame(x, y, size, glass_irises(x, y, glass))
    lit = glass_light(rng, full, piece, np.asarray(colour, dtype=np.float64))
    halo = ndimage.gaussian_filter(lit, (14, 14, 0))
    return Picture(shrink(lit * 0.9 + 0.22 * halo))
