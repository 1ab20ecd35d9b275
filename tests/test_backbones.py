"""The networks: names, sizes and receptive fields against brute force, and against torchvision's."""

import importlib
import re
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from toys import Counting

from nstutils.backbones import (
    CONTENT_LAYERS,
    STYLE_LAYERS,
    VGG_CONVS,
    FeatureExtractor,
    converted,
    geometry,
    squeezenet,
    vgg,
)
from nstutils.library import weights
from nstutils.library.weights import scaled

NARROW = (3, 4, 5, 6, 7)
VGG19 = [
    *("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"),
    *("conv2_1", "relu2_1", "conv2_2", "relu2_2", "pool2"),
    *("conv3_1", "relu3_1", "conv3_2", "relu3_2", "conv3_3", "relu3_3", "conv3_4", "relu3_4", "pool3"),
    *("conv4_1", "relu4_1", "conv4_2", "relu4_2", "conv4_3", "relu4_3", "conv4_4", "relu4_4", "pool4"),
    *("conv5_1", "relu5_1", "conv5_2", "relu5_2", "conv5_3", "relu5_3", "conv5_4", "relu5_4", "pool5"),
]
SQUEEZENET = [
    *("conv1", "relu1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5"),
    *("pool5", "fire6", "fire7", "fire8", "fire9"),
]


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(kind: str, pool: str = "avg") -> FeatureExtractor:
    """A small network in float64 whose filters all fire."""
    torch.manual_seed(0)
    net = squeezenet(pool) if kind == "squeezenet" else vgg(NARROW, VGG_CONVS[kind], pool)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.abs_().mul_(1 / module.weight[0].sum())
            module.bias.data.fill_(0.1)  # type: ignore[union-attr]
    return FeatureExtractor(net.double(), name=kind)


def mixed_signs(kind: str, pool: str = "max") -> FeatureExtractor:
    torch.manual_seed(1)
    return FeatureExtractor(
        (squeezenet(pool) if kind == "squeezenet" else vgg(NARROW, VGG_CONVS[kind], pool)).double(), name=kind
    )


@pytest.mark.parametrize(("kind", "names"), [("vgg19", VGG19), ("squeezenet", SQUEEZENET)])
def test_the_layers_have_the_papers_names_in_their_order(kind: str, names: list[str]) -> None:
    net = network(kind)
    assert list(net.layers) == names
    asked = (names[3], names[0], names[3])
    found = net(picture(1, 3, 40, 40), asked)
    assert tuple(found) == (names[3], names[0])
    assert set(CONTENT_LAYERS[net.family] + STYLE_LAYERS[net.family]) <= set(names)


def test_a_convolution_s_activations_are_not_overwritten_by_the_relu_behind_it(toy: Counting) -> None:
    found = toy(picture(1, 3, 10, 10), ("conv1_1", "relu1_1", "conv2_1", "relu2_1"))
    for number in ("1_1", "2_1"):
        assert (found[f"conv{number}"] < 0).any()
        assert torch.equal(found[f"conv{number}"].relu(), found[f"relu{number}"])


@pytest.mark.parametrize(("kind", "convolutions", "total"), [("vgg19", 16, 20_024_384), ("vgg16", 13, 14_714_688)])
def test_the_parameters_of_every_layer_follow_the_formula(kind: str, convolutions: int, total: int) -> None:
    with torch.device("meta"):
        rows = geometry(FeatureExtractor(vgg(convs=VGG_CONVS[kind]), name=kind))
    channels, counted = 3, 0
    for row in rows:
        if row.name.startswith("conv"):
            assert row.parameters == 3 * 3 * channels * row.channels + row.channels
            channels, counted = row.channels, counted + 1
        else:
            assert (row.parameters, row.channels) == (0, channels)
    assert (counted, sum(row.parameters for row in rows)) == (convolutions, total)


