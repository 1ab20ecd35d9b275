"""Shared by all tests: no network, no reader's settings, a toy network, small pictures. Nothing here loads torch before a test
asks for it: the process that hands out the tests needs none."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# jsonschema's grammar of IRIs, which nbformat brings along and no test needs: over a second in every process
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
REAL_CONNECT = socket.socket.connect


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny pictures gain nothing from a second thread, and a busy machine loses much."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reaches the network (loopback is allowed; pip looks nowhere) or sees the reader's settings and cache."""

    def connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise ConnectionRefusedError("tests have no network")
        REAL_CONNECT(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("NSTUTILS_PRESET", "NSTUTILS_BACKBONE", "NSTUTILS_WEIGHTS", "NSTUTILS_MIRROR", "NSTUTILS_STRICT"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("NSTUTILS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def toy() -> Any:
    """Four layers in float64 with in-place ReLUs, as torchvision builds them: conv1_1, relu1_1, pool1, conv2_1, relu2_1."""
    from toys import toy

    return toy()


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[str, str]:
    """Two small picture files, 48 x 32 and 40 x 40."""
    import torch

    from nstutils.images import save

    generator = torch.Generator().manual_seed(1)
    paths = []
    for name, size in (("content.png", (32, 48)), ("style.png", (40, 40))):
        small = torch.rand((1, 3, 5, 5), generator=generator)
        paths.append(str(save(torch.nn.functional.interpolate(small, size, mode="bilinear"), tmp_path / name)))
    return paths[0], paths[1]
