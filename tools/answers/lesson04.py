"""Exercises of lesson 04: the two losses, the loop, total variation, blended styles."""

from collections.abc import Callable

import torch
from torch import Tensor

from answers.making import PICTURES, Answers, Wrong, random, total
from nstutils import losses
from nstutils.course.check.special import Bowl

SEEN = [  # activations of the pictures and of the photograph, and a Gram matrix of the artwork
    (random(n, 3, 4, 5, seed=seed), random(1, 3, 4, 5, seed=seed + 1), losses.gram(random(1, 3, 6, 2, seed=seed + 2)))
    for seed, n in enumerate((1, 2, 1))
]
DESCENTS = [  # a start, a loss whose target lies outside [0, 1] in places, steps, learning rate
    (random(n, 3, 3, 4, seed=seed) / 2 + 0.5, Bowl(2 * random(n, 3, 3, 4, seed=seed + 9) + 0.5), steps, lr)
    for seed, (n, steps, lr) in enumerate([(1, 7, 0.1), (2, 12, 0.05), (1, 5, 0.3)])
]
MIXED = [  # K Gram matrices, and K weights that do not add to 1
    (losses.gram(random(len(weights), filters, 3, 4, seed=seed)), torch.tensor(weights).double())
    for seed, (filters, weights) in enumerate([(3, (3.0, 1.0)), (3, (0.5, 0.2, 0.1)), (4, (1.0, 0.0, 5.0))])
]


def two_losses(F: Tensor, P: Tensor, A: Tensor) -> Tensor:
    """Lesson 04: ½ Σ (F − P)² and 1/(4 N²) Σ (G − A)² with G = F Fᵀ / M, two numbers a picture."""
    return _both(F, losses.gram(F), P, A)


def _both(F: Tensor, G: Tensor, P: Tensor, A: Tensor, half: float = 0.5) -> Tensor:
    return torch.stack([half * total((F - P) ** 2), total((G - A) ** 2) / (4 * F.shape[1] ** 2)], -1)


def descend(x: Tensor, loss: Callable[[Tensor], Tensor], steps: int, lr: float) -> Tensor:
    """Lesson 04: the picture after so many steps of Adam, its pixels kept between 0 and 1."""
    return _descended(x, loss, steps, lr)


def _descended(
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    steps: int,
    lr: float,
    method: type[torch.optim.Optimizer] = torch.optim.Adam,
    forget: bool = True,
    clamp: bool = True,
) -> Tensor:
    x = x.detach().clone().requires_grad_()
    optimiser = method([x], lr=lr)  # type: ignore[call-arg]
    for _ in range(steps):
        if forget:
            optimiser.zero_grad()
        loss(x).sum().backward()
        optimiser.step()
        if clamp:
            x.data.clamp_(0, 1)
    return x.detach()


def total_variation(x: Tensor) -> Tensor:
    """Lesson 04: Σ (x_{i+1,j} − x_{i,j})² + Σ (x_{i,j+1} − x_{i,j})², one number a picture."""
    return total(x.diff(dim=2) ** 2) + total(x.diff(dim=3) ** 2)


def _round_the_border(x: Tensor) -> Tensor:
    return total((x.roll(-1, 2) - x) ** 2) + total((x.roll(-1, 3) - x) ** 2)


def _mean_squares(x: Tensor) -> Tensor:
    return (x.diff(dim=2) ** 2).mean((1, 2, 3)) + (x.diff(dim=3) ** 2).mean((1, 2, 3))


def blend(grams: Tensor, weights: Tensor) -> Tensor:
    """Lesson 04: the weighted mean of K Gram matrices."""
    return _weighed(grams, weights).sum(0) / weights.sum()


def _weighed(grams: Tensor, weights: Tensor) -> Tensor:
    return weights[:, None, None] * grams


