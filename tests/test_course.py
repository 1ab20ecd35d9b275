"""Running the course: what is handed in is repaired or told, gets the points it deserves, and one bad file stops nothing."""

import ast
import csv
import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import psutil
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "tools" / "course"
SETUP = "import torch\n\ncalls = []\n\n\ndef check(answer, *given, wanted):\n    assert answer(*given) == wanted, 'not that'"
RIGHT = {"double": "def double(x):\n    return x + x", "halve": "def halve(x):\n    return x / 2"}
Notebook = dict[str, Any]


@pytest.fixture(scope="module")
def course() -> SimpleNamespace:
    """The modules of tools/course."""
    sys.path[:0] = [str(TOOLS), str(TOOLS.parent)]
    names = ("bundle", "repair", "batch", "grade", "table", "similar", "begin", "package", "sandbox", "wire", "lessons")
    modules = SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    del sys.path[:2]
    return modules


def exercise(name: str, hidden: str) -> list[Any]:
    """A statement, a solved stub and a check with a hidden test."""
    marks = {"schema_version": 3, "task": False}
    stub = f"def {name}(x):\n    ### BEGIN SOLUTION\n" + RIGHT[name].partition("\n")[2] + "\n    ### END SOLUTION"
    test = (
        f"check({name}, 3.0, wanted={6.0 if name == 'double' else 1.5})\n### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
    )
    roles = (
        {"grade": False, "solution": False},
        {"grade": False, "solution": True},
        {"grade": True, "solution": False, "points": 2},
    )
    made = [new_markdown_cell(f"Write {name} (2 points)."), new_code_cell(stub), new_code_cell(test)]
    for cell, role, part in zip(made, roles, ("exercise", "solution", "check"), strict=True):
        locked = not role["solution"]
        cell.metadata["nbgrader"] = marks | role | {"locked": locked, "grade_id": f"{part}-{name}"}
        cell["id"] = f"{part}-{name}"
    return made


def solved(hidden: str = "check(double, 'no', wanted='nono')") -> Any:
    """A lesson of two exercises."""
    cells = [new_code_cell(SETUP, id="setup"), *exercise("double", hidden), *exercise("halve", "check(halve, 7.0, wanted=3.5)")]
    return new_notebook(cells=[*cells, new_markdown_cell("The end.")])


@pytest.fixture
def tests(course: SimpleNamespace, tmp_path: Path) -> Path:
    """The lesson's tests in a folder."""
    folder = tmp_path / "class" / "tests"
    course.bundle.write(solved(), course.lessons.student(solved(), "02"), "02_tiny.ipynb", folder)
    return folder


@pytest.fixture
def handed(course: SimpleNamespace, tests: Path) -> Notebook:
    """A hand-out with both answers written in."""
    return filled(json.loads(json.dumps(course.lessons.student(solved(), "02"))))


