"""Run the course: `python tools/course COMMAND`; what each does, `python tools/course --help` tells."""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "build" / "tests"
KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT", "NSTUTILS_CACHE", "TMPDIR")
FIXED = {"NSTUTILS_PRESET": "smoke", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore", "COURSE": "1"}


def alone() -> None:
    """Begin anew with an environment that holds no secret of a service: a submission could read it."""
    if os.environ.get("COURSE") != "1":
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        os.execve(sys.executable, [sys.executable, *sys.argv], kept | FIXED)


def make(args: argparse.Namespace) -> int:
    """The course folder, made or renewed: sources, releases, tests, nbgrader's configuration, a roster to fill in."""
    import begin

    begin.course(args.course, args.lesson)
    print(f"{args.course}: give release/NN to students, put what they hand in into submitted/STUDENT/NN")
    return 0


def collect(args: argparse.Namespace) -> int:
    """Put work downloaded from Canvas, Moodle or anywhere (a folder or a zip file) where it is graded."""
    import begin

    count = begin.collect(args.source, args.course, args.lesson)
    print(f"{count} notebooks put into {args.course / 'submitted'}/STUDENT/{args.lesson}")
    return 0 if count else 1


def repair(args: argparse.Namespace) -> int:
    """Look through what was handed in and repair it; `grade` does it as well."""
    import batch
    import begin

    begin.bundles(args.course / "tests")
    records = batch.prepare(args.course, args.lesson)
    for student, record in records.items():
        for line in [*record["repairs"], *record["notes"], *([record["reason"]] if not record["graded"] else ())]:
            print(f"{student}: {line}")
    missing = sum(not record["graded"] for record in records.values())
    print(f"{len(records)} submissions, {missing} cannot be graded")
    return 1 if missing else 0


def grade(args: argparse.Namespace) -> int:
    """Repair and grade what was handed in for a lesson, several at a time; what is graded already stays."""
    import batch
    import begin

    begin.bundles(args.course / "tests")
    limits = ["--seconds", str(args.seconds), "--memory", str(args.memory)]
    results = batch.run(args.course, args.lesson, args.jobs, args.dask, limits)
    print(batch.report(results))
    status = begin.nbgrader(args.course, "autograde", args.lesson, "--force") if args.nbgrader else 0
    return 1 if status or not all(result["graded"] for result in results.values()) else 0


def feedback(args: argparse.Namespace) -> int:
    """Write each student's feedback, without hidden tests, into feedback/STUDENT/NN."""
    import begin

    return begin.nbgrader(args.course, "generate_feedback", args.lesson, "--force")


def grades(args: argparse.Namespace) -> int:
    """Write grades.csv, canvas.csv and moodle.csv."""
    import bundle
    import table

    titles = {one.number: one.file.removesuffix(".ipynb").replace("_", " ") for one in bundle.lessons(args.course / "tests")}
    print("\n".join(map(str, table.grades(args.course, titles))))
    return 0


def autograde(args: argparse.Namespace) -> int:
    """Grade the one submission in a folder: a plain command for Gradescope or a CI job; 0 where it was graded, else 1."""
    alone()
    import batch
    import begin
    import bundle
    import grade
    import repair
    from sandbox import Limits

    if not list(args.tests.glob("*.json")):
        begin.bundles(args.tests)
    known, limits = bundle.lessons(args.tests), Limits(args.seconds, 6 * args.seconds, args.memory)
    try:
        path, fixed = batch.best(batch.notebooks(args.folder), known, args.lesson)
        result = grade.graded(fixed, args.tests, limits, path.parent)
        result |= {"lesson": fixed.lesson.number, "version": fixed.lesson.version, "repairs": fixed.done}
    except repair.Unreadable as error:
        result = {"graded": False, "reason": str(error), "lesson": args.lesson, "version": None}
    grade.written(grade.gradescope(result) if args.gradescope else result, args.out)
    print(f"{result['points']:g} of {result['max']:g} points" if result["graded"] else f"not graded: {result['reason']}")
    return 0 if result["graded"] else 1


def package(args: argparse.Namespace) -> int:
    """The autograder of a lesson as one zip file for Gradescope."""
    import package as packing

    target = packing.archive(args.lesson, args.course / "tests", ROOT / "build" / f"autograder-{args.lesson}.zip")
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


def similar(args: argparse.Namespace) -> int:
    """Answers that are alike, side by side, in one page."""
    import similar as comparing

    page = comparing.page(comparing.answers(args.course, args.lesson), args.lesson)
    target = args.course / "grades" / f"similar-{args.lesson}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    print(target)
    return 0


COMMANDS = (make, collect, repair, grade, feedback, grades, autograde, package, similar)


def parser() -> argparse.ArgumentParser:
    """What can be asked."""
    top = argparse.ArgumentParser(prog="python tools/course", description="Run the course, from hand-out to grades.")
    sub = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        words = str(command.__doc__)
        one = sub.add_parser(command.__name__, help=words, description=words)
        one.set_defaults(do=command)
        one.add_argument("--course", type=Path, default=Path("course"), help="the course folder (default: course)")
        many = {"nargs": "*", "default": ()} if command is make else {"required": command not in (grades, autograde)}
        one.add_argument("--lesson", metavar="NN", help="the lesson's number", **({"default": ""} | many))
        if command in (grade, autograde):
            one.add_argument("--seconds", type=float, default=10, help="of a processor for a cell or an exercise (default: 10)")
            one.add_argument("--memory", type=int, default=1024, help="MB beyond what the lesson itself takes (default: 1024)")
    choices = sub.choices
    choices["collect"].add_argument("source", type=Path, help="the folder or zip file")
    choices["grade"].add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time (default: one a core)")
    choices["grade"].add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler; its workers must see the course")
    choices["grade"].add_argument("--nbgrader", action="store_true", help="put the points into nbgrader's gradebook too")
    choices["autograde"].add_argument("folder", type=Path, help="the folder with the notebook")
    choices["autograde"].add_argument(
        "--tests", type=Path, default=ROOT / "build" / "tests", help="the lessons' tests (default: build/tests)"
    )
    choices["autograde"].add_argument(
        "-o", "--out", type=Path, default=Path("result.json"), help="the result (default: result.json)"
    )
    choices["autograde"].add_argument("--gradescope", action="store_true", help="write Gradescope's form")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Do one of the commands; a mistake in use is a sentence."""
    args = parser().parse_args(arguments)
    from repair import Unreadable

    try:
        return int(args.do(args))
    except (Unreadable, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
