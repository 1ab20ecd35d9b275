"""G: Gatys, Ecker and Bethge, A Neural Algorithm of Artistic Style (2015); and the style's scale, of Gatys et al. 2017."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from nstutils import images
from nstutils.backbones import FeatureExtractor, converted
from nstutils.course import measures
from nstutils.course.plots import COLOURS
from nstutils.library.weights import backbone
from nstutils.losses import ContentLoss, StyleLoss, gram
from nstutils.papers.drawing import ENDED, LEFT, PHOTOGRAPH, STYLE, board, per_pair, said, table
from nstutils.papers.judging import five, left, order, rises
from nstutils.papers.rows import FAINT, LAYERS, LBFGS, ONE, SLOW, Case, Numbers, Row, Runs, ratio

content_reconstruction = Row(
    source="G fig. 1 a to e, content",
    claim="A photograph comes back nearly perfectly from relu1_1, 2_1 and 3_1; pixel detail is lost at 4_1 and 5_1.",
    measure="with total variation as the prior: PSNR at least 30 dB for a to c, at least 6 dB lower than these at e, and "
    "falling (Spearman with depth -0.9 or less)",
    # without a prior 2_1 ends at 16 dB after 1000 steps, with it above 30: what average pooling hides, noise keeps
    runs=lambda case: {
        k: {"content_layers": (k,), "beta": 0.0, "raw_loss": True, "tv": 1.0, "dtype": "float32"} for k in LAYERS
    },
    effort=((72, 400, SLOW), (512, 500, SLOW)),
    numbers=lambda case: {k: min(100.0, measures.psnr(case.image(k), case.p)) for k in LAYERS},
    parts=lambda n: {
        "a to c at least 30 dB": min(five(n)[:3]) >= 30,
        "e at least 6 dB lower": min(five(n)[:3]) - n[LAYERS[4]] >= 6,
        "falling": rises([-value for value in five(n)]),
    },
    draw=table(PHOTOGRAPH, *((k, k, f"{{{k}:.1f}} dB") for k in LAYERS), name=lambda case: case.content, width=11),
)


style_reconstruction = Row(
    source="G fig. 1 a to e, style",
    claim="Structures grow with the depth of the layers, and the arrangement is lost.",
    measure="autocorrelation length rises from a to e (Spearman 0.9 or more); correlation with the artwork within 0.2 of 0",
    # the style alone, from growing sets of layers, in the artwork's own frame
    runs=lambda case: {
        layer: {"content": case.style, "alpha": 0.0, "beta": 1.0, "style_layers": LAYERS[: k + 1]}
        for k, layer in enumerate(LAYERS)
    },
    # after 100 steps five layers are farther from their minimum than two, and coarse to fine brings large structures to all
    effort=((96, 250, FAINT), (512, 500, FAINT)),
    numbers=lambda case: (
        {f"length to {k}": case.length(k) for k in LAYERS}
        | {f"correlation to {k}": measures.correlation(case.image(k), case.a) for k in LAYERS}
    ),
    parts=lambda n: {
        "structures grow": rises(five(n, "length to ")),
        "the arrangement is lost": max(map(abs, five(n, "correlation to "))) <= 0.2,
    },
    draw=table(
        ("artwork", lambda case: case.a, ""),
        *((f"to {k}", k, f"length {{length to {k}:.1f}} px") for k in LAYERS),
        name=lambda case: case.style,
        width=11,
    ),
)


def slopes(net: FeatureExtractor) -> dict[str, dict[str, Tensor]]:
    """Eqs. 2 and 6 at a layer and at some pixels, by the closed form, by autograd and by differences, in float64."""
    net = converted(net, torch.float64).cpu()
    p, x = images.load("town", 32).double(), images.noise((24, 32), 1).double().requires_grad_()
    P, A = net(p, ["relu4_2"]), {"relu4_1": gram(net(p.flip(3).roll(5, 2), ["relu4_1"])["relu4_1"])}
    found: dict[str, dict[str, Tensor]] = {}
    for equation, layer, loss in (("eq. 2", "relu4_2", ContentLoss(P)), ("eq. 6", "relu4_1", StyleLoss(A))):
        before = net(x, [layer.replace("relu", "conv")])[layer.replace("relu", "conv")]
        value = loss(x, {layer: before.relu()}).sum()
        at_layer = closed(equation, before.relu(), loss.targets[layer]).detach()
        at_pixels = torch.autograd.grad(before, x, at_layer, retain_graph=True)[0]
        spots = list(range(0, x.numel(), 97))
        found[equation] = {
            "closed": at_layer,
            "autograd": torch.autograd.grad(value, before)[0],
            "closed, pixels": at_pixels.flatten()[spots],
            "differences": _differences(net, loss, layer, x.detach(), spots),
        }
    return found


def closed(equation: str, features: Tensor, target: Tensor) -> Tensor:
    """The derivative by the values before the ReLU: eq. 2, or eq. 6 for pictures of any size."""
    if equation == "eq. 2":
        slope = features - target
    else:
        count, positions = features.shape[1], features[0, 0].numel()
        slope = ((gram(features) - target) @ features.flatten(2) / (count**2 * positions)).view_as(features)
    return torch.where(features > 0, slope, torch.zeros_like(features))


@torch.no_grad()
def _differences(net: FeatureExtractor, loss: Any, layer: str, x: Tensor, spots: Sequence[int]) -> Tensor:
    """Central differences of a loss at some values of the picture."""
    h = 1e-6
    nudges = h * torch.eye(x.numel(), dtype=x.dtype)[spots].view(-1, *x.shape[1:])
    up, down = (loss(y, net(y, [layer])) for y in (x + nudges, x - nudges))
    return (up - down) / (2 * h)


COMPARED = (("autograd", "closed"), ("differences", "closed, pixels"))


def _scattered(cases: Sequence[Case]) -> Figure:
    """Eqs. 2 and 6 against autograd (at the layer) and finite differences (at the pixels)."""
    figure, name = Figure(figsize=(9, 5.4), layout="constrained"), cases[0].plan.backbone
    for row, (equation, values) in zip(figure.subplots(2, 2), slopes(backbone(name)).items(), strict=True):
        for axes, (other, one) in zip(row, COMPARED, strict=True):
            xs, ys = (values[key].flatten()[:4000].numpy() for key in (one, other))
            axes.plot([xs.min(), xs.max()], [xs.min(), xs.max()], color="0.7", linewidth=0.8)
            axes.plot(xs, ys, ".", color=COLOURS[0], markersize=3)
            axes.set(xlabel=f"{equation}, {one}", ylabel=other)
            error = cases[0].numbers[f"{equation} against {other}"]
            axes.set_title(f"{name}: relative error {error:.1e}", fontsize=9)
    return figure


gradients = Row(
    source="G eqs. 2 and 6",
    claim="The closed forms of the gradients are right.",
    measure="relative error below 1e-8 against autograd, below 1e-4 against differences, in float64",
    pairs=(),
    numbers=lambda case: {
        f"{equation} against {one}": ((values[one] - values[other]).norm() / values[one].norm()).item()
        for equation, values in slopes(backbone(case.plan.backbone)).items()
        for one, other in COMPARED
    },
    parts=lambda n: {k: value < (1e-8 if k.endswith("autograd") else 1e-4) for k, value in n.items()},
    draw=_scattered,
)


def _hung(cases: Sequence[Case]) -> Figure:
    """One photograph, and below each artwork what became of it."""
    shown = per_pair(cases)
    used = shown[0].settings("run")
    words = f"α/β = {used['alpha'] / used['beta']:.0e}\n{LEFT}"
    above, below = [shown[0].p, *(case.covering for case in shown)], [None, *(case.image("run") for case in shown)]
    captions = [[], ["", *(said(words, case) for case in shown)]]
    return board([above, below], [shown[0].content, *(case.style for case in shown)], captions=captions, width=12)


gallery = Row(
    source="G fig. 2 B to F; B figs. 7 to 10",
    claim="One photograph takes five styles: both losses fall.",
    measure="each to at most 30 % of its value at x = a, x = p",
    # w_l = 1/5 as in G, a little total variation as in B. G prints 10⁻⁴ for E and F, in the raw units of VGG-19: with κ that
    # asks for the style alone (56 and 31 % of the content loss were left), so all five have 10⁻³, as B to D
    runs=lambda case: {"run": ratio(1e-3) | {"tv": 0.01}},
    seeds=(0,),  # it starts from the photograph: no chance
    pairs=tuple(("town", style) for style in ("swirls", "arcs", "glass", "wave", "guitar")),
    few=5,
    effort=((256, 100, {}), (768, 500, {})),
    numbers=left,
    parts=lambda n: {k: value <= 0.3 for k, value in n.items()},
    draw=_hung,
)


RATIOS = (1e-5, 1e-4, 1e-3, 1e-2)  # the columns of G fig. 3
GRID = [[f"to {layer}, {value:g}" for value in RATIOS] for layer in LAYERS]  # the runs, row by row


def _ordered(case: Case) -> Numbers:
    """How both losses are ordered along the rows, and the structures down the columns."""
    found = {
        f"{name} along a row": sum(order([case.final(label, name) for label in row]) for row in GRID) / len(GRID)
        for name in ("content", "style")
    }
    lengths = [sum(map(case.length, row)) / len(row) for row in GRID]
    return found | {"structures down a column": order(lengths)}


def _grid(cases: Sequence[Case]) -> Figure:
    """Rows: sets of style layers; columns: α/β."""
    case = cases[0]
    rows = [[case.image(label) for label in row] for row in GRID]
    captions = [[said(ENDED, case, label) for label in row] for row in GRID]
    names = [f"{letter}  to {layer.removeprefix('relu')}" for letter, layer in zip("ABCDE", LAYERS, strict=True)]
    return board(rows, [f"α/β = {value:.0e}" for value in RATIOS], names, captions, width=8)


tradeoff_grid = Row(
    source="G fig. 3",
    claim="As α/β grows the content loss falls and the style loss rises; with more layers the structures grow.",
    measure="Spearman with α/β -0.95 or less and 0.95 or more, mean of the rows; autocorrelation length, mean of each row's "
    "pictures, rises with depth (0.9 or more)",
    runs=lambda case: {
        label: ratio(value) | {"style_layers": LAYERS[: k + 1]}
        for k, row in enumerate(GRID)
        for label, value in zip(row, RATIOS, strict=True)
    },
    effort=((128, 45, SLOW), (512, 500, LBFGS)),
    numbers=_ordered,
    parts=lambda n: {
        "content falls": n["content along a row"] <= -0.95,
        "style rises": n["style along a row"] >= 0.95,
        "structures grow": n["structures down a column"] >= 0.9,
    },
    draw=_grid,
)


SIZES = {"half": 0.5, "equal": 1.0, "larger": 2.0}  # long sides of the style over the picture's
SCALED = [f"{kind}, {label}" for kind in ("texture", "transfer") for label in SIZES]


def _scaled(case: Case) -> Runs:
    """The style at several sizes (none above its file's): its texture alone, and with the photograph."""
    runs: Runs = {}
    most = max(images.load(case.style).shape[-2:])
    for label, factor in SIZES.items():
        own = ONE | {"tv": 0.01, "style_size": min(round(factor * case.plan.size), most)}
        # the texture knows nothing of the photograph, so it does not begin as one; the transfer does, and knows no chance
        runs |= {f"texture, {label}": own | {"alpha": 0.0, "init": "faint"}, f"transfer, {label}": own | {"seed": 0}}
    return runs


def strokes(image: Tensor, p: Tensor) -> Tensor:
    """What is in a picture and not in its photograph: both without means over a quarter of the long side, and of the picture
    without what the photograph's three colours tell of it (least squares)."""
    half = max(p.shape[-2:]) // 8
    means = [F.avg_pool2d(F.pad(y, (half,) * 4, mode="replicate"), 2 * half + 1, 1) for y in (image, p)]
    x, known = ((y - mean)[0].flatten(1).double() for y, mean in zip((image, p), means, strict=True))
    told = torch.linalg.lstsq(known.T, x.T).solution
    return (x - told.T @ known).view(image.shape)


def _grows(n: Numbers, kind: str, least: float) -> bool:
    """Whether the lengths rise with the size of the style, from the first to the last at least so many times."""
    lengths = [n[f"{kind}, {label}"] for label in SIZES]
    return order(lengths) >= 0.999 and lengths[-1] >= least * lengths[0]


style_scale = Row(
    source="Gatys et al. 2017, scale",
    claim="The style's scale sets the size of the strokes: the same photograph with the style at a larger scale takes larger "
    "strokes.",
    measure="autocorrelation length rises from the style at half the picture's size to the same to twice it (at most its "
    "file's), at least by a quarter in all for the texture alone, and by a tenth for what is in the picture and not in the "
    "photograph",
    runs=_scaled,
    effort=((192, 100, {}), (512, 500, {})),
    numbers=lambda case: {
        k: measures.autocorrelation_length(case.image(k) if k.startswith("texture") else strokes(case.image(k), case.p))
        for k in SCALED
    },
    parts=lambda n: {"texture grows": _grows(n, "texture", 1.25), "transfer grows": _grows(n, "transfer", 1.1)},
    draw=table(
        STYLE, *((f"{k}: {{run.card[settings][style_size]}} px", k, f"length {{{k}:.2f}} px") for k in SCALED), width=13
    ),
)
