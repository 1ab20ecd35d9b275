"""Many runs: a list of settings to a list of results, equal sizes in one batch, every finished run kept in a folder."""

import dataclasses
import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images
from nstutils.descent import Step
from nstutils.library import files
from nstutils.library.errors import UserError, explained
from nstutils.results import Result
from nstutils.runs import jobs, store
from nstutils.runs.jobs import Ends, Run
from nstutils.runs.tasks import Picture, accept

BAR = "{l_bar}{bar}| {n:.1f}/{total_fmt} [{elapsed}<{remaining}]"  # a batch moves it at every step, so runs have fractions


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
    desk = jobs.Desk(_place(folder))
    if isinstance(settings, Mapping):
        raise TypeError("settings are one dict, but a sweep wants a list of them; put it in [ ] or make it with grid")
    asked = [jobs.accepted({"content": content, "style": style} | common | dict(given), desk) for given in settings]
    runs = {run.key: run for run in asked if isinstance(run, Run)}
    ends: dict[str, Result | Exception] = {key: found for key in runs if (found := jobs.stored(desk.place, key))}
    if progress and desk.place:
        _tell_old([key for key in runs if key not in ends], desk.place)
    todo = jobs.planned(runs, ends, desk.place, batch)
    bar = tqdm(total=len(runs), initial=len(ends), disable=not progress, desc="sweep", bar_format=BAR, delay=0.3)
    try:
        with bar:
            for some in _elsewhere(todo, desk.place, executor, bar) if executor else _here(todo, desk, bar):
                ends |= some
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(ends, len(runs), desk.place)) from None
    jobs.tidy(ends, desk.place)
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


def _here(todo: Sequence[list[Run]], desk: jobs.Desk, bar: tqdm) -> Iterator[Ends]:
    """The jobs one after the other; the bar moves at every step."""
    for job in todo:
        end, share = bar.n + len(job), len(job) / (job[0].options.steps or 1)

        def watch(step: Step, share: float = share, end: float = end) -> None:
            bar.update(min(share, end - bar.n))

        yield from jobs.made(job, desk, watch)
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
    desk = jobs.Desk(place)
    for run in job:
        here = accept(run.content, run.styles, run.options, desk.network).settings | store.program()
        differ = store.differences(here, run.settings | run.program)
        if differ:
            raise UserError(f"this worker would make another picture ({differ}); give it the same files, weights and versions")
    return list(jobs.made(job, desk))


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