def test_average_pooling_takes_the_mean_and_max_pooling_the_largest() -> None:
    for pool, reduce in (("avg", torch.mean), ("max", torch.amax)):
        net = mixed_signs("vgg19", pool)
        found = net(picture(1, 3, 9, 12), ("relu1_2", "pool1"))
        blocks = found["relu1_2"][..., :8, :].unfold(2, 2, 2).unfold(3, 2, 2)
        torch.testing.assert_close(found["pool1"][..., :4, :], reduce(blocks, (-2, -1)))
        rim = found["relu1_2"][..., 8:, :].unfold(3, 2, 2)  # the odd last row counts too: pooling rounds up
        torch.testing.assert_close(found["pool1"][..., 4:, :], reduce(rim, (-1,)))
    with pytest.raises(ValueError, match="pool 'median' is not known; choose 'avg'"):
        vgg(pool="median")


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        (("relu9_9",), (1, 3, 32, 32), "vgg19 has no layer relu9_9; choose from conv1_1, relu1_1"),
        (
            ("relu1_1", "pool5"),
            (1, 3, 40, 31),
            "a picture of 31 x 40 is too small for relu1_1, pool5, which needs at least 32 pixels",
        ),
        (("relu1_1",), (3, 32, 32), r"N x 3 x height x width, this one is \(3, 32, 32\)"),
        (("relu1_1",), (1, 1, 32, 32), r"N x 3 x height x width, this one is \(1, 1, 32, 32\)"),
    ],
)
def test_what_a_network_cannot_do_is_refused_in_a_sentence(layers: tuple[str, ...], shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        network("vgg19")(picture(*shape), layers)


@pytest.mark.parametrize(
    ("kind", "layer"), [("vgg19", "pool1"), ("vgg19", "pool5"), ("vgg16", "relu4_1"), ("squeezenet", "relu1")]
)
def test_the_smallest_picture_passes_and_one_pixel_less_does_not(kind: str, layer: str) -> None:
    net = network(kind)
    least = net.smallest(["conv1_1" if kind != "squeezenet" else "conv1", layer])
    assert min(net(picture(1, 3, least, least + 3), [layer])[layer].shape[-2:]) == 1
    with pytest.raises(ValueError, match=f"at least {least} pixels"):
        net(picture(1, 3, 50, least - 1), [layer])


@pytest.mark.parametrize("kind", ["vgg19", "squeezenet"])
@pytest.mark.parametrize("size", [(37, 50), (64, 35), (79, 66)])
def test_the_sizes_of_the_table_are_those_of_the_activations(kind: str, size: tuple[int, int]) -> None:
    net = network(kind)
    found = net(picture(2, 3, *size), net.layers)
    for row in geometry(net):
        assert (2, row.channels, row.size(size[0]), row.size(size[1])) == tuple(found[row.name].shape)


@pytest.mark.parametrize(("kind", "width"), [("vgg19", 352), ("squeezenet", 280)])
def test_the_receptive_fields_and_strides_of_the_table_are_those_found_by_touching_pixels(kind: str, width: int) -> None:
    net = network(kind)  # positive weights: no influence can cancel
    x = torch.ones(1, 3, 36, width).double().requires_grad_()
    found = net(x, net.layers)
    for row in geometry(net):
        middle, touched = found[row.name].shape[-1] // 2, []
        for position in (middle - 1, middle):
            (slope,) = torch.autograd.grad(found[row.name][..., position].sum(), x, retain_graph=True)
            touched.append(slope.abs().sum((0, 1, 2)).nonzero().flatten())
        assert 0 < touched[0][0] < touched[1][-1] < width - 1, "the fields do not lie inside the picture"
        assert len(touched[0]) == len(touched[1]) == row.receptive_field
        assert touched[1][0] - touched[0][0] == row.stride


def test_one_pixel_outside_a_receptive_field_changes_nothing_inside_it() -> None:
    net, x = mixed_signs("vgg19"), picture(1, 3, 64, 64)
    row = next(row for row in geometry(net) if row.name == "relu3_1")
    before = net(x, ["relu3_1"])["relu3_1"][..., 8, 8]
    first = 8 * row.stride - (row.receptive_field - row.stride) // 2
    for pixel, same in (
        (first - 1, True),
        (first, False),
        (first + row.receptive_field - 1, False),
        (first + row.receptive_field, True),
    ):
        changed = x.clone()
        changed[..., pixel] += 10
        assert torch.equal(net(changed, ["relu3_1"])["relu3_1"][..., 8, 8], before) is same


def test_the_network_computes_no_deeper_than_the_layers_asked_for(toy: Counting) -> None:
    ran: list[str] = []
    for name, module in toy.net.named_children():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    toy(picture(1, 3, 8, 8), ("relu1_1", "conv1_1"))
    assert ran == ["conv1_1", "relu1_1"]
    assert toy(picture(1, 3, 8, 8), ()) == {}
    assert ran == ["conv1_1", "relu1_1"]


@pytest.fixture
def torchvision() -> ModuleType:
    """torchvision, which takes over a second to import: not while tests are collected."""
    return importlib.import_module("torchvision")


def plan(kind: str) -> list[int | str]:
    """torchvision's way to write a VGG plan."""
    return [v for width, count in zip(NARROW, VGG_CONVS[kind], strict=True) for v in (*[width] * count, "M")]


@pytest.mark.parametrize("kind", ["vgg19", "vgg16", "squeezenet"])
def test_every_module_computes_what_torchvision_s_computes(torchvision: ModuleType, kind: str) -> None:
    torch.manual_seed(0)
    if kind == "squeezenet":
        theirs = torchvision.models.squeezenet1_1().features
    else:
        theirs = torchvision.models.vgg.make_layers(plan(kind))  # type: ignore[arg-type]
    for module in theirs.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.bias, std=0.1)
        if isinstance(module, nn.ReLU):
            module.inplace = False
    ours = squeezenet("max") if kind == "squeezenet" else vgg(NARROW, VGG_CONVS[kind], "max")
    state = {f"features.{key}": value for key, value in theirs.state_dict().items()} | {"classifier.1.weight": torch.ones(1)}
    ours.load_state_dict(weights.renamed(state, ours))
    net = FeatureExtractor(ours, name=kind)
    x = picture(1, 3, *((67, 50) if kind == "squeezenet" else (64, 96))).float()  # torchvision's VGG rounds odd sizes down
    y = torchvision.transforms.functional.normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    found = net(x, net.layers)
    assert len(theirs) == len(net.layers)
    for name, module in zip(net.layers, theirs, strict=True):
        y = module(y)
        torch.testing.assert_close(found[name], y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["vgg19", "vgg16", "squeezenet"])
