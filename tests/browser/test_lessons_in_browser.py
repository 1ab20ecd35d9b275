"""Every lesson runs to its end in JupyterLab and shows its pictures and no error; explorers follow their sliders, a run can be
stopped, and what was shown is there after a reload."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from nstutils.course import ratings

ROOT = Path(__file__).parents[2]
LESSONS = sorted(path.name for path in (ROOT / "notebooks" / "solutions").glob("[0-9][0-9]_*.ipynb"))
TRADEOFF = "solutions/05_tradeoff.ipynb"
PREVIEW = """
import threading
from nstutils import load, stylise
from nstutils.course import widgets
stop = threading.Event()
options = {"size": 64, "steps": 100_000, "scales": "1", "style_layers": ("relu1_1",), "content_layers": ("relu2_2",)}
result = stylise("town", "swirls", watch=widgets.preview(100_000, stop), stop=stop, **options)
print("kept", tuple(result.image.shape), "finished", result.finished)
"""
EXPLORER = """
from nstutils import load
from nstutils.course import plots, widgets
def draw(picture):
    return plots.show([load(picture, 64)], [picture])
widgets.explore(draw, "A picture.", picture=["town", "coast", "hills"])
"""
ASKED = """
import nstutils as nst
nst.Predictions().ask("q", "Which keeps most?", ("one", "two", "all alike"))
"""
RATING = """
from nstutils import load
from nstutils.course import widgets
widgets.rate({name: load(name, 64) for name in ("town", "coast")}, "rated.csv", "A town and a coast.")
"""


def source(cell: dict[str, Any]) -> str:
    """The text of a cell as it comes from the browser."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def picture(notebook: Any, number: int) -> str:
    """The address of the picture of the widgets below a cell: another picture has another one."""
    return str(notebook.output(number).locator("img.widget-image").get_attribute("src"))


def wait_for_another(notebook: Any, number: int, before: str) -> None:
    """Until the picture of the widgets below a cell is another one, which the browser can show."""
    shown = f"document.querySelectorAll('.jp-CodeCell')[{number}].querySelector('img.widget-image')"
    notebook.wait(f"{shown}.src !== '{before}' && {shown}.naturalWidth")


@pytest.mark.parametrize("lesson", LESSONS, ids=[name[:2] for name in LESSONS])
def test_a_solved_lesson_runs_without_an_error(lesson: str, show: Any) -> None:
    notebook = show(f"solutions/{lesson}")
    notebook.restart_and_run_all()
    assert notebook.errors() == []
    assert notebook.unrun() == []
    notebook.wait("![...document.querySelectorAll('.jp-OutputArea-output img')].some(i => !i.complete)")
    assert notebook.broken_pictures() == 0
    assert notebook.page.locator(".jp-OutputArea-output img").count() >= 3
    shown = notebook.page.locator(".jp-Notebook").inner_text()
    assert "Error displaying widget" not in shown
    assert "javascript error" not in shown
    assert notebook.page.locator(".jupyter-widgets .noUi-handle").count() >= 1, "no explorer with a slider"


def test_a_students_copy_runs_to_its_end_with_the_errors_of_its_checks_alone(show: Any) -> None:
    notebook = show("03_style_reconstruction.ipynb")
    notebook.restart_and_run_all()
    assert notebook.unrun() == []
    checks = [source(cell) for cell in notebook.cells() if cell["metadata"].get("nbgrader", {}).get("grade")]
    errors = notebook.errors()
    assert [first for first, _ in errors] == [check.splitlines()[0] for check in checks]
    assert len(errors) == 4
    for _, said in errors:
        assert "not written yet" in said or "NotImplementedError" in said
    assert notebook.page.locator(".jupyter-widgets .noUi-handle").count() >= 1


