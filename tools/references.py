"""The lessons' reference figures: `python tools/references.py [NN ...]`, 512 px by the real `vgg16-hed` on real photographs.

Each becomes data/reference/NN.jpg and NN.json (what it shows, and for every picture its command and seconds), which
`plots.reference` shows in the lesson. Runs are kept in build/reference, so a stopped command goes on.
"""

import argparse
import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from answers.lesson09 import guided_filter
from torch import Tensor
from torch.nn import functional as F

from nstutils import Result, images, stylise
from nstutils.backbones import CONTENT_LAYERS, STYLE_LAYERS
from nstutils.course import measures
from nstutils.fast import network as fast
from nstutils.library import files, weights
from nstutils.runs import store, sweeps

ROOT = Path(__file__).parent.parent
OPTIONS = {"backbone": "vgg16-hed", "size": 512, "steps": 100}
REBUILT = {"beta": 0.0, "raw_loss": True, "init": "noise", "tv": 1.0}
TEXTURE = {"alpha": 0.0, "init": "noise"}
PAPERS = {"init": "noise", "tv": 0.0, "content_layers": ["relu4_2"], "style_scale": 1.0, "beta": 1e3}
FROM_P = PAPERS | {"init": "content"}
WAYS = {"the papers' way": PAPERS, "brightness alone, from p": FROM_P | {"keep_colour": "luminance"}, "mended": FROM_P}
MASKS = [f"data/pictures/mask_hills_{part}.png" for part in ("sky", "ground")]
Panel = tuple[str, str, tuple[str, ...], dict[str, Any]]  # title, photograph, artworks, options
FAST = "glass"  # without artworks: one pass of the fast network, or what the functions of OWN draw

REFERENCES: dict[str, tuple[str, list[Panel]]] = {
    "00": ("A cat in stained glass: the default recipe", [("chelsea × glass", "chelsea", ("glass",), {})]),
    "01": ("A cat, and the strongest feature map of relu1_1 to relu5_1 of VGG-16: lines first, then parts, at last places",
           [("chelsea and five maps", "01", (), {})]),
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
           [(f"α/β = 1/{beta:g}", "chelsea", ("swirls",), {"beta": beta}) for beta in (1e3, 1e4, 1e5)]),
    "06": ("Three starts, one recipe",
           [(f"from {init}", "astronaut", ("glass",), {"init": init}) for init in ("content", "noise", "style")]),
    "07": ("The sky in dots, the ground in swirls, and the swirls alone",
           [("both, by masks", "hills", ("dots", "swirls"), {"content_guide": MASKS}),
            ("swirls alone", "hills", ("swirls",), {})]),
    "08": ("One pass of the fast network beside optimisation",
           [("one pass", "chelsea", (), {}), ("100 steps", "chelsea", (FAST,), {})]),
    "09": ("A photograph, and a dark one, in the style of a photograph; from left to right: the photograph, the style, the "
           "papers' way from noise, brightness alone from p, and mended: colours first, from p, with a guided filter",
           [("town × coast, dark cup × bright cup", "09", (), {})]),
    "10": ("An untouched photograph, a result, and the middle of the artwork; below, what measures say of them",
           [("chelsea × glass between its anchors", "10", (), {})]),
    "11": ("The papers' way (noise, relu4_2, the artwork at the picture's size) and this project's",
           [("the papers' way", "chelsea", ("swirls",), PAPERS),
            ("default recipe", "chelsea", ("swirls",), {})]),
}  # fmt: skip


def command(content: str, styles: tuple[str, ...], options: dict[str, Any]) -> str:
    """What makes the picture on the command line."""
    if content in OWN:
        return f"python tools/references.py {content}"
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


def rows(pictures: list[Tensor], columns: int, height: int) -> Tensor:
    """Pictures in rows, all of one height."""
    parts = [side_by_side(pictures[k : k + columns], height) for k in range(0, len(pictures), columns)]
    return torch.cat([F.pad(part, (0, 0, 0, 8 if k + 1 < len(parts) else 0), value=1.0) for k, part in enumerate(parts)], 2)


def made(content: Any, style: Any, options: dict[str, Any], key: str, work: Path) -> Result:
    """A run, kept under a key; a finished one is taken as it is."""
    out = work / f"{store.fingerprint(key)[:16]}.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    begun = store.state_path(out).exists()
    return sweeps.stored(work, out.stem) or stylise(content, style, out=out, resume=begun, progress=True, **OPTIONS | options)


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    """What is made, and its seconds at the second time: the first also gets the processor ready."""
    make()
    begin = time.perf_counter()
    return make(), time.perf_counter() - begin


@torch.no_grad()
def maps(work: Path) -> tuple[Tensor, float, str]:
    """A photograph, and below and beside it what the filter of each layer that answers most says of it, as grey pictures."""
    p, net = images.load("chelsea", OPTIONS["size"]), weights.backbone(OPTIONS["backbone"])
    found, seconds = timed(lambda: net(p, STYLE_LAYERS["vgg"]))
    tiles = [p]
    for answers in found.values():
        one = answers[:, answers.mean((0, 2, 3)).argmax(), None]
        tiles.append(images.resize((one / one.max()).sqrt().expand(-1, 3, -1, -1), p.shape[-2:]))
    return rows(tiles, 3, 252), seconds, ""


