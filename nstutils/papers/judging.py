"""What a row of the papers is, and what its measures share: cases, the settings of runs, orders, losses left, runs kept."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from scipy.stats import spearmanr
from torch import Tensor

from nstutils import images
from nstutils.library.weights import backbone
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.options import PAPERS, Options
from nstutils.runs.resolve import Targets, prepare

Choice = dict[str, Any]  # options of `stylise`
Runs = Mapping[str, Choice]
Numbers = dict[str, float]
Parts = dict[str, bool]
Pairs = tuple[tuple[str, str], ...]
Effort = tuple[int, int, Choice]  # long side, steps, and how to descend

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
PAIRS: Pairs = (("town", "swirls"), ("astronaut", "mosaic"), ("chelsea", "dots"))
EARLY = (0.4, 0.3, 0.1, 0.1, 0.1)  # of the five style layers; sums to 1, as the equal weights do
FINE: Choice = PAPERS  # Adam, coarse to fine: good pictures in few steps, but the start is soon forgotten
ONCE: Choice = PAPERS | {"scales": "1"}  # Adam at full size alone, as B and C
SLOW: Choice = PAPERS | {"method": "lbfgs"}  # coarse to fine: from noise it gets where full size alone does not
LBFGS: Choice = PAPERS | {"scales": "1", "method": "lbfgs"}  # as G; it comes in 150 steps where Adam needs thousands
# Gatys' own program starts from grey with noise of one level in 255. What no layer sees stays as it was at the start: from
# noise of full contrast, grain covers what the layers made
FAINT: Choice = LBFGS | {"init": "faint"}


def ratio(value: float) -> Choice:
    """α/β as two options."""
    return {"alpha": 1.0, "beta": 1 / value}


ONE: Choice = {"alpha": 1.0, "beta": 1e3}


@dataclass(frozen=True)
class Plan:
    """What a figure is made with."""

    preset: str
    backbone: str
    size: int
    steps: int
    folder: Path  # where runs are kept
    way: Choice = field(default_factory=dict)  # options of the descent: method and scales

    @property
    def options(self) -> Choice:
        """What all runs share."""
        return {"backbone": self.backbone, "size": self.size, "steps": self.steps} | self.way


@dataclass(frozen=True)
class Case:
    """One pair of pictures with one seed, the results of its runs by label, and what was measured of them."""

    plan: Plan
    content: str = ""
    style: str = ""
    seed: int = 0
    results: Mapping[str, Result] = field(default_factory=dict)
    numbers: Numbers = field(default_factory=dict)

    def image(self, label: str) -> Tensor:
        """The picture of a run."""
        return self.results[label].image

    def settings(self, label: str) -> Choice:
        """The settings of a run."""
        return dict(self.results[label].card["settings"])

    def final(self, label: str, name: str) -> float:
        """A raw loss of the picture of a run."""
        return float(self.results[label].history["final"][name])

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the photograph at the size of the runs."""
        return (self.p.shape[-2], self.p.shape[-1])

    @cached_property
    def p(self) -> Tensor:
        """The photograph at the size of the runs."""
        photograph = images.load(self.content)
        return images.resize(photograph, images.fitted(photograph, self.plan.size))

    @cached_property
    def a(self) -> Tensor:
        """The artwork, its long side at the size of the runs."""
        return images.load(self.style, self.plan.size)

    @property
    def covering(self) -> Tensor:
        """The artwork in the photograph's frame."""
        return images.cover(self.a, self.shape)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One experiment: what a document claims, the runs of a case, its numbers, the bounds that decide, the drawing."""

    source: str
    claim: str
    measure: str
    numbers: Callable[[Case], Numbers]
    parts: Callable[[Numbers], Parts]
    draw: Callable[[Sequence[Case]], Figure]
    runs: Callable[[Case], Runs] | None = None  # options of each run of a case, for a sweep
    made: Callable[[Case, bool], dict[str, Result]] | None = None  # instead of a sweep; told whether to show progress
    quick: Effort = (128, 150, FINE)
    paper: Effort = (512, 500, ONCE)
    pairs: Pairs = PAIRS
    seeds: tuple[int, ...] = (0, 1)
    few: int = 1  # pairs at the smoke preset
    some: bool = False  # whether one pair is enough: something exists
    backbone: str = ""  # the network that the row is about, whichever is asked for
    only: str = ""  # the one backbone whose pictures are judged
    timed: bool = False  # whether seconds are compared: then the runs are made one by one, here


def verdict(
    pairs: Sequence[Sequence[Numbers]], parts: Callable[[Numbers], Parts], some: bool = False
) -> tuple[bool, dict[str, Any]]:
    """Whether a claim holds: all its parts for every pair of pictures (with `some`: for one), by the medians over the seeds."""
    told, count = [parts(_medians(cases)) for cases in pairs], len(pairs)
    held = sum(all(one.values()) for one in told)
    by_part = {name: f"{sum(one[name] for one in told)} of {count}" for name in told[0]}
    medians = _medians([one for cases in pairs for one in cases])
    return held == count or (some and held > 0), {"held": f"{held} of {count}", "parts": by_part, "median": medians}


def _medians(numbers: Sequence[Numbers]) -> Numbers:
    return {name: statistics.median(one[name] for one in numbers) for name in numbers[0]}


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Spearman's rank correlation; 0 where one of the two is constant."""
    if min(xs) == max(xs) or min(ys) == max(ys):
        return 0.0
    return round(float(spearmanr(xs, ys).statistic), 12)  # 0.9 as 0.9: bounds are compared with it


