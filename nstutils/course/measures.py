"""Numbers that judge pictures without anybody's taste: each takes pictures N x 3 x H x W (N = 1) and gives one number."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

import torch
from skimage.filters import sobel
from torch import Tensor
from torch.nn import functional

from nstutils import images
from nstutils.backbones import FeatureExtractor
from nstutils.losses import gram
from nstutils.motion import warp


def psnr(image: Tensor, wanted: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels: 30 is hard to tell apart, infinite is equal."""
    error = (image - wanted).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def fine_energy(image: Tensor, above: float = 0.25) -> float:
    """Share of the variance above `above` cycles a pixel: what looks like grain; 0 where nothing varies."""
    values = images.luminance(image)[0, 0]
    if values.min() == values.max():
        return 0.0
    window = torch.outer(torch.hann_window(values.shape[0]), torch.hann_window(values.shape[1])).to(values)
    power = torch.fft.fft2((values - values.mean()) * window).abs().square()
    rows, columns = (torch.fft.fftfreq(n).to(values) for n in values.shape)
    radius = (rows[:, None] ** 2 + columns[None] ** 2).sqrt()
    return (power[radius > above].sum() / power[radius > 0].sum()).item()


def autocorrelation_length(image: Tensor) -> float:
    """How many pixels apart two positions stop being alike: where the mean autocorrelation falls to 1/e, at most half the short
    side. Takes a picture or activations (N x C x H x W); channels that do not vary are left out."""
    values = image[0].double()
    values = values[values.amax((1, 2)) > values.amin((1, 2))]
    values = values - values.mean((1, 2), keepdim=True)
    last, end = 1.0, min(image.shape[-2:]) // 2
    for apart in range(1, end):
        down = (values[:, apart:] * values[:, :-apart]).mean((1, 2))
        across = (values[..., apart:] * values[..., :-apart]).mean((1, 2))
        alike = ((down + across) / 2 / values.square().mean((1, 2))).mean().item()
        if alike < 1 / math.e:
            return apart - 1 + (last - 1 / math.e) / (last - alike)
        last = alike
    return float(end)


def correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's correlation of two pictures, pixel by pixel; 0 where one of them is constant."""
    if one.min() == one.max() or other.min() == other.max():
        return 0.0
    return torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).double())[0, 1].item()


def edges(image: Tensor) -> Tensor:
    """Strength of the edges of the brightness (Sobel), H x W."""
    return torch.from_numpy(sobel(images.luminance(image)[0, 0].double().cpu().numpy()))


def edge_correlation(image: Tensor, other: Tensor) -> float:
    """How far the edges of two pictures of one size stand in the same places."""
    return correlation(edges(image), edges(other))


def colour_distance(image: Tensor, other: Tensor) -> float:
    """Half the sum of the differences of two colour histograms: 0 is the same palette, 1 nothing in common."""
    return (_histogram(image) - _histogram(other)).abs().sum().item() / 2


def _histogram(picture: Tensor, bins: int = 8) -> Tensor:
    """Shares of the pixels in each of bins x bins x bins colours."""
    red, green, blue = (picture[0].clamp(0, 1) * (bins - 1e-4)).long().flatten(1)
    return torch.bincount((red * bins + green) * bins + blue, minlength=bins**3).double() / red.numel()


@torch.no_grad()
def style_distance(image: Tensor, style: Tensor, judge: FeatureExtractor, layers: Sequence[str]) -> float:
    """Mean relative Gram distance ‖G − A‖/‖A‖ of the layers, in a network that should not have made the picture."""
    return _relative([map(gram, judge(x, layers).values()) for x in (image, style)])


@torch.no_grad()
def content_distance(image: Tensor, photograph: Tensor, judge: FeatureExtractor, layers: Sequence[str]) -> float:
    """Mean relative distance ‖F − P‖/‖P‖ of the layers' activations."""
    return _relative([judge(x, layers).values() for x in (image, photograph)])


def _relative(both: Sequence[Iterable[Tensor]]) -> float:
    """The mean over layers of ‖made − wanted‖/‖wanted‖."""
    return statistics.mean(((made - wanted).norm() / wanted.norm()).item() for made, wanted in zip(*both, strict=True))


def self_similarity(features: Tensor) -> Tensor:
    """How like each position of a layer every position is, by the cosine: N x C x H x W to N x M x M logarithms of shares."""
    rows = functional.normalize(features.flatten(2), dim=1).mT
    return (10 * rows @ rows.mT).log_softmax(-1)


@torch.no_grad()
def structure_distance(
    image: Tensor,
    photograph: Tensor,
    judge: FeatureExtractor,
    layer: str = "relu3_1",
    rows: Callable[[Tensor], Tensor] = self_similarity,
) -> float:
    """CFSD: the mean Kullback-Leibler divergence from the photograph's rows of self-similarity to the picture's.

    It asks what is alike within a picture, so a picture in other colours can still score 0. The published code compares
    products over C² instead of cosines: those make every row flat, and every distance about 1e-6."""
    own, wanted = (rows(_coarse(judge(x, [layer])[layer])) for x in (image, photograph))
    return (wanted.exp() * (wanted - own)).sum(-1).mean().item()


def _coarse(features: Tensor, most: int = 4096) -> Tensor:
    """A layer with so many positions at most: their square is what self-similarity takes of the memory."""
    while features.shape[-2] * features.shape[-1] > most:
        features = functional.avg_pool2d(features, 2)
    return features


def anchored(found: Tensor, nothing: Tensor, copy: Tensor) -> Tensor:
    """Measures on a scale from 0, what doing nothing gets, to 1, what copying the artwork gets; and beyond."""
    return (found - nothing) / (copy - nothing)


def warping_error(before: Tensor, now: Tensor, way: Tensor, seen: Tensor) -> float:
    """How far a frame is from the one before brought along the motion: root mean square, where that shows the same (`seen`)."""
    squares = (now - warp(before, way)).square().mean(1, keepdim=True) * seen
    return (squares.sum() / seen.sum()).sqrt().item()
