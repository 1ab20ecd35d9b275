"""Helpers for the neural-style-transfer course: see README.md, and the lessons in notebooks/.

Nothing is loaded before it is used: torch takes seconds, and `nstutils --help` needs none of it.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nstutils.backbones import FeatureExtractor
    from nstutils.experiments import figure
    from nstutils.images import load, save
    from nstutils.losses import ContentLoss, StyleLoss, TVLoss, gram
    from nstutils.optimise import optimise
    from nstutils.results import Result
    from nstutils.settings import settings
    from nstutils.stylise import stylise
    from nstutils.sweeps import sweep
    from nstutils.weights import backbone

__all__ = [
    "ContentLoss", "FeatureExtractor", "Result", "StyleLoss", "TVLoss", "backbone", "figure", "gram", "load", "optimise",
    "save", "settings", "stylise", "sweep",
]  # fmt: skip

_HOMES = {
    "backbones": ("FeatureExtractor",),
    "experiments": ("figure",),
    "images": ("load", "save"),
    "losses": ("ContentLoss", "StyleLoss", "TVLoss", "gram"),
    "optimise": ("optimise",),
    "results": ("Result",),
    "settings": ("settings",),
    "stylise": ("stylise",),
    "sweeps": ("sweep",),
    "weights": ("backbone",),
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


class _Package(ModuleType):
    """The package, where `stylise` stays the function although a module has the same name, whichever is loaded first."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