TWO_LOSSES: Wrong = {
    "the content loss has no half; eq. 1 begins with ½": lambda F, P, A: _both(F, losses.gram(F), P, A, 1.0),
    "the Gram matrix is not divided; divide F Fᵀ by the M positions": (
        lambda F, P, A: _both(F, losses.gram(F) * F[0, 0].numel(), P, A)
    ),
    "the Gram matrix is divided by N M; divide by the positions alone": (
        lambda F, P, A: _both(F, losses.gram(F) / F.shape[1], P, A)
    ),
    "the style loss lacks 1/(4 N²); divide by 4 N²": lambda F, P, A: (
        two_losses(F, P, A) * torch.tensor([1.0, 4.0 * F.shape[1] ** 2])
    ),
    "the style loss is a mean over N², without eq. 4's quarter; divide by 4": (
        lambda F, P, A: two_losses(F, P, A) * torch.tensor([1.0, 4.0])
    ),
    "the two are in the other order; return the content first": lambda F, P, A: two_losses(F, P, A).flip(-1),
    "it adds up over the batch; give two numbers a picture": lambda F, P, A: two_losses(F, P, A).sum(0),
    "the Gram matrix is that of P; take the generated picture's F": lambda F, P, A: _both(F, losses.gram(P.expand_as(F)), P, A),
}
DESCEND: Wrong = {
    "the gradients of all steps add up; call zero_grad() at every step": lambda x, loss, n, lr: _descended(
        x, loss, n, lr, forget=False
    ),
    "pixels leave [0, 1]; clamp them after every step": lambda x, loss, n, lr: _descended(x, loss, n, lr, clamp=False),
    "it clamps once at the end, but the loss of a pixel outside [0, 1] has led every step; clamp after each": (
        lambda x, loss, n, lr: _descended(x, loss, n, lr, clamp=False).clamp(0, 1)
    ),
    "it takes plain gradient descent; take torch.optim.Adam": lambda x, loss, n, lr: _descended(
        x, loss, n, lr, method=torch.optim.SGD
    ),
    "it does one step less than asked for; range(steps) gives them all": lambda x, loss, n, lr: descend(x, loss, n - 1, lr),
    "it does one step more than asked for; range(steps) gives them all": lambda x, loss, n, lr: descend(x, loss, n + 1, lr),
    "it climbs; take the gradient of the loss, not of its negative": lambda x, loss, n, lr: descend(
        x, lambda y: -loss(y), n, lr
    ),
    "the start comes back; return the picture that the optimiser has changed": lambda x, loss, n, lr: x,
}
TOTAL_VARIATION: Wrong = {
    "it takes absolute differences; total variation squares them here": lambda x: (
        total(x.diff(dim=2).abs()) + total(x.diff(dim=3).abs())
    ),
    "it takes means; the formula is a sum": _mean_squares,
    "it looks at neighbours below only; add those on the right": lambda x: total(x.diff(dim=2) ** 2),
    "it looks at neighbours on the right only; add those below": lambda x: total(x.diff(dim=3) ** 2),
    "it adds up over the batch; give one number a picture": lambda x: total_variation(x).sum(),
    "it takes the channels for neighbours; compare along height and width alone": (
        lambda x: total(x.diff(dim=1) ** 2) + total(x.diff(dim=3) ** 2)
    ),
    "both sums stop one row and one column early, as document A prints them; run each over all its pairs": (
        lambda x: total(x.diff(dim=2)[..., :-1] ** 2) + total(x.diff(dim=3)[..., :-1, :] ** 2)
    ),
    "it goes round the border (roll compares the last row with the first); leave that pair out": _round_the_border,
    "it takes the root (B's L2 norm); the formula has none": lambda x: total_variation(x).sqrt(),
    "it squares the sums; square each difference before you add up": (
        lambda x: total(x.diff(dim=2)) ** 2 + total(x.diff(dim=3)) ** 2
    ),
    "it adds the two differences and squares then; square each of them": (
        lambda x: total((x.diff(dim=2)[..., :-1] + x.diff(dim=3)[:, :, :-1]) ** 2)
    ),
}
BLEND: Wrong = {
    "it is the plain weighted sum; divide by the sum of the weights": lambda gs, ws: _weighed(gs, ws).sum(0),
    "it takes no notice of the weights": lambda gs, ws: gs.mean(0),
    "it divides by the number of artworks; divide by the sum of the weights": lambda gs, ws: _weighed(gs, ws).mean(0),
    "it takes the artwork of the largest weight alone": lambda gs, ws: gs[int(ws.argmax())],
    "it squares the weights": lambda gs, ws: blend(gs, ws**2),
    "it gives the matrices weighed one by one; add them up": lambda gs, ws: _weighed(gs, ws) / ws.sum(),
    "it gives one row a matrix: the sum runs over filters; add up over the artworks, dimension 0": (
        lambda gs, ws: _weighed(gs, ws).sum(1) / ws.sum()
    ),
}
EXERCISES = (
    Answers(
        two_losses, "both losses of a layer put together, each with its own normalisation", 2, SEEN, TWO_LOSSES, gradient=True
    ),
    Answers(descend, "the loop: gradients forgotten, Adam, clamped after every step", 3, DESCENTS, DESCEND),
    Answers(total_variation, "every pair of neighbours once", 2, PICTURES, TOTAL_VARIATION, gradient=True),
    Answers(blend, "a weighted mean whose weights need not add to 1", 1, MIXED, BLEND, gradient=True),
)
