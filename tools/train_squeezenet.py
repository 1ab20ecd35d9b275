"""Train the SqueezeNet that ships, on folders or zips of photographs: `python tools/train_squeezenet.py PHOTOS ... -o FILE`.

Two tasks share the network: naming the class of the labelled photographs (class folders) and telling every photograph from
all others under strong crops (instance discrimination). Linear read-outs (1x1 convolution and pixel shuffle) of low layers
must give the crop back, with its finest band weighted up; a share of the crops has noise added, which must be given back
too, so that no direction of a patch goes unseen. Batch norm is used while training and folded into the convolutions
afterwards; filters are then scaled to mean activation 1 (Gatys).

A checkpoint is written every few minutes, and the same command goes on from it. The learning rate is constant but for a short
warm-up and a last quarter that falls to zero.
"""

import argparse
import copy
import io
import json
import math
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from nstutils.backbones import IMAGENET_MEAN as MEAN
from nstutils.backbones import IMAGENET_STD as STD
from nstutils.backbones import FeatureExtractor, Fire, converted, squeezenet
from nstutils.library import weights

# layer: (pixels of the read-out per position, shrinking of the crop it must give back)
READ = {"relu1": (2, 1), "fire2": (4, 1), "fire3": (4, 1), "fire5": (2, 4)}
RATE = 2e-3  # peak of the learning rate
INSTANCE = 0.5  # weight of telling photographs apart
READOUT, COARSE = 3.0, 1.0  # weights of giving the crop back from low layers, and a shrunk crop from high ones
FINE = 0.3  # weight of the finest band among the low layers' read-outs
NOISY, STRONGEST = 0.25, 0.5  # share of the crops that have noise added, standard deviation of the strongest
LONGEST = 320  # photographs are kept in memory, no longer than this on the short side


@dataclass(frozen=True)
class Photos:
    """Photographs in memory; `label` is -1 where the class is not known; `held` marks every tenth labelled one."""

    pictures: list[Image.Image]
    label: Tensor
    held: Tensor
    classes: list[str]


def read_photos(sources: list[Path]) -> Photos:
    """Every image below the folders or inside the zip files; a folder holding images is a class."""
    pictures, classes = [], []
    for source in sources:
        for name, data in _files(source):
            picture = Image.open(io.BytesIO(data)).convert("RGB")
            picture.thumbnail([round(LONGEST * side / min(picture.size)) for side in picture.size])
            pictures.append(picture)
            parent = Path(name).parent.name
            classes.append("" if parent.startswith("BACKGROUND") else parent)
    names = sorted(set(classes) - {""})
    label = torch.tensor([names.index(c) if c else -1 for c in classes])
    seen: dict[str, int] = {}
    held = []
    for c in classes:
        seen[c] = seen.get(c, 0) + 1
        held.append(bool(c) and seen[c] % 10 == 0)
    return Photos(pictures, label, torch.tensor(held), names)


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    suffixes = (".jpg", ".jpeg", ".png")
    if source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if name.lower().endswith(suffixes):
                    yield name, archive.read(name)
    else:
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in suffixes:
                yield str(path.relative_to(source)), path.read_bytes()


def crops(photos: Photos, indices: np.ndarray, size: int, rng: np.random.Generator) -> Tensor:
    """Random square crops, mirrored half the time, shrunk up to 2.5 times but never enlarged where that can be helped."""
    batch = np.empty((len(indices), size, size, 3), np.uint8)
    for row, index in enumerate(indices):
        picture = photos.pictures[index]
        width, height = picture.size
        side = math.exp(rng.uniform(math.log(min(size, width, height)), math.log(max(size, min(width, height, 2.5 * size)))))
        side = min(side, width, height)
        left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
        if side < size * 1.05 and side > size * 0.95:  # as sharp as the photograph
            left, top, side = int(left), int(top), min(size, width, height)
        crop = picture.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
        batch[row] = np.asarray(crop)
    batch = np.where(rng.random((len(indices), 1, 1, 1)) < 0.5, batch[:, :, ::-1], batch)
    return torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).float().div_(255)


