"""A run made ready: pictures, masks and networks loaded, every option resolved, the targets of all scales computed."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nstutils import guidance, images
from nstutils.backbones import CONTENT_LAYERS, STYLE_LAYERS, FeatureExtractor, converted
from nstutils.descent import Schedule, Stage
from nstutils.library import fetch, pictures
from nstutils.library.errors import UserError
from nstutils.library.settings import COPIES, PRESETS, settings
from nstutils.library.weights import backbone
from nstutils.losses import ContentLoss, Mixture, StyleLoss, Terms, TVLoss
from nstutils.runs import preflight
from nstutils.runs.devices import choose
from nstutils.runs.options import INITS, Options, layer_schedule, scale_sizes, weights_for
from nstutils.runs.tiles import View

COARSEST = 64  # scales are halved while the long side stays at least this
POLISH = 0.15  # of the steps are the network's own after a draft: at 256 px the loss of its own run of 200 steps then took 22
# to 32 (two pairs); half as long a draft left more to do, 48, and took longer in all
Picture = str | os.PathLike[str] | Tensor | images.InMemory
Size = tuple[int, int]  # height, width
Masks = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]  # of the content and of the styles, one a style each


@dataclass(frozen=True)
class Targets:
    """What the losses of one scale aim at, and kappa, which brings the content loss to the units of the style loss."""

    size: tuple[int, int]
    content: ContentLoss
    styles: tuple[StyleLoss, ...]  # one, or one a region
    style_errors: Mapping[str, float]  # E_l of x = p, by layer, and the content error of x = a: what kappa is made of
    content_errors: Mapping[str, float]
    raw: bool  # whether kappa is 1

    @property
    def kappa(self) -> float:
        """κ = 10³ · L_style(x = p) / L_content(x = a), the artworks cut to the frame of p: the unit of α.

        With it α/β = 10⁻³ says that keeping all of the content weighs as much as taking all of the style, on every network,
        at every size. Where one of the two losses is zero (content and style look the same) it is 1.
        """
        style = sum(self.style_errors.values()) / max(1, len(self.style_errors))
        lost = sum(self.content_errors.values())
        return 1e3 * style / lost if style > 0 and lost > 0 and not self.raw else 1.0

    def narrowed(self, content: Sequence[str], style: Sequence[str], raw: bool) -> "Targets":
        """The same with some of the layers alone."""
        styles = tuple(dataclasses.replace(loss, **_only(loss, style)) for loss in self.styles)
        errors = {k: self.style_errors[k] for k in style}, {k: self.content_errors[k] for k in content}
        return Targets(self.size, ContentLoss({k: self.content.targets[k] for k in content}), styles, *errors, raw)


def _only(loss: StyleLoss, layers: Sequence[str]) -> dict[str, Any]:
    """Targets and guides of some of the layers."""
    guides = {k: loss.guides[k] for k in layers} if loss.guides else None
    return {"targets": {k: loss.targets[k] for k in layers}, "guides": guides}


@dataclass(frozen=True)
class Problem:
    """A run made ready; `exact` is the network in float32, `net` the same in the number type of the steps."""

    options: Options
    net: View  # in the number type of the steps, and in the tiles that the memory asks for
    exact: FeatureExtractor
    photograph: Tensor  # as it came, for `keep_colour`
    content: Tensor
    styles: tuple[Tensor, ...]
    scales: tuple[Targets, ...]  # coarse to fine
    settings: dict[str, Any]  # all that decides how the picture looks
    regions: dict[str, Any] | None = None  # with guides: their pixels and modes, as `_regions` counts them for the card
    draft: "Problem | None" = None  # the network's copy, made ready for the steps that come first

    @property
    def judge(self) -> View:
        """The network in float32, in the same tiles."""
        return View(self.exact, self.net.tile)

    def start(self) -> Tensor:
        """The start picture, at the coarsest scale."""
        if self.draft:
            return self.draft.start()
        o, size, full = self.options, self.scales[0].size, self.scales[-1].size
        if o.init in ("noise", "faint"):
            drawn = images.noise if o.init == "noise" else images.faint
            return drawn(size, o.seed).to(self.content)
        if o.init == "stripes":
            return images.resize(images.stripes(full), size).to(self.content)
        given = {"content": self.content, "style": self.styles[0]}
        picture = given[o.init] if o.init in INITS else read(o.init, "init").to(self.content)
        return images.cover(picture, size)

    def stages(self) -> list[Stage]:
        """The draft's stages, then one a scale, with equal shares of the steps that are left (the first take the rest)."""
        stages = [dataclasses.replace(stage, net=self.draft.net) for stage in self.draft.stages()] if self.draft else []
        left = (self.options.steps or 1) - sum(stage.steps for stage in stages)
        for number, targets in enumerate(self.scales):
            before = sum(stage.steps for stage in stages)
            stages.append(Stage(targets.size, share(left, len(self.scales), number), self.schedule(targets, before)))
        return stages

    def schedule(self, targets: Targets, before: int) -> Schedule:
        """The terms of a scale that begins after `before` steps; a function of the step where layer weights change."""
        table = layer_schedule(self.options.layer_weights, self.options.style_layers or ())
        terms = {first: self._terms(targets, weights) for first, weights in table.items()}
        if len(terms) == 1:
            return terms[1]
        return lambda index: terms[max(first for first in terms if first <= before + index)]

    def _terms(self, targets: Targets, weights: tuple[float, ...] | None) -> Terms:
        o = self.options
        given = weights_for("style_weights", o.style_weights, len(self.styles), "styles") or (1.0,) * len(self.styles)
        styles = [dataclasses.replace(loss, weights=weights) for loss in targets.styles]
        style = styles[0] if len(styles) == 1 else Mixture(tuple(styles), tuple(w / sum(given) for w in given))
        return {"content": (o.alpha * targets.kappa, targets.content), "style": (o.beta, style), "tv": (o.tv, TVLoss())}


