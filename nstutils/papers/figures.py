"""The documents' figures: one drawing for each row of the experiments, from its cases, in the layout of the document's figure.

Colours and dashes tell apart for colour-blind readers, as in `plots`; pictures come from the first case of each pair.
"""

import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from nstutils import images
from nstutils.backbones import geometry
from nstutils.course import measures
from nstutils.course.plots import COLOURS, DASHES
from nstutils.library import files
from nstutils.library.weights import structure
from nstutils.papers import claims
from nstutils.papers.claims import DARK, DENSE, KERNEL, LAYERS, OTHER, RATIOS, ROW, SEEDS, Case, cell

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    files.write(data.getvalue(), path)


def board(
    rows: Sequence[Sequence[Tensor | None]],
    columns: Sequence[str] = (),
    names: Sequence[str] = (),
    captions: Sequence[Sequence[str]] = (),
    width: float = 9,
    under: float = 0,
) -> Figure:
    """Pictures in rows, None for an empty place: titles above the columns, names before the rows, captions below pictures.

    `under` leaves so many inches below for `curves`.
    """
    across = max(len(row) for row in rows)
    side = (width - 0.3 * bool(names)) / across
    shapes = [max(x.shape[-2] / x.shape[-1] for x in row if x is not None) for row in rows]
    heights = [side * shape + (0.2 if captions else 0.04) for shape in shapes]
    figure = Figure(figsize=(width, sum(heights) + 0.3 * bool(columns) + under))
    figure.set_layout_engine("constrained", h_pad=0.02, w_pad=0.02, hspace=0, wspace=0)
    place: Any = figure
    if under:
        figure.subfigures(2, 1, height_ratios=(figure.get_figheight() - under, under))
        place = figure.subfigs[0]
    grid = place.subplots(len(rows), across, squeeze=False, gridspec_kw={"height_ratios": heights})
    for k, j in itertools.product(range(len(rows)), range(across)):
        _picture(grid[k][j], rows[k][j] if j < len(rows[k]) else None)
        if captions and j < len(captions[k]):
            grid[k][j].set_xlabel(captions[k][j], fontsize=8)
    for axes, title in zip(grid[0], columns, strict=False):
        axes.set_title(title, fontsize=9)
    for axes, name in zip(grid[:, 0], names, strict=False):
        axes.set_ylabel(name, fontsize=9)
    return figure


def _picture(axes: Axes, image: Tensor | None) -> None:
    """One picture without ticks or frame; nothing for None."""
    axes.set(xticks=[], yticks=[])
    for edge in axes.spines.values():
        edge.set_visible(False)
    if image is None:
        axes.set_axis_off()
    else:
        axes.imshow(images.to_pil(image))


def curves(figure: Figure, lines: Curves, xlabel: str, ylabel: str, log: bool = False, marker: str = "") -> Figure:
    """Lines below the pictures of a `board` with room under them."""
    axes = figure.subfigs[1].subplots()
    for number, (label, (xs, ys)) in enumerate(lines.items()):
        look: Any = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)], "marker": marker}
        axes.plot(xs, ys, label=label, **look)
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def per_pair(cases: Sequence[Case]) -> list[Case]:
    """The first case of each pair of pictures."""
    return list({(case.content, case.style): case for case in reversed(cases)}.values())[::-1]


def signed(figure: Figure, source: str, cases: Sequence[Case]) -> Figure:
    """The figure with a line above it: whose figure it follows, and the settings that all its runs share."""
    parts = [source, *shared(cases)] if cases[0].content else [source]
    if figure.get_layout_engine():
        figure.set_figheight(figure.get_figheight() + 0.3)
        figure.suptitle(", ".join(parts), x=0.01, ha="left", fontsize=8, color="0.3")
    return figure


