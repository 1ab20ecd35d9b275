"""Explorers redraw by a pure function, say what they show, and leave a still figure for readers without a kernel; a preview
shows a run in place and never more often than it should."""

import io
import threading
import time
from typing import Any

import ipywidgets
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from matplotlib.figure import Figure
from PIL import Image

from nstutils import images, stylise
from nstutils.course import widgets
from nstutils.descent import Step

LIVE = "application/vnd.jupyter.widget-view+json"


def draw(depth: int, name: str) -> Figure:
    """A figure for some choices, an error for one."""
    if (depth, name) == (2, "b"):
        raise ValueError("there is no such picture")
    figure = Figure(figsize=(1, 1))
    figure.text(0, 0, f"{depth} {name}")
    return figure


def parts(box: ipywidgets.VBox) -> tuple[Any, Any, Any, Any]:
    return tuple(box.children)


def test_moving_a_slider_redraws_the_picture_and_its_words() -> None:
    depth, name, told, picture = parts(widgets.sliders(draw, {"depth": [1, 2], "name": ["a", "b"]}))
    assert picture.value[:8] == b"\x89PNG\r\n\x1a\n"
    assert told.value == "depth 1, name a"
    before = picture.value
    depth.value = 2
    assert told.value == "depth 2, name a"
    assert picture.value != before
    name.value = "b"
    assert told.value == "This choice cannot be drawn: there is no such picture"


def test_numbers_rise_along_a_slider_that_stands_at_the_first_choice() -> None:
    depth, name, *_ = parts(widgets.sliders(draw, {"depth": [3, 1, 4], "name": ["b", "a"]}))
    assert [label for label, _ in depth.options] == ["1", "3", "4"]
    assert depth.value == 3
    assert [label for label, _ in name.options] == ["b", "a"]
    assert name.value == "b"


def test_one_output_holds_the_sliders_and_a_described_still_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[Any, dict]] = []
    monkeypatch.setattr("IPython.display.display", lambda value, **facts: shown.append((value, facts)))
    widgets.explore(draw, "Two words.", depth=[1, 2], name=["a"])
    (forms, facts), _ = shown
    assert {LIVE, "image/jpeg", "text/plain"} <= set(forms)
    assert forms["text/plain"] == "Two words."
    assert facts["metadata"]["image/jpeg"]["alt"] == "Two words."


