"""Grades as tables: one row a student and lesson, and from it the files that Canvas and Moodle import."""

import csv
from pathlib import Path
from typing import Any

from batch import told

NAMES = ("SIS Login ID", "SIS User ID", "ID", "Email", "Student")  # what the folder of a submission may be called after
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def roster(course: Path) -> list[dict[str, str]]:
    """The students: students.csv, which may be the file that Canvas exports."""
    path = course / "students.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [{str(key).strip(): (value or "").strip() for key, value in row.items() if key} for row in csv.DictReader(file)]
    return [row for row in rows if any(row.get(name) for name in NAMES) and row.get("Student") != "Points Possible"]


def matching(student: str, people: list[dict[str, str]]) -> dict[str, str] | None:
    """The person of the roster whose work is in a folder of this name."""
    return next((row for row in people if student.lower() in {row.get(name, "").lower() for name in NAMES} - {""}), None)


def rows(course: Path) -> list[dict[str, Any]]:
    """One row a student and lesson: points, or none and the reason."""
    people, by_hand = roster(course), gradebook(course)
    found = {}
    for path in sorted(course.glob("results/[0-9][0-9]/*.json")):
        if not path.name.startswith("."):
            result, key = told(path), (path.stem, path.parent.name)
            person = matching(path.stem, people) or {"SIS Login ID": path.stem}
            points = by_hand.get(key, result.get("points")) if result.get("graded") else None
            status = "graded" if result.get("graded") else f"not graded: {result.get('reason', 'the result is damaged')}"
            told_ = {
                "points": points,
                "max": result.get("max"),
                "status": status,
                "repairs": "; ".join(result.get("repairs", ())),
            }
            found[key] = {"student": path.stem, "person": person, "lesson": path.parent.name} | told_
    numbers = sorted({number for _, number in found})
    for person in people:
        here = {number: row for (_, number), row in found.items() if row["person"] is person}
        name = next(person[name] for name in NAMES if person.get(name))
        for number in numbers:
            if number not in here:
                none = {"points": None, "max": None, "status": "not handed in", "repairs": ""}
                found[name, number] = {"student": name, "person": person, "lesson": number} | none
    return [found[key] for key in sorted(found)]


def gradebook(course: Path) -> dict[tuple[str, str], float]:
    """The points that nbgrader keeps, with those given by hand and late penalties."""
    if not (course / "gradebook.db").exists():
        return {}
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{(course / 'gradebook.db').resolve()}") as book:
        handed_in = [one for assignment in book.assignments for one in assignment.submissions]
        return {
            (one.student_id, one.assignment.name): max(0.0, one.score - (one.late_submission_penalty or 0)) for one in handed_in
        }


def field(value: Any) -> Any:
    """What is not known is empty, and a name that a spreadsheet would take for a formula is a text."""
    return "" if value is None else f"'{value}" if str(value)[:1] in ("=", "+", "@") else value


def write(path: Path, names: list[str], lines: list[list[Any]]) -> None:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    safe = [
        ["" if value is None else f"'{value}" if str(value)[:1] in ("=", "+", "@") else value for value in line]
        for line in lines
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *safe])


def grades(course: Path, titles: dict[str, str]) -> list[Path]:
    """grades.csv (everything), canvas.csv and moodle.csv (for their imports), in the course's folder `grades`."""
    found, folder = rows(course), course / "grades"
    numbers = sorted({row["lesson"] for row in found})
    columns = ["student", "name", "section", "lesson", "points", "max", "status", "repairs"]
    plain = [
        [row["student"], row["person"].get("Student"), row["person"].get("Section"), *(row[name] for name in columns[3:])]
        for row in found
    ]
    write(folder / "grades.csv", columns, plain)
    names = [titles.get(number, f"Lesson {number}") for number in numbers]
    people = {row["student"]: row["person"] for row in found}
    points = {(row["student"], row["lesson"]): row["points"] for row in found}
    most = {row["lesson"]: row["max"] for row in found if row["max"]}
    each = {student: [points.get((student, number)) for number in numbers] for student in people}
    possible = [["Points Possible", "", "", "", "", *(most.get(number) for number in numbers)]]
    canvas = [[*(person.get(name, "") for name in CANVAS), *each[student]] for student, person in people.items()]
    write(folder / "canvas.csv", [*CANVAS, *names], possible + canvas)
    moodle = [
        [person.get("SIS Login ID", student), person.get("Email", ""), *each[student]] for student, person in people.items()
    ]
    write(folder / "moodle.csv", ["Username", "Email address", *names], moodle)
    return [folder / name for name in ("grades.csv", "canvas.csv", "moodle.csv")]
