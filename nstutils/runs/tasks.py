"""What a run is to do: every option of `stylise` filled in and checked, and the pictures that it looks at."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nstutils import guidance, images
from nstutils.backbones import CONTENT_LAYERS, STYLE_LAYERS, FeatureExtractor, converted
from nstutils.library import fetch, pictures
from nstutils.library.errors import UserError
from nstutils.library.settings import COPIES, PRESETS, settings
from nstutils.library.weights import backbone
from nstutils.runs.devices import choose
from nstutils.runs.options import INITS, Options, layer_schedule, scale_sizes, weights_for
from nstutils.runs.tiles import Size

COARSEST = 64  # scales are halved while the long side stays at least this
DETAILED = 256  # and at least this from a picture to begin with, whose faces and houses fewer pixels do not hold
POLISH = 0.15  # of the steps are the network's own after a draft: half the time of a run, for a loss a few per cent above
Picture = str | os.PathLike[str] | Tensor | images.InMemory
Masks = tuple[tuple[Tensor, Tensor], ...]  # for each style, of the content and of its own picture; none without guidance
Network = Callable[..., FeatureExtractor]


@dataclass(frozen=True, eq=False)
class Task:
    """A run before its pictures are looked at: every option resolved and checked, nothing left open."""

    content: Picture
    styles: tuple[Picture, ...]
    options: Options  # with what was left open filled in, so that they can be asked for again
    exact: FeatureExtractor  # in float32
    dtype: torch.dtype  # of the steps
    size: int
    steps: int
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    layer_weights: Mapping[int, tuple[float, ...]]  # of the style layers, by the step they begin at
    style_weights: tuple[float, ...]
    settings: dict[str, Any] = field(default_factory=dict)  # all that decides how the picture looks
    draft: "Task | None" = None  # what the network's copy is to do before

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that are looked at."""
        return (*self.content_layers, *self.style_layers)

    @cached_property
    def net(self) -> FeatureExtractor:
        """The network in the number type of the steps."""
        return converted(self.exact, self.dtype)

    def sizes(self, content: Tensor) -> list[Size]:
        """(height, width) of every scale, coarse to fine: never more than steps, and the full size alone after a draft."""
        long = scale_sizes(self.options.scales, self.size) or [self.size]
        if self.draft:
            return [images.fitted(content, self.size)]
        coarsest = COARSEST if self.options.init in ("noise", "faint", "stripes") else DETAILED
        while self.options.scales == "auto" and long[0] // 2 >= coarsest:
            if min(images.fitted(content, long[0] // 2)) < self.exact.smallest(self.layers):
                break
            long.insert(0, long[0] // 2)
        return [images.fitted(content, pixels) for pixels in long[-self.steps :]]

    def style_sizes(self, styles: Sequence[Tensor], size: int) -> list[Size]:
        """(height, width) of every style at the scale of `size` pixels; refuses a style_size that one of them cannot have."""
        for artwork, told in zip(styles if self.options.style_size else (), self.settings["style"], strict=False):
            check_style(self.exact, self.style_layers, self.options.style_size or 1, artwork, told["name"])
        short = self.exact.smallest(self.style_layers)
        return [images.fitted(a, style_long(self.options, a, size, _least(a, short))) for a in styles]


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


def style_long(options: Options, style: Tensor, size: int, least: int = 1) -> int:
    """The long side of a style at the scale of `size` pixels: style_size at the last, in proportion before, from `least` up.
    Without style_size it is style_scale times the picture's; a scale above 1 does not enlarge the file."""
    full, own = options.size or size, max(style.shape[-2:])
    last = options.style_size or min(round(options.style_scale * full), own if options.style_scale > 1 else full)
    return max(round(last * size / full), min(least, last))


def _least(picture: Tensor, short: int) -> int:
    """The long side with which the short one has so many pixels."""
    return -(-short * max(picture.shape[-2:]) // min(picture.shape[-2:]))


def several(style: Picture | Sequence[Picture]) -> tuple[Picture, ...]:
    """One style or several as a tuple."""
    return (style,) if isinstance(style, str | os.PathLike | Tensor | images.InMemory) else tuple(style)


def accept(content: Picture, style: Picture | Sequence[Picture], options: Options, network: Network = backbone) -> Task:
    """Fill in and check everything that the options name; `network` finds the backbone."""
    styles = several(style)
    if not styles:
        raise UserError("no style was given; give at least one style picture")
    device, dtype = choose(options.device, options.dtype)
    chosen = settings(options.preset, options.backbone)
    options = replace(options, preset=chosen.preset, backbone=chosen.backbone)
    if options.draft and chosen.backbone not in COPIES:
        has = f"take {' or '.join(COPIES)}, which has one"
        raise UserError(f"{chosen.backbone} has no narrow copy to make a draft with; leave draft out, or {has}")
    exact = network(chosen.backbone, pool=options.pool, weights=options.weights).to(device)
    task = resolved(content, styles, options, exact, dtype)
    what = _identified(task)
    if not options.draft:
        return replace(task, settings=what)
    copy = network(COPIES[exact.name], pool=options.pool).to(device)
    what |= {"draft_sha256": copy.sha256}
    steps = task.steps - max(1, round(POLISH * task.steps))
    own = replace(options, steps=steps, backbone=copy.name, draft=False, weights=None)
    draft = replace(resolved(content, styles, own, copy, dtype), settings=what)
    return replace(task, settings=what, draft=draft)


def resolved(content: Picture, styles: tuple[Picture, ...], o: Options, exact: FeatureExtractor, dtype: torch.dtype) -> Task:
    """Every option as it will be used."""
    long, preset = scale_sizes(o.scales, o.size), PRESETS[o.preset or ""]
    own: dict[str, Any] = {"size": o.size or (long[-1] if long else preset.size), "steps": o.steps or preset.steps}
    for name, usual in (("content_layers", CONTENT_LAYERS), ("style_layers", STYLE_LAYERS)):
        own[name] = tuple(getattr(o, name) or usual[exact.family])
        if len(set(own[name])) < len(own[name]):
            raise UserError(f"{name} names a layer twice ({', '.join(own[name])}); name each once")
        exact.check(own[name])
    given = None if o.layer_weights == "equal" else o.layer_weights
    weights = layer_schedule(given, len(own["style_layers"]))
    shares = weights_for("style_weights", o.style_weights, 1.0, len(styles), "styles")
    filled = replace(o, **own, layer_weights=given)
    return Task(content, styles, filled, exact, dtype, layer_weights=weights, style_weights=shares, **own)


def _identified(task: Task) -> dict[str, Any]:
    """The settings of a run: its options, with what its files hold in the place of their names."""
    o = task.options
    what = {f.name: getattr(o, f.name) for f in fields(o) if f.name not in ("weights", "device", "dtype")}
    what["init"] = o.init if o.init in INITS else identity(o.init)
    what |= {"dtype": str(task.dtype).removeprefix("torch."), "device": task.exact.weight.device.type}
    what |= {"content": identity(task.content), "style": [identity(picture) for picture in task.styles]}
    for key in ("content_guide", "style_guide"):
        what[key] = [identity(path) for path in what[key] or ()]
    what["style_scale"] = None if o.style_size else o.style_scale
    return what | {"weights_sha256": task.exact.sha256}


def identity(picture: Picture) -> dict[str, str]:
    """Name and sha256 of a picture: two runs with equal identities looked at the same pixels."""
    if isinstance(picture, images.InMemory):
        picture = torch.cat([images.load(picture, behind=behind) for behind in ("white", "black")])
    if isinstance(picture, Tensor):
        pixels = picture.detach().cpu().float().contiguous().numpy().tobytes()
        return {"name": "tensor", "sha256": hashlib.sha256(pixels).hexdigest()}
    return {"name": os.fspath(picture), "sha256": fetch.sha256(pictures.find(picture))}


@dataclass(frozen=True)
class Pictures:
    """What a run looks at: the photograph as it came and as the losses see it, the artworks, and the masks."""

    photograph: Tensor
    content: Tensor
    styles: tuple[Tensor, ...]
    masks: Masks


def look(task: Task) -> Pictures:
    """The pictures and masks of a run, on its device and in its colours."""
    o, device = task.options, task.exact.weight.device
    content_size, style_size = looked_at(o)
    photograph = read(task.content, "content", content_size).to(device)
    styles = tuple(read(a, "style", style_size).to(device) for a in task.styles)
    masks, content = _masks(o, photograph, styles), photograph
    if o.keep_colour == "match":
        styles = tuple(images.match_colour(artwork, photograph) for artwork in styles)
    elif o.keep_colour == "luminance":
        content, styles = images.in_grey(photograph, styles)
    return Pictures(photograph, content, styles, masks)


def looked_at(options: Options) -> tuple[int, int]:
    """The long sides at which the photograph and the styles are looked at, at most; of options whose size is filled in."""
    size = options.size or 1
    return size, options.style_size or round(max(1.0, options.style_scale) * size)


def read(picture: Picture, what: str, size: int | None = None) -> Tensor:
    """A picture of any kind as 1 x 3 x H x W; very large files are made smaller, but stay far above the long side `size`."""
    return images.checked(picture, what) if isinstance(picture, Tensor) else images.near(picture, size)


def _masks(options: Options, content: Tensor, styles: Sequence[Tensor]) -> Masks:
    """The masks that the options name, or those of whole styles, each in the size of its picture."""
    own, taken = options.content_guide or (), options.style_guide or ()
    for name, masks in (("content_guide", own), ("style_guide", taken)):
        if masks and len(masks) != len(styles):
            found = [guidance.read_mask(mask) for mask in masks]
            counts = ", ".join(f"{int((mask > 0.5).sum())} of {mask.numel()}" for mask in found)
            told = f"{name} gives {len(masks)} masks ({counts} pixels) for {len(styles)} styles"
            raise UserError(f"{told}; give one for each style, in their order")
    if taken and not own:
        raise UserError("style_guide needs content_guide, the regions that take these parts of the styles; give both")
    regions = [guidance.load_mask(mask, content) for mask in own]
    parts = [guidance.load_mask(mask, a) for mask, a in zip(taken, styles, strict=False)]
    return tuple(zip(regions, parts or [torch.ones_like(a[:, :1]) for a in styles], strict=False))
