"""A run made ready: the targets of all scales computed, the terms that its steps minimise (of several runs as one batch), and
the card that tells what makes its picture again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import guidance, images
from nstutils.descent import Schedule, Stage, at
from nstutils.distances import CloudLoss, targets_of
from nstutils.library.errors import UserError
from nstutils.library.weights import backbone
from nstutils.losses import ContentLoss, Mixture, StyleLoss, Terms, TVLoss, total, weighed
from nstutils.results import Result
from nstutils.runs import preflight, store
from nstutils.runs.options import Options
from nstutils.runs.tasks import Masks, Network, Picture, Pictures, Task, accept, look, read, resolved
from nstutils.runs.tiles import Size, View

Style = StyleLoss | CloudLoss


@dataclass(frozen=True)
class Scale:
    """One scale of a run: the sizes of the picture and of the styles, how they are looked at, how masks reach the layers."""

    size: Size
    steps: int
    styles: tuple[Size, ...]
    view: View
    views: tuple[View, ...]  # one a style
    mode: str


def _scales(task: Task, given: Pictures, made: Mapping[str, Any]) -> list[Scale]:
    """The scales of a run, coarse to fine; `made` is the card of one that goes on with its tile."""
    o, exact, wanted = task.options, task.exact, task.sizes(given.content)
    steps = task.steps - (task.draft.steps if task.draft else 0)
    fitted = [tuple(task.style_sizes(given.styles, max(size))) for size in wanted]
    chosen = o.tile or preflight.tile_for(task.net, task.layers, wanted[-1], o.method)
    view = View(exact, made.get("tile", chosen))
    tiles = [o.tile or preflight.tile_for(exact, task.style_layers, size, None, "style_size") for size in fitted[-1]]
    views, scales = tuple(View(exact, tile) for tile in tiles), []
    if o.style_loss != "gram":
        _refuse_tiles(task, [(view, wanted[-1]), *zip(views, fitted[-1], strict=True)])
    for number, (size, own) in enumerate(zip(wanted, fitted, strict=True)):
        mode = o.guide_mode if number == len(wanted) - 1 else _mode(task, given.masks, size, own)
        count = steps // len(wanted) + (number < steps % len(wanted))  # the first take the rest
        scales.append(Scale(size, count, own, view, views, mode))
    return scales


def _refuse_tiles(task: Task, looks: Sequence[tuple[View, Size]]) -> None:
    """Refuse a distance that is no sum over tiles where a tile is asked for, or would be by memory: it takes up to 1.9 times
    Gram's estimate (classroom in bfloat16, 1024 px)."""
    need = 2 * preflight.memory(View(task.net), task.layers, looks[0][1], task.options.method)
    if not all(view.whole(size) for view, size in looks) or need > preflight.free_memory(task.net.weight.device):
        raise UserError(
            f"style_loss {task.options.style_loss!r} compares pictures as wholes, and these are to be computed in tiles, or "
            f"take more memory than there is ({need / 1e9:.1f} GB); give a smaller size and style_size, leave tile out, or "
            "take gram"
        )


def _mode(task: Task, masks: Masks, size: Size, styles: Sequence[Size]) -> str:
    """How masks are propagated at a scale before the last: as asked for, but 'simple' where that leaves a guide empty."""
    mode = task.options.guide_mode
    for pair, own in zip(masks, styles, strict=False):  # no masks, no pairs
        scaled = [F.adaptive_avg_pool2d(mask, shape) for mask, shape in zip(pair, (size, own), strict=True)]
        if not all(guidance.reaches(mask, task.exact, task.style_layers, mode) for mask in scaled):
            return "simple"
    return mode


