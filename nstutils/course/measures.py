"""Numbers that judge pictures without anybody's taste: each takes pictures N x 3 x H x W (N = 1) and gives one number."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import images
from nstutils.backbones import FeatureExtractor
from nstutils.losses import gram


def psnr(image: Tensor, wanted: Tensor) -> float:
    """Peak signal-to-noise ratio in decibels: 30 is hard to tell apart, infinite is equal."""
    error = (image - wanted).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


def fine_energy(image: Tensor, above: float = 0.25) -> float:
    """Share of the variance above `above` cycles a pixel: what looks like grain."""
    values = images.luminance(image)[0, 0]
    window = torch.outer(torch.hann_window(values.shape[0]), torch.hann_window(values.shape[1])).to(values)
    power = torch.fft.fft2((values - values.mean()) * window).abs().square()
    rows, columns = (torch.fft.fftfreq(n).to(values) for n in values.shape)
    radius = (rows[:, None] ** 2 + columns[None] ** 2).sqrt()
    return (power[radius > above].sum() / power[radius > 0].sum()).item()


def autocorrelation_length(image: Tensor) -> float:
    """How many pixels apart two positions stop being alike: where the mean autocorrelation falls to 1/e.

    Takes a picture or activations (N x C x H x W); channels that do not vary are left out.
    """
    values = image[0].double() - image[0].double().mean((-2, -1), keepdim=True)
    values = values[values.flatten(1).abs().amax(1) > 0]
    size = (2 * values.shape[-2], 2 * values.shape[-1])
    power = torch.fft.rfft2(values, size).abs().square()
    counts = torch.fft.irfft2(torch.fft.rfft2(torch.ones_like(values[:1]), size).abs().square(), size)
    raw = torch.fft.irfft2(power, size) / counts.clamp(min=1)
    mean = (raw / raw[:, :1, :1]).mean(0)
    profile = torch.stack([mean[: values.shape[-2] // 2, 0][: _half(values)], mean[0][: _half(values)]]).mean(0)
    below = torch.nonzero(profile < 1 / math.e).flatten()
    if len(below) == 0:
        return float(len(profile))
    k = int(below[0])
    high, low = profile[k - 1].item(), profile[k].item()
    return k - 1 + (high - 1 / math.e) / (high - low)


def _half(values: Tensor) -> int:
    return min(values.shape[-2], values.shape[-1]) // 2


def edges(image: Tensor) -> Tensor:
    """Strength of the edges of the brightness (Sobel), N x 1 x H x W."""
    kernel = image.new_tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 4
    grey = F.pad(images.luminance(image), (1, 1, 1, 1), mode="replicate")
    return F.conv2d(grey, torch.stack([kernel, kernel.T])[:, None]).square().sum(1, keepdim=True).sqrt()


def correlation(one: Tensor, other: Tensor) -> float:
    """Pearson's correlation of two pictures, pixel by pixel; 0 where one of them is constant."""
    a, b = one.flatten().double(), other.flatten().double()
    a, b = a - a.mean(), b - b.mean()
    scale = (a.square().sum() * b.square().sum()).sqrt()
    return (a @ b / scale).item() if scale > 0 else 0.0


def edge_correlation(image: Tensor, other: Tensor) -> float:
    """How far the edges of two pictures of one size stand in the same places."""
    return correlation(edges(image), edges(other))


def colour_distance(image: Tensor, other: Tensor, bins: int = 8) -> float:
    """Half the sum of the differences of two colour histograms: 0 is the same palette, 1 nothing in common."""

    def histogram(picture: Tensor) -> Tensor:
        index = (picture[0].clamp(0, 1) * (bins - 1e-4)).long().flatten(1)
        code = (index[0] * bins + index[1]) * bins + index[2]
        return torch.bincount(code, minlength=bins**3).double() / code.numel()

    return (histogram(image) - histogram(other)).abs().sum().item() / 2


@torch.no_grad()
def style_distance(image: Tensor, style: Tensor, judge: FeatureExtractor, layers: Sequence[str]) -> float:
    """Relative Gram distance Σ‖G − A‖/‖A‖ over the layers, in a network that should not have made the picture."""
    found, wanted = judge(image, layers), judge(style, layers)
    parts = []
    for layer in layers:
        a = gram(wanted[layer])
        parts.append(((gram(found[layer]) - a).norm() / a.norm()).item())
    return sum(parts) / len(parts)
