"""The right and the usual wrong answers to the exercises, lesson by lesson; neither the package nor the hand-out holds them.

`python tools/answers` writes what the checks keep of them into nstutils/course/check/lessonNN.json.
"""

import importlib
from pathlib import Path
from types import ModuleType

from answers.making import Answers, Wrong

LESSONS: dict[str, ModuleType] = {
    path.stem[-2:]: importlib.import_module(f"answers.{path.stem}") for path in sorted(Path(__file__).parent.glob("lesson*.py"))
}
ANSWERS: dict[str, Answers] = {one.right.__name__: one for lesson in LESSONS.values() for one in lesson.EXERCISES}
WRONG: dict[str, Wrong] = {name: one.wrong for name, one in ANSWERS.items()}
NUMBER: dict[str, str] = {one.right.__name__: number for number, lesson in LESSONS.items() for one in lesson.EXERCISES}
