"""Speed, memory and time to equal loss, side by side with pystiche and neural-style; and how near to the processor's limit.

`make bench` runs all of it and writes build/bench/bench.md, bench.json and bench.png. Every program is a process of its own.
The pictures are `town` and `swirls`, the network VGG-19 with random weights (only the time matters) and max pooling, as both
peers have it; content relu4_2, style relu1_1 to relu5_1; all weighed so that every program minimises the same sum.
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peers
import report
import torch
from common import replacing
from tqdm import tqdm

from nstutils import backbone, images
from nstutils.library.settings import PRESETS

HERE = Path(__file__).parent
LIMIT = {"ONEDNN_MAX_CPU_ISA": "AVX2"}  # what most laptops have
VGG = {"backbone": "vgg19", "pool": "max", "weights": "vgg19.pth"}
OURS: dict[str, dict[str, Any]] = {
    "ours, VGG-19": VGG,
    "ours, VGG-19, float32": VGG | {"dtype": "float32"},
    "ours, VGG-19, float32, L-BFGS": VGG | {"dtype": "float32", "method": "lbfgs"},
    "ours, classroom": {"backbone": "classroom"},
}
NETWORKS = {"VGG-19": VGG, "classroom": {"backbone": "classroom"}}  # of the time to equal loss; random weights, trained ones
BUDGETS = (0.04, 0.1, 0.2, 0.3, 0.4, 1.0)  # of the steps: the default is tuned to its number of steps, so several are run
DRAFTED = {"backbone": "vgg16-hed"}  # what a draft is made for
PAIRS = (("town", "swirls"), ("coast", "wave"), ("chelsea", "impasto"))
MEMORY = "killed: it took more memory than there is"

Job = dict[str, Any]
Data = dict[str, Any]
Curves = dict[tuple[str, int], dict[str, list[list[float]]]]  # by network and size, then by program: (seconds, loss, unclamped)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options, --quick's filled in."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=sizes, default=None, help="long sides in pixels (default: 256,512,1024)")
    parser.add_argument("--steps", type=int, default=None, help="timed steps of every program (default: 20)")
    parser.add_argument("--long-sizes", type=sizes, default=None, help="sizes for the time to equal loss (default: 256,512)")
    parser.add_argument("--long", type=int, default=None, help="steps of the runs to equal loss (default: 500)")
    parser.add_argument("--fast-size", type=int, default=None, help="long side for fast transfer, in pixels (default: 512)")
    parser.add_argument("--limit", type=float, default=5400, help="seconds after which a program is stopped (default: 5400)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few steps: only whether it runs")
    parser.add_argument("--skip-peers", action="store_true", help="this project alone")
    parser.add_argument("--resume", action="store_true", help="keep what an interrupted run with the same options measured")
    parser.add_argument("--out", type=Path, default=HERE.parent.parent / "build" / "bench", help="folder to write into")
    args = parser.parse_args(arguments)
    args.sizes = args.sizes or ([64] if args.quick else [256, 512, 1024])
    args.long_sizes = args.long_sizes or ([args.sizes[0]] if args.quick else [256, 512])
    args.fast_size = args.fast_size or (64 if args.quick else 512)
    args.steps, args.long = max(4, args.steps or (4 if args.quick else 20)), args.long or (6 if args.quick else 500)
    return args


def sizes(text: str) -> list[int]:
    """Long sides, with commas; multiples of 64, so that no program has to round."""
    found = sorted({int(part) for part in text.split(",")})
    if any(size < 64 or size % 64 for size in found):
        raise argparse.ArgumentTypeError(f"{text}: sizes are multiples of 64")
    return found


def slug(text: str) -> str:
    """A name as part of a file name."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def files(folder: Path, wanted: list[int]) -> None:
    """The pictures and weights, in the folder that every program runs in."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for long in wanted:
        content = images.load("town", long)
        size = (content.shape[-2], content.shape[-1])
        made = {"town": content, "swirls": images.cover(images.load("swirls"), size), "start": images.noise(size)}
        for name, picture in made.items():
            images.save(picture, folder / f"{name}-{long}.png")
    state = peers.torchvision_state(backbone("random-vgg19", pool="max"))
    for name, tensors in (("vgg19.pth", state), ("vgg19-caffe.pth", peers.caffe_state(state))):
        with replacing(folder / name) as part:
            torch.save(tensors, part)


def job_of(kind: str, program: str, size: int, limited: bool = False, **more: Any) -> Job:
    """One child's job."""
    name = "-".join([kind, slug(program), str(size)] + (["limited"] if limited else []))
    given = {"content": f"town-{size}.png", "style": f"swirls-{size}.png", "start": f"start-{size}.png", "long": size}
    job = {"name": name, "kind": kind, "program": program, "size": size, "limited": limited, "script": "ours.py"}
    return job | given | {"out": f"runs/{name}.json", "picture": f"runs/{name}.png"} | more