class Screen:
    """Stands for the display of a notebook: what was shown, and what was put in its place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds_a_step: float = 1.0):
        self.shown: list[Any] = []
        self.updates: list[list[tuple[dict, dict]]] = []
        self.now = 0.0
        self.seconds = seconds_a_step
        monkeypatch.setattr("IPython.display.display", self.display)
        monkeypatch.setattr("nstutils.course.widgets.time.perf_counter", self.clock)

    def clock(self) -> float:
        self.now += self.seconds
        return self.now

    def display(self, value: Any, raw: bool = False, display_id: bool = False) -> Any:
        self.shown.append(value)
        if not display_id:
            return None
        mine: list[tuple[dict, dict]] = []
        self.updates.append(mine)

        class Handle:
            def update(self, forms: dict, raw: bool = False, metadata: dict | None = None) -> None:
                assert raw
                mine.append((forms, metadata or {}))

        return Handle()

    @property
    def lines(self) -> list[str]:
        return [forms["text/plain"] for forms, _ in self.updates[1]]


def step(value: float = 3.0) -> Step:
    x = torch.full((1, 3, 8, 12), 0.5)
    return Step(1, {}, torch.tensor([value]), x, x, "", dict)


def test_a_preview_puts_picture_loss_and_time_left_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    watch = widgets.preview(4)
    for value in (8.0, 4.0, 2.0, 1.0):
        watch(step(value))
    assert len(screen.shown) == 2
    assert screen.lines == [
        "The picture after step 1 of 4: loss 8, time left not known yet",
        "The picture after step 2 of 4: loss 4, about 2 s left",
        "The picture after step 3 of 4: loss 2, about 1 s left",
        "The picture after step 4 of 4: loss 1, done",
    ]
    forms, facts = screen.updates[0][-1]
    assert Image.open(io.BytesIO(forms["image/jpeg"])).size == (12, 8)
    assert facts["image/jpeg"]["alt"] == forms["text/plain"] == "The picture after step 4 of 4"


def test_a_preview_waits_between_pictures_but_shows_the_first_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch, 0.1)
    watch = widgets.preview(12, every=0.55)
    for _ in range(12):
        watch(step())
    assert [line.split()[4] for line in screen.lines] == ["1", "7", "12"]


def test_the_stop_button_sets_the_event_alone_and_the_preview_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, stop = Screen(monkeypatch, 0.01), threading.Event()
    watch = widgets.preview(9, stop)
    button = screen.shown[0]
    assert button.description == "Stop"
    watch(step())
    assert not stop.is_set()
    thread = threading.Thread(target=button.click)  # as JupyterLab does, on a thread of its own
    thread.start()
    thread.join()
    watch(step())
    assert stop.is_set()
    assert screen.lines[-1].endswith("step 2 of 9: loss 3, stopped")


def test_a_run_that_is_stopped_from_its_preview_keeps_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, stop = Screen(monkeypatch), threading.Event()
    show = widgets.preview(9, stop)

    def watch(seen: Step) -> None:
        if seen.index == 3:
            screen.shown[0].click()
        show(seen)

    options: Any = {"size": 32, "steps": 9, "scales": "1", "style_layers": ("relu1_1",), "content_layers": ("relu2_2",)}
    result = stylise("town", "swirls", watch=watch, stop=stop, **options)
    assert not result.finished
    assert len(result.history["steps"]) == 3
    assert result.image.shape == (1, 3, 24, 32)
    assert screen.lines[-1].endswith("stopped")


SMALL: dict[str, Any] = {"size": 32, "steps": 9, "scales": "1", "content_layers": ("relu2_2",)}
SMALL |= {"method": "adam"}  # which takes all its steps, where L-BFGS would come to an end by itself


def live_parts(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    """The controls of a live explorer of the smallest run, and what was shown."""
    shown: list[tuple[Any, dict]] = []
    monkeypatch.setattr("IPython.display.display", lambda value, **facts: shown.append((value, facts)))
    boxes: list[ipywidgets.VBox] = []
    monkeypatch.setattr(widgets, "started", lambda *a: boxes.append(STARTED(*a)) or boxes[0])
    still = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    widgets.live("town", "swirls", still, "A small picture.", **SMALL | {"style_layers": ("relu1_1", "relu2_1")} | options)
    ratio, layers, buttons, told, picture = boxes[0].children
    return ratio, layers, *buttons.children, told, picture, shown


STARTED = widgets.started


def until(told: ipywidgets.HTML, *words: str) -> str:
    """Wait until a line says one of these words."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if any(word in told.value for word in words):
            return str(told.value)
        time.sleep(0.01)
    raise AssertionError(f"the line says {told.value!r}, wanted one of {words}")


def test_a_live_run_starts_shows_itself_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ratio, layers, start, _, told, picture, _ = live_parts(monkeypatch)
    ratio.value, layers.value, before = 1e-3, 1, picture.value
    assert told.value == "Start makes a picture with these choices."
    start.click()
    said = until(told, "(", "ended early")
    assert said.startswith("The picture after step 9 of 9: loss ")
    assert said.endswith(", done (backbone classroom, 32 px)")
    wanted = stylise("town", "swirls", **SMALL, beta=1e3, style_layers=["relu1_1"]).image
    assert picture.value == images.encoded(wanted, ".jpg") != before


