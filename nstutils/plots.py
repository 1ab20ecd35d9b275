"""Figures: pictures side by side, losses, activations. Each function returns a matplotlib Figure and leaves pyplot alone.

Colours tell apart for colour-blind readers (Okabe and Ito), and lines differ in their dashes too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from nstutils import images

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 3)))


def show(
    pictures: Sequence[Tensor] | Tensor, titles: Sequence[str] | None = None, columns: int | None = None, width: float = 9
) -> Figure:
    """Pictures (tensors 1 x 3 x H x W, or a batch) in a grid, each with its title."""
    batch = list(pictures.split(1)) if isinstance(pictures, Tensor) else list(pictures)
    if titles is not None and len(titles) != len(batch):
        raise ValueError(f"{len(titles)} titles for {len(batch)} pictures; give one for each")
    columns = columns or min(len(batch), 5)
    rows = -(-len(batch) // columns)
    shape = batch[0].shape[-2] / batch[0].shape[-1]
    figure = Figure(figsize=(width, rows * (width / columns * shape + (0.3 if titles else 0))), layout="constrained")
    for axes, number in zip(figure.subplots(rows, columns, squeeze=False).flat, range(rows * columns), strict=True):
        axes.set_axis_off()
        if number < len(batch):
            axes.imshow(images.to_pil(batch[number]))
            axes.set_title(titles[number] if titles else "", fontsize=9)
    return figure


def losses(history: Mapping[str, Any], names: Sequence[str] = ("content", "style", "total"), width: float = 9) -> Figure:
    """The losses of a run over its steps, one panel a loss, with the scales marked."""
    figure = Figure(figsize=(width, 2.4), layout="constrained")
    steps = history["steps"]
    for number, (axes, name) in enumerate(zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True)):
        axes.plot([row["step"] for row in steps], [row[name] for row in steps], COLOURS[number], linestyle=DASHES[number])
        axes.set(title=name, xlabel="step", yscale="log")
        for before, after in zip(steps, steps[1:], strict=False):
            if before["size"] != after["size"]:
                axes.axvline(after["step"], color="0.7", linewidth=0.8)
    return figure


def activations(maps: Tensor, count: int = 8, columns: int = 4, width: float = 9) -> Figure:
    """The first `count` filters of activations 1 x C x H x W, each in grey from its lowest to its highest value."""
    count = min(count, maps.shape[1])
    rows = -(-count // columns)
    figure = Figure(figsize=(width, rows * width / columns * maps.shape[-2] / maps.shape[-1]), layout="constrained")
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if number < count:
            axes.imshow(maps[0, number].detach().float().cpu().numpy(), cmap="gray", interpolation="nearest")
            axes.set_title(f"filter {number}", fontsize=8)
    return figure
