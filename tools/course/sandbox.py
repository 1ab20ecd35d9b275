"""The process in which a submission runs: forked before the tests are read, without rights, with limits, watched."""

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import IPython.core.oinspect  # noqa: F401  InteractiveShell imports it late: in every process, where an import may fail after a fork
import psutil
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
from wire import Gone, Peer

NOBODY = 65534
RUN, GET = 0, 1  # the two functions of a submission's process: run a cell, give what has a name
SUBREAPER, DUMPABLE = 36, 4  # of prctl: orphans come to the grader, and its memory is closed to its children
OUTPUT = 16 * 2**20  # bytes that a submission may write into one file


@dataclass
class Limits:
    """What one cell or one exercise of a submission may take: seconds of a processor, of a clock, and megabytes."""

    seconds: float = 10.0
    clock: float = 60.0
    memory: int = 1024


@dataclass
class Spare:
    """A process that waits to run a submission."""

    pid: int
    peer: Peer


@dataclass
class Watch:
    """The watchman: what runs, since when, and why it was ended."""

    limits: Limits
    pid: int = 0
    begun: tuple[float, float] = (0.0, 0.0)
    base: int = 0
    peak: int = 0
    reason: str = ""
    keep: set[int] = field(default_factory=set)  # spares, which are not ended with the others
    lock: threading.RLock = field(default_factory=threading.RLock)


def fork(namespace: dict[str, Any], folder: Path, limits: Limits, separate: bool) -> Spare:
    """A process with what is known now and nothing more, which runs cells when asked."""
    here, there = Pipe()
    pid = os.fork()
    if pid:
        there.close()
        return Spare(pid, Peer(here))
    try:
        here.close()
        confine(folder, limits, separate)
        live(namespace, Peer(there, trusting=True))
    finally:
        os._exit(0)


def confine(folder: Path, limits: Limits, separate: bool) -> None:
    """Give up rights, output and memory beyond the limits; the tests are not in this process, and cannot be read from it."""
    import resource

    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    used = psutil.Process().memory_info().vms + limits.memory * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (used, used))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT, OUTPUT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    os.environ.update(HOME=str(folder), TMPDIR=str(folder), IPYTHONDIR=str(folder / ".ipython"))
    if separate:
        resource.setrlimit(resource.RLIMIT_NPROC, (200, 200))
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def live(namespace: dict[str, Any], peer: Peer) -> None:
    """Run cells and give names, as a notebook does, until the grader hangs up."""
    for other in open_files() - {0, 1, 2, peer.line.fileno()}:
        with contextlib.suppress(OSError):
            os.close(other)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    peer.line.poll(None)  # most spares are never needed
    quiet = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(user_ns=namespace, config=quiet)

    def run(source: str) -> None:
        done = shell.run_cell(source, store_history=False)
        done.raise_error()

    peer.functions += [run, lambda name: shell.user_ns.get(name)]
    torch.manual_seed(0)
    peer.serve()


def open_files() -> set[int]:
    """The numbers of all files that this process has open."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir("/proc/self/fd")}
    return set(range(3, 256))


def close_up(closed: bool = True) -> None:
    """Nobody but root reads this process' memory from now on, and orphans of submissions come to it."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.prctl(SUBREAPER, 1, 0, 0, 0)
        libc.prctl(DUMPABLE, 0 if closed else 1, 0, 0, 0)


def can_separate() -> bool:
    """Whether a submission can run as a user of its own: by root, and where that user can read Python and its packages."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    return all(readable_by_all(Path(place)) for place in (torch.__file__, os.__file__, sys.executable))


def readable_by_all(path: Path) -> bool:
    """Whether every user may read a file: it, and all the folders above it, links followed."""
    path = path.resolve()
    return bool(path.stat().st_mode & 0o004) and all(folder.stat().st_mode & 0o001 for folder in path.parents)


def workplace(files: Path | None, separate: bool) -> Path:
    """A folder for one submission, with what was handed in beside the notebook."""
    folder = Path(tempfile.mkdtemp(prefix="submission-"))
    for path in sorted(files.iterdir()) if files else ():
        if path.is_file() and not path.is_symlink() and path.suffix != ".ipynb" and path.stat().st_size < 10 * 2**20:
            shutil.copy(path, folder / path.name)
    if separate:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    return folder


def watchman(watch: Watch) -> None:
    """End whatever takes too long or too much; runs beside the grader."""
    while watch.pid >= 0:
        time.sleep(0.05)
        with watch.lock, contextlib.suppress(psutil.Error, OSError):
            if watch.pid > 0 and (reason := excess(watch)):
                watch.reason = reason
                end(watch)


def excess(watch: Watch) -> str:
    """Why the process at work must be ended, or nothing."""
    begun, cpu, limits = *watch.begun, watch.limits
    family = tree(watch.pid)
    watch.peak = max(watch.peak, size := sum(one.memory_info().rss for one in family))
    if not begun:
        return ""
    if spent(watch.pid) - cpu > limits.seconds:
        return f"it took more than {limits.seconds:g} seconds of a processor (an endless loop?)"
    if time.monotonic() - begun > limits.clock:
        return f"it took more than {limits.clock:g} seconds (it waits for something?)"
    return f"it took more than {limits.memory} MB of memory" if size - watch.base > limits.memory * 2**20 else ""


def swollen(watch: Watch) -> bool:
    """Whether the process at work holds most of the memory that it may take."""
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(watch.pid).memory_info().rss - watch.base > watch.limits.memory * 2**19)
    return False


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it has started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def spent(pid: int) -> float:
    """Seconds of a processor that a process and all that it has started have taken."""
    return sum(sum(one.cpu_times()[:4]) for one in tree(pid)[:1]) + sum(sum(one.cpu_times()[:2]) for one in tree(pid)[1:])


@contextlib.contextmanager
def limited(watch: Watch) -> Any:
    """Count time from here; where the process was ended, say why."""
    try:
        with contextlib.suppress(psutil.Error):
            watch.begun = (time.monotonic(), spent(watch.pid))
        yield
    except Gone as gone:
        raise Gone(watch.reason or str(gone)) from None
    finally:
        watch.begun = (0.0, 0.0)


def take(watch: Watch, spare: Spare) -> None:
    """Watch this process from now on."""
    with watch.lock, contextlib.suppress(psutil.Error):
        watch.reason, watch.keep, watch.pid = "", watch.keep - {spare.pid}, spare.pid
        watch.base = psutil.Process(spare.pid).memory_info().rss


def end(watch: Watch) -> None:
    """End the process at work and everything that it has started, orphans too."""
    with watch.lock:
        for _ in range(20):
            found = [one for one in psutil.Process().children(recursive=True) if one.pid not in watch.keep]
            for one in found:
                with contextlib.suppress(psutil.Error):
                    one.kill()
                    one.wait(1)
            if not found:
                break
        watch.pid = 0


def guard(limits: Limits) -> Watch:
    """Begin to watch; what runs already (the spares too) is not ended until it is taken."""
    watch = Watch(limits, keep={one.pid for one in psutil.Process().children(recursive=True)})
    threading.Thread(target=watchman, args=(watch,), daemon=True).start()
    return watch
