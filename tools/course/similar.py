"""Answers that are more alike than chance: shown side by side, never a verdict.

Names, comments and layout are taken away before two answers are compared. A short exercise has few right answers, so the same
answer from many is no sign of anything: pairs are ordered by how much they share that few others wrote.
"""

import ast
import html
import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import batch
import bundle
import repair

LEAST, SHOWN, ROW = 0.5, 60, 5  # of the words in a row that two answers share; pairs; words in a row
STYLE = """body { font-family: sans-serif; margin: 2em }
div { display: flex; gap: 1em }
pre { background: #f4f4f4; padding: 1em; flex: 1; overflow: auto }"""


@dataclass(frozen=True)
class Answer:
    """What a student wrote for an exercise, as it is and as it is compared."""

    student: str
    exercise: str
    text: str
    normal: str


class Plain(ast.NodeTransformer):
    """Names that a function gives become numbers in the order of their coming; docstrings go."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A function without its name and docstring."""
        own = [one.arg for one in ast.walk(node) if isinstance(one, ast.arg)]
        own += [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
        self.names |= {name: f"v{number}" for number, name in enumerate(dict.fromkeys(own))}
        first = node.body[0]
        text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
        node.body = (node.body[1:] or [ast.Pass()]) if text else node.body
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        """An argument by its number, without its type."""
        return ast.arg(self.names.get(node.arg, node.arg))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name by its number."""
        return ast.Name(self.names.get(node.id, node.id), node.ctx)


def normal(text: str) -> str:
    """Code as it is compared; where it cannot be read, its words."""
    try:
        return ast.unparse(Plain().visit(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return " ".join(text.split())


def answers(course: Path, number: str) -> list[Answer]:
    """The answers that were written, of all students."""
    known, found = {(one.number, one.version): one for one in bundle.lessons(course / "tests")}, []
    for student in batch.students(course, number):
        record = batch.told(course / "original" / student / number / "repair.json")
        lesson = known.get((number, record.get("version", "")))
        for path in batch.notebooks(course / "submitted" / student / number) if lesson else ():
            cells = {bundle.role(cell).get("grade_id"): cell for cell in repair.read(path)["cells"]}
            for one in lesson.exercises if lesson else ():
                cell = cells.get(bundle.role(one.answer)["grade_id"])
                if cell and not repair.unwritten(cell, one):
                    text = bundle.source(cell)
                    found.append(Answer(student, one.name, text, normal(text)))
    return found


def pieces(answer: Answer) -> tuple[set[Any], set[Any]]:
    """What two answers may have in common: words in a row, without names, comments and layout; and lines as they are."""
    words = re.findall(r"\w+|[^\w\s]", answer.normal)
    return {tuple(words[k : k + ROW]) for k in range(len(words))}, {line.strip() for line in answer.text.splitlines()}


def pairs(found: list[Answer]) -> list[tuple[float, float, Answer, Answer, int]]:
    """Pairs that are alike, first those that share most of what few wrote: what orders them, how alike they are, how many wrote
    the same as the first. What was handed out is in every answer, and so counts for nothing."""
    made = []
    for exercise in {one.exercise for one in found}:
        of = sorted((one for one in found if one.exercise == exercise), key=lambda one: one.student)
        parts, same = [pieces(one) for one in of], Counter(one.normal for one in of)
        counts = Counter(piece for kinds in parts for kind in kinds for piece in kind)
        rare = {piece: math.log(len(of) / count) for piece, count in counts.items()}
        for (one, (words, lines)), (other, (others, lines_)) in itertools.combinations(zip(of, parts, strict=True), 2):
            both = words & others
            alike = 2 * len(both) / max(len(words) + len(others), 1)
            if alike >= LEAST:
                made.append((sum(rare[piece] for piece in both | lines & lines_), alike, one, other, same[one.normal]))
    return sorted(made, key=lambda row: -row[0])


def page(found: list[Answer], number: str) -> str:
    """The pairs side by side."""
    rows = pairs(found)
    parts = [
        f"<h2>{html.escape(one.exercise)}: {html.escape(one.student)} and {html.escape(other.student)}</h2>"
        f"<p>{100 * alike:.0f} % alike without names, comments and layout; {count} wrote what the first has written.</p>"
        f"<div><pre>{html.escape(one.text)}</pre><pre>{html.escape(other.text)}</pre></div>"
        for _, alike, one, other, count in rows[:SHOWN]
    ]
    head = (
        f"{len({one.student for one in found})} students, {len(found)} answers, {len(rows)} pairs at least {100 * LEAST:.0f} % "
        f"alike; shown are {min(SHOWN, len(rows))}, first those that share most of what few others wrote (what was handed out "
        "counts for nothing). This is no verdict: short exercises have few right answers. "
        "Talk first."
    )
    title = f"<title>Answers alike, lesson {number}</title>"
    about = f'<!doctype html><html lang="en"><meta charset="utf-8">{title}<style>{STYLE}</style>'
    return f"{about}<h1>Answers alike, lesson {number}</h1><p>{head}</p>{''.join(parts)}</html>\n"
