"""What is made of the answers: nstutils/course/check/lessonNN.json, and the table of exercises in notebooks/README.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from answers import LESSONS, storing, table

for number, lesson in LESSONS.items():
    print(storing.write(number, lesson.EXERCISES))
table.write()
