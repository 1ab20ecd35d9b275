"""What the tests of exercises share: the lessons' right answers, and a lesson's cells run on an answer.

A new lesson NN needs `lessonNN.py` here: `RIGHT` holds right answers for each exercise, in other words than in tools/answers,
and `GRADIENT` the exercises whose result must let gradients through. What only this lesson's exercises can get wrong goes into
tests/test_check_special.py; tests/test_check.py does the rest.
"""

import ast
import contextlib
import importlib
import io
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from nstutils.course import check

Answer = Callable[..., Any]
ROOT = Path(__file__).parents[2]
SOLUTIONS = ROOT / "notebooks" / "solutions"
sys.path.insert(0, str(ROOT / "tools"))  # for the answers, which are no part of the package
answers, storing, table = (importlib.import_module(f"answers{part}") for part in ("", ".storing", ".table"))
LESSONS, NUMBER, WRONG, text = answers.LESSONS, answers.NUMBER, answers.WRONG, storing.text
RIGHTS = [importlib.import_module(f"exercises.{path.stem}") for path in sorted(Path(__file__).parent.glob("lesson*.py"))]
RIGHT: dict[str, list[Answer]] = {name: answers for lesson in RIGHTS for name, answers in lesson.RIGHT.items()}
GRADIENT = [name for lesson in RIGHTS for name in lesson.GRADIENT]


@cache
def cells(lesson: str) -> list[NotebookNode]:
    """The code cells of a solved lesson."""
    (path,) = SOLUTIONS.glob(f"{lesson}_*.ipynb")
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@cache
def imported(lesson: str) -> dict[str, Any]:
    """What the cells of a solved lesson import, by name."""
    found: list[ast.stmt] = []
    for cell in cells(lesson):
        found += [line for line in ast.parse(cell.source).body if isinstance(line, ast.Import | ast.ImportFrom)]
    space: dict[str, Any] = {}
    exec(compile(ast.Module(found, []), lesson, "exec"), space)
    return space


def hidden(name: str, answer: Any) -> None:
    """Run the hidden tests of an exercise on an answer, with the lesson's imports."""
    (source,) = [cell.source for cell in cells(NUMBER[name]) if cell.source.startswith(f"check.{name}(")]
    tests = source.split("### BEGIN HIDDEN TESTS")[1].split("### END HIDDEN TESTS")[0]
    exec(compile(tests, name, "exec"), imported(NUMBER[name]) | {f"my_{name}": answer})


def solution(name: str) -> Answer:
    """The function that the solved lesson gives, with the lesson's imports."""
    (source,) = [cell.source for cell in cells(NUMBER[name]) if f"def my_{name}(" in cell.source]
    space = dict(imported(NUMBER[name]))
    exec(compile(source, name, "exec"), space)
    answer: Answer = space[f"my_{name}"]
    return answer


def refused(name: str, answer: Any) -> str:
    """What the check says of an answer that it must refuse."""
    with pytest.raises(check.CheckFailed) as said:
        getattr(check, name)(answer)
    return str(said.value)


@cache
def first_input(name: str) -> Any:
    """The first thing that a check hands to an answer."""
    given: list[tuple[Any, ...]] = []

    def listening(*inputs: Any) -> Any:
        given.append(inputs)
        return RIGHT[name][0](*inputs)

    with contextlib.redirect_stdout(io.StringIO()):
        getattr(check, name)(listening)
    return given[0][0]