def test_torchvision_s_weights_fit_by_name_and_shape(torchvision: ModuleType, kind: str) -> None:
    with torch.device("meta"):
        theirs = getattr(torchvision.models, {"squeezenet": "squeezenet1_1"}.get(kind, kind))()
        ours = squeezenet() if kind == "squeezenet" else vgg(convs=VGG_CONVS[kind])
    state = weights.renamed(theirs.state_dict(), ours)
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in ours.state_dict().items()}


def test_squeezenet_is_built_from_torchvision_s_state_and_others_are_refused(torchvision: ModuleType) -> None:
    torch.manual_seed(0)
    state = torchvision.models.squeezenet1_1().state_dict()
    net = weights.build("squeezenet", state, {"sha256": "abc"}, "max")
    assert (net.sha256, net.family) == ("abc", "squeezenet")
    assert torch.equal(net.net.fire2.squeeze.weight, state["features.3.squeeze.weight"])  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="these weights are not of squeezenet: .* has shape .*, wanted .*; give the file"):
        weights.build("squeezenet", vgg(NARROW).state_dict(), {"sha256": "abc"})


@pytest.mark.parametrize("kind", ["vgg19", "vgg16"])
@pytest.mark.parametrize("scales", [{}, {"conv1_1": 3.7}, {"conv1_2": 0.2, "conv2_1": 19.0, "conv5_3": 2.0}, "all"])
def test_scaled_layers_are_divided_by_their_number_and_nothing_else_changes(kind: str, scales: dict[str, float] | str) -> None:
    net, x = mixed_signs(kind, "avg"), picture(1, 3, 48, 60)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    convs = [name for name in net.layers if name.startswith("conv")]
    asked = {name: 0.5 + index for index, name in enumerate(convs)} if isinstance(scales, str) else scales
    found, wanted = scaled(net, asked)(x, net.layers), net(x, net.layers)
    scale = 1.0
    for name in net.layers:  # ReLU and pool have the scale of the convolution before them
        scale = asked.get(name, 1.0) if name in convs else scale
        torch.testing.assert_close(found[name] * scale, wanted[name], rtol=1e-9, atol=1e-12)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_scaled_networks_have_hashes_of_their_own_and_the_same_normalisation() -> None:
    net = FeatureExtractor(vgg(NARROW), name="vgg19", sha256="abc", mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    one, other, again = (scaled(net, {"conv1_1": number, "conv1_2": 1.0}) for number in (2.0, 3.0, 2.0))
    assert one.sha256.startswith("abc, scaled ")
    assert one.sha256 == again.sha256 != other.sha256
    assert (one.name, one.mean, one.std) == (net.name, net.mean, net.std)


@pytest.mark.parametrize("scales", [{"conv1_3": 2.0}, {"relu1_1": 2.0}, {"fire2": 2.0}])
def test_what_cannot_be_scaled_is_refused(scales: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="has no convolution .* to scale; "):
        scaled(network("vgg19"), scales)


@pytest.mark.parametrize("number", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_a_relu_does_not_pass_on_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="the scale of conv2_1 is .*, but must be a positive number; "):
        scaled(network("vgg19"), {"conv1_1": 2.0, "conv2_1": number})


def test_the_convolutions_of_squeezenet_are_not_scaled() -> None:
    with pytest.raises(ValueError, match="to scale; take one of a VGG's"):
        scaled(network("squeezenet"), {"conv1": 2.0})


def test_the_network_is_frozen_a_copy_and_leaves_its_input_alone() -> None:
    inner = vgg(NARROW).train()
    net = FeatureExtractor(inner, name="x")
    assert not any(p.requires_grad for p in net.parameters())
    assert not any(module.training for module in net.net.modules())
    assert all(p.requires_grad for p in inner.parameters())
    inner.conv1_1.weight.data.zero_()  # type: ignore[union-attr, operator]
    assert net.weight.any()
    x = picture(1, 3, 32, 32).float().requires_grad_()
    before = x.detach().clone()
    net(x, ["relu5_1"])["relu5_1"].sum().backward()
    assert torch.equal(x, before)
    assert x.grad is not None
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-5), (torch.bfloat16, 0.05)])
def test_a_converted_network_computes_in_its_number_type_and_the_first_stays(dtype: torch.dtype, error: float) -> None:
    net = converted(network("vgg19"), torch.float32)
    other = converted(net, dtype)
    assert (net.weight.dtype, other.weight.dtype) == (torch.float32, dtype)
    assert converted(net, torch.float32) is net
    x = picture(1, 3, 32, 32).float()
    found, wanted = other(x, ["relu3_1"])["relu3_1"], net(x, ["relu3_1"])["relu3_1"]
    assert found.dtype == dtype
    assert (found.double() - wanted.double()).norm() < error * wanted.double().norm()


def test_every_message_is_one_line() -> None:
    for act in (
        lambda: vgg(pool="x"),
        lambda: network("vgg19").check(["a", "b"]),
        lambda: network("vgg19").check(["pool5"], picture(1, 3, 9, 9)),
    ):
        with pytest.raises(ValueError, match=".") as caught:
            act()
        assert re.fullmatch(r"[^\n]+;[^\n]+", str(caught.value))
