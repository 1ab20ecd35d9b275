"""What a picture becomes by its gradient, the learning rate and a memory: a dict, empty at first, in which tensors are
replaced and none is changed. Step by step these give the numbers of `torch.optim`, whose first step imports torch's compiler:
a second and a half, and 0.17 GB."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Memory = dict[str, Any]

REMEMBERED = 20  # steps whose curvature L-BFGS remembers
FARTHEST = 0.3  # of its range that L-BFGS moves a pixel in one step


def adam(x: Tensor, gradient: Tensor, rate: float, memory: Memory) -> Tensor:
    """Kingma and Ba 2014: the mean gradient over the root of the mean square, both corrected for their start at zero."""
    if not memory:
        memory |= {"step": 0, "mean": torch.zeros_like(x), "square": torch.zeros_like(x)}
    first, second = 0.9, 0.99
    memory["step"] += 1
    memory["mean"] = memory["mean"].lerp(gradient, 1 - first)
    memory["square"] = (memory["square"] * second).addcmul_(gradient, gradient, value=1 - second)
    size = (memory["square"].sqrt() / (1 - second ** memory["step"]) ** 0.5).add_(1e-8)
    return x.addcdiv(memory["mean"], size, value=-rate / (1 - first ** memory["step"]))


def sgd(x: Tensor, gradient: Tensor, rate: float, memory: Memory) -> Tensor:
    """Downhill with momentum: nine tenths of the last move are kept."""
    memory["move"] = (memory["move"] * 0.9).add_(gradient) if memory else gradient.clone()
    return x.add(memory["move"], alpha=-rate)


def lbfgs(x: Tensor, gradient: Tensor, rate: float, memory: Memory) -> Tensor:
    """Nocedal 1980: Newton's step, with the curvature guessed from how the gradient changed over the last steps. None moves a
    pixel by more than FARTHEST: the first guesses are far too small where a picture begins as the photograph."""
    g = gradient.reshape(-1)
    if not memory:
        direction, length = g.neg(), rate * float((1.0 / g.abs().sum()).clamp(max=1.0))
        memory["pairs"] = []
    else:
        _remember(memory, g.sub(memory["gradient"]), memory["direction"].mul(memory["length"]))
        direction, length = _newton(memory, g), rate
    if float(g.dot(direction)) >= 0:
        length = 0.0
    moved = x.add(direction.view_as(x), alpha=length)
    farthest = float((moved - x).abs().max())
    if FARTHEST < farthest < math.inf:
        moved = x + (moved - x) * (FARTHEST / farthest)
        length *= FARTHEST / farthest
    memory |= {"gradient": g.clone(), "direction": direction, "length": length}
    return moved


def _remember(memory: Memory, change: Tensor, move: Tensor) -> None:
    """Keep a move and how the gradient changed with it, where the curvature along it is positive; drop the oldest."""
    curvature = change.dot(move)
    if curvature > 1e-10:
        memory["pairs"] = [*memory["pairs"], [move, change, 1.0 / curvature]][-REMEMBERED:]
        memory["scale"] = curvature / change.dot(change)


def _newton(memory: Memory, g: Tensor) -> Tensor:
    """Minus the gradient times the inverse of the curvature, as the remembered pairs tell it (the two loops)."""
    direction, shares = g.neg(), []
    for move, change, inverse in reversed(memory["pairs"]):
        shares.append(move.dot(direction) * inverse)
        direction.add_(change, alpha=-float(shares[-1]))
    direction.mul_(memory.get("scale", 1.0))
    for (move, change, inverse), share in zip(memory["pairs"], reversed(shares), strict=True):
        direction.add_(move, alpha=float(share - change.dot(direction) * inverse))
    return direction


UPDATES: dict[str, Callable[[Tensor, Tensor, float, Memory], Tensor]] = {"adam": adam, "lbfgs": lbfgs, "sgd": sgd}


def enlarged(memory: Memory, size: tuple[int, int]) -> Memory:
    """A memory for a larger picture: moments and moves are enlarged with it; L-BFGS starts afresh."""
    if "pairs" in memory:
        return {}
    return {k: F.interpolate(v, size, mode="bilinear") if isinstance(v, Tensor) else v for k, v in memory.items()}
