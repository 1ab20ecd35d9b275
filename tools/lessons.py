"""Make the lessons: `python tools/lessons.py students | outputs | html`.

The one source of a lesson is its solved notebook in notebooks/solutions. `students` writes the copies in notebooks/ without
solutions and hidden tests; `outputs` runs the solved lessons and stores what they show, then does the same; `html` runs
them into build/lessons. tools/handout.py packs what students get, tools/course grades.
"""

import argparse
import copy
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearOutput, ClearSolutions, ComputeChecksums, LockCells
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
LESSONS, SOLUTIONS, BUILD = ROOT / "notebooks", ROOT / "notebooks" / "solutions", ROOT / "build"


def sources(numbers: Sequence[str] = ()) -> list[Path]:
    """The solved lessons, in their order; of these numbers alone, if any are given."""
    found = sorted(SOLUTIONS.glob("[0-9][0-9]_*.ipynb"))
    unknown = [number for number in numbers if number not in {path.name[:2] for path in found}]
    if unknown:
        raise SystemExit(f"there is no lesson {', '.join(unknown)}; choose from {', '.join(path.name[:2] for path in found)}")
    return [path for path in found if not numbers or path.name[:2] in numbers]


def prepared(solved: NotebookNode, number: str) -> NotebookNode:
    """The source that nbgrader releases: it carries its version, and its checks may fail, so that Run All goes to the end."""
    lesson = copy.deepcopy(solved)
    lesson.metadata["nstutils"] = {"lesson": number, "version": version(solved)}
    for cell in lesson.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "raises-exception"]
    return lesson


def version(solved: NotebookNode) -> str:
    """Eight letters that change with any test of a lesson, its points or its stubs' names."""
    marks = [cell for cell in solved.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    told = [[cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader.points, cell.source] for cell in marks]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]


def student(solved: NotebookNode, number: str) -> NotebookNode:
    """The copy for students, as nbgrader releases it: stubs for solutions, no hidden tests, no outputs that would answer the
    prediction questions, graded cells locked."""
    lesson = prepared(solved, number)
    for step in (LockCells, ClearSolutions, ClearOutput, ClearHiddenTests, ComputeChecksums):
        lesson, _ = step().preprocess(lesson, {})
    return lesson


def students(numbers: Sequence[str] = ()) -> None:
    """Write the students' copies."""
    for source in sources(numbers):
        write(student(read(source), source.name[:2]), LESSONS / source.name)


def read(path: Path) -> NotebookNode:
    """A notebook of the current format."""
    return nbformat.read(path, as_version=4)


def write(lesson: NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    part = path.with_suffix(".part")
    nbformat.write(lesson, part)
    part.replace(path)


def executed(lesson: NotebookNode, timeout: int = 1200) -> NotebookNode:
    """The lesson with its outputs, run from its own folder's point of view as a reader runs it."""
    client = NotebookClient(lesson, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(LESSONS)}})
    done = client.execute()
    done.metadata.pop("widgets", None)
    for cell in done.cells:
        cell.metadata.pop("execution", None)  # times of this one run
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs if (kept := plain(output)) is not None]
    return done


def plain(output: NotebookNode) -> NotebookNode | None:
    """An output without what only a running kernel can show, and without the progress bars on stderr."""
    if output.get("name") == "stderr":
        return None
    data = output.get("data", {})
    live = data.pop("application/vnd.jupyter.widget-view+json", None)
    return None if live and not any(kind.startswith("image/") for kind in data) else output


def each(numbers: Sequence[str]) -> Iterator[Path]:
    """The solved lessons under a progress bar that names the one at hand."""
    with tqdm(sources(numbers), unit="lesson", desc="running") as bar:
        for source in bar:
            bar.set_postfix_str(source.stem)
            yield source


def outputs(numbers: Sequence[str] = ()) -> None:
    """Run the solved lessons, store their outputs, and write the students' copies."""
    for source in each(numbers):
        write(executed(read(source)), source)
    students(numbers)


def html(numbers: Sequence[str] = ()) -> None:
    """Run the solved lessons into a page each, and print the seconds."""
    folder, rows = BUILD / "lessons", []
    folder.mkdir(parents=True, exist_ok=True)
    for source in each(numbers):
        begin = time.perf_counter()
        try:
            lesson = executed(read(source))
        except CellExecutionError as error:
            raise SystemExit(f"{source.name} stopped: {error.ename}: {error.evalue}") from error
        (folder / f"{source.stem}.html").write_text(page(lesson, source.stem), encoding="utf-8")
        rows.append((source.stem, time.perf_counter() - begin))
    print("| lesson | seconds |\n| --- | --- |")
    for name, seconds in rows:
        print(f"| {name} | {seconds:.0f} |")
    print(f"pages in {folder.relative_to(ROOT)}", file=sys.stderr)


def page(lesson: NotebookNode, name: str) -> str:
    """The lesson as HTML; nbconvert leaves out the descriptions of JPEG pictures, so they are put in where it says so."""
    text, _ = HTMLExporter().from_notebook_node(lesson, {"metadata": {"name": name}})
    for cell in lesson.cells:
        for output in cell.get("outputs", []):
            if "image/jpeg" in output.get("data", {}):
                words = escape(output.metadata["image/jpeg"]["alt"], quote=True)
                text = text.replace('alt="No description has been provided for this image"', f'alt="{words}"', 1)
    return text


def main(arguments: list[str] | None = None) -> None:
    """Do one of the three."""
    commands = {"students": students, "outputs": outputs, "html": html}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=commands, help="what to make")
    parser.add_argument("of", nargs="*", help="numbers of lessons (default: all)")
    args = parser.parse_args(arguments)
    os.environ["PYTHONWARNINGS"] = os.environ.get("PYTHONWARNINGS", "ignore")  # a lesson's pages show no warnings of libraries
    commands[args.command](args.of)


if __name__ == "__main__":
    main()
