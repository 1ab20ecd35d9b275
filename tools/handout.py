"""Pack what students get, with nothing but Python: `python tools/handout.py [NN ...]` writes build/handout.zip.

The students' copies of the lessons (all, or those of these numbers), the package with its pictures and weights, and a README of
their own, docs/students.md, which tells the version. No solutions, no hidden tests, no guide for instructors.
"""

import argparse
import json
import re
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
TOP = "nst-course"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PARTS = ("nstutils", "notebooks/project", *PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"])
PAGES = ("CITATION.cff", "LICENSE", "pyproject.toml", "constraints.txt", "environment.yml")
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def lessons(numbers: Sequence[str] = ()) -> list[Path]:
    """The students' copies, of these numbers alone if any are given."""
    found = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    known = [path.name[:2] for path in found]
    if unknown := [number for number in numbers if number not in known]:
        raise SystemExit(f"there is no lesson {', '.join(unknown)}; choose from {', '.join(known)}")
    return [path for path in found if not numbers or path.name[:2] in numbers]


def files(numbers: Sequence[str] = ()) -> list[Path]:
    """What is handed out as it is here."""
    found = lessons(numbers)
    for part in PARTS:
        found += [ROOT / part] if (ROOT / part).is_file() else [path for path in (ROOT / part).rglob("*") if path.is_file()]
    return [*found, *(ROOT / page for page in PAGES)]


def wanted(path: Path) -> bool:
    """Whether a file is not what a run has left behind."""
    parts = path.relative_to(ROOT).parts
    left = {"__pycache__", ".ipynb_checkpoints"} & set(parts) or any(part.startswith("my_") for part in parts)
    return not left and path.suffix not in (".pyc", ".part")


def version(numbers: Sequence[str] = ()) -> str:
    """The package's version, and that of each lesson."""
    number = PROJECT["project"]["version"]
    told = [json.loads(path.read_text(encoding="utf-8"))["metadata"]["nstutils"] for path in lessons(numbers)]
    return f"{number} (lessons {', '.join('{lesson} {version}'.format(**one) for one in told)})"


def unlinked(text: str, place: PurePosixPath, held: set[str]) -> str:
    """A page whose links lead to what is handed out; of the others the words stay."""

    def kept(link: re.Match[str]) -> str:
        target = link[2]
        path = (ROOT / place.parent / target).resolve()
        return (
            link[0] if "://" in target or path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix() in held else link[1]
        )

    return LINK.sub(kept, text)


def pack(target: Path, numbers: Sequence[str] = ()) -> None:
    """Write the archive, which pip can install as it is."""
    found = {path.relative_to(ROOT).as_posix(): path for path in sorted(files(numbers)) if wanted(path)}
    target.parent.mkdir(parents=True, exist_ok=True)
    readme = (ROOT / "docs" / "students.md").read_text(encoding="utf-8").replace("VERSION", version(numbers))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{TOP}/README.md", readme)
        for name, path in found.items():
            if path.suffix == ".md":
                archive.writestr(f"{TOP}/{name}", unlinked(path.read_text(encoding="utf-8"), PurePosixPath(name), set(found)))
            else:
                archive.write(path, f"{TOP}/{name}")


def main(arguments: list[str] | None = None) -> None:
    """Pack, and say what and how large."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lessons", nargs="*", metavar="NN", help="numbers of lessons (default: all)")
    args = parser.parse_args(arguments)
    target = ROOT / "build" / "handout.zip"
    pack(target, args.lessons)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e6:.1f} MB, version {version(args.lessons)}")


if __name__ == "__main__":
    main()
