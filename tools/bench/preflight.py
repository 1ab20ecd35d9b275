"""Whether the estimate before a run comes true: predicted and measured seconds and memory, side by side.

    python tools/bench/preflight.py [--quick]

Every case is a process of its own: it asks `nstutils.preflight.estimate` first, and then runs.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from common import forget_peak, memory
from tqdm import tqdm

from nstutils import preflight
from nstutils.optimise import coarse_to_fine
from nstutils.options import Options
from nstutils.problem import prepare

NETWORKS = ("classroom", "random-vgg19")
Case = dict[str, Any]


def cases(quick: bool) -> list[Case]:
    """The runs: untiled at two sizes, and in tiles; quick ones only show that it works."""
    sizes, tiled = ((64,), (192, 128)) if quick else ((256, 512), (1536, 1024))
    plain = [{"size": size, "steps": 4 if quick else 20} for size in sizes]
    tiles = {"size": tiled[0], "tile": tiled[1], "steps": 2}
    return [{"backbone": network, "scales": "1"} | case for network in NETWORKS for case in (*plain, tiles)]


def run(case: Case) -> Case:
    """One run: what was predicted for it and what it took, from the imports on."""
    imports = memory("VmRSS")
    problem = prepare("town", "swirls", Options(**case))
    o, stages = problem.options, problem.stages()
    layers = (*(o.content_layers or ()), *(o.style_layers or ()))
    told = preflight.estimate(problem.net, layers, stages, o.method, problem.tile)
    prepared = memory("VmHWM") - imports
    forget_peak()
    result = coarse_to_fine(problem.net, problem.start(), stages, method=o.method, lr=o.lr, tile=problem.tile)
    found = {"seconds": result.history["seconds"], "memory": memory("VmHWM") - imports, "prepared": prepared}
    return {"told_seconds": told.seconds, "told_memory": told.memory, **found}


def child(case: Case) -> Case:
    """The case in a process of its own."""
    command = [sys.executable, __file__, "--case", json.dumps(case)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def row(case: Case, found: Case) -> str:
    """One line of the table."""
    seconds, gigabytes = found["told_seconds"] / found["seconds"], found["told_memory"] / found["memory"]
    what = f"{case['backbone']}, {case['size']} px" + (f" in tiles of {case['tile']}" if case.get("tile") else "")
    texts = [what, str(case["steps"]), f"{found['told_seconds']:.2f}", f"{found['seconds']:.2f}", f"{seconds:.2f}"]
    texts += [f"{found['told_memory'] / 1e9:.2f}", f"{found['memory'] / 1e9:.2f}", f"{gigabytes:.2f}"]
    texts += [f"{found['prepared'] / 1e9:.2f}"]
    return f"| {' | '.join(texts)} |"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small pictures: only whether it runs")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.case:
        print(json.dumps(run(args.case)))
        return
    heads = ["run", "steps", "s predicted", "s measured", "ratio", "GB predicted", "GB measured", "ratio", "GB while preparing"]
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    for case in tqdm(cases(args.quick), desc="preflight", unit="run", file=sys.stderr):
        print(row(case, child(case)), flush=True)


if __name__ == "__main__":
    main()
