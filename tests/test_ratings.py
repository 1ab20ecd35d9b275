"""Ratings: read as spreadsheets leave them, refused in one sentence where they are wrong, kept whole; agreement by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nstutils import UserError
from nstutils.course import plots, ratings, widgets

HEAD = "rater,picture,rating\n"
PICTURES = {name: torch.rand(1, 3, 6, 8) for name in ("a", "b", "c", "d")}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}x,a,4\ny,a,2\n",
        f"\ufeff{HEAD}x,a,4\r\ny,a,2\r\n\r\n",
        "Rater;Picture;Rating\nx;a;4,0\ny; a ;2\n",
        "picture\trating\trater\na\t4.0\tx\na\t2\ty",
        f'{HEAD}x,a,"4,0"\ny,a,2\n,,\n',
    ],
)
def test_what_a_spreadsheet_makes_of_the_file_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert ratings.read(path) == {("x", "a"): 4, ("y", "a"): 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}x,a,6\n", "line 2 rates '6', which is impossible; give a whole number from 1 to 5"),
        (f"{HEAD}x,a,3.5\n", "rates '3.5', which is impossible"),
        (f"{HEAD}x,a,nan\n", "rates 'nan', which is impossible"),
        (f"{HEAD}x,a,good\n", "rates 'good', which is impossible"),
        (f"{HEAD}x,a,\n", "line 2 has no rating; fill it in"),
        (f"{HEAD},a,3\n", "line 2 has no rater"),
        (f"{HEAD}x,a,4,0\n", "line 2 has 4 cells, wanted 3"),
        (f"{HEAD}x,a,3\nx,b,3\nx,a,4\n", "line 4 rates 'a' for 'x', as line 2 does; keep one of them"),
        ("name,image,note\nx,a,3\n", "begins with 'name,image,note'; wanted the columns rater, picture, rating"),
        ("", "begins with ''"),
        (f'{HEAD}x,"a,3\n{"y" * 140000}', "is no table"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence_and_stays_as_it_is(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    for attempt in (lambda: ratings.read(path), lambda: ratings.add(path, "y", "b", 3)):
        with pytest.raises(UserError, match=".+") as error:
            attempt()
        assert said in str(error.value)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_text_or_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    with pytest.raises(FileNotFoundError, match="rate some pictures first"):
        ratings.read(path)
    path.write_text(HEAD, encoding="utf-16")
    with pytest.raises(UserError, match="save it from your spreadsheet as 'CSV UTF-8'"):
        ratings.read(path)


def test_ratings_add_up_and_the_last_of_a_picture_counts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ratings.csv"
    for rater, picture, rating in (("x", "a, b", 4), ("y", "a, b", 2), ("x", "a, b", 5)):
        found = ratings.add(path, rater, picture, rating)
    assert found == ratings.read(path) == {("x", "a, b"): 5, ("y", "a, b"): 2}
    with pytest.raises(UserError, match="impossible"):
        ratings.add(path, "x", "a", 0)
    assert [one.name for one in path.parent.iterdir()] == ["ratings.csv"]


def test_a_file_that_was_edited_by_hand_is_kept_before_it_is_written_anew(tmp_path: Path) -> None:
    path, edited = tmp_path / "ratings.csv", "rater;picture;rating\r\nx;a;4,0\r\n"
    path.write_text(edited, newline="")
    ratings.add(path, "x", "b", 2)
    assert path.read_text() == f"{HEAD}x,a,4\nx,b,2\n"
    assert (tmp_path / "ratings.before.csv").read_bytes() == edited.encode()


def test_names_are_not_stored_and_each_rater_has_an_order_of_their_own() -> None:
    ada, bob = ratings.code("Ada Lovelace"), ratings.code("Bob")
    assert ada == ratings.code("  ada  LOVELACE ") != bob
    assert "ada" not in ada
    names = [f"picture {k}" for k in range(9)]
    orders = [ratings.blind(names, who, seed) for who, seed in ((ada, 0), (ada, 0), (bob, 0), (ada, 1))]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == names for order in orders)
    with pytest.raises(UserError, match="the rater has no name"):
        ratings.code("  ")


def test_the_shipped_ratings_say_that_they_are_made_up() -> None:
    found = ratings.read(ratings.example())
    assert ratings.made_up(found)
    assert all(line.startswith("made-up-") for line in ratings.example().read_text().splitlines()[1:])
    assert not ratings.made_up({("x", "a"): 1})
    note = "MADE-UP RATINGS"
    pictures = dict(zip(("swirls", "mosaic"), PICTURES.values(), strict=False))
    figure = plots.votes(ratings.votes(found, list(pictures)), pictures, note)
    assert figure.axes[-1].get_title() == note


def test_a_mistyped_picture_is_told_and_drops_nobody() -> None:
    given = {("ab", "swirls"): 4, ("ab", "mosiac"): 2}
    with pytest.raises(UserError, match="ab rated 'mosiac', which is no picture here; write 'mosaic', or take the line away"):
        ratings.votes(given, ["swirls", "mosaic"])
    assert np.isnan(ratings.votes(given, ["swirls", "glass"])[0, 1])  # another set of pictures is no mistake


def test_agreement_is_kendalls_w() -> None:
    alike = np.array([[1, 2, 3, 5], [2, 3, 4, 5], [1, 3, 4, 5.0]])
    assert ratings.agreement(alike) == pytest.approx(1)
    by_hand = np.array([[1, 2, 3.0], [2, 1, 3], [3, 2, 1]])  # ranks add to 6, 5, 7: W = 12 · 2 / (9 · 24)
    assert ratings.agreement(by_hand) == pytest.approx(1 / 9)
    assert ratings.agreement(np.vstack([by_hand, [[5, np.nan, 1]]])) == pytest.approx(1 / 9)
    tied = np.array([[3, 3, 5.0], [2, 2, 4]])
    assert ratings.agreement(tied) == pytest.approx(1)
    for few in (alike[:1], alike[:, :2], np.full((3, 4), 3.0), np.full((3, 4), np.nan)):
        with pytest.raises(UserError, match="agreement needs"):
            ratings.agreement(few)


def sheet(path: Path) -> tuple:
    """The widgets of a sheet, and what presses Begin under a name and Keep with a rating."""
    (word, begin), picture, told, rating, keep = [
        getattr(part, "children", part) if type(part).__name__ == "HBox" else part
        for part in widgets.rating_sheet(PICTURES, str(path)).children
    ]

    def press(name: str) -> str:
        word.value = name
        begin.click()
        return str(told.value)

    def give(value: int | None) -> str:
        rating.value = value
        keep.click()
        return str(told.value)

    return press, give, picture, keep


def test_a_sheet_asks_for_every_picture_once_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    press, give, picture, keep = sheet(path)
    assert keep.disabled
    assert press("").startswith("Not done: the rater has no name")
    assert press("Ada") == "Picture 1 of 4: 5 is best."
    first = picture.value
    assert first[:2] == b"\xff\xd8"
    assert give(None) == "Choose a number first."
    assert give(4) == "Kept. Picture 2 of 4: 5 is best."
    assert picture.value != first
    order = ratings.blind(list(PICTURES), ratings.code("Ada"))
    assert ratings.read(path) == {(ratings.code("Ada"), order[0]): 4}
    assert "ada" not in path.read_text().lower()
    press, give, _, keep = sheet(path)  # the kernel was started again
    assert press("ada ") == "This name has rated 1 already: if that was you, press Begin again; else add to the name."
    assert keep.disabled
    assert press("Ada") == "Picture 2 of 4: 5 is best."
    assert [give(k) for k in (1, 2, 3)][-1] == "Kept. All rated, thank you. Who is next?"
    assert [ratings.read(path)[ratings.code("Ada"), name] for name in order] == [4, 1, 2, 3]
    assert press("Ada B.") == "Picture 1 of 4: 5 is best."


def test_a_sheet_tells_a_file_that_was_spoilt_and_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    press, give, *_ = sheet(path)
    press("Ada")
    path.write_text(f"{HEAD}x,a,9\n")
    assert "line 2 rates &#x27;9&#x27;, which is impossible" in give(3)
    assert path.read_text() == f"{HEAD}x,a,9\n"
    path.unlink()
    assert give(3).startswith("Kept.")
