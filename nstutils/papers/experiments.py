"""Every experiment of the documents that the lessons walk through: its runs, its claim and the bounds that decide.

`figure(id)` makes the runs (or finds them where they were kept), measures, judges and draws. A claim holds when all its parts
do for every pair of pictures, by the medians over the seeds: three pairs and two seeds, if the row does not say otherwise. The
bounds were fixed before anything was run.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from nstutils.library import files
from nstutils.library.errors import UserError
from nstutils.library.settings import PRESETS, settings
from nstutils.papers import claims, figures, trials
from nstutils.papers.claims import LAYERS, ROW, SEEDS, Case, Numbers, Parts, Plan
from nstutils.papers.trials import (
    ARTWORKS,
    EARLY,
    FINE,
    LBFGS,
    ONCE,
    ONE,
    PAIRS,
    PHOTOGRAPHS,
    SLOW,
    Pairs,
    Runs,
    by,
    fixed,
    ratio,
)
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.sweeps import sweep


@dataclass(frozen=True)
class Row:
    """One experiment: what a document claims, the runs of a case, the numbers and the bounds."""

    id: str
    source: str
    claim: str
    measure: str
    numbers: Callable[[Case], Numbers]
    parts: Callable[[Numbers], Parts]
    runs: Callable[[Plan, str, str, int], Runs] | None = None
    made: Callable[[Plan, str, str, int, bool], dict[str, Result]] | None = None  # instead of a sweep
    quick: tuple[int, int] = (128, 150)  # long side and steps
    paper: tuple[int, int] = (512, 500)
    way: tuple[dict[str, Any], dict[str, Any]] = (FINE, ONCE)  # at quick, at paper
    pairs: Pairs = PAIRS
    seeds: tuple[int, ...] = (0, 1)
    few: int = 1  # pairs at the smoke preset
    some: bool = False  # whether one pair is enough: something exists
    only: str = ""  # the one backbone whose pictures are judged


@dataclass(frozen=True)
class Record:
    """What `figure` found: the fields of its JSON, and the drawing."""

    id: str
    claim: str
    measure: str
    holds: bool | None  # None where the runs are too small or too few to judge
    numbers: dict[str, Any]
    preset: str
    backbone: str
    seconds: float
    path: Path  # of the picture; the JSON lies beside it
    drawing: Figure = field(repr=False)


def rises(values: Sequence[float]) -> bool:
    """Whether five values rise, but for one exchange of neighbours at most."""
    return claims.order(values) >= 0.9


def five(numbers: Numbers, prefix: str = "") -> list[float]:
    """The numbers of the five layers, shallow to deep."""
    return [numbers[prefix + layer] for layer in LAYERS]


def grows(numbers: Numbers, kind: str, least: float) -> bool:
    """Whether the lengths rise with the size of the style, from the first to the last at least so many times."""
    lengths = [numbers[f"{kind}, {label}"] for label in trials.STYLE_SIZES]
    return claims.order(lengths) >= 0.999 and lengths[-1] >= least * lengths[0]


ROWS: tuple[Row, ...] = (
    Row(
        "vgg-table", "C fig. 6",
        "Every parameter count of VGG-19 follows from P = K²·C·N + N, and all of them are 143,667,240.",
        "equality of the counts",
        claims.vgg_table,
        lambda n: {"the formula": n["off the formula"] == 0, "in all": n["in all"] == claims.VGG19},
        pairs=(),
    ),
    Row(
        "convolution", "C fig. 8",
        "A 3 x 3 kernel moved over a picture with a border of zeros by hand gives what the library gives.",
        "largest difference is 0",
        claims.convolution,
        lambda n: {"by hand = library": n["largest difference"] == 0},
        pairs=(),
    ),
    Row(
        "pooling", "C fig. 9; G, B, U",
        "Average pooling passes a gradient to every input, max pooling to one in four.",
        "share of the inputs with a gradient: 1 and 1/4",
        claims.pooling,
        lambda n: {k: n[k] == (1 if k.startswith("average") else 0.25) for k in n},
        pairs=(),
    ),
    Row(
        "feature-maps", "C figs. 11 and 12",
        "Low layers keep detail, high layers are coarser (our inference).",
        "autocorrelation length in pixels rises from each of the five layers to the next",
        claims.feature_maps,
        lambda n: {"rises with depth": claims.order(five(n)) >= 0.999},
        seeds=(0,),
    ),
    Row(
        "content-reconstruction", "G fig. 1 a to e, content",
        "A photograph comes back nearly perfectly from relu1_1, 2_1 and 3_1; pixel detail is lost at 4_1 and 5_1.",
        "with total variation as the prior: PSNR at least 30 dB for a to c, at least 6 dB lower than these at e, and falling "
        "(Spearman with depth -0.9 or less)",
        claims.content_reconstruction,
        lambda n: {
            "a to c at least 30 dB": min(five(n)[:3]) >= 30,
            "e at least 6 dB lower": min(five(n)[:3]) - n[LAYERS[4]] >= 6,
            "falling": rises([-value for value in five(n)]),
        },
        # without a prior 2_1 ends at 16 dB after 1000 steps, with it above 30: what average pooling hides, noise keeps
        runs=by("content_layers", LAYERS, beta=0.0, raw_loss=True, tv=1.0, dtype="float32"),
        quick=(96, 600), way=(SLOW, SLOW),
    ),
    Row(
        "style-reconstruction", "G fig. 1 a to e, style",
        "Structures grow with the depth of the layers, and the arrangement is lost.",
        "autocorrelation length rises from a to e (Spearman 0.9 or more); correlation with the artwork within 0.2 of 0",
        claims.style_reconstruction,
        lambda n: {
            "structures grow": rises(five(n, "length to ")),
            "the arrangement is lost": max(map(abs, five(n, "correlation to "))) <= 0.2,
        },
        runs=trials.textures, quick=(192, 100), way=(SLOW, SLOW),
    ),
    Row(
        "gradients", "G eqs. 2 and 6",
        "The closed forms of the gradients are right.",
        "relative error below 1e-8 against autograd, below 1e-4 against differences, in float64",
        claims.gradients,
        lambda n: {k: value < (1e-8 if k.endswith("autograd") else 1e-4) for k, value in n.items()},
        pairs=(),
    ),
    Row(
        "gallery", "G fig. 2 B to F; B figs. 7 to 10",
        "One photograph takes five styles: both losses fall.",
        "each to at most 30 % of its value at x = a, x = p",
        claims.gallery,
        lambda n: {k: value <= 0.3 for k, value in n.items()},
        runs=trials.pictures, quick=(256, 150), paper=(768, 500), way=({}, {}), pairs=ARTWORKS, few=5,
    ),
    Row(
        "tradeoff-grid", "G fig. 3",
        "As α/β grows the content loss falls and the style loss rises; with more layers the structures grow.",
        "Spearman with α/β -0.95 or less and 0.95 or more, mean of the rows; autocorrelation length, mean of each row's "
        "pictures, rises with depth (0.9 or more)",
        claims.tradeoff_grid,
        lambda n: {
            "content falls": n["content along a row"] <= -0.95,
            "style rises": n["style along a row"] >= 0.95,
            "structures grow": n["structures down a column"] >= 0.9,
        },
        runs=trials.cells, quick=(128, 100), way=(FINE, LBFGS),
    ),
    Row(
        "ratio-row", "C figs. 14 and 15",
        "α/β = 1e-1 and 1e-2 give a juxtaposition, and at 1e-4 the style overrides the content.",
        "as α/β falls the content loss rises at every step, the style loss and the correlation with the photograph fall",
        claims.ratio_row,
        lambda n: {
            "content loss rises": n["order of content"] >= 0.999,
            "style loss falls": n["order of style"] <= -0.999,
            "correlation falls": n["order of correlation"] <= -0.999,
        },
        runs=fixed(**{f"{value:g}": ratio(value) for value in ROW}), quick=(128, 100), paper=(512, 3000),
        way=(SLOW, ONCE),  # the order is that of minima: after 100 steps of Adam the content loss is not there yet
    ),
    Row(
        "content-layer", "C fig. 16",
        "Content from relu2_2 keeps finer detail than from relu4_2.",
        "lower pixel error and higher edge correlation with the photograph",
        claims.content_layer,
        lambda n: {
            "lower error": n["error relu2_2"] < n["error relu4_2"],
            "higher edge correlation": n["edges relu2_2"] > n["edges relu4_2"],
        },
        runs=by("content_layers", ("relu2_2", "relu4_2"), **ratio(1e-3)), quick=(128, 100), paper=(512, 3000),
    ),
    Row(
        "style-layer", "C fig. 17",
        "Style from relu4_1 alone overrides the content more; from relu2_1 alone, the start is left in some areas.",
        "higher content loss with relu4_1; more of the noise left with relu2_1 (correlation without local means)",
        claims.style_layer,
        lambda n: {
            "4_1 overrides more": n["content relu4_1"] > n["content relu2_1"],
            "2_1 leaves more of the start": n["noise relu2_1"] > n["noise relu4_1"],
        },
        runs=by("style_layers", ("relu2_1", "relu4_1"), **ONE), quick=(96, 150), paper=(512, 3000), way=(LBFGS, ONCE),
    ),
    Row(
        "initialisation", "C figs. 18 and 19; G; B",
        "Starts from noise and from the content end alike (C), stripes remain (C), and noise gives more style (B).",
        "both losses within 15 %; energy at the stripes' frequency at least 5 times the noise start's; lower style loss from "
        "noise; the stripes after 10/3 of the steps are reported",
        claims.initialisation,
        lambda n: {
            "alike": all(abs(n[f"{k}, noise / content"] - 1) <= 0.15 for k in ("content", "style")),
            "stripes remain": n["stripes"] >= 5,
            "more style from noise": n["style, noise / content"] < 1,
        },
        runs=trials.starts, quick=(96, 300), paper=(512, 3000), way=(LBFGS, ONCE),
    ),
    Row(
        "seeds", "C fig. 20",
        "Four noise seeds give different pictures whose losses agree (our inference).",
        "PSNR between any two at most 20 dB; losses spread by at most 3 % of their mean",
        claims.seeds,
        lambda n: {
            "pictures differ": n["PSNR"] <= 20,
            "losses agree": max(n["spread of content"], n["spread of style"]) <= 0.03,
        },
        runs=fixed(**{f"seed {seed}": ONE | {"seed": seed} for seed in SEEDS}), seeds=(0,),
        quick=(96, 300), paper=(512, 3000), way=(LBFGS, ONCE),
    ),
    Row(
        "failing-start", "C fig. 5",
        "There is a start picture from which the process fails.",
        "one of six starts (black, white, chequered, negative, stripes, noise driven uphill) ends with at least twice the "
        "total that noise ends with",
        claims.failing_start,
        lambda n: {"a start fails": max(n.values()) >= 2},
        runs=trials.search, quick=(96, 150), way=(LBFGS, ONCE), some=True,
    ),
    Row(
        "tv", "B figs. 3 to 5; A",
        "With the total variation term noise falls and edges stay.",
        "total variation lower by 30 % or more; edge correlation with the photograph at least 0.8 of that without",
        claims.tv,
        lambda n: {"noise falls": n["variation"] <= 0.7, "edges stay": n["edges"] >= 0.8},
        runs=fixed(without=ONE, **{"with": ONE | {"tv": 0.1}}), paper=(768, 400),
    ),
    Row(
        "layer-weights", "A §IV; B",
        "Heavier style weights on early layers give finer texture (A; B says larger artefacts).",
        "autocorrelation length below that with equal weights: A is right; above: B is",
        claims.layer_weights,
        lambda n: {"finer, as A says": n["early / equal"] < 1},
        runs=fixed(equal=ONE, early=ONE | {"layer_weights": EARLY}), paper=(768, 400),
    ),
    Row(
        "style-scale", "Gatys et al. 2017, scale",
        "The style's scale sets the size of the strokes: the same photograph with the style at a larger scale takes larger "
        "strokes.",
        "autocorrelation length rises from the style at half the picture's size to the same to twice it (at most its file's), "
        "at least by a quarter in all for the texture alone, and by a tenth for what is in the picture and not in the "
        "photograph",
        claims.style_scale,
        lambda n: {f"{kind} grows": grows(n, kind, least) for kind, least in (("texture", 1.25), ("transfer", 1.1))},
        runs=trials.scaled, quick=(256, 60), way=({"method": "lbfgs"}, LBFGS),
    ),
    Row(
        "weight-schedule", "B",
        "Changing the weights of the style layers after step 250 of 400 has an effect.",
        "layers whose weight is raised end with lower E_l than with constant weights, the layer whose weight falls most higher",
        claims.weight_schedule,
        lambda n: {"raised 5_1 is lower": n["relu5_1"] < 1, "lowered 1_1 is higher": n["relu1_1"] > 1},
        runs=trials.schedules, paper=(768, 400),
    ),
    Row(
        "evolution", "A figs. 2 and 3; U fig. 6.1",
        "From noise, the content is visible after about 100 iterations.",
        "correlation with the photograph after 100 steps at least half of its final value",
        claims.evolution,
        lambda n: {"half is there": n["at 100 / at the end"] >= 0.5},
        made=trials.on_the_way, quick=(96, 200), paper=(512, 400), way=(LBFGS, ONCE),
    ),
    Row(
        "squeezenet", "A §IV",
        "SqueezeNet 1.1 with heavier early layers gives texture and content after 100 iterations.",
        "each loss at most 30 % of its value at x = a, x = p; judged with SqueezeNet's own weights alone",
        claims.gallery,
        lambda n: {k: value <= 0.3 for k, value in n.items()},
        runs=trials.hundred, quick=(128, 100), paper=(512, 100), only="squeezenet",
    ),
    Row(
        "upes-recipe", "U appendix, fig. 6.1",
        "The recipe of U's code, followed exactly, lowers its printed loss.",
        "the loss is eqs. 1 and 4 times the factors between the normalisations (1e-4); the last printed is below the first",
        claims.upes_recipe,
        lambda n: {"U's formula": n["off the formula"] < 1e-4, "the printed loss falls": n["last / first printed"] < 1},
        made=trials.upes_run, quick=(96, 200), paper=(400, 2000), seeds=(0,),
    ),
    Row(
        "optimisers", "C §2.4",
        "An efficient first-order method ends where L-BFGS does.",
        "Adam's total at most 10 % above L-BFGS's at the end and at equal time",
        claims.optimisers,
        lambda n: {f"Adam {when}": n[f"adam, {when}"] <= 1.1 for when in ("at the end", "at equal time")},
        runs=fixed(**{method: ONE | {"method": method} for method in ("lbfgs", "adam", "sgd")}),
        quick=(96, 150), paper=(512, 3000), way=(ONCE, ONCE),
    ),
    Row(
        "guided-gram", "A figs. 4 and 5",
        "Without guidance the ground's texture of style I is in the sky; with it each region takes its own style.",
        "Gram distance by region (‖G − A‖ / ‖A‖, mean of the layers): with guidance ground and sky are each nearer to their "
        "own style than without; without it the sky is nearer to the ground of style I than to its own style, with it farther",
        claims.guided_gram,
        lambda n: {
            "ground nearer to its style": n["controlled, ground to ground"] < n["uncontrolled, ground to ground"],
            "sky nearer to its style": n["controlled, sky to sky"] < n["uncontrolled, sky to sky"],
            "uncontrolled: ground in the sky": n["uncontrolled, sky to ground"] < n["uncontrolled, sky to sky"],
            "controlled: no ground in the sky": n["controlled, sky to ground"] > n["controlled, sky to sky"],
        },
        runs=trials.controlled, pairs=trials.LANDSCAPES, quick=(160, 120), paper=(512, 500), way=(FINE, LBFGS),
    ),
    Row(
        "fast-transfer", "A fig. 6 (Johnson 2016)",
        "One forward pass of a trained network produces the desired picture without iterations.",
        "on photographs that the network was not trained on: a run takes at least 100 times the seconds of one pass at the "
        "same size; the total of the pass is at most twice the run's; the step at which the run passes it is reported",
        claims.fast_transfer,
        lambda n: {
            "at least 100 times as fast": n["seconds, run / one pass"] >= 100,
            "at most twice the run's total": n["total, one pass / run"] <= 2,
        },
        made=trials.one_pass, pairs=trials.PAINTED, quick=(256, 200), paper=(512, 500), way=(FINE, FINE), only="classroom",
    ),
    Row(
        "photoreal", "C fig. 21",
        "A photograph as style of a photograph is satisfactory, with areas left by the start.",
        "edge correlation with the photograph at least 0.5; correlation with the noise without local means at least 0.1",
        claims.photoreal,
        lambda n: {"satisfactory": n["edges"] >= 0.5, "the start is left": n["noise"] >= 0.1},
        runs=fixed(run=ONE), pairs=PHOTOGRAPHS, quick=(96, 150), paper=(512, 3000), way=(LBFGS, ONCE),
    ),
    Row(
        "dark-restoration", "C fig. 22",
        "A dark photograph with a bright one as style keeps its shape, and the bright one's colours are over-represented.",
        "edge correlation with the photograph at least 0.5; colours closer to the bright photograph's than to the dark one's",
        claims.dark_restoration,
        lambda n: {
            "shape kept": n["edges"] >= 0.5,
            "colours of the bright one": n["colours to the bright one"] < n["colours to the dark one"],
        },
        runs=trials.dark, pairs=PHOTOGRAPHS, quick=(96, 150), paper=(512, 5000), way=(LBFGS, ONCE),
    ),
)  # fmt: skip


def find(id: str) -> Row:
    """The row of an id; an unknown one is told with the known ones."""
    for row in ROWS:
        if row.id == id:
            return row
    raise UserError(f"there is no figure {id!r}; choose from {', '.join(row.id for row in ROWS)}")


def figure(
    id: str,
    preset: str | None = None,
    backbone: str | None = None,
    out: str | os.PathLike[str] = "build/figures",
    executor: Executor | None = None,
    progress: bool = True,
) -> Record:
    """Make one experiment: its runs (kept in OUT/runs), its numbers, whether its claim holds, and its figure.

    Writes OUT/ID.png and OUT/ID.json. An `executor` gets the runs, as in `sweep`.
    """
    row, chosen, begin = find(id), settings(preset, backbone), time.perf_counter()
    folder = Path(os.path.expanduser(out)).absolute()
    path = files.writable(folder / f"{id}.png", (".png",))
    plan = _plan(row, chosen.preset, chosen.backbone, folder / "runs")
    cases = _cases(row, plan, executor, progress)
    used = _backbone(row, plan, cases)
    holds, found = _judged(row, cases)
    if row.pairs and (plan.preset == "smoke" or (row.only and used != row.only)):
        holds = None
    drawing = figures.signed(figures.DRAW[id](cases), row.source, cases)
    figures.write(drawing, path)
    seconds = max(time.perf_counter() - begin, _spent(cases))
    record = Record(id, row.claim, row.measure, holds, found, plan.preset, used, seconds, path, drawing)
    told = {name: value for name, value in vars(record).items() if name not in ("path", "drawing")}
    store.write_json(told, path.with_suffix(".json"))
    return record


def _plan(row: Row, preset: str, backbone: str, folder: Path) -> Plan:
    """The size, steps and method of a row at a preset. A position of relu4_2 is 8 pixels wide, and what it sees 92: at the
    papers' size 1/64 and 1/6 of the picture, at 128 px most of it, where no house can show. So the papers' content layer is
    kept at their size; smaller pictures take the default's, whose positions are a like share of them."""
    way = {k: v for k, v in row.way[preset == "paper"].items() if preset == "paper" or k != "content_layers"}
    sizes = {"quick": row.quick, "paper": row.paper, "smoke": (PRESETS["smoke"].size, PRESETS["smoke"].steps)}
    return Plan(preset, backbone, *sizes[preset], folder, way)


