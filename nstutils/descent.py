"""The way downhill: the plain loop, and around it what sees that it never ends badly, goes on exactly, and begins small.

A step means the same for every method: one evaluation of the losses, one update of the picture. The total is divided once by
its mean |gradient| at the start, because L-BFGS ignores curvature below 1e-10 and would stall silently on small losses."""

import inspect
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
from nstutils.runs.stopping import interruptible
from nstutils.runs.tiles import View
from nstutils.updates import UPDATES, Memory, enlarged

RESCUES = 5  # restarts from the best picture before giving up
EVERY = 30.0  # seconds from one checkpoint to the next
PATIENCE = 20  # L-BFGS steps without any progress that count as a stall
WALL = 2.0  # L-BFGS: price of the squared distance of a pixel from [0, 1], in units of the mean |gradient| at the start

Schedule = Terms | Callable[[int], Terms]  # the terms, or a function of the step's number that gives them
Net = FeatureExtractor | View
Losses = dict[str, Tensor]
State = Mapping[str, Any]
Watch = Callable[["Step"], Any]


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
    state: Callable[[], dict[str, Any]]  # all needed to go on from here


@dataclass
class _Place:
    """Where a descent stands; its fields are what a checkpoint holds. Steps replace tensors and change none."""

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

    def state(self) -> dict[str, Any]:
        """All of it, for `resume`."""
        return vars(self) | {"update": dict(self.update)}


def walk(view: View, s: _Place, terms: Schedule, steps: int, lr: float) -> Iterator[tuple[Tensor, Losses]]:
    """The plain loop: look at the losses, move the picture against their gradient, show what was seen, again. Who asks for
    the next step may change the place `s` before, to rescue a picture or to keep it in its range."""
    while s.index < steps:
        _notice(s, terms)
        s.index += 1
        losses, gradient = view.gradient(s.image, at(terms, s.index), s.scale)
        if s.method == "lbfgs":
            gradient.add_(_outside(s.image), alpha=2 * WALL)
            rate = lr * float(s.shrink[0])
        else:
            rate = lr * 0.5 * (1 + math.cos(math.pi * (s.index - 1) / steps))
        before, s.image = s.image, UPDATES[s.method](s.image, gradient, rate, s.update)
        yield before, losses


def descend(
    net: Net,
    x: Tensor,
    terms: Schedule,
    *,
    steps: int,
    method: str = "adam",
    lr: float | None = None,
    warm: Memory | None = None,
    resume: State | None = None,
) -> Iterator[Step]:
    """Minimise the sum of the terms over the pixels of `x` (N x 3 x H x W, left untouched), one yield a step.

    The learning rate of Adam and SGD fades along a cosine. Pixels stay in [0, 1]: those of Adam and SGD are cut after each
    step; L-BFGS, whose curvatures a cut would spoil, minimises with a price on what lies outside, which no history shows.
    `warm` is what an optimiser remembers, to begin with; `resume` the `Step.state()` to go on from exactly."""
    lr, view = _checked_rate(method, lr, x), _view(net)
    s = _resumed(resume, method) if resume else _begun(view, x, at(terms, 1), method, warm or {})
    for before, losses in walk(view, s, terms, steps, lr):
        value = paid = total(losses, at(terms, s.index))
        if method == "lbfgs":
            paid = value + WALL * _outside(before).square().sum((1, 2, 3)) / s.scale
        else:
            s.image = _shortened(s, before).clamp(0, 1)
        _keep_best(s, before, paid)
        note, done = _rescue(s, paid, lr)
        yield Step(s.index, losses, value, s.image, s.best, note, s.state)
        if done:
            return


def _outside(x: Tensor) -> Tensor:
    """How far each pixel lies outside of [0, 1]."""
    return x - x.clamp(0, 1)


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


def _begun(view: View, x: Tensor, terms: Terms, method: str, warm: Memory) -> _Place:
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
    return _Place(method, 0, x, 1 / size, x, ones * math.inf, value, ones, update=dict(warm))


def _resumed(state: State, method: str) -> _Place:
    """The place that a state tells."""
    if state.keys() != _Place.__dataclass_fields__.keys():
        raise UserError("the state was written by another version of nstutils; start the run again without --resume")
    if state["method"] != method:
        raise UserError(f"the state is one of {state['method']}, this run has {method}; give the same method, or begin anew")
    return _Place(**(dict(state) | {"update": dict(state["update"])}))


