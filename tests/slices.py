"""A lesson's cell run by itself: with the cells before it that it builds upon, in this interpreter, and with no others."""

import io
import symtable
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat

SOLUTIONS = Path(__file__).parent.parent / "notebooks" / "solutions"


def names(source: str) -> tuple[set[str], set[str]]:
    """What a cell makes (assigns, defines, imports) and what it takes from outside or from itself."""
    scopes = [symtable.symtable(source, "cell", "exec")]
    made = {symbol.get_name() for symbol in scopes[0].get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    for scope in scopes:
        scopes += scope.get_children()
    return made, {symbol.get_name() for scope in scopes for symbol in scope.get_symbols() if symbol.is_global()}


def needed(sources: list[str], last: int) -> Iterator[int]:
    """The numbers of the cells that one builds upon, from itself backwards."""
    wanted: set[str] = set()
    for number in range(last, -1, -1):
        made, used = names(sources[number])
        if number == last or made & wanted:
            wanted = wanted - made | used
            yield number


def run(lesson: str, words: str, first: str = "") -> None:
    """Run the cell of a solved lesson with these words, after all that it needs; `first` is run before the second of them."""
    (path,) = SOLUTIONS.glob(f"{lesson}_*.ipynb")
    sources = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    (last,) = [number for number, source in enumerate(sources) if words in source]
    space: dict[str, Any] = {"__name__": "__main__"}
    with redirect_stdout(io.StringIO()):
        asked = {number for number in range(last) if sources[number].startswith("guess.ask(")}  # what `reveal` asks for
        for count, number in enumerate(sorted({*needed(sources, last)} | asked)):
            exec(compile(first if count == 1 else "", "first", "exec"), space)
            exec(compile(sources[number], f"{path.stem}, cell {number}", "exec"), space)