def shared(cases: Sequence[Case]) -> list[str]:
    """Backbone, size, steps, layers and α/β in words, where all runs have the same."""
    plan, cards = cases[0].plan, [result.card for case in cases for result in case.results.values()]
    name = cards[0].get("backbone", plan.backbone) if cards else plan.backbone
    said = [f"{name}, {plan.size} px"] + [f"{plan.steps} steps"] * bool(cards)
    used = [card.get("settings", {}) for card in cards]
    methods = {(one.get("method"), one.get("scales")) for one in used}
    if len(methods) == 1 and methods != {(None, None)}:
        method, scales = methods.pop()
        said.append({"adam": "Adam", "lbfgs": "L-BFGS", "sgd": "SGD"}[method] + " coarse to fine" * (scales == "auto"))
    for name, words in (("content_layers", "content"), ("style_layers", "style")):
        values = {tuple(one.get(name, ())) for one in used}
        weight = "alpha" if words == "content" else "beta"
        if len(values) == 1 and values != {()} and any(one[weight] for one in used):
            layers = values.pop()
            said.append(f"{words} {layers[0]}" + f" to {layers[-1]}" * (len(layers) > 1))
    sized = {one.get("style_size") for one in used}
    if len(sized) == 1 and sized != {None}:
        said.append(f"style {sized.pop()} px")
    ratios = {one["alpha"] / one["beta"] if one.get("beta") else None for one in used}
    if len(ratios) == 1 and None not in ratios and ratios != {0.0}:
        said.append(f"α/β = {ratios.pop():.0e}")
    return said


def named(case: Case) -> str:
    """The pair of a case."""
    return f"{case.content} + {case.style}"


def ended(case: Case, label: str) -> str:
    """Both losses of the picture of a run."""
    return f"content {case.final(label, 'content'):.3g}, style {case.final(label, 'style'):.3g}"


def history(case: Case, label: str, name: str, against: str = "step") -> tuple[list[float], list[float]]:
    """One loss of a run over its steps or seconds."""
    rows = case.results[label].history["steps"]
    return [row[against] for row in rows], [row[name] for row in rows]


def vgg_table(cases: Sequence[Case]) -> Figure:
    """Layers, output shapes and parameters of VGG-19 (C fig. 6), with the formula of each count."""
    lines, channels = [f"{'layer':12} {'output shape':18} {'parameters':>12}   P = K²·C·N + N"], 3
    for row in geometry(structure("vgg19")):
        if not row.name.startswith("relu"):
            side, formula = row.size(224), f"3²·{channels}·{row.channels} + {row.channels}"
            shape = f"({side}, {side}, {row.channels})"
            lines.append(f"{row.name:12} {shape:18} {row.parameters:12,}   {formula if row.parameters else ''}".rstrip())
            channels = row.channels
    for name, (inputs, outputs) in DENSE.items():
        formula = f"{inputs}·{outputs} + {outputs}"
        lines.append(f"{name:12} {f'({outputs})':18} {inputs * outputs + outputs:12,}   {formula}")
    lines.append(f"{'in all':31} {claims.vgg_table(cases[0])['in all']:12,.0f}")
    figure = Figure(figsize=(7, 0.166 * len(lines) + 0.2))
    figure.text(0.03, 0.98, "\n".join(lines), family="monospace", fontsize=9, va="top", linespacing=1.3)
    return figure


