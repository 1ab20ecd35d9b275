"""The table of all exercises in notebooks/README.md, from the answers and the solved lessons."""

import json
import re
from pathlib import Path

from answers import ANSWERS, NUMBER

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PLACE = re.compile(r"(?<=<!-- exercises: python tools/answers -->\n).*?(?=<!-- end -->)", re.DOTALL)


def points() -> dict[str, int]:
    """What each exercise counts, by its name, in the order of the lessons."""
    cells = [
        cell
        for path in sorted((NOTEBOOKS / "solutions").glob("[0-9][0-9]_*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade")
    ]
    return {
        "".join(cell["source"]).partition("(")[0].rpartition(".")[2]: cell["metadata"]["nbgrader"]["points"] for cell in cells
    }


def table() -> str:
    """A row an exercise: lesson, name, points, level, and what it tests."""
    counts = points()
    rows = [
        f"| {NUMBER[name]} | `{name}` | {count} | {ANSWERS[name].level} | {ANSWERS[name].aim} |"
        for name, count in counts.items()
    ]
    later = [name for name in counts if NUMBER[name] != "00"]
    head = f"{len(counts)} exercises with {sum(counts.values())} points, {len(later)} of them in lessons 01 to 11."
    return "\n".join([head, "", "| lesson | exercise | points | level | tests |", "| --- | --- | --- | --- | --- |", *rows, ""])


def write() -> None:
    """Write the table where the guide has its place."""
    guide = NOTEBOOKS / "README.md"
    guide.write_text(PLACE.sub(lambda _: table(), guide.read_text(encoding="utf-8")), encoding="utf-8")
