"""Several runs as one batch: picture k keeps the weights and targets of run k. Runs of other layers would cost it time."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nstutils.library.errors import UserError
from nstutils.losses import ContentLoss, Mixture, StyleLoss, Terms, TVLoss


def joined(terms: Sequence[Terms], device: torch.device | None = None) -> Terms:
    """The terms of a batch: picture k has the weights and targets of `terms[k]`, all with the names and kinds of the first."""
    batch = {}
    for name, (_, loss) in terms[0].items():
        parts = [part[name] for part in terms]
        together = loss if isinstance(loss, TVLoss) else _stacked([part for _, part in parts])
        batch[name] = (_each([weight for weight, _ in parts], device), together)
    return batch


def _stacked(losses: Sequence[Any]) -> ContentLoss | StyleLoss | Mixture:
    """One content or style loss for a batch."""
    first, kind = losses[0], type(losses[0])
    kinds = {(type(one), one.layers, bool(getattr(one, "guides", None)), len(getattr(one, "losses", ()))) for one in losses}
    if len(kinds) > 1 or kind not in (ContentLoss, StyleLoss, Mixture):
        raise UserError("only losses of one kind, of the same layers and regions, can share a batch; minimise these one by one")
    if kind is Mixture:
        regions, device = range(len(first.losses)), _device(first.losses[0])
        shares = tuple(_each([loss.weights[k] for loss in losses], device) for k in regions)
        return Mixture(tuple(_stacked([loss.losses[k] for loss in losses]) for k in regions), shares)
    usual = [1.0 if kind is ContentLoss else 1 / len(first.layers)] * len(first.layers)
    given = [usual if loss.weights is None else loss.weights for loss in losses]
    weights = [_each(values, _device(first)) for values in zip(*given, strict=True)]
    targets = {layer: _for_each([loss.targets[layer] for loss in losses]) for layer in first.layers}
    if not getattr(first, "guides", None):
        return kind(targets, weights)
    return StyleLoss(targets, weights, {layer: _for_each([loss.guides[layer] for loss in losses]) for layer in first.layers})


def _for_each(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors as one batch; a single one where all share it."""
    return tensors[0] if all(one is tensors[0] for one in tensors) else torch.cat(list(tensors))


def _device(loss: ContentLoss | StyleLoss) -> torch.device:
    """Where the targets of a loss lie."""
    return next(iter(loss.targets.values())).device


def _each(weights: Sequence[float | Tensor], device: torch.device | None) -> float | Tensor:
    """One number a picture; a plain number where all are equal."""
    values = [float(weight) for weight in weights]
    return values[0] if len(set(values)) == 1 else torch.tensor(values, device=device)
