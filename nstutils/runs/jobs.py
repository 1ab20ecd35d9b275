"""Runs that go through the network together, each with its own weights, targets, start and seed: Adam and SGD treat every
pixel for itself. A batch that was stopped goes on as it was: a sweep that was killed ends bit by bit like one that was not."""

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from nstutils.descent import Stage, Watch, coarse_to_fine
from nstutils.library import files
from nstutils.library.errors import UserError, explained
from nstutils.library.weights import backbone
from nstutils.results import Result
from nstutils.runs import preflight, store
from nstutils.runs.options import Options, checked
from nstutils.runs.resolve import Problem, head, joined, measured, prepare, recoloured, reweighed, run_card
from nstutils.runs.tasks import Network, Picture, Task, accept, looked_at, read
from nstutils.runs.tiles import View

BATCH = 600_000_000  # bytes that the pictures of a batch may take
SEEN = 8  # pictures that a sweep keeps in memory, so that each file is read once
# in which runs of a batch may differ that have the same targets, and what else they may
OWN = ("alpha", "beta", "tv", "layer_weights", "seed", "init", "raw_loss", "preset")
OTHERS = ("content", "style", "style_weights", "style_size", "style_scale", "keep_colour", "size", "scales")

Ends = Mapping[str, Result | Exception]  # by the run's key


@dataclass(frozen=True)
class Desk:
    """What a sweep has at hand: its folder; pictures by their sha256 and size, and networks, so that each file is read once."""

    place: Path | None = None
    pictures: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    network: Network = field(default_factory=lambda: lru_cache(maxsize=2)(backbone))


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a sweep, ready to be sent to another process."""

    key: str  # the name under which it is stored: what it is, and who made it
    content: Picture
    styles: tuple[Picture, ...]
    options: Options
    settings: dict[str, Any]
    program: dict[str, Any]  # what computes it, as `store.program` tells
    alike: str  # runs that agree in this can share a batch
    targets: str  # and those that agree in this the targets of their losses
    bytes: int  # that one more picture of its size takes


def accepted(given: Mapping[str, Any], desk: Desk) -> Run | Exception:
    """A run made of its settings, or what is wrong with them."""
    try:
        options = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}
        task = accept(options.pop("content"), options.pop("style"), checked(options), desk.network)
        o, told, (content, styles) = task.options, task.settings, _pictures(task, desk)
        sizes = task.sizes(content)
        task.style_sizes(styles, max(sizes[0]))  # refuses what no style has
        one, none = (preflight.memory(View(task.net), task.layers, size, o.method) for size in (sizes[-1], (0, 0)))
        scheduled = isinstance(o.layer_weights, Mapping)
        apart = o.method == "lbfgs" or o.draft or o.tile or o.content_guide or o.style_loss != "gram" or scheduled
        shared = {key: value for key, value in told.items() if key not in OWN + OTHERS} | {"sizes": sizes}
        alike = store.fingerprint(told if apart else shared)
        targets = store.fingerprint({key: value for key, value in told.items() if key not in OWN})
        key = f"{store.fingerprint(told)}-{store.fingerprint(store.program())[:8]}"
        resolved = replace(o, dtype=told["dtype"], device=told["device"])
        return Run(key, task.content, task.styles, resolved, told, store.program(), alike, targets, one - none)
    except Exception as error:  # whatever it is, the other runs are not lost
        return error


def _pictures(run: Run | Task, desk: Desk) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The pictures of a run, each of a sweep read once."""
    large, larger = looked_at(run.options)
    asked = [(run.settings["content"]["sha256"], large), *((told["sha256"], larger) for told in run.settings["style"])]
    for picture, key in zip((run.content, *run.styles), asked, strict=True):
        if key not in desk.pictures:
            desk.pictures[key] = read(picture, "content" if picture is run.content else "style", key[1])
    content, *styles = (desk.pictures[key] for key in asked)
    while len(desk.pictures) > SEEN:
        desk.pictures.pop(next(iter(desk.pictures)))
    return content, tuple(styles)


