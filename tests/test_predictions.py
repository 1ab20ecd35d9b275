"""Predictions: what is asked, answered, revealed and scored."""

import pytest

from nstutils import UserError
from nstutils.course.predictions import Predictions


@pytest.fixture
def guess() -> Predictions:
    guess = Predictions()
    guess.ask("column", "Down a column the structures …", ("grow", "shrink"))
    guess.ask("row", "Along a row the style loss …", ("rises", "falls"))
    return guess


def test_right_wrong_and_open_predictions_are_told_and_scored(guess: Predictions) -> None:
    guess.say("column", "grow")
    assert guess.reveal("column", "grow").data.endswith("You predicted: <b>grow</b> – right.")
    assert guess.score().data == "You predicted <b>1 of 1</b>."
    assert guess.reveal("row", "rises").data.endswith("<b>rises</b>. You predicted nothing")
    assert guess.score().data == "You predicted <b>1 of 2</b>; 1 left open."


def test_the_box_answers_until_the_figure_is_there() -> None:
    guess = Predictions()
    box = guess.ask("column", "Structures …", ("grow", "shrink")).children[1]
    box.value = "grow"
    box.value = "shrink"
    assert "<b>shrink</b> – not so." in guess.reveal("column", "grow").data
    box.value = "grow"  # too late
    assert guess.score().data == "You predicted <b>0 of 1</b>."


def test_asking_again_begins_anew(guess: Predictions) -> None:
    guess.say("row", "falls")
    guess.reveal("row", "rises")
    guess.ask("row", "Along a row the style loss …", ("rises", "falls"))
    guess.say("row", "rises")
    assert "right" in guess.reveal("row", "rises").data


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda g: g.say("column", "stay"), "'stay' is none of the answers to 'column'; choose from grow, shrink"),
        (lambda g: g.reveal("column", "stay"), "'stay' is none of the answers to 'column'; choose from grow, shrink"),
        (lambda g: g.reveal("line", "grow"), "the question 'line' was not asked yet; run the cell that asks it first"),
    ],
)
def test_mistakes_are_told(guess: Predictions, call: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(guess)  # type: ignore[operator]


def test_answers_are_text_not_markup() -> None:
    guess = Predictions()
    guess.ask("a", "Is a < b?", ("a < b", "b < a"))
    assert "a &lt; b" in guess.reveal("a", "a < b").data
