"""Numbers that judge pictures without anybody's taste: each takes pictures N x 3 x H x W (N = 1) and gives one number."""

import math
from collections.abc import Sequence

import torch
from skimage.filters import sobel
from torch import Tensor

from nstutils import images
from nstutils.backbones import FeatureExtractor
from nstutils.losses import gram


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
    """How many pixels apart two positions stop being alike: where the mean autocorrelation falls to 1/e.

    Takes a picture or activations (N x C x H x W); channels that do not vary are left out. At most half the short side.
    """
    values = image[0].double()
    values = values[values.amax((1, 2)) > values.amin((1, 2))]
    values = values - values.mean((1, 2), keepdim=True)
    last, end = 1.0, min(image.shape[-2:]) // 2
    for apart in range(1, end):
        alike = _alike(values, apart)
        if alike < 1 / math.e:
            return apart - 1 + (last - 1 / math.e) / (last - alike)
        last = alike
    return float(end)


def _alike(values: Tensor, apart: int) -> float:
    """The mean autocorrelation, over channels, down and across, of maps C x H x W of mean 0."""
    down = (values[:, apart:] * values[:, :-apart]).mean((1, 2))
    across = (values[..., apart:] * values[..., :-apart]).mean((1, 2))
    return ((down + across) / 2 / values.square().mean((1, 2))).mean().item()


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
    made, wanted = ([gram(features) for features in judge(x, layers).values()] for x in (image, style))
    return sum(((g - a).norm() / a.norm()).item() for g, a in zip(made, wanted, strict=True)) / len(layers)
