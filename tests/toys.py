"""A toy network that tells how often it was used."""

import torch
from torch import Tensor, nn

from nstutils.backbones import FeatureExtractor


class Counting(FeatureExtractor):
    """A network that counts its passes."""

    passes = 0

    def forward(self, image: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:  # type: ignore[override]
        self.passes += 1
        return super().forward(image, layers)


def toy() -> Counting:
    """Four layers in float64 with in-place ReLUs, as torchvision builds them: conv1_1, relu1_1, pool1, conv2_1, relu2_1."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential()
    net.add_module("conv1_1", nn.Conv2d(3, 6, 3, padding=1))
    net.add_module("relu1_1", nn.ReLU(inplace=True))
    net.add_module("pool1", nn.AvgPool2d(2))
    net.add_module("conv2_1", nn.Conv2d(6, 8, 3, padding=1))
    net.add_module("relu2_1", nn.ReLU(inplace=True))
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return Counting(net.double(), name="toy", sha256="toy")