@dataclass(frozen=True)
class Targets:
    """What the losses of one scale aim at, and kappa, which brings the content loss to the units of the style loss."""

    size: Size
    content: ContentLoss
    styles: tuple[Style, ...]  # one, or one a region, or one a style where they cannot be blended before
    style_errors: Mapping[str, float]  # E_l of x = p, by layer, and the content error of x = a: what kappa is made of
    content_errors: Mapping[str, float]
    raw: bool  # whether kappa is 1
    steps: int = 0

    @property
    def kappa(self) -> float:
        """κ = 10³ · L_style(x = p) / L_content(x = a), the artworks cut to the frame of p: with it α/β = 10⁻³ weighs keeping
        all of the content as taking all of the style, on every network, at every size. It is 1 where one of the two is zero."""
        style = sum(self.style_errors.values()) / len(self.style_errors)
        lost = sum(self.content_errors.values())
        return 1e3 * style / lost if style > 0 and lost > 0 and not self.raw else 1.0


@torch.no_grad()
def _targets(task: Task, given: Pictures, scale: Scale) -> Targets:
    """The targets at a scale: activations of the content, Gram matrices of the styles, kappa."""
    p = images.resize(given.content, scale.size)
    task.exact.check(task.layers, p)
    content = ContentLoss(scale.view.activations(p, task.content_layers))
    artworks = [images.resize(a, shape) for a, shape in zip(given.styles, scale.styles, strict=True)]
    looks = zip(artworks, scale.views, given.masks or [()] * len(artworks), strict=True)
    styles = [_style(task, scale, *look) for look in looks]
    if task.options.style_loss == "gram" and not given.masks:  # the mean of Gram matrices is one again
        shares, grams = task.style_weights, {k: [loss.targets[k] for loss in styles] for k in task.style_layers}
        styles = [StyleLoss({k: weighed(each, shares, 1.0) / sum(shares) for k, each in grams.items()})]
    missing = _errors(scale.view, styles, [p])
    lost = _errors(scale.view, [content], [images.cover(a, scale.size) for a in given.styles])
    return Targets(scale.size, content, tuple(styles), missing, lost, task.options.raw_loss, scale.steps)


def _style(task: Task, scale: Scale, artwork: Tensor, view: View, masks: Sequence[Tensor]) -> Style:
    """The style loss whose target is an artwork; with masks a part of it, for a region of the photograph."""
    kind, layers, there, taken = task.options.style_loss, task.style_layers, None, None
    if masks:
        there, taken = (
            guidance.propagate(F.adaptive_avg_pool2d(mask, shape), task.exact, layers, scale.mode)
            for mask, shape in zip(masks, (scale.size, (artwork.shape[-2], artwork.shape[-1])), strict=True)
        )
    if kind == "gram":
        return StyleLoss(view.grams(artwork, layers, taken), guides=there)
    return CloudLoss(kind, targets_of(kind, view.activations(artwork, layers), taken), guides=there)


def _errors(view: View, losses: Sequence[Any], pictures: Sequence[Tensor]) -> dict[str, float]:
    """The error of each layer, the mean over losses and pictures."""
    apart: Terms = {
        f"{number} {layer}": (1.0, replace(loss, targets={layer: target}))
        for number, loss in enumerate(losses)
        for layer, target in loss.targets.items()
    }
    sums = dict.fromkeys(losses[0].layers, 0.0)
    for picture in pictures:
        for name, error in view.losses(picture, apart).items():
            sums[name.partition(" ")[2]] += float(error)
    return {layer: value / (len(losses) * len(pictures)) for layer, value in sums.items()}


