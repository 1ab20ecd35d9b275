"""Checks for the lessons' exercises: each takes the reader's function, tries it, and names the usual mistake.

A check is silent about how the right answer is written: it compares values, on several inputs, and raises an AssertionError
with one sentence, which is all that a notebook shows of it. `WRONG` holds, for each exercise, the answers that readers really
give, each with its sentence; a test gives every one of them to its check. `claim` tells whether what a document says holds.

To add an exercise `name` to lesson NN:

1. In `lessonNN.py` write the right function `name(...)` with a docstring "Lesson NN: ...", inputs (at least three, one not
   square, one a batch of two), the usual mistakes (at least three), and an `Exercise` of them at the end of `EXERCISES`.
2. Name it here, where its lesson's are named.
3. In the solved lesson write its four cells; the check's cell begins with `check.name(my_name)` and ends with hidden tests.
4. In `tests/exercises/lessonNN.py` write right answers, each in other words than here; `tests/test_check.py` does the rest.
"""

from collections.abc import Callable
from typing import Any

from nstutils.course.check import (
    lesson00,
    lesson01,
    lesson02,
    lesson03,
    lesson04,
    lesson05,
    lesson06,
    lesson07,
    lesson08,
    lesson11,
)
from nstutils.course.check.judging import CheckFailed, Exercise, Wrong, claim, random
from nstutils.course.check.judging import right as _right

LESSONS = (lesson00, lesson01, lesson02, lesson03, lesson04, lesson05, lesson06, lesson07, lesson08, lesson11)
WRONG: dict[str, Wrong] = {one.right.__name__: one.wrong for lesson in LESSONS for one in lesson.EXERCISES}

to_bytes, brightness, psnr, noise = lesson00.EXERCISES
stacked, convolve, average_pool, window = lesson01.EXERCISES
content_loss, content_gradient, step_down, relative_error = lesson02.EXERCISES
gram, shuffled, layer_loss, style_gradient = lesson03.EXERCISES
two_losses, descend, total_variation, blend = lesson04.EXERCISES
raw_alpha, unfinished, next_ratio, one_at_a_time = lesson05.EXERCISES
left_of_start, energy_at, uphill, apart = lesson06.EXERCISES
unit_guide, guided_gram, guided_loss, border_gap = lesson07.EXERCISES
training, instance_norm, overlaps, style_blend = lesson08.EXERCISES
convert_weight, left_out, counts_alike, best_within = lesson11.EXERCISES

__all__ = ["LESSONS", "WRONG", "CheckFailed", "Exercise", "claim", "random", "right", *WRONG]


def right(answer: Callable[..., Any], name: str) -> bool:
    """Whether a reader's function passes the check `name`, without a word: a lesson paints with it, or with the library's."""
    return _right(globals()[name], answer)
