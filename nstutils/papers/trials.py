"""What the experiments run: the settings of every run of a case, by label, for `sweep`; and the runs that no sweep can make."""

import contextlib
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nstutils import images
from nstutils.descent import Step
from nstutils.fast import network as fast
from nstutils.library import weights
from nstutils.losses import evaluate, gram, total
from nstutils.papers import recipes
from nstutils.papers.claims import DARK, LAYERS, OTHER, RATIOS, Case, Plan, cell, regions
from nstutils.results import Result
from nstutils.runs import store
from nstutils.runs.devices import choose
from nstutils.runs.options import PAPERS, Options
from nstutils.runs.resolve import identity, prepare
from nstutils.runs.sweeps import grid
from nstutils.transfer import stylise

Runs = dict[str, dict[str, Any]]
Pairs = tuple[tuple[str, str], ...]

PAIRS: Pairs = (("town", "swirls"), ("astronaut", "mosaic"), ("chelsea", "dots"))
ARTWORKS: Pairs = tuple(("town", style) for style in ("swirls", "arcs", "glass", "wave", "cutpaper"))
PHOTOGRAPHS: Pairs = (("town", "coast"), ("coast", "hills"), ("hills", "town"))
# style I must have both textures, as in A: swirls is 64 % sky and 36 % ground. Where it is nearly all ground (dots: 83 %), the
# ground needs no guidance: there it is as near to its style without
LANDSCAPES: Pairs = (("hills", "swirls"), ("coast", "swirls"), ("town", "swirls"))
PAINTED: Pairs = (("town", "swirls"), ("astronaut", "mosaic"), ("hills", "glass"), ("coast", "wave"))  # not trained on
STARTS = ("black", "white", "chequered", "negative", "stripes", "adversarial")
STYLE_SIZES = {"half": 0.5, "equal": 1.0, "larger": 2.0}  # long sides of the style over the picture's
EARLY = (0.4, 0.3, 0.1, 0.1, 0.1)  # of the five style layers; sums to 1, as the equal weights do
LATE = EARLY[::-1]
ONE: dict[str, Any] = {"alpha": 1.0, "beta": 1e3}  # α/β = 10⁻³
FINE: dict[str, Any] = PAPERS  # Adam, coarse to fine: good pictures in few steps, but the start is soon forgotten
ONCE: dict[str, Any] = PAPERS | {"scales": "1"}  # Adam at full size alone, as B and C
SLOW: dict[str, Any] = PAPERS | {
    "method": "lbfgs"
}  # coarse to fine with L-BFGS: from noise it gets where full size alone does not
LBFGS: dict[str, Any] = PAPERS | {"scales": "1", "method": "lbfgs"}  # as G; it comes in 150 steps where Adam needs thousands


def fixed(**runs: Mapping[str, Any]) -> Callable[[Plan, str, str, int], Runs]:
    """Runs that are the same for every case."""
    return lambda plan, content, style, seed: {label: dict(own) for label, own in runs.items()}


def by(name: str, layers: Sequence[str], **own: Any) -> Callable[[Plan, str, str, int], Runs]:
    """One run for each layer, the only one of its kind."""
    return lambda plan, content, style, seed: {layer: {name: (layer,)} | own for layer in layers}


def ratio(value: float) -> dict[str, float]:
    """α/β as two options."""
    return {"alpha": 1.0, "beta": 1 / value}


