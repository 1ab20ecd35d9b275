"""How a network looks at pictures: whole, or those too large for memory in tiles, with the same result: every loss is a
function of sums over positions. One pass without gradients collects the sums of all tiles; a second brings the derivative by
each sum back to the pixels of each tile. Tiles overlap by the receptive field."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nstutils.backbones import FeatureExtractor, geometry
from nstutils.library.errors import UserError
from nstutils.losses import Activations, StyleLoss, Summed, Sums, Terms, evaluate, layers_of, total

Size = tuple[int, int]  # height, width
Box = tuple[int, int, int, int]  # top, bottom, left, right
SumsOf = dict[str, Sums]  # by the term's name


class _Cut(torch.autograd.Function):
    """Some rows and columns of N x C x H x W. The part and its derivative lie in memory as the whole does: slices would be
    turned from one layout to the other and back, which takes a third of a tile's time."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rows: slice, columns: slice) -> Tensor:
        last = values.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        ctx.place = values.shape, rows, columns, layout
        return values[..., rows, columns].contiguous(memory_format=layout)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        shape, rows, columns, layout = ctx.place
        whole = torch.empty(shape, dtype=upstream.dtype, device=upstream.device, memory_format=layout).zero_()
        whole[..., rows, columns] = upstream
        return whole, None, None


