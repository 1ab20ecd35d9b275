"""One picture from two: the whole of style transfer behind one function with every option."""

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from nstutils.descent import Watch, coarse_to_fine
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.options import checked, takes_options
from nstutils.runs.resolve import Problem, head, measured, prepare, recoloured, run_card
from nstutils.runs.tasks import Picture, several


@takes_options
def stylise(
    content: Picture,
    style: Picture | Sequence[Picture],
    *,
    out: str | os.PathLike[str] | None = None,
    history: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = False,
    stop: threading.Event | None = None,
    watch: Watch | None = None,
    **options: Any,
) -> Result:
    """The content of one picture in the style of another (or several): paths, names of known pictures, or tensors.

    `options` are the fields of `runs.options.Options`. With `out` the picture is saved there beside its run card, and a
    checkpoint while it runs; `resume` goes on from that. `history` is a JSON file for the losses of every step. `watch` is
    shown every step; `stop` (or an interrupt) ends the run early with the picture so far."""
    begin, chosen = time.perf_counter(), checked(options)
    read = (content, *several(style), chosen.init, chosen.weights, *(chosen.content_guide or ()), *(chosen.style_guide or ()))
    target, log = store.places(out, history, resume, read)
    if resume and not os.path.exists(target or ""):
        raise FileNotFoundError(f"there is no unfinished run {target} to go on from; start it without --resume")
    result = Result.load(target) if resume and target else None
    say = partial(tqdm.write, file=sys.stderr) if progress and not resume else None
    problem = prepare(content, style, chosen, say, result.card if result else None)
    card = run_card(problem)
    if result:
        store.refuse_other(target, result.card, card["settings"])
    if not result or not result.finished:
        told = head(card, time.perf_counter() - begin)
        state = result.state if result else None
        result = _made(problem, card, told, target, progress=progress, stop=stop, watch=watch, resume=state)
    if log:
        store.write_json(result.history, log)
    return result


def _made(problem: Problem, card: dict[str, Any], told: dict[str, Any], target: Path | None, **ways: Any) -> Result:
    """The run itself, saved at `target` now and then and at its end."""

    def kept(result: Result) -> Result:
        image = recoloured(problem, result.image).cpu()
        result = dataclasses.replace(result, image=image, card=card, history=told | result.history)
        if target:
            result.save(target)
        return result

    ways["checkpoint"] = kept if target else None
    o = problem.task.options
    result = coarse_to_fine(problem.net, problem.start(), problem.stages(), method=o.method, lr=o.lr, **ways)
    return kept(measured(problem, result))
