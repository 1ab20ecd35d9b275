"""The brush is drawn with by mouse, finger, polygon and keys; what is drawn is in the masks, in a file and after a reload."""

import time
from typing import Any

import pytest

PAINT = """
from nstutils import load, stylise
from nstutils.course.brush import brush
painter = brush(load("coast", 96))
painter
"""
AREAS = "[int(100 * mask.double().mean().item() + 0.5) for mask in painter.masks]"  # rounded as the page does
USED = """
options = {"size": 96, "steps": 3, "scales": "1", "style_layers": ("relu1_1",), "content_layers": ("relu2_2",)}
files = painter.save("masks")
result = stylise("coast", ["swirls", "dots"], content_guide=[str(file) for file in files], **options)
print("used", [file.name for file in files], tuple(result.image.shape))
"""


class Painting:
    """A notebook with a brush, and the hand that paints."""

    def __init__(self, show: Any, lab: Any, *cells: str, **options: Any):
        self.notebook = show(lab.write("brush.ipynb", PAINT, AREAS, *cells), **options)
        self.page = self.notebook.page
        self.notebook.restart_and_run_all()
        self.look()

    def look(self) -> None:
        """Find the picture on the page."""
        self.canvas, self.bar = self.page.locator(".nst-top"), self.page.locator(".nst-bar")
        self.canvas.wait_for()
        self.canvas.scroll_into_view_if_needed()
        self.box = self.canvas.bounding_box()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A place on the page, from one in [0, 1] of the picture."""
        return self.box["x"] + x * self.box["width"], self.box["y"] + y * self.box["height"]

    def drag(self, *places: tuple[float, float]) -> None:
        """Paint along a line."""
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=5)
        self.page.mouse.up()

    def areas(self, *wanted: int) -> None:
        """Wait until the line below the picture tells these per cent for the regions."""
        words = ", ".join(f"region {number} {share} %" for number, share in enumerate(wanted, 1))
        self.page.locator(".nst-told", has_text=words).wait_for()

    def told(self) -> list[int]:
        """The per cent of each region as the page tells them, once it has drawn what was done."""
        self.page.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        words = self.page.locator(".nst-told").inner_text()
        return [int(part.split()[2]) for part in words.partition("Area: ")[2].split(".")[0].split(", ")]

    def masks(self) -> list[int]:
        """The area of each mask, as Python has it, in per cent."""
        return list(map(int, self.run(1).strip("[] \n").split(",")))

    def run(self, number: int) -> str:
        """Run a cell again, and read what it gives."""
        self.page.evaluate("n => jupyterapp.shell.currentWidget.content.activeCellIndex = n", number)
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")
        self.notebook.wait_idle()
        return str(self.notebook.output(number).locator(".jp-OutputArea-output").inner_text())

    def agree(self) -> list[int]:
        """What the page tells, when Python has the same: the map has a way of its own to the kernel, beside that of cells."""
        told, end = self.told(), time.monotonic() + 30
        while (masks := self.masks()) != told and time.monotonic() < end:
            pass
        assert masks == told
        return told


@pytest.fixture
def painting(show: Any, lab: Any) -> Painting:
    return Painting(show, lab)


def test_a_stroke_is_in_the_masks_and_can_be_undone(painting: Painting) -> None:
    painting.areas(100, 0)
    painting.drag((0.1, 0.5), (0.9, 0.5))
    first, second = painting.agree()
    assert second > 5
    painting.bar.get_by_role("button", name="Undo").click()
    painting.areas(100, 0)
    painting.bar.get_by_role("button", name="Redo").click()
    painting.areas(first, second)
    assert painting.agree() == [first, second]
    painting.bar.get_by_role("button", name="Clear").click()
    painting.areas(100, 0)
    assert painting.agree() == [100, 0]
    painting.canvas.focus()
    painting.page.keyboard.press("z")
    painting.areas(first, second)


def test_painting_the_other_region_is_the_eraser(painting: Painting) -> None:
    painting.drag((0.1, 0.5), (0.9, 0.5))
    painting.bar.get_by_role("button", name="1", exact=True).click()
    painting.drag((0.05, 0.45), (0.95, 0.45))
    painting.drag((0.05, 0.55), (0.95, 0.55))
    painting.areas(100, 0)


def test_a_polygon_is_filled(painting: Painting) -> None:
    painting.bar.get_by_role("button", name="Polygon").click()
    for place in ((0.005, 0.5), (0.995, 0.5), (0.995, 0.995), (0.005, 0.995)):  # the lower half: corners snap to the border
        painting.page.mouse.click(*painting.at(*place))
    painting.page.keyboard.press("Enter")
    painting.areas(50, 50)
    assert painting.agree() == [50, 50]


def test_everything_goes_by_keys(painting: Painting) -> None:
    page = painting.page
    cells = len(painting.notebook.cells())
    painting.canvas.focus()
    page.keyboard.press("1")
    page.locator(".nst-told", has_text="paints region 1").wait_for()
    page.keyboard.press("2")
    page.keyboard.press("]")
    page.keyboard.down(" ")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.keyboard.up(" ")
    stroke = painting.agree()[1]
    assert stroke > 3
    painting.canvas.focus()
    page.keyboard.press("p")
    for key in ("ArrowUp", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(" ")
        for _ in range(20):
            page.keyboard.press(key)
    page.keyboard.press(" ")
    page.keyboard.press("Enter")
    assert painting.agree()[1] > stroke
    painting.canvas.focus()
    for key in ("z", "z"):
        page.keyboard.press(key)
    painting.areas(100, 0)
    page.keyboard.press("y")
    painting.areas(100 - stroke, stroke)
    assert len(painting.notebook.cells()) == cells, "a key went to JupyterLab"


def test_a_finger_paints_on_a_narrow_screen(show: Any, lab: Any) -> None:
    painting = Painting(show, lab, width=600, has_touch=True)
    assert painting.box["width"] < 400
    painting.page.touchscreen.tap(*painting.at(0.5, 0.5))
    painting.page.wait_for_function("!document.querySelector('.nst-told').innerText.includes('region 2 0 %')")
    assert painting.agree()[1] >= 1


def test_the_masks_are_used_and_survive_a_reload(show: Any, lab: Any) -> None:
    painting = Painting(show, lab, "'not yet'")
    painting.drag((0.0, 0.8), (1.0, 0.8))
    areas = painting.agree()
    painting.notebook.save_and_reload(lab)
    painting.look()
    assert painting.agree() == areas
    painting.page.evaluate("text => jupyterapp.shell.currentWidget.content.widgets[2].model.sharedModel.setSource(text)", USED)
    assert "used ['region_1.png', 'region_2.png'] (1, 3, 64, 96)" in painting.run(2)
