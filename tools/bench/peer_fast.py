"""The image transform network of pytorch/examples' fast_neural_style (transformer_net.py), layer for layer, to time it.

Only the time matters, so its weights are random. It takes pictures in [0, 255] and runs in float32 there.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class Layer(nn.Module):
    """A convolution over a mirrored rim, after an enlargement if there is one; instance norm and ReLU, but for the last."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1, up: int = 1, last: bool = False):
        super().__init__()
        self.up, self.last, self.rim = up, last, nn.ReflectionPad2d(kernel // 2)
        self.conv = nn.Conv2d(channels, filters, kernel, stride)
        self.norm = nn.Identity() if last else nn.InstanceNorm2d(filters, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W to N x filters x H' x W'."""
        x = F.interpolate(x, scale_factor=self.up, mode="nearest") if self.up > 1 else x
        x = self.norm(self.conv(self.rim(x)))
        return x if self.last else x.relu()


class Block(nn.Module):
    """Two convolutions, each with instance norm, and their input added."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = Layer(channels, channels, 3), Layer(channels, channels, 3, last=True)
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """A map to one of the same shape."""
        return x + self.norm(self.second(self.first(x)))


def network() -> nn.Sequential:
    """The whole network: 3 x H x W in [0, 255] to 3 x H x W; H and W are multiples of 4."""
    down = [Layer(3, 32, 9), Layer(32, 64, 3, stride=2), Layer(64, 128, 3, stride=2)]
    rise = [Layer(128, 64, 3, up=2), Layer(64, 32, 3, up=2), Layer(32, 3, 9, last=True)]
    return nn.Sequential(*down, *(Block(128) for _ in range(5)), *rise).eval()
