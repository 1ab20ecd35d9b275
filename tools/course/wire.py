"""What goes between the grader and the process in which a submission runs: plain data, tensors, functions by number.

Nothing that comes from a submission is unpickled or run here: it can only be a number, a text, a list, a dict, an array, or
a function that stays where it is and is asked for its values. A gradient goes back the way its tensor came.
"""

import builtins
import json
import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch import Tensor

LIMIT = 64 * 2**20  # bytes of one value
KEPT = 4000  # graphs that wait for their gradient
DTYPES = {str(dtype): dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}
PLACE = "answer(*given, **named)"  # compiled without a file: a traceback shows no line of the grader


class Gone(BaseException):
    """The submission's process has ended, by itself or by a limit; no check can catch this."""


@dataclass
class Peer:
    """One end of the line; `trusting` is the submission's, which takes the grader's objects as they are."""

    line: Connection
    trusting: bool = False
    functions: list[Callable[..., Any]] = field(default_factory=list)
    graphs: dict[int, tuple[list[Tensor], list[Tensor]]] = field(default_factory=dict)
    count: int = 0

    def call(self, number: int, *given: Any, **named: Any) -> Any:
        """The value of a function of the other end; what it changed in its arguments is changed here too."""
        inputs = [x for x in tensors([given, named]) if x.requires_grad]
        done = self.ask(["call", number], [list(given), named])
        if not (isinstance(done, list) and len(done) == 4 and isinstance(done[1], list)):
            raise Gone("its process answered with something that is not a value")
        value, after, graph, drawn = done
        if drawn is True:  # where a function changes everybody's random numbers, those here move too
            torch.rand(1)
        for mine, theirs in zip([*given, *named.values()], after, strict=False):
            follow(mine, theirs)
        return joined(self, graph, value, inputs) if graph is not None else value

    def ask(self, head: list[Any], body: Any) -> Any:
        """Send a question, serve what is asked meanwhile, and give the answer."""
        self.send(head, body)
        while True:
            head, body = self.receive()
            if head[0] == "value":
                return body
            if head[0] == "error":
                raise error_named(*map(str, head[1:3]))
            self.answer(head, body)

    def serve(self) -> None:
        """Answer until the other end hangs up."""
        while True:
            try:
                self.answer(*self.receive())
            except (EOFError, OSError, Gone):
                return

    def answer(self, head: list[Any], body: Any) -> None:
        """Do what the other end asks for; an error goes back by its name and its words."""
        try:
            done = self.called(int(head[1]), *body) if head[0] == "call" else self.slopes(int(head[1]), body)
            self.send(["value"], done)
            return
        except Gone:
            raise
        except BaseException as error:
            said = ["error", type(error).__name__, f"{str(error)[:500]}{place(error)}"]
        self.send(said, None)  # only now: the memory that the error held is given back, and counts for no other exercise

    def called(self, number: int, given: list[Any], named: dict[str, Any]) -> list[Any]:
        """The value of a function of this end, its arguments as it left them, the number of its graph, and what it drew."""
        leaves, state = [x for x in tensors([given, named]) if x.requires_grad], torch.random.get_rng_state()
        value = self.functions[number](*given, **named)
        drawn = not torch.equal(state, torch.random.get_rng_state())
        ends = [x for x in tensors(value) if x.requires_grad]
        if not (leaves and ends):
            return [value, [*given, *named.values()], None, drawn]
        self.count += 1
        self.graphs[self.count] = (ends, leaves)
        self.graphs.pop(self.count - KEPT, None)
        return [value, [*given, *named.values()], self.count, drawn]

    def slopes(self, number: int, given: list[Tensor]) -> list[Tensor | None]:
        """The gradients for the arguments of a call, from those for its value."""
        ends, leaves = self.graphs[number]
        return list(torch.autograd.grad(ends, leaves, given, retain_graph=True, allow_unused=True))

    def send(self, head: list[Any], body: Any) -> None:
        """A message: a line of JSON, then the bytes it counts."""
        blobs: list[bytes] = []
        text = json.dumps([head, packed(body, self, blobs), len(blobs)])
        for part in (text.encode(), *blobs):
            self.line.send_bytes(part)

    def receive(self) -> tuple[list[Any], Any]:
        """The next message; whatever is not one ends the line."""
        try:
            head, body, count = json.loads(self.line.recv_bytes(LIMIT))
            blobs = [self.line.recv_bytes(LIMIT) for _ in range(min(int(count), 10_000))]
            if not isinstance(head, list) or head[0] not in ("call", "grad", "value", "error"):
                raise ValueError("no message")
            return head, unpacked(body, self, blobs)
        except (EOFError, OSError):
            raise Gone("its process ended by itself (a crash, exit, or too much memory)") from None
        except (
            ValueError,
            TypeError,
            IndexError,
            KeyError,
            AttributeError,
            RecursionError,
            RuntimeError,
            MemoryError,
        ) as error:
            raise Gone(f"its process answered with something that is not a value ({type(error).__name__})") from error