@dataclass(frozen=True)
class Window:
    """One tile: the pixels it looks at, and those of them whose positions are its own."""

    outer: Box
    inner: Box
    strides: Mapping[str, int]  # of the layers

    def cut(self, picture: Tensor) -> Tensor:
        """The pixels it looks at."""
        top, bottom, left, right = self.outer
        return picture[..., top:bottom, left:right]

    def own(self, layer: str, activations: Tensor) -> Tensor:
        """Its own positions among the activations of its pixels."""
        return _Cut.apply(activations, *self._part(layer, self.outer[0], self.outer[2]))

    def part(self, layer: str, whole: Tensor) -> Tensor:
        """Its own positions of a map of the whole picture, to be read or written."""
        rows, columns = self._part(layer, 0, 0)
        return whole[..., rows, columns]

    def _part(self, layer: str, top: int, left: int) -> tuple[slice, slice]:
        stride, (begin, end, first, stop) = self.strides[layer], self.inner  # a last position may look beyond the edge
        rows = slice((begin - top) // stride, -(-(end - top) // stride))
        return rows, slice((first - left) // stride, -(-(stop - left) // stride))


def spans(length: int, step: int) -> list[tuple[int, int]]:
    """Spans of `step` that cover `length`; a short rest joins the last one."""
    count = max(1, round(length / step))
    return [(k * step, length if k == count - 1 else (k + 1) * step) for k in range(count)]


@dataclass(frozen=True)
class View:
    """A network and how it looks at pictures: those larger than `tile` pixels in tiles of that size, all others whole."""

    net: FeatureExtractor
    tile: int | None = None

    def windows(self, size: Sequence[int], layers: Sequence[str]) -> Iterator[Window]:
        """What covers a picture of `size` (height, width): one window, or tiles on the grid of the deepest of `layers`."""
        net, (height, width) = self.net, size
        if net.family != "vgg" and not self.whole(size):
            raise UserError(f"{net.name} cannot be computed in tiles, only a VGG can; take a smaller picture")
        rows = [row for row in geometry(net) if row.name in layers]
        stride, field = rows[-1].stride, rows[-1].receptive_field
        margin = -(-(field // 2 + stride) // stride) * stride
        step = max(stride, (self.tile or max(size)) // stride * stride)
        strides = {row.name: row.stride for row in rows}
        for top, bottom in spans(height, step):
            for left, right in spans(width, step):
                outer = (max(0, top - margin), min(height, bottom + margin), max(0, left - margin), min(width, right + margin))
                yield Window(outer, (top, bottom, left, right), strides)

    def whole(self, size: Sequence[int]) -> bool:
        """Whether a picture of `size` is looked at in one piece."""
        return not self.tile or max(size) <= self.tile

    @torch.no_grad()
    def activations(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The activations of a picture, without gradients."""
        if self.whole(image.shape[-2:]):
            return self.net(image, layers)
        found: dict[str, Tensor] = {}
        rows = {row.name: row for row in geometry(self.net)}
        for window in self.windows(image.shape[-2:], layers):
            for layer, values in self.net(window.cut(image), layers).items():
                own, row = window.own(layer, values), rows[layer]
                if layer not in found:
                    found[layer] = own.new_empty((*own.shape[:2], row.size(image.shape[-2]), row.size(image.shape[-1])))
                window.part(layer, found[layer]).copy_(own)
        return found

    @torch.no_grad()
    def grams(self, image: Tensor, layers: Sequence[str], guides: Activations | None = None) -> dict[str, Tensor]:
        """The Gram matrix of each layer of a picture, guided if guides are given."""
        loss = StyleLoss(dict.fromkeys(layers, torch.empty(1, 0, 0)), guides=guides)
        if self.whole(image.shape[-2:]):
            return loss.grams(loss.sums(self.net(image, layers)))
        return loss.grams(self._collected(image, {"style": (1.0, loss)})["style"])

    @torch.no_grad()
    def losses(self, image: Tensor, terms: Terms) -> dict[str, Tensor]:
        """The raw losses of every term, one number a picture, without gradients."""
        if self.whole(image.shape[-2:]):
            return evaluate(self.net, image, terms)
        return _values(image, terms, self._collected(image, terms))

    def gradient(self, image: Tensor, terms: Terms, scale: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The raw losses of every term, and the gradient of `scale` times their weighted sum by the pixels."""
        x = image.detach().requires_grad_()
        if self.whole(image.shape[-2:]):
            found = evaluate(self.net, x, terms)
            (slope,) = torch.autograd.grad((total(found, terms) * scale).sum(), x)
            return {name: loss.detach() for name, loss in found.items()}, slope.contiguous()
        sums = self._collected(x, terms)
        leaves = [value.requires_grad_() for part in sums.values() for value in part.values()]
        found = _values(x, terms, sums)
        first, *slopes = torch.autograd.grad((total(found, terms) * scale).sum(), [x, *leaves], allow_unused=True)
        gradient = torch.zeros_like(x) if first is None else first.contiguous()
        for window in self._tiles(x, terms):
            window.cut(gradient).add_(self._brought_back(window, x, terms, slopes))
        return {name: loss.detach() for name, loss in found.items()}, gradient

    def _brought_back(self, window: Window, x: Tensor, terms: Terms, slopes: Sequence[Tensor | None]) -> Tensor:
        """What the derivatives by the sums mean for the pixels of one tile."""
        piece = window.cut(x.detach()).clone().requires_grad_()
        found = [value for part in self._sums(window, piece, terms).values() for value in part.values()]
        pairs = [(v, slope) for v, slope in zip(found, slopes, strict=True) if v.requires_grad and slope is not None]
        if not pairs:
            return torch.zeros_like(piece)
        values, known = zip(*pairs, strict=True)
        return torch.autograd.grad(values, piece, known)[0]

    def _tiles(self, image: Tensor, terms: Terms) -> Iterable[Window]:
        for name, (_, loss) in terms.items():
            if any(part.layers and not isinstance(part, Summed) for part in getattr(loss, "losses", (loss,))):
                told = f"the loss {name!r} compares pictures as wholes, not in tiles of {self.tile} pixels"
                raise UserError(f"{told}; give the network without a tile, or a smaller picture")
        layers = layers_of(loss for _, loss in terms.values())
        return self.windows(image.shape[-2:], layers) if layers else ()

    @torch.no_grad()
    def _collected(self, image: Tensor, terms: Terms) -> SumsOf:
        """The sums of a whole picture."""
        sums: SumsOf = {}
        for window in self._tiles(image, terms):
            for name, found in self._sums(window, window.cut(image), terms).items():
                so_far = sums.setdefault(name, {})
                for key, value in found.items():
                    so_far[key] = so_far[key] + value if key in so_far else value
        return sums

    def _sums(self, window: Window, piece: Tensor, terms: Terms) -> SumsOf:
        """The sums of one tile, term by term."""
        layers = layers_of(loss for _, loss in terms.values())
        own = {layer: window.own(layer, values) for layer, values in self.net(piece, layers).items()}
        return {name: loss.sums(own, window.part) for name, (_, loss) in terms.items() if isinstance(loss, Summed)}


def _values(image: Tensor, terms: Terms, sums: SumsOf) -> dict[str, Tensor]:
    """The raw losses from the sums of the whole picture."""
    return {name: loss.value(sums[name]) if isinstance(loss, Summed) else loss(image, {}) for name, (_, loss) in terms.items()}
