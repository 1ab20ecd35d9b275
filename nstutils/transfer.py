"""One picture from two: the whole of style transfer behind one function with every option."""

import contextlib
import dataclasses
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images
from nstutils.descent import Watch, coarse_to_fine
from nstutils.library import files, pictures
from nstutils.library.errors import UserError
from nstutils.losses import total
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.options import Options, refuse_unknown, takes
from nstutils.runs.resolve import Problem, prepare
from nstutils.runs.tasks import Picture, several
from nstutils.runs.tiles import View

LONGEST = 200  # bytes of a file name: most file systems take 255, and those of card and state are longer


@takes(Options)
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
    shown every step; `stop` (or an interrupt) ends the run early with the picture so far.
    """
    begin, chosen = time.perf_counter(), checked(options)
    target, log = _places(out, history, resume, [content, *several(style)], chosen)
    say = partial(tqdm.write, file=sys.stderr) if progress and not resume else None
    result = _earlier(target) if resume and target else None
    problem = prepare(content, style, chosen, say, result.card if result else None)
    card = run_card(problem)
    if result:
        store.refuse_other(target, result.card, card["settings"])
    if progress and not result:
        _tell_masks(problem)
    if not result or not result.finished:
        told = head(problem, time.perf_counter() - begin)
        state = result.state if result else None
        result = _made(problem, card, told, target, progress=progress, stop=stop, watch=watch, resume=state)
    if log:
        store.write_json(result.history, log)
    return result


def _made(problem: Problem, card: dict[str, Any], told: dict[str, Any], target: Path | None, **ways: Any) -> Result:
    """The run itself, saved at `target` now and then and at its end."""

    def kept(result: Result) -> Result:
        image = recoloured(problem, result.image)
        result = dataclasses.replace(result, image=image, card=card, history=told | result.history)
        if target:
            result.save(target)
        return result

    ways["checkpoint"] = kept if target else None
    o = problem.options
    result = coarse_to_fine(problem.net, problem.start(), problem.stages(), method=o.method, lr=o.lr, **ways)
    return kept(measured(problem, result))


def checked(options: Mapping[str, Any]) -> Options:
    """The options, or an error that names the one that does not exist."""
    refuse_unknown("stylise", options, [item.name for item in dataclasses.fields(Options)])
    return Options(**options)


def _places(
    out: Any, history: Any, resume: bool, looked_at: Sequence[Picture], options: Options
) -> tuple[Path | None, Path | None]:
    """Where the picture and its history are to be saved."""
    target = _target(out, looked_at, options) if out is not None else None
    log = files.writable(history, (".json",)) if history is not None else None
    if log and target and log.resolve() == store.card_path(target).resolve():
        raise UserError(f"{log} is where the run card goes; give another name for the history")
    if resume and not target:
        raise UserError("resume needs out: give the picture whose unfinished run is to go on")
    return target, log


def _target(out: str | os.PathLike[str], looked_at: Sequence[Picture], o: Options) -> Path:
    """Where to save; never over one of the files that are read."""
    target = files.writable(out, images.FORMATS)
    if len(os.fsencode(target.name)) > LONGEST:
        raise UserError(
            f"the name {target.name[:20]!r}... takes {len(os.fsencode(target.name))} bytes; give one of at most {LONGEST}, "
            "where a letter with an accent counts twice"
        )
    for file in (*looked_at, o.init, o.weights, *(o.content_guide or ()), *(o.style_guide or ())):
        if isinstance(file, str | os.PathLike) and target.exists():
            with contextlib.suppress(OSError):  # the name of a kind of start is no file
                if target.samefile(pictures.find(file)):
                    raise UserError(f"{target} is one of the files to read; give another name to save under")
    return target


def _earlier(target: Path) -> Result:
    """The saved run to go on from."""
    if not target.exists():
        raise FileNotFoundError(f"there is no unfinished run {target} to go on from; start it without --resume")
    return Result.load(target)


def _tell_masks(problem: Problem) -> None:
    """Say where masks leave a gap or overlap."""
    for name, means in (("gap", "belong to no region and take no style"), ("overlap", "take more than one style")):
        if problem.regions and problem.regions[name]:
            tqdm.write(f"masks: {problem.regions[name]} of {problem.regions['pixels']} pixels {means}", file=sys.stderr)


def run_card(problem: Problem) -> dict[str, Any]:
    """All that is needed to make the picture again."""
    card = {"settings": problem.task.settings, "seed": problem.options.seed, **_units(problem)}
    card |= {"versions": store.versions(), "threads": torch.get_num_threads(), "tile": problem.net.tile}
    if problem.regions:
        card["regions"] = problem.regions
    if problem.draft:
        card["draft"] = _units(problem.draft) | {"steps": problem.draft.task.steps}
    return card


def _units(problem: Problem) -> dict[str, Any]:
    """Whose losses these are: the network, its weights, and kappa."""
    net, scales = problem.exact, problem.scales
    kappa = {"kappa": scales[-1].kappa, "kappa_by_size": {str(max(one.size)): one.kappa for one in scales}}
    return {"backbone": net.name, "weights_sha256": net.sha256, **kappa}


def head(problem: Problem, setup: float) -> dict[str, Any]:
    """What a history says before its steps: whose network, in which units, how long the setting up took."""
    units = _units(problem)
    return {name: units[name] for name in ("backbone", "weights_sha256", "kappa")} | {"setup_seconds": setup}


def measured(problem: Problem, result: Result) -> Result:
    """The result with its losses measured in float32 on the 8-bit pixels that are saved."""
    terms = problem.terms
    losses = View(problem.exact, problem.net.tile).losses(result.image.mul(255).round().div(255), terms)
    final = {name: float(value) for name, value in (losses | {"total": total(losses, terms)}).items()}
    return dataclasses.replace(result, history=result.history | {"final": final})


def recoloured(problem: Problem, image: Tensor) -> Tensor:
    """The picture with the photograph's colours, where the run is one of brightness alone."""
    if problem.options.keep_colour != "luminance":
        return image
    return images.with_luminance_of(image, images.resize(problem.pictures.photograph, (image.shape[-2], image.shape[-1])))
