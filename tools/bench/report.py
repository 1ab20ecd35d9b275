"""What the benchmark tells: medians, times to equal loss, the Markdown table and the plot. Nothing is run here."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from nstutils.course.plots import COLOURS, DASHES
from nstutils.library.settings import PRESETS

Row = dict[str, Any]
LIMITED = {False: "as it is", True: "ONEDNN_MAX_CPU_ISA=AVX2"}
DEFAULT, PLAIN = "ours, default", "ours, plain L-BFGS, float32"  # the programs of the time to equal loss
FINER = "ours, L-BFGS coarse to fine"
WARM = 2  # steps that do not count
EXAMPLES = "pytorch/examples"  # the program that fast transfer is compared with


def median_step(seconds: Sequence[float]) -> float | None:
    """The median seconds of a step from the times of the steps, without the first ones; None where there are too few."""
    gaps = [after - before for before, after in zip(seconds, seconds[1:], strict=False)]
    return statistics.median(gaps[min(WARM, len(gaps) - 1) :]) if gaps else None


def reach(curve: Sequence[Sequence[float]], loss: float, column: int = 1) -> float | None:
    """The seconds after which a curve of (seconds, loss, ...) is first at `loss` or below; None if it never is."""
    return next((point[0] for point in curve if point[column] <= loss), None)


def envelope(curves: Sequence[Sequence[Sequence[float]]]) -> list[tuple[float, float]]:
    """The lowest loss that any of the curves has reached by each time."""
    best: list[tuple[float, float]] = []
    for point in sorted(point for curve in curves for point in curve):
        if not best or point[1] < best[-1][1]:
            best.append((point[0], point[1]))
    return best


def marks(steps: int, count: int = 24) -> list[int]:
    """About `count` steps from 1 to `steps`, in equal ratios."""
    return sorted({min(steps, round(steps ** (k / (count - 1)))) for k in range(count)})


def gigabytes(count: float | None) -> str:
    """Bytes in words."""
    return "–" if count is None else f"{count / 1e9:.2f}"


def cell(row: Row | None) -> list[str]:
    """Steps per second, seconds, seconds of processor time and memories of one program at one size, or why there are none."""
    if row is None or not row.get("step"):
        return [(row or {}).get("why") or "not run", "", "", ""]
    above = [None if row[key] is None else max(0, row[key] - row["imports"]) for key in ("peak", "peak_steps")]
    return [
        f"{1 / row['step']:.3g}",
        f"{row['step']:.3g}",
        f"{row['cpu']:.3g}",
        f"{gigabytes(above[0])} / {gigabytes(above[1])}",
    ]


def lines(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def found(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """The first row with these values."""
    return next((row for row in rows if all(row.get(key) == value for key, value in wanted.items())), None)


def speed_table(data: Mapping[str, Any], limited: bool) -> str:
    """Steps per second, seconds a step, memory above the imports (in all / since the first step): a row a program."""
    head = ["program", "number type"]
    for size in data["sizes"]:
        head += [f"{size} px: steps/s", "s a step", "CPU s", "GB"]
    body = []
    for program in data["programs"]:
        rows = [found(data["runs"], program=program, size=size, limited=limited) for size in data["sizes"]]
        dtype = next((row["dtype"] for row in rows if row and row.get("dtype")), "")
        body.append([program, dtype, *(text for row in rows for text in cell(row))])
    return lines(head, body)


def ratio_table(data: Mapping[str, Any]) -> str:
    """How many times as many steps per second this project takes as each peer."""
    body = []
    for limited, words in LIMITED.items():
        for program in (name for name in data["programs"] if name.startswith("ours, VGG-19")):
            for peer in (name for name in data["programs"] if not name.startswith("ours")):
                texts = []
                for size in data["sizes"]:
                    pair = [found(data["runs"], program=name, size=size, limited=limited) for name in (program, peer)]
                    there = all(row and row.get("step") for row in pair)
                    texts.append(f"{pair[1]['step'] / pair[0]['step']:.2f}×" if there else "–")  # type: ignore[index]
                body.append([words, f"{program} against {peer}", *texts])
    return lines(["", "", *(f"{size} px" for size in data["sizes"])], body)


def limit_table(data: Mapping[str, Any]) -> str:
    """The product rates, and the share of them that a step reaches."""
    head = ["", "program", "px", "step, TFLOP", "reached, TFLOP/s", "torch.mm", "share", "1 × 1 convolution", "share"]
    body = [
        [LIMITED[row["limited"]], f"{row['program']} ({row['dtype']})", str(row["size"]), f"{row['work'] / 1e12:.3g}"]
        + [f"{row['rate'] / 1e12:.3g}"]
        + [
            text
            for name in ("torch.mm", "convolution")
            for text in (f"{row[name] / 1e12:.3g}", f"{row['rate'] / row[name]:.0%}")
        ]
        for row in data["shares"]
    ]
    return lines(head, body)


def equal_table(data: Mapping[str, Any]) -> str:
    """The wall time in which every program reaches the loss of plain float32 L-BFGS."""
    head = [
        "network",
        "px",
        "program",
        "steps",
        "seconds in all",
        "last loss",
        "seconds to equal loss",
        "share",
        "unclamped",
        "share",
    ]
    body = []
    for network, size in panels(data):
        plain = found(data["equal"], network=network, size=size, program=PLAIN)
        for row in (row for row in data["equal"] if (row["network"], row["size"]) == (network, size)):
            texts = [network, str(size), row["program"], str(row["steps"])]
            texts += [f"{row['all']:.1f}", f"{row['last']:.4g}"] if row.get("last") is not None else [row["why"], ""]
            for key in ("reached", "reached_free"):
                seconds, whole = row.get(key), (plain or {}).get("all")
                texts += [f"{seconds:.1f}", f"{seconds / whole:.3f}"] if seconds and whole else ["not", ""]
            body.append(texts)
    return lines(head, body)


def peers_table(data: Mapping[str, Any]) -> str:
    """The last loss of every peer, and when the quickest of our runs had it."""
    body = []
    for network, size in panels(data):
        here = {row["program"]: row["points"] for row in data["curves"] if (row["network"], row["size"]) == (network, size)}
        ours = {name: points for name, points in here.items() if name.startswith((DEFAULT, FINER))}
        for peer in (name for name in here if not name.startswith("ours")):
            seconds, loss = here[peer][-1][:2]
            times = {name: reach(points, loss) for name, points in ours.items()}
            best = min((time, name) for name, time in (times | {"none": math.inf}).items() if time is not None)
            row = [network, str(size), peer, f"{loss:.4g}", f"{seconds:.1f}"]
            row += [best[1], f"{best[0]:.1f}", f"{best[0] / seconds:.3f}"] if best[0] < math.inf else ["none", "", ""]
            body.append(row)
    head = ["network", "px", "peer", "its last loss", "its seconds", "our quickest run that has it", "seconds", "share"]
    return lines(head, body)


def draft_table(data: Mapping[str, Any]) -> str:
    """Processor seconds until the last loss of a network's own run, and the share of that run's, with a draft."""
    body = []
    for row in data["drafts"]:
        texts = [row["options"]["backbone"], row["program"], str(row["size"]), str(row["options"]["steps"])]
        if "why" in row:
            body.append([*texts, row["why"], "", "", "", "", ""])
            continue
        (own, goal), (all_, last), reached = row["ends"]["own"], row["ends"]["draft"], row["reached"]
        texts += [f"{own:.1f}", f"{goal:.4g}", f"{all_:.1f}", f"{last:.4g}"]
        body.append(texts + ([f"{reached:.1f}", f"{reached / own:.2f}"] if reached else ["not", ""]))
    head = ["network", "pair", "px", "steps", "CPU s, own", "last loss", "CPU s, draft", "last loss", "CPU s to equal loss"]
    return lines([*head, "share"], body)


def whole_run(rows: Sequence[Sequence[float]], setup: float, steps: int) -> float:
    """The seconds of a run of so many steps, from (size, seconds since the first step) of a shorter one: its preparation, and
    the median step of each scale times the steps that this scale would have."""
    sizes = list(dict.fromkeys(size for size, _ in rows))
    medians = [median_step([seconds for at, seconds in rows if at == size]) or 0.0 for size in sizes]
    return setup + sum(medians) * steps / len(sizes)


def fast_table(answer: Row) -> str:
    """One pass of each network: number type, weights, seconds, pictures a second, and how many times pytorch/examples'."""
    programs = {name: (one, statistics.median(one["seconds"])) for name, one in answer["programs"].items()}
    body = [
        [name, one["dtype"], f"{one['weights']:,}", f"{middle:.3g}", f"{1 / middle:.3g}"]
        + [f"{programs[EXAMPLES][1] / middle:.2f}×"]
        for name, (one, middle) in programs.items()
    ]
    return lines(["program", "number type", "weights", "seconds", "pictures/s", "against pytorch/examples"], body)


