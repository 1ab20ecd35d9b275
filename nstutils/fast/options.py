"""The options of `nstutils fast train`, apart from the training so that the command line need not load torch for them."""

import math
from dataclasses import dataclass

from nstutils.library.errors import UserError
from nstutils.library.settings import BACKBONES
from nstutils.runs.options import option

NORMS, UPS = ("instance", "batch"), ("resize", "transposed")


@dataclass(frozen=True)
class TrainOptions:
    """All that decides how a network comes out, beside its styles and photographs."""

    steps: int = option(2000, "steps")
    batch: int = option(4, "photographs a step")
    size: int = option(128, "pixels on the side of a crop of a photograph")
    style_size: int = option(384, "long side of the style pictures in pixels")
    width: int = option(16, "filters at full size")
    blocks: int = option(5, "residual blocks")
    norm: str = option("instance", "normalisation", choices=NORMS)
    up: str = option("resize", "way up: enlarge and convolve, or a transposed convolution", choices=UPS)
    alpha: float = option(1.0, "weight of the content, on the papers' scale")
    beta: float = option(4e3, "weight of the style, on the papers' scale")
    tv: float = option(0.05, "weight of the total variation (raw, document A's sum)")
    lr: float = option(3e-3, "learning rate of Adam; it rises for 50 steps and then fades along a cosine")
    seed: int = option(0, "seed of the network's first values and of the crops")
    backbone: str = option("classroom", "the network that judges", choices=BACKBONES)
    dtype: str = option("auto", "number type inside the networks", choices=("auto", "float32", "bfloat16"))

    def __post_init__(self) -> None:
        """Refuse what no training could use."""
        for name in ("steps", "batch", "size", "style_size", "width"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 1; give a positive whole number")
        if self.size % 4 or self.size < 32:
            raise UserError(f"size is {self.size}, but must be a multiple of 4 from 32 up; give for instance 128")
        for name in ("alpha", "beta", "tv", "lr"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UserError(f"{name} is {getattr(self, name)}, but must be a number from 0 up; give another")
        if not self.beta or not self.lr:
            raise UserError("beta and lr must not be zero: without them no style is learnt; leave them out for the defaults")
        if self.lr > 1e30:  # its updates must be numbers of 32 bits
            raise UserError(f"lr is {self.lr}, but must be at most 1e30; give a lower one")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed is {self.seed}, but must be a whole number from 0 to 2^63 - 1; give another")