def share(steps: int, scales: int, number: int) -> int:
    """The steps of scale `number` when `steps` are spread over `scales`."""
    return steps // scales + (number < steps % scales)


@dataclass(frozen=True)
class Accepted:
    """A run whose options are filled in and checked, before its pictures are looked at."""

    content: Picture
    styles: tuple[Picture, ...]
    options: Options
    exact: FeatureExtractor
    dtype: torch.dtype
    settings: dict[str, Any]
    draft: "Accepted | None" = None  # what the network's copy is to do before

    @cached_property
    def net(self) -> FeatureExtractor:
        """The network in the number type of the steps."""
        return converted(self.exact, self.dtype)

    def sizes(self) -> tuple[list[Size], list[Size]]:
        """(height, width) of every scale, coarse to fine, and of the styles at the first."""
        found = sizes(self.options, self.exact, read(self.content, "content"))
        return found, style_sizes(self.options, self.exact, self.artworks(), max(found[0]))

    def artworks(self) -> tuple[Tensor, ...]:
        """The styles; refuses a style_size that one of them cannot have."""
        found = tuple(read(a, "style") for a in self.styles)
        for picture, told in zip(found if self.options.style_size else (), self.settings["style"], strict=False):
            check_style(self.exact, self.options.style_layers or (), self.options.style_size or 1, picture, told["name"])
        return found


def accept(
    content: Picture,
    style: Picture | Sequence[Picture],
    options: Options,
    network: Callable[..., FeatureExtractor] = backbone,
) -> Accepted:
    """Fill in and check everything that the options name; `network` finds the backbone."""
    given = several(style)
    if not given:
        raise UserError("no style was given; give at least one style picture")
    device, dtype = choose(options.device, options.dtype)
    options = with_presets(options)
    if options.draft and options.backbone not in COPIES:
        has = f"take {' or '.join(COPIES)}, which has one"
        raise UserError(f"{options.backbone} has no narrow copy to make a draft with; leave draft out, or {has}")
    exact = network(options.backbone or "", pool=options.pool, weights=options.weights).to(device)
    options = with_layers(options, exact, len(given))
    what = {f.name: getattr(options, f.name) for f in fields(options) if f.name not in ("weights", "device", "dtype")}
    what["init"] = options.init if options.init in INITS else identity(options.init)
    what |= {"dtype": str(dtype).removeprefix("torch."), "device": device.type}
    what |= {"content": identity(content), "style": [identity(picture) for picture in given]}
    for key in ("content_guide", "style_guide"):
        what[key] = [identity(path) for path in what[key] or ()]
    what["style_scale"] = None if options.style_size else options.style_scale
    what |= {"weights_sha256": exact.sha256}
    if not options.draft:
        return Accepted(content, given, options, exact, dtype, what)
    copy = network(COPIES[exact.name], pool=options.pool).to(device)
    what |= {"draft_sha256": copy.sha256}
    draft = Accepted(content, given, drafting(options, copy, len(given)), copy, dtype, what)
    return Accepted(content, given, options, exact, dtype, what, draft)


