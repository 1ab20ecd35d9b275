"""The losses against sums done by hand, the papers' derivatives, and torch's own."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from toys import Counting

from nstutils import backbone
from nstutils.backbones import CONTENT_LAYERS, STYLE_LAYERS
from nstutils.library.errors import UserError
from nstutils.losses import ContentLoss, Mixture, StyleLoss, Terms, TVLoss, evaluate, gram, total

IMAGE = torch.zeros(1, 3, 1, 1)  # for losses that look at activations only


def rand(*shape: int, seed: int = 0, centre: float = 0.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + centre


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ([[[[1.0, 2.0]], [[3.0, 4.0]]]], [[[2.5, 5.5], [5.5, 12.5]]]),
        ([[[[1.0], [2.0]], [[3.0], [4.0]]]], [[[2.5, 5.5], [5.5, 12.5]]]),
        ([[[[1.0, 2.0, 3.0]]], [[[0.0, 0.0, 6.0]]]], [[[14 / 3]], [[12.0]]]),
    ],
)
def test_the_gram_matrix_is_the_one_computed_by_hand(features: list, wanted: list) -> None:
    torch.testing.assert_close(gram(torch.tensor(features)), torch.tensor(wanted))


def test_the_gram_matrix_of_a_batch_of_oblong_pictures_follows_its_definition() -> None:
    f = rand(2, 5, 3, 7)
    assert gram(f).shape == (2, 5, 5)
    torch.testing.assert_close(gram(f), torch.einsum("bihw,bjhw->bij", f, f) / 21, rtol=1e-12, atol=0)


def test_moving_the_positions_about_leaves_the_gram_matrix_unchanged() -> None:
    f = rand(1, 4, 6, 5)
    moved = f.flatten(2)[..., torch.randperm(30, generator=torch.Generator().manual_seed(1))].view(1, 4, 5, 6)
    torch.testing.assert_close(gram(moved), gram(f), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("tiles", [(2, 1), (3, 4)])
def test_a_tiled_texture_has_the_gram_matrix_of_its_tile(tiles: tuple[int, int]) -> None:
    f = rand(1, 4, 5, 3)
    torch.testing.assert_close(gram(f.repeat(1, 1, *tiles)), gram(f), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(5, 7), (2, 1, 5, 7)])
def test_a_guide_of_ones_gives_the_plain_gram_matrix(shape: tuple[int, ...]) -> None:
    f = rand(2, 4, 5, 7)
    torch.testing.assert_close(gram(f, torch.ones(shape).double()), gram(f), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_a_style_is_as_strong_in_a_quarter_of_the_picture_as_in_three_quarters(strength: float) -> None:
    f = rand(1, 4, 5, 5).repeat(1, 1, 8, 8)
    small, large = torch.zeros(2, 40, 40).double()
    small[:, :10], large[:, 10:] = strength, 1
    torch.testing.assert_close(gram(f, small), gram(f, large), rtol=1e-2, atol=1e-3)
    torch.testing.assert_close(gram(f, small), gram(f), rtol=1e-2, atol=1e-3)


def test_every_picture_of_a_batch_takes_its_own_soft_guide() -> None:
    f, guide = rand(2, 3, 4, 5), picture(2, 1, 4, 5)
    for k in range(2):
        t = guide[k, 0] / guide[k, 0].square().sum().sqrt()
        torch.testing.assert_close(gram(f, guide)[k], torch.einsum("ihw,jhw->ij", t * f[k], t * f[k]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("features", "guide", "words"),
    [
        ((1, 3, 4, 5), torch.zeros(4, 5), "zero everywhere in this layer; give a larger region"),
        ((2, 3, 4, 5), torch.stack([torch.ones(1, 4, 5), torch.zeros(1, 4, 5)]), "zero everywhere in this layer"),
        ((1, 3, 4, 5), torch.ones(5, 4), r"\(5, 4\) positions, the features \(4, 5\); bring it to"),
        ((3, 4, 5), None, r"N x C x H x W, these are \(3, 4, 5\); add the batch dimension"),
    ],
)
def test_what_gram_cannot_take_is_refused_in_a_sentence(features: tuple[int, ...], guide: Tensor | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gram(torch.ones(features), guide)


def test_half_precision_features_are_summed_in_float32() -> None:
    f = torch.full((1, 1, 64, 64), 3.0, dtype=torch.bfloat16)
    assert gram(f).dtype == torch.float32
    assert gram(f).item() == 9
    assert ContentLoss({"a": 0 * f})(IMAGE, {"a": f}).item() == 9 * 64 * 64 / 2


def test_the_content_loss_is_half_the_sum_of_squares_over_its_layers() -> None:
    f, p = (
        {"a": rand(2, 3, 4, 5), "b": rand(2, 2, 1, 3, seed=1)},
        {"a": rand(1, 3, 4, 5, seed=2), "b": rand(1, 2, 1, 3, seed=3)},
    )
    wanted = [sum(0.5 * ((f[layer][k] - p[layer][0]) ** 2).sum() for layer in "ab") for k in range(2)]
    torch.testing.assert_close(ContentLoss(p)(IMAGE, f), torch.stack(wanted), rtol=1e-12, atol=0)
    assert ContentLoss({"a": torch.tensor([[[[1.0, 2.0]]]])})(IMAGE, {"a": torch.tensor([[[[4.0, 0.0]]]])}).item() == 6.5


def style_by_hand(f: Tensor, a: Tensor) -> Tensor:
    """Eq. 4, written for pictures of different size, element by element."""
    n, error = f.shape[0], torch.zeros(()).double()
    for i in range(n):
        for j in range(n):
            error = error + ((f[i] * f[j]).mean() - (a[i] * a[j]).mean()) ** 2
    return error / (4 * n**2)


@pytest.mark.parametrize(
    ("weights", "by_picture"),
    [
        (None, [(0.5, 0.5), (0.5, 0.5)]),
        ((2.0, 0.1), [(2.0, 0.1), (2.0, 0.1)]),
        ((torch.tensor([1.0, 0.0]).double(), 3.0), [(1.0, 3.0), (0.0, 3.0)]),
    ],
)
def test_the_style_loss_is_the_weighted_sum_of_the_layers_errors(weights: tuple | None, by_picture: list) -> None:
    f, a = (
        {"x": rand(2, 3, 4, 5), "y": rand(2, 2, 2, 3, seed=1)},
        {"x": rand(1, 3, 6, 7, seed=2), "y": rand(1, 2, 3, 3, seed=3)},
    )
    loss = StyleLoss({k: gram(v) for k, v in a.items()}, weights)
    errors = {k: torch.stack([style_by_hand(f[k][i], a[k][0]) for i in range(2)]) for k in f}
    assert list(loss.by_layer(f)) == ["x", "y"]
    for layer, error in loss.by_layer(f).items():
        torch.testing.assert_close(error, errors[layer], rtol=1e-12, atol=0)
    wanted = [u * errors["x"][i] + v * errors["y"][i] for i, (u, v) in enumerate(by_picture)]
    torch.testing.assert_close(loss(IMAGE, f), torch.stack(wanted), rtol=1e-12, atol=0)


def test_a_guided_style_loss_does_not_see_what_lies_outside_its_guide() -> None:
    f, guide = rand(1, 3, 4, 6), torch.zeros(4, 6).double()
    guide[:, :3] = 1
    loss = StyleLoss({"a": gram(f[..., :3])}, guides={"a": guide})
    changed = f.clone()
    changed[..., 3:] = 7
    assert loss(IMAGE, {"a": changed}).item() < 1e-28
    changed[..., 2] = 7
    assert loss(IMAGE, {"a": changed}).item() > 1e-3


@pytest.mark.parametrize(
    ("guide", "words"),
    [(torch.zeros(4, 6), "zero everywhere in this layer"), (torch.ones(6, 4), r"\(6, 4\) positions, .*propagate")],
)
def test_a_style_loss_refuses_an_empty_guide_and_one_of_another_size(guide: Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StyleLoss({"a": torch.ones(1, 3, 3)}, guides={"a": guide})(IMAGE, {"a": torch.ones(1, 3, 4, 6)})


def test_the_total_variation_is_the_one_computed_by_hand() -> None:
    x = torch.zeros(2, 3, 2, 3)
    x[0, 0] = torch.tensor([[0.0, 1.0, 3.0], [2.0, 1.0, 0.0]])
    assert TVLoss()(x, {}).tolist() == [(4 + 0 + 9) + (1 + 4 + 1 + 1), 0]


def relative(found: Tensor, wanted: Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def content_case(f: Tensor) -> tuple[ContentLoss, Tensor]:
    p = rand(*f.shape[1:], seed=5)[None].relu()
    return ContentLoss({"relu1_1": p}), torch.where(f > 0, f - p, 0)


def style_case(f: Tensor) -> tuple[StyleLoss, Tensor]:
    a = gram(rand(1, f.shape[1], 6, 7, seed=5).relu())
    n, m, flat = f.shape[1], f[0, 0].numel(), f.flatten(2)
    slope = (flat @ flat.mT / m - a) @ flat / (n**2 * m)
    return StyleLoss({"relu1_1": a}), torch.where(f > 0, slope.view(f.shape), 0)


@pytest.mark.parametrize("case", [content_case, style_case], ids=["eq. 2", "eq. 6"])
def test_the_papers_closed_form_is_the_derivative_by_the_preactivation(case: Callable, toy: Counting) -> None:
    x = picture(1, 3, 8, 11).requires_grad_()
    found = toy(x, ("conv1_1", "relu1_1"))
    z = found["conv1_1"]
    loss, wanted = case(found["relu1_1"].detach())
    (slope,) = torch.autograd.grad(loss(x, found).sum(), z)
    assert 0 < (wanted == 0).double().mean() < 0.9
    assert relative(slope, wanted) < 1e-8
    z = z.detach()
    for seed in range(3):
        way = rand(*z.shape, seed=10 + seed)
        up, down = (loss(x, {"relu1_1": (z + h * way).relu()}) for h in (1e-6, -1e-6))
        assert ((up - down) / 2e-6).item() == pytest.approx((wanted * way).sum().item(), rel=1e-4)


def test_the_gram_matrix_s_own_backward_pass_is_autograd_s() -> None:
    f, upstream = rand(2, 4, 3, 5).requires_grad_(), rand(2, 4, 4, seed=1)
    (own,) = torch.autograd.grad(gram(f), f, upstream)
    flat = f.flatten(2)
    (wanted,) = torch.autograd.grad(flat @ flat.mT / 15, f, upstream)
    assert relative(own, wanted) < 1e-13
    assert torch.autograd.gradcheck(lambda v: gram(v, torch.linspace(0, 1, 15).view(3, 5).double()), (f,))


def all_terms(net: Counting) -> Terms:
    with torch.no_grad():
        p, a = net(picture(1, 3, 10, 12, seed=1), ("relu2_1",)), net(picture(1, 3, 9, 8, seed=2), ("relu1_1", "relu2_1"))
    style = StyleLoss({k: gram(v) for k, v in a.items()})
    other = StyleLoss({"relu1_1": gram(a["relu1_1"]) * 2})
    mixed = Mixture((style, other), (0.25, 3.0))
    return {"content": (0.1, ContentLoss(p)), "style": (2.0, style), "mixed": (1.0, mixed), "tv": (0.01, TVLoss())}


def test_the_losses_of_a_batch_are_those_of_its_pictures_alone(toy: Counting) -> None:
    terms, batch = all_terms(toy), picture(3, 3, 10, 12)
    together = evaluate(toy, batch, terms)
    for k in range(3):
        alone = evaluate(toy, batch[k : k + 1], terms)
        for name, values in together.items():
            assert values.shape == (3,)
            torch.testing.assert_close(values[k : k + 1], alone[name], rtol=1e-11, atol=0)
        torch.testing.assert_close(total(together, terms)[k : k + 1], total(alone, terms), rtol=1e-11, atol=0)


def test_every_loss_is_zero_at_its_target_and_positive_beside_it(toy: Counting) -> None:
    target = torch.full((1, 3, 8, 8), 0.25).double()
    found = toy(target, ("relu1_1", "relu2_1"))
    losses = (ContentLoss(found), StyleLoss({k: gram(v) for k, v in found.items()}), TVLoss())
    terms = {str(k): (1.0, loss) for k, loss in enumerate(losses)}
    assert [v.item() for v in evaluate(toy, target, terms).values()] == [0, 0, 0]
    assert all(v.item() > 0 for v in evaluate(toy, picture(1, 3, 8, 8), terms).values())


@pytest.mark.parametrize(
    ("names", "passes"),
    [(("tv",), 0), (("content",), 1), (("content", "style"), 1), (("content", "style", "mixed", "tv"), 1)],
)
def test_any_number_of_terms_costs_one_pass_through_the_network(names: tuple[str, ...], passes: int, toy: Counting) -> None:
    terms = {name: all_terms(toy)[name] for name in names}
    toy.passes = 0
    losses = evaluate(toy, picture(1, 3, 10, 12), terms)
    assert (toy.passes, tuple(losses)) == (passes, names)


def test_the_mixture_is_the_weighted_sum_of_its_parts_and_names_each_layer_once(toy: Counting) -> None:
    mixed = all_terms(toy)["mixed"][1]
    assert isinstance(mixed, Mixture)
    assert mixed.layers == ("relu1_1", "relu2_1")
    found = toy(picture(1, 3, 10, 12), mixed.layers)
    one, two = (loss(IMAGE, found) for loss in mixed.losses)
    torch.testing.assert_close(mixed(IMAGE, found), 0.25 * one + 3 * two, rtol=1e-13, atol=0)


def test_no_loss_changes_its_arguments(toy: Counting) -> None:
    terms, x = all_terms(toy), picture(1, 3, 10, 12)
    found, guide = toy(x, ("relu1_1", "relu2_1")), picture(10, 12)
    things = [x, guide, *found.values(), *terms["content"][1].targets.values(), *terms["style"][1].targets.values()]  # type: ignore[attr-defined]
    before = [thing.clone() for thing in things]
    for _, loss in terms.values():
        loss(x, found)
    gram(found["relu1_1"], guide)
    total(evaluate(toy, x, terms), terms)
    assert all(torch.equal(was, thing) for was, thing in zip(before, things, strict=True))


def test_the_total_weighs_every_term_and_leaves_out_those_of_weight_zero() -> None:
    losses = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([10.0, 20.0]), "c": torch.tensor([torch.nan, torch.inf])}
    terms: Terms = {"a": (0.5, TVLoss()), "b": (torch.tensor([1.0, 0.0]).double(), TVLoss()), "c": (0.0, TVLoss())}
    assert total(losses, terms).tolist() == [10.5, 1.0]
    with pytest.raises(ValueError, match="all weights are zero, so there is nothing to minimise; give alpha, beta or tv"):
        total(losses, {"c": (0.0, TVLoss())})


@pytest.mark.parametrize("shape", [(1, 16, 70, 90), (2, 24, 20, 30), (1, 8, 300, 111)])
def test_the_gram_matrix_of_bfloat16_features_is_that_of_float64_but_for_small_rounding(shape: tuple[int, ...]) -> None:
    features = torch.rand(shape, generator=torch.Generator().manual_seed(3)).bfloat16()
    wanted = gram(features.double())
    found = gram(features.contiguous(memory_format=torch.channels_last))
    assert found.dtype == torch.float32
    assert (found - wanted).norm() < 1e-3 * wanted.norm()


def test_the_derivative_through_bfloat16_features_points_where_that_of_float64_points() -> None:
    features = torch.rand((1, 16, 80, 90), generator=torch.Generator().manual_seed(3)).bfloat16()
    weights = torch.randn((1, 16, 16), generator=torch.Generator().manual_seed(4))
    found, wanted = features.clone().requires_grad_(), features.double().requires_grad_()
    (gram(found) * weights).sum().backward()
    (gram(wanted) * weights).sum().backward()
    assert torch.cosine_similarity(found.grad.double().flatten(), wanted.grad.flatten(), dim=0) > 0.9999


def test_weights_and_pictures_that_do_not_fit_the_targets_are_refused_in_a_sentence(toy: Counting) -> None:
    small, large = (torch.rand(1, 3, *size).double() for size in ((16, 16), (16, 20)))
    targets = {k: gram(f) for k, f in toy(small, ("relu1_1", "relu2_1")).items()}
    with pytest.raises(ValueError, match="1 weights for 2 layers; give one for each"):
        StyleLoss(targets, weights=[1.0])
    loss = ContentLoss(toy(small, ("relu2_1",)))
    with pytest.raises(ValueError, match=r"the target of relu2_1 is \(1, 8, 8, 8\), the picture gives \(1, 8, 8, 10\)"):
        loss(large, toy(large, ("relu2_1",)))


def test_a_loss_of_a_picture_has_its_activations_or_gram_matrices_as_targets(toy: Counting) -> None:
    x, layers = picture(1, 3, 10, 12), ["relu1_1", "relu2_1"]
    content, style = ContentLoss.of(toy, x, layers, [1.0, 2.0]), StyleLoss.of(toy, x, layers, [0.3, 0.7])
    assert content.layers == style.layers == tuple(layers)
    assert (content.weights, style.weights) == ([1.0, 2.0], [0.3, 0.7])
    for layer, features in toy(x, layers).items():
        assert torch.equal(content.targets[layer], features)
        assert torch.equal(style.targets[layer], gram(features))
    net = backbone("classroom")
    x = x.float().expand(1, 3, 10, 12).repeat(1, 1, 4, 4)
    assert (ContentLoss.of(net, x).layers, StyleLoss.of(net, x).layers) == (CONTENT_LAYERS["vgg"], STYLE_LAYERS["vgg"])


def test_usual_mistakes_are_answered_in_a_sentence(toy: Counting) -> None:
    seen = toy(picture(1, 3, 10, 12), ["relu2_1"])
    for make, words in (
        (lambda: StyleLoss(seen), r"target of relu2_1 .* wanted its Gram matrix.*StyleLoss.of\(net, …\), or give gram"),
        (lambda: ContentLoss({"relu2_1": gram(seen["relu2_1"])}), r"wanted activations, N x C x H x W; .*ContentLoss.of"),
        (lambda: ContentLoss(seen["relu2_1"]), r"the targets of ContentLoss are a Tensor; .*ContentLoss.of\(net"),  # type: ignore[arg-type]
        (
            lambda: StyleLoss.of(toy, picture(1, 3, 10, 12), "relu2_1"),
            r"layers are .relu2_1., but a list is wanted; give \['relu2_1'\]",
        ),
        (lambda: toy(picture(1, 3, 10, 12), "relu2_1"), r"but a list is wanted; give \['relu2_1'\]"),  # type: ignore[arg-type]
        (lambda: ContentLoss.of(toy, picture(1, 3, 10, 12)), "toy has no layer relu2_2, relu3_3|toy has no layer relu3_3"),
    ):
        with pytest.raises(UserError, match=words):
            make()
