"""Many runs: a list of settings to a list of results, equal sizes together in one batch, every finished run kept in a folder.

Runs of equal size go through the network together, each with its own weights, layers, targets, start and seed: Adam and SGD
treat every pixel for itself, so the runs stay independent. Which runs share a batch is decided by the settings and, where it
is scarce, by free memory; a batch that was stopped goes on as it was, so that a sweep that was killed ends bit by bit like one
that was not.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images
from nstutils.descent import Stage, Step, coarse_to_fine
from nstutils.library import files
from nstutils.library.errors import UserError
from nstutils.library.weights import backbone
from nstutils.losses import joined
from nstutils.results import Result
from nstutils.runs import preflight, store
from nstutils.runs.options import Options
from nstutils.runs.resolve import Accepted, Picture, Problem, Size, accept, narrowed, prepare
from nstutils.transfer import checked, head, measured, run_card, stylise

BATCH = 600_000_000  # bytes that the pictures of a batch may take
OWN = ("alpha", "beta", "tv", "content_layers", "style_layers", "layer_weights", "seed", "init", "raw_loss", "preset")
GUIDES = ("content_guide", "style_guide", "guide_mode")
STYLES = ("style", "style_weights", "style_size", "style_scale")
SHAPE = ("content", *STYLES, "keep_colour", "size", "scales", *GUIDES)  # nor these, in a batch

Ends = dict[str, Result | Exception | None]  # by the run's key; None for a run that was stopped
Watch = Callable[[Step], None] | None


class SweepError(UserError):
    """Some runs of a sweep failed: `failed` has the errors by the run's number, `results` the others (None at the failed)."""

    def __init__(self, said: str, done: list[Result | None], failed: dict[int, Exception]):
        super().__init__(said)
        self.results, self.failed = done, failed


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a sweep, ready to be sent to another process."""

    content: Picture
    styles: tuple[Picture, ...]
    options: Options
    settings: dict[str, Any]
    program: dict[str, Any]  # what computes it, as `store.program` tells
    alike: str  # runs that agree in this can share a batch
    bytes: int  # that one more picture of its size takes
    coarse: tuple[Size, ...]  # sizes of the styles at the first scale: its style layers may need larger ones than others'

    @property
    def key(self) -> str:
        """The name under which the run is stored: what it is, and who made it."""
        return f"{store.fingerprint(self.settings)}-{store.fingerprint(self.program)[:8]}"


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
    `client.get_executor()`) gets the batches and single runs. `batch` is the most runs in one (default: by memory; 1: none).
    """
    place = _place(folder)
    if isinstance(settings, Mapping):
        raise TypeError("settings are one dict, but a sweep wants a list of them; put it in [ ] or make it with grid")
    if batch is not None and batch < 1:
        raise UserError(f"batch is {batch}, but must be at least 1; leave it out to have it chosen by memory")
    network = lru_cache(maxsize=2)(backbone)
    asked = [_accepted({"content": content, "style": style} | common | dict(given), network) for given in settings]
    runs = {run.key: run for run in asked if isinstance(run, Run)}
    ends: Ends = {key: end for key, run in runs.items() if (end := _stored(run, place))}
    if progress and place:
        _tell_old([key for key in runs if key not in ends], place)
    jobs = _jobs(list(runs.values()), ends, place, batch)
    bar = tqdm(total=len(runs), initial=len(ends), disable=not progress, desc="sweep", bar_format=BAR, delay=0.3)
    try:
        with bar:
            for some in _elsewhere(jobs, place, executor, bar) if executor else _here(jobs, place, bar):
                ends |= some
                if None in some.values():
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(ends, len(runs), place)) from None
    _tidy(ends, place)
    return _reported(settings, [_named(ends[run.key], run) if isinstance(run, Run) else run for run in asked])


BAR = "{l_bar}{bar}| {n:.1f}/{total_fmt} [{elapsed}<{remaining}]"  # a batch moves it at every step, so runs have fractions


def _place(folder: str | os.PathLike[str] | None) -> Path | None:
    """The folder to keep runs in, as an absolute path."""
    if folder is None:
        return None
    path = Path(os.path.expanduser(folder)).absolute()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{os.fspath(folder)!r} is a file, but the runs need a folder; give another name")
    files.writable(path / "run.png", images.FORMATS)
    return path


