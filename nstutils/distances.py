"""Other distances between two styles than that of their Gram matrices, behind the interface of `StyleLoss`.

A style is a cloud of points, one a position, with the filters' responses as coordinates; each distance compares two clouds.
Directions and samples are drawn once, from a seed of their own: L-BFGS and the best picture need one function that stays the
same from step to step, and numbers of two runs can be compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils.backbones import STYLE_LAYERS, FeatureExtractor
from nstutils.library.errors import UserError
from nstutils.losses import Activations, Weights, check_size, seen, unit, weighed

DIRECTIONS = 128  # that a cloud is projected on at most; Heitz et al. take as many as there are filters
QUANTILES = 1 << 14  # of a projected artwork that are kept at most
SAMPLES = 1024  # points of an artwork that are kept, as STROTSS
PAIRS, FEWEST = SAMPLES**2, 64  # pairs of points that are compared, and of how many of the artwork's at least


def moments(points: Tensor) -> Tensor:
    """Mean and standard deviation of each filter: N x C x M to N x C x 2."""
    mean = points.mean(-1)
    variance = (points - mean[..., None]).square().mean(-1)
    return torch.stack([mean, (variance + 1e-8).sqrt()], -1)  # a root of zero has no derivative


def moments_distance(points: Tensor, target: Tensor) -> Tensor:
    """The mean over the filters of the squared differences of mean and standard deviation."""
    return (moments(points) - target).square().sum(-1).mean(-1)


def directions(points: Tensor) -> Tensor:
    """Random directions of length 1 among the filters of N x C x M points: min(C, DIRECTIONS) x C."""
    filters = points.shape[1]
    drawn = torch.randn(min(filters, DIRECTIONS), filters, generator=torch.Generator().manual_seed(0))
    return F.normalize(drawn, dim=1).to(points)


def projected(points: Tensor) -> Tensor:
    """The points' places along random directions, in rising order: N x C x M to N x directions x at most QUANTILES."""
    places = (directions(points) @ points).sort(-1).values
    return places if places.shape[-1] <= QUANTILES else F.interpolate(places, QUANTILES, mode="linear")


def sliced_wasserstein(points: Tensor, target: Tensor) -> Tensor:
    """The mean over directions of the squared 2-Wasserstein distance (Heitz et al. 2021) to a target from `projected`: along
    each, the k-th of the points goes to the k-th of the target's, or where those are more or fewer to that quantile."""
    places = directions(points) @ points
    with torch.no_grad():  # numpy's way to sort takes a sixth of torch's time
        order = torch.from_numpy(np.argsort(places.cpu().numpy(), -1)).to(points.device)
        wanted = F.interpolate(target, places.shape[-1], mode="linear").expand_as(places)
        there = torch.empty_like(places).scatter_(-1, order, wanted)
    return (places - there).square().mean((1, 2))


def sampled(points: Tensor) -> Tensor:
    """At most SAMPLES of the points, drawn at random, each brought to length 1: N x C x M to N x C x samples."""
    drawn = torch.randperm(points.shape[-1], generator=torch.Generator().manual_seed(0))[:SAMPLES]
    return F.normalize(points[..., drawn.to(points.device)], dim=1, eps=1e-6)


def relaxed_emd(points: Tensor, target: Tensor) -> Tensor:
    """The relaxed earth mover's distance (STROTSS, Kolkin et al. 2019) to a target from `sampled`: every point goes to the
    nearest of the other cloud, by the cosine; of the two ways, the longer. All points take part, or those left out would be
    seen as grain; so where they are many, they meet fewer of the target's."""
    few = max(FEWEST, PAIRS // points.shape[-1])
    x, a = F.normalize(points, dim=1, eps=1e-6), target[..., :few].expand(len(points), -1, -1)
    return torch.stack([1 - (one * _nearest(one, other)).sum(1).mean(-1) for one, other in ((x, a), (a, x))]).amax(0)


def _nearest(points: Tensor, others: Tensor) -> Tensor:
    """For each point that of the others with the largest product; which one that is has no derivative."""
    which = (points.detach().mT @ others.detach()).argmax(-1)
    return others.gather(-1, which[:, None].expand(-1, others.shape[1], -1))


def transport(points: Tensor, target: Tensor) -> Tensor:
    """The relaxed earth mover's distance and, as in STROTSS, that of the moments: a cosine does not see how bright."""
    return 4 * relaxed_emd(points, target[..., 2:]) + moments_distance(points, target[..., :2])


class Kind(NamedTuple):
    """One distance: what is kept of an artwork's points, how far points are from it, and the factor of its loss."""

    target: Callable[[Tensor], Tensor]
    distance: Callable[[Tensor, Tensor], Tensor]
    factor: float  # with which photographs are as far from artworks as by `StyleLoss`, both with their usual weights of layers


KINDS = {
    "moments": Kind(moments, moments_distance, 0.8),
    "sliced": Kind(projected, sliced_wasserstein, 1.0),
    "emd": Kind(lambda points: torch.cat([moments(points), sampled(points)], -1), transport, 0.4),
}


def cloud(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """The points of N x C x H x W features, N x C x M, in float32 at least; of a guide H x W those in its brighter half."""
    points = features.flatten(2)
    points = points if points.dtype == torch.float64 else points.float()
    if guide is None:
        return points
    check_size(guide, features)
    bright = unit(guide)
    return points[..., (bright > bright.amax() / 2).flatten()]


@dataclass(frozen=True, eq=False)
class CloudLoss:
    """Σ w_l D_l, where D_l is the distance named `kind` between the clouds of a layer; `targets` holds what it keeps of the
    artwork. `weights` and `guides` are those of a `StyleLoss`; a guide takes the points of its brighter half."""

    kind: str
    targets: Activations
    weights: Weights = None
    guides: Activations | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.targets):
            raise UserError(f"{len(self.weights)} weights for {len(self.targets)} layers; give one for each")

    @classmethod
    def of(
        cls, net: FeatureExtractor, a: Tensor, layers: Sequence[str] | None = None, weights: Weights = None, kind: str = "emd"
    ) -> Self:
        """The loss whose target is the style of the artwork a, as `layers` see it (those of the course, if not given)."""
        return cls(kind, targets_of(kind, seen(net, a, layers or STYLE_LAYERS[net.family])), weights)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        return weighed(self.by_layer(activations).values(), self.weights, 1 / len(self.targets))

    def by_layer(self, activations: Activations) -> dict[str, Tensor]:
        """D_l of each layer, one number a picture."""
        return {layer: self._distance(layer, activations[layer]) for layer in self.targets}

    def _distance(self, layer: str, features: Tensor) -> Tensor:
        (_, apart, factor), target = KINDS[self.kind], self.targets[layer]
        if not self.guides:
            return factor * apart(cloud(features), target)
        guides = self.guides[layer].expand(len(features), 1, -1, -1)  # each takes as many points as it likes
        parts = zip(features.split(1), guides, target.expand(len(features), -1, -1).split(1), strict=True)
        return factor * torch.cat([apart(cloud(one, guide), wanted) for one, guide, wanted in parts])


def targets_of(kind: str, activations: Activations, guides: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """What a distance keeps of an artwork with these activations, by layer; with guides, of a part of it."""
    if kind not in KINDS:
        raise UserError(f"there is no distance {kind!r}; choose from {', '.join(KINDS)}")
    return {k: KINDS[kind].target(cloud(f, guides[k] if guides else None)) for k, f in activations.items()}
