"""Networks that look at pictures, as `net(image, layers) -> {layer: activations}` under the papers' layer names; the
normalisation that a network was trained with stays inside it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nstutils.library.errors import UserError

VGG_CONVS = {"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3), "vgg16-hed": (2, 2, 3, 3, 3)}
VGG_WIDTHS = (64, 128, 256, 512, 512)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CONTENT_LAYERS = {"vgg": ("relu2_2", "relu3_3"), "squeezenet": ("fire2",)}  # houses stand at 256 px, where relu4_2 loses them
STYLE_LAYERS = {
    "vgg": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    "squeezenet": ("relu1", "fire3", "fire4", "fire5"),
}


class Fire(nn.Module):
    """SqueezeNet's block: a 1x1 convolution squeezes the channels, 1x1 and 3x3 convolutions expand them again."""

    def __init__(self, channels: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


def vgg(widths: Sequence[int] = VGG_WIDTHS, convs: Sequence[int] = VGG_CONVS["vgg19"], pool: str = "avg") -> nn.Sequential:
    """The convolutional part of a VGG network, its modules named as in the papers (conv1_1, relu1_1, ..., pool5)."""
    net, channels = nn.Sequential(), 3
    for block, (width, count) in enumerate(zip(widths, convs, strict=True), start=1):
        for index in range(1, count + 1):
            net.add_module(f"conv{block}_{index}", nn.Conv2d(channels, width, 3, padding=1))
            net.add_module(f"relu{block}_{index}", nn.ReLU())
            channels = width
        net.add_module(f"pool{block}", _pooling(pool, 2))
    return net


def squeezenet(pool: str = "avg") -> nn.Sequential:
    """The convolutional part of SqueezeNet 1.1; module k here is module k of torchvision's `features`."""
    net, channels = nn.Sequential(), 64
    net.add_module("conv1", nn.Conv2d(3, channels, 3, stride=2))
    net.add_module("relu1", nn.ReLU())
    blocks = {1: [(16, 64)] * 2, 3: [(32, 128)] * 2, 5: [(48, 192)] * 2 + [(64, 256)] * 2}
    for number, fires in blocks.items():
        net.add_module(f"pool{number}", _pooling(pool, 3))
        for offset, (squeeze, expand) in enumerate(fires, start=number + 1):
            net.add_module(f"fire{offset}", Fire(channels, squeeze, expand))
            channels = 2 * expand
    return net


def _pooling(kind: str, size: int) -> nn.Module:
    if kind not in ("avg", "max"):
        raise UserError(f"pool {kind!r} is not known; choose 'avg' (as the papers) or 'max' (as VGG was trained)")
    # odd sizes are rounded up, as in the papers' Caffe: rounding down leaves a rim of pixels that no deep layer sees
    return nn.AvgPool2d(size, 2, ceil_mode=True) if kind == "avg" else nn.MaxPool2d(size, 2, ceil_mode=True)


class FeatureExtractor(nn.Module):
    """A frozen network, a Sequential of modules named as the layers, computed no deeper than the layers asked for. Two with
    equal `name` and `sha256` give the same activations."""

    def __init__(
        self,
        net: nn.Sequential,
        *,
        name: str,
        sha256: str = "",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False).to(memory_format=torch.channels_last)
        for module in self.net.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # an in-place ReLU would overwrite the convolution's activations we hand out
        self.name, self.sha256, self.mean, self.std = name, sha256, tuple(mean), tuple(std)
        self.shortest = {row.name: row.smallest for row in geometry(self)}  # sides with which layers have a position

    @property
    def layers(self) -> tuple[str, ...]:
        """All layer names, shallow to deep."""
        return tuple(name for name, _ in self.net.named_children())

    @property
    def family(self) -> str:
        """'vgg' or 'squeezenet': which layer names it has."""
        return "squeezenet" if "fire2" in self.layers else "vgg"

    @property
    def weight(self) -> Tensor:
        """The first convolution's weights: tells the device and number type of the whole network."""
        return next(self.net.parameters())

    def check(self, layers: Sequence[str], picture: Tensor | None = None) -> None:
        """Refuse unknown layers, and a picture too small to reach the deepest of them."""
        if isinstance(layers, str):
            raise UserError(f"the layers are {layers!r}, but a list is wanted; give [{layers!r}]")
        unknown = [layer for layer in layers if layer not in self.shortest]
        if unknown:
            raise UserError(f"{self.name} has no layer {', '.join(unknown)}; choose from {', '.join(self.layers)}")
        if picture is not None and min(picture.shape[-2:]) < self.smallest(layers):
            raise UserError(
                f"a picture of {picture.shape[-1]} x {picture.shape[-2]} is too small for {', '.join(layers)}, which needs at "
                f"least {self.smallest(layers)} pixels on the short side; take a larger picture or shallower layers"
            )

    def smallest(self, layers: Sequence[str]) -> int:
        """The shortest side in pixels with which every one of `layers` has a position."""
        return max((self.shortest[layer] for layer in layers), default=1)

    def prepared(self, image: Tensor) -> Tensor:
        """The picture as the network wants it: normalised, in the weights' number type, channels last."""
        mean, std = (image.new_tensor(v).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return ((image - mean) / std).to(self.weight.dtype).contiguous(memory_format=torch.channels_last)

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Activations N x C x H x W of `image` (N x 3 x H x W in [0, 1]), in the order of `layers`."""
        if image.ndim != 4 or image.shape[1] != 3:
            raise UserError(f"a picture is a tensor N x 3 x height x width, this one is {tuple(image.shape)}")
        self.check(layers, image)
        x = self.prepared(image)
        found: dict[str, Tensor] = {}
        shown = True  # whether x is the picture's or somebody else's to read, so that it must not be overwritten
        for name, module in self.net.named_children():
            if len(found) == len(set(layers)):
                break
            x = x.relu_() if isinstance(module, nn.ReLU) and not shown else module(x)
            shown = name in layers
            if shown:
                found[name] = x
        return {layer: found[layer] for layer in layers}


@dataclass(frozen=True)
class Layer:
    """One row of a network's table: its parameters, channels, stride and receptive field in pixels of the picture."""

    name: str
    channels: int
    parameters: int
    stride: int
    receptive_field: int
    steps: tuple[tuple[int, int, int, bool], ...]  # (kernel, stride, padding, round up) of every layer up to this one

    def size(self, pixels: int) -> int:
        """Positions along a side of `pixels` pixels; 0 when the picture is too small."""
        for kernel, stride, padding, up in self.steps:
            pixels = (pixels + 2 * padding - kernel + (stride - 1 if up else 0)) // stride + 1
            if pixels < 1:
                return 0
        return pixels

    @property
    def smallest(self) -> int:
        """The smallest side that gives one whole position."""
        return next(pixels for pixels in range(self.stride, 4096) if self.size(pixels) > 0)


def geometry(extractor: FeatureExtractor) -> list[Layer]:
    """The network's table, one row a layer, computed from the modules alone (nothing is run)."""
    rows: list[Layer] = []
    channels, stride, field = 3, 1, 1
    steps: tuple[tuple[int, int, int, bool], ...] = ()
    for name, module in extractor.net.named_children():
        kernel, step, padding, up = 1, 1, 0, False
        if isinstance(module, nn.Conv2d):
            channels, kernel = module.out_channels, module.kernel_size[0]
            step, padding = module.stride[0], int(module.padding[0])
        elif isinstance(module, Fire):
            channels, kernel, padding = 2 * module.expand3x3.out_channels, 3, 1
        elif isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
            kernel, step, up = int(module.kernel_size), int(module.stride), module.ceil_mode  # type: ignore[arg-type]
        field, stride = field + (kernel - 1) * stride, stride * step
        if (kernel, step) != (1, 1):
            steps += ((kernel, step, padding, up),)
        count = sum(p.numel() for p in module.parameters())
        rows.append(Layer(name, channels, count, stride, field, steps))
    return rows


def converted(extractor: FeatureExtractor, dtype: torch.dtype) -> FeatureExtractor:
    """The same network in another number type; itself when it has that type already."""
    return extractor if extractor.weight.dtype == dtype else copy.deepcopy(extractor).to(dtype)
