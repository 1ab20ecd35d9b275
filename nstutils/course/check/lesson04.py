"""Checks of lesson 04: the whole loss, total variation, weights between Gram normalisations, blended styles."""

import torch
from torch import Tensor

from nstutils import losses
from nstutils.course.check.judging import Answer, judge, random

SUMS = [  # content, style and tv of a batch, then alpha, beta, gamma and kappa
    (*(random(count, seed=seed + k).abs() for k in range(3)), *weights)
    for count, seed, weights in [(1, 0, (1.0, 1e3, 0.1, 0.013)), (3, 5, (2.0, 5.0, 0.7, 40.0)), (2, 9, (0.5, 3.0, 2.0, 7.0))]
]
VARIED = [(random(1, 3, 4, 6).abs(),), (random(1, 3, 5, 5, seed=1).abs(),), (random(2, 3, 7, 3, seed=2).abs(),)]
CONVERTED = [(1e3, 64, 1024), (2.0, 8, 48), (0.5, 512, 64)]  # weight, filters, positions
MIXED = [  # K Gram matrices, and K weights that do not add to 1
    (losses.gram(random(count, filters, 3, 4, seed=seed)), weights.double())
    for count, filters, seed, weights in [
        (2, 3, 0, torch.tensor([3.0, 1.0])),
        (3, 3, 1, torch.tensor([0.5, 0.2, 0.1])),
        (3, 4, 2, torch.tensor([1.0, 0.0, 5.0])),
    ]
]


def total_loss(answer: Answer) -> None:
    """Lesson 04: α κ L_content + β L_style + γ L_tv, eq. 7 with κ and total variation."""
    judge("total_loss", answer, _total_loss, SUMS, WRONG["total_loss"], gradient=True)


def _total_loss(content: Tensor, style: Tensor, tv: Tensor, alpha: float, beta: float, gamma: float, kappa: float) -> Tensor:
    return alpha * kappa * content + beta * style + gamma * tv


def total_variation(answer: Answer) -> None:
    """Lesson 04: Σ (x_{i+1,j} − x_{i,j})² + Σ (x_{i,j+1} − x_{i,j})², one number a picture."""
    judge("total_variation", answer, _total_variation, VARIED, WRONG["total_variation"], gradient=True)


def _total_variation(x: Tensor) -> Tensor:
    return _down(x).square().sum((1, 2, 3)) + _across(x).square().sum((1, 2, 3))


def _down(x: Tensor) -> Tensor:
    return x[:, :, 1:] - x[:, :, :-1]


def _across(x: Tensor) -> Tensor:
    return x[..., 1:] - x[..., :-1]


def convert_weight(answer: Answer) -> None:
    """Lesson 04: the weight for Gram matrices F Fᵀ / (N M) that does what `weight` does for F Fᵀ / M."""
    judge("convert_weight", answer, _convert_weight, CONVERTED, WRONG["convert_weight"])


def _convert_weight(weight: float, filters: int, positions: int) -> float:
    return weight * filters**2


def blend(answer: Answer) -> None:
    """Lesson 04: the weighted mean of K Gram matrices."""
    judge("blend", answer, _blend, MIXED, WRONG["blend"], gradient=True)


def _blend(grams: Tensor, weights: Tensor) -> Tensor:
    return (weights[:, None, None] * grams).sum(0) / weights.sum()


