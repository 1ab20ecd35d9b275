"""Fast style transfer (document A §VI): the image transform network of Johnson 2016, whose every normalisation has a scale
and shift for each style (Dumoulin 2017): one network paints in many styles and in blends of them."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from nstutils.fast.options import TrainOptions
from nstutils.library import files, pictures, weights
from nstutils.library.errors import UserError
from nstutils.runs import tiles
from nstutils.runs.devices import choose

SMALLEST = 16  # pixels on the short side: the blocks see a quarter of them and mirror their rim
LARGEST = 2048 * 2048  # pixels that are computed in one piece: about 2 GB at width 16
TILE = 1024
FEW = 4  # filters: a processor computes 16 at a time, so it is given those of four positions at once
Style = int | str | Sequence[float] | None
Moments = tuple[Tensor, Tensor]  # mean and variance of every channel
Place = tuple[Any, ...]  # the index of a part of a map


class Unit(nn.Module):
    """A convolution over a mirrored rim, its normalisation, a scale and a shift for each style, and what follows."""

    mean: Tensor  # what batch norm has learnt
    variance: Tensor

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int,
        styles: int,
        *,
        stride: int = 1,
        up: str = "",
        norm: str = "instance",
        after: str = "relu",
    ):
        super().__init__()
        self.up, self.norm, self.after, self.rim, self.stride = up, norm, after, kernel // 2, stride
        conv = nn.ConvTranspose2d if up == "transposed" else nn.Conv2d  # for the shape and first values of its weights
        self.conv: nn.Conv2d | nn.ConvTranspose2d = conv(channels, filters, kernel, bias=False)
        self.scale, self.shift = nn.Parameter(torch.ones(styles, filters)), nn.Parameter(torch.zeros(styles, filters))
        if norm == "batch":
            self.register_buffer("mean", torch.zeros(filters))
            self.register_buffer("variance", torch.ones(filters))

    def convolved(self, x: Tensor) -> Tensor:
        """The convolution alone, in the number type of `x`; with `up` 'resize' x is first enlarged by copying each position."""
        kernel = self.conv.weight
        if self.up == "transposed":
            return F.conv_transpose2d(x, kernel.to(x.dtype), None, 2, self.rim, 1)
        if self.up:  # in one: four positions that hold the same number need one product with the sum of their weights
            merged = torch.stack(_shifted(kernel.flip(2, 3).transpose(0, 1))).sum(0)
            return F.conv_transpose2d(F.pad(x, (1,) * 4, mode="replicate"), merged.to(x.dtype), None, 2, 3)
        x = F.pad(x, (self.rim,) * 4, mode="reflect")
        if self.stride > 1 or len(kernel) > FEW or x.shape[-2] % 2 or x.shape[-1] % 2:
            return F.conv2d(x, kernel.to(x.dtype), None, self.stride)
        blocks = torch.stack(_shifted(kernel), 1).flatten(0, 1)  # 2 x 2 positions at once, as filters
        return F.pixel_shuffle(F.conv2d(x, blocks.to(x.dtype), None, 2), 2)

    def finished(self, y: Tensor, style: Tensor, moments: Moments | None = None) -> Tensor:
        """What follows it: normalisation by `moments` (None: its own), the style's scale and shift, the activation."""
        scale, shift = style @ self.scale, style @ self.shift
        if self.norm == "batch":
            y = F.batch_norm(y, self.mean, self.variance, training=self.training)
            y = y * scale[..., None, None].to(y.dtype) + shift[..., None, None].to(y.dtype)
        else:  # each picture alone is a batch of its own
            mean, variance = moments or (None, None)
            each = zip(y.split(1), scale, shift, strict=True)
            alone = [F.batch_norm(one, mean, variance, a, b, training=moments is None) for one, a, b in each]
            y = torch.cat(alone) if len(alone) > 1 else alone[0]
        return y.relu_() if self.after == "relu" else y.float().sigmoid() if self.after == "sigmoid" else y

    def forward(self, x: Tensor, style: Tensor, moments: Moments | None = None) -> Tensor:
        """N x C x H x W to N x filters x H' x W'; `style` is N x styles, `moments` those of the whole picture for a tile."""
        return self.finished(self.convolved(x), style, moments)


