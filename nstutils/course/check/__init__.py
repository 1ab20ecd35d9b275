"""Checks for the lessons' exercises: each takes the reader's function, tries it, and names the usual mistake.

A check is silent about how the right answer is written: it compares values, on several inputs, and raises an AssertionError
with one sentence, which is all that a notebook shows of it. `WRONG` holds, for each exercise, the answers that readers really
give, each with its sentence; a test gives every one of them to its check. `claim` tells whether what a document says holds.

To add an exercise `name` to lesson NN:

1. In `lessonNN.py` write the inputs (at least three, one not square, one a batch of two), the right function `_name(...)`,
   the check `name(answer)` with a docstring "Lesson NN: ...", which calls `judge`, and the usual mistakes `WRONG["name"]`
   (at least three: sentence -> function).
2. Here, import `name` from its lesson and put it into `__all__`; a new lesson also goes into `WRONG`.
3. In the solved lesson write its four cells; the check's cell begins with `check.name(my_name)` and ends with hidden tests.
4. In `tests/exercises/lessonNN.py` write right answers, each in other words than here; `tests/test_check.py` does the rest.
"""

from nstutils.course.check import lesson00, lesson01, lesson02, lesson03, lesson04, lesson05, lesson06, lesson07, lesson08
from nstutils.course.check.judging import Answer, CheckFailed, claim, judge, random
from nstutils.course.check.lesson00 import brightness, noise, psnr, to_unit
from nstutils.course.check.lesson01 import average_pool, convolve, parameters, receptive_field
from nstutils.course.check.lesson02 import content_gradient, content_loss, relative_error, step_down
from nstutils.course.check.lesson03 import gram, layer_loss, shuffled, style_gradient
from nstutils.course.check.lesson04 import blend, convert_weight, total_loss, total_variation
from nstutils.course.check.lesson05 import kappa, pareto, ratio_settings, spearman
from nstutils.course.check.lesson06 import blend_start, energy_at, spread, stripes
from nstutils.course.check.lesson07 import border_gap, eroded, guided_gram, unit_guide
from nstutils.course.check.lesson08 import instance_norm, mirrored, overlaps, style_blend

WRONG: dict[str, dict[str, Answer]] = {
    **lesson00.WRONG,
    **lesson01.WRONG,
    **lesson02.WRONG,
    **lesson03.WRONG,
    **lesson04.WRONG,
    **lesson05.WRONG,
    **lesson06.WRONG,
    **lesson07.WRONG,
    **lesson08.WRONG,
}

__all__ = [
    "WRONG", "Answer", "CheckFailed", "claim", "judge", "random",
    "brightness", "noise", "psnr", "to_unit",
    "average_pool", "convolve", "parameters", "receptive_field",
    "content_gradient", "content_loss", "relative_error", "step_down",
    "gram", "layer_loss", "shuffled", "style_gradient",
    "blend", "convert_weight", "total_loss", "total_variation",
    "kappa", "pareto", "ratio_settings", "spearman",
    "blend_start", "energy_at", "spread", "stripes",
    "border_gap", "eroded", "guided_gram", "unit_guide",
    "instance_norm", "mirrored", "overlaps", "style_blend",
]  # fmt: skip
