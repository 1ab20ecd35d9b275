"""Masks by hand: a brush over a picture in the notebook, whose every pixel belongs to exactly one region; and a first guess."""

import os
from base64 import b64encode
from collections.abc import Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from nstutils import images
from nstutils.course import plots
from nstutils.library.errors import UserError

LARGEST = 512  # pixels on the long side of the map that is painted; masks of larger pictures are scaled up from it
MOST = len(plots.COLOURS)  # regions: one colour each
PIECES = 300  # patches of like colour that `regions` begins with


class Brush(anywidget.AnyWidget):
    """A picture to paint regions on; `masks` are the regions as they stand. Made by `brush`."""

    _esm = Path(__file__).with_name("brush.js")
    _css = Path(__file__).with_name("brush.css")
    runs: "traitlets.List[int]" = traitlets.List().tag(sync=True)  # the map: region, pixels, ..., all rows after one another
    height = traitlets.Int().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    regions = traitlets.Int().tag(sync=True)
    colours: "traitlets.List[str]" = traitlets.List().tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)  # a data URL

    def __init__(self, image: Tensor, labels: np.ndarray, regions: int) -> None:
        """`labels` is the map to begin with, height x width of whole numbers below `regions`."""
        self.image = image
        shown = images.resize(image, min(2 * LARGEST, max(image.shape[-2:])))
        super().__init__(
            runs=encoded(labels),
            height=labels.shape[0],
            width=labels.shape[1],
            regions=regions,
            colours=list(plots.COLOURS[:regions]),
            picture="data:image/jpeg;base64," + b64encode(images.encoded(shown, ".jpg")).decode(),
        )

    @traitlets.validate("runs")
    def _fitting(self, proposal: Any) -> list[int]:
        """Refuse a map that is not one of this picture."""
        runs = proposal["value"]
        whole = len(runs) % 2 == 0 and all(isinstance(number, int) and number >= 0 for number in runs)
        if not whole or sum(runs[1::2]) != self.height * self.width or max(runs[::2]) >= self.regions:
            raise traitlets.TraitError(
                f"a map of {sum(runs[1::2]) if whole else '?'} pixels came, wanted {self.width} x {self.height} pixels "
                f"of regions 0 to {self.regions - 1}; paint with the brush, or use load"
            )
        return list(runs)

    @property
    def labels(self) -> np.ndarray:
        """The region of every pixel of the painted map, height x width, from 0."""
        return np.repeat(self.runs[::2], self.runs[1::2]).reshape(self.height, self.width)

    @property
    def masks(self) -> list[Tensor]:
        """One mask a region, 1 x 1 x H x W of 0 and 1, in the size of the picture; together they are 1 everywhere."""
        labels = torch.from_numpy(self.labels)[None, None].float()
        labels = F.interpolate(labels, self.image.shape[-2:], mode="nearest")
        return [(labels == region).float() for region in range(self.regions)]

    def save(self, where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
        """Write the masks as `--content-guide` takes them: region_1.png, ... in a folder, or one path for each region."""
        paths = self._paths(where)
        empty = ", ".join(str(number) for number, mask in enumerate(self.masks, 1) if not mask.any())
        if empty:
            raise UserError(f"region {empty} has 0 of {self.height * self.width} pixels; paint it, or take fewer regions")
        return [images.save(mask.expand(-1, 3, -1, -1), path) for mask, path in zip(self.masks, paths, strict=True)]

    def load(self, where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> None:
        """Put masks that were saved on the picture again; where several claim a pixel, the strongest has it."""
        found = [images.load(path).mean(1, keepdim=True) for path in self._paths(where)]
        self.runs = encoded(mapped(found, (self.height, self.width)))

    def _paths(self, where: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
        """One path a region."""
        if isinstance(where, str | os.PathLike):
            return [Path(os.path.expanduser(where)) / f"region_{number}.png" for number in range(1, self.regions + 1)]
        if len(where) != self.regions:
            raise UserError(f"{len(where)} paths came for {self.regions} regions; give one for each, or a folder")
        return [Path(os.path.expanduser(path)) for path in where]

    def _repr_mimebundle_(self, **facts: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The brush for a running kernel, and the still picture for a page without one."""
        live = super()._repr_mimebundle_(**facts)
        words = f"The picture with its {self.regions} regions outlined and numbered."
        still = plots.encoded(outlined(self.image, self.masks), dpi=80)
        forms = {**(live[0] if live else {}), "image/jpeg": still, "text/plain": words}
        return forms, {"image/jpeg": {"alt": words}}


def brush(picture: Tensor | str | os.PathLike[str], regions: int | None = None, start: Sequence[Tensor] | None = None) -> Brush:
    """A brush for `regions` regions of a picture (default: two), to begin with the masks of `start` (default: one for each)."""
    count = regions or (len(start) if start else 2)
    image = _opened(picture, count)
    if start and len(start) > count:
        raise UserError(f"{len(start)} masks came to start {count} regions with; give at most one for each")
    size = images.fitted(image, min(LARGEST, max(image.shape[-2:])))
    return Brush(image, mapped(start, size) if start else np.zeros(size, dtype=int), count)


def regions(picture: Tensor | str | os.PathLike[str], count: int = 2) -> list[Tensor]:
    """A first guess: `count` masks (1 x 1 x H x W) of parts of like colour and place, from the top of the picture down.
    Patches are joined in pairs, always the two whose joining adds least to the variance of colour (CIE Lab) and place within
    the parts (Ward 1963). Colours cannot know what belongs together: correct the masks with `brush`."""
    from scipy.cluster.hierarchy import fcluster, ward  # these take a while to import
    from scipy.ndimage import mean
    from skimage.color import rgb2lab
    from skimage.segmentation import slic

    image = _opened(picture, count)
    small = images.resize(image, min(192, max(image.shape[-2:])))[0].permute(1, 2, 0).double().cpu().numpy()
    pieces = slic(small, n_segments=PIECES, compactness=10, start_label=0)
    row, column = np.mgrid[: small.shape[0], : small.shape[1]] * (100 / max(small.shape))
    features = [*np.moveaxis(rgb2lab(small), -1, 0), row, 0.3 * column]  # across the picture places count less
    means = np.stack([mean(values, pieces, range(pieces.max() + 1)) for values in features], 1)
    if len(means) < count:
        raise UserError(f"this picture has {len(means)} patches of like colour, wanted {count}; begin with an empty brush")
    labels = fcluster(ward(means), count, "maxclust")[pieces]
    parts = sorted(range(1, count + 1), key=lambda part: np.nonzero(labels == part)[0].mean())
    masks = [torch.from_numpy(labels == part).float()[None, None] for part in parts]
    return [F.interpolate(mask, image.shape[-2:], mode="nearest") for mask in masks]


def _opened(picture: Tensor | str | os.PathLike[str], count: int) -> Tensor:
    """The picture, if it can have so many regions."""
    if not 2 <= count <= MOST:
        raise UserError(f"{count} regions came, wanted 2 to {MOST}; join some")
    return picture if isinstance(picture, Tensor) else images.load(picture)


def mapped(masks: Sequence[Tensor], size: tuple[int, int]) -> np.ndarray:
    """The map of regions, height x width, of masks of any resolution: the strongest has the pixel, region 0 what none has."""
    layers = torch.cat([F.adaptive_avg_pool2d(mask.float().cpu(), size) for mask in masks], 1)
    return layers[0].argmax(0).numpy()


def encoded(labels: np.ndarray) -> list[int]:
    """A map as runs: region, pixels, region, pixels, ... over all its rows after one another."""
    runs = [(region, len(list(pixels))) for region, pixels in groupby(labels.ravel().tolist())]
    return list(chain(*runs))


def outlined(image: Tensor, masks: Sequence[Tensor]) -> Figure:
    """A picture with its regions tinted, outlined and numbered."""
    figure = Figure(figsize=(6, 6 * image.shape[-2] / image.shape[-1]))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(images.to_pil(image))
    for number, (mask, colour) in enumerate(zip(masks, plots.COLOURS, strict=False), 1):
        inside = mask[0, 0].cpu().numpy()
        tint = np.zeros((*inside.shape, 4))
        tint[..., :3], tint[..., 3] = to_rgb(colour), 0.35 * inside
        axes.imshow(tint)
        if 0 < inside.mean() < 1:
            axes.contour(inside, [0.5], colors="white", linewidths=1.5)
        if inside.any():
            row, column = middle(inside)
            badge = {"boxstyle": "circle", "facecolor": "white", "edgecolor": colour, "linewidth": 3}
            axes.text(column, row, str(number), ha="center", va="center", weight="bold", bbox=badge)
    return figure


def middle(inside: np.ndarray) -> tuple[int, int]:
    """The place of a region (height x width, not empty) that is farthest from its edges."""
    from scipy.ndimage import distance_transform_edt  # a while to import

    depth = distance_transform_edt(np.pad(inside > 0.5, 1))
    deepest = np.argwhere(depth == depth.max()) - 1
    row, column = deepest[len(deepest) // 2].tolist()
    return row, column
