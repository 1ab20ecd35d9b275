"""Helpers for the neural-style-transfer course. Nothing is loaded before it is used: torch takes seconds."""
# ruff: noqa: F401

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that editors and mypy know what `__getattr__` finds
    from nstutils.backbones import FeatureExtractor
    from nstutils.course.predictions import Predictions
    from nstutils.descent import optimise
    from nstutils.images import load, save
    from nstutils.library.errors import UserError
    from nstutils.library.settings import settings
    from nstutils.library.weights import backbone
    from nstutils.losses import ContentLoss, StyleLoss, TVLoss, gram
    from nstutils.papers.experiments import figure
    from nstutils.papers.verdicts import verdict
    from nstutils.results import Result
    from nstutils.runs.sweeps import sweep
    from nstutils.transfer import stylise

HOMES = {
    "ContentLoss": "losses", "FeatureExtractor": "backbones", "Predictions": "course.predictions", "Result": "results",
    "StyleLoss": "losses", "TVLoss": "losses", "UserError": "library.errors", "backbone": "library.weights",
    "figure": "papers.experiments", "gram": "losses", "load": "images", "optimise": "descent", "save": "images",
    "settings": "library.settings", "stylise": "transfer", "sweep": "runs.sweeps", "verdict": "papers.verdicts",
}  # fmt: skip
COURSE = ("check", "filters", "measures", "plots", "ratings", "widgets")
MODULES = (*COURSE, "distances", "fast", "papers", "guidance", "images", "losses")  # that lessons ask for by name
__all__ = list(HOMES)


def __getattr__(name: str) -> Any:
    """A name of `HOMES`, from the module that is its home, or a module."""
    if name in MODULES:
        return import_module(f"nstutils.course.{name}" if name in COURSE else f"nstutils.{name}")
    if name not in HOMES:
        raise AttributeError(f"module 'nstutils' has no attribute {name!r}")
    return getattr(import_module(f"nstutils.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    """What is loaded, and what can be."""
    return sorted({*globals(), *HOMES, *MODULES})
