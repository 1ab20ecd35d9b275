"""One picture from two: the whole of style transfer behind one function with every option."""

import contextlib
import dataclasses
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from nstutils import images
from nstutils.descent import Stage, Step, coarse_to_fine
from nstutils.library import files, pictures
from nstutils.library.errors import UserError
from nstutils.losses import total
from nstutils.results import Result
from nstutils.runs import preflight, store, tiles
from nstutils.runs.options import Options
from nstutils.runs.resolve import Ahead, Picture, Problem, prepare

LONG = 1e13  # floating-point operations from which a run is announced: about a minute on a laptop
LONGEST = 200  # bytes of a file name: most file systems take 255, and those of card and state are longer


def stylise(
    content: Picture,
    style: Picture | Sequence[Picture],
    *,
    out: str | os.PathLike[str] | None = None,
    history: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = False,
    stop: threading.Event | None = None,
    watch: Callable[[Step], None] | None = None,
    **options: Any,
) -> Result:
    """The content of one picture in the style of another (or several): paths, names of known pictures, or tensors.

    `options` are the fields of `runs.options.Options`. With `out` the picture is saved there beside its run card, and a
    checkpoint while it runs; `resume` goes on from that. `history` is a JSON file for the losses of every step. `watch` is
    shown every step; `stop` (or an interrupt) ends the run early with the picture so far.
    """
    begin = time.perf_counter()
    chosen = checked(options)
    target = _target(out, content, style, chosen) if out is not None else None
    log = files.writable(history, (".json",)) if history is not None else None
    if log and target and log.resolve() == store.card_path(target).resolve():
        raise UserError(f"{log} is where the run card goes; give another name for the history")
    if resume and not target:
        raise UserError("resume needs out: give the picture whose unfinished run is to go on")
    announce = partial(_announce, chosen.method) if progress and not resume else None
    problem = prepare(content, style, chosen, announce, _card(target) if resume and target else None)
    card = run_card(problem)
    earlier = _earlier(target, card) if resume and target else None
    if earlier and earlier.finished:
        if log:
            store.write_json(earlier.history, log)
        return earlier
    if progress and not earlier:
        _tell_masks(problem)
    setup = time.perf_counter() - begin

    def dressed(result: Result) -> Result:
        result = dataclasses.replace(result, card=card, history=head(problem, setup) | result.history)
        if target:
            result.save(target)
        return result

    result = coarse_to_fine(
        problem.net,
        problem.start(),
        problem.stages(),
        progress=progress,
        stop=stop,
        watch=watch,
        checkpoint=(lambda result: dressed(recoloured(problem, result))) if target else None,
        resume=earlier.state if earlier else None,
        method=problem.options.method,
        lr=problem.options.lr,
        tile=problem.tile,
    )
    result = dressed(measured(problem, result))
    if log:
        store.write_json(result.history, log)
    return result


def checked(options: Mapping[str, Any]) -> Options:
    """The options, or an error that names the one that does not exist."""
    known = sorted(item.name for item in fields(Options))
    for name in options:
        if name not in known:
            raise TypeError(f"stylise has no option {name!r}; choose from {', '.join(known)}")
    return Options(**options)


_own = [p for p in inspect.signature(stylise).parameters.values() if p.kind is not p.VAR_KEYWORD]
_options = [
    inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type) for f in fields(Options)
]
stylise.__signature__ = inspect.Signature(_own + _options, return_annotation=Result)  # type: ignore[attr-defined]


def _target(out: str | os.PathLike[str], content: Picture, style: Picture | Sequence[Picture], o: Options) -> Path:
    """Where to save; never over one of the files that are read."""
    target = files.writable(out, images.FORMATS)
    if len(os.fsencode(target.name)) > LONGEST:
        raise UserError(
            f"the name {target.name[:20]!r}... takes {len(os.fsencode(target.name))} bytes; give one of at most {LONGEST}, "
            "where a letter with an accent counts twice"
        )
    styles = style if isinstance(style, list | tuple) else [style]
    for file in (content, *styles, o.init, o.weights, *(o.content_guide or ()), *(o.style_guide or ())):
        if isinstance(file, str | os.PathLike) and target.exists():
            with contextlib.suppress(OSError):  # the name of a kind of start is no file
                if target.samefile(pictures.find(file)):
                    raise UserError(f"{target} is one of the files to read; give another name to save under")
    return target


