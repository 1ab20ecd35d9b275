"""Numbers that two public courses' assignments print, which ours must give: Stanford CS231n's style transfer (content, style,
total variation; its network is SqueezeNet 1.1, its pooling the maximum) and Michigan EECS 498's guided Gram matrix.

Their files are not ours to hand on: where the folder `shared/checks` does not lie beside the project, this is skipped.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nstutils import ContentLoss, FeatureExtractor, StyleLoss, TVLoss, backbone, gram
from nstutils.backbones import IMAGENET_MEAN, IMAGENET_STD
from nstutils.library import decoding

SHARED = Path(__file__).parents[2] / "shared"
CHECKS, WEIGHTS = SHARED / "checks", SHARED / "checks" / "squeezenet1_1-imagenet.safetensors"
STYLE = {"relu1": 300_000.0, "fire3": 1000.0, "fire4": 15.0, "fire5": 3.0}  # CS231n's layers and weights
CONTENT, TV, SIDE = 6e-2, 2e-2, 192

pytestmark = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the two courses' check files are not on this computer")


def near(mine: float | Tensor, theirs: float | Tensor, limit: float = 1e-3) -> bool:
    """CS231n's own measure: |x - y| / (|x| + |y|), at most 0.001."""
    mine, theirs = torch.as_tensor(mine, dtype=torch.float64), torch.as_tensor(theirs, dtype=torch.float64)
    return bool(((mine - theirs).abs() / (mine.abs() + theirs.abs()).clamp(min=1e-8)).max() <= limit)


@pytest.fixture(scope="module")
def printed() -> dict[str, Tensor]:
    """What CS231n's reference answers give."""
    found = np.load(CHECKS / "cs231n-style-transfer-checks.npz")
    return {name: torch.from_numpy(found[name]).double().squeeze() for name in found.files}


@pytest.fixture(scope="module")
def net() -> FeatureExtractor:
    """SqueezeNet 1.1 with ImageNet weights and maximum pooling."""
    return backbone("squeezenet", pool="max", weights=WEIGHTS)


def short(path: Path, side: int = SIDE) -> Tensor:
    """A picture with `side` pixels on its short side, made smaller as CS231n does it."""
    with Image.open(path) as file:
        factor = side / min(file.size)
        size = [round(length * factor) for length in file.size]
        return decoding.from_pil(file.convert("RGB").resize(size, Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def p() -> Tensor:
    """Its content: Tübingen."""
    return short(SHARED / "pictures" / "tubingen.jpg")


@pytest.fixture(scope="module")
def a() -> Tensor:
    """Its style: The Starry Night."""
    return short(CHECKS / "cs231n-starry_night.jpg")


def test_content_loss(net: FeatureExtractor, p: Tensor, printed: dict[str, Tensor]) -> None:
    grey = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).expand_as(p)  # the mean picture: zeros, normalised
    loss = ContentLoss(net(p, ["fire2"]))
    assert near(2 * CONTENT * loss(grey, net(grey, ["fire2"])), printed["cl_out"])  # eq. 1 has a half that theirs has not


def test_style_loss(net: FeatureExtractor, p: Tensor, a: Tensor, printed: dict[str, Tensor]) -> None:
    of_p, of_a = net(p, tuple(STYLE)), net(a, tuple(STYLE))
    total = 0.0
    for layer, weight in STYLE.items():  # eq. 4 has 1 / (4 N²), theirs 1 / N²
        total += 4 * weight * float(StyleLoss({layer: gram(of_a[layer])}, weights=[1.0])(p, of_p))
    assert near(total, printed["sl_out"])


def test_gram_matrix(net: FeatureExtractor, a: Tensor, printed: dict[str, Tensor]) -> None:
    mine = gram(net(a, ["pool3"])["pool3"])[0].double() / len(printed["gm_out"])  # ours is divided by H·W, theirs by C·H·W
    errors = (mine - printed["gm_out"]).abs() / (mine.abs() + printed["gm_out"].abs())
    assert float(errors.median()) < 1e-3


def test_total_variation(p: Tensor, printed: dict[str, Tensor]) -> None:
    normalised = p / torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)  # means fall out of differences
    assert near(TV * float(TVLoss()(normalised, {})), printed["tv_out"])


@pytest.fixture(scope="module")
def guided() -> dict[str, dict[str, Tensor]]:
    """EECS 498's tensors, by the cell of its notebook."""
    cells = json.loads((CHECKS / "eecs498-guided-gram.json").read_text(encoding="utf-8"))
    return {k: {name: torch.tensor(v, dtype=torch.float64) for name, v in cell.items()} for k, cell in cells.items()}


def test_guided_gram_matrix(guided: dict[str, dict[str, Tensor]]) -> None:
    features, masks, theirs = (guided["38"][name][0] for name in ("sample_feats", "sample_mask", "expected_answer"))
    for region in range(2):  # theirs keeps the area of the region, ours scales the guide to ΣT² = 1
        mask = masks[region]
        mine = gram(features[region][None], mask) * mask.square().sum() / features[region].numel()
        assert float((mine[0] - theirs[region]).abs().max()) <= 5e-5  # they print four digits


def test_guided_style_loss(guided: dict[str, dict[str, Tensor]]) -> None:
    features, masks = (guided["38"][name][0] for name in ("sample_feats", "sample_mask"))
    target, theirs = guided["40"]["sample_target"][0], guided["40"]["expected_answer"]
    size, total = features[0].numel(), 0.0
    for region in range(2):
        area, count = float(masks[region].square().sum()), features.shape[1]
        ours = target[region][None] * size / area  # their target in our units
        loss = StyleLoss({"relu1": ours}, weights=[1.0], guides={"relu1": masks[region]})
        value = float(loss(features[region][None], {"relu1": features[region][None]}))
        total += 15 * value * 4 * count**2 * (area / size) ** 2
    assert near(total, theirs, 1e-6)