def several(style: Picture | Sequence[Picture]) -> tuple[Picture, ...]:
    """One style or several as a tuple."""
    return (style,) if isinstance(style, str | os.PathLike | Tensor | images.InMemory) else tuple(style)


def drafting(options: Options, copy: FeatureExtractor, count: int) -> Options:
    """The options of the copy's part of a run: all steps but those that the network polishes with, at all scales."""
    steps = options.steps or 1
    own: dict[str, Any] = {"backbone": copy.name, "draft": False, "weights": None}
    return with_layers(dataclasses.replace(options, steps=steps - max(1, round(POLISH * steps)), **own), copy, count)


@dataclass(frozen=True)
class Scale:
    """One scale of a run: the sizes of the picture and of the styles, the tiles of both, and how masks reach the layers."""

    size: Size
    styles: tuple[Size, ...]
    tile: int | None
    tiles: tuple[int | None, ...]  # one a style
    mode: str


@dataclass(frozen=True)
class Ahead:
    """What a run is about to compute, before its targets are there."""

    net: View
    method: str
    layers: tuple[str, ...]
    stages: list[Stage]
    passes: list[tuple[View, Size]]  # of the targets: how and at which size


Announce = Callable[[Sequence[Ahead]], None]


@dataclass(frozen=True)
class Given:
    """What a run looks at: the photograph as it came and as the losses see it, the artworks, and the masks."""

    photograph: Tensor
    content: Tensor
    styles: tuple[Tensor, ...]
    masks: Masks


def prepare(
    content: Picture,
    style: Picture | Sequence[Picture],
    options: Options,
    announce: Announce | None = None,
    made: Mapping[str, Any] | None = None,
) -> Problem:
    """Load and check everything that the options name, and compute the targets of every scale.

    `announce` is told what is ahead before that, of the draft and of the run: the targets of a very large picture take
    minutes. `made` is the card of a run that is to go on: it keeps its tile, whatever memory is free now.
    """
    run = accept(content, style, options)
    given = _given(run)
    scales = _scales(run, given, made or {})
    parts = [(run.draft, _scales(run.draft, given, {"tile": scales[-1].tile}))] if run.draft else []
    parts.append((run, scales))
    if announce:
        announce([_ahead(*part) for part in parts])
    *draft, whole = (_problem(one, given, own) for one, own in parts)
    return dataclasses.replace(whole, draft=draft[0]) if draft else whole


def _given(run: Accepted) -> Given:
    """The pictures and masks of a run, on its device and in its colours."""
    options, device = run.options, run.exact.weight.device
    photograph, styles = read(run.content, "content").to(device), tuple(a.to(device) for a in run.artworks())
    masks = _masks(options, photograph, styles)
    picture = photograph
    if options.keep_colour == "match":
        styles = tuple(images.match_colour(artwork, photograph) for artwork in styles)
    elif options.keep_colour == "luminance":
        picture, styles = images.in_grey(photograph, styles)
    return Given(photograph, picture, styles, masks)


def _problem(run: Accepted, given: Given, scales: Sequence[Scale]) -> Problem:
    """The targets of all scales, and what else a run needs."""
    targets = tuple(_targets(run.exact, run.options, given.content, given.styles, given.masks, scale) for scale in scales)
    regions = _regions(given.masks, {scale.size: scale.mode for scale in scales})
    pictures, tile = (given.photograph, given.content, given.styles), scales[-1].tile
    return Problem(run.options, View(run.net, tile), run.exact, *pictures, targets, run.settings, regions)