def _accepted(given: Mapping[str, Any], network: Any) -> Run | Exception:
    """A run made of its settings, or what is wrong with them."""
    try:
        options = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}
        run = accept(options.pop("content"), options.pop("style"), checked(options), network)
        resolved = dataclasses.replace(run.options, dtype=run.settings["dtype"], device=run.settings["device"])
        return Run(run.content, run.styles, resolved, run.settings, store.program(), *_alike(run))
    except Exception as error:  # whatever it is, the other runs are not lost
        return error


def _alike(run: Accepted) -> tuple[str, int, tuple[Size, ...]]:
    """What runs of one batch have in common, the bytes that one more picture takes, the sizes of the styles at first."""
    o, (wanted, styles) = run.options, run.sizes()
    net, layers = run.net, (*(o.content_layers or ()), *(o.style_layers or ()))
    one, none = (preflight.memory(net, layers, size, o.method) for size in (wanted[-1], (0, 0)))
    apart = o.method == "lbfgs" or o.draft or o.tile or isinstance(o.layer_weights, Mapping)
    common: Any = {key: value for key, value in run.settings.items() if key not in OWN + SHAPE} | {"sizes": wanted}
    common |= {"regions": len(run.styles) if o.content_guide else 0}
    if o.content_guide and o.guide_mode == "inside":  # whether a guide is empty at a scale depends on the layers
        common |= {"style_layers": o.style_layers}
    if min(wanted[0]) < run.exact.smallest(run.exact.layers):  # too small for the layers that others may ask for
        common |= {"layers": sorted(set(layers))}
    return store.fingerprint(run.settings if apart else common), one - none, tuple(styles)


def _stored(run: Run, place: Path | None) -> Result | None:
    """The finished run as it was kept, if it was."""
    found = _kept(_path(place, run))
    return found if found and found.finished else None


def _tell_old(keys: Sequence[str], place: Path) -> None:
    """Say how many of these runs are there as another version of this package or of torch made them."""
    old = [key for key in keys if any(path.stem != key for path in place.glob(f"{key.partition('-')[0]}-*.png"))]
    if old:
        said = f"{len(old)} runs in {place} were made by another version of nstutils or torch; they are made again"
        tqdm.write(said, file=sys.stderr)


def _named(end: Any, run: Run) -> Any:
    """A result whose card names the files as they are named now."""
    if not isinstance(end, Result):
        return end
    return dataclasses.replace(end, card=end.card | {"settings": json.loads(json.dumps(run.settings))})


def _kept(path: Path | None) -> Result | None:
    """What lies at a run's place, finished or not; nothing where it is missing or damaged, so that it is made again."""
    try:
        return Result.load(path) if path and path.exists() else None
    except (ValueError, FileNotFoundError):
        return None


def _path(place: Path | None, run: Run) -> Path | None:
    return place / f"{run.key}.png" if place else None


def _jobs(runs: Sequence[Run], ends: Ends, place: Path | None, batch: int | None) -> list[list[Run]]:
    """What is left to do, in batches: those that were begun as they were, the rest by the settings of all runs."""
    by_key, taken, jobs = {run.key: run for run in runs}, set(ends), []
    for keys in _begun(place).values() if place else ():
        if set(keys) <= set(by_key) and not set(keys) <= taken:
            jobs.append([by_key[key] for key in keys])
            taken |= set(keys)
    rest = ([run for run in chunk if run.key not in taken] for chunk in _chunks(runs, batch))
    return jobs + [left for left in rest if left]


def _chunks(runs: Sequence[Run], batch: int | None) -> Iterator[list[Run]]:
    """The runs in batches of about equal length, none larger than memory or `batch` allows."""
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


def _record(place: Path, runs: Sequence[Run]) -> Path:
    """The file that tells which runs share a batch that was begun; its state lies beside it."""
    return place / f"{store.fingerprint([run.key for run in runs])}.batch.json"


def _begun(place: Path) -> dict[Path, list[str]]:
    """The keys of the runs of every batch that was begun, by its record."""
    return {path: _recorded(path).get("runs", []) for path in sorted(place.glob("*.batch.json"))}


