"""C: Chadebec and Lahire, Image Style Transfer Using Convolutional Neural Networks."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F
from tqdm.auto import tqdm

from nstutils import images
from nstutils.backbones import geometry
from nstutils.course import measures, plots, ratings
from nstutils.course.moving import Moving, moving
from nstutils.library.weights import backbone, structure
from nstutils.motion import warp
from nstutils.papers.drawing import ENDED, METHODS, PHOTOGRAPH, STYLE, board, curves, history, named, said, table
from nstutils.papers.judging import five, kept, order, place, whole
from nstutils.papers.rows import FINE, LAYERS, LBFGS, ONCE, ONE, SLOW, Case, Numbers, Pairs, Row, Runs, ratio
from nstutils.results import Result
from nstutils.runs.clips import estimated, painted
from nstutils.runs.options import WAYS, Options
from nstutils.runs.resolve import prepare
from nstutils.runs.tasks import identity
from nstutils.runs.tiles import View

PHOTOGRAPHS: Pairs = (("town", "coast"), ("coast", "hills"), ("hills", "town"))
DENSE = {"fc1": (7 * 7 * 512, 4096), "fc2": (4096, 4096), "predictions": (4096, 1000)}


def _layers() -> list[tuple[str, str, str, int, int]]:
    """Each layer of VGG-19: name, output shape, P = K²·C·N + N as it is written and what it gives, the parameters there are."""
    found, channels = [], 3
    for row in geometry(structure("vgg19")):
        if not row.name.startswith("relu"):
            n, shape = row.channels, f"({row.size(224)}, {row.size(224)}, {row.channels})"
            formula, count = (f"3²·{channels}·{n} + {n}", 9 * channels * n + n) if row.parameters else ("", 0)
            found.append((row.name, shape, formula, count, row.parameters))
            channels = n
    for name, (m, n) in DENSE.items():
        found.append((name, f"({n})", f"{m}·{n} + {n}", m * n + n, m * n + n))
    return found


def _counts(case: Case) -> Numbers:
    """Parameters of VGG-19's layers against the formula, and all of them."""
    layers = _layers()
    dense, in_all = sum(row[-1] for row in layers if row[0] in DENSE), sum(row[-1] for row in layers)
    off = sum(abs(count - there) for *_, count, there in layers)
    return {"off the formula": off, "convolutions": in_all - dense, "dense": dense, "in all": in_all}


def _listed(cases: Sequence[Case]) -> Figure:
    """Layers, output shapes and parameters of VGG-19, with the formula of each count."""
    lines = [f"{'layer':12} {'output shape':18} {'parameters':>12}   P = K²·C·N + N"]
    lines += [f"{name:12} {shape:18} {there:12,}   {by}".rstrip() for name, shape, by, _, there in _layers()]
    lines.append(f"{'in all':31} {cases[0].numbers['in all']:12,.0f}")
    figure = Figure(figsize=(7, 0.166 * len(lines) + 0.2))
    figure.text(0.03, 0.98, "\n".join(lines), family="monospace", fontsize=9, va="top", linespacing=1.3)
    return figure


vgg_table = Row(
    source="C fig. 6",
    claim="Every parameter count of VGG-19 follows from P = K²·C·N + N, and all of them are 143,667,240.",
    measure="equality of the counts",
    pairs=(),
    backbone="vgg19",
    numbers=_counts,
    parts=lambda n: {"the formula": n["off the formula"] == 0, "in all": n["in all"] == 143_667_240},
    draw=_listed,
)


KERNEL = torch.tensor([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]], dtype=torch.float64)


def toy(side: int) -> Tensor:
    """A toy picture of small whole numbers, 1 x 1 x side x side."""
    return (torch.arange(side * side, dtype=torch.float64) * 7 % 10).view(1, 1, side, side)


def convolved(picture: Tensor, kernel: Tensor) -> Tensor:
    """A 3 x 3 kernel moved over a picture with a border of zeros, by hand."""
    height, width = picture.shape[-2:]
    result, padded = torch.zeros_like(picture), F.pad(picture, (1, 1, 1, 1))
    for i in range(height):
        for j in range(width):
            result[0, 0, i, j] = (padded[0, 0, i : i + 3, j : j + 3] * kernel[0, 0]).sum()
    return result


