"""Ratings of pictures by several people: a CSV with the columns rater, picture, rating, whole at any time.

No name is stored. A rater is a code made of a name or of any other word: who gives the same word goes on where they stopped.
(Whoever has a list of names can try them all: a word that nobody guesses is safer than a name.)"""

import csv
import hashlib
import io
import os
import random
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from scipy.stats import friedmanchisquare

from nstutils.library import files
from nstutils.library.errors import UserError
from nstutils.library.pictures import data_folder

COLUMNS = ["rater", "picture", "rating"]
LEAST, MOST = 1, 5
MADE_UP = "made-up"  # how raters of invented ratings begin
Ratings = dict[tuple[str, str], int]  # by rater and picture


def example() -> Path:
    """The ratings that ship with the course: invented, and every line says so."""
    return data_folder() / "ratings_made_up.csv"


def made_up(ratings: Ratings) -> bool:
    """Whether some of the ratings are invented."""
    return any(rater.startswith(MADE_UP) for rater, _ in ratings)


def code(word: str) -> str:
    """What stands in the file for a rater's name or other word; blanks and capitals do not matter."""
    plain = " ".join(unicodedata.normalize("NFKC", word).casefold().split())
    if not plain:
        raise UserError("the rater has no name; give a name, or any word that you will know again")
    return hashlib.sha256(f"nstutils rater {plain}".encode()).hexdigest()[:8]


def blind(pictures: Sequence[str], rater: str, seed: int = 0) -> list[str]:
    """The pictures in an order of the rater's own, the same for the same code and seed."""
    return random.Random(f"{seed} {rater}").sample(list(pictures), len(pictures))


def read(path: str | os.PathLike[str]) -> Ratings:
    """The ratings in a file, also in one that a spreadsheet saved (byte-order mark, semicolons, 4,0); refuses what is wrong."""
    file = Path(path)
    try:
        text = file.read_bytes().decode("utf-8-sig")
        head = text.partition("\n")[0]
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count)))
    except FileNotFoundError:
        raise FileNotFoundError(f"there are no ratings {str(file)!r}; rate some pictures first, or give another file") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not text in UTF-8; save it from your spreadsheet as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise UserError(f"{path} is no table ({files.reason(error)}); look for a quote that is not closed") from None
    columns = [name.strip().lower() for name in lines[0]] if lines else []
    if sorted(columns) != sorted(COLUMNS):
        raise UserError(f"{path} begins with {head.strip()!r}; wanted the columns {', '.join(COLUMNS)}: name them so")
    found: Ratings = {}
    at: dict[tuple[str, str], int] = {}
    for number, cells in enumerate(lines[1:], start=2):
        if any(cell.strip() for cell in cells):
            where = f"{path}, line {number}"
            rater, picture, rating = _line(where, columns, cells)
            if (rater, picture) in found:
                raise UserError(f"{where} rates {picture!r} for {rater!r}, as line {at[rater, picture]} does; keep one of them")
            found[rater, picture], at[rater, picture] = rating, number
    return found


def _line(where: str, columns: Sequence[str], cells: Sequence[str]) -> tuple[str, str, int]:
    """Rater, picture and rating of a line."""
    if len(cells) != len(columns):
        raise UserError(f"{where} has {len(cells)} cells, wanted {len(columns)}; put what contains a comma in quotes")
    told = dict(zip(columns, map(str.strip, cells), strict=True))
    empty = [name for name in COLUMNS if not told[name]]
    if empty:
        raise UserError(f"{where} has no {empty[0]}; fill it in, or take the line away")
    return told["rater"], told["picture"], rating_of(told["rating"], where)


def rating_of(value: object, where: str) -> int:
    """A rating as a whole number on the scale; refuses any other."""
    with suppress(ValueError):
        number = float(str(value).replace(",", "."))
        if number in range(LEAST, MOST + 1):
            return int(number)
    raise UserError(f"{where} rates {value!r}, which is impossible; give a whole number from {LEAST} to {MOST}")


def add(path: str | os.PathLike[str], rater: str, picture: str, rating: object) -> Ratings:
    """Keep one more rating (or another for the same picture) in the file, whole or not at all; all that are there now. A file
    that was edited by hand is kept beside, as NAME.before.csv, before it is written in this module's form."""
    target = files.writable(path, (".csv",))
    found = read(target) if target.exists() else {}
    old = target.read_bytes() if found else b""
    copy = [(old, target.with_suffix(".before.csv"))] if old not in (b"", written(found)) else []
    found[rater, picture] = rating_of(rating, picture)
    files.write_all([*copy, (written(found), target)])
    return found


def written(ratings: Ratings) -> bytes:
    """The file of these ratings."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *((*who, rating) for who, rating in ratings.items())])
    return text.getvalue().encode()


def votes(ratings: Ratings, pictures: Sequence[str]) -> np.ndarray:
    """Raters x pictures; not a number where a picture was not rated. Refuses a name that is nearly one of the pictures'."""
    for rater, picture in ratings:
        if picture not in pictures and (meant := get_close_matches(picture, pictures, 1, 0.7)):
            raise UserError(f"{rater} rated {picture!r}, which is no picture here; write {meant[0]!r}, or take the line away")
    raters = list(dict.fromkeys(rater for rater, _ in ratings))
    return np.array([[ratings.get((rater, picture), np.nan) for picture in pictures] for rater in raters], dtype=float)


def agreement(given: np.ndarray) -> float:
    """Kendall's W of raters x pictures, 1 where all rank alike and 0 where chance does; of those who rated every picture. It is
    Friedman's statistic over its largest value, raters times (pictures − 1); ties are corrected for."""
    whole = given[~np.isnan(given).any(1)]
    raters, pictures = whole.shape
    if raters < 2 or pictures < 3:
        raise UserError(f"{raters} people rated all of {pictures} pictures; agreement needs at least 2 people and 3 pictures")
    if (whole == whole[:, :1]).all():
        raise UserError("everybody gave all pictures the same rating; agreement needs people who prefer some")
    return float(friedmanchisquare(*whole.T).statistic / (raters * (pictures - 1)))
