"""Write nstutils/course/check/lessonNN.json from the answers: `python tools/answers`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from answers import LESSONS
from answers.storing import write

for number, lesson in LESSONS.items():
    print(write(number, lesson.EXERCISES))
