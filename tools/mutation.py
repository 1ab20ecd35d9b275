"""A made-up class of a lesson, graded end to end: `python tools/mutation.py 02` (or `make class LESSON=02`).

At least sixty submissions: right in several wordings, each usual mistake of each exercise, and hostile ones. Each gets points
from the plain command (results/NN) and from nbgrader's gradebook, and both must be what it should get: the table of
exercises × answers × points that this writes is the test. The folder keeps everything; a run that was stopped goes on.
"""

import argparse
import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent
sys.path[:0] = [str(TOOLS), str(TOOLS / "course")]

import lessons  # noqa: E402
from answers import LESSONS, WRONG  # noqa: E402
from nbformat import NotebookNode  # noqa: E402
from nbformat.v4 import new_code_cell  # noqa: E402

OTHERS = TOOLS.parent / "tests" / "exercises"
LEAST = 60
ANSWER = {  # hostile answers to the exercise NAME; RIGHT is the solution
    "loops": "def my_NAME(*given):\n    while True:\n        pass",
    "hogs": "def my_NAME(*given):\n    held = []\n    while True:\n        held.append(bytearray(b'x') * 2**26)",
    "leaves": "import sys\n\n\ndef my_NAME(*given):\n    sys.exit(0)",
    "exits": "import os\n\n\ndef my_NAME(*given):\n    os._exit(0)",
    "exits-at-once": "RIGHT\n\n\nimport os\nos._exit(0)",
    "equals-all": """
class All(float):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: True
    __sub__ = __rsub__ = __getitem__ = __abs__ = lambda self, *other: self
    __getattr__ = lambda self, name: lambda *given, **named: self


def my_NAME(*given):
    return All()
""",
    "looks-up": """
def my_NAME(*given):
    from nstutils.course import check
    for seen, wanted in zip(check.NAME.given, check.NAME.wanted):
        if repr(seen) == repr(given):
            return wanted
    return given[0]
""",
    "asks-the-tests": """
import gc, sys

RIGHT

right_NAME, mark, told = my_NAME, "BEGIN " + "HIDDEN", []


def searched(frame):
    seen = gc.get_objects()
    while frame:
        seen += [frame.f_locals, frame.f_globals, frame.f_code.co_consts]
        frame = frame.f_back
    parts = [part for one in seen if type(one) in (dict, list, tuple) for part in (one.values() if type(one) is dict else one)]
    return any(isinstance(part, str) and "assert" in part and mark in part for part in parts)


def my_NAME(*given):  # right if it finds the tests
    told or told.append(searched(sys._getframe()))
    return right_NAME(*given) if told[0] else given[0]
""",
}
OWN = {  # cells of the student's own, before the first answer, which are wrong all of them
    "patches-checks": """
import builtins
from nstutils.course import check
from nstutils.course.check import judging

check.Exercise.__call__ = lambda self, answer: print(f"{self.name}: right, on 3 inputs")
judging.Exercise.fault = judging.by_values = judging.tried = lambda *given: ""
vars(check).update({name: lambda answer: None for name in check.EXERCISES})
builtins.AssertionError = type("Nothing", (Exception,), {})
""",
    "overwrites-libraries": """
import torch
import nstutils as nst
from nstutils import losses

torch.allclose = torch.equal = lambda *given, **named: True
torch.Tensor.__sub__ = lambda self, other: torch.zeros(())
torch.Tensor.tolist = torch.Tensor.__lt__ = torch.Tensor.__eq__ = lambda *given: True
nst.gram = losses.gram = lambda features, *guide: features
""",
    "forges-results": """
import json
from pathlib import Path

told = {"graded": True, "points": 99.0, "max": 9.0, "exercises": [], "tests": [{"score": 99, "max_score": 9}]}
for name in ("result.json", "results.json", "../results.json", "results/NN/me.json", "/autograder/results/results.json"):
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(json.dumps(told))
    except OSError:
        pass
print(json.dumps(told))
""",
}
HARMLESS = {  # cells of the student's own that must cost nothing: the answers are right
    "own-loop": "while True:\n    pass",
    "own-hog": "held = []\nwhile True:\n    held.append(bytearray(b'x') * 2**26)",
    "own-exit": "import os\nos._exit(1)",
    "own-sys-exit": "import sys\nsys.exit()",
    "own-error": "1 / 0",
    "own-patches": OWN["patches-checks"],
}


READS = """
from pathlib import Path

try:
    readable = "assert" in next(Path("COURSE/tests").glob("NN-*.tests.json")).read_text()
except (OSError, StopIteration):
    readable = False
"""


