"""The options of `nstutils fast train`, apart from the training so that the command line need not load torch for them."""

from dataclasses import dataclass

from nstutils.library.errors import UserError
from nstutils.library.settings import BACKBONES
from nstutils.runs.options import check, option

NORMS, UPS = ("instance", "batch"), ("resize", "transposed")


@dataclass(frozen=True)
class TrainOptions:
    """All that decides how a network comes out, beside its styles and photographs."""

    steps: int = option(2000, "steps")
    batch: int = option(4, "photographs a step")
    size: int = option(128, "pixels on the side of a crop of a photograph", least=32)
    style_size: int = option(384, "long side of the style pictures in pixels")
    width: int = option(16, "filters at full size")
    blocks: int = option(5, "residual blocks", least=0)
    norm: str = option("instance", "normalisation", choices=NORMS)
    up: str = option("resize", "way up: enlarge and convolve, or a transposed convolution", choices=UPS)
    alpha: float = option(1.0, "weight of the content, on the papers' scale")
    beta: float = option(4e3, "weight of the style, on the papers' scale", positive=True)
    tv: float = option(0.03, "weight of the total variation (raw, document A's sum)")
    grid: float = option(0.0, "weight of what repeats every 4 pixels, the network's own grid (50 makes it vanish)")
    lr: float = option(
        3e-3, "learning rate of Adam; it rises for 50 steps and then fades along a cosine", positive=True, most=1e30
    )
    begin: str | None = option(
        None, "network of the same styles and plan to go on from (default: drawn values)", metavar="MODEL"
    )
    seed: int = option(0, "seed of the network's first values and of the crops", least=0, most=2**63 - 1)
    backbone: str = option("classroom", "the network that judges", choices=BACKBONES)
    dtype: str = option("auto", "number type inside the networks", choices=("auto", "float32", "bfloat16"))

    def __post_init__(self) -> None:
        """Refuse what no training could use."""
        check(self)
        if self.size % 4:
            raise UserError(f"size is {self.size}, but must be a multiple of 4; give for instance 128")