def _notice(s: _Place, terms: Schedule) -> None:
    """Where another sum is minimised from the next step on, old totals and curvatures say nothing."""
    if s.index and callable(terms) and _identity(terms(s.index)) != _identity(terms(s.index + 1)):
        s.lowest, s.first, s.stalled = torch.full_like(s.lowest, math.inf), torch.full_like(s.first, math.inf), 0
        s.update = {} if s.method == "lbfgs" else s.update


def _identity(terms: Terms) -> dict[str, Any]:
    """What makes a sum the same sum: its losses and their weights."""
    return {name: (torch.as_tensor(weight).tolist(), id(loss)) for name, (weight, loss) in terms.items()}


def _shortened(s: _Place, before: Tensor) -> Tensor:
    """The picture after a shorter step, where it was rescued before."""
    if not bool((s.shrink < 1).any()):
        return s.image
    return before + (s.image - before) * s.shrink.view(-1, 1, 1, 1).to(before.dtype)


def _keep_best(s: _Place, before: Tensor, paid: Tensor) -> None:
    s.first = torch.where(s.first.isinf(), paid, s.first)
    better = paid < s.lowest
    s.stalled = 0 if bool((paid < s.lowest * (1 - 1e-7)).any()) else s.stalled + 1
    s.best = torch.where(better.view(-1, 1, 1, 1), before, s.best)
    s.lowest = torch.where(better, paid, s.lowest)


def _rescue(s: _Place, paid: Tensor, lr: float) -> tuple[str, bool]:
    """Go back to the best picture when a total is not finite, L-BFGS explodes, or it stalls; the last says: no more to gain."""
    bad = ~torch.isfinite(paid) | ~torch.isfinite(s.image).flatten(1).all(1)
    if s.method == "lbfgs":
        bad |= paid > 10 * s.first
        if s.stalled >= PATIENCE:
            if s.rescues and not bool((s.lowest < s.first * (1 - 1e-7)).any()):
                return f"no step improves the picture any more: stopped at step {s.index}", True
            s.image, s.first, s.stalled, s.rescues, s.update = s.best, s.lowest, 0, s.rescues + 1, {}
            return f"stalled at step {s.index}: went on from the best picture", False
    if not bool(bad.any()):
        return "", False
    s.rescues, s.shrink = s.rescues + 1, torch.where(bad, s.shrink / 2, s.shrink)
    if s.rescues > RESCUES or not bool(torch.isfinite(s.lowest[bad]).all()):
        raise ArithmeticError(
            f"the loss is {paid[bad][0].item():g} at step {s.index} and stays so after {s.rescues - 1} restarts; "
            f"lower the learning rate (now {lr:g}) or the weights"
        )
    lost = bad.view(-1, 1, 1, 1)
    s.image = torch.where(lost, s.best, s.image)
    moments = {k: v.masked_fill(lost, 0) if isinstance(v, Tensor) else v for k, v in s.update.items()}
    s.update = {} if s.method == "lbfgs" else moments
    return f"the loss was not finite or exploded at step {s.index}: went on from the best picture", False


@dataclass(frozen=True)
class Stage:
    """One scale of a run: its picture size (height, width), its steps, its terms, and the network where it has its own."""

    size: tuple[int, int]
    steps: int
    terms: Schedule
    net: View | None = None


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
    resume: State | None = None,
    **unknown: Any,
) -> Result:
    """Minimise the sum of the terms from the picture x in `steps` steps, as `descend`; an interrupt, or the event `stop`,
    gives the picture so far and its state, which `resume` goes on from. `watch` is shown every step."""
    refuse_unknown("optimise", unknown, list(inspect.signature(optimise).parameters)[3:-1])
    stage = Stage((x.shape[-2], x.shape[-1]), whole_number("steps", steps), terms)
    result = coarse_to_fine(net, x, [stage], progress=progress, watch=watch, stop=stop, resume=resume, method=method, lr=lr)
    settings = {"size": max(stage.size), "steps": stage.steps, "method": method, "lr": RATES[method] if lr is None else lr}
    return Result(result.image, result.history, store.card(_view(net), settings, at(terms, 1)), result.state)