class Bridge(torch.autograd.Function):
    """The tensors of a value computed at the other end; their gradients are asked for there."""

    @staticmethod
    def forward(ctx: Any, peer: Peer, graph: int, ends: list[Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
        """The values as they came."""
        ctx.peer, ctx.graph = peer, graph
        return tuple(end.detach().clone() for end in ends)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Any, ...]:
        """The gradients for the inputs."""
        return (None, None, None, *ctx.peer.ask(["grad", ctx.graph], list(slopes)))


def joined(peer: Peer, graph: int, value: Any, inputs: list[Tensor]) -> Any:
    """The value, its tensors tied to the inputs of the call."""
    ends = [x for x in tensors(value) if x.requires_grad]
    tied = iter(Bridge.apply(peer, graph, ends, *inputs))

    def put(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return type(part)(map(put, part))
        if isinstance(part, dict):
            return {key: put(one) for key, one in part.items()}
        return next(tied) if isinstance(part, Tensor) and part.requires_grad else part

    return put(value)


def tensors(value: Any) -> Iterator[Tensor]:
    """The tensors inside lists and dicts, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def follow(mine: Any, theirs: Any) -> None:
    """Change an argument in place as the function at the other end has changed its copy."""
    if isinstance(mine, Tensor) and isinstance(theirs, Tensor) and not torch.equal(mine, theirs):
        with torch.no_grad():
            mine.copy_(theirs)
    elif isinstance(mine, torch.nn.Module) and isinstance(theirs, dict):
        mine.load_state_dict(theirs)
    elif isinstance(mine, list) and isinstance(theirs, list):
        for one, other in zip(mine, theirs, strict=False):
            follow(one, other)
        mine[:] = mine[: len(theirs)] + theirs[len(mine) :]
    elif isinstance(mine, dict) and isinstance(theirs, dict):
        for key in [key for key in mine if key not in theirs]:
            del mine[key]
        for key, value in theirs.items():
            if key in mine and isinstance(value, Tensor | list | dict):
                follow(mine[key], value)
            elif not callable(value):
                mine[key] = value


def packed(value: Any, peer: Peer, blobs: list[bytes]) -> Any:
    """A value as JSON; bytes go to `blobs`."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | range):
        return ["tuple" if isinstance(value, tuple) else "list", [packed(part, peer, blobs) for part in value]]
    if isinstance(value, dict):
        return ["dict", [[packed(key, peer, blobs), packed(part, peer, blobs)] for key, part in value.items()]]
    if isinstance(value, Tensor):
        blobs.append(
            value.detach().cpu().flatten().clone(memory_format=torch.contiguous_format).view(torch.uint8).numpy().tobytes()
        )
        return ["tensor", str(value.dtype), list(value.shape), len(blobs) - 1, bool(value.requires_grad)]
    if isinstance(value, np.ndarray | np.generic):
        return ["array", packed(torch.from_numpy(np.asarray(value, order="C")), peer, blobs)]
    if isinstance(value, torch.dtype):
        return ["dtype", str(value)]
    return odd(value, peer, blobs)


def odd(value: Any, peer: Peer, blobs: list[bytes]) -> Any:
    """What is neither data nor a tensor: a network goes there whole and comes back as its weights, a function by its number."""
    if isinstance(value, torch.nn.Module) and peer.trusting:
        return packed(dict(value.state_dict()), peer, blobs)
    if callable(value) and not isinstance(value, torch.nn.Module | type):
        peer.functions.append(value)
        return ["function", len(peer.functions) - 1]
    if peer.trusting:
        return ["other", type(value).__name__]
    blobs.append(pickle.dumps(value))
    return ["object", len(blobs) - 1]


def unpacked(value: Any, peer: Peer, blobs: list[bytes]) -> Any:
    """The value that `packed` has packed."""
    if not isinstance(value, list):
        return value
    kind, *rest = value
    if kind in ("list", "tuple"):
        parts = [unpacked(part, peer, blobs) for part in rest[0]]
        return tuple(parts) if kind == "tuple" else parts
    if kind == "dict":
        return {unpacked(key, peer, blobs): unpacked(part, peer, blobs) for key, part in rest[0]}
    if kind == "tensor":
        return tensor(*rest[:2], blobs[rest[2]], bool(rest[3]))
    if kind == "array":
        return unpacked(rest[0], peer, blobs).detach().numpy()[()]  # without dimensions a number, as NumPy has it
    if kind == "dtype":
        return DTYPES[rest[0]]
    if kind == "function":
        return elsewhere(peer, int(rest[0]))
    if kind == "object" and peer.trusting:
        return pickle.loads(blobs[rest[0]])
    return type(str(rest[0])[:80], (), {})()


def tensor(dtype: str, shape: list[int], blob: bytes, grad: bool) -> Tensor:
    """A tensor from its bytes."""
    flat = torch.frombuffer(bytearray(blob), dtype=torch.uint8) if blob else torch.empty(0, dtype=torch.uint8)
    return flat.view(DTYPES[dtype]).reshape([int(size) for size in shape]).requires_grad_(grad)


def elsewhere(peer: Peer, number: int) -> Callable[..., Any]:
    """A function of the other end, to be called here."""
    inside = {"answer": lambda *given, **named: peer.call(number, *given, **named)}
    exec(compile(f"def asked(*given, **named):\n    return {PLACE}", "asked", "exec"), inside)
    return inside["asked"]


def error_named(name: str, words: str) -> Exception:
    """An error of the other end: Python's own, or one that bears its name."""
    known = getattr(builtins, name, None)
    if isinstance(known, type) and issubclass(known, Exception) and not issubclass(known, UnicodeError):
        return known(words)
    return type(name[:80], (Exception,), {})(words)


def place(error: BaseException) -> str:
    """Where a cell's function stopped, in the reader's own words."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if "ipython-input" in frame.filename]
    return f" (line {own[-1].lineno} of {own[-1].name}: {own[-1].line})" if own and own[-1].line else ""
