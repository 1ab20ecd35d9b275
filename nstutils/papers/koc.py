"""B: Arslantürk and Levi, Style Transfer (Koç University)."""

import itertools
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from nstutils.library.weights import backbone
from nstutils.losses import TVLoss
from nstutils.papers.drawing import curves, history, named, per_pair, table
from nstutils.papers.judging import five, targets
from nstutils.papers.rows import EARLY, FINE, LAYERS, ONCE, ONE, Case, Numbers, Row


def variation(image: Tensor) -> float:
    """Total variation, as the loss measures it."""
    return float(TVLoss()(image, {}))


def _with_curves(cases: Sequence[Case]) -> Figure:
    """Without and with total variation, and the loss curves of both."""
    case = cases[0]
    varied = {label: f"variation {variation(case.image(label)):.0f}" for label in case.results}
    columns = [(f"{k}, weight {case.settings(k)['tv']:g}", k, caption) for k, caption in varied.items()]
    figure = table(*columns, under=2.8, most=1)(cases)
    lines = {f"{name}, {k}": history(case, k, name) for name in ("content", "style", "tv") for k in case.results}
    curves(figure, lines, "step (grey line: the next scale begins)", "raw loss", log=True)
    for before, after in itertools.pairwise(case.results["with"].history["steps"]):
        if before["size"] != after["size"]:
            figure.axes[-1].axvline(after["step"], color="0.7", linewidth=0.8)
    return figure


tv = Row(
    source="B figs. 3 to 5; A",
    claim="With the total variation term noise falls and edges stay.",
    measure="total variation lower by 30 % or more; edge correlation with the photograph at least 0.8 of that without",
    runs=lambda case: {"without": ONE, "with": ONE | {"tv": 0.1}},
    effort=((128, 100, FINE), (768, 400, ONCE)),
    numbers=lambda case: {
        "variation": variation(case.image("with")) / variation(case.image("without")),
        "edges": case.edges("with") / case.edges("without"),
    },
    parts=lambda n: {"noise falls": n["variation"] <= 0.7, "edges stay": n["edges"] >= 0.8},
    draw=_with_curves,
)


@torch.no_grad()
def _changed(case: Case) -> Numbers:
    """E_l with changed weights over E_l with constant ones, layer by layer."""
    loss, net = targets(case, "changed").styles[0], backbone(case.plan.backbone)  # both runs have these targets
    net = net.to(next(iter(loss.targets.values())).device)
    pictures = (case.image(label).to(net.weight.device) for label in ("changed", "constant"))
    changed, constant = (loss.by_layer(net(picture, loss.layers)) for picture in pictures)
    return {layer: float(changed[layer]) / float(constant[layer]) for layer in changed}


def _by_layer(cases: Sequence[Case]) -> Figure:
    """Constant and changed weights, and E_l with the changed ones over E_l with the constant ones."""
    at = max(int(step) for step in cases[0].settings("changed")["layer_weights"])
    figure = table(("constant weights", "constant", ""), (f"changed at step {at}", "changed", ""), under=2.6, most=1)(cases)
    lines = {named(case): (range(5), five(case.numbers)) for case in per_pair(cases)}
    curves(figure, lines, "", "E changed / constant", LAYERS, marker="o").axes[-1].axhline(1, color="0.5", linewidth=0.8)
    return figure


weight_schedule = Row(
    source="B",
    claim="Changing the weights of the style layers after step 250 of 400 has an effect.",
    measure="layers whose weight is raised end with lower E_l than with constant weights, the layer whose weight falls most "
    "higher",
    runs=lambda case: {
        "constant": ONE | {"layer_weights": EARLY},
        "changed": ONE | {"layer_weights": {1: EARLY, round(case.plan.steps * 250 / 400) + 1: EARLY[::-1]}},
    },
    effort=((128, 100, FINE), (768, 400, ONCE)),
    numbers=_changed,
    parts=lambda n: {"raised 5_1 is lower": n["relu5_1"] < 1, "lowered 1_1 is higher": n["relu1_1"] > 1},
    draw=_by_layer,
)
