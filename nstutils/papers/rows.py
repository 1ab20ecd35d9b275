"""What a row of the papers is, its cases, and the settings that many of their runs share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from nstutils import images
from nstutils.course import measures
from nstutils.results import Result
from nstutils.runs.options import PAPERS

Choice = dict[str, Any]  # options of `stylise`
Runs = dict[str, Choice]
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


ONE = ratio(1e-3)


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

    @property
    def given(self) -> Choice:
        """Pictures and seed, as options; none where the case has no pictures of its own."""
        return {"content": self.content, "style": self.style, "seed": self.seed} if self.content else {}

    def image(self, label: str) -> Tensor:
        """The picture of a run."""
        return self.results[label].image

    def settings(self, label: str) -> Choice:
        """The settings of a run."""
        return dict(self.results[label].card["settings"])

    def final(self, label: str, name: str) -> float:
        """A raw loss of the picture of a run."""
        return float(self.results[label].history["final"][name])

    @cached_property
    def correlations(self) -> Numbers:
        """By run how far its picture follows the photograph, pixel by pixel."""
        return {label: measures.correlation(run.image, self.p) for label, run in self.results.items()}

    def edges(self, label: str) -> float:
        """How far the edges of the picture of a run stand where the photograph's do."""
        return measures.edge_correlation(self.image(label), self.p)

    def length(self, label: str) -> float:
        """How large the structures in the picture of a run are: their autocorrelation length."""
        return measures.autocorrelation_length(self.image(label))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the photograph at the size of the runs."""
        return (self.p.shape[-2], self.p.shape[-1])

    @cached_property
    def p(self) -> Tensor:
        """The photograph at the size of the runs."""
        return images.load(self.content, self.plan.size)

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
    effort: tuple[Effort, Effort] = ((128, 150, FINE), (512, 500, ONCE))  # at quick, at paper
    pairs: Pairs = PAIRS
    seeds: tuple[int, ...] = (0, 1)
    few: int = 1  # pairs at the smoke preset
    some: bool = False  # whether one pair is enough: something exists
    backbone: str = ""  # the network that the row is about, whichever is asked for
    only: str = ""  # the one backbone whose pictures are judged
    timed: bool = False  # whether seconds are compared: then the runs are made one by one, here
