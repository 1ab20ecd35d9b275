"""Speed, memory and time to equal loss, side by side with pystiche and neural-style; and how near to the processor's limit.

`make bench` runs all of it and writes build/bench/bench.md, bench.json and bench.png. Every program is a process of its own.
The pictures are `town` and `swirls`, the network VGG-19 with random weights (only the time matters) and max pooling, as both
peers have it; content relu4_2, style relu1_1 to relu5_1; all weighed so that every program minimises the same sum.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jobs
import peers
import plot
import report
import rows
import torch
from common import replacing
from jobs import Job, Networks
from tqdm import tqdm

from nstutils import backbone, images

HERE = Path(__file__).parent
LIMIT = {"ONEDNN_MAX_CPU_ISA": "AVX2"}  # what most laptops have
MEMORY = "killed: it took more memory than there is"

Data = dict[str, Any]
Child = Callable[[Path, Job, bool], Job]


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
    args.out = args.out.resolve()
    return args


def sizes(text: str) -> list[int]:
    """Long sides, with commas; multiples of 64, so that no program has to round."""
    found = sorted({int(part) for part in text.split(",")})
    if any(size < 64 or size % 64 for size in found):
        raise argparse.ArgumentTypeError(f"{text}: sizes are multiples of 64")
    return found


def pictures(folder: Path, wanted: list[int]) -> None:
    """The pictures, in the folder that every program runs in."""
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    for long in wanted:
        content = images.load("town", long)
        size = (content.shape[-2], content.shape[-1])
        made = {"town": content, "swirls": images.cover(images.load("swirls"), size), "start": images.noise(size)}
        for name, picture in made.items():
            images.save(picture, folder / f"{name}-{long}.png")


def network(folder: Path) -> None:
    """The weights of VGG-19, the same numbers in the form of each program."""
    state = peers.torchvision_state(backbone("random-vgg19", pool="max"))
    for name, tensors in (("vgg19.pth", state), ("vgg19-caffe.pth", peers.caffe_state(state))):
        with replacing(folder / name) as part:
            torch.save(tensors, part)


def child(folder: Path, job: Job, resume: bool) -> Job:
    """Run one job in its own process: its answer, or `why` there is none."""
    out = folder / job["out"]
    if resume and out.exists():
        earlier = json.loads(out.read_text())
        if earlier["job"] == job:
            return dict(earlier)
    out.unlink(missing_ok=True)
    interpreter = str(peers.python(folder / "peers")) if job["script"] in peers.SCRIPTS.values() else sys.executable
    environment = os.environ | {"PYSTICHE_HOME": str(folder / "pystiche")} | (LIMIT if job["limited"] else {})
    command, seconds = [interpreter, str(HERE / job["script"]), json.dumps(job)], job.get("limit", 3600) + 60
    try:  # in a session of its own: an interrupt must not make it answer early, it is killed instead
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"why": f"not {rows.WARM + 2} steps within {seconds:.0f} s"}
    if done.returncode or not out.exists():
        return {"why": why(done.returncode, done.stderr)}
    return dict(json.loads(out.read_text()))


def why(code: int, said: str) -> str:
    """Why a child gave no answer, in a line that fits into a table."""
    if code in (-9, 137):
        return MEMORY
    last = (said.strip().splitlines() or [f"ended with {code}"])[-1]
    return last.replace("|", "/")[:160]


def machine() -> Job:
    """The processor, the threads, torch, and how busy the machine is before anything is run."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = named[0].partition(":")[2].strip() if named else name
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return {"processor": name, "threads": torch.get_num_threads(), "torch": torch.__version__, "load": load}


def peers_here(args: argparse.Namespace) -> tuple[list[str], str]:
    """The peers that can be run, and what must be said of them."""
    missing = "they were left out (--skip-peers)" if args.skip_peers else peers.install(args.out / "peers")
    if not missing:
        return list(peers.WANTED), "The peers run in their own environment on the same torch; their code is as installed."
    note = f"The peers were not run: {missing}."
    tqdm.write(note, file=sys.stderr)
    return [], note


def facts_of(args: argparse.Namespace, networks: Networks, run: Child) -> dict[int, Job]:
    """What every size is like, from which the other programs' weights are computed."""
    facts = {}
    for size in sorted({*args.sizes, *args.long_sizes}):
        job = jobs.job_of("facts", "ours", size, options=networks.large | {"size": size, "steps": 1})
        facts[size] = run(args.out, job, False)
        if "why" in facts[size]:
            raise SystemExit(f"{size} px cannot be prepared: {facts[size]['why']}; give smaller --sizes")
    return facts