def our_job(kind: str, program: str, size: int, options: Job, limited: bool = False, **more: Any) -> Job:
    """A run of `stylise` with these options."""
    return job_of(kind, program, size, limited, **more) | {"kind": "run", "options": {"size": size} | options}


def peer_job(kind: str, peer: str, size: int, facts: Job, steps: int, limited: bool = False, **more: Any) -> Job:
    """A peer's run."""
    file = "vgg19-caffe.pth" if peer == "neural-style" else "vgg19.pth"
    given = {"script": peers.SCRIPTS[peer], "weights": file, "steps": steps, **peers.weights(peer, facts)}
    return job_of(kind, peers.WANTED[peer].replace("==", " "), size, limited, **given, **more)


def speed_jobs(args: argparse.Namespace, facts: dict[int, Job], others: list[str]) -> Iterator[Job]:
    """The runs of the tables of speed and memory."""
    steps, limit = args.steps + report.WARM, args.limit / 4
    for limited in (False, True):
        for size in args.sizes:
            for program, options in OURS.items():
                whole = options | {"steps": steps, "scales": "1", "init": f"start-{size}.png"}
                yield our_job("speed", program, size, whole, limited, limit=limit)
            for peer in others:
                yield peer_job("speed", peer, size, facts[size], steps, limited, limit=limit)


def long_jobs(args: argparse.Namespace, facts: dict[int, Job], others: list[str]) -> Iterator[Job]:
    """The runs of the time to equal loss."""
    peers_way = {"dtype": "float32", "method": "lbfgs", "scales": "1", "steps": args.long}
    for (network, options), size in itertools.product(NETWORKS.items(), args.long_sizes):
        common = {"limit": args.limit, "marks": report.marks(args.long), "network": network}
        plain = options | peers_way | {"init": f"start-{size}.png"}
        yield our_job(f"long-{slug(network)}", report.PLAIN, size, plain, **common)
        for steps in sorted({max(4, round(share * args.long)) for share in BUDGETS}):
            run, whole = common | {"marks": report.marks(steps)}, options | {"steps": steps}
            yield our_job(f"long-{slug(network)}", f"{report.DEFAULT}, {steps} steps", size, whole, **run)
            if steps < args.long:  # these reach it long before
                fine = whole | {"method": "lbfgs"}
                yield our_job(f"long-{slug(network)}", f"{report.FINER}, {steps} steps", size, fine, **run)
        for peer in others if network == "VGG-19" else []:
            yield peer_job("long", peer, size, facts[size], args.long, **common)


def judge_jobs(args: argparse.Namespace) -> Iterator[Job]:
    """The judging of the long runs."""
    for (network, options), size in itertools.product(NETWORKS.items(), args.long_sizes):
        yield job_of("judge", network, size, network=network, options=options | {"size": size, "steps": 1})


def draft_jobs(args: argparse.Namespace) -> Iterator[Job]:
    """A run of its own and one with a draft, each as long as the preset of its size."""
    for size, (content, style) in itertools.product(args.long_sizes, PAIRS[: 1 if args.quick else None]):
        steps = next((preset.steps for preset in PRESETS.values() if preset.size >= size), args.long)
        own = {"content": content, "style": style, "limit": args.limit, "options": DRAFTED | {"size": size, "steps": steps}}
        yield job_of("draft", f"{content}, {style}", size, **own)


def fast_jobs(args: argparse.Namespace) -> Iterator[Job]:
    """Fast transfer: both networks, a few steps of each scale of a `paper` run, and of a training."""
    small, usual = {"repeats": 2, "steps": 4, "trained": 4, "batch": 2, "width": 4, "crop": 32}, {"batch": 4, "width": 16}
    more = small if args.quick else usual | {"repeats": 9, "steps": 32, "trained": 12, "crop": 128}
    for limited in (False, True):
        yield job_of("passes", "fast", args.fast_size, limited, **more)


