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
from nstutils.library.errors import UserError, explained
from nstutils.library.weights import backbone
from nstutils.results import Result, kept
from nstutils.runs import preflight, store
from nstutils.runs.batches import joined
from nstutils.runs.options import Options
from nstutils.runs.resolve import Picture, Problem, Task, accept, looked_at, narrowed, prepare, read
from nstutils.runs.tiles import View
from nstutils.transfer import checked, head, measured, recoloured, run_card

BATCH = 600_000_000  # bytes that the pictures of a batch may take
SEEN = 8  # pictures that a sweep keeps in memory, so that each file is read once
BAR = "{l_bar}{bar}| {n:.1f}/{total_fmt} [{elapsed}<{remaining}]"  # a batch moves it at every step, so runs have fractions
# what runs of a batch may differ in: all but the last line also with the same targets
OWN = ("alpha", "beta", "tv", "content_layers", "style_layers", "layer_weights", "seed", "init", "raw_loss", "preset")
SHAPE = ("content", "style", "style_weights", "style_size", "style_scale", "keep_colour", "size", "scales",
         "content_guide", "style_guide", "guide_mode")  # fmt: skip

Ends = dict[str, Result | Exception | None]  # by the run's key; None for a run that was stopped
Watch = Callable[[Step], None] | None
Seen = dict[tuple[str, int], Tensor]  # pictures by their sha256


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
    targets: str  # and those that agree in this the targets of their losses
    bytes: int  # that one more picture of its size takes

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
    `client.get_executor()`) gets the batches. `batch` is the most runs in one (default: by memory; 1: none).
    """
    place = _place(folder)
    if isinstance(settings, Mapping):
        raise TypeError("settings are one dict, but a sweep wants a list of them; put it in [ ] or make it with grid")
    seen: Seen = {}
    network = lru_cache(maxsize=2)(backbone)
    asked = [_accepted({"content": content, "style": style} | common | dict(given), network, seen) for given in settings]
    runs = {run.key: run for run in asked if isinstance(run, Run)}
    ends: Ends = {key: found for key in runs if (found := kept(_path(place, key)))}
    if progress and place:
        _tell_old([key for key in runs if key not in ends], place)
    jobs = _jobs(list(runs.values()), ends, place, batch)
    bar = tqdm(total=len(runs), initial=len(ends), disable=not progress, desc="sweep", bar_format=BAR, delay=0.3)
    try:
        with bar:
            for some in _elsewhere(jobs, place, executor, bar) if executor else _here(jobs, place, seen, bar):
                ends |= some
                if None in some.values():
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(ends, len(runs), place)) from None
    _tidy(ends, place)
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


def _path(place: Path | None, key: str) -> Path | None:
    return place / f"{key}.png" if place else None


def _accepted(given: Mapping[str, Any], network: Any, seen: Seen) -> Run | Exception:
    """A run made of its settings, or what is wrong with them."""
    try:
        options = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}
        run = accept(options.pop("content"), options.pop("style"), checked(options), network)
        resolved = dataclasses.replace(run.options, dtype=run.settings["dtype"], device=run.settings["device"])
        return Run(run.content, run.styles, resolved, run.settings, store.program(), *_shared(run, seen))
    except Exception as error:  # whatever it is, the other runs are not lost
        return error


def _shared(run: Task, seen: Seen) -> tuple[str, str, int]:
    """What runs of one batch have in common, what those with the same targets have, and the bytes of one more picture."""
    o, (content, styles) = run.options, _pictures(run, seen)
    wanted = run.sizes(content)
    coarse = run.style_sizes(styles, max(wanted[0]))
    one, none = (preflight.memory(View(run.net), run.layers, size, o.method) for size in (wanted[-1], (0, 0)))
    apart = o.method == "lbfgs" or o.draft or o.tile or isinstance(o.layer_weights, Mapping)
    alike: Any = {key: value for key, value in run.settings.items() if key not in OWN + SHAPE} | {"sizes": wanted}
    alike |= {"regions": len(run.styles) if o.content_guide else 0}
    if o.content_guide and o.guide_mode == "inside":  # whether a guide is empty at a scale depends on the layers
        alike |= {"style_layers": o.style_layers}
    if min(wanted[0]) < run.exact.smallest(run.exact.layers):  # too small for the layers that others may ask for
        alike |= {"layers": sorted(set(run.layers))}
    # the style layers of one may need larger styles at the first scale than those of another
    targets = {key: value for key, value in run.settings.items() if key not in OWN} | {"styles": coarse}
    return store.fingerprint(run.settings if apart else alike), store.fingerprint(targets), one - none


def _pictures(run: Run | Task, seen: Seen) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The pictures of a run, each of a sweep read once."""
    large, larger = looked_at(run.options)
    asked = [(run.settings["content"]["sha256"], large), *((told["sha256"], larger) for told in run.settings["style"])]
    for picture, key in zip((run.content, *run.styles), asked, strict=True):
        if key not in seen:
            seen[key] = read(picture, "content" if picture is run.content else "style", key[1])
    content, *styles = (seen[key] for key in asked)
    while len(seen) > SEEN:
        seen.pop(next(iter(seen)))
    return content, tuple(styles)


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