def _earlier(target: Path, card: dict[str, Any]) -> Result:
    """The saved run to go on from; refuses one with other settings."""
    if not target.exists():
        raise FileNotFoundError(f"there is no unfinished run {target} to go on from; start it without --resume")
    return Result.load(target, expect=card["settings"])


def _card(target: Path) -> dict[str, Any]:
    """The card of the run to go on from; empty where it cannot be read, which is told later."""
    with contextlib.suppress(OSError, ValueError):
        return store.read_card(target)
    return {}


def _work(part: Ahead) -> float:
    """Floating-point operations of the steps and of the passes that the targets take."""
    once = [Stage(size, 1, {}) for size, _ in part.looked_at]
    return preflight.work(part.net, part.layers, [*part.stages, *once])


def _announce(method: str, parts: Sequence[Ahead]) -> None:
    """Say before a long run how long it and its targets will take, and how much memory."""
    if parts[-1].tile or sum(map(_work, parts)) > LONG:
        each = [preflight.estimate(part.net, part.layers, part.stages, method, part.tile) for part in parts]
        before = [preflight.memory(p.exact, p.layers, size, None, tile) for p in parts for size, tile in p.looked_at]
        memory = max(*before, *(one.memory for one in each))
        told = preflight.Estimate(sum(one.seconds for one in each), memory, parts[-1].tile)
        first = preflight.span(sum(preflight.passing(part.exact, part.layers, part.looked_at) for part in parts))
        tqdm.write(f"this run will take {told}, once its targets are computed, which takes {first}", file=sys.stderr)


def _tell_masks(problem: Problem) -> None:
    """Say where masks leave a gap or overlap."""
    for name, means in (("gap", "belong to no region and take no style"), ("overlap", "take more than one style")):
        if problem.regions and problem.regions[name]:
            tqdm.write(f"masks: {problem.regions[name]} of {problem.regions['pixels']} pixels {means}", file=sys.stderr)


def run_card(problem: Problem) -> dict[str, Any]:
    """All that is needed to make the picture again."""
    net, draft = problem.exact, problem.draft
    return (
        {
            "settings": problem.settings,
            "seed": problem.options.seed,
            "backbone": net.name,
            "weights_sha256": net.sha256,
            "kappa": problem.scales[-1].kappa,
            "kappa_by_size": {str(max(targets.size)): targets.kappa for targets in problem.scales},
            "versions": store.versions(),
            "threads": torch.get_num_threads(),
            "tile": problem.tile,
        }
        | ({"regions": problem.regions} if problem.regions else {})
        | ({"draft": _told_draft(draft)} if draft else {})
    )


def _told_draft(draft: Problem) -> dict[str, Any]:
    """What the card tells of the draft: its network, its units, its steps."""
    kappa = {str(max(targets.size)): targets.kappa for targets in draft.scales}
    net = {"backbone": draft.exact.name, "weights_sha256": draft.exact.sha256}
    return net | {"kappa_by_size": kappa, "steps": draft.options.steps}


def head(problem: Problem, setup: float) -> dict[str, Any]:
    """What a history says before its steps: whose network, in which units, how long the setting up took."""
    net = problem.exact
    head = {"backbone": net.name, "weights_sha256": net.sha256, "kappa": problem.scales[-1].kappa}
    return head | {"setup_seconds": setup}


@torch.no_grad()
def measured(problem: Problem, result: Result) -> Result:
    """The result with its losses measured in float32 on the 8-bit pixels that are saved, and its colours put back."""
    stage = problem.stages()[-1]
    terms = stage.terms(stage.steps) if callable(stage.terms) else stage.terms
    losses = tiles.evaluate(problem.exact, result.image.mul(255).round().div(255), terms, problem.tile)
    final = {name: float(value) for name, value in (losses | {"total": total(losses, terms)}).items()}
    return recoloured(problem, dataclasses.replace(result, history=result.history | {"final": final}))


def recoloured(problem: Problem, result: Result) -> Result:
    """The result with the photograph's colours, where the run is one of brightness alone."""
    if problem.options.keep_colour != "luminance":
        return result
    colours = images.resize(problem.photograph, (result.image.shape[-2], result.image.shape[-1]))
    return dataclasses.replace(result, image=images.with_luminance_of(result.image, colours))
