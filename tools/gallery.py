"""The gallery: `python tools/gallery.py` makes its figures at `quick`, data/gallery/ID.jpg and the lines of docs/gallery.md.

Nothing in it is touched by hand: each picture stands above the command that makes it, with size, steps, backbone and seconds.
"""

import argparse
import json
import re
from pathlib import Path

from nstutils import figure, images
from nstutils.library import files

ROOT = Path(__file__).parent.parent
SHOWN = {
    "gallery": "One photograph, five artworks, with the settings of each below it",
    "style-scale": "The same photographs with the artwork at three sizes: the larger it is, the larger the strokes",
    "guided-gram": "The sky takes one style and the ground another",
    "fast-transfer": "One pass of a trained network beside hundreds of steps of optimisation",
}
MARKS = ("<!-- gallery: made by tools/gallery.py -->", "<!-- end of the gallery -->")


def entry(id: str, folder: Path) -> str:
    """The figure as a JPEG, and its lines of the page."""
    record = figure(id, "quick", out=folder)
    numbers = json.loads(record.path.with_suffix(".json").read_text(encoding="utf-8"))["numbers"]
    with files.atomic(ROOT / "data" / "gallery" / f"{id}.jpg") as part:
        images.to_pil(images.load(record.path, 1280)).save(part, "JPEG", quality=85)
    told = [f"{numbers[key]} {unit}" for key, unit in (("size", "px"), ("steps", "steps")) if key in numbers]
    facts = ", ".join([*told, f"`{record.backbone}`", f"{record.seconds:.0f} s for all runs of the figure"])
    return f"![{SHOWN[id]}](../data/gallery/{id}.jpg)\n\n{SHOWN[id]} ({facts}):\n\n```\nnstutils figure {id}\n```\n"


def main() -> None:
    """Make the pictures and put their lines between the page's marks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gallery", help="folder for figures and runs")
    args = parser.parse_args()
    page = ROOT / "docs" / "gallery.md"
    text = "\n".join(entry(id, args.work) for id in SHOWN)
    old = page.read_text(encoding="utf-8")
    new = re.sub(f"{MARKS[0]}.*{MARKS[1]}", lambda _: f"{MARKS[0]}\n\n{text}\n{MARKS[1]}", old, flags=re.DOTALL)
    files.write(new.encode(), page)


if __name__ == "__main__":
    main()
