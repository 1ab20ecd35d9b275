"""Every run of the benchmark as a job: what one child is told, as JSON."""

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import peers
import rows

from nstutils.library.settings import PRESETS

BUDGETS = (0.04, 0.1, 0.2, 0.3, 0.4, 1.0)  # of the steps: the default is tuned to its number of steps, so several are run
SUM = {"content_layers": ["relu4_2"], "tv": 0.0}  # what the other programs minimise
PAIRS = (("town", "swirls"), ("coast", "wave"), ("chelsea", "impasto"))  # for the drafts

Job = dict[str, Any]


@dataclass(frozen=True)
class Networks:
    """The networks as options of `stylise`: VGG-19 with random weights, a trained one, and one that a draft is made for."""

    large: Job = field(default_factory=lambda: SUM | {"backbone": "vgg19", "pool": "max", "weights": "vgg19.pth"})
    small: Job = field(default_factory=lambda: SUM | {"backbone": "classroom"})
    drafted: Job = field(default_factory=lambda: {"backbone": "vgg16-hed"})

    def programs(self) -> dict[str, Job]:
        """This project's programs in the tables of speed and memory."""
        exact = self.large | {"dtype": "float32"}
        return {
            "ours, VGG-19": self.large,
            "ours, VGG-19, float32": exact,
            "ours, VGG-19, float32, L-BFGS": exact | {"method": "lbfgs"},
            "ours, classroom": self.small,
        }

    def compared(self) -> dict[str, Job]:
        """The networks of the time to equal loss."""
        return {"VGG-19": self.large, "classroom": self.small}


def slug(text: str) -> str:
    """A name as part of a file name."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def job_of(kind: str, program: str, size: int, limited: bool = False, **more: Any) -> Job:
    """One child's job; `limited`: on the instructions that most laptops have."""
    name = "-".join([kind, slug(program), str(size)] + (["limited"] if limited else []))
    given = {"content": f"town-{size}.png", "style": f"swirls-{size}.png", "start": f"start-{size}.png", "long": size}
    job = {"name": name, "kind": kind, "program": program, "size": size, "limited": limited, "script": "ours.py"}
    return job | given | {"out": f"runs/{name}.json", "picture": f"runs/{name}.png"} | more


def our_job(kind: str, program: str, size: int, options: Job, limited: bool = False, **more: Any) -> Job:
    """A run of `stylise` with these options."""
    return job_of(kind, program, size, limited, **more) | {"kind": "run", "options": {"size": size} | options}


def peer_job(kind: str, peer: str, size: int, facts: Job, steps: int, limited: bool = False, **more: Any) -> Job:
    """A peer's run."""
    file = "vgg19-caffe.pth" if peer == "neural-style" else "vgg19.pth"
    given = {"script": peers.SCRIPTS[peer], "weights": file, "steps": steps, **peers.weights(peer, facts)}
    return job_of(kind, peers.WANTED[peer].replace("==", " "), size, limited, **given, **more)


def machines(args: argparse.Namespace) -> tuple[bool, ...]:
    """The processor as it is, and with the instructions that most laptops have."""
    return (False,) if args.quick else (False, True)


def rate_jobs(args: argparse.Namespace) -> list[Job]:
    """What the processor can do."""
    return [job_of("rates", "ours", 64, limited, largest=512 if args.quick else 4096) for limited in machines(args)]


def fast_jobs(args: argparse.Namespace) -> list[Job]:
    """Fast transfer: both networks, a few steps of each scale of a `paper` run, and of a training."""
    recipe = {"batch": 4, "width": 16, "size": 128, "steps": 12}
    usual = {"repeats": 9, "steps": 32, "recipe": recipe, "photographs": None}
    short = {"batch": 2, "width": 4, "size": 32, "steps": 4, "style_size": 64}
    tiny = {"repeats": 2, "steps": 4, "recipe": short, "photographs": "."}  # the folder it runs in
    return [job_of("passes", "fast", args.fast_size, limited, **(tiny if args.quick else usual)) for limited in machines(args)]


def speed_jobs(args: argparse.Namespace, networks: Networks, facts: dict[int, Job], others: list[str]) -> Iterator[Job]:
    """The runs of the tables of speed and memory."""
    steps, limit = args.steps + rows.WARM, args.limit / 4
    for limited, size in itertools.product(machines(args), args.sizes):
        for program, options in networks.programs().items():
            whole = options | {"steps": steps, "scales": "1", "init": f"start-{size}.png"}
            yield our_job("speed", program, size, whole, limited, limit=limit)
        for peer in others:
            yield peer_job("speed", peer, size, facts[size], steps, limited, limit=limit)


def long_jobs(args: argparse.Namespace, networks: Networks, facts: dict[int, Job], others: list[str]) -> Iterator[Job]:
    """The runs of the time to equal loss."""
    peers_way = {"dtype": "float32", "method": "lbfgs", "scales": "1", "steps": args.long}
    for (network, options), size in itertools.product(networks.compared().items(), args.long_sizes):
        kind, common = f"long-{slug(network)}", {"limit": args.limit, "marks": rows.marks(args.long), "network": network}
        from_noise = options | {"init": f"start-{size}.png"}  # as all the others
        yield our_job(kind, rows.PLAIN, size, from_noise | peers_way, **common)
        for steps in sorted({max(4, round(share * args.long)) for share in BUDGETS}):
            run, whole = common | {"marks": rows.marks(steps)}, from_noise | {"steps": steps}
            yield our_job(kind, f"{rows.DEFAULT}, {steps} steps", size, whole, **run)
            if steps < args.long:  # these reach it long before
                yield our_job(kind, f"{rows.FINER}, {steps} steps", size, whole | {"method": "lbfgs"}, **run)
        for peer in others if network == "VGG-19" else []:
            yield peer_job("long", peer, size, facts[size], args.long, **common)


def judge_jobs(args: argparse.Namespace, networks: Networks) -> Iterator[Job]:
    """The judging of the long runs."""
    for (network, options), size in itertools.product(networks.compared().items(), args.long_sizes):
        yield job_of("judge", network, size, network=network, options=options | {"size": size, "steps": 1})


def draft_jobs(args: argparse.Namespace, networks: Networks) -> Iterator[Job]:
    """A run of its own and one with a draft, each as long as the preset of its size."""
    for size, (content, style) in itertools.product(args.long_sizes, PAIRS[: 1 if args.quick else None]):
        steps = args.long if args.quick else next((p.steps for p in PRESETS.values() if p.size >= size), args.long)
        options = networks.drafted | {"size": size, "steps": steps}
        yield job_of("draft", f"{content}, {style}", size, content=content, style=style, limit=args.limit, options=options)
