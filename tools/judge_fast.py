"""Judge a fast network on photographs it has not seen: `python tools/judge_fast.py [MODEL] [--sheet FILE.png] [--steps N]`.

For every photograph and style: the total of one pass (the losses of the course, relative to pictures left as they are), the
total that L-BFGS reaches on the same photograph from noise, and the step at which optimisation passes the network. Prints
a table in Markdown and its means, and how much a clip of known motion flickers frame by frame and with `--temporal`; writes
a sheet of four photographs times the styles to look at.
"""

import argparse
from pathlib import Path
from statistics import mean, median
from typing import Any

from torch import Tensor
from tqdm import tqdm

from nstutils import images, stylise
from nstutils.course import measures
from nstutils.course.moving import moving
from nstutils.fast import network as fast
from nstutils.fast.files import steadied
from nstutils.fast.training import preview
from nstutils.papers.shuvo import passed_once

PHOTOGRAPHS = ("town", "hills", "coast", "astronaut", "chelsea", "coffee", "rocket", "camera", "tubingen", "golden_gate")


def judged(net: fast.TransformNet, photograph: str, style: str, recipe: dict[str, Any]) -> dict[str, float]:
    """Totals of one pass and of optimisation over the photograph's own; when the latter is lower; seconds of one pass."""
    p = images.load(photograph, recipe["size"])
    painted, one = passed_once(net, p, style, recipe)
    history, mine, still = stylise(p, style, **recipe).history, one["final"]["total"], one["photograph"]
    below = (row for row in history["steps"] if row["size"] == max(painted.shape[-2:]) and row["total"] < mine)
    first = next(below, {"step": recipe["steps"] + 1, "seconds": history["seconds"]})
    found = {"network": mine / still, "optimisation": history["final"]["total"] / still, "pass": one["seconds"]}
    return found | {"passed": first["step"], "seconds": first["seconds"]}


def flicker(net: fast.TransformNet, style: str, size: int) -> tuple[float, float]:
    """How far the frames of a painted clip are from one another along its true motion, in units of the clip's own: painted
    frame by frame, and with `fast apply --temporal`, which estimates the motion."""
    clip = moving(size=size, count=6)

    def error(frames: list[Tensor]) -> float:
        pairs = zip(frames, frames[1:], clip.flows, clip.seen, strict=False)
        return mean(measures.warping_error(*pair) for pair in pairs)

    alone, steady = [fast.apply(net, frame, style) for frame in clip.frames], list(steadied(net, clip.frames, style))
    return error(alone) / error(clip.frames), error(steady) / error(clip.frames)


def main(arguments: list[str] | None = None) -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="fast")
    parser.add_argument("--photographs", nargs="+", default=PHOTOGRAPHS, metavar="NAME")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args(arguments)
    net = fast.load(args.model)
    if args.sheet:
        images.save(preview(net, args.photographs[:4], (288, 384)), args.sheet)
    print(f"| style ({len(args.photographs)} pictures, {args.size} px) | network | optimisation, {args.steps} steps | ratio | "
          "passed at step |")  # fmt: skip
    print("| --- | --- | --- | --- | --- |")
    recipe = {"size": args.size, "steps": args.steps} | fast.aims(args.model)
    everything = []
    for style in net.styles:
        rows = [judged(net, p, style, recipe) for p in tqdm(args.photographs, desc=style, leave=False)]
        one, other = (mean(row[key] for row in rows) for key in ("network", "optimisation"))
        ratio = mean(row["network"] / row["optimisation"] for row in rows)
        print(f"| {style} | {one:.3f} | {other:.3f} | {ratio:.2f} | {median(row['passed'] for row in rows):.0f} |", flush=True)
        everything += rows
    at, one = (median(row[key] for row in everything) for key in ("seconds", "pass"))
    shaken = [flicker(net, style, args.size) for style in net.styles]
    alone, steady = (mean(values) for values in zip(*shaken, strict=True))
    print(f"\na clip flickers {alone:.1f} times as much as it did itself, with --temporal {steady:.1f} times")
    print(f"one pass {one:.3f} s; optimisation passes it after {at:.1f} s, {at / one:.0f} times as long")


if __name__ == "__main__":
    main()
