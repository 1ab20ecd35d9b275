"""The documents' claims in numbers: one function for each row of the experiments, from a case to its numbers.

A case is one pair of pictures with one seed, and the results of its runs. The bounds that decide stand beside the claims, in
`experiments`.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import guidance, images
from nstutils.backbones import FeatureExtractor, converted, geometry
from nstutils.course import measures
from nstutils.library.weights import backbone, structure
from nstutils.losses import ContentLoss, StyleLoss, TVLoss, gram
from nstutils.results import Result
from nstutils.runs.options import Options
from nstutils.runs.resolve import Targets, prepare, style_long

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
RATIOS = (1e-5, 1e-4, 1e-3, 1e-2)  # the columns of G fig. 3
ROW = (1e-1, 1e-2, 1e-3, 1e-4)  # C figs. 14 and 15
SEEDS = (0, 1, 2, 3)  # C fig. 20
DENSE = {"fc1": (7 * 7 * 512, 4096), "fc2": (4096, 4096), "predictions": (4096, 1000)}
VGG19 = 143_667_240  # parameters, C fig. 6
DARK = 0.3  # of the brightness is left in the dark photograph, as C fig. 22
PERIOD = 16  # pixels from stripe to stripe, as images.stripes
OTHER = {"dots": "swirls", "swirls": "dots"}  # style II by style I: the artworks whose sky and ground have masks (A fig. 4)
PARTS = {"ground": "style I", "sky": "style II"}

Numbers = dict[str, float]
Parts = dict[str, bool]


@dataclass(frozen=True)
class Plan:
    """What a figure is made with."""

    preset: str
    backbone: str
    size: int
    steps: int
    folder: Path  # where runs are kept
    way: dict[str, Any] = field(default_factory=dict)  # options of the descent: method and scales


@dataclass(frozen=True)
class Case:
    """One pair of pictures with one seed, and the results of its runs by label."""

    plan: Plan
    content: str = ""
    style: str = ""
    seed: int = 0
    results: Mapping[str, Result] = field(default_factory=dict)

    def image(self, label: str) -> Tensor:
        """The picture of a run."""
        return self.results[label].image

    def final(self, label: str, name: str) -> float:
        """A raw loss of the picture of a run."""
        return float(self.results[label].history["final"][name])

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the photograph at the size of the runs."""
        return images.fitted(images.load(self.content), self.plan.size)

    @property
    def p(self) -> Tensor:
        """The photograph at the size of the runs."""
        return images.resize(images.load(self.content), self.shape)

    @property
    def a(self) -> Tensor:
        """The artwork, its long side at the size of the runs."""
        return images.load(self.style, self.plan.size)


def taken(artwork: Tensor, plan: Plan) -> Tensor:
    """An artwork at the size at which a run takes its style, where nothing else is asked for."""
    scale = plan.way.get("style_scale", Options().style_scale)
    return images.resize(artwork, style_long(Options(size=plan.size, style_scale=scale), artwork, plan.size))


def middle(numbers: Sequence[Numbers]) -> Numbers:
    """The medians of the numbers of several cases."""
    return {name: statistics.median(one[name] for one in numbers) for name in numbers[0]}


def verdict(
    pairs: Sequence[Sequence[Numbers]], parts: Callable[[Numbers], Parts], some: bool = False
) -> tuple[bool, dict[str, Any]]:
    """Whether a claim holds: all its parts for every pair of pictures (with `some`: for one), by the medians over the seeds."""
    told, count = [parts(middle(cases)) for cases in pairs], len(pairs)
    held = sum(all(one.values()) for one in told)
    by_part = {name: f"{sum(one[name] for one in told)} of {count}" for name in told[0]}
    medians = middle([one for cases in pairs for one in cases])
    return held == count or (some and held > 0), {"held": f"{held} of {count}", "parts": by_part, "median": medians}


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Spearman's rank correlation; equal values share their mean rank."""
    ranks = [[sum(o < v for o in vs) + (sum(o == v for o in vs) + 1) / 2 for v in vs] for vs in (xs, ys)]
    return measures.correlation(*(torch.tensor(rank) for rank in ranks))


def order(values: Sequence[float]) -> float:
    """1 where the values rise from each to the next, -1 where they fall: Spearman's correlation with their places."""
    return spearman(range(len(values)), values)


