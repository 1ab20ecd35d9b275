"""Right answers to the exercises of lesson 07."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def eroded(mask: Tensor, radius: int) -> Tensor:
    """Pixel by pixel, from the square around each."""
    result = mask.clone()
    for i in range(mask.shape[2]):
        for j in range(mask.shape[3]):
            square = mask[:, :, max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1]
            result[:, :, i, j] = square.amin((2, 3))
    return result


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "unit_guide": [lambda t: t / torch.linalg.vector_norm(t, dim=(2, 3), keepdim=True)],
    "guided_gram": [lambda f, t: torch.einsum("bihw,bjhw,bkhw->bij", f, f, t**2)],
    "eroded": [eroded],
    "border_gap": [lambda masks: torch.where((masks**2).sum(0) < 1, 1 - (masks**2).sum(0), 0.0).mean()],
}
GRADIENT = ["guided_gram"]
