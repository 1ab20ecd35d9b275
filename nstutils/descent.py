"""The way downhill: the plain loop, and around it what sees that it never ends badly, goes on exactly, and begins small.

A step means the same for every method: one evaluation of the losses, one update of the picture. The total is divided once by
its mean |gradient| at the start, because L-BFGS ignores curvature below 1e-10 and would stall silently on small losses.
"""

import copy
import inspect
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
from nstutils.runs import store
from nstutils.runs.options import RATES, refuse_unknown, whole_number
from nstutils.runs.tiles import View
from nstutils.updates import UPDATES, Memory, enlarged

RESCUES = 5  # restarts from the best picture before giving up
EVERY = 30.0  # seconds from one checkpoint to the next
PATIENCE = 20  # L-BFGS steps without any progress that count as a stall
WALL = 2.0  # L-BFGS: price of the squared distance of a pixel from [0, 1], in units of the mean |gradient| at the start

Schedule = Terms | Callable[[int], Terms]  # the terms, or a function of the step's number that gives them
Net = FeatureExtractor | View
Losses = dict[str, Tensor]
Watch = Callable[["Step"], Any]
Rate = Callable[["_Place", int], float]


@dataclass(frozen=True)
class Step:
    """What one step saw: losses and total before its update, the picture after it; one number a picture of the batch.
    `index` counts from 1 within one scale; histories count through."""

    index: int
    losses: Losses
    total: Tensor
    image: Tensor
    best: Tensor  # the picture with the lowest total so far (before this step's update)
    note: str  # what was rescued, or empty
    state: Callable[..., dict[str, Any]]  # all needed to go on from here; copied, or with copied=False good until the next step


@dataclass
class _Place:
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
    update: Memory = field(default_factory=dict)  # what the method remembers

    def snapshot(self, copied: bool = True) -> dict[str, Any]:
        """All of it as a dict."""
        return copy.deepcopy(vars(self)) if copied else dict(vars(self))


def walk(view: View, s: _Place, terms: Schedule, steps: int, rate: Rate, wall: float) -> Iterator[tuple[Tensor, Losses]]:
    """The plain loop: look at the losses, move the picture against their gradient, show what was seen, again. Who asks for
    the next step may change the place `s` before: to rescue a picture, or keep it in its range, outside of which pixels have
    the price `wall`."""
    move = UPDATES[s.method]
    while s.index < steps:
        s.index += 1
        losses, gradient = view.gradient(s.image, at(terms, s.index), s.scale)
        if wall:
            gradient.add_(_outside(s.image), alpha=2 * wall)
        before, s.image = s.image, s.image.clone()
        move(s.image, gradient, rate(s, steps), s.update)
        yield before, losses


def descend(
    net: Net,
    x: Tensor,
    terms: Schedule,
    *,
    steps: int,
    method: str = "adam",
    lr: float | None = None,
    warm: Mapping[str, Any] | None = None,
    resume: Mapping[str, Any] | None = None,
) -> Iterator[Step]:
    """Minimise the sum of the terms over the pixels of `x` (N x 3 x H x W, left untouched), one yield a step.

    The learning rate of Adam and SGD fades along a cosine. Pixels stay in [0, 1]: those of Adam and SGD are cut after each
    step; L-BFGS, whose curvatures a cut would spoil, minimises with a price on what lies outside, which no history shows.
    `warm` is what an optimiser remembers, to begin with; `resume` the `Step.state()` to go on from exactly.
    """
    lr, view = _checked_rate(method, lr, x), _view(net)
    s = _resumed(resume, method) if resume else _begun(view, x, at(terms, 1), method, warm or {})
    _notice(s, terms, steps)
    wall = WALL if method == "lbfgs" else 0.0
    for before, losses in walk(view, s, terms, steps, partial(_rate, lr), wall):
        value = total(losses, at(terms, s.index))
        paid = value + wall * _outside(before).square().sum((1, 2, 3)) / s.scale if wall else value
        _keep_best(s, before, paid)
        if method != "lbfgs":
            _shorten_and_cut(s, before)
        note, done = _rescue(s, paid, lr)
        yield Step(s.index, losses, value, s.image, s.best, note, s.snapshot)
        if done:
            return
        _notice(s, terms, steps)


