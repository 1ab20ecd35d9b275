"""A clip in a style, frame by frame: each begins from what the one before lets expect of it, and a loss holds it to that."""

import contextlib
import dataclasses
import itertools
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from nstutils import images, motion
from nstutils.descent import Stage, at, coarse_to_fine, interruptible
from nstutils.library import fetch
from nstutils.library.errors import UserError
from nstutils.losses import ContentLoss, TemporalLoss
from nstutils.results import Result
from nstutils.runs import frames, preflight, store
from nstutils.runs.options import WAYS, Options, checked, takes_options
from nstutils.runs.resolve import Picture, Problem, prepare, recoloured, run_card
from nstutils.runs.tiles import View

WEIGHTS = {"flow": 10.0, "difference": 1.0}  # of the temporal loss, over β; with more, differences bring the photograph back
LATER = 0.5  # of the first frame's steps for each that begins from another: Ruder took 2000 and 1000

Last = tuple[Tensor, Tensor] | None  # the frame before, and what was made of it
# from a frame's number, the one before and the frame: its flow to the one before, and 1 where that shows the same
Motion = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


def estimated(number: int, before: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
    """The motion between two frames as TV-L1 finds it, in both directions."""
    backward = motion.flow(now, before)
    unseen = motion.occluded(motion.flow(before, now), backward)
    return backward, 1 - F.max_pool2d(unseen, 3, 1, 1)  # at a border of two motions the flow is neither's


def expected(way: str, number: int, last: Last, now: Tensor, moves: Motion = estimated) -> TemporalLoss | None:
    """What the picture of a frame should be by the one before; None where it stands alone."""
    if way == "independent" or not last:
        return None
    before, made = last
    if way == "warm":
        return TemporalLoss(made)
    if way == "difference":
        return TemporalLoss((made + now - before).clamp(0, 1))
    back, seen = (one.to(now) for one in moves(number, before, now))
    return TemporalLoss(motion.warp(made, back), seen)


def painted(
    problem: Problem,
    pictures: Iterable[Tensor],
    way: str,
    weight: float | None = None,
    moves: Motion = estimated,
    first: int = 0,
    last: Last = None,
    stop: threading.Event | None = None,
) -> Iterator[Result]:
    """One result of 8 bits a frame, made as `problem` says; `first` is the number of the first one, counted from 0."""
    for number, picture in enumerate(pictures, first):
        begin, frame = time.perf_counter(), _fitted(problem, picture)
        hint = expected(way, number, last, frame, moves)
        result = _painted(problem, frame, hint, weight_of(way, problem, weight), stop)
        yield dataclasses.replace(result, history=result.history | {"seconds": time.perf_counter() - begin})
        if not result.finished:
            return
        last = frame, result.image


def weight_of(way: str, problem: Problem, weight: float | None = None) -> float:
    """The weight of a way's temporal loss: the one given, or the usual share of β; 0 where it has none."""
    return 0.0 if way not in WEIGHTS else WEIGHTS[way] * problem.task.options.beta if weight is None else weight


def _fitted(problem: Problem, picture: Tensor) -> Tensor:
    """A frame on the device and at the size of the pictures that are made."""
    return images.resize(picture.to(problem.task.exact.weight.device), problem.scales[-1].size)


def _painted(problem: Problem, frame: Tensor, hint: TemporalLoss | None, weight: float, stop: threading.Event | None) -> Result:
    """One frame, from its own start or from what was expected of it."""
    own = _turned(problem, frame, hint is not None)
    start, stages = own.start(), own.stages()
    if hint:
        hint = dataclasses.replace(hint, target=_colours(own.task.options, hint.target))
        start = hint.target if hint.mask is None else hint.mask * hint.target + (1 - hint.mask) * start
        stages = [_held(stage, weight, hint) for stage in stages] if weight else stages
    result = coarse_to_fine(own.net, start, stages, method=own.task.options.method, lr=own.task.options.lr, stop=stop)
    return dataclasses.replace(result, image=recoloured(own, result.image).clamp(0, 1).mul(255).round().div(255))


def _turned(problem: Problem, frame: Tensor, later: bool) -> Problem:
    """The problem of another frame: its content, and all else (style, kappa) as it was; of a later one the last scale alone."""
    content, view, scales = _colours(problem.task.options, frame), View(problem.task.exact, problem.net.tile), []
    for one in problem.scales[-1:] if later else problem.scales:
        seen = view.activations(images.resize(content, one.size), problem.task.content_layers)
        scales.append(dataclasses.replace(one, content=ContentLoss(seen), steps=_later(problem) if later else one.steps))
    pictures = dataclasses.replace(problem.pictures, photograph=frame, content=content)
    return dataclasses.replace(problem, pictures=pictures, scales=tuple(scales))


def _later(problem: Problem) -> int:
    """The steps of a frame that begins from another."""
    return max(1, round(LATER * problem.task.steps))


def _colours(options: Options, image: Tensor) -> Tensor:
    """A picture as the losses see it: grey, where brightness alone is painted."""
    return images.luminance(image).expand(-1, 3, -1, -1).contiguous() if options.keep_colour == "luminance" else image


def _held(stage: Stage, weight: float, hint: TemporalLoss) -> Stage:
    """A stage with the temporal loss among its terms."""
    return dataclasses.replace(stage, terms=lambda step: {**at(stage.terms, step), "temporal": (weight, hint)})


@takes_options
def stylise_clip(
    clip: str | os.PathLike[str],
    style: Picture | Sequence[Picture],
    *,
    out: str | os.PathLike[str],
    temporal: str = "flow",
    weight: float | None = None,
    resume: bool = False,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """A GIF, WebP or MP4, or a folder of numbered frames, in a style; `out` is one of these too. Gives its card.

    Every frame is kept as soon as it is done (of an animation in the folder OUT.frames, until the last is there), an interrupt
    ends it after the step at hand, and `resume` goes on with the first frame that is missing. `options` are `stylise`'s."""
    shot, chosen = frames.read(clip), _checked(temporal, options)
    target, count = frames.place(out, shot), len(shot.times)
    folder = target.with_name(f"{target.name}.frames") if target.suffix else target
    problem = prepare(next(shot.frames()), style, chosen)
    frames.room(shot, target, problem.scales[-1].size)
    weight, source = weight_of(temporal, problem, weight), {"name": os.fspath(clip), "sha256": shot.sha256}
    settings = problem.task.settings | {"content": source, "temporal": temporal, "temporal_weight": weight}
    rows, done = _earlier(target, folder, settings, resume)
    card = run_card(problem) | {"settings": settings, "finished": False, "frames": rows}
    words = announced(problem, count, temporal) if progress and not rows else ""
    if words:
        tqdm.write(words, file=sys.stderr)
    left = _made(problem, shot, folder, temporal, weight, len(rows)) if len(rows) < count else ()
    for row in tqdm(left, total=count, initial=len(rows), disable=not progress, desc="frames", unit="frame", delay=0.3):
        rows.append(row)
        store.write_json(store.sealed(card), store.card_path(target))
    card["finished"] = len(rows) == count
    if card["finished"] and not done:
        if folder != target:
            frames.write((images.load(frames.numbered(folder, k + 1)) for k in range(count)), shot, target)
        store.write_json(store.sealed(card), store.card_path(target))
        if folder != target:
            shutil.rmtree(folder)  # at last: a kill before loses no frame
    return card


def _checked(temporal: str, options: dict[str, Any]) -> Options:
    """The options of the frames; refuses what no clip can have."""
    if temporal not in WAYS:
        raise UserError(f"temporal {temporal!r} is not known; choose from {', '.join(WAYS)}")
    chosen = checked(options)
    if chosen.draft:
        raise UserError("draft is on, but the frames of a clip begin from one another; leave it out")
    return chosen


def _earlier(target: Path, folder: Path, settings: dict[str, Any], resume: bool) -> tuple[list[dict[str, Any]], bool]:
    """To `resume`: what the card tells of the frames up to the first that is missing or was changed, and whether an animation
    of them all is there; else none may be there."""
    if not resume and folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds files already; go on with --resume, or give another name")
    if not resume:
        return [], False
    card = store.read_card(target)
    store.refuse_other(target, card, settings)

    def whole(row: dict[str, Any]) -> bool:
        path = frames.numbered(folder, row["frame"])
        return path.is_file() and fetch.sha256(path) == row["sha256"]

    if card["finished"] and target.is_file():
        for row in filter(whole, card["frames"]):  # what a kill has left, and nothing of the reader's
            frames.numbered(folder, row["frame"]).unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
        return card["frames"], True
    return list(itertools.takewhile(whole, card["frames"])), False


def _made(problem: Problem, shot: frames.Clip, folder: Path, way: str, weight: float, done: int) -> Iterator[dict[str, Any]]:
    """Paint and keep the frames that are left, one by one; what the card tells of each."""
    pictures, last = shot.frames(first=max(0, done - 1)), None
    if done:
        last = _fitted(problem, next(pictures)), _fitted(problem, images.load(frames.numbered(folder, done)))
    with interruptible() as halt:
        for number, result in enumerate(painted(problem, pictures, way, weight, estimated, done, last, halt), done + 1):
            if not result.finished:
                return
            path, told = images.save(result.image, frames.numbered(folder, number)), result.history
            own = {"frame": number, "steps": len(told["steps"]), "seconds": told["seconds"]}
            yield own | told["final"] | {"sha256": fetch.sha256(path)}


def announced(problem: Problem, count: int, way: str) -> str:
    """How long a clip of so many frames will take, and how much memory; empty where it is short."""
    own = count if way == "independent" else 1
    steps = [(one.size, one.steps * own) for one in problem.scales]
    steps.append((problem.scales[-1].size, (count - own) * _later(problem)))
    if preflight.work(problem.task.exact, problem.task.layers, steps) <= preflight.LONG:
        return ""
    style = problem.task.options.style_loss, problem.task.style_layers
    ahead = preflight.Ahead(problem.net, problem.task.layers, problem.task.options.method, steps, style=style)
    memory = preflight.memory(problem.net, ahead.layers, steps[-1][0], ahead.method)
    flows = f" and {count - 1} flows" if way in ("warped", "flow") else ""
    return f"{count} frames will take {preflight.span(preflight.stepping(ahead))}{flows}, and {memory / 1e9:.1f} GB"