def _scales(run: Accepted, given: Given, made: Mapping[str, Any]) -> list[Scale]:
    """The scales of a run, coarse to fine; `made` is the card of one that goes on with its tile."""
    o, exact, masks = run.options, run.exact, given.masks
    wanted = sizes(o, exact, given.content)
    fitted = [tuple(style_sizes(o, exact, given.styles, max(size))) for size in wanted]
    layers = (*(o.content_layers or ()), *(o.style_layers or ()))
    chosen = o.tile or preflight.tile_for(run.net, layers, wanted[-1], o.method)
    tile = made.get("tile", chosen)
    each = tuple(o.tile or preflight.tile_for(exact, o.style_layers or (), size, None, "style_size") for size in fitted[-1])
    modes = [_mode(o, exact, masks, size, own, size == wanted[-1]) for size, own in zip(wanted, fitted, strict=True)]
    return [Scale(size, own, tile, each, mode) for size, own, mode in zip(wanted, fitted, modes, strict=True)]


def _ahead(run: Accepted, scales: Sequence[Scale]) -> Ahead:
    """Steps and passes of the scales: the photograph is looked at twice, an artwork in its frame and at its own size."""
    o, stages, passes = run.options, [], []
    steps = (o.steps or 1) - ((run.draft.options.steps or 0) if run.draft else 0)
    for number, scale in enumerate(scales):
        stages.append(Stage(scale.size, share(steps, len(scales), number), {}))
        passes += [(View(run.exact, scale.tile), scale.size)] * (2 + len(scale.styles))
        passes += [(View(run.exact, tile), size) for tile, size in zip(scale.tiles, scale.styles, strict=True)]
    return Ahead(View(run.net, scales[-1].tile), o.method, (*(o.content_layers or ()), *(o.style_layers or ())), stages, passes)


def narrowed(problem: Problem, options: Options, settings: dict[str, Any]) -> Problem:
    """The problem of another run that has the same pictures and sizes, and some of the layers."""
    content, style = options.content_layers or (), options.style_layers or ()
    scales = tuple(targets.narrowed(content, style, options.raw_loss) for targets in problem.scales)
    return dataclasses.replace(problem, options=options, scales=scales, settings=settings)


def with_presets(options: Options) -> Options:
    """The options with preset, backbone, size and steps filled in."""
    chosen = settings(options.preset, options.backbone)
    listed = scale_sizes(options.scales, options.size)
    size = options.size or (listed[-1] if listed else PRESETS[chosen.preset].size)
    steps = options.steps or PRESETS[chosen.preset].steps
    return dataclasses.replace(options, preset=chosen.preset, backbone=chosen.backbone, size=size, steps=steps)


def with_layers(options: Options, net: FeatureExtractor, count: int) -> Options:
    """The options with the network's own default layers filled in, and everything that is given per layer or style checked."""
    content = tuple(options.content_layers or CONTENT_LAYERS[net.family])
    style = tuple(options.style_layers or STYLE_LAYERS[net.family])
    for name, layers in (("content_layers", content), ("style_layers", style)):
        if len(set(layers)) < len(layers):
            raise UserError(f"{name} names a layer twice ({', '.join(layers)}); name each once")
        net.check(layers)
    layer_schedule(options.layer_weights, style)
    weights_for("style_weights", options.style_weights, count, "styles")
    return dataclasses.replace(options, content_layers=content, style_layers=style)