def test_moving_a_slider_of_a_lesson_changes_its_picture(show: Any) -> None:
    notebook = show(TRADEOFF)
    notebook.restart_and_run_all()
    (number,) = [n for n, cell in enumerate(notebook.cells()) if "widgets.explore" in source(cell)]
    area = notebook.output(number)
    before = picture(notebook, number)
    area.get_by_text("ratio 0.001, layers E").wait_for()
    handle = area.locator(".noUi-handle").first
    handle.focus()
    handle.press("ArrowRight")
    area.get_by_text("ratio 0.01, layers E").wait_for()
    wait_for_another(notebook, number, before)


def test_stop_is_heard_while_a_cell_computes_and_the_picture_is_kept(show: Any, lab: Any) -> None:
    notebook = show(lab.write("stop.ipynb", PREVIEW, "print('the next cell')"))
    notebook.start("notebook:restart-run-all")
    area = notebook.output(0)
    area.get_by_text(re.compile(r"step \d\d+ of")).wait_for()
    area.get_by_role("button", name="Stop").click()
    area.get_by_text("kept (1, 3, 48, 64) finished False").wait_for()
    notebook.wait_run()
    assert "stopped" in notebook.text(0)
    assert area.locator("img").evaluate("i => i.naturalWidth") == 64
    assert "the next cell" in notebook.text(1)


def test_a_prediction_is_made_with_the_keyboard_alone(show: Any, lab: Any) -> None:
    notebook = show(lab.write("ask.ipynb", ASKED))
    notebook.restart_and_run_all()
    notebook.output(0).get_by_role("button").first.focus()
    for key in ("Tab", "Space"):
        notebook.page.keyboard.press(key)
    notebook.output(0).locator("button.mod-active", has_text="two").wait_for()


def test_two_pictures_are_rated_with_the_keyboard_alone(show: Any, lab: Any) -> None:
    notebook = show(lab.write("rating.ipynb", RATING))
    notebook.restart_and_run_all()
    area, press = notebook.output(0), notebook.page.keyboard.press
    area.locator("input[type=text]").focus()
    notebook.page.keyboard.type("anna")
    for key in ("Tab", "Space"):  # Begin
        press(key)
    area.get_by_text("Picture 1 of 2").wait_for()
    for key in ("Tab", "Tab", "Space", *["Tab"] * 4, "Space"):  # to 2; to Keep
        press(key)
    area.get_by_text("Kept. Picture 2 of 2").wait_for()
    for key in ("Shift+Tab", "Space", "Tab", "Space"):  # back to the last number, 5; Keep
        press(key)
    area.get_by_text("All rated, thank you").wait_for()
    given = ratings.read(lab.folder / "rated.csv")
    assert sorted(given.values()) == [2, 5]
    notebook.page.keyboard.type("ben")  # the next one need not search for the field
    assert area.locator("input[type=text]").input_value() == "ben"


def test_after_a_reload_the_explorer_is_there_and_alive(show: Any, lab: Any) -> None:
    notebook = show(lab.write("explorer.ipynb", EXPLORER))
    notebook.restart_and_run_all()
    notebook.save_and_reload(lab)
    area = notebook.output(0)
    area.locator("img.widget-image").wait_for()
    before = picture(notebook, 0)
    area.locator(".noUi-handle").focus()
    area.locator(".noUi-handle").press("ArrowRight")
    area.get_by_text("picture coast").wait_for()
    wait_for_another(notebook, 0, before)


def test_a_lesson_that_was_not_run_shows_its_stored_pictures(show: Any) -> None:
    lesson = LESSONS[0]
    stored = nbformat.read(ROOT / "notebooks" / "solutions" / lesson, as_version=4)
    pictures = [o for c in stored.cells for o in c.get("outputs", []) if "image/jpeg" in o.get("data", {})]
    notebook = show(f"solutions/{lesson}")
    shown = notebook.page.locator(".jp-OutputArea-output img")
    shown.nth(len(pictures) - 1).wait_for()
    notebook.wait("![...document.querySelectorAll('.jp-OutputArea-output img')].some(i => !i.complete)")
    assert shown.count() == len(pictures)
    assert notebook.broken_pictures() == 0