def _outside(x: Tensor) -> Tensor:
    """How far each pixel lies outside of [0, 1]."""
    return x - x.clamp(0, 1)


def _rate(lr: float, s: _Place, steps: int) -> float:
    """The learning rate of the step at hand."""
    if s.method == "lbfgs":
        return lr * float(s.shrink[0])
    return lr * 0.5 * (1 + math.cos(math.pi * (s.index - 1) / steps))


def at(terms: Schedule, step: int) -> Terms:
    """The terms of a step."""
    return terms(step) if callable(terms) else terms


def _view(net: Net) -> View:
    return net if isinstance(net, View) else View(net)


def _checked_rate(method: str, lr: float | None, x: Tensor) -> float:
    """The learning rate to use; refuses a method or rate that cannot work."""
    if method not in UPDATES:
        raise UserError(f"method {method!r} is not known; choose from {', '.join(UPDATES)}")
    if method == "lbfgs" and x.shape[0] > 1:
        raise UserError(f"L-BFGS runs one picture at a time, this is a batch of {x.shape[0]}; use adam or sgd, or loop")
    lr = RATES[method] if lr is None else lr
    if not (math.isfinite(lr) and lr > 0):
        raise UserError(f"lr is {lr}, but a learning rate is a positive number; leave it out to use {RATES[method]}")
    return lr


def _begun(view: View, x: Tensor, terms: Terms, method: str, warm: Mapping[str, Any]) -> _Place:
    """The place at the start; measures the gradient there."""
    x = x.detach().clone(memory_format=torch.contiguous_format)
    losses, gradient = view.gradient(x, terms, x.new_ones(len(x)))
    size, value = gradient.abs().mean((1, 2, 3)), total(losses, terms)
    if not bool((size > 0).all()):
        raise UserError(
            f"the start picture has gradient {size.min().item():g}: it already minimises these losses, or they are not "
            "finite; start from noise, or give another weight or picture"
        )
    ones = torch.ones_like(value)
    return _Place(method, 0, x, 1 / size, x.clone(), ones * math.inf, value, ones.clone(), update=_own(warm))


def _resumed(state: Mapping[str, Any], method: str) -> _Place:
    """The place that a state tells."""
    if state.keys() != _Place.__dataclass_fields__.keys():
        raise UserError("the state was written by another version of nstutils; start the run again without --resume")
    if state["method"] != method:
        raise UserError(f"the state is one of {state['method']}, this run has {method}; give the same method, or begin anew")
    return _Place(**_own(state))


