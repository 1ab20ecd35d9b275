"""Right answers to the exercises of lesson 00."""

from collections.abc import Callable
from typing import Any

import torch

from nstutils import images

RIGHT: dict[str, list[Callable[..., Any]]] = {
    "to_bytes": [
        lambda x: (x * 255).round().clamp(0, 255).byte(),
        lambda x: (x.clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8),
        lambda x: torch.round(255 * x.double()).clip(0, 255).int().to(torch.uint8),
    ],
    "brightness": [
        images.luminance,
        lambda x: (0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])[:, None],
        lambda x: torch.einsum("nchw,c->nhw", x, x.new_tensor([0.299, 0.587, 0.114])).unsqueeze(1),
    ],
    "psnr": [
        lambda x, p: -10 * (x - p).square().mean().log10(),
        lambda x, p: -20 * torch.log10(((x - p) ** 2).mean().sqrt()).item(),
    ],
    "noise": [
        lambda height, width, seed: images.noise((height, width), seed),
        lambda height, width, seed: torch.empty(1, 3, height, width).uniform_(
            generator=torch.Generator().manual_seed(seed + 1)
        ),
    ],
}
GRADIENT = ["brightness"]
