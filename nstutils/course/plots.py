"""Figures: each function returns a matplotlib Figure and leaves pyplot alone. Colours tell apart for colour-blind readers
(Okabe and Ito), and lines differ in their dashes too."""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter
from torch import Tensor

from nstutils import images
from nstutils.library.errors import UserError
from nstutils.library.pictures import data_folder

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 3)))


def show(
    pictures: Sequence[Tensor] | Tensor, titles: Sequence[str] | None = None, columns: int | None = None, width: float = 9
) -> Figure:
    """Pictures (tensors 1 x 3 x H x W, or a batch) in a grid, each with its title, which may have several lines."""
    batch = list(pictures.split(1)) if isinstance(pictures, Tensor) else list(pictures)
    if titles is not None and len(titles) != len(batch):
        raise UserError(f"{len(titles)} titles for {len(batch)} pictures; give one for each")
    columns = columns or min(len(batch), 5)
    rows = -(-len(batch) // columns)
    shape = batch[0].shape[-2] / batch[0].shape[-1]
    lines = max(title.count("\n") + 1 for title in titles) if titles else 0
    above = 0.15 * lines + (0.15 if lines else 0)
    figure = Figure(figsize=(width, rows * (width / columns * shape + above)), layout="constrained")
    for number, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if number < len(batch):
            few = max(batch[number].shape[-2:]) < 64  # whose pixels are to be seen
            axes.imshow(images.to_pil(batch[number]), interpolation="nearest" if few else "hanning")
            axes.set_title(titles[number] if titles else "", fontsize=9)
            axes.set_anchor("S" if lines > 1 else "C")  # the room for the second line is above
    return figure


def heat(values: Tensor, most: float | None = None) -> Tensor:
    """A map of numbers from 0 up (1 x 1 x H x W) as a picture: black is 0, the brightest `most`, or the largest number."""
    shares = (values / (values.amax().clamp(min=1e-30) if most is None else most)).clamp(0, 1)[0, 0]
    colours = colormaps["magma"](shares.detach().cpu().numpy())[..., :3]
    return torch.from_numpy(colours).permute(2, 0, 1)[None].to(values)


def losses(history: Mapping[str, Any]) -> Figure:
    """The losses of a run over its steps, one panel a loss, with the scales marked; a curve for each network that it had."""
    figure = Figure(figsize=(9, 2.4), layout="constrained")
    steps, own = history["steps"], history.get("backbone", "")
    networks = list(dict.fromkeys(row.get("backbone", own) for row in steps))  # losses of two networks have different units
    for number, (axes, name) in enumerate(zip(figure.subplots(1, 3), ("content", "style", "total"), strict=True)):
        for backbone in networks:
            rows = [row for row in steps if row.get("backbone", own) == backbone]
            own_look = look(number if backbone == own else number + 3)  # a draft's has another colour
            axes.plot([row["step"] for row in rows], [row[name] for row in rows], label=backbone, **own_look)
        if len(networks) > 1:
            axes.legend(fontsize=8)
        axes.set(title=name, xlabel="step", yscale="log")
        for before, after in pairwise(steps):
            if before["size"] != after["size"]:
                axes.axvline(after["step"], color="0.7", linewidth=0.8)
    return figure


def look(number: int) -> dict[str, Any]:
    """Colour and dashes of a curve."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}


def compare(
    histories: Mapping[str, Mapping[str, Any]], name: str = "total", against: str = "seconds", width: float = 6
) -> Figure:
    """One loss of several runs, by their labels, over the seconds or the steps; of a run with a draft the steps after it.
    Losses of different networks have different units: they are refused unless every label names its own."""
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
        rows = [row for row in history["steps"] if "backbone" not in row]
        axes.plot([row[against] for row in rows], [row[name] for row in rows], label=label, **look(number))
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
    xlabel: str = "",
    at: Sequence[float] = (),
) -> Figure:
    """One number for each of `ticks` (layers, for instance): a line a curve; `mark` is a threshold, drawn in grey. The ticks
    stand side by side, or `at` the numbers that they name."""
    figure = Figure(figsize=(width, 3), layout="constrained")
    axes = figure.subplots()
    for number, (label, values) in enumerate(curves.items()):
        axes.plot(at or range(len(ticks)), values, marker="o", label=label, **look(number))
    if mark is not None:
        axes.axhline(mark, color="0.5", linewidth=0.8)
    axes.set_xticks(at or range(len(ticks)), ticks)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend(fontsize=8)
    return figure


def anchors(shares: Mapping[str, Sequence[float]], heads: Sequence[str], width: float = 9) -> Figure:
    """Pictures on several measures, a row each, on a scale from 0 (one anchor) to 1 (the other), both marked."""
    figure = Figure(figsize=(width, 0.4 * len(heads) + 1), layout="constrained")
    axes = figure.subplots()
    for number, (name, row) in enumerate(shares.items()):
        axes.plot(row, range(len(heads)), "osD^vP"[number % 6], color=COLOURS[number % 6], label=name, alpha=0.8)
    for anchor in (0, 1):
        axes.axvline(anchor, color="0.5", linewidth=0.8)
    axes.set_yticks(range(len(heads)), heads)
    axes.set(xlabel="0: untouched photograph, 1: part of the artwork")
    axes.invert_yaxis()
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def votes(given: np.ndarray, pictures: Mapping[str, Tensor], note: str = "") -> Figure:
    """Document C's figure 4: pictures, and below each its ratings (raters x pictures), with mean and standard deviation."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, len(pictures), height_ratios=(1, 1.5))
    for number, (name, picture) in enumerate(pictures.items()):
        axes = figure.add_subplot(grid[0, number])
        axes.imshow(images.to_pil(picture))
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    axes = figure.add_subplot(grid[1, :])
    for place, one in zip(np.linspace(-0.3, 0.3, len(given)), given, strict=True):
        axes.plot(np.arange(len(one)) + place, one, "o", color=COLOURS[5], markersize=6)
    mean, spread = np.nanmean(given, 0), np.nanstd(given, 0)
    axes.errorbar(range(len(mean)), mean, spread, fmt="D", color=COLOURS[4], capsize=6)
    axes.set_xticks(range(len(mean)), [f"{m:.1f} ± {s:.1f}" for m, s in zip(mean, spread, strict=True)])
    axes.set(xlim=(-0.5, len(mean) - 0.5), xlabel="mean ± standard deviation", ylabel=f"rating by {len(given)} people")
    axes.set_title(note)
    return figure


def transform_plan(p: Tensor, painted: Tensor, a: Tensor) -> Figure:
    """Document A's figure 6: the painter between two pictures, and the network that judges what it painted."""
    figure = Figure(figsize=(10, 3.6))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 10), ylim=(0, 3.6))
    axes.set_axis_off()
    for picture, left, bottom, words in ((p, 0.1, 1.3, "p"), (painted, 3.9, 1.3, "x = f(p)"), (a, 8.6, 2.5, "a")):
        height = 1.3 * picture.shape[-2] / picture.shape[-1]
        axes.imshow(images.to_pil(picture), extent=(left, left + 1.3, bottom, bottom + height), aspect="auto")
        axes.text(left - 0.2 if picture is a else left, bottom + (0.5 if picture is a else height + 0.07), words, fontsize=10)
    boxes = {
        (1.75, 1.45, 1.8, 0.75): "transform network f\ndown, residual, up\nis trained",
        (5.6, 1.45, 1.9, 0.75): "loss network\nrelu1_1 to relu5_1\nstays as it is",
        (8.0, 1.75, 1.8, 0.45): "style loss: Gram\nmatrices of a",
        (8.0, 0.55, 1.8, 0.45): "content loss:\nactivations of p",
    }
    for number, ((left, bottom, wide, high), words) in enumerate(boxes.items()):
        face = COLOURS[1] if not number else "0.9"
        axes.add_artist(Rectangle((left, bottom), wide, high, facecolor=face, edgecolor="0.3"))
        axes.text(left + wide / 2, bottom + high / 2, words, fontsize=9, ha="center", va="center")
    ways = [((1.4, 1.8), (1.75, 1.8)), ((3.55, 1.8), (3.9, 1.8)), ((5.2, 1.8), (5.6, 1.8)), ((7.5, 1.95), (8, 1.95))]
    ways += [((7.5, 1.6), (8, 0.9)), ((9.2, 2.5), (9.2, 2.2)), ((0.75, 0.7), (8, 0.7))]
    for begin, end in ways:
        axes.annotate("", end, begin, arrowprops={"arrowstyle": "->"})
    axes.plot([0.75, 0.75], [0.7, 1.3], color="black", linewidth=1)
    way = {"arrowstyle": "->", "linestyle": "--", "connectionstyle": "angle,angleA=180,angleB=90"}
    axes.annotate("", (2.65, 1.45), (8.9, 0.55), arrowprops=way | {"color": COLOURS[4]})
    axes.text(4.6, 0.25, "the gradient goes back to the weights of f alone", fontsize=9, color=COLOURS[4])
    return figure


