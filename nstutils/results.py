"""What a run leaves: the picture, its history and its run card; saved beside each other and loaded again."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from nstutils import fetch, images


@dataclass(frozen=True)
class Result:
    """A picture (N x 3 x H x W in [0, 1]), the history of its losses, and the card of settings that made it.

    `state` is what an unfinished run needs to go on exactly; None when it is finished.
    """

    image: Tensor
    history: dict[str, Any]
    card: dict[str, Any]
    state: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def finished(self) -> bool:
        """Whether all steps were done."""
        return self.state is None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture, its card (`PATH.run.json`, with the history) and, while unfinished, its state."""
        path = images.save(self.image, path)
        if self.state is None:
            state_path(path).unlink(missing_ok=True)
        else:
            save_state(self.state, state_path(path))
        card = self.card | {"finished": self.finished, "picture_sha256": fetch.sha256(path), "history": self.history}
        write_json(card, card_path(path))
        return path

    @staticmethod
    def load(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> "Result":
        """Read a saved result again; refuses a picture that was changed since, or a card that differs from `expect`."""
        path = images.find(path)
        card = read_card(path)
        history = card.pop("history", {})
        finished, digest = card.pop("finished", True), card.pop("picture_sha256", "")
        if digest != fetch.sha256(path):
            raise ValueError(f"{path} is not the picture its run card was written for; make it again")
        differ = differences(card.get("settings", {}), expect or {})
        if differ:
            raise ValueError(f"{path} was made with other settings ({differ}); make it again, or ask for these")
        state = None if finished else load_state(state_path(path))
        return Result(images.load(path), history, card, state)


def card_path(path: Path) -> Path:
    """Where the run card of a picture lies."""
    return path.with_name(path.name + ".run.json")


def state_path(path: Path) -> Path:
    """Where the state of an unfinished run lies."""
    return path.with_name(path.name + ".state.safetensors")


def read_card(path: Path) -> dict[str, Any]:
    """The run card of a picture."""
    try:
        card = json.loads(card_path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{card_path(path)} is missing, so nobody knows how {path} was made; make it again") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{card_path(path)} is damaged ({error}); make the picture again") from error
    if not isinstance(card, dict):
        raise ValueError(f"{card_path(path)} is not a run card; make the picture again")
    return card


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Write JSON, whole or not at all; NaN and infinity are refused."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    with images.atomic(path) as part:
        Path(part).write_text(text + "\n", encoding="utf-8")


def differences(have: Mapping[str, Any], want: Mapping[str, Any]) -> str:
    """The settings of `want` that `have` does not share, in words; empty when all agree."""
    have, want = json.loads(json.dumps(have)), json.loads(json.dumps(want))
    return ", ".join(f"{key}: {have.get(key)!r}, not {value!r}" for key, value in want.items() if have.get(key) != value)


def versions() -> dict[str, str]:
    """The versions a run depends on."""
    names = ("nstutils", "torch", "numpy", "pillow")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def save_state(state: Mapping[str, Any], path: Path) -> None:
    """Write nested dicts and lists of tensors and plain values: tensors as they are, the rest as JSON in the header."""
    tensors: dict[str, Tensor] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = f"t{len(tensors)}"
            tensors[name] = value.detach().cpu().contiguous().clone()
            return {"tensor": name}
        if isinstance(value, Mapping):
            return {"items": [[key, plain(item)] for key, item in value.items()]}
        return {"list": [plain(item) for item in value]} if isinstance(value, list | tuple) else {"value": value}

    header = {"state": json.dumps(plain(state))}
    with images.atomic(path) as part:
        save_file(tensors, part, header)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote."""
    try:
        with safe_open(path, "pt") as file:
            skeleton = json.loads((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing, so the run cannot go on; start it again without --resume") from None
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); start the run again without --resume") from error

    def full(value: Any) -> Any:
        if "tensor" in value:
            return tensors[value["tensor"]]
        if "items" in value:
            return {key: full(item) for key, item in value["items"]}
        return [full(item) for item in value["list"]] if "list" in value else value["value"]

    return full(skeleton)


def on_device(state: Any, device: torch.device) -> Any:
    """The state with its tensors on `device`."""
    if isinstance(state, Tensor):
        return state.to(device)
    if isinstance(state, dict):
        return {key: on_device(value, device) for key, value in state.items()}
    return [on_device(value, device) for value in state] if isinstance(state, list) else state