def test_the_choices_of_a_live_run_reach_it_and_its_still_picture_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict] = []
    monkeypatch.setattr(widgets, "stylise", lambda *pictures, **options: seen.append(options) or 1 / 0)
    ratio, layers, start, _, told, picture, shown = live_parts(monkeypatch, alpha=2.0)
    (forms, facts), _ = shown
    assert {LIVE, "image/jpeg", "text/plain"} <= set(forms)
    assert facts["metadata"]["image/jpeg"]["alt"] == "A small picture."
    assert (ratio.value, layers.value) == (1e-3, 2)
    ratio.value, before = 1e-4, picture.value
    start.click()
    assert until(told, "ended") == "This run ended early: division by zero."
    assert (seen[0]["alpha"], seen[0]["beta"], seen[0]["style_layers"]) == (2.0, pytest.approx(2e4), ["relu1_1", "relu2_1"])
    assert picture.value == before
    start.click()  # an error leaves it ready
    assert until(told, "ended")
    assert len(seen) == 2


def test_stop_ends_a_live_run_and_keeps_its_picture_and_a_second_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, start, halt, told, picture, _ = live_parts(monkeypatch, steps=100_000)
    before = picture.value
    start.click()
    until(told, "step")
    start.click()
    assert "A run is under way" in told.value
    halt.click()
    said = until(told, "(")
    assert ", stopped (backbone classroom" in said
    assert int(said.split()[4]) < 100_000
    assert Image.open(io.BytesIO(picture.value)).size == (32, 24)
    assert picture.value != before
    start.click()
    until(told, "step")
    halt.click()
    until(told, "(")


def test_words_of_an_error_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    *_, start, _, told, _, _ = live_parts(monkeypatch, layer_weights=(1.0, -1.0))
    start.click()
    assert until(told, "ended") == (
        "This run ended early: layer_weights is -1.0, but a weight is a number from 0 up; give 0 to leave this part out."
    )
    box = STARTED(lambda **_: int("<b>"), torch.rand(1, 3, 4, 4), {"depth": [1]}, 3)
    box.children[1].children[0].click()
    assert "&lt;b&gt;" in until(box.children[2], "ended")


WAITING = """
import threading, time
from nstutils.course import widgets
stop = threading.Event()
button = widgets.stop_button(stop)
print(button.comm.comm_id, flush=True)
print("stopped" if stop.wait(20) else "not heard")
"""


def printed(client: Any) -> str:
    """The next text that a kernel prints, or what went wrong in it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        message = client.get_iopub_msg(timeout=60)
        if message["msg_type"] in ("stream", "error"):
            return str(message["content"].get("text", message["content"])).strip()
    return "nothing"


def test_stop_is_heard_by_a_kernel_while_its_cell_runs() -> None:
    manager, client = start_new_kernel()
    try:
        client.execute(WAITING)
        comm = printed(client)
        client.control_channel.send(client.session.msg("create_subshell_request", {}))
        subshell = client.get_control_msg(timeout=30)["content"]["subshell_id"]
        click = {"comm_id": comm, "data": {"method": "custom", "content": {"event": "click"}}}
        message = client.session.msg("comm_msg", click)
        message["header"]["subshell_id"] = subshell  # as JupyterLab from 4.4 on
        client.shell_channel.send(message)
        assert printed(client) == "stopped"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_cell_run_again_stops_the_run_of_its_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, start, _, told, *_ = live_parts(monkeypatch, steps=100_000)
    start.click()
    until(told, "step")
    _, _, again, halt, line, *_ = live_parts(monkeypatch, steps=100_000)
    assert ", stopped (" in until(told, "(", "ended early")
    again.click()
    until(line, "step")
    assert len(widgets.UNDER_WAY) == 1
    halt.click()
    until(line, "(")
    end = time.monotonic() + 10
    while widgets.UNDER_WAY and time.monotonic() < end:
        time.sleep(0.01)
    assert not widgets.UNDER_WAY


@pytest.mark.parametrize("error", [RuntimeError("<b>"), TypeError("<b>"), ZeroDivisionError("<b>")])
def test_any_error_of_a_slider_is_told(error: Exception) -> None:
    def drawn(depth: int) -> Figure:
        if depth > 1:
            raise error
        return draw(depth, "a")

    depth, told, _ = widgets.sliders(drawn, {"depth": [1, 2]}).children
    depth.value = 2
    assert told.value == "This choice cannot be drawn: &lt;b&gt;"
