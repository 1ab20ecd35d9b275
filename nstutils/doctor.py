"""What `nstutils doctor` shows: versions, what is chosen on this computer and why, what is here and what is not."""

import os
import platform
import textwrap
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil
import torch

from nstutils.backbones import geometry
from nstutils.library import fetch, pictures
from nstutils.library.settings import settings
from nstutils.library.weights import backbone, fetched, kept_filters, structure
from nstutils.runs import devices

PACKAGES = ("torch", "torchvision", "jupyterlab", "matplotlib", "ipywidgets", "pillow", "nbval", "nbgrader", "numpy")


def installed(name: str) -> str:
    """The version of a package, or that it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing (make start installs it)"


def facts() -> dict[str, str]:
    """The whole report."""
    chosen = settings()
    memory = psutil.virtual_memory()
    net = backbone("classroom")
    shipped, there = pictures.shipped(), [name for name in fetch.PICTURES if fetch.cached(name)]
    missing = [name for name in fetch.PICTURES if name not in there]
    kept = [name for name in fetch.WEIGHTS if fetched(name)]
    others = [name for name in fetch.WEIGHTS if name not in kept]
    return {
        "nstutils": f"{version('nstutils')}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {installed(name)}" for name in PACKAGES),
        "processor": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}",
        "memory": f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GB free",
        "computing": devices.reasons(),
        "preset": f"{chosen.preset}: {chosen.size} px, {chosen.steps} steps (NSTUTILS_PRESET changes it)",
        "backbone": f"{chosen.backbone} (NSTUTILS_BACKBONE changes it); classroom weights {net.sha256[:8]}",
        "cache": f"{chosen.cache} (NSTUTILS_CACHE changes it)",
        "pictures": ", ".join(name for name in shipped if not name.startswith("mask_")),
        "networks": f"{', '.join(kept) or 'none'} kept"
        + (f"; {', '.join(others)} not (nstutils fetch NAME)" if others else ""),
        "fetched": ", ".join(there) or "none",
        "to fetch": (", ".join(missing) + " (nstutils fetch pictures)") if missing else "nothing",
    }


def table(name: str) -> list[dict[str, Any]]:
    """The layers of a network: channels, positions at 256 px, stride, field, parameters, which filters a narrow copy kept."""
    kept = kept_filters(name)
    return [
        {"layer": row.name, "channels": row.channels, "at 256 px": row.size(256), "stride": row.stride,
         "field": row.receptive_field, "parameters": row.parameters, "filters kept": kept.get(row.name, [])}
        for row in geometry(structure(name))
    ]  # fmt: skip


def layers(name: str) -> str:
    """The table of a network for people."""
    rows = table(name)
    kept = {row["layer"]: row["filters kept"] for row in rows if row["filters kept"]}
    lines = [f"{'layer':<10}{'channels':>9}{'at 256 px':>12}{'stride':>8}{'field':>7}{'parameters':>12}"]
    for row in rows:
        size = f"{row['at 256 px']} x {row['at 256 px']}"
        told = "{layer:<10}{channels:>9}{size:>12}{stride:>8}{field:>7}{parameters:>12,}"
        lines.append(told.format(size=size, **row))
    lines.append(f"{name}: {sum(row['parameters'] for row in rows):,} parameters in all")
    if kept:
        lines.append("which of its teacher's filters each layer has kept, in its own order:")
    for layer, numbers in kept.items():
        told = " ".join(map(str, numbers))
        lines += textwrap.wrap(told, 110, initial_indent=f"{layer:<10}", subsequent_indent=" " * 10)
    return "\n".join(lines)
