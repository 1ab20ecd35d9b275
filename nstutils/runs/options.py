"""Every option of `stylise`, with its default and its help: the command line is made from it, so a default exists once."""

import difflib
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from inspect import Parameter, signature
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

from nstutils.library.errors import UserError
from nstutils.library.settings import BACKBONES, COPIES, PRESETS

if TYPE_CHECKING:
    from nstutils.guidance import Mask

GUIDE_MODES = ("simple", "inside", "field")
RATES = {"adam": 0.05, "lbfgs": 1.0, "sgd": 0.02}  # the default learning rate of each optimiser
TOLD_RATES = ", ".join(f"{name} {rate:g}" for name, rate in RATES.items())
STYLE_LOSSES = ("gram", "moments", "sliced", "emd")
INITS = ("noise", "faint", "content", "style", "stripes")
WAYS = ("independent", "warm", "warped", "flow", "difference")  # how a frame of a clip begins from the last, `runs.clips`
LARGEST = 16384  # pixels on the long side: one layer of VGG would take 64 GB
PAPERS: dict[str, Any] = {  # where the papers' runs differ from the defaults; Adam, coarse to fine, stands for their L-BFGS
    "method": "adam", "init": "noise", "tv": 0.0, "content_layers": ("relu4_2",), "style_scale": 1.0,
}  # fmt: skip


