# nbgrader for this course. Points are decided by tools/course, outside of the students' processes; nbgrader keeps them,
# shows them (formgrader), takes points and comments given by hand, and writes the feedback.
import sys
from pathlib import Path

sys.path.insert(0, "TOOLS")

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "nst"
c.Exchange.root = str(Path(__file__).parent / "exchange")  # on a JupyterHub a folder that everybody can write into
c.Autograde.sanitize_preprocessors = [
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "nbgrading.FromResults",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.GenerateFeedback.preprocessors = [  # without the hidden tests
    "nbgrader.preprocessors.GetGrades",
    "nbgrading.WithoutHidden",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
