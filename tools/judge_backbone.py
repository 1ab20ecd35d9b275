"""Judge backbones by the same measures, side by side: `python tools/judge_backbone.py NETWORK ... [--teacher NETWORK]`.

NETWORK is a name or a weights file of `classroom`'s kind. For each: how far the filters that a copy keeps are off (photographs
held out, and pictures half-way through a transfer), four photographs x six styles from the photograph and from noise, judged by
the teacher's own sum against the teacher's own picture and by SqueezeNet, which made neither, the content ladder, textures,
grain, seconds and memory of a step. Prints a table in Markdown; writes sheets to look at and all numbers as JSON.
"""

import argparse
import itertools
import json
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor

from nstutils import images, optimise, stylise
from nstutils.backbones import STYLE_LAYERS, FeatureExtractor
from nstutils.course import measures
from nstutils.descent import descend
from nstutils.library import pictures, weights
from nstutils.losses import ContentLoss, StyleLoss, evaluate, gram, total
from nstutils.runs.options import Options
from nstutils.runs.resolve import Problem, prepare

LADDER = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
COMPARED = (*LADDER[:4], "relu4_2", "relu5_1")

Numbers = dict[str, float]
Made = dict[tuple[str, str], Tensor]  # pictures by photograph and style


@dataclass(frozen=True)
class Plan:
    """How much is judged: pictures, layers that photographs are rebuilt from, sizes in pixels, steps."""

    photographs: tuple[str, ...] = ("town", "chelsea", "astronaut", "coffee")
    styles: tuple[str, ...] = ("swirls", "mosaic", "impasto", "wave", "glass", "fields")
    textures: tuple[str, ...] = ("swirls", "mosaic", "impasto", "wave")
    ladder: tuple[str, ...] = LADDER
    size: int = 256
    steps: int = 200
    held_out: int = 224
    rebuilt: tuple[int, int] = (96, 300)  # size and steps, as the next
    texture: tuple[int, int] = (192, 200)
    timed: tuple[int, ...] = (256, 512)


TINY = Plan(("chelsea",), ("swirls", "wave"), ("swirls",), LADDER[:1], 64, 2, 48, (48, 2), (64, 2), (64,))  # does it run


def chosen(network: str) -> dict[str, str]:
    """A network by name or by its file, as options."""
    return {"backbone": "classroom", "weights": network} if Path(network).suffix else {"backbone": network}


def opened(network: str) -> FeatureExtractor:
    """A network by name or by its file."""
    options = chosen(network)
    return weights.backbone(options["backbone"], weights=options.get("weights"))


@lru_cache(maxsize=64)
def problem(network: str, photograph: str, style: str, size: int) -> Problem:
    """What a network minimises for a pair, at full size alone."""
    return prepare(photograph, style, Options(**chosen(network), size=size, scales="1", dtype="float32"))  # type: ignore[arg-type]


@torch.no_grad()
def summed(network: str, photograph: str, style: str, image: Tensor) -> float:
    """The sum that a network minimises, of any picture."""
    aim = problem(network, photograph, style, max(image.shape[-2:]))
    return total(evaluate(aim.task.exact, image, aim.terms), aim.terms).item()


@torch.no_grad()
def errors(network: str, teacher: FeatureExtractor, pictures: dict[str, list[Tensor]]) -> Numbers:
    """By layer: the share of the kept filters' variance that is wrong; nothing for a network that is no copy."""
    path = Path(network) if Path(network).suffix else weights.here(network)
    header = weights.read(path).header if path else {}
    if "kept" not in header:
        return {}
    kept, copy, found = json.loads(header["kept"]), opened(network), {}
    for kind, shown in pictures.items():
        for layer in COMPARED:
            wrong = whole = 0.0
            for picture in shown:
                wanted = teacher(picture, [layer])[layer][:, kept[f"conv{layer[4:]}"]]
                own = copy(picture, [layer])[layer]
                wanted = wanted * ((own * wanted).sum() / wanted.square().sum())  # one number a layer is free
                wrong += (own - wanted).square().sum().item()
                whole += (wanted - wanted.mean((2, 3), keepdim=True)).square().sum().item()
            found[f"error of {layer}, {kind}"] = wrong / whole
    return found


