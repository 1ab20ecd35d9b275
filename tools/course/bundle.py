"""What grading needs of a lesson, in two files made from its solved notebook: one for everybody, and its tests.

`NN-VERSION.json` holds the cells that set up, the stubs and the release form of every exercise: with it a submission can be
repaired and run. `NN-VERSION.tests.json` holds the checks with their hidden tests, and is read by the grader alone, after the
submission's process has been made. Old versions stay in the folder: a submission is graded by the tests it was made for.
"""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS\n(.*?)^[ \t]*### END HIDDEN TESTS[ \t]*\n?", re.DOTALL | re.MULTILINE)
Cell = dict[str, Any]


@dataclass(frozen=True)
class Exercise:
    """An exercise: the names that the reader defines, its points, its stub and its check as they are handed out, and what of
    the library its solution uses."""

    name: str
    names: tuple[str, ...]
    points: float
    answer: Cell
    check: Cell
    uses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """A version of a lesson, without its tests."""

    number: str
    version: str
    file: str
    setup: str
    cells: tuple[str, ...]
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> float:
        """All points of the lesson."""
        return sum(exercise.points for exercise in self.exercises)

    def exercise(self, grade_id: str) -> Exercise | None:
        """The exercise of this mark, whether it is that of its stub or of its check."""
        marks = {cell["metadata"]["nbgrader"]["grade_id"]: one for one in self.exercises for cell in (one.answer, one.check)}
        return marks.get(grade_id)


def role(cell: Cell) -> Cell:
    """What nbgrader knows of a cell."""
    marks = cell.get("metadata", {}).get("nbgrader")
    return marks if isinstance(marks, dict) else {}


def source(cell: Cell) -> str:
    """The text of a cell."""
    text = cell.get("source", "")
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def defined(text: str) -> tuple[str, ...]:
    """The functions and names that code defines at its top level; none where it cannot be read."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return (*functions, *(target.id for target in targets if isinstance(target, ast.Name)))


def definitions(text: str) -> str:
    """The imports and functions of a cell, without what it computes."""
    kept = [
        node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)
    ]
    return "\n\n".join(map(ast.unparse, kept))


def borrowed(text: str, setup: str) -> list[str]:
    """What code uses of the library, by the names that it and the lesson's own cells import it under."""
    try:
        own, before = ast.parse(text), ast.parse(setup)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    names = {"check"}
    for node in (*ast.walk(before), *ast.walk(own)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            found = [one for one in node.names if (module or one.name).partition(".")[0] == "nstutils"]
            names |= {one.asname or one.name.partition(".")[0] for one in found}
    dotted = {ast.unparse(node) for node in ast.walk(own) if isinstance(node, ast.Attribute | ast.Name)}
    used = {name for name in dotted if name.partition(".")[0] in names}
    return sorted(name for name in used if not any(other.startswith(f"{name}.") for other in used))


def made(solved: Any, released: Any, file: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two files of a lesson: what everybody may read, and its tests."""
    about = released["metadata"]["nstutils"]
    code = [cell for cell in solved["cells"] if cell["cell_type"] == "code" and not role(cell)]
    lesson = {
        "number": about["lesson"],
        "version": about["version"],
        "file": file,
        "setup": "\n\n".join([source(code[0]), *filter(None, (definitions(source(cell)) for cell in code[1:]))]),
        "cells": [source(cell) for cell in released["cells"]],
        "exercises": exercises(released),
    }
    answers = {role(cell)["grade_id"]: source(cell) for cell in solved["cells"] if role(cell).get("solution")}
    for one in lesson["exercises"]:
        one["uses"] = borrowed(answers[role(one["answer"])["grade_id"]], lesson["setup"])
    tests = {role(cell)["grade_id"]: source(cell) for cell in solved["cells"] if role(cell).get("grade")}
    return lesson, tests


def exercises(released: Any) -> list[dict[str, Any]]:
    """The exercises of a lesson as it is handed out: each stub goes with the check that follows it."""
    found, stub = [], None
    for cell in released["cells"]:
        if role(cell).get("solution"):
            stub = cell
        if role(cell).get("grade") and stub:
            names = defined(source(stub))
            name = role(cell)["grade_id"].removeprefix("check-").replace("-", "_")
            found.append({"name": name, "names": names, "points": role(cell)["points"], "answer": stub, "check": cell})
            stub = None
    return found


def write(solved: Any, released: Any, file: str, folder: Path) -> Path:
    """Write the two files; the tests are for their owner alone."""
    lesson, tests = made(solved, released, file)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{lesson['number']}-{lesson['version']}.json"
    path.with_suffix(".tests.json").write_text(json.dumps(tests, indent=1), encoding="utf-8")
    path.with_suffix(".tests.json").chmod(0o600)
    path.write_text(json.dumps(lesson, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def load(path: Path) -> Lesson:
    """A lesson from its file."""
    told = json.loads(path.read_text(encoding="utf-8"))
    made = [
        Exercise(**{key: tuple(v) if isinstance(v, list) else v for key, v in one.items()}) for one in told.pop("exercises")
    ]
    return Lesson(**told | {"cells": tuple(told["cells"])}, exercises=tuple(made))


def lessons(folder: Path) -> list[Lesson]:
    """All versions of all lessons in a folder, the newest of each last."""
    paths = [path for path in folder.glob("[0-9][0-9]-*.json") if not path.name.endswith(".tests.json")]
    return [load(path) for path in sorted(paths, key=lambda path: (path.name[:2], path.stat().st_mtime_ns))]


def tests(folder: Path, lesson: Lesson) -> dict[str, str]:
    """The checks of a lesson with their hidden tests, by their marks."""
    found: dict[str, str] = json.loads((folder / f"{lesson.number}-{lesson.version}.tests.json").read_text(encoding="utf-8"))
    return found


def split(check: str) -> tuple[str, str]:
    """A check as students see it, and its hidden tests."""
    return HIDDEN.sub("", check), "\n".join(HIDDEN.findall(check))
