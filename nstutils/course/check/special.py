"""What only some exercises need: losses, gradients and painters to hand to an answer, and judges of more than values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nstutils.course.check.judging import Answer, Exercise, by_values


@dataclass(frozen=True)
class Bowl:
    """A loss of a picture for the loop to go down: the pixels towards a target, and their mean towards 0.5."""

    target: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.target).square().flatten(1).sum(1) + 40 * (x.mean((1, 2, 3)) - 0.5) ** 2

    def __repr__(self) -> str:
        return "a loss"


@dataclass(frozen=True)
class Slope:
    """The gradient with respect to x of a loss that oscillates, so that its sign changes on the way."""

    turns: float

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cos(self.turns * x) + 0.1

    def __repr__(self) -> str:
        return f"the gradient cos({self.turns:g} x) + 0.1"


@dataclass(frozen=True)
class Lighter:
    """A loss of a painting that wants a lighter picture and yet the one it was, 4 : 1."""

    def __call__(self, painted: Tensor, crops: Tensor) -> Tensor:
        return 4 * (painted - 2).square().mean() + (painted - crops).square().mean()

    def __repr__(self) -> str:
        return "a loss"


class Painter(nn.Module):
    """A painter of three numbers, and one more for all channels."""

    def __init__(self, gain: Tensor, shift: Tensor):
        super().__init__()
        self.gain, self.shift = nn.Parameter(gain), nn.Parameter(shift)

    def forward(self, crops: Tensor) -> Tensor:
        """N x 3 x H x W to the same."""
        return crops * self.gain + self.shift


MADE: dict[str, Callable[..., Any]] = {kind.__name__: kind for kind in (Bowl, Slope, Lighter, Painter)}
NO_BYTES = "the values are right, but they are no bytes; end it with .to(torch.uint8)"
NOISE = (  # what an answer loses, in the order in which it is looked for
    "height and width are swapped; a picture is 1 × 3 × height × width",
    "the same seed gives another picture each time; hand torch.rand a generator that starts from the seed",
    "it ignores the seed: two seeds give the same picture",
    "it changes the random numbers of everybody else; make a generator of your own with torch.Generator()",
    "its values leave [0, 1]; take torch.rand (uniform), not torch.randn (normal)",
    "it is grey; draw numbers of their own for red, green and blue",
)


def of_bytes(exercise: Exercise, answer: Answer) -> str:
    """The values first; then their type, which decides what a file holds."""
    fault = by_values(exercise, answer)
    return fault or ("" if getattr(answer(*exercise.given[0]), "dtype", None) == torch.uint8 else NO_BYTES)


def of_noise(exercise: Exercise, draw: Answer) -> str:
    """Any generator's numbers will do, so what is judged are properties, each of them lost by one of the usual mistakes."""
    with torch.random.fork_rng():
        before = torch.random.get_rng_state()
        drawn = [draw(*given) for given in exercise.given]
        touched = not torch.equal(before, torch.random.get_rng_state())
    shapes = [tuple(picture.shape) if isinstance(picture, Tensor) else None for picture in drawn]
    swapped = shapes == [(1, 3, width, height) for height, width, _ in exercise.given]
    if not swapped and shapes != [(1, 3, height, width) for height, width, _ in exercise.given]:
        return f"for height 5 and width 8 it returns shape {shapes[0]}, wanted (1, 3, 5, 8)"
    lost = (
        swapped,
        not torch.equal(drawn[0], drawn[1]),
        torch.equal(drawn[1], drawn[2]),
        touched,
        any(bool((picture < 0).any() or (picture > 1).any()) for picture in drawn),
        all(torch.equal(picture[:, 0], picture[:, 1]) for picture in drawn),
    )
    return next((sentence for sentence, wrong in zip(NOISE, lost, strict=True) if wrong), "")


def of_plan(exercise: Exercise, answer: Answer) -> str:
    """What is wrong with the form of a plan, else with its values."""
    for given in exercise.given:
        found = answer(*given)
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            return f"it returns {type(found).__name__}; wanted a list of dicts, one for each run"
        if any(set(item) != set(given[0]) for item in found):
            return "each dict needs all settings of base, the changed one among them, and no others"
    return by_values(exercise, answer)


FAULTS = {"values": by_values, "bytes": of_bytes, "noise": of_noise, "plan": of_plan}
