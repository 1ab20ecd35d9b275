"""Checks of lesson 03: Gram matrices and the style loss."""

import torch
from torch import Tensor

from nstutils import losses
from nstutils.course.check.judging import Answer, judge, random
from nstutils.course.check.lesson02 import PAIRS

FEATURES = [(random(1, 2, 2, 2),), (random(1, 3, 4, 7, seed=1),), (random(2, 4, 5, 3, seed=2),)]
ORDERS = [
    (f[0], torch.randperm(f[0][0, 0].numel(), generator=torch.Generator().manual_seed(k))) for k, f in enumerate(FEATURES, 3)
]
GRAMS = [(losses.gram(f), losses.gram(p), f.shape[1]) for f, p in PAIRS]
STYLES = [(f, losses.gram(p)) for f, p in PAIRS]


def gram(answer: Answer) -> None:
    """Lesson 03: F Fᵀ / M, eq. 3."""
    judge("gram", answer, losses.gram, FEATURES, WRONG["gram"], gradient=True)


def shuffled(answer: Answer) -> None:
    """Lesson 03: the positions in another order, the same for all filters."""
    judge("shuffled", answer, _shuffled, ORDERS, WRONG["shuffled"])


def _shuffled(f: Tensor, order: Tensor) -> Tensor:
    return f.flatten(2)[..., order].reshape(f.shape)


def _own_orders(f: Tensor, order: Tensor) -> Tensor:
    rows = [f.flatten(2)[:, k, order.roll(k)] for k in range(f.shape[1])]
    return torch.stack(rows, 1).reshape(f.shape)


def _sent(f: Tensor, order: Tensor) -> Tensor:
    return _shuffled(f, order.argsort())


def layer_loss(answer: Answer) -> None:
    """Lesson 03: E_l = Σ (G − A)² / (4 N²) of two Gram matrices F Fᵀ / M, eq. 4."""
    judge("layer_loss", answer, _layer_loss, GRAMS, WRONG["layer_loss"], gradient=True)


def _layer_loss(g: Tensor, a: Tensor, n: int) -> Tensor:
    return (g - a).square().sum((1, 2)) / (4 * n**2)


def style_gradient(answer: Answer) -> None:
    """Lesson 03: (G − A) F / (N² M) where F > 0, else 0, eq. 6 with G = F Fᵀ / M."""
    judge("style_gradient", answer, _style_gradient, STYLES, WRONG["style_gradient"])


def _style_gradient(f: Tensor, a: Tensor) -> Tensor:
    return _ungated(f, a) * (f > 0)


def _ungated(f: Tensor, a: Tensor) -> Tensor:
    slope = (losses.gram(f) - a) @ f.flatten(2)
    return slope.reshape(f.shape) / (f.shape[1] ** 2 * f[0, 0].numel())


def _untransposed(f: Tensor, a: Tensor) -> Tensor:
    slope = f.flatten(2).mT @ (losses.gram(f) - a)
    return slope.reshape(f.shape) / (f.shape[1] ** 2 * f[0, 0].numel()) * (f > 0)


WRONG: dict[str, dict[str, Answer]] = {
    "gram": {
        "divide by the M = height × width positions": lambda f: f.flatten(2) @ f.flatten(2).mT,
        "it divides by filters × positions; divide by the positions alone": lambda f: losses.gram(f) / f.shape[1],
        "it multiplies positions with positions (Fᵀ F, M × M); wanted filters with filters": lambda f: (
            f.flatten(2).mT @ f.flatten(2) / f[0, 0].numel()
        ),
        "rows of F must be filters: flatten height and width, do not reshape to (height × width) × filters": lambda f: (
            f.reshape(f.shape[0], -1, f.shape[1]).mT @ f.reshape(f.shape[0], -1, f.shape[1]) / f[0, 0].numel()
        ),
        "it adds up over the batch; keep one matrix a picture": lambda f: losses.gram(f).sum(0),
        "it takes the mean away first; eq. 3 does not": lambda f: losses.gram(f - f.mean((2, 3), keepdim=True)),
    },
    "shuffled": {
        "every filter gets an order of its own, so what fired together no longer does; use one order for all": _own_orders,
        "it shuffles the filters; shuffle the positions (the last axis after flatten(2))": lambda f, order: f[
            :, order[order < f.shape[1]]
        ],
        "it shuffles the rows alone; flatten height and width to M positions first": lambda f, order: f[
            :, :, order[order < f.shape[2]]
        ],
        "the shape is lost; end with .reshape(F.shape)": lambda f, order: f.flatten(2)[..., order],
        "it sends position j to order[j]; wanted: position j takes the value of position order[j]": _sent,
    },
    "layer_loss": {
        "it takes the mean and divides by N² once more; a mean has divided already": lambda g, a, n: (
            (g - a).square().mean((1, 2)) / (4 * n**2)
        ),
        "it takes the mean without the factor ¼": lambda g, a, n: (g - a).square().mean((1, 2)),
        "it divides by 4 N; wanted 4 N²": lambda g, a, n: (g - a).square().sum((1, 2)) / (4 * n),
        "the factor 1/(4 N²) is missing": lambda g, a, n: (g - a).square().sum((1, 2)),
        "it divides by (4 N)²; the square belongs to N alone": lambda g, a, n: (g - a).square().sum((1, 2)) / (4 * n) ** 2,
        "it adds up over the batch; give one number a picture": lambda g, a, n: _layer_loss(g, a, n).sum(),
        "it takes the difference without squaring it": lambda g, a, n: (g - a).abs().sum((1, 2)) / (4 * n**2),
    },
    "style_gradient": {
        "the gate is missing: the gradient is 0 where F is 0": _ungated,
        "the factor 1/(N² M) is missing": lambda f, a: _style_gradient(f, a) * (f.shape[1] ** 2 * f[0, 0].numel()),
        "it divides by M²; G and A are divided by M already, so one M is left": lambda f, a: (
            _style_gradient(f, a) / f[0, 0].numel()
        ),
        "the factor 4 of eq. 4 is cancelled by the two squares in it; divide by N² M": lambda f, a: _style_gradient(f, a) / 4,
        "Fᵀ (G − A) is positions × filters; transpose it before you reshape, or take (G − A) F": _untransposed,
        "G is not divided by M here, but A is; take G = F Fᵀ / M": lambda f, a: (
            ((losses.gram(f) * f[0, 0].numel() - a) @ f.flatten(2)).reshape(f.shape)
            / (f.shape[1] ** 2 * f[0, 0].numel())
            * (f > 0)
        ),
        "the sign is wrong: wanted G − A, not A − G": lambda f, a: -_style_gradient(f, a),
    },
}
