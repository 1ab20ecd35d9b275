"""Sliders over a function that draws, a look at a run as it goes, a rating sheet; without a kernel they are still figures."""

import html
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets
from matplotlib.figure import Figure
from torch import Tensor

from nstutils import images
from nstutils.course import plots, ratings
from nstutils.descent import Step
from nstutils.library import files


def explore(draw: Callable[..., Figure], words: str, **controls: Sequence[Any]) -> None:
    """Show sliders for the arguments of `draw`, each over a list of choices with the first one chosen; the figure follows. A
    page without a kernel shows a still figure of the first choices, described by `words`."""
    first = draw(**{name: choices[0] for name, choices in controls.items()})
    plots.present(first, words, also=live(sliders(draw, controls)))


def live(widget: ipywidgets.Widget) -> dict[str, Any]:
    """What a front end shows a widget by; version 7 of ipywidgets, as Colab has it, does not tell."""
    return {"application/vnd.jupyter.widget-view+json": {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def menu(name: str, choices: Sequence[Any]) -> ipywidgets.SelectionSlider:
    """A slider over choices, at the first of them; numbers rise from left to right."""
    numbers = all(isinstance(choice, int | float) for choice in choices)
    return ipywidgets.SelectionSlider(
        options=[(str(choice), choice) for choice in (sorted(choices) if numbers else choices)],
        value=choices[0],
        description=name.replace("_", " "),
        continuous_update=False,
        style={"description_width": "initial"},
        layout={"width": "min(100%, 480px)"},
    )


def sliders(draw: Callable[..., Figure], controls: Mapping[str, Sequence[Any]]) -> ipywidgets.VBox:
    """The sliders, what they stand at in words, and the figure."""
    menus = {name: menu(name, choices) for name, choices in controls.items()}
    picture = ipywidgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
    told = ipywidgets.HTML()

    def redraw(_: Any = None) -> None:
        chosen = {name: slider.value for name, slider in menus.items()}
        try:
            picture.value = plots.encoded(draw(**chosen), "png", 80)
            told.value = ", ".join(f"{slider.description} {slider.value}" for slider in menus.values())
        except Exception as error:  # a front end shows no traceback of a slider
            told.value = f"This choice cannot be drawn: {html.escape(files.reason(error))}"

    for slider in menus.values():
        slider.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*menus.values(), told, picture])


def preview(steps: int, stop: threading.Event | None = None, every: float = 0.5) -> Callable[[Step], None]:
    """A `watch` for `stylise`: the picture as it comes (at most every `every` seconds, and at the end of `steps`), its loss
    and the time left, in the place of the last. A button sets `stop`, which `stylise` was given too: JupyterLab from 4.4 on
    hears it while a cell runs."""
    from IPython.display import display  # only notebooks have a display

    if stop is not None:
        display(stop_button(stop))
    picture, line = (display({"text/plain": "no step yet"}, raw=True, display_id=True) for _ in range(2))
    count, first, shown = 0, 0.0, 0.0

    def watch(step: Step) -> None:
        nonlocal count, first, shown
        count, now = count + 1, time.perf_counter()
        first = now if count == 1 else first
        left = _left(count, steps, now - first, stop)
        if left.startswith("about") and now - shown < every:
            return
        shown, words = now, f"The picture after step {count} of {steps}"
        told = f"{words}: loss {float(step.total.mean()):.4g}, {left}"
        forms = {"image/jpeg": images.encoded(step.image, ".jpg"), "text/plain": words}
        picture.update(forms, raw=True, metadata={"image/jpeg": {"alt": words, "width": 384}})
        line.update({"text/markdown": f"*{told}*", "text/plain": told}, raw=True)

    return watch


def _left(count: int, steps: int, seconds: float, stop: threading.Event | None) -> str:
    """The time that is left after so many steps in so many seconds, in words."""
    if stop is not None and stop.is_set():
        return "stopped"
    if count >= steps:
        return "done"
    return f"about {seconds / (count - 1) * (steps - count):.0f} s left" if count > 1 else "time left not known yet"


def rate(pictures: Mapping[str, Tensor], path: str, words: str, seed: int = 0) -> None:
    """Show a `rating_sheet`, and for a page without a kernel all its pictures, numbered and described by `words`."""
    numbers = [str(number) for number in range(1, len(pictures) + 1)]
    still = plots.show([pictures[name] for name in ratings.blind(list(pictures), "", seed)], numbers, columns=3)
    plots.present(still, words, also=live(rating_sheet(pictures, path, seed)))


def rating_sheet(pictures: Mapping[str, Tensor], path: str, seed: int = 0) -> ipywidgets.VBox:
    """Pictures one by one, without their names and in an order of each rater's own, to be rated into a CSV; the keys Tab and
    space are enough. Every rating is kept at once: who begins again under the same word goes on."""
    word = ipywidgets.Text(description="rater", placeholder="a name, or a word that you will know again")
    begin, keep = (ipywidgets.Button(description=text, disabled=text == "Keep") for text in ("Begin", "Keep"))
    numbers, narrow = range(ratings.LEAST, ratings.MOST + 1), {"button_width": "3em"}
    rating = ipywidgets.ToggleButtons(options=numbers, value=None, description="rating", style=narrow)
    blank = images.encoded(next(iter(pictures.values())).new_full((1, 3, 192, 256), 0.9), ".jpg")  # none is a broken picture
    picture = ipywidgets.Image(value=blank, format="jpeg", layout={"width": "min(100%, 384px)", "align_self": "flex-start"})
    told, left, known = ipywidgets.HTML("Who rates? No name is kept, only a code made of it."), [""], {""}

    def ask(who: str, before: str = "") -> None:
        done = {picture for rater, picture in ratings.read(path) if rater == who} if Path(path).exists() else set()
        left[:] = [who, *(name for name in ratings.blind(list(pictures), who, seed) if name not in done)]
        if done and who not in known:
            left[1:] = []
            told.value = f"This name has rated {len(done)} already: if that was you, press Begin again; else add to the name."
        elif left[1:]:
            picture.value = images.encoded(pictures[left[1]], ".jpg")
            told.value = f"{before}Picture {len(pictures) - len(left) + 2} of {len(pictures)}: {ratings.MOST} is best."
        else:
            told.value, word.value, picture.value = f"{before}All rated, thank you. Who is next?", "", blank
            word.focus()  # the button that had it is off now
        known.add(who)
        rating.value, keep.disabled = None, not left[1:]

    def kept() -> None:
        if rating.value is None:
            told.value = "Choose a number first."
        else:
            ratings.add(path, left[0], left[1], rating.value)
            ask(left[0], "Kept. ")

    begin.on_click(lambda _: _told(told, lambda: ask(ratings.code(word.value))))
    keep.on_click(lambda _: _told(told, kept))
    return ipywidgets.VBox([ipywidgets.HBox([word, begin]), picture, told, rating, keep])


def _told(line: ipywidgets.HTML, act: Callable[[], None]) -> None:
    """Do what a button asks for; an error is told in the line, since a front end shows no traceback."""
    try:
        act()
    except Exception as error:
        line.value = f"Not done: {html.escape(files.reason(error))}"


def stop_button(stop: threading.Event) -> ipywidgets.Button:
    """A button that sets the event, and does nothing else: it is heard on another thread than the one that computes."""
    button = ipywidgets.Button(description="Stop", tooltip="End the run and keep the picture so far")
    button.on_click(lambda _: stop.set())
    # ipykernel 7.4 hands a message on to the shell that made the widget, which is busy computing; it forgets that with this
    vars(button.comm).pop("_reply_subshell_id", None)
    return button
