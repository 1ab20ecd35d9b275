"""Checks for the lessons' exercises: each takes the reader's function, tries it, and names the usual mistake.

A check is silent about how the right answer is written: it compares values, on several inputs, and raises an AssertionError
with one sentence. `WRONG` holds, for each exercise, the answers that readers really give, each with its sentence; a test
gives every one of them to its check.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

from nstutils import images, losses
from nstutils.settings import Settings

Answer = Callable[..., Any]
Inputs = tuple[Any, ...]
RECORDED = ("quick", "classroom")  # preset and backbone of the lessons as they are committed


def judge(name: str, answer: Answer, right: Answer, inputs: Sequence[Inputs], gradient: bool = False) -> None:
    """Try `answer` on all inputs against `right`; with `gradient` its result must let gradients through to its first input."""
    _function(name, answer)
    for given in inputs:
        found = _tried(name, answer, given, gradient)
        wanted = right(*given)
        if not _alike(found, wanted):
            raise AssertionError(f"{name}: {_named(name, answer, right, inputs) or _difference(found, wanted, given)}")
        if gradient and not _lets_through(answer, given):
            raise AssertionError(
                f"{name}: the value is right, but no gradient comes back through it; leave out .detach(), .item(), .data "
                "and torch.no_grad()"
            )
    print(f"{name}: right, on {len(inputs)} inputs")


def _function(name: str, answer: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(answer):
        raise AssertionError(f"{name}: wanted your function, got {type(answer).__name__}; give its name without brackets")


def _tried(name: str, answer: Answer, given: Inputs, gradient: bool) -> Any:
    """The answer for copies of the inputs; refuses one that is not written, returns nothing or changes its inputs."""
    copies = tuple(value.clone() if isinstance(value, Tensor) else value for value in given)
    try:
        found = answer(*copies)
    except NotImplementedError:
        raise AssertionError(f"{name}: not written yet; the lesson goes on with the library's function") from None
    except Exception as error:
        raise AssertionError(f"{name}: for {_shapes(given)} it stops with {type(error).__name__}: {error}") from error
    if found is None:
        raise AssertionError(f"{name}: it returns None; end it with `return` and the result")
    for before, after in zip(given, copies, strict=True):
        if isinstance(before, Tensor) and not torch.equal(before, after):
            raise AssertionError(f"{name}: it changes its input; work on a new tensor (`x * 2`, not `x *= 2` or `x.mul_(2)`)")
    return found


def _alike(found: Any, wanted: Any) -> bool:
    """Equal shapes and values, to rounding."""
    try:
        found, wanted = torch.as_tensor(found).detach().double(), torch.as_tensor(wanted).detach().double()
    except (TypeError, ValueError, RuntimeError):
        return False
    scale = wanted.abs().max().clamp(min=1e-12) if wanted.numel() else 1.0
    return found.shape == wanted.shape and bool(((found - wanted).abs() <= 1e-5 * scale).all())


def _named(name: str, answer: Answer, right: Answer, inputs: Sequence[Inputs]) -> str:
    """The sentence for the usual mistake that gives these very values, or nothing."""
    for sentence, wrong in WRONG.get(name, {}).items():
        if any(not _alike(wrong(*given), right(*given)) for given in inputs) and all(
            _alike(_quiet(answer, given), wrong(*given)) for given in inputs
        ):
            return sentence
    return ""


def _quiet(answer: Answer, given: Inputs) -> Any:
    try:
        return answer(*(value.clone() if isinstance(value, Tensor) else value for value in given))
    except Exception:  # whatever stops it, it is not this mistake
        return None


def _difference(found: Any, wanted: Any, given: Inputs) -> str:
    """What came and what was wanted, for a mistake that has no name."""
    wanted = torch.as_tensor(wanted)
    if not isinstance(found, Tensor | float | int):
        return f"it returns {type(found).__name__}, wanted a tensor of shape {tuple(wanted.shape)}"
    found = torch.as_tensor(found).detach()
    if found.shape != wanted.shape:
        return f"for {_shapes(given)} it returns shape {tuple(found.shape)}, wanted {tuple(wanted.shape)}"
    far = (found.double() - wanted.double()).abs().flatten()
    worst = int(far.nan_to_num(torch.inf).argmax()) if far.numel() else 0
    return (
        f"for {_shapes(given)} one value is {found.flatten()[worst].item():.6g}, wanted {wanted.flatten()[worst].item():.6g}; "
        "try it by hand on two or three numbers"
    )


def _shapes(given: Inputs) -> str:
    return ", ".join(f"a tensor {tuple(v.shape)}" if isinstance(v, Tensor) else repr(v) for v in given)


def _lets_through(answer: Answer, given: Inputs) -> bool:
    leaf = given[0].detach().clone().requires_grad_()
    value = torch.as_tensor(answer(leaf, *given[1:]))
    return value.requires_grad and torch.autograd.grad(value.sum(), leaf, allow_unused=True)[0] is not None


def claim(words: str, holds: bool, *, recorded: bool = True, always: bool = False, where: Settings) -> None:
    """Say whether a claim of the documents holds in this run. With the preset and backbone that the lessons were written with
    the verdict must be the recorded one; elsewhere (a larger preset, another network) it is a finding, and only told. What
    must hold everywhere (`always`: an equation) is demanded everywhere."""
    verdict = "holds" if holds else "does not hold"
    print(f"{words}: {verdict} ({where.preset}, {where.backbone})")
    if holds != recorded and (always or (where.preset, where.backbone) == RECORDED):
        raise AssertionError(f"{words}: {verdict} here, but the lesson says it {'holds' if recorded else 'does not'}")


def random(*shape: int, seed: int = 0) -> Tensor:
    """Numbers between -1 and 1 in float64, the same for the same seed."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