def _judged(row: Row, cases: Sequence[Case]) -> tuple[bool | None, dict[str, Any]]:
    """Whether the claim holds for these cases, and the numbers of the JSON."""
    pairs: dict[tuple[str, str], list[Numbers]] = {}
    told = []
    for case in cases:
        one = row.numbers(case)
        pairs.setdefault((case.content, case.style), []).append(one)
        told.append(({"content": case.content, "style": case.style, "seed": case.seed} if case.content else {}) | one)
    holds, found = claims.verdict(list(pairs.values()), row.parts, row.some)
    made = {"size": cases[0].plan.size, "steps": cases[0].plan.steps} if cases[0].results else {}
    return holds, made | found | {"cases": told}


def _cases(row: Row, plan: Plan, executor: Executor | None, progress: bool) -> list[Case]:
    """The cases of a row with their results."""
    smoke = plan.preset == "smoke"
    pairs, seeds = (row.pairs[: row.few], row.seeds[:1]) if smoke else (row.pairs, row.seeds)
    cases = [Case(plan, content, style, seed) for content, style in pairs for seed in seeds] or [Case(plan)]
    if row.made:
        return [Case(plan, c.content, c.style, c.seed, row.made(plan, c.content, c.style, c.seed, progress)) for c in cases]
    if not row.runs:
        return cases
    asked = [
        (case, label, {"content": case.content, "style": case.style, "seed": case.seed} | own)
        for case in cases
        for label, own in row.runs(plan, case.content, case.style, case.seed).items()
    ]
    common = {"backbone": plan.backbone, "size": plan.size, "steps": plan.steps} | plan.way
    how: dict[str, Any] = {"folder": plan.folder, "executor": executor, "batch": 4 if executor else None}
    if row.id == "optimisers":  # their seconds are compared: one by one, here, and apart from what was made in batches
        how = {"folder": plan.folder / "timed", "batch": 1}
    runs = [common | own for _, _, own in asked]
    done = sweep(cases[0].content, cases[0].style, runs, progress=progress, **how)
    found: dict[int, dict[str, Result]] = {}
    for (case, label, _), result in zip(asked, done, strict=True):
        found.setdefault(id(case), {})[label] = result
    return [Case(plan, case.content, case.style, case.seed, found[id(case)]) for case in cases]


def _backbone(row: Row, plan: Plan, cases: Sequence[Case]) -> str:
    """The network that made the pictures."""
    cards = [result.card for result in cases[0].results.values()]
    return str(cards[0].get("backbone", plan.backbone)) if cards else "vgg19" if row.id == "vgg-table" else plan.backbone


def _spent(cases: Sequence[Case]) -> float:
    """The seconds of all runs, also of those made in an earlier call."""
    runs = {id(result): result for case in cases for result in case.results.values()}
    return sum(float(result.history.get("seconds", 0.0)) for result in runs.values())
