"""What a filter looks for: the patches of pictures that it answers to most, and a picture made to please it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from nstutils.backbones import FeatureExtractor, geometry

COLOURS = ((0.56, 0.19, 0.04), (0.58, 0.0, -0.05), (0.58, -0.19, 0.03))  # photographs': brightness, then two of colour
APART = 3  # patches of one picture at most, so that no picture fills a row


@torch.no_grad()
def strongest(
    net: FeatureExtractor, layer: str, numbers: Sequence[int], pictures: Sequence[Tensor], count: int = 9, side: int = 48
) -> list[Tensor]:
    """For each filter of a layer the `count` patches that it answers to most, as large as one position sees, best first."""
    row = next(row for row in geometry(net) if row.name == layer)
    found: list[list[tuple[float, Tensor]]] = [[] for _ in numbers]
    for picture in pictures:
        maps = net(picture, [layer])[layer][0].float()
        for patches, number in zip(found, numbers, strict=True):
            patches += _patches(picture, maps[number], row.receptive_field, row.stride)
    best = [sorted(patches, key=lambda one: -one[0])[:count] for patches in found]
    return [torch.cat([functional.interpolate(patch, (side, side), mode="area") for _, patch in patches]) for patches in best]


def _patches(picture: Tensor, answers: Tensor, field: int, stride: int) -> list[tuple[float, Tensor]]:
    """The strongest answers of one map that do not see the same place, each with its patch."""
    answers, reach, chosen = answers.clone(), -(-field // (2 * stride)), []
    wide = functional.pad(picture, [field] * 4, mode="replicate" if min(picture.shape[-2:]) > field else "constant")
    for _ in range(APART):
        row, column = divmod(int(answers.argmax()), answers.shape[1])
        top, left = (stride * place + stride // 2 + field - field // 2 for place in (row, column))
        chosen.append((float(answers[row, column]), wide[..., top : top + field, left : left + field]))
        answers[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = -1
    return chosen


def sought(net: FeatureExtractor, layer: str, numbers: Sequence[int], steps: int = 48, side: int = 64) -> Tensor:
    """For each filter of a layer a picture that makes its mean answer large, one batch; moved a little at every step, because
    a filter answers to pixels at certain places, which nobody would see as a pattern."""
    generator = torch.Generator().manual_seed(0)
    waves = (0.1 * torch.randn((len(numbers), 3, side, side // 2 + 1, 2), generator=generator)).requires_grad_()
    adam = torch.optim.Adam([waves], lr=0.02)
    for _ in range(steps):
        shift = [int(n) for n in torch.randint(-4, 5, (2,), generator=generator)]
        maps = net(_drawn(waves).roll(shift, (2, 3)), [layer])[layer].float()
        answers = torch.stack([maps[place, number].mean() for place, number in enumerate(numbers)])
        adam.zero_grad()
        (-answers / (answers.detach().abs() + 1e-6)).sum().backward()
        adam.step()
    return _drawn(waves).detach()


def _drawn(waves: Tensor) -> Tensor:
    """A picture in [0, 1] from its waves: long ones count more and colours go together, as in photographs."""
    side = waves.shape[2]
    length = (torch.fft.fftfreq(side)[:, None] ** 2 + torch.fft.rfftfreq(side)[None] ** 2).sqrt().clamp(min=1 / side)
    spectrum = torch.view_as_complex(waves) / length
    colours = torch.einsum("rc,nchw->nrhw", torch.tensor(COLOURS), torch.fft.irfft2(spectrum, s=(side, side), norm="ortho"))
    return torch.sigmoid(2 * colours)
