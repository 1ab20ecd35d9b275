"""The brush's Python side: the map of regions and its masks, files of them, the still picture, the first guess."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image
from torch import Tensor

from nstutils import images
from nstutils.course.brush import Brush, brush, encoded, mapped, middle, outlined, regions
from nstutils.guidance import load_mask
from nstutils.library import pictures

LIVE = "application/vnd.jupyter.widget-view+json"


def flat(height: int = 6, width: int = 8) -> Tensor:
    """A grey picture."""
    return torch.full((1, 3, height, width), 0.5)


def halves(height: int = 6, width: int = 8) -> list[Tensor]:
    """Masks of the left and the right half."""
    left = torch.zeros(1, 1, height, width)
    left[..., : width // 2] = 1
    return [left, 1 - left]


def sky(name: str) -> Tensor:
    """The shipped mask of a landscape's sky."""
    return images.load(pictures.data_folder() / "pictures" / f"mask_{name}_sky.png")[:, :1]


def overlap(one: Tensor, other: Tensor) -> float:
    """Intersection over union."""
    a, b = one > 0.5, other > 0.5
    return float((a & b).sum() / (a | b).sum())


def test_a_new_brush_is_region_1_everywhere() -> None:
    masks = brush(flat(), 3).masks
    assert [mask.mean().item() for mask in masks] == [1, 0, 0]
    assert masks[0].shape == (1, 1, 6, 8)


def test_two_regions_are_the_default_and_masks_to_start_with_say_how_many() -> None:
    assert brush(flat()).regions == 2
    assert brush(flat(), start=[*halves(), torch.zeros(1, 1, 6, 8)]).regions == 3
    assert brush(flat(), 4, start=halves()).regions == 4


def test_the_masks_that_it_starts_with_come_back() -> None:
    for mask, wanted in zip(brush(flat(), start=halves()).masks, halves(), strict=True):
        assert torch.equal(mask, wanted)


def test_a_map_is_its_runs() -> None:
    labels = np.array([[0, 0, 1], [1, 2, 0]])
    assert encoded(labels) == [0, 2, 1, 2, 2, 1, 0, 1]
    painter = brush(flat(2, 3), 3)
    painter.runs = encoded(labels)
    assert painter.labels.tolist() == labels.tolist()
    assert [mask[0, 0].tolist() for mask in painter.masks] == [(labels == k).tolist() for k in range(3)]
    assert torch.equal(sum(painter.masks, torch.zeros(())), torch.ones(1, 1, 2, 3))


@pytest.mark.parametrize("runs", [[0, 47], [0, 49], [2, 48], [0, 48, 1], [0, -1, 1, 49], [0.5, 48], []])
def test_a_map_of_another_picture_is_refused(runs: list[int]) -> None:
    painter = brush(flat())
    with pytest.raises(traitlets.TraitError, match="wanted 8 x 6 pixels of regions 0 to 1; paint"):
        painter.runs = runs
    assert painter.runs == [0, 48]


def test_the_map_is_the_only_state_that_painting_changes() -> None:
    painter = brush(flat())
    synced = {name for name in painter.keys if not name.startswith("_") and name not in Brush.__mro__[1]().keys}
    assert synced == {"runs", "height", "width", "regions", "colours", "picture"}
    assert painter.picture.startswith("data:image/jpeg;base64,")


def test_the_map_of_a_large_picture_is_small_and_its_masks_are_large() -> None:
    painter = brush(flat(600, 1200), start=halves(600, 1200))
    assert (painter.height, painter.width) == (256, 512)
    assert painter.masks[0].shape == (1, 1, 600, 1200)
    assert torch.equal(painter.masks[0], halves(600, 1200)[0])


def test_saved_masks_are_taken_by_guidance_and_come_back(tmp_path: Path) -> None:
    painter = brush(flat(), start=halves())
    paths = painter.save(tmp_path / "masks")
    assert [path.name for path in paths] == ["region_1.png", "region_2.png"]
    for path, wanted in zip(paths, halves(), strict=True):
        assert torch.equal(load_mask(path, flat()), wanted)
    other = brush(flat())
    other.load(tmp_path / "masks")
    assert other.runs == painter.runs


