"""The table of claims: `python tools/claims.py FOLDER ...`, one folder of figures (`nstutils figure all`) a network.

Every verdict is read from the figures' own JSON and kept in data/claims.json, where lessons read it; the table of
docs/claims.md is written from that, so that both say what `figure` says. Nothing is typed.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from nstutils.library import files
from nstutils.papers import figures
from nstutils.papers.verdicts import FILE, KEPT, cell

ROOT = Path(__file__).parent.parent
MARKS = ("<!-- claims: made by tools/claims.py -->", "<!-- end of the claims -->")


def found(folder: Path) -> dict[str, dict[str, Any]]:
    """What the figures of a folder say, by their ids, without the single cases."""
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    told = {id: {key: record[key] for key in KEPT} for id, record in records.items()}
    for record in told.values():
        record["numbers"] = {key: value for key, value in record["numbers"].items() if key != "cases"}
    return told


def table(folders: dict[str, dict[str, dict[str, Any]]]) -> str:
    """All rows in Markdown, a column for each network, with the count of what holds above."""
    counts = [
        f"{judged.count(True)} of {len(judged)} hold with `{name}`"
        for name, records in folders.items()
        for judged in [[one["holds"] for one in records.values() if one["holds"] is not None]]
    ]
    lines = ["", f"{', '.join(counts)} (for every part the pairs in which it holds).", ""]
    lines += ["| figure | " + " | ".join(f"`{name}`" for name in folders) + " |", "| --- " * (1 + len(folders)) + "|"]
    for id in figures():
        cells = [cell(records.get(id)) for records in folders.values()]
        lines.append(f"| `{id}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main(arguments: list[str] | None = None) -> None:
    """Write the file, and put the table between the page's marks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="folders named after their networks, as build/figures/classroom")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "claims.md")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / FILE)
    args = parser.parse_args(arguments)
    everything = {folder.name: found(folder) for folder in args.folders}
    files.write((json.dumps(everything, indent=1, ensure_ascii=False) + "\n").encode(), args.data)
    text = table(everything)
    old = args.page.read_text(encoding="utf-8")
    new = re.sub(f"{MARKS[0]}.*{MARKS[1]}", lambda _: f"{MARKS[0]}\n{text}\n{MARKS[1]}", old, flags=re.DOTALL)
    files.write(new.encode(), args.page)


if __name__ == "__main__":
    main()