def bench(args: argparse.Namespace, networks: Networks, run: Child) -> Data:
    """Run everything; the result is what bench.json holds."""
    data: Data = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "sizes": args.sizes, "long": args.long}
    others, note = peers_here(args)
    pictures(args.out, sorted({*args.sizes, *args.long_sizes, args.fast_size}))
    if networks.large["backbone"] == "vgg19":
        network(args.out)
    facts = facts_of(args, networks, run)
    shapes = ", ".join(f"{one['size'][1]} × {one['size'][0]}" for one in facts.values())
    data |= {"pictures": f"town and swirls at {shapes}.", "notes": [note]}
    data["programs"] = [*networks.programs(), *(spec.replace("==", " ") for spec in peers.WANTED.values())]
    return data | measured(args, networks, facts, others, run, data["notes"])


def measured(
    args: argparse.Namespace, networks: Networks, facts: dict[int, Job], others: list[str], run: Child, notes: list[str]
) -> Data:
    """The rates, the speeds, the long runs and their judging."""
    rates, painting = jobs.rate_jobs(args), jobs.fast_jobs(args)
    speed, drafts = list(jobs.speed_jobs(args, networks, facts, others)), list(jobs.draft_jobs(args, networks))
    long, judges = list(jobs.long_jobs(args, networks, facts, others)), list(jobs.judge_jobs(args, networks))
    answers = answered(args, [*rates, *painting, *speed, *drafts, *long], run, notes)
    for job in judges:
        job["files"] = seen_by(job, long, answers)
    answers |= answered(args, judges, run, notes)
    curves = {(job["network"], job["size"]): answers[job["name"]].get("curves", {}) for job in judges}
    points = [(place, program, points) for place, here in curves.items() for program, points in here.items()]
    runs = [rows.speed_row(job, answers[job["name"]]) for job in speed]
    by_machine = {job["limited"]: answers[job["name"]] for job in rates}
    return {
        "curves": [{"network": place[0], "size": place[1], "program": program, "points": p} for place, program, p in points],
        "fast": [kept(job, answers, "limited", "size", "recipe") for job in painting if "why" not in answers[job["name"]]],
        "drafts": [kept(job, answers, "program", "size", "options") for job in drafts],
        "runs": runs,
        "equal": list(rows.equal_rows(long, answers, curves)),
        "rates": {report.LIMITED[limited]: answer.get("rates") for limited, answer in by_machine.items()},
        "shares": list(rows.share_rows(runs, facts, by_machine)),
    }


def kept(job: Job, answers: dict[str, Job], *keys: str) -> Job:
    """A child's answer with some of what it was told."""
    return {key: job[key] for key in keys} | answers[job["name"]]


def answered(args: argparse.Namespace, wanted: list[Job], run: Child, notes: list[str]) -> dict[str, Job]:
    """Run the jobs one after another: their answers by name. A judge looks anew, whatever was measured before."""
    answers: dict[str, Job] = {}
    with tqdm(wanted, desc="benchmark", unit="run", file=sys.stderr) as bar:
        for job in bar:
            bar.set_postfix_str(job["name"])
            answers[job["name"]] = run(args.out, job, args.resume and job["kind"] != "judge")
            notes += rows.notes_of(job, answers[job["name"]])
    return answers


def seen_by(judge: Job, long: list[Job], answers: dict[str, Job]) -> dict[str, str]:
    """The files of pictures that a judge looks at, by program."""
    there = [job for job in long if (job["network"], job["size"]) == (judge["network"], judge["size"])]
    return {job["program"]: job["out"].replace(".json", ".pt") for job in there if "why" not in answers[job["name"]]}


def main(arguments: list[str] | None = None, networks: Networks | None = None, run: Child = child) -> None:
    args = parsed(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        data = bench(args, networks or Networks(), run)
    except KeyboardInterrupt:
        sys.exit("\ninterrupted: nothing was written; the same command with --resume goes on after the last finished run")
    with replacing(args.out / "bench.json") as part:
        part.write_text(json.dumps(data, indent=1))
    with replacing(args.out / "bench.md") as part:
        part.write_text(report.told(data), encoding="utf-8")
    with replacing(args.out / "bench.png") as part:
        plot.figure(data).savefig(part, format="png", dpi=150)
    print(report.told(data))


if __name__ == "__main__":
    main()
