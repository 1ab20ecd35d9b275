"""The benchmark's tables in Markdown, from what was measured. Nothing is run here."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rows import DEFAULT, FINER, PLAIN, Row, curves_of, found, median_step, panels, reach, whole_run

from nstutils.library.settings import PRESETS

LIMITED = {False: "as it is", True: "ONEDNN_MAX_CPU_ISA=AVX2"}
EXAMPLES = "pytorch/examples"  # the program that fast transfer is compared with


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
    for limited in dict.fromkeys(row["limited"] for row in data["runs"]):
        for program in (name for name in data["programs"] if name.startswith("ours, VGG-19")):
            for peer in (name for name in data["programs"] if not name.startswith("ours")):
                texts = []
                for size in data["sizes"]:
                    pair = [found(data["runs"], program=name, size=size, limited=limited) for name in (program, peer)]
                    there = all(row and row.get("step") for row in pair)
                    texts.append(f"{pair[1]['step'] / pair[0]['step']:.2f}×" if there else "–")  # type: ignore[index]
                body.append([LIMITED[limited], f"{program} against {peer}", *texts])
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
    head = ["network", "px", "program", "steps", "seconds in all", "last loss", "seconds to equal loss", "share"]
    head += ["unclamped", "share"]
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
        here = curves_of(data, network, size)
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
    speed = f"{answer['recipe']['batch'] / step:.1f} crops a second" if step else "not measured"
    recipe = answer["recipe"]
    return [
        f"## Fast transfer, {answer['size']} px, {LIMITED[answer['limited']]}", "", fast_table(answer), "",
        f"A `paper` run of {steps} steps on the classroom backbone takes {run:.1f} s, {run / one:.0f} times one pass (a few "
        f"steps of each scale were timed, and their medians multiplied). Training, batch {recipe['batch']}, {recipe['size']} "
        f"px, width {recipe['width']}: {speed}.", "",
    ]  # fmt: skip


def told(data: Mapping[str, Any]) -> str:
    """The whole report."""
    machine = data["machine"]
    ground = f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}, {data['date']}"
    text = ["# Benchmark", "", f"{ground}; load before the run {machine['load']:.2f}. {data['pictures']}", ""]
    text += data["notes"]
    for limited in dict.fromkeys(row["limited"] for row in data["runs"]):
        text += ["", f"## Speed and memory, {LIMITED[limited]}", "", speed_table(data, limited)]
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