@dataclass(frozen=True, eq=False)
class Problem:
    """A run made ready."""

    task: Task
    pictures: Pictures
    net: View  # in the number type of the steps, and in the tiles that the memory asks for
    scales: tuple[Targets, ...]  # coarse to fine
    regions: dict[str, Any] | None = None  # with guides: their pixels and modes, as `_regions` counts them for the card
    draft: "Problem | None" = None  # the network's copy, made ready for the steps that come first

    def start(self) -> Tensor:
        """The start picture, at the coarsest scale."""
        if self.draft:
            return self.draft.start()
        o, given, size, full = self.task.options, self.pictures, self.scales[0].size, self.scales[-1].size
        if o.init in ("noise", "faint"):
            drawn = images.noise if o.init == "noise" else images.faint
            return drawn(size, o.seed).to(given.content)
        if o.init == "stripes":
            return images.resize(images.stripes(full), size).to(given.content)
        known = {"content": given.content, "style": given.styles[0]}
        picture = known[o.init] if o.init in known else read(o.init, "init", max(full)).to(given.content)
        return images.cover(picture, size)

    def stages(self) -> list[Stage]:
        """The draft's stages, then one a scale."""
        stages = [replace(stage, net=self.draft.net) for stage in self.draft.stages()] if self.draft else []
        for targets in self.scales:
            before = sum(stage.steps for stage in stages)
            stages.append(Stage(targets.size, targets.steps, self._schedule(targets, before)))
        return stages

    @property
    def terms(self) -> Terms:
        """What the last step minimises, at full size: the measure of a picture."""
        last = self.stages()[-1]
        return at(last.terms, last.steps)

    def _schedule(self, targets: Targets, before: int) -> Schedule:
        """The terms of a scale that begins after `before` steps; a function of the step where layer weights change."""
        terms = {first: self._terms(targets, weights) for first, weights in self.task.layer_weights.items()}
        if len(terms) == 1:
            return terms[1]
        return lambda index: terms[max(first for first in terms if first <= before + index)]

    def _terms(self, targets: Targets, weights: Sequence[float]) -> Terms:
        o, shares = self.task.options, self.task.style_weights
        styles = [replace(loss, weights=weights) for loss in targets.styles]
        style = styles[0] if len(styles) == 1 else Mixture(tuple(styles), tuple(w / sum(shares) for w in shares))
        return {"content": (o.alpha * targets.kappa, targets.content), "style": (o.beta, style), "tv": (o.tv, TVLoss())}


def prepare(
    content: Picture,
    style: Picture | Sequence[Picture],
    options: Options,
    say: Callable[[str], Any] | None = None,
    made: Mapping[str, Any] | None = None,
    network: Network = backbone,
) -> Problem:
    """Load and check all that the options name, and compute the targets of every scale. `say` is told how long a long run will
    take, and where masks leave gaps or overlap; `made`: the card of a run to go on with its tile; `network` finds backbones."""
    task = accept(content, style, options, network)
    given = look(task)
    scales = _scales(task, given, made or {})
    parts = [(task.draft, _scales(task.draft, given, {"tile": scales[-1].view.tile}))] if task.draft else []
    parts.append((task, scales))
    words = preflight.announcement([_ahead(*part) for part in parts]) if say else ""
    if say and words:
        say(words)
    *draft, whole = (_problem(one, given, own) for one, own in parts)
    for name, means in (("gap", "belong to no region and take no style"), ("overlap", "take more than one style")):
        if say and whole.regions and whole.regions[name]:
            say(f"masks: {whole.regions[name]} of {whole.regions['pixels']} pixels {means}")
    return replace(whole, draft=draft[0]) if draft else whole


def _ahead(task: Task, scales: Sequence[Scale]) -> preflight.Ahead:
    """Steps and passes of the scales: the photograph is looked at twice, an artwork in its frame and at its own size."""
    passes = []
    for scale in scales:
        passes += [(scale.view, scale.size)] * (2 + len(scale.styles)) + list(zip(scale.views, scale.styles, strict=True))
    steps = [(scale.size, scale.steps) for scale in scales]
    style = task.options.style_loss, task.style_layers
    return preflight.Ahead(View(task.net, scales[-1].view.tile), task.layers, task.options.method, steps, passes, style)


def _problem(task: Task, given: Pictures, scales: Sequence[Scale]) -> Problem:
    """The targets of all scales, and what else a run needs."""
    targets = tuple(_targets(task, given, scale) for scale in scales)
    regions = _regions(given.masks, scales) if given.masks else None
    return Problem(task, given, View(task.net, scales[-1].view.tile), targets, regions)


def _regions(masks: Masks, scales: Sequence[Scale]) -> dict[str, Any]:
    """What the card tells: pixels of the photograph's regions and of each style's part ([inside, in all]), mode by size."""
    taken = [[guidance.coverage([part])["regions"][0], part.numel()] for _, part in masks]
    modes = {str(max(scale.size)): scale.mode for scale in scales}
    return guidance.coverage([region for region, _ in masks]) | {"taken": taken, "modes": modes}