def with_noise(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """The first crops with white noise added, from faint to strong."""
    count = round(NOISY * len(batch))
    strength = np.exp(rng.uniform(math.log(STRONGEST / 25), math.log(STRONGEST), (count, 1, 1, 1)))
    noise = rng.standard_normal((count, *batch.shape[1:]), np.float32) * strength.astype(np.float32)
    return torch.cat([batch[:count] + torch.from_numpy(noise), batch[count:]])


class Trainee(nn.Module):
    """The network with batch norm, its read-outs and its two heads."""

    def __init__(self, classes: int, photographs: int):
        super().__init__()
        self.plain = squeezenet()
        self.net = with_norm(self.plain)
        self.outs = nn.ModuleDict()
        for name, (pixels, _) in READ.items():
            channels = _channels(self.plain, name)
            self.outs[name] = nn.Sequential(nn.Conv2d(channels, 3 * pixels**2, 1), nn.PixelShuffle(pixels))
        width = _channels(self.plain, "fire9")
        self.classes = nn.Linear(width, classes)
        self.photographs = nn.Linear(width, photographs, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        outs = {}
        for name, module in self.net.named_children():
            x = module(x)
            if name in READ:
                outs[name] = self.outs[name](x)
        pooled = x.mean((2, 3)).float()
        similarity = F.linear(F.normalize(pooled), F.normalize(self.photographs.weight))
        return self.classes(pooled), 12 * similarity, outs


def _channels(net: nn.Sequential, name: str) -> int:
    channels = 0
    for child, module in net.named_children():
        if isinstance(module, nn.Conv2d):
            channels = module.out_channels
        elif isinstance(module, Fire):
            channels = 2 * module.expand3x3.out_channels
        if child == name:
            return channels
    raise KeyError(name)


def normalised(x: Tensor) -> Tensor:
    """The crops as the network wants them."""
    mean, std = x.new_tensor(MEAN).view(1, 3, 1, 1), x.new_tensor(STD).view(1, 3, 1, 1)
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def with_norm(net: nn.Sequential) -> nn.Sequential:
    """A copy whose convolutions are each followed by batch norm (inside, so that names stay)."""
    net = copy.deepcopy(net)
    for _, module in list(net.named_modules()):
        for child, part in list(module.named_children()):
            if isinstance(part, nn.Conv2d) and not isinstance(module, Normed):
                module.add_module(child, Normed(part))
            if isinstance(part, nn.ReLU):
                part.inplace = True
    return net


class Normed(nn.Sequential):
    """A convolution with batch norm."""

    def __init__(self, conv: nn.Conv2d):
        plain = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, bias=False)
        nn.init.kaiming_normal_(plain.weight, nonlinearity="relu")
        super().__init__(plain, nn.BatchNorm2d(conv.out_channels))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that does the same."""
        conv, norm = self
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        return conv.weight * factor.view(-1, 1, 1, 1), norm.bias - norm.running_mean * factor


def folded(trainee: Trainee) -> nn.Sequential:
    """The plain network with the batch norm folded in."""
    plain = copy.deepcopy(trainee.plain)
    normed = dict(trainee.net.named_modules())
    for name, module in plain.named_modules():
        if isinstance(module, nn.Conv2d):
            weight, bias = normed[name].folded()
            module.weight.data, module.bias.data = weight.detach().clone(), bias.detach().clone()
    return plain


def fine_band(x: Tensor) -> Tensor:
    """What a 3x3 blur takes away: the finest band of the picture."""
    return x - F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)


def loss_of(trainee: nn.Module, x: Tensor, label: Tensor, index: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The sum that is minimised, and its parts for the log."""
    x, noisy = normalised(x), round(NOISY * len(x))
    with torch.autocast("cpu", torch.bfloat16):
        classes, photographs, outs = trainee(x)
    known = label >= 0
    known[:noisy] = False
    naming = F.cross_entropy(classes[known].float(), label[known]) if known.any() else classes.sum() * 0
    telling = F.cross_entropy(photographs[noisy:].float(), index[noisy:])
    plain, fine, coarse = given_back(outs, x)
    total = naming + INSTANCE * telling + READOUT * (plain + FINE * fine) + COARSE * coarse
    parts = {"class": naming, "photo": telling, "read": plain, "fine": fine, "coarse": coarse}
    return total, {name: float(part.detach()) for name, part in parts.items()}


def given_back(outs: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Errors of the read-outs: of the crop, of its finest band (relative), and of the shrunk crop from the high layers."""
    energy = fine_band(x).square().mean((1, 2, 3)) + 0.01
    plain = fine = coarse = x.new_zeros(())
    for name, out in outs.items():
        shrink, out = READ[name][1], out.float()[..., : x.shape[-2], : x.shape[-1]]
        if shrink == 1:
            wanted = x[..., : out.shape[-2], : out.shape[-1]]
            plain = plain + F.mse_loss(out, wanted)
            fine = fine + (fine_band(out - wanted).square().mean((1, 2, 3)) / energy).mean()
        else:
            wanted = F.adaptive_avg_pool2d(x, (out.shape[-2], out.shape[-1]))
            coarse = coarse + F.mse_loss(out, wanted)
    return plain, fine, coarse


@torch.no_grad()
def accuracy(trainee: Trainee, photos: Photos) -> float:
    """Share of the held-out labelled photographs named right, from one central crop."""
    trainee.eval()
    indices = torch.nonzero(photos.held).flatten().tolist()
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    right = 0
    for start in range(0, len(indices), 64):
        rows = indices[start : start + 64]
        batch = []
        for index in rows:
            picture = photos.pictures[index]
            side = min(picture.size)
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            crop = picture.resize((96, 96), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
            batch.append(torch.from_numpy(np.asarray(crop).copy()).permute(2, 0, 1).float() / 255)
        with torch.autocast("cpu", torch.bfloat16):
            classes = trainee((torch.stack(batch) - mean) / std)[0]
        right += int((classes.argmax(1) == photos.label[rows]).sum())
    trainee.train()
    return right / max(1, len(indices))


def rate(step: int, steps: int) -> float:
    """Warm-up, constant, and a last quarter that falls to zero."""
    return RATE * min(1, step / 300, (steps - step) / (0.25 * steps))


@torch.no_grad()
def rescaled(extractor: FeatureExtractor, images: Sequence[Tensor]) -> FeatureExtractor:
    """Gatys' normalisation: every filter scaled to a mean activation of 1 over `images`; what the network computes is the
    same up to these scales, because each next layer takes them back. A filter that never fires stays as it is."""
    result = copy.deepcopy(extractor)
    result.sha256 = f"{extractor.sha256}, rescaled"
    xs = [result.prepared(image) for image in images]
    scale = xs[0].new_ones(3)
    for module in result.net:
        if isinstance(module, nn.Conv2d):
            scale = _rescale(module, xs, scale)
        elif isinstance(module, Fire):
            inner = _rescale(module.squeeze, xs, scale)
            squeezed = [module.squeeze(x).relu() for x in xs]
            scale = torch.cat([_rescale(conv, squeezed, inner) for conv in (module.expand1x1, module.expand3x3)])
        xs = [module(x) for x in xs]
    return result


def _rescale(conv: nn.Conv2d, xs: Sequence[Tensor], incoming: Tensor) -> Tensor:
    """Undo the scales of the incoming channels, scale every filter to mean activation 1; returns the filters' means."""
    conv.weight.mul_(incoming.view(1, -1, 1, 1))
    activations = [conv(x).relu().double() for x in xs]
    positions = sum(a.numel() // a.shape[1] for a in activations)
    mean = torch.stack([a.sum((0, 2, 3)) for a in activations]).sum(0) / positions
    mean = torch.where(mean > 1e-6 * mean.max(), mean, torch.ones_like(mean)).to(conv.weight.dtype)
    conv.weight.div_(mean.view(-1, 1, 1, 1))
    if conv.bias is not None:
        conv.bias.div_(mean)
    return mean


def save(trainee: Trainee, photos: Photos, args: argparse.Namespace, facts: dict) -> None:
    """Fold, scale to mean activation 1 over 200 photographs, and write float16 weights with their facts."""
    extractor = FeatureExtractor(folded(trainee), name="squeezenet", mean=MEAN, std=STD)
    rng = np.random.default_rng(1)
    rows = rng.choice(len(photos.pictures), min(200, len(photos.pictures)), replace=False)
    extractor = rescaled(extractor, [crops(photos, rows[k : k + 50], 96, rng) for k in range(0, len(rows), 50)])
    weights.save(converted(extractor, torch.float16), args.out, facts=json.dumps(facts))


def optimiser_of(trainee: Trainee) -> torch.optim.Optimizer:
    """AdamW; what has one dimension (biases, batch norm) is not decayed."""
    decay = [p for p in trainee.parameters() if p.ndim > 1]
    rest = [p for p in trainee.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}], lr=RATE, fused=True
    )


def write_checkpoint(path: Path, trainee: Trainee, optimiser: torch.optim.Optimizer, step: int, seconds: float) -> None:
    """All that is needed to go on, whole or not at all."""
    state = {"trainee": trainee.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "seconds": seconds}
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def train(args: argparse.Namespace, photos: Photos, trainee: Trainee) -> None:
    """Go on from the checkpoint, or begin; write a checkpoint and the weights every `args.every` steps and at the end."""
    optimiser, checkpoint = optimiser_of(trainee), args.out.with_suffix(".checkpoint.pt")
    done, seconds = 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        trainee.load_state_dict(saved["trainee"])
        optimiser.load_state_dict(saved["optimiser"])
        done, seconds = saved["step"], saved["seconds"]
        print(f"going on from step {done}", flush=True)
    run = torch.compile(trainee) if args.compile else trainee
    begin = time.perf_counter()
    for step in range(done + 1, args.steps + 1):
        parts = train_step(args, photos, trainee, run, optimiser, step)
        spent = time.perf_counter() - begin
        if step % 100 == 0:
            log = " ".join(f"{name} {part:.3f}" for name, part in parts.items())
            print(f"step {step} of {args.steps} {log} {(step - done) * args.batch / spent:.0f} crops/s", flush=True)
        if step % args.every == 0 or step == args.steps:
            write_checkpoint(checkpoint, trainee, optimiser, step, seconds + spent)
            facts = {"steps": step, "crops": step * args.batch, "seconds": round(seconds + spent), "seed": args.seed}
            facts["accuracy"] = round(accuracy(trainee, photos), 4)
            save(trainee, photos, args, facts)
            print(facts, flush=True)


def train_step(
    args: argparse.Namespace, photos: Photos, trainee: Trainee, run: nn.Module, optimiser: torch.optim.Optimizer, step: int
) -> dict[str, float]:
    """One batch; all its chance comes from the seed and the step, so that a resumed training sees the same crops."""
    rng = np.random.default_rng([args.seed, step - 1])
    indices = rng.choice(torch.nonzero(~photos.held).flatten().numpy(), args.batch)
    size = args.size if step <= 0.75 * args.steps else args.size * 4 // 3
    for group in optimiser.param_groups:
        group["lr"] = rate(step, args.steps)
    batch = with_noise(crops(photos, indices, size, rng), rng)
    total, parts = loss_of(run, batch, photos.label[indices], torch.from_numpy(indices))
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    nn.utils.clip_grad_norm_(trainee.parameters(), 5.0)
    optimiser.step()
    return parts


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Every setting of a training, with its default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path, help="folders or zip files of images")
    parser.add_argument("-o", "--out", type=Path, required=True, help="weights to write (.safetensors)")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=500, help="steps between two checkpoints")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=48, help="side of the crops; the last quarter uses 4/3 of it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="compile the network first (needs a C++ compiler)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the photographs and train."""
    args = parse(arguments)
    torch.manual_seed(args.seed)
    photos = read_photos(args.photos)
    print(f"{len(photos.pictures)} photographs, {len(photos.classes)} classes, {int(photos.held.sum())} held out", flush=True)
    trainee = Trainee(max(1, len(photos.classes)), len(photos.pictures))
    train(args, photos, trainee.to(memory_format=torch.channels_last))


if __name__ == "__main__":
    main()
