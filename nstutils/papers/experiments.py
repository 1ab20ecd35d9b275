"""`figure(id)`: the runs of a row of the documents, made or found, measured, judged and drawn. A claim holds when all its
parts do for every pair of pictures, by the medians over the seeds; the bounds were fixed before anything was run."""

import itertools
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from tqdm.auto import tqdm

from nstutils.course.plots import encoded
from nstutils.fast import network as fast
from nstutils.library import files
from nstutils.library.errors import UserError
from nstutils.library.settings import Settings, settings
from nstutils.papers import beyond, chadebec, gatys, koc, shuvo, upes
from nstutils.papers.drawing import named, signed
from nstutils.papers.judging import kept, place, verdict
from nstutils.papers.rows import Case, Plan, Row
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.sweeps import sweep
from nstutils.runs.tasks import identity

ROWS = {
    name.replace("_", "-"): row
    for document in (gatys, chadebec, koc, shuvo, upes, beyond)
    for name, row in vars(document).items()
    if isinstance(row, Row)
}


@dataclass(frozen=True)
class Record:
    """What `figure` found: the fields of its JSON, and the drawing."""

    id: str
    claim: str
    measure: str
    holds: bool | None  # None where the runs are too small or too few to judge
    numbers: dict[str, Any]
    preset: str
    backbone: str
    seconds: float
    path: Path  # of the picture; the JSON lies beside it
    drawing: Figure = field(repr=False)


def figure(
    id: str,
    preset: str | None = None,
    backbone: str | None = None,
    out: str | os.PathLike[str] = "build/figures",
    executor: Executor | None = None,
    progress: bool = True,
) -> Record:
    """Make one experiment: its runs (kept in OUT/runs; `executor` as in `sweep`), numbers, verdict, OUT/ID.png and .json."""
    row, chosen, begin = find(id), settings(preset, backbone), time.perf_counter()
    folder = Path(os.path.expanduser(out)).absolute()
    path = files.writable(folder / f"{id}.png", (".png",))
    plan = _plan(row, chosen, folder / "runs")
    cases = [replace(case, numbers=row.numbers(case)) for case in _cases(id, row, plan, executor, progress)]
    holds, found = judged(row, cases)
    drawing = signed(row.draw(cases), row.source, cases)
    files.write(encoded(drawing, "png", 110), path)
    runs = dict.fromkeys(result for case in cases for result in case.results.values())  # also those of an earlier call
    seconds = max(time.perf_counter() - begin, sum(float(run.history.get("seconds", 0.0)) for run in runs))
    record = Record(id, row.claim, row.measure, holds, found, plan.preset, plan.backbone, seconds, path, drawing)
    told = {name: value for name, value in vars(record).items() if name not in ("path", "drawing")}
    store.write_json(told, path.with_suffix(".json"))
    return record


def find(id: str) -> Row:
    """The row of an id; an unknown one is told with the known ones."""
    if id not in ROWS:
        raise UserError(f"there is no figure {id!r}; choose from {', '.join(ROWS)}")
    return ROWS[id]


def _plan(row: Row, chosen: Settings, folder: Path) -> Plan:
    """The size, steps and method of a row at a preset. A position of relu4_2 is 8 pixels wide, and what it sees 92: at the
    papers' size 1/64 and 1/6 of the picture, at 128 px most of it, where no house can show. So the papers' content layer is
    kept at their size; smaller pictures take the default's, whose positions are a like share of them."""
    size, steps, way = row.effort[chosen.preset == "paper"]
    if chosen.preset != "paper":
        way = {name: value for name, value in way.items() if name != "content_layers"}
    if chosen.preset == "smoke":
        size, steps = chosen.size, chosen.steps
    return Plan(chosen.preset, row.backbone or chosen.backbone, size, steps, folder, way)


def _cases(id: str, row: Row, plan: Plan, executor: Executor | None, progress: bool) -> list[Case]:
    """The cases of a row with their results."""
    pairs, seeds = (row.pairs[: row.few], row.seeds[:1]) if plan.preset == "smoke" else (row.pairs, row.seeds)
    cases = [Case(plan, content, style, seed) for content, style in pairs for seed in seeds] or [Case(plan)]
    pool = None if row.timed else executor
    if row.made:
        found = _made(id, row.made, cases, pool, progress)
    elif row.runs:
        asked = [row.runs(case) for case in cases]
        options = [plan.options | case.given | own for case, runs in zip(cases, asked, strict=True) for own in runs.values()]
        folder, batch = (plan.folder / "timed", 1) if row.timed else (plan.folder, 4 if pool else None)
        done = iter(sweep("", "", options, folder=folder, executor=pool, progress=progress, batch=batch))  # each names its own
        found = [{label: next(done) for label in runs} for runs in asked]
    else:
        return cases
    return [replace(case, results=one) for case, one in zip(cases, found, strict=True)]


def _made(
    id: str, make: Callable[[Case, bool], dict[str, Result]], cases: Sequence[Case], executor: Executor | None, progress: bool
) -> list[dict[str, Result]]:
    """The results of cases that no sweep makes, kept by all that decides them; made one by one, or each on an executor."""
    jobs = []
    for case in cases:
        what = [case.plan.options, case.seed, identity(case.content), identity(case.style), fast.facts()["sha256"]]
        jobs.append(partial(kept, place(case.plan, id, what), partial(make, case, progress and not executor)))
    if not executor:
        return [job() for job in jobs]
    futures = [executor.submit(job) for job in jobs]
    try:
        bar = tqdm(futures, disable=not progress, desc="cases", unit="case", delay=0.3)
        return [future.result() for future in bar]
    finally:
        for future in futures:
            future.cancel()


def judged(row: Row, cases: Sequence[Case]) -> tuple[bool | None, dict[str, Any]]:
    """Whether the claim holds for these cases (None where it is not to be judged by them), and the numbers of the JSON."""
    plan = cases[0].plan
    pairs = [[case.numbers for case in group] for _, group in itertools.groupby(cases, named)]
    holds, found = verdict(pairs, row.parts, row.some)
    small = row.pairs and plan.preset == "smoke"
    invented = any(case.numbers.get("made up") for case in cases)
    fit = not small and not invented and row.only in ("", plan.backbone)
    made = {"size": plan.size, "steps": plan.steps} if cases[0].results else {}
    return holds if fit else None, made | found | {"cases": [case.given | case.numbers for case in cases]}
