"""`backbone(name)`: a network with its weights, from this project, from a file, or downloaded once and kept.

The classroom backbone ships with the project. The real networks take torchvision's ImageNet weights: a file of the reader's
first, then what was kept before, then torch hub's cache, then one download. Nothing is ever unpickled.
"""

import json
import math
import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nstutils import fetch, images
from nstutils.backbones import IMAGENET_MEAN, IMAGENET_STD, VGG_CONVS, FeatureExtractor, squeezenet, vgg
from nstutils.settings import BACKBONES, settings

State = dict[str, Tensor]
GO_ON = "the classroom backbone needs no download: use backbone 'classroom' to go on without it"


def backbone(name: str = "classroom", *, pool: str = "avg", weights: str | os.PathLike[str] | None = None) -> FeatureExtractor:
    """The network `name` with its weights, frozen; `weights` is a file (.safetensors or torchvision's .pth) to take instead."""
    if name not in BACKBONES:
        raise ValueError(f"there is no backbone {name!r}; choose from {', '.join(BACKBONES)}")
    if name == "random-vgg19":
        if weights is not None:
            raise ValueError(f"random-vgg19 takes no weights file, but {os.fspath(weights)!r} was given; use backbone 'vgg19'")
        return FeatureExtractor(_random(vgg(pool=pool)), name=name, sha256="random, seed 0")
    chosen = settings()
    if weights is None and chosen.weights and chosen.backbone == name:
        weights = chosen.weights
    state, header = read(Path(os.path.expanduser(weights))) if weights is not None else _find(name)
    return build(name, state, header, pool)


def structure(name: str) -> FeatureExtractor:
    """The network `name` without weights: enough for its table, nothing is read, downloaded or allocated."""
    if name == "classroom":
        return backbone(name)
    with torch.device("meta"):
        net = squeezenet() if name == "squeezenet" else vgg(convs=VGG_CONVS[name.removeprefix("random-")])
    return FeatureExtractor(net, name=name)


def build(name: str, state: Mapping[str, Tensor], header: Mapping[str, str], pool: str = "avg") -> FeatureExtractor:
    """A network of the plan `name` with the weights of `state`; refuses weights of another network."""
    if name in VGG_CONVS or name == "classroom":
        first = [state[f"conv{block}_1.weight"] for block in range(1, 6) if f"conv{block}_1.weight" in state]
        widths = [len(kernel) for kernel in first if kernel.ndim]
        net = vgg(widths if len(widths) == 5 else (64, 128, 256, 512, 512), VGG_CONVS.get(name, VGG_CONVS["vgg19"]), pool)
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
        raise ValueError(
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
        raise ValueError(f"the header of these weights gives {key} as {header[key][:40]}, wanted three numbers; write it anew")
    return values


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
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                header = dict(file.metadata() or {})
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a damaged file torch warns before it fails
                header, state = {}, torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not a plain weights file (it holds code or is damaged); give a .safetensors or a "
                         "state dict saved by torch") from error  # fmt: skip
    except Exception as error:  # a damaged file can raise anything inside torch.load
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:80]
        raise ValueError(f"{path} is damaged or not a weights file ({reason}); download it again") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise ValueError(f"{path} holds something else than weights; give a state dict of tensors")
    ours = path.parent == settings().cache and "sha256" in header  # kept features carry the hash of the file they came from
    return state, header if ours else header | {"sha256": fetch.sha256(path)}


def save(extractor: FeatureExtractor, path: Path, **header: str) -> None:
    """Write a network's weights as safetensors, with its name, normalisation and `header`."""
    header = {"network": extractor.name, "mean": json.dumps(extractor.mean), "std": json.dumps(extractor.std)} | header
    with images.atomic(path) as part:
        save_file({key: value.contiguous() for key, value in extractor.net.state_dict().items()}, part, header)


def _find(name: str) -> tuple[State, dict[str, str]]:
    """The weights of `name` from this project, from what was kept, from torch hub's cache, or downloaded and kept."""
    path = here(name)
    if path:
        return read(path)
    if name == "classroom":
        folder = images.data_folder() / "weights"
        raise FileNotFoundError(f"{folder / name}.safetensors is missing or damaged; get the project's data folder again")
    return keep(name)


def here(name: str) -> Path | None:
    """The whole weights file of `name` that needs no download: kept earlier, or else shipped with the project."""
    shipped = images.data_folder() / "weights" / f"{name}.safetensors"
    return fetched(name) or (shipped if shipped.is_file() and _opens(shipped) else None)


def fetched(name: str) -> Path | None:
    """The whole file of torchvision's weights of `name` that was kept earlier."""
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
    """Take torchvision's weights of `name` (torch hub's cache first, else one download) and keep the features alone."""
    source = (sources or fetch.WEIGHTS)[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / source.file
    if not (path.is_file() and fetch.sha256(path).startswith(source.sha256)):
        try:
            path = fetch.fetch(name, sources=sources, progress=progress)
        except OSError as error:
            raise OSError(f"{error}; {GO_ON}") from error
    state, header = read(path)
    net = squeezenet() if name == "squeezenet" else vgg(convs=VGG_CONVS[name])
    state = renamed(state, net)
    extractor = build(name, state, header)
    try:
        _kept(name).parent.mkdir(parents=True, exist_ok=True)
        save(extractor, _kept(name), sha256=header["sha256"], source=source.url)
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
