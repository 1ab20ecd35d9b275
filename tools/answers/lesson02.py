"""Exercises of lesson 02: the content loss, its gradient, and steps down it."""

from torch import Tensor

from answers.making import PAIRS, Answers, Wrong, random, total

STEPS = [  # pictures in [0, 1], slopes of both signs, some of them steep enough to leave [0, 1]
    (random(*shape, seed=k).abs(), 4 * random(*shape, seed=k + 5), lr)
    for k, (shape, lr) in enumerate([((1, 3, 4, 6), 0.1), ((1, 3, 5, 5), 0.4), ((2, 3, 3, 4), 1.0)])
]


def content_loss(f: Tensor, p: Tensor) -> Tensor:
    """Lesson 02: ½ Σ (F − P)², eq. 1."""
    return total((f - p) ** 2) / 2


def content_gradient(f: Tensor, p: Tensor) -> Tensor:
    """Lesson 02: F − P where F > 0, else 0, eq. 2."""
    return (f - p) * (f > 0)


def step_down(x: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """Lesson 02: one step of gradient descent on the pixels, which stay in [0, 1]."""
    return (x - lr * gradient).clamp(0, 1)


def relative_error(f: Tensor, p: Tensor) -> Tensor:
    """Lesson 02: Σ (F − P)² / Σ P², one number a picture."""
    return total((f - p) ** 2) / total(p**2)


CONTENT_LOSS: Wrong = {
    "the factor ½ of eq. 1 is missing": lambda f, p: 2 * content_loss(f, p),
    "it takes the mean; eq. 1 is a sum over filters and positions": lambda f, p: content_loss(f, p) / f[0].numel(),
    "it adds up over the batch as well; give one number a picture": lambda f, p: content_loss(f, p).sum(),
    "it takes the difference without squaring it": lambda f, p: total((f - p).abs()) / 2,
    "it returns the square root; eq. 1 has none": lambda f, p: content_loss(f, p).sqrt(),
}
CONTENT_GRADIENT: Wrong = {
    "the gate is missing: where F is 0 the ReLU lets nothing through, so the gradient is 0 there": lambda f, p: f - p,
    "it is gated by P; the gate of eq. 2 is F > 0, the generated picture's": lambda f, p: (f - p) * (p > 0),
    "it is twice too large: the ½ of eq. 1 takes the 2 of the square away": lambda f, p: 2 * content_gradient(f, p),
    "it is divided by a number of values; eq. 1 is a sum, so eq. 2 divides by nothing": (
        lambda f, p: content_gradient(f, p) / f[0].numel()
    ),
    "the sign is wrong: wanted F − P, not P − F": lambda f, p: -content_gradient(f, p),
    "it gives the slope without the difference; wanted F − P where F > 0": lambda f, p: (f > 0).to(f),
}
STEP_DOWN: Wrong = {
    "it goes uphill: subtract the gradient, do not add it": lambda x, g, lr: step_down(x, -g, lr),
    "the new picture leaves [0, 1]; end with .clamp(0, 1)": lambda x, g, lr: x - lr * g,
    "it clamps the gradient, which loses its sign and size; clamp the new picture": lambda x, g, lr: x - lr * g.clamp(0, 1),
    "it clamps both; a slope may have any sign and size, clamp the new picture alone": (
        lambda x, g, lr: step_down(x, g.clamp(0, 1), lr)
    ),
    "the learning rate is missing: multiply the gradient by lr": lambda x, g, lr: step_down(x, g, 1),
    "it returns the step alone; take it away from x": lambda x, g, lr: (lr * g).clamp(0, 1),
}
RELATIVE_ERROR: Wrong = {
    "it divides by Σ F²; the scale to compare with is the photograph's, Σ P²": lambda f, p: relative_error(p, f),
    "it divides by the number of values; divide by Σ P²": lambda f, p: total((f - p) ** 2) / f[0].numel(),
    "it takes the square root; leave the squares as they are": lambda f, p: relative_error(f, p).sqrt(),
    "it adds up over the whole batch; give one number a picture": lambda f, p: ((f - p) ** 2).sum() / (p**2).sum(),
    "the ½ of eq. 1 is not wanted here": lambda f, p: relative_error(f, p) / 2,
    "it divides value by value before the sum; divide sum by sum": lambda f, p: total((f - p) ** 2 / (p**2 + 1e-8)),
}
EXERCISES = (
    Answers(content_loss, "eq. 1 for a batch: which axes a sum runs over", 1, PAIRS, CONTENT_LOSS, gradient=True),
    Answers(content_gradient, "eq. 2 and its gate: what sleeps has no gradient", 2, PAIRS, CONTENT_GRADIENT),
    Answers(step_down, "gradient descent on pixels that stay a picture, without writing into the old one", 1, STEPS, STEP_DOWN),
    Answers(relative_error, "a loss without a unit, one number a picture", 1, PAIRS, RELATIVE_ERROR),
)
