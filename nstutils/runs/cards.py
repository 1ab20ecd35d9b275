"""What is told of a run beside its picture: the card that makes it again, the head of its history, its last losses."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from nstutils import images
from nstutils.losses import total
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.resolve import Problem
from nstutils.runs.tiles import View


def run_card(problem: Problem) -> dict[str, Any]:
    """All that is needed to make the picture again."""
    card = {"settings": problem.task.settings, "seed": problem.task.options.seed, **_units(problem)}
    card |= {"versions": store.versions(), "threads": torch.get_num_threads(), "tile": problem.net.tile}
    if problem.regions:
        card["regions"] = problem.regions
    if problem.draft:
        card["draft"] = _units(problem.draft) | {"steps": problem.draft.task.steps}
    return card


def _units(problem: Problem) -> dict[str, Any]:
    """Whose losses these are: the network, its weights, and kappa."""
    net, scales = problem.task.exact, problem.scales
    kappa = {"kappa": scales[-1].kappa, "kappa_by_size": {str(max(one.size)): one.kappa for one in scales}}
    return {"backbone": net.name, "weights_sha256": net.sha256, **kappa}


def head(card: dict[str, Any], setup: float) -> dict[str, Any]:
    """What a history says before its steps: whose network, in which units, how long the setting up took."""
    return {name: card[name] for name in ("backbone", "weights_sha256", "kappa")} | {"setup_seconds": setup}


def measured(problem: Problem, result: Result) -> Result:
    """The result with its losses measured in float32 on the 8-bit pixels that are saved."""
    terms = problem.terms
    losses = View(problem.task.exact, problem.net.tile).losses(result.image.mul(255).round().div(255), terms)
    final = {name: float(value) for name, value in (losses | {"total": total(losses, terms)}).items()}
    return dataclasses.replace(result, history=result.history | {"final": final})


def recoloured(problem: Problem, image: Tensor) -> Tensor:
    """The picture with the photograph's colours, where the run is one of brightness alone."""
    if problem.task.options.keep_colour != "luminance":
        return image
    return images.with_luminance_of(image, images.resize(problem.pictures.photograph, (image.shape[-2], image.shape[-1])))
