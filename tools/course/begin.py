"""The course folder: nbgrader's source, release and submitted, the lessons' tests, a roster; git takes no notice of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import bundle

HERE = Path(__file__).resolve().parent
IGNORED = "# students' work is in here: none of it belongs into a repository\n*\n"
ROSTER = "Student,ID,SIS User ID,SIS Login ID,Section,Email\n"


def tools() -> Path:
    """The folder of the tools, from which the lessons are made; where it is not, as in a container, nothing can be made."""
    sys.path.insert(0, str(HERE.parent))
    return HERE.parent


def bundles(folder: Path, numbers: Sequence[str] = ()) -> list[Path]:
    """The tests of the lessons as they are now, in a folder that keeps those of earlier versions."""
    solved = sorted((tools().parent / "notebooks" / "solutions").glob("[0-9][0-9]_*.ipynb"))
    wanted = [path for path in solved if not numbers or path.name[:2] in numbers]
    stale = [path for path in wanted if not made_since(path, folder)]
    if stale:
        import lessons

        for path in stale:
            notebook = lessons.read(path)
            bundle.write(notebook, lessons.student(notebook, path.name[:2]), path.name, folder)
    return wanted


def made_since(source: Path, folder: Path) -> bool:
    """Whether the tests in a folder are younger than the lesson and this tool."""
    born = max(path.stat().st_mtime for path in (source, HERE / "bundle.py", HERE.parent / "lessons.py"))
    return any(path.stat().st_mtime > born for path in folder.glob(f"{source.name[:2]}-*.json") if "tests" not in path.name)


def course(folder: Path, numbers: Sequence[str] = ()) -> None:
    """Make or renew a course: what students have handed in and what was graded stays."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text(IGNORED, encoding="utf-8")
    for name in ("submitted", "original"):
        (folder / name).mkdir(exist_ok=True)
    config = (HERE / "nbgrader_config.py").read_text(encoding="utf-8")
    (folder / "nbgrader_config.py").write_text(config.replace('"TOOLS"', repr(str(HERE))), encoding="utf-8")
    if not (folder / "students.csv").exists():
        (folder / "students.csv").write_text(ROSTER, encoding="utf-8")
    for source in bundles(folder / "tests", numbers):
        place = folder / "source" / source.name[:2] / source.name
        place.parent.mkdir(parents=True, exist_ok=True)
        import lessons

        lessons.write(lessons.prepared(lessons.read(source), source.name[:2]), place)
        nbgrader(folder, "generate_assignment", source.name[:2], "--create", "--force")


def nbgrader(folder: Path, *words: str) -> int:
    """One command of nbgrader in the course folder, with the programs beside this Python on the PATH (it looks for alembic)."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words, "--log-level=ERROR"],
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    return done.returncode


def collect(source: Path, folder: Path, number: str) -> int:
    """Put downloaded work where it is graded: FOLDER/STUDENT/..., Moodle's folders, or Canvas' files STUDENT_NUMBERS_NAME."""
    if source.suffix == ".zip":
        place = folder / "original" / f"{source.stem}-unpacked"
        shutil.unpack_archive(source, place)
        source = place
    found = 0
    for path in sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith(".")):
        parts = path.relative_to(source).parts
        if "__MACOSX" in parts or ".ipynb_checkpoints" in parts:
            continue
        student = parts[0].partition("_")[0].strip() if len(parts) > 1 else path.name.partition("_")[0]
        name = path.name if len(parts) > 1 else path.name.split("_", 3 if path.name.count("_") > 3 else 1)[-1]
        place = folder / "submitted" / student / number / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
        found += path.suffix == ".ipynb"
    return found
