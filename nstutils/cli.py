"""The command line. Errors are one sentence on stderr; status 0 is done, 1 failed, 2 wrong use."""

import argparse
import contextlib
import dataclasses
import importlib
import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from importlib.metadata import version
from typing import Any, NamedTuple, NoReturn, TextIO

from nstutils.fast.options import TrainOptions
from nstutils.library import fetch
from nstutils.library.errors import UserError, explained, optional, scarce
from nstutils.library.settings import BACKBONES, PRESETS
from nstutils.papers import figures
from nstutils.runs.options import WAYS, Options

GO_ON = "go on with the same command and --resume"


class Said(NamedTuple):
    """What a command says of one thing: a line for people, facts for programs, and whether it failed."""

    line: str
    facts: Any = None
    failed: bool = False


class Parser(argparse.ArgumentParser):
    """argparse, with wrong use told in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; `stylise` and `fast train` are made from the fields of their options."""
    top = Parser(prog="nstutils", description="Neural style transfer: pictures, and what stands behind them.")
    top.add_argument("--version", action="version", version=f"nstutils {version('nstutils')}", help="show the version and exit")
    commands = top.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    _stylise(commands.add_parser("stylise", help="one picture from two"))
    _figure(commands.add_parser("figure", help="the documents' experiments: their figures, and whether their claims hold",
                                description="Draw figures of the documents, and check their claims in numbers."))  # fmt: skip
    _fast(commands.add_parser("fast", help="a network that does it in one pass: train it, apply it",
                              description="Fast style transfer: train a network once, then one pass a picture."))  # fmt: skip
    get = commands.add_parser("fetch", help="download the papers' pictures or real networks", description="Download and keep.")
    get.add_argument("name", nargs="+", metavar="NAME", help=f"pictures (all), {', '.join([*fetch.WEIGHTS, *fetch.PICTURES])}")
    _does(get, run_fetch, lambda args: "nstutils.library.weights" if {*args.name} & {*fetch.WEIGHTS} else "",
          "a list of {name, path}", many=True)  # fmt: skip
    doctor = commands.add_parser("doctor", help="show what is chosen on this computer, and why", description="What is here.")
    doctor.add_argument("--layers", metavar="BACKBONE", choices=BACKBONES,
                        help=f"a network's layers instead: {', '.join(BACKBONES)} (default: none)")  # fmt: skip
    _does(doctor, run_doctor, lambda _: "nstutils.doctor", "the report as an object, or a list of the layers")
    return top


def _does(command: argparse.ArgumentParser, run: Callable[[argparse.Namespace], Iterator[Said]],
          needs: Callable[[argparse.Namespace], str], facts: str, many: bool = False) -> None:  # fmt: skip
    """What a command runs, the module that this needs, and how it says what it did: in JSON `facts`, or a list of `many`."""
    command.add_argument("--quiet", action="store_true", help="no progress, no word but errors (default: no)")
    command.add_argument("--json", action="store_true", help=f"print JSON for programs instead of lines: {facts} (default: no)")
    command.set_defaults(run=run, needs=needs, many=many)


def _stylise(command: argparse.ArgumentParser) -> None:
    presets = "; ".join(f"{name}: {p.size} px, {p.steps} steps" for name, p in PRESETS.items())
    command.description = f"The content of one picture in the style of another. Presets: {presets}."
    command.add_argument("content", metavar="CONTENT", help="path or name of the picture whose content is kept, or a clip: an "
                         "animated GIF or WebP, an MP4, or a folder of numbered frames")  # fmt: skip
    command.add_argument("style", metavar="STYLE", nargs="+", help="path or name of a style picture; several are blended")
    command.add_argument("-o", "--out", required=True, metavar="OUT", help="picture to write (.png, .jpg, .tif, .webp); of a "
                         "clip a .gif, .webp, .mp4 or folder")  # fmt: skip
    _options(command, Options)
    command.add_argument("--temporal", nargs="?", const="flow", metavar="KIND", choices=WAYS,
                         help=f"CONTENT is a clip: how each frame begins, {', '.join(WAYS)} (default: flow)")  # fmt: skip
    command.add_argument("--history", metavar="FILE.json", help="write the losses of every step there (default: nowhere)")
    command.add_argument("--resume", action="store_true", help="go on with an unfinished run of OUT (default: start afresh)")
    _does(command, run_stylise, lambda _: "nstutils.transfer",
          "{out, finished, steps, seconds, backbone, weights_sha256, final: the losses of OUT}")  # fmt: skip