def _shifted(kernel: Tensor) -> list[Tensor]:
    """The kernels of a 2 x 2 block of positions, in one window: `kernel` one row and one column larger, at its four places."""
    return [F.pad(kernel, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]


class Segment(nn.ModuleList):
    """Units one after the other; with `skip` their input is added to the result (a residual block)."""

    def __init__(self, units: Iterable[nn.Module], skip: bool = False):
        super().__init__(units)
        self.skip = skip

    def forward(self, x: Tensor, style: Tensor, moments: Sequence[Moments] = ()) -> Tensor:
        """All units; `moments` as in `Unit.forward`, one for each."""
        y = x
        for k, unit in enumerate(self):
            y = unit(y, style, moments[k] if moments else None)
        return x + y if self.skip else y


class TransformNet(nn.Module):
    """`width` filters at full size, four times as many in its `blocks` at a quarter of it, for styles by name. `norm`
    'batch' and `up` 'transposed' are what the first papers had, for comparison."""

    def __init__(self, styles: Sequence[str], *, width: int = 16, blocks: int = 5, norm: str = "instance", up: str = "resize"):
        super().__init__()
        if not styles or len(set(styles)) < len(styles):
            raise UserError(f"the styles are {', '.join(styles) or 'none'}; give at least one name, each once")
        TrainOptions(width=width, blocks=blocks, norm=norm, up=up)  # refuses what no network can have
        self.styles = tuple(styles)
        self.plan = {"styles": self.styles, "width": width, "blocks": blocks, "norm": norm, "up": up}
        unit = partial(Unit, styles=len(styles), norm=norm)
        wide = 4 * width
        down = [unit(3, width, 9), unit(width, 2 * width, 3, stride=2), unit(2 * width, wide, 3, stride=2)]
        body = [Segment([unit(wide, wide, 3), unit(wide, wide, 3, after="")], skip=True) for _ in range(blocks)]
        rise = [unit(wide, 2 * width, 3, up=up), unit(2 * width, width, 3, up=up), unit(width, 3, 9, after="sigmoid")]
        self.segments = nn.ModuleList([Segment(down), *body, Segment(rise)])
        self.to(memory_format=torch.channels_last)

    def forward(
        self,
        image: Tensor,
        style: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        done: Callable[[], object] = lambda: None,
    ) -> Tensor:
        """N x 3 x H x W in [0, 1] to the same, H and W multiples of 4; `style` (N x styles) says how much of each (None: the
        first alone). Only the maps are of `dtype`: weights, sums and the result are float32. After every segment comes `done`.
        """
        style = self.share().to(image).expand(len(image), -1) if style is None else style
        x = (image - 0.5).to(dtype, memory_format=torch.channels_last)
        for segment in self.segments:
            x = segment(x, style)
            done()
        return x

    def share(self, style: Style = None) -> Tensor:
        """1 x styles: a style by number or name, or a weight for each, brought to a sum of 1; None is the first."""
        count, names = len(self.styles), ", ".join(self.styles)
        if isinstance(style, str):
            if style not in self.styles:
                raise UserError(f"this network has no style {style!r}; choose from {names}")
            style = self.styles.index(style)
        if style is None or isinstance(style, int):
            number = style or 0
            if not 0 <= number < count:
                raise UserError(f"style {number} is not there; give 0 to {count - 1} for {names}")
            return torch.eye(count)[number : number + 1]
        given = torch.tensor([float(weight) for weight in style])
        if len(given) != count or not bool((given >= 0).all() & given.isfinite().all()) or not given.sum() > 0:
            raise UserError(f"style gives {list(style)}, wanted {count} weights from 0 up, not all zero, for {names}")
        return (given / given.sum())[None]


@torch.no_grad()
def apply(
    net: TransformNet,
    image: Tensor,
    style: Style = None,
    *,
    dtype: str = "auto",
    tile: int | None = None,
    progress: bool = False,
) -> Tensor:
    """The picture (N x 3 x H x W in [0, 1]) in a style, or in a blend, in one pass; it stays on its own
    device. Those of more than 2048 x 2048 pixels, or larger than a given `tile`, go through in tiles, whose normalisations know
    the whole picture's moments."""
    height, width = image.shape[-2:]
    if image.ndim != 4 or image.shape[1] != 3 or min(height, width) < SMALLEST:
        raise UserError(
            f"the picture is {tuple(image.shape)}, wanted N x 3 x height x width with at least {SMALLEST} pixels a side; "
            "take a larger one"
        )
    if tile is not None and tile < 64:
        raise UserError(f"tile is {tile}, but must be at least 64 pixels; leave it out to have it chosen")
    net, device = net.eval(), next(net.parameters()).device
    chosen = choose(device.type, dtype)[1]
    shares = net.share(style).to(device)
    padded = F.pad(image.to(device), (0, -width % 4, 0, -height % 4), mode="reflect")
    in_tiles = tile or (TILE if height * width > LARGEST else None)
    segments: list[Any] = list(net.segments)
    passes = len(segments) + (sum(map(len, segments)) if in_tiles else 0)
    with tqdm(total=passes, disable=not progress, desc="painting", unit="pass", delay=0.3) as bar:
        if in_tiles:
            result = torch.cat([_in_tiles(segments, one, shares, in_tiles, chosen, bar) for one in padded.split(1)])
        else:
            result = net(padded, shares.expand(len(image), -1), chosen, bar.update)
    return result[..., :height, :width].to(image.device)


def _in_tiles(segments: list[Any], image: Tensor, style: Tensor, tile: int, dtype: torch.dtype, bar: tqdm) -> Tensor:
    """The network segment by segment, each in tiles: a pass for the moments of each of its units, and one for the result.
    What is held in between has about as many numbers as the picture."""
    x = (image - 0.5).to(dtype)
    for segment in segments:
        part = max(16, tile * x.shape[-1] // image.shape[-1])
        moments: list[Moments] = []
        for count in range(1, len(segment) + 1):
            moments.append(_moments(segment[:count], x, style, moments, part))
            bar.update()
        step, whole = _field(segment)[1], x.new_empty(0)
        for piece, place, own in _pieces(segment, x, part):
            y = segment(piece, style, moments)
            if not whole.numel():
                whole = y.new_empty((1, y.shape[1], *(round(side / step) for side in x.shape[-2:])))
            whole[place] = y[own]
        x = whole
        bar.update()
    return x


def _moments(units: nn.ModuleList, x: Tensor, style: Tensor, before: Sequence[Moments], tile: int) -> Moments:
    """Mean and variance over the whole picture of what the last of `units` convolves, given those `before` it."""
    last: Any = units[-1]
    if last.norm == "batch":
        return last.mean, last.variance
    total = squares = x.new_zeros((), dtype=torch.float64)
    positions = 0
    for piece, _, own in _pieces(units, x, tile):
        values = last.convolved(units[:-1](piece, style, before))[own].double()
        total, squares = total + values.sum((0, 2, 3)), squares + values.square().sum((0, 2, 3))
        positions += values[0, 0].numel()
    mean = total / positions
    return mean.float(), (squares / positions - mean.square()).clamp(min=0).float()


def _field(units: Iterable[Any]) -> tuple[float, float]:
    """How far a position of the result looks around itself, and how far apart two lie, in positions of the first input."""
    reach, step = 0.0, 1.0
    for unit in units:
        step /= 2 if unit.up else 1
        reach += unit.rim * step
        step *= unit.stride
    return reach, step


def _pieces(units: nn.ModuleList, x: Tensor, tile: int) -> Iterator[tuple[Tensor, Place, Place]]:
    """Parts of `x` of about `tile` positions and the margin that `units` look at; where the result of each belongs, and which
    part of it is that."""
    reach, step = _field(units)
    grid = max(1, round(step))
    margin, tile = math.ceil((reach + 1) / grid) * grid, max(grid, tile // grid * grid)
    for top, bottom in tiles.spans(x.shape[-2], tile):
        for left, right in tiles.spans(x.shape[-1], tile):
            above, before = max(0, top - margin), max(0, left - margin)
            piece = x[..., above : bottom + margin, before : right + margin].contiguous(memory_format=torch.channels_last)
            rows, columns = (slice(round(a / step), round(b / step)) for a, b in ((top, bottom), (left, right)))
            down, along = round(above / step), round(before / step)
            own = slice(rows.start - down, rows.stop - down), slice(columns.start - along, columns.stop - along)
            yield piece, (..., rows, columns), (..., *own)


def save(net: TransformNet, path: str | os.PathLike[str], facts: Mapping[str, Any] | None = None) -> Path:
    """Write the network as safetensors; its plan and `facts` (how it was trained) stand in the header."""
    path = files.writable(path, (".safetensors",))
    weights.write(net.state_dict(), path, {"plan": json.dumps(net.plan), "facts": json.dumps(facts or {})})
    return path


def load(path: str | os.PathLike[str] = "fast") -> TransformNet:
    """A saved network, or a shipped one by name ('fast'); `facts(path)` says how it was trained."""
    path = find(path)
    state, header = weights.read(path)
    try:
        plan = json.loads(header["plan"])
        names, segments = plan["styles"], {key.split(".")[1] for key in state}
        told = [len(names), plan["width"], plan["blocks"]]  # nothing large is made for a plan that is not the file's
        found = [*state["segments.0.0.scale"].shape, len(segments) - 2]
        if told != found or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError("the plan is of another network")
        net = TransformNet(**plan)
        net.load_state_dict(state)
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} is not a fast network of this project; make one with `nstutils fast train`") from error
    return net.eval()


def facts(path: str | os.PathLike[str] = "fast") -> dict[str, Any]:
    """How a saved network was trained."""
    header = weights.read(find(path)).header
    return {"sha256": header["sha256"]} | json.loads(header.get("facts", "{}"))


def aims(path: str | os.PathLike[str] = "fast") -> dict[str, Any]:
    """What a saved network was trained towards, as options of `stylise`: β, total variation, the style's size."""
    told = facts(path).get("settings", {})
    return {name: told[name] for name in ("beta", "tv", "style_size") if name in told}


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a network: a path, or the name of one that ships with the project."""
    path = Path(os.path.expanduser(name_or_path))
    if path.is_file():
        return path
    there = {file.stem: file for file in (pictures.data_folder() / "weights").glob("fast*.safetensors")}
    if os.fspath(name_or_path) in there:
        return there[os.fspath(name_or_path)]
    raise FileNotFoundError(
        f"there is no network {os.fspath(name_or_path)!r}; give the path of a .safetensors file that `nstutils fast train` "
        f"wrote, or one of {', '.join(sorted(there)) or 'the shipped ones (none is here)'}"
    )
