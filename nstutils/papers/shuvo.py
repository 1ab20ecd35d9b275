"""A: Shuvo, Artistic Style Transfer using Deep Neural Networks."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from nstutils import guidance, images
from nstutils.backbones import FeatureExtractor
from nstutils.descent import Step
from nstutils.fast import network as fast
from nstutils.library.weights import backbone
from nstutils.losses import gram, total
from nstutils.papers.drawing import LEFT, PHOTOGRAPH, STYLE, curves, named, per_pair, table
from nstutils.papers.judging import left, whole
from nstutils.papers.rows import EARLY, FAINT, FINE, LAYERS, LBFGS, ONCE, ONE, Case, Choice, Numbers, Row, Runs, ratio
from nstutils.results import Result
from nstutils.runs.devices import choose
from nstutils.runs.options import Options
from nstutils.runs.resolve import prepare
from nstutils.runs.tasks import style_long
from nstutils.runs.tiles import View
from nstutils.transfer import stylise

layer_weights = Row(
    source="A §IV; B",
    claim="Heavier style weights on early layers give finer texture (A; B says larger artefacts).",
    measure="autocorrelation length below that with equal weights: A is right; above: B is",
    runs=lambda case: {"equal": ONE, "early": ONE | {"layer_weights": EARLY}},
    seeds=(0, 1, 2),  # lengths that differ by less than a tenth
    # not from noise: heavier early layers take more of it away, so that the length of what is left of it would be compared
    effort=((96, 150, FAINT), (768, 400, FAINT)),
    numbers=lambda case: {
        "equal": case.length("equal"),
        "early": case.length("early"),
        "early / equal": case.length("early") / case.length("equal"),
    },
    parts=lambda n: {"finer, as A says": n["early / equal"] < 1},
    draw=table(
        ("weights 0.2 each", "equal", "length {equal:.2f} px"),
        (f"weights {', '.join(f'{w:g}' for w in EARLY)}", "early", "length {early:.2f} px"),
        name=named,
        width=7,
    ),
)


def _on_the_way(case: Case, progress: bool) -> dict[str, Result]:
    """A run from noise with the pictures of some of its steps, by number."""
    last = case.plan.steps
    wanted = {1, last} | {step for step in (10, 25, 50, 100, 200, 300) if step < last}
    seen: dict[int, Tensor] = {}

    def watch(step: Step) -> None:
        if step.index in wanted:
            seen[step.index] = step.image.clamp(0, 1).cpu()

    options = case.plan.options | ONE | {"seed": case.seed}
    result = whole(stylise(case.content, case.style, progress=progress, watch=watch, **options))
    return {f"{k:05}": result if k == last else Result(x, {"seconds": 0.0}, result.card) for k, x in seen.items()}


def _likeness(case: Case) -> Numbers:
    """Content correlation of the pictures on the way."""
    found = {int(label): value for label, value in case.correlations.items()}
    last = max(found)
    at = min(step for step in found if step >= min(100, last))
    return {f"step {step}": value for step, value in found.items()} | {"at 100 / at the end": found[at] / found[last]}


def _proceeding(cases: Sequence[Case]) -> Figure:
    """The picture as the iterations proceed, and its correlation with the photograph."""
    shown = list(cases[0].results)[-6:]
    figure = table(*((f"step {int(k)}", k, "") for k in shown), width=11, under=2.6, most=1)(cases)
    lines = {named(case): (list(map(int, case.results)), list(case.numbers.values())[:-1]) for case in per_pair(cases)}
    return curves(figure, lines, "step", "correlation with the photograph", marker="o")


evolution = Row(
    source="A figs. 2 and 3; U fig. 6.1",
    claim="From noise, the content is visible after about 100 iterations.",
    measure="correlation with the photograph after 100 steps at least half of its final value",
    made=_on_the_way,
    effort=((96, 200, LBFGS), (512, 400, ONCE)),
    numbers=_likeness,
    parts=lambda n: {"half is there": n["at 100 / at the end"] >= 0.5},
    draw=_proceeding,
)


SQUEEZENET: Choice = {"content_layers": ("fire2",), "style_layers": ("relu1", "fire3", "fire4", "fire5")}
AFTER = "squeezenet, {case.plan.steps} steps\nstyle " + ", ".join(SQUEEZENET["style_layers"])

squeezenet = Row(
    source="A §IV",
    claim="SqueezeNet 1.1 with heavier early layers gives texture and content after 100 iterations.",
    measure="each loss at most 30 % of its value at x = a, x = p; judged with SqueezeNet's own weights alone",
    backbone="squeezenet",
    runs=lambda case: {"run": ONE | SQUEEZENET | {"layer_weights": (0.4, 0.3, 0.2, 0.1)}},
    effort=((128, 100, FINE), (512, 100, ONCE)),
    numbers=left,
    parts=lambda n: {k: value <= 0.3 for k, value in n.items()},
    draw=table(PHOTOGRAPH, STYLE, (AFTER, "run", LEFT), width=8),
)


OTHER = {"dots": "swirls", "swirls": "dots"}  # style II by style I: the artworks whose sky and ground have masks


def artworks(case: Case) -> dict[str, str]:
    """The artwork that each region takes its style of."""
    return {"ground": case.style, "sky": OTHER[case.style]}


def _guided(case: Case) -> Runs:
    """Style I alone, and the ground of style I with the sky of style II by hard masks; a little total variation, as in A."""
    own, parts = ratio(1 / 3000) | {"tv": 0.01}, artworks(case)
    guides = {
        "content_guide": [f"mask_{case.content}_{part}" for part in parts],
        "style_guide": [f"mask_{artwork}_{part}" for part, artwork in parts.items()],
    }
    return {"uncontrolled": own, "controlled": own | {"style": tuple(parts.values())} | guides}


@torch.no_grad()
def _grams_inside(net: FeatureExtractor, x: Tensor, mask: str) -> dict[str, Tensor]:
    """Guided Gram matrices of a region of a picture, layer by layer."""
    guides = guidance.propagate(guidance.load_mask(mask, x), net, LAYERS)
    return {layer: gram(features, guides[layer]) for layer, features in net(x, LAYERS).items()}


def _taken(case: Case, style: str) -> Tensor:
    """An artwork at the size at which a run takes its style, where nothing else is asked for."""
    artwork = images.load(style)
    return images.resize(artwork, style_long(Options(**case.plan.options), artwork, case.plan.size))


def _by_region(case: Case) -> Numbers:
    """Relative Gram distances ‖G − A‖ / ‖A‖, means over the layers, from both regions of both results to both styles' parts,
    and to the sky of style I, which no run is asked for."""
    net, parts = backbone(case.plan.backbone), artworks(case)
    wanted = {part: _grams_inside(net, _taken(case, name), f"mask_{name}_{part}") for part, name in parts.items()}
    wanted["style I's sky"] = _grams_inside(net, _taken(case, case.style), f"mask_{case.style}_sky")
    found: Numbers = {}
    for label in ("uncontrolled", "controlled"):
        for region in parts:
            here = _grams_inside(net, case.image(label), f"mask_{case.content}_{region}")
            for part, there in wanted.items():
                far = [float((here[layer] - A).norm() / A.norm()) for layer, A in there.items()]
                found[f"{label}, {region} to {part}"] = sum(far) / len(far)
    return found


def inset(image: Tensor, mask: Tensor, share: float = 0.36) -> Tensor:
    """The picture with its mask, small and framed in grey, in the lower left corner (the layout of A fig. 4)."""
    height, width = (max(3, round(side * share)) for side in image.shape[-2:])
    small = images.resize(mask.expand(-1, 3, -1, -1).to(image), (height - 2, width - 2))
    result = image.clone()
    result[..., -height:, :width] = F.pad(small, (1, 1, 1, 1), value=0.5)
    return result


def _masked(case: Case, picture: str, part: str) -> Tensor:
    """A picture in the photograph's frame, with the mask of its ground or sky inset."""
    image, region = (images.cover(images.load(name), case.shape) for name in (picture, f"mask_{picture}_{part}"))
    return inset(image, region[:, :1])