def child(folder: Path, job: Job, resume: bool) -> Job:
    """Run one job in its own process: its answer, or `why` there is none."""
    out = folder / job["out"]
    if resume and out.exists():
        earlier = json.loads(out.read_text())
        if earlier["job"] == job:
            return dict(earlier)
    out.unlink(missing_ok=True)
    interpreter = sys.executable if job["script"] == "ours.py" else str(peers.python(folder / "peers"))
    environment = os.environ | {"PYSTICHE_HOME": str(folder / "pystiche")} | (LIMIT if job["limited"] else {})
    command, seconds = [interpreter, str(HERE / job["script"]), json.dumps(job)], job.get("limit", 3600) + 60
    try:  # in a session of its own: an interrupt must not make it answer early, it is killed instead
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"why": f"not {report.WARM + 2} steps within {seconds:.0f} s"}
    if done.returncode or not out.exists():
        return {"why": why(done.returncode, done.stderr)}
    return dict(json.loads(out.read_text()))


def why(code: int, said: str) -> str:
    """Why a child gave no answer, in a line that fits into a table."""
    if code in (-9, 137):
        return MEMORY
    last = (said.strip().splitlines() or [f"ended with {code}"])[-1]
    return last.replace("|", "/")[:160]


def speed_row(job: Job, answer: Job) -> Job:
    """What the table says of one run."""
    row = {key: job[key] for key in ("program", "size", "limited")}
    row |= {key: answer[key] for key in ("why", "dtype", "note", "imports", "peak", "peak_steps", "torch") if key in answer}
    step = report.median_step(answer.get("seconds", ()))
    cpu = report.median_step(answer.get("cpu", ()))
    return row | {"step": step, "cpu": cpu, "why": answer.get("why") or answer.get("note") or ""}


def notes_of(job: Job, answer: Job) -> list[str]:
    """What must be said of a child: a judge that failed, a peer whose loss at the start shows that it minimises another sum."""
    if job["kind"] in ("judge", "rates", "passes", "draft") and "why" in answer:
        return [f"{job['name']} failed: {answer['why']}."]
    first = answer.get("first")
    if first is None or abs(first / peers.START - 1) < 0.02:
        return []
    return [
        f"{job['program']}, {job['size']} px: its own loss at the start is {first / peers.START:.2f} times what it should be."
    ]


def equal_rows(jobs: list[Job], answers: list[Job], curves: Curves) -> Iterator[Job]:
    """When every program reaches the last loss of plain L-BFGS."""
    for job, answer in zip(jobs, answers, strict=True):
        here = curves.get((job["network"], job["size"]), {})
        points, plain = here.get(job["program"], []), here.get(report.PLAIN, [])
        steps = job["options"]["steps"] if "options" in job else job["steps"]
        row: Job = {key: job[key] for key in ("network", "program", "size")} | {"steps": steps, "why": answer.get("why", "")}
        if points:
            row |= {"last": points[-1][1], "last_free": points[-1][2], "all": points[-1][0]}
        if points and plain:
            row |= {"reached": report.reach(points, plain[-1][1]), "reached_free": report.reach(points, plain[-1][2], 2)}
        yield row


def share_rows(data: Data, facts: dict[int, Job], rates: dict[bool, Job]) -> Iterator[Job]:
    """The share of the product rate that this project's step reaches."""
    for limited, answer in rates.items():
        for program in ("ours, VGG-19", "ours, VGG-19, float32"):
            for size in data["sizes"]:
                run = report.found(data["runs"], program=program, size=size, limited=limited)
                if run and run["step"] and "rates" in answer:
                    row = {"limited": limited, "program": program, "size": size, "dtype": run["dtype"]}
                    work = facts[size]["work"]
                    yield row | {"work": work, "rate": work / run["step"]} | answer["rates"][run["dtype"]]


