"""Exercises of lesson 00: pictures as tensors."""

import torch
from torch import Tensor

from answers.making import PICTURES, Answers, Wrong, random
from nstutils import images
from nstutils.course.check.special import NO_BYTES
from nstutils.course.check.special import NOISE as LOST

BYTES = [  # the numbers of bytes, and others that leave [0, 1] on either side; none square
    ((torch.arange(60) * 4.3).floor().view(1, 3, 4, 5) / 255,),
    (random(1, 3, 5, 2, seed=1).float() * 0.7 + 0.5,),
    (random(2, 3, 3, 7, seed=2).float() * 1.4 + 0.3,),
]
TWO = [(random(1, 3, *size, seed=k).abs(), random(1, 3, *size, seed=k + 5).abs()) for k, size in enumerate([(4, 6), (7, 3)])]
SEEDS = [(5, 8, 0), (5, 8, 0), (5, 8, 1), (9, 4, 1)]


def to_bytes(x: Tensor) -> Tensor:
    """Lesson 00: numbers, some of them outside of [0, 1], to the nearest bytes from 0 to 255."""
    return (x * 255).round().clamp(0, 255).to(torch.uint8)


def brightness(x: Tensor) -> Tensor:
    """Lesson 00: 0.299 R + 0.587 G + 0.114 B, N x 1 x H x W."""
    return images.luminance(x)


def psnr(x: Tensor, p: Tensor) -> Tensor:
    """Lesson 00: -10 log10 of the mean squared error."""
    return -10 * (x - p).square().mean().log10()


def noise(height: int, width: int, seed: int) -> Tensor:
    """Lesson 00: white noise named by its seed."""
    return torch.rand((1, 3, height, width), generator=_generator(seed))


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _reseeded(height: int, width: int, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return torch.rand(1, 3, height, width)


TO_BYTES: Wrong = {
    "a byte cannot hold 256 or -1: it counts on from the other end, and white turns black; clamp before the type changes": (
        lambda x: (x * 255).round().long().remainder(256).to(torch.uint8)
    ),
    "a change of type cuts off what is behind the point, so that 127.9999 becomes 127; round to the nearest before it": (
        lambda x: (x * 255).clamp(0, 255).to(torch.uint8)
    ),
    "it multiplies by 256, so that bytes that were loaded come back as others; 1 must become 255": (
        lambda x: (x * 256).round().clamp(0, 255).to(torch.uint8)
    ),
    "it stretches the picture to the whole range, so that its contrast changes; multiply by 255 and clamp alone": (
        lambda x: ((x - x.min()) / (x.max() - x.min()) * 255).round().to(torch.uint8)
    ),
    "the values still run from 0 to 1; multiply by 255": lambda x: x.clamp(0, 1),
    NO_BYTES: lambda x: (x * 255).round().clamp(0, 255),
}
BRIGHTNESS: Wrong = {
    "it takes the plain mean; the eye weighs red 0.299, green 0.587 and blue 0.114": lambda x: x.mean(1, keepdim=True),
    "the weights are in the order blue, green, red; channel 0 is red": lambda x: brightness(x.flip(1)),
    "the channel dimension is lost; keep it with sum(1, keepdim=True) or [:, None]": lambda x: brightness(x)[:, 0],
    "it divides by three as well; the weights add up to 1 already": lambda x: brightness(x) / 3,
    "it weighs the channels but does not add them up": lambda x: x * x.new_tensor(images.LUMA).view(1, 3, 1, 1),
    "it adds up along the height; the channels are dimension 1": lambda x: brightness(x).sum(2, keepdim=True),
}
PSNR: Wrong = {
    "it takes the natural logarithm; wanted log10": lambda x, p: -10 * (x - p).square().mean().log(),
    "it takes the sum of the squared errors; wanted their mean": lambda x, p: -10 * (x - p).square().sum().log10(),
    "the minus sign is missing": lambda x, p: -psnr(x, p),
    "the factor is 10, not 20: the error is squared already": lambda x, p: 2 * psnr(x, p),
    "it takes the absolute error; square it": lambda x, p: -10 * (x - p).abs().mean().log10(),
    "the factor 10 is missing": lambda x, p: psnr(x, p) / 10,
}
NOISE: Wrong = dict(
    zip(
        LOST,
        (
            lambda h, w, seed: noise(w, h, seed),
            lambda h, w, seed: torch.rand(1, 3, h, w),
            lambda h, w, seed: noise(h, w, 0),
            _reseeded,
            lambda h, w, seed: torch.randn((1, 3, h, w), generator=_generator(seed)),
            lambda h, w, seed: noise(h, w, seed)[:, [0, 0, 0]],
        ),
        strict=True,
    )
)
EXERCISES = (
    Answers(
        to_bytes,
        "what a change of type does to numbers, and the order of round, clamp and change",
        2,
        BYTES,
        TO_BYTES,
        judged="bytes",
    ),
    Answers(brightness, "channels as an axis that is weighed and kept", 1, PICTURES, BRIGHTNESS, gradient=True),
    Answers(psnr, "an error of two pictures as one number in decibels", 1, TWO, PSNR),
    Answers(noise, "random numbers that a seed repeats, without touching those of others", 2, SEEDS, NOISE, judged="noise"),
)
