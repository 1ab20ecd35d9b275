"""The made-up class of a lesson has everything that it should have, and a sample of it gets the points that it should get."""

import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from exercises import LESSONS, WRONG, answers

ROOT = Path(__file__).parent.parent
SAMPLE = {
    "relative_error": "relative_error-1",
    "content_gradient": "content_gradient-looks-up",
    "step_down": "step_down-leaves",
}


@pytest.fixture(scope="module")
def course() -> SimpleNamespace:
    """The class and the modules of tools/course that grade it."""
    sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tools" / "course")]
    names = ("mutation", "bundle", "repair", "grade", "sandbox")
    modules = SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    del sys.path[:2]
    return modules


@pytest.mark.parametrize("number", LESSONS)
def test_a_class_has_sixty_right_wrong_and_hostile_submissions(number: str, course: SimpleNamespace) -> None:
    made = course.mutation.Class(number)
    found = {one.name: one for one in made.submissions()}
    assert len(found) == len(made.submissions()) >= 60
    assert sum(not one.lost and not one.own and not one.broken for one in found.values()) == 3
    about = {one.about for one in found.values()}
    assert {(name, sentence) for name in made.points for sentence in WRONG[name]} <= about
    assert {(name, f"hostile: {kind}") for name in made.points for kind in course.mutation.ANSWER} <= about
    assert set(made.points) == {name for name, one in answers.NUMBER.items() if one == number}
    assert set(course.mutation.OWN) | set(course.mutation.HARMLESS) <= set(found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the grader wants fork")
def test_a_sample_of_a_class_gets_what_it_should(
    course: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NSTUTILS_PRESET", "smoke")
    made = course.mutation.Class("02")
    course.bundle.write(made.solved, made.handed_out, made.source.name, tmp_path)
    found = {one.name: one.answers for one in made.submissions()}
    mixed = {"content_loss": found["right-otherwise"]["content_loss"]} | {name: found[of][name] for name, of in SAMPLE.items()}
    one = course.mutation.Submission("mixed", mixed, frozenset(SAMPLE), own="torch.allclose = None")
    notebook = json.loads(made.notebook(one))
    fixed = course.repair.repaired(notebook, made.source, course.bundle.lessons(tmp_path), "02")
    result = course.grade.graded(fixed, tmp_path, course.sandbox.Limits(seconds=3.0))
    assert {row["name"]: row["points"] for row in result["exercises"]} == made.wanted(one)
    assert [row["visible"] for row in result["exercises"]] == [True, False, True, False]
