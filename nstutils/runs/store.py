"""What is kept of a run beside its picture: its sealed card, the state of an unfinished one, and the hash that names it."""

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from nstutils import images
from nstutils.library import files, pictures, weights
from nstutils.library.errors import UserError
from nstutils.losses import Terms
from nstutils.runs.tiles import View

COMPUTING = 1  # to be raised by whoever changes what pictures come out: what was kept under another number is made again
LONGEST = 200  # bytes of a file name: most file systems take 255, and those of card and state are longer


def card_path(path: Path) -> Path:
    """Where the run card of a picture lies."""
    return path.with_name(path.name + ".run.json")


def state_path(path: Path) -> Path:
    """Where the state of an unfinished run lies."""
    return path.with_name(path.name + ".state.safetensors")


def places(out: Any, history: Any, resume: bool, sources: Sequence[Any]) -> tuple[Path | None, Path | None]:
    """Where the picture and its history are to be saved: never over one of the files that are read."""
    target = files.writable(out, images.FORMATS) if out is not None else None
    log = files.writable(history, (".json",)) if history is not None else None
    if log and target and log.resolve() == card_path(target).resolve():
        raise UserError(f"{log} is where the run card goes; give another name for the history")
    if resume and not target:
        raise UserError("resume needs out: give the picture whose unfinished run is to go on")
    if target and len(os.fsencode(target.name)) > LONGEST:
        raise UserError(
            f"the name {target.name[:20]!r}... takes {len(os.fsencode(target.name))} bytes; give one of at most {LONGEST}, "
            "where a letter with an accent counts twice"
        )
    for source in sources:
        if target and target.exists() and isinstance(source, str | os.PathLike):
            with contextlib.suppress(OSError):  # the name of a kind of start is no file
                if target.samefile(pictures.find(source)):
                    raise UserError(f"{target} is one of the files to read; give another name to save under")
    return target, log


def as_json(value: Mapping[str, Any]) -> bytes:
    """JSON as a reader likes it, also where a file name is no Unicode; NaN and infinity are refused."""
    try:
        text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    except ValueError as error:
        raise UserError("a card or history holds NaN or infinity, which JSON cannot; put None in their place") from error
    return text.encode(errors="backslashreplace")  # a lone surrogate becomes \udc.., which JSON reads as the same


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write JSON, whole or not at all."""
    files.write(as_json(value), path)


def plain(losses: Mapping[str, Tensor]) -> dict[str, Any]:
    """Losses as numbers, or lists where the batch has several pictures; None for what is not finite."""
    values = {name: [v if math.isfinite(v) else None for v in loss.tolist()] for name, loss in losses.items()}
    return {name: value[0] if len(value) == 1 else value for name, value in values.items()}


def card(view: View, settings: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """What made a picture: settings, losses and their weights, network and versions."""
    told = {}
    for name, (weight, loss) in terms.items():
        number = weight.tolist() if isinstance(weight, Tensor) else weight
        told[name] = {"weight": number, "loss": getattr(loss, "kind", type(loss).__name__), "layers": list(loss.layers)}
    made_by = {"backbone": view.net.name, "weights_sha256": view.net.sha256, "tile": view.tile}
    return {"settings": {**settings, "terms": told}, **made_by, "versions": versions()}


def sealed(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card with a hash of all that it says, so that what was changed later is not believed."""
    plain = json.loads(json.dumps(card))
    return dict(card) | {"card_sha256": hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()}


def read_card(path: Path) -> dict[str, Any]:
    """The run card of a picture."""
    try:
        card = json.loads(card_path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{card_path(path)} is missing, so nobody knows how {path} was made; make it again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{card_path(path)} is damaged ({files.reason(error)}); make the picture again") from error
    if not isinstance(card, dict):
        raise UserError(f"{card_path(path)} is not a run card; make the picture again")
    seal = card.pop("card_sha256", None)
    if sealed(card)["card_sha256"] != seal:
        raise UserError(f"{card_path(path)} was changed since it was written; make the picture again")
    return card


def differences(have: Mapping[str, Any], want: Mapping[str, Any]) -> str:
    """The settings of `want` that `have` does not share, in words; empty when all agree. A file by another name is the same."""
    have, want = json.loads(json.dumps(have)), json.loads(json.dumps(want))
    unlike = [key for key, value in want.items() if _decisive(have.get(key)) != _decisive(value)]
    return ", ".join(f"{key}: {have.get(key)!r}, not {want[key]!r}" for key in unlike)


def refuse_other(path: Path | None, card: Mapping[str, Any], want: Mapping[str, Any]) -> None:
    """Refuse the card of a run that was made with other settings than these."""
    differ = differences(card.get("settings", {}), want)
    if differ:
        raise UserError(f"{path} was made with other settings ({differ}); make it again, or ask for these")


def fingerprint(value: Any) -> str:
    """The sha256 of settings, whatever the order of their keys and the names of their files."""
    return hashlib.sha256(json.dumps(_decisive(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _decisive(value: Any) -> Any:
    """Settings without the names of files, whose contents alone decide; lists for tuples, 1 for 1.0."""
    if isinstance(value, Mapping):
        return {str(key): _decisive(item) for key, item in value.items() if key != "name" or "sha256" not in value}
    if isinstance(value, list | tuple):
        return [_decisive(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def program() -> dict[str, Any]:
    """What decides a picture beside its settings: how this package computes, and torch."""
    return {"computing": COMPUTING, "torch": str(torch.__version__)}


@functools.cache
def versions() -> dict[str, str]:
    """The versions a run depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("nstutils", "torch", "numpy", "pillow")}


def save_state(state: Mapping[str, Any], path: Path) -> None:
    """Write nested dicts and lists: tensors from where they lie (a copy might not fit), the rest as JSON in the header."""
    tensors: dict[str, Tensor] = {}
    places: set[int] = set()

    def noted(value: Tensor) -> dict[str, str]:
        name, whole = f"t{len(tensors)}", value.detach().cpu().contiguous()
        place = whole.untyped_storage().data_ptr()
        tensors[name] = whole.clone() if place in places else whole  # two in one place are refused by safetensors
        places.add(place)
        return {"tensor": name}

    text = json.dumps(state, default=noted)
    weights.write(tensors, path, {"state": text, "checksum": _checksum(text, tensors)})


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote; as JSON has it, keys are texts and tuples lists."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if _checksum(header["state"], found) != header["checksum"]:
            raise UserError("its checksum is another")
        # copied to where new tensors lie: sums over memory at another offset are rounded otherwise
        tensors = {name: tensor.clone() for name, tensor in found.items()}
        return json.loads(header["state"], object_hook=lambda one: tensors[one["tensor"]] if one.keys() == {"tensor"} else one)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing, so the run cannot go on; start it again without --resume") from None
    except (SafetensorError, KeyError, ValueError, OSError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({files.reason(error)}); start the run again without --resume") from error


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """A number that changes with any bit of a state."""
    number = zlib.crc32(text.encode())
    for name, tensor in sorted(tensors.items()):
        number = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), number)
        number = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, number)
    return f"{number:08x}"


def on_device(state: Any, device: torch.device) -> Any:
    """The state with its tensors on `device`."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {key: on_device(value, device) for key, value in state.items()}
    return [on_device(value, device) for value in state] if isinstance(state, list) else state