def _matrices(shown: Mapping[str, Tensor]) -> Figure:
    """Small matrices with their numbers and titles, three in a row."""
    return plots.signed([values[0, 0] for values in shown.values()], list(shown), columns=3, numbers=True)


convolution = Row(
    source="C fig. 8",
    claim="A 3 x 3 kernel moved over a picture with a border of zeros by hand gives what the library gives.",
    measure="largest difference is 0",
    pairs=(),
    numbers=lambda case: {
        "largest difference": (convolved(toy(5), KERNEL) - F.conv2d(toy(5), KERNEL, padding=1)).abs().max().item()
    },
    parts=lambda n: {"by hand = library": n["largest difference"] == 0},
    draw=lambda cases: _matrices(
        {"input, padded with zeros": F.pad(toy(5), (1, 1, 1, 1)), "kernel": KERNEL, "output": convolved(toy(5), KERNEL)}
    ),
)


POOLS: dict[str, Callable[[Tensor, int], Tensor]] = {"average": F.avg_pool2d, "max": F.max_pool2d}


def _pooled(name: str, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """What a 2 x 2 pooling makes of the inputs, and the gradient that its sum sends to them."""
    x = inputs.clone().requires_grad_()
    out = POOLS[name](x, 2)
    return out, torch.autograd.grad(out.sum(), x)[0]


def _reached(case: Case) -> Numbers:
    """Shares of inputs with a gradient, in a toy picture and at pool1 of the network."""
    inside = backbone(case.plan.backbone)(images.load("town", 64), ["relu1_2"])["relu1_2"]
    return {
        f"{name}, {where}": (_pooled(name, inputs)[1] != 0).double().mean().item()
        for name in POOLS
        for where, inputs in (("toy", toy(4)), ("network", inside))
    }


def _gradients_drawn(cases: Sequence[Case]) -> Figure:
    """Max and average pooling of a toy picture, and where their gradients go."""
    shown: dict[str, Tensor] = {}
    for name in ("max", "average"):
        share = f"{cases[0].plan.backbone}: {cases[0].numbers[f'{name}, network']:.0%} of inputs"
        out, gradient = _pooled(name, toy(4))
        shown |= {f"input of {name} pooling": toy(4), f"{name} pooling": out, f"gradient ({share})": gradient}
    return _matrices(shown)


pooling = Row(
    source="C fig. 9; G, B, U",
    claim="Average pooling passes a gradient to every input, max pooling to one in four.",
    measure="share of the inputs with a gradient: 1 and 1/4",
    pairs=(),
    numbers=_reached,
    parts=lambda n: {k: n[k] == (1 if k.startswith("average") else 0.25) for k in n},
    draw=_gradients_drawn,
)


@torch.no_grad()
def _maps(case: Case) -> list[dict[str, Tensor]]:
    """The activations of the photograph and of the artwork at the five layers."""
    net = backbone(case.plan.backbone)
    return [net(x, LAYERS) for x in (case.p, case.a)]


def _map_lengths(case: Case) -> Numbers:
    """Autocorrelation length of the maps in pixels of the picture, layer by layer."""
    strides = {row.name: row.stride for row in geometry(backbone(case.plan.backbone))}
    (p, a), length = _maps(case), measures.autocorrelation_length
    return {k: (length(p[k]) + length(a[k])) / 2 * strides[k] for k in LAYERS}


def _strongest(cases: Sequence[Case]) -> Figure:
    """The strongest filter of each layer for photograph and artwork, and the lengths by depth."""
    rows: list[list[Tensor | None]] = []
    for picture, found in zip((cases[0].p, cases[0].a), _maps(cases[0]), strict=True):
        strongest = [(f, int(f.std((0, 2, 3)).argmax())) for f in found.values()]
        rows.append([picture, *((f[:, [k]] / f[:, k].max()).sqrt().expand(-1, 3, -1, -1) for f, k in strongest)])
    figure = board(rows, ("picture", *LAYERS), (cases[0].content, cases[0].style), under=2.4)
    lines = {named(case): (range(5), five(case.numbers)) for case in cases}
    return curves(figure, lines, "", "length in pixels", LAYERS, marker="o")


feature_maps = Row(
    source="C figs. 11 and 12",
    claim="Low layers keep detail, high layers are coarser (our inference).",
    measure="autocorrelation length in pixels rises from each of the five layers to the next",
    seeds=(0,),
    numbers=_map_lengths,
    parts=lambda n: {"rises with depth": order(five(n)) >= 0.999},
    draw=_strongest,
)


ROW = {f"{value:g}": value for value in (1e-1, 1e-2, 1e-3, 1e-4)}

ratio_row = Row(
    source="C figs. 14 and 15",
    claim="α/β = 1e-1 and 1e-2 give a juxtaposition, and at 1e-4 the style overrides the content.",
    measure="as α/β falls the content loss rises at every step, the style loss and the correlation with the photograph fall",
    runs=lambda case: {label: ratio(value) for label, value in ROW.items()},
    seeds=(0, 1, 2),  # the correlations of 1e-1 and 1e-2 differ by less than a tenth
    # the order is that of minima, where L-BFGS comes sooner: after 100 steps of Adam the content loss is not there yet
    effort=((128, 45, SLOW), (512, 3000, ONCE)),
    numbers=lambda case: {
        "order of content": order([case.final(label, "content") for label in ROW]),
        "order of style": order([case.final(label, "style") for label in ROW]),
        "order of correlation": order([case.correlations[label] for label in ROW]),
    },
    parts=lambda n: {
        "content loss rises": n["order of content"] >= 0.999,
        "style loss falls": n["order of style"] <= -0.999,
        "correlation falls": n["order of correlation"] <= -0.999,
    },
    draw=table(
        *((f"α/β = {value:.0e}", k, f"correlation {{case.correlations[{k}]:.2f}}") for k, value in ROW.items()), name=named
    ),
)


CONTENT_LAYERS = ("relu2_2", "relu4_2")

content_layer = Row(
    source="C fig. 16",
    claim="Content from relu2_2 keeps finer detail than from relu4_2.",
    measure="lower pixel error and higher edge correlation with the photograph",
    runs=lambda case: {layer: ONE | {"content_layers": (layer,)} for layer in CONTENT_LAYERS},
    effort=((128, 100, FINE), (512, 3000, ONCE)),
    numbers=lambda case: (
        {f"error {k}": (case.image(k) - case.p).square().mean().item() for k in CONTENT_LAYERS}
        | {f"edges {k}": case.edges(k) for k in CONTENT_LAYERS}
    ),
    parts=lambda n: {
        "lower error": n["error relu2_2"] < n["error relu4_2"],
        "higher edge correlation": n["edges relu2_2"] > n["edges relu4_2"],
    },
    draw=table(PHOTOGRAPH, STYLE, *((k, k, f"error {{error {k}:.3f}}, edges {{edges {k}:.2f}}") for k in CONTENT_LAYERS)),
)


STYLE_LAYERS = ("relu2_1", "relu4_1")


def rough(image: Tensor) -> Tensor:
    """What is left of a picture without its local mean (5 x 5)."""
    return image - F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, 1)