@lru_cache(maxsize=32)
def ends(
    name: str,
    content: str,
    style: str,
    size: int,
    content_layers: tuple[str, ...],
    style_layers: tuple[str, ...],
    style_size: int | None = None,
    style_scale: float | None = None,
) -> Targets:
    """The targets of a pair, which know the style errors of x = p and the content loss of x = a."""
    own: dict[str, Any] = {"content_layers": content_layers, "style_layers": style_layers, "style_size": style_size}
    own |= {"style_scale": style_scale} if style_scale else {}
    return prepare(content, style, Options(backbone=name, size=size, steps=1, scales="1", **own)).scales[-1]


def targets(case: Case, label: str) -> Targets:
    """The targets that a run had, at full size."""
    used = case.results[label].card["settings"]
    layers = (tuple(used[name]) for name in ("content_layers", "style_layers"))
    return ends(used["backbone"], case.content, case.style, case.plan.size, *layers, used["style_size"], used["style_scale"])


def left(case: Case, label: str) -> tuple[float, float]:
    """Content loss over its value at x = a, style loss over its value at x = p."""
    there, weights = targets(case, label), case.results[label].card["settings"]["layer_weights"]
    errors = list(there.style_errors.values())
    style = sum(w * e for w, e in zip(weights or [1 / len(errors)] * len(errors), errors, strict=True))
    return case.final(label, "content") / sum(there.content_errors.values()), case.final(label, "style") / style


def rough(image: Tensor) -> Tensor:
    """What is left of a picture without its local mean (5 x 5)."""
    return image - F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, 1)


def residual(image: Tensor, start: Tensor) -> float:
    """How much of the fine structure of the start picture is still there: their correlation without local means."""
    return measures.correlation(rough(image), rough(start))


def stripes_left(image: Tensor, period: int = PERIOD) -> float:
    """Energy of vertical stripes `period` pixels apart: of the mean of all rows, at that one frequency."""
    row = images.luminance(image)[0, 0].double().mean(0)
    row = (row - row.mean()) * torch.hann_window(len(row), dtype=row.dtype)
    angle = 2 * math.pi * torch.arange(len(row), dtype=row.dtype) / period
    return ((row * angle.cos()).sum() ** 2 + (row * angle.sin()).sum() ** 2).item() / len(row) ** 2


def variation(image: Tensor) -> float:
    """Total variation, as the loss measures it."""
    return float(TVLoss()(image, {}))


def vgg_table(case: Case) -> Numbers:
    """Parameters of VGG-19's layers against P = K²·C·N + N, and all of them (C fig. 6)."""
    off, channels, counted = 0, 3, 0
    for row in geometry(structure("vgg19")):
        if row.parameters:
            off += abs(row.parameters - (3 * 3 * channels * row.channels + row.channels))
            channels, counted = row.channels, counted + row.parameters
    dense = sum(inputs * outputs + outputs for inputs, outputs in DENSE.values())
    return {"off the formula": off, "convolutions": counted, "dense": dense, "in all": counted + dense}


def toy(side: int) -> Tensor:
    """A toy picture of small whole numbers, 1 x 1 x side x side."""
    return (torch.arange(side * side, dtype=torch.float64) * 7 % 10).view(1, 1, side, side)


KERNEL = torch.tensor([[[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]]], dtype=torch.float64)


def convolved(picture: Tensor, kernel: Tensor) -> Tensor:
    """A 3 x 3 kernel moved over a picture with a border of zeros, by hand (C fig. 8)."""
    height, width = picture.shape[-2:]
    result, padded = torch.zeros_like(picture), F.pad(picture, (1, 1, 1, 1))
    for i in range(height):
        for j in range(width):
            result[0, 0, i, j] = (padded[0, 0, i : i + 3, j : j + 3] * kernel[0, 0]).sum()
    return result


def convolution(case: Case) -> Numbers:
    """The largest difference of the convolution by hand and the library's (C fig. 8)."""
    by_hand, library = convolved(toy(5), KERNEL), F.conv2d(toy(5), KERNEL, padding=1)
    return {"largest difference": (by_hand - library).abs().max().item()}


def reached(pool: Callable[[Tensor, int], Tensor], inputs: Tensor) -> float:
    """The share of the inputs that a 2 x 2 pooling sends a gradient to."""
    x = inputs.clone().requires_grad_()
    pool(x, 2).sum().backward()
    return (torch.as_tensor(x.grad) != 0).double().mean().item()


