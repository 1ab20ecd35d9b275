"""Judge backbones by the same measures, side by side: `python tools/judge_backbone.py NETWORK ... [--teacher NETWORK]`.

NETWORK is a name or a weights file of `classroom`'s kind. For each: how far the filters that a copy keeps are off (photographs
held out, and pictures half-way through a transfer), four photographs x six styles from the photograph and from noise, judged by
the teacher's own sum against the teacher's own picture and by SqueezeNet, which made neither, the content ladder, textures,
grain, seconds and memory of a step. Prints a table in Markdown; writes sheets to look at and all numbers as JSON.
"""

import argparse
import json
import time
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

PHOTOGRAPHS = ("town", "chelsea", "astronaut", "coffee")
STYLES = ("swirls", "mosaic", "impasto", "wave", "glass", "fields")
TEXTURES = ("swirls", "mosaic", "impasto", "wave")
LADDER = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
COMPARED = (*LADDER[:4], "relu4_2", "relu5_1")

Numbers = dict[str, float]


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
    (stage,) = aim.stages()
    return total(evaluate(aim.exact, image, stage.terms), stage.terms).item()  # type: ignore[arg-type]


@torch.no_grad()
def errors(network: str, teacher: FeatureExtractor, pictures: dict[str, list[Tensor]]) -> Numbers:
    """By layer: the share of the kept filters' variance that is wrong; nothing for a network that is no copy."""
    path = Path(network) if Path(network).suffix else weights.here(network)
    header = weights.header_of(path) if path else {}
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


def half_way(teacher: str, size: int, steps: int) -> list[Tensor]:
    """Pictures in the middle of transfers by the teacher, half of them from noise."""
    pairs = [(PHOTOGRAPHS[k % 4], STYLES[k % 6], ("content", "noise")[k % 2]) for k in range(6)]
    own = chosen(teacher)
    return [stylise(p, a, **own, size=size, steps=steps, init=init, scales="1").image for p, a, init in pairs]  # type: ignore[arg-type]


def transfers(network: str, init: str, size: int, steps: int, folder: Path) -> dict[tuple[str, str], Tensor]:
    """Four photographs x six styles by the default recipe, and their sheet."""
    made = {}
    for photograph in PHOTOGRAPHS:
        for style in STYLES:
            options: dict[str, Any] = {"size": size, "steps": steps, "init": init} | chosen(network)
            made[photograph, style] = stylise(photograph, style, **options).image
    images.save(sheet(list(made.values()), len(STYLES)), folder / f"{Path(network).stem}-{init}.jpg")
    return made


def judged(
    teacher: str, made: dict[tuple[str, str], Tensor], best: dict[tuple[str, str], Tensor], other: FeatureExtractor
) -> Numbers:
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


def ladder(net: FeatureExtractor, size: int = 96, steps: int = 300) -> Numbers:
    """PSNR of photographs rebuilt from white noise from one layer, with L-BFGS at full size, as in the papers."""
    found = {}
    for layer in LADDER:
        ratios = []
        for name in PHOTOGRAPHS:
            picture = images.load(name, size)
            terms = {"content": (1.0, ContentLoss(net(picture, [layer])))}
            start = images.noise((picture.shape[-2], picture.shape[-1]))
            ratios.append(measures.psnr(optimise(net, start, terms, steps=steps, method="lbfgs").image, picture))
        found[f"rebuilt from {layer}, dB"] = mean(ratios)
    return found


def textures(net: FeatureExtractor, other: FeatureExtractor, label: str, folder: Path) -> Numbers:
    """Textures of four styles from noise at 192 px with L-BFGS, and how near they come."""
    made, near, grain = [], [], []
    for name in TEXTURES:
        style = images.load(name, 384)
        terms = {"style": (1.0, StyleLoss({k: gram(f) for k, f in net(style, LADDER).items()}))}
        texture = optimise(net, images.noise((144, 192)), terms, steps=200, method="lbfgs").image
        made += [images.cover(style, (144, 192)), texture]
        near.append(measures.style_distance(texture, style, other, STYLE_LAYERS[other.family]))
        grain.append(measures.fine_energy(texture) / measures.fine_energy(images.cover(style, (288, 384))[..., :144, :192]))
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
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200, help="steps of every transfer")
    args = parser.parse_args(arguments)
    teacher, other = opened(args.teacher), weights.backbone("squeezenet", weights=args.other)
    held_out = sorted(args.held_out.rglob("*.jp*g"))[:24] if args.held_out else list(pictures.PHOTOGRAPHS)
    judges = {
        "photographs": [images.load(file, 224) for file in held_out],
        "half-way": half_way(args.teacher, args.size, args.steps // 2),
    }
    best = {init: transfers(args.teacher, init, args.size, args.steps, args.sheets) for init in ("content", "noise")}
    found: dict[str, Numbers] = {}
    for network in [*args.networks, args.teacher]:
        label, net = Path(network).stem, opened(network)
        numbers = errors(network, teacher, judges)
        for init, own in best.items():
            made = own if network == args.teacher else transfers(network, init, args.size, args.steps, args.sheets)
            numbers |= {f"from {init}: {key}": value for key, value in judged(args.teacher, made, own, other).items()}
        numbers |= ladder(net) | textures(net, other, label, args.sheets) | speed(net, 256) | speed(net, 512)
        found[label] = numbers
        (args.sheets / f"{label}.json").write_text(json.dumps(numbers, indent=1))
    print(table(found))


if __name__ == "__main__":
    main()