def whole_number(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """`value` as a whole number between these bounds; refuses others."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise UserError(f"{name} is {value!r}, but must be a whole number; give it without quotes and point")
    if value < least:
        instead = "a positive whole number" if least == 1 else "a larger one"
        raise UserError(f"{name} is {value}, but must be at least {least}; give {instead}")
    if value > most:
        raise UserError(f"{name} is {value}, but must be at most {most}; give a smaller one")
    return operator.index(value)


def _number(name: str, value: Any, positive: bool = False, most: float = math.inf) -> None:
    """Refuse what is no number, or below zero (or zero, where it must be positive), or too large."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UserError(f"{name} is {value!r}, but must be a number; give it without quotes")
    if not math.isfinite(value) or value < 0 or (positive and not value):
        wanted = "must be a positive number" if positive else "a weight is a number from 0 up"
        raise UserError(f"{name} is {value}, but {wanted}; {'leave it out' if positive else 'give 0 to leave this part out'}")
    if float(value) > most:
        raise UserError(f"{name} is {value}, but must be at most {most:g}; give a lower one")


def refuse_unknown(what: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse keywords that do not exist, and name those that are near."""
    for name in (one for one in given if one not in known):
        near = difflib.get_close_matches(name, known, 3)
        instead = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(sorted(known))}"
        raise UserError(f"{what} has no option {name!r}; {instead}")


METAVARS = {"int": "N", "float": "X", "names": "L,...", "numbers": "W,...", "schedule": "W,...", "repeated": "MASK"}


def option(default: Any, text: str, kind: str = "", **facts: Any) -> Any:
    """A field of options: its default, its help, and what the command line must know of it; `kind` says what its values are,
    where the default does not: int, float, names, numbers, schedule, or repeated."""
    kind = kind or type(default).__name__
    return field(default=default, metadata={"help": text, "kind": kind, "metavar": METAVARS.get(kind)} | facts)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Every option of `stylise`."""

    preset: str | None = option(None, "size and steps together (default: quick)", choices=tuple(PRESETS))
    size: int | None = option(None, "long side in pixels (default: the preset's)", "int", most=LARGEST)
    style_size: int | None = option(
        None,
        "long side of the styles in pixels: a larger one gives larger strokes, no file is enlarged to it (default: by "
        "style-scale)",
        "int",
        most=LARGEST,
    )
    style_scale: float = option(
        2.0, "without style-size, the long side of the styles over the picture's (above 1: at most the file's)", positive=True
    )
    steps: int | None = option(None, "steps over all scales (default: the preset's)", "int")
    scales: str = option("auto", "auto (halve down to 256, from noise to 64), 1 (full size only) or long sides, as 64,128,256")
    backbone: str | None = option(None, "the network that looks (default: classroom)", choices=BACKBONES)
    weights: str | None = option(None, "weights file to take instead of the shipped or downloaded one", metavar="FILE")
    pool: str = option("avg", "pooling inside the network", choices=("avg", "max"))
    device: str = option("auto", "where to compute; auto takes cuda, else cpu", choices=("auto", "cpu", "cuda", "mps"))
    dtype: str = option("auto", "number type inside the network", choices=("auto", "float32", "bfloat16"))
    method: str = option("lbfgs", "optimiser", choices=tuple(RATES))
    lr: float | None = option(None, f"learning rate (default: {TOLD_RATES})", "float", positive=True)
    init: str = option("content", f"start picture: {', '.join(INITS)} or a file", metavar="START")
    seed: int = option(0, "seed of the noise", least=0, most=2**63 - 1)
    alpha: float = option(1.0, "weight of the content, on the papers' scale", metavar="A")
    beta: float = option(1e4, "weight of the style, on the papers' scale", metavar="B")
    tv: float = option(0.03, "weight of the total variation (raw, document A's sum)", metavar="T")
    raw_loss: bool = option(False, "minimise the raw losses (kappa = 1)")
    content_layers: Sequence[str] | None = option(None, "content layers, with commas (default: relu2_2,relu3_3)", "names")
    style_layers: Sequence[str] | None = option(None, "style layers, with commas (default: relu1_1 to relu5_1)", "names")
    layer_weights: Any = option(
        None, "equal, or a weight for each style layer; more after 'STEP:', as 1,1;251:.2,1 (default: equal)", "schedule"
    )
    style_loss: str = option(
        "gram",
        "what is compared of the activations of two styles: their Gram matrices, the moments (mean and standard deviation) of "
        "each filter, their clouds of points sliced along directions (Wasserstein), or point by point (emd: relaxed earth "
        "mover's distance)",
        choices=STYLE_LOSSES,
    )
    style_weights: Sequence[float] | None = option(None, "a weight for each style (default: equal)", "numbers")
    content_guide: "Sequence[Mask] | None" = option(None, "mask of the region for a style (repeat, one a style)", "repeated")
    style_guide: "Sequence[Mask] | None" = option(None, "mask of the part of a style to take (repeat)", "repeated")
    guide_mode: str = option(
        "simple",
        "how a mask reaches a layer: simple (averaged over a position's own pixels), inside (the same, eroded by a position) "
        "or field (averaged over all that a position sees)",
        choices=GUIDE_MODES,
    )
    tile: int | None = option(None, "compute in tiles of N pixels (default: as memory asks)", "int", least=64, most=LARGEST)
    draft: bool = option(
        False,
        "let the network's narrow copy take most of the steps, coarse to fine, and the network itself the last 15 in 100, at "
        f"full size ({', '.join(f'{copy} for {name}' for name, copy in COPIES.items())})",
    )
    keep_colour: str | None = option(None, "keep the photograph's colours", choices=("luminance", "match"))

    def __post_init__(self) -> None:
        """Refuse what no run could use."""
        check(self)
        if self.draft and self.steps == 1:
            raise UserError("steps is 1, but a draft needs at least 2, one for each network; give more, or leave draft out")
        if not (self.alpha or self.beta or self.tv):
            raise UserError("alpha, beta and tv are all zero, so there is nothing to minimise; make one of them positive")


def checked(options: Mapping[str, Any]) -> Options:
    """The options, or an error that names the one that does not exist."""
    refuse_unknown("stylise", options, [item.name for item in fields(Options)])
    return Options(**options)


def check(options: Any) -> None:
    """Refuse values that are not of their option's kind, within its bounds, or one of its choices."""
    for item in fields(options):
        name, value, facts = item.name, getattr(options, item.name), item.metadata
        kind, most = facts["kind"], facts.get("most", math.inf)
        if value is None:
            continue
        if kind == "int":
            whole_number(name, value, facts.get("least", 1), most)
        elif kind == "float":
            _number(name, value, facts.get("positive", False), most)
        elif kind == "repeated" and not isinstance(value, list | tuple):
            raise UserError(f"{name} is not a list, but wants one mask for each style; put it in [ ]")
        elif kind == "names" and isinstance(value, str):
            raise UserError(f"{name} is {value!r}, but wants a list of layers; give [{value!r}]")
        elif "choices" in facts and value not in facts["choices"]:
            raise UserError(f"{name} {value!r} is not known; choose from {', '.join(facts['choices'])}")


Function = TypeVar("Function", bound=Callable[..., Any])


def takes_options(function: Function) -> Function:
    """A decorator of a function whose `**options` are those of `stylise`: a notebook's help and completion name them."""
    own = signature(function)
    kept = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
    asked = [Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type) for f in fields(Options)]
    function.__signature__ = own.replace(parameters=[*kept, *asked])  # type: ignore[attr-defined]
    return function


def scale_sizes(scales: str, size: int | None) -> list[int]:
    """The rising long sides that `scales` names, none for 'auto' and '1'; refuses a list that does not rise to `size`."""
    if scales in ("auto", "1"):
        return []
    try:
        sizes = [int(part) for part in str(scales).split(",")]
    except ValueError:
        sizes = []
    if not sizes or sizes[0] < 1 or any(a >= b for a, b in pairwise(sizes)):
        raise UserError(f"scales {scales!r} is not understood; give auto, 1, or rising long sides, as 64,128,256")
    if sizes[-1] > LARGEST:
        raise UserError(f"the last of the scales is {sizes[-1]}, but must be at most {LARGEST}; give smaller long sides")
    if size is not None and sizes[-1] != size:
        raise UserError(f"the last of the scales is {sizes[-1]}, but size is {size}; make them equal")
    return sizes


def weights_for(name: str, values: Sequence[float] | None, usual: float, count: int, what: str) -> tuple[float, ...]:
    """`values` (`usual` each if None) as one weight for each of `count` things; refuses negative ones and all zero."""
    values = [usual] * count if values is None else values
    for value in values:
        _number(name, value)
    if len(values) != count:
        raise UserError(f"{name} gives {len(values)} weights for {count} {what}; give one for each")
    if not any(values):
        raise UserError(f"{name} are all zero, so no style is left; make one of them positive, or set beta to 0")
    return tuple(float(value) for value in values)


def layer_schedule(weights: Any, count: int) -> dict[int, tuple[float, ...]]:
    """The weights of `count` style layers by the step they begin at, from a list, a dict {step: list}, or nothing (equal)."""
    table = {int(step): w for step, w in weights.items()} if isinstance(weights, Mapping) else {1: weights}
    if min(table, default=0) != 1:
        raise UserError(f"layer_weights begin at step {min(table, default=0)}, but step 1 needs weights too; give them first")
    return {step: weights_for("layer_weights", table[step], 1 / count, count, "style layers") for step in sorted(table)}
