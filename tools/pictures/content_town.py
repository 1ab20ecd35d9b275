"""A river front of gabled houses below a church tower, mirrored in the water."""

import itertools

import numpy as np
from canvas import Picture, halve
from maps import SCALE, Array, Colour, Size, doubled, grid, mix, noise, sample, smooth, tint, xy
from scenes import LEAVES, WILLOW, Site, clouds, develop, tree
from scipy import ndimage
from shapes import box, ring_points

WALLS = xy("232,214,176 226,190,120 214,160,120 236,230,214 196,206,196 206,176,160 222,200,140 176,190,206 210,140,100")
ROOFS = xy("168,84,56 150,72,52 182,100,66 132,78,62")
SHUTTERS = xy("70,96,74 110,60,50 76,90,110 130,110,80")


def window(
    site: Site, rng: np.random.Generator, x: float, y: float, w: float, h: float, frame: Colour, shutter: Array | None
) -> None:
    """A casement window with sill, panes that catch some sky, and perhaps shutters."""
    if shutter is not None:
        for side in (-0.62 * w, w * 1.05):
            site.fill(box(x + side, y, w * 0.55, h), shutter * rng.uniform(0.9, 1.1), site.plaster)
    site.fill(box(x - 0.8, y - 0.8, w + 1.6, h + 1.6), frame)
    glass = mix((38, 44, 52), (120, 140, 160), 0.7 * rng.random() ** 2)
    for i, j in itertools.product(range(2), range(2)):
        pane = box(x + i * w / 2 + 0.3, y + j * h / 2 + 0.3, w / 2 - 0.7, h / 2 - 0.7)
        site.fill(pane, glass * rng.uniform(0.8, 1.15), None, 0.25)
    site.fill(box(x - 0.4, y, w + 0.8, 0.8), np.asarray(frame) * 0.45)
    site.fill(box(x - 1.4, y + h + 0.6, w + 2.8, 1.1), np.asarray(frame) * 0.9)


def chimney(site: Site, x: float, y: float, h: float) -> None:
    """A brick chimney with a dark cap."""
    site.fill(box(x, y - h, 5, h + 3), (146, 92, 74), site.plaster, 0.2)
    site.fill(box(x + 3.2, y - h, 1.8, h + 3), (98, 62, 54), site.plaster)
    site.fill(box(x - 0.8, y - h - 1.2, 6.6, 1.6), (84, 74, 70))


def house(site: Site, rng: np.random.Generator, x: float, base: float, w: float, h: float, gabled: bool, haze: float) -> None:
    """One house front: gabled, or with its eaves to the river and dormers in the roof."""
    air = np.array((196, 208, 220))
    wall, tile = mix(tint(rng, WALLS, 6), air, haze), mix(tint(rng, ROOFS, 7), air, haze)
    rise = w * rng.uniform(0.52, 0.72) if gabled else h * rng.uniform(0.42, 0.6)
    front, frame = box(x, base - h, w, h), mix((240, 236, 226), air, haze)
    (gable_front if gabled else eaves_front)(site, rng, front, rise, wall, tile)
    site.fill(box(x + w - 1.4, base - h + 2, 1.4, h - 2), wall * 0.62, site.plaster)
    floors(site, rng, front, frame, wall)
    if gabled:
        attic(site, rng, front, rise, frame)


def gable_front(site: Site, rng: np.random.Generator, front: Array, rise: float, wall: Array, tile: Array) -> None:
    """Wall and roof edges of a house that turns its gable to the river."""
    (x, eave), (right, base) = front[0], front[2]
    mid, peak = (x + right) / 2, eave - rise
    chimney(site, x + (right - x) * rng.uniform(0.6, 0.8), eave - 0.45 * rise, 0.3 * rise)
    site.fill([(x - 2.5, eave + 2), (mid, peak - 2.5), (right + 2.5, eave + 2)], tile * 0.8, site.tiles)
    outline = [(x, base), (x, eave), (mid, peak + 1.5), (right, eave), (right, base)]
    site.fill(outline, wall, site.plaster, 0.14)
    site.fill([(mid, peak - 2.5), (right + 2.5, eave + 2), (right, eave + 3), (mid, peak + 3)], tile * 0.5)
    site.fill([(mid, peak - 2.5), (x - 2.5, eave + 2), (x, eave + 3), (mid, peak + 3)], tile * 1.12, site.tiles)


def eaves_front(site: Site, rng: np.random.Generator, front: Array, rise: float, wall: Array, tile: Array) -> None:
    """Wall, roof and dormers of a house that turns its eaves to the river."""
    (x, eave), right = front[0], front[2][0]
    w, inset, ridge = right - x, rng.uniform(2, 7), eave - rise
    chimney(site, x + w * rng.uniform(0.2, 0.7), eave - 0.9 * rise, 0.35 * rise)
    site.fill(front, wall, site.plaster, 0.14)
    slope = [(x - 2, eave + 1.5), (x + inset, ridge), (right - inset, ridge), (right + 2, eave + 1.5)]
    site.fill(slope, tile, site.tiles, -0.16)
    site.fill(box(x, eave + 1.5, w, 2.4), wall * 0.5)
    for dx in np.arange(0.2, 0.75, 18 / w):
        dormer(site, rng, x + dx * w, eave - 0.28 * rise, wall, tile)


