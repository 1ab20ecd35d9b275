"""Draw the style pictures, content scenes and masks of data/pictures from fixed seeds: `python tools/pictures [NAME ...]`.

A picture is the file of its name here. Every picture is drawn at twice its size and reduced at the end, so that no edge is
jagged. Maps such as a colour plan or a flow field are kept at the final size; strokes are placed in final pixels and drawn
at twice the size on an RGBA canvas whose fourth channel holds the height of the paint, so that one call lays down colour
and relief together. Positions are rounded to 1/16 px before drawing: a last-digit difference in sin or exp between
processors then does not move a pixel.
"""

import argparse
import importlib
import time
from pathlib import Path

import numpy as np
from canvas import Picture
from PIL import Image

SEEDS = {
    **{"style_swirls": 11, "style_fields": 12, "style_dots": 13, "style_impasto": 14, "style_arcs": 15},
    **{"style_glass": 16, "style_wave": 17, "style_hatching": 18, "style_mosaic": 19, "style_guitar": 20},
    **{"content_town": 31, "content_hills": 32, "content_coast": 33},
}
FOLDER = Path(__file__).resolve().parents[2] / "data" / "pictures"


def save(name: str, picture: Picture, folder: Path) -> None:
    """Write one picture, and its two masks where it has a sky."""
    picture.image.save(folder / f"{name}.jpg", quality=91, subsampling=0)
    if picture.sky is not None:
        sky = np.where(picture.sky, 255, 0).astype(np.uint8)
        short = name.split("_")[1]
        Image.fromarray(sky).save(folder / f"mask_{short}_sky.png", optimize=True)
        Image.fromarray(255 - sky).save(folder / f"mask_{short}_ground.png", optimize=True)


def main() -> None:
    """Draw the named pictures, or all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="pictures to draw, such as style_swirls or swirls")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write into (default: data/pictures)")
    args = parser.parse_args()
    known = {short: name for name in SEEDS for short in (name, name.split("_")[1])}
    if unknown := set(args.names) - set(known):
        parser.error(f"there is no picture {', '.join(sorted(unknown))}; choose from {', '.join(SEEDS)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in [known[given] for given in args.names] or SEEDS:
        start = time.perf_counter()
        picture = importlib.import_module(name).draw(np.random.default_rng(SEEDS[name]))
        save(name, picture, args.out)
        width, height = picture.image.size
        print(f"{name:16} {width} x {height}  {time.perf_counter() - start:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
