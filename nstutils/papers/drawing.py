"""How the documents' figures are drawn: boards of pictures with titles and captions, curves below them, a line above them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nstutils import images
from nstutils.course.plots import look
from nstutils.papers.rows import Case

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]
Column = tuple[str, str | Callable[[Case], Tensor], str]  # title, a run's label or a picture of the case, caption
Drawing = Callable[[Sequence[Case]], Figure]

PHOTOGRAPH: Column = ("photograph", lambda case: case.p, "")
STYLE: Column = ("style", lambda case: case.covering, "")
METHODS = {"lbfgs": "L-BFGS", "adam": "Adam", "sgd": "SGD"}
LEFT = "content {content left:.0%}, style {style left:.0%}"
ENDED = "content {run.history[final][content]:.3g}, style {run.history[final][style]:.3g}"


def board(
    rows: Sequence[Sequence[Tensor | None]],
    columns: Sequence[str] = (),
    names: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    width: float = 9,
    under: float = 0,
) -> Figure:
    """Pictures in rows, None for an empty place: titles above the columns, names before the rows, captions below pictures;
    and so many inches `under` them for `curves`."""
    across = max(len(row) for row in rows)
    side = (width - 0.3 * bool(names)) / across
    shapes = [max(x.shape[-2] / x.shape[-1] for x in row if x is not None) for row in rows]
    heights = [side * shape + (0.2 if captions else 0.04) for shape in shapes]
    figure = Figure(figsize=(width, sum(heights) + 0.3 * bool(columns) + under))
    figure.set_layout_engine("constrained", h_pad=0.02, w_pad=0.02, hspace=0, wspace=0)
    place: Any = figure
    if under:
        figure.subfigures(2, 1, height_ratios=(figure.get_figheight() - under, under))
        place = figure.subfigs[0]
    grid = place.subplots(len(rows), across, squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, row in zip(grid, rows, strict=True):
        for axes, image in itertools.zip_longest(line, row):
            _picture(axes, image)
    for axes, title in zip(grid[0], columns, strict=False):
        axes.set_title(title, fontsize=9)
    for axes, name in zip(grid[:, 0], names, strict=False):
        axes.set_ylabel(name, fontsize=9)
    for line, said in zip(grid, captions, strict=False):
        for axes, caption in zip(line, said, strict=False):
            axes.set_xlabel(caption, fontsize=8)
    return figure


def _picture(axes: Axes, image: Tensor | None) -> None:
    """One picture without ticks, in a thin frame, so that a white one is seen; nothing for None."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="0.8", linewidth=0.5)
    if image is None:
        axes.set_axis_off()
    else:
        axes.imshow(images.to_pil(image))


def curves(
    figure: Figure, lines: Curves, xlabel: str, ylabel: str, ticks: Sequence[str] = (), log: bool = False, **more: Any
) -> Figure:
    """A `board` with room under its pictures, and lines there (the last axes); `ticks` name the places along x."""
    axes = figure.subfigs[1].subplots()
    for number, (label, (xs, ys)) in enumerate(lines.items()):
        axes.plot(xs, ys, label=label, **look(number), **more)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    if ticks:
        axes.set_xticks(range(len(ticks)), ticks)
    return figure


def table(
    *columns: Column, name: Callable[[Case], str] | None = None, width: float = 9, under: float = 0, most: int = 99
) -> Drawing:
    """A drawing with a row for each pair (at most so many), named by `name`, and a column for each picture of a case."""

    def draw(cases: Sequence[Case]) -> Figure:
        shown = per_pair(cases)[:most]
        rows = [[case.image(x) if isinstance(x, str) else x(case) for _, x, _ in columns] for case in shown]
        captions = [[said(caption, case, x) for _, x, caption in columns] for case in shown]
        titles = [said(title, shown[0], x) for title, x, _ in columns]
        names = [name(case) for case in shown] if name else ()
        return board(rows, titles, names, captions if any(map(any, captions)) else (), width, under)

    return draw


def said(words: str, case: Case, run: Any = "") -> str:
    """Words about a case: in braces its numbers, itself as `case`, and its run of this label as `run`."""
    return words.format_map({**case.numbers, "case": case, "run": case.results.get(run)})


def per_pair(cases: Sequence[Case]) -> list[Case]:
    """The first case of each pair of pictures."""
    return [next(group) for _, group in itertools.groupby(cases, named)]


def named(case: Case) -> str:
    """The pair of a case."""
    return f"{case.content} + {case.style}"


def history(case: Case, label: str, name: str, against: str = "step") -> tuple[list[float], list[float]]:
    """One loss of a run over its steps or seconds."""
    rows = case.results[label].history["steps"]
    return [row[against] for row in rows], [row[name] for row in rows]


def signed(figure: Figure, source: str, cases: Sequence[Case]) -> Figure:
    """The figure with a line above it: whose figure it follows, and the settings that all its runs share."""
    if figure.get_layout_engine():
        parts = [source, *shared(cases)] if cases[0].content else [source]
        figure.set_figheight(figure.get_figheight() + 0.3)
        figure.suptitle(", ".join(parts), x=0.01, ha="left", fontsize=8, color="0.3")
    return figure


def shared(cases: Sequence[Case]) -> list[str]:
    """Backbone, size, steps, and of the other settings what all runs have the same."""
    plan, told = cases[0].plan, [_told(run.card) for case in cases for run in case.results.values() if run.card]
    made = [f"{plan.backbone}, {plan.size} px", *[f"{plan.steps} steps"] * bool(cases[0].results)]
    return made + [words for words in (told or [[]])[0] if all(words in others for others in told)]


def _told(card: Mapping[str, Any]) -> list[str]:
    """The method, layers, style's size and α/β of a run in words."""
    used = card["settings"]
    told = [METHODS[used["method"]] + " coarse to fine" * (len(card.get("kappa_by_size", ())) > 1)]
    for kind, weight in (("content", "alpha"), ("style", "beta")):
        layers = used[f"{kind}_layers"]
        told += [f"{kind} {layers[0]}" + f" to {layers[-1]}" * (len(layers) > 1)] * bool(used[weight])
    told += [f"style {used['style_size']} px"] * bool(used["style_size"])
    return told + ([f"α/β = {used['alpha'] / used['beta']:.0e}"] if used["alpha"] and used["beta"] else [])
