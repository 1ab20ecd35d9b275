"""What all exercises are made of: an answer is tried on several inputs, compared with stored values, refused in a sentence."""

import copy
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from textwrap import wrap
from typing import Any

import torch
from torch import Tensor, nn

from nstutils.library.settings import Settings

Answer = Callable[..., Any]
Inputs = tuple[Any, ...]
TRIES: Counter[str] = Counter()  # how often the answer to each exercise was refused since it was right
RECORDED = ("quick", "classroom")  # preset and backbone of the lessons as they are committed


class CheckFailed(AssertionError):
    """A check or a claim that fails: notebooks show its sentence alone, everything else sees an AssertionError."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it in place of the way through the checks
        return [part for line in str(self).splitlines() for part in wrap(line, 88, break_on_hyphens=False)]


def by_values(exercise: "Exercise", answer: Answer) -> str:
    """What is wrong with an answer that should give the stored values, or nothing."""
    for given, wanted in zip(exercise.given, exercise.wanted, strict=True):
        found = answer(*given)
        if not alike(found, wanted):
            return _named(exercise, answer) or _difference(found, wanted, given)
        if exercise.gradient and not _lets_through(answer, given):
            return (
                "the value is right, but no gradient comes back through it; leave out .detach(), .item(), "
                ".numpy(), .data and torch.no_grad()"
            )
    return ""


@dataclass(frozen=True)
class Exercise:
    """What a check needs to judge an answer: inputs, the values wanted for them, and how to know the usual mistakes. With
    `gradient` an answer must let gradients through to its first input. Called with a reader's function, it judges it."""

    name: str
    about: str
    given: Sequence[Inputs]
    wanted: Sequence[Any]
    wrong: Mapping[str, Sequence[list[float]]] = field(default_factory=dict)  # the marks a mistake leaves, by its sentence
    gradient: bool = False
    fault: Callable[["Exercise", Answer], str] = by_values

    def __post_init__(self) -> None:
        """What the exercise is about: what `check.name?` shows."""
        object.__setattr__(self, "__doc__", self.about)

    def __call__(self, answer: Answer) -> None:
        """Say that the reader's function is right, or what is wrong with it."""
        if not callable(answer):
            raise CheckFailed(f"{self.name}: wanted your function, got {type(answer).__name__}; give its name without brackets")
        if fault := self.fault(self, partial(tried, self.name, answer)):
            TRIES[self.name] += 1
            raise CheckFailed(f"{self.name}: {self.told(fault, answer)}")
        TRIES[self.name] = 0
        print(f"{self.name}: right, on {len(self.given)} inputs")

    def told(self, fault: str, answer: Answer) -> str:
        """A usual mistake in turn: what came and a hint, then its name, then its cure; any other fault at once."""
        if fault not in self.wrong or TRIES[self.name] > 2:
            return fault
        if TRIES[self.name] == 2:
            return f"{fault.partition('; ')[0]} (once more says what to do)"
        with torch.random.fork_rng():  # an answer may seed everybody's numbers
            found = [(answer(*map(_own, given)), wanted, given) for given, wanted in zip(self.given, self.wanted, strict=False)]
        seen = next((_difference(*one) for one in found if not alike(*one[:2])), "something that was asked for is missing")
        return f"{seen} (see the hint; a second try names the mistake)"


def tried(name: str, answer: Answer, *given: Any) -> Any:
    """The answer for copies of the inputs; refuses one that is not written, returns nothing or changes its inputs."""
    copies = [_own(value) for value in given]
    try:
        found = answer(*copies)
    except NotImplementedError:
        raise CheckFailed(f"{name}: not written yet; the lesson goes on with the library's function") from None
    except Exception as error:
        place = _place(error)
        raise CheckFailed(f"{name}: for {_shapes(given)} it stops with {type(error).__name__}: {error}{place}") from error
    if found is None:
        raise CheckFailed(f"{name}: it returns None; end it with `return` and the result")
    for before, after in zip(given, copies, strict=True):
        if isinstance(before, Tensor) and not torch.equal(before, after):
            raise CheckFailed(f"{name}: it changes its input; work on a new tensor (`x * 2`, not `x *= 2` or `x.mul_(2)`)")
    return found


def _own(value: Any) -> Any:
    """A copy of an input that an answer may change: a tensor's lets gradients through."""
    return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)


