"""Which size of the artwork paints best: `python tools/judge_scale.py`, every shipped artwork at several sizes, for small to
large pictures, by the default recipe from a photograph.

Writes a sheet for each size of picture, a row an artwork, a column a size of the artwork over the picture's (at most its
file's), and prints the medians: length of the strokes (what is in the picture and not in the photograph), edges and colours
kept. Which is best is for a person to see.
"""

import argparse
import itertools
from pathlib import Path
from statistics import median

from judge_backbone import sheet

from nstutils import images, stylise
from nstutils.course import measures
from nstutils.library import pictures
from nstutils.papers.gatys import strokes

SCALES = (0.5, 1.0, 1.5, 2.0, 3.0)
PHOTOGRAPHS = ("chelsea", "astronaut", "coffee", "town", "rocket")


def main() -> None:
    """Make the sheets and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="128,256,512", help="long sides of the pictures (default: 128,256,512)")
    parser.add_argument("--backbone", default="classroom")
    parser.add_argument("--sheets", type=Path, default=Path("build/scale"))
    args = parser.parse_args()
    styles = sorted(path.stem.removeprefix("style_") for path in pictures.data_folder().glob("pictures/style_*.jpg"))
    print("| size | artwork over it | strokes, px | edges | colour distance |\n| --- | --- | --- | --- | --- |")
    for size in map(int, args.sizes.split(",")):
        made, rows = {}, list(zip(styles, itertools.cycle(PHOTOGRAPHS), strict=False))
        for scale in SCALES:
            found = []
            for style, photograph in rows:
                image = stylise(photograph, style, size=size, style_scale=scale, backbone=args.backbone).image
                made[style, scale], p = image, images.load(photograph, size)
                length = measures.autocorrelation_length(strokes(image, p))
                found.append((length, measures.edge_correlation(image, p), measures.colour_distance(image, images.load(style))))
            numbers = " | ".join(f"{median(one):.2f}" for one in zip(*found, strict=True))
            print(f"| {size} | {scale:g} | {numbers} |", flush=True)
        whole = sheet([made[style, scale] for style, _ in rows for scale in SCALES], len(SCALES))
        images.save(whole, args.sheets / f"{args.backbone}-{size}.jpg")


if __name__ == "__main__":
    main()