def _recorded(record: Path | None) -> dict[str, Any]:
    """What the record of a batch says; nothing where another sweep in the same folder has just ended it, or it is damaged, so
    that its runs are made again and it goes."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        found = json.loads(record.read_text(encoding="utf-8")) if record else {"runs": []}
        return dict(found) | {"runs": [str(key) for key in found["runs"]]}
    return {}


def _tidy(ends: Ends, place: Path | None) -> None:
    """Remove the records of batches whose runs have all ended."""
    for path, keys in _begun(place).items() if place else ():
        if set(keys) <= set(ends):
            store.state_path(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def _here(jobs: Sequence[list[Run]], place: Path | None, bar: tqdm) -> Iterator[Ends]:
    """The jobs one after the other; the bar moves at every step."""
    for job in jobs:
        end, share = bar.n + len(job), len(job) / (job[0].options.steps or 1)

        def watch(step: Step, share: float = share, end: float = end) -> None:
            bar.update(min(share, end - bar.n))

        yield made(job, place, watch)
        bar.update(end - bar.n)


def _elsewhere(jobs: Sequence[list[Run]], place: Path | None, executor: Executor, bar: tqdm) -> Iterator[Ends]:
    """The jobs on an executor, as they end; what has not begun is given up when this is stopped."""
    futures = {executor.submit(agreed, job, place): job for job in jobs}
    try:
        for future in as_completed(futures):
            job = futures[future]
            error = future.exception()
            if isinstance(error, Exception):
                yield dict.fromkeys([run.key for run in job], error)
            else:
                yield future.result()
            bar.update(len(job))
    finally:
        for future in futures:
            future.cancel()


def agreed(job: Sequence[Run], place: Path | None) -> Ends:
    """`made` on another process or computer, which must find the same pictures and weights there."""
    network = lru_cache(maxsize=2)(backbone)
    for run in job:
        here = accept(run.content, run.styles, run.options, network).settings | store.program()
        differ = store.differences(here, run.settings | run.program)
        if differ:
            raise UserError(
                f"this worker would make another picture ({differ}); give it the same files, NSTUTILS_WEIGHTS and versions"
            )
    return made(job, place)


def made(job: Sequence[Run], place: Path | None, watch: Watch = None) -> Ends:
    """The runs of a job: together, or one by one where they cannot be (or one of them spoils the batch)."""
    if len(job) > 1:
        try:
            return _together(job, place, watch)
        except Exception as error:
            if not _spoilt(error):
                return dict.fromkeys([run.key for run in job], error)
            said = f"a batch of {len(job)} runs failed ({files.reason(error)}); each of them is made by itself"
            tqdm.write(said, file=sys.stderr)
    ends: Ends = {}
    for run in job:
        try:
            ends[run.key] = _stored(run, place) or _alone(run, place, watch)
        except Exception as error:  # told at the end, when the others are done
            ends[run.key] = _stored(run, place) or error  # another sweep in the same folder may have made it meanwhile
        if ends[run.key] is None:
            break
    return ends


def _spoilt(error: Exception) -> bool:
    """Whether one of its runs, or too little memory, ended a batch: then each may do by itself. A full disk is neither."""
    scarce = isinstance(error, RuntimeError) and "alloc" in str(error)  # torch's words
    return scarce or isinstance(error, ValueError | ArithmeticError | MemoryError)


def _alone(run: Run, place: Path | None, watch: Watch) -> Result | None:
    """One run by itself; None when it was stopped."""
    path = _path(place, run)
    options = {item.name: getattr(run.options, item.name) for item in dataclasses.fields(Options)}
    result = stylise(run.content, run.styles, out=path, resume=_kept(path) is not None, watch=watch, **options)
    return _as_stored(result) if result.finished else None


def _together(job: Sequence[Run], place: Path | None, watch: Watch) -> Ends:
    """The runs of a batch, kept one by one at its end; all None when they were stopped."""
    begin, record = time.perf_counter(), _record(place, job) if place else None
    problems = _problems(job, _recorded(record))
    setup = time.perf_counter() - begin
    if record:
        store.write_json({"runs": [run.key for run in job], "tile": problems[0].tile}, record)

    def keep(result: Result) -> None:
        if record:
            store.save_state(result.state or {}, store.state_path(record))

    first, o = problems[0], problems[0].options
    own: dict[str, Any] = {
        "method": o.method,
        "lr": o.lr,
        "tile": first.tile,
        "watch": watch,
        "checkpoint": keep,
        "resume": _state(record),
    }
    result = coarse_to_fine(first.net, torch.cat([problem.start() for problem in problems]), _stages(problems), **own)
    if not result.finished:
        keep(result)
        return dict.fromkeys([run.key for run in job])
    ends = {run.key: _as_stored(_part(result, number, problems[number], setup)) for number, run in enumerate(job)}
    for key, end in ends.items() if place else ():
        end.save(place / f"{key}.png")  # type: ignore[operator]
    _tidy(dict(ends), place)
    return dict(ends)


def _problems(job: Sequence[Run], record: Mapping[str, Any]) -> list[Problem]:
    """The runs made ready: those with the same pictures share their targets, computed once for all their layers. What was
    begun, as its record says, keeps its tiles."""
    groups: dict[str, list[Run]] = {}
    for run in job:
        shared = {key: value for key, value in run.settings.items() if key not in OWN} | {"coarse": run.coarse}
        groups.setdefault(store.fingerprint(shared), []).append(run)
    ready: dict[str, Problem] = {}
    for group in groups.values():
        asked = [(run.options.content_layers or (), run.options.style_layers or ()) for run in group]
        content, style = (
            tuple(dict.fromkeys(layer for layers in part for layer in layers)) for part in zip(*asked, strict=True)
        )
        options = dataclasses.replace(group[0].options, content_layers=content, style_layers=style, layer_weights=None)
        whole = prepare(group[0].content, group[0].styles, options, made=record)
        ready |= {run.key: narrowed(whole, run.options, run.settings) for run in group}
    net, exact = ready[job[0].key].net, ready[job[0].key].exact
    return [dataclasses.replace(ready[run.key], net=net, exact=exact) for run in job]


def _stages(problems: Sequence[Problem]) -> list[Stage]:
    """The stages of a batch, from those of its runs."""
    device, stages = problems[0].content.device, []
    for parts in zip(*(problem.stages() for problem in problems), strict=True):
        terms: list[Any] = [part.terms for part in parts]
        stages.append(Stage(parts[0].size, parts[0].steps, joined(terms, device)))
    return stages


def _state(record: Path | None) -> dict[str, Any] | None:
    """Where a batch was stopped; it begins afresh where that cannot be read."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return store.load_state(store.state_path(record)) if record else None
    return None


