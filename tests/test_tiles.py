"""Tiles give what the whole picture gives."""

import pytest
import torch
from torch import Tensor

from nstutils.backbones import FeatureExtractor, vgg
from nstutils.guidance import propagate
from nstutils.losses import ContentLoss, Mixture, StyleLoss, Terms, TVLoss, evaluate, gram, total
from nstutils.runs import tiles
from nstutils.runs.tiles import View

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@pytest.fixture(scope="module")
def net() -> FeatureExtractor:
    torch.manual_seed(0)
    plain = vgg((4, 6, 8, 8, 8))
    for parameter in plain.parameters():
        parameter.data = torch.randn_like(parameter) * (0.1 if parameter.ndim == 1 else (2 / parameter[0].numel()) ** 0.5)
    return FeatureExtractor(plain.double(), name="narrow", sha256="narrow")


def terms_of(net: FeatureExtractor, size: tuple[int, int], guided: bool) -> Terms:
    generator = torch.Generator().manual_seed(2)
    p, a = (torch.rand((1, 3, *shape), generator=generator).double() for shape in (size, (70, 90)))
    style = StyleLoss({k: gram(f) for k, f in net(a, LAYERS).items()})
    if guided:
        left = torch.zeros((1, 1, *size)).double()
        left[..., : size[1] // 2] = 1
        parts = [StyleLoss(style.targets, guides=propagate(mask, net, LAYERS)) for mask in (left, 1 - left)]
        return {"style": (50.0, Mixture(tuple(parts), (0.3, 0.7))), "content": (1e-3, ContentLoss(net(p, ["relu4_2"])))}
    return {"content": (1e-3, ContentLoss(net(p, ["relu4_2"]))), "style": (50.0, style), "tv": (1e-2, TVLoss())}


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(("size", "tile"), [((200, 173), 64), ((96, 300), 100), ((64, 64), 512)])
def test_losses_and_gradient_of_tiles_are_those_of_the_whole(
    net: FeatureExtractor, size: tuple[int, int], tile: int, guided: bool
) -> None:
    terms = terms_of(net, size, guided)
    x: Tensor = torch.rand((1, 3, *size)).double().requires_grad_()
    scale = torch.tensor([2.0]).double()
    losses = evaluate(net, x, terms)
    (wanted,) = torch.autograd.grad((total(losses, terms) * scale).sum(), x)
    found, gradient = View(net, tile).gradient(x, terms, scale)
    assert x.grad is None
    assert (gradient - wanted).abs().max() < 1e-12 * wanted.abs().max() + 1e-15
    for name, loss in losses.items():
        assert found[name].item() == pytest.approx(loss.item(), rel=1e-12)
        assert View(net, tile).losses(x, terms)[name].item() == pytest.approx(loss.item(), rel=1e-12)


def test_activations_put_together_are_those_of_the_whole(net: FeatureExtractor) -> None:
    x = torch.rand((1, 3, 150, 203)).double()
    wanted = net(x, LAYERS)
    found = View(net, 48).activations(x, LAYERS)
    for layer in LAYERS:
        assert torch.allclose(found[layer], wanted[layer], rtol=0, atol=1e-13)


def test_too_small_a_margin_would_be_seen(net: FeatureExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand((1, 3, 200, 200)).double()
    wanted = net(x, LAYERS)["relu5_1"]
    whole = tiles.geometry(net)
    shrunk = [type(row)(row.name, row.channels, row.parameters, row.stride, 20, row.steps) for row in whole]
    monkeypatch.setattr(tiles, "geometry", lambda _: shrunk)
    assert not torch.allclose(View(net, 48).activations(x, LAYERS)["relu5_1"], wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_a_part_and_its_derivative_lie_in_memory_as_the_whole(net: FeatureExtractor, layout: torch.memory_format) -> None:
    """Slices of autograd turned them from one layout to the other, which took a third of a tile's time."""
    values = torch.rand(1, 6, 20, 24).contiguous(memory_format=layout).requires_grad_()
    first = next(View(net, 16).windows((40, 48), ("relu2_1",)))
    part = first.own("relu2_1", values)
    assert part.shape == (1, 6, 8, 8)
    assert part.is_contiguous(memory_format=layout)
    (part * torch.arange(8.0)).sum().backward()
    wanted = torch.zeros(1, 6, 20, 24)
    wanted[..., :8, :8] = torch.arange(8.0)
    assert values.grad is not None
    assert torch.equal(values.grad, wanted)
    (derivative,) = torch.autograd.grad(first.own("relu2_1", values).sum(), values)
    assert derivative.is_contiguous(memory_format=layout)


def test_the_names_of_terms_are_free(net: FeatureExtractor) -> None:
    x = torch.rand((1, 3, 130, 96)).double().requires_grad_()
    plain = terms_of(net, (130, 96), False)
    terms: Terms = {"a": plain["content"], "a/b": plain["style"], "": plain["tv"], "a/relu4_2": plain["content"]}
    wanted = evaluate(net, x, terms)
    (slope,) = torch.autograd.grad(total(wanted, terms).sum(), x)
    found, gradient = View(net, 48).gradient(x, terms, torch.ones(1).double())
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx(
        {name: loss.item() for name, loss in wanted.items()}, rel=1e-12
    )
    assert (gradient - slope).abs().max() < 1e-12 * slope.abs().max()
