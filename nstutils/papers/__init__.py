"""The documents' experiments: one file a document, one value a row, which says claim, runs, numbers, bounds and drawing."""

import re
from pathlib import Path

DOCUMENTS = ("gatys", "chadebec", "koc", "shuvo", "upes", "beyond")


def figures() -> list[str]:
    """The ids of all rows, read from where they are written: importing them takes torch, and seconds."""
    texts = [Path(__file__).with_name(f"{document}.py").read_text(encoding="utf-8") for document in DOCUMENTS]
    names = [name for text in texts for name in re.findall(r"^(\w+) = Row\($", text, re.MULTILINE)]
    return [name.replace("_", "-") for name in names]
