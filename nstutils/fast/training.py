"""Training of the fast network: photographs in, the losses of the course, checkpoints from which it goes on exactly.

A step is a function of its number: the crops, their mirroring and their styles come from a generator seeded with it. So a
training that was killed goes on bit for bit as if nothing had happened.
"""

import hashlib
import math
import os
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images, losses
from nstutils.backbones import CONTENT_LAYERS, STYLE_LAYERS, FeatureExtractor, converted
from nstutils.descent import interruptible
from nstutils.fast import network as fast
from nstutils.fast.recipe import Recipe
from nstutils.library import files, pictures
from nstutils.library.errors import UserError
from nstutils.library.weights import backbone
from nstutils.losses import ContentLoss, StyleLoss, Terms, TVLoss
from nstutils.runs import preflight, store
from nstutils.runs.devices import choose
from nstutils.runs.resolve import check_style, identity
from nstutils.runs.tiles import View

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
OFFLINE = tuple(pictures.PHOTOGRAPHS)  # the photographs inside scikit-image
HELD_OUT = ("town", "hills", "coast")  # shipped pictures that no training sees
WARM_UP = 50  # steps in which the learning rate rises
ROW = 10  # steps that share a row of the history


class Photographs:
    """The pictures of a folder, of a zip file, or (None) those inside scikit-image; each is read when it is asked for."""

    def __init__(self, where: str | os.PathLike[str] | None = None):
        self.where = None if where is None else Path(os.path.expanduser(where))
        self.archive: zipfile.ZipFile | None = None
        if self.where is None:
            self.names = sorted(OFFLINE)
        elif self.where.is_dir():
            found = (path for path in self.where.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
            self.names = sorted(name for path in found if _seen(name := path.relative_to(self.where).as_posix()))
        elif zipfile.is_zipfile(self.where):
            self.archive = zipfile.ZipFile(self.where)  # stays open: its list of names alone takes a second to read
            self.names = sorted(n for n in self.archive.namelist() if n.lower().endswith(SUFFIXES) and _seen(n))
        else:
            raise FileNotFoundError(
                f"there are no photographs at {os.fspath(self.where)!r}; give a folder or a zip file of them"
            )
        if not self.names:
            raise UserError(f"{where} holds no picture; give a folder or a zip file with {', '.join(SUFFIXES)} in it")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def identity(self) -> dict[str, Any]:
        """How many they are and the sha256 of their names and sums: trainings with equal ones saw the same photographs."""
        if self.archive:  # which knows the sums of its files
            sums = [self.archive.getinfo(name).CRC for name in self.names]
        else:
            sums = [zlib.crc32(self.read(index)) for index in range(len(self))]
        told = "\n".join(f"{name} {number}" for name, number in zip(self.names, sums, strict=True))
        sha256 = hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()
        return {"name": self.where.name if self.where else "scikit-image", "count": len(self), "sha256": sha256}

    def read(self, index: int) -> bytes:
        """The file of photograph number `index`."""
        name = self.names[index]
        try:
            if self.archive:
                return self.archive.read(name)
            return (self.where / name if self.where else pictures.find(name)).read_bytes()
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise UserError(f"{name} in {self.where} cannot be read ({files.reason(error)}); take it out") from error

    def open(self, index: int) -> Image.Image:
        """Photograph number `index`, as `images.load` sees it, in 8 bits."""
        name, data = self.names[index], self.read(index)
        try:
            return images.eight_bits(data, name)
        except ValueError as error:
            raise UserError(f"{error}, or take it out of {self.where}") from error

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """A square crop, size x size x 3 in 8 bits: from as sharp as it is to the whole photograph, mirrored half the time."""
        picture = self.open(index)
        short = min(picture.size)
        side = min(short, math.exp(rng.uniform(math.log(min(size, short)), math.log(short))))
        left, top = rng.uniform(0, picture.width - side), rng.uniform(0, picture.height - side)
        box = (left, top, left + side, top + side)
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0))
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _seen(name: str) -> bool:
    """Whether a file is one that its owner sees: not hidden, and none of those that macOS puts beside others."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


@dataclass(frozen=True)
class Aim:
    """What the losses aim at: by layer the Gram matrices of every style, kappa of each, and the share each style takes."""

    grams: Mapping[str, Tensor]
    kappa: Tensor
    share: Tensor  # 1 / (β · mean L_style of photographs), so that every style counts alike

    def terms(self, net: FeatureExtractor, crops: Tensor, of: Tensor, recipe: Recipe) -> Terms:
        """The terms of a batch: picture k is to have the content of crop k and style number of[k]."""
        with torch.no_grad():
            content = net(crops, CONTENT_LAYERS[net.family])
        style = StyleLoss({layer: gram[of] for layer, gram in self.grams.items()})
        weight = recipe.alpha * self.kappa[of]
        return {"content": (weight, ContentLoss(content)), "style": (recipe.beta, style), "tv": (recipe.tv, TVLoss())}


@torch.no_grad()
def aim(exact: FeatureExtractor, artworks: Sequence[Tensor], crops: Tensor, recipe: Recipe) -> Aim:
    """Targets of all styles; κ as everywhere in the course, its two losses averaged over `crops`."""
    layers, content = STYLE_LAYERS[exact.family], CONTENT_LAYERS[exact.family]
    fitted = [images.resize(artwork, recipe.style_size) for artwork in artworks]
    parts = [preflight.tile_for(exact, layers, (a.shape[-2], a.shape[-1]), None, "style_size") for a in fitted]
    each = [View(exact, tile).grams(a, layers) for a, tile in zip(fitted, parts, strict=True)]
    grams = {layer: torch.cat([found[layer] for found in each]) for layer in layers}
    seen = exact(crops, (*content, *layers))
    kappas, shares = [], []
    for k, artwork in enumerate(artworks):
        own = exact(images.cover(artwork, (recipe.size, recipe.size)), content)
        lost = ContentLoss({layer: seen[layer] for layer in content})(crops, {a: own[a].expand_as(seen[a]) for a in content})
        missing = StyleLoss({layer: grams[layer][k : k + 1] for layer in layers})(crops, seen)
        kappas.append(1e3 * missing.mean() / lost.mean())
        shares.append(1 / (recipe.beta * missing.mean()))
    return Aim(grams, torch.stack(kappas), torch.stack(shares))


@dataclass(frozen=True)
class FastStep:
    """What one step saw: the mean raw losses of its batch, and the total relative to that of pictures left as they are."""

    index: int
    losses: dict[str, float]
    total: float
    net: fast.TransformNet


@dataclass(frozen=True)
class Trained:
    """A network, the settings and history of its training, and whether all steps were done."""

    net: fast.TransformNet
    card: dict[str, Any]
    history: dict[str, Any]
    finished: bool


def train(
    styles: Sequence[str | os.PathLike[str]],
    photographs: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = False,
    every: float = 60.0,
    watch: Callable[[FastStep], None] | None = None,
    stop: threading.Event | None = None,
    **recipe: Any,
) -> Trained:
    """A network that paints in every one of `styles`, trained on `photographs` (a folder, a zip file; None: scikit-image's).

    `recipe` are the fields of `Recipe`. With `out` the network is saved there, with OUT.preview.jpg (held-out pictures),
    OUT.run.json and, while it is unfinished, OUT.state.safetensors every `every` seconds; `resume` goes on from that, exactly.
    """
    target = files.writable(out, (".safetensors",)) if out is not None else None
    if resume and not target:
        raise UserError("resume needs out: give the network whose unfinished training is to go on")
    chosen, photos = Recipe(**recipe), Photographs(photographs)
    run = _begin(styles, photos, chosen)
    if resume and target:
        _restore(run, target)
    spent, begin, saved = run.seconds, time.perf_counter(), time.perf_counter()
    bar = tqdm(total=chosen.steps, initial=run.done, disable=not progress, desc="training", unit="step", delay=0.3)
    with interruptible() as halt, bar:
        for step in _steps(run, photos):
            run.seconds = spent + time.perf_counter() - begin
            _note(run, step)
            _show(bar, run, step)
            if watch:
                watch(step)
            if halt.is_set() or (stop and stop.is_set()):
                break
            if target and time.perf_counter() - saved > every:
                _keep(run, target)
                saved = time.perf_counter()
    if target:
        _keep(run, target)
    return Trained(run.net.eval(), run.card, {"seconds": run.seconds, "steps": run.rows}, run.done == chosen.steps)


@dataclass
class _Run:
    """Where a training stands."""

    recipe: Recipe
    card: dict[str, Any]
    net: fast.TransformNet
    optimiser: torch.optim.Optimizer
    judge: FeatureExtractor  # the loss network
    aim: Aim
    done: int = 0
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)  # the history, a row every ROW steps
    recent: list[dict[str, float]] = field(default_factory=list)  # the steps of the next row


def _begin(styles: Sequence[str | os.PathLike[str]], photos: Photographs, recipe: Recipe) -> _Run:
    """Everything at step 0; the first values of the network are drawn from the seed."""
    device, dtype = choose("auto", recipe.dtype)
    exact = backbone(recipe.backbone).to(device)
    names = [Path(style).stem.removeprefix("style_") for style in styles]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = fast.TransformNet(names, width=recipe.width, blocks=recipe.blocks, norm=recipe.norm, up=recipe.up)
    net = net.to(device)
    optimiser = torch.optim.Adam(net.parameters(), recipe.lr)
    crops = torch.cat([batch(photos, len(names), recipe, -number)[0] for number in range(1, 1 + max(1, 16 // recipe.batch))])
    artworks = [images.load(style).to(device) for style in styles]
    for artwork, name in zip(artworks, names, strict=True):
        check_style(exact, STYLE_LAYERS[exact.family], recipe.style_size, artwork, name)
    wanted = aim(exact, artworks, crops.to(device), recipe)
    what: dict[str, Any] = asdict(recipe) | {"dtype": str(dtype).removeprefix("torch.")}
    what |= {"styles": [identity(style) for style in styles], "photographs": photos.identity}
    card: dict[str, Any] = {
        "settings": what,
        "backbone": exact.name,
        "weights_sha256": exact.sha256,
        "versions": store.versions(),
    }
    card |= {"kappa": dict(zip(names, wanted.kappa.tolist(), strict=True)), "threads": torch.get_num_threads()}
    return _Run(recipe, card, net, optimiser, converted(exact, dtype), wanted)


def batch(photos: Photographs, styles: int, recipe: Recipe, number: int) -> tuple[Tensor, Tensor]:
    """The crops of step `number` (N x 3 x size x size) and the style each is to take; a function of seed and number alone."""
    rng = np.random.default_rng([recipe.seed, abs(number), number < 0])
    chosen = rng.integers(len(photos), size=recipe.batch)
    crops = np.stack([photos.crop(int(index), recipe.size, rng) for index in chosen])
    of = (np.arange(recipe.batch) + number * recipe.batch) % styles
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255), torch.from_numpy(of)


def _steps(run: _Run, photos: Photographs) -> Iterator[FastStep]:
    """The steps that are left; the next crops are read while one is computed."""
    count = len(run.net.styles)
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(batch, photos, count, run.recipe, run.done + 1)
        while run.done < run.recipe.steps:
            crops, of = coming.result()
            coming = ahead.submit(batch, photos, count, run.recipe, run.done + 2)
            yield _step(run, crops, of)
        coming.cancel()


def _step(run: _Run, crops: Tensor, of: Tensor) -> FastStep:
    """One batch through the network, its losses, one update."""
    r, number = run.recipe, run.done + 1
    run.optimiser.param_groups[0]["lr"] = (
        r.lr * min(1, number / WARM_UP) * 0.5 * (1 + math.cos(math.pi * (number - 1) / r.steps))
    )
    device = run.judge.weight.device
    crops, of = crops.to(device), of.to(device)
    shares = torch.eye(len(run.net.styles), device=device)[of]
    painted = run.net.train()(crops, shares, run.judge.weight.dtype)
    terms = run.aim.terms(run.judge, crops, of, r)
    found = losses.evaluate(run.judge, painted, terms)
    total = (losses.total(found, terms) * run.aim.share[of]).mean()
    if not bool(total.isfinite()):
        raise ArithmeticError(f"the losses are no numbers any more at step {number}; give a lower lr than {r.lr:g}")
    run.optimiser.zero_grad()
    total.backward()
    run.optimiser.step()
    run.done = number
    return FastStep(number, {name: float(loss.detach().mean()) for name, loss in found.items()}, float(total.detach()), run.net)


def _note(run: _Run, step: FastStep) -> None:
    """Into the history: the mean of every ROW steps."""
    run.recent.append(step.losses | {"total": step.total})
    if len(run.recent) == ROW or run.done == run.recipe.steps:
        mean = {name: sum(row[name] for row in run.recent) / len(run.recent) for name in run.recent[0]}
        run.rows.append({"step": run.done} | mean | {"seconds": run.seconds})
        run.recent.clear()


def _show(bar: tqdm, run: _Run, step: FastStep) -> None:
    if not bar.disable:
        rate = run.done * run.recipe.batch / max(run.seconds, 1e-9)
        bar.set_postfix(loss=f"{step.total:.3f}", images_per_second=f"{rate:.1f}", refresh=False)
    bar.update()


def _keep(run: _Run, target: Path) -> None:
    """Write what there is: the state to go on from first, and away with it when all is done."""
    card = run.card | {"finished": run.done == run.recipe.steps, "history": {"seconds": run.seconds, "steps": run.rows}}
    if run.done < run.recipe.steps:
        state = {"card": run.card, "done": run.done, "seconds": run.seconds, "rows": run.rows, "recent": run.recent}
        state |= {"net": run.net.state_dict(), "optimiser": run.optimiser.state_dict()}
        store.save_state(state, store.state_path(target))
    store.write_json(store.sealed(card), store.card_path(target))
    images.save(preview(run.net), target.with_name(target.name + ".preview.jpg"))
    fast.save(run.net, target, {key: run.card[key] for key in ("settings", "backbone", "weights_sha256", "kappa")})
    if run.done == run.recipe.steps:
        store.state_path(target).unlink(missing_ok=True)


def _restore(run: _Run, target: Path) -> None:
    """Put the run where the unfinished one at `target` stood; refuses one with other settings."""
    path = store.state_path(target)
    if not path.exists() and target.exists() and store.read_card(target).get("finished"):
        card = store.read_card(target)
        saved: dict[str, Any] = {"card": card, "done": run.recipe.steps, "net": fast.load(target).state_dict()}
        saved |= {"rows": card["history"]["steps"], "seconds": card["history"]["seconds"]}
    else:
        saved = store.load_state(path)
        if "optimiser" not in saved:
            raise UserError(f"{path} is not the state of a training; begin afresh under another name")
    differ = store.differences(saved["card"].get("settings", {}), run.card["settings"])
    if differ:
        raise UserError(f"{target} was begun with other settings ({differ}); ask for these, or begin afresh under another name")
    run.net.load_state_dict(saved["net"])
    if "optimiser" in saved:
        run.optimiser.load_state_dict(saved["optimiser"])
    run.done, run.seconds, run.rows, run.recent = saved["done"], saved["seconds"], saved["rows"], saved.get("recent", [])


def preview(net: fast.TransformNet) -> Tensor:
    """The held-out pictures and, beside each, what the network makes of it in every style."""
    size = (192, 256)
    rows = []
    for name in HELD_OUT:
        picture = images.cover(images.load(name), size)
        rows.append(torch.cat([picture, *(fast.apply(net, picture, k) for k in range(len(net.styles)))], -1))
    return torch.cat(rows, -2)
