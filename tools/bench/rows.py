"""From the children's answers to what the tables say. Nothing is run here."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import peers

Row = dict[str, Any]
Curves = dict[tuple[str, int], dict[str, list[list[float]]]]  # by network and size, then by program: (seconds, loss, unclamped)

DEFAULT, PLAIN = "ours, default", "ours, plain L-BFGS, float32"  # the programs of the time to equal loss
FINER = "ours, L-BFGS coarse to fine"
WARM = 2  # steps that do not count


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


def whole_run(rows: Sequence[Sequence[float]], setup: float, steps: int) -> float:
    """The seconds of a run of so many steps, from (size, seconds since the first step) of a shorter one: its preparation, and
    the median step of each scale times the steps that this scale would have."""
    sizes = list(dict.fromkeys(size for size, _ in rows))
    medians = [median_step([seconds for at, seconds in rows if at == size]) or 0.0 for size in sizes]
    return setup + sum(medians) * steps / len(sizes)


def found(rows: Sequence[Row], **wanted: Any) -> Row | None:
    """The first row with these values."""
    return next((row for row in rows if all(row.get(key) == value for key, value in wanted.items())), None)


def panels(data: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The networks and sizes of the time to equal loss."""
    return list(dict.fromkeys((row["network"], row["size"]) for row in data["equal"]))


def curves_of(data: Mapping[str, Any], network: str, size: int) -> dict[str, Sequence[Sequence[float]]]:
    """The curves of a network and size, by program."""
    return {row["program"]: row["points"] for row in data["curves"] if (row["network"], row["size"]) == (network, size)}


def speed_row(job: Row, answer: Row) -> Row:
    """What the table says of one run."""
    row = {key: job[key] for key in ("program", "size", "limited")}
    row |= {key: answer[key] for key in ("dtype", "imports", "peak", "peak_steps") if key in answer}
    row |= {"step": median_step(answer.get("seconds", ())), "cpu": median_step(answer.get("cpu", ()))}
    return row | {"why": answer.get("why") or answer.get("note") or ""}


def notes_of(job: Row, answer: Row) -> list[str]:
    """What must be said of a child: a judge that failed, a peer whose loss at the start shows that it minimises another sum."""
    if job["kind"] in ("judge", "rates", "passes", "draft") and "why" in answer:
        return [f"{job['name']} failed: {answer['why']}."]
    first = answer.get("first")
    if first is None or abs(first / peers.START - 1) < 0.02:
        return []
    off = first / peers.START
    return [f"{job['program']}, {job['size']} px: its own loss at the start is {off:.2f} times what it should be."]


def equal_rows(jobs: Sequence[Row], answers: Mapping[str, Row], curves: Curves) -> Iterator[Row]:
    """When every program reaches the last loss of plain L-BFGS."""
    for job in jobs:
        here = curves.get((job["network"], job["size"]), {})
        points, plain = here.get(job["program"], []), here.get(PLAIN, [])
        row: Row = {key: job[key] for key in ("network", "program", "size")} | {"why": answers[job["name"]].get("why", "")}
        row["steps"] = job["options"]["steps"] if "options" in job else job["steps"]
        if points:
            row |= {"last": points[-1][1], "last_free": points[-1][2], "all": points[-1][0]}
        if points and plain:
            row |= {"reached": reach(points, plain[-1][1]), "reached_free": reach(points, plain[-1][2], 2)}
        yield row


def share_rows(runs: Sequence[Row], facts: Mapping[int, Row], rates: Mapping[bool, Row]) -> Iterator[Row]:
    """The share of the product rate that this project's step reaches."""
    for run in runs:
        rate = rates[run["limited"]].get("rates")
        if run["program"] in ("ours, VGG-19", "ours, VGG-19, float32") and run["step"] and rate:
            row = {key: run[key] for key in ("limited", "program", "size", "dtype")}
            work = facts[run["size"]]["work"]
            yield row | {"work": work, "rate": work / run["step"]} | rate[run["dtype"]]
