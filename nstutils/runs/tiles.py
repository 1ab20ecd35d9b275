"""Pictures too large for memory, tile by tile, with the same result.

Every loss is a function of sums over positions, and sums add up over tiles. One pass without gradients collects the sums of
the whole picture; from them the derivative of the total by each sum is known, and a second pass brings it back to the pixels
of each tile. Tiles overlap by the receptive field, so what is computed inside them is what the whole picture would give.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nstutils import losses
from nstutils.backbones import FeatureExtractor, geometry
from nstutils.library.errors import UserError
from nstutils.losses import Activations, StyleLoss, Summed, Terms

Box = tuple[int, int, int, int]  # top, bottom, left, right
Sums = dict[str, dict[str, Tensor]]  # by the term's name, and by the names that its loss gives them


class _Cut(torch.autograd.Function):
    """Some rows and columns of N x C x H x W. The part and its derivative lie in memory as the whole does: slices would be
    turned from one layout to the other and back, which takes a third of a tile's time."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: slice, columns: slice) -> Tensor:
        layout = _layout(values)
        ctx.place = values.shape, rows, columns, layout
        return values[..., rows, columns].contiguous(memory_format=layout)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        shape, rows, columns, layout = ctx.place
        whole = torch.empty(shape, dtype=upstream.dtype, device=upstream.device, memory_format=layout).zero_()
        whole[..., rows, columns] = upstream
        return whole, None, None


def _layout(values: Tensor) -> torch.memory_format:
    """Channels last where the values lie so."""
    last = values.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


