"""What computes on a GPU ends as what computes on the processor: pictures that everything else can take."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from nbformat import read
from second_device import second_device

from nstutils import cli, fast, images, stylise
from nstutils.backbones import STYLE_LAYERS
from nstutils.fast import training
from nstutils.library.settings import PRESETS, Preset
from nstutils.library.weights import backbone
from nstutils.losses import StyleLoss
from nstutils.runs.devices import reasons

ROOT = Path(__file__).parent.parent
SMALL: dict[str, Any] = {"size": 48, "steps": 2}
MASKS = [str(ROOT / "data" / "pictures" / f"mask_hills_{part}.png") for part in ("sky", "ground")]


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A computer with a GPU, as far as devices go."""
    with second_device(monkeypatch):
        yield


def test_what_mixes_devices_stops_here_as_on_a_gpu() -> None:
    picture = images.load("town", 48)
    net = backbone().to("cuda")
    assert net(picture.to("cuda"), STYLE_LAYERS["vgg"])["relu1_1"].device.type == "cuda"
    with pytest.raises(RuntimeError, match="same device"):
        net(picture, STYLE_LAYERS["vgg"])
    with pytest.raises(TypeError, match="use Tensor.cpu"):
        picture.to("cuda").numpy()


@pytest.mark.parametrize("own", [{}, {"method": "adam", "init": "noise"}, {"keep_colour": "luminance"}, {"style_loss": "emd"},
                                 {"content_guide": MASKS}, {"size": 96, "tile": 64}])  # fmt: skip
def test_a_result_lies_where_pictures_lie(own: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    style = ["dots", "swirls"] if "content_guide" in own else "swirls"
    seen: list[str] = []
    result = stylise("hills", style, watch=lambda step: seen.append(step.image.device.type), **SMALL | own)
    assert set(seen) == {"cuda"}
    assert (result.image - images.load("hills", own.get("size", 48))).abs().max() > 0
    assert result._repr_html_()
    assert StyleLoss.of(backbone(), images.load("swirls", 48))(result.image, backbone()(result.image, STYLE_LAYERS["vgg"])) > 0


def test_the_preview_of_a_network_is_a_picture_like_any_other() -> None:
    net = fast.network.TransformNet(("swirls", "glass"), width=4, blocks=0).to("cuda")
    assert training.preview(net, ("town",), (32, 48)).device.type == "cpu"


def test_doctor_says_why_the_gpu_computes_as_it_does() -> None:
    assert reasons().startswith("cuda, float32 inside the network (the GPU has no bfloat16 products)")


def test_pictures_and_clips_of_the_command_line(tmp_path: Path) -> None:
    for number in range(3):
        images.save(images.noise((48, 64), number), tmp_path / "clip" / f"{number}.png")
    clip, out = str(tmp_path / "clip"), str(tmp_path / "out")
    assert cli.main(["stylise", clip, "swirls", "-o", out, "--temporal", "--size=48", "--steps=2", "--quiet"]) == 0
    assert cli.main(["fast", "apply", "fast", clip, "-o", f"{out}-fast", "--temporal", "--quiet"]) == 0


def test_the_first_lesson_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NSTUTILS_PRESET", "smoke")
    monkeypatch.setitem(PRESETS, "smoke", Preset(48, 5))
    monkeypatch.chdir(tmp_path)
    lesson = read(ROOT / "notebooks" / "solutions" / "00_start_here.ipynb", 4)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(lesson.cells):
        if cell.cell_type == "code":
            exec(compile(re.sub(r"^[%!].*", "", cell.source, flags=re.MULTILINE), f"cell {number}", "exec"), names)
    assert torch.is_tensor(names["x"])
