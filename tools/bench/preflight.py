"""Whether the estimate before a run comes true: predicted and measured seconds and memory, side by side.

    python tools/bench/preflight.py [--quick | --large]

Every case is a process of its own: it asks `runs.preflight` first, then runs. `--large` shows instead that
squares of 4096 pixels take bounded memory, and little more time per pixel than small pictures.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from common import forget_peak, memory
from tqdm import tqdm

from nstutils import images
from nstutils.descent import coarse_to_fine
from nstutils.runs import preflight
from nstutils.runs.options import Options
from nstutils.runs.resolve import prepare

NETWORKS = ("classroom", "random-vgg19")
Case = dict[str, Any]


def large(quick: bool) -> list[Case]:
    """Squares, untiled and in tiles, up to 4096 pixels."""
    small, tiled = (64, [(128, 64)]) if quick else (512, [(1024, 512), (4096, 512), (4096, 1024)])
    runs = [{"size": small, "steps": 4 if quick else 8}, *({"size": size, "tile": tile, "steps": 2} for size, tile in tiled)]
    return [{"backbone": network, "scales": "1", "square": True} | case for network in NETWORKS for case in runs]


def cases(quick: bool) -> list[Case]:
    """The runs: untiled at two sizes, and in tiles; quick ones only show that it works."""
    sizes, tiled = ((64,), (192, 128)) if quick else ((256, 512), (1536, 1024))
    plain = [{"size": size, "steps": 4 if quick else 20} for size in sizes]
    tiles = {"size": tiled[0], "tile": tiled[1], "steps": 2}
    return [{"backbone": network, "scales": "1"} | case for network in NETWORKS for case in (*plain, tiles)]


def run(case: Case) -> Case:
    """One run: what was predicted for it and what it took, from the imports on."""
    imports = memory("VmRSS")
    options = Options(**{key: value for key, value in case.items() if key != "square"})
    size = options.size or 1
    content = images.cover(images.load("town"), (size, size)) if case.get("square") else "town"
    problem = prepare(content, "swirls", options)
    o, stages = problem.task.options, problem.stages()
    steps = [(stage.size, stage.steps) for stage in stages]
    told = preflight.stepping(preflight.Ahead(problem.net, problem.task.layers, o.method, steps))
    needed = preflight.memory(problem.net, problem.task.layers, steps[-1][0], o.method)
    prepared = memory("VmHWM") - imports
    forget_peak()
    result = coarse_to_fine(problem.net, problem.start(), stages, method=o.method, lr=o.lr)
    found = {"seconds": result.history["seconds"], "memory": memory("VmHWM") - imports, "prepared": prepared}
    first, *_, last = (row["seconds"] for row in result.history["steps"])
    pixels = stages[-1].size[0] * stages[-1].size[1]
    found["pixel"] = (last - first) / (stages[-1].steps - 1) / pixels
    return {"told_seconds": told, "told_memory": needed, **found}


def child(case: Case) -> Case:
    """The case in a process of its own."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def row(case: Case, found: Case) -> str:
    """One line of the table."""
    seconds, gigabytes = found["told_seconds"] / found["seconds"], found["told_memory"] / found["memory"]
    size = f"{case['size']} × {case['size']}" if case.get("square") else case["size"]
    what = f"{case['backbone']}, {size} px" + (f" in tiles of {case['tile']}" if case.get("tile") else "")
    texts = [what, str(case["steps"]), f"{found['told_seconds']:.2f}", f"{found['seconds']:.2f}", f"{seconds:.2f}"]
    texts += [f"{found['told_memory'] / 1e9:.2f}", f"{found['memory'] / 1e9:.2f}", f"{gigabytes:.2f}"]
    texts += [f"{found['prepared'] / 1e9:.2f}", f"{found['pixel'] * 1e6:.2f}"]
    return f"| {' | '.join(texts)} |"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small pictures: only whether it runs")
    parser.add_argument("--large", action="store_true", help="squares up to 4096 pixels, in tiles")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.case:
        print(json.dumps(run(args.case)))
        return
    heads = ["run", "steps", "s predicted", "s measured", "ratio", "GB predicted", "GB measured", "ratio", "GB while preparing"]
    heads += ["µs a pixel and step"]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for case in tqdm((large if args.large else cases)(args.quick), desc="preflight", unit="run", file=sys.stderr):
        print(row(case, child(case)), flush=True)


if __name__ == "__main__":
    main()
