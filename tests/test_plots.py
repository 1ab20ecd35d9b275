"""Figures come out whole, and leave pyplot and its settings alone."""

import re
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

from nstutils import images
from nstutils.course import plots

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
        plots.compare({"one": HISTORY, "two": HISTORY}, against="step"),
        plots.anchors({"one": [0.1, 1.2], "two": [0.4, 0.3]}, ["edges", "colours"]),
    ]


def test_figures_draw_and_pyplot_stays_untouched() -> None:
    plt.get_backend()  # chosen on first use
    before = mpl.rcParams.copy()
    for figure in figures():
        plots.encoded(figure)
    assert plt.get_fignums() == []
    assert mpl.rcParams == before


def test_titles_of_several_lines_lie_within_the_figure() -> None:
    figure = plots.show([images.noise((20, 20))] * 6, ["step 1\ncontent 100%, style 100% left"] * 6, columns=6, width=13)
    plots.encoded(figure)
    assert all(figure.bbox.ymax >= axes.title.get_window_extent().ymax for axes in figure.axes)


def test_losses_have_a_panel_a_loss_and_a_line_where_the_scale_changes() -> None:
    axes = plots.losses(HISTORY).axes
    assert [panel.get_title() for panel in axes] == ["content", "style", "total"]
    assert [len(panel.lines) for panel in axes] == [2, 2, 2]


def test_the_steps_of_a_draft_are_another_curve_and_are_not_compared() -> None:
    rows = [row | {"backbone": "classroom"} if row["step"] < 5 else row for row in HISTORY["steps"]]
    drafted = {"steps": rows, "backbone": "vgg16-hed"}
    for panel in plots.losses(drafted).axes:
        curves = {line.get_label(): list(line.get_xdata()) for line in panel.lines}  # type: ignore[arg-type]
        assert (curves["classroom"], curves["vgg16-hed"]) == ([1, 2, 3, 4], [5, 6])
        assert panel.get_legend() is not None
    (line,) = plots.compare({"drafted": drafted}, against="step").axes[0].lines
    assert list(line.get_xdata()) == [5, 6]  # type: ignore[arg-type]


def test_a_missing_title_is_refused() -> None:
    with pytest.raises(ValueError, match="1 titles for 2 pictures"):
        plots.show([images.noise((8, 8))] * 2, ["one"])


def test_runs_of_different_backbones_are_compared_only_where_the_labels_say_so() -> None:
    one, two = HISTORY | {"backbone": "classroom"}, HISTORY | {"backbone": "vgg19"}
    with pytest.raises(ValueError, match="different backbones .*name the backbone in the label of Adam, L-BFGS"):
        plots.compare({"Adam": one, "L-BFGS": two}, against="step")
    axes = plots.compare({"Adam, classroom": one, "Adam, vgg19": two}, against="step").axes[0]
    assert [line.get_label() for line in axes.lines] == ["Adam, classroom", "Adam, vgg19"]
    assert len(plots.compare({"Adam": one, "L-BFGS": one}, against="step").axes[0].lines) == 2


def test_two_weights_of_one_backbone_are_different_backbones_too() -> None:
    one = HISTORY | {"backbone": "classroom", "weights_sha256": "a"}
    with pytest.raises(ValueError, match="different backbones"):
        plots.compare({"a": one, "b": one | {"weights_sha256": "b"}}, against="step")


def test_a_presented_figure_carries_its_description_and_shows_how_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[object, dict]] = []
    monkeypatch.setattr("IPython.display.display", lambda value, **facts: shown.append((value, facts)))
    plots.present(plots.losses(HISTORY), "Three falling lines.", backbone="classroom", size=64, steps=6, seconds=1.26)
    (picture, facts), (words, _) = shown
    assert picture["image/jpeg"][:2] == b"\xff\xd8"
    assert facts["metadata"] == {"image/jpeg": {"alt": "Three falling lines."}}
    assert words.data == "*Three falling lines.* (backbone classroom, 64 px, 6 steps, 1.3 s)"


