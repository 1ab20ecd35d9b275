"""The way downhill: one generator of steps for Adam, SGD and L-BFGS, with rescue, best-so-far and exact resume.

A step means the same for every method: one evaluation of the losses, one update of the picture. The total is divided once by
its mean |gradient| at the start, because L-BFGS ignores curvature below 1e-10 and would stall silently on small losses.
"""

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images
from nstutils.backbones import FeatureExtractor
from nstutils.library.errors import UserError
from nstutils.losses import Terms, total
from nstutils.results import Result
from nstutils.runs import store, tiles
from nstutils.updates import METHODS, State, enlarged

RESCUES = 5  # restarts from the best picture before giving up
PATIENCE = 20  # L-BFGS steps without any progress that count as a stall
WALL = 2.0  # L-BFGS: price of the squared distance of a pixel from [0, 1], in units of the mean |gradient| at the start

Schedule = Terms | Callable[[int], Terms]  # the terms, or a function of the step's number that gives them


@dataclass(frozen=True)
class Step:
    """What one step saw: losses and total before its update, the picture after it; one number a picture of the batch.

    `index` counts from 1 within one descent, so that it begins again at every scale of a run; histories count through.
    """

    index: int
    losses: dict[str, Tensor]
    total: Tensor
    image: Tensor
    best: Tensor  # the picture with the lowest total so far (before this step's update)
    note: str  # what was rescued, or empty
    state: Callable[..., dict[str, Any]]  # all needed to go on from here; copied, or with copied=False good until the next step


@dataclass
class _State:
    """Where a descent stands; its fields are what a checkpoint holds."""

    method: str  # which one remembers `update`
    index: int
    image: Tensor
    scale: Tensor  # 1 / mean |gradient| of the total at the start, one a picture
    best: Tensor
    lowest: Tensor
    first: Tensor  # the first total of these terms
    shrink: Tensor  # halved for a picture each time it is rescued
    rescues: int = 0
    stalled: int = 0
    update: State = field(default_factory=dict)  # what the method remembers


