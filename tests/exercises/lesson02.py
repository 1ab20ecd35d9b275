"""Right answers to the exercises of lesson 02."""

from collections.abc import Callable
from typing import Any

import torch

RIGHT: dict[str, list[Callable[..., Any]]] = {
    "content_loss": [lambda f, p: 0.5 * ((f - p) ** 2).flatten(1).sum(1)],
    "relative_error": [lambda f, p: ((f - p) ** 2).flatten(1).sum(1) / (p**2).flatten(1).sum(1)],
    "content_gradient": [lambda f, p: (f - p) * (f > 0)],
    "step_down": [lambda x, gradient, lr: torch.clamp(x - gradient * lr, 0, 1)],
}
GRADIENT = ["content_loss"]