def test_a_stored_figure_tells_its_commands_and_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr("IPython.display.display", lambda value, **facts: shown.append(value))
    plots.reference("10")
    words = shown[1].data  # type: ignore[attr-defined]
    assert "```\npython tools/references.py 10\n```" in words
    assert re.search(r"\n\n\| \| photograph \| result .*\n\| edges in common with p \| 1\.00 \|", words, re.S)


def test_lines_have_a_curve_a_label_and_a_mark() -> None:
    axes = plots.lines({"one": [1, 2], "two": [2, 1]}, ["relu1_1", "relu2_1"], "dB", mark=1.5, log=True).axes[0]
    assert [line.get_label() for line in axes.lines[:2]] == ["one", "two"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["relu1_1", "relu2_1"]
    assert (len(axes.lines), axes.get_ylabel(), axes.get_yscale()) == (3, "dB", "log")


def test_lines_stand_at_the_numbers_that_their_ticks_name() -> None:
    axes = plots.lines({"one": [1, 2]}, ["1/8", "all"], "size", xlabel="share", at=[0.125, 1]).axes[0]
    assert list(axes.lines[0].get_xdata()) == [0.125, 1]  # type: ignore[arg-type]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1/8", "all"]
    assert axes.get_xlabel() == "share"


def test_parts_of_a_second_are_told_to_three_digits() -> None:
    assert plots.caption(seconds=0.0312) == "(0.031 s)"
    assert plots.caption(seconds=12.34) == "(12.3 s)"


def test_the_plan_of_a_transform_network_shows_its_three_pictures() -> None:
    pictures = [images.noise((20, 30), seed) for seed in range(3)]
    assert len(plots.transform_plan(*pictures).axes[0].images) == 3


def test_a_map_becomes_a_picture_black_at_nothing_and_brightest_at_the_most() -> None:
    values = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])
    own, given = plots.heat(values), plots.heat(values, most=2.0)
    assert own.shape == (1, 3, 2, 2)
    assert own.mean(1).flatten().argsort().tolist() == [0, 1, 2, 3]
    assert own[..., 0, 0].max() < 0.02
    assert torch.equal(given[..., 1, 0], given[..., 1, 1])
    assert bool(plots.heat(torch.zeros(1, 1, 2, 2)).isfinite().all())


def test_signed_maps_are_white_at_zero_and_a_frame_lies_on_its_pixels() -> None:
    figure = plots.signed([torch.tensor([[-1.0, 0.0], [0.5, 2.0]])], ["map"], numbers=True)
    (drawn,) = figure.axes[0].images
    low, high = drawn.get_clim()
    assert low == -high
    assert [one.get_text() for one in figure.axes[0].texts] == ["-1", "0", "0.5", "2"]
    framed = plots.frame(plots.show(torch.zeros(1, 3, 8, 8)), {"two by two": (1, 2, 2)})
    assert framed.axes[0].patches[-1].get_bbox().bounds == (0.5, 1.5, 2, 2)


def test_a_row_of_flat_maps_leaves_no_gap_above_a_row_of_tall_ones() -> None:
    flat, tall = torch.zeros(3, 12), torch.zeros(12, 12)
    assert plots.signed([flat, tall], ["", ""], 1, width=4).get_figheight() == pytest.approx(1 + 4 + 2 * 0.3)


def test_the_numbers_along_a_plane_do_not_run_into_each_other() -> None:
    for last in (0.03, 0.61, 90):
        figure = plots.plane({("E", 0.01): (0.0205, 0.5), ("E", 0.001): (last, 0.006)}, "lost", "missed")
        plots.encoded(figure)
        (axes,) = figure.axes
        ends = [label.get_window_extent().intervalx for label in axes.get_xticklabels(which="both") if label.get_text()]
        assert len(ends) > 2
        assert all(one[1] < two[0] for one, two in pairwise(sorted(map(tuple, ends))))


def test_strips_have_a_row_for_each_label_and_a_panel_for_each_head() -> None:
    batch = torch.rand(3, 3, 8, 8)
    figure = plots.strips({"one": [batch, batch], "two": [batch, batch]}, ["left", "right"])
    assert [axes.get_title() for axes in figure.axes] == ["left", "right", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["one", "", "two", ""]
