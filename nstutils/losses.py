"""What is minimised, one equation at a time (numbers as in Gatys et al. 2015).

A loss is a frozen value with its target inside, called as `loss(image, activations)`, and gives one number for each picture
of the batch. `terms` is a dict `{name: (weight, loss)}`: the weighted sum is what an optimiser minimises."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from nstutils.backbones import CONTENT_LAYERS, STYLE_LAYERS, FeatureExtractor
from nstutils.library.errors import UserError

Activations = Mapping[str, Tensor]
Terms = Mapping[str, tuple[float | Tensor, "Loss"]]
Sums = dict[Any, Tensor]  # by layer, or what else a loss calls them
Crop = Callable[[str, Tensor], Tensor]
Weights = Sequence[float | Tensor] | None


class Loss(Protocol):
    """Anything with the layers it needs and a call that gives one number a picture."""

    @property
    def layers(self) -> tuple[str, ...]: ...

    def __call__(self, image: Tensor, activations: Activations) -> Tensor: ...


@runtime_checkable
class Summed(Loss, Protocol):
    """A loss that is a `value` of `sums` over positions: the sums of tiles add up to those of the whole picture."""

    def sums(self, activations: Activations, crop: Crop) -> Sums: ...

    def value(self, sums: Sums) -> Tensor: ...


def whole(layer: str, target: Tensor) -> Tensor:
    """A target for the whole picture, as it is; for a tile, `sums` is given a function that crops it instead."""
    return target


class _SelfProduct(torch.autograd.Function):
    """F Fᵀ of N x C x M, in float32 at least. Its derivative is one product, (D + Dᵀ) F, where autograd would compute two,
    and lies in memory as F does: gradients of two layouts would cost the network a quarter of its time."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        return _in_parts(features) if features.dtype == torch.bfloat16 else features @ features.mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        both = (upstream + upstream.mT).to(features.dtype)
        return (features.mT @ both).mT if features.stride(1) == 1 else both @ features


