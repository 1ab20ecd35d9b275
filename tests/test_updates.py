"""Adam, SGD and L-BFGS: the numbers of torch.optim, without its imports."""

from collections.abc import Callable

import apart
import pytest
import torch
from torch import Tensor

from nstutils import updates
from nstutils.runs.options import RATES
from nstutils.updates import UPDATES, Memory, enlarged

KINDS: dict[str, Callable[[Tensor], torch.optim.Optimizer]] = {
    "adam": lambda x: torch.optim.Adam([x], lr=0.05, betas=(0.9, 0.99)),
    "sgd": lambda x: torch.optim.SGD([x], lr=0.02, momentum=0.9),
    "lbfgs": lambda x: torch.optim.LBFGS([x], max_iter=1, history_size=20, tolerance_grad=0, tolerance_change=0),
}


def valley(x: Tensor) -> Tensor:
    """A long bent valley in every direction, gentle enough that no step is longer than a pixel's range."""
    stretch = torch.linspace(0.3, 1.5, x.numel(), dtype=x.dtype).view_as(x)
    return (stretch * (x - 0.4)).square().sum() + 0.3 * (x[..., 1:] - x[..., :-1] ** 2).square().sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", list(UPDATES))
def test_every_step_is_that_of_torch_bit_for_bit(method: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "FARTHEST", 1.0)  # torch has no such bound
    start = torch.rand((1, 3, 8, 9), generator=torch.Generator().manual_seed(1), dtype=dtype)
    theirs, ours = start.clone().requires_grad_(), start.clone().requires_grad_()
    optimiser, update, rate, state = KINDS[method](theirs), UPDATES[method], RATES[method], Memory()

    def closure() -> float:
        optimiser.zero_grad()
        value = valley(theirs)
        value.backward()
        return value.item()

    for _ in range(60):
        (gradient,) = torch.autograd.grad(valley(ours), ours)
        ours = update(ours.detach(), gradient, rate, state).requires_grad_()
        optimiser.step(closure)
        assert torch.equal(ours, theirs)
    assert valley(ours) < 0.2 * valley(start)


def test_no_pixel_moves_by_more_than_a_third_of_its_range_in_a_step_of_lbfgs() -> None:
    state = Memory()
    x = UPDATES["lbfgs"](torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), -1e-3), 1e3, state)
    assert x.abs().max() == pytest.approx(updates.FARTHEST)
    assert state["length"] * state["direction"].abs().max() == pytest.approx(updates.FARTHEST)


def test_moments_grow_with_the_picture_and_lbfgs_starts_afresh() -> None:
    for method, update in UPDATES.items():
        state: Memory = {}
        update(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), RATES[method], state)
        grown = enlarged(state, (8, 6))
        assert {tuple(v.shape) for v in grown.values() if isinstance(v, Tensor)} == ({(1, 3, 8, 6)} if grown else set())
        assert bool(grown) == (method != "lbfgs")


def test_a_run_does_not_import_torch_s_compiler() -> None:
    """It took a second and a half, and 0.17 GB, in every process."""
    assert not apart.found(apart.compiler_after_a_run)