def _own(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state that a run may change: its tensors are copied, but for the many that L-BFGS remembers and no step changes."""
    return {
        name: value.clone() if isinstance(value, Tensor) else _own(value) if isinstance(value, Mapping) else value
        for name, value in state.items()
    }


def _notice(s: _Place, terms: Schedule, steps: int) -> None:
    """Where another sum is minimised from the next step on, old totals and curvatures say nothing."""
    if 0 < s.index < steps and not _same(at(terms, s.index), at(terms, s.index + 1)):
        s.lowest, s.first, s.stalled = torch.full_like(s.lowest, math.inf), torch.full_like(s.first, math.inf), 0
        s.update = {} if s.method == "lbfgs" else s.update


def _same(one: Terms, other: Terms) -> bool:
    """Whether two sums have the same losses with equal weights."""
    return one is other or (
        one.keys() == other.keys()
        and all(
            loss is other[name][1] and bool((torch.as_tensor(weight) == torch.as_tensor(other[name][0])).all())
            for name, (weight, loss) in one.items()
        )
    )


def _keep_best(s: _Place, before: Tensor, paid: Tensor) -> None:
    s.first = torch.where(s.first.isinf(), paid, s.first)
    better = paid < s.lowest
    if bool(better.any()):
        s.best = torch.where(better.view(-1, 1, 1, 1), before, s.best)
        s.stalled = 0 if bool((paid < s.lowest * (1 - 1e-7)).any()) else s.stalled + 1
        s.lowest = torch.where(better, paid, s.lowest)
    else:
        s.stalled += 1


def _shorten_and_cut(s: _Place, before: Tensor) -> None:
    """Shorten the step of pictures that were rescued before, and keep the pixels in [0, 1]."""
    if bool((s.shrink < 1).any()):
        s.image.copy_(before + (s.image - before) * s.shrink.view(-1, 1, 1, 1).to(before.dtype))
    s.image.clamp_(0, 1)


def _rescue(s: _Place, paid: Tensor, lr: float) -> tuple[str, bool]:
    """Go back to the best picture when a total is not finite, L-BFGS explodes, or it stalls; the last says: no more to gain."""
    bad = ~torch.isfinite(paid) | ~torch.isfinite(s.image).all(1).all(1).all(1)
    if s.method == "lbfgs":
        bad |= paid > 10 * s.first
        if s.stalled >= PATIENCE:
            if s.rescues and not bool((s.lowest < s.first * (1 - 1e-7)).any()):
                return f"no step improves the picture any more: stopped at step {s.index}", True
            s.first, s.stalled, s.rescues, s.update = s.lowest, 0, s.rescues + 1, {}
            s.image.copy_(s.best)
            return f"stalled at step {s.index}: went on from the best picture", False
    if not bool(bad.any()):
        return "", False
    s.rescues, s.shrink = s.rescues + 1, torch.where(bad, s.shrink / 2, s.shrink)
    if s.rescues > RESCUES or not bool(torch.isfinite(s.lowest[bad]).all()):
        raise ArithmeticError(
            f"the loss is {paid[bad][0].item():g} at step {s.index} and stays so after {s.rescues - 1} restarts; "
            f"lower the learning rate (now {lr:g}) or the weights"
        )
    s.image[bad] = s.best[bad]
    if s.method == "lbfgs":
        s.update = {}
    for moment in s.update.values():
        if isinstance(moment, Tensor):
            moment[bad] = 0
    return f"the loss was not finite or exploded at step {s.index}: went on from the best picture", False


@dataclass(frozen=True)
class Stage:
    """One scale of a run: its picture size (height, width), its steps, its terms, and the network where it has its own."""

    size: tuple[int, int]
    steps: int
    terms: Schedule
    net: Net | None = None


def optimise(
    net: Net,
    x: Tensor,
    terms: Schedule,
    *,
    steps: int,
    method: str = "adam",
    lr: float | None = None,
    progress: bool = False,
    watch: Watch | None = None,
    stop: threading.Event | None = None,
    resume: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> Result:
    """Minimise the sum of the terms from the picture x in `steps` steps, as `descend`; an interrupt, or the event `stop`,
    gives the picture so far and its state, which `resume` goes on from. `watch` is shown every step."""
    refuse_unknown("optimise", unknown, list(inspect.signature(optimise).parameters)[3:-1])
    steps = whole_number("steps", steps)
    options: dict[str, Any] = {"method": method, "lr": lr}
    stage = Stage((x.shape[-2], x.shape[-1]), steps, terms)
    ways: dict[str, Any] = {"progress": progress, "watch": watch, "stop": stop, "resume": resume}
    result = coarse_to_fine(net, x, [stage], **ways, **options)
    return Result(result.image, result.history, _card(_view(net), stage, options), result.state)


def _card(view: View, stage: Stage, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader needs to tell what made a picture: network, losses and weights, way and versions."""
    terms = {}
    for name, (weight, loss) in at(stage.terms, 1).items():
        plain = weight.tolist() if isinstance(weight, Tensor) else weight
        terms[name] = {"weight": plain, "loss": getattr(loss, "kind", type(loss).__name__), "layers": list(loss.layers)}
    lr = RATES[options["method"]] if options["lr"] is None else options["lr"]
    settings = {"size": max(stage.size), "steps": stage.steps, **options, "lr": lr, "terms": terms}
    made_by = {"backbone": view.net.name, "weights_sha256": view.net.sha256, "tile": view.tile}
    return {"settings": settings, **made_by, "versions": store.versions()}


def coarse_to_fine(
    net: Net,
    x: Tensor,
    stages: Sequence[Stage],
    *,
    progress: bool = False,
    stop: threading.Event | None = None,
    watch: Watch | None = None,
    checkpoint: Callable[[Result], Any] | None = None,
    every: float | None = None,
    resume: Mapping[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Run the stages one after the other, each from the enlarged picture of the last, with the `options` of `descend`.
    `watch` is shown every step; `checkpoint` gets an unfinished result every `every` seconds, to be written at once: the
    next step changes its state. `stop` ends the run after the step at hand, as an interrupt does: what comes back has a
    `state` to go on from."""
    rows: list[dict[str, Any]] = list(resume["rows"]) if resume else []
    begin = saved = time.perf_counter()
    spent = resume["seconds"] if resume else 0.0
    count = sum(stage.steps for stage in stages)
    bar = tqdm(total=count, initial=len(rows), disable=not progress, desc="style transfer", unit="step", delay=0.3)
    with interruptible() as halt, bar:
        for number, step in _steps(net, x, stages, resume, options):
            stage = stages[number]
            rows.append(_row(len(rows) + 1, step, stage, spent + time.perf_counter() - begin))
            _show(bar, rows[-1], float(step.total.mean()))
            if watch:
                watch(step)
            if stage is stages[-1] and step.index == stage.steps:
                break
            if halt.is_set() or (stop and stop.is_set()):
                return _unfinished(number, step, rows, stages[-1].size)
            if checkpoint and time.perf_counter() - saved > (EVERY if every is None else every):
                checkpoint(_unfinished(number, step, rows, stages[-1].size))
                saved = time.perf_counter()
    image, final = _chosen(_view(net), step, at(stages[-1].terms, step.index))
    return Result(image, {"seconds": rows[-1]["seconds"], "final": final, "steps": rows}, {})


def _steps(
    net: Net, x: Tensor, stages: Sequence[Stage], resume: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Iterator[tuple[int, Step]]:
    """The steps of all stages, each with its stage's number."""
    state: dict[str, Any] | None = store.on_device(resume["step"], x.device) if resume else None
    warm: dict[str, Any] = {}
    for number in range(resume["stage"] if resume else 0, len(stages)):
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
    own = {"backbone": _view(stage.net).net.name} if stage.net else {}
    note = {"note": step.note} if step.note else {}
    losses = _plain(step.losses | {"total": step.total})
    return {"step": number, "size": max(stage.size), **losses, "seconds": seconds, **own, **note}


def _show(bar: tqdm, row: Mapping[str, Any], loss: float) -> None:
    if not bar.disable:
        told = {name: row[name] for name in ("size", "backbone") if name in row}
        bar.set_postfix({"loss": f"{loss:.4g}"} | told, refresh=False)
        if "note" in row:
            bar.write(row["note"])
    bar.update()


def _unfinished(number: int, step: Step, rows: list[dict[str, Any]], size: tuple[int, int]) -> Result:
    """The best picture so far at the run's full size, and all that is needed to go on."""
    rows, seconds = list(rows), rows[-1]["seconds"]  # the run goes on appending to its own
    state = {"stage": number, "rows": rows, "seconds": seconds, "step": step.state(copied=False)}
    final = {name: value for name, value in rows[-1].items() if name not in ("step", "size", "seconds", "note")}
    return Result(images.resize(step.best.clamp(0, 1), size), {"seconds": seconds, "final": final, "steps": rows}, {}, state)


@torch.no_grad()
def _chosen(view: View, step: Step, terms: Terms) -> tuple[Tensor, dict[str, Any]]:
    """The last picture, or the best before it where that is better, in [0, 1]; and its losses."""
    last, best = step.image.clamp(0, 1), step.best.clamp(0, 1)
    ends = [total(view.losses(image, terms), terms) for image in (last, best)]
    better = ~(ends[0] <= ends[1])  # true for a last that is NaN
    image = torch.where(better.view(-1, 1, 1, 1), best, last)
    losses = view.losses(image, terms)
    return image, _plain(losses | {"total": total(losses, terms)})


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

    def first(*_: Any) -> None:
        halt.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield halt
    finally:
        signal.signal(signal.SIGINT, before)