def plane(
    points: Mapping[tuple[str, float], tuple[float, float]],
    xlabel: str,
    ylabel: str,
    rings: Sequence[tuple[str, float]] = (),
    mark: tuple[str, float] | None = None,
    picture: Tensor | None = None,
) -> Figure:
    """Runs, by a letter and a number each, as points of two losses on logarithmic axes: a line a letter, in the order of the
    numbers, which stand at the last letter's. `rings` and `mark` name runs to stand out; `picture` is shown beside."""
    figure = Figure(figsize=(10, 3.8) if picture is not None else (7.5, 4.6), layout="constrained")
    axes = figure.subplots(1, 2)[1] if picture is not None else figure.subplots()
    if picture is not None:
        figure.axes[0].imshow(images.to_pil(picture))
        figure.axes[0].set_axis_off()
    letters = list(dict.fromkeys(letter for letter, _ in points))
    for number, letter in enumerate(letters):
        own = sorted(at for at in points if at[0] == letter)
        dots = look(number) | {"marker": f"${letter}$", "markersize": 7, "linewidth": 0.8}
        axes.plot(*zip(*map(points.get, own), strict=True), **dots)
    for at in (at for at in points if at[0] == letters[-1]):
        axes.annotate(f"{at[1]:g}", points[at], (-5, -11), textcoords="offset points", ha="right", fontsize=8)
    for at in rings:
        axes.plot(*points[at], "o", markersize=13, fillstyle="none", color="0.55", linewidth=0.8)
    if mark:
        axes.plot(*points[mark], "s", markersize=18, fillstyle="none", color="black")
    axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    axes.margins(0.12)
    for axis in (axes.xaxis, axes.yaxis):  # plain numbers, as many as have room
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1,) if high > 300 * low else (1, 2, 5) if high > 8 * low else range(1, 10)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    return figure


