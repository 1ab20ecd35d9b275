"""Judge a fast network on photographs it has not seen: `python tools/judge_fast.py [MODEL] [--sheet FILE.png] [--steps N]`.

For every photograph and style: the total of one pass (the losses of the course, relative to pictures left as they are), the
total that L-BFGS reaches on the same photograph from noise, and the step at which optimisation passes the network. Prints
a table in Markdown and its means; writes a sheet of four photographs times the styles to look at.
"""

import argparse
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from tqdm import tqdm

from nstutils import images, stylise
from nstutils.fast import network as fast
from nstutils.fast.training import preview
from nstutils.library.settings import settings
from nstutils.losses import evaluate, total
from nstutils.runs.options import Options
from nstutils.runs.resolve import prepare

PHOTOGRAPHS = ("town", "hills", "coast", "astronaut", "chelsea", "coffee", "rocket", "camera", "tubingen", "golden_gate")


def judged(
    net: fast.TransformNet, photograph: str, style: str, recipe: dict[str, Any], seconds: list[float]
) -> dict[str, float]:
    """Totals of one pass and of optimisation over the photograph's own, and the step at which the latter is lower."""
    size, steps = recipe["size"], recipe["steps"]
    problem = prepare(photograph, style, Options(**recipe))
    terms, content = problem.stages()[-1].terms, images.resize(problem.content, problem.scales[-1].size)
    begin = time.perf_counter()
    painted = fast.apply(net, content, style)
    seconds.append(time.perf_counter() - begin)
    with torch.no_grad():
        mine, still = (float(total(evaluate(problem.exact, x, terms), terms)) for x in (painted, content))  # type: ignore[arg-type]
    history = stylise(photograph, style, **recipe).history
    passed = next((row["step"] for row in history["steps"] if row["size"] == size and row["total"] < mine), steps + 1)
    at = next((row["seconds"] for row in history["steps"] if row["step"] == passed), history["seconds"])
    return {"network": mine / still, "optimisation": history["final"]["total"] / still, "passed": passed, "seconds": at}


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="fast")
    parser.add_argument("--photographs", nargs="+", default=PHOTOGRAPHS, metavar="NAME")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    settings("quick")
    net = fast.load(args.model)
    if args.sheet:
        images.save(preview(net, args.photographs[:4], (288, 384)), args.sheet)
    print(f"| style ({len(args.photographs)} pictures, {args.size} px) | network | optimisation, {args.steps} steps | ratio | "
          "passed at step |")  # fmt: skip
    print("| --- | --- | --- | --- | --- |")
    recipe = {"size": args.size, "steps": args.steps, "beta": 5e3, "tv": 0.05, "method": "lbfgs"}
    recipe["style_size"] = fast.style_size(args.model)
    everything, seconds = [], []
    for style in net.styles:
        rows = [judged(net, p, style, recipe, seconds) for p in tqdm(args.photographs, desc=style, leave=False)]
        one, other = (mean(row[key] for row in rows) for key in ("network", "optimisation"))
        ratio = mean(row["network"] / row["optimisation"] for row in rows)
        print(f"| {style} | {one:.3f} | {other:.3f} | {ratio:.2f} | {median(row['passed'] for row in rows):.0f} |", flush=True)
        everything += rows
    at = median(row["seconds"] for row in everything)
    print(
        f"\none pass {median(seconds):.3f} s; optimisation passes it after {at:.1f} s, {at / median(seconds):.0f} times as long"
    )


if __name__ == "__main__":
    main()