def order(values: Sequence[float]) -> float:
    """1 where the values rise from each to the next, -1 where they fall: Spearman's correlation with their places."""
    return spearman(range(len(values)), values)


def rises(values: Sequence[float]) -> bool:
    """Whether five values rise, but for one exchange of neighbours at most."""
    return order(values) >= 0.9


def five(numbers: Numbers, prefix: str = "") -> list[float]:
    """The numbers of the five layers, shallow to deep."""
    return [numbers[prefix + layer] for layer in LAYERS]


def ends(content: str, style: str, **options: Any) -> Targets:
    """The targets of a pair at full size, which know the style errors of x = p and the content loss of x = a."""
    return prepare(content, style, Options(steps=1, scales="1", **options)).scales[-1]


def targets(case: Case, label: str) -> Targets:
    """The targets that a run had, at full size."""
    used, names = case.settings(label), ("backbone", "content_layers", "style_layers", "style_size", "style_scale")
    own = {name: used[name] for name in names if used[name] is not None}
    return ends(case.content, case.style, size=case.plan.size, **own)


def left(case: Case) -> Numbers:
    """Of the picture of the case's one run, content loss over its value at x = a and style loss over its value at x = p."""
    there, weights = targets(case, "run"), case.settings("run")["layer_weights"]
    errors = list(there.style_errors.values())
    style = sum(w * e for w, e in zip(weights or [1 / len(errors)] * len(errors), errors, strict=True))
    return {
        "content left": case.final("run", "content") / sum(there.content_errors.values()),
        "style left": case.final("run", "style") / style,
    }


def place(plan: Plan, name: str, what: Any) -> Path:
    """Where results are kept that no sweep makes: by the hash of `what` they depend on, the weights, and what computes."""
    key = store.fingerprint([[what, backbone(plan.backbone).sha256], store.program()])
    return plan.folder / f"{name}-{key[:16]}"


def kept(folder: Path, make: Callable[[], dict[str, Result]]) -> dict[str, Result]:
    """The results in a folder; where they are not all there, whole, `make` gives them."""
    found = _read(folder)
    if found is None:
        made = make()
        for label, result in made.items():
            result.save(folder / f"{label}.png")
        store.write_json({"labels": list(made)}, folder / "done.json")
        found = _read(folder)
    return found or {}


def _read(folder: Path) -> dict[str, Result] | None:
    """The results in a folder, None where one of them is missing or damaged."""
    try:
        labels = json.loads((folder / "done.json").read_text(encoding="utf-8"))["labels"]
        return {label: Result.load(folder / f"{label}.png") for label in labels}
    except (OSError, ValueError, KeyError):
        return None