def _jobs(runs: Sequence[Run], ends: Ends, place: Path | None, batch: int | None) -> list[list[Run]]:
    """What is left to do, in batches: those that were begun as they were, the rest by the settings of all runs."""
    by_key, taken, jobs = {run.key: run for run in runs}, set(ends), []
    for keys in _begun(place).values():
        if set(keys) <= set(by_key) and not set(keys) <= taken:
            jobs.append([by_key[key] for key in keys])
            taken |= set(keys)
    rest = ([run for run in chunk if run.key not in taken] for chunk in _chunks(runs, batch))
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


def _tidy(ends: Ends, place: Path | None) -> None:
    """Remove the files of batches whose runs have all ended."""
    for path, keys in _begun(place).items():
        if set(keys) <= set(ends):
            path.unlink(missing_ok=True)


def _here(jobs: Sequence[list[Run]], place: Path | None, seen: Seen, bar: tqdm) -> Iterator[Ends]:
    """The jobs one after the other; the bar moves at every step."""
    for job in jobs:
        end, share = bar.n + len(job), len(job) / (job[0].options.steps or 1)

        def watch(step: Step, share: float = share, end: float = end) -> None:
            bar.update(min(share, end - bar.n))

        yield _made(job, place, seen, watch)
        bar.update(end - bar.n)


def _elsewhere(jobs: Sequence[list[Run]], place: Path | None, executor: Executor, bar: tqdm) -> Iterator[Ends]:
    """The jobs on an executor, as they end; what has not begun is given up when this is stopped."""
    futures = {executor.submit(agreed, job, place): job for job in jobs}
    try:
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, Exception):
                yield dict.fromkeys([run.key for run in futures[future]], error)
            else:
                yield future.result()
            bar.update(len(futures[future]))
    finally:
        for future in futures:
            future.cancel()


def agreed(job: Sequence[Run], place: Path | None) -> Ends:
    """The runs of a job on another process or computer, which must find the same pictures and weights there."""
    network = lru_cache(maxsize=2)(backbone)
    for run in job:
        here = accept(run.content, run.styles, run.options, network).settings | store.program()
        differ = store.differences(here, run.settings | run.program)
        if differ:
            raise UserError(
                f"this worker would make another picture ({differ}); give it the same files, NSTUTILS_WEIGHTS and versions"
            )
    return _made(job, place, {})


