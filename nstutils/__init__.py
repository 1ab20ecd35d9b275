"""Helpers for the neural-style-transfer course: see README.md, and the lessons in notebooks/."""

from nstutils.backbones import FeatureExtractor
from nstutils.images import load, save
from nstutils.losses import ContentLoss, StyleLoss, TVLoss, gram
from nstutils.optimise import optimise
from nstutils.results import Result
from nstutils.settings import settings
from nstutils.stylise import stylise
from nstutils.weights import backbone

__all__ = [
    "ContentLoss", "FeatureExtractor", "Result", "StyleLoss", "TVLoss", "backbone", "gram", "load", "optimise", "save",
    "settings", "stylise",
]  # fmt: skip
