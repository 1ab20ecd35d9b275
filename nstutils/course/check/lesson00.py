"""Exercises of lesson 00: pictures as tensors."""

import torch
from torch import Tensor

from nstutils import images
from nstutils.course.check.judging import Answer, Exercise, Wrong, random

BYTES = [  # pictures of 8 bits: dark, bright and of the whole range, none of them square
    ((random(*shape, seed=k).abs() * (high - low) + low).round().byte(),)
    for k, (shape, low, high) in enumerate([((1, 3, 4, 6), 20, 90), ((1, 3, 5, 2), 130, 255), ((2, 3, 3, 7), 0, 255)])
]
PICTURES = [(random(*shape, seed=k).abs(),) for k, shape in enumerate([(1, 3, 4, 6), (1, 3, 5, 5), (2, 3, 7, 3)])]
TWO = [(random(1, 3, *size, seed=k).abs(), random(1, 3, *size, seed=k + 5).abs()) for k, size in enumerate([(4, 6), (7, 3)])]
SEEDS = [(5, 8, 0), (5, 8, 0), (5, 8, 1), (9, 4, 1)]


def to_unit(picture: Tensor) -> Tensor:
    """Lesson 00: bytes 0 to 255 to numbers 0 to 1."""
    return picture / 255


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


def _fault_of_noise(_: Exercise, draw: Answer) -> str:
    """Any generator's numbers will do, so what is judged are properties, each of them lost by one of the usual mistakes."""
    with torch.random.fork_rng():
        before = torch.random.get_rng_state()
        drawn = [draw(*given) for given in SEEDS]
        touched = not torch.equal(before, torch.random.get_rng_state())
    shapes = [tuple(picture.shape) if isinstance(picture, Tensor) else None for picture in drawn]
    swapped = shapes == [(1, 3, width, height) for height, width, _ in SEEDS]
    if not swapped and shapes != [(1, 3, height, width) for height, width, _ in SEEDS]:
        return f"for height 5 and width 8 it returns shape {shapes[0]}, wanted (1, 3, 5, 8)"
    lost = (
        swapped,
        not torch.equal(drawn[0], drawn[1]),
        torch.equal(drawn[1], drawn[2]),
        touched,
        any(bool((picture < 0).any() or (picture > 1).any()) for picture in drawn),
        all(torch.equal(picture[:, 0], picture[:, 1]) for picture in drawn),
    )
    return next((sentence for sentence, wrong in zip(NOISE, lost, strict=True) if wrong), "")


TO_UNIT: Wrong = {
    "the values still run from 0 to 255; divide by 255": lambda x: x.float(),
    "it divides by 256; white is 255 and must become 1": lambda x: x / 256,
    "`//` rounds down to whole numbers; divide with `/`": lambda x: x // 255,
    "it divides by the picture's own brightest value; white is 255 in every picture": lambda x: x / x.max(),
    "it stretches the picture so that its darkest value is 0; divide by 255 alone": lambda x: (
        (x - x.min()) / (x.max() - x.min())
    ),
    "it runs from -1 to 1; wanted 0 to 1": lambda x: x / 127.5 - 1,
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
NOISE: Wrong = {
    "height and width are swapped; a picture is 1 × 3 × height × width": lambda h, w, seed: noise(w, h, seed),
    "the same seed gives another picture each time; hand torch.rand a generator that starts from the seed": (
        lambda h, w, seed: torch.rand(1, 3, h, w)
    ),
    "it ignores the seed: two seeds give the same picture": lambda h, w, seed: noise(h, w, 0),
    "it changes the random numbers of everybody else; make a generator of your own with torch.Generator()": _reseeded,
    "its values leave [0, 1]; take torch.rand (uniform), not torch.randn (normal)": (
        lambda h, w, seed: torch.randn((1, 3, h, w), generator=_generator(seed))
    ),
    "it is grey; draw numbers of their own for red, green and blue": lambda h, w, seed: noise(h, w, seed)[:, [0, 0, 0]],
}
EXERCISES = (
    Exercise(to_unit, BYTES, TO_UNIT),
    Exercise(brightness, PICTURES, BRIGHTNESS, gradient=True),
    Exercise(psnr, TWO, PSNR),
    Exercise(noise, SEEDS, NOISE, fault=_fault_of_noise),
)