def _made(job: Sequence[Run], place: Path | None, seen: Seen, watch: Watch = None) -> Ends:
    """The runs of a job: together, or one by one where one of them, or too little memory, spoils the batch."""
    if len(job) > 1:
        try:
            return _together(job, place, seen, watch)
        except Exception as error:
            if isinstance(error, OSError) or not explained(error):  # a full disk or a bug: each would fail by itself too
                return dict.fromkeys([run.key for run in job], error)
            said = f"a batch of {len(job)} runs failed ({files.reason(error)}); each of them is made by itself"
            tqdm.write(said, file=sys.stderr)
    ends: Ends = {}
    for run in job:
        try:
            ends[run.key] = kept(_path(place, run.key)) or _together([run], place, seen, watch)[run.key]
        except Exception as error:  # told at the end, when the others are done
            ends[run.key] = kept(_path(place, run.key)) or error  # another sweep in the same folder may have made it meanwhile
        if ends[run.key] is None:
            break
    return ends


def _together(job: Sequence[Run], place: Path | None, seen: Seen, watch: Watch) -> Ends:
    """The runs of a batch, kept one by one at its end; all None when they were stopped."""
    begin, path = time.perf_counter(), _record(place, job)
    record = _recorded(path)
    problems = _problems(job, record, seen)
    setup, first = time.perf_counter() - begin, problems[0]

    def keep(state: dict[str, Any] | None) -> None:
        if path:
            store.save_state({"runs": [run.key for run in job], "tile": first.net.tile, "state": state}, path)

    if not record:
        keep(None)
    start, o = torch.cat([problem.start() for problem in problems]), first.options
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
    _tidy(dict(ends), place)
    return dict(ends)


def _problems(job: Sequence[Run], record: Mapping[str, Any], seen: Seen) -> list[Problem]:
    """The runs made ready: those with the same pictures share their targets, computed once for all their layers. What was
    begun, as its record says, keeps its tiles."""
    groups: dict[str, list[Run]] = {}
    for run in job:
        groups.setdefault(run.targets, []).append(run)
    ready: dict[str, Problem] = {}
    for group in groups.values():
        whole = prepare(*_pictures(group[0], seen), _widest([run.options for run in group]), made=record)
        ready |= {run.key: narrowed(whole, run.options, run.settings) for run in group}
    return [dataclasses.replace(ready[run.key], net=ready[job[0].key].net) for run in job]


def _widest(options: Sequence[Options]) -> Options:
    """The first of these options, with the layers of all."""
    if len(options) == 1:
        return options[0]
    layers = {
        name: tuple(dict.fromkeys(layer for one in options for layer in getattr(one, name) or ()))
        for name in ("content_layers", "style_layers")
    }
    return dataclasses.replace(options[0], **layers, layer_weights=None)  # type: ignore[arg-type]


def _stages(problems: Sequence[Problem]) -> list[Stage]:
    """The stages of a batch, from those of its runs."""
    if len(problems) == 1:
        return problems[0].stages()
    device, stages = problems[0].exact.weight.device, []
    for parts in zip(*(problem.stages() for problem in problems), strict=True):
        terms: list[Any] = [part.terms for part in parts]
        stages.append(Stage(parts[0].size, parts[0].steps, joined(terms, device)))
    return stages


def _part(result: Result, number: int, problem: Problem, setup: float) -> Result:
    """One run of a batch with its own history and card, as it comes back from its files: a picture of 8 bits, lists for
    tuples. Its seconds are its share."""
    count = len(result.image)
    steps = [
        {name: value[number] if isinstance(value, list) else value for name, value in row.items()}
        | {"seconds": row["seconds"] / count}
        for row in result.history["steps"]
    ]
    history = head(problem, setup / count) | {"seconds": result.history["seconds"] / count, "steps": steps}
    card = run_card(problem) | ({"batch": count} if count > 1 else {})
    own = measured(problem, Result(result.image[number : number + 1], history, card))
    own = dataclasses.replace(own, image=recoloured(problem, own.image))
    history, card = (json.loads(store.as_json(value)) for value in (own.history, own.card))
    return Result(own.image.cpu().clamp(0, 1).mul(255).round().div(255), history, card)


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