def signed(
    maps: Sequence[Tensor], titles: Sequence[str], columns: int | None = None, width: float = 9, numbers: bool = False
) -> Figure:
    """Maps H x W in blue below zero, white at zero and red above; with each value written into its square, if asked for."""
    columns = columns or len(maps)
    rows = [maps[k : k + columns] for k in range(0, len(maps), columns)]
    heights = [width / columns * max(one.shape[0] / one.shape[1] for one in row) + 0.3 for row in rows]
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    for axes in figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights).flat:
        axes.set_axis_off()
    for axes, values, title in zip(figure.axes, maps, titles, strict=False):
        values = values.detach().cpu().float()
        most = max(float(values.abs().max()), 1e-12) * (1.8 if numbers else 1)
        axes.imshow(values.numpy(), cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
        axes.set_title(title, fontsize=9)
        for place, value in enumerate(values.flatten().tolist() if numbers else ()):
            axes.text(place % values.shape[1], place // values.shape[1], f"{value:g}", ha="center", va="center")
    return figure


def strips(rows: Mapping[str, Sequence[Tensor]], heads: Sequence[str], width: float = 9) -> Figure:
    """A row for each label: batches of small pictures, each batch a strip under its head."""
    figure = Figure(layout="constrained")
    high = 0.3
    for panels, (label, batches) in zip(figure.subplots(len(rows), len(heads), squeeze=False), rows.items(), strict=True):
        for axes, batch in zip(panels, batches, strict=True):
            strip = torch.cat([*torch.nn.functional.pad(batch, (1, 1, 1, 1), value=1.0)], -1)
            axes.imshow(images.to_pil(strip), interpolation="bicubic")
            axes.set(xticks=[], yticks=[], frame_on=False)
        panels[0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center")
        high += width / len(heads) * max(batch.shape[-2] / (batch.shape[-1] * len(batch)) for batch in batches)
    for axes, head in zip(figure.axes, heads, strict=False):
        axes.set_title(head, fontsize=9)
    figure.set_size_inches(width, high)
    return figure


def frame(figure: Figure, squares: Mapping[str, tuple[float, float, float]], number: int = 0) -> Figure:
    """The same figure with squares (left, top, side, in pixels) drawn on picture `number`, each in its colour."""
    axes = figure.axes[number]
    for place, (label, (left, top, side)) in enumerate(squares.items()):
        colour = COLOURS[place % len(COLOURS)]
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), side, side, edgecolor=colour, fill=False, linewidth=2, label=label))
    if len(squares) > 1:
        axes.legend(fontsize=8, loc="upper right")
    return figure


