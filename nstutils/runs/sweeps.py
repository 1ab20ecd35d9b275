"""Many runs: a list of settings to a list of results, every finished run kept in a folder. Those of equal sizes go through the
network together, each with its own weights, targets, start and seed: Adam and SGD treat every pixel for itself. A batch that
was stopped goes on as it was: a sweep that was killed ends bit by bit like one that was not."""

import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images
from nstutils.descent import Stage, Step, Watch, coarse_to_fine
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
BAR = "{l_bar}{bar}| {n:.1f}/{total_fmt} [{elapsed}<{remaining}]"  # a batch moves it at every step, so runs have fractions
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


class SweepError(UserError):
    """Some runs of a sweep failed: `failed` has the errors by the run's number, `results` the others (None at the failed)."""

    def __init__(self, said: str, done: list[Result | None], failed: dict[int, Exception]):
        super().__init__(said)
        self.results, self.failed = done, failed


def grid(**lists: Sequence[Any]) -> list[dict[str, Any]]:
    """All combinations of the values given for each setting; the last setting varies fastest."""
    for name, values in lists.items():
        if isinstance(values, str | Mapping) or not len(values):
            raise UserError(f"{name} is {values!r}, but a grid wants a list of values; put them in [ ]")
    return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]


def sweep(
    content: Picture,
    style: Picture | Sequence[Picture],
    settings: Sequence[Mapping[str, Any]],
    *,
    folder: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    batch: int | None = None,
    **common: Any,
) -> list[Result]:
    """One result for each of `settings`, in their order: each is a dict of options of `stylise`, over those of `common`.

    A setting may also name its own `content` or `style`. With `folder` every finished run is kept there, and the same call goes
    on where it was stopped; the pictures that come back have 8 bits, as their files. An `executor` (a pool of processes, Dask's
    `client.get_executor()`) gets the batches. `batch` is the most runs in one (default: by memory; 1: none)."""
    desk = Desk(_place(folder))
    if isinstance(settings, Mapping):
        raise TypeError("settings are one dict, but a sweep wants a list of them; put it in [ ] or make it with grid")
    asked = [accepted({"content": content, "style": style} | common | dict(given), desk) for given in settings]
    runs = {run.key: run for run in asked if isinstance(run, Run)}
    ends: dict[str, Result | Exception] = {key: found for key in runs if (found := stored(desk.place, key))}
    if progress and desk.place:
        _tell_old([key for key in runs if key not in ends], desk.place)
    todo = _planned(runs, ends, desk.place, batch)
    bar = tqdm(total=len(runs), initial=len(ends), disable=not progress, desc="sweep", bar_format=BAR, delay=0.3)
    try:
        with bar:
            for some in _elsewhere(todo, desk.place, executor, bar) if executor else _here(todo, desk, bar):
                ends |= some
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(ends, len(runs), desk.place)) from None
    _tidy(ends, desk.place)
    return _reported(settings, [_named(ends[run.key], run) if isinstance(run, Run) else run for run in asked])


def _place(folder: str | os.PathLike[str] | None) -> Path | None:
    """The folder to keep runs in, as an absolute path."""
    if folder is None:
        return None
    path = Path(os.path.expanduser(folder)).absolute()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{os.fspath(folder)!r} is a file, but the runs need a folder; give another name")
    files.writable(path / "run.png", images.FORMATS)
    return path


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


def _tell_old(keys: Sequence[str], place: Path) -> None:
    """Say how many of these runs are there as another version of this package or of torch made them."""
    old = [key for key in keys if any(path.stem != key for path in place.glob(f"{key.partition('-')[0]}-*.png"))]
    if old:
        said = f"{len(old)} runs in {place} were made by another version of nstutils or torch; they are made again"
        tqdm.write(said, file=sys.stderr)


def stored(place: Path | None, key: str) -> Result | None:
    """The finished run of this name in a folder; None where it is missing, unfinished or damaged: it is made again."""
    with contextlib.suppress(UserError, FileNotFoundError):
        found = Result.load(place / f"{key}.png") if place else None
        return found if found and found.finished else None
    return None


