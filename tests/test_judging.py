"""The machinery of the checks: what a failing check looks like in a notebook, where an answer stopped, verdicts on claims."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import Tensor
from traitlets.config import Config

from nstutils.course import check
from nstutils.course.check import judging
from nstutils.library.settings import settings

IMPORTS = "from nstutils import gram, settings\nfrom nstutils.course import check"
UNWRITTEN = "gram: not written yet; the lesson goes on with the library's function"
FAILING = {  # a cell: what a reader sees of it
    "def my_gram(F):\n    raise NotImplementedError\ncheck.gram(my_gram)": UNWRITTEN,
    "from nstutils.course.check import judging\njudging.TRIES['gram'] = 2\ncheck.gram(lambda F: gram(F) / F.shape[1])": (
        "gram: it divides by filters × positions; divide by the positions alone"
    ),
    "def my_gram(F):\n    M = F.shape[2] * F.shape[3]\n    return F.flatten(2) / m\ncheck.gram(my_gram)": (
        "gram: for a tensor (1, 2, 2, 2) it stops with NameError: name 'm' is not defined "
        "(line 3 of my_gram: return F.flatten(2) / m)"
    ),
    'check.claim("one is two", 1 == 2, always=True, where=settings())': (
        "one is two: does not hold here, but the lesson says it holds"
    ),
}


class Shell(InteractiveShell):
    """What runs a notebook's cells, here without a kernel, and keeps what a reader would see of an error."""

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        self.seen = nbformat.v4.new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=stb)


def test_a_failing_check_shows_its_sentence_alone_in_a_notebook_and_gets_no_points(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbgrader.utils import determine_grade  # a second to import: not while tests are collected

    monkeypatch.setenv("NSTUTILS_STRICT", "1")
    monkeypatch.setattr(judging, "TRIES", judging.TRIES.copy())
    shell = Shell(user_module=ModuleType("lesson"), config=Config({"HistoryManager": {"enabled": False}}))
    assert shell.run_cell(IMPORTS).success
    for source, sentence in FAILING.items():
        assert not shell.run_cell(source).success
        assert " ".join(shell.seen.traceback) == sentence
        assert max(map(len, shell.seen.traceback)) <= 88
        assert (shell.seen.ename, shell.seen.evalue) == ("CheckFailed", sentence)
        cell = nbformat.v4.new_code_cell(source, outputs=[shell.seen])
        cell.metadata["nbgrader"] = {"grade": True, "points": 2, "solution": False, "task": False, "schema_version": 3}
        assert determine_grade(cell) == (0, 2)


def test_nbval_sees_a_failing_check(tmp_path: Path) -> None:
    path = tmp_path / "failing.ipynb"
    sources = (IMPORTS, "check.gram(gram)", "check.gram(lambda F: None)")
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources]), path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "gram: it returns None" in done.stdout
    assert "1 failed, 2 passed" in done.stdout


def test_a_failing_check_is_an_assertion_error_with_its_cause() -> None:
    def broken(f: Tensor) -> Tensor:
        return f.no_such_name

    with pytest.raises(AssertionError, match="stops with AttributeError") as said:
        check.gram(broken)
    assert isinstance(said.value.__cause__, AttributeError)
    assert "of broken: return f.no_such_name)" in str(said.value)


def test_the_line_that_is_told_is_the_answers_own_even_where_a_library_stops() -> None:
    with pytest.raises(check.CheckFailed, match=r"\(line \d+ of <lambda>: check\.gram\(lambda f: torch\.nn\.functional"):
        check.gram(lambda f: torch.nn.functional.conv2d(f, f, stride="x"))  # type: ignore[call-overload]


def own(gradient: bool = False) -> check.Exercise:
    """A check of our own, which wants its input twice."""
    return check.Exercise("mine", "Lesson 99: twice.", [(torch.ones(2),)], [2 * torch.ones(2)], gradient=gradient)


def test_an_answer_that_spoils_a_list_spoils_no_other_answer() -> None:
    exercise = check.Exercise("mine", "Lesson 99: twice the first.", [([torch.ones(2)],)], [2 * torch.ones(2)])
    with pytest.raises(check.CheckFailed, match="one value is 0, wanted 2"):
        exercise(lambda xs: xs[0].mul_(0))
    exercise(lambda xs: 2 * xs[0])


@pytest.mark.parametrize(
    "answer", [lambda x: x.detach() * 2, lambda x: torch.tensor((2 * x).numpy()), lambda x: torch.ones(2) * 2]
)
def test_a_value_that_lets_no_gradient_through_is_refused(answer: Any) -> None:
    with pytest.raises(check.CheckFailed, match="mine: the value is right, but no gradient"):
        own(gradient=True)(answer)


def test_a_check_without_usual_mistakes_says_what_came_and_what_was_wanted() -> None:
    with pytest.raises(check.CheckFailed, match="one value is 3, wanted 2"):
        own()(lambda x: 3 * x)
    with pytest.raises(check.CheckFailed, match="it returns str, wanted a tensor"):
        own()(lambda x: "two")


CLAIMS = [  # holds, recorded, always, preset: whether it is other than the lesson says
    (True, True, False, "quick", False),
    (False, True, False, "quick", True),
    (True, False, False, "quick", True),
    (False, True, False, "paper", False),
    (False, True, True, "paper", True),
]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(("holds", "recorded", "always", "preset", "differs"), CLAIMS)
def test_a_claim_is_an_error_where_it_was_recorded_otherwise_for_the_makers_alone_and_told_to_all(
    holds: bool,
    recorded: bool,
    always: bool,
    preset: str,
    differs: bool,
    strict: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NSTUTILS_STRICT", "1" if strict else "0")
    where = settings(preset, "classroom")
    verdict = "holds" if holds else "does not hold"
    sentence = f"it is so: {verdict} here, but the lesson says it {'holds' if recorded else 'does not'}"
    with pytest.raises(check.CheckFailed, match=f"^{sentence}$") if differs and strict else nullcontext():
        check.claim("it is so", holds, recorded=recorded, always=always, where=where)
    said = capsys.readouterr().out
    assert said.startswith(f"it is so: {verdict} ({preset}, classroom)\n")
    assert (sentence in said) == (differs and not strict)
