"""pystiche in the benchmark: its example "NST with pystiche", with its own encoder, losses and optimiser.

The one thing that is added is `model_urls`, which its import reads from torchvision and which torchvision no longer has.
As in its example, the encoder's weights are left unfrozen.
"""

import sys

import torch
import torchvision
from common import Clock, Job, measured, told

names = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]
sys.modules["torchvision.models.vgg"].model_urls = dict.fromkeys(names, "")  # type: ignore[attr-defined]
sys.modules["torchvision.models.alexnet"].model_urls = {"alexnet": ""}  # type: ignore[attr-defined]

from pystiche import enc, loss, optim  # noqa: E402
from pystiche.image import read_image  # noqa: E402

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def criterion(job: Job) -> torch.nn.Module:
    """The perceptual loss of the example, with the job's weights and targets."""
    encoder = enc.vgg19_multi_layer_encoder(pretrained=False)
    encoder.load_state_dict(torch.load(job["weights"]))
    content = loss.FeatureReconstructionLoss(encoder.extract_encoder("relu4_2"), score_weight=job["content_weight"])
    style = loss.MultiLayerEncodingLoss(
        encoder,
        STYLE_LAYERS,
        lambda layer, weight: loss.GramLoss(layer, score_weight=weight),
        score_weight=job["style_weight"],
    )
    both = loss.PerceptualLoss(content, style)
    both.set_content_image(read_image(job["content"]))
    both.set_style_image(read_image(job["style"]))
    return both


def program(job: Job, clock: Clock) -> None:
    """The example's run, its optimiser observed."""
    sums = criterion(job)
    picture = read_image(job["start"])

    def observed(image: torch.Tensor) -> torch.optim.Optimizer:
        optimiser = optim.default_image_optimizer(image)
        step = optimiser.step

        def watched(closure):  # type: ignore[no-untyped-def]
            clock.tick(image)
            value = step(closure)
            clock.first = float(value) if clock.first is None else clock.first
            return value

        optimiser.step = watched  # type: ignore[method-assign]
        return optimiser

    last = optim.image_optimization(picture, sums, optimizer=observed, num_steps=job["steps"], quiet=True)
    clock.seconds.append(clock.now())
    if clock.marks:
        clock.keep(last)


if __name__ == "__main__":
    assert torchvision
    this = told()
    measured(this, lambda clock: program(this, clock))
