"""Presets, and the one place that reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

import pooch

from nstutils.library.errors import UserError


@dataclass(frozen=True)
class Preset:
    """How large and how long: the long side in pixels and the steps over all scales."""

    size: int
    steps: int


PRESETS = {"smoke": Preset(64, 20), "quick": Preset(256, 150), "paper": Preset(512, 500)}
BACKBONES = ("classroom", "vgg19", "vgg16", "vgg16-hed", "squeezenet", "random-vgg19")
COPIES = {"vgg16-hed": "classroom"}  # the narrow copy of a network, which can draft for it


@dataclass(frozen=True)
class Settings:
    """What the reader chose by environment variables, and the defaults of what was not chosen."""

    preset: str
    size: int  # long side of pictures in pixels
    steps: int  # of a run, over all scales
    backbone: str
    weights: Path | None  # a weights file to take instead of the shipped or downloaded one
    cache: Path  # where downloads are kept
    mirror: str | None  # a folder or address where downloads are looked for first
    strict: bool  # whether a claim that a lesson records otherwise is an error, as in the makers' tests


def settings(preset: str | None = None, backbone: str | None = None) -> Settings:
    """The settings in force: the arguments, else NSTUTILS_PRESET and NSTUTILS_BACKBONE, else 'quick' and 'classroom'."""
    weights, chosen = os.environ.get("NSTUTILS_WEIGHTS"), _one_of("preset", preset, "NSTUTILS_PRESET", tuple(PRESETS), "quick")
    return Settings(
        preset=chosen,
        size=PRESETS[chosen].size,
        steps=PRESETS[chosen].steps,
        backbone=_one_of("backbone", backbone, "NSTUTILS_BACKBONE", BACKBONES, "classroom"),
        weights=Path(os.path.expanduser(weights)) if weights else None,
        cache=Path(os.path.expanduser(os.environ.get("NSTUTILS_CACHE") or pooch.os_cache("nstutils"))),
        mirror=os.environ.get("NSTUTILS_MIRROR") or None,
        strict=os.environ.get("NSTUTILS_STRICT", "") not in ("", "0"),
    )


def _one_of(what: str, given: str | None, variable: str, choices: tuple[str, ...], default: str) -> str:
    value = given or os.environ.get(variable) or default
    if value not in choices:
        source = what if given else f"the environment variable {variable}"
        raise UserError(f"{source} is {value!r}, which is not known; choose from {', '.join(choices)}")
    return value