def residual(image: Tensor, start: Tensor) -> float:
    """How much of the fine structure of the start picture is still there: their correlation without local means."""
    return measures.correlation(rough(image), rough(start))


style_layer = Row(
    source="C fig. 17",
    claim="Style from relu4_1 alone overrides the content more; from relu2_1 alone, the start is left in some areas.",
    measure="higher content loss with relu4_1; more of the noise left with relu2_1 (correlation without local means)",
    # content from relu4_2 at every size, as in C: relu2_2 and 3_3 see the pixels, and take the start away themselves
    runs=lambda case: {layer: ONE | {"style_layers": (layer,), "content_layers": ("relu4_2",)} for layer in STYLE_LAYERS},
    effort=((96, 150, LBFGS), (512, 3000, ONCE)),
    numbers=lambda case: (
        {f"content {k}": case.final(k, "content") for k in STYLE_LAYERS}
        | {f"noise {k}": residual(case.image(k), images.noise(case.shape, case.seed)) for k in STYLE_LAYERS}
    ),
    parts=lambda n: {
        "4_1 overrides more": n["content relu4_1"] > n["content relu2_1"],
        "2_1 leaves more of the start": n["noise relu2_1"] > n["noise relu4_1"],
    },
    draw=table(PHOTOGRAPH, STYLE, *((k, k, f"content {{content {k}:.3g}}, noise {{noise {k}:.2f}}") for k in STYLE_LAYERS)),
)