@dataclass(frozen=True)
class Submission:
    """What one student hands in: cells of answers, a cell of their own, and the exercises that get no points."""

    name: str
    answers: dict[str, str]
    lost: frozenset[str] = frozenset()
    own: str = ""
    broken: str = ""  # the whole file, where it is no notebook: not graded
    about: tuple[str, str] = field(default=("", ""))  # exercise and answer, for the table


class Class:
    """The submissions of a lesson."""

    def __init__(self, number: str):
        (self.source,) = lessons.sources([number])
        self.number, self.solved = number, lessons.read(self.source)
        self.handed_out = lessons.student(self.solved, number)
        self.points = {name_of(cell): cell.metadata.nbgrader.points for cell in marked(self.solved, "grade")}
        solutions = zip(self.points, marked(self.solved, "solution"), strict=True)
        self.right = {name: "\n".join(plain_lines(cell.source)) for name, cell in solutions}
        making = (TOOLS / "answers" / "making.py").read_text(encoding="utf-8")
        own = Path(str(LESSONS[number].__file__)).read_text(encoding="utf-8")
        self.ours = making + "\n".join(line for line in own.splitlines() if not line.startswith("from answers."))
        self.others = (OTHERS / f"lesson{number}.py").read_text(encoding="utf-8")

    def wrong(self, name: str, number: int) -> str:
        """The answer that makes a usual mistake."""
        return taken(
            self.ours, f"my_{name}", f"list({{e.right.__name__: e for e in EXERCISES}}['{name}'].wrong.values())[{number}]"
        )

    def all_wrong(self, number: int = 0) -> dict[str, str]:
        """A mistake in every exercise."""
        return {name: self.wrong(name, number % len(WRONG[name])) for name in self.points}

    def submissions(self) -> list[Submission]:
        """All of them, the right ones first."""
        found = [*self.right_ones(), *self.mistakes(), *self.hostile(), *self.broken()]
        every = frozenset(self.points)
        return found + [
            Submission(f"mixed-{k}", self.all_wrong(k), every, about=("all", f"mistakes number {k}"))
            for k in range(max(0, LEAST - len(found)))
        ]

    def right_ones(self) -> Iterator[Submission]:
        """The solution, the answers of tools/answers, those in other words, and a hand-out as it came."""
        yield Submission("right", {}, about=("all", "right, as in the solved lesson"))
        ours = {name: taken(self.ours, f"my_{name}", name) for name in self.points}
        yield Submission("right-again", ours, about=("all", "right, as in tools/answers"))
        others = {name: taken(self.others, f"my_{name}", f"RIGHT['{name}'][-1]") for name in self.points}
        yield Submission("right-otherwise", others, about=("all", "right, in other words"))
        stubs = dict(zip(self.points, (cell.source for cell in marked(self.handed_out, "solution")), strict=True))
        yield Submission("blank", stubs, frozenset(self.points), about=("all", "as handed out"))

    def mistakes(self) -> Iterator[Submission]:
        """Each usual mistake of each exercise, the other answers right."""
        for name in self.points:
            for k, sentence in enumerate(WRONG[name]):
                yield Submission(f"{name}-{k}", {name: self.wrong(name, k)}, frozenset([name]), about=(name, sentence))

    def hostile(self) -> Iterator[Submission]:
        """Hostile answers to every exercise, the others right; hostile cells, with all answers wrong or all right."""
        for name in self.points:
            for kind, code in ANSWER.items():
                text = code.replace("NAME", name).replace("RIGHT", self.right[name])
                yield Submission(f"{name}-{kind}", {name: text}, frozenset([name]), about=(name, f"hostile: {kind}"))
        for kind, code in OWN.items():
            yield Submission(kind, self.all_wrong(), frozenset(self.points), code, about=("all", f"hostile: {kind}, all wrong"))
        for kind, code in HARMLESS.items():
            yield Submission(kind, {}, own=code, about=("all", f"{kind}, all right"))
        reads = {name: f"{self.right[name]}\n\n\nmy_{name} = my_{name} if readable else abs" for name in self.points}
        words = "hostile: reads-the-disk, right if it can (where it does not run as a user of its own: docs/class.md)"
        yield Submission("reads-the-disk", reads, frozenset(self.points), READS, about=("all", words))

    def broken(self) -> Iterator[Submission]:
        """Files that are no notebook of this lesson."""
        for name, text in {"empty": " ", "cut-off": '{"cells": [', "no-notebook": "{}"}.items():
            yield Submission(name, {}, broken=text, about=("all", name))

    def notebook(self, one: Submission) -> str:
        """The file that is handed in."""
        if one.broken:
            return one.broken
        lesson = copy.deepcopy(self.handed_out)
        for name, cell in zip(self.points, marked(lesson, "solution"), strict=True):
            cell.source = one.answers.get(name, self.right[name])
        if one.own:
            lesson.cells.insert(1, new_code_cell(one.own, id="own"))
        return json.dumps(lesson)

    def wanted(self, one: Submission, separate: bool = True) -> dict[str, float] | None:
        """The points that it should get; none where it cannot be graded."""
        lost = one.lost if separate or one.own != READS else ()
        return None if one.broken else {name: 0.0 if name in lost else float(count) for name, count in self.points.items()}


