"""What a reader can mend."""

import importlib
from typing import Any


class UserError(ValueError):
    """What came cannot be used: one sentence that says what came, what was wanted and what to do."""


def optional(package: str, what: str, instead: str) -> Any:
    """A package that only some need, so that no plain import asks for it; its absence is told in a sentence."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UserError(f"{what} needs the package {package}, which is not installed; install it, {instead}") from None


NO_ROOM = ("memory", "could not create a primitive", "can't start new thread")  # torch has no error of its own for memory


def scarce(error: BaseException) -> bool:
    """Whether an error tells that memory was too little."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in str(error) for word in NO_ROOM))


def explained(error: BaseException) -> bool:
    """Whether one sentence explains an error (of a sweep: all that failed); any other is a bug, and keeps its traceback."""
    plain = isinstance(error, UserError | OSError | ArithmeticError) or scarce(error)
    return plain and all(map(explained, getattr(error, "failed", {}).values()))
