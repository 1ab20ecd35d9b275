"""Before a long run: how many seconds and how much memory it will take, and whether it must go in tiles."""

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import nn

from nstutils import images
from nstutils.backbones import FeatureExtractor, Layer, geometry
from nstutils.descent import descend
from nstutils.distances import CloudLoss
from nstutils.losses import ContentLoss, StyleLoss, Terms
from nstutils.runs.tiles import Size, View

LONG = 1e13  # floating-point operations from which a run is announced: about a minute on a laptop
TILE = 1024  # pixels on the side of a tile: larger ones waste less on their margins
PICTURES = 12  # a step holds this many pictures: the picture, its gradient, the optimiser's moments, the best, copies
CURVATURES = 42  # and L-BFGS this many more
LOOKED_AT = 4  # and a pass without gradients this many in all
WORKSPACE = 80_000_000  # bytes that the convolutions take for themselves
TILED = 1.65  # a pixel of a tile in pixels of a small picture: three passes instead of two, over memory not yet at hand
SHARE = 0.8  # of the free memory that a run may take
FILES = (  # of a group, in its two versions: the limit, what is taken, what of that is files kept at hand
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
PROBES = (96, 224)  # sides of the two squares that are timed


@dataclass(frozen=True)
class Ahead:
    """What a run is about to compute, before its targets are there."""

    net: View
    layers: Sequence[str]
    method: str
    steps: Sequence[tuple[Size, int]]  # of each scale: its size and how many
    passes: Sequence[tuple[View, Size]] = ()  # of the targets: how and at which size
    style: tuple[str, Sequence[str]] | None = None  # how styles are compared, and in which layers; by Gram matrices in all


def announcement(parts: Sequence[Ahead]) -> str:
    """What to say before a long run of these parts: its time, its memory and its tiles; empty where it is short."""
    tile = parts[-1].net.tile
    if not tile and sum(work(p.net.net, p.layers, [*p.steps, *((size, 1) for _, size in p.passes)]) for p in parts) <= LONG:
        return ""
    most = [memory(p.net, p.layers, p.steps[-1][0], p.method) for p in parts]
    most += [memory(view, p.layers, size, None) for p in parts for view, size in p.passes]
    told = f"{span(sum(map(stepping, parts)))} and {max(most) / 1e9:.1f} GB" + f", in tiles of {tile} pixels" * bool(tile)
    return f"this run will take {told}, once its targets are computed, which takes {span(sum(map(passing, parts)))}"


def span(seconds: float) -> str:
    """A time in words."""
    return f"about {seconds:.0f} seconds" if seconds < 120 else f"about {seconds / 60:.0f} minutes"


def work(net: FeatureExtractor, layers: Sequence[str], steps: Sequence[tuple[Size, int]]) -> float:
    """Floating-point operations of so many steps at some sizes: twice the convolutions' forward pass at every step."""
    reached = _reached(net, layers)
    once = sum(2 * p.numel() / row.stride**2 for row, module in reached for p in module.parameters() if p.ndim > 1)
    return sum(2 * once * height * width * count for (height, width), count in steps)


def _reached(net: FeatureExtractor, layers: Sequence[str]) -> list[tuple[Layer, nn.Module]]:
    """The rows of the network's table that a pass goes through to the deepest of `layers`, with their modules."""
    deepest = max((net.layers.index(layer) + 1 for layer in layers), default=0)
    return list(zip(geometry(net), net.net, strict=True))[:deepest]


def memory(view: View, layers: Sequence[str], size: Size, method: str | None) -> int:
    """Bytes of a run at `size`: network, pictures, optimiser, activations; without a method of one pass without gradients."""
    net, each = view.net, view.net.weight.element_size()
    pictures = {None: LOOKED_AT, "lbfgs": PICTURES + CURVATURES}.get(method, PICTURES) * 3 * 4 * size[0] * size[1]
    boxes = [window.outer for window in view.windows(size, layers)]
    height, width = max(b - t for t, b, _, _ in boxes), max(r - left for _, _, left, r in boxes)
    kept, largest = 0, 0
    for row, module in _reached(net, layers):
        here = row.channels * row.size(height) * row.size(width) * each
        overwritten = isinstance(module, nn.Conv2d) and row.name not in layers
        kept += here * ((method is not None and not overwritten) + (row.name in layers))  # a loss keeps its derivative too
        largest = max(largest, here)
    weights = sum(p.numel() for p in net.parameters()) * (4 + each)  # in float32, and as the steps use them
    return WORKSPACE + weights + pictures + kept + 3 * largest


def free_memory(device: torch.device) -> int:
    """Bytes that a run may take on the device; of a computer's memory no more than its container is granted."""
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return int(SHARE * min(psutil.virtual_memory().available, granted()))


def granted(groups: Path = Path("/sys/fs/cgroup"), of: Path = Path("/proc/self/cgroup")) -> float:
    """Bytes that the control groups of this process, as those of a container, leave it; infinity where there are none."""
    left = math.inf
    with contextlib.suppress(OSError):
        for line in of.read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            top = groups / "memory" if kinds else groups  # the first version names its kinds, the second none
            for part in (Path(path), *Path(path).parents) if not kinds or "memory" in kinds.split(",") else ():
                left = min(left, *(_left(top / part.relative_to("/"), *files) for files in FILES))
    return left


def _left(folder: Path, limit: str, taken: str, idle: str) -> float:
    """Bytes that one group leaves; infinity where it sets no limit. Files kept at hand give way."""
    with contextlib.suppress(OSError, ValueError):
        bound = int((folder / limit).read_text(encoding="utf-8"))
        facts = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
        return max(0, bound - int((folder / taken).read_text(encoding="utf-8")) + int(facts.get(idle, 0)))
    return math.inf


def tile_for(net: FeatureExtractor, layers: Sequence[str], size: Size, method: str | None, what: str = "size") -> int | None:
    """None where a whole picture fits into memory, else the tile; what does not fit even so is refused, by option `what`."""
    free, view = free_memory(net.weight.device), View(net, TILE if net.family == "vgg" else None)
    if memory(View(net), layers, size, method) <= free:
        return None
    need = memory(view, layers, size, method)
    if need <= free:
        return view.tile
    long = max(size)
    while long > 16 and memory(view, layers, (size[0] * long // max(size), size[1] * long // max(size)), method) > free:
        long = long * 9 // 10
    raise MemoryError(
        f"a {what} of {max(size)} pixels would take {need / 1e9:.1f} GB and {free / 1e9:.1f} GB may be used; "
        f"choose a smaller {what}: the largest that fits is about {long}"
    )


def stepping(run: Ahead) -> float:
    """Seconds of the steps of a run, from a short timing of its network (about a second)."""
    return _seconds(run, run.method, [(run.net, size, count + 1) for size, count in run.steps])  # one more for its scale


def passing(run: Ahead) -> float:
    """Seconds of the passes without gradients."""
    return _seconds(run, None, [(view, size, 1) for view, size in run.passes])


def _seconds(run: Ahead, method: str | None, looks: Sequence[tuple[View, Size, int]]) -> float:
    """Seconds of so many steps (without a method: passes) at some sizes, from those of two squares of noise."""
    few, many = PROBES
    short, long = (_quickest(run, looks[0][0].net, method, side) for side in PROBES)
    slope = max(0.0, (long - short) / (many**2 - few**2))
    constant = max(0.0, short - slope * few**2)
    each = TILED if method else 1.0  # by a pass a tile costs its pixels
    return sum(count * (constant + slope * _pixels(view, run.layers, size, each)) for view, size, count in looks)


def _pixels(view: View, layers: Sequence[str], size: Size, each: float = TILED) -> float:
    """The pixels that a step computes, margins and all; in tiles `each` counts for more: three passes instead of two."""
    boxes = [window.outer for window in view.windows(size, layers)]
    pixels = sum((bottom - top) * (right - left) for top, bottom, left, right in boxes)
    return pixels if view.whole(size) else each * pixels


def _quickest(run: Ahead, net: FeatureExtractor, method: str | None, side: int) -> float:
    """The least seconds of three steps, or passes, over a square of noise, after one to warm up."""
    x, seconds = images.noise((side, side)).to(net.weight.device), []
    kind, layers = run.style or ("gram", run.layers)
    style = StyleLoss.of(net, x / 2, layers) if kind == "gram" else CloudLoss.of(net, x / 2, layers, kind=kind)
    terms: Terms = {"content": (1.0, ContentLoss.of(net, x / 2, run.layers)), "style": (1.0, style)}
    steps = descend(net, x, terms, steps=5, method=method) if method else None
    for _ in range(4):
        begin = time.perf_counter()
        if steps:
            next(steps)
        else:
            View(net).losses(x, terms)["style"].item()
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])