def _figure(command: argparse.ArgumentParser) -> None:
    command.add_argument("id", nargs="+", metavar="ID", choices=("all", "list", *figures()),
                         help="figures to make; all makes every one, list prints their names")  # fmt: skip
    command.add_argument("--preset", choices=tuple(PRESETS), help="how large and how long: smoke (seconds, nothing is judged), "
                         "quick or paper (the documents' own sizes and iterations) (default: quick)")  # fmt: skip
    command.add_argument("--backbone", choices=BACKBONES, help="the network that looks (default: classroom)")
    command.add_argument("--out", dest="folder", default="build/figures", metavar="DIR", help="folder for ID.png, ID.json "
                         "and, in DIR/runs, the runs (default: build/figures)")  # fmt: skip
    elsewhere = command.add_mutually_exclusive_group()
    elsewhere.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that share the runs (default: 1)")
    elsewhere.add_argument("--dask", metavar="ADDRESS", help="a Dask cluster's scheduler that gets the runs, as "
                           "tcp://host:8786 (default: none)")  # fmt: skip
    _does(command, run_figure, lambda args: "" if "list" in args.id else "nstutils.papers.experiments",
          "a list of {id, path, holds, seconds, backbone} or {id, error}; of list, the names", many=True)  # fmt: skip


def _fast(command: argparse.ArgumentParser) -> None:
    ways = command.add_subparsers(dest="way", required=True, metavar="train|apply",
                                  help="what to do; see nstutils fast train --help")  # fmt: skip
    train = ways.add_parser("train", help="a network for some styles", description="Train a network that paints in styles.")
    train.add_argument("style", nargs="+", metavar="STYLE", help="path or name of a style picture; one network learns them all")
    train.add_argument("-o", "--out", required=True, metavar="MODEL", help="network to write (.safetensors)")
    train.add_argument("--images", metavar="DIR|ZIP", help="photographs to train on (default: those inside scikit-image)")
    _options(train, TrainOptions)
    train.add_argument("--resume", action="store_true", help="go on with the unfinished MODEL (default: start afresh)")
    _does(train, run_fast_train, lambda _: "nstutils.fast.training",
          "{out, finished, steps, seconds, backbone, weights_sha256, loss}")  # fmt: skip
    use = ways.add_parser("apply", help="a picture, a folder or an animation, in one pass", description="Paint in one pass.")
    use.add_argument("model", metavar="MODEL", help="network that `nstutils fast train` wrote, or the shipped one: fast")
    use.add_argument("source", metavar="IN", help="picture (path or known name), folder, animated GIF or WebP, or MP4")
    use.add_argument("-o", "--out", required=True, metavar="OUT", help="file to write, or folder where IN is one")
    use.add_argument("--style", type=style, metavar="i|w1,w2,...", help="its number or name, or a weight for each (default: 0)")
    use.add_argument("--size", type=int, metavar="N", help="long side in pixels (default: as IN is)")
    use.add_argument("--temporal", action="store_true", help="IN is a clip, an animation or a folder of numbered frames: blend "
                     "each frame with the last, brought along the motion (default: no)")  # fmt: skip
    _does(use, run_fast_apply, lambda _: "nstutils.fast.files", "{out, seconds, wrong: what could not be painted, by file}")


def _options(command: argparse.ArgumentParser, kind: Any) -> None:
    """An option for each field of a class of options, as its metadata say."""
    for item in dataclasses.fields(kind):
        facts = item.metadata
        shown = "none" if item.default is None else "no" if item.default is False else item.default
        keywords: dict[str, Any] = {"default": item.default, "help": facts["help"]}
        if "default:" not in facts["help"]:
            keywords["help"] += f" (default: {shown})"
        if facts["kind"] == "bool":
            keywords["action"] = "store_true"
        else:
            keywords |= {"type": READERS.get(facts["kind"], str), "choices": facts.get("choices"), "metavar": facts["metavar"]}
        if facts["kind"] == "repeated":
            keywords["action"] = "append"
        command.add_argument("--" + item.name.replace("_", "-"), **keywords)


