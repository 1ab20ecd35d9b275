"""Exercises of lesson 04: the whole loss, total variation, weights between Gram normalisations, blended styles."""

import torch
from torch import Tensor

from nstutils import losses
from nstutils.course.check.judging import Exercise, Wrong, random, total
from nstutils.course.check.lesson00 import PICTURES

SUMS = [  # content, style and tv of a batch, then alpha, beta, gamma and kappa
    (*(random(count, seed=seed + k).abs() for k in range(3)), *weights)
    for count, seed, weights in [(1, 0, (1.0, 1e3, 0.1, 0.013)), (3, 5, (2.0, 5.0, 0.7, 40.0)), (2, 9, (0.5, 3.0, 2.0, 7.0))]
]
CONVERTED = [(1e3, 64, 1024), (2.0, 8, 48), (0.5, 512, 64)]  # weight, filters, positions
MIXED = [  # K Gram matrices, and K weights that do not add to 1
    (losses.gram(random(len(weights), filters, 3, 4, seed=seed)), torch.tensor(weights).double())
    for seed, (filters, weights) in enumerate([(3, (3.0, 1.0)), (3, (0.5, 0.2, 0.1)), (4, (1.0, 0.0, 5.0))])
]


def total_loss(c: Tensor, s: Tensor, v: Tensor, alpha: float, beta: float, gamma: float, kappa: float) -> Tensor:
    """Lesson 04: α κ L_content + β L_style + γ L_tv, eq. 7 with κ and total variation."""
    return alpha * kappa * c + beta * s + gamma * v


def total_variation(x: Tensor) -> Tensor:
    """Lesson 04: Σ (x_{i+1,j} − x_{i,j})² + Σ (x_{i,j+1} − x_{i,j})², one number a picture."""
    return total(x.diff(dim=2) ** 2) + total(x.diff(dim=3) ** 2)


def _round_the_border(x: Tensor) -> Tensor:
    return total((x.roll(-1, 2) - x) ** 2) + total((x.roll(-1, 3) - x) ** 2)


def _mean_squares(x: Tensor) -> Tensor:
    return (x.diff(dim=2) ** 2).mean((1, 2, 3)) + (x.diff(dim=3) ** 2).mean((1, 2, 3))


def convert_weight(weight: float, n: int, m: int) -> float:
    """Lesson 04: the weight for Gram matrices F Fᵀ / (N M) that does what `weight` does for F Fᵀ / M."""
    return weight * n**2


def blend(grams: Tensor, weights: Tensor) -> Tensor:
    """Lesson 04: the weighted mean of K Gram matrices."""
    return _weighed(grams, weights).sum(0) / weights.sum()


def _weighed(grams: Tensor, weights: Tensor) -> Tensor:
    return weights[:, None, None] * grams


TOTAL_LOSS: Wrong = {
    "κ is missing: the content loss is brought to the units of the style loss by it": lambda c, s, v, a, b, g, k: total_loss(
        c, s, v, a, b, g, 1
    ),
    "κ belongs to the content alone; the style has its units already": lambda c, s, v, a, b, g, k: total_loss(
        c, s, v, a, b * k, g, k
    ),
    "κ belongs to the content; here it is with the style": lambda c, s, v, a, b, g, k: a * c + b * k * s + g * v,
    "α and β are swapped: α weighs the content (document A writes it the other way)": (
        lambda c, s, v, a, b, g, k: total_loss(c, s, v, b, a, g, k)
    ),
    "total variation is left out: + γ · tv": lambda c, s, v, a, b, g, k: a * k * c + b * s,
    "it divides by κ; multiply": lambda c, s, v, a, b, g, k: a * c / k + b * s + g * v,
    "it adds up over the batch; give one number a picture": lambda *given: total_loss(*given).sum(),
    "total variation has its own weight γ; it is added without one": lambda c, s, v, a, b, g, k: a * k * c + b * s + v,
}
TOTAL_VARIATION: Wrong = {
    "it takes absolute differences; A's sum squares them": lambda x: total(x.diff(dim=2).abs()) + total(x.diff(dim=3).abs()),
    "it takes means; A's formula is a sum": _mean_squares,
    "it looks at neighbours below only; add those on the right": lambda x: total(x.diff(dim=2) ** 2),
    "it looks at neighbours on the right only; add those below": lambda x: total(x.diff(dim=3) ** 2),
    "it adds up over the batch; give one number a picture": lambda x: total_variation(x).sum(),
    "it takes the channels for neighbours; compare along height and width alone": (
        lambda x: total(x.diff(dim=1) ** 2) + total(x.diff(dim=3) ** 2)
    ),
    "it goes round the border (roll compares the last row with the first); leave that pair out": _round_the_border,
    "it takes the root (B's L2 norm); A's formula has none": lambda x: total_variation(x).sqrt(),
    "it squares the sums; square each difference before you add up": (
        lambda x: total(x.diff(dim=2)) ** 2 + total(x.diff(dim=3)) ** 2
    ),
    "it adds the two differences and squares then; square each of them": (
        lambda x: total((x.diff(dim=2)[..., :-1] + x.diff(dim=3)[:, :, :-1]) ** 2)
    ),
}
CONVERT_WEIGHT: Wrong = {
    "the square is forgotten: the error is squared, so N comes in twice": lambda weight, n, m: weight * n,
    "it goes the wrong way: smaller matrices need a larger weight, so multiply by N²": lambda weight, n, m: weight / n**2,
    "it divides by N; multiply by N²": lambda weight, n, m: weight / n,
    "both are divided by M, so it cancels; wanted N² alone": lambda weight, n, m: weight * (n * m) ** 2,
    "it takes M for N: both are divided by M, and one of them by N as well": lambda weight, n, m: weight * m**2,
    "it leaves the weight as it is; the matrices are N times smaller": lambda weight, n, m: weight,
    "the factor 4 belongs to eq. 4, not to these two; wanted N² alone": lambda weight, n, m: 4 * weight * n**2,
}
BLEND: Wrong = {
    "it is the plain weighted sum; divide by the sum of the weights": lambda gs, ws: _weighed(gs, ws).sum(0),
    "it takes no notice of the weights": lambda gs, ws: gs.mean(0),
    "it divides by the number of artworks; divide by the sum of the weights": lambda gs, ws: _weighed(gs, ws).mean(0),
    "it takes the artwork of the largest weight alone": lambda gs, ws: gs[int(ws.argmax())],
    "it squares the weights": lambda gs, ws: blend(gs, ws**2),
    "it gives the matrices weighed one by one; add them up": lambda gs, ws: _weighed(gs, ws) / ws.sum(),
    "it gives one row a matrix: the sum runs over filters; add up over the artworks, dimension 0": (
        lambda gs, ws: _weighed(gs, ws).sum(1) / ws.sum()
    ),
}
EXERCISES = (
    Exercise(total_loss, SUMS, TOTAL_LOSS, gradient=True),
    Exercise(total_variation, PICTURES, TOTAL_VARIATION, gradient=True),
    Exercise(convert_weight, CONVERTED, CONVERT_WEIGHT),
    Exercise(blend, MIXED, BLEND, gradient=True),
)