def fast_told(answer: Row) -> list[str]:
    """The part on fast transfer: the table, one pass against a `paper` run, and the training's throughput."""
    steps, one = PRESETS["paper"].steps, statistics.median(answer["programs"]["fast apply"]["seconds"])
    run, step = whole_run(answer["paper"], answer["setup"], steps), median_step(answer["training"])
    speed = f"{answer['batch'] / step:.1f} crops a second" if step else "not measured"
    return [
        f"## Fast transfer, {answer['size']} px, {LIMITED[answer['limited']]}", "", fast_table(answer), "",
        f"A `paper` run of {steps} steps on the classroom backbone takes {run:.1f} s, {run / one:.0f} times one pass (a few "
        f"steps of each scale were timed, and their medians multiplied). Training, batch {answer['batch']}, {answer['crop']} "
        f"px, width {answer['width']}: {speed}.", "",
    ]  # fmt: skip


def told(data: Mapping[str, Any]) -> str:
    """The whole report."""
    machine = data["machine"]
    ground = f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}, {data['date']}"
    text = ["# Benchmark", "", f"{ground}; load before the run {machine['load']:.2f}. {data['pictures']}", ""]
    text += data["notes"]
    for limited, words in LIMITED.items():
        text += ["", f"## Speed and memory, {words}", "", speed_table(data, limited)]
    text += [
        "",
        "Medians. CPU s: processor time of a step, all threads together (on a busy machine it says more than the seconds). "
        "GB: peak of the process above its size after the imports, in all / since the first step.",
    ]
    text += ["", "## Against the peers, steps per second", "", ratio_table(data)]
    text += ["", "## The limit", "", limit_table(data)]
    text += [
        "",
        "A step is twice the convolutions' forward pass. Winograd convolutions can exceed the product rate in float32.",
    ]
    text += [""] + [line for answer in data["fast"] for line in fast_told(answer)]
    text += ["## Time to equal loss", "", equal_table(data), "", peers_table(data), ""]
    text += ["### With a draft", "", draft_table(data), ""]
    text += [f"The loss that plain float32 L-BFGS at full size has after {data['long']} steps, evaluated in float32 for every "
             "program's picture as it is saved (in [0, 1]) and, further right, unclamped. The clock starts after the imports: "
             "weights and targets count. \"Ours, n steps\" is a run of the default with n steps in all."]  # fmt: skip
    return "\n".join(text) + "\n"


