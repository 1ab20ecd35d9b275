"""What a filter looks for: its patches show it, and the picture made to please it pleases it."""

import torch

import nstutils as nst
from nstutils.course import filters


def test_the_first_patch_is_what_the_strongest_position_sees() -> None:
    net, picture = nst.backbone("classroom"), nst.load("town", 96)
    (patches,) = filters.strongest(net, "relu2_1", [30], [picture], count=2, side=10)
    assert patches.shape == (2, 3, 10, 10)
    answers = net(picture, ["relu2_1"])["relu2_1"][0, 30]
    row, column = divmod(int(answers.argmax()), answers.shape[1])
    top, left = 2 * row - 4, 2 * column - 4
    seen = picture[..., max(top, 0) : top + 10, max(left, 0) : left + 10]
    assert torch.equal(patches[:1, :, -seen.shape[-2] :, -seen.shape[-1] :], seen)


def test_a_picture_made_for_a_filter_pleases_it_more_than_noise() -> None:
    net = nst.backbone("classroom")
    made = filters.sought(net, "relu2_1", [38, 30], steps=12)
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for place, number in enumerate((38, 30)):
        pleased, unmoved = (net(x, ["relu2_1"])["relu2_1"][0, number].mean() for x in (made[place : place + 1], noise))
        assert pleased > 2 * unmoved
    assert made.min() >= 0
    assert made.max() <= 1
