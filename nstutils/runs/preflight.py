"""Before a long run: how many seconds and how much memory it will take, and whether it must go in tiles."""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import nn

from nstutils import images
from nstutils.backbones import FeatureExtractor, geometry
from nstutils.descent import Stage, descend
from nstutils.losses import StyleLoss, Terms, gram
from nstutils.runs.tiles import View

TILE = 1024  # pixels on the side of a tile: larger ones waste less on their margins
PICTURES = 12  # a step holds this many pictures: the picture, its gradient, the optimiser's moments, the best, copies
CURVATURES = 42  # and L-BFGS this many more
LOOKED_AT = 4  # and a pass without gradients this many in all
WORKSPACE = 80_000_000  # bytes that the convolutions take for themselves
TILED = 1.65  # a pixel of a tile in pixels of a small picture: three passes instead of two, over memory not yet at hand
SHARE = 0.8  # of the free memory that a run may take
GROUPS = Path("/sys/fs/cgroup")  # where Linux tells how much memory a container may take
FILES = (  # of a group, in its two versions: the limit, what is taken, what of that is files kept at hand
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
PROBES = (96, 224)  # sides of the two squares that are timed


@dataclass(frozen=True)
class Estimate:
    """Seconds and bytes a run will take beyond what is in memory already, and the tiles it needs (None: none)."""

    seconds: float
    memory: int
    tile: int | None

    def __str__(self) -> str:
        """In words."""
        told = f"{span(self.seconds)} and {self.memory / 1e9:.1f} GB"
        return told + (f", in tiles of {self.tile} pixels" if self.tile else "")


def span(seconds: float) -> str:
    """Seconds in words."""
    return f"about {seconds:.0f} seconds" if seconds < 120 else f"about {seconds / 60:.0f} minutes"


def work(net: FeatureExtractor, layers: Sequence[str], stages: Sequence[Stage]) -> float:
    """Floating-point operations of a run: twice the convolutions' forward pass at every step."""
    once, modules = 0.0, dict(net.net.named_children())
    for row in geometry(net)[: depth(net, layers)]:
        module = modules[row.name]
        once += sum(2 * p.numel() for p in module.parameters() if p.ndim > 1) / row.stride**2
    return sum(2 * once * stage.size[0] * stage.size[1] * stage.steps for stage in stages)


def depth(net: FeatureExtractor, layers: Sequence[str]) -> int:
    """How many modules a pass goes through to reach the deepest of `layers`."""
    return max((net.layers.index(layer) + 1 for layer in layers), default=0)


def memory(view: View, layers: Sequence[str], size: tuple[int, int], method: str | None) -> int:
    """Bytes of a run at `size`: pictures and optimiser, and the activations that the backward pass needs.

    Without a method: of one pass without gradients, as the targets take it.
    """
    net, (height, width) = view.net, size
    pictures = {None: LOOKED_AT, "lbfgs": PICTURES + CURVATURES}.get(method, PICTURES) * 3 * 4 * height * width
    if not view.whole(size):
        boxes = [window.outer for window in view.windows(size, layers)]
        height, width = max(b - t for t, b, _, _ in boxes), max(r - left for _, _, left, r in boxes)
    kept = largest = 0
    for row in geometry(net)[: depth(net, layers)]:
        here = row.channels * row.size(height) * row.size(width) * net.weight.element_size()
        overwritten = isinstance(dict(net.net.named_children())[row.name], nn.Conv2d) and row.name not in layers
        kept += here if method and not overwritten else 0
        kept += here if row.name in layers else 0  # a loss keeps its derivative too
        largest = max(largest, here)
    weights = sum(p.numel() for p in net.parameters()) * (
        4 + net.weight.element_size()
    )  # in float32, and as the steps use them
    return WORKSPACE + weights + pictures + kept + 3 * largest


def free_memory(device: torch.device) -> int:
    """Bytes that a run may take on the device; of a computer's memory no more than its container is granted."""
    if device.type == "cuda":
        return int(SHARE * torch.cuda.mem_get_info(device)[0])
    return int(SHARE * min(psutil.virtual_memory().available, granted()))


def granted(groups: Path = GROUPS, of: Path = Path("/proc/self/cgroup")) -> float:
    """Bytes that the control groups of this process leave it; infinity where there are none."""
    left = math.inf
    with contextlib.suppress(OSError):
        for line in of.read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            top = groups / "memory" if kinds else groups  # the first version names its kinds, the second none
            own = top / path.lstrip("/")
            for folder in (own, *own.parents) if not kinds or "memory" in kinds.split(",") else ():
                left = min(left, *(_left(folder, *files) for files in FILES))
                if folder == top:
                    break
    return left


def _left(folder: Path, limit: str, taken: str, idle: str) -> float:
    """Bytes that one group leaves; infinity where it sets no limit. Files kept at hand give way."""
    with contextlib.suppress(OSError, ValueError):
        bound = int((folder / limit).read_text(encoding="utf-8"))
        facts = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
        return max(0, bound - int((folder / taken).read_text(encoding="utf-8")) + int(facts.get(idle, 0)))
    return math.inf


def tile_for(
    net: FeatureExtractor, layers: Sequence[str], size: tuple[int, int], method: str | None, what: str = "size"
) -> int | None:
    """None where the whole picture fits into memory, else the tile; refuses what does not fit even so.

    `what` is the option that makes the picture as large as it is.
    """
    free = free_memory(net.weight.device)
    if memory(View(net), layers, size, method) <= free:
        return None
    view = View(net, TILE if net.family == "vgg" else None)
    need = memory(view, layers, size, method)
    if need <= free:
        return TILE
    long = max(size)
    while long > 16 and memory(view, layers, (size[0] * long // max(size), size[1] * long // max(size)), method) > free:
        long = long * 9 // 10
    raise MemoryError(
        f"a {what} of {max(size)} pixels would take {need / 1e9:.1f} GB and {free / 1e9:.1f} GB may be used; "
        f"choose a smaller {what}: the largest that fits is about {long}"
    )


def estimate(view: View, layers: Sequence[str], stages: Sequence[Stage], method: str) -> Estimate:
    """What a run will take, from a short timing of the same network on two small squares (about a second)."""
    cost = _line(lambda side: _timed(view.net, layers, side, method))
    seconds = sum((stage.steps + 1) * cost(_pixels(view, layers, stage.size)) for stage in stages)  # one more to find its scale
    return Estimate(seconds, memory(view, layers, stages[-1].size, method), view.tile)


def passing(layers: Sequence[str], passes: Sequence[tuple[View, tuple[int, int]]]) -> float:
    """Seconds of one pass without gradients over each of some pictures, given by their size and how they are looked at."""
    cost = _line(lambda side: _timed_pass(passes[0][0].net, layers, side))
    return sum(cost(_pixels(view, layers, size, 1.0)) for view, size in passes)


def _line(seconds: Callable[[int], float]) -> Callable[[float], float]:
    """Seconds by the number of pixels, from those of the two squares."""
    few, many = PROBES
    short, long = seconds(few), seconds(many)
    slope = max(0.0, (long - short) / (many**2 - few**2))
    constant = max(0.0, short - slope * few**2)
    return lambda pixels: constant + slope * pixels


def _pixels(view: View, layers: Sequence[str], size: tuple[int, int], each: float = TILED) -> float:
    """The pixels that a step computes, margins and all; in tiles `each` counts for more: three passes instead of two."""
    if view.whole(size):
        return size[0] * size[1]
    boxes = [window.outer for window in view.windows(size, layers)]
    return each * sum((bottom - top) * (right - left) for top, bottom, left, right in boxes)


def _timed(net: FeatureExtractor, layers: Sequence[str], side: int, method: str) -> float:
    """The seconds of one step on a square of noise: the quickest of three, after one to warm up."""
    x = images.noise((side, side)).to(net.weight.device)
    with torch.no_grad():
        targets = {layer: gram(features) * 0.5 for layer, features in net(x, layers).items()}
    terms: Terms = {"style": (1.0, StyleLoss(targets))}
    steps, times = descend(net, x, terms, steps=5, method=method), []
    for _ in range(4):
        begin = time.perf_counter()
        next(steps)
        times.append(time.perf_counter() - begin)
    return min(times[1:])


@torch.no_grad()
def _timed_pass(net: FeatureExtractor, layers: Sequence[str], side: int) -> float:
    """The seconds of one pass over a square of noise: the quicker of two, after one to warm up."""
    x, times = images.noise((side, side)).to(net.weight.device), []
    for _ in range(3):
        begin = time.perf_counter()
        for features in net(x, layers).values():
            gram(features).sum().item()
        times.append(time.perf_counter() - begin)
    return min(times[1:])