def pooling(case: Case) -> Numbers:
    """Shares of inputs with a gradient, in a toy picture and at pool1 of the network (C fig. 9)."""
    inside = backbone(case.plan.backbone)(images.load("town", 64), ["relu1_2"])["relu1_2"]
    found: Numbers = {}
    for name, pool in (("average", F.avg_pool2d), ("max", F.max_pool2d)):
        found |= {f"{name}, toy": reached(pool, toy(4)), f"{name}, network": reached(pool, inside)}
    return found


def maps(case: Case) -> dict[str, tuple[Tensor, dict[str, Tensor]]]:
    """The photograph and the artwork, each with its activations at the five layers."""
    net = backbone(case.plan.backbone)
    with torch.no_grad():
        return {name: (x, net(x, LAYERS)) for name, x in ((case.content, case.p), (case.style, case.a))}


def feature_maps(case: Case) -> Numbers:
    """Autocorrelation length of the maps in pixels of the picture, layer by layer (C figs. 11 and 12)."""
    strides = {row.name: row.stride for row in geometry(backbone(case.plan.backbone))}
    parts = [found for _, found in maps(case).values()]
    return {
        layer: sum(measures.autocorrelation_length(found[layer]) for found in parts) / len(parts) * strides[layer]
        for layer in LAYERS
    }


def content_reconstruction(case: Case) -> Numbers:
    """PSNR of what was rebuilt from each layer (G fig. 1, above)."""
    return {layer: min(100.0, measures.psnr(case.image(layer), case.p)) for layer in LAYERS}


def style_reconstruction(case: Case) -> Numbers:
    """Autocorrelation length of the textures, and their correlation with the artwork's pixels (G fig. 1, below)."""
    artwork = case.a
    lengths = {f"length to {k}": measures.autocorrelation_length(case.image(k)) for k in LAYERS}
    return lengths | {f"correlation to {k}": measures.correlation(case.image(k), artwork) for k in LAYERS}


@lru_cache(maxsize=2)
def slopes(name: str) -> dict[str, dict[str, Tensor]]:
    """Eqs. 2 and 6 at a layer and at some pixels, by the closed form, by autograd and by differences, in float64."""
    net = converted(backbone(name), torch.float64).cpu()
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
            "differences": differences(net, loss, layer, x.detach(), spots),
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
def differences(net: FeatureExtractor, loss: Any, layer: str, x: Tensor, spots: Sequence[int], h: float = 1e-6) -> Tensor:
    """Central differences of a loss at some values of the picture."""
    found = []
    for spot in spots:
        nudge = torch.zeros_like(x).flatten().index_fill(0, torch.tensor(spot), h).view_as(x)
        up, down = (loss(y, net(y, [layer])).item() for y in (x + nudge, x - nudge))
        found.append((up - down) / (2 * h))
    return torch.tensor(found, dtype=x.dtype)


def gradients(case: Case) -> Numbers:
    """Relative errors of eqs. 2 and 6 against autograd and finite differences."""
    found: Numbers = {}
    for equation, values in slopes(case.plan.backbone).items():
        for one, other in (("autograd", "closed"), ("differences", "closed, pixels")):
            error = (values[one] - values[other]).norm() / values[one].norm()
            found[f"{equation} against {one}"] = error.item()
    return found


def gallery(case: Case) -> Numbers:
    """What is left of both losses, of their values at x = a and x = p (G fig. 2; A §IV)."""
    content, style = left(case, "run")
    return {"content left": content, "style left": style}


def cell(layer: str, ratio: float) -> str:
    """The label of a cell of G fig. 3."""
    return f"to {layer}, {ratio:g}"


def tradeoff_grid(case: Case) -> Numbers:
    """How both losses are ordered along the rows, and the structures down the columns (G fig. 3)."""
    rows = [[cell(layer, ratio) for ratio in RATIOS] for layer in LAYERS]
    found = {
        f"{name} along a row": sum(order([case.final(label, name) for label in row]) for row in rows) / len(rows)
        for name in ("content", "style")
    }
    lengths = [sum(measures.autocorrelation_length(case.image(label)) for label in row) / len(row) for row in rows]
    return found | {"structures down a column": order(lengths)}


def ratio_row(case: Case) -> Numbers:
    """How both losses and the content correlation are ordered as α/β falls (C fig. 15)."""
    p, labels = case.p, [f"{ratio:g}" for ratio in ROW]
    found = {f"order of {name}": order([case.final(label, name) for label in labels]) for name in ("content", "style")}
    return found | {"order of correlation": order([measures.correlation(case.image(label), p) for label in labels])}