def reweighed(problem: Problem, options: Options, settings: dict[str, Any]) -> Problem:
    """The problem of another run that has the same targets, with its own weights and start."""
    old = problem.task
    task = replace(resolved(old.content, old.styles, options, old.exact, old.dtype), settings=settings)
    scales = tuple(replace(one, raw=options.raw_loss) for one in problem.scales)
    return replace(problem, task=task, scales=scales)


def joined(terms: Sequence[Terms], device: torch.device | None = None) -> Terms:
    """The terms of a batch: picture k has the weights and targets of `terms[k]`, all with the names and kinds of the first."""
    batch = {}
    for name, (_, loss) in terms[0].items():
        weights, losses = zip(*(part[name] for part in terms), strict=True)
        batch[name] = (_each(weights, device), loss if isinstance(loss, TVLoss) else _stacked(losses))
    return batch


def _stacked(losses: Sequence[Any]) -> ContentLoss | StyleLoss:
    """One content or style loss for a batch."""
    first, kind = losses[0], type(losses[0])
    same = all(type(loss) is kind and loss.layers == first.layers for loss in losses)
    if kind not in (ContentLoss, StyleLoss) or not same or any(getattr(loss, "guides", None) for loss in losses):
        raise UserError("only content and style losses of one kind, of the same layers and without guides, can share a batch; "
                        "minimise these one by one")  # fmt: skip
    targets = {}
    for layer in first.layers:
        each = [loss.targets[layer] for loss in losses]
        targets[layer] = each[0] if all(one is each[0] for one in each) else torch.cat(each)
    usual = [1.0 if kind is ContentLoss else 1 / len(targets)] * len(targets)
    given = [usual if loss.weights is None else loss.weights for loss in losses]
    device = next(iter(targets.values())).device
    return kind(targets, [_each(values, device) for values in zip(*given, strict=True)])


def _each(weights: Sequence[float | Tensor], device: torch.device | None) -> float | Tensor:
    """One number a picture; a plain number where all are equal."""
    values = [float(weight) for weight in weights]
    return values[0] if len(set(values)) == 1 else torch.tensor(values, device=device)


def run_card(problem: Problem) -> dict[str, Any]:
    """All that is needed to make the picture again."""
    card = {"settings": problem.task.settings, "seed": problem.task.options.seed, **_units(problem)}
    card |= {"versions": store.versions(), "threads": torch.get_num_threads(), "tile": problem.net.tile}
    if problem.regions:
        card["regions"] = problem.regions
    if problem.draft:
        card["draft"] = _units(problem.draft) | {"steps": problem.draft.task.steps}
    return card


def _units(problem: Problem) -> dict[str, Any]:
    """Whose losses these are: the network, its weights, and kappa."""
    net, scales = problem.task.exact, problem.scales
    kappa = {"kappa": scales[-1].kappa, "kappa_by_size": {str(max(one.size)): one.kappa for one in scales}}
    return {"backbone": net.name, "weights_sha256": net.sha256, **kappa}


def head(card: dict[str, Any], setup: float) -> dict[str, Any]:
    """What a history says before its steps: whose network, in which units, how long the setting up took."""
    return {name: card[name] for name in ("backbone", "weights_sha256", "kappa")} | {"setup_seconds": setup}


def measured(problem: Problem, result: Result) -> Result:
    """The result with its losses measured in float32 on the 8-bit pixels that are saved."""
    terms = problem.terms
    losses = View(problem.task.exact, problem.net.tile).losses(result.image.mul(255).round().div(255), terms)
    final = {name: float(value) for name, value in (losses | {"total": total(losses, terms)}).items()}
    return replace(result, history=result.history | {"final": final})


def recoloured(problem: Problem, image: Tensor) -> Tensor:
    """The picture with the photograph's colours, where the run is one of brightness alone."""
    if problem.task.options.keep_colour != "luminance":
        return image
    return images.with_luminance_of(image, images.resize(problem.pictures.photograph, (image.shape[-2], image.shape[-1])))
