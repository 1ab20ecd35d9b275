"""What all checks are made of: an answer is tried on several inputs, compared with the right one, and refused in a sentence."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from textwrap import wrap
from typing import Any

import torch
from torch import Tensor

from nstutils.library.settings import Settings

Answer = Callable[..., Any]
Inputs = tuple[Any, ...]
RECORDED = ("quick", "classroom")  # preset and backbone of the lessons as they are committed


class CheckFailed(AssertionError):
    """A check or a claim that fails: notebooks show its sentence alone, everything else sees an AssertionError."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it in place of the way through the checks
        return [part for line in str(self).splitlines() for part in wrap(line, 88, break_on_hyphens=False)]


def judge(
    name: str,
    answer: Answer,
    right: Answer,
    inputs: Sequence[Inputs],
    wrong: Mapping[str, Answer] | None = None,
    gradient: bool = False,
) -> None:
    """Try `answer` on all inputs against `right`, and name the mistake if it is one of `wrong`; with `gradient` its result
    must let gradients through to its first input."""
    demand_function(name, answer)
    for given in inputs:
        found = tried(name, answer, given)
        wanted = right(*given)
        if not alike(found, wanted):
            raise CheckFailed(f"{name}: {_named(answer, right, inputs, wrong or {}) or _difference(found, wanted, given)}")
        if gradient and not _lets_through(answer, given):
            raise CheckFailed(
                f"{name}: the value is right, but no gradient comes back through it; leave out .detach(), .item(), "
                ".numpy(), .data and torch.no_grad()"
            )
    print(f"{name}: right, on {len(inputs)} inputs")


def demand_function(name: str, answer: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(answer):
        raise CheckFailed(f"{name}: wanted your function, got {type(answer).__name__}; give its name without brackets")


def tried(name: str, answer: Answer, given: Inputs) -> Any:
    """The answer for copies of the inputs; refuses one that is not written, returns nothing or changes its inputs."""
    copies = tuple(value.clone() if isinstance(value, Tensor) else value for value in given)
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


def _place(error: Exception) -> str:
    """Where the answer stopped, in the reader's own lines: the first frame below this module's is the answer's."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return f" (line {own[-1].lineno} of {own[-1].name}: {own[-1].line})" if own and own[-1].line else ""


def alike(found: Any, wanted: Any) -> bool:
    """Equal shapes and values, to rounding."""
    try:
        found, wanted = torch.as_tensor(found).detach().double(), torch.as_tensor(wanted).detach().double()
    except (TypeError, ValueError, RuntimeError):
        return False
    scale = wanted.abs().max().clamp(min=1e-12) if wanted.numel() else 1.0
    return found.shape == wanted.shape and bool(((found - wanted).abs() <= 1e-5 * scale).all())


def _named(answer: Answer, right: Answer, inputs: Sequence[Inputs], wrong: Mapping[str, Answer]) -> str:
    """The sentence for the usual mistake that gives these very values, or nothing."""
    for sentence, mistake in wrong.items():
        if any(not alike(mistake(*given), right(*given)) for given in inputs) and all(
            alike(_quiet(answer, given), mistake(*given)) for given in inputs
        ):
            return sentence
    return ""


def _quiet(answer: Answer, given: Inputs) -> Any:
    """The answer for copies of the inputs, or None where it stops."""
    try:
        return answer(*(value.clone() if isinstance(value, Tensor) else value for value in given))
    except Exception:  # the reader's own code: anything may stop it, and what does is told elsewhere
        return None


def _difference(found: Any, wanted: Any, given: Inputs) -> str:
    """What came and what was wanted, for a mistake that has no name."""
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
    """The inputs in words: tensors by their shapes."""
    return ", ".join(f"a tensor {tuple(v.shape)}" if isinstance(v, Tensor) else repr(v) for v in given)


def _lets_through(answer: Answer, given: Inputs) -> bool:
    """Whether a gradient comes back through the answer to its first input."""
    leaf = given[0].detach().clone().requires_grad_()
    value = _quiet(answer, (leaf, *given[1:]))
    if not (isinstance(value, Tensor) and value.requires_grad):
        return False
    return torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0] is not None


def claim(words: str, holds: bool, *, recorded: bool = True, always: bool = False, where: Settings) -> None:
    """Say whether a claim of the documents holds in this run. With the preset and backbone that the lessons were written with
    the verdict should be the recorded one; elsewhere (a larger preset, another network) it is a finding. What must hold
    everywhere (`always`: an equation) should do so everywhere. Where it does not, that is told and the lesson goes on, since
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
