"""Several runs as one batch: picture k keeps the weights, layers and targets of run k."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nstutils.library.errors import UserError
from nstutils.losses import Activations, ContentLoss, Mixture, StyleLoss, Terms, TVLoss


def joined(terms: Sequence[Terms], device: torch.device | None = None) -> Terms:
    """The terms of a batch: picture k has the weights and targets of `terms[k]`, all with the names and kinds of the first."""
    batch = {}
    for name, (_, loss) in terms[0].items():
        parts = [part[name] for part in terms]
        together = loss if isinstance(loss, TVLoss) else _stacked([part for _, part in parts])
        batch[name] = (_each([weight for weight, _ in parts], device), together)
    return batch


def _stacked(losses: Sequence[Any]) -> ContentLoss | StyleLoss | Mixture:
    """One content or style loss for a batch, with all layers of its parts: weight 0 for a picture that has not asked for it."""
    kinds = {(type(loss), bool(getattr(loss, "guides", None)), len(getattr(loss, "losses", ()))) for loss in losses}
    kind = type(losses[0])
    if len(kinds) > 1 or kind not in (ContentLoss, StyleLoss, Mixture):
        raise UserError("only losses of one kind, and with as many regions, can share a batch; minimise these one by one")
    if kind is Mixture:
        regions = range(len(losses[0].losses))
        shares = tuple(_each([loss.weights[k] for loss in losses], _device(losses[0].losses[0])) for k in regions)
        return Mixture(tuple(_stacked([loss.losses[k] for loss in losses]) for k in regions), shares)  # type: ignore[misc]
    layers = tuple(dict.fromkeys(layer for loss in losses for layer in loss.layers))
    weights = [_each([_weight(loss, layer) for loss in losses], _device(losses[0])) for layer in layers]
    targets = {layer: _for_each([loss.targets for loss in losses], layer) for layer in layers}
    if not getattr(losses[0], "guides", None):
        return kind(targets, weights)
    return StyleLoss(targets, weights, {layer: _for_each([loss.guides for loss in losses], layer) for layer in layers})


def _for_each(tables: Sequence[Activations], layer: str) -> Tensor:
    """The tensors of a layer as one batch, a stand-in for a picture that has none; a single one where all share it."""
    given = [table[layer] for table in tables if layer in table]
    return given[0] if all(one is given[0] for one in given) else torch.cat([table.get(layer, given[0]) for table in tables])


def _device(loss: ContentLoss | StyleLoss) -> torch.device:
    """Where the targets of a loss lie."""
    return next(iter(loss.targets.values())).device


def _weight(loss: ContentLoss | StyleLoss, layer: str) -> float | Tensor:
    """The weight of a layer in a loss, 0 where it has none."""
    if layer not in loss.layers:
        return 0.0
    if loss.weights is None:
        return 1.0 if isinstance(loss, ContentLoss) else 1 / len(loss.layers)
    return loss.weights[loss.layers.index(layer)]


def _each(weights: Sequence[float | Tensor], device: torch.device | None) -> float | Tensor:
    """One number a picture; a plain number where all are equal."""
    values = [float(weight) for weight in weights]
    return values[0] if len(set(values)) == 1 else torch.tensor(values, device=device)
