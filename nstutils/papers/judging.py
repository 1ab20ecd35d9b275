"""How rows are judged: orders, what is left of a loss, the verdict; and where runs are kept that no sweep makes."""

import contextlib
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

from nstutils.library.weights import backbone
from nstutils.papers.rows import LAYERS, Case, Numbers, Parts, Plan
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.options import Options
from nstutils.runs.resolve import Targets, prepare


def verdict(
    pairs: Sequence[Sequence[Numbers]], parts: Callable[[Numbers], Parts], some: bool = False
) -> tuple[bool, dict[str, Any]]:
    """Whether a claim holds: all its parts for every pair of pictures (with `some`: for one), by the medians over the seeds."""
    told, count = [parts(_medians(cases)) for cases in pairs], len(pairs)
    held = sum(all(one.values()) for one in told)
    by_part = {name: f"{sum(one[name] for one in told)} of {count}" for name in told[0]}
    medians = _medians([one for cases in pairs for one in cases])
    return held == count or (some and held > 0), {"held": f"{held} of {count}", "parts": by_part, "median": medians}


def _medians(numbers: Sequence[Numbers]) -> Numbers:
    return {name: statistics.median(one[name] for one in numbers) for name in numbers[0]}


def order(values: Sequence[float]) -> float:
    """Spearman's rank correlation of values with their places: 1 where they rise, -1 where they fall, 0 where all are alike."""
    if min(values) == max(values):
        return 0.0
    return round(float(spearmanr(range(len(values)), values).statistic), 12)  # 0.9 as 0.9: bounds are compared with it


def rises(values: Sequence[float]) -> bool:
    """Whether five values rise, but for one exchange of neighbours at most."""
    return order(values) >= 0.9


def five(numbers: Numbers, prefix: str = "") -> list[float]:
    """The numbers of the five layers, shallow to deep."""
    return [numbers[prefix + layer] for layer in LAYERS]


def targets(case: Case, label: str) -> Targets:
    """The targets that a run had, at full size, which know the style errors of x = p and the content loss of x = a."""
    used, names = case.settings(label), ("backbone", "content_layers", "style_layers", "style_size", "style_scale")
    own = {name: used[name] for name in names if used[name] is not None}
    return prepare(case.content, case.style, Options(size=case.plan.size, steps=1, scales="1", **own)).scales[-1]


def left(case: Case) -> Numbers:
    """Of the picture of the case's one run, content loss over its value at x = a and style loss over its value at x = p."""
    there, weights = targets(case, "run"), case.settings("run")["layer_weights"]
    errors = list(there.style_errors.values())
    style = sum(w * e for w, e in zip(weights or [1 / len(errors)] * len(errors), errors, strict=True))
    content = sum(there.content_errors.values())
    return {"content left": case.final("run", "content") / content, "style left": case.final("run", "style") / style}


def place(plan: Plan, name: str, what: Any) -> Path:
    """Where results are kept that no sweep makes: by the hash of `what` they depend on, the weights, and what computes."""
    key = store.fingerprint([[what, backbone(plan.backbone).sha256], store.program()])
    return plan.folder / f"{name}-{key[:16]}"


def kept(folder: Path, make: Callable[[], dict[str, Result]]) -> dict[str, Result]:
    """The results in a folder; where one of them is missing or damaged, `make` gives them all anew."""
    done = folder / "done.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        labels = json.loads(done.read_text(encoding="utf-8"))["labels"]
        return {label: Result.load(folder / f"{label}.png") for label in labels}
    made = make()
    for label, result in made.items():
        result.save(folder / f"{label}.png")
    store.write_json({"labels": list(made)}, done)
    return {label: Result.load(folder / f"{label}.png") for label in made}


def whole(result: Result) -> Result:
    """A result that was not stopped: others are not kept."""
    if not result.finished:
        raise KeyboardInterrupt("stopped: this run is kept only when it is done; the same call makes it anew")
    return result