def _part(result: Result, number: int, problem: Problem, setup: float) -> Result:
    """One run of a batch, with its own history and card; its seconds are its share."""
    count = len(result.image)
    steps = [
        {name: value[number] if isinstance(value, list) else value for name, value in row.items()}
        | {"seconds": row["seconds"] / count}
        for row in result.history["steps"]
    ]
    history = head(problem, setup / count) | {"seconds": result.history["seconds"] / count, "steps": steps}
    own = Result(result.image[number : number + 1], history, run_card(problem) | {"batch": count})
    return measured(problem, own)


def _as_stored(result: Result) -> Result:
    """The result as it comes back from its files: a picture of 8 bits, lists for tuples."""
    history, card = (json.loads(store.as_json(value)) for value in (result.history, result.card))
    return Result(result.image.cpu().clamp(0, 1).mul(255).round().div(255), history, card)


def _stopped(ends: Ends, count: int, place: Path | None) -> str:
    """What to tell after an interrupt."""
    done = sum(isinstance(end, Result) for end in ends.values())
    kept = f"kept in {place}; the same call goes on from there" if place else "lost; give a folder to keep them another time"
    return f"stopped: {done} of {count} runs are done and {kept}"


def _reported(settings: Sequence[Mapping[str, Any]], ended: Sequence[Any]) -> list[Result]:
    """The results, or an error that names the settings that failed and holds the other results."""
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
    )


def _words(settings: Mapping[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(f"{key}={'tensor' if isinstance(value, Tensor) else value}" for key, value in settings.items())