def descend(
    net: FeatureExtractor,
    init: Tensor,
    terms: Schedule,
    *,
    steps: int,
    method: str = "adam",
    lr: float | None = None,
    clamp: bool = True,
    fade: bool = True,
    tile: int | None = None,
    warm: Mapping[str, Any] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> Iterator[Step]:
    """Minimise the sum of the terms over the pixels of `init` (N x 3 x H x W, left untouched), one yield a step.

    The learning rate of Adam and SGD fades along a cosine (`fade`), that of L-BFGS does not. `clamp` keeps the pixels in
    [0, 1]: those of Adam and SGD are cut after each step; L-BFGS, whose curvatures a cut would spoil, minimises with a price
    on what lies outside, which no history shows. A picture larger than `tile` is computed in tiles of so many pixels, with
    the same result. `warm` is an optimiser state to begin with, `resume` the `Step.state()` to go on from exactly.
    """
    lr = check_method(method, lr, init)
    tile = tile if tile and max(init.shape[-2:]) > tile else None
    at = terms if callable(terms) else lambda _: terms
    if resume and resume.keys() != _State.__dataclass_fields__.keys():
        raise UserError("the state was written by another version of nstutils; start the run again without --resume")
    if resume and resume["method"] != method:
        raise UserError(f"the state is one of {resume['method']}, this run has {method}; give the same method, or begin anew")
    s = _State(**_own(resume)) if resume else _begin(net, init, at(1), tile, method)
    x = s.image.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    if warm and not resume:
        s.update = _own(warm)
    before = at(s.index) if s.index else at(1)
    while s.index < steps:
        s.index += 1
        now = at(s.index)
        if not _same(now, before):  # another sum is minimised from here on: old totals and curvatures say nothing about it
            s.lowest, s.first, s.stalled = torch.full_like(s.lowest, math.inf), torch.full_like(s.first, math.inf), 0
            s.update = {} if method == "lbfgs" else s.update
        before, start = now, x.detach().clone()
        losses, value, price = _evaluated(net, x, now, s.scale, tile, WALL if clamp and method == "lbfgs" else 0.0)
        if method == "lbfgs":
            rate = lr * float(s.shrink[0])
        else:
            rate = lr * (0.5 * (1 + math.cos(math.pi * (s.index - 1) / steps)) if fade else 1.0)
        METHODS[method][0](x.detach(), torch.as_tensor(x.grad), rate, s.update)
        paid = value + price
        s.first = torch.where(s.first.isinf(), paid, s.first)
        _keep_best(s, start, paid)
        if method != "lbfgs":
            _after_step(x, start, s.shrink, clamp)
        note, done = _rescue(s, x, start, paid, method, lr)
        s.image = x.detach().clone()
        yield Step(s.index, losses, value, s.image, s.best, note, partial(_snapshot, s))
        if done:
            return


def _own(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state that a run may change: its tensors are copied, but for the many that L-BFGS remembers and no step changes."""
    return {
        name: value.clone() if isinstance(value, Tensor) else _own(value) if isinstance(value, Mapping) else value
        for name, value in state.items()
    }


def _same(one: Terms, other: Terms) -> bool:
    """Whether two sums have the same losses with equal weights."""
    if one is other:
        return True
    return one.keys() == other.keys() and all(
        loss is other[name][1] and bool((torch.as_tensor(weight) == torch.as_tensor(other[name][0])).all())
        for name, (weight, loss) in one.items()
    )


def check_method(method: str, lr: float | None, init: Tensor) -> float:
    """The learning rate to use; refuses a method or rate that cannot work."""
    if method not in METHODS:
        raise UserError(f"method {method!r} is not known; choose from {', '.join(METHODS)}")
    if method == "lbfgs" and init.shape[0] > 1:
        raise UserError(f"L-BFGS runs one picture at a time, this is a batch of {init.shape[0]}; use adam or sgd, or loop")
    usual = METHODS[method][1]
    lr = usual if lr is None else lr
    if not (math.isfinite(lr) and lr > 0):
        raise UserError(f"lr is {lr}, but a learning rate is a positive number; leave it out to use {usual}")
    return lr


def _begin(net: FeatureExtractor, init: Tensor, terms: Terms, tile: int | None, method: str) -> _State:
    x = init.detach().clone().requires_grad_()
    value = total(tiles.backward(net, x, terms, init.new_ones(len(init)), tile), terms)
    size = torch.as_tensor(x.grad).abs().mean((1, 2, 3))
    if not bool((size > 0).all()):
        raise UserError(
            f"the start picture has gradient {size.min().item():g}: it already minimises these losses, or they are not "
            "finite; start from noise, or give another weight or picture"
        )
    value = value.detach()
    ones = torch.ones_like(value)
    return _State(method, 0, init.detach(), 1 / size, init.detach().clone(), ones * math.inf, value, ones.clone())


def _evaluated(
    net: FeatureExtractor, x: Tensor, terms: Terms, scale: Tensor, tile: int | None, wall: float
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The raw losses, the total, and the price of what lies outside [0, 1]; the gradient of it all is in `x.grad`."""
    x.grad = None
    losses = tiles.backward(net, x, terms, scale, tile)
    outside = x.detach() - x.detach().clamp(0, 1)
    if wall:
        torch.as_tensor(x.grad).add_(outside, alpha=2 * wall)
    return losses, total(losses, terms), wall * outside.square().sum((1, 2, 3)) / scale


def _keep_best(s: _State, start: Tensor, value: Tensor) -> None:
    better = value < s.lowest
    if bool(better.any()):
        s.best = torch.where(better.view(-1, 1, 1, 1), start, s.best)
        s.stalled = 0 if bool((value < s.lowest * (1 - 1e-7)).any()) else s.stalled + 1
        s.lowest = torch.where(better, value, s.lowest)
    else:
        s.stalled += 1


@torch.no_grad()
def _after_step(x: Tensor, start: Tensor, shrink: Tensor, clamp: bool) -> None:
    """Shorten the step of pictures that were rescued before, and keep the pixels in [0, 1]."""
    if bool((shrink < 1).any()):
        x.copy_(start + (x - start) * shrink.view(-1, 1, 1, 1).to(x.dtype))
    if clamp:
        x.clamp_(0, 1)


@torch.no_grad()
def _rescue(s: _State, x: Tensor, start: Tensor, value: Tensor, method: str, lr: float) -> tuple[str, bool]:
    """Go back to the best picture when a total is not finite, L-BFGS explodes, or it stalls; the last says: no more to gain."""
    bad = ~torch.isfinite(value) | ~torch.isfinite(x).all(1).all(1).all(1)
    if method == "lbfgs":
        bad |= value > 10 * s.first
        if s.stalled >= PATIENCE:
            if s.rescues and not bool((s.lowest < s.first * (1 - 1e-7)).any()):
                return f"no step improves the picture any more: stopped at step {s.index}", True
            s.first, s.stalled, s.rescues, s.update = s.lowest, 0, s.rescues + 1, {}
            x.copy_(s.best)
            return f"stalled at step {s.index}: went on from the best picture", False
    if not bool(bad.any()):
        return "", False
    s.rescues, s.shrink = s.rescues + 1, torch.where(bad, s.shrink / 2, s.shrink)
    if s.rescues > RESCUES or not bool(torch.isfinite(s.lowest[bad]).all()):
        raise ArithmeticError(
            f"the loss is {value[bad][0].item():g} at step {s.index} and stays so after {s.rescues - 1} restarts; "
            f"lower the learning rate (now {lr:g}) or the weights"
        )
    x[bad] = s.best[bad]
    if method == "lbfgs":
        s.update = {}
    for moment in s.update.values():
        if isinstance(moment, Tensor):
            moment[bad] = 0
    return f"the loss was not finite or exploded at step {s.index}: went on from the best picture", False


def _snapshot(s: _State, copied: bool = True) -> dict[str, Any]:
    return copy.deepcopy(vars(s)) if copied else dict(vars(s))


@dataclass(frozen=True)
class Stage:
    """One scale of a run: its picture size (height, width), its steps, its terms, and the network where it has its own."""

    size: tuple[int, int]
    steps: int
    terms: Schedule
    net: FeatureExtractor | None = None


def optimise(
    net: FeatureExtractor,
    init: Tensor,
    terms: Schedule,
    *,
    steps: int,
    progress: bool = False,
    resume: Mapping[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Minimise the sum of the terms from `init` in `steps` steps; an interrupt gives the picture so far and its state.

    `options` are those of `descend` (method, lr, clamp, fade, tile). `resume` is the state of an unfinished result.
    """
    stage = Stage((init.shape[-2], init.shape[-1]), steps, terms)
    return coarse_to_fine(net, init, [stage], progress=progress, resume=resume, **options)


def coarse_to_fine(
    net: FeatureExtractor,
    init: Tensor,
    stages: Sequence[Stage],
    *,
    progress: bool = False,
    stop: threading.Event | None = None,
    watch: Callable[[Step], None] | None = None,
    checkpoint: Callable[[Result], Any] | None = None,
    every: float = 30.0,
    resume: Mapping[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Run the stages one after the other, each from the enlarged picture of the last, the optimiser kept warm.

    `watch` is shown every step, `checkpoint` gets an unfinished result every `every` seconds (to be written at once: the next
    step changes its state), `stop` ends the run after the step at hand, as an interrupt does; what comes back then has a
    `state` to go on from.
    """
    rows = list(resume["rows"]) if resume else []
    spent, begin, saved = resume["seconds"] if resume else 0.0, time.perf_counter(), time.perf_counter()
    bar = tqdm(
        total=sum(s.steps for s in stages),
        initial=len(rows),
        disable=not progress,
        desc="style transfer",
        unit="step",
        delay=0.3,
    )
    with interruptible() as halt, bar:
        for number, step in _walk(net, init, stages, resume, options):
            rows.append(_row(len(rows) + 1, step, stages[number], spent + time.perf_counter() - begin))
            _show(bar, step, stages[number])
            if watch:
                watch(step)
            if number == len(stages) - 1 and step.index == stages[-1].steps:
                break
            if halt.is_set() or (stop and stop.is_set()):
                return _unfinished(number, step, rows, stages[-1].size)
            if checkpoint and time.perf_counter() - saved > every:
                checkpoint(_unfinished(number, step, rows, stages[-1].size))
                saved = time.perf_counter()
    image, final = _chosen(net, step, stages[-1].terms, options.get("tile"))
    return Result(image, {"seconds": rows[-1]["seconds"], "final": final, "steps": rows}, {})


def _walk(
    net: FeatureExtractor, x: Tensor, stages: Sequence[Stage], resume: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Iterator[tuple[int, Step]]:
    """The steps of all stages, each with its stage's number."""
    first: int = resume["stage"] if resume else 0
    state: dict[str, Any] | None = store.on_device(resume["step"], x.device) if resume else None
    warm: dict[str, Any] | None = None
    for number in range(first, len(stages)):
        stage, done = stages[number], state["index"] if state else 0
        least = max(1, done + (number == len(stages) - 1))
        if stage.steps < least:
            raise UserError(f"steps is {stage.steps}, but {done} are done, so this run needs at least {least}; give more steps")
        if state is None:
            x = images.resize(x, stage.size)
        step = None
        for step in descend(stage.net or net, x, stage.terms, steps=stage.steps, warm=warm, resume=state, **options):
            yield number, step
        if number + 1 < len(stages):
            end = step.state(copied=False) if step else dict(state or {})
            x, warm, state = end["image"], enlarged(end["update"], stages[number + 1].size), None


def _row(number: int, step: Step, stage: Stage, seconds: float) -> dict[str, Any]:
    """One line of the history; it names the network where that is not the run's."""
    plain = _plain(step.losses | {"total": step.total})
    note = {"note": step.note} if step.note else {}
    own = {"backbone": stage.net.name} if stage.net else {}
    return {"step": number, "size": max(stage.size), **plain, "seconds": seconds, **own, **note}


def _show(bar: tqdm, step: Step, stage: Stage) -> None:
    if not bar.disable:
        own = {"backbone": stage.net.name} if stage.net else {}
        bar.set_postfix({"loss": f"{float(step.total.mean()):.4g}", "size": max(stage.size)} | own, refresh=False)
    bar.update()
    if step.note and not bar.disable:
        bar.write(step.note)


def _unfinished(number: int, step: Step, rows: list[dict[str, Any]], size: tuple[int, int]) -> Result:
    """The best picture so far at the run's full size, and all that is needed to go on."""
    seconds = rows[-1]["seconds"]
    rows = list(rows)  # the run goes on appending to its own
    state = {"stage": number, "rows": rows, "seconds": seconds, "step": step.state(copied=False)}
    names = [name for name in rows[-1] if name not in ("step", "size", "seconds", "note")]
    history = {"seconds": seconds, "final": {name: rows[-1][name] for name in names}, "steps": rows}
    return Result(images.resize(step.best.clamp(0, 1), size), history, {}, state)


@torch.no_grad()
def _chosen(net: FeatureExtractor, step: Step, terms: Schedule, tile: int | None) -> tuple[Tensor, dict[str, Any]]:
    """The last picture, or the best before it where that is better, in [0, 1]; and its losses."""
    now = terms(step.index) if callable(terms) else terms
    last, best = step.image.clamp(0, 1), step.best.clamp(0, 1)
    ends = [total(tiles.evaluate(net, image, now, tile), now) for image in (last, best)]
    better = ~(ends[0] <= ends[1])  # true for a last that is NaN
    image = torch.where(better.view(-1, 1, 1, 1), best, last)
    losses = tiles.evaluate(net, image, now, tile)
    return image, _plain(losses | {"total": total(losses, now)})


def _plain(losses: Mapping[str, Tensor]) -> dict[str, Any]:
    """Losses as numbers, or lists where the batch has several pictures; None for what is not finite."""
    values = {name: [v if math.isfinite(v) else None for v in loss.tolist()] for name, loss in losses.items()}
    return {name: value[0] if len(value) == 1 else value for name, value in values.items()}


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first interrupt sets, so that the step at hand is finished; a second one interrupts at once."""
    halt = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield halt
        return
    before = signal.getsignal(signal.SIGINT)

    def first(number: int, frame: Any) -> None:
        halt.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, first)
    try:
        yield halt
    finally:
        signal.signal(signal.SIGINT, before)