def numbers(axes: Axes, values: Tensor, title: str) -> None:
    """A small matrix as grey squares with its numbers."""
    plain = values.reshape(values.shape[-2:])
    axes.imshow(plain.numpy(), cmap="Greys", vmin=float(plain.min()), vmax=2 * float(plain.max()) - float(plain.min()) + 1)
    for i, row in enumerate(plain.tolist()):
        for j, value in enumerate(row):
            axes.text(j, i, f"{value:g}", ha="center", va="center", fontsize=9)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def convolution(cases: Sequence[Case]) -> Figure:
    """A picture with its border of zeros, a kernel and what comes out (C fig. 8)."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    parts = {"input, padded with zeros": F.pad(claims.toy(5), (1, 1, 1, 1)), "kernel": KERNEL}
    parts["output"] = claims.convolved(claims.toy(5), KERNEL)
    for axes, (title, values) in zip(figure.subplots(1, 3, width_ratios=(7, 3, 5)), parts.items(), strict=True):
        numbers(axes, values, title)
    return figure


def pooling(cases: Sequence[Case]) -> Figure:
    """Max and average pooling of a toy picture, and where their gradients go (C fig. 9)."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    grid = figure.subplots(2, 3)
    pools: dict[str, Any] = {"max": F.max_pool2d, "average": F.avg_pool2d}
    for row, (name, pool) in zip(grid, pools.items(), strict=True):
        x = claims.toy(4).requires_grad_()
        out = pool(x, 2)
        out.sum().backward()
        numbers(row[0], x.detach(), "input")
        numbers(row[1], out.detach(), f"{name} pooling")
        share = claims.pooling(cases[0])[f"{name}, network"]
        numbers(row[2], torch.as_tensor(x.grad), f"gradient ({cases[0].plan.backbone}: {share:.0%} of inputs)")
    return figure


def feature_maps(cases: Sequence[Case]) -> Figure:
    """The strongest filter of each layer for photograph and artwork (C figs. 11 and 12), and the lengths by depth."""
    rows: list[list[Tensor | None]] = []
    for picture, found in claims.maps(cases[0]).values():
        strongest = [(f, int(f.std((0, 2, 3)).argmax())) for f in found.values()]
        rows.append([picture, *((f[:, [k]] / f[:, k].max()).sqrt().expand(-1, 3, -1, -1) for f, k in strongest)])
    figure = board(rows, ("picture", *LAYERS), (cases[0].content, cases[0].style), under=2.4)
    lines = {named(case): (range(5), list(claims.feature_maps(case).values())) for case in cases}
    curves(figure, lines, "", "length in pixels", marker="o")
    figure.subfigs[1].axes[0].set_xticks(range(5), LAYERS)
    return figure


def content_reconstruction(cases: Sequence[Case]) -> Figure:
    """Photographs and what was rebuilt from each layer (G fig. 1)."""
    shown = per_pair(cases)
    captions = [["", *(f"{value:.1f} dB" for value in claims.content_reconstruction(case).values())] for case in shown]
    titles = ("photograph", *(f"{letter}  {layer}" for letter, layer in zip("abcde", LAYERS, strict=True)))
    rows = [[case.p, *(case.image(layer) for layer in LAYERS)] for case in shown]
    return board(rows, titles, [case.content for case in shown], captions, width=11)


def style_reconstruction(cases: Sequence[Case]) -> Figure:
    """Artworks and the textures of growing sets of layers (G fig. 1)."""
    shown, captions = per_pair(cases), []
    for case in shown:
        found = claims.style_reconstruction(case)
        captions.append(["", *(f"length {found[f'length to {layer}']:.1f} px" for layer in LAYERS)])
    titles = ("artwork", "a  1_1", "b  1_1, 2_1", "c  1_1 to 3_1", "d  1_1 to 4_1", "e  1_1 to 5_1")
    rows = [[case.a, *(case.image(layer) for layer in LAYERS)] for case in shown]
    return board(rows, titles, [case.style for case in shown], captions, width=11)


def gradients(cases: Sequence[Case]) -> Figure:
    """Eqs. 2 and 6 against autograd (at the layer) and finite differences (at the pixels)."""
    figure, found = Figure(figsize=(9, 5.4), layout="constrained"), claims.gradients(cases[0])
    grid = figure.subplots(2, 2)
    for row, (equation, values) in zip(grid, claims.slopes(cases[0].plan.backbone).items(), strict=True):
        for axes, one, other in ((row[0], "closed", "autograd"), (row[1], "closed, pixels", "differences")):
            xs, ys = (values[name].flatten()[:4000] for name in (one, other))
            axes.plot([float(xs.min()), float(xs.max())], [float(xs.min()), float(xs.max())], color="0.7", linewidth=0.8)
            axes.plot(xs.numpy(), ys.numpy(), ".", color=COLOURS[0], markersize=3)
            axes.set(xlabel=f"{equation}, {one}", ylabel=other)
            axes.set_title(f"{cases[0].plan.backbone}: relative error {found[f'{equation} against {other}']:.1e}", fontsize=9)
    return figure