def dormer(site: Site, rng: np.random.Generator, x: float, y: float, wall: Array, tile: Array) -> None:
    """A small gabled window in a roof."""
    site.fill([(x - 1.6, y - 6), (x + 4.5, y - 11), (x + 10.6, y - 6)], tile * 0.72)
    site.fill([(x, y + 2), (x, y - 5.4), (x + 4.5, y - 9), (x + 9, y - 5.4), (x + 9, y + 2)], wall * 0.94, site.plaster)
    window(site, rng, x + 2.4, y - 4.4, 4.2, 5.2, (232, 228, 218), None)


def floors(site: Site, rng: np.random.Generator, front: Array, frame: Array, wall: Array) -> None:
    """Rows of windows on every floor, with shutters or without."""
    (x, eave), (w, h) = front[0], front[2] - front[0]
    shutter = mix(tint(rng, SHUTTERS, 6), wall, 0.15) if rng.random() < 0.6 else None
    storey = rng.uniform(19, 23)
    count = max(2, int(w / rng.uniform(14, 18)))
    pitch = w / count
    for k in range(int(h // storey)):
        top = eave + 6 + k * storey
        if rng.random() < 0.3:
            site.fill(box(x, top - 4.4, w, 0.9), wall * 0.8)
        for j in range(count):
            ww = min(6.6, pitch * 0.42)
            window(site, rng, x + (j + 0.5) * pitch - ww / 2, top, ww, storey * 0.5, frame, shutter)


def attic(site: Site, rng: np.random.Generator, front: Array, rise: float, frame: Array) -> None:
    """Smaller windows in a gable."""
    (x, eave), w = front[0], front[2][0] - front[0][0]
    for k in range(int(rise // 15)):
        y = eave - 11 - 14 * k
        span = w * (1 - (eave - y + 9) / rise) * 0.5
        for j in np.arange(-np.floor(span / 13), np.floor(span / 13) + 1):
            window(site, rng, x + w / 2 + j * 12.5 - 2.4, y, 4.8, 7.4, frame, None)


def tower(site: Site, rng: np.random.Generator, x: float, base: float, w: float, h: float) -> None:
    """A church tower of dressed stone with a belfry, a clock and a steep slate spire."""
    stone = np.array((202, 186, 156))
    site.fill(box(x, base - h, w, h), stone, site.plaster, 0.1)
    site.fill(box(x + 0.68 * w, base - h, 0.32 * w, h), stone * 0.68, site.plaster)
    for level in (0.0, 0.32, 0.62):
        site.fill(box(x - 1.4, base - h + level * h, w + 2.8, 2.2), stone * 1.08, site.plaster)
        site.fill(box(x, base - h + level * h + 2.2, w, 1.2), stone * 0.55)
    for dx in (0.16, 0.56):
        sill, arch = base - 0.72 * h, ring_points(x + (dx + 0.13) * w, base - 0.9 * h, 0.13 * w, np.pi, 2 * np.pi, 14)
        opening = np.vstack([[(x + dx * w, sill)], arch, [(x + (dx + 0.26) * w, sill)]])
        site.fill(opening, (52, 48, 50), site.plaster)
    site.fill(ring_points(x + w * 0.42, base - 0.53 * h, 0.2 * w), (236, 230, 214), site.plaster)
    site.fill(ring_points(x + w * 0.42, base - 0.53 * h, 0.15 * w), (60, 70, 92))
    peak = (x + w / 2, base - h - 2.5 * w)
    site.fill([(x - 3, base - h + 1), peak, (x + 0.62 * w, base - h + 1)], (112, 120, 126), site.tiles)
    site.fill([(x + 0.62 * w, base - h + 1), peak, (x + w + 3, base - h + 1)], (66, 72, 82), site.tiles)
    site.fill(box(x + w / 2 - 0.5, base - h - 2.5 * w - 9, 1, 10), (70, 66, 60))


def hillside(site: Site, rng: np.random.Generator, size: Size, base: float, haze: float, heights: tuple[float, float]) -> None:
    """A row of houses up on the hill."""
    position = -20.0
    while position < size[0]:
        w = rng.uniform(34, 58)
        foot = base + rng.uniform(-6, 6) - 26 * np.exp(-(((position - 420) / 190) ** 2))
        house(site, rng, position, foot, w, rng.uniform(*heights), rng.random() < 0.5, haze)
        position += w * rng.uniform(0.7, 1.1)


def town_rows(site: Site, rng: np.random.Generator, size: Size) -> None:
    """Hillside, houses row upon row, the tower, and the fronts along the quay."""
    x = np.linspace(0, size[0], 60)
    far = 214 - 34 * np.sin(x / 210 + 0.4) + rng.normal(0, 1.2, 60)
    site.fill(np.vstack([np.stack([x, far], axis=-1), [(size[0], 400), (0, 400)]]), (126, 146, 140), site.plaster)
    for _ in range(60):
        cx = rng.uniform(0, size[0])
        hazy = [tuple(mix(c, (170, 190, 200), 0.5)) for c in LEAVES]
        tree(site, rng, cx, 210 - 34 * np.sin(cx / 210 + 0.4) + rng.uniform(4, 60), rng.uniform(10, 17), hazy)
    hillside(site, rng, size, 276, 0.34, (28, 40))
    tower(site, rng, 404, 292, 36, 128)
    for _ in range(12):
        tree(site, rng, rng.uniform(0, size[0]), rng.uniform(250, 270), rng.uniform(9, 15), LEAVES)
    hillside(site, rng, size, 304, 0.2, (34, 52))
    position = -14.0
    while position < size[0]:
        w = rng.uniform(42, 68)
        house(site, rng, position, 384, w, rng.uniform(66, 98), rng.random() < 0.68, 0.04)
        position += w + rng.choice((0, 0, 3))


def town_quay(site: Site, rng: np.random.Generator, size: Size, stone: Array) -> None:
    """The quay wall with its coping, bushes and trees."""
    site.fill(box(-5, 382, size[0] + 10, 24), (150, 140, 122), stone, 0.3)
    site.fill(box(-5, 381, size[0] + 10, 2.6), (198, 188, 166), site.plaster)
    for _ in range(46):
        tree(site, rng, rng.uniform(0, size[0]), rng.uniform(382, 402), rng.uniform(4, 9), LEAVES)
    for cx, r in ((40, 42), (104, 30), (318, 22), (520, 30), (566, 38), (735, 44)):
        tree(site, rng, cx, 380 - 0.95 * r, r, WILLOW if r > 36 else LEAVES)


def river(rng: np.random.Generator, rgb: Array, bank: int) -> Array:
    """Water below the given row that mirrors what stands above it in moving ripples."""
    height, width = rgb.shape[:2]
    x, y = grid((width, height - bank))
    depth = y / (height - bank)
    # Rows of ripples come closer together towards the far bank.
    v = np.log1p(y / 26) * 210
    texture = noise(rng, (1024, 1024), 64, 4)
    wave = sample(texture, x / 7 + 40, v * 2.1) + 0.6 * sample(texture, x / 2.6 + 300, v * 4.7)
    row = bank - 1 - y * 0.98 - wave * (3 + 34 * depth)
    column = x + 3 * sample(texture, x / 11, v * 2.4 + 500) * (0.5 + 4 * depth)
    soft = ndimage.gaussian_filter(rgb[:bank], (5, 1.2, 0))
    channels = np.moveaxis(soft, -1, 0)
    mirror = np.stack([ndimage.map_coordinates(c, [row, column], order=1, mode="nearest") for c in channels], axis=-1)
    own = mix((52, 70, 58), (66, 92, 96), depth)
    water = mix(mirror * 0.86, own, np.clip(0.22 + 0.10 * wave + 0.12 * depth, 0.05, 0.6))
    glint = smooth(1.5, 2.4, wave) * 0.3 * smooth(0.0, 0.25, depth)
    return mix(water, (214, 224, 230), glint)


def draw(rng: np.random.Generator) -> Picture:
    """A river front of gabled houses below a church tower, mirrored in the water."""
    size = (768, 576)
    full = doubled(size)
    x, y = grid(full)
    plaster = 1 + 0.045 * noise(rng, full, 60, 4) + 0.035 * noise(rng, full, 6, 3)
    plaster = plaster - 0.03 * np.clip(noise(rng, full, (5, 60), 3), 0, 2)
    course = np.floor(y / 5)
    tiles = 0.92 + 0.16 * smooth(0, 4, y % 5) - 0.10 * (((x + 3 * course) % 6) < 1)
    tiles = tiles + 0.08 * noise(rng, full, 5, 2) + 0.06 * noise(rng, full, 50, 3)
    rows = np.floor(y / 11)
    stone = 0.9 + 0.12 * noise(rng, full, 24, 4) - 0.22 * ((y % 11) < 1.5) - 0.2 * (((x + 17 * rows) % 26) < 1.5)
    heaven = clouds(rng, full, 640, 0.3, (74, 128, 194), (212, 222, 230))
    site = Site(heaven.copy(), np.zeros(x.shape, dtype=bool), plaster, tiles)
    town_rows(site, rng, size)
    town_quay(site, rng, size, stone)
    bank = 405 * SCALE
    site.rgb[bank:] = river(rng, site.rgb, bank)
    site.solid[bank:] = True
    warm = 1 + 0.07 * (1 - x / full[0]) * (y < bank)
    return Picture(develop(rng, site.rgb * warm[..., None] * np.array((1.02, 1.0, 0.97))), halve(~site.solid))
