"""Explorers for the lessons: sliders over a pure function that draws a figure or makes a picture, and a look at a run as it
goes; where no kernel runs, a reader sees a still figure in their place."""

import html
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure
from torch import Tensor

from nstutils import images
from nstutils.backbones import STYLE_LAYERS
from nstutils.course import plots
from nstutils.descent import Step
from nstutils.library import files
from nstutils.library.settings import settings
from nstutils.results import Result
from nstutils.runs.resolve import Picture
from nstutils.transfer import stylise

Draw = Callable[..., Figure]
Run = Callable[..., Result]
UNDER_WAY: set[threading.Event] = set()  # the Stops of the runs that compute: a cell run again has lost its button
RATIOS = (1e-3, 1e-5, 1e-4, 3e-4, 3e-3, 1e-2)  # of alpha and beta, to choose from, the first to begin with


def explore(draw: Draw, words: str, **controls: Sequence[Any]) -> None:
    """Show sliders for the arguments of `draw`, each over a list of choices with the first one chosen; the figure follows. A
    page without a kernel shows a still figure of the first choices, described by `words`."""
    box = sliders(draw, controls)
    first = draw(**{name: choices[0] for name, choices in controls.items()})
    plots.present(first, words, also=box._repr_mimebundle_())


def menus(controls: Mapping[str, Sequence[Any]]) -> dict[str, ipywidgets.SelectionSlider]:
    """A slider for each name, over its choices, at the first of them; numbers rise from left to right."""
    made = {}
    for name, choices in controls.items():
        numbers = all(isinstance(choice, int | float) for choice in choices)
        made[name] = ipywidgets.SelectionSlider(
            options=[(str(choice), choice) for choice in (sorted(choices) if numbers else choices)],
            value=choices[0],
            description=name.replace("_", " "),
            continuous_update=False,
            style={"description_width": "initial"},
            layout=ipywidgets.Layout(width="min(100%, 480px)"),
        )
    return made


def sliders(draw: Draw, controls: Mapping[str, Sequence[Any]]) -> ipywidgets.VBox:
    """The sliders, what they stand at in words, and the figure."""
    choices = menus(controls)
    picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%", align_self="flex-start"))
    told = ipywidgets.HTML()

    def redraw(_: Any = None) -> None:
        chosen = {name: menu.value for name, menu in choices.items()}
        try:
            picture.value = plots.encoded(draw(**chosen), "png", 80)
            told.value = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())
        except Exception as error:  # a front end shows no traceback of a slider
            told.value = f"This choice cannot be drawn: {html.escape(files.reason(error))}"

    for menu in choices.values():
        menu.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*choices.values(), told, picture])


def live(
    content: Picture, style: Picture, still: Tensor, words: str, *, ratios: Sequence[float] = RATIOS, **options: Any
) -> None:
    """Choose α/β and how many of the style layers, press Start and watch `stylise` (with `options`) make the picture; Stop
    ends it. A page without a kernel shows `still`, which such a run made, described by `words`."""
    chosen = settings(options.get("preset"), options.get("backbone"))
    family = "squeezenet" if chosen.backbone == "squeezenet" else "vgg"
    layers = list(options.get("style_layers") or STYLE_LAYERS[family])

    def run(alpha_over_beta: float, style_layers: int, **watched: Any) -> Result:
        weights = {"beta": options.get("alpha", 1.0) / alpha_over_beta, "style_layers": layers[:style_layers]}
        return stylise(content, style, **options | weights, **watched)

    controls = {"alpha_over_beta": ratios, "style_layers": range(len(layers), 0, -1)}
    box = started(run, still, controls, options.get("steps") or chosen.steps)
    made = {"backbone": chosen.backbone, "size": max(still.shape[-2:])}
    plots.present(plots.show([still], width=4), words, also=box._repr_mimebundle_(), **made)


