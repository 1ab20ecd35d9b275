"""Helpers for the neural-style-transfer course: see README.md, and the lessons in notebooks/.

Nothing is loaded before it is used: torch takes seconds, and `nstutils --help` needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nstutils.backbones import FeatureExtractor
    from nstutils.descent import optimise
    from nstutils.images import load, save
    from nstutils.library.errors import UserError
    from nstutils.library.settings import settings
    from nstutils.library.weights import backbone
    from nstutils.losses import ContentLoss, StyleLoss, TVLoss, gram
    from nstutils.papers.experiments import figure
    from nstutils.results import Result
    from nstutils.runs.sweeps import sweep
    from nstutils.transfer import stylise

__all__ = [
    "ContentLoss", "FeatureExtractor", "Result", "StyleLoss", "TVLoss", "UserError", "backbone", "figure", "gram", "load",
    "optimise", "save", "settings", "stylise", "sweep",
]  # fmt: skip

_HOMES = {
    "backbones": ("FeatureExtractor",),
    "descent": ("optimise",),
    "images": ("load", "save"),
    "library.errors": ("UserError",),
    "library.settings": ("settings",),
    "library.weights": ("backbone",),
    "losses": ("ContentLoss", "StyleLoss", "TVLoss", "gram"),
    "papers.experiments": ("figure",),
    "results": ("Result",),
    "runs.sweeps": ("sweep",),
    "transfer": ("stylise",),
}  # the module of each name


def __getattr__(name: str) -> Any:
    """A name of `__all__`, from the module that is its home."""
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"nstutils.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'nstutils' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is loaded, and what can be."""
    return sorted({*globals(), *__all__})