def names(text: str) -> list[str]:
    """Names with commas between them."""
    found = [part.strip() for part in text.split(",")]
    if not all(found):
        raise ValueError("a name is empty")
    return found


def numbers(text: str) -> list[float]:
    """Numbers with commas between them."""
    return [float(part) for part in text.split(",")]


def schedule(text: str) -> Any:
    """'equal', numbers with commas, or several such lists, each after the step it begins at: 1,1;251:.2,1."""
    if text == "equal":
        return text
    parts = [part.rpartition(":") for part in text.split(";")]
    table = {int(step) if step else 1: numbers(values) for step, _, values in parts}
    if len(table) < len(parts):
        raise ValueError("two lists begin at one step")
    return table if len(parts) > 1 or parts[0][0] else table[1]


def style(text: str) -> int | str | list[float]:
    """A style of a fast network: a number, a name, or weights with commas."""
    return int(text) if text.isdecimal() else numbers(text) if "," in text else text


READERS: dict[str, Callable[[str], Any]] = {  # what turns the text of an option into its value, by the option's kind
    "int": int, "float": float, "names": names, "numbers": numbers, "schedule": schedule,
}  # fmt: skip


def run_stylise(args: argparse.Namespace) -> Iterator[Said]:
    """`nstutils stylise`."""
    options = {item.name: getattr(args, item.name) for item in dataclasses.fields(Options)}
    moves = args.out.lower().endswith((".gif", ".mp4")) or args.content.lower().endswith(".mp4")  # a WebP may, or may not
    if args.temporal or moves or os.path.isdir(args.content):
        yield from run_clip(args, options)
        return
    from nstutils.transfer import stylise

    worked = threading.Event()
    result = stylise(args.content, args.style, out=args.out, history=args.history, resume=args.resume,
                     progress=not args.quiet, watch=lambda _: worked.set(), **options)  # fmt: skip
    card, history, steps = result.card, result.history, len(result.history["steps"])
    if not worked.is_set():
        line = f"{args.out} is finished already ({steps} steps): nothing was left to do"
    elif result.finished:
        line = f"{args.out}: {result}"
    else:
        line = f"stopped after step {steps} of {card['settings']['steps']}: {args.out} is the picture so far; {GO_ON}"
    facts = {"out": args.out, "finished": result.finished, "steps": steps, "seconds": history["seconds"],
             "backbone": card["backbone"], "weights_sha256": card["weights_sha256"], "final": history.get("final")}  # fmt: skip
    yield Said(line, facts, not result.finished)


def run_clip(args: argparse.Namespace, options: dict[str, Any]) -> Iterator[Said]:
    """`nstutils stylise` of a clip."""
    from nstutils.runs.clips import stylise_clip

    if args.history:
        raise UserError("--history is for pictures; the card of a clip, OUT.run.json, has the losses of every frame")
    card = stylise_clip(args.content, args.style, out=args.out, temporal=args.temporal or "flow", resume=args.resume,
                        progress=not args.quiet, **options)  # fmt: skip
    done, seconds = len(card["frames"]), sum(row["seconds"] for row in card["frames"])
    line = f"{args.out}: {done} frames, {seconds / max(1, done):.1f} s each"
    if not card["finished"]:
        line = f"stopped: {done} frames are kept; {GO_ON}"
    facts = {"out": args.out, "finished": card["finished"], "frames": done, "seconds": seconds,
             "backbone": card["backbone"], "weights_sha256": card["weights_sha256"]}  # fmt: skip
    yield Said(line, facts, not card["finished"])