def coarse_to_fine(
    net: Net,
    x: Tensor,
    stages: Sequence[Stage],
    *,
    progress: bool = False,
    stop: threading.Event | None = None,
    watch: Watch | None = None,
    checkpoint: Callable[[Result], Any] | None = None,
    resume: State | None = None,
    **options: Any,
) -> Result:
    """Run the stages one after the other, each from the enlarged picture of the last, with the `options` of `descend`.
    `watch` is shown every step; `checkpoint` gets an unfinished result every `EVERY` seconds. `stop` ends the run after the
    step at hand, as an interrupt does: what comes back has a `state` to go on from."""
    rows: list[dict[str, Any]] = list(resume["rows"]) if resume else []
    saved = time.perf_counter()
    begin = saved - (rows[-1]["seconds"] if rows else 0.0)
    count, last = sum(stage.steps for stage in stages), stages[-1]
    bar = tqdm(total=count, initial=len(rows), disable=not progress, desc="style transfer", unit="step", delay=0.3)
    with interruptible() as halt, bar:
        for number, step in _steps(net, x, stages, resume, options):
            rows.append(_row(len(rows) + 1, step, stages[number], time.perf_counter() - begin))
            _show(bar, rows[-1], float(step.total.mean()))
            if watch:
                watch(step)
            if stages[number] is last and step.index == last.steps:
                break
            if halt.is_set() or (stop and stop.is_set()):
                return _unfinished(number, step, rows, last.size)
            if checkpoint and time.perf_counter() - saved > EVERY:
                checkpoint(_unfinished(number, step, rows, last.size))
                saved = time.perf_counter()
    image, final = _chosen(_view(net), step, at(last.terms, step.index))
    return Result(image, {"seconds": rows[-1]["seconds"], "final": final, "steps": rows}, {})


def _steps(
    net: Net, x: Tensor, stages: Sequence[Stage], resume: State | None, options: Mapping[str, Any]
) -> Iterator[tuple[int, Step]]:
    """The steps of all stages, each with its stage's number."""
    state: Any = store.on_device(resume["step"], x.device) if resume else None
    warm: Memory = {}
    for number in range(resume["stage"] if resume else 0, len(stages)):
        stage, done = stages[number], state["index"] if state else 0
        least = max(1, done + (number == len(stages) - 1))
        if stage.steps < least:
            raise UserError(f"steps is {stage.steps}, but {done} are done, so this run needs at least {least}; give more steps")
        step, x, warm = None, images.resize(x, stage.size), enlarged(warm, stage.size)
        for step in descend(stage.net or net, x, stage.terms, steps=stage.steps, warm=warm, resume=state, **options):
            yield number, step
        end = step.state() if step else state
        x, warm, state = end["image"], end["update"], None


def _row(number: int, step: Step, stage: Stage, seconds: float) -> dict[str, Any]:
    """One line of the history; it names the network where that is not the run's."""
    row = {"step": number, "size": max(stage.size), **store.plain(step.losses | {"total": step.total}), "seconds": seconds}
    row |= {"backbone": stage.net.net.name} if stage.net else {}
    return row | ({"note": step.note} if step.note else {})


def _show(bar: tqdm, row: Mapping[str, Any], loss: float) -> None:
    told = {name: row[name] for name in ("size", "backbone") if name in row}
    bar.set_postfix({"loss": f"{loss:.4g}"} | told, refresh=False)
    if "note" in row and not bar.disable:
        bar.write(row["note"])
    bar.update()


def _unfinished(number: int, step: Step, rows: list[dict[str, Any]], size: tuple[int, int]) -> Result:
    """The best picture so far at the run's full size, and all that is needed to go on."""
    rows = list(rows)  # the run goes on appending to its own
    final = {name: value for name, value in rows[-1].items() if name not in ("step", "size", "seconds", "note")}
    history, state = {"seconds": rows[-1]["seconds"], "final": final, "steps": rows}, step.state()
    return Result(images.resize(step.best.clamp(0, 1), size), history, {}, {"stage": number, "rows": rows, "step": state})


def _chosen(view: View, step: Step, terms: Terms) -> tuple[Tensor, dict[str, Any]]:
    """The last picture, or the best before it where that is better, in [0, 1]; and its losses."""
    last, best = step.image.clamp(0, 1), step.best.clamp(0, 1)
    new, old = ({**found, "total": total(found, terms)} for found in (view.losses(one, terms) for one in (last, best)))
    better = ~(new["total"] <= old["total"])  # true for a last that is NaN
    image = torch.where(better.view(-1, 1, 1, 1), best, last)
    return image, store.plain({name: torch.where(better, old[name], new[name]) for name in old})
