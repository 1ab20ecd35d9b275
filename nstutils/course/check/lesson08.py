"""Checks of lesson 08: mirrored rims, instance normalisation, blended styles, and what transposed convolutions write twice."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils.course.check.judging import Answer, judge, random

EPSILON = 1e-5  # under the root, as everywhere in the network
RIMMED = [(random(1, 2, 4, 6), 1), (random(1, 3, 5, 5, seed=1), 2), (random(2, 2, 7, 4, seed=2), 3)]  # maps, rim
NORMALISED = [  # maps, then a scale and a shift for each channel
    (
        random(batch, channels, height, width, seed=seed) * spread + 0.7,
        random(channels, seed=seed + 1),
        random(channels, seed=9),
    )
    for batch, channels, height, width, seed, spread in [(1, 2, 3, 4, 0, 1.0), (2, 3, 4, 4, 3, 2.0), (2, 4, 5, 3, 6, 0.01)]
]
WRITTEN = [(4, 3, 2), (5, 4, 2), (3, 2, 3), (6, 3, 1), (4, 5, 2)]  # inputs, kernel, stride
PAINTED = [  # normalised maps, scales and shifts of K styles, B x K weights
    (random(batch, channels, 3, 5, seed=k), random(styles, channels, seed=k + 1), random(styles, channels, seed=k + 2), weights)
    for batch, channels, styles, k, weights in [
        (1, 3, 2, 0, torch.tensor([[3.0, 1.0]]).double()),
        (2, 4, 3, 4, torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.2, 0.1]]).double()),
        (3, 2, 2, 8, torch.tensor([[1.0, 0.0], [1.0, 5.0], [2.0, 2.0]]).double()),
    ]
]


def mirrored(answer: Answer) -> None:
    """Lesson 08: maps with a rim in which they are mirrored, on all four sides."""
    judge("mirrored", answer, _mirrored, RIMMED, WRONG["mirrored"], gradient=True)


def _mirrored(x: Tensor, rim: int) -> Tensor:
    return F.pad(x, (rim,) * 4, mode="reflect")


def _copied(x: Tensor, rim: int) -> Tensor:
    """The rim as it should be, but with the rows and columns in their own order."""
    x = torch.cat([x[:, :, 1 : rim + 1], x, x[:, :, -rim - 1 : -1]], 2)
    return torch.cat([x[..., 1 : rim + 1], x, x[..., -rim - 1 : -1]], 3)


def _from_the_edge(x: Tensor, rim: int) -> Tensor:
    """A mirror that shows the outermost row and column as well."""
    x = torch.cat([x[:, :, :rim].flip(2), x, x[:, :, -rim:].flip(2)], 2)
    return torch.cat([x[..., :rim].flip(3), x, x[..., -rim:].flip(3)], 3)


def instance_norm(answer: Answer) -> None:
    """Lesson 08: s · (y − mean) / √(variance + 1e-5) + b, with mean and variance of each picture and channel."""
    judge("instance_norm", answer, _instance_norm, NORMALISED, WRONG["instance_norm"], gradient=True)


def _instance_norm(y: Tensor, scale: Tensor, shift: Tensor, over: tuple[int, ...] = (2, 3), correction: int = 0) -> Tensor:
    variance, mean = torch.var_mean(y, over, correction=correction, keepdim=True)
    return _affine((y - mean) / (variance + EPSILON).sqrt(), scale, shift)


def _affine(y: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return y * scale[:, None, None] + shift[:, None, None]


def _moments(y: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(y, (2, 3), correction=0, keepdim=True)
    return mean, variance + EPSILON


def overlaps(answer: Answer) -> None:
    """Lesson 08: how many inputs of a transposed convolution write into each place of its output."""
    judge("overlaps", answer, _overlaps, WRITTEN, WRONG["overlaps"])


def _overlaps(count: int, kernel: int, stride: int) -> Tensor:
    return F.conv_transpose1d(torch.ones(1, 1, count), torch.ones(1, 1, kernel), stride=stride)[0, 0]


def style_blend(answer: Answer) -> None:
    """Lesson 08: normalised maps with the scale and the shift of a blend of styles."""
    judge("style_blend", answer, _style_blend, PAINTED, WRONG["style_blend"], gradient=True)


def _style_blend(normal: Tensor, scales: Tensor, shifts: Tensor, weights: Tensor) -> Tensor:
    shares = weights / weights.sum(1, keepdim=True)
    return normal * (shares @ scales)[..., None, None] + (shares @ shifts)[..., None, None]


def _largest(weights: Tensor) -> Tensor:
    """All of the weight on the largest."""
    return F.one_hot(weights.argmax(1), weights.shape[1]).to(weights)


WRONG: dict[str, dict[str, Answer]] = {
    "mirrored": {
        "the rim is zero; a dark frame would be painted along": lambda x, rim: F.pad(x, (rim,) * 4),
        "it repeats the outermost row; the mirror shows those behind it": lambda x, rim: F.pad(x, (rim,) * 4, mode="replicate"),
        "it goes round to the other side; mirror instead": lambda x, rim: F.pad(x, (rim,) * 4, mode="circular"),
        "the mirror shows the outermost row twice; it stands on that row, so begin with the one behind it": _from_the_edge,
        "the rows of the rim are copied in their own order; a mirror turns it round": _copied,
        "left and right have their rim, top and bottom have none": lambda x, rim: F.pad(x, (rim, rim, 0, 0), mode="reflect"),
        "top and bottom have their rim, left and right have none": lambda x, rim: F.pad(x, (0, 0, rim, rim), mode="reflect"),
    },
    "instance_norm": {
        "mean and variance run over the batch too: that is batch norm; take each picture alone": lambda y, s, b: _instance_norm(
            y, s, b, (0, 2, 3)
        ),
        "mean and variance run over the channels too; take each channel alone": lambda y, s, b: _instance_norm(
            y, s, b, (1, 2, 3)
        ),
        "mean and variance run over the width alone; take height and width": lambda y, s, b: _instance_norm(y, s, b, (3,)),
        "the variance divides by M − 1; here it is the mean of the squares (correction=0)": lambda y, s, b: _instance_norm(
            y, s, b, correction=1
        ),
        "it divides by the variance; take its root": lambda y, s, b: _affine((y - _moments(y)[0]) / _moments(y)[1], s, b),
        "the mean is not taken away": lambda y, s, b: _affine(y / _moments(y)[1].sqrt(), s, b),
        "the 1e-5 under the root is missing; a flat map would be divided by zero": lambda y, s, b: _affine(
            (y - _moments(y)[0]) / (_moments(y)[1] - EPSILON).sqrt(), s, b
        ),
        "the 1e-5 is added to the root; add it to the variance": lambda y, s, b: _affine(
            (y - _moments(y)[0]) / ((_moments(y)[1] - EPSILON).sqrt() + EPSILON), s, b
        ),
        "the shift is scaled as well; scale first, then shift": lambda y, s, b: _affine(
            _instance_norm(y, torch.ones_like(s), b), s, torch.zeros_like(b)
        ),
        "scale and shift are left out": lambda y, s, b: _instance_norm(y, torch.ones_like(s), torch.zeros_like(b)),
        "scale and shift are exchanged": lambda y, s, b: _instance_norm(y, b, s),
    },
    "overlaps": {
        "it ends too early: the last input begins at (count − 1) · stride and writes `kernel` places": lambda n, k, s: (
            _overlaps(n, k, s)[: n * s]
        ),
        "every input starts one place further; wanted `stride` places": lambda n, k, s: _overlaps(n, k, 1),
        "a place that several inputs write into counts each of them; add, do not overwrite": lambda n, k, s: _overlaps(
            n, k, s
        ).clamp(max=1),
        "kernel and stride are exchanged": lambda n, k, s: _overlaps(n, s, k),
        "not every weight reaches every place; count the inputs, not the kernel's places": lambda n, k, s: torch.full_like(
            _overlaps(n, k, s), k
        ),
        "it counts each input once at its first place; it writes `kernel` places": lambda n, k, s: F.pad(
            _overlaps(n, 1, s), (0, k - 1)
        ),
    },
    "style_blend": {
        "the weights are not divided by their sum: (2, 2) and (1, 1) are one blend": lambda y, s, b, w: (
            y * (w @ s)[..., None, None] + (w @ b)[..., None, None]
        ),
        "the weights are divided by the sum over the batch; each picture has a blend of its own": lambda y, s, b, w: (
            y * (w @ s / w.sum())[..., None, None] + (w @ b / w.sum())[..., None, None]
        ),
        "every picture takes the weights of the first; row k belongs to picture k": lambda y, s, b, w: _style_blend(
            y, s, b, w[:1].expand_as(w)
        ),
        "the shift is left out": lambda y, s, b, w: _style_blend(y, s, 0 * b, w),
        "the scale is left out": lambda y, s, b, w: _style_blend(y, torch.ones_like(s), b, w),
        "it takes the style of the largest weight alone": lambda y, s, b, w: _style_blend(y, s, b, _largest(w)),
        "it is the plain mean of the styles, whatever the weights": lambda y, s, b, w: _style_blend(
            y, s, b, torch.ones_like(w)
        ),
        "the shift is scaled as well; scale first, then shift": lambda y, s, b, w: (
            _style_blend(y, s, 0 * b, w) + _style_blend(torch.ones_like(y), s, 0 * b, w) * _style_blend(0 * y, s, b, w)
        ),
        "scale and shift are exchanged": lambda y, s, b, w: _style_blend(y, b, s, w),
    },
}