def _planned(runs: Mapping[str, Run], ends: Ends, place: Path | None, batch: int | None) -> list[list[Run]]:
    """What is left to do, in batches: those that were begun as they were, the rest by the settings of all runs."""
    taken, jobs = set(ends), []
    for keys in _begun(place).values():
        if set(keys) <= set(runs) and not set(keys) <= taken:
            jobs.append([runs[key] for key in keys])
            taken |= set(keys)
    rest = ([run for run in chunk if run.key not in taken] for chunk in _chunks(list(runs.values()), batch))
    return jobs + [left for left in rest if left]


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


def _begun(place: Path | None) -> dict[Path, list[str]]:
    """The keys of the runs of every batch that was begun, by its file."""
    return {path: _recorded(path).get("runs", []) for path in sorted(place.glob("*.batch.safetensors"))} if place else {}


def _recorded(path: Path | None) -> dict[str, Any]:
    """What the file of a batch says; nothing where it is damaged, or where another sweep in the same folder has ended it."""
    with contextlib.suppress(FileNotFoundError, UserError):
        return store.load_state(path) if path else {}
    return {}


def _tidy(ends: Ends, place: Path | None) -> None:
    """Remove the files of batches whose runs have all ended."""
    for path, keys in _begun(place).items():
        if set(keys) <= set(ends):
            path.unlink(missing_ok=True)


def _here(todo: Sequence[list[Run]], desk: Desk, bar: tqdm) -> Iterator[Ends]:
    """The jobs one after the other; the bar moves at every step."""
    for job in todo:
        end, share = bar.n + len(job), len(job) / (job[0].options.steps or 1)

        def watch(step: Step, share: float = share, end: float = end) -> None:
            bar.update(min(share, end - bar.n))

        yield from _made(job, desk, watch)
        bar.update(end - bar.n)


def _elsewhere(todo: Sequence[list[Run]], place: Path | None, executor: Executor, bar: tqdm) -> Iterator[Ends]:
    """The jobs on an executor, as they end; what has not begun is given up when this is stopped."""
    futures = {executor.submit(agreed, job, place): job for job in todo}
    try:
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, Exception):
                yield dict.fromkeys([run.key for run in futures[future]], error)
            else:
                yield from future.result()
            bar.update(len(futures[future]))
    finally:
        for future in futures:
            future.cancel()


def agreed(job: Sequence[Run], place: Path | None) -> list[Ends]:
    """The runs of a job on another process or computer, which must find the same pictures and weights there."""
    desk = Desk(place)
    for run in job:
        here = accept(run.content, run.styles, run.options, desk.network).settings | store.program()
        differ = store.differences(here, run.settings | run.program)
        if differ:
            raise UserError(f"this worker would make another picture ({differ}); give it the same files, weights and versions")
    return list(_made(job, desk))


def _made(job: Sequence[Run], desk: Desk, watch: Watch | None = None) -> Iterator[Ends]:
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


def _named(end: Any, run: Run) -> Any:
    """A result whose card names the files as they are named now."""
    if not isinstance(end, Result):
        return end
    return replace(end, card=end.card | {"settings": json.loads(json.dumps(run.settings))})


def _stopped(ends: Ends, count: int, place: Path | None) -> str:
    """What to tell after an interrupt."""
    done = sum(isinstance(end, Result) for end in ends.values())
    told = f"kept in {place}; the same call goes on from there" if place else "lost; give a folder to keep them another time"
    return f"stopped: {done} of {count} runs are done and {told}"


def _reported(settings: Sequence[Mapping[str, Any]], ended: Sequence[Any]) -> list[Result]:
    """The results, or an error that names the settings that failed and holds the other results; a bug is its cause."""
    failed = {number: end for number, end in enumerate(ended) if isinstance(end, Exception)}
    if not failed:
        return list(ended)
    said = [f"run {number} ({_words(settings[number])}): {files.reason(error)}" for number, error in failed.items()]
    more = f" | and {len(said) - 5} more" if len(said) > 5 else ""
    done = ", the others are done" if len(failed) < len(ended) else ""
    raise SweepError(
        f"{len(failed)} of {len(ended)} runs failed{done}; mend these settings: {' | '.join(said[:5])}{more}",
        [None if isinstance(end, Exception) else end for end in ended],
        failed,
    ) from next((error for error in failed.values() if not explained(error)), None)


def _words(settings: Mapping[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(f"{key}={'tensor' if isinstance(value, Tensor) else value}" for key, value in settings.items())