def gallery(cases: Sequence[Case]) -> Figure:
    """One photograph, and below each artwork what became of it (G fig. 2, B figs. 7 to 10)."""
    shown, captions, titles = per_pair(cases), [[""], [""]], [cases[0].content]
    for case in shown:
        content, style = claims.left(case, "run")
        used = case.results["run"].card["settings"]
        captions[0].append(f"α/β = {used['alpha'] / used['beta']:.0e}, tv {used['tv']:g}")
        captions[1].append(f"content {content:.0%}, style {style:.0%}")
        titles.append(case.style)
    artworks = [images.cover(case.a, case.shape) for case in shown]
    rows: list[list[Tensor | None]] = [[shown[0].p, *artworks], [None, *(case.image("run") for case in shown)]]
    return board(rows, titles, captions=captions, width=12)


def tradeoff_grid(cases: Sequence[Case]) -> Figure:
    """Rows: sets of style layers; columns: α/β (G fig. 3)."""
    case = cases[0]
    rows = [[case.image(cell(layer, ratio)) for ratio in RATIOS] for layer in LAYERS]
    captions = [[ended(case, cell(layer, ratio)) for ratio in RATIOS] for layer in LAYERS]
    names = [f"{letter}  to {layer.removeprefix('relu')}" for letter, layer in zip("ABCDE", LAYERS, strict=True)]
    return board(rows, [f"α/β = {ratio:.0e}" for ratio in RATIOS], names, captions, width=8)


def ratio_row(cases: Sequence[Case]) -> Figure:
    """One column for each α/β, one row for each pair (C figs. 14 and 15)."""
    shown, labels = per_pair(cases), [f"{ratio:g}" for ratio in ROW]
    rows = [[case.image(label) for label in labels] for case in shown]
    correlations = [[f"correlation {measures.correlation(c.image(k), c.p):.2f}" for k in labels] for c in shown]
    return board(rows, [f"α/β = {ratio:.0e}" for ratio in ROW], [named(case) for case in shown], correlations)


def content_layer(cases: Sequence[Case]) -> Figure:
    """Photograph and artwork, and the results with content from relu2_2 and relu4_2 (C fig. 16)."""
    return two_layers(cases, "content", ("relu2_2", "relu4_2"), claims.content_layer, "error {0:.3f}, edges {1:.2f}")


def style_layer(cases: Sequence[Case]) -> Figure:
    """Photograph and artwork, and the results with style from relu2_1 alone and relu4_1 alone (C fig. 17)."""
    return two_layers(cases, "style", ("relu2_1", "relu4_1"), claims.style_layer, "content {0:.3g}, noise {1:.2f}")


def two_layers(
    cases: Sequence[Case], kind: str, layers: tuple[str, str], measured: Callable[[Case], claims.Numbers], words: str
) -> Figure:
    """One row for each pair: its pictures, and the results of two layers with their two numbers each put into `words`."""
    shown, captions = per_pair(cases), []
    for case in shown:
        numbers = list(measured(case).values())
        captions.append(["", "", words.format(*numbers[:2]), words.format(*numbers[2:])])
    rows = [[case.p, images.cover(case.a, case.shape), *(case.image(layer) for layer in layers)] for case in shown]
    return board(rows, ("photograph", "artwork", *(f"{kind} {layer}" for layer in layers)), captions=captions)


def initialisation(cases: Sequence[Case]) -> Figure:
    """Start pictures above, results below (C figs. 18 and 19)."""
    case, longer = cases[0], round(cases[0].plan.steps * 10 / 3)
    bars = images.stripes(case.shape)
    above = [images.noise(case.shape, case.seed), case.p, images.cover(case.a, case.shape), bars, bars]
    labels = ("noise", "content", "style", "stripes", "stripes, longer")
    captions = [ended(case, label) for label in labels]
    titles = (*labels[:3], f"stripes, {case.plan.steps} steps", f"stripes, {longer} steps")
    return board([above, [case.image(k) for k in labels]], titles, ("start", "end"), [[], captions], width=12)


