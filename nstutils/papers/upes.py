"""U: the UPES report, whose recipe differs from `stylise`'s options in everything: a loop after the code in its appendix."""

import copy
import time
from collections.abc import Iterator, Sequence

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from nstutils import images
from nstutils.backbones import IMAGENET_MEAN, IMAGENET_STD, FeatureExtractor
from nstutils.library.weights import backbone
from nstutils.losses import ContentLoss, StyleLoss, gram
from nstutils.papers.drawing import table
from nstutils.papers.recipes import UPES_CONTENT, UPES_WEIGHTS, content_factors, factors
from nstutils.papers.rows import FINE, ONCE, Case, Numbers, Row
from nstutils.results import Result
from nstutils.runs.devices import choose


def pictures(content: Tensor, style: Tensor, max_size: int = 400) -> tuple[Tensor, Tensor]:
    """U's pictures, bilinear and in 8 bits: `Resize(400)` sets the shorter side, and the style is stretched."""
    height, width = content.shape[-2:]
    short = min(max_size, max(height, width))
    size = (int(short * width / min(height, width)), int(short * height / min(height, width)))  # Pillow's order
    p, a = (images.load(images.to_pil(x).resize(size, Image.Resampling.BILINEAR)) for x in (content, style))
    return p, a


def rounding_down(net: FeatureExtractor) -> FeatureExtractor:
    """The same network with pools that round odd sizes down, as torchvision's."""
    modules = copy.deepcopy(net.net)
    for module in modules:
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            module.ceil_mode = False
    return FeatureExtractor(modules, name=net.name, sha256=net.sha256, mean=net.mean, std=net.std)


@torch.no_grad()
def targets(net: FeatureExtractor, content: Tensor, style: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The content's activations, and the raw Gram matrices F Fᵀ of the style."""
    grams = {layer: gram(f) * f[0, 0].numel() for layer, f in net(style, tuple(UPES_WEIGHTS)).items()}
    return net(content, (UPES_CONTENT,))[UPES_CONTENT], grams


def loss(net: FeatureExtractor, image: Tensor, content: Tensor, grams: dict[str, Tensor], beta: float = 1e6) -> Tensor:
    """U's total: content mean squared error + β Σ w · mean((G − A)²) / (d h w) with raw Gram matrices F Fᵀ."""
    found = net(image, (*UPES_WEIGHTS, UPES_CONTENT))
    value = (found[UPES_CONTENT] - content).square().mean()
    for layer, weight in UPES_WEIGHTS.items():
        raw = gram(found[layer]) * found[layer][0, 0].numel()
        value = value + beta * weight * (raw - grams[layer]).square().mean() / found[layer].numel()
    return value


def by_equations(net: FeatureExtractor, image: Tensor, content: Tensor, style: Tensor, beta: float = 1e6) -> float:
    """U's total made of eqs. 1 and 4 and the factors between the normalisations."""
    layers, found = tuple(UPES_WEIGHTS), net(image, (*UPES_WEIGHTS, UPES_CONTENT))
    errors = StyleLoss({layer: gram(f) for layer, f in net(style, layers).items()}).by_layer(found)
    size = {layer: (f.shape[1], f[0, 0].numel()) for layer, f in found.items()}
    by_layer = [w * factors(*size[k])["koc, upes"][1] * float(errors[k]) for k, w in UPES_WEIGHTS.items()]
    error = float(ContentLoss(net(content, (UPES_CONTENT,)))(image, found))
    return content_factors(*size[UPES_CONTENT])["koc, upes"][1] * error + beta * sum(by_layer)


def descend(
    net: FeatureExtractor, content: Tensor, style: Tensor, *, steps: int = 2000, every: int = 400
) -> Iterator[tuple[int, float, Tensor]]:
    """U's code to the letter: (step, total loss before it, picture after it) every so many steps. `net` should be VGG-19
    with pool='max'. Adam works on pixels normalised as for ImageNet; the picture that is shown alone is kept in [0, 1]."""
    net = rounding_down(net)
    mean, std = (content.new_tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    wanted, grams = targets(net, content, style)
    target = ((content - mean) / std).requires_grad_()
    optimiser = torch.optim.Adam([target], lr=0.003)
    for step in range(1, steps + 1):
        value = loss(net, target * std + mean, wanted, grams)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        if step % every == 0:
            yield step, value.item(), (target.detach() * std + mean).clamp(0, 1)


def _followed(case: Case, progress: bool) -> dict[str, Result]:
    """U's recipe, with its pictures and printed losses; the plan's size is the shorter side."""
    plan = case.plan
    net = rounding_down(backbone(plan.backbone, pool="max").to(choose()[0]))
    p, a = (x.to(net.weight.device) for x in pictures(images.load(case.content), images.load(case.style), plan.size))
    with torch.no_grad():
        exact = float(loss(net, (p + a) / 2, *targets(net, p, a)))
        off = abs(by_equations(net, (p + a) / 2, p, a) / exact - 1)
    found = {"content": Result(p.cpu(), {"off": off}, {}), "style": Result(a.cpu(), {}, {})}
    begin = time.perf_counter()
    for step, value, image in descend(net, p, a, steps=plan.steps, every=max(1, plan.steps // 5)):
        now = time.perf_counter()
        found[f"{step:05}"] = Result(image.cpu(), {"total": value, "seconds": now - begin}, {})
        begin = now
    return found


def _printed(case: Case) -> Numbers:
    """The printed losses, and how far the start's loss is from U's formula made of eqs. 1 and 4."""
    runs = {int(label): run.history for label, run in case.results.items() if label.isdigit()}
    off, fallen = case.results["content"].history["off"], runs[max(runs)]["total"] / runs[min(runs)]["total"]
    return {"off the formula": off, "last / first printed": fallen} | {f"loss printed at {k}": runs[k]["total"] for k in runs}


def _shown(cases: Sequence[Case]) -> Figure:
    """Content, stretched style, and the pictures that the code shows, each with its printed loss."""
    printed = [(f"step {int(k)}", k, "loss {run.history[total]:.4g}") for k in cases[0].results if k.isdigit()]
    return table(("content", "content", ""), ("style, stretched", "style", ""), *printed, width=12)(cases)


upes_recipe = Row(
    source="U appendix, fig. 6.1",
    claim="The recipe of U's code, followed exactly, lowers its printed loss.",
    measure="the loss is eqs. 1 and 4 times the factors between the normalisations (1e-4); the last printed is below the first",
    made=_followed,
    seeds=(0,),
    effort=((96, 200, FINE), (400, 2000, ONCE)),
    numbers=_printed,
    parts=lambda n: {"U's formula": n["off the formula"] < 1e-4, "the printed loss falls": n["last / first printed"] < 1},
    draw=_shown,
)
