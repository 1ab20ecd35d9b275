"""Explorers for the lessons: a thin shell of sliders over a pure function that draws a figure; and a look at a run as it goes.

Where no kernel runs, a reader sees a still figure in their place.
"""

import io
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

from nstutils import images, plots
from nstutils.optimise import Step

Draw = Callable[..., Figure]


def explore(draw: Draw, words: str, **controls: Sequence[Any]) -> None:
    """Show sliders for the arguments of `draw`, each over a list of choices with the first one chosen; the figure follows.

    One output holds both the sliders and a still figure of the first choices, described by `words`: a running kernel shows
    the one, a page without it the other.
    """
    box = sliders(draw, controls)
    first = draw(**{name: choices[0] for name, choices in controls.items()})
    plots.present(first, words, also=box._repr_mimebundle_())


def sliders(draw: Draw, controls: Mapping[str, Sequence[Any]]) -> ipywidgets.VBox:
    """The sliders, what they stand at in words, and the figure."""
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
    picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%", align_self="flex-start"))
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
    redraw()
    return ipywidgets.VBox([*menus.values(), told, picture])


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=80)
    return data.getvalue()


def preview(steps: int, stop: threading.Event | None = None, every: float = 0.5, width: int = 384) -> Callable[[Step], None]:
    """A `watch` for `stylise`: the picture as it comes, its loss and the time left, put in the place of the last ones.

    `steps` are those of the whole run; a picture is drawn at most every `every` seconds, and at the end. `stop` is the event
    that `stylise` was given too: a button sets it, which JupyterLab from 4.4 on hears while a cell runs (elsewhere interrupt
    the kernel, which does the same).
    """
    from IPython.display import display  # only notebooks have a display

    if stop is not None:
        display(stop_button(stop))
    picture, line = (display({"text/plain": "no step yet"}, raw=True, display_id=True) for _ in range(2))
    count, first, shown = 0, 0.0, 0.0

    def watch(step: Step) -> None:
        nonlocal count, first, shown
        count, now = count + 1, time.perf_counter()
        first = now if count == 1 else first
        stopped = stop is not None and stop.is_set()
        if not (stopped or count in (1, steps) or now - shown >= every):
            return
        shown = now
        left = "stopped" if stopped else time_left(count, steps, now - first)
        words = f"The picture after step {count} of {steps}"
        forms = {"image/jpeg": images.encoded(step.image, ".jpg"), "text/plain": words}
        picture.update(forms, raw=True, metadata={"image/jpeg": {"alt": words, "width": width}})
        told = f"{words}: loss {float(step.total.mean()):.4g}, {left}"
        line.update({"text/markdown": f"*{told}*", "text/plain": told}, raw=True)

    return watch


def stop_button(stop: threading.Event) -> ipywidgets.Button:
    """A button that sets the event, and does nothing else: it is heard on another thread than the one that computes."""
    button = ipywidgets.Button(description="Stop", tooltip="End the run and keep the picture so far")
    button.on_click(lambda _: stop.set())
    # ipykernel 7.4 sends a click to the shell that made the button, which is busy computing, whatever subshell JupyterLab
    # sent it to; it forgets that with this
    vars(button.comm).pop("_reply_subshell_id", None)
    return button


def time_left(done: int, steps: int, seconds: float) -> str:
    """What is left of a run, in words: `seconds` have gone by since the first of the `done` steps."""
    if done >= steps:
        return "done"
    return f"about {seconds / (done - 1) * (steps - done):.0f} s left" if done > 1 else "time left not known yet"
