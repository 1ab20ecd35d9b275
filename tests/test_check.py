"""The exercises of all lessons: right answers pass, every usual mistake is named, and the hidden tests catch it too."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from exercises import (
    GRADIENT,
    LESSONS,
    NUMBER,
    RIGHT,
    RIGHTS,
    SOLUTIONS,
    WRONG,
    answers,
    cells,
    first_input,
    hidden,
    refused,
    solution,
    table,
    text,
)
from torch import Tensor

from nstutils.course import check
from nstutils.course.check import judging, special
from nstutils.course.check.judging import TRIES

CHECKS = Path(judging.__file__).parent
ANSWERS = [(name, answer) for name, answers in RIGHT.items() for answer in answers]
MISTAKES = [(name, sentence) for name, mistakes in WRONG.items() for sentence in mistakes]
TENSORS = [name for name in RIGHT if isinstance(first_input(name), Tensor)]


def numbers(value: Any) -> Iterator[Any]:
    """What a stored file holds, floats to nearly all of their digits: the last may differ from processor to processor."""
    if isinstance(value, dict | list):
        for one in value.items() if isinstance(value, dict) else value:
            yield from numbers(list(one) if isinstance(one, tuple) else one)
    else:
        yield pytest.approx(value, rel=1e-6, abs=1e-9) if isinstance(value, float) else value


@pytest.mark.parametrize("number", LESSONS)
def test_what_is_stored_is_what_the_answers_give(number: str) -> None:
    stored = (CHECKS / f"lesson{number}.json").read_text(encoding="utf-8")
    made = json.loads(text(LESSONS[number].EXERCISES))
    assert list(numbers(json.loads(stored))) == list(numbers(made)), "python tools/answers writes it anew"


def held() -> list[Any]:
    """All that can be called in the package of the checks: of its modules, and of the exercises themselves."""
    owners = [check, judging, special, *check.EXERCISES.values()]
    found = [getattr(owner, name) for owner in owners for name in dir(owner) if not name.startswith("__")]
    return list({id(one): one for one in [*found, check.__getattr__] if callable(one)}.values())


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_in_the_package_of_the_checks_is_an_answer(name: str) -> None:
    assert not [answer for answer in held() if check.right(answer, name)]
    assert not hasattr(getattr(check, name), "right")


def test_no_exercise_is_left_out() -> None:
    for path in SOLUTIONS.glob("[0-9][0-9]_*.ipynb"):
        graded = [cell.source for cell in cells(path.name[:2]) if cell.metadata.get("nbgrader", {}).get("grade")]
        names = {source.split("(")[0].removeprefix("check.") for source in graded}
        assert names == {name for name in RIGHT if NUMBER[name] == path.name[:2]}
    assert set(WRONG) == set(RIGHT) == set(check.EXERCISES)
    assert len(RIGHT) == sum(len(lesson.RIGHT) for lesson in RIGHTS), "two lessons share the name of an exercise"


@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_right_answers_pass_the_check_and_the_hidden_tests(name: str, answer: Any, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(check, name)(answer)
    words, count = capsys.readouterr().out.strip().split(" inputs")[0].rsplit(" ", 1)
    assert words == f"{name}: right, on"
    assert int(count) >= 2
    hidden(name, answer)


@pytest.mark.parametrize("name", RIGHT)
def test_the_solution_of_the_lesson_is_right(name: str) -> None:
    getattr(check, name)(solution(name))
    hidden(name, solution(name))


@pytest.mark.parametrize(("name", "sentence"), MISTAKES, ids=[f"{name}: {sentence}" for name, sentence in MISTAKES])
def test_a_usual_mistake_is_named_and_fails_the_hidden_tests(name: str, sentence: str) -> None:
    wrong = WRONG[name][sentence]
    TRIES[name] = 2
    assert refused(name, wrong) == f"{name}: {sentence}"
    with torch.random.fork_rng(), pytest.raises((AssertionError, RuntimeError, ValueError, IndexError)):
        hidden(name, wrong)


def test_the_guide_has_the_table_of_all_exercises_with_what_each_tests() -> None:
    guide = (SOLUTIONS.parent / "README.md").read_text(encoding="utf-8")
    assert table.table() in guide, "python tools/answers writes it"
    assert list(table.points()) == [name for number in sorted(LESSONS) for name in table.points() if NUMBER[name] == number]
    assert all(one.aim and one.level in (1, 2, 3) for one in answers.ANSWERS.values())
    aims = [one.aim for one in answers.ANSWERS.values()]
    assert len(set(aims)) == len(aims)


def test_a_mistake_is_told_in_turn_what_came_then_its_name_then_its_cure() -> None:
    wrong = WRONG["content_gradient"]["it is gated by P; the gate of eq. 2 is F > 0, the generated picture's"]
    TRIES["content_gradient"] = 0
    first, second, third = (refused("content_gradient", wrong) for _ in range(3))
    assert "one value is" in first
    assert "gated" not in first
    assert second == "content_gradient: it is gated by P (once more says what to do)"
    assert third.endswith("the gate of eq. 2 is F > 0, the generated picture's")
    check.content_gradient(*RIGHT["content_gradient"])
    assert "one value is" in refused("content_gradient", wrong)  # it begins anew


@pytest.mark.parametrize("name", RIGHT)
def test_an_unfinished_answer_is_told_what_is_missing(name: str) -> None:
    def stub(*given: Any) -> None:
        raise NotImplementedError

    assert "not written yet" in refused(name, stub)
    assert "returns None" in refused(name, lambda *given: None)
    assert "stops with IndexError" in refused(name, lambda *given: given[99])
    assert "give its name without brackets" in refused(name, first_input(name))


@pytest.mark.parametrize("name", TENSORS)
def test_an_answer_that_changes_its_input_is_refused(name: str) -> None:
    def in_place(first: Tensor, *rest: Any) -> Any:
        result = RIGHT[name][0](first, *rest)
        first.mul_(2).add_(1)
        return result

    assert "changes its input" in refused(name, in_place)


@pytest.mark.parametrize("name", TENSORS)
def test_a_gradient_is_demanded_where_it_is_needed_and_nowhere_else(name: str) -> None:
    def detached(*given: Any) -> Any:
        result = RIGHT[name][0](*given)
        return result.detach() if isinstance(result, Tensor) else result

    if name in GRADIENT:
        assert "no gradient comes back" in refused(name, detached)
    else:
        getattr(check, name)(detached)


@pytest.mark.parametrize("name", RIGHT)
def test_every_exercise_says_its_lesson_and_has_at_least_three_usual_mistakes(name: str) -> None:
    assert getattr(check, name).__doc__.startswith(f"Lesson {NUMBER[name]}: ")
    assert len(WRONG[name]) >= 3