def filled(notebook: Notebook, **answers: str) -> Notebook:
    """The notebook with right answers, or with these."""
    for cell in notebook["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        if name.startswith("solution-"):
            cell["source"] = (RIGHT | answers)[name.removeprefix("solution-")]
    return notebook


def at(notebook: Notebook, name: str) -> int:
    """The place of a cell."""
    return next(n for n, cell in enumerate(notebook["cells"]) if cell["metadata"].get("nbgrader", {}).get("grade_id") == name)


def copied(notebook: Notebook, *names: str) -> None:
    """Copies of these cells behind the last of them."""
    made = [json.loads(json.dumps(notebook["cells"][at(notebook, name)])) for name in names]
    place = at(notebook, names[-1]) + 1
    notebook["cells"][place:place] = made


def emptied(notebook: Notebook) -> None:
    """A blank first pair, and the copy solved."""
    copied(notebook, "solution-double", "check-double")
    notebook["cells"][at(notebook, "solution-double")]["source"] = (
        "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    )


def stripped(notebook: Notebook) -> None:
    """As a service leaves it that knows neither marks nor names of cells."""
    for cell in notebook["cells"]:
        cell["metadata"], cell["id"] = {}, ""


def retyped(notebook: Notebook, name: str) -> None:
    """A cell that was made a text."""
    cell = notebook["cells"][at(notebook, name)]
    cell["cell_type"] = "markdown"
    cell.pop("outputs", None)


def edited(notebook: Notebook) -> None:
    notebook["cells"][at(notebook, "check-double")]["source"] = "check = lambda *given, **wanted: None\nmine = 'kept'"


def loud(notebook: Notebook) -> None:
    text = {"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}
    notebook["cells"][0]["outputs"] = [text]


def elsewhere(notebook: Notebook) -> None:
    notebook["cells"].insert(1, new_code_cell("open('/home/ada/me.png')"))


MESSES: dict[str, tuple[Callable[[Notebook], Any], str]] = {
    "answer copied": (lambda n: copied(n, "solution-double"), "double: 2 answer cells; the last of the 2"),
    "check copied": (lambda n: copied(n, "check-double"), "double: its check was copied; one is left"),
    "pair copied, solved in the copy": (emptied, "double: 2 answer cells; the one that was written in is graded"),
    "check deleted": (lambda n: n["cells"].pop(at(n, "check-double")), "double: its check was deleted; put back"),
    "check edited": (edited, "double: its check was edited; put back, and the edited cell is kept"),
    "check retyped": (lambda n: retyped(n, "check-double"), "double: its check was made a text; put back"),
    "answer retyped": (lambda n: retyped(n, "solution-double"), "double: the answer was a markdown cell; made code again"),
    "marks stripped": (stripped, "double: the answer cell had lost its mark; found by what it defines"),
    "statement deleted": (lambda n: n["cells"].pop(at(n, "exercise-double")), ""),
    "reordered": (lambda n: n["cells"].reverse(), "exercises stand in another order"),
    "another kernel": (lambda n: n["metadata"].update(kernelspec={"name": "ir"}), "its kernel was ir; made python3"),
    "no kernel": (lambda n: n["metadata"].pop("kernelspec", None), "its kernel was not told; made python3"),
    "never run": (lambda n: None, "no cell was ever run"),
    "50 MB of output": (loud, "code cell 1 had 50 MB of output; left out"),
    "outputs that are none": (lambda n: n["cells"][0].update(outputs=[3, {"output_type": "?"}]), ""),
    "metadata that is none": (lambda n: n["cells"][0].update(metadata=None, source=["a = 1\n", "b = 2"]), ""),
    "cells that are none": (lambda n: n["cells"].extend([7, {"cell_type": "heading"}]), "2 things that are no cells"),
    "an absolute path": (elsewhere, "reads or writes /home/ada/me.png, which is not here"),
    "no version": (lambda n: n["metadata"].pop("nstutils"), "carries no version: graded by the newest tests"),
    "ids twice": (lambda n: [cell.update(id="one") for cell in n["cells"]], ""),
    "no metadata": (lambda n: n.update(metadata=7), "its kernel was not told"),
}


@pytest.mark.parametrize("mess", MESSES)
def test_a_mess_is_repaired_and_told_and_the_answers_are_graded(
    mess: str, course: SimpleNamespace, tests: Path, handed: Notebook
) -> None:
    before = {line for cell in handed["cells"] for line in str(cell["source"]).splitlines()}
    MESSES[mess][0](handed)
    fixed = course.repair.repaired(handed, Path("02_tiny.ipynb"), course.bundle.lessons(tests), "02")
    assert MESSES[mess][1] in "\n".join([*fixed.done, *fixed.notes])
    cells = {course.bundle.role(cell).get("grade_id"): cell for cell in fixed.notebook["cells"]}
    for name, text in RIGHT.items():
        assert cells[f"solution-{name}"]["source"] == text
        assert cells[f"check-{name}"]["source"].startswith(f"check({name}, 3.0")
        assert cells[f"check-{name}"]["metadata"]["nbgrader"]["points"] == 2
    marks = [course.bundle.role(cell)["grade_id"] for cell in fixed.notebook["cells"] if course.bundle.role(cell)]
    assert sorted(marks) == ["check-double", "check-halve", "solution-double", "solution-halve"]
    ids = [cell["id"] for cell in fixed.notebook["cells"]]
    assert len(set(ids)) == len(ids)
    if mess not in ("statement deleted", "metadata that is none", "pair copied, solved in the copy"):
        assert before <= {line for cell in fixed.notebook["cells"] for line in cell["source"].splitlines()}
    if mess == "check edited":
        assert "mine = 'kept'" in "".join(cell["source"] for cell in fixed.notebook["cells"])
    course.lessons.nbformat.validate(course.lessons.nbformat.from_dict(fixed.notebook))


def test_an_answer_cell_that_is_gone_is_told(course: SimpleNamespace, tests: Path, handed: Notebook) -> None:
    del handed["cells"][at(handed, "solution-double")]
    fixed = course.repair.repaired(handed, Path("02 (1).ipynb"), course.bundle.lessons(tests), "02")
    assert "double: its answer cell is gone, and no other defines double: no answer" in fixed.done
    assert "renamed: it was 02 (1).ipynb, wanted 02_tiny.ipynb" in fixed.done


def test_an_older_version_is_graded_by_its_own_tests(course: SimpleNamespace, tests: Path, handed: Notebook) -> None:
    newer = solved("check(double, 'x', wanted='y')")
    course.bundle.write(newer, course.lessons.student(newer, "02"), "02_tiny.ipynb", tests)
    os.utime(tests / f"02-{course.lessons.version(newer)}.json", (2e9, 2e9))
    fixed = course.repair.repaired(handed, Path("02_tiny.ipynb"), course.bundle.lessons(tests), "02")
    assert fixed.lesson.version == course.lessons.version(solved()) != course.lessons.version(newer)
    assert "not the newest" in fixed.notes[0]
    handed["metadata"]["nstutils"]["version"] = "00000000"
    fixed = course.repair.repaired(handed, Path("02_tiny.ipynb"), course.bundle.lessons(tests), "02")
    assert "whose tests are not here: graded by the newest" in fixed.notes[0]


BROKEN = {
    "": "the file is empty",
    "{}": "no notebook: it has no cells",
    "[1, 2]": "no notebook: it has no cells",
    '{"cells": [{"cell_type": "code", "sour': "the file is cut off",
    "%PDF-1.4": "the file is not a notebook",
    "[" * 100_000: "the file is not a notebook",
    '{"cells": [{"cell_type": "code", "source": "print(1)"}], "metadata": {}}': "2 of 2",
}


def class_of(tests: Path, **files: str | Notebook) -> Path:
    """A course folder with these submissions."""
    for student, content in files.items():
        path = tests.parent / "submitted" / student / "02" / "02_tiny.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return tests.parent


def test_one_bad_file_stops_nothing_and_originals_are_kept(course: SimpleNamespace, tests: Path, handed: Notebook) -> None:
    texts = list(BROKEN)[:-1]
    folder = class_of(tests, **{f"bad{n}": text for n, text in enumerate(texts)}, zoe=handed)
    (folder / "submitted" / "none" / "02").mkdir(parents=True)
    records = course.batch.prepare(folder, "02")
    assert records["zoe"]["graded"]
    assert "there is no notebook" in records["none"]["reason"]
    for n, text in enumerate(texts):
        assert BROKEN[text] in records[f"bad{n}"]["reason"]
        assert [path.read_text() for path in (folder / "original" / f"bad{n}" / "02").glob("*.ipynb")] == [text]
    assert course.batch.prepare(folder, "02") == records
    kept = json.loads(next((folder / "original" / "zoe" / "02").glob("*.ipynb")).read_text())
    assert kept == handed
    assert list((folder / "submitted" / "zoe" / "02").iterdir())[0].name == "02_tiny.ipynb"


def test_what_was_not_graded_is_never_zero(course: SimpleNamespace, tests: Path, handed: Notebook) -> None:
    folder = class_of(tests, ada=handed, bob="{}")
    roster = "Student,ID,SIS User ID,SIS Login ID,Section,Email\n    Points Possible,,,,,\n"
    roster += '"Lovelace, Ada",7,s7,ada,A,ada@x.org\n"Bob",8,s8,bob,B,b@x.org\n"=Eve",9,s9,eve,B,e@x.org\n'
    (folder / "students.csv").write_text(roster)
    course.batch.prepare(folder, "02")
    course.batch.write({"graded": True, "points": 0.0, "max": 4, "repairs": []}, folder / "results" / "02" / "ada.json")
    course.table.grades(folder, {"02": "02 tiny"})
    read = {name: list(csv.DictReader((folder / "grades" / f"{name}.csv").open())) for name in ("grades", "canvas", "moodle")}
    assert [(row["student"], row["points"], row["status"].split(":")[0]) for row in read["grades"]] == [
        ("ada", "0.0", "graded"),
        ("bob", "", "not graded"),
        ("eve", "", "not handed in"),
    ]
    canvas = [list(row.values()) for row in read["canvas"]]
    assert list(read["canvas"][0]) == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "02 tiny"]
    assert canvas[0] == ["Points Possible", "", "", "", "", "4"]
    assert canvas[1:] == [
        ["Lovelace, Ada", "7", "s7", "ada", "A", "0.0"],
        ["Bob", "8", "s8", "bob", "B", ""],
        ["'=Eve", "9", "s9", "eve", "B", ""],
    ]
    assert [list(row.values()) for row in read["moodle"]][0] == ["ada", "ada@x.org", "0.0"]


def test_an_empty_folder_says_which_one_was_expected(course: SimpleNamespace, tests: Path) -> None:
    with pytest.raises(course.repair.Unreadable, match=r"submitted/STUDENT/02; put the submissions there"):
        course.batch.prepare(tests.parent, "02")


def points(course: SimpleNamespace, tests: Path, handed: Notebook, **limits: float) -> tuple[dict[str, Any], dict[str, str]]:
    """The points of each exercise, and what was said."""
    fixed = course.repair.repaired(handed, Path("02_tiny.ipynb"), course.bundle.lessons(tests), "02")
    found = course.grade.graded(fixed, tests, course.sandbox.Limits(**{"seconds": 5.0, "memory": 300} | limits))
    rows = found["exercises"]
    return {one["name"]: one["points"] for one in rows}, {one["name"]: one["message"] for one in rows}


def test_an_answer_that_leaves_the_work_to_the_library_is_told_to_whoever_reads_the_report(course: SimpleNamespace) -> None:
    setup = "import nstutils as nst\nfrom nstutils.course import measures as how\ncheck = nst.check\nnet = nst.backbone()"
    used = {
        "my_gram = nst.gram": ["nst.gram"],
        "def f(x):\n    from nstutils.losses import gram as g\n    return g(x)": ["g"],
        "def f(x):\n    return how.grain(x) + check.lesson02.f(x)": ["check.lesson02.f", "how.grain"],
        "def f(x):\n    'as nst.gram does'\n    return net(x, ('relu1_1',))": [],
        "def f(x:": [],
    }
    assert {text: course.bundle.borrowed(text, setup) for text in used} == used


def test_what_the_solution_itself_uses_is_no_word_worth(course: SimpleNamespace, tmp_path: Path) -> None:
    name = "03_style_reconstruction.ipynb"
    books = [nbformat.read(ROOT / part / name, 4) for part in ("notebooks/solutions", "notebooks")]
    lesson = course.bundle.load(course.bundle.write(*books, name, tmp_path))
    assert {one.name: one.uses for one in lesson.exercises if one.uses} == {"style_gradient": ("nst.gram",)}
    fixed = course.repair.repaired(books[1], Path("03.ipynb"), [lesson], "03")
    cells = {course.bundle.role(cell).get("grade_id"): cell for cell in fixed.notebook["cells"]}
    for one in lesson.exercises:
        cells[course.bundle.role(one.answer)["grade_id"]]["source"] = f"{one.names[0]} = nst.gram"
    told = course.grade.from_the_library(fixed)
    assert len(told) == len(lesson.exercises) - 1
    assert "the answer to gram uses the library's nst.gram: read it" in told


HOSTILE = {  # the answer to the first exercise, what it gets, and what is said
    "right": (RIGHT["double"], 2, "right"),
    "wrong": ("def double(x):\n    return 3 * x", 0, "not that"),
    "right only where it is seen": ("def double(x):\n    return 6.0", 0, "a hidden test does not"),
    "unwritten": ("def double(x):\n    raise NotImplementedError", 0, "NotImplementedError"),
    "not defined": ("twice = 2", 0, "double is not defined"),
    "a text": ("double = 'text'", 0, "not callable"),
    "endless": ("def double(x):\n    while True: pass", 0, "took more than 0.9 seconds of a processor"),
    "endless cell": (RIGHT["double"] + "\nwhile True: pass", 0, "took more than 0.9 seconds of a processor"),
    "hog": ("def double(x):\n    return len(bytearray(3 * 10**9)) and x + x", 0, "MemoryError"),
    "hog in its cell": ("held = [0]\nwhile True: held += [bytearray(b'x') * 10**8]\n" + RIGHT["double"], 0, "memory"),
    "exit": ("import sys\nsys.exit(0)\n" + RIGHT["double"], 0, "its cell stops with"),
    "hard exit": ("import os\n\ndef double(x):\n    os._exit(0)", 0, "ended by itself"),
    "patched check": ("def double(x):\n    return 0\ncheck = lambda *a, **k: None", 0, "not that"),
    "patched library": (
        "def double(x):\n    return 0\nimport torch, operator\ntorch.equal = operator.eq = lambda *a: True",
        0,
        "not that",
    ),
    "an equal to everything": (
        "class Any(float):\n    __eq__ = lambda *a: True\n    __ne__ = lambda *a: False\ndef double(x):\n    return Any(0)",
        0,
        "not that",
    ),
    "forged answers": (
        "import os\nfor n in range(3, 60):\n    try: os.write(n, b'[[\"value\"], [6.0, [], null], 0]')\n"
        "    except OSError: pass",
        0,
        "",
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the grader wants fork")
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_submission_gets_what_it_deserves_and_spoils_no_other_exercise(
    kind: str, course: SimpleNamespace, tests: Path, handed: Notebook
) -> None:
    text, wanted, said = HOSTILE[kind]
    limits = {"seconds": 0.9} if "endless" in kind else {}  # the others end by themselves, on a slow processor later
    found, words = points(course, tests, filled(handed, double=text), **limits)
    assert found == {"double": wanted, "halve": 2}
    assert said in words["double"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the grader wants fork")
def test_a_process_that_never_began_costs_no_points(
    course: SimpleNamespace, tests: Path, handed: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, killed = course.sandbox.take, []

    def first_dies(watch: Any, spare: Any) -> None:
        if not killed:
            killed.append(spare.pid)
            os.kill(spare.pid, 9)
        take(watch, spare)

    monkeypatch.setattr(course.sandbox, "take", first_dies)
    assert points(course, tests, filled(handed))[0] == {"double": 2, "halve": 2}
    assert killed


SPY = """
import os, re
def double(x):
    found = [name for name in os.environ if "SECRET" in name]
    try:  # a process that has become another user may not look at itself: then there is nothing to find
        found += re.findall("SECRET", open("/proc/self/environ").read())
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps:
                begin, end = (int(part, 16) for part in line.split()[0].split("-"))
                if " rw-p" in line and end - begin < 2**28:
                    memory.seek(begin)
                    found += re.findall(b"hidden-tes[t]", memory.read(end - begin))
    except PermissionError:
        pass
    return 0 if found else x + x
"""


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux shows a process its memory as a file")
def test_the_plain_command_hides_tests_and_secrets_from_the_submission(
    course: SimpleNamespace, tests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = solved("check(double, 'no', wanted='nono')  # hidden-test")
    lesson.cells[0].source = lesson.cells[0].source.removeprefix("import torch\n")
    course.bundle.write(lesson, course.lessons.student(lesson, "02"), "02_tiny.ipynb", tests)
    handed = filled(json.loads(json.dumps(course.lessons.student(lesson, "02"))), double=SPY)
    (tmp_path / "02 (1).ipynb").write_text(json.dumps(handed))
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.delenv("COURSE", raising=False)
    command = [sys.executable, TOOLS, "autograde", tmp_path, "--tests", tests, "-o", tmp_path / "result.json", "--gradescope"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "4 of 4 points\n"), done.stderr
    found = json.loads((tmp_path / "result.json").read_text())
    assert "renamed" in found["output"]
    assert [(one["score"], one["max_score"], one["visibility"]) for one in found["tests"]] == [
        (2, 2, "visible"),
        (0, 0, "hidden"),
    ] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the grader wants fork")
def test_nothing_that_a_submission_started_outlives_it(course: SimpleNamespace, tests: Path, handed: Notebook) -> None:
    mine = str(300 + os.getpid() / 1e7)
    spawn = f"import subprocess\nsubprocess.Popen(['sleep', '{mine}'], start_new_session=True)\n"
    found, _ = points(course, tests, filled(handed, double=spawn + RIGHT["double"]))
    assert found == {"double": 2, "halve": 2}
    assert not [process for process in psutil.process_iter(["cmdline"]) if mine in (process.info["cmdline"] or ())]


@pytest.mark.long
@pytest.mark.parametrize("path", sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_solved_lesson_has_all_its_points(path: Path, course: SimpleNamespace, tmp_path: Path) -> None:
    course.begin.bundles(tmp_path / "tests", [path.name[:2]])
    (tmp_path / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, TOOLS, "autograde", tmp_path, "--lesson", path.name[:2], "--tests", tmp_path / "tests"]
    subprocess.run([*command, "-o", tmp_path / "result.json"], check=True, capture_output=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [one["name"] for one in result["exercises"] if not one["points"]] == []


def test_values_gradients_and_changes_go_through_the_line(course: SimpleNamespace) -> None:
    def scaled(x: Any, weights: list[Any], loss: Any) -> Any:
        weights.append(torch.ones(2, dtype=torch.bool))
        weights[0].mul_(2)
        return {"y": (x * weights[0], loss(x).sum()), "n": [1, None, "a", 2.5]}

    one, two = (course.wire.Peer(end, trusting=k == 1) for k, end in enumerate(Pipe()))
    two.functions.append(scaled)
    threading.Thread(target=two.serve, daemon=True).start()
    x, weights = torch.tensor([1.0, 2.0], requires_grad=True), [torch.tensor(3.0)]
    found = one.call(0, x, weights, lambda v: v**2)
    (found["y"][0].sum() + found["y"][1]).backward()
    assert x.grad.tolist() == [8.0, 10.0]
    assert found["n"] == [1, None, "a", 2.5]
    assert weights[0] == 6
    assert weights[1].tolist() == [True, True]
    one.line.close()


def test_a_number_of_numpy_stays_a_number_on_the_line(course: SimpleNamespace) -> None:
    """It came out as an array of one number, which is none to NumPy 2.4: an answer by SciPy got no points."""
    one, two = (course.wire.Peer(end, trusting=k == 1) for k, end in enumerate(Pipe()))
    two.functions.append(lambda: [np.float32(0.25), np.array(2.5), np.arange(3)[::-1]])
    threading.Thread(target=two.serve, daemon=True).start()
    number, alone, turned = one.call(0)
    assert (float(number), float(alone), number.dtype) == (0.25, 2.5, np.float32)
    assert turned.tolist() == [2, 1, 0]
    one.line.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the grader wants fork")
def test_an_answer_that_changes_everybodys_random_numbers_is_noticed(
    course: SimpleNamespace, tests: Path, handed: Notebook
) -> None:
    lesson = solved(
        "state = torch.random.get_rng_state()\ndouble(1.0)\nassert torch.equal(state, torch.random.get_rng_state())"
    )
    course.bundle.write(lesson, course.lessons.student(lesson, "02"), "02_tiny.ipynb", tests)
    handed["metadata"].pop("nstutils")
    drawing = "import torch\n\ndef double(x):\n    torch.rand(1)\n    return x + x"
    with torch.random.fork_rng():
        assert points(course, tests, filled(handed, double=drawing))[0] == {"double": 0, "halve": 2}
        assert points(course, tests, filled(handed))[0] == {"double": 2, "halve": 2}


def test_what_only_a_cell_computes_is_left_out_of_a_lessons_names(course: SimpleNamespace) -> None:
    lesson = SimpleNamespace(number="02", setup="a = 3\n\ndef f(x, y=computed): ...\n\ndef g():\n    return a")
    names = course.grade.namespace(lesson)
    assert names["g"]() == 3
    assert "f" not in names


def test_answers_alike_are_shown_side_by_side_without_names_comments_and_layout(course: SimpleNamespace) -> None:
    texts = {
        "ada": "def f(x):\n    '''Mine.'''\n    total = 0\n    for one in x: total += one * 3  # so\n    return total / 7",
        "bob": "def f(values):\n    s = 0\n    for v in values:\n        s += v * 3\n    return s / 7",
    } | {f"eve{n}": "def f(x):\n    return (3 * x).mean()" for n in range(5)}  # what many wrote comes last
    texts |= {"nil": "# later", "nix": "# never"}
    found = [course.similar.Answer(who, "f", text, course.similar.normal(text)) for who, text in texts.items()]
    rows = course.similar.pairs(found)
    assert [(one.student, other.student, alike, count) for _, alike, one, other, count in rows[:1]] == [("ada", "bob", 1.0, 2)]
    assert {one.student[:3] + other.student[:3] for _, _, one, other, _ in rows[1:]} == {"eveeve"}
    page = course.similar.page(found, "02")
    assert "ada and bob" in page
    assert "no verdict" in page


SECRET = "assert double('no') == 'nono', 'a secret sentence'"


def guessed(course: SimpleNamespace, tests: Path) -> tuple[Any, Path]:
    """A lesson with a secret hidden test, and a class of which one answer passes its check alone."""
    lesson = solved(SECRET)
    course.bundle.write(lesson, course.lessons.student(lesson, "02"), "02_tiny.ipynb", tests)
    handed = filled(json.loads(json.dumps(course.lessons.student(lesson, "02"))), double="def double(x):\n    return 6.0")
    return lesson, class_of(tests, ada=handed)


def told_without_secret(page: str) -> bool:
    """Whether a page says that a hidden test fails, but not which."""
    return "a hidden test does not" in page and not any(word in page for word in ("nono", "a secret sentence", "HIDDEN TESTS"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the grader wants fork")
def test_feedback_leaves_hidden_tests_out(course: SimpleNamespace, tests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson, folder = guessed(course, tests)
    fixed = course.batch.best(list(folder.glob("submitted/*/*/*.ipynb")), course.bundle.lessons(tests), "02")[1]
    result = course.grade.graded(fixed, tests, course.sandbox.Limits(5.0))
    assert "a secret sentence" in result["exercises"][0]["for_instructor"]
    course.batch.write(result, folder / "results" / "02" / "ada.json")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(TOOLS)
    nbgrading = importlib.import_module("nbgrading")
    book, about = course.lessons.prepared(lesson, "02"), {"nbgrader": {"assignment": "02", "student": "ada"}}
    for step in (nbgrading.FromResults(), nbgrading.WithoutHidden()):
        assert "nono" in str(book)
        book, about = step.preprocess(book, about)
    assert told_without_secret(str(book))


@pytest.mark.long
def test_nbgraders_feedback_leaves_hidden_tests_out(course: SimpleNamespace, tests: Path) -> None:
    lesson, folder = guessed(course, tests)
    course.begin.course(folder, ["none"])
    (folder / "source" / "02").mkdir(parents=True)
    course.lessons.write(course.lessons.prepared(lesson, "02"), folder / "source" / "02" / "02_tiny.ipynb")
    assert course.begin.nbgrader(folder, "generate_assignment", "02", "--create") == 0
    assert course.batch.run(folder, "02", 1)["ada"]["points"] == 2
    for command in ("autograde", "generate_feedback"):
        assert course.begin.nbgrader(folder, command, "02") == 0
    assert "nono" in (folder / "autograded" / "ada" / "02" / "02_tiny.ipynb").read_text()
    assert told_without_secret((folder / "feedback" / "ada" / "02" / "02_tiny.html").read_text())


def test_downloads_of_services_are_put_where_they_are_graded(course: SimpleNamespace, tmp_path: Path) -> None:
    names = (
        "Ada Lovelace_123_assignsubmission_file_/02_tiny.ipynb",
        "bobsmith_77_123_02_tiny (1).ipynb",
        "eve/02.ipynb",
        "eve/help.py",
    )
    for name in names:
        path = tmp_path / "down" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert course.begin.collect(tmp_path / "down", tmp_path / "class", "02") == 3
    found = sorted(path.relative_to(tmp_path / "class" / "submitted").as_posix() for path in tmp_path.rglob("submitted/**/*.*"))
    assert found == ["Ada Lovelace/02/02_tiny.ipynb", "bobsmith/02/02_tiny (1).ipynb", "eve/02/02.ipynb", "eve/02/help.py"]


def test_the_autograder_finds_or_installs_a_python_that_is_new_enough(course: SimpleNamespace, tmp_path: Path) -> None:
    programs = {  # as on Ubuntu 22.04: python3 is 3.10, and python3.11 comes by apt-get
        "python3": "exit 1",
        "later": "test $1 = -c || { mkdir -p venv/bin; printf '#!/bin/sh\\n' > venv/bin/pip; chmod +x venv/bin/pip; }",
        "apt-get": 'case "$*" in *python3.11*) ln -s later "$(dirname "$0")/python3.11";; esac',
        "setup.sh": course.package.SETUP.partition("\n")[2],
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("mkdir", "chmod", "ln", "dirname"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    (tmp_path / "tests").mkdir()
    done = subprocess.run(["/bin/bash", tmp_path / "setup.sh"], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "venv" / "bin" / "pip").exists()) == (0, True), done.stderr


def test_the_autograder_installs_all_that_lessons_import(course: SimpleNamespace) -> None:
    books = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "notebooks" / "solutions").glob("*.ipynb")]
    code = ["".join(cell["source"]) for book in books for cell in book["cells"] if cell["cell_type"] == "code"]
    nodes = [node for text in code for node in ast.walk(ast.parse(text))]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    modules = {name.partition(".")[0] for name in found} - sys.stdlib_module_names - {"nstutils", "torch"}
    packages = importlib.metadata.packages_distributions()
    assert {packages[name][0].lower() for name in modules} <= set(course.package.PACKAGES)


GUIDE = (ROOT / "docs" / "class.md").read_text(encoding="utf-8")


def lines_of_guide() -> list[str]:
    """The commands of the guide, as they are copied."""
    blocks = re.findall(r"^```\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    return [line.split("  #")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def test_every_command_of_the_guide_is_one_that_there_is(course: SimpleNamespace) -> None:
    spec = importlib.util.spec_from_file_location("run_course", TOOLS / "__main__.py")
    assert spec
    assert spec.loader
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    asked = [line for line in lines_of_guide() if line.startswith("make ")]
    assert len(asked) >= 8
    for line in asked:
        done = subprocess.run([*shlex.split(line), "-n"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = re.findall(r"python tools/course (.+)", done.stdout)
        assert found or "jupyter lab" in done.stdout
        assert all(run.parser().parse_args(shlex.split(words)).do for words in found)
    plain = [line for line in lines_of_guide() if line.startswith("python tools/course ")]
    assert [run.parser().parse_args(shlex.split(line)[2:]).command for line in plain] == ["autograde"]


@pytest.mark.long
def test_a_class_that_was_killed_goes_on_and_a_cluster_does_the_rest(
    course: SimpleNamespace, tests: Path, handed: Notebook
) -> None:
    folder = class_of(tests, **{f"s{n}": filled(handed, double=f"{RIGHT['double']}  # {n}") for n in range(4)})
    command = [sys.executable, str(TOOLS), "grade", "--course", str(folder), "--lesson", "02", "--jobs", "1"]
    first = subprocess.Popen(command, start_new_session=True)
    while not (done := sorted((folder / "results" / "02").glob("s?.json"))):
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in done}
    cluster = pytest.importorskip("distributed").LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    )
    with cluster:
        results = course.batch.run(folder, "02", 1, cluster.scheduler_address)
    assert {student: one["points"] for student, one in results.items()} == dict.fromkeys(["s0", "s1", "s2", "s3"], 4.0)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_students_work_cannot_be_committed(course: SimpleNamespace, tmp_path: Path) -> None:
    course.begin.course(tmp_path / "class", ["none"])
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "class" / "submitted" / "ada.ipynb").write_text("{}")
    done = subprocess.run(["git", "status", "--porcelain", "-uall"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == ""