PAIRS = [(random(1, 3, 4, 6, seed=k).relu(), random(1, 3, 4, 6, seed=k + 9).relu()) for k in range(2)] + [
    (random(2, 5, 3, 2, seed=3).relu(), random(2, 5, 3, 2, seed=4).relu())
]
FEATURES = [(random(1, 2, 2, 2),), (random(1, 3, 4, 7, seed=1),), (random(2, 4, 5, 3, seed=2),)]
STEPS = [  # pictures in [0, 1], slopes of both signs, some of them steep enough to leave [0, 1]
    (random(*shape, seed=k).abs(), 4 * random(*shape, seed=k + 5), lr)
    for k, (shape, lr) in enumerate([((1, 3, 4, 6), 0.1), ((1, 3, 5, 5), 0.4), ((2, 3, 3, 4), 1.0)])
]
ORDERS = [
    (f[0], torch.randperm(f[0][0, 0].numel(), generator=torch.Generator().manual_seed(k))) for k, f in enumerate(FEATURES, 3)
]
GRAMS = [(losses.gram(f), losses.gram(p), f.shape[1]) for f, p in PAIRS]
STYLES = [(f, losses.gram(p)) for f, p in PAIRS]


# Lesson 00 and 01: pictures as tensors, and the parts of a network.
BYTES = [  # pictures of 8 bits: dark, bright and of the whole range, none of them square
    ((random(*shape, seed=k).abs() * (high - low) + low).round().byte(),)
    for k, (shape, low, high) in enumerate([((1, 3, 4, 6), 20, 90), ((1, 3, 5, 2), 130, 255), ((2, 3, 3, 7), 0, 255)])
]
PICTURES = [(random(1, 3, 4, 6).abs(),), (random(1, 3, 5, 5, seed=1).abs(),), (random(2, 3, 7, 3, seed=2).abs(),)]
TWO = [(random(1, 3, *size, seed=k).abs(), random(1, 3, *size, seed=k + 5).abs()) for k, size in enumerate([(4, 6), (7, 3)])]
SEEDS = [(5, 8, 0), (5, 8, 0), (5, 8, 1), (9, 4, 1)]
CONVOLUTIONS = [(3, 3, 64), (3, 64, 128), (3, 512, 512), (1, 4096, 1000), (5, 2, 7)]
KERNELS = [(random(*size, seed=k), random(3, 3, seed=k + 5)) for k, size in enumerate([(5, 5), (4, 6), (3, 8)])]
EVEN = [(random(1, 1, 4, 4),), (random(1, 3, 4, 6, seed=1),), (random(2, 2, 6, 2, seed=2),)]
TOWERS = [  # (kernel, stride) from the picture up
    (((3, 1),),),
    (((3, 1), (3, 1), (2, 2)),),
    (((3, 1), (3, 1), (2, 2), (3, 1), (3, 1), (2, 2), (3, 1)),),
    (((5, 2), (3, 2), (3, 1)),),
]


def to_unit(answer: Answer) -> None:
    """Lesson 00: bytes 0 to 255 to numbers 0 to 1."""
    judge("to_unit", answer, _to_unit, BYTES)


def _to_unit(picture: Tensor) -> Tensor:
    return picture / 255


def brightness(answer: Answer) -> None:
    """Lesson 00: 0.299 R + 0.587 G + 0.114 B, N x 1 x H x W."""
    judge("brightness", answer, images.luminance, PICTURES, gradient=True)


def _weighed(x: Tensor, *weights: float) -> Tensor:
    return (x * x.new_tensor(weights).view(1, 3, 1, 1)).sum(1, keepdim=True)


def psnr(answer: Answer) -> None:
    """Lesson 00: -10 log10 of the mean squared error."""
    judge("psnr", answer, _psnr, TWO)


def _psnr(x: Tensor, p: Tensor) -> Tensor:
    return -10 * (x - p).square().mean().log10()


def noise(answer: Answer) -> None:
    """Lesson 00: white noise named by its seed. Any generator's numbers will do, so its properties are what is judged."""
    _function("noise", answer)
    with torch.random.fork_rng():
        before = torch.random.get_rng_state()
        drawn = [_tried("noise", answer, given, False) for given in SEEDS]
        touched = not torch.equal(before, torch.random.get_rng_state())
    shapes = [tuple(picture.shape) if isinstance(picture, Tensor) else None for picture in drawn]
    if shapes != [(1, 3, height, width) for height, width, _ in SEEDS]:
        swapped = shapes == [(1, 3, width, height) for height, width, _ in SEEDS]
        wanted = f"for height 5 and width 8 it returns shape {shapes[0]}, wanted (1, 3, 5, 8)"
        raise AssertionError(f"noise: {SWAPPED if swapped else wanted}")
    facts = {
        UNSEEDED: not torch.equal(drawn[0], drawn[1]),
        SAME_SEED: torch.equal(drawn[1], drawn[2]),
        GLOBAL_SEED: touched,
        OUTSIDE: any(bool((picture < 0).any() or (picture > 1).any()) for picture in drawn),
        GREY: all(torch.equal(picture[:, 0], picture[:, 1]) for picture in drawn),
    }
    for sentence, wrong in facts.items():
        if wrong:
            raise AssertionError(f"noise: {sentence}")
    print(f"noise: right, on {len(SEEDS)} inputs")


