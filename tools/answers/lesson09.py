"""Exercises of lesson 09: a guided filter, warping along a flow, its error, and the temporal loss with its mask."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from answers.making import Answers, Wrong, random, total

FILTERED = [  # a picture, the photograph that guides it, a radius, and how much the filter smooths
    (random(*shape, seed=k).abs(), random(*shape, seed=k + 5).abs(), radius, eps)
    for k, (shape, radius, eps) in enumerate([((1, 3, 5, 7), 1, 0.1), ((1, 1, 6, 6), 2, 0.5), ((2, 3, 4, 9), 1, 0.25)])
]
FLOWS = [  # a picture, and where each place looks: down and right, in pixels
    (random(*shape, seed=k).abs(), 2 * random(shape[0], 2, *shape[2:], seed=k + 7))
    for k, shape in enumerate([(1, 3, 4, 6), (1, 1, 5, 5), (2, 3, 7, 3)])
]
SEEN = [  # two pictures, and 1 where they show the same
    (random(*shape, seed=k).abs(), random(*shape, seed=k + 4).abs(), (random(shape[0], 1, *shape[2:], seed=k + 8) > 0).float())
    for k, shape in enumerate([(1, 3, 4, 6), (1, 3, 5, 5), (2, 3, 7, 3)])
]
HELD = [  # a picture, what is expected, and a mask with shades
    (x, target, random(len(x), 1, *x.shape[2:], seed=k + 30).abs()) for k, (x, target, _) in enumerate(SEEN)
]


def guided_filter(x: Tensor, p: Tensor, radius: int, eps: float) -> Tensor:
    """Lesson 09: in every window the straight line from p that fits x best; the mean of the windows' lines at each pixel."""
    a, b = _line(x, p, radius, eps)
    return _mean(a, radius) * p + _mean(b, radius)


def _mean(values: Tensor, radius: int) -> Tensor:
    return F.avg_pool2d(values, 2 * radius + 1, 1, radius, count_include_pad=False)


def _line(x: Tensor, p: Tensor, radius: int, eps: float) -> tuple[Tensor, Tensor]:
    mean_x, mean_p = _mean(x, radius), _mean(p, radius)
    a = (_mean(p * x, radius) - mean_p * mean_x) / (_mean(p * p, radius) - mean_p**2 + eps)
    return a, mean_x - a * mean_p


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Lesson 09: the picture looked at where the flow points (down, right), in proportion between pixels, up to its border."""
    return _sampled(picture, flow[:, 0], flow[:, 1])


def _sampled(picture: Tensor, down: Tensor, right: Tensor, **how: Any) -> Tensor:
    height, width = picture.shape[2:]
    rows, columns = down + torch.arange(height)[:, None], right + torch.arange(width)
    places = torch.stack([2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1], -1)
    return F.grid_sample(picture, places, **{"padding_mode": "border", "align_corners": True} | how)


def warping_error(warped: Tensor, now: Tensor, seen: Tensor) -> Tensor:
    """Lesson 09: the root of the mean squared difference over what is seen, all channels together."""
    return (_squares(warped, now) * seen).sum().div(seen.sum()).sqrt()


def _squares(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).square().mean(1, keepdim=True)


def temporal_loss(x: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Lesson 09: the mean of m (x − ω)² over channels and pixels, one number a picture."""
    return (mask * (x - target) ** 2).mean((1, 2, 3))


def _padded(x: Tensor, p: Tensor, radius: int, eps: float) -> Tensor:
    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, 2 * radius + 1, 1, radius)

    a = (mean(p * x) - mean(p) * mean(x)) / (mean(p * p) - mean(p) ** 2 + eps)
    return mean(a) * p + mean(mean(x) - a * mean(p))


