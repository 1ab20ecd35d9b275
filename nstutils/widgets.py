"""Explorers for the lessons: a thin shell of sliders and menus over a pure function that draws a figure.

Each also shows a still figure first, so that a reader without a running kernel sees one.
"""

import io
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from nstutils import plots

Draw = Callable[..., Figure]


def explore(draw: Draw, words: str, **controls: Sequence[Any]) -> ipywidgets.VBox:
    """Menus for the arguments of `draw`, each a list of choices with the first one chosen; the figure follows them.

    The figure for the first choices is shown at once as a picture with `words` as its description.
    """
    menus = {
        name: ipywidgets.SelectionSlider(
            options=[(str(choice), choice) for choice in choices],
            description=name.replace("_", " "),
            continuous_update=False,
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="min(100%, 480px)"),
        )
        for name, choices in controls.items()
    }
    plots.present(draw(**{name: choices[0] for name, choices in controls.items()}), words)
    picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))
    told = ipywidgets.HTML()

    def redraw(_: Any = None) -> None:
        chosen = {name: menu.value for name, menu in menus.items()}
        try:
            picture.value = png(draw(**chosen))
            told.value = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())
        except (ValueError, KeyError) as error:
            told.value = f"This choice cannot be drawn: {error}"

    for menu in menus.values():
        menu.observe(redraw, names="value")
    box = ipywidgets.VBox([*menus.values(), told, picture])
    redraw()
    return box


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=80)
    return data.getvalue()