def stripes_left(image: Tensor) -> float:
    """Energy of vertical stripes 16 pixels apart, as `images.stripes`: of the mean of all rows, at that one frequency."""
    row = images.luminance(image)[0, 0].double().mean(0)
    row = (row - row.mean()) * torch.hann_window(len(row), dtype=row.dtype)
    angle = 2 * math.pi * torch.arange(len(row), dtype=row.dtype) / 16
    return ((row * angle.cos()).sum() ** 2 + (row * angle.sin()).sum() ** 2).item() / len(row) ** 2


def _from_starts(cases: Sequence[Case]) -> Figure:
    """Start pictures above, results below."""
    case, bars = cases[0], images.stripes(cases[0].shape)
    above = [images.noise(case.shape, case.seed), case.p, case.covering, bars, bars]
    stripes = (f"stripes, {case.settings(label)['steps']} steps" for label in ("stripes", "stripes, longer"))
    captions = [[], [said(ENDED, case, label) for label in case.results]]
    below, titles = [case.image(label) for label in case.results], ("noise", "content", "style", *stripes)
    return board([above, below], titles, ("start", "end"), captions, width=12)


initialisation = Row(
    source="C figs. 18 and 19; G; B",
    claim="Starts from noise and from the content end alike (C), stripes remain (C), and noise gives more style (B).",
    measure="both losses within 15 %; energy at the stripes' frequency at least 5 times the noise start's; lower style loss "
    "from noise; the stripes after 10/3 of the steps are reported",
    # what knows no chance is run once for all seeds; 10000 steps where the others take 3000
    runs=lambda case: (
        {"noise": ONE | {"init": "noise"}}
        | {name: ONE | {"init": name, "seed": 0} for name in ("content", "style", "stripes")}
        | {"stripes, longer": ONE | {"init": "stripes", "seed": 0, "steps": round(case.plan.steps * 10 / 3)}}
    ),
    effort=((72, 200, LBFGS), (512, 3000, ONCE)),
    numbers=lambda case: (
        {f"{k}, noise / content": case.final("noise", k) / case.final("content", k) for k in ("content", "style")}
        | {k: stripes_left(case.image(k)) / stripes_left(case.image("noise")) for k in ("stripes", "stripes, longer")}
    ),
    parts=lambda n: {
        "alike": all(abs(n[f"{k}, noise / content"] - 1) <= 0.15 for k in ("content", "style")),
        "stripes remain": n["stripes"] >= 5,
        "more style from noise": n["style, noise / content"] < 1,
    },
    draw=_from_starts,
)


SEEDS = {f"seed {seed}": seed for seed in (0, 1, 2, 3)}


def _spread(case: Case) -> Numbers:
    """The largest PSNR between two of the runs, and the spread of their losses."""
    pairs = itertools.combinations([case.image(label) for label in SEEDS], 2)
    found = {"PSNR": max(min(100.0, measures.psnr(one, other)) for one, other in pairs)}
    for name in ("content", "style"):
        values = [case.final(label, name) for label in SEEDS]
        found[f"spread of {name}"] = (max(values) - min(values)) * len(values) / sum(values)
    return found


seeds = Row(
    source="C fig. 20",
    claim="Four noise seeds give different pictures whose losses agree (our inference).",
    measure="PSNR between any two at most 20 dB; losses spread by at most 3 % of their mean",
    runs=lambda case: {label: ONE | {"seed": seed} for label, seed in SEEDS.items()},
    seeds=(0,),
    effort=((72, 300, LBFGS), (512, 3000, ONCE)),
    numbers=_spread,
    parts=lambda n: {
        "pictures differ": n["PSNR"] <= 20,
        "losses agree": max(n["spread of content"], n["spread of style"]) <= 0.03,
    },
    draw=table(*((label, label, ENDED) for label in SEEDS), name=named),
)


def _search(case: Case) -> Runs:
    """Noise and the starts of a search for one that fails; all but the adversarial one know no chance."""
    folder, drawn = _starts(case)
    inits = {label: str(folder / f"{label}.png") for label in drawn} | {"stripes": "stripes"}
    chance = {label: case.seed if label == "adversarial" else 0 for label in inits}
    return {"noise": ONE} | {label: ONE | {"init": inits[label], "seed": chance[label]} for label in inits}


