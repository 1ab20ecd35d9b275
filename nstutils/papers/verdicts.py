"""What the makers' runs of every row found: one file, by `tools/claims.py`, from which docs, lessons and tests all read."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from IPython.display import Markdown

from nstutils.library.errors import UserError
from nstutils.library.pictures import data_folder

KEPT = ("claim", "measure", "holds", "numbers", "preset", "seconds")
FILE = "claims.json"


@lru_cache
def verdicts(path: Path | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """By network and id: claim, measure, whether it holds, numbers, preset and seconds."""
    table: dict[str, dict[str, dict[str, Any]]] = json.loads((path or data_folder() / FILE).read_text(encoding="utf-8"))
    return table


def cell(record: dict[str, Any] | None) -> str:
    """Whether a claim holds, and of the parts that do not, in how many pairs they do."""
    if record is None:
        return "not run"
    if record["holds"] is None:
        return "not judged"
    parts = record["numbers"]["parts"].items()
    failed = [f"{name}: {told}" for name, told in parts if len(set(told.split(" of "))) > 1]
    return "holds" if record["holds"] else f"no ({'; '.join(failed)})"


def verdict(id: str) -> Markdown:
    """The verdict on a row by every network that judged it, with its numbers."""
    found = {network: records[id] for network, records in verdicts().items() if id in records}
    if not found:
        raise UserError(f"there is no verdict on {id!r}; choose from {', '.join(next(iter(verdicts().values())))}")
    first = next(iter(found.values()))
    lines = [f"**`{id}`**, over all its pairs and seeds ({first['preset']}): {first['claim']}", ""]
    for network, record in found.items():
        numbers = "; ".join(f"{name} {value:.3g}" for name, value in record["numbers"]["median"].items())
        size = f"{record['numbers']['size']} px, {record['numbers']['steps']} steps" if "size" in record["numbers"] else ""
        lines.append(f"- `{network}`: **{cell(record)}**; {'; '.join(part for part in (size, numbers) if part)}")
    return Markdown("\n".join([*lines, "", f"Measure: {first['measure']}."]))
