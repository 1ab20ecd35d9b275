"""neural-style in the benchmark: its command line as its documentation gives it, its optimiser observed.

Its network takes BGR from 0 to 256 less a mean, so its weights file is the same network brought to that range (bench.py).
"""

import sys

import torch
from common import Clock, Job, measured, told
from torch import Tensor

MEAN = (103.939, 116.779, 123.68)  # of blue, green and red, as in its `preprocess`


def arguments(job: Job) -> list[str]:
    """The command line of a job."""
    files = ["-content_image", job["content"], "-style_image", job["style"], "-init", "image", "-init_image", job["start"]]
    network = ["-model_file", job["weights"], "-disable_check", "-gpu", "c"]
    sums = ["-content_weight", str(job["content_weight"]), "-style_weight", str(job["style_weight"]), "-tv_weight", "0"]
    quiet = ["-print_iter", "0", "-save_iter", "0", "-output_image", job["picture"]]
    return [*files, *network, *sums, *quiet, "-image_size", str(job["long"]), "-num_iterations", str(job["steps"])]


def restored(picture: Tensor) -> Tensor:
    """Its picture as RGB in [0, 1], as in its `deprocess` but for the clamp."""
    return ((picture + torch.tensor(MEAN).view(1, 3, 1, 1)) / 256).flip(1)


def program(clock: Clock) -> None:
    """Its `main`, every evaluation of the losses being a step."""
    setup = neural_style.setup_optimizer

    def observed(image):  # type: ignore[no-untyped-def]
        optimiser, rounds = setup(image)
        step = optimiser.step

        def watched(closure):  # type: ignore[no-untyped-def]
            def evaluated():  # type: ignore[no-untyped-def]
                clock.tick(image)
                value = closure()
                clock.first = float(value) if clock.first is None else clock.first
                return value

            result = step(evaluated)
            clock.seconds.append(clock.now())
            if clock.marks:
                clock.keep(image)
            return result

        optimiser.step = watched
        return optimiser, rounds

    neural_style.setup_optimizer = observed
    neural_style.main()


if __name__ == "__main__":
    this = told()
    sys.argv = ["neural-style", *arguments(this)]
    from neural_style import neural_style  # it reads its command line when imported

    measured(this, program, restored)
