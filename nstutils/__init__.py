"""Helpers for the neural-style-transfer course: see README.md, and the lessons in notebooks/."""

from typing import Any

from nstutils.backbones import FeatureExtractor
from nstutils.images import load, save
from nstutils.losses import ContentLoss, StyleLoss, TVLoss, gram
from nstutils.optimise import optimise
from nstutils.results import Result
from nstutils.settings import settings
from nstutils.stylise import stylise
from nstutils.sweeps import sweep
from nstutils.weights import backbone


def __getattr__(name: str) -> Any:
    """`figure` loads matplotlib, which takes as long as all the rest: only where it is asked for."""
    if name == "figure":
        from nstutils.experiments import figure

        return figure
    raise AttributeError(f"module 'nstutils' has no attribute {name!r}")


__all__ = [
    "ContentLoss", "FeatureExtractor", "Result", "StyleLoss", "TVLoss", "backbone", "figure", "gram", "load", "optimise",
    "save", "settings", "stylise", "sweep",
]  # fmt: skip
