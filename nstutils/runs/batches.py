"""Several runs as one batch: picture k keeps the weights and targets of run k. Runs of other layers would cost it time."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nstutils.library.errors import UserError
from nstutils.losses import ContentLoss, StyleLoss, Terms, TVLoss


def joined(terms: Sequence[Terms], device: torch.device | None = None) -> Terms:
    """The terms of a batch: picture k has the weights and targets of `terms[k]`, all with the names and kinds of the first."""
    batch = {}
    for name, (_, loss) in terms[0].items():
        parts = [part[name] for part in terms]
        together = loss if isinstance(loss, TVLoss) else _stacked([part for _, part in parts])
        batch[name] = (_each([weight for weight, _ in parts], device), together)
    return batch


def _stacked(losses: Sequence[Any]) -> ContentLoss | StyleLoss:
    """One content or style loss for a batch."""
    first, kind = losses[0], type(losses[0])
    same = all(type(loss) is kind and loss.layers == first.layers for loss in losses)
    if kind not in (ContentLoss, StyleLoss) or not same or any(getattr(loss, "guides", None) for loss in losses):
        raise UserError("only content and style losses of one kind, of the same layers and without guides, can share a batch; "
                        "minimise these one by one")  # fmt: skip
    targets = {layer: _for_each([loss.targets[layer] for loss in losses]) for layer in first.layers}
    usual = [1.0 if kind is ContentLoss else 1 / len(targets)] * len(targets)
    given = [usual if loss.weights is None else loss.weights for loss in losses]
    device = next(iter(targets.values())).device
    return kind(targets, [_each(values, device) for values in zip(*given, strict=True)])


def _for_each(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors as one batch; a single one where all share it."""
    return tensors[0] if all(one is tensors[0] for one in tensors) else torch.cat(list(tensors))


def _each(weights: Sequence[float | Tensor], device: torch.device | None) -> float | Tensor:
    """One number a picture; a plain number where all are equal."""
    values = [float(weight) for weight in weights]
    return values[0] if len(set(values)) == 1 else torch.tensor(values, device=device)
