"""Right answers to the exercises of lesson 07."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def guided_loss(f: Tensor, t: Tensor, a: Tensor) -> Tensor:
    """All regions at once."""
    grams = torch.einsum("bihw,bjhw,rkhw->brij", f, f, t**2)
    return ((grams - a) ** 2).sum((2, 3)).mean(1) / (2 * f.shape[1]) ** 2


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "unit_guide": [lambda t: t / torch.linalg.vector_norm(t, dim=(2, 3), keepdim=True)],
    "guided_gram": [lambda f, t: torch.einsum("bihw,bjhw,bkhw->bij", f, f, t**2)],
    "guided_loss": [guided_loss],
    "border_gap": [lambda masks: torch.where((masks**2).sum(0) < 1, 1 - (masks**2).sum(0), 0.0).mean()],
}
GRADIENT = ["guided_gram", "guided_loss"]
