"""The committed lessons: students' copies are what the tool makes, exercises are whole, outputs are small and described."""

import importlib.util
import io
import json
import re
import tokenize
import tomllib
import zipfile
from html import escape
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
STUDENTS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WIDEST, LONGEST = 88, 25  # characters of a line of code, lines of a cell: JupyterLab does not wrap them


def tool() -> ModuleType:
    """tools/lessons.py."""
    spec = importlib.util.spec_from_file_location("lessons", ROOT / "tools" / "lessons.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_every_lesson_has_both_copies() -> None:
    assert names(SOLUTIONS) == names(STUDENTS)
    assert len(SOLUTIONS) >= 4


@pytest.mark.parametrize("path", SOLUTIONS, ids=names(SOLUTIONS))
def test_the_students_copy_is_what_the_tool_makes_of_the_solved_one(path: Path) -> None:
    made = tool().student(read(path), path.name[:2])
    assert nbformat.writes(made) == (ROOT / "notebooks" / path.name).read_text(encoding="utf-8").rstrip("\n")
    text = nbformat.writes(made)
    assert "BEGIN SOLUTION" not in text
    assert "HIDDEN TESTS" not in text


@pytest.mark.parametrize("path", SOLUTIONS, ids=names(SOLUTIONS))
def test_exercises_are_four_cells_with_nbgrader_metadata(path: Path) -> None:
    cells = read(path).cells
    roles = [cell.metadata.get("nbgrader") for cell in cells]
    ids = [role["grade_id"] for role in roles if role]
    assert len(set(ids)) == len(ids)
    stubs = [n for n, role in enumerate(roles) if role and role["solution"]]
    assert len(stubs) == 4
    for n in stubs:
        statement, stub, check = cells[n - 1], cells[n], cells[n + 1]
        assert {role["schema_version"] for role in roles[n - 1 : n + 2]} == {3}
        assert statement.cell_type == "markdown"
        assert roles[n - 1]["locked"]
        assert "point" in statement.source
        assert "<details>" in statement.source
        assert "### BEGIN SOLUTION" in stub.source
        assert '"""' in stub.source
        assert roles[n + 1]["grade"]
        assert roles[n + 1]["locked"]
        assert roles[n + 1]["points"] > 0
        assert check.source.startswith("check.")
        name = check.source.partition("(")[0].removeprefix("check.").replace("_", "-")
        assert [role["grade_id"] for role in roles[n - 1 : n + 2]] == [f"{p}-{name}" for p in ("exercise", "solution", "check")]
        assert "### BEGIN HIDDEN TESTS" in check.source
        assert n + 2 < len(cells)
        assert roles[n + 2] is None or roles[n + 2].get("locked")


@pytest.mark.parametrize("path", SOLUTIONS, ids=names(SOLUTIONS))
def test_no_other_cell_prints_an_answer(path: Path) -> None:
    parts = [re.split("### (?:BEGIN|END) SOLUTION", cell.source) for cell in read(path).cells]
    given = re.sub(r"\s", "", "".join(cell.source for cell in read(STUDENTS[0].parent / path.name).cells))
    answers = [part[1] for part in parts if len(part) == 3]
    assert len(answers) == 4
    assert [answer for answer in answers if re.sub(r"\s", "", answer) in given] == []


@pytest.mark.parametrize("path", SOLUTIONS + STUDENTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_notebooks_are_clean(path: Path) -> None:
    lesson = read(path)
    assert lesson.metadata.kernelspec.name == "python3"
    assert "widgets" not in lesson.metadata
    text = path.read_text(encoding="utf-8")
    for unwanted in ("widget-view", "clear_output", "/root", "/home/", "/work", "NBVAL_"):
        assert unwanted not in text
    counts = [cell.execution_count for cell in lesson.cells if cell.cell_type == "code" and cell.execution_count]
    assert counts == sorted(counts)
    for cell in lesson.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            pictures = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
            assert all(output.metadata[kind]["alt"] for kind in pictures), "a figure without a description"


@pytest.mark.parametrize("path", SOLUTIONS, ids=names(SOLUTIONS))
def test_lessons_keep_their_rhythm(path: Path) -> None:
    cells = read(path).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    counts = sorted(map(statements, code))
    assert counts[len(counts) // 2] <= 6
    assert max(len(source.splitlines()) for source in code) <= LONGEST
    assert 800 <= words <= 2400
    assert any(output for cell in cells for output in cell.get("outputs", []))


def statements(source: str) -> int:
    """The lines of a cell with wrapped ones put together again: what there is to take in."""
    return sum(token.type == tokenize.NEWLINE for token in tokenize.generate_tokens(io.StringIO(f"{source}\n").readline))


def test_a_wrapped_statement_counts_once() -> None:
    assert statements("x = (\n    1\n    + 2\n)  # three\n\nif x:\n    # so\n    print(x)") == 3


@pytest.mark.parametrize("path", SOLUTIONS, ids=names(SOLUTIONS))
def test_code_fits_a_small_screen(path: Path) -> None:
    code = [cell for cell in read(path).cells if cell.cell_type == "code"]
    wide = [f"{cell.id}: {line}" for cell in code for line in cell.source.splitlines() if len(line) > WIDEST]
    assert wide == [], f"break these at {WIDEST} characters"


@pytest.mark.parametrize("path", SOLUTIONS, ids=names(SOLUTIONS))
def test_progress_bars_leave_nothing_red_behind(path: Path) -> None:
    code = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    assert "from tqdm import" not in code, "a bar on stderr leaves a red strip; take tqdm.auto"
    assert "leave=False" not in code, (
        "JupyterLab shows 'Loading widget...' for a bar that is gone when the page is loaded again"
    )


def test_all_notebooks_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in SOLUTIONS + STUDENTS) < 17e6


def handout(target: Path, *numbers: str) -> zipfile.ZipFile:
    """The hand-out of these lessons, as Python alone makes it."""
    spec = importlib.util.spec_from_file_location("handout", ROOT / "tools" / "handout.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.pack(target, numbers)
    return zipfile.ZipFile(target)


def test_the_handout_holds_the_lessons_and_no_solutions_tests_or_guide(tmp_path: Path) -> None:
    with handout(tmp_path / "handout.zip") as archive:
        held = {name.removeprefix("nst-course/"): name for name in archive.namelist()}
        assert {f"notebooks/{path.name}" for path in STUDENTS} <= set(held)
        hatch = tomllib.loads(archive.read(held["pyproject.toml"]).decode())["tool"]["hatch"]
        for part in hatch["build"]["targets"]["wheel"]["force-include"]:  # pip stops where one is not there
            assert [name for name in held if name == part or name.startswith(f"{part}/")]
        assert not [name for name in held if re.match("notebooks/(solutions|README)|tests|tools|docs", name)]
        assert [name for name in held if re.match(r"nstutils/course/check/lesson.*\.json", name)]
        for name, full in held.items():
            text = archive.read(full).decode("utf-8", "ignore") if name.endswith((".ipynb", ".md", ".py")) else ""
            if name.endswith(".ipynb"):
                assert "HIDDEN TESTS" not in text
                assert "BEGIN SOLUTION" not in text
            if name.endswith(".md"):
                links = [link for link in re.findall(r"\]\(([^)\s#]+)", text) if "://" not in link]
                assert [link for link in links if (Path(name).parent / link).as_posix() not in held] == []
        readme = archive.read("nst-course/README.md").decode()
        assert "make " not in readme
        assert all(f"{path.name[:2]} {read(path).metadata.nstutils.version}" in readme for path in STUDENTS)


def test_a_handout_of_some_lessons(tmp_path: Path) -> None:
    with handout(tmp_path / "some.zip", "00", "02") as archive:
        assert sorted(re.findall(r"notebooks/(\d\d)_", " ".join(archive.namelist()))) == ["00", "02"]
    with pytest.raises(SystemExit, match="there is no lesson 44; choose from 00, 01"):
        handout(tmp_path / "none.zip", "44")


def test_a_lesson_that_stops_says_so(tmp_path: Path) -> None:
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 == 2, 'one is not two'")])
    with pytest.raises(CellExecutionError, match="one is not two"):
        tool().executed(broken)
    assert json.loads(nbformat.writes(broken))["nbformat"] == 4


def test_the_guide_tells_the_points_of_every_lesson() -> None:
    guide = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    for path in SOLUTIONS:
        cells = [cell for cell in read(path).cells if cell.metadata.get("nbgrader", {}).get("grade")]
        row = next(line for line in guide.splitlines() if f"({path.name})" in line)
        assert row.endswith(f"| {sum(cell.metadata.nbgrader.points for cell in cells)} |")


@pytest.mark.parametrize("path", SOLUTIONS[:2], ids=names(SOLUTIONS[:2]))
def test_pages_carry_the_descriptions_of_their_figures(path: Path) -> None:
    lesson = read(path)
    text = tool().page(lesson, path.stem)
    assert "No description has been provided" not in text
    told = [
        o.metadata["image/jpeg"]["alt"] for c in lesson.cells for o in c.get("outputs", []) if "image/jpeg" in o.get("data", {})
    ]
    found = re.findall(r'<img alt="([^"]*)"', text)
    assert found == [escape(words, quote=True) for words in told]
