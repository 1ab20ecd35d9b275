"""Figures: pictures side by side, losses, activations. Each function returns a matplotlib Figure and leaves pyplot alone.

Colours tell apart for colour-blind readers (Okabe and Ito), and lines differ in their dashes too.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from nstutils import images
from nstutils.library.errors import UserError

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 3)))


def show(
    pictures: Sequence[Tensor] | Tensor, titles: Sequence[str] | None = None, columns: int | None = None, width: float = 9
) -> Figure:
    """Pictures (tensors 1 x 3 x H x W, or a batch) in a grid, each with its title."""
    batch = list(pictures.split(1)) if isinstance(pictures, Tensor) else list(pictures)
    if titles is not None and len(titles) != len(batch):
        raise UserError(f"{len(titles)} titles for {len(batch)} pictures; give one for each")
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
    """The losses of a run over its steps, one panel a loss, with the scales marked; a curve for each network that it had."""
    figure = Figure(figsize=(width, 2.4), layout="constrained")
    steps, curves = history["steps"], by_network(history)
    for number, (axes, name) in enumerate(zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True)):
        for backbone, rows in curves.items():
            place = (number if backbone == history.get("backbone", "") else number + 3) % 6  # a draft's has another colour
            style = {"color": COLOURS[place], "linestyle": DASHES[place], "label": backbone}
            axes.plot([row["step"] for row in rows], [row[name] for row in rows], **style)
        if len(curves) > 1:
            axes.legend(fontsize=8)
        axes.set(title=name, xlabel="step", yscale="log")
        for before, after in zip(steps, steps[1:], strict=False):
            if before["size"] != after["size"]:
                axes.axvline(after["step"], color="0.7", linewidth=0.8)
    return figure


def by_network(history: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The steps of a history by the network that they were made with: losses of two networks have different units."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in history["steps"]:
        found.setdefault(row.get("backbone", history.get("backbone", "")), []).append(row)
    return found


def compare(
    histories: Mapping[str, Mapping[str, Any]], name: str = "total", against: str = "seconds", width: float = 6
) -> Figure:
    """One loss of several runs, by their labels, over the seconds or the steps.

    Losses of different networks have different units: runs of different backbones are refused unless every label names its own,
    and of a run with a draft the steps after it are drawn.
    """
    used = {label: (history.get("backbone"), history.get("weights_sha256")) for label, history in histories.items()}
    silent = [label for label, (backbone, _) in used.items() if backbone and backbone not in label]
    if len(set(used.values())) > 1 and silent:
        names = ", ".join(sorted({str(backbone) for backbone, _ in used.values()}))
        raise UserError(
            f"these runs were made with different backbones ({names}), whose losses cannot be compared unsaid; "
            f"name the backbone in the label of {', '.join(silent)}"
        )
    figure = Figure(figsize=(width, 3), layout="constrained")
    axes = figure.subplots()
    for number, (label, history) in enumerate(histories.items()):
        rows, dashes = [row for row in history["steps"] if "backbone" not in row], DASHES[number % len(DASHES)]
        colour = COLOURS[number % len(COLOURS)]
        axes.plot([row[against] for row in rows], [row[name] for row in rows], color=colour, linestyle=dashes, label=label)
    axes.set(xlabel=against, ylabel=name, yscale="log")
    axes.legend(fontsize=8)
    return figure


def lines(
    curves: Mapping[str, Sequence[float]],
    ticks: Sequence[str],
    ylabel: str,
    mark: float | None = None,
    log: bool = False,
    width: float = 6,
) -> Figure:
    """One number for each of `ticks` (layers, for instance): a line a curve; `mark` is a threshold, drawn in grey."""
    figure = Figure(figsize=(width, 3), layout="constrained")
    axes = figure.subplots()
    for number, (label, values) in enumerate(curves.items()):
        colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        axes.plot(range(len(ticks)), values, color=colour, linestyle=dashes, marker="o", label=label)
    if mark is not None:
        axes.axhline(mark, color="0.5", linewidth=0.8)
    axes.set_xticks(range(len(ticks)), ticks)
    axes.set(ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend(fontsize=8)
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


def present(figure: Figure, words: str, also: Mapping[str, Any] | None = None, **made: Any) -> None:
    """Show a figure in a notebook: a JPEG that carries `words` as its description, and below it the same words and how it was
    made (backbone, size, steps, seconds, whatever is given); `also` has other forms of it, for instance a live one."""
    from IPython.display import Markdown, display  # only notebooks have a display

    data = io.BytesIO()
    figure.savefig(data, format="jpeg", dpi=100, pil_kwargs={"quality": 85})
    forms = {**(also or {}), "image/jpeg": data.getvalue(), "text/plain": words}
    display(forms, raw=True, metadata={"image/jpeg": {"alt": words}})
    display(Markdown(f"*{words}* {caption(**made)}"))


def caption(**made: Any) -> str:
    """How a figure was made, in words: `backbone classroom, 128 px, 300 steps, 9.1 s`."""
    units = {"size": "{} px", "steps": "{} steps", "seconds": "{:.1f} s"}
    parts = [units.get(name, f"{name} {{}}").format(value) for name, value in made.items()]
    return f"({', '.join(parts)})" if parts else ""