def textures(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """Style alone, from growing sets of layers, in the artwork's own frame."""
    own = {"content": style, "alpha": 0.0, "beta": 1.0}
    return {layer: own | {"style_layers": LAYERS[: k + 1]} for k, layer in enumerate(LAYERS)}


def pictures(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """One picture: α/β = 10⁻³ for the first three artworks and 10⁻⁴ for the others, with a little total variation (B)."""
    first = [artwork for _, artwork in ARTWORKS].index(style) < 3
    return {"run": ratio(1e-3 if first else 1e-4) | {"tv": 0.01}}


def cells(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """The 5 x 4 grid of G fig. 3."""
    asked = grid(layers=range(len(LAYERS)), ratio=RATIOS)
    return {
        cell(LAYERS[one["layers"]], one["ratio"]): ratio(one["ratio"]) | {"style_layers": LAYERS[: one["layers"] + 1]}
        for one in asked
    }


def starts(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """Noise, content, style, stripes, and stripes with 10/3 of the steps (3000 and 10000 in C)."""
    plain = {name: ONE | {"init": name} | _unseeded(name) for name in ("noise", "content", "style", "stripes")}
    return plain | {"stripes, longer": plain["stripes"] | {"steps": round(plan.steps * 10 / 3)}}


def _unseeded(init: str) -> dict[str, int]:
    """Starts without chance are run once for all seeds."""
    return {} if init == "noise" else {"seed": 0}


def search(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """Noise and the starts of a search for one that fails, written as pictures; all but the adversarial one know no chance."""
    found: Runs = {"noise": dict(ONE)}
    for name in STARTS:
        chance = {"seed": seed if name == "adversarial" else 0}
        init = name if name == "stripes" else os.fspath(start(plan, content, style, chance["seed"], name))
        found[name] = ONE | {"init": init} | chance
    return found


def start(plan: Plan, content: str, style: str, seed: int, name: str) -> Path:
    """The file of a start picture of the search, drawn if it is not there yet."""
    made_of = [plan.backbone, weights.backbone(plan.backbone).sha256, plan.size, identity(content), identity(style), seed]
    path = plan.folder / "starts" / f"{name}-{_key(made_of)}.png"
    if not path.exists():
        case = Case(plan, content, style, seed)
        height, width = case.shape
        board = (torch.arange(height)[:, None] // 8 + torch.arange(width) // 8) % 2
        drawn: dict[str, Callable[[], torch.Tensor]] = {
            "black": lambda: torch.zeros(1, 3, height, width),
            "white": lambda: torch.ones(1, 3, height, width),
            "chequered": lambda: board.float().expand(1, 3, -1, -1),
            "negative": lambda: 1 - case.p,
            "adversarial": lambda: uphill(case),
        }
        images.save(drawn[name](), path)
    return path


def uphill(case: Case, steps: int = 20, lr: float = 0.05) -> torch.Tensor:
    """White noise, moved so that the total rises: signs of the gradient, so many steps."""
    own: dict[str, Any] = {"backbone": case.plan.backbone, "size": case.plan.size, "steps": 1, "seed": case.seed}
    options = Options(**case.plan.way | ONE | own | {"scales": "1"})
    problem = prepare(case.content, case.style, options)
    x, terms = problem.start(), problem.stages()[-1].terms
    for _ in range(steps):
        x = x.detach().requires_grad_()
        sum_of_terms = total(evaluate(problem.exact, x, terms), terms)  # type: ignore[arg-type]
        x = (x + lr * torch.autograd.grad(sum_of_terms.sum(), x)[0].sign()).clamp(0, 1)
    return x.detach().cpu()


def schedules(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """Heavier early layers all the way, and heavier late layers after 250 of 400 steps."""
    constant = ONE | {"layer_weights": EARLY}
    changed = constant | {"layer_weights": {1: EARLY, round(plan.steps * 250 / 400) + 1: LATE}}
    return {"constant": constant, "changed": changed}


def scaled(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """The style at several sizes (none above its file's): its texture alone, and with the photograph."""
    own, most = ONE | {"tv": 0.01}, max(images.load(style).shape[-2:])
    found: Runs = {}
    for label, factor in STYLE_SIZES.items():
        sized = own | {"style_size": min(round(factor * plan.size), most)}
        found |= {f"texture, {label}": sized | {"alpha": 0.0}, f"transfer, {label}": sized}
    return found


def hundred(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """Document A's network and layers."""
    layers = {"backbone": "squeezenet", "content_layers": ("fire2",), "style_layers": ("relu1", "fire3", "fire4", "fire5")}
    return {"run": ONE | layers | {"layer_weights": (0.4, 0.3, 0.2, 0.1)}}


def dark(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """The photograph with little light as content, another photograph as style."""
    path = plan.folder / "starts" / f"dark-{_key([identity(content), plan.size])}.png"
    if not path.exists():
        images.save(images.load(content, plan.size) * DARK, path)
    return {"run": ONE | {"content": os.fspath(path)}}


def controlled(plan: Plan, content: str, style: str, seed: int) -> Runs:
    """Style I alone, and the ground of style I with the sky of style II by hard masks; a little total variation, as in A."""
    masks = zip(*(regions(Case(plan, content, style), name) for name in ("style I", "style II")), strict=True)
    guides = dict(zip(("content_guide", "style_guide"), map(list, masks), strict=True))
    own = ratio(1 / 3000) | {"tv": 0.01}
    return {"uncontrolled": own, "controlled": own | {"style": (style, OTHER[style])} | guides}


def one_pass(plan: Plan, content: str, style: str, seed: int, progress: bool) -> dict[str, Result]:
    """The shipped network's picture, and optimisation with the weights and the style's size that it was trained for: at its
    end, and where its total at full size is below the network's for the first time (its end, and one step more than it has,
    where that does not happen)."""
    own = {"backbone": plan.backbone, "size": plan.size, "steps": plan.steps, "seed": seed}
    asked: dict[str, Any] = own | plan.way | {"beta": 5e3, "tv": 0.05, "style_size": fast.style_size()}

    def make() -> dict[str, Result]:
        painted, history = passed_once(content, style, asked)
        there: list[tuple[int, torch.Tensor]] = []
        numbers = itertools.count(1)  # of all scales; a step's own index begins anew at each

        def watch(step: Step) -> None:
            number = next(numbers)
            below = step.image.shape == painted.shape and float(step.total) < history["final"]["total"]
            if below and not there:
                there.append((number, step.image.clamp(0, 1).cpu()))

        run = stylise(images.load(content, plan.size), style, progress=progress, watch=watch, **asked)
        if not run.finished:
            raise KeyboardInterrupt("stopped: the run is compared with one pass only when it is done")
        step, image = there[0] if there else (plan.steps + 1, run.image)
        at = (row["seconds"] for row in run.history["steps"] if row["step"] == step)
        seconds = next(at, run.history["seconds"])
        passing = Result(image, {"step": step, "seconds": seconds}, run.card)
        return {"one pass": Result(painted, history, run.card), "passing": passing, "the run": run}

    return kept(plan, "fast", [asked, identity(content), identity(style), fast.facts()["sha256"]], make)


def passed_once(content: str, style: str, asked: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
    """The shipped network's picture; the seconds of a pass (the median of five), its losses, and the photograph's total."""
    net, p = fast.load().to(choose()[0]), images.load(content, asked["size"])
    problem, seconds = prepare(p, style, Options(**asked)), []
    for _ in range(6):
        begin = time.perf_counter()
        painted = fast.apply(net, p, style).cpu()
        seconds.append(time.perf_counter() - begin)
    terms = problem.stages()[-1].terms
    with torch.no_grad():
        found, still = (evaluate(problem.exact, x.to(problem.content), terms) for x in (painted, p))  # type: ignore[arg-type]
    losses = {name: float(value) for name, value in (found | {"total": total(found, terms)}).items()}  # type: ignore[arg-type]
    history = {"seconds": statistics.median(seconds[1:]), "final": losses, "photograph": float(total(still, terms))}  # type: ignore[arg-type]
    return painted, history


def on_the_way(plan: Plan, content: str, style: str, seed: int, progress: bool) -> dict[str, Result]:
    """A run from noise with the pictures of some of its steps, by number."""
    own: dict[str, Any] = {"backbone": plan.backbone, "size": plan.size, "steps": plan.steps, "seed": seed}
    options = own | ONE | plan.way
    wanted = sorted({1, plan.steps} | {step for step in (10, 25, 50, 100, 200, 300) if step < plan.steps})
    seen: dict[int, torch.Tensor] = {}

    def watch(step: Step) -> None:
        if step.index in wanted:
            seen[step.index] = step.image.clamp(0, 1).cpu()

    def make() -> dict[str, Result]:
        result = stylise(content, style, progress=progress, watch=watch, **options)
        if not result.finished:
            raise KeyboardInterrupt("stopped: the evolution of a picture is kept only when it is done")
        last = {plan.steps: result}
        return {f"{k:05}": last.get(k, Result(x, {"seconds": 0.0}, result.card)) for k, x in seen.items()}

    return kept(plan, "evolution", [options, identity(content), identity(style)], make)


def upes_run(plan: Plan, content: str, style: str, seed: int, progress: bool) -> dict[str, Result]:
    """U's recipe, with its pictures and printed losses; `plan.size` is the shorter side."""

    def make() -> dict[str, Result]:
        net = recipes.rounding_down(weights.backbone(plan.backbone, pool="max").to(choose()[0]))
        begin, device = time.perf_counter(), net.weight.device
        p, a = (x.to(device) for x in recipes.upes_pictures(images.load(content), images.load(style), plan.size))
        with torch.no_grad():
            wanted = net(p, (recipes.UPES_CONTENT,))[recipes.UPES_CONTENT]
            grams = {k: gram(f) * f[0, 0].numel() for k, f in net(a, tuple(recipes.UPES_WEIGHTS)).items()}
            exact = float(recipes.upes_loss(net, (p + a) / 2, wanted, grams))
            off = abs(recipes.upes_by_equations(net, (p + a) / 2, p, a) / exact - 1)
        found = {"content": Result(p.cpu(), {"off": off}, {}), "style": Result(a.cpu(), {}, {})}
        for step, value, image in recipes.upes(net, p, a, steps=plan.steps, every=max(1, plan.steps // 5)):
            seconds = time.perf_counter() - begin
            found[f"{step:05}"] = Result(image.cpu(), {"total": value, "seconds": seconds}, {})
        return found

    return kept(plan, "upes", [plan.size, plan.steps, plan.backbone, identity(content), identity(style)], make)


def kept(plan: Plan, name: str, what: Any, make: Callable[[], dict[str, Result]]) -> dict[str, Result]:
    """The results that `make` gives, kept in a folder of the store under the hash of `what` and of the weights."""
    place = plan.folder / f"{name}-{_key([what, weights.backbone(plan.backbone).sha256])}"
    for _ in range(2):
        with contextlib.suppress(OSError, ValueError, KeyError):
            labels = json.loads((place / "done.json").read_text(encoding="utf-8"))["labels"]
            return {label: Result.load(place / f"{label}.png") for label in labels}
        found = make()
        for label, result in found.items():
            result.save(place / f"{label}.png")
        store.write_json({"labels": list(found)}, place / "done.json")
    return found


def _key(what: Any) -> str:
    """A short hash of settings, and of what computes."""
    return store.fingerprint([what, store.program()])[:16]
