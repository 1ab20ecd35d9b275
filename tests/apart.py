"""Functions that tests run in a process of their own. It begins at once: the server that it is forked from has loaded torch."""

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from nstutils import cli, descent, stylise
from nstutils.fast.training import train
from nstutils.runs import store
from nstutils.runs.sweeps import sweep

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["nstutils.cli", "nstutils.transfer", "nstutils.runs.sweeps", "nstutils.fast.training"])


def started(function: Callable[..., Any], *given: Any) -> BaseProcess:
    """A process of its own in which a function runs, with this one's folder and weights, on one thread."""
    process = CONTEXT.Process(target=_alike, args=(os.environ.get("NSTUTILS_WEIGHTS", ""), Path.cwd(), function, given))
    process.start()
    return process


def _alike(weights: str, folder: Path, function: Callable[..., Any], given: Sequence[Any]) -> None:
    os.environ["NSTUTILS_WEIGHTS"] = weights  # not those that a test before this one chose
    os.chdir(folder)
    torch.set_num_threads(1)
    function(*given)


def found(function: Callable[..., Any], *given: Any) -> Any:
    """What a function gives in a process of its own."""
    here, there = CONTEXT.Pipe()
    process = started(_sent, there, function, given)
    there.close()  # so that a process that ends without a word is noticed
    value = here.recv()
    process.join()
    return value


def _sent(pipe: Connection, function: Callable[..., Any], given: Sequence[Any]) -> None:
    try:
        pipe.send(function(*given))
    finally:
        pipe.close()


def grown(function: Callable[..., Any], *given: Any) -> float:
    """By how many megabytes a process grows at most while a function runs, in one of its own."""
    value: float = found(_grown, function, given)
    return value


def _grown(function: Callable[..., Any], given: Sequence[Any]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    function(*given)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def grown_by_saving(path: Path) -> float:
    """By how many megabytes this process grows at most while it saves a state of 200."""
    state = {"pairs": [[torch.ones(5_000_000), torch.ones(5_000_000)] for _ in range(5)]}
    store.save_state({"begin": torch.ones(3)}, path.with_name("small"))
    return _grown(store.save_state, (state, path))


def compiler_after_a_run() -> bool:
    """Whether torch's compiler is loaded after a run."""
    stylise("town", "swirls", preset="smoke", steps=2)
    return "torch._dynamo" in sys.modules


def bfloat16_by_avx2() -> bool:
    """Whether oneDNN would use bfloat16 where it may use AVX2 alone; it asks at its first use, which is here."""
    os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def commanded(words: Sequence[str], said: Path) -> None:
    """A command that saves its state after every step, and what it says on stderr, in a file."""
    descent.EVERY = 0.0
    with open(said, "w", encoding="utf-8") as file:
        sys.stderr = file
        status = cli.main(words)
    sys.exit(status)


def swept(pictures: Sequence[str], settings: Sequence[Any], every: float, common: dict[str, Any]) -> None:
    """A sweep that saves its state every so many seconds."""
    descent.EVERY = every
    sweep(*pictures, settings, **common)


def trained(styles: Sequence[str], photographs: Path, out: Path, options: dict[str, Any]) -> None:
    """A training that saves its state after every step."""
    train(styles, photographs, out=out, every=0, **options)
