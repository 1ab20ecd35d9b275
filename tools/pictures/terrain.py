"""Height fields seen from above the ground: which point of them every pixel shows, and its light."""

from dataclasses import dataclass

import numpy as np
from maps import Array, Size, sample, snap
from scipy import ndimage


@dataclass(frozen=True)
class View:
    """A camera over a height field, at drawing scale; heights and distances in metres."""

    size: Size
    horizon: float
    eye: float
    focal: float = 1250.0
    far: float = 7000.0

    def depths(self) -> Array:
        """Distances of the rows of the ray march: even on the picture near by, even in scale far off."""
        rows = self.focal * self.eye * 1.2 / np.arange(self.size[1] - self.horizon + 500, 40, -0.7)
        return np.unique(snap(np.concatenate([rows, np.geomspace(rows.min(), self.far, 1100)])))

    def rays(self) -> tuple[Array, Array]:
        """World x and z of every column at every depth."""
        z = self.depths()
        column = (np.arange(self.size[0]) + 0.5 - self.size[0] / 2) / self.focal
        return z[:, None] * column, np.broadcast_to(z[:, None], (len(z), self.size[0]))

    def hits(self, height: Array, z: Array) -> Array:
        """For every pixel, the depth row that its ray meets first (the number of rows where it meets none)."""
        row = np.round((self.horizon - self.focal * (height - self.eye) / z) * 64) / 64
        seen = -np.minimum.accumulate(row, axis=0)
        pixel = -(np.arange(self.size[1]) + 0.5)
        return np.stack([np.searchsorted(seen[:, c], pixel) for c in range(self.size[0])], axis=1)


def octaves(texture: Array, x: Array, z: Array, cell: float, count: int, gain: float = 0.5) -> Array:
    """Fractal sum of one texture read at finer and finer scales; cell is the largest lump in metres."""
    total = np.zeros(x.shape)
    for k in range(count):
        scale = 64 / cell * 2**k
        total += gain**k * sample(texture, x * scale + 531 + 97 * k, z * scale + 213 + 61 * k)
    return total


def slopes(height: Array, x: Array, z: Array) -> tuple[Array, Array]:
    """How much the ground rises to the right, and away."""
    dx = np.maximum(x[:, 1:2] - x[:, 0:1], 1e-3)
    return np.gradient(height, axis=1) / dx, np.gradient(height, axis=0) / np.gradient(z[:, :1], axis=0)


def sunlight(height: Array, x: Array, z: Array, sun: tuple[float, float, float]) -> Array:
    """Lambert shading of the height field (x to the right, up, away)."""
    slope_x, slope_z = slopes(height, x, z)
    length = np.sqrt(slope_x**2 + slope_z**2 + 1)
    s = np.asarray(sun) / np.linalg.norm(sun)
    return np.clip((-slope_x * s[0] + s[1] - slope_z * s[2]) / length, 0, 1)


def flatness(height: Array, x: Array, z: Array) -> Array:
    """How level the ground is: 1 on a plain, 0 on a wall."""
    slope_x, slope_z = slopes(ndimage.gaussian_filter(height, (2, 3)), x, z)
    return 1 / np.sqrt(1 + slope_x**2 + slope_z**2)


def pick(values: Array, hit: Array) -> Array:
    """Values of the ray march at the pixels that hit something."""
    column = np.broadcast_to(np.arange(hit.shape[1]), hit.shape)
    return values[np.minimum(hit, len(values) - 1), column]