@dataclass(frozen=True)
class Window:
    """One tile: the pixels it looks at, and those of them whose positions are its own."""

    outer: Box
    inner: Box
    last: tuple[bool, bool]  # whether it reaches the picture's lower and right edge

    def cut(self, picture: Tensor) -> Tensor:
        """The pixels it looks at."""
        top, bottom, left, right = self.outer
        return picture[..., top:bottom, left:right]

    def own(self, stride: int, activations: Tensor) -> Tensor:
        """Its own positions among the activations of its pixels."""
        return _Cut.apply(activations, *self._part(stride, self.outer[0], self.outer[2]))

    def part(self, stride: int, whole: Tensor) -> Tensor:
        """Its own positions of a map of the whole picture, to be read or written."""
        rows, columns = self._part(stride, 0, 0)
        return whole[..., rows, columns]

    def _part(self, stride: int, top: int, left: int) -> tuple[slice, slice]:
        begin, end, first, stop = self.inner
        rows = slice((begin - top) // stride, None if self.last[0] else (end - top) // stride)
        return rows, slice((first - left) // stride, None if self.last[1] else (stop - left) // stride)


def windows(net: FeatureExtractor, size: tuple[int, int], layers: Sequence[str], tile: int) -> Iterator[Window]:
    """Tiles of about `tile` pixels that cover a picture of `size`, aligned to the grid of the deepest layer."""
    if net.family != "vgg":
        raise UserError(f"{net.name} cannot be computed in tiles, only networks of the VGG family can; take a smaller picture")
    rows = [row for row in geometry(net) if row.name in layers]
    stride = max(row.stride for row in rows)
    margin = -(-(max(row.receptive_field for row in rows) // 2 + stride) // stride) * stride
    step = max(stride, tile // stride * stride)
    height, width = size
    for top, bottom in spans(height, step):
        for left, right in spans(width, step):
            outer = (max(0, top - margin), min(height, bottom + margin), max(0, left - margin), min(width, right + margin))
            yield Window(outer, (top, bottom, left, right), (bottom == height, right == width))


def spans(length: int, step: int) -> list[tuple[int, int]]:
    """Spans of `step` that cover `length`; a short rest joins the last one."""
    count = max(1, round(length / step))
    return [(k * step, length if k == count - 1 else (k + 1) * step) for k in range(count)]


def _sums(net: FeatureExtractor, piece: Tensor, terms: Terms, window: Window, strides: Mapping[str, int]) -> Sums:
    """The sums of one tile, term by term."""
    layers = tuple(dict.fromkeys(layer for _, loss in terms.values() for layer in loss.layers))
    own = {layer: window.own(strides[layer], values) for layer, values in net(piece, layers).items()}
    crop = partial(_crop, window, strides)
    return {name: dict(loss.sums(own, crop)) for name, (_, loss) in terms.items() if isinstance(loss, Summed)}


def _crop(window: Window, strides: Mapping[str, int], layer: str, whole: Tensor) -> Tensor:
    return window.part(strides[layer], whole)


def _values(image: Tensor, terms: Terms, sums: Sums) -> dict[str, Tensor]:
    """The raw losses from the sums of the whole picture."""
    return {name: loss.value(sums[name]) if isinstance(loss, Summed) else loss(image, {}) for name, (_, loss) in terms.items()}


@torch.no_grad()
def _collect(net: FeatureExtractor, image: Tensor, terms: Terms, tiles: list[Window]) -> Sums:
    strides = _strides(net)
    sums: Sums = {}
    for window in tiles:
        for name, found in _sums(net, window.cut(image), terms, window, strides).items():
            so_far = sums.setdefault(name, {})
            for key, value in found.items():
                so_far[key] = so_far[key] + value if key in so_far else value
    return sums


def _strides(net: FeatureExtractor) -> dict[str, int]:
    return {row.name: row.stride for row in geometry(net)}


def _tiles(net: FeatureExtractor, image: Tensor, terms: Terms, tile: int) -> list[Window]:
    layers = tuple(layer for _, loss in terms.values() for layer in loss.layers)
    return list(windows(net, (image.shape[-2], image.shape[-1]), layers, tile)) if layers else []


@torch.no_grad()
def evaluate(net: FeatureExtractor, image: Tensor, terms: Terms, tile: int | None = None) -> dict[str, Tensor]:
    """The raw losses of every term without gradients; with `tile`, in the memory of one tile."""
    if tile is None:
        return losses.evaluate(net, image, terms)
    return _values(image, terms, _collect(net, image, terms, _tiles(net, image, terms, tile)))


def backward(net: FeatureExtractor, x: Tensor, terms: Terms, scale: Tensor, tile: int | None = None) -> dict[str, Tensor]:
    """The raw losses, and the gradient of the scaled total added to `x.grad`; with `tile`, in the memory of one tile."""
    if tile is None:
        found = losses.evaluate(net, x, terms)
        (losses.total(found, terms) * scale).sum().backward()
    else:
        tiles = _tiles(net, x, terms, tile)
        sums = _collect(net, x, terms, tiles)
        for leaf in (value for found in sums.values() for value in found.values()):
            leaf.requires_grad_()
        found = _values(x, terms, sums)
        (losses.total(found, terms) * scale).sum().backward()
        _bring_back(net, x, terms, tiles, sums)
    return {name: loss.detach() for name, loss in found.items()}


def _bring_back(net: FeatureExtractor, x: Tensor, terms: Terms, tiles: list[Window], sums: Sums) -> None:
    """Add to `x.grad`, tile by tile, what the derivatives by the sums mean for the pixels."""
    gradient = x.grad if x.grad is not None else torch.zeros_like(x)
    strides = _strides(net)
    for window in tiles:
        piece = window.cut(x.detach()).clone().requires_grad_()
        found = _sums(net, piece, terms, window, strides)
        pairs = [(value, sums[name][key].grad) for name, part in found.items() for key, value in part.items()]
        wanted = [(value, slope) for value, slope in pairs if value.requires_grad and slope is not None]
        torch.autograd.backward([value for value, _ in wanted], [slope for _, slope in wanted])
        if piece.grad is not None:
            window.cut(gradient).add_(piece.grad)
    x.grad = gradient


def grams(
    net: FeatureExtractor, image: Tensor, layers: Sequence[str], tile: int | None = None, guides: Activations | None = None
) -> dict[str, Tensor]:
    """The Gram matrix of each layer of a picture, guided if guides are given."""
    loss = StyleLoss(dict.fromkeys(layers, torch.empty(0)), guides=guides)
    if tile is None:
        with torch.no_grad():
            sums = loss.sums(net(image, layers))
    else:
        terms: Terms = {"style": (1.0, loss)}
        sums = _collect(net, image, terms, _tiles(net, image, terms, tile))["style"]
    return {layer: sums[layer] / (1 if guides else sums[f"{layer} positions"]) for layer in layers}


@torch.no_grad()
def activations(net: FeatureExtractor, image: Tensor, layers: Sequence[str], tile: int | None = None) -> dict[str, Tensor]:
    """The activations of a whole picture; with `tile`, put together from tiles."""
    if tile is None:
        return net(image, layers)
    strides = _strides(net)
    whole: dict[str, Tensor] = {}
    sizes = {row.name: (row.channels, row.size(image.shape[-2]), row.size(image.shape[-1])) for row in geometry(net)}
    for window in windows(net, (image.shape[-2], image.shape[-1]), layers, tile):
        for layer, values in net(window.cut(image), layers).items():
            own = window.own(strides[layer], values)
            if layer not in whole:
                whole[layer] = own.new_empty((len(image), *sizes[layer]))
            window.part(strides[layer], whole[layer]).copy_(own)
    return whole
