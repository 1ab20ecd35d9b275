"""What every program of the benchmark needs: its job, a clock for its steps, its memory, its answer.

Each program runs in a process of its own and is told one job as JSON; it answers with a JSON file (`out`), and with the
pictures it passed through beside it where the job asks for them (`marks`). Nothing of nstutils is imported here, because
the peers run in an environment without it.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Job = dict[str, Any]
STATUS = Path("/proc/self/status")


class OutOfTimeError(Exception):
    """The job's time limit was reached; what was measured so far counts."""


def memory(entry: str) -> int:
    """Bytes of memory of this process: 'VmRSS' as it is, 'VmHWM' the most it ever was."""
    if STATUS.exists():
        found = next(line for line in STATUS.read_text().splitlines() if line.startswith(entry))
        return 1024 * int(found.split()[1])
    import psutil

    info = psutil.Process().memory_info()
    if entry == "VmRSS":
        return int(info.rss)
    if hasattr(info, "peak_wset"):
        return int(info.peak_wset)
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def forget_peak() -> bool:
    """Begin anew with the most memory that this process ever had; says whether this system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return True
    return False


class Clock:
    """Ticks once a step: notes the time, the first loss and, at the job's marks, the picture. Make it after the imports."""

    def __init__(self, job: Job):
        self.marks, self.limit = set(job.get("marks", ())), float(job.get("limit", 1e9))
        self.imports, self.begin = memory("VmRSS"), time.perf_counter()
        self.seconds: list[float] = []
        self.cpu: list[float] = []
        self.pictures: list[tuple[float, Tensor]] = []
        self.first: float | None = None
        self.facts: dict[str, Any] = {"dtype": "float32"}
        self.setup_peak = 0
        self.resets = False

    def now(self) -> float:
        """Seconds since the imports."""
        return time.perf_counter() - self.begin

    def tick(self, picture: Tensor) -> None:
        """One step more, `picture` being where it stands."""
        self.seconds.append(self.now())
        self.cpu.append(time.process_time())
        if len(self.seconds) == 1:
            self.setup_peak = memory("VmHWM")
            self.resets = forget_peak()
        if len(self.seconds) in self.marks:
            self.keep(picture)
        if self.now() > self.limit:
            raise OutOfTimeError

    def keep(self, picture: Tensor) -> None:
        """Keep a copy of the picture with its time."""
        self.pictures.append((self.now(), picture.detach().clone()))

    def memories(self) -> dict[str, int | None]:
        """Bytes: after the imports, the most of all, and the most since the first step."""
        steps = memory("VmHWM")
        return {"imports": self.imports, "peak": max(steps, self.setup_peak), "peak_steps": steps if self.resets else None}


def measured(job: Job, program: Callable[[Clock], None], restored: Callable[[Tensor], Tensor] = lambda x: x) -> None:
    """Run a program under a clock and answer; `restored` brings its pictures to [0, 1], afterwards."""
    clock, note = Clock(job), ""
    try:
        program(clock)
    except OutOfTimeError:
        note = f"stopped after {clock.limit:g} s and {len(clock.seconds)} steps"
    found = {"seconds": clock.seconds, "cpu": clock.cpu, "first": clock.first, "note": note, **clock.facts, **clock.memories()}
    if job.get("marks"):
        pictures = [(seconds, restored(picture).float()) for seconds, picture in clock.pictures]
        with replacing(Path(job["out"]).with_suffix(".pt")) as part:
            torch.save(pictures, part)
    answer(job, found)


def answer(job: Job, found: dict[str, Any]) -> None:
    """Write what was found, with the job and what it ran on."""
    ground = {"torch": torch.__version__, "threads": torch.get_num_threads(), "python": sys.version.split()[0]}
    with replacing(Path(job["out"])) as part:
        Path(part).write_text(json.dumps({"job": job, **ground, **found}))


@contextlib.contextmanager
def replacing(path: Path) -> Any:
    """`with replacing(path) as part:` write `part`; it becomes `path` at the end, or vanishes if anything fails."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def told() -> Job:
    """The job this program was started with."""
    return dict(json.loads(sys.argv[1]))
