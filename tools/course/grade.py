"""Grade one submission: its cells run in a process of their own, and the points are decided here, where none of its code runs.

The check of an exercise, with its hidden tests, calls the submission's function through a line (`wire`) that carries data
alone. So a submission can neither read the tests in memory nor change a check, a library or a result: all that it can do is
give values. What this does not protect from is told in docs/class.md.
"""

import ast
import contextlib
import io
import json
import resource
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bundle
import sandbox
from bundle import Exercise, Lesson, role, source
from repair import Repaired
from sandbox import GET, RUN, Limits, Spare, Watch
from wire import Gone

EXTRA = 3  # processes beyond one an exercise, for cells of the student's own that end theirs
HIDDEN_FAILED = "the check passes, and a hidden test does not: think of other shapes, several pictures, other values"


@dataclass
class Session:
    """A submission as it runs: the processes that are left, the cells, and what became of them."""

    spares: list[Spare]
    watch: Watch
    cells: list[tuple[str, str]]  # the exercise it answers, or nothing, and the code
    at: Spare | None = None
    lost: dict[int, str] = field(default_factory=dict)  # cells that ended their process
    errors: dict[int, str] = field(default_factory=dict)  # cells that stopped


def namespace(lesson: Lesson) -> dict[str, Any]:
    """What a lesson's own cells define: its settings, network and pictures, at the smallest preset, and its functions."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for part in ast.parse(lesson.setup).body:
            with contextlib.suppress(NameError):  # a default that a cell would compute, which is not run here
                exec(compile(ast.Module([part], []), f"lesson {lesson.number}", "exec"), names)
    return names


def to_run(repaired: Repaired) -> list[tuple[str, str]]:
    """The cells that a student wrote, in their order: answers, and what is neither the lesson's nor a check."""
    code = [cell for cell in repaired.notebook["cells"] if cell["cell_type"] == "code" and source(cell).strip()]
    found = []
    for cell in code:
        exercise = repaired.lesson.exercise(role(cell).get("grade_id", ""))
        if exercise and not role(cell).get("grade"):
            found.append((exercise.name, source(cell)))
        elif not exercise and source(cell) not in repaired.lesson.cells:
            found.append(("", source(cell)))
    return found


@contextlib.contextmanager
def session(repaired: Repaired, names: dict[str, Any], limits: Limits, files: Path | None) -> Iterator[Session]:
    """The processes for one submission, made before the tests are read; all of them end with it."""
    separate = sandbox.can_separate()
    folder = sandbox.workplace(files, separate)
    spares = [sandbox.fork(names, folder, limits, separate) for _ in range(len(repaired.lesson.exercises) + EXTRA)]
    sandbox.close_up()
    watch = sandbox.guard(limits)
    try:
        yield Session(spares, watch, to_run(repaired))
    finally:
        watch.keep -= {spare.pid for spare in spares}
        sandbox.end(watch)
        watch.pid = -1
        sandbox.close_up(False)
        shutil.rmtree(folder, ignore_errors=True)


def start(run: Session) -> None:
    """Run the student's cells in the next process, without those that ended an earlier one."""
    while run.spares:
        run.at = run.spares.pop()
        sandbox.take(run.watch, run.at)
        try:
            run.at.peer.call(GET, "")  # now it is ready: its own beginning is not counted
        except Gone:  # it never began, by no fault of the student's
            stop(run)
            continue
        if all(cell_ran(run, number) for number in range(len(run.cells)) if number not in run.lost):
            return
    run.at = None


def cell_ran(run: Session, number: int) -> bool:
    """Run a cell; whether its process still lives."""
    exercise, code = run.cells[number]
    why = ""
    try:
        with sandbox.limited(run.watch):
            run.at.peer.call(RUN, code)  # type: ignore[union-attr]
    except Gone as gone:
        why = str(gone)
    except Exception as error:
        run.errors[number] = f"{type(error).__name__}: {error}"
        why = "it took too much memory" if sandbox.swollen(run.watch) else ""  # which would count for the exercises after it
    if not why:
        return True
    run.lost[number] = why
    own = [n for n in run.lost if not run.cells[n][0]]
    if not exercise and len(own) >= EXTRA:  # of those that answer nothing no more are tried
        run.lost |= {n: "left out" for n, (answers, _) in enumerate(run.cells) if not answers and n not in run.lost}
    stop(run)
    return False


def stop(run: Session) -> None:
    """End the process at work."""
    sandbox.end(run.watch)
    if run.at:
        run.at.peer.line.close()
    run.at = None