def _in_parts(features: Tensor) -> Tensor:
    """F Fᵀ of bfloat16 features in float32. The processor adds up in float32 but rounds its result to 8 bits: products of at
    least 16 short parts of the positions, added in float32, leave a quarter of that error; few are converted instead."""
    count, channels, positions = features.shape
    length = max(256, positions // 64)
    parts = positions // length
    if parts < 16:
        return features.float() @ features.float().mT
    even = features.mT[:, : parts * length].reshape(count, parts, length, channels)
    rest = features[..., parts * length :].float()
    return (even.mT @ even).float().sum(1) + rest @ rest.mT


def gram(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """The Gram matrix F Fᵀ / M (eq. 3 divided by the M positions): N x C x H x W to N x C x C.

    With a guide T (H x W or N x 1 x H x W) it is (T∘F)(T∘F)ᵀ with T scaled to ΣT² = 1: the strength of a style does not
    depend on the area of its guide, and an all-ones guide gives F Fᵀ / M again."""
    if features.ndim != 4:
        raise UserError(f"features are N x C x H x W, these are {tuple(features.shape)}; add the batch dimension with [None]")
    if guide is None:
        return _SelfProduct.apply(features.flatten(2)) / features[0, 0].numel()
    return _guided(features, unit(guide))


def unit(guide: Tensor) -> Tensor:
    """The guide scaled to ΣT² = 1."""
    energy = guide.square().sum((-2, -1), keepdim=True)
    if not bool((energy > 0).all()):
        raise UserError("the guide is zero everywhere in this layer; give a larger region or leave the layer out")
    return guide / energy.sqrt()


def check_size(guide: Tensor, features: Tensor) -> None:
    """Refuse a guide that has not the features' positions."""
    if guide.shape[-2:] != features.shape[-2:]:
        raise UserError(
            f"the guide has {tuple(guide.shape[-2:])} positions, the features {tuple(features.shape[-2:])}; bring it to the "
            "layer's size with nstutils.guidance.propagate"
        )


def _guided(features: Tensor, guide: Tensor) -> Tensor:
    """The sum over positions, (T∘F)(T∘F)ᵀ."""
    check_size(guide, features)
    # a guide up to 1, so that a hard mask is exact in bfloat16 too; its scale comes back in float32
    top = guide.amax((-2, -1), keepdim=True).clamp(min=1e-30)
    product = _SelfProduct.apply((features * (guide / top).to(features.dtype)).flatten(2))
    return product * top.reshape(-1, 1, 1).square()


def weighed(values: Collection[Tensor], weights: Weights, usual: float) -> Tensor:
    """The weighted sum; where no weights are given each is the usual one."""
    weights = [usual] * len(values) if weights is None else weights
    return torch.stack([weight * value for weight, value in zip(weights, values, strict=True)]).sum(0)


@dataclass(frozen=True, eq=False)
class ContentLoss:
    """½ Σ (F − P)² over filters and positions (eq. 1), summed over the layers of `targets`. `weights` are factors in the order
    of the layers (a number, or one number a picture), 1 each if not given."""

    targets: Activations
    weights: Weights = None

    def __post_init__(self) -> None:
        _check("ContentLoss", self.targets, 4, self.weights)

    @classmethod
    def of(cls, net: FeatureExtractor, p: Tensor, layers: Sequence[str] | None = None, weights: Weights = None) -> Self:
        """The loss whose target is the picture p, as `layers` see it (those of the course, if not given)."""
        return cls(seen(net, p, layers or CONTENT_LAYERS[net.family]), weights)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        return self.value(self.sums(activations))

    def sums(self, activations: Activations, crop: Crop = whole) -> Sums:
        """The error of each layer."""
        errors = {}
        for layer, wanted in self.targets.items():
            found, wanted = activations[layer], crop(layer, wanted)
            if found.shape[1:] != wanted.shape[1:]:
                raise UserError(
                    f"the target of {layer} is {tuple(wanted.shape)}, the picture gives {tuple(found.shape)}; "
                    "take pictures of one size"
                )
            difference = found - wanted
            difference = difference if difference.dtype == torch.float64 else difference.float()
            errors[layer] = difference.square().sum((1, 2, 3)) / 2
        return errors

    def value(self, sums: Sums) -> Tensor:
        """All layers together."""
        return weighed(sums.values(), self.weights, 1.0)


@dataclass(frozen=True, eq=False)
class StyleLoss:
    """Σ w_l E_l with E_l = 1/(4 N_l²) Σ (G/M_x − A/M_a)² (eqs. 4 and 5); `targets` holds the Gram matrices A/M_a by layer.

    `weights` are the w_l in the order of the layers (a number, or one number a picture), 1/(number of layers) if not given;
    `guides` restrict the style to a region of the picture, layer by layer."""

    targets: Activations
    weights: Weights = None
    guides: Activations | None = None

    def __post_init__(self) -> None:
        _check("StyleLoss", self.targets, 3, self.weights)

    @classmethod
    def of(cls, net: FeatureExtractor, a: Tensor, layers: Sequence[str] | None = None, weights: Weights = None) -> Self:
        """The loss whose target is the style of the artwork a, as `layers` see it (those of the course, if not given)."""
        return cls({k: gram(f) for k, f in seen(net, a, layers or STYLE_LAYERS[net.family]).items()}, weights)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.targets)

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        return self.value(self.sums(activations))

    def sums(self, activations: Activations, crop: Crop = whole) -> Sums:
        """F Fᵀ of each layer, and its number of positions; with guides (T∘F)(T∘F)ᵀ, which needs no number."""
        found: Sums = {}
        for layer in self.targets:
            features = activations[layer]
            if self.guides:
                found[layer] = _guided(features, crop(layer, unit(self.guides[layer])))
            else:
                found[layer] = _SelfProduct.apply(features.flatten(2))
                found[layer, "positions"] = found[layer].new_tensor(float(features[0, 0].numel()))
        return found

    def grams(self, sums: Sums) -> dict[str, Tensor]:
        """The Gram matrices of the picture that these are the sums of."""
        return {k: sums[k] if self.guides else sums[k] / sums[k, "positions"] for k in self.layers}

    def value(self, sums: Sums) -> Tensor:
        """Σ w_l E_l."""
        errors = self._errors(sums)
        return weighed(errors.values(), self.weights, 1 / len(errors))

    def by_layer(self, activations: Activations) -> dict[str, Tensor]:
        """E_l of each layer, one number a picture."""
        return self._errors(self.sums(activations))

    def _errors(self, sums: Sums) -> dict[str, Tensor]:
        found = self.grams(sums)
        return {k: (found[k] - a).square().sum((1, 2)) / (4 * a.shape[-1] ** 2) for k, a in self.targets.items()}


@torch.no_grad()
def seen(net: FeatureExtractor, picture: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The activations of a picture, to be a target."""
    return net(picture.to(net.weight.device), layers)


def _check(name: str, targets: Activations, dimensions: int, weights: Weights) -> None:
    """Refuse what cannot be a target: `dimensions` has an activation 4, a Gram matrix 3 (the batch is one of them)."""
    if not isinstance(targets, Mapping):
        raise UserError(f"the targets of {name} are a {type(targets).__name__}; make it of a picture with {name}.of(net, …)")
    for layer, target in targets.items():
        if target.ndim != dimensions:
            wanted = "activations, N x C x H x W" if dimensions == 4 else "its Gram matrix, N x C x C"
            raise UserError(
                f"the target of {layer} in a {name} is {tuple(target.shape)}, wanted {wanted}; make the loss of a picture with "
                f"{name}.of(net, …)" + ("" if dimensions == 4 else ", or give gram(F) of each layer")
            )
    if weights is not None and len(weights) != len(targets):
        raise UserError(f"{len(weights)} weights for {len(targets)} layers; give one for each")


@dataclass(frozen=True, eq=False)
class Mixture:
    """A weighted sum of losses under one name: several styles, each in its own region."""

    losses: tuple[Any, ...]
    weights: tuple[float | Tensor, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        return layers_of(self.losses)

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        return weighed([loss(image, activations) for loss in self.losses], self.weights, 1.0)

    def sums(self, activations: Activations, crop: Crop = whole) -> Sums:
        """The sums of every part, under its number."""
        return {(k, key): v for k, loss in enumerate(self.losses) for key, v in loss.sums(activations, crop).items()}

    def value(self, sums: Sums) -> Tensor:
        """The parts weighed and added."""
        own = [{key: value for (k, key), value in sums.items() if k == number} for number in range(len(self.losses))]
        return weighed([loss.value(mine) for loss, mine in zip(self.losses, own, strict=True)], self.weights, 1.0)


@dataclass(frozen=True, eq=False)
class TVLoss:
    """Σ (x_{i+1,j} − x_{i,j})² + Σ (x_{i,j+1} − x_{i,j})² over the pixels: total variation as document A writes it."""

    layers: tuple[str, ...] = ()

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        return image.diff(dim=-2).square().sum((1, 2, 3)) + image.diff(dim=-1).square().sum((1, 2, 3))


@dataclass(frozen=True, eq=False)
class TemporalLoss:
    """The mean of m (x − ω)² over the pixels: ω is what the frame before lets expect of this one, the mask m (N x 1 x H x W)
    where it can know (1) and where something has just come into view (0). Ruder 2016; with ω = the last picture + what changed
    between the frames, and no mask, the frame-difference loss of Xu 2021."""

    target: Tensor
    mask: Tensor | None = None
    layers: tuple[str, ...] = ()

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        change = (image - self.target).square()
        return (change if self.mask is None else self.mask * change).mean((1, 2, 3))


def layers_of(losses: Iterable[Loss]) -> tuple[str, ...]:
    """The layers that losses look at, each once."""
    return tuple(dict.fromkeys(layer for loss in losses for layer in loss.layers))


def evaluate(net: FeatureExtractor, image: Tensor, terms: Terms) -> dict[str, Tensor]:
    """The raw (unweighted) losses of every term, one number a picture, from one pass through the network."""
    layers = layers_of(loss for _, loss in terms.values())
    activations = net(image, layers) if layers else {}
    return {name: loss(image, activations) for name, (_, loss) in terms.items()}


def total(losses: Mapping[str, Tensor], terms: Terms) -> Tensor:
    """The weighted sum of the terms, one number a picture; a term of weight 0 takes no part."""
    parts = [weight * losses[name] for name, (weight, _) in terms.items() if isinstance(weight, Tensor) or weight]
    if not parts:
        raise UserError("all weights are zero, so there is nothing to minimise; give alpha, beta or tv a positive value")
    return torch.stack(parts).sum(0)