def run_figure(args: argparse.Namespace) -> Iterator[Said]:
    """`nstutils figure`."""
    if "list" in args.id:
        args.quiet = False  # the names are what was asked for
        yield from (Said(id, id) for id in figures())
        return
    from nstutils.papers.experiments import figure

    wanted = figures() if "all" in args.id else tuple(dict.fromkeys(args.id))
    if not args.folder:
        raise UserError("--out is '', which is empty; give a folder, for instance build/figures")
    with executor(args.jobs, args.dask) as pool:
        for id in wanted:
            try:
                record = figure(id, args.preset, args.backbone, args.folder, pool, not args.quiet)
            except Exception as error:
                if len(wanted) == 1 or not explained(error):
                    raise
                yield Said(f"nstutils figure {id}: {told(error)[0]}", {"id": id, "error": told(error)[0]}, True)
                continue
            verdict = {True: "the claim holds", False: "the claim does not hold", None: "not judged"}[record.holds]
            facts = {"id": id, "path": str(record.path), "holds": record.holds}
            yield Said(f"{record.path}: {verdict}, {record.seconds:.1f} s, {record.backbone}",
                       facts | {"seconds": record.seconds, "backbone": record.backbone})  # fmt: skip


@contextlib.contextmanager
def executor(jobs: int, address: str | None) -> Iterator[Executor | None]:
    """Where runs are made: nowhere else (None), processes, or the workers of a Dask cluster."""
    if jobs < 1:
        raise UserError(f"jobs is {jobs}, but must be at least 1; give the number of processes")
    if address is not None:
        with dask(address) as client:
            yield client.get_executor()
    elif jobs == 1:
        yield None
    else:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), beginning, (jobs,)) as processes:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            for _ in range(jobs):
                processes.submit(int)  # so that all begin now, and inherit that an interrupt ends their runs alone
            signal.signal(signal.SIGINT, before)
            yield processes


def beginning(jobs: int) -> None:
    """One of so many processes takes its share of the threads, and ends with its command, also one that is killed."""
    import torch

    def end_together() -> None:
        parent = multiprocessing.parent_process()
        if parent:
            parent.join()
            os._exit(1)

    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))
    threading.Thread(target=end_together, daemon=True).start()