def seeds(cases: Sequence[Case]) -> Figure:
    """Four results from four noises, a row for each pair (C fig. 20)."""
    labels = [f"seed {seed}" for seed in SEEDS]
    captions = [[ended(case, label) for label in labels] for case in cases]
    return board([[c.image(k) for k in labels] for c in cases], labels, [named(c) for c in cases], captions)


def failing_start(cases: Sequence[Case]) -> Figure:
    """The starts of the search above, where each of them ended below, with its total over the noise start's (C fig. 5)."""
    case, found = cases[0], claims.failing_start(cases[0])
    labels, (height, width) = ("noise", *found), case.shape
    above = [images.noise((height, width), case.seed)]
    for label in found:
        init = case.results[label].card["settings"]["init"]
        above.append(images.stripes((height, width)) if label == "stripes" else images.load(init["name"]))
    captions = [[], ["total 1", *(f"total {value:.3g}" for value in found.values())]]
    return board([above, [case.image(label) for label in labels]], labels, ("start", "end"), captions, width=12)


def tv(cases: Sequence[Case]) -> Figure:
    """Without and with total variation, and the loss curves of both (B figs. 3 to 5)."""
    case = cases[0]
    weight = case.results["with"].card["settings"]["tv"]
    captions = [[f"variation {claims.variation(case.image(label)):.0f}" for label in ("without", "with")]]
    titles = ("without total variation", f"with (weight {weight:g})")
    figure = board([[case.image("without"), case.image("with")]], titles, captions=captions, under=2.8)
    lines = {f"{name}, {k}": history(case, k, name) for name in ("content", "style", "tv") for k in ("without", "with")}
    curves(figure, lines, "step (grey line: the next scale begins)", "raw loss", log=True)
    rows = case.results["with"].history["steps"]
    for before, after in itertools.pairwise(rows):
        if before["size"] != after["size"]:
            figure.subfigs[1].axes[0].axvline(after["step"], color="0.7", linewidth=0.8)
    return figure


def layer_weights(cases: Sequence[Case]) -> Figure:
    """Equal and early-heavy weights of the style layers, a row for each pair."""
    shown, found = per_pair(cases), [claims.layer_weights(case) for case in per_pair(cases)]
    captions = [[f"length {one[label]:.2f} px" for label in ("equal", "early")] for one in found]
    early = ", ".join(f"{w:g}" for w in shown[0].results["early"].card["settings"]["layer_weights"])
    rows = [[case.image("equal"), case.image("early")] for case in shown]
    return board(rows, ("weights 0.2 each", f"weights {early}"), [named(case) for case in shown], captions, width=7)


def style_scale(cases: Sequence[Case]) -> Figure:
    """The style's texture and the transfer with the style at three sizes, a row for each pair (Gatys et al. 2017)."""
    shown, captions = per_pair(cases), []
    labels = list(shown[0].results)
    labels = sorted(labels, key=lambda label: not label.startswith("texture"))
    for case in shown:
        found = claims.style_scale(case)
        captions.append(["", *(f"length {found[label]:.2f} px" for label in labels)])
    sizes = [shown[0].results[label].card["settings"]["style_size"] for label in labels]
    titles = [f"{label.partition(',')[0]}, style {size} px" for label, size in zip(labels, sizes, strict=True)]
    rows = [[images.cover(case.a, case.shape), *(case.image(label) for label in labels)] for case in shown]
    return board(rows, ("artwork", *titles), captions=captions, width=13)


