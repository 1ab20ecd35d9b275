"""Maps of numbers, colours and directions, one value a pixel; and the noise that everything is made of."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

Array = np.ndarray
Size = tuple[int, int]  # width, height, as in Pillow
Colour = tuple[float, float, float]
SCALE = 2  # canvas pixels per final pixel


def snap(values: Array | Sequence) -> Array:
    """Round coordinates to 1/16 px."""
    return np.round(np.asarray(values, dtype=np.float64) * 16) / 16


def grid(size: Size) -> tuple[Array, Array]:
    """x and y of every pixel centre of a picture."""
    return np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)


def smooth(low: float | Array, high: float | Array, x: Array) -> Array:
    """Smooth step from 0 at low to 1 at high."""
    t = np.clip((x - low) / (np.asarray(high) - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array | Colour, b: Array | Colour, t: Array | float) -> Array:
    """Blend two colours or colour maps; t has one axis less where it is a map."""
    t = np.asarray(t, dtype=np.float64)[..., None]
    return np.asarray(a) * (1 - t) + np.asarray(b) * t


def ramp(t: Array, colours: Sequence[Colour]) -> Array:
    """Colour map that runs through evenly spaced colours as t goes from 0 to 1."""
    stops = np.linspace(0, 1, len(colours))
    table = np.asarray(colours, dtype=np.float64)
    return np.stack([np.interp(t, stops, table[:, c]) for c in range(3)], axis=-1)


def noise(
    rng: np.random.Generator, size: Size, cell: float | tuple[float, float], octaves: int = 5, gain: float = 0.5
) -> Array:
    """Fractal value noise with mean 0 and deviation 1; cell is the size of its largest lump (x, y)."""
    width, height = size
    cell_x, cell_y = cell if isinstance(cell, tuple) else (cell, cell)
    total = np.zeros((height, width))
    for octave in range(octaves):
        cx, cy = max(cell_x / 2**octave, 1.0), max(cell_y / 2**octave, 1.0)
        lattice = rng.random((int(height / cy) + 5, int(width / cx) + 5), dtype=np.float32)
        left, top = 1 + rng.random(2)
        box = (left, top, left + width / cx, top + height / cy)
        layer = Image.fromarray(lattice).resize(size, Image.Resampling.BICUBIC, box=box)
        total += gain**octave * np.asarray(layer, dtype=np.float64)
    total -= total.mean()
    return total / total.std()


def lookup(field: Array, points: Array) -> Array:
    """Value of a map at the pixel under each point."""
    x = np.clip(points[..., 0].astype(int), 0, field.shape[1] - 1)
    y = np.clip(points[..., 1].astype(int), 0, field.shape[0] - 1)
    return field[y, x]


def xy(text: str) -> Array:
    """Points written as "x,y x,y ..."."""
    return np.array([[float(number) for number in pair.split(",")] for pair in text.split()])


def unit(vectors: Array) -> Array:
    """Vectors of a map scaled to length one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def along(psi: Array) -> Array:
    """Unit flow along the level lines of a stream function."""
    dy, dx = np.gradient(psi)
    return unit(np.stack([dy, -dx], axis=-1))


def beside(directions: Array) -> Array:
    """Directions a quarter turn further."""
    return np.stack([-directions[..., 1], directions[..., 0]], axis=-1)


def heading(angle: Array | float, shape: tuple[int, int] | None = None) -> Array:
    """Unit flow with the given angle (radians) at every pixel."""
    angle = np.broadcast_to(angle, shape) if shape else np.asarray(angle)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def edges(plan: Array, reach: float = 2.5, gain: float = 1.0) -> Array:
    """Where the plan has detail (0 to 1): small strokes go there."""
    g = ndimage.gaussian_gradient_magnitude(plan.mean(axis=-1), reach)
    return np.clip(gain * g / (np.percentile(g, 97) + 1e-9), 0, 1)


def tint(rng: np.random.Generator, palette: Sequence[Colour], spread: float = 10) -> Array:
    """One colour of the palette, slightly off."""
    return np.asarray(palette[rng.integers(len(palette))]) + rng.normal(0, spread, 3)


def sample(texture: Array, u: Array, v: Array) -> Array:
    """Texture read at real coordinates, mirrored at its borders."""
    return ndimage.map_coordinates(texture, [v, u], order=1, mode="mirror")


def size_of(field: Array) -> Size:
    """Width and height of a map."""
    return field.shape[1], field.shape[0]


def doubled(size: Size) -> Size:
    """A size at drawing scale."""
    return size[0] * SCALE, size[1] * SCALE


def flat(points: Array | Sequence) -> list[float]:
    """Points as Pillow's drawing functions want them, at drawing scale."""
    return (snap(points) * SCALE).ravel().tolist()


def borders(label: Array) -> Array:
    """Where a pixel has another label than the one before it, on the left or above."""
    edge = np.zeros(label.shape, dtype=bool)
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    edge[1:] |= label[1:] != label[:-1]
    return edge


def rim(x: Array, y: Array, size: Size) -> tuple[Array, Array]:
    """How far every point is from the picture's edge, and whether the nearest edge is an upright one."""
    across, down = np.minimum(x, size[0] - x), np.minimum(y, size[1] - y)
    return np.minimum(across, down), across < down


def laid(inside: Array, new: tuple[Array, Array | Colour], below: tuple[Array, Array]) -> tuple[Array, Array]:
    """Numbers and colours of pieces, with new ones where inside."""
    return np.where(inside, new[0], below[0]), np.where(inside[..., None], new[1], below[1])
