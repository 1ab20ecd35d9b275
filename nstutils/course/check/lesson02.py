"""Checks of lesson 02: the content loss, its gradient, and steps down it."""

import torch
from torch import Tensor

from nstutils.course.check.judging import Answer, judge, random

PAIRS = [(random(1, 3, 4, 6, seed=k).relu(), random(1, 3, 4, 6, seed=k + 9).relu()) for k in range(2)] + [
    (random(2, 5, 3, 2, seed=3).relu(), random(2, 5, 3, 2, seed=4).relu())
]
STEPS = [  # pictures in [0, 1], slopes of both signs, some of them steep enough to leave [0, 1]
    (random(*shape, seed=k).abs(), 4 * random(*shape, seed=k + 5), lr)
    for k, (shape, lr) in enumerate([((1, 3, 4, 6), 0.1), ((1, 3, 5, 5), 0.4), ((2, 3, 3, 4), 1.0)])
]


def content_loss(answer: Answer) -> None:
    """Lesson 02: ½ Σ (F − P)², eq. 1."""
    judge("content_loss", answer, _content_loss, PAIRS, WRONG["content_loss"], gradient=True)


def _content_loss(f: Tensor, p: Tensor) -> Tensor:
    return (f - p).square().sum((1, 2, 3)) / 2


def content_gradient(answer: Answer) -> None:
    """Lesson 02: F − P where F > 0, else 0, eq. 2."""
    judge("content_gradient", answer, _content_gradient, PAIRS, WRONG["content_gradient"])


def _content_gradient(f: Tensor, p: Tensor) -> Tensor:
    return torch.where(f > 0, f - p, torch.zeros_like(f))


def step_down(answer: Answer) -> None:
    """Lesson 02: one step of gradient descent on the pixels, which stay in [0, 1]."""
    judge("step_down", answer, _step_down, STEPS, WRONG["step_down"])


def _step_down(x: Tensor, gradient: Tensor, lr: float) -> Tensor:
    return (x - lr * gradient).clamp(0, 1)


def relative_error(answer: Answer) -> None:
    """Lesson 02: Σ (F − P)² / Σ P², one number a picture."""
    judge("relative_error", answer, _relative_error, PAIRS, WRONG["relative_error"])


def _relative_error(f: Tensor, p: Tensor) -> Tensor:
    return (f - p).square().sum((1, 2, 3)) / p.square().sum((1, 2, 3))


WRONG: dict[str, dict[str, Answer]] = {
    "content_loss": {
        "the factor ½ of eq. 1 is missing": lambda f, p: 2 * _content_loss(f, p),
        "it takes the mean; eq. 1 is a sum over filters and positions": lambda f, p: (f - p).square().mean((1, 2, 3)) / 2,
        "it adds up over the batch as well; give one number a picture": lambda f, p: (f - p).square().sum() / 2,
        "it takes the difference without squaring it": lambda f, p: (f - p).abs().sum((1, 2, 3)) / 2,
        "it returns the square root; eq. 1 has none": lambda f, p: _content_loss(f, p).sqrt(),
    },
    "content_gradient": {
        "the gate is missing: where F is 0 the ReLU lets nothing through, so the gradient is 0 there": lambda f, p: f - p,
        "it is gated by P; the gate of eq. 2 is F > 0, the generated picture's": lambda f, p: (f - p) * (p > 0),
        "it is twice too large: the ½ of eq. 1 takes the 2 of the square away": lambda f, p: 2 * _content_gradient(f, p),
        "it is divided by a number of values; eq. 1 is a sum, so eq. 2 divides by nothing": lambda f, p: (
            _content_gradient(f, p) / f[0].numel()
        ),
        "the sign is wrong: wanted F − P, not P − F": lambda f, p: -_content_gradient(f, p),
        "it gives the slope without the difference; wanted F − P where F > 0": lambda f, p: (f > 0).to(f),
    },
    "step_down": {
        "it goes uphill: subtract the gradient, do not add it": lambda x, g, lr: (x + lr * g).clamp(0, 1),
        "the new picture leaves [0, 1]; end with .clamp(0, 1)": lambda x, g, lr: x - lr * g,
        "it clamps the gradient, which loses its sign and size; clamp the new picture": lambda x, g, lr: x - lr * g.clamp(0, 1),
        "it clamps both; a slope may have any sign and size, clamp the new picture alone": lambda x, g, lr: (
            x - lr * g.clamp(0, 1)
        ).clamp(0, 1),
        "the learning rate is missing: multiply the gradient by lr": lambda x, g, lr: (x - g).clamp(0, 1),
        "it returns the step alone; take it away from x": lambda x, g, lr: (lr * g).clamp(0, 1),
    },
    "relative_error": {
        "it divides by Σ F²; the scale to compare with is the photograph's, Σ P²": lambda f, p: (
            (f - p).square().sum((1, 2, 3)) / f.square().sum((1, 2, 3))
        ),
        "it divides by the number of values; divide by Σ P²": lambda f, p: (f - p).square().mean((1, 2, 3)),
        "it takes the square root; leave the squares as they are": lambda f, p: _relative_error(f, p).sqrt(),
        "it adds up over the whole batch; give one number a picture": lambda f, p: (f - p).square().sum() / p.square().sum(),
        "the ½ of eq. 1 is not wanted here": lambda f, p: _relative_error(f, p) / 2,
        "it divides value by value before the sum; divide sum by sum": lambda f, p: (
            (f - p).square() / (p.square() + 1e-8)
        ).sum((1, 2, 3)),
    },
}
