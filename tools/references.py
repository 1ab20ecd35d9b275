"""The lessons' reference figures: `python tools/references.py [NN ...]`, 512 px by the real `vgg16-hed` on real photographs.

Each becomes data/reference/NN.jpg and NN.json (what it shows, and for every picture its command and seconds), which
`plots.reference` shows in the lesson. Runs are kept in build/reference, so a stopped command goes on.
"""

import argparse
import json
import shlex
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import images, results, stylise
from nstutils.fast import network as fast
from nstutils.library import files, weights
from nstutils.runs import store

ROOT = Path(__file__).parent.parent
OPTIONS = {"backbone": "vgg16-hed", "size": 512, "steps": 100, "beta": 4000.0}  # larger pictures bear more style
REBUILT = {"beta": 0.0, "raw_loss": True, "init": "noise", "tv": 1.0}
TEXTURE = {"alpha": 0.0, "init": "noise"}
PAPERS = {"init": "noise", "tv": 0.0, "content_layers": ["relu4_2"], "style_scale": 1.0, "layer_weights": "equal", "beta": 1e3}
MASKS = [f"data/pictures/mask_hills_{part}.png" for part in ("sky", "ground")]
Panel = tuple[str, str, tuple[str, ...], dict[str, Any]]  # title, photograph, artworks, options
FAST = "glass"  # without artworks: one pass of the fast network, or with LOOK its strongest feature maps
LOOK = {"layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]}

REFERENCES: dict[str, tuple[str, list[Panel]]] = {
    "00": ("A cat in stained glass: the default recipe", [("chelsea × glass", "chelsea", ("glass",), {})]),
    "01": ("A cat, and the strongest feature map of relu1_1 to relu5_1 of VGG-16: lines first, then parts, at last places",
           [("chelsea and five maps", "chelsea", (), LOOK)]),
    "02": ("A cup of coffee rebuilt from one layer of VGG-16, from noise, with a little total variation as the prior",
           [(f"from {layer}", "coffee", ("swirls",), REBUILT | {"content_layers": [layer]})
            for layer in ("relu2_2", "relu4_2")]),
    "03": ("The style alone, from noise: the Gram matrices of one layer, and of five",
           [("to relu1_1", "swirls", ("swirls",), TEXTURE | {"style_layers": ["relu1_1"]}),
            ("to relu5_1", "swirls", ("swirls",), TEXTURE)]),
    "04": ("Three photographs, three artworks, the default recipe",
           [("coffee × impasto", "coffee", ("impasto",), {}), ("astronaut × mosaic", "astronaut", ("mosaic",), {}),
            ("chelsea × fields", "chelsea", ("fields",), {})]),
    "05": ("The same two pictures with three ratios of content and style",
           [(f"α/β = 1/{beta:g}", "chelsea", ("swirls",), {"beta": beta}) for beta in (400.0, 4000.0, 40000.0)]),
    "06": ("Three starts, one recipe",
           [(f"from {init}", "astronaut", ("glass",), {"init": init}) for init in ("content", "noise", "style")]),
    "07": ("The sky in dots, the ground in swirls, and the swirls alone",
           [("both, by masks", "hills", ("dots", "swirls"), {"content_guide": MASKS}),
            ("swirls alone", "hills", ("swirls",), {})]),
    "08": ("One pass of the fast network beside optimisation",
           [("one pass", "chelsea", (), {}), ("100 steps", "chelsea", (FAST,), {})]),
    "11": ("The papers' way (noise, relu4_2, equal weights, the artwork at the picture's size) and this project's",
           [("the papers' way", "chelsea", ("swirls",), PAPERS),
            ("default recipe", "chelsea", ("swirls",), {})]),
}  # fmt: skip


def command(content: str, styles: tuple[str, ...], options: dict[str, Any]) -> str:
    """What makes the picture on the command line."""
    if options == LOOK:
        return "python tools/references.py 01"
    if not styles:
        return f"nstutils fast apply fast {content} -o OUT.png --style {FAST} --size {OPTIONS['size']}"
    words = ["nstutils", "stylise", content, *styles, "-o", "OUT.png"]
    for name, value in (OPTIONS | options).items():
        for one in value if name == "content_guide" else [value]:
            words += ["--" + name.replace("_", "-"), *([] if one is True else [written(one)])]
    return shlex.join(words)


def written(value: Any) -> str:
    """A value of an option as the command line takes it."""
    return ",".join(value) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)


def side_by_side(pictures: list[Tensor], height: int = 340, gap: int = 8) -> Tensor:
    """Pictures in a row, all of one height."""
    scaled = [images.resize(one, (height, round(one.shape[-1] * height / one.shape[-2]))) for one in pictures]
    return torch.cat([F.pad(one, (0, gap if k + 1 < len(scaled) else 0), value=1.0) for k, one in enumerate(scaled)], -1)


@torch.no_grad()
def maps(p: Tensor, layers: list[str]) -> Tensor:
    """A photograph, and below and beside it what the filter of each layer that answers most says of it, as grey pictures."""
    found, tiles = weights.backbone(OPTIONS["backbone"])(p, layers), [p]
    for answers in found.values():
        one = answers[:, answers.mean((0, 2, 3)).argmax(), None]
        tiles.append(images.resize((one / one.max()).sqrt().expand(-1, 3, -1, -1), p.shape[-2:]))
    return torch.cat([F.pad(side_by_side(tiles[:3]), (0, 0, 0, 8), value=1.0), side_by_side(tiles[3:])], 2)


def picture(panel: Panel, work: Path) -> tuple[Tensor, float, str]:
    """A picture, its seconds, and its command; a finished one is taken as it is."""
    _, content, styles, options = panel
    told = command(content, styles, options)
    if not styles:
        photograph, painter = images.load(content, OPTIONS["size"]), fast.load()
        for _ in range(2):  # the first at a size also gets the processor ready
            begin = time.perf_counter()
            found = maps(photograph, **LOOK) if options == LOOK else fast.apply(painter, photograph, FAST)
        return found, time.perf_counter() - begin, told
    out = work / f"{store.fingerprint(told)[:16]}.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    begun = store.state_path(out).exists()
    result = results.kept(out) or stylise(content, styles, out=out, resume=begun, progress=True, **OPTIONS | options)
    return result.image, float(result.history["seconds"]), told


def main() -> None:
    """Make the references that are asked for, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lesson", nargs="*", metavar="NN", help="numbers of lessons (default: all)")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "reference")
    args = parser.parse_args()
    for number in args.lesson or REFERENCES:
        words, panels = REFERENCES[number]
        made = [picture(panel, args.work) for panel in panels]
        with files.atomic(ROOT / "data" / "reference" / f"{number}.jpg") as part:
            whole = side_by_side([image for image, _, _ in made], 340 if len(made) > 1 else 512)
            images.to_pil(whole).save(part, "JPEG", quality=75)
        runs = [
            {"title": panel[0], "seconds": seconds, "command": told}
            for panel, (_, seconds, told) in zip(panels, made, strict=True)
        ]
        facts = json.dumps({"words": words, "runs": runs}, indent=1, ensure_ascii=False) + "\n"
        files.write(facts.encode(), ROOT / "data" / "reference" / f"{number}.json")


if __name__ == "__main__":
    main()
