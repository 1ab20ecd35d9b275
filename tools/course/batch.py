"""Many submissions of a lesson: each repaired, each graded by a process of its own; what was stopped goes on."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bundle
import repair
from bundle import Lesson
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
TOO_LONG = 1800  # seconds of a whole submission
Results = dict[str, dict[str, Any]]  # by student


def sha(path: Path) -> str:
    """What identifies a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(told: dict[str, Any], path: Path) -> None:
    """Write a small file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def told(path: Path) -> dict[str, Any]:
    """A small file's content; nothing where it is not there or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def result_path(course: Path, student: str, number: str) -> Path:
    """Where a result is kept."""
    return course / "results" / number / f"{student}.json"


def students(course: Path, number: str) -> list[str]:
    """Everybody who has handed in something for a lesson."""
    found = sorted(path.parent.name for path in course.glob(f"submitted/*/{number}") if path.is_dir())
    if not found:
        raise repair.Unreadable(f"there is nothing in {course / 'submitted' / 'STUDENT' / number}; put the submissions there")
    return found


def prepare(course: Path, number: str) -> Results:
    """Repair what was handed in for a lesson; what was done, by student. The originals are kept."""
    known = bundle.lessons(course / "tests")
    return {
        student: one(course, student, number, known) for student in tqdm(students(course, number), desc="repairing", delay=1)
    }


def one(course: Path, student: str, number: str, known: list[Lesson]) -> dict[str, Any]:
    """Repair one submission, unless it is as the last repair has left it."""
    folder, keep = course / "submitted" / student / number, course / "original" / student / number
    record, found = keep / "repair.json", notebooks(folder)
    before = told(record)
    if before and (sha(found[0]) == before.get("sha") if len(found) == 1 else not found and not before.get("graded", True)):
        return before
    for path in found:
        kept = keep / f"{sha(path)[:8]}-{path.name}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, kept)
    try:
        after = put(best(found, known, number), folder, found)
    except repair.Unreadable as error:
        after = {"graded": False, "reason": str(error), "lesson": number, "repairs": [], "notes": []}
        for path in found:
            path.unlink()
        write(after, result_path(course, student, number))
    write(after, record)
    return after


def notebooks(folder: Path) -> list[Path]:
    """The notebooks of a submission, with those in folders inside it."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() == ".ipynb"]
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


def best(found: list[Path], known: list[Lesson], number: str) -> tuple[Path, repair.Repaired]:
    """Of several notebooks the one with most answers, of those the last saved."""
    if not found:
        raise repair.Unreadable("there is no notebook (a file that ends in .ipynb); ask for it")
    read, why = [], []
    for path in found:
        try:
            fixed = repair.repaired(repair.read(path), path, known, number)
        except repair.Unreadable as error:
            why.append(f"{path.name}: {error}" if len(found) > 1 else str(error))
        else:
            read.append((answered(fixed), path.stat().st_mtime_ns, path, fixed))
    if not read:
        raise repair.Unreadable("; ".join(why))
    *_, path, fixed = max(read, key=lambda row: row[:2])
    if len(found) > 1:
        fixed.done.append(f"{len(found)} notebooks were handed in; {path.name} is graded, the originals are kept")
    return path, fixed


def answered(fixed: repair.Repaired) -> int:
    """How many exercises were written in."""
    cells = {bundle.role(cell).get("grade_id"): cell for cell in fixed.notebook["cells"]}
    stubs = [(one, cells.get(bundle.role(one.answer)["grade_id"])) for one in fixed.lesson.exercises]
    return sum(cell is not None and not repair.unwritten(cell, one) for one, cell in stubs)


def put(chosen: tuple[Path, repair.Repaired], folder: Path, found: list[Path]) -> dict[str, Any]:
    """Leave the repaired notebook, alone, where nbgrader looks for it."""
    _, fixed = chosen
    for path in found:
        path.unlink()
    target = folder / fixed.lesson.file
    target.write_text(json.dumps(fixed.notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    about = {"lesson": fixed.lesson.number, "version": fixed.lesson.version, "sha": sha(target)}
    return about | {"graded": True, "repairs": fixed.done, "notes": fixed.notes}


@contextmanager
def executor(jobs: int, dask: str | None) -> Iterator[Executor]:
    """So many processes on this computer, or those of a Dask cluster that sees the same folder."""
    if not dask:
        with ThreadPoolExecutor(jobs) as pool:  # each thread waits for a process of its own
            yield pool
        return
    from distributed import Client

    with Client(dask) as client:
        yield client.get_executor()


def command(course: Path, student: str, number: str, limits: Sequence[str]) -> list[str]:
    """What grades one submission, in a process of its own, which cannot stop the batch."""
    folder, out = course / "submitted" / student / number, raw_result(course, student, number)
    words = [sys.executable, HERE, "autograde", folder, "--lesson", number, "--tests", course / "tests", "-o", out, *limits]
    return list(map(str, words))


def raw_result(course: Path, student: str, number: str) -> Path:
    """Where that process leaves what it found."""
    return course / "results" / number / f".{student}.json"


def ended(future: Future[Any], path: Path) -> dict[str, Any]:
    """What a process has found, or why there is nothing."""
    try:
        words = future.result().stderr.strip().splitlines() or ["no result"]
        return told(path) or {"graded": False, "reason": f"the grader stopped: {words[-1][:300]}"}
    except Exception as error:  # it took too long, or a worker of a cluster was lost: the others go on
        return {"graded": False, "reason": f"the grader stopped: {type(error).__name__}"}


def left(course: Path, number: str, records: Results) -> tuple[Results, Results]:
    """What is graded, or cannot be, and what is left to do."""
    done, todo = {}, {}
    for student, record in records.items():
        before = told(result_path(course, student, number))
        same = before.get("graded") and all(before.get(name) == record.get(name) for name in ("sha", "version"))
        (done if same or not record["graded"] else todo)[student] = before if same else record
    return done, todo


def run(course: Path, number: str, jobs: int, dask: str | None = None, limits: Sequence[str] = ()) -> Results:
    """Grade what was handed in for a lesson and is not graded yet; all results, by student."""
    course = course.resolve()
    results, todo = left(course, number, prepare(course, number))
    bar = tqdm(total=len(results) + len(todo), initial=len(results), desc=f"grading {number}", unit="student")
    with bar, executor(jobs, dask) as pool:
        futures = {}
        for student in todo:
            raw_result(course, student, number).unlink(missing_ok=True)
            words = command(course, student, number, limits)
            futures[pool.submit(subprocess.run, words, capture_output=True, text=True, timeout=TOO_LONG)] = student
        for future in as_completed(futures):
            student = futures[future]
            result = ended(future, raw_result(course, student, number)) | {"lesson": number}
            results[student] = result | {key: todo[student][key] for key in ("sha", "repairs", "version")}
            write(results[student], result_path(course, student, number))
            bar.update()
    return dict(sorted(results.items()))


def report(results: Results) -> str:
    """What was repaired for whom, what is worth a look, and who is not graded and why."""
    lines = []
    for student, result in results.items():
        points = f"{result['points']:g} of {result['max']:g}" if result["graded"] else f"NOT GRADED: {result['reason']}"
        lines.append(f"{student}: {points}")
        lines += [f"    {line}" for line in (*result.get("repairs", ()), *result.get("notes", ()))]
    missing = sum(not result["graded"] for result in results.values())
    return "\n".join([*lines, f"{len(results) - missing} graded, {missing} not"])
