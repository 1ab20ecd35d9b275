"""The peers' environment, and what they must be given so that all programs minimise the same sum on the same network."""

import math
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstutils.backbones import IMAGENET_MEAN, IMAGENET_STD, FeatureExtractor

WANTED = {"pystiche": "pystiche==1.0.1", "neural-style": "neural-style==0.5.7"}
SCRIPTS = {"pystiche": "peer_pystiche.py", "neural-style": "peer_neural_style.py"}
START = 1e6  # the peers' own total at the start: torch's L-BFGS overlooks curvature where the losses are small
CAFFE_MEAN = (123.68, 116.779, 103.939)  # red, green, blue

State = dict[str, Tensor]


def python(folder: Path) -> Path:
    """The interpreter of the peers' environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def site(folder: Path) -> Path:
    """Where an environment keeps its packages."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))


def install(folder: Path) -> str:
    """Set the peers' environment up once; empty, or in a few words why it cannot be.

    torch and torchvision are this project's own, shown to it by a .pth file: the same torch for all, and 5 GB less.
    """
    ready = folder / ".ready"
    if ready.exists() and ready.read_text() == sys.version + str(WANTED):
        return ""
    try:
        venv.create(folder, clear=True, with_pip=True)
        (site(folder) / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
        command = [python(folder), "-m", "pip", "install", "--no-deps", "--retries", "1", "--timeout", "15", *WANTED.values()]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        return f"the package registry did not give {' and '.join(WANTED.values())} ({said[-1][:100] if said else error})"
    ready.write_text(sys.version + str(WANTED))
    return ""


def torchvision_state(net: FeatureExtractor) -> State:
    """A network's weights under torchvision's names."""
    numbers = {name: index for index, (name, _) in enumerate(net.net.named_children())}
    rows = (key.partition(".") for key in net.net.state_dict())
    return {f"features.{numbers[name]}.{rest}": net.net.state_dict()[f"{name}.{rest}"].contiguous() for name, _, rest in rows}


def caffe_state(state: Mapping[str, Tensor]) -> State:
    """The same network for neural-style: its input is BGR from 0 to 256 less a mean, and every layer of C channels answers
    sqrt(C) times as strongly, because it divides the Gram matrices of a layer by C: so its sum is that of the others."""
    std, mean = torch.tensor(IMAGENET_STD), torch.tensor(IMAGENET_MEAN)
    shift = (torch.tensor(CAFFE_MEAN) / 256 - mean) / std
    result: State = {}
    before = 1.0
    for key, weight in state.items():
        if key.endswith("bias"):
            continue
        bias = state[key.replace("weight", "bias")]
        if before == 1.0:
            bias = bias + (weight * shift.view(1, 3, 1, 1)).sum((1, 2, 3))
            weight = (weight / (256 * std).view(1, 3, 1, 1)).flip(1)
        here = math.sqrt(len(weight))
        result[key], result[key.replace("weight", "bias")] = weight * here / before, bias * here
        before = here
    return result


def weights(name: str, facts: Mapping[str, Any]) -> dict[str, float]:
    """The weights with which a peer's total is `START` / (our total at the start) times ours.

    Our total is alpha kappa C + beta S, with C half the sum of the squared differences over n positions and S the mean of five
    E_l. pystiche's losses are 2 C / n and 4 S; neural-style's, on the weights of `caffe_state`, 2 * 512 C / n and 20 S.
    """
    scale = START / facts["total"]
    content, style = scale * facts["alpha"] * facts["kappa"] * facts["elements"] / 2, scale * facts["beta"]
    if name == "pystiche":
        return {"content_weight": content, "style_weight": style / 4}
    return {"content_weight": content / 512, "style_weight": style / 20}