GUIDED: Wrong = {
    "a and b are those of one window; average them over all windows that hold the pixel": (
        lambda x, p, radius, eps: (lambda a, b: a * p + b)(*_line(x, p, radius, eps))
    ),
    "the line ends in x; a and b are multiplied with p": (
        lambda x, p, radius, eps: (lambda a, b: _mean(a, radius) * x + _mean(b, radius))(*_line(x, p, radius, eps))
    ),
    "it smooths x and leaves p out": lambda x, p, radius, eps: _mean(x, radius),
    "x guides p; it is the other way round": lambda x, p, radius, eps: guided_filter(p, x, radius, eps),
    "eps is left out; add it to the variance of p": lambda x, p, radius, eps: guided_filter(x, p, radius, 0.0),
    "windows at the border count zeros beyond it; give count_include_pad=False": _padded,
    "b is the mean of x alone; take a times the mean of p away": (
        lambda x, p, radius, eps: _mean(_line(x, p, radius, eps)[0], radius) * p + _mean(_mean(x, radius), radius)
    ),
}
WARP: Wrong = {
    "the flow is (down, right), taken as (right, down)": lambda x, f: warp(x, f.flip(1)),
    "it looks against the flow; look at the place plus the flow": lambda x, f: warp(x, -f),
    "places are rounded to whole pixels; take what lies between in proportion": lambda x, f: warp(x, f.round()),
    "beyond the border it is black; take the border's pixels": lambda x, f: _sampled(x, f[:, 0], f[:, 1], padding_mode="zeros"),
    "-1 and 1 are taken as the outer rims of the border's pixels; give align_corners=True": (
        lambda x, f: _sampled(x, f[:, 0], f[:, 1], align_corners=False)
    ),
    "the flow is left out": lambda x, f: warp(x, 0 * f),
}
ERROR: Wrong = {
    "it divides by all pixels; divide by those that are seen": lambda a, b, m: (_squares(a, b) * m).mean().sqrt(),
    "the mask is left out": lambda a, b, m: _squares(a, b).mean().sqrt(),
    "the root is missing": lambda a, b, m: warping_error(a, b, m).square(),
    "it keeps what is not seen; `seen` is 1 where both show the same": lambda a, b, m: warping_error(a, b, 1 - m),
    "it adds up the channels; take their mean": lambda a, b, m: warping_error(a, b, m) * a.shape[1] ** 0.5,
    "differences are taken without a square": lambda a, b, m: ((a - b).abs().mean(1, keepdim=True) * m).sum() / m.sum(),
}
TEMPORAL: Wrong = {
    "it divides by the sum of the mask; wanted the mean over all pixels": (
        lambda x, t, m: total(m * (x - t) ** 2) / (x.shape[1] * total(m))
    ),
    "it adds up over the pixels; wanted their mean": lambda x, t, m: total(m * (x - t) ** 2),
    "the mask is squared too; multiply after the square": lambda x, t, m: ((m * (x - t)) ** 2).mean((1, 2, 3)),
    "the mask is left out": lambda x, t, m: ((x - t) ** 2).mean((1, 2, 3)),
    "it holds what came into view; the mask is 1 where the last frame knows": lambda x, t, m: temporal_loss(x, t, 1 - m),
    "one half is too much: there is none here": lambda x, t, m: temporal_loss(x, t, m) / 2,
    "differences are taken without a square": lambda x, t, m: (m * (x - t).abs()).mean((1, 2, 3)),
    "it is the mean over the batch too; keep one number a picture": lambda x, t, m: temporal_loss(x, t, m).mean(),
}
EXERCISES = (
    Answers(guided_filter, "what keeps a result a photograph: a straight line from it in every window", 3, FILTERED, GUIDED),
    Answers(warp, "to look along a flow: order of coordinates, direction, border", 3, FLOWS, WARP),
    Answers(warping_error, "a mean over what two frames both show", 1, SEEN, ERROR),
    Answers(
        temporal_loss, "Ruder's term: the mask outside of the square, one number a picture", 2, HELD, TEMPORAL, gradient=True
    ),
)