def _chunks(runs: Sequence[Run], batch: int | None) -> Iterator[list[Run]]:
    """The runs in batches of about equal length, none larger than memory or `batch` allows."""
    if batch is not None and batch < 1:
        raise UserError(f"batch is {batch}, but must be at least 1; leave it out to have it chosen by memory")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.alike, []).append(run)
    for group in groups.values():
        free, bound = preflight.free_memory(torch.device(group[0].options.device)), float(BATCH)
        while bound > free:  # in coarse steps, so that a little more or less does not matter
            bound /= 2
        most = max(1, min(batch or len(group), int(bound / max(run.bytes for run in group))))
        count = -(-len(group) // most)
        bounds = [len(group) * k // count for k in range(count + 1)]
        yield from (group[a:b] for a, b in itertools.pairwise(bounds))


def stored(place: Path | None, key: str) -> Result | None:
    """The finished run of this name in a folder; None where it is missing, unfinished or damaged: it is made again."""
    with contextlib.suppress(UserError, FileNotFoundError):
        found = Result.load(place / f"{key}.png") if place else None
        return found if found and found.finished else None
    return None


def planned(runs: Mapping[str, Run], ends: Ends, place: Path | None, batch: int | None) -> list[list[Run]]:
    """What is left to do, in batches: those that were begun as they were, the rest by the settings of all runs."""
    taken, jobs = set(ends), []
    for keys in _begun(place).values():
        if set(keys) <= set(runs) and not set(keys) <= taken:
            jobs.append([runs[key] for key in keys])
            taken |= set(keys)
    rest = ([run for run in chunk if run.key not in taken] for chunk in _chunks(list(runs.values()), batch))
    return jobs + [left for left in rest if left]


def _begun(place: Path | None) -> dict[Path, list[str]]:
    """The keys of the runs of every batch that was begun, by its file."""
    return {path: _recorded(path).get("runs", []) for path in sorted(place.glob("*.batch.safetensors"))} if place else {}


def _recorded(path: Path | None) -> dict[str, Any]:
    """What the file of a batch says; nothing where it is damaged, or where another sweep in the same folder has ended it."""
    with contextlib.suppress(FileNotFoundError, UserError):
        return store.load_state(path) if path else {}
    return {}


def tidy(ends: Ends, place: Path | None) -> None:
    """Remove the files of batches whose runs have all ended."""
    for path, keys in _begun(place).items():
        if set(keys) <= set(ends):
            path.unlink(missing_ok=True)


def made(job: Sequence[Run], desk: Desk, watch: Watch | None = None) -> Iterator[Ends]:
    """The runs of a job: together, or one by one where one of them, or too little memory, spoils the batch."""
    if len(job) > 1:
        try:
            yield _together(job, desk, watch)
            return
        except Exception as error:
            if isinstance(error, OSError) or not explained(error):  # a full disk or a bug: each would fail by itself too
                yield dict.fromkeys([run.key for run in job], error)
                return
            said = f"a batch of {len(job)} runs failed ({files.reason(error)}); each of them is made by itself"
            tqdm.write(said, file=sys.stderr)
    for run in job:
        try:
            yield {run.key: stored(desk.place, run.key) or _together([run], desk, watch)[run.key]}
        except Exception as error:  # told at the end, when the others are done
            yield {run.key: stored(desk.place, run.key) or error}  # another sweep in the same folder may have made it meanwhile


def _together(job: Sequence[Run], desk: Desk, watch: Watch | None) -> dict[str, Result]:
    """The runs of a batch, kept one by one at its end; before, a file holds what it goes on from, also after an interrupt."""
    begin, keys = time.perf_counter(), [run.key for run in job]
    path = desk.place / f"{store.fingerprint(keys)}.batch.safetensors" if desk.place else None
    record = _recorded(path)
    problems = _problems(job, record, desk)
    setup, first = time.perf_counter() - begin, problems[0]

    def keep(state: dict[str, Any] | None) -> None:
        if path:
            store.save_state({"runs": keys, "tile": first.net.tile, "state": state}, path)

    if not record:
        keep(None)
    start, o = torch.cat([problem.start() for problem in problems]), first.task.options
    result = coarse_to_fine(
        first.net, start, _stages(problems), watch=watch, checkpoint=lambda so_far: keep(so_far.state),
        resume=record.get("state"), method=o.method, lr=o.lr,
    )  # fmt: skip
    if not result.finished:
        keep(result.state)
        raise KeyboardInterrupt
    done = {key: _part(result, number, problems[number], setup) for number, key in enumerate(keys)}
    if path:
        for key, end in done.items():
            end.save(path.with_name(f"{key}.png"))
        path.unlink(missing_ok=True)
    return done


def _problems(job: Sequence[Run], record: Mapping[str, Any], desk: Desk) -> list[Problem]:
    """The runs made ready; targets that several have are computed once, and what was begun keeps the tiles of its record."""
    ready: dict[str, Problem] = {}
    for run in job:
        if run.targets not in ready:
            ready[run.targets] = prepare(*_pictures(run, desk), run.options, made=record, network=desk.network)
    net = ready[job[0].targets].net
    return [replace(reweighed(ready[run.targets], run.options, run.settings), net=net) for run in job]


def _stages(problems: Sequence[Problem]) -> list[Stage]:
    """The stages of a batch, from those of its runs."""
    if len(problems) == 1:
        return problems[0].stages()
    device, stages = problems[0].task.exact.weight.device, []
    for parts in zip(*(problem.stages() for problem in problems), strict=True):
        terms: list[Any] = [part.terms for part in parts]
        stages.append(Stage(parts[0].size, parts[0].steps, joined(terms, device)))
    return stages


def _part(result: Result, number: int, problem: Problem, setup: float) -> Result:
    """One run of a batch as its files will give it: a picture of 8 bits, its own history and card, its share of the seconds."""
    count = len(result.image)
    steps = [
        {name: value[number] if isinstance(value, list) else value for name, value in row.items()}
        | {"seconds": row["seconds"] / count}
        for row in result.history["steps"]
    ]
    card = run_card(problem) | ({"batch": count} if count > 1 else {})
    history = head(card, setup / count) | {"seconds": result.history["seconds"] / count, "steps": steps}
    own = measured(problem, Result(result.image[number : number + 1], history, card))
    own = replace(own, image=recoloured(problem, own.image))
    history, card = (json.loads(store.as_json(value)) for value in (own.history, own.card))
    return Result(own.image.cpu().clamp(0, 1).mul(255).round().div(255), history, card)
