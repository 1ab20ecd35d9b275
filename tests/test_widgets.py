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

from nstutils import stylise
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
    monkeypatch.delattr("ipywidgets.Widget._repr_mimebundle_", raising=False)  # version 7 has none
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


@pytest.mark.parametrize("error", [RuntimeError("<b>"), TypeError("<b>"), ZeroDivisionError("<b>")])
def test_any_error_of_a_slider_is_told(error: Exception) -> None:
    def drawn(depth: int) -> Figure:
        if depth > 1:
            raise error
        return draw(depth, "a")

    depth, told, _ = widgets.sliders(drawn, {"depth": [1, 2]}).children
    depth.value = 2
    assert told.value == "This choice cannot be drawn: &lt;b&gt;"