def weight_schedule(cases: Sequence[Case]) -> Figure:
    """Constant and changed weights, and E_l with the changed ones over E_l with the constant ones."""
    case = cases[0]
    changes = case.results["changed"].card["settings"]["layer_weights"]
    at = max(int(step) for step in changes)
    figure = board([[case.image("constant"), case.image("changed")]], ("constant weights", f"changed at step {at}"), under=2.6)
    lines = {f"{named(c)}": (range(5), list(claims.weight_schedule(c).values())) for c in per_pair(cases)}
    curves(figure, lines, "", "E changed / constant", marker="o")
    figure.subfigs[1].axes[0].set_xticks(range(5), LAYERS)
    figure.subfigs[1].axes[0].axhline(1, color="0.5", linewidth=0.8)
    return figure


def evolution(cases: Sequence[Case]) -> Figure:
    """The picture as the iterations proceed, and its correlation with the photograph (A figs. 2 and 3)."""
    case, lines = cases[0], {}
    for one in per_pair(cases):
        p = one.p
        steps = [int(label) for label in one.results]
        lines[named(one)] = (steps, [measures.correlation(one.image(label), p) for label in one.results])
    shown = list(case.results)[-6:]
    figure = board([[case.image(k) for k in shown]], [f"step {int(k)}" for k in shown], width=11, under=2.6)
    return curves(figure, lines, "step", "correlation with the photograph", marker="o")


def squeezenet(cases: Sequence[Case]) -> Figure:
    """Photograph, artwork and result with heavier early layers (A §IV)."""
    shown, captions = per_pair(cases), []
    for case in shown:
        content, style = claims.left(case, "run")
        captions.append(["", "", f"content {content:.0%}, style {style:.0%}"])
    used = shown[0].results["run"].card
    layers = ", ".join(used["settings"]["style_layers"])
    titles = ("photograph", "artwork", f"{used['backbone']}, {shown[0].plan.steps} steps\nstyle {layers}")
    rows = [[case.p, images.cover(case.a, case.shape), case.image("run")] for case in shown]
    return board(rows, titles, captions=captions, width=8)


def upes_recipe(cases: Sequence[Case]) -> Figure:
    """Content, stretched style, and the pictures that the code shows, each with its printed loss (U fig. 6.1)."""
    labels = list(cases[0].results)
    printed = [k for k in labels if k.isdigit()]
    titles = ("content", "style, stretched", *(f"step {int(k)}" for k in printed))
    captions = [["", "", *(f"loss {case.results[k].history['total']:.4g}" for k in printed)] for case in cases]
    return board([[case.image(k) for k in labels] for case in cases], titles, captions=captions, width=12)


def optimisers(cases: Sequence[Case]) -> Figure:
    """Results of the three methods, and their totals over the seconds (C §2.4)."""
    case, names = cases[0], {"lbfgs": "L-BFGS", "adam": "Adam", "sgd": "SGD"}
    captions = [[f"total {case.final(k, 'total'):.4g}, {case.results[k].history['seconds']:.1f} s" for k in names]]
    figure = board([[case.image(k) for k in names]], list(names.values()), captions=captions, under=2.8)
    return curves(figure, {name: history(case, k, "total", "seconds") for k, name in names.items()}, "seconds", "total", True)


def inset(image: Tensor, mask: Tensor, share: float = 0.36) -> Tensor:
    """The picture with its mask, small and framed in grey, in the lower left corner (the layout of A fig. 4)."""
    height, width = (max(3, round(side * share)) for side in image.shape[-2:])
    small = images.resize(mask.expand(-1, 3, -1, -1).to(image), (height - 2, width - 2))
    result = image.clone()
    result[..., -height:, :width] = F.pad(small, (1, 1, 1, 1), value=0.5)
    return result