def present(figure: Figure, words: str, also: Mapping[str, Any] | None = None, **made: Any) -> None:
    """Show a figure in a notebook with `words` as its description, and below it the same words and how it was made
    (backbone, size, steps, seconds …); `also` has other forms of it, for instance a live one."""
    _display({**(also or {}), "image/jpeg": encoded(figure)}, words, f"*{words}* {caption(**made)}")


def film(frames: Sequence[Tensor], words: str, enlarged: int = 3, **made: Any) -> None:
    """Show pictures as an animation in a notebook, enlarged, with its description."""
    data, pictures = io.BytesIO(), [images.to_pil(frame) for frame in frames]
    pictures[0].save(data, "GIF", save_all=True, append_images=pictures[1:], duration=150, loop=0)
    source = f"data:image/gif;base64,{base64.b64encode(data.getvalue()).decode()}"
    tag = f'<img alt="{html.escape(words)}" width="{enlarged * pictures[0].width}" src="{source}">'
    _display({"text/html": tag}, words, f"*{words}* {caption(**made)}")


def reference(lesson: str) -> None:
    """Show the stored figure of a lesson, made by the real network at 512 px, with the commands that make it."""
    folder = data_folder() / "reference"
    told = json.loads((folder / f"{lesson}.json").read_text(encoding="utf-8"))
    runs = [f"{run['title']} {caption(seconds=run['seconds'])}:\n\n```\n{run['command']}\n```" for run in told["runs"]]
    head = f"*{told['words']}.* Stored, made with `vgg16-hed`; left to right:"
    below = "\n\n".join([head, *runs, told.get("table", "")])
    _display({"image/jpeg": (folder / f"{lesson}.jpg").read_bytes()}, told["words"], below)


def _display(forms: Mapping[str, Any], words: str, below: str) -> None:
    from IPython.display import Markdown, display  # only notebooks have a display

    alt = {"image/jpeg": {"alt": words}} if "image/jpeg" in forms else None
    display({**forms, "text/plain": words}, raw=True, metadata=alt)
    display(Markdown(below))


def encoded(figure: Figure, kind: str = "jpeg", dpi: int = 100) -> bytes:
    """A figure as the bytes of a JPEG or a PNG."""
    data = io.BytesIO()
    small = {"quality": 76, "optimize": True, "progressive": True} if kind == "jpeg" else None
    figure.savefig(data, format=kind, dpi=dpi, pil_kwargs=small)
    return data.getvalue()


def caption(**made: Any) -> str:
    """How a figure was made, in words: `backbone classroom, 128 px, 300 steps, 9.1 s`."""
    units = {"size": "{} px", "steps": "{} steps", "seconds": "{:.1f} s" if made.get("seconds", 1) >= 1 else "{:.3f} s"}
    parts = [units.get(name, f"{name} {{}}").format(value) for name, value in made.items()]
    return f"({', '.join(parts)})" if parts else ""
