"""Training of the fast network. A step is a function of its number: crops, mirroring and styles come from a generator seeded
with it, so that a training that was killed goes on bit for bit as if nothing had happened."""

import hashlib
import io
import math
import os
import threading
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from nstutils import images, losses
from nstutils.backbones import CONTENT_LAYERS, STYLE_LAYERS, FeatureExtractor, converted
from nstutils.fast import network as fast
from nstutils.fast.options import TrainOptions
from nstutils.library import files, pictures
from nstutils.library.decoding import from_pil, in_srgb, opened
from nstutils.library.errors import UserError
from nstutils.library.weights import backbone
from nstutils.losses import Activations, ContentLoss, StyleLoss, Terms, TVLoss
from nstutils.runs import preflight, store
from nstutils.runs.devices import choose
from nstutils.runs.stopping import interruptible
from nstutils.runs.tasks import check_style, identity
from nstutils.runs.tiles import View

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
HELD_OUT = ("town", "hills", "coast")  # shipped pictures that no training sees
WARM_UP = 50  # steps in which the learning rate rises
ROW = 10  # steps that share a row of the history
ENLARGED = 1.5  # at most, is a crop: small photographs still give several


class Photographs:
    """The pictures of a folder, of a zip file, or (None) those inside scikit-image; each is read when it is asked for."""

    def __init__(self, where: str | os.PathLike[str] | None = None):
        self.where = None if where is None else Path(os.path.expanduser(where))
        self.archive: zipfile.ZipFile | None = None
        if self.where is None:
            found = list(pictures.PHOTOGRAPHS)
        elif self.where.is_dir():
            found = [path.relative_to(self.where).as_posix() for path in self.where.rglob("*") if path.is_file()]
        elif zipfile.is_zipfile(self.where):
            self.archive = zipfile.ZipFile(self.where)  # stays open: its list of names alone takes a second to read
            found = self.archive.namelist()
        else:
            where = os.fspath(self.where)
            raise FileNotFoundError(f"there are no photographs at {where!r}; give a folder or a zip file of them")
        self.names = sorted(found if self.where is None else filter(_is_photograph, found))
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
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
            raise UserError(f"{name} in {self.where} cannot be read ({files.reason(error)}); take it out") from error

    def open(self, index: int) -> Image.Image:
        """Photograph number `index`, as `images.load` sees it, in 8 bits."""
        data = io.BytesIO(self.read(index))
        try:
            with opened(data, self.names[index]) as file:
                picture = in_srgb(ImageOps.exif_transpose(file))
                plain = picture.mode == "RGB" and not picture.has_transparency_data
                return picture if plain else images.to_pil(from_pil(picture))
        except ValueError as error:
            raise UserError(f"{error}, or take it out of {self.where}") from error

    def crop(self, index: int, size: int, rng: np.random.Generator) -> np.ndarray:
        """A square crop, size x size x 3 in 8 bits: the whole photograph, or down to a part that has to be enlarged by half,
        mirrored half the time."""
        picture = self.open(index)
        short = min(picture.size)
        side = min(short, math.exp(rng.uniform(math.log(min(size / ENLARGED, short)), math.log(short))))
        left, top = rng.uniform(0, picture.width - side), rng.uniform(0, picture.height - side)
        box = (left, top, left + side, top + side)
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0))
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _is_photograph(name: str) -> bool:
    """Whether a file is a picture that its owner sees: not hidden, and none of those that macOS puts beside others."""
    parts = name.split("/")
    return name.lower().endswith(SUFFIXES) and not any(part.startswith(".") or part == "__MACOSX" for part in parts)


