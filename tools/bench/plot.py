"""The benchmark's picture: speed over size, and loss over time."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from rows import DEFAULT, FINER, curves_of, envelope, panels

from nstutils.course.plots import COLOURS, DASHES

Curves = dict[str, Sequence[Sequence[float]]]


def figure(data: Mapping[str, Any]) -> Figure:
    """Steps per second over the size, then the loss over the wall time, a panel a network and size."""
    wanted = panels(data)
    columns = min(3, 1 + len(wanted))
    rows = -(-(1 + len(wanted)) // columns)
    whole = Figure(figsize=(4.5 * columns, 3.6 * rows), layout="constrained")
    first, *others = whole.subplots(rows, columns, squeeze=False).flat
    draw_speed(first, data)
    for axes, (network, size) in zip(others, wanted, strict=False):
        draw_loss(axes, merged(curves_of(data, network, size)), data["programs"])
        axes.set(xlabel="seconds", ylabel="loss (float32)", xscale="log", yscale="log", title=f"{network}, {size} px")
        axes.xaxis.set_minor_formatter(NullFormatter())
    for axes in others[len(wanted) :]:
        axes.set_axis_off()
    return whole


def look(number: int) -> dict[str, Any]:
    """Colour and dashes of a line."""
    return {"color": COLOURS[number % 6], "linestyle": DASHES[number % 6]}


def draw_speed(axes: Axes, data: Mapping[str, Any]) -> None:
    """Steps per second over the size, a line a program."""
    for number, program in enumerate(data["programs"]):
        rows = [row for row in data["runs"] if row["program"] == program and row.get("step") and not row["limited"]]
        speeds = [1 / row["step"] for row in rows]
        axes.plot([row["size"] for row in rows], speeds, label=program, marker="o", markersize=3, **look(number))
    axes.set(xlabel="long side in pixels", ylabel="steps per second", xscale="log", yscale="log", title="speed")
    axes.set_xticks(data["sizes"], [str(size) for size in data["sizes"]])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom=axes.get_ylim()[0] / 6)  # room for the legend
    axes.legend(fontsize=7, loc="lower left")


def draw_loss(axes: Axes, curves: Curves, programs: Sequence[str]) -> None:
    """The loss over the time, a line a program; a peer has the colour that it has among the speeds."""
    for number, (program, points) in enumerate(curves.items()):
        style = look(number if program.startswith("ours") else programs.index(program))
        axes.plot([point[0] for point in points], [point[1] for point in points], label=program, **style)
    if curves:
        axes.legend(fontsize=7, loc="upper right")


def merged(curves: Curves) -> Curves:
    """The curves of the default with different numbers of steps as one: the best that any has reached by then."""
    found: Curves = {}
    for name in (DEFAULT, FINER):
        ours = [points for program, points in curves.items() if program.startswith(name)]
        found |= {f"{name}: best of its step counts": envelope(ours)} if ours else {}
    return found | {program: points for program, points in curves.items() if not program.startswith((DEFAULT, FINER))}
