"""From the answers to what the checks keep of them: inputs, wanted values, and the marks that mistakes leave."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from answers.making import Answers
from nstutils.course.check.judging import mark

CHECKS = Path(__file__).parents[2] / "nstutils" / "course" / "check"


def encoded(value: Any) -> Any:
    """A value as JSON holds it; floats with nine digits."""
    if isinstance(value, Tensor):
        numbers = [encoded(number) for number in value.flatten().tolist()]
        return {"tensor": list(value.shape), "of": str(value.dtype).removeprefix("torch."), "values": numbers}
    if isinstance(value, nn.Module):
        return {"made": type(value).__name__, "from": [encoded(weight.detach()) for weight in value.parameters()]}
    if dataclasses.is_dataclass(value):
        parts = [getattr(value, part.name) for part in dataclasses.fields(value)]
        return {"made": type(value).__name__, "from": encoded(parts)}
    if isinstance(value, list | tuple):
        return [encoded(one) for one in value]
    if isinstance(value, dict):
        return {name: encoded(one) for name, one in value.items()}
    return float(f"{value:.9g}") if isinstance(value, float) else value


def kept(one: Answers) -> dict[str, Any]:
    """What the check of an exercise keeps. For noise any generator will do: properties are judged, and no values kept."""
    drawn = one.judged == "noise"
    wrong = {
        told: [] if drawn else [encoded(mark(mistake(*given))) for given in one.inputs] for told, mistake in one.wrong.items()
    }
    return {
        "about": one.right.__doc__,
        "judged by": one.judged,
        "gradient": one.gradient,
        "given": [encoded(given) for given in one.inputs],
        "wanted": [] if drawn else [encoded(one.right(*given)) for given in one.inputs],
        "wrong": wrong,
    }


def text(exercises: Sequence[Answers]) -> str:
    """The file of a lesson: one exercise after the other, one line an entry."""
    lines = []
    for one in exercises:
        with torch.random.fork_rng():
            entries = [f"    {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in kept(one).items()]
        lines.append(f"  {json.dumps(one.right.__name__)}: {{\n" + ",\n".join(entries) + "\n  }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write(lesson: str, exercises: Sequence[Answers]) -> Path:
    """Write the file of a lesson."""
    target = CHECKS / f"lesson{lesson}.json"
    target.write_text(text(exercises), encoding="utf-8")
    return target
