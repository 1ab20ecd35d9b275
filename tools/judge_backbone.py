"""Judge backbones by the same measures, side by side: `python tools/judge_backbone.py FILE ... [--sheets DIR]`.

FILE is a weights file, or `random-vgg19`. For each: accuracy on held-out photographs (from the training), conv1_1's singular
values, the rank of the filters that are active on real patches, the content ladder (PSNR of reconstructions from noise with
L-BFGS, as the papers), texture synthesis, and transfer of four photographs x four styles from noise and from content. Style
closeness is judged in another network than the one that made the picture. Prints a table in Markdown; writes sheets to look at
and numbers as JSON.
"""

import argparse
import dataclasses
import json
import math
import time
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from nstutils import images, measures, optimise, stylise, weights
from nstutils.backbones import STYLE_LAYERS, FeatureExtractor
from nstutils.losses import ContentLoss, StyleLoss, evaluate, gram, total
from nstutils.optimise import Stage
from nstutils.options import Options
from nstutils.problem import prepare

PHOTOGRAPHS = ("town", "chelsea", "astronaut", "coast")
STYLES = ("swirls", "arcs", "wave", "mosaic")
LADDER = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def network(name: str) -> FeatureExtractor:
    """A backbone by name or by its weights file."""
    return weights.backbone(name) if name == "random-vgg19" else weights.backbone("classroom", weights=name)


def first_filters(net: FeatureExtractor) -> dict[str, float]:
    """Singular values of conv1_1 (3x3x3 = 27 directions) and the rank of the filters that fire on real patches."""
    values = torch.linalg.svdvals(net.weight.float().flatten(1))
    responses = torch.cat([net(images.load(name, 128), ["relu1_1"])["relu1_1"].flatten(2)[0] for name in PHOTOGRAPHS], 1)
    active = responses.mean(1) > 0.01 * responses.mean()
    rank = torch.linalg.matrix_rank(net.weight.float().flatten(1)[active], rtol=1e-2)
    return {
        "conv1_1 lowest / highest singular value": (values[min(26, len(values) - 1)] / values[0]).item(),
        "conv1_1 rank of active filters (of 27)": int(rank),
    }


def ladder(net: FeatureExtractor) -> dict[str, float]:
    """PSNR of the photograph rebuilt from noise from one layer at 128 px in 300 steps of L-BFGS, mean over the photographs."""
    result = {}
    for layer in LADDER:
        ratios = []
        for name in PHOTOGRAPHS:
            picture = images.load(name, 128)
            terms = {"content": (1.0, ContentLoss(net(picture, [layer])))}
            start = images.noise((picture.shape[-2], picture.shape[-1]))
            rebuilt = optimise(net, start, terms, steps=300, method="lbfgs").image
            ratios.append(measures.psnr(rebuilt, picture))
        result[f"rebuilt from {layer} (dB)"] = mean(ratios)
    return result


def textures(net: FeatureExtractor, judge: FeatureExtractor, steps: int) -> tuple[dict[str, float], list[Tensor]]:
    """Textures of the four styles from noise (relu1_1 to relu5_1) at 192 px with L-BFGS, and how close they come."""
    made, near, grain = [], [], []
    for name in STYLES:
        style = images.load(name, 192)
        terms = {"style": (1.0, StyleLoss({k: gram(f) for k, f in net(style, LADDER).items()}))}
        texture = optimise(net, images.noise((144, 192)), terms, steps=steps, method="lbfgs").image
        made += [images.cover(style, (144, 192)), texture]
        near.append(measures.style_distance(texture, style, judge, STYLE_LAYERS[judge.family]))
        grain.append(measures.fine_energy(texture) / measures.fine_energy(style))
    return {"texture: style distance": mean(near), "texture: grain / style's": mean(grain)}, made


def transfers(
    net_name: str, judge: FeatureExtractor, init: str, size: int, steps: int, **options: float
) -> tuple[dict[str, float], list[Tensor]]:
    """Four photographs x four styles; means of the measures, and all pictures."""
    rows: dict[str, list[float]] = {}
    made: list[Tensor] = []
    begin = time.perf_counter()
    backbone = _network_option(net_name)
    for photograph in PHOTOGRAPHS:
        content = images.load(photograph, size)
        for name in STYLES:
            style = images.load(name, size)
            image = stylise(photograph, name, size=size, steps=steps, init=init, **backbone, **options).image
            made.append(image)
            fine = max(measures.fine_energy(content), measures.fine_energy(style))
            rows.setdefault("grain / content's and style's", []).append(measures.fine_energy(image) / fine)
            rows.setdefault("edge correlation with content", []).append(measures.edge_correlation(image, content))
            rows.setdefault("colour distance to style", []).append(measures.colour_distance(image, style))
            distance = measures.style_distance(image, style, judge, STYLE_LAYERS[judge.family])
            rows.setdefault("style distance", []).append(distance)
    found = {f"from {init}: {key}": mean(values) for key, values in rows.items()}
    return found | {f"from {init}: seconds a picture": (time.perf_counter() - begin) / len(made)}, made


