"""Writing files: whole or not at all, and told beforehand where it cannot be."""

import os
import re
import secrets
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nstutils.library.errors import UserError


def writable(path: str | os.PathLike[str], suffixes: Collection[str]) -> Path:
    """`path` if a file with one of `suffixes` can be written there; else an error that says what is wrong."""
    if not os.fspath(path):
        raise UserError("the name of the file to write is '', which is empty; give one, for instance out.png")
    path = Path(os.path.expanduser(path))
    if path.suffix.lower() not in suffixes:
        ends = f"{'one of ' if len(suffixes) > 1 else ''}{', '.join(suffixes)}"
        raise UserError(f"cannot tell the format of {os.fspath(path)!r}; end its name in {ends}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; give the name of a file to write")
    if os.path.exists(path) and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
        raise PermissionError(f"{os.fspath(path)!r} is write-protected; give another name, or take the protection away")
    there = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise PermissionError(f"cannot write into {os.fspath(there)!r} ({reason(error)}); choose another place") from error
    return path


class Unwritten(OSError):
    """A file could not be written."""


@contextmanager
def atomic(path: Path) -> Iterator[str]:
    """`with atomic(path) as part:` write `part`; it becomes `path` at the end, or vanishes if anything fails."""
    part, path = "", Path(os.path.realpath(path))  # what a link leads to is replaced, not the link
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path.parent)
        part = str(path.parent / f".{secrets.token_hex(8)}.part")
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # with the rights of any new file
        yield part
        os.replace(part, path)
    except Unwritten:  # told already: another file was to be written with this one
        raise
    except OSError as error:
        raise Unwritten(f"{path} cannot be written ({reason(error)}); make room there or choose another place") from error
    finally:
        if part:
            Path(part).unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    """Remove what a process that was killed has left: parts of files that nobody wrote to for an hour."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            if re.fullmatch(r"\.\w{8}(\w{8})?\.part", part.name) and time.time() - part.stat().st_mtime > 3600:
                part.unlink()


def write(data: bytes, path: Path) -> None:
    """Write a file, whole or not at all."""
    write_all([(data, path)])


def write_all(files: Sequence[tuple[bytes, Path]]) -> None:
    """Write files, which appear in their order once all are written: where one finds no room, all stay as they were."""
    with ExitStack() as stack:
        for data, path in reversed(files):
            Path(stack.enter_context(atomic(path))).write_bytes(data)


def reason(error: BaseException) -> str:
    """What an error says, to be put in brackets: one line without a full stop."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(said.split()).rstrip(".").replace(". ", ", ")