def machine() -> Job:
    """The processor, the threads, torch, and how busy the machine is before anything is run."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = named[0].partition(":")[2].strip() if named else name
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {"processor": name, "threads": torch.get_num_threads(), "torch": torch.__version__, "load": load}


def bench(args: argparse.Namespace) -> Data:
    """Run everything; the result is what bench.json holds."""
    notes, others = [], []
    data: Data = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "sizes": args.sizes, "long_sizes": args.long_sizes}
    missing = "" if args.skip_peers else peers.install(args.out / "peers")
    if missing or args.skip_peers:
        notes.append(f"The peers were not run: {missing or 'they were left out (--skip-peers)'}.")
        tqdm.write(notes[-1], file=sys.stderr)
    else:
        others = list(peers.WANTED)
        notes.append("The peers run in their own environment on the same torch; their code is as installed, only observed.")
    every = sorted({*args.sizes, *args.long_sizes})
    files(args.out, sorted({*every, args.fast_size}))
    facts: dict[int, Job] = {}
    for size in every:
        options = VGG | {"size": size, "steps": 1}
        facts[size] = child(args.out, job_of("facts", "ours", size, options=options), False)
        if "why" in facts[size]:
            raise SystemExit(f"{size} px cannot be prepared: {facts[size]['why']}; give smaller --sizes")
    shapes = ", ".join(f"{facts[size]['size'][1]} × {facts[size]['size'][0]}" for size in every)
    data |= {"pictures": f"town and swirls at {shapes}.", "long": args.long, "programs": [*OURS], "notes": notes}
    data["programs"] += [spec.replace("==", " ") for spec in peers.WANTED.values()]
    return measured(args, data, facts, others)


def measured(args: argparse.Namespace, data: Data, facts: dict[int, Job], others: list[str]) -> Data:
    """The rates, the speeds, the long runs and their judging."""
    largest = 512 if args.quick else 4096
    rates = [job_of("rates", "ours", 64, limited, largest=largest) for limited in (False, True)]
    speed, long, judges = list(speed_jobs(args, facts, others)), list(long_jobs(args, facts, others)), list(judge_jobs(args))
    painting, drafts = list(fast_jobs(args)), list(draft_jobs(args))
    every = rates + painting + speed + drafts + long + judges
    answers: dict[str, Job] = {}
    with tqdm(total=len(every), desc="benchmark", unit="run", file=sys.stderr) as bar:
        for job in every:
            bar.set_postfix_str(job["name"])
            if job["kind"] == "judge":
                job["files"] = judged(job, long, answers)
            answers[job["name"]] = child(args.out, job, args.resume and job["kind"] != "judge")
            data["notes"] += notes_of(job, answers[job["name"]])
            bar.update()
    curves = {(job["network"], job["size"]): answers[job["name"]].get("curves", {}) for job in judges}
    data["curves"] = [
        {"network": network, "size": size, "program": program, "points": points}
        for (network, size), here in curves.items()
        for program, points in here.items()
    ]
    data["fast"] = [{key: job[key] for key in ("limited", "size", "batch", "width", "crop")} | answers[job["name"]]
                    for job in painting if "why" not in answers[job["name"]]]  # fmt: skip
    data["drafts"] = [{key: job[key] for key in ("program", "size", "options")} | answers[job["name"]] for job in drafts]
    data["runs"] = [speed_row(job, answers[job["name"]]) for job in speed]
    data["equal"] = list(equal_rows(long, [answers[job["name"]] for job in long], curves))
    data["rates"] = {report.LIMITED[job["limited"]]: answers[job["name"]].get("rates") for job in rates}
    data["shares"] = list(share_rows(data, facts, {job["limited"]: answers[job["name"]] for job in rates}))
    return data


def judged(job: Job, long: list[Job], answers: dict[str, Job]) -> dict[str, str]:
    """The files of pictures that a judge looks at, by program."""
    there = [other for other in long if (other["network"], other["size"]) == (job["network"], job["size"])]
    return {other["program"]: other["out"].replace(".json", ".pt") for other in there if "why" not in answers[other["name"]]}


def main(arguments: list[str] | None = None) -> None:
    args = parsed(arguments)
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        data = bench(args)
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: nothing was written; the same command with --resume goes on after the last finished run")
    with replacing(args.out / "bench.json") as part:
        part.write_text(json.dumps(data, indent=1))
    with replacing(args.out / "bench.md") as part:
        part.write_text(report.told(data), encoding="utf-8")
    with replacing(args.out / "bench.png") as part:
        report.plot(data).savefig(part, format="png", dpi=150)
    print(report.told(data))


if __name__ == "__main__":
    main()