def content_layer(case: Case) -> Numbers:
    """Pixel error and edge correlation with the photograph for both content layers (C fig. 16)."""
    found: Numbers = {}
    p = case.p
    for layer in ("relu2_2", "relu4_2"):
        error = (case.image(layer) - p).square().mean().item()
        found |= {f"error {layer}": error, f"edges {layer}": measures.edge_correlation(case.image(layer), p)}
    return found


def style_layer(case: Case) -> Numbers:
    """Content loss, and what is left of the noise, for both style layers (C fig. 17)."""
    found: Numbers = {}
    start = images.noise(case.shape, case.seed)
    for layer in ("relu2_1", "relu4_1"):
        found |= {f"content {layer}": case.final(layer, "content"), f"noise {layer}": residual(case.image(layer), start)}
    return found


def initialisation(case: Case) -> Numbers:
    """Losses from noise over those from the content; the stripes' energy over the noise start's (C figs. 18 and 19; B)."""
    found = {f"{k}, noise / content": case.final("noise", k) / case.final("content", k) for k in ("content", "style")}
    base = stripes_left(case.image("noise"))
    return found | {label: stripes_left(case.image(label)) / base for label in ("stripes", "stripes, longer")}


def seeds(case: Case) -> Numbers:
    """The largest PSNR between two of the runs, and the spread of their losses (C fig. 20)."""
    labels = [f"seed {seed}" for seed in SEEDS]
    pairs = [(one, other) for k, one in enumerate(labels) for other in labels[:k]]
    found = {"PSNR": max(min(100.0, measures.psnr(case.image(one), case.image(other))) for one, other in pairs)}
    for name in ("content", "style"):
        values = [case.final(label, name) for label in labels]
        found[f"spread of {name}"] = (max(values) - min(values)) * len(values) / sum(values)
    return found


def failing_start(case: Case) -> Numbers:
    """The total from every start of the search over the total from noise (C fig. 5)."""
    base = case.final("noise", "total")
    return {label: case.final(label, "total") / base for label in case.results if label != "noise"}


def tv(case: Case) -> Numbers:
    """Total variation and edge correlation with the photograph, with the tv term over without (B figs. 3 to 5)."""
    p, images_ = case.p, [case.image(label) for label in ("with", "without")]
    variations, edges = ([f(x) for x in images_] for f in (variation, lambda x: measures.edge_correlation(x, p)))
    return {"variation": variations[0] / variations[1], "edges": edges[0] / edges[1]}


def strokes(image: Tensor, p: Tensor) -> Tensor:
    """What is in a picture and not in its photograph: both without means over a quarter of the long side, and of the picture
    without what the photograph's three colours tell of it (least squares)."""
    half = max(p.shape[-2:]) // 8
    means = [F.avg_pool2d(F.pad(y, (half,) * 4, mode="replicate"), 2 * half + 1, 1) for y in (image, p)]
    x, known = ((y - mean)[0].flatten(1).double() for y, mean in zip((image, p), means, strict=True))
    told = torch.linalg.lstsq(known.T, x.T).solution
    return (x - told.T @ known).view(image.shape)


def style_scale(case: Case) -> Numbers:
    """Autocorrelation lengths of the textures, and of the strokes in the photograph, by the size of the style."""
    found: Numbers = {}
    for label in case.results:
        image = case.image(label)
        found[label] = measures.autocorrelation_length(image if label.startswith("texture") else strokes(image, case.p))
    return found


def layer_weights(case: Case) -> Numbers:
    """Autocorrelation length with heavier early layers over that with equal weights (A §IV; B)."""
    lengths = {label: measures.autocorrelation_length(case.image(label)) for label in ("equal", "early")}
    return lengths | {"early / equal": lengths["early"] / lengths["equal"]}


@torch.no_grad()
def layer_errors(case: Case, label: str) -> Numbers:
    """E_l of the picture of a run, by layer."""
    loss, net = targets(case, label).styles[0], backbone(case.plan.backbone)
    device = next(iter(loss.targets.values())).device
    x = case.image(label).to(device)
    return {layer: float(e) for layer, e in loss.by_layer(net.to(device)(x, loss.layers)).items()}


def weight_schedule(case: Case) -> Numbers:
    """E_l with changed weights over E_l with constant ones, layer by layer (B)."""
    changed, constant = layer_errors(case, "changed"), layer_errors(case, "constant")
    return {layer: changed[layer] / constant[layer] for layer in changed}


