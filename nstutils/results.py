"""What a run leaves: the picture, its history and its run card; shown in a notebook, saved, and loaded again."""

import base64
import hashlib
import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nstutils import images
from nstutils.library import files
from nstutils.library.errors import UserError
from nstutils.runs import store


@dataclass(frozen=True, eq=False, repr=False)  # tensors have no one truth: a result equals itself alone
class Result:
    """A picture (N x 3 x H x W in [0, 1]), the history of its losses, the card of settings that made it, and, of an
    unfinished run, the `state` that it needs to go on exactly."""

    image: Tensor
    history: dict[str, Any]
    card: dict[str, Any]
    state: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether all steps were done."""
        return self.state is None

    def __str__(self) -> str:
        """How it was made, in a line."""
        card, history = self.card, self.history
        method = card.get("settings", card).get("method")
        told = [f"{card['backbone']} {card.get('weights_sha256', '')[:8]}".strip()] if "backbone" in card else []
        if "steps" in history:
            told.append(f"{len(history['steps'])} steps" + (f" of {method}" if method else ""))
        if "seconds" in history:
            told.append(f"{history['seconds'] + history.get('setup_seconds', 0):.1f} s")
        final = history.get("final", {})
        told += [f"{name} {value:.4g}" for name, value in final.items() if name != "total" and isinstance(value, float)]
        return ", ".join(told + ([] if self.finished else ["not finished"])) or "a picture"

    def __repr__(self) -> str:
        """The line, and how large the picture is."""
        return f"Result({' x '.join(map(str, self.image.shape[:1:-1]))} pixels, {self})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture (those of a batch side by side) and the line."""
        data, line = images.encoded(torch.cat(list(self.image), -1), ".png"), html.escape(str(self))
        return f'<img alt="{line}" src="data:image/png;base64,{base64.b64encode(data).decode()}"><br>{line}'

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture, its card (`PATH.run.json`, with the history) and, while unfinished, its state, in such an order
        that a kill between two of them leaves a result that can be loaded: a state that stands before its picture and card,
        or a card that is believed only once its picture is there."""
        path = files.writable(path, images.FORMATS)
        data = images.encoded(self.image, path.suffix)
        digest = hashlib.sha256(data).hexdigest()
        card = self.card | {"finished": self.finished, "picture_sha256": digest, "history": self.history}
        text = store.as_json(store.sealed(card))
        if self.state is not None:
            store.save_state({"card": card, "state": self.state}, store.state_path(path))
            files.write_all([(data, path), (text, store.card_path(path))])
        else:
            files.write_all([(text, store.card_path(path)), (data, path)])
            store.state_path(path).unlink(missing_ok=True)
        return path

    @staticmethod
    def load(path: str | os.PathLike[str], expect: Mapping[str, Any] | None = None) -> "Result":
        """Read a saved result again; refuses a picture that was changed since, or a card that differs from `expect`."""
        path = Path(os.path.expanduser(path))
        if not path.exists():
            raise FileNotFoundError(f"there is no picture {os.fspath(path)!r}; make it first, or give another name")
        card, state = _card_and_state(path)
        store.refuse_other(path, card, expect or {})
        history = card.get("history", {})
        card = {key: value for key, value in card.items() if key not in ("finished", "picture_sha256", "history")}
        return Result(images.load(path), history, card, state)


def _card_and_state(path: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What belongs to the picture at `path`, also where a run was killed while it saved."""
    digest, place = hashlib.sha256(path.read_bytes()).hexdigest(), store.state_path(path)
    try:
        card = store.read_card(path)
    except (FileNotFoundError, UserError):
        if not place.exists():
            raise
        card = {}  # killed before its first card was written, but the state has a copy
    ours = card.get("picture_sha256") == digest
    if ours and card.get("finished") is True:
        return card, None
    if ours or place.exists():
        saved = store.load_state(place)
        if not saved.keys() >= {"card", "state"}:
            raise UserError(f"{place} is damaged (no state in it); start the run again without --resume")
        if ours or saved["card"]["picture_sha256"] == digest:
            return saved["card"], saved["state"]
    raise UserError(f"{path} is not the picture its run card was written for; make it again")