def panels(data: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The networks and sizes of the time to equal loss."""
    return list(dict.fromkeys((row["network"], row["size"]) for row in data["equal"]))


def drawn(curves: Sequence[Row], network: str, size: int) -> dict[str, Sequence[Sequence[float]]]:
    """The curves of a size for the plot; those of the default with different numbers of steps become one."""
    here = {row["program"]: row["points"] for row in curves if (row["network"], row["size"]) == (network, size)}
    lines_ = {}
    for name in (DEFAULT, FINER):
        ours = [points for program, points in here.items() if program.startswith(name)]
        lines_ |= {f"{name}: best of its step counts": envelope(ours)} if ours else {}
    return lines_ | {program: points for program, points in here.items() if not program.startswith((DEFAULT, FINER))}


def plot(data: Mapping[str, Any]) -> Figure:
    """Steps per second over the size, then the loss over the wall time, a panel a network and size."""
    wanted = panels(data)
    columns = min(3, 1 + len(wanted))
    rows = -(-(1 + len(wanted)) // columns)
    figure = Figure(figsize=(4.5 * columns, 3.6 * rows), layout="constrained")
    first, *others = figure.subplots(rows, columns, squeeze=False).flat
    for number, program in enumerate(data["programs"]):
        rows = [row for row in data["runs"] if row["program"] == program and row.get("step") and not row["limited"]]
        xs, ys = [row["size"] for row in rows], [1 / row["step"] for row in rows]
        style = {"color": COLOURS[number % 6], "linestyle": DASHES[number % 6], "marker": "o", "markersize": 3}
        first.plot(xs, ys, label=program, **style)
    first.set(xlabel="long side in pixels", ylabel="steps per second", xscale="log", yscale="log", title="speed")
    first.set_xticks(data["sizes"], [str(size) for size in data["sizes"]])
    first.xaxis.set_minor_formatter(NullFormatter())
    first.set_ylim(bottom=first.get_ylim()[0] / 6)  # room for the legend
    first.legend(fontsize=7, loc="lower left")
    for axes in others[len(wanted) :]:
        axes.set_axis_off()
    for axes, (network, size) in zip(others, wanted, strict=False):
        curves = drawn(data["curves"], network, size)
        peers = [program for program in curves if not program.startswith("ours")]
        for number, (program, points) in enumerate(curves.items()):
            number = data["programs"].index(program) if program in peers else number  # the colour it has on the left
            style = {"color": COLOURS[number % 6], "linestyle": DASHES[number % 6]}
            axes.plot([point[0] for point in points], [point[1] for point in points], label=program, **style)
        axes.set(xlabel="seconds", ylabel="loss (float32)", xscale="log", yscale="log", title=f"{network}, {size} px")
        axes.xaxis.set_minor_formatter(NullFormatter())
        if axes.lines:
            axes.legend(fontsize=7, loc="upper right")
    return figure
