"""Figures come out whole, and leave pyplot and its settings alone."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

from nstutils import images, plots

HISTORY = {
    "steps": [
        {"step": n, "size": 32 if n < 3 else 64, "content": 9.0 / n, "style": 4.0 / n, "total": 13.0 / n} for n in range(1, 7)
    ]
}


def figures() -> list[Figure]:
    pictures = [images.noise((20, 30), seed) for seed in range(3)]
    return [
        plots.show(pictures, ["one", "two", "three"]),
        plots.show(torch.cat(pictures)),
        plots.losses(HISTORY),
        plots.activations(torch.rand(1, 10, 6, 8), count=6),
    ]


def test_figures_draw_and_pyplot_stays_untouched() -> None:
    plt.get_backend()  # chosen on first use
    before = mpl.rcParams.copy()
    for figure in figures():
        figure.canvas.draw()
    assert plt.get_fignums() == []
    assert mpl.rcParams == before


def test_losses_have_a_panel_a_loss_and_a_line_where_the_scale_changes() -> None:
    axes = plots.losses(HISTORY).axes
    assert [panel.get_title() for panel in axes] == ["content", "style", "total"]
    assert [len(panel.lines) for panel in axes] == [2, 2, 2]


def test_a_missing_title_is_refused() -> None:
    with pytest.raises(ValueError, match="1 titles for 2 pictures"):
        plots.show([images.noise((8, 8))] * 2, ["one"])