def started(run: Run, still: Tensor, controls: Mapping[str, Sequence[Any]], steps: int) -> ipywidgets.VBox:
    """Sliders for the arguments of `run`, Start, Stop, a line of words, and the picture, `still` until a run begins. `run`
    is also given `watch` and `stop`, and a thread of its own, so that the kernel hears Stop; runs of earlier cells are
    stopped."""
    for earlier in tuple(UNDER_WAY):
        earlier.set()
    choices, stop, busy = menus(controls), threading.Event(), threading.Lock()
    picture = ipywidgets.Image(format="jpeg", layout=ipywidgets.Layout(width="min(100%, 384px)", align_self="flex-start"))
    picture.value, told = images.encoded(still, ".jpg"), ipywidgets.HTML("Start makes a picture with these choices.")

    def show(image: Tensor, words: str) -> None:
        picture.value, told.value = images.encoded(image, ".jpg"), words

    def compute(chosen: Mapping[str, Any]) -> None:
        try:
            result = run(**chosen, watch=watcher(show, steps, stop), stop=stop)
            made = plots.caption(backbone=result.card.get("backbone"), size=max(result.image.shape[-2:]))
            show(result.image, f"{told.value} {made}")
        except Exception as error:  # a thread has nobody else to tell
            told.value = f"This run ended early: {html.escape(files.reason(error))}."
        finally:
            UNDER_WAY.discard(stop)
            busy.release()

    def begin(_: Any) -> None:
        if not busy.acquire(blocking=False):
            told.value = "A run is under way: stop it before you start another."
            return
        stop.clear()
        UNDER_WAY.add(stop)
        told.value = "Measuring the two pictures."
        threading.Thread(target=compute, args=({name: menu.value for name, menu in choices.items()},), daemon=True).start()

    start = ipywidgets.Button(description="Start", tooltip="Make a picture with these choices", button_style="primary")
    start.on_click(begin)
    for widget in (start, *choices.values()):
        hear(widget)
    return ipywidgets.VBox([*choices.values(), ipywidgets.HBox([start, stop_button(stop)]), told, picture])


def watcher(
    show: Callable[[Tensor, str], None], steps: int, stop: threading.Event | None = None, every: float = 0.5
) -> Callable[[Step], None]:
    """A `watch` that shows the picture and, in words, the step, its loss and the time left: at the first step, at the end, and
    every so many seconds between."""
    count, first, shown = 0, 0.0, 0.0

    def watch(step: Step) -> None:
        nonlocal count, first, shown
        count, now = count + 1, time.perf_counter()
        first = now if count == 1 else first
        if stop is not None and stop.is_set():
            left = "stopped"
        elif count >= steps:
            left = "done"
        elif count == 1:
            left = "time left not known yet"
        elif now - shown >= every:
            left = f"about {(now - first) / (count - 1) * (steps - count):.0f} s left"
        else:
            return
        shown = now
        show(step.image, f"The picture after step {count} of {steps}: loss {float(step.total.mean()):.4g}, {left}")

    return watch


def preview(steps: int, stop: threading.Event | None = None, every: float = 0.5) -> Callable[[Step], None]:
    """A `watch` for `stylise`: the picture as it comes (at most every `every` seconds, and at the end of `steps`), its loss
    and the time left, in the place of the last. A button sets `stop`, which `stylise` was given too: JupyterLab from 4.4 on
    hears it while a cell runs."""
    from IPython.display import display  # only notebooks have a display

    if stop is not None:
        display(stop_button(stop))
    picture, line = (display({"text/plain": "no step yet"}, raw=True, display_id=True) for _ in range(2))

    def show(image: Tensor, told: str) -> None:
        words = told.partition(":")[0]
        forms = {"image/jpeg": images.encoded(image, ".jpg"), "text/plain": words}
        picture.update(forms, raw=True, metadata={"image/jpeg": {"alt": words, "width": 384}})
        line.update({"text/markdown": f"*{told}*", "text/plain": told}, raw=True)

    return watcher(show, steps, stop, every)


def stop_button(stop: threading.Event) -> ipywidgets.Button:
    """A button that sets the event, and does nothing else: it is heard on another thread than the one that computes."""
    button = ipywidgets.Button(description="Stop", tooltip="End the run and keep the picture so far")
    button.on_click(lambda _: stop.set())
    hear(button)
    return button


def hear(widget: ipywidgets.Widget) -> None:
    """Let a widget be heard while a cell computes, where the front end sends its messages to a subshell (JupyterLab from 4.4).

    ipykernel 7.4 hands a message on to the shell that made the widget, which is busy computing; it forgets that with this.
    """
    vars(widget.comm).pop("_reply_subshell_id", None)