def test_masks_are_saved_under_names_of_ones_own(tmp_path: Path) -> None:
    painter, names = brush(flat(), start=halves()), [tmp_path / "sky.png", str(tmp_path / "ground.png")]
    assert painter.save(names) == [tmp_path / "sky.png", tmp_path / "ground.png"]
    other = brush(flat())
    other.load(names[::-1])
    assert torch.equal(other.masks[0], halves()[1])
    with pytest.raises(ValueError, match="1 paths came for 2 regions"):
        painter.save(names[:1])


def test_a_region_without_a_pixel_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="region 2, 3 has 0 of 48 pixels; paint it"):
        brush(flat(), 3).save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_soft_masks_of_another_resolution_become_a_map() -> None:
    soft = torch.linspace(1, 0, 16).expand(1, 1, 12, 16)
    labels = mapped([soft, 1 - soft], (6, 8))
    assert labels.tolist() == [[0] * 4 + [1] * 4] * 6


@pytest.mark.parametrize("count", [1, 7])
def test_too_few_or_too_many_regions_are_refused(count: int) -> None:
    for make in (brush, regions):
        with pytest.raises(ValueError, match=f"{count} regions came, wanted 2 to 6"):
            make(flat(), count)
    with pytest.raises(ValueError, match="3 masks came to start 2 regions"):
        brush(flat(), 2, [torch.ones(1, 1, 6, 8)] * 3)


def test_one_output_holds_the_brush_and_a_described_still_picture() -> None:
    painter = brush(flat(60, 80), start=halves(60, 80))
    forms, facts = painter._repr_mimebundle_()
    assert forms[LIVE]["model_id"] == painter.model_id
    assert forms["text/plain"] == facts["image/jpeg"]["alt"] == "The picture with its 2 regions outlined and numbered."
    pixels = np.asarray(Image.open(io.BytesIO(forms["image/jpeg"])), dtype=float)
    row, wide = pixels[pixels.shape[0] // 4], pixels.shape[1]
    assert row[wide // 8, 2] > row[wide // 8, 0] + 20  # blue to the left
    assert row[-wide // 8, 0] > row[-wide // 8, 2] + 20  # orange to the right
    assert row[wide // 2 - 3 : wide // 2 + 3].max() > 220  # and a white line between them


def test_a_number_stands_in_the_middle_of_its_region() -> None:
    upper = np.zeros((20, 30))
    upper[:11] = 1
    assert middle(upper) == (5, 15)
    ring = np.zeros((20, 30))
    ring[3:17, 4:26] = 1
    ring[6:14, 8:22] = 0
    row, column = middle(ring)
    assert ring[row, column] == 1
    assert (
        outlined(flat(20, 30), [torch.from_numpy(ring)[None, None], torch.zeros(1, 1, 20, 30)]).axes[0].texts[0].get_text()
        == "1"
    )


@pytest.mark.parametrize(("name", "least"), [("coast", 0.9), ("hills", 0.75), ("town", 0.9)])
def test_the_first_guess_finds_the_sky(name: str, least: float) -> None:
    found = regions(name, 2)
    assert overlap(found[0], sky(name)) >= least
    assert torch.equal(found[0] + found[1], torch.ones_like(found[0]))
    assert found[0].shape == sky(name).shape


def test_the_first_guess_is_the_same_every_time_and_goes_from_the_top_down() -> None:
    picture = images.load("coast", 128)
    found, again = regions(picture, 4), regions(picture, 4)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
    heights = [(mask[0, 0] > 0).nonzero()[:, 0].float().mean().item() for mask in found]
    assert heights == sorted(heights)
    assert sum(mask.sum().item() for mask in found) == picture[0, 0].numel()


def test_the_first_guess_parts_three_stripes_of_colour() -> None:
    picture = torch.zeros(1, 3, 60, 40)
    picture[:, 0, :20], picture[:, 1, 20:40], picture[:, 2, 40:] = 1, 1, 1
    for number, mask in enumerate(regions(picture, 3)):
        wanted = torch.zeros_like(mask)
        wanted[..., 20 * number : 20 * number + 20, :] = 1
        assert overlap(mask, wanted) > 0.95


def test_a_picture_without_parts_says_so() -> None:
    with pytest.raises(ValueError, match="patches of like colour, wanted 6; begin with an empty brush"):
        regions(torch.zeros(1, 3, 2, 2), 6)