def _starts(case: Case) -> tuple[Path, dict[str, Result]]:
    """The start pictures of the search, and the folder that they are written to."""
    folder = place(case.plan, "starts", [case.plan.size, identity(case.content), identity(case.style), case.seed])
    return folder, kept(folder, lambda: {label: Result(x, {}, {}) for label, x in _drawn(case).items()})


def _drawn(case: Case) -> dict[str, Tensor]:
    """The start pictures of the search."""
    height, width = case.shape
    chequered = (torch.arange(height)[:, None] // 8 + torch.arange(width) // 8) % 2
    return {
        "black": torch.zeros(1, 3, height, width),
        "white": torch.ones(1, 3, height, width),
        "chequered": chequered.float().expand(1, 3, -1, -1),
        "negative": 1 - case.p,
        "stripes": images.stripes(case.shape),
        "adversarial": _uphill(case),
    }


def _uphill(case: Case) -> Tensor:
    """White noise, moved so that the total rises: signs of the gradient, 20 steps."""
    options = Options(**case.plan.options | ONE | {"seed": case.seed, "steps": 1, "scales": "1"})
    problem = prepare(case.content, case.style, options)
    x, terms = problem.start(), problem.terms
    for _ in range(20):
        x = (x + 0.05 * View(problem.task.exact).gradient(x, terms, x.new_ones(1))[1].sign()).clamp(0, 1)
    return x.cpu()


def _searched(cases: Sequence[Case]) -> Figure:
    """The starts of the search above, where each of them ended below, with its total over the noise start's."""
    case, (_, drawn) = cases[0], _starts(cases[0])
    above = [images.noise(case.shape, case.seed), *(drawn[label].image for label in case.numbers)]
    captions = [[], ["total 1", *(f"total {value:.3g}" for value in case.numbers.values())]]
    return board([above, [case.image(k) for k in case.results]], list(case.results), ("start", "end"), captions, width=12)


failing_start = Row(
    source="C fig. 5",
    claim="There is a start picture from which the process fails.",
    measure="one of six starts (black, white, chequered, negative, stripes, noise driven uphill) ends with at least twice the "
    "total that noise ends with",
    runs=_search,
    effort=((72, 100, LBFGS), (512, 500, ONCE)),
    some=True,
    numbers=lambda case: {
        label: case.final(label, "total") / case.final("noise", "total") for label in case.results if label != "noise"
    },
    parts=lambda n: {"a start fails": max(n.values()) >= 2},
    draw=_searched,
)


def _totals(case: Case) -> Numbers:
    """Totals over L-BFGS's: at the end, and when the faster of the two is done."""
    found: Numbers = {}
    base = case.results["lbfgs"].history
    for label in ("adam", "sgd"):
        one = case.results[label].history
        at = min(one["seconds"], base["seconds"])
        found[f"{label}, at the end"] = one["final"]["total"] / base["final"]["total"]
        found[f"{label}, at equal time"] = _lowest(one, at) / _lowest(base, at)
    return found


def _lowest(told: Mapping[str, Any], seconds: float) -> float:
    """The lowest total that a run had reached after so many seconds."""
    steps = told["steps"]
    return min(row["total"] for row in steps if row["seconds"] <= seconds or row is steps[0])


def _raced(cases: Sequence[Case]) -> Figure:
    """Results of the three methods, and their totals over the seconds."""
    words = "total {run.history[final][total]:.4g}, {run.history[seconds]:.1f} s"
    figure = table(*((name, label, words) for label, name in METHODS.items()), under=2.8, most=1)(cases)
    lines = {name: history(cases[0], label, "total", "seconds") for label, name in METHODS.items()}
    return curves(figure, lines, "seconds", "total", log=True)


optimisers = Row(
    source="C §2.4",
    claim="An efficient first-order method ends where L-BFGS does.",
    measure="Adam's total at most 10 % above L-BFGS's at the end and at equal time",
    runs=lambda case: {method: ONE | {"method": method} for method in METHODS},
    timed=True,
    effort=((72, 150, ONCE), (512, 3000, ONCE)),
    numbers=_totals,
    parts=lambda n: {f"Adam {when}": n[f"adam, {when}"] <= 1.1 for when in ("at the end", "at equal time")},
    draw=_raced,
)


photoreal = Row(
    source="C fig. 21",
    claim="A photograph as style of a photograph is satisfactory, with areas left by the start.",
    measure="edge correlation with the photograph at least 0.5; correlation with the noise without local means at least 0.1",
    runs=lambda case: {"run": ONE},
    pairs=PHOTOGRAPHS,
    seeds=(0, 1, 2),  # edges within a tenth of the bound
    effort=((96, 150, LBFGS), (512, 3000, ONCE)),
    numbers=lambda case: {
        "edges": case.edges("run"),
        "noise": residual(case.image("run"), images.noise(case.shape, case.seed)),
    },
    parts=lambda n: {"satisfactory": n["edges"] >= 0.5, "the start is left": n["noise"] >= 0.1},
    draw=table(PHOTOGRAPH, STYLE, ("result", "run", "edges {edges:.2f}, noise {noise:.2f}")),
)


DARK = 0.3  # of the brightness is left in the dark photograph


def dark(case: Case) -> Tensor:
    """A dark version of the photograph, in 8 bits as any file."""
    return (case.p * DARK).mul(255).round().div(255)


TO_BOTH = "edges {edges:.2f}; colours {colours to the bright one:.2f} from style, {colours to the dark one:.2f} from content"

dark_restoration = Row(
    source="C fig. 22",
    claim="A dark photograph with a bright one as style keeps its shape, and the bright one's colours are over-represented.",
    measure="edge correlation with the photograph at least 0.5; colours closer to the bright photograph's than to the dark "
    "one's",
    runs=lambda case: {"run": ONE | {"content": dark(case)}},
    pairs=PHOTOGRAPHS,
    effort=((96, 150, LBFGS), (512, 5000, ONCE)),
    numbers=lambda case: {
        "edges": case.edges("run"),
        "colours to the bright one": measures.colour_distance(case.image("run"), case.a),
        "colours to the dark one": measures.colour_distance(case.image("run"), dark(case)),
    },
    parts=lambda n: {
        "shape kept": n["edges"] >= 0.5,
        "colours of the bright one": n["colours to the bright one"] < n["colours to the dark one"],
    },
    draw=table(("dark", dark, ""), STYLE, ("result", "run", TO_BOTH), width=11),
)


RATED = ("swirls", "mosaic", "glass", "impasto", "fields", "wave")  # the styles of one photograph, which people rate


def _votes(case: Case) -> ratings.Ratings:
    """The ratings in ratings.csv beside the figures, else those that ship with the course."""
    own = case.plan.folder.parent / "ratings.csv"
    return ratings.read(own if own.exists() else ratings.example())


def _opinions(case: Case) -> Numbers:
    """Means, standard deviations and agreement of the ratings, and whether they are invented."""
    given = _votes(case)
    votes = ratings.votes(given, RATED)
    found = {"people": len(votes), "agreement": ratings.agreement(votes), "made up": float(ratings.made_up(given))}
    found |= {f"mean, {name}": float(value) for name, value in zip(RATED, np.nanmean(votes, 0), strict=True)}
    return found | {f"spread, {name}": float(value) for name, value in zip(RATED, np.nanstd(votes, 0), strict=True)}


def _rated_drawn(cases: Sequence[Case]) -> Figure:
    """The pictures and what people gave them."""
    note = "MADE-UP RATINGS, an example" if cases[0].numbers["made up"] else "ratings.csv"
    return plots.votes(ratings.votes(_votes(cases[0]), RATED), {name: cases[0].image(name) for name in RATED}, note)


rating = Row(
    source="C fig. 4",
    claim="People who rate the same pictures differ.",
    measure="Kendall's W of the ratings in ratings.csv beside the figures below 0.7 (1 is full agreement); the made-up ratings "
    "that ship with the course are drawn, and never judged",
    pairs=(),
    runs=lambda case: {style: {"content": "chelsea", "style": style} for style in RATED},
    effort=((128, 100, {}), (512, 100, {})),
    numbers=_opinions,
    parts=lambda n: {"people differ": n["agreement"] < 0.7},
    draw=_rated_drawn,
)


ESTIMATED = "flow, estimated"
SCENES: Pairs = (("town", "swirls"), ("coast", "mosaic"), ("hills", "dots"))


def _clip(case: Case) -> Moving:
    """The clip of a case."""
    return moving(case.content, size=case.plan.size, count=4 if case.plan.preset == "smoke" else 12)


def _ways(case: Case, progress: bool) -> dict[str, Result]:
    """A clip of known motion made in every way, with the true flow and with an estimated one; its frames side by side."""
    clip, made = _clip(case), {}
    problem = prepare(clip.frames[0], case.style, Options(**case.plan.options | ONE | {"seed": case.seed}))
    for label in tqdm((*WAYS, ESTIMATED), disable=not progress, desc="ways", unit="way", delay=0.3):
        moves = estimated if label == ESTIMATED else clip.moves
        results = [whole(one) for one in painted(problem, clip.frames, label.partition(",")[0], moves=moves)]
        seconds = sum(one.history["seconds"] for one in results)
        style = sum(one.history["final"]["style"] for one in results) / len(results)
        made[label] = Result(torch.cat([one.image for one in results], -1), {"seconds": seconds, "style": style}, {})
    return made


def _stability(case: Case) -> Numbers:
    """Of each way the warping error over the clip's own, seconds and style loss; how alike the independent frames are."""
    clip, found = _clip(case), {}
    frames = _frames(case, clip)
    own = _along(clip, clip.frames, measures.warping_error)
    for label, result in case.results.items():
        found[label] = _along(clip, frames[label], measures.warping_error) / own
        found[f"seconds, {label}"] = result.history["seconds"] / len(clip.frames)
        found[f"style, {label}"] = result.history["style"] / case.results["independent"].history["style"]
    return found | {"alike along the motion": _along(clip, frames["independent"], _alike)}


def _frames(case: Case, clip: Moving) -> dict[str, Sequence[Tensor]]:
    """The frames of the clip and of every way, whose picture holds them side by side."""
    width = clip.frames[0].shape[-1]
    return {"the clip": clip.frames} | {label: run.image.split(width, -1) for label, run in case.results.items()}


def _along(clip: Moving, frames: Sequence[Tensor], measure: Callable[[Tensor, Tensor, Tensor, Tensor], float]) -> float:
    """The mean of a measure over each frame and the one before."""
    found = [measure(*four) for four in zip(frames, frames[1:], clip.flows, clip.seen, strict=False)]
    return sum(found) / len(found)


def _alike(before: Tensor, now: Tensor, way: Tensor, seen: Tensor) -> float:
    """The correlation of a frame and the one before brought along the motion, where that shows the same."""
    there = seen.expand_as(now) > 0
    return measures.correlation(warp(before, way)[there], now[there])


def _shown_frames(cases: Sequence[Case]) -> Figure:
    """The first, second, middle and last frame of the clip, and of every way."""
    case, parts = cases[0], _frames(cases[0], _clip(cases[0]))
    count = len(parts["the clip"])
    shown = (0, 1, count // 2, count - 1)
    captions = [["error 1"]]
    for label in case.results:
        told = [case.numbers[name] for name in (label, f"seconds, {label}", f"style, {label}")]
        captions.append([f"error {told[0]:.2f}", f"{told[1]:.1f} s a frame", f"style loss {told[2]:.2f}"])
    rows = [[part[k] for k in shown] for part in parts.values()]
    return board(rows, [f"frame {k + 1}" for k in shown], list(parts), captions, width=8)


video = Row(
    source="C §3.4",
    claim="Frame by frame from the frame itself a clip is quite stable, and a time term makes it better.",
    measure="correlation of a frame with the one before, brought along the true motion, at least 0.9; the warping error with "
    "Ruder's term at most three quarters of the independent frames', by the true flow and by an estimated one",
    made=_ways,
    pairs=SCENES,
    seeds=(0,),  # from the frame itself nothing is left to chance
    effort=((96, 30, LBFGS | {"init": "content"}), (512, 500, LBFGS | {"init": "content"})),
    numbers=_stability,
    parts=lambda n: {
        "quite stable": n["alike along the motion"] >= 0.9,
        "better with a time term": n["flow"] <= 0.75 * n["independent"],
        "also by an estimated flow": n[ESTIMATED] <= 0.75 * n["independent"],
    },
    draw=_shown_frames,
)