def sizes(options: Options, net: FeatureExtractor, content: Tensor) -> list[Size]:
    """(height, width) of every scale, coarse to fine; never more scales than steps, and the full size alone after a draft."""
    layers = (*(options.content_layers or ()), *(options.style_layers or ()))
    size, steps = options.size or 1, options.steps or 1
    long = scale_sizes(options.scales, size) or [size]
    if options.draft:
        return [images.fitted(content, size)]
    while options.scales == "auto" and long[0] // 2 >= COARSEST:
        if min(images.fitted(content, long[0] // 2)) < net.smallest(layers):
            break
        long.insert(0, long[0] // 2)
    return [images.fitted(content, pixels) for pixels in long[-min(len(long), steps) :]]


def style_long(options: Options, style: Tensor, size: int, least: int = 1) -> int:
    """The long side of a style at the scale of `size` pixels: style_size at the last, in proportion before, from `least` up.

    Without style_size it is style_scale times the picture's; a scale above 1 does not enlarge the file.
    """
    full, own = options.size or size, max(style.shape[-2:])
    last = options.style_size or min(round(options.style_scale * full), own if options.style_scale > 1 else full)
    return max(round(last * size / full), min(least, last))


def style_sizes(options: Options, net: FeatureExtractor, styles: Sequence[Tensor], size: int) -> list[Size]:
    """(height, width) of every style at the scale of `size` pixels: what the style layers need at least."""
    least = [_least(a, net.smallest(options.style_layers or ())) for a in styles]
    return [images.fitted(a, style_long(options, a, size, need)) for a, need in zip(styles, least, strict=True)]


def _least(picture: Tensor, short: int) -> int:
    """The long side with which the short one has so many pixels."""
    return -(-short * max(picture.shape[-2:]) // min(picture.shape[-2:]))


def check_style(net: FeatureExtractor, layers: Sequence[str], long: int, style: Tensor, name: str) -> None:
    """Refuse a style_size that would enlarge the file of a style, or at which one of the layers sees nothing."""
    height, width = style.shape[-2:]
    told = f"style_size is {long}, but the style {name}"
    if long > max(height, width):
        raise UserError(
            f"{told} has {width} x {height} pixels, and enlarging it adds no strokes; give at most {max(height, width)}, or a "
            "larger file"
        )
    short, need = min(images.fitted(style, long)), net.smallest(layers)
    if short < need:
        layer, least = next(layer for layer in layers if net.smallest([layer]) == need), _least(style, need)
        instead = f"give at least {least}" if least <= max(height, width) else "take a larger file"
        raise UserError(
            f"{told} then has {short} pixels on its short side, and {layer} needs {need}; {instead}, or shallower style layers"
        )


def read(picture: Picture, what: str) -> Tensor:
    """A picture from a path, a known name, a tensor, a Pillow image or an array, as 1 x 3 x H x W."""
    if not isinstance(picture, Tensor):
        return images.load(picture)
    if picture.ndim != 4 or picture.shape[:2] != (1, 3) or not picture.numel():
        raise UserError(f"the {what} is a tensor {tuple(picture.shape)}, wanted 1 x 3 x height x width; reshape it")
    if not bool(torch.isfinite(picture).all()) or picture.min() < 0 or picture.max() > 1:
        raise UserError(f"the {what} has values outside [0, 1]; scale it, for instance with picture / 255")
    return picture.detach().float()


def identity(picture: Picture) -> dict[str, str]:
    """Name and sha256 of a picture: two runs with equal identities looked at the same pixels."""
    if isinstance(picture, images.InMemory):
        picture = torch.cat([images.load(picture, behind=behind) for behind in ("white", "black")])
    if isinstance(picture, Tensor):
        pixels = picture.detach().cpu().float().contiguous().numpy().tobytes()
        return {"name": "tensor", "sha256": hashlib.sha256(pixels).hexdigest()}
    return {"name": os.fspath(picture), "sha256": fetch.sha256(pictures.find(picture))}


def _masks(options: Options, content: Tensor, styles: Sequence[Tensor]) -> Masks:
    """The masks of the content and of the styles, one a style each; none at all without guidance."""
    given = {"content_guide": options.content_guide or (), "style_guide": options.style_guide or ()}
    for name, masks in given.items():
        if masks and len(masks) != len(styles):
            found = [guidance.read_mask(mask) for mask in masks]
            counts = ", ".join(f"{int((mask > 0.5).sum())} of {mask.numel()}" for mask in found)
            raise UserError(
                f"{name} gives {len(masks)} masks ({counts} pixels) for {len(styles)} styles; give one for each style, in "
                "their order"
            )
    if given["style_guide"] and not given["content_guide"]:
        raise UserError("style_guide needs content_guide, the regions that take these parts of the styles; give both")
    contents = tuple(guidance.load_mask(path, content) for path in given["content_guide"])
    if given["style_guide"]:
        return contents, tuple(guidance.load_mask(path, a) for path, a in zip(given["style_guide"], styles, strict=True))
    return contents, tuple(torch.ones_like(a[:, :1]) for a in styles) if contents else ()


def _mode(options: Options, net: FeatureExtractor, masks: Masks, size: Size, styles: Sequence[Size], last: bool) -> str:
    """How masks are propagated at a scale: as asked for, but 'simple' where a scale before the last leaves a guide empty."""
    if last:
        return options.guide_mode
    fitted = (*zip(masks[0], [size] * len(masks[0]), strict=True), *zip(masks[1], styles[: len(masks[1])], strict=True))
    scaled = [F.adaptive_avg_pool2d(mask, shape) for mask, shape in fitted]
    fine = all(guidance.reaches(mask, net, options.style_layers or (), options.guide_mode) for mask in scaled)
    return options.guide_mode if fine else "simple"


def _regions(masks: Masks, modes: Mapping[tuple[int, int], str]) -> dict[str, Any] | None:
    """What the card tells: pixels of the photograph's regions and of each style's part ([inside, in all]), mode by size."""
    if not masks[0]:
        return None
    taken = [[guidance.coverage([mask])["regions"][0], mask.numel()] for mask in masks[1]]
    return guidance.coverage(masks[0]) | {"taken": taken, "modes": {str(max(size)): mode for size, mode in modes.items()}}


@torch.no_grad()
def _targets(
    net: FeatureExtractor, o: Options, content: Tensor, styles: Sequence[Tensor], masks: Masks, scale: Scale
) -> Targets:
    """The targets at a scale: activations of the content, Gram matrices of the styles, kappa."""
    content_layers, style_layers = o.content_layers or (), o.style_layers or ()
    size, tile, parts = scale.size, scale.tile, range(len(styles))
    p = images.resize(content, size)
    net.check((*content_layers, *style_layers), p)
    fitted = [images.resize(a, shape) for a, shape in zip(styles, scale.styles, strict=True)]
    wanted = ContentLoss(View(net, tile).activations(p, content_layers))
    if masks[0]:
        losses = [_guided(net, style_layers, fitted[k], (masks[0][k], masks[1][k]), scale, scale.tiles[k]) for k in parts]
    else:
        grams = [View(net, scale.tiles[k]).grams(fitted[k], style_layers) for k in parts]
        share = weights_for("style_weights", o.style_weights, len(styles), "styles") or (1.0,) * len(styles)
        losses = [StyleLoss({k: sum_of(share, [g[k] for g in grams]) for k in style_layers})]
    artworks = [images.cover(a, size) for a in styles]
    return Targets(size, wanted, tuple(losses), *_errors(View(net, tile), wanted, losses, p, artworks), o.raw_loss)


def _guided(
    net: FeatureExtractor,
    layers: Sequence[str],
    artwork: Tensor,
    masks: tuple[Tensor, Tensor],
    scale: Scale,
    tile: int | None,
) -> StyleLoss:
    """The style loss of a region of the photograph, with a part of an artwork as its target; `masks` are those of both."""
    fitted = zip(masks, (scale.size, (artwork.shape[-2], artwork.shape[-1])), strict=True)
    there, taken = (guidance.propagate(F.adaptive_avg_pool2d(mask, shape), net, layers, scale.mode) for mask, shape in fitted)
    return StyleLoss(View(net, tile).grams(artwork, layers, taken), guides=there)


def sum_of(weights: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """The weighted mean."""
    return torch.stack([w * value for w, value in zip(weights, values, strict=True)]).sum(0) / sum(weights)


def _errors(
    view: View, content: ContentLoss, styles: Sequence[StyleLoss], p: Tensor, artworks: Sequence[Tensor]
) -> tuple[dict[str, float], dict[str, float]]:
    """By layer: the style error of the photograph and the content error of the artworks, means over the styles."""
    style: Terms = {
        f"{k} {layer}": (1.0, StyleLoss(**_only(loss, [layer]))) for k, loss in enumerate(styles) for layer in loss.layers
    }
    found = view.losses(p, style)
    style_errors = {
        layer: sum(float(found[f"{k} {layer}"]) for k in range(len(styles))) / len(styles) for layer in styles[0].layers
    }
    lost: Terms = {layer: (1.0, ContentLoss({layer: target})) for layer, target in content.targets.items()}
    given = [view.losses(a, lost) for a in artworks]
    return style_errors, {layer: sum(float(one[layer]) for one in given) / len(given) for layer in content.layers}
