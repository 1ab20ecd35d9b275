"""A first look at everything together."""

import json
from pathlib import Path

import pytest

from nstutils import Result, stylise


@pytest.mark.parametrize("method", ["adam", "sgd", "lbfgs"])
def test_one_picture_from_two(pictures: tuple[str, str], tmp_path: Path, method: str) -> None:
    out = tmp_path / "out.png"
    result = stylise(*pictures, size=48, steps=12, method=method, out=out, history=tmp_path / "h.json")
    rows = result.history["steps"]
    assert len(rows) == 12
    assert result.history["final"]["total"] < rows[0]["total"]
    again = Result.load(out)
    assert again.card["settings"] == json.loads(json.dumps(result.card["settings"]))
    assert (again.image - result.image).abs().max() <= 0.5 / 255 + 1e-6
