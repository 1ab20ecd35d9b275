"""Right answers to the exercises of lesson 03."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def einsum_gradient(f: Tensor, a: Tensor) -> Tensor:
    """Eq. 6 written another way than in the library."""
    count, filters, height, width = f.shape
    slope = torch.einsum("bij,bjhw->bihw", torch.einsum("bihw,bjhw->bij", f, f) / (height * width) - a, f)
    return slope / (filters**2 * height * width) * (f > 0)


RIGHT: dict[str, list[Callable[..., Any]]] = {
    "gram": [lambda f: torch.einsum("bihw,bjhw->bij", f, f) / (f.shape[2] * f.shape[3])],
    "shuffled": [lambda f, order: torch.gather(f.flatten(2), 2, order.expand(*f.shape[:2], -1)).view_as(f)],
    "layer_loss": [lambda g, a, n: ((g - a) ** 2).flatten(1).mean(1) / 4],
    "style_gradient": [einsum_gradient],
}
GRADIENT = ["gram", "layer_loss"]