def _place(error: Exception) -> str:
    """Where the answer stopped, in the reader's own lines: the first frame below this module's is the answer's."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return f" (line {own[-1].lineno} of {own[-1].name}: {own[-1].line})" if own and own[-1].line else ""


def alike(found: Any, wanted: Any) -> bool:
    """Equal shapes and values, to rounding."""
    try:
        found, wanted = _numbers(found), _numbers(wanted)
    except (TypeError, ValueError, RuntimeError):
        return False
    scale = wanted.abs().max().clamp(min=1e-12) if wanted.numel() else 1.0
    return found.shape == wanted.shape and bool(((found - wanted).abs() <= 1e-5 * scale).all())


def _numbers(value: Any) -> Tensor:
    """A value as a tensor; of dicts a row each, by the order of the keys."""
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        value = [[one[key] for key in sorted(one)] for one in value]
    return torch.as_tensor(value).detach().double()


def mark(value: Any) -> list[float]:
    """What a value is known by: the lengths of its sides and a mixture of its numbers, from which none can be read."""
    numbers = _numbers(value)
    shares = torch.arange(1.0, numbers.numel() + 1, dtype=torch.float64).mul(0.6180339887).remainder(1) + 0.5
    return [*numbers.shape, float((numbers.flatten() * shares).sum())]


def _leaves(found: Any, known: list[float]) -> bool:
    """Whether a value has this mark, to rounding."""
    *sides, mixture = mark(found)
    scale = mark(_numbers(found).abs())[-1]
    return sides == known[:-1] and abs(mixture - known[-1]) <= 1e-5 * scale + 1e-9


def _named(exercise: Exercise, answer: Answer) -> str:
    """The sentence for the usual mistake that gives these very values, or nothing."""
    try:
        found = [answer(*given) for given in exercise.given]
        return next((told for told, marks in exercise.wrong.items() if all(map(_leaves, found, marks))), "")
    except (CheckFailed, TypeError, ValueError, RuntimeError):
        return ""  # it stops on a later input, or gives no numbers; what it gave for this one is told


def _difference(found: Any, wanted: Any, given: Inputs) -> str:
    """What came and what was wanted, for a mistake that has no name."""
    if isinstance(wanted, list):
        return f"for {_shapes(given)} it returns {found}, wanted {wanted}; work one of them out by hand"
    wanted = torch.as_tensor(wanted)
    if not isinstance(found, Tensor | float | int):
        return f"it returns {type(found).__name__}, wanted a tensor of shape {tuple(wanted.shape)}"
    found = torch.as_tensor(found).detach()
    if found.shape != wanted.shape:
        return f"for {_shapes(given)} it returns shape {tuple(found.shape)}, wanted {tuple(wanted.shape)}"
    far = (found.double() - wanted.double()).abs().flatten()
    worst = int(far.nan_to_num(torch.inf).argmax()) if far.numel() else 0
    return (
        f"for {_shapes(given)} one value is {found.flatten()[worst].item():.6g}, wanted {wanted.flatten()[worst].item():.6g}; "
        "try it by hand on two or three numbers"
    )


def _shapes(given: Inputs) -> str:
    """The inputs in words: tensors by their shapes, several by their number, functions and networks by their names."""
    return ", ".join(map(_shape, given))


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, list) and value and all(isinstance(one, Tensor) for one in value):
        return f"{len(value)} tensors {tuple(value[0].shape)}"
    return type(value).__name__ if isinstance(value, nn.Module) else getattr(value, "__name__", repr(value))


def _lets_through(answer: Answer, given: Inputs) -> bool:
    """Whether a gradient comes back through the answer to its first input."""
    leaf = given[0].detach().clone().requires_grad_()
    try:
        value = answer(leaf, *given[1:])
    except CheckFailed:
        return False  # as .numpy() of what has a gradient
    if not (isinstance(value, Tensor) and value.requires_grad):
        return False
    return torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0] is not None


def claim(words: str, holds: bool, *, recorded: bool = True, always: bool = False, where: Settings) -> None:
    """Say whether a claim of the documents holds in this run, and whether the lesson found it so.

    The verdict should be the recorded one with the preset and backbone that the lessons were written with; elsewhere it is a
    finding, unless it must hold everywhere (`always`: an equation). Another verdict is told and the lesson goes on, since
    another processor rounds otherwise; with NSTUTILS_STRICT=1, as the makers run it, it is an error."""
    verdict = "holds" if holds else "does not hold"
    print(f"{words}: {verdict} ({where.preset}, {where.backbone})")
    if holds != recorded and (always or (where.preset, where.backbone) == RECORDED):
        said = f"{words}: {verdict} here, but the lesson says it {'holds' if recorded else 'does not'}"
        if where.strict:
            raise CheckFailed(said)
        print(f"{said}; your processor may round otherwise than the makers': believe what you see, and go on")


def random(*shape: int, seed: int = 0) -> Tensor:
    """Numbers between -1 and 1 in float64, the same for the same seed."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
