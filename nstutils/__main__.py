"""The program `nstutils`, also as `python -m nstutils`."""

import os
import signal
from typing import Any


def main() -> int:
    """Run one command. Until its modules are loaded an interrupt ends the program: some of them would make an error of it."""
    mine = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where interrupts are ignored, as under nohup
    if mine:
        signal.signal(signal.SIGINT, _leave)
    from nstutils import cli

    try:
        return cli.main(loaded=lambda: mine and signal.signal(signal.SIGINT, signal.default_int_handler))
    except KeyboardInterrupt:  # a second one, while the first was told
        return 130
    finally:
        if mine:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _leave(*_: Any) -> None:
    os.write(2, b"nstutils: stopped before anything was done\n")
    os._exit(130)


if __name__ == "__main__":
    raise SystemExit(main())
