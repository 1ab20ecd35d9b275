"""This project in the benchmark: `stylise` as the command line runs it, the facts of a size, the judge, the product rates;
fast transfer beside the network of pytorch/examples."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peer_fast
import torch
from common import Clock, Job, answer, measured, told
from torch import Tensor
from torch.nn import functional as F

from nstutils import images, stylise
from nstutils.fast import network as fast
from nstutils.fast import training as fast_training
from nstutils.losses import evaluate, total
from nstutils.runs import preflight
from nstutils.runs.devices import bfloat16_pays, choose
from nstutils.runs.options import Options
from nstutils.runs.resolve import Problem, prepare

BUDGET = 1.0  # seconds from which one product is large enough


def run(job: Job) -> None:
    """A whole run of `stylise`, watched step by step."""

    def program(clock: Clock) -> None:
        clock.facts["dtype"] = str(choose(dtype=job["options"].get("dtype", "auto"))[1]).removeprefix("torch.")
        result = stylise(job["content"], job["style"], watch=lambda step: clock.tick(step.image), **job["options"])
        if clock.marks:
            clock.keep(result.image)

    measured(job, program)


def problem_of(job: Job) -> Problem:
    """The problem at full size in float32: the very same losses for every program."""
    return prepare(job["content"], job["style"], Options(**job["options"] | {"dtype": "float32", "scales": "1"}))


@torch.no_grad()
def facts(job: Job) -> None:
    """What the other programs' weights are computed from: kappa and the losses of the start picture; and a step's work."""
    problem = problem_of(job)
    size, o = problem.scales[-1].size, problem.task.options
    losses = evaluate(problem.task.exact, images.load(job["start"]), problem.terms)
    found: dict[str, Any] = {"size": size, "kappa": problem.scales[0].kappa, "alpha": o.alpha, "beta": o.beta}
    found["total"] = float(total(losses, problem.terms))
    found["elements"] = sum(target.numel() for target in problem.scales[0].content.targets.values())
    found["work"] = preflight.work(problem.task.exact, problem.task.layers, [(size, 1)])
    answer(job, found)


@torch.no_grad()
def judge(job: Job) -> None:
    """The float32 loss of every picture that the programs passed through: as it is saved (in [0, 1]), and as it was."""
    problem = problem_of(job)
    size = problem.scales[-1].size

    def loss(picture: Tensor) -> float:
        return float(total(evaluate(problem.task.exact, picture, problem.terms), problem.terms))

    curves = {}
    for name, file in job["files"].items():
        curves[name] = []
        for seconds, picture in torch.load(Path(file), weights_only=True):
            whole = picture if picture.shape[-2:] == size else F.interpolate(picture, size, mode="bicubic")
            curves[name].append((seconds, loss(whole.clamp(0, 1)), loss(whole)))
    answer(job, {"curves": curves})


@torch.no_grad()
def draft(job: Job) -> None:
    """Processor seconds and last loss of a network's own run and of one with a draft; when the second has the first's loss."""
    problem = problem_of(job)
    terms = problem.terms

    def loss(picture: Tensor) -> float:
        return float(total(evaluate(problem.task.exact, picture.clamp(0, 1), terms), terms))

    ends, steps = {}, []
    for drafted in (False, True):
        begin, steps = time.process_time(), []

        def watch(step: Any, begin: float = begin, steps: list[tuple[float, Tensor]] = steps) -> None:
            steps.append((time.process_time() - begin, step.image))

        with torch.enable_grad():
            result = stylise(job["content"], job["style"], draft=drafted, watch=watch, **job["options"])
        ends["draft" if drafted else "own"] = (steps[-1][0], loss(result.image))
    polish = (step for step in steps if step[1].shape == problem.pictures.content.shape[:2] + problem.scales[0].size)
    reached = next((seconds for seconds, picture in polish if loss(picture) <= ends["own"][1]), None)
    answer(job, {"ends": ends, "reached": reached})


def mm(side: int, dtype: torch.dtype) -> tuple[Callable[[], Tensor], float]:
    """A square matrix product and its operations."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return lambda: torch.mm(a, b), 2.0 * side**3


