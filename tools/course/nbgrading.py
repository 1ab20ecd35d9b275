"""Where nbgrader would run a student's notebook, it is given the points that tools/course has found."""

import json
from pathlib import Path
from typing import Any

import bundle
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor


class FromResults(NbGraderPreprocessor):  # type: ignore[misc]
    """Puts the outcome of every check below it, as nbgrader expects one: an error where it failed."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """The notebook with the outcome below each check."""
        about = resources["nbgrader"]
        path = Path("results") / about["assignment"] / f"{about['student']}.json"  # nbgrader works in the course folder
        result = json.loads(path.read_text(encoding="utf-8"))
        if not result["graded"]:
            raise ValueError(f"not graded: {result['reason']}")
        found = {one["grade_id"]: one for one in result["exercises"]}
        for cell in nb.cells:
            if cell.metadata.get("nbgrader", {}).get("grade"):
                cell.outputs, cell.execution_count = [outcome(found[cell.metadata.nbgrader.grade_id])], None
        return nb, resources


class WithoutHidden(NbGraderPreprocessor):  # type: ignore[misc]
    """Takes hidden tests out of the feedback; nbgrader's own step stops where a student has written its words elsewhere."""

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """The notebook with its checks as students know them."""
        for cell in nb.cells:
            if cell.metadata.get("nbgrader", {}).get("grade"):
                cell.source = bundle.split(cell.source)[0].rstrip()
        return nb, resources


def outcome(exercise: dict[str, Any]) -> NotebookNode:
    """What stands below a check."""
    words = exercise["message"]
    if exercise["points"]:
        return new_output("stream", name="stdout", text=f"{exercise['name']}: {words}\n")
    return new_output("error", ename="CheckFailed", evalue=words, traceback=[words])