def photographs(work: Path) -> tuple[Tensor, float, str]:
    """Lesson 09's two photographs in the style of a photograph: each, its style, the papers' way, and what mends it."""
    size, shown, seconds = OPTIONS["size"], [], 0.0
    cup = images.load("coffee", round(1.25 * size))
    height, width = (round(0.8 * n) for n in cup.shape[-2:])
    light = cup[..., :height, :width]
    dark = (0.3 * light).mul(255).round().div(255)
    town, coast, bright = images.load("town", size), images.load("coast", size), cup.flip(-1)[..., -height:, :width]
    table = ["| | " + " | ".join(WAYS) + " |", "| --- |" + " ---: |" * len(WAYS)]
    for p, a, truth, name in ((town, coast, town, "town"), (dark, bright, light, "cup")):
        lit = images.match_colour(p, a)
        runs = [made(lit if way == "mended" else p, a, options, f"09 {name} {options}", work) for way, options in WAYS.items()]
        found = [run.image for run in runs[:-1]] + [guided_filter(runs[-1].image, lit, size // 32, 1e-3).clamp(0, 1)]
        table += [row(f"{name}: edges", [measures.edge_correlation(x, truth) for x in found]),
                  row(f"{name}: colours off the style's", [measures.colour_distance(x, a) for x in found])]  # fmt: skip
        shown += [p, a, *found]
        seconds += sum(float(run.history["seconds"]) for run in runs)
    table.append(row("cup: decibels from the truth", [measures.psnr(x, light) for x in found]))
    return rows([images.cover(one, (216, 288)) for one in shown], 2 + len(WAYS), 216), seconds, "\n".join(table)


def judged(work: Path) -> tuple[Tensor, float, str]:
    """Lesson 10's picture between its two anchors, and a table of what networks and plain measures say of them."""
    size = OPTIONS["size"]
    p, a, run = images.load("chelsea", size), images.load("glass", 2 * size), made("chelsea", "glass", {}, "10", work)
    top, left = ((n - m) // 2 for n, m in zip(a.shape[-2:], p.shape[-2:], strict=True))
    shown = {"photograph": p, "result": run.image, "part of the artwork": a[..., top : top + p.shape[-2], left : left + size]}
    table = ["| | " + " | ".join(shown) + " |", "| --- |" + " ---: |" * 3]
    for name in (OPTIONS["backbone"], "squeezenet"):
        judge = weights.backbone(name)
        style, content = STYLE_LAYERS[judge.family], CONTENT_LAYERS[judge.family]
        far = [measures.style_distance(x, a, judge, style) for x in shown.values()]
        gone = [measures.content_distance(x, p, judge, content) for x in shown.values()]
        table += [row(f"Gram distance from a, by {name}", far), row(f"content distance from p, by {name}", gone)]
    table += [row("colours off a's", [measures.colour_distance(x, a) for x in shown.values()]),
              row("edges in common with p", [measures.edge_correlation(x, p) for x in shown.values()])]  # fmt: skip
    return rows(list(shown.values()), 3, 300), float(run.history["seconds"]), "\n".join(table)


def row(head: str, found: list[float]) -> str:
    """A line of a table."""
    return f"| {head} | " + " | ".join(f"{value:.2f}" for value in found) + " |"


OWN = {"01": maps, "09": photographs, "10": judged}  # lessons whose figure is more than runs side by side


def picture(panel: Panel, work: Path) -> tuple[Tensor, float, str]:
    """A picture, its seconds, and a table of numbers, if it has one."""
    _, content, styles, options = panel
    if content in OWN:
        return OWN[content](work)
    if not styles:
        photograph, painter = images.load(content, OPTIONS["size"]), fast.load()
        return *timed(lambda: fast.apply(painter, photograph, FAST)), ""
    run = made(content, styles, options, command(content, styles, options), work)
    return run.image, float(run.history["seconds"]), ""


def main() -> None:
    """Make the references that are asked for, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lesson", nargs="*", metavar="NN", help="numbers of lessons (default: all)")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "reference")
    args = parser.parse_args()
    for number in args.lesson or REFERENCES:
        words, panels = REFERENCES[number]
        drawn = [picture(panel, args.work) for panel in panels]
        with files.atomic(ROOT / "data" / "reference" / f"{number}.jpg") as part:
            pictures = [image for image, _, _ in drawn]
            whole = pictures[0] if number in OWN else side_by_side(pictures, 340 if len(drawn) > 1 else 512)
            images.to_pil(whole).save(part, "JPEG", quality=75)
        runs = [{"title": panel[0], "seconds": seconds, "command": command(*panel[1:])}
                for panel, (_, seconds, _) in zip(panels, drawn, strict=True)]  # fmt: skip
        table = next((told for _, _, told in drawn if told), None)
        facts = (
            json.dumps({"words": words, "runs": runs} | ({"table": table} if table else {}), indent=1, ensure_ascii=False)
            + "\n"
        )
        files.write(facts.encode(), ROOT / "data" / "reference" / f"{number}.json")


if __name__ == "__main__":
    main()
