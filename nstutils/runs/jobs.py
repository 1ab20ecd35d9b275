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
from nstutils.runs.batches import joined
from nstutils.runs.cards import head, measured, recoloured, run_card
from nstutils.runs.options import Options, checked
from nstutils.runs.resolve import Problem, looked_at, prepare, read, reweighed
from nstutils.runs.tasks import Network, Picture, Task, accept
from nstutils.runs.tiles import View

BATCH = 600_000_000  # bytes that the pictures of a batch may take
SEEN = 8  # pictures that a sweep keeps in memory, so that each file is read once
# in which runs of a batch may differ that have the same targets, and what else they may
OWN = ("alpha", "beta", "tv", "layer_weights", "seed", "init", "raw_loss", "preset")
OTHERS = ("content", "style", "style_weights", "style_size", "style_scale", "keep_colour", "size", "scales")

Ends = dict[str, Result | Exception | None]  # by the run's key; None for a run that was stopped


@dataclass(frozen=True)
class Desk:
    """What a sweep has at hand, so that each file is read once: pictures by their sha256 and size, and networks."""

    pictures: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    network: Network = field(default_factory=lambda: lru_cache(maxsize=2)(backbone))


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a sweep, ready to be sent to another process."""

    content: Picture
    styles: tuple[Picture, ...]
    options: Options
    settings: dict[str, Any]
    program: dict[str, Any]  # what computes it, as `store.program` tells
    alike: str  # runs that agree in this can share a batch
    targets: str  # and those that agree in this the targets of their losses
    bytes: int  # that one more picture of its size takes

    @property
    def key(self) -> str:
        """The name under which the run is stored: what it is, and who made it."""
        return f"{store.fingerprint(self.settings)}-{store.fingerprint(self.program)[:8]}"


def accepted(given: Mapping[str, Any], desk: Desk) -> Run | Exception:
    """A run made of its settings, or what is wrong with them."""
    try:
        options = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}
        run = accept(options.pop("content"), options.pop("style"), checked(options), desk.network)
        resolved = replace(run.options, dtype=run.settings["dtype"], device=run.settings["device"])
        return Run(run.content, run.styles, resolved, run.settings, store.program(), *_shared(run, desk))
    except Exception as error:  # whatever it is, the other runs are not lost
        return error


def _shared(run: Task, desk: Desk) -> tuple[str, str, int]:
    """What runs of one batch have in common, what those with the same targets have, and the bytes of one more picture."""
    o, (content, styles) = run.options, _pictures(run, desk)
    wanted = run.sizes(content)
    run.style_sizes(styles, max(wanted[0]))  # refuses what no style has
    one, none = (preflight.memory(View(run.net), run.layers, size, o.method) for size in (wanted[-1], (0, 0)))
    scheduled = isinstance(o.layer_weights, Mapping)
    apart = o.method == "lbfgs" or o.draft or o.tile or o.content_guide or o.style_loss != "gram" or scheduled
    alike: Any = {key: value for key, value in run.settings.items() if key not in OWN + OTHERS} | {"sizes": wanted}
    targets = {key: value for key, value in run.settings.items() if key not in OWN}
    return store.fingerprint(run.settings if apart else alike), store.fingerprint(targets), one - none


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


def planned(runs: Sequence[Run], ends: Ends, place: Path | None, batch: int | None) -> list[list[Run]]:
    """What is left to do, in batches: those that were begun as they were, the rest by the settings of all runs."""
    by_key, taken, jobs = {run.key: run for run in runs}, set(ends), []
    for keys in _begun(place).values():
        if set(keys) <= set(by_key) and not set(keys) <= taken:
            jobs.append([by_key[key] for key in keys])
            taken |= set(keys)
    rest = ([run for run in chunk if run.key not in taken] for chunk in _chunks(runs, batch))
    return jobs + [left for left in rest if left]


def _record(place: Path | None, runs: Sequence[Run]) -> Path | None:
    """The file of a batch that was begun: which runs share it, its tiles and its state."""
    return place / f"{store.fingerprint([run.key for run in runs])}.batch.safetensors" if place else None


def _recorded(path: Path | None) -> dict[str, Any]:
    """What the file of a batch says; nothing where it is damaged, or where another sweep in the same folder has ended it."""
    with contextlib.suppress(FileNotFoundError, UserError):
        return store.load_state(path) if path else {}
    return {}


def _begun(place: Path | None) -> dict[Path, list[str]]:
    """The keys of the runs of every batch that was begun, by its file."""
    return {path: _recorded(path).get("runs", []) for path in sorted(place.glob("*.batch.safetensors"))} if place else {}


def tidy(ends: Ends, place: Path | None) -> None:
    """Remove the files of batches whose runs have all ended."""
    for path, keys in _begun(place).items():
        if set(keys) <= set(ends):
            path.unlink(missing_ok=True)


def made(job: Sequence[Run], place: Path | None, desk: Desk, watch: Watch | None = None) -> Ends:
    """The runs of a job: together, or one by one where one of them, or too little memory, spoils the batch."""
    if len(job) > 1:
        try:
            return _together(job, place, desk, watch)
        except Exception as error:
            if isinstance(error, OSError) or not explained(error):  # a full disk or a bug: each would fail by itself too
                return dict.fromkeys([run.key for run in job], error)
            said = f"a batch of {len(job)} runs failed ({files.reason(error)}); each of them is made by itself"
            tqdm.write(said, file=sys.stderr)
    ends: Ends = {}
    for run in job:
        try:
            ends[run.key] = stored(place, run.key) or _together([run], place, desk, watch)[run.key]
        except Exception as error:  # told at the end, when the others are done
            ends[run.key] = stored(place, run.key) or error  # another sweep in the same folder may have made it meanwhile
        if ends[run.key] is None:
            break
    return ends


def _together(job: Sequence[Run], place: Path | None, desk: Desk, watch: Watch | None) -> Ends:
    """The runs of a batch, kept one by one at its end; all None when they were stopped."""
    begin, path = time.perf_counter(), _record(place, job)
    record = _recorded(path)
    problems = _problems(job, record, desk)
    setup, first = time.perf_counter() - begin, problems[0]

    def keep(state: dict[str, Any] | None) -> None:
        if path:
            store.save_state({"runs": [run.key for run in job], "tile": first.net.tile, "state": state}, path)

    if not record:
        keep(None)
    start, o = torch.cat([problem.start() for problem in problems]), first.task.options
    result = coarse_to_fine(
        first.net, start, _stages(problems), watch=watch, checkpoint=lambda so_far: keep(so_far.state),
        resume=record.get("state"), method=o.method, lr=o.lr,
    )  # fmt: skip
    if not result.finished:
        keep(result.state)
        return dict.fromkeys([run.key for run in job])
    ends = {run.key: _part(result, number, problems[number], setup) for number, run in enumerate(job)}
    for key, end in ends.items() if place else ():
        end.save(place / f"{key}.png")  # type: ignore[operator]
    tidy(dict(ends), place)
    return dict(ends)


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