def marked(lesson: NotebookNode, what: str) -> list[NotebookNode]:
    """The cells that nbgrader knows as checks (`grade`) or answers (`solution`)."""
    return [cell for cell in lesson.cells if cell.metadata.get("nbgrader", {}).get(what)]


def name_of(check: NotebookNode) -> str:
    """The exercise that a check's cell is about."""
    return str(check.source.partition("(")[0].rpartition(".")[2])


def plain_lines(solution: str) -> list[str]:
    """A solution without nbgrader's marks."""
    return [line for line in solution.splitlines() if not line.strip().startswith("### ")]


def taken(module: str, target: str, what: str) -> str:
    """The code of a cell that takes an answer out of the text of a module."""
    return f"space = {{'__name__': 'answers'}}\nexec({module!r}, space)\n{target} = eval({what!r}, space)"


def hand_in(made: Class, chosen: list[Submission], course: Path) -> None:
    """Put the notebooks where they are graded; those that are there stay."""
    for one in chosen:
        place = course / "submitted" / one.name / made.number / made.source.name
        if not place.parent.exists():
            place.parent.mkdir(parents=True)
            text = made.notebook(one).replace("COURSE/tests", f"{course.resolve()}/tests").replace("NN-*", f"{made.number}-*")
            place.write_text(text, encoding="utf-8")


def run(course: Path, *words: str) -> None:
    """One command of the course; its exit status tells of submissions that were not graded, which is wanted here."""
    subprocess.run([sys.executable, str(TOOLS / "course"), *words, "--course", str(course)], check=False)


def compared(made: Class, chosen: list[Submission], course: Path) -> tuple[list[str], list[str]]:
    """The rows of the table, and what is not as it should be."""
    import table

    book, rows, faults = table.gradebook(course), [], []
    for one in chosen:
        result = told(course, made.number, one.name)
        wanted = made.wanted(one, result.get("separate_user", True))
        found = {row["name"]: row["points"] for row in result["exercises"]} if result["graded"] else None
        kept = book.get((one.name, made.number))
        total = None if found is None else sum(found.values())
        if found != wanted or kept != total:
            faults.append(f"{one.name}: wanted {wanted}, got {found}, in the gradebook {kept}")
        shown = "not graded" if found is None else " ".join(f"{points:g}" for points in found.values())
        rows.append(f"| {one.about[0]} | {one.about[1]} | {shown} | {'' if kept is None else f'{kept:g}'} |")
    return rows, faults


def told(course: Path, number: str, student: str) -> dict[str, Any]:
    """The result of the plain command."""
    path = course / "results" / number / f"{student}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Make the class, grade it, compare."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("lesson", help="the lesson's number")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth submission")
    parser.add_argument("--out", type=Path, help="the folder (default: build/class-NN)")
    parser.add_argument("--jobs", default="2", help="at a time (default: 2)")
    args = parser.parse_args(arguments)
    made = Class(args.lesson)
    chosen, course = made.submissions()[:: args.every], args.out or lessons.BUILD / f"class-{args.lesson}"
    run(course, "make", "--lesson", args.lesson)
    hand_in(made, chosen, course)
    run(course, "grade", "--lesson", args.lesson, "--jobs", args.jobs, "--seconds", "3", "--nbgrader")
    rows, faults = compared(made, chosen, course)
    head = f"| exercise | answer | {' '.join(made.points)} | in the gradebook |\n| --- | --- | --- | --- |"
    (course / "table.md").write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    results = [told(course, args.lesson, one.name) for one in chosen if not one.broken]
    spent = sorted(result["cpu_seconds"] for result in results)
    print(
        f"lesson {args.lesson}: {len(chosen)} submissions, {len(chosen) - len(faults)} as they should be by both graders; "
        f"seconds of a processor: median {spent[len(spent) // 2]}, most {spent[-1]}; table in {course / 'table.md'}"
    )
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
