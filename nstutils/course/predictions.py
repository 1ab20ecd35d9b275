"""Predictions: asked before a figure is made, kept, and scored when it is there.

guess = Predictions()
guess.ask("column", "Down a column the structures …", ("grow", "shrink"))
guess.reveal("column", "grow")  # below the figure
guess.score()                   # at the end of the lesson
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import ipywidgets
from IPython.display import HTML

from nstutils.library.errors import UserError


@dataclass
class Question:
    """What was asked, what may be answered, and what was."""

    text: str
    choices: tuple[str, ...]
    said: str | None = None
    truth: str | None = None


@dataclass
class Predictions:
    """The questions of a lesson, by name."""

    questions: dict[str, Question] = field(default_factory=dict)

    def ask(self, name: str, text: str, choices: Sequence[str]) -> ipywidgets.Widget:
        """A box to answer in; an answer can be changed until it is revealed. Without widgets, `say` takes it."""
        question = self.questions[name] = Question(text, tuple(choices))
        # not radio buttons: the arrow keys that they want belong to JupyterLab
        box = ipywidgets.ToggleButtons(options=question.choices, value=None, style={"button_width": "auto"})
        box.observe(lambda change: self._keep(question, change["new"]), "value")
        return ipywidgets.VBox([ipywidgets.HTML(f"<b>Your prediction.</b> {escape(text)}"), box])

    def say(self, name: str, answer: str) -> None:
        """Answer question `name` without its box."""
        self._keep(self._asked(name, answer), answer)

    def reveal(self, name: str, truth: str) -> HTML:
        """What was predicted beside what the figure shows; from now on the answer stands."""
        question = self._asked(name, truth)
        question.truth = truth
        told = "You predicted nothing" if question.said is None else f"You predicted: <b>{escape(question.said)}</b>"
        verdict = "" if question.said is None else " – right." if question.said == truth else " – not so."
        return HTML(f"{escape(question.text)} <b>{escape(truth)}</b>. {told}{verdict}")

    def score(self) -> HTML:
        """How many of the predictions came true."""
        revealed = [question for question in self.questions.values() if question.truth]
        made = [question for question in revealed if question.said]
        right = sum(question.said == question.truth for question in made)
        open_ones = f"; {len(revealed) - len(made)} left open" if len(made) < len(revealed) else ""
        return HTML(f"You predicted <b>{right} of {len(revealed)}</b>{open_ones}.")

    def _keep(self, question: Question, answer: Any) -> None:
        if question.truth is None:
            question.said = answer

    def _asked(self, name: str, answer: str) -> Question:
        if name not in self.questions:
            raise UserError(f"the question {name!r} was not asked yet; run the cell that asks it first")
        question = self.questions[name]
        if answer not in question.choices:
            raise UserError(f"{answer!r} is none of the answers to {name!r}; choose from {', '.join(question.choices)}")
        return question