WRONG: dict[str, dict[str, Answer]] = {
    "total_loss": {
        "κ is missing: the content loss is brought to the units of the style loss by it": lambda c, s, v, a, b, g, k: (
            a * c + b * s + g * v
        ),
        "κ belongs to the content alone; the style has its units already": lambda c, s, v, a, b, g, k: (
            k * (a * c + b * s) + g * v
        ),
        "κ belongs to the content; here it is with the style": lambda c, s, v, a, b, g, k: a * c + b * k * s + g * v,
        "α and β are swapped: α weighs the content (document A writes it the other way)": lambda c, s, v, a, b, g, k: (
            b * k * c + a * s + g * v
        ),
        "total variation is left out: + γ · tv": lambda c, s, v, a, b, g, k: a * k * c + b * s,
        "it divides by κ; multiply": lambda c, s, v, a, b, g, k: a * c / k + b * s + g * v,
        "it adds up over the batch; give one number a picture": lambda c, s, v, a, b, g, k: _total_loss(
            c, s, v, a, b, g, k
        ).sum(),
        "total variation has its own weight γ; it is added without one": lambda c, s, v, a, b, g, k: a * k * c + b * s + v,
    },
    "total_variation": {
        "it takes absolute differences; A's sum squares them": lambda x: (
            _down(x).abs().sum((1, 2, 3)) + _across(x).abs().sum((1, 2, 3))
        ),
        "it takes means; A's formula is a sum": lambda x: (
            _down(x).square().mean((1, 2, 3)) + _across(x).square().mean((1, 2, 3))
        ),
        "it looks at neighbours below only; add those on the right": lambda x: _down(x).square().sum((1, 2, 3)),
        "it looks at neighbours on the right only; add those below": lambda x: _across(x).square().sum((1, 2, 3)),
        "it adds up over the batch; give one number a picture": lambda x: _total_variation(x).sum(),
        "it takes the channels for neighbours; compare along height and width alone": lambda x: (
            x.diff(dim=1).square().sum((1, 2, 3)) + _across(x).square().sum((1, 2, 3))
        ),
        "it goes round the border (roll compares the last row with the first); leave that pair out": lambda x: (
            (x.roll(-1, -2) - x).square().sum((1, 2, 3)) + (x.roll(-1, -1) - x).square().sum((1, 2, 3))
        ),
        "it takes the root (B's L2 norm); A's formula has none": lambda x: _total_variation(x).sqrt(),
        "it squares the sums; square each difference before you add up": lambda x: (
            _down(x).sum((1, 2, 3)).square() + _across(x).sum((1, 2, 3)).square()
        ),
        "it adds the two differences and squares then; square each of them": lambda x: (
            (_down(x)[..., :-1] + _across(x)[:, :, :-1]).square().sum((1, 2, 3))
        ),
    },
    "convert_weight": {
        "the square is forgotten: the error is squared, so N comes in twice": lambda weight, n, m: weight * n,
        "it goes the wrong way: smaller matrices need a larger weight, so multiply by N²": lambda weight, n, m: weight / n**2,
        "it divides by N; multiply by N²": lambda weight, n, m: weight / n,
        "both are divided by M, so it cancels; wanted N² alone": lambda weight, n, m: weight * (n * m) ** 2,
        "it takes M for N: both are divided by M, and one of them by N as well": lambda weight, n, m: weight * m**2,
        "it leaves the weight as it is; the matrices are N times smaller": lambda weight, n, m: weight,
        "the factor 4 belongs to eq. 4, not to these two; wanted N² alone": lambda weight, n, m: 4 * weight * n**2,
    },
    "blend": {
        "it is the plain weighted sum; divide by the sum of the weights": lambda grams, weights: (
            weights[:, None, None] * grams
        ).sum(0),
        "it takes no notice of the weights": lambda grams, weights: grams.mean(0),
        "it divides by the number of artworks; divide by the sum of the weights": lambda grams, weights: (
            weights[:, None, None] * grams
        ).mean(0),
        "it takes the artwork of the largest weight alone": lambda grams, weights: grams[int(weights.argmax())],
        "it squares the weights": lambda grams, weights: _blend(grams, weights.square()),
        "it gives the matrices weighed one by one; add them up": lambda grams, weights: (
            weights[:, None, None] * grams / weights.sum()
        ),
        "it gives one row a matrix: the sum runs over filters; add up over the artworks, dimension 0": lambda grams, weights: (
            (weights[:, None, None] * grams).sum(1) / weights.sum()
        ),
    },
}