def half_way(teacher: str, plan: Plan) -> list[Tensor]:
    """Pictures in the middle of transfers by the teacher, half of them from noise."""
    options: dict[str, Any] = chosen(teacher) | {"size": plan.size, "steps": max(1, plan.steps // 2), "scales": "1"}
    pairs = zip(itertools.cycle(plan.photographs), plan.styles, itertools.cycle(("content", "noise")), strict=False)
    return [stylise(photograph, style, init=init, **options).image for photograph, style, init in pairs]


def transfers(network: str, init: str, plan: Plan, folder: Path) -> Made:
    """Every photograph in every style by the default recipe, and their sheet."""
    options: dict[str, Any] = chosen(network) | {"size": plan.size, "steps": plan.steps, "init": init}
    pairs = itertools.product(plan.photographs, plan.styles)
    made = {pair: stylise(*pair, **options).image for pair in pairs}
    images.save(sheet(list(made.values()), len(plan.styles)), folder / f"{Path(network).stem}-{init}.jpg")
    return made


def judged(teacher: str, made: Made, best: Made, other: FeatureExtractor) -> Numbers:
    """Every picture against the teacher's own: its sum, SqueezeNet's style distance; grain, edges, colours by themselves."""
    rows: dict[str, list[float]] = {}
    layers = STYLE_LAYERS[other.family]
    for (photograph, style), image in made.items():
        own, size = best[photograph, style], max(image.shape[-2:])
        p, a = images.load(photograph, size), images.load(style, min(2 * size, 768))
        one, two = (summed(teacher, photograph, style, x) for x in (image, own))
        rows.setdefault("teacher's sum / its own picture's", []).append(one / two)
        near, nearest = (measures.style_distance(x, a, other, layers) for x in (image, own))
        rows.setdefault("SqueezeNet's style distance", []).append(near)
        rows.setdefault("SqueezeNet's style distance / the teacher's picture's", []).append(near / nearest)
        grain = max(measures.fine_energy(x) for x in (p, images.resize(a, size)))
        rows.setdefault("grain / content's and style's", []).append(measures.fine_energy(image) / grain)
        rows.setdefault("edge correlation with content", []).append(measures.edge_correlation(image, p))
        rows.setdefault("colour distance to style", []).append(measures.colour_distance(image, a))
    found = {f"{key}, median": median(values) for key, values in rows.items()}
    return found | {f"{key}, worst": max(values) for key, values in rows.items() if " / " in key}


def ladder(net: FeatureExtractor, plan: Plan) -> Numbers:
    """PSNR of photographs rebuilt from white noise from one layer, with L-BFGS at full size, as in the papers."""
    found, (size, steps) = {}, plan.rebuilt
    for layer in plan.ladder:
        ratios = []
        for name in plan.photographs:
            picture = images.load(name, size)
            terms = {"content": (1.0, ContentLoss(net(picture, [layer])))}
            start = images.noise((picture.shape[-2], picture.shape[-1]))
            ratios.append(measures.psnr(optimise(net, start, terms, steps=steps, method="lbfgs").image, picture))
        found[f"rebuilt from {layer}, dB"] = mean(ratios)
    return found


def textures(net: FeatureExtractor, other: FeatureExtractor, label: str, plan: Plan, folder: Path) -> Numbers:
    """Textures of the styles from noise with L-BFGS, and how near they come."""
    made, near, grain, (width, steps) = [], [], [], plan.texture
    height = width * 3 // 4
    for name in plan.textures:
        style = images.load(name, 2 * width)
        terms = {"style": (1.0, StyleLoss({k: gram(f) for k, f in net(style, LADDER).items()}))}
        texture = optimise(net, images.noise((height, width)), terms, steps=steps, method="lbfgs").image
        made += [images.cover(style, (height, width)), texture]
        near.append(measures.style_distance(texture, style, other, STYLE_LAYERS[other.family]))
        own = images.cover(style, (2 * height, 2 * width))[..., :height, :width]
        grain.append(measures.fine_energy(texture) / measures.fine_energy(own))
    images.save(sheet(made, 4), folder / f"{label}-textures.jpg")
    return {"texture: SqueezeNet's style distance": mean(near), "texture: grain / style's": mean(grain)}


def speed(net: FeatureExtractor, size: int, steps: int = 8) -> Numbers:
    """Median seconds of a step of L-BFGS in float32, losses to relu5_1."""
    p, a = images.load("town", size), images.load("swirls", size)
    style = StyleLoss({k: gram(f) for k, f in net(a, LADDER).items()})
    terms = {"content": (1e-6, ContentLoss(net(p, ["relu3_3"]))), "style": (1.0, style)}
    seconds, begin = [], time.perf_counter()
    for _ in descend(net, p, terms, steps=steps, method="lbfgs"):
        seconds.append(time.perf_counter() - begin)
        begin = time.perf_counter()
    return {f"seconds a step, float32, {size} px": median(seconds[2:])}


def sheet(pictures: list[Tensor], columns: int, width: int = 256) -> Tensor:
    """All pictures on one, each covering a frame of `width` x 3/4 `width`."""
    frames = [images.cover(picture, (width * 3 // 4, width)) for picture in pictures]
    return torch.cat([torch.cat(frames[k : k + columns], 3) for k in range(0, len(frames), columns)], 2)


def table(found: dict[str, Numbers]) -> str:
    """All numbers in Markdown, a column for each network."""
    keys = list(dict.fromkeys(key for numbers in found.values() for key in numbers))
    rows = [[key, *(f"{numbers[key]:.3g}" if key in numbers else "–" for numbers in found.values())] for key in keys]
    return "\n".join("| " + " | ".join(row) + " |" for row in [["measure", *found], ["---"] * (1 + len(found)), *rows])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", help="names, or weights files of classroom's kind")
    parser.add_argument("--teacher", default="vgg16-hed", help="the network whose own pictures and sum are the measure")
    parser.add_argument("--other", help="SqueezeNet's weights file (default: torchvision's)")
    parser.add_argument("--held-out", type=Path, help="folder of photographs that no training saw (default: scikit-image's)")
    parser.add_argument("--sheets", type=Path, default=Path("build/judge"))
    parser.add_argument("--size", type=int, help="long side of the transfers, in pixels (default: 256)")
    parser.add_argument("--steps", type=int, help="steps of every transfer (default: 200)")
    parser.add_argument("--quick", action="store_true", help="tiny pictures and few steps: only whether it runs")
    args = parser.parse_args(arguments)
    plan = replace(TINY if args.quick else Plan(), **{k: v for k in ("size", "steps") if (v := getattr(args, k))})
    teacher, other = opened(args.teacher), weights.backbone("squeezenet", weights=args.other)
    held_out = sorted(args.held_out.rglob("*.jp*g"))[:24] if args.held_out else list(pictures.PHOTOGRAPHS)
    shown = {"photographs": [images.load(file, plan.held_out) for file in held_out], "half-way": half_way(args.teacher, plan)}
    best = {init: transfers(args.teacher, init, plan, args.sheets) for init in ("content", "noise")}
    found = {}
    for network in [*args.networks, args.teacher]:
        label, net = Path(network).stem, opened(network)
        numbers = errors(network, teacher, shown)
        for init, own in best.items():
            made = own if network == args.teacher else transfers(network, init, plan, args.sheets)
            numbers |= {f"from {init}: {key}": value for key, value in judged(args.teacher, made, own, other).items()}
        numbers |= ladder(net, plan) | textures(net, other, label, plan, args.sheets)
        for size in plan.timed:
            numbers |= speed(net, size)
        (args.sheets / f"{label}.json").write_text(json.dumps(numbers, indent=1))
        found[label] = numbers
    print(table(found))


if __name__ == "__main__":
    main()