TO_OWN = "to own style: ground {{{0}, ground to ground:.2f}}, sky {{{0}, sky to sky:.2f}}"

guided_gram = Row(
    source="A figs. 4 and 5",
    claim="Without guidance the ground's texture of style I is in the sky; with it each region takes its own style.",
    measure="Gram distance by region (‖G − A‖ / ‖A‖, mean of the layers): with guidance ground and sky are each nearer to "
    "their own style than without; without it the sky is nearer to the ground of style I than to the sky of either style, with "
    "it farther than to its own style's",
    runs=_guided,
    # style I is nearly all ground (dots: 83 %), so that its ground can be seen in the sky. Where it is mostly sky (swirls:
    # 64 %), all of it is nearly as far from its own ground (0.82) as from the sky of style II (0.82 to 0.92): little could show
    pairs=(("hills", "dots"), ("coast", "dots"), ("town", "dots")),
    effort=((160, 100, FINE), (512, 500, LBFGS)),
    numbers=_by_region,
    parts=lambda n: {
        "ground nearer to its style": n["controlled, ground to ground"] < n["uncontrolled, ground to ground"],
        "sky nearer to its style": n["controlled, sky to sky"] < n["uncontrolled, sky to sky"],
        "uncontrolled: ground in the sky": n["uncontrolled, sky to ground"]
        < min(n["uncontrolled, sky to sky"], n["uncontrolled, sky to style I's sky"]),
        "controlled: no ground in the sky": n["controlled, sky to ground"] > n["controlled, sky to sky"],
    },
    draw=table(
        ("content", lambda c: _masked(c, c.content, "ground"), "white: style I, black: style II"),
        ("style I", lambda c: _masked(c, c.style, "ground"), "white: what is taken"),
        ("style II", lambda c: _masked(c, OTHER[c.style], "sky"), "white: what is taken"),
        ("uncontrolled: style I alone", "uncontrolled", TO_OWN.format("uncontrolled")),
        ("controlled: both styles", "controlled", TO_OWN.format("controlled")),
        width=13,
    ),
)