def guided_gram(cases: Sequence[Case]) -> Figure:
    """Content and both styles with inset masks, and the results without and with guidance (A figs. 4 and 5)."""
    shown, rows, captions = per_pair(cases), [], []
    for case in shown:
        (ground, first), (_, second) = (claims.regions(case, style) for style in ("style I", "style II"))
        given = ((case.content, ground), (case.style, first), (OTHER[case.style], second))
        fitted = [[images.cover(images.load(name), case.shape) for name in pair] for pair in given]
        rows.append([*(inset(x, mask[:, :1]) for x, mask in fitted), case.image("uncontrolled"), case.image("controlled")])
        n = claims.guided_gram(case)
        own = {k: [n[f"{k}, {part} to {part}"] for part in claims.PARTS] for k in case.results}
        told = [f"to own style: ground {ground:.2f}, sky {sky:.2f}" for ground, sky in own.values()]
        captions.append(["white: style I, black: style II", "white: what is taken", "white: what is taken", *told])
    titles = ("content", "style I", "style II", "uncontrolled: style I alone", "controlled: both styles")
    return board(rows, titles, captions=captions, width=13)


def fast_transfer(cases: Sequence[Case]) -> Figure:
    """Photograph, artwork, one pass, and optimisation where it passes the network and at its end; totals below (A fig. 6)."""
    shown, rows, captions, lines = per_pair(cases), [], [], {}
    for case in shown:
        n, labels = claims.fast_transfer(case), list(case.results)
        one, passing, run = (case.results[label].history for label in labels)
        rows.append([case.p, images.cover(case.a, case.shape), *(case.image(label) for label in labels)])
        ends = [n["total, one pass / photograph"], n["total, run / photograph"]]
        told = [
            f"{one['seconds']:.3f} s, total {ends[0]:.2f}",
            f"step {passing['step']} of {case.plan.steps}, {passing['seconds']:.1f} s",
        ]
        captions.append(["as it is: total 1", "", *told, f"{run['seconds']:.1f} s, total {ends[1]:.2f}"])
        steps = [row for row in run["steps"] if row["size"] == case.plan.size]
        lines[named(case)] = [row["step"] for row in steps], [row["total"] / one["final"]["total"] for row in steps]
    lines["one pass"] = (lines[named(shown[0])][0], [1.0] * len(lines[named(shown[0])][0]))
    titles = ("photograph", "artwork", "one pass", "optimisation passes it", "optimisation, end")
    figure = board(rows, titles, captions=captions, width=12, under=2.6)
    axes = curves(figure, lines, "step (those at full size)", "total / one pass's", log=True).subfigs[1].axes[0]
    axes.set_yticks((0.25, 0.5, 1, 2, 4), ("1/4", "1/2", "1", "2", "4"))
    axes.minorticks_off()
    return figure


def photoreal(cases: Sequence[Case]) -> Figure:
    """Photograph, the photograph whose style is taken, and the result (C fig. 21)."""
    shown, captions = per_pair(cases), []
    for case in shown:
        found = claims.photoreal(case)
        captions.append(["", "", f"edges {found['edges']:.2f}, noise {found['noise']:.2f}"])
    rows = [[case.p, images.cover(case.a, case.shape), case.image("run")] for case in shown]
    return board(rows, ("content", "style", "result"), captions=captions)


def dark_restoration(cases: Sequence[Case]) -> Figure:
    """Dark photograph, bright photograph and result (C fig. 22)."""
    shown, captions = per_pair(cases), []
    for case in shown:
        found = claims.dark_restoration(case)
        bright, low = (found[f"colours to the {which} one"] for which in ("bright", "dark"))
        captions.append(["", "", f"edges {found['edges']:.2f}; colours {bright:.2f} from style, {low:.2f} from content"])
    rows = [[case.p * DARK, images.cover(case.a, case.shape), case.image("run")] for case in shown]
    return board(rows, ("content", "style", "result"), captions=captions, width=11)


DRAW: dict[str, Callable[[Sequence[Case]], Figure]] = {
    draw.__name__.replace("_", "-"): draw
    for draw in (
        vgg_table, convolution, pooling, feature_maps, content_reconstruction, style_reconstruction, gradients, gallery,
        tradeoff_grid, ratio_row, content_layer, style_layer, initialisation, seeds, failing_start, tv, layer_weights,
        style_scale, weight_schedule, evolution, squeezenet, upes_recipe, optimisers, guided_gram, fast_transfer, photoreal,
        dark_restoration,
    )
}  # fmt: skip