def dask(address: str, seconds: float = 10) -> Any:
    """The client of a Dask cluster, to be closed at the end."""
    if not address.rpartition(":")[2].isdigit():
        raise UserError(f"--dask is {address!r}, but a scheduler's address has a port; give it as tcp://host:8786")
    distributed = optional("distributed", "--dask", "or give --jobs")
    try:
        return distributed.Client(address, timeout=seconds, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Dask scheduler answers at {address!r}; start one, or leave out --dask") from error


def run_fast_train(args: argparse.Namespace) -> Iterator[Said]:
    """`nstutils fast train`."""
    from nstutils.fast.training import train

    recipe = {item.name: getattr(args, item.name) for item in dataclasses.fields(TrainOptions)}
    done = train(args.style, args.images, out=args.out, resume=args.resume, progress=not args.quiet, **recipe)
    card, seconds = done.card, done.history["seconds"]
    last = done.history["steps"][-1] if done.history["steps"] else {"step": 0, "total": None}
    line = f"stopped on the way to step {args.steps}: {args.out} is the network so far; {GO_ON}"
    if done.finished:
        line = (f"{args.out}: {last['step']} steps, {seconds:.0f} s, {card['backbone']} {card['weights_sha256'][:8]}, loss "
                f"{last['total']:.3f} of that of pictures left as they are; {args.out}.preview.jpg shows it")  # fmt: skip
    facts = {"out": args.out, "finished": done.finished, "steps": last["step"], "seconds": seconds, "loss": last["total"],
             "backbone": card["backbone"], "weights_sha256": card["weights_sha256"]}  # fmt: skip
    yield Said(line, facts, not done.finished)


def run_fast_apply(args: argparse.Namespace) -> Iterator[Said]:
    """`nstutils fast apply`."""
    from nstutils.fast import network as fast
    from nstutils.fast.files import apply_file

    begin = time.perf_counter()
    wrong = apply_file(fast.load(args.model), args.source, args.out, args.style, size=args.size, temporal=args.temporal,
                       progress=not args.quiet)  # fmt: skip
    for name, reason in wrong.items():
        yield Said(f"{name}: {reason}", failed=True)
    seconds = time.perf_counter() - begin
    yield Said(f"{args.out}: {seconds:.1f} s", {"out": args.out, "seconds": seconds, "wrong": wrong})


def run_fetch(args: argparse.Namespace) -> Iterator[Said]:
    """`nstutils fetch`."""
    for name in dict.fromkeys(name for what in args.name for name in fetch.names(what)):
        if name in fetch.WEIGHTS:
            from nstutils.library import weights

            if not weights.fetched(name):
                weights.keep(name, progress=not args.quiet)
            path = weights.fetched(name)
        else:
            path = fetch.fetch(name, progress=not args.quiet)
        facts = {"name": name, "path": str(path) if path else None}
        yield Said(f"{name}: {path or 'it is whole, but this computer let nothing be kept'}", facts)


def run_doctor(args: argparse.Namespace) -> Iterator[Said]:
    """`nstutils doctor`."""
    from nstutils import doctor

    args.quiet = False  # the report is what was asked for
    if args.layers:
        yield Said(doctor.layers(args.layers), doctor.table(args.layers))
    else:
        facts = doctor.facts()
        yield Said("\n".join(f"{name + ':':11}{text}" for name, text in facts.items()), facts)


class Lines:
    """A stream that is no screen: of a bar a line every ten seconds and its last (every=inf: none), all else as it is."""

    def __init__(self, stream: TextIO, every: float = 10):
        self.stream, self.every, self.bar, self.shown, self.next = stream, every, "", "", time.monotonic() + every

    def write(self, text: str) -> int:
        """Write `text`; what begins with a return is a bar, which ends with a line of its own."""
        if "\r" in text:
            self.bar = text.rpartition("\r")[2].rstrip()
            if time.monotonic() > self.next:
                self._show()
        elif text == "\n" and self.bar:
            self._show()
            self.bar = ""
        else:
            self.stream.write(text)
        return len(text)

    def _show(self) -> None:
        if self.bar not in ("", self.shown) and self.every < math.inf:
            self.stream.write(self.bar + "\n")
            self.shown, self.next = self.bar, time.monotonic() + self.every

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def streams() -> Iterator[None]:
    """Where to print to, also where the shell has closed it, where it knows few letters, and where it is no screen."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open as long as the program)
        getattr(sys, name).reconfigure(errors="backslashreplace")
    with contextlib.nullcontext() if sys.stderr.isatty() else contextlib.redirect_stderr(Lines(sys.stderr)):
        yield


def main(arguments: Sequence[str] | None = None, loaded: Callable[[], object] = lambda: None) -> int:
    """Run one command; an error that can be understood is told in one sentence. `loaded` is called when it can begin."""
    with streams():
        args = parser().parse_args(arguments)
        if not args.command:
            parser().print_help(sys.stderr)
            return 2
        try:
            if args.needs(args):
                importlib.import_module(args.needs(args))
            loaded()
            return spoken(args)
        except (KeyboardInterrupt, Exception) as error:
            if not isinstance(error, KeyboardInterrupt) and not explained(error):
                raise
            sentence, status = told(error)
            if sentence:
                print(f"nstutils {args.command}: {sentence}", file=sys.stderr)
            try:
                sys.stdout.flush()
            except OSError:  # what cannot be written any more is not tried again at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return status


def spoken(args: argparse.Namespace) -> int:
    """Run a command and print what it says: lines as they come, or one JSON value; 1 where something failed."""
    facts, status = [], 0
    with contextlib.redirect_stderr(Lines(sys.stderr, math.inf)) if args.quiet else contextlib.nullcontext():
        for said in args.run(args):
            status = max(status, int(said.failed))
            if said.failed:
                print(said.line, file=sys.stderr)
            elif not (args.quiet or args.json):
                print(said.line, flush=True)
            facts += [] if said.facts is None else [said.facts]
    if args.json:
        print(json.dumps(facts if args.many else facts[0], indent=1))
    sys.stdout.flush()  # so that a reader who went away, or a full disk, shows here
    return status


def told(error: BaseException) -> tuple[str, int]:
    """What an error says, in one sentence, and the status it ends with."""
    said = " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return said or "stopped; the same command begins again", 1
    if isinstance(error, BrokenPipeError):
        return "", 1
    if isinstance(error, OSError) and error.errno is not None:  # the system's own: it says nothing of what to do
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}; choose another file or place", 1
    if scarce(error) and "; " not in said:
        return "there is not enough memory for this; choose a smaller size", 1
    return said, 2 if isinstance(error, UserError | FileNotFoundError | IsADirectoryError) else 1
