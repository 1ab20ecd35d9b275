"""What is minimised, one equation at a time (numbers as in Gatys et al. 2015).

A loss is a frozen value with its target inside, called as `loss(image, activations)`, and gives one number for each picture
of the batch. `terms` is a dict `{name: (weight, loss)}`: the weighted sum is what an optimiser minimises.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

Activations = Mapping[str, Tensor]


class Loss(Protocol):
    """Anything with the layers it needs and a call that gives one number a picture."""

    @property
    def layers(self) -> tuple[str, ...]: ...

    def __call__(self, image: Tensor, activations: Activations) -> Tensor: ...


Terms = Mapping[str, tuple[float | Tensor, Loss]]


class _SelfProduct(torch.autograd.Function):
    """F Fᵀ of N x C x M. Its derivative is one product, (D + Dᵀ) F, where autograd would compute two."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        return features @ features.mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        return (upstream + upstream.mT) @ features


def gram(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """The Gram matrix F Fᵀ / M (eq. 3 divided by the M positions): N x C x H x W to N x C x C.

    With a guide T (H x W or N x 1 x H x W) it is (T∘F)(T∘F)ᵀ with T scaled to ΣT² = 1: the strength of a style does not
    depend on the area of its guide, and an all-ones guide gives F Fᵀ / M again.
    """
    if features.ndim != 4:
        raise ValueError(f"features are N x C x H x W, these are {tuple(features.shape)}; add the batch dimension with [None]")
    features = features if features.dtype == torch.float64 else features.float()
    if guide is None:
        return _SelfProduct.apply(features.flatten(2)) / features[0, 0].numel()
    if guide.shape[-2:] != features.shape[-2:]:
        raise ValueError(
            f"the guide has {tuple(guide.shape[-2:])} positions, the features {tuple(features.shape[-2:])}; bring it to the "
            "layer's size with nstutils.guidance.propagate"
        )
    total = guide.square().sum((-2, -1), keepdim=True)
    if not bool((total > 0).all()):
        raise ValueError("the guide is zero everywhere in this layer; give a larger region or leave the layer out")
    return _SelfProduct.apply((features * (guide / total.sqrt())).flatten(2))


@dataclass(frozen=True, eq=False)
class ContentLoss:
    """½ Σ (F − P)² over filters and positions (eq. 1), summed over the layers of `targets`."""

    targets: Activations

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        return torch.stack([self._error(activations[k], p) for k, p in self.targets.items()]).sum(0)

    @staticmethod
    def _error(found: Tensor, wanted: Tensor) -> Tensor:
        difference = found - wanted
        difference = difference if difference.dtype == torch.float64 else difference.float()
        return difference.square().sum((1, 2, 3)) / 2


@dataclass(frozen=True, eq=False)
class StyleLoss:
    """Σ w_l E_l with E_l = 1/(4 N_l²) Σ (G/M_x − A/M_a)² (eqs. 4 and 5); `targets` holds the Gram matrices A/M_a by layer.

    `weights` are the w_l in the order of the layers (a number, or one number a picture), 1/(number of layers) if not given;
    `guides` restrict the style to a region of the picture, layer by layer.
    """

    targets: Activations
    weights: Sequence[float | Tensor] | None = None
    guides: Activations | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        errors = self.by_layer(activations)
        weights = self.weights if self.weights is not None else [1 / len(errors)] * len(errors)
        return torch.stack([w * e for w, e in zip(weights, errors.values(), strict=True)]).sum(0)

    def by_layer(self, activations: Activations) -> dict[str, Tensor]:
        """E_l of each layer, one number a picture."""
        errors = {}
        for layer, wanted in self.targets.items():
            found = gram(activations[layer], self.guides[layer] if self.guides else None)
            errors[layer] = (found - wanted).square().sum((1, 2)) / (4 * wanted.shape[-1] ** 2)
        return errors


@dataclass(frozen=True, eq=False)
class Mixture:
    """A weighted sum of losses under one name: several styles, each in its own region."""

    losses: tuple[Loss, ...]
    weights: tuple[float, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(layer for loss in self.losses for layer in loss.layers))

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        parts = [weight * loss(image, activations) for weight, loss in zip(self.weights, self.losses, strict=True)]
        return torch.stack(parts).sum(0)


@dataclass(frozen=True, eq=False)
class TVLoss:
    """Σ (x_{i+1,j} − x_{i,j})² + Σ (x_{i,j+1} − x_{i,j})² over the pixels: total variation as document A writes it."""

    layers: tuple[str, ...] = ()

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        return image.diff(dim=-2).square().sum((1, 2, 3)) + image.diff(dim=-1).square().sum((1, 2, 3))


def evaluate(net: Any, image: Tensor, terms: Terms) -> dict[str, Tensor]:
    """The raw (unweighted) losses of every term, one number a picture, from one pass through the network."""
    layers = tuple(dict.fromkeys(layer for _, loss in terms.values() for layer in loss.layers))
    activations = net(image, layers) if layers else {}
    return {name: loss(image, activations) for name, (_, loss) in terms.items()}


def total(losses: Mapping[str, Tensor], terms: Terms) -> Tensor:
    """The weighted sum of the terms, one number a picture; a term of weight 0 takes no part."""
    parts = [weight * losses[name] for name, (weight, _) in terms.items() if isinstance(weight, Tensor) or weight]
    if not parts:
        raise ValueError("all weights are zero, so there is nothing to minimise; give alpha, beta or tv a positive value")
    return torch.stack(parts).sum(0)