def parameterisations(net_name: str, judge: FeatureExtractor, size: int, steps: int, beta: float) -> dict[str, float]:
    """Pixels, coarse to fine and at full size, against the picture's spectrum with decorrelated colours (at full size), as
    feature visualisation optimises it: means over four pairs of total, grain and style distance, all from noise."""
    rows: dict[str, list[float]] = {}
    for photograph, name in zip(PHOTOGRAPHS, STYLES, strict=True):
        options = Options(size=size, steps=steps, beta=beta, **_network_option(net_name))
        problem = prepare(photograph, name, dataclasses.replace(options, scales="1"))
        (stage,) = problem.stages()
        made = {
            "pixels, coarse to fine": stylise(photograph, name, **vars(options)).image,
            "pixels, full size": optimise(problem.net, problem.start(), stage.terms, steps=steps).image,
            "Fourier, full size": from_spectrum(problem.net, stage, images.load(photograph, size)),
        }
        style = images.load(name, size)
        fine = max(measures.fine_energy(style), measures.fine_energy(images.load(photograph, size)))
        for way, image in made.items():
            found = total(evaluate(problem.exact, image, stage.terms), stage.terms).item()
            rows.setdefault(f"{way}: total", []).append(found)
            rows.setdefault(f"{way}: grain / content's and style's", []).append(measures.fine_energy(image) / fine)
            distance = measures.style_distance(image, style, judge, STYLE_LAYERS[judge.family])
            rows.setdefault(f"{way}: style distance", []).append(distance)
    return {key: mean(values) for key, values in rows.items()}


def from_spectrum(net: FeatureExtractor, stage: Stage, photograph: Tensor, lr: float = 0.05) -> Tensor:
    """Minimise over a spectrum scaled by 1 / frequency and the principal axes of the photograph's colours."""
    height, width = stage.size
    rows, columns = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
    scale = 1 / (rows**2 + columns**2).sqrt().clamp(min=1 / max(height, width)) / max(height, width)
    values, axes = torch.linalg.eigh(torch.cov(photograph.flatten(2)[0]))
    colours = axes * values.clamp(min=1e-6).sqrt() / values.max().sqrt()
    spectrum = 0.1 * torch.randn(2, 3, *scale.shape, generator=torch.Generator().manual_seed(0))
    spectrum.requires_grad_()
    adam = torch.optim.Adam([spectrum], lr=lr, betas=(0.9, 0.99))

    def picture() -> Tensor:
        flat = torch.fft.irfft2(torch.complex(*spectrum) * scale, (height, width), norm="ortho").flatten(1)
        return torch.sigmoid(4 * (colours @ flat)).view(1, 3, height, width)

    for step in range(stage.steps):
        adam.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * step / stage.steps)) / 2
        adam.zero_grad()
        total(evaluate(net, picture(), stage.terms), stage.terms).backward()
        adam.step()
    return picture().detach()


def _network_option(name: str) -> dict[str, str]:
    return {"backbone": name} if name == "random-vgg19" else {"weights": name}


def sheet(pictures: list[Tensor], columns: int, width: int = 256) -> Tensor:
    """All pictures on one, each covering a frame of `width` x 3/4 `width`."""
    frames = [images.cover(picture, (width * 3 // 4, width)) for picture in pictures]
    rows = [torch.cat(frames[k : k + columns], 3) for k in range(0, len(frames), columns)]
    return torch.cat(rows, 2)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="+", help="weights files, or random-vgg19")
    parser.add_argument("--judge", default="random-vgg19", help="the network that judges closeness of style")
    parser.add_argument("--sheets", type=Path, default=Path("build/judge"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=200, help="steps of every texture and transfer")
    parser.add_argument("--tv", type=float, default=0.0)
    parser.add_argument("--beta", type=float, default=3e3)
    parser.add_argument("--parameterisations", action="store_true", help="compare pixels with a Fourier spectrum instead")
    args = parser.parse_args(arguments)
    judge = network(args.judge)
    table: dict[str, dict[str, float]] = {}
    for name in args.networks:
        label = Path(name).stem
        net = network(name)
        if args.parameterisations:
            table[label] = parameterisations(name, judge, args.size, args.steps, args.beta)
            continue
        numbers: dict[str, float] = {}
        if name != "random-vgg19":
            facts = json.loads(weights.header_of(Path(name)).get("facts", "{}"))
            numbers |= {key: facts[key] for key in ("accuracy", "crops", "seconds") if key in facts}
        numbers |= first_filters(net) | ladder(net)
        found, made = textures(net, judge, args.steps)
        numbers |= found
        images.save(sheet(made, 4), args.sheets / f"{label}-textures.png")
        for init in ("noise", "content"):
            found, made = transfers(name, judge, init, args.size, args.steps, tv=args.tv, beta=args.beta)
            numbers |= found
            images.save(sheet(made, 4), args.sheets / f"{label}-{init}.png")
        table[label] = numbers
        (args.sheets / f"{label}.json").write_text(json.dumps(numbers, indent=1))
    keys = list(dict.fromkeys(key for numbers in table.values() for key in numbers))
    print("| measure | " + " | ".join(table) + " |\n| --- |" + " --- |" * len(table))
    for key in keys:
        print(f"| {key} | " + " | ".join(f"{numbers.get(key, float('nan')):.4g}" for numbers in table.values()) + " |")


if __name__ == "__main__":
    main()
