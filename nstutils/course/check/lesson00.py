"""Exercises of lesson 00: pictures as tensors."""

import torch
from torch import Tensor

from nstutils import images
from nstutils.course.check.judging import Answer, Exercise, Wrong, by_values, random

BYTES = [  # the numbers of bytes, and others that leave [0, 1] on either side; none square
    ((torch.arange(60) * 4.3).floor().view(1, 3, 4, 5) / 255,),
    (random(1, 3, 5, 2, seed=1).float() * 0.7 + 0.5,),
    (random(2, 3, 3, 7, seed=2).float() * 1.4 + 0.3,),
]
PICTURES = [(random(*shape, seed=k).abs(),) for k, shape in enumerate([(1, 3, 4, 6), (1, 3, 5, 5), (2, 3, 7, 3)])]
TWO = [(random(1, 3, *size, seed=k).abs(), random(1, 3, *size, seed=k + 5).abs()) for k, size in enumerate([(4, 6), (7, 3)])]
SEEDS = [(5, 8, 0), (5, 8, 0), (5, 8, 1), (9, 4, 1)]


def to_bytes(x: Tensor) -> Tensor:
    """Lesson 00: numbers, some of them outside of [0, 1], to the nearest bytes from 0 to 255."""
    return (x * 255).round().clamp(0, 255).to(torch.uint8)


def _fault_of_bytes(exercise: Exercise, answer: Answer) -> str:
    """The values first; then their type, which decides what a file holds."""
    fault = by_values(exercise, answer)
    return fault or ("" if getattr(answer(*BYTES[0]), "dtype", None) == torch.uint8 else NO_BYTES)


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


NO_BYTES = "the values are right, but they are no bytes; end it with .to(torch.uint8)"
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
    Exercise(to_bytes, BYTES, TO_BYTES, fault=_fault_of_bytes),
    Exercise(brightness, PICTURES, BRIGHTNESS, gradient=True),
    Exercise(psnr, TWO, PSNR),
    Exercise(noise, SEEDS, NOISE, fault=_fault_of_noise),
)