def evolution(case: Case) -> Numbers:
    """Content correlation of the pictures on the way (A figs. 2 and 3; U fig. 6.1)."""
    p = case.p
    found = {f"step {int(label)}": measures.correlation(case.image(label), p) for label in case.results}
    steps = [int(label) for label in case.results]
    at = min((step for step in steps if step >= min(100, steps[-1])), default=steps[-1])
    return found | {"at 100 / at the end": found[f"step {at}"] / found[f"step {steps[-1]}"]}


def upes_recipe(case: Case) -> Numbers:
    """The printed losses, and how far the start's loss is from U's formula made of eqs. 1 and 4 (U appendix)."""
    history = case.results["content"].history
    printed = {label: case.results[label].history["total"] for label in case.results if label.isdigit()}
    values = list(printed.values())
    return {"off the formula": history["off"], "last / first printed": values[-1] / values[0]} | {
        f"loss printed at {int(label)}": value for label, value in printed.items()
    }


def optimisers(case: Case) -> Numbers:
    """Totals over L-BFGS's: at the end, and when the faster of the two is done (C §2.4)."""
    found: Numbers = {}
    base = case.results["lbfgs"].history
    for label in ("adam", "sgd"):
        history = case.results[label].history
        at = min(history["seconds"], base["seconds"])
        found[f"{label}, at the end"] = history["final"]["total"] / base["final"]["total"]
        found[f"{label}, at equal time"] = lowest(history, at) / lowest(base, at)
    return found


def lowest(history: Mapping[str, Any], seconds: float) -> float:
    """The lowest total that a run had reached after so many seconds."""
    steps = history["steps"]
    return min(row["total"] for row in steps if row["seconds"] <= seconds or row is steps[0])


def regions(case: Case, style: str) -> tuple[str, str]:
    """Names of a region's masks: of the photograph's, and of the part of its style that it takes."""
    part = next(name for name, of in PARTS.items() if of == style)
    return f"mask_{case.content}_{part}", f"mask_{case.style if style == 'style I' else OTHER[case.style]}_{part}"


@torch.no_grad()
def grams_inside(net: FeatureExtractor, x: Tensor, mask: str) -> dict[str, Tensor]:
    """Guided Gram matrices of a region of a picture, layer by layer."""
    guides = guidance.propagate(guidance.load_mask(mask, x), net, LAYERS)
    return {layer: gram(features, guides[layer]) for layer, features in net(x, LAYERS).items()}


def guided_gram(case: Case) -> Numbers:
    """Relative Gram distances ‖G − A‖ / ‖A‖, means over the layers, from both regions of both results to both styles' parts."""
    net, artworks = backbone(case.plan.backbone), [taken(images.load(a), case.plan) for a in (case.style, OTHER[case.style])]
    masks = {part: regions(case, style) for part, style in PARTS.items()}
    wanted = {part: grams_inside(net, a, masks[part][1]) for part, a in zip(PARTS, artworks, strict=True)}
    found: Numbers = {}
    for label in ("uncontrolled", "controlled"):
        for region in PARTS:
            here = grams_inside(net, case.image(label), masks[region][0])
            for part, there in wanted.items():
                far = [float((here[layer] - A).norm() / A.norm()) for layer, A in there.items()]
                found[f"{label}, {region} to {part}"] = sum(far) / len(far)
    return found


def fast_transfer(case: Case) -> Numbers:
    """Seconds of the run over those of one pass, totals of the pass, and where the run passes it (A fig. 6)."""
    one, run = case.results["one pass"].history, case.results["the run"].history
    total = one["final"]["total"]
    return {
        "seconds, run / one pass": run["seconds"] / one["seconds"],
        "total, one pass / photograph": total / one["photograph"],
        "total, run / photograph": run["final"]["total"] / one["photograph"],
        "total, one pass / run": total / run["final"]["total"],
        "step that passes it": case.results["passing"].history["step"],
        "seconds until then / one pass": case.results["passing"].history["seconds"] / one["seconds"],
    }


def photoreal(case: Case) -> Numbers:
    """Edge correlation with the photograph, and what is left of the noise (C fig. 21)."""
    x = case.image("run")
    edges = measures.edge_correlation(x, case.p)
    return {"edges": edges, "noise": residual(x, images.noise(case.shape, case.seed))}


def dark_restoration(case: Case) -> Numbers:
    """Edge correlation with the dark photograph, and the distance of the colours to both pictures (C fig. 22)."""
    x, p = case.image("run"), case.p
    return {
        "edges": measures.edge_correlation(x, p),
        "colours to the bright one": measures.colour_distance(x, case.a),
        "colours to the dark one": measures.colour_distance(x, p * DARK),
    }
