"""Exercises of lesson 03: Gram matrices and the style loss."""

import torch
from torch import Tensor

from answers.making import PAIRS, Answers, Wrong, random, total
from nstutils import losses

FEATURES = [(random(*shape, seed=k),) for k, shape in enumerate([(1, 2, 2, 2), (1, 3, 4, 7), (2, 4, 5, 3)])]
ORDERS = [
    (f, torch.randperm(f[0, 0].numel(), generator=torch.Generator().manual_seed(k))) for k, (f,) in enumerate(FEATURES, 3)
]
GRAMS = [(losses.gram(f), losses.gram(p), f.shape[1]) for f, p in PAIRS]
STYLES = [(f, losses.gram(p)) for f, p in PAIRS]


def gram(f: Tensor) -> Tensor:
    """Lesson 03: F Fᵀ / M, eq. 3."""
    return losses.gram(f)


def _without_reshape(f: Tensor) -> Tensor:
    rows = f.reshape(f.shape[0], -1, f.shape[1])
    return rows.mT @ rows / rows.shape[1]


def shuffled(f: Tensor, order: Tensor) -> Tensor:
    """Lesson 03: the positions in another order, the same for all filters."""
    return f.flatten(2)[..., order].reshape(f.shape)


def _own_orders(f: Tensor, order: Tensor) -> Tensor:
    rows = [f.flatten(2)[:, k, order.roll(k)] for k in range(f.shape[1])]
    return torch.stack(rows, 1).reshape(f.shape)


def layer_loss(g: Tensor, a: Tensor, n: int) -> Tensor:
    """Lesson 03: E_l = Σ (G − A)² / (4 N²) of two Gram matrices F Fᵀ / M, eq. 4."""
    return total((g - a) ** 2) / (4 * n**2)


def style_gradient(f: Tensor, a: Tensor) -> Tensor:
    """Lesson 03: (G − A) F / (N² M) where F > 0, else 0, eq. 6 with G = F Fᵀ / M."""
    return _slope((losses.gram(f) - a) @ f.flatten(2), f) * (f > 0)


def _slope(product: Tensor, f: Tensor) -> Tensor:
    """A product of matrices in the shape of the features, over N² M."""
    return product.reshape(f.shape) / (f.shape[1] ** 2 * f[0, 0].numel())


GRAM: Wrong = {
    "divide by the M = height × width positions": lambda f: f.flatten(2) @ f.flatten(2).mT,
    "it divides by filters × positions; divide by the positions alone": lambda f: gram(f) / f.shape[1],
    "it multiplies positions with positions (Fᵀ F, M × M); wanted filters with filters": (
        lambda f: f.flatten(2).mT @ f.flatten(2) / f[0, 0].numel()
    ),
    "rows of F must be filters: flatten height and width, do not reshape to (height × width) × filters": _without_reshape,
    "it adds up over the batch; keep one matrix a picture": lambda f: gram(f).sum(0),
    "it takes the mean away first; eq. 3 does not": lambda f: gram(f - f.mean((2, 3), keepdim=True)),
}
SHUFFLED: Wrong = {
    "every filter gets an order of its own, so what fired together no longer does; use one order for all": _own_orders,
    "it shuffles the filters; shuffle the positions (the last axis after flatten(2))": lambda f, o: f[:, o[o < f.shape[1]]],
    "it shuffles the rows alone; flatten height and width to M positions first": lambda f, o: f[:, :, o[o < f.shape[2]]],
    "the shape is lost; end with .reshape(F.shape)": lambda f, o: f.flatten(2)[..., o],
    "it sends position j to order[j]; wanted: position j takes the value of position order[j]": (
        lambda f, o: shuffled(f, o.argsort())
    ),
}
LAYER_LOSS: Wrong = {
    "it takes the mean and divides by N² once more; a mean has divided already": lambda g, a, n: layer_loss(g, a, n) / n**2,
    "it takes the mean without the factor ¼": lambda g, a, n: 4 * layer_loss(g, a, n),
    "it divides by 4 N; wanted 4 N²": lambda g, a, n: n * layer_loss(g, a, n),
    "the factor 1/(4 N²) is missing": lambda g, a, n: total((g - a) ** 2),
    "it divides by (4 N)²; the square belongs to N alone": lambda g, a, n: layer_loss(g, a, n) / 4,
    "it adds up over the batch; give one number a picture": lambda g, a, n: layer_loss(g, a, n).sum(),
    "it takes the difference without squaring it": lambda g, a, n: total((g - a).abs()) / (4 * n**2),
}
STYLE_GRADIENT: Wrong = {
    "the gate is missing: the gradient is 0 where F is 0": lambda f, a: _slope((gram(f) - a) @ f.flatten(2), f),
    "the factor 1/(N² M) is missing": lambda f, a: ((gram(f) - a) @ f.flatten(2)).reshape(f.shape) * (f > 0),
    "it divides by M²; G and A are divided by M already, so one M is left": lambda f, a: style_gradient(f, a) / f[0, 0].numel(),
    "the factor 4 of eq. 4 is cancelled by the two squares in it; divide by N² M": lambda f, a: style_gradient(f, a) / 4,
    "Fᵀ (G − A) is positions × filters; transpose it before you reshape, or take (G − A) F": (
        lambda f, a: _slope(f.flatten(2).mT @ (gram(f) - a), f) * (f > 0)
    ),
    "G is not divided by M here, but A is; take G = F Fᵀ / M": (
        lambda f, a: _slope((f.flatten(2) @ f.flatten(2).mT - a) @ f.flatten(2), f) * (f > 0)
    ),
    "the sign is wrong: wanted G − A, not A − G": lambda f, a: -style_gradient(f, a),
}
EXERCISES = (
    Answers(gram, "eq. 3 for a batch: rows are filters, divided by the positions", 2, FEATURES, GRAM, gradient=True),
    Answers(shuffled, "what a Gram matrix forgets: one order for all filters, read the right way round", 2, ORDERS, SHUFFLED),
    Answers(layer_loss, "eq. 4 and its normalisation, once", 2, GRAMS, LAYER_LOSS, gradient=True),
    Answers(style_gradient, "eq. 6: a product of matrices brought back to positions, gated", 3, STYLES, STYLE_GRADIENT),
)
