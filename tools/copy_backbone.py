"""Make a narrow copy of a VGG: `python tools/copy_backbone.py PHOTOS ... -o FILE [--teacher NAME_OR_FILE] [--widths ...]`.

The copy has a part of the teacher's filters in every layer and computes them from each other alone. Two stages:

*Fit*, layer by layer: the filters to keep are chosen one by one, always the one whose activations those kept explain worst
(a pivoted choice); their weights are then solved for by least squares from what the *copy's own* layer before it gives, so
that errors do not add up. A target below zero that is predicted below zero costs nothing, for the ReLU hides it.

*Train*: the whole copy at once by Adam towards the kept filters, on photographs, drawings, mixtures of both, noise, and on
pictures in the middle of a transfer that the copy itself drives: what an optimiser visits is nothing that a camera sees.

A step is a function of its number and of the checkpoint before it, which is written every few minutes: the same command goes
on from there, exactly. PHOTOS are folders or zip files.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nstutils import images
from nstutils.backbones import VGG_CONVS, FeatureExtractor, converted, vgg
from nstutils.fast.training import Photographs
from nstutils.library import files, pictures, weights
from nstutils.losses import gram
from nstutils.runs.devices import choose

CONVS = VGG_CONVS["vgg16"]
PLAN = [f"{block}_{index}" for block, count in enumerate(CONVS, 1) for index in range(1, count + 1)]
# what share of a block's variance may stay wrong, relative to the others'
AIMS = {"1": 1.0, "2": 1.0, "3": 1.0, "4": 2.0, "5": 3.0}
UNUSED = ("5_2", "5_3")  # no loss of the course asks for them: they count a tenth
STYLE = {"relu1_1": 8.0, "relu2_1": 4.0, "relu3_1": 2.0, "relu4_1": 1.0, "relu5_1": 0.5}  # of the transfers that are visited
CONTENT = "relu4_2"
STD = (0.25,) * 3  # the copy's own, whatever the teacher's: weights of all layers are then of one size, as Adam wants them
BALANCE = {1: 8.0, 2: 4.0, 3: 2.0, 4: 1.0, 5: 0.5}  # what an artwork's |A|²/(4 N²) is to be in each block, over their mean
ARTWORKS = ("swirls", "mosaic", "impasto", "wave", "glass", "guitar")  # whose Gram matrices the layers are balanced by
FIT = (112, 160)  # crops that the fit sees, and their side
EVERY = 250  # steps from one checkpoint to the next
HELD = 97  # every so manieth photograph is held out
VISITED, VISIT = 2, 48  # crops a step that are in the middle of a transfer, and the steps such a transfer takes


@dataclass(frozen=True)
class Kept:
    """Which filters of the teacher a layer of the copy has, and the number its activations are divided by."""

    filters: Tensor
    scale: float


class Source:
    """Crops to learn from: photographs and drawings, sharp or shrunk, mirrored, mixed, with noise."""

    def __init__(self, sources: Sequence[Path], size: int):
        self.photographs, self.size = [Photographs(source) for source in sources], size
        names = [name for name in pictures.shipped() if not name.startswith("mask")]
        drawings = (images.load(name, side) for name in names for side in (160, 256, 400))
        self.drawings = [picture for picture in drawings if min(picture.shape[-2:]) >= size]
        self.held = [(photographs, index) for photographs in self.photographs for index in range(0, len(photographs), HELD)]

    def photograph(self, rng: np.random.Generator) -> Tensor:
        """A crop of a photograph that is not held out; each source counts alike, whatever its size."""
        photographs = self.photographs[rng.integers(len(self.photographs))]
        index = int(rng.integers(len(photographs)))
        return _tensor(photographs.crop(index if index % HELD else (index + 1) % len(photographs), self.size, rng))

    def drawing(self, rng: np.random.Generator) -> Tensor:
        """A crop of one of the project's own pictures."""
        picture = self.drawings[rng.integers(len(self.drawings))]
        top, left = (int(rng.integers(side - self.size + 1)) for side in picture.shape[-2:])
        return picture[0, :, top : top + self.size, left : left + self.size]

    def crop(self, rng: np.random.Generator) -> Tensor:
        """One crop as the training sees it."""
        kind = rng.random()
        crop = self.photograph(rng) if kind < 0.65 else self.drawing(rng)
        if rng.random() < 0.15:
            crop = (crop + self.drawing(rng)) / 2
        if rng.random() < 0.35:
            noise = torch.from_numpy(rng.standard_normal(tuple(crop.shape), np.float32))
            crop = crop + noise * math.exp(rng.uniform(math.log(0.02), math.log(0.4)))
        return crop.clamp(0, 1)

    def batch(self, count: int, rng: np.random.Generator) -> Tensor:
        """`count` crops, N x 3 x size x size."""
        return torch.stack([self.crop(rng) for _ in range(count)])

    def held_out(self, count: int = 32) -> Tensor:
        """Crops that no training sees."""
        rng = np.random.default_rng(HELD)
        chosen = self.held[:: max(1, len(self.held) // count)][:count]
        return torch.stack([_tensor(photographs.crop(index, self.size, rng)) for photographs, index in chosen])


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float().div(255)


@torch.no_grad()
def fit(teacher: FeatureExtractor, widths: Sequence[int], crops: Tensor) -> tuple[nn.Sequential, dict[str, Kept]]:
    """The copy by least squares, and what it keeps of every layer."""
    copy, kept = vgg(widths, CONVS), {}
    own, theirs = prepared(crops, teacher), teacher.prepared(crops)
    convs = dict(teacher.net.named_children())
    generator = torch.Generator().manual_seed(0)
    for name in PLAN:
        if name.endswith("_1") and name != "1_1":
            theirs, own = (F.avg_pool2d(x, 2, ceil_mode=True) for x in (theirs, own))
        wanted = torch.cat([convs[f"conv{name}"](x) for x in theirs.split(16)])
        theirs = wanted.relu()
        scale = theirs.mean().item()
        filters, left = chosen(theirs, widths[int(name[0]) - 1], generator)
        kept[name] = Kept(filters, scale)
        conv = dict(copy.named_children())[f"conv{name}"]
        conv.weight[:], conv.bias[:] = solved(own, wanted[:, filters] / scale, generator)  # type: ignore[index,operator]
        own = torch.cat([conv(x).relu() for x in own.split(16)])
        wrong = unexplained(own, theirs[:, filters] / scale)
        print(f"fit {name}: {len(filters)} of {theirs.shape[1]} filters, {left:.1%} left out, error {wrong:.1%}", flush=True)
    return copy, kept


def prepared(crops: Tensor, teacher: FeatureExtractor) -> Tensor:
    """The picture as the copy wants it."""
    mean, std = (crops.new_tensor(v).view(1, 3, 1, 1) for v in (teacher.mean, STD))
    return ((crops - mean) / std).contiguous(memory_format=torch.channels_last)


def chosen(activations: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """The filters to keep, and the share of all filters' variance that they leave unexplained."""
    values = activations.transpose(0, 1).flatten(1)
    values = values[:, torch.randperm(values.shape[1], generator=generator)[:40000]]
    rest = values - values.mean(1, keepdim=True)
    whole, kept = rest.square().sum(), []
    for _ in range(min(count, len(values))):
        energy = rest.square().sum(1)
        energy[kept] = -1
        kept.append(int(energy.argmax()))
        direction = rest[kept[-1]] / rest[kept[-1]].norm().clamp_min(1e-9)
        rest -= (rest @ direction)[:, None] * direction
    return torch.tensor(kept), (rest.square().sum() / whole).item()


def solved(inputs: Tensor, wanted: Tensor, generator: torch.Generator, most: int = 80000) -> tuple[Tensor, Tensor]:
    """Weights and bias of a 3 x 3 convolution from `inputs` to `wanted`, by ridge least squares over some positions."""
    patches, targets, each = [], [], max(64, most // len(inputs))
    for x, y in zip(inputs, wanted, strict=True):
        columns = F.unfold(x[None], 3, padding=1)[0].T
        some = torch.randperm(len(columns), generator=generator)[:each]
        patches.append(columns[some])
        targets.append(y.flatten(1).T[some])
    u, y = torch.cat(patches), torch.cat(targets)
    u = torch.cat([u, torch.ones(len(u), 1)], 1)
    square = u.T @ u
    square += torch.eye(len(square)) * square.diagonal().mean() * 1e-4
    solution = torch.linalg.solve(square, u.T @ y)
    for _ in range(3):  # below zero and meant to be: right already
        found = u @ solution
        solution = torch.linalg.solve(square, u.T @ torch.where((y < 0) & (found < 0), found, y))
    return solution[:-1].T.reshape(wanted.shape[1], inputs.shape[1], 3, 3), solution[-1]


def unexplained(found: Tensor, wanted: Tensor) -> float:
    """The mean squared error as a share of the variance, each filter counting by its variance."""
    return ((found - wanted).square().mean() / wanted.var((0, 2, 3)).mean()).item()


class Visited:
    """Crops in the middle of a transfer that the copy itself drives, each at another stage; replaced when they are done."""

    def __init__(self, source: Source):
        self.source = source
        self.x = torch.zeros(VISITED, 3, source.size, source.size)
        self.moments = torch.zeros(2, *self.x.shape)
        self.content, self.style = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.age = [VISIT - 1 - k * VISIT // VISITED for k in range(VISITED)]
        self.weight = [1.0] * VISITED

    def state(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {key: value for key, value in vars(self).items() if key != "source"}

    def step(self, copy: "Copy", rng: np.random.Generator) -> Tensor:
        """The crops one step of Adam further; the copy judges."""
        for k in range(VISITED):
            self.age[k] += 1
            if self.age[k] >= VISIT:
                self.age[k] = 0
                self.content[k], self.style[k] = self.source.photograph(rng), self.source.drawing(rng)
                noise = torch.from_numpy(rng.random(tuple(self.x[k].shape), np.float32))
                self.x[k] = noise if rng.random() < 0.5 else self.content[k]
                self.moments[:, k] = 0
                self.weight[k] = math.exp(rng.uniform(math.log(0.1), math.log(4)))
        layers = (*STYLE, CONTENT)
        with torch.no_grad():
            wanted = copy(torch.cat([self.content, self.style]), layers)
        x = self.x.clone().requires_grad_()
        found, half = copy(x, layers), VISITED
        loss = torch.zeros(half)
        for layer, weight in STYLE.items():
            target = gram(wanted[layer][half:])
            loss = loss + weight * (gram(found[layer]) - target).square().sum((1, 2)) / target.square().sum((1, 2))
        target = wanted[CONTENT][:half]
        lost = (found[CONTENT] - target).square().sum((1, 2, 3)) / target.square().sum((1, 2, 3))
        loss = loss + torch.tensor(self.weight) * lost
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        age = torch.tensor(self.age).view(-1, 1, 1, 1) + 1
        self.moments[0] = 0.9 * self.moments[0] + 0.1 * gradient
        self.moments[1] = 0.99 * self.moments[1] + 0.01 * gradient.square()
        step = (self.moments[0] / (1 - 0.9**age)) / ((self.moments[1] / (1 - 0.99**age)).sqrt() + 1e-12)
        self.x = (self.x - 0.04 * step).clamp(0, 1)
        return self.x


class Copy:
    """The network that learns, as `net(pictures, layers)`; computes in bfloat16 where that pays."""

    def __init__(self, net: nn.Sequential, teacher: FeatureExtractor, dtype: torch.dtype):
        self.net, self.dtype = net.to(memory_format=torch.channels_last), dtype
        self.teacher = teacher

    def __call__(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        x = prepared(x, self.teacher)
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            for name, module in self.net.named_children():
                if len(found) == len(layers):
                    break
                x = module(x)
                if name in layers:
                    found[name] = x.float()
        return found


class Training:
    """The state of a training and its loss."""

    def __init__(self, teacher: FeatureExtractor, net: nn.Sequential, kept: Mapping[str, Kept], source: Source, lr: float):
        dtype = choose()[1]
        self.teacher, self.kept, self.source, self.lr = converted(teacher, dtype), kept, source, lr
        self.copy, self.visited = Copy(net, teacher, dtype), Visited(source)
        self.adam = torch.optim.Adam(net.parameters(), lr=lr, betas=(0.9, 0.99))
        self.held = source.held_out()
        self.exact = teacher
        self.layers = [f"relu{name}" for name in PLAN]
        with torch.no_grad():
            wanted = self.wanted(self.held)
        self.variance = {layer: value.var((0, 2, 3)).mean() for layer, value in wanted.items()}
        self.weight = {layer: (0.1 if layer[4:] in UNUSED else 1.0) / AIMS[layer[4]] for layer in self.layers}
        self.begun, self.seconds = 0, 0.0

    @torch.no_grad()
    def wanted(self, crops: Tensor) -> dict[str, Tensor]:
        """The kept filters' activations in the teacher."""
        found = self.teacher(crops, self.layers)
        return {k: f[:, self.kept[k[4:]].filters].float() / self.kept[k[4:]].scale for k, f in found.items()}

    def step(self, number: int, steps: int, batch: int, seed: int) -> float:
        """One step; the rate rises for 50 steps and falls along a cosine."""
        rng = np.random.default_rng([seed, number])
        crops = torch.cat([self.source.batch(batch - VISITED, rng), self.visited.step(self.copy, rng)])
        wanted, found = self.wanted(crops), self.copy(crops, self.layers)
        loss = torch.zeros(())
        for layer in self.layers:
            loss = loss + self.weight[layer] * (found[layer] - wanted[layer]).square().mean() / self.variance[layer]
        rate = self.lr * min(1.0, number / 50) * (1 + math.cos(math.pi * (number - 1) / steps)) / 2
        self.adam.param_groups[0]["lr"] = rate
        self.adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.copy.net.parameters(), 1.0)
        self.adam.step()
        return loss.item()

    @torch.no_grad()
    def errors(self) -> dict[str, float]:
        """By layer: the share of the kept filters' variance that is wrong on photographs held out."""
        wanted, found = self.wanted(self.held), self.copy(self.held, self.layers)
        return {layer: unexplained(found[layer], wanted[layer]) for layer in self.layers}

    def save(self, path: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {"net": self.copy.net.state_dict(), "adam": self.adam.state_dict(), "visited": self.visited.state()}
        kept = {name: (value.filters, value.scale) for name, value in self.kept.items()}
        with files.atomic(path) as part:
            torch.save(state | {"teacher": self.exact.sha256, "kept": kept, "step": self.begun, "seconds": self.seconds}, part)

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.copy.net.load_state_dict(state["net"])
        self.adam.load_state_dict(state["adam"])
        vars(self.visited).update(state["visited"])
        self.begun, self.seconds = state["step"], state["seconds"]


@torch.no_grad()
def balance(extractor: FeatureExtractor, artworks: Sequence[Tensor]) -> dict[str, float]:
    """The scales for `scaled` with which eqs. 4 and 5 are balanced: |A|²/(4 N²) of these artworks, in the mean, is in every
    layer what `BALANCE` gives its block, so that equal weights w_l weigh the layers' relative errors 8, 4, 2, 1 and ½."""
    layers = [name for name in extractor.layers if name.startswith("relu")]
    sizes = dict.fromkeys(layers, 0.0)
    for artwork in artworks:
        for layer, features in extractor(artwork, layers).items():
            f = features.flatten(2)
            sizes[layer] += ((f @ f.mT / f.shape[2]).square().sum() / (4 * f.shape[1] ** 2)).item() / len(artworks)
    mean = sum(BALANCE.values()) / len(BALANCE)
    return {f"conv{layer[4:]}": (sizes[layer] * mean / BALANCE[int(layer[4])]) ** 0.25 for layer in layers}


def finished(training: Training, out: Path, header: Mapping[str, str], facts: Mapping[str, Any]) -> None:
    """Write the copy, balanced and in half precision, with the filters it keeps, what divides them, and how it was made."""
    state = training.copy.net.state_dict()
    kept = {f"conv{name}": value.filters.tolist() for name, value in training.kept.items()}
    net = vgg([len(state[f"conv{block}_1.weight"]) for block in range(1, 6)], CONVS)
    net.load_state_dict(state)
    exact = training.exact
    plain = FeatureExtractor(net, name="classroom", mean=exact.mean, std=STD)
    balances = balance(plain, [images.load(name, 384) for name in ARTWORKS])
    copy = weights.scaled(plain, balances).half()
    scales = {f"conv{name}": value.scale * balances[f"conv{name}"] for name, value in training.kept.items()}
    told = facts | {"steps": training.begun, "seconds": round(training.seconds), "errors": training.errors()}
    written = {"kept": json.dumps(kept), "scales": json.dumps(scales), "facts": json.dumps(told)}
    weights.save(copy, out, **header, **written)


def begun(args: argparse.Namespace, teacher: FeatureExtractor, source: Source, checkpoint: Path) -> Training:
    """A training at its checkpoint, or a new one from what least squares gives."""
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["teacher"] != teacher.sha256:
            sys.exit(f"{checkpoint} is a copy of another teacher than {teacher.name}; give that teacher, or another OUT")
        kept = {name: Kept(*value) for name, value in state["kept"].items()}
        training = Training(teacher, vgg(args.widths, CONVS), kept, source, args.lr)
        training.load(state)
        return training
    begin, larger = time.perf_counter(), Source(args.photographs, FIT[1])
    net, kept = fit(teacher, args.widths, larger.batch(FIT[0], np.random.default_rng(args.seed)))
    training = Training(teacher, net, kept, source, args.lr)
    training.seconds = time.perf_counter() - begin
    training.save(checkpoint)
    return training


def train(training: Training, args: argparse.Namespace, checkpoint: Path) -> None:
    """Go on to the last step; a line and a checkpoint every few minutes."""
    before, begin = training.seconds, time.perf_counter()
    while training.begun < args.steps:
        training.begun += 1
        loss = training.step(training.begun, args.steps, args.batch, args.seed)
        training.seconds = before + time.perf_counter() - begin
        if training.begun % EVERY == 0 or training.begun == args.steps:
            told = " ".join(f"{layer[4:]} {value:.2%}" for layer, value in training.errors().items())
            print(f"{training.begun} {training.seconds:.0f} s loss {loss:.4f} held out: {told}", flush=True)
            training.save(checkpoint)


def main(arguments: list[str] | None = None) -> None:
    """Fit, train and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photographs", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--teacher", default="vgg16-hed", help="a network's name, or a file of VGG-16's weights")
    parser.add_argument("--widths", type=widths, default="32,64,144,224,256", help="filters of the five blocks")
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=112, help="pixels on the side of a crop")
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    file = Path(args.teacher)
    teacher = weights.backbone("vgg16", weights=file) if file.is_file() else weights.backbone(args.teacher)
    source, checkpoint = Source(args.photographs, args.size), args.out.with_suffix(".checkpoint.pt")
    training = begun(args, teacher, source, checkpoint)
    train(training, args, checkpoint)
    facts = {"teacher": teacher.name, "photographs": sum(map(len, source.photographs)), "batch": args.batch, "size": args.size}
    finished(training, args.out, {"teacher": teacher.name, "teacher_sha256": teacher.sha256}, facts)


def widths(text: str) -> list[int]:
    """Numbers with commas."""
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
