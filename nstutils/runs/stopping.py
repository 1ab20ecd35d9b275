"""An interrupt (Ctrl-C, a notebook's square) lets a long run finish the step at hand."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first interrupt sets, so that the step at hand is finished; a second one interrupts at once."""
    halt = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield halt
        return

    def first(*_: Any) -> None:
        halt.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, first)
    try:
        yield halt
    finally:
        signal.signal(signal.SIGINT, before)
