"""Helpers for the neural-style-transfer course. Nothing is loaded before it is used: torch takes seconds."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nstutils.backbones import FeatureExtractor as FeatureExtractor
    from nstutils.course.predictions import Predictions as Predictions
    from nstutils.descent import optimise as optimise
    from nstutils.images import load as load
    from nstutils.images import save as save
    from nstutils.library.errors import UserError as UserError
    from nstutils.library.settings import settings as settings
    from nstutils.library.weights import backbone as backbone
    from nstutils.losses import ContentLoss as ContentLoss
    from nstutils.losses import StyleLoss as StyleLoss
    from nstutils.losses import TVLoss as TVLoss
    from nstutils.losses import gram as gram
    from nstutils.papers.experiments import figure as figure
    from nstutils.papers.verdicts import verdict as verdict
    from nstutils.results import Result as Result
    from nstutils.runs.sweeps import sweep as sweep
    from nstutils.transfer import stylise as stylise

HOMES = {
    "ContentLoss": "losses", "FeatureExtractor": "backbones", "Predictions": "course.predictions", "Result": "results",
    "StyleLoss": "losses", "TVLoss": "losses", "UserError": "library.errors", "backbone": "library.weights",
    "figure": "papers.experiments", "gram": "losses",
    "load": "images", "optimise": "descent", "save": "images", "settings": "library.settings", "stylise": "transfer",
    "sweep": "runs.sweeps", "verdict": "papers.verdicts",
}  # fmt: skip
MODULES = {
    **dict.fromkeys(("check", "filters", "measures", "plots", "ratings", "widgets"), "course"),
    **dict.fromkeys(("distances", "fast", "papers", "guidance", "images", "losses"), ""),
}  # that lessons ask for by name, and their rooms
__all__ = list(HOMES)


def __getattr__(name: str) -> Any:
    """A name of `HOMES`, from the module that is its home, or a module."""
    if name in MODULES:
        return import_module(".".join(part for part in ("nstutils", MODULES[name], name) if part))
    if name not in HOMES:
        raise AttributeError(f"module 'nstutils' has no attribute {name!r}")
    return getattr(import_module(f"nstutils.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    """What is loaded, and what can be."""
    return sorted({*globals(), *HOMES, *MODULES})