@dataclass(frozen=True)
class GridLoss:
    """What repeats every 4 pixels, as the grid of a network that enlarges twice by two does: the variance within the mean
    4 x 4 tile of each window of 32 x 32 pixels. What belongs to the picture differs from tile to tile and cancels."""

    layers: tuple[str, ...] = ()

    def __call__(self, image: Tensor, activations: Activations) -> Tensor:
        height, width = (n // 32 * 32 for n in image.shape[-2:])
        windows = image[..., :height, :width].unflatten(3, (-1, 8, 4)).unflatten(2, (-1, 8, 4))
        return windows.mean((3, 6)).var((3, 5), correction=0).mean((1, 2, 3))


@dataclass(frozen=True)
class Aim:
    """What the losses aim at: by layer the Gram matrices of every style, kappa of each, and the share each style takes."""

    grams: Mapping[str, Tensor]
    kappa: Tensor
    share: Tensor  # 1 / (β · mean L_style of photographs), so that every style counts alike

    def terms(self, net: FeatureExtractor, crops: Tensor, of: Tensor, options: TrainOptions) -> Terms:
        """The terms of a batch: picture k is to have the content of crop k and style number of[k]."""
        with torch.no_grad():
            content = net(crops, CONTENT_LAYERS[net.family])
        style = StyleLoss({layer: gram[of] for layer, gram in self.grams.items()})
        weight = options.alpha * self.kappa[of]
        terms: Terms = {"content": (weight, ContentLoss(content)), "style": (options.beta, style), "tv": (options.tv, TVLoss())}
        return {**terms, "grid": (options.grid / self.share[of], GridLoss())} if options.grid else terms


@torch.no_grad()
def aim(exact: FeatureExtractor, artworks: Sequence[Tensor], crops: Tensor, options: TrainOptions) -> Aim:
    """Targets of all styles; κ as in the course, its two losses averaged over `crops`."""
    layers, content = STYLE_LAYERS[exact.family], CONTENT_LAYERS[exact.family]
    fitted = [images.resize(artwork, options.style_size) for artwork in artworks]
    parts = [preflight.tile_for(exact, layers, (a.shape[-2], a.shape[-1]), None, "style_size") for a in fitted]
    each = [View(exact, tile).grams(a, layers) for a, tile in zip(fitted, parts, strict=True)]
    seen = exact(crops, (*content, *layers))
    kappas, shares = [], []
    for artwork, wanted in zip(artworks, each, strict=True):
        own = exact(images.cover(artwork, (options.size, options.size)), content)
        lost = ContentLoss({layer: seen[layer] for layer in content})(crops, {a: own[a].expand_as(seen[a]) for a in content})
        missing = StyleLoss(wanted)(crops, seen)
        kappas.append(1e3 * missing.mean() / lost.mean())
        shares.append(1 / (options.beta * missing.mean()))
    grams = {layer: torch.cat([found[layer] for found in each]) for layer in layers}
    return Aim(grams, torch.stack(kappas), torch.stack(shares))


@dataclass(frozen=True)
class FastStep:
    """What one step saw: the mean raw losses of its batch, and the total relative to that of pictures left as they are."""

    index: int
    losses: dict[str, float]
    total: float
    net: fast.TransformNet


@dataclass
class Training:
    """A network in training, where it stands, and all that its next step needs."""

    options: TrainOptions
    card: dict[str, Any]
    net: fast.TransformNet
    optimiser: torch.optim.Optimizer
    judge: FeatureExtractor  # the loss network
    aim: Aim
    done: int = 0
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)  # the history, a row every ROW steps
    recent: list[dict[str, float]] = field(default_factory=list)  # the steps of the next row

    @property
    def finished(self) -> bool:
        """Whether all steps were done."""
        return self.done == self.options.steps

    @property
    def history(self) -> dict[str, Any]:
        """The seconds so far, and the mean losses of every ROW steps."""
        return {"seconds": self.seconds, "steps": self.rows}


def train(
    styles: Sequence[str | os.PathLike[str]],
    photographs: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = False,
    every: float = 60.0,
    watch: Callable[[FastStep], None] = lambda _: None,
    stop: threading.Event | None = None,
    **options: Any,
) -> Training:
    """A network that paints in every one of `styles`, trained on `photographs` (a folder, a zip file; None: scikit-image's).

    `options` are the fields of `TrainOptions`. At `out` the network is saved, with OUT.preview.jpg, OUT.run.json and, every
    `every` seconds while it is unfinished, OUT.state.safetensors; `resume` goes on from that, exactly.
    """
    target = files.writable(out, (".safetensors",)) if out is not None else None
    if resume and not target:
        raise UserError("resume needs out: give the network whose unfinished training is to go on")
    run = _begin(styles, photos := Photographs(photographs), TrainOptions(**options))
    if resume and target:
        _restore(run, target)
    saved = time.perf_counter()
    bar = tqdm(total=run.options.steps, initial=run.done, disable=not progress, desc="training", unit="step", delay=0.3)
    with interruptible() as halt, bar:
        for step in _steps(run, photos):
            bar.set_postfix(loss=f"{step.total:.3f}", refresh=False)
            bar.update()
            watch(step)
            if halt.is_set() or (stop and stop.is_set()):
                break
            if target and time.perf_counter() - saved > every:
                _keep(run, target)
                saved = time.perf_counter()
    run.net.eval()
    if target:
        _keep(run, target)
    return run