SWAPPED = "height and width are swapped; a picture is 1 × 3 × height × width"
UNSEEDED = "the same seed gives another picture each time; hand torch.rand a generator that starts from the seed"
SAME_SEED = "it ignores the seed: two seeds give the same picture"
GLOBAL_SEED = "it changes the random numbers of everybody else; make a generator of your own with torch.Generator()"
OUTSIDE = "its values leave [0, 1]; take torch.rand (uniform), not torch.randn (normal)"
GREY = "it is grey; draw numbers of their own for red, green and blue"


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _reseeded(height: int, width: int, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return torch.rand(1, 3, height, width)


def parameters(answer: Answer) -> None:
    """Lesson 01: P = K² · C · N + N of a convolution."""
    judge("parameters", answer, _parameters, CONVOLUTIONS)


def _parameters(k: int, c: int, n: int) -> int:
    return k * k * c * n + n


def convolve(answer: Answer) -> None:
    """Lesson 01: a 3 x 3 kernel over a picture H x W with a rim of zeros, as networks do it (not flipped)."""
    judge("convolve", answer, _convolve, KERNELS)


def _convolve(image: Tensor, kernel: Tensor, rim: tuple[int, int, int, int] = (1, 1, 1, 1)) -> Tensor:
    return conv2d(pad(image, rim)[None, None], kernel[None, None])[0, 0]


def _square_only(image: Tensor, kernel: Tensor) -> Tensor:
    return torch.cat([_convolve(image, kernel)[:, : len(image)], torch.zeros_like(image)[:, len(image) :]], 1)


def average_pool(answer: Answer) -> None:
    """Lesson 01: the mean of every 2 x 2 square, N x C x H x W to N x C x H/2 x W/2."""
    judge("average_pool", answer, _average_pool, EVEN, gradient=True)


def _average_pool(x: Tensor) -> Tensor:
    return avg_pool2d(x, 2)


def receptive_field(answer: Answer) -> None:
    """Lesson 01: how many pixels wide one position of the last layer sees."""
    judge("receptive_field", answer, _receptive_field, TOWERS)


def _receptive_field(layers: Sequence[tuple[int, int]], start: int = 1, less: int = 1, early: bool = False) -> int:
    field, stride = start, 1
    for kernel, step in layers:
        field, stride = field + (kernel - less) * stride * (step if early else 1), stride * step
    return field


# Lesson 02 and 03 share their pairs of activations; what is wrong is written down beside what is right.


def content_loss(answer: Answer) -> None:
    """Lesson 02: ½ Σ (F − P)², eq. 1."""
    judge("content_loss", answer, _content_loss, PAIRS, gradient=True)


def _content_loss(f: Tensor, p: Tensor) -> Tensor:
    return (f - p).square().sum((1, 2, 3)) / 2


def content_gradient(answer: Answer) -> None:
    """Lesson 02: F − P where F > 0, else 0, eq. 2."""
    judge("content_gradient", answer, _content_gradient, PAIRS)


def _content_gradient(f: Tensor, p: Tensor) -> Tensor:
    return torch.where(f > 0, f - p, torch.zeros_like(f))


def step_down(answer: Answer) -> None:
    """Lesson 02: one step of gradient descent on the pixels, which stay in [0, 1]."""
    judge("step_down", answer, _step_down, STEPS)


def _step_down(x: Tensor, gradient: Tensor, lr: float) -> Tensor:
    return (x - lr * gradient).clamp(0, 1)


def relative_error(answer: Answer) -> None:
    """Lesson 02: Σ (F − P)² / Σ P², one number a picture."""
    judge("relative_error", answer, _relative_error, PAIRS)


def _relative_error(f: Tensor, p: Tensor) -> Tensor:
    return (f - p).square().sum((1, 2, 3)) / p.square().sum((1, 2, 3))


def gram(answer: Answer) -> None:
    """Lesson 03: F Fᵀ / M, eq. 3."""
    judge("gram", answer, losses.gram, FEATURES, gradient=True)


def shuffled(answer: Answer) -> None:
    """Lesson 03: the positions in another order, the same for all filters."""
    judge("shuffled", answer, _shuffled, ORDERS)


def _shuffled(f: Tensor, order: Tensor) -> Tensor:
    return f.flatten(2)[..., order].reshape(f.shape)


def _own_orders(f: Tensor, order: Tensor) -> Tensor:
    rows = [f.flatten(2)[:, k, order.roll(k)] for k in range(f.shape[1])]
    return torch.stack(rows, 1).reshape(f.shape)


def _sent(f: Tensor, order: Tensor) -> Tensor:
    return _shuffled(f, order.argsort())


def layer_loss(answer: Answer) -> None:
    """Lesson 03: E_l = Σ (G − A)² / (4 N²) of two Gram matrices F Fᵀ / M, eq. 4."""
    judge("layer_loss", answer, _layer_loss, GRAMS, gradient=True)


def _layer_loss(g: Tensor, a: Tensor, n: int) -> Tensor:
    return (g - a).square().sum((1, 2)) / (4 * n**2)


def style_gradient(answer: Answer) -> None:
    """Lesson 03: (G − A) F / (N² M) where F > 0, else 0, eq. 6 with G = F Fᵀ / M."""
    judge("style_gradient", answer, _style_gradient, STYLES)


def _style_gradient(f: Tensor, a: Tensor) -> Tensor:
    return _ungated(f, a) * (f > 0)


def _ungated(f: Tensor, a: Tensor) -> Tensor:
    slope = (losses.gram(f) - a) @ f.flatten(2)
    return slope.reshape(f.shape) / (f.shape[1] ** 2 * f[0, 0].numel())


def _untransposed(f: Tensor, a: Tensor) -> Tensor:
    slope = f.flatten(2).mT @ (losses.gram(f) - a)
    return slope.reshape(f.shape) / (f.shape[1] ** 2 * f[0, 0].numel()) * (f > 0)


# Lesson 04: the whole loss, total variation, weights between Gram normalisations, blended styles.
SUMS = [  # content, style and tv of a batch, then alpha, beta, gamma and kappa
    (*(random(count, seed=seed + k).abs() for k in range(3)), *weights)
    for count, seed, weights in [(1, 0, (1.0, 1e3, 0.1, 0.013)), (3, 5, (2.0, 5.0, 0.7, 40.0)), (2, 9, (0.5, 3.0, 2.0, 7.0))]
]
VARIED = [(random(1, 3, 4, 6).abs(),), (random(1, 3, 5, 5, seed=1).abs(),), (random(2, 3, 7, 3, seed=2).abs(),)]
CONVERTED = [(1e3, 64, 1024), (2.0, 8, 48), (0.5, 512, 64)]  # weight, filters, positions
MIXED = [  # K Gram matrices, and K weights that do not add to 1
    (losses.gram(random(count, filters, 3, 4, seed=seed)), weights.double())
    for count, filters, seed, weights in [
        (2, 3, 0, torch.tensor([3.0, 1.0])),
        (3, 3, 1, torch.tensor([0.5, 0.2, 0.1])),
        (3, 4, 2, torch.tensor([1.0, 0.0, 5.0])),
    ]
]


def total_loss(answer: Answer) -> None:
    """Lesson 04: α κ L_content + β L_style + γ L_tv, eq. 7 with κ and total variation."""
    judge("total_loss", answer, _total_loss, SUMS, gradient=True)


def _total_loss(content: Tensor, style: Tensor, tv: Tensor, alpha: float, beta: float, gamma: float, kappa: float) -> Tensor:
    return alpha * kappa * content + beta * style + gamma * tv


def total_variation(answer: Answer) -> None:
    """Lesson 04: Σ (x_{i+1,j} − x_{i,j})² + Σ (x_{i,j+1} − x_{i,j})², one number a picture."""
    judge("total_variation", answer, _total_variation, VARIED, gradient=True)


def _total_variation(x: Tensor) -> Tensor:
    return _down(x).square().sum((1, 2, 3)) + _across(x).square().sum((1, 2, 3))


def _down(x: Tensor) -> Tensor:
    return x[:, :, 1:] - x[:, :, :-1]


def _across(x: Tensor) -> Tensor:
    return x[..., 1:] - x[..., :-1]


def convert_weight(answer: Answer) -> None:
    """Lesson 04: the weight for Gram matrices F Fᵀ / (N M) that does what `weight` does for F Fᵀ / M."""
    judge("convert_weight", answer, _convert_weight, CONVERTED)


def _convert_weight(weight: float, filters: int, positions: int) -> float:
    return weight * filters**2


def blend(answer: Answer) -> None:
    """Lesson 04: the weighted mean of K Gram matrices."""
    judge("blend", answer, _blend, MIXED, gradient=True)


def _blend(grams: Tensor, weights: Tensor) -> Tensor:
    return (weights[:, None, None] * grams).sum(0) / weights.sum()


# Lesson 05 and 06: ratios, ranks and curves; start pictures and how alike their ends are.
RATIOS = [((1e-5, 1e-4, 1e-3, 1e-2), 1e3), ((0.1, 1.0), 2.0), ((0.5, 2.0, 8.0), 4.0)]
ERRORS = [(random(5, seed=k).abs() + 0.1, 2.0 + 3 * k) for k in range(2)] + [(random(2, seed=2).abs() + 0.1, 0.5)]
RANKED = [(random(n, seed=n), random(n, seed=n + 50) + shift * random(n, seed=n)) for n, shift in ((4, 2), (7, -3), (20, 0.5))]
POINTS = [  # some of them alike in one loss
    (torch.tensor([[1.0, 5.0], [2.0, 3.0], [3.0, 3.0], [4.0, 1.0], [5.0, 4.0], [1.0, 6.0]]),),
    (torch.tensor([[2.0, 2.0], [2.0, 2.0], [3.0, 4.0], [4.0, 2.0]]),),
    (random(12, 2, seed=3),),
]
BARS = [(4, 12, 4), (8, 20, 8), (9, 10, 2)]
ROWS = [(random(n, seed=n) + 0.5, period) for n, period in ((16, 4), (30, 8), (45, 16))]
LOSSES = [(random(n, seed=n).abs() + 1,) for n in (4, 5, 9)]
BLENDS = [(*two, share) for two, share in zip(TWO, (0.25, 0.8), strict=True)] + [(*TWO[0], 1.0)]


def ratio_settings(answer: Answer) -> None:
    """Lesson 05: a dict of settings for each α/β, with the same beta."""
    name = "ratio_settings"
    _function(name, answer)
    found = [_tried(name, answer, given, False) for given in RATIOS]
    wanted = [_weights(_ratio_settings(*given)) for given in RATIOS]
    if any(not isinstance(one, list) or not all(isinstance(item, dict) for item in one) for one in found):
        raise AssertionError(f"{name}: it returns {type(found[0]).__name__}; wanted a list of dicts, one for each ratio")
    if any(set(item) != {"alpha", "beta"} for one in found for item in one):
        raise AssertionError(f"{name}: each dict needs the keys 'alpha' and 'beta', and no others")
    if any(not _alike(_weights(one), right) for one, right in zip(found, wanted, strict=True)):
        for sentence, wrong in WRONG[name].items():
            if all(_alike(_weights(one), _weights(wrong(*given))) for one, given in zip(found, RATIOS, strict=True)):
                raise AssertionError(f"{name}: {sentence}")
        first = f"for {RATIOS[1]} it returns {found[1]}, wanted {_ratio_settings(*RATIOS[1])}"
        raise AssertionError(f"{name}: {first}; check alpha / beta of each by hand")
    print(f"{name}: right, on {len(RATIOS)} inputs")


def _ratio_settings(ratios: Sequence[float], beta: float) -> list[dict[str, float]]:
    return [{"alpha": ratio * beta, "beta": beta} for ratio in ratios]


def _weights(settings: list[dict[str, float]]) -> Tensor:
    """alpha and beta of each of the settings, n x 2."""
    return torch.tensor([[item["alpha"], item["beta"]] for item in settings])


def _shared(ratios: Sequence[float], beta: float) -> list[dict[str, float]]:
    one, together = {"beta": beta}, []
    for ratio in ratios:
        one["alpha"] = ratio * beta
        together.append(one)
    return together


def kappa(answer: Answer) -> None:
    """Lesson 05: 10³ · (mean of the E_l of x = p) / (content loss of x = a)."""
    judge("kappa", answer, _kappa, ERRORS)


def _kappa(errors: Tensor, content: float) -> Tensor:
    return 1e3 * errors.mean() / content


def spearman(answer: Answer) -> None:
    """Lesson 05: the correlation of ranks, for values that all differ."""
    judge("spearman", answer, _spearman, RANKED)


def _spearman(x: Tensor, y: Tensor) -> Tensor:
    return _pearson(_ranks(x), _ranks(y))


def _ranks(x: Tensor) -> Tensor:
    return x.argsort().argsort().double()


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    x, y = x - x.mean(), y - y.mean()
    return x @ y / (x.norm() * y.norm())


def _apart(x: Tensor, y: Tensor) -> Tensor:
    return (_ranks(x) - _ranks(y)).square().sum()


def pareto(answer: Answer) -> None:
    """Lesson 05: which of n x 2 losses are on the curve: no other point is as low in both and lower in one."""
    judge("pareto", answer, _pareto, POINTS)


def _pareto(points: Tensor) -> Tensor:
    low, lower = _compared(points)
    return ~(low.all(-1) & lower.any(-1)).any(1)


def _compared(points: Tensor) -> tuple[Tensor, Tensor]:
    """[i, j, loss]: whether point j is at most point i, and whether it is lower."""
    return points[None] <= points[:, None], points[None] < points[:, None]


def stripes(answer: Answer) -> None:
    """Lesson 06: black vertical stripes on white, 1 x 3 x height x width, the first of them at the left edge."""
    judge("stripes", answer, _stripes, BARS)


def _stripes(height: int, width: int, period: int) -> Tensor:
    return images.stripes((height, width), period)


def energy_at(answer: Answer) -> None:
    """Lesson 06: energy of a row of brightness at one frequency, (Σ v cos)² + (Σ v sin)² over W², the mean taken away."""
    judge("energy_at", answer, _energy_at, ROWS)


def _energy_at(row: Tensor, period: float, full: float = 2 * math.pi, mean: bool = True) -> Tensor:
    real, imaginary = _waves(row - row.mean() if mean else row, full / period)
    return (real.square() + imaginary.square()) / len(row) ** 2


def _waves(v: Tensor, step: float) -> tuple[Tensor, Tensor]:
    angle = step * torch.arange(len(v), dtype=v.dtype)
    return v @ angle.cos(), v @ angle.sin()


def spread(answer: Answer) -> None:
    """Lesson 06: (largest - smallest) / mean of some losses."""
    judge("spread", answer, _spread, LOSSES)


def _spread(values: Tensor) -> Tensor:
    return (values.max() - values.min()) / values.mean()


def blend_start(answer: Answer) -> None:
    """Lesson 06: a start picture between photograph and noise; `share` of it is noise."""
    judge("blend_start", answer, _blend_start, BLENDS)


def _blend_start(p: Tensor, noise: Tensor, share: float) -> Tensor:
    return (1 - share) * p + share * noise


WRONG: dict[str, dict[str, Answer]] = {
    "to_unit": {
        "the values still run from 0 to 255; divide by 255": lambda x: x.float(),
        "it divides by 256; white is 255 and must become 1": lambda x: x / 256,
        "`//` rounds down to whole numbers; divide with `/`": lambda x: x // 255,
        "it divides by the picture's own brightest value; white is 255 in every picture": lambda x: x / x.max(),
        "it stretches the picture so that its darkest value is 0; divide by 255 alone": lambda x: (
            (x.double() - x.min()) / (x.max() - x.min())
        ),
        "it runs from -1 to 1; wanted 0 to 1": lambda x: x / 127.5 - 1,
    },
    "brightness": {
        "it takes the plain mean; the eye weighs red 0.299, green 0.587 and blue 0.114": lambda x: x.mean(1, keepdim=True),
        "the weights are in the order blue, green, red; channel 0 is red": lambda x: _weighed(x, 0.114, 0.587, 0.299),
        "the channel dimension is lost; keep it with sum(1, keepdim=True) or [:, None]": lambda x: images.luminance(x)[:, 0],
        "it divides by three as well; the weights add up to 1 already": lambda x: images.luminance(x) / 3,
        "it weighs the channels but does not add them up": lambda x: x * x.new_tensor(images.LUMA).view(1, 3, 1, 1),
        "it adds up along the height; the channels are dimension 1": lambda x: images.luminance(x).sum(2, keepdim=True),
    },
    "psnr": {
        "it takes the natural logarithm; wanted log10": lambda x, p: -10 * (x - p).square().mean().log(),
        "it takes the sum of the squared errors; wanted their mean": lambda x, p: -10 * (x - p).square().sum().log10(),
        "the minus sign is missing": lambda x, p: -_psnr(x, p),
        "the factor is 10, not 20: the error is squared already": lambda x, p: 2 * _psnr(x, p),
        "it takes the absolute error; square it": lambda x, p: -10 * (x - p).abs().mean().log10(),
        "the factor 10 is missing": lambda x, p: _psnr(x, p) / 10,
    },
    "noise": {
        SWAPPED: lambda height, width, seed: torch.rand((1, 3, width, height), generator=_generator(seed)),
        UNSEEDED: lambda height, width, seed: torch.rand(1, 3, height, width),
        SAME_SEED: lambda height, width, seed: torch.rand((1, 3, height, width), generator=_generator(0)),
        GLOBAL_SEED: _reseeded,
        OUTSIDE: lambda height, width, seed: torch.randn((1, 3, height, width), generator=_generator(seed)),
        GREY: lambda height, width, seed: torch.rand((1, 1, height, width), generator=_generator(seed)).expand(1, 3, -1, -1),
    },
    "parameters": {
        "the biases are missing: + N": lambda k, c, n: k * k * c * n,
        "a kernel has K² places, not K": lambda k, c, n: k * c * n + n,
        "there is one bias a filter: + N, not + C": lambda k, c, n: k * k * c * n + c,
        "there is one bias a filter: + N, not + 1": lambda k, c, n: k * k * c * n + 1,
        "every filter looks at all C input channels: times C": lambda k, c, n: k * k * n + n,
        "the bias belongs to a filter, not to each of its channels: + N, not + C · N": lambda k, c, n: k * k * c * n + c * n,
    },
    "convolve": {
        "it flips the kernel; a network's convolution does not (it is a cross-correlation)": lambda image, kernel: _convolve(
            image, kernel.flip(0, 1)
        ),
        "the rim of zeros is missing, so the result is 2 smaller each way; pad by 1 on every side": lambda image, kernel: (
            _convolve(image, kernel, (0, 0, 0, 0))
        ),
        "it pads on the right and below only, so everything moves; pad by 1 on every side": lambda image, kernel: _convolve(
            image, kernel, (0, 2, 0, 2)
        ),
        "it pads on the left and above only, so everything moves; pad by 1 on every side": lambda image, kernel: _convolve(
            image, kernel, (2, 0, 2, 0)
        ),
        "rows and columns of the kernel are swapped": lambda image, kernel: _convolve(image, kernel.T),
        "it works for square pictures only; take height and width from image.shape": _square_only,
        "it takes the mean of the nine products; wanted their sum": lambda image, kernel: _convolve(image, kernel) / 9,
    },
    "average_pool": {
        "it takes the maximum; wanted the mean": lambda x: max_pool2d(x, 2),
        "it takes the sum of the four; wanted the mean": lambda x: 4 * _average_pool(x),
        "its windows overlap (stride 1); move by 2": lambda x: avg_pool2d(x, 2, 1),
        "it keeps one of the four and drops three; take the mean of the four": lambda x: x[..., ::2, ::2],
        "it takes four neighbours in a row; wanted squares of 2 × 2": lambda x: x.reshape(
            *x.shape[:2], x.shape[2] // 2, x.shape[3] // 2, 4
        ).mean(-1),
        "it averages over the batch or the channels too; every map is pooled alone": lambda x: (
            _average_pool(x).mean((0, 1), keepdim=True).expand(*x.shape[:2], -1, -1)
        ),
        "it pools along the height only; pool both ways": lambda x: avg_pool2d(x, (2, 1)),
    },
    "receptive_field": {
        "it ignores the strides: after a stride of 2 one step is 2 pixels wide": lambda layers: _receptive_field(
            [(kernel, 1) for kernel, _ in layers]
        ),
        "a kernel of K adds K - 1 steps, not K": lambda layers: _receptive_field(layers, less=0),
        "the stride comes too early: a layer's own stride counts from the next layer on": lambda layers: _receptive_field(
            layers, early=True
        ),
        "start from 1: a pixel sees itself": lambda layers: _receptive_field(layers, start=0),
        "it multiplies the kernels; add (K - 1) · stride for each layer": lambda layers: math.prod(
            kernel for kernel, _ in layers
        ),
        "it adds a layer's own stride; multiply the strides of the layers before it": lambda layers: (
            1 + sum((kernel - 1) * step for kernel, step in layers)
        ),
    },
    "content_loss": {
        "the factor ½ of eq. 1 is missing": lambda f, p: 2 * _content_loss(f, p),
        "it takes the mean; eq. 1 is a sum over filters and positions": lambda f, p: (f - p).square().mean((1, 2, 3)) / 2,
        "it adds up over the batch as well; give one number a picture": lambda f, p: (f - p).square().sum() / 2,
        "it takes the difference without squaring it": lambda f, p: (f - p).abs().sum((1, 2, 3)) / 2,
        "it returns the square root; eq. 1 has none": lambda f, p: _content_loss(f, p).sqrt(),
    },
    "content_gradient": {
        "the gate is missing: where F is 0 the ReLU lets nothing through, so the gradient is 0 there": lambda f, p: f - p,
        "it is gated by P; the gate of eq. 2 is F > 0, the generated picture's": lambda f, p: (f - p) * (p > 0),
        "it is twice too large: the ½ of eq. 1 takes the 2 of the square away": lambda f, p: 2 * _content_gradient(f, p),
        "it is divided by a number of values; eq. 1 is a sum, so eq. 2 divides by nothing": lambda f, p: (
            _content_gradient(f, p) / f[0].numel()
        ),
        "the sign is wrong: wanted F − P, not P − F": lambda f, p: -_content_gradient(f, p),
        "it gives the slope without the difference; wanted F − P where F > 0": lambda f, p: (f > 0).to(f),
    },
    "step_down": {
        "it goes uphill: subtract the gradient, do not add it": lambda x, g, lr: (x + lr * g).clamp(0, 1),
        "the new picture leaves [0, 1]; end with .clamp(0, 1)": lambda x, g, lr: x - lr * g,
        "it clamps the gradient, which loses its sign and size; clamp the new picture": lambda x, g, lr: x - lr * g.clamp(0, 1),
        "it clamps both; a slope may have any sign and size, clamp the new picture alone": lambda x, g, lr: (
            x - lr * g.clamp(0, 1)
        ).clamp(0, 1),
        "the learning rate is missing: multiply the gradient by lr": lambda x, g, lr: (x - g).clamp(0, 1),
        "it returns the step alone; take it away from x": lambda x, g, lr: (lr * g).clamp(0, 1),
    },
    "relative_error": {
        "it divides by Σ F²; the scale to compare with is the photograph's, Σ P²": lambda f, p: (
            (f - p).square().sum((1, 2, 3)) / f.square().sum((1, 2, 3))
        ),
        "it divides by the number of values; divide by Σ P²": lambda f, p: (f - p).square().mean((1, 2, 3)),
        "it takes the square root; leave the squares as they are": lambda f, p: _relative_error(f, p).sqrt(),
        "it adds up over the whole batch; give one number a picture": lambda f, p: (f - p).square().sum() / p.square().sum(),
        "the ½ of eq. 1 is not wanted here": lambda f, p: _relative_error(f, p) / 2,
        "it divides value by value before the sum; divide sum by sum": lambda f, p: (
            (f - p).square() / (p.square() + 1e-8)
        ).sum((1, 2, 3)),
    },
    "gram": {
        "divide by the M = height × width positions": lambda f: f.flatten(2) @ f.flatten(2).mT,
        "it divides by filters × positions; divide by the positions alone": lambda f: losses.gram(f) / f.shape[1],
        "it multiplies positions with positions (Fᵀ F, M × M); wanted filters with filters": lambda f: (
            f.flatten(2).mT @ f.flatten(2) / f[0, 0].numel()
        ),
        "rows of F must be filters: flatten height and width, do not reshape to (height × width) × filters": lambda f: (
            f.reshape(f.shape[0], -1, f.shape[1]).mT @ f.reshape(f.shape[0], -1, f.shape[1]) / f[0, 0].numel()
        ),
        "it adds up over the batch; keep one matrix a picture": lambda f: losses.gram(f).sum(0),
        "it takes the mean away first; eq. 3 does not": lambda f: losses.gram(f - f.mean((2, 3), keepdim=True)),
    },
    "shuffled": {
        "every filter gets an order of its own, so what fired together no longer does; use one order for all": _own_orders,
        "it shuffles the filters; shuffle the positions (the last axis after flatten(2))": lambda f, order: f[
            :, order[order < f.shape[1]]
        ],
        "it shuffles the rows alone; flatten height and width to M positions first": lambda f, order: f[
            :, :, order[order < f.shape[2]]
        ],
        "the shape is lost; end with .reshape(F.shape)": lambda f, order: f.flatten(2)[..., order],
        "it sends position j to order[j]; wanted: position j takes the value of position order[j]": _sent,
    },
    "layer_loss": {
        "it takes the mean and divides by N² once more; a mean has divided already": lambda g, a, n: (
            (g - a).square().mean((1, 2)) / (4 * n**2)
        ),
        "it takes the mean without the factor ¼": lambda g, a, n: (g - a).square().mean((1, 2)),
        "it divides by 4 N; wanted 4 N²": lambda g, a, n: (g - a).square().sum((1, 2)) / (4 * n),
        "the factor 1/(4 N²) is missing": lambda g, a, n: (g - a).square().sum((1, 2)),
        "it divides by (4 N)²; the square belongs to N alone": lambda g, a, n: (g - a).square().sum((1, 2)) / (4 * n) ** 2,
        "it adds up over the batch; give one number a picture": lambda g, a, n: _layer_loss(g, a, n).sum(),
        "it takes the difference without squaring it": lambda g, a, n: (g - a).abs().sum((1, 2)) / (4 * n**2),
    },
    "style_gradient": {
        "the gate is missing: the gradient is 0 where F is 0": _ungated,
        "the factor 1/(N² M) is missing": lambda f, a: _style_gradient(f, a) * (f.shape[1] ** 2 * f[0, 0].numel()),
        "it divides by M²; G and A are divided by M already, so one M is left": lambda f, a: (
            _style_gradient(f, a) / f[0, 0].numel()
        ),
        "the factor 4 of eq. 4 is cancelled by the two squares in it; divide by N² M": lambda f, a: _style_gradient(f, a) / 4,
        "Fᵀ (G − A) is positions × filters; transpose it before you reshape, or take (G − A) F": _untransposed,
        "G is not divided by M here, but A is; take G = F Fᵀ / M": lambda f, a: (
            ((losses.gram(f) * f[0, 0].numel() - a) @ f.flatten(2)).reshape(f.shape)
            / (f.shape[1] ** 2 * f[0, 0].numel())
            * (f > 0)
        ),
        "the sign is wrong: wanted G − A, not A − G": lambda f, a: -_style_gradient(f, a),
    },
    "total_loss": {
        "κ is missing: the content loss is brought to the units of the style loss by it": lambda c, s, v, a, b, g, k: (
            a * c + b * s + g * v
        ),
        "κ belongs to the content alone; the style has its units already": lambda c, s, v, a, b, g, k: (
            k * (a * c + b * s) + g * v
        ),
        "κ belongs to the content; here it is with the style": lambda c, s, v, a, b, g, k: a * c + b * k * s + g * v,
        "α and β are swapped: α weighs the content (document A writes it the other way)": lambda c, s, v, a, b, g, k: (
            b * k * c + a * s + g * v
        ),
        "total variation is left out: + γ · tv": lambda c, s, v, a, b, g, k: a * k * c + b * s,
        "it divides by κ; multiply": lambda c, s, v, a, b, g, k: a * c / k + b * s + g * v,
        "it adds up over the batch; give one number a picture": lambda c, s, v, a, b, g, k: _total_loss(
            c, s, v, a, b, g, k
        ).sum(),
        "total variation has its own weight γ; it is added without one": lambda c, s, v, a, b, g, k: a * k * c + b * s + v,
    },
    "total_variation": {
        "it takes absolute differences; A's sum squares them": lambda x: (
            _down(x).abs().sum((1, 2, 3)) + _across(x).abs().sum((1, 2, 3))
        ),
        "it takes means; A's formula is a sum": lambda x: (
            _down(x).square().mean((1, 2, 3)) + _across(x).square().mean((1, 2, 3))
        ),
        "it looks at neighbours below only; add those on the right": lambda x: _down(x).square().sum((1, 2, 3)),
        "it looks at neighbours on the right only; add those below": lambda x: _across(x).square().sum((1, 2, 3)),
        "it adds up over the batch; give one number a picture": lambda x: _total_variation(x).sum(),
        "it takes the channels for neighbours; compare along height and width alone": lambda x: (
            x.diff(dim=1).square().sum((1, 2, 3)) + _across(x).square().sum((1, 2, 3))
        ),
        "it goes round the border (roll compares the last row with the first); leave that pair out": lambda x: (
            (x.roll(-1, -2) - x).square().sum((1, 2, 3)) + (x.roll(-1, -1) - x).square().sum((1, 2, 3))
        ),
        "it takes the root (B's L2 norm); A's formula has none": lambda x: _total_variation(x).sqrt(),
        "it squares the sums; square each difference before you add up": lambda x: (
            _down(x).sum((1, 2, 3)).square() + _across(x).sum((1, 2, 3)).square()
        ),
        "it adds the two differences and squares then; square each of them": lambda x: (
            (_down(x)[..., :-1] + _across(x)[:, :, :-1]).square().sum((1, 2, 3))
        ),
    },
    "convert_weight": {
        "the square is forgotten: the error is squared, so N comes in twice": lambda weight, n, m: weight * n,
        "it goes the wrong way: smaller matrices need a larger weight, so multiply by N²": lambda weight, n, m: weight / n**2,
        "it divides by N; multiply by N²": lambda weight, n, m: weight / n,
        "both are divided by M, so it cancels; wanted N² alone": lambda weight, n, m: weight * (n * m) ** 2,
        "it takes M for N: both are divided by M, and one of them by N as well": lambda weight, n, m: weight * m**2,
        "it leaves the weight as it is; the matrices are N times smaller": lambda weight, n, m: weight,
        "the factor 4 belongs to eq. 4, not to these two; wanted N² alone": lambda weight, n, m: 4 * weight * n**2,
    },
    "blend": {
        "it is the plain weighted sum; divide by the sum of the weights": lambda grams, weights: (
            weights[:, None, None] * grams
        ).sum(0),
        "it takes no notice of the weights": lambda grams, weights: grams.mean(0),
        "it divides by the number of artworks; divide by the sum of the weights": lambda grams, weights: (
            weights[:, None, None] * grams
        ).mean(0),
        "it takes the artwork of the largest weight alone": lambda grams, weights: grams[int(weights.argmax())],
        "it squares the weights": lambda grams, weights: _blend(grams, weights.square()),
        "it gives the matrices weighed one by one; add them up": lambda grams, weights: (
            weights[:, None, None] * grams / weights.sum()
        ),
        "it gives one row a matrix: the sum runs over filters; add up over the artworks, dimension 0": lambda grams, weights: (
            (weights[:, None, None] * grams).sum(1) / weights.sum()
        ),
    },
    "ratio_settings": {
        "it gives β/α: alpha is ratio · beta, not beta / ratio": lambda ratios, beta: [
            {"alpha": beta / ratio, "beta": beta} for ratio in ratios
        ],
        "alpha is the ratio itself, so α/β is beta times too small; take ratio · beta": lambda ratios, beta: [
            {"alpha": ratio, "beta": beta} for ratio in ratios
        ],
        "all runs share one dict, so all have the last ratio; make a new dict for each": _shared,
        "it changes beta; keep the beta that is given, and choose alpha": lambda ratios, beta: [
            {"alpha": 1.0, "beta": 1 / ratio} for ratio in ratios
        ],
        "it changes both weights; keep the beta that is given, and choose alpha": lambda ratios, beta: [
            {"alpha": ratio * beta, "beta": beta / ratio} for ratio in ratios
        ],
    },
    "kappa": {
        "it is upside down: the style is above, the content below": lambda errors, content: content / errors.mean() / 1e3,
        "the factor 10³ is missing": lambda errors, content: errors.mean() / content,
        "it divides by 10³; multiply": lambda errors, content: errors.mean() / content / 1e3,
        "it adds up the E_l; with w_l = 1/(number of layers) the style loss is their mean": lambda errors, content: (
            1e3 * errors.sum() / content
        ),
        "it takes the largest E_l; wanted their mean": lambda errors, content: 1e3 * errors.max() / content,
        "it multiplies the two losses; divide": lambda errors, content: 1e3 * errors.mean() * content,
    },
    "spearman": {
        "it correlates the values; correlate their ranks": _pearson,
        "one argsort gives places, not ranks; take argsort of it once more": lambda x, y: _pearson(
            x.argsort().double(), y.argsort().double()
        ),
        "only x is turned into ranks; do it with y too": lambda x, y: _pearson(_ranks(x), y),
        "one of the two is ranked from above, so the sign is wrong; rank both from below": lambda x, y: -_spearman(x, y),
        "the sign is lost; a falling relation has −1": lambda x, y: _spearman(x, y).abs(),
        "it divides by n³; wanted n (n² − 1)": lambda x, y: 1 - 6 * _apart(x, y) / len(x) ** 3,
        "the factor 6 is missing": lambda x, y: 1 - _apart(x, y) / (len(x) * (len(x) ** 2 - 1)),
    },
    "pareto": {
        "it looks at the content loss alone; a point counts by both": lambda points: points[:, 0] == points[:, 0].min(),
        "it looks at the style loss alone; a point counts by both": lambda points: points[:, 1] == points[:, 1].min(),
        "it looks for large losses; here low is good": lambda points: _pareto(-points),
        "it marks the beaten points; wanted the others": lambda points: ~_pareto(points),
        "a point counts as beaten here when another is lower in one loss; the other must be at least as low in both": (
            lambda points: ~_compared(points)[1].any(-1).any(1)
        ),
        "a point with the same content loss and a lower style loss beats too; ask for lower in one, not in both": (
            lambda points: ~_compared(points)[1].all(-1).any(1)
        ),
        "every point is as low as itself, so all are beaten; ask for lower in at least one": lambda points: (
            ~_compared(points)[0].all(-1).any(1)
        ),
    },
    "stripes": {
        "the stripes lie; let the brightness change along the width": lambda height, width, period: _stripes(
            width, height, period
        ).mT.contiguous(),
        "height and width are exchanged; a picture is 1 × 3 × height × width": lambda height, width, period: _stripes(
            width, height, period
        ),
        "black and white are exchanged; the first half of each period is black (0)": lambda height, width, period: (
            1 - _stripes(height, width, period)
        ),
        "a period is one black and one white stripe together; yours is twice as long": lambda height, width, period: _stripes(
            height, width, 2 * period
        ),
        "it has one channel; a picture has three": lambda height, width, period: _stripes(height, width, period)[:, :1],
        "the batch dimension is missing; wanted 1 × 3 × height × width": lambda height, width, period: _stripes(
            height, width, period
        )[0],
    },
    "energy_at": {
        "the mean is not taken away; it leaks into every frequency": lambda row, period: _energy_at(row, period, mean=False),
        "the cosine alone depends on where the stripes begin; add the square of the sine's sum": lambda row, period: (
            _waves(row - row.mean(), 2 * math.pi / period)[0].square() / len(row) ** 2
        ),
        "the 2π is missing: one period is a full turn": lambda row, period: _energy_at(row, period, 1),
        "it turns by 2π · period at each pixel; wanted 2π / period": lambda row, period: _energy_at(row, 1 / period),
        "it is not divided by W², so wide pictures have more energy": lambda row, period: (
            _energy_at(row, period) * len(row) ** 2
        ),
        "it divides by W; the square of a sum wants W²": lambda row, period: _energy_at(row, period) * len(row),
        "it is the root; energy is the sum of the two squares": lambda row, period: _energy_at(row, period).sqrt(),
    },
    "spread": {
        "it is not divided by the mean, so it depends on the unit": lambda values: values.max() - values.min(),
        "it is the standard deviation over the mean; wanted largest minus smallest": lambda values: (
            values.std() / values.mean()
        ),
        "it divides by the smallest; wanted the mean": lambda values: (values.max() - values.min()) / values.min(),
        "it divides by the largest; wanted the mean": lambda values: (values.max() - values.min()) / values.max(),
        "it is last minus first; sort them, or take max and min": lambda values: (values[-1] - values[0]) / values.mean(),
        "it is the largest over the mean; take the smallest away first": lambda values: values.max() / values.mean(),
    },
    "blend_start": {
        "the shares are exchanged: `share` belongs to the noise": lambda p, noise, share: share * p + (1 - share) * noise,
        "the photograph keeps its full weight, so values leave [0, 1]; weigh it with 1 − share": lambda p, noise, share: (
            p + share * noise
        ),
        "clamping hides that the photograph keeps its full weight; weigh it with 1 − share": lambda p, noise, share: (
            p + share * noise
        ).clamp(0, 1),
        "it is the plain mean whatever the share": lambda p, noise, share: (p + noise) / 2,
        "it scatters noise around the photograph; wanted a mean of the two pictures": lambda p, noise, share: (
            p + share * (noise - 0.5)
        ),
    },
}