def pointwise(side: int, dtype: torch.dtype) -> tuple[Callable[[], Tensor], float]:
    """A 1 x 1 convolution, the same product by the library that computes the convolutions."""
    x = torch.randn(1, 512, side // 8, side // 8).to(dtype).contiguous(memory_format=torch.channels_last)
    w = torch.randn(512, 512, 1, 1).to(dtype).contiguous(memory_format=torch.channels_last)
    return lambda: F.conv2d(x, w), 2.0 * 512 * 512 * (side // 8) ** 2


@torch.no_grad()
def best_rate(
    made: Callable[[int, torch.dtype], tuple[Callable[[], Tensor], float]], dtype: torch.dtype, largest: int
) -> float:
    """The most operations a second over growing sizes; ends where one product takes long."""
    best, side = 0.0, 256
    while side <= largest:
        product, operations = made(side, dtype)
        product()
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            product()
            times.append(time.perf_counter() - begin)
            if times[-1] > BUDGET:
                break
        best, side = max(best, operations / min(times)), 2 * side if min(times) < BUDGET / 8 else largest + 1
    return best


def rates(job: Job) -> None:
    """Operations a second of products in bfloat16 and float32."""
    found = {
        name: {"torch.mm": best_rate(mm, dtype, job["largest"]), "convolution": best_rate(pointwise, dtype, job["largest"])}
        for name, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32))
    }
    answer(job, {"rates": found})


def passes(job: Job) -> None:
    """Fast transfer: the seconds of one pass of both networks, of the steps of a `paper` run, of the steps of a training."""
    run = stylise(job["content"], job["style"], preset="paper", backbone="classroom", size=job["size"], steps=job["steps"])
    rows = [(row["size"], row["seconds"]) for row in run.history["steps"]]
    seconds: list[float] = []
    fast_training.train(["swirls"], job["photographs"], watch=lambda _: seconds.append(time.perf_counter()), **job["recipe"])
    found = {"programs": timed(one_pass(images.load(job["content"])), job["repeats"]), "training": seconds}
    answer(job, found | {"paper": rows, "setup": run.history["setup_seconds"]})


def one_pass(picture: Tensor) -> dict[str, tuple[str, int, Callable[[], Tensor]]]:
    """The passes by name: number type, number of weights, and what is timed."""
    ours, theirs = fast.load(), peer_fast.network()
    counts = [sum(weight.numel() for weight in net.parameters()) for net in (ours, theirs)]
    found: dict[str, tuple[str, int, Callable[[], Tensor]]] = {
        "fast apply": (str(choose()[1]), counts[0], lambda: fast.apply(ours, picture)),
        "fast apply, float32": ("torch.float32", counts[0], lambda: fast.apply(ours, picture, dtype="float32")),
        "pytorch/examples": ("torch.float32", counts[1], lambda: theirs(picture * 255)),
    }
    if bfloat16_pays("cpu"):
        found["pytorch/examples, bfloat16, channels-last"] = ("torch.bfloat16", counts[1], halved(picture))
    return found


def halved(picture: Tensor) -> Callable[[], Tensor]:
    """The pass of the network of pytorch/examples as it would be with bfloat16 weights in the processor's own layout."""
    net = peer_fast.network().to(torch.bfloat16, memory_format=torch.channels_last)
    return lambda: net((picture * 255).to(torch.bfloat16, memory_format=torch.channels_last)).float()


@torch.no_grad()
def timed(programs: dict[str, tuple[str, int, Callable[[], Tensor]]], repeats: int) -> dict[str, Any]:
    """The seconds of every program, run in turns so that a busy moment meets all of them; a first turn does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repeats + 1):
        for name, (*_, program) in programs.items():
            begin = time.perf_counter()
            program()
            seconds[name].append(time.perf_counter() - begin)
    return {
        name: {"dtype": dtype.removeprefix("torch."), "weights": count, "seconds": seconds[name][1:]}
        for name, (dtype, count, _) in programs.items()
    }


if __name__ == "__main__":
    this = told()
    {"run": run, "facts": facts, "judge": judge, "draft": draft, "rates": rates, "passes": passes}[this["kind"]](this)