def _begin(styles: Sequence[str | os.PathLike[str]], photos: Photographs, options: TrainOptions) -> Training:
    """Everything at step 0; the first values of the network are drawn from the seed."""
    device, dtype = choose("auto", options.dtype)
    exact = backbone(options.backbone).to(device)
    names = [Path(style).stem.removeprefix("style_") for style in styles]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        net = fast.TransformNet(names, width=options.width, blocks=options.blocks, norm=options.norm, up=options.up).to(device)
    settings = asdict(options) | {"dtype": str(dtype).removeprefix("torch.")}
    if options.begin:
        _take_over(net, options.begin)
        settings["begin"] = fast.facts(options.begin)["sha256"]
    artworks = [images.load(style).to(device) for style in styles]
    for artwork, name in zip(artworks, names, strict=True):
        check_style(exact, STYLE_LAYERS[exact.family], options.style_size, artwork, name)
    before = range(-1, -1 - max(1, 16 // options.batch), -1)  # the steps before the first, whose crops no step sees
    wanted = aim(exact, artworks, torch.cat([batch(photos, len(names), options, k)[0] for k in before]).to(device), options)
    settings |= {"styles": [identity(style) for style in styles], "photographs": photos.identity}
    kappa = dict(zip(names, wanted.kappa.tolist(), strict=True))
    card = {"settings": settings, "versions": store.versions(), "kappa": kappa, "threads": torch.get_num_threads()}
    card |= {"backbone": exact.name, "weights_sha256": exact.sha256}
    optimiser = torch.optim.Adam(net.parameters(), options.lr)
    return Training(options, card, net, optimiser, converted(exact, dtype), wanted)


def _take_over(net: fast.TransformNet, begin: str) -> None:
    """The values of an earlier network, which has the same plan."""
    earlier = fast.load(begin)
    for name, value in net.plan.items():
        if earlier.plan[name] != value:
            raise UserError(f"{begin} has {name} {earlier.plan[name]}, not {value}; give those, or leave begin out")
    net.load_state_dict(earlier.state_dict())


def batch(photos: Photographs, styles: int, options: TrainOptions, number: int) -> tuple[Tensor, Tensor]:
    """The crops of step `number` (N x 3 x size x size) and the style each is to take; a function of seed and number alone."""
    rng = np.random.default_rng([options.seed, abs(number), number < 0])
    chosen = rng.integers(len(photos), size=options.batch)
    crops = np.stack([photos.crop(int(index), options.size, rng) for index in chosen])
    of = (np.arange(options.batch) + number * options.batch) % styles
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(255), torch.from_numpy(of)


def _steps(run: Training, photos: Photographs) -> Iterator[FastStep]:
    """The steps that are left, noted in the history; the next crops are read while one is computed."""
    begin = time.perf_counter() - run.seconds
    readers = max(1, (os.cpu_count() or 1) // 2)
    coming: deque[Future[tuple[Tensor, Tensor]]] = deque()
    with ThreadPoolExecutor(readers) as ahead:
        while not run.finished:
            while len(coming) <= readers:
                coming.append(ahead.submit(batch, photos, len(run.net.styles), run.options, run.done + len(coming) + 1))
            step = _step(run, *coming.popleft().result())
            run.seconds = time.perf_counter() - begin
            run.recent.append(step.losses | {"total": step.total})
            if len(run.recent) == ROW or run.finished:
                mean = {name: sum(row[name] for row in run.recent) / len(run.recent) for name in run.recent[0]}
                run.rows.append({"step": run.done} | mean | {"seconds": run.seconds})
                run.recent.clear()
            yield step
        ahead.shutdown(cancel_futures=True)


def _step(run: Training, crops: Tensor, of: Tensor) -> FastStep:
    """One batch through the network, its losses, one update."""
    options, number = run.options, run.done + 1
    fade = 0.5 * (1 + math.cos(math.pi * (number - 1) / options.steps))
    run.optimiser.param_groups[0]["lr"] = options.lr * min(1, number / WARM_UP) * fade
    device = run.judge.weight.device
    crops, of = crops.to(device), of.to(device)
    shares = torch.eye(len(run.net.styles), device=device)[of]
    painted = run.net.train()(crops, shares, run.judge.weight.dtype)
    terms = run.aim.terms(run.judge, crops, of, options)
    found = losses.evaluate(run.judge, painted, terms)
    total = (losses.total(found, terms) * run.aim.share[of]).mean()
    if not bool(total.isfinite()):
        raise ArithmeticError(f"the losses are no numbers any more at step {number}; give a lower lr than {options.lr:g}")
    run.optimiser.zero_grad()
    total.backward()
    run.optimiser.step()
    run.done = number
    return FastStep(number, {name: float(loss.detach().mean()) for name, loss in found.items()}, float(total.detach()), run.net)


STANDS = ("card", "done", "seconds", "rows", "recent")  # what is kept of a training, beside its network and optimiser


def _keep(run: Training, target: Path) -> None:
    """Write what there is: the state to go on from first, and away with it when all is done."""
    if not run.finished:
        state: dict[str, Any] = {"net": run.net.state_dict(), "optimiser": run.optimiser.state_dict()}
        store.save_state({name: getattr(run, name) for name in STANDS} | state, store.state_path(target))
    card = run.card | {"finished": run.finished, "history": run.history}
    store.write_json(store.sealed(card), store.card_path(target))
    images.save(preview(run.net), target.with_name(target.name + ".preview.jpg"))
    fast.save(run.net, target, {key: run.card[key] for key in ("settings", "backbone", "weights_sha256", "kappa")})
    if run.finished:
        store.state_path(target).unlink(missing_ok=True)


def _restore(run: Training, target: Path) -> None:
    """Put the run where the one at `target` stood; refuses one with other settings."""
    path = store.state_path(target)
    if not path.exists() and target.exists() and (card := store.read_card(target)).get("finished"):
        history, net = card["history"], fast.load(target).state_dict()
        saved = {"card": card, "net": net, "done": run.options.steps, "seconds": history["seconds"]}
        saved |= {"rows": history["steps"], "recent": []}
    else:
        saved = store.load_state(path)
        if "optimiser" not in saved:
            raise UserError(f"{path} is not the state of a training; begin afresh under another name")
    store.refuse_other(target, saved["card"], run.card["settings"])
    run.net.load_state_dict(saved["net"])
    if "optimiser" in saved:
        by_number = {int(number): moments for number, moments in saved["optimiser"]["state"].items()}
        run.optimiser.load_state_dict(saved["optimiser"] | {"state": by_number})
    run.done, run.seconds, run.rows, run.recent = (saved[name] for name in STANDS[1:])


def rehearse(
    batches: Iterable[Tensor], painter: torch.nn.Module, loss: Callable[[Tensor, Tensor], Tensor], lr: float
) -> list[float]:
    """A short training without judge, checkpoints or photographs, by NAdam; the loss of every step."""
    optimiser, found = torch.optim.NAdam(painter.parameters(), lr), []
    for crops in batches:
        optimiser.zero_grad()
        value = loss(painter(crops), crops)
        value.backward()
        optimiser.step()
        found.append(value.item())
    return found


def preview(net: fast.TransformNet, names: Sequence[str] = HELD_OUT, size: tuple[int, int] = (192, 256)) -> Tensor:
    """Pictures down and, beside each, what the network makes of it in every style."""
    rows = []
    for name in names:
        picture = images.cover(images.load(name), size)
        rows.append(torch.cat([picture, *(fast.apply(net, picture, k) for k in range(len(net.styles)))], -1))
    return torch.cat(rows, -2)