def judged(exercise: Exercise, check: str, names: dict[str, Any], run: Session) -> dict[str, Any]:
    """The points of an exercise: all of them where its check and its hidden tests pass, else none, with the reason."""
    number = next((n for n, (name, _) in enumerate(run.cells) if name == exercise.name), None)
    visible, hidden = bundle.split(check)
    told = {
        "name": exercise.name,
        "grade_id": role(exercise.check)["grade_id"],
        "points": 0.0,
        "max": float(exercise.points),
        "visible": False,
        "hidden": False,
    }
    told |= {"message": "", "for_instructor": ""}
    if number in run.lost:
        return told | {"message": f"the answer's cell stopped the run: {run.lost[number]}"}
    if not run.at:
        start(run)
    try:
        with sandbox.limited(run.watch):
            return told | passed(visible, hidden, names | answers(exercise, run), run.errors.get(number, ""), exercise)
    except Gone as gone:
        stop(run)
        return told | {"message": f"the answer was stopped: {gone}"}


def answers(exercise: Exercise, run: Session) -> dict[str, Any]:
    """The student's functions of these names, which stay where they are."""
    if not run.at:
        raise Gone("too many of its cells ended their process")
    return {name: run.at.peer.call(GET, name) for name in exercise.names}


def passed(visible: str, hidden: str, names: dict[str, Any], stopped: str, exercise: Exercise) -> dict[str, Any]:
    """Run a check and its hidden tests on the student's functions."""
    if all(names[name] is None for name in exercise.names):
        why = f"; its cell stops with {stopped}" if stopped else ""
        return {"message": f"{exercise.names[0]} is not defined{why}"}
    if failed := tried(visible, names, "check"):
        return {"message": failed}
    if failed := tried(hidden, names, "hidden tests"):
        return {"visible": True, "message": HIDDEN_FAILED, "for_instructor": failed}
    return {"visible": True, "hidden": True, "points": float(exercise.points), "message": "right"}


def tried(code: str, names: dict[str, Any], what: str) -> str:
    """The sentence with which a test fails, or nothing."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(code, what, "exec"), names)
    except Exception as error:
        where = error.__traceback__.tb_next.tb_lineno if error.__traceback__ and error.__traceback__.tb_next else 0
        line = code.splitlines()[where - 1].strip() if isinstance(error, AssertionError) and not str(error) else ""
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return f"{kind}{error}{line}" or "it fails"
    return ""


def graded(repaired: Repaired, folder: Path, limits: Limits, files: Path | None = None) -> dict[str, Any]:
    """What a submission gets, exercise by exercise, with seconds and megabytes."""
    begin, lesson = time.perf_counter(), repaired.lesson
    names = namespace(lesson)
    with session(repaired, names, limits, files) as run:
        checks = bundle.tests(folder, lesson)
        start(run)
        found = [judged(one, checks[role(one.check)["grade_id"]], names, run) for one in lesson.exercises]
        notes = [
            f"a cell of the student's own was left out: {why}" for n, why in sorted(run.lost.items()) if not run.cells[n][0]
        ]
        peak = max(run.watch.peak, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    spent = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "graded": True,
        "points": sum(one["points"] for one in found),
        "max": lesson.points,
        "exercises": found,
        "notes": [*repaired.notes, *notes, *from_the_library(repaired)],
        "separate_user": sandbox.can_separate(),
        "seconds": round(time.perf_counter() - begin, 2),
        "cpu_seconds": round(spent, 2),
        "peak_mb": round(peak / 2**20),
    }


def from_the_library(repaired: Repaired) -> list[str]:
    """The answers that use what of the library their exercise's solution does not."""
    found = []
    for exercise in repaired.lesson.exercises:
        texts = [code for name, code in to_run(repaired) if name == exercise.name]
        used = {one for text in texts for one in bundle.borrowed(text, repaired.lesson.setup)} - set(exercise.uses)
        found += [f"the answer to {exercise.name} uses the library's {', '.join(sorted(used))}: read it"] if used else []
    return found


def gradescope(result: dict[str, Any]) -> dict[str, Any]:
    """A result in Gradescope's form: a scored test an exercise, and one hidden from students that tells which test failed."""
    lines = [*result.get("repairs", ()), *result.get("notes", ())]
    said = "\n".join([result["reason"]] if result.get("reason") else lines)
    shown: dict[str, Any] = {"output": said, "output_format": "text", "visibility": "visible", "stdout_visibility": "hidden"}
    if not result["graded"]:
        return shown
    tests = []
    for number, one in enumerate(result["exercises"], 1):
        common = {"name": one["name"], "number": str(number), "output_format": "text", "visibility": "visible"}
        scored = {"score": one["points"], "max_score": one["max"], "status": "passed" if one["points"] else "failed"}
        tests.append(common | scored | {"output": one["message"]})
        words = one["for_instructor"] or ("passed" if one["hidden"] else "not reached")
        own = {
            "name": f"{one['name']}: hidden tests",
            "number": f"{number}.1",
            "score": 0,
            "max_score": 0,
            "visibility": "hidden",
        }
        tests.append(common | own | {"status": "passed" if one["hidden"] else "failed", "output": words})
    return shown | {"tests": tests, "execution_time": round(result["seconds"]), "extra_data": {"version": result["version"]}}


def written(result: dict[str, Any], path: Path) -> None:
    """Write a result, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