def _one_pass(case: Case, progress: bool) -> dict[str, Result]:
    """The shipped network's picture, and optimisation with the weights and the style's size that it was trained for: at its
    end, and where its total at full size is first below the network's (else its end, as one step more than it has)."""
    asked = case.plan.options | fast.aims() | {"seed": case.seed}
    photograph = images.load(case.content, case.plan.size)
    painted, history = passed_once(fast.load(), photograph, case.style, asked)
    wanted = history["final"]["total"]
    below: list[Tensor] = []

    def watch(step: Step) -> None:
        if not below and step.image.shape == painted.shape and float(step.total) < wanted:
            below.append(step.image.clamp(0, 1).cpu())

    run = whole(stylise(photograph, case.style, progress=progress, watch=watch, **asked))
    later = (row for row in run.history["steps"] if row["size"] == case.plan.size and row["total"] < wanted)
    first = next(later, {"step": case.plan.steps + 1, "seconds": run.history["seconds"]})
    at = {name: first[name] for name in ("step", "seconds")}
    passing = Result(below[0] if below else run.image, at, run.card)
    return {"one pass": Result(painted, history, run.card), "passing": passing, "the run": run}


def passed_once(net: fast.TransformNet, p: Tensor, style: str, asked: Choice) -> tuple[Tensor, dict[str, Any]]:
    """A network's picture; the seconds of a pass (the median of five), its losses, and the photograph's total."""
    net, problem, seconds = net.to(choose()[0]), prepare(p, style, Options(**asked)), []
    for _ in range(6):
        begin = time.perf_counter()
        painted = fast.apply(net, p, style)
        seconds.append(time.perf_counter() - begin)
    found, still = (View(problem.task.exact).losses(x.to(problem.pictures.content), problem.terms) for x in (painted, p))
    losses = {name: float(value) for name, value in (found | {"total": total(found, problem.terms)}).items()}
    history = {"seconds": statistics.median(seconds[1:]), "final": losses, "photograph": float(total(still, problem.terms))}
    return painted, history


def _against_the_run(case: Case) -> Numbers:
    """Seconds of the run over those of one pass, totals of the pass, and where the run passes it."""
    one, passing, run = (case.results[label].history for label in ("one pass", "passing", "the run"))
    total = one["final"]["total"]
    return {
        "seconds, run / one pass": run["seconds"] / one["seconds"],
        "total, one pass / photograph": total / one["photograph"],
        "total, run / photograph": run["final"]["total"] / one["photograph"],
        "total, one pass / run": total / run["final"]["total"],
        "step that passes it": passing["step"],
        "seconds until then / one pass": passing["seconds"] / one["seconds"],
    }


def _overtaken(cases: Sequence[Case]) -> Figure:
    """Photograph, artwork, one pass, and optimisation where it passes the network and at its end; totals below."""
    columns = [
        (PHOTOGRAPH[0], PHOTOGRAPH[1], "as it is: total 1"),
        STYLE,
        ("one pass", "one pass", "{run.history[seconds]:.3f} s, total {total, one pass / photograph:.2f}"),
        ("optimisation passes it", "passing", "step {step that passes it} of {case.plan.steps}, {run.history[seconds]:.1f} s"),
        ("optimisation, end", "the run", "{run.history[seconds]:.1f} s, total {total, run / photograph:.2f}"),
    ]
    figure, lines = table(*columns, width=12, under=2.6)(cases), {}
    for case in per_pair(cases):
        steps = [row for row in case.results["the run"].history["steps"] if row["size"] == case.plan.size]
        totals = [row["total"] / case.final("one pass", "total") for row in steps]
        lines[named(case)] = [row["step"] for row in steps], totals
    axes = curves(figure, lines, "step (those at full size)", "total / one pass's", log=True).axes[-1]
    axes.axhline(1, color="0.5", linewidth=0.8)
    axes.set_yticks((0.25, 0.5, 1, 2, 4), ("1/4", "1/2", "1", "2", "4"))
    axes.minorticks_off()
    return figure


fast_transfer = Row(
    source="A fig. 6 (Johnson 2016)",
    claim="One forward pass of a trained network produces the desired picture without iterations.",
    measure="on photographs that the network was not trained on: a run takes at least 100 times the seconds of one pass at the "
    "same size; the total of the pass is at most twice the run's; the step at which the run passes it is reported",
    made=_one_pass,
    pairs=(("town", "swirls"), ("astronaut", "mosaic"), ("hills", "glass"), ("coast", "wave")),  # not trained on
    seeds=(0,),  # the run starts from the photograph, and a pass knows no chance
    only="classroom",
    timed=True,
    effort=((256, 100, {}), (512, 500, {})),  # the default recipe, with the losses that the network was trained towards
    numbers=_against_the_run,
    parts=lambda n: {
        "at least 100 times as fast": n["seconds, run / one pass"] >= 100,
        "at most twice the run's total": n["total, one pass / run"] <= 2,
    },
    draw=_overtaken,
)
