"""Look through what was handed in before it is graded: nothing stops, nothing is lost, and what was done is told.

A notebook is put together anew around its lesson's exercises: for each the cell that the student wrote in, found by its mark,
its cell's name or the function it defines, and the check as it was handed out. Everything else a student wrote stays as it is.
"""

import copy
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bundle import Cell, Exercise, Lesson, defined, role, source

NUMBER = re.compile(r"(?<!\d)(\d\d)[_ -]")
ELSEWHERE = re.compile(r"""["']((?:/(?:home|Users|content|kaggle|root|mnt|media)/|[A-Za-z]:[\\/])[^"']*)["']""")
KINDS = ("code", "markdown", "raw")
OUTPUTS = 2_000_000  # characters of the outputs of one cell that are kept
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Unreadable(Exception):
    """A submission that cannot be graded, and why."""


@dataclass
class Repaired:
    """A submission ready to be graded: its lesson, its notebook, what was done, what is worth a look."""

    lesson: Lesson
    notebook: dict[str, Any]
    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(path: Path) -> dict[str, Any]:
    """A notebook as JSON, or why it is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"the file cannot be read ({type(error).__name__}); ask for it again") from error
    if not text.strip():
        raise Unreadable("the file is empty; ask for it again")
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        cut = "is cut off" if text.lstrip().startswith("{") else "is not a notebook"
        raise Unreadable(f"the file {cut} ({str(error).splitlines()[0]}); ask for it again") from error
    if isinstance(notebook, dict) and isinstance(notebook.get("worksheets"), list):
        notebook = {"cells": [cell for sheet in notebook["worksheets"] for cell in sheet.get("cells", [])], "metadata": {}}
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list) or not notebook["cells"]:
        raise Unreadable("the file is JSON, but no notebook: it has no cells; ask for it again")
    return notebook


def whole(cell: Any) -> Cell | None:
    """A cell with everything that belongs to one, or nothing."""
    if not isinstance(cell, dict) or cell.get("cell_type") not in KINDS:
        return None
    metadata = cell["metadata"] if isinstance(cell.get("metadata"), dict) else {}
    made: Cell = {"cell_type": cell["cell_type"], "id": str(cell.get("id", "")), "metadata": metadata}
    made["source"] = source(cell if "source" in cell else {"source": cell.get("input", "")})
    if cell["cell_type"] == "code":
        outputs = cell.get("outputs")
        made |= {"outputs": outputs if isinstance(outputs, list) else [], "execution_count": cell.get("execution_count")}
    elif isinstance(cell.get("attachments"), dict):
        made["attachments"] = cell["attachments"]
    return made


def lesson_of(notebook: dict[str, Any], path: Path, known: list[Lesson], wanted: str = "") -> tuple[Lesson, list[str]]:
    """The version of the lesson that a notebook was made from, by what it says, by its marks, its functions, its name."""
    told = notebook.get("metadata", {}).get("nstutils") if isinstance(notebook.get("metadata"), dict) else None
    told = told if isinstance(told, dict) else {}
    number = str(told.get("lesson") or likeliest(notebook, known) or next(iter(NUMBER.findall(path.name)), ""))
    if wanted and number and number != wanted:
        raise Unreadable(f"this is lesson {number}, and lesson {wanted} was wanted")
    versions = [lesson for lesson in known if lesson.number == (number or wanted)]
    if not versions:
        raise Unreadable(f"there are no tests for lesson {number or 'unknown'} here; give the lesson's number, or its tests")
    for lesson in versions:
        if lesson.version == told.get("version"):
            old = f"made from version {lesson.version}, not the newest ({versions[-1].version}): graded by its own tests"
            return lesson, [old] if lesson is not versions[-1] else []
    said = f"made from version {told['version']}, whose tests are not here" if "version" in told else "carries no version"
    return versions[-1], [f"{said}: graded by the newest tests ({versions[-1].version})"]


def likeliest(notebook: dict[str, Any], known: list[Lesson]) -> str:
    """The lesson that most marks and functions of a notebook belong to."""
    cells = [cell for cell in notebook["cells"] if isinstance(cell, dict)]
    found = {str(role(cell).get("grade_id")) for cell in cells} | {name for cell in cells for name in defined(source(cell))}
    counts = {
        lesson.number: sum(
            bool({one.answer["metadata"]["nbgrader"]["grade_id"], *one.names} & found) for one in lesson.exercises
        )
        for lesson in known
    }
    best = max(counts, key=lambda number: counts[number], default="")
    return best if best and counts[best] else ""


def repaired(notebook: dict[str, Any], path: Path, known: list[Lesson], wanted: str = "") -> Repaired:
    """A submission, put together anew around the exercises of its lesson."""
    lesson, notes = lesson_of(notebook, path, known, wanted)
    cells = [made for cell in notebook["cells"] if (made := whole(cell))]
    result = Repaired(lesson, {}, [], notes)
    if len(cells) < len(notebook["cells"]):
        result.done.append(f"{len(notebook['cells']) - len(cells)} things that are no cells were left out")
    if path.name != lesson.file:
        result.done.append(f"renamed: it was {path.name}, wanted {lesson.file}")
    order = [exercise.name for exercise in lesson.exercises if any(plays(cell, exercise, "check") for cell in cells)]
    for exercise in lesson.exercises:
        cells = around(cells, exercise, result)
    if order and [one for one in in_order(cells, lesson) if one in order] != order:
        result.notes.append("exercises stand in another order")
    result.notebook = finished(notebook, cells, result)
    return result


def in_order(cells: list[Cell], lesson: Lesson) -> list[str]:
    """The exercises in the order of their checks."""
    return [one.name for cell in cells if (one := lesson.exercise(role(cell).get("grade_id", ""))) and role(cell).get("grade")]


def plays(cell: Cell, exercise: Exercise, part: str) -> bool:
    """Whether a cell is the stub ("answer") or the check of an exercise, by its mark, else by its name."""
    model = exercise.answer if part == "answer" else exercise.check
    mark = role(cell).get("grade_id")
    return mark == role(model)["grade_id"] if mark else bool(cell.get("id")) and cell["id"] == model.get("id")


def around(cells: list[Cell], exercise: Exercise, result: Repaired) -> list[Cell]:
    """The cells with one answer to this exercise and its check behind it; what was written elsewhere stays."""
    check = exercise.check["source"].strip()
    answers = [cell for cell in cells if is_answer(cell, exercise, result.lesson)]
    checks = [cell for cell in cells if plays(cell, exercise, "check") or source(cell).strip() == check]
    checks = [cell for cell in checks if not within(cell, answers)]
    chosen = choose(answers, exercise, result)
    tell_checks(checks, exercise, result)
    place = chosen or next(iter([*answers, *checks]), cells[-1] if cells else None)
    made = []
    for cell in cells:
        if cell is chosen:
            made.append(marked(cell, exercise.answer))
        elif not within(cell, answers) and not within(cell, checks):
            made.append(cell)
        elif not unwritten(cell, exercise) and source(cell).strip() != check:
            made.append(plain(cell))
        if cell is place:
            made += [] if chosen else [copy.deepcopy(exercise.answer)]
            made.append(copy.deepcopy(exercise.check))
    return made


def within(cell: Cell, cells: list[Cell]) -> bool:
    """Whether this very cell is one of them."""
    return any(cell is one for one in cells)


def is_answer(cell: Cell, exercise: Exercise, lesson: Lesson) -> bool:
    """Whether a cell holds an answer: by its mark or name, or code without a mark that defines what the exercise asks for."""
    if plays(cell, exercise, "answer"):
        return True
    if plays(cell, exercise, "check") or cell["cell_type"] != "code" or role(cell).get("grade_id"):
        return False
    return bool(set(exercise.names) & set(defined(source(cell)))) and source(cell) not in lesson.cells


def choose(answers: list[Cell], exercise: Exercise, result: Repaired) -> Cell | None:
    """The answer to grade: the last that was written in."""
    written = [cell for cell in answers if not unwritten(cell, exercise)]
    chosen = next(reversed(written or answers[:1]), None)
    if not chosen:
        result.done.append(f"{exercise.name}: its answer cell is gone, and no other defines {exercise.names[0]}: no answer")
        return None
    if len(answers) > 1:
        which = "the one that was written in" if len(written) < 2 else f"the last of the {len(written)} that were written in"
        result.done.append(f"{exercise.name}: {len(answers)} answer cells; {which} is graded, what the others hold stays")
    if not plays(chosen, exercise, "answer") or not role(chosen):
        result.done.append(f"{exercise.name}: the answer cell had lost its mark; found by what it defines")
    if chosen["cell_type"] != "code":
        result.done.append(f"{exercise.name}: the answer was a {chosen['cell_type']} cell; made code again")
    return chosen


def unwritten(cell: Cell, exercise: Exercise) -> bool:
    """Whether a cell is still the stub."""
    return source(cell).split() in (exercise.answer["source"].split(), [])


def tell_checks(checks: list[Cell], exercise: Exercise, result: Repaired) -> None:
    """Say what had become of a check."""
    found = [source(cell).strip() for cell in checks]
    if not found:
        result.done.append(f"{exercise.name}: its check was deleted; put back")
    elif len(found) > 1:
        result.done.append(f"{exercise.name}: its check was copied; one is left")
    if any(text != exercise.check["source"].strip() for text in found):
        result.done.append(f"{exercise.name}: its check was edited; put back, and the edited cell is kept as an ordinary one")
    elif any(cell["cell_type"] != "code" for cell in checks):
        result.done.append(f"{exercise.name}: its check was made a text; put back")
    elif any(not role(cell) for cell in checks):
        result.done.append(f"{exercise.name}: its check had lost its mark; put back")


def marked(cell: Cell, model: Cell) -> Cell:
    """An answer with the marks that it was handed out with."""
    made: Cell = copy.deepcopy(model) | {"source": source(cell), "id": model.get("id") or cell["id"]}
    return made | {"outputs": cell.get("outputs", []), "execution_count": cell.get("execution_count")}


def plain(cell: Cell) -> Cell:
    """A cell that nbgrader takes no notice of."""
    kept = {key: value for key, value in cell["metadata"].items() if key not in ("nbgrader", "deletable", "editable")}
    return cell | {"metadata": kept, "id": ""}


def finished(notebook: dict[str, Any], cells: list[Cell], result: Repaired) -> dict[str, Any]:
    """The notebook itself: Python's kernel, a name for each cell, no mark that is not graded, small outputs."""
    metadata = dict(notebook["metadata"]) if isinstance(notebook.get("metadata"), dict) else {}
    spec = metadata.get("kernelspec")
    kernel = spec.get("name") if isinstance(spec, dict) else None
    if kernel != "python3":
        result.done.append(f"its kernel was {kernel or 'not told'}; made python3")
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    metadata |= {"nstutils": {"lesson": result.lesson.number, "version": result.lesson.version}}
    graded = [cell for one in result.lesson.exercises for cell in (one.answer, one.check)]
    marks = {role(cell)["grade_id"] for cell in graded}
    cells = [cell if role(cell).get("grade_id") in marks else (plain(cell) | {"id": cell["id"]}) for cell in cells]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    shrink(code, result)
    if not any(cell["outputs"] or cell["execution_count"] for cell in code):
        result.notes.append("no cell was ever run")
    found = {place for cell in code if source(cell) not in result.lesson.cells for place in ELSEWHERE.findall(source(cell))}
    result.notes += [f"reads or writes {place}, which is not here" for place in sorted(found)]
    return {"cells": named(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def shrink(code: list[Cell], result: Repaired) -> None:
    """Leave out outputs that are far too large, or that are none."""
    for number, cell in enumerate(code):
        size = len(json.dumps(cell["outputs"]))
        if size > OUTPUTS:
            result.done.append(f"code cell {number + 1} had {size / 1e6:.0f} MB of output; left out")
        cell["outputs"] = [] if size > OUTPUTS else [kept for output in cell["outputs"] if (kept := shown(output))]
        cell["execution_count"] = cell["execution_count"] if isinstance(cell["execution_count"], int) else None


def shown(output: Any) -> dict[str, Any] | None:
    """An output with everything that belongs to one, or nothing."""
    if not isinstance(output, dict):
        return None
    kind = output.get("output_type")
    if kind == "stream" and isinstance(output.get("text"), str | list):
        return {"output_type": kind, "name": str(output.get("name", "stdout")), "text": output["text"]}
    if kind in ("display_data", "execute_result") and isinstance(output.get("data"), dict):
        count = {"execution_count": None} if kind == "execute_result" else {}
        return {"output_type": kind, "data": output["data"], "metadata": output.get("metadata") or {}} | count
    if kind == "error":
        trace = output.get("traceback") if isinstance(output.get("traceback"), list) else []
        return {"output_type": kind, **{key: str(output.get(key)) for key in ("ename", "evalue")}, "traceback": trace}
    return None


def named(cells: list[Cell]) -> list[Cell]:
    """Cells with a name each, and no name twice; those that are graded keep theirs."""
    kept = {cell["id"] for cell in cells if role(cell)}
    taken: set[str] = set()
    for number, cell in enumerate(cells):
        good = ID.fullmatch(cell["id"]) and cell["id"] not in taken and (bool(role(cell)) or cell["id"] not in kept)
        cell["id"] = cell["id"] if good else f"cell-{number}-{len(cells)}"
        taken.add(cell["id"])
    return cells
