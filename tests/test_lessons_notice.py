"""What is broken in the library is noticed by a lesson: the cell that must notice it stops, with all cells that it builds upon,
and goes through where nothing is broken."""

from collections.abc import Callable
from typing import Any

import pytest
import slices
import torch
from torch import Tensor

import nstutils
from nstutils import losses
from nstutils.backbones import FeatureExtractor
from nstutils.course.check import CheckFailed
from nstutils.fast import network

Patch = pytest.MonkeyPatch
CELLS = {  # the words of a cell: its lesson, and what its settings become so that it takes little time
    "by hand and by the network: equal": ("01", ""),
    "average pooling passes the gradient to every input": ("01", ""),
    "eq. 2 equals autograd": ("02", ""),
    "check.style_gradient(": ("03", ""),
    "eq. 6 equals autograd": ("03", ""),
    "TVLoss gives": ("04", ""),
    "along a row content falls": ("05", "size, steps, ratios = 64, 6, [1e-6, 1e-1]"),
    "the strength of a style does not depend on the area": ("07", ""),
    "at batch 1, in training, both are one": ("08", ""),
}


def pooled_by_maximum(patch: Patch) -> None:
    """Maximum for average pooling."""
    real = nstutils.backbone
    patch.setattr(nstutils, "backbone", lambda name, *, pool="avg": real(name, pool="max"))


def next_layer(patch: Patch) -> None:
    """The next layer handed out for the one asked for."""
    forward = FeatureExtractor.forward

    def wrong(self: FeatureExtractor, image: Tensor, layers: Any) -> dict[str, Tensor]:
        after = [self.layers[min(self.layers.index(layer) + 1, len(self.layers) - 1)] for layer in layers]
        return dict(zip(layers, forward(self, image, after).values(), strict=True))

    patch.setattr(FeatureExtractor, "forward", wrong)


def changed(owner: type, change: Callable[[Any, Tensor], Tensor]) -> Callable[[Patch], None]:
    """A loss whose value comes out otherwise."""
    call: Any = owner.__call__
    return lambda patch: patch.setattr(owner, "__call__", lambda self, *given: change(self, call(self, *given)))


def gram_of(wrong: Callable[[Tensor, Tensor | None], Tensor]) -> Callable[[Patch], None]:
    """Another Gram matrix."""

    def broken(patch: Patch) -> None:
        for owner in (nstutils, losses):
            patch.setattr(owner, "gram", lambda f, guide=None: wrong(f, guide))

    return broken


def remembered(patch: Patch) -> None:
    """Batch norm that uses what it remembers while it trains."""
    forward = network.Unit.forward
    patch.setattr(network.Unit, "forward", lambda self, *given: forward(self.eval() if self.norm == "batch" else self, *given))


def swapped(patch: Patch) -> None:
    """Alpha and beta swapped."""
    real = nstutils.sweep

    def wrong(content: Any, style: Any, settings: Any, **common: Any) -> Any:
        alpha_for_beta = [one | {"alpha": common["beta"], "beta": one["alpha"]} for one in settings]
        return real(content, style, alpha_for_beta, **{name: value for name, value in common.items() if name != "beta"})

    patch.setattr(nstutils, "sweep", wrong)


GRAM = losses.gram
MUTANTS: dict[str, tuple[str, Callable[[Patch], None]]] = {  # what is broken: (the cell that must notice, what breaks it)
    "batch norm that uses what it remembers while it trains": ("at batch 1, in training, both are one", remembered),
    "guides of any energy": (
        "the strength of a style does not depend on the area",
        gram_of(lambda f, guide: GRAM(f) if guide is None else GRAM(guide * f) * f[0, 0].numel()),
    ),
    "Gram not divided by its positions": ("check.style_gradient(", gram_of(lambda f, guide: GRAM(f, guide) * f[0, 0].numel())),
    "content loss without its half": ("eq. 2 equals autograd", changed(losses.ContentLoss, lambda self, value: 2 * value)),
    "content loss detached from the picture": (
        "eq. 2 equals autograd",
        changed(losses.ContentLoss, lambda self, value: value.detach()),
    ),
    "layer loss without 1/(4 N^2)": (
        "eq. 6 equals autograd",
        changed(losses.StyleLoss, lambda self, value: 4 * next(iter(self.targets.values())).shape[-1] ** 2 * value),
    ),
    "the next layer handed out for the one asked for": ("by hand and by the network: equal", next_layer),
    "no total variation": ("TVLoss gives", changed(losses.TVLoss, lambda self, value: 0 * value)),
    "alpha and beta swapped": ("along a row content falls", swapped),
    "maximum for average pooling": ("average pooling passes the gradient to every input", pooled_by_maximum),
}


@pytest.fixture(autouse=True)
def _as_the_makers_run_it(monkeypatch: Patch) -> None:
    monkeypatch.setenv("NSTUTILS_STRICT", "1")


def run(words: str, monkeypatch: Patch) -> None:
    lesson, smaller = CELLS[words]
    monkeypatch.setenv("NSTUTILS_PRESET", "quick" if lesson == "05" else "smoke")  # its claim is one of the quick preset
    with torch.random.fork_rng():
        slices.run(lesson, words, smaller)


@pytest.mark.parametrize("words", CELLS)
def test_a_cell_goes_through_by_itself(words: str, monkeypatch: Patch) -> None:
    run(words, monkeypatch)


@pytest.mark.parametrize(("words", "broken"), MUTANTS.values(), ids=MUTANTS)
def test_a_lesson_notices_a_broken_library(words: str, broken: Callable[[Patch], None], monkeypatch: Patch) -> None:
    broken(monkeypatch)
    with pytest.raises((CheckFailed, AssertionError, RuntimeError)):
        run(words, monkeypatch)
