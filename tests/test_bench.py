"""The benchmark: that it runs and its table has its rows; its arithmetic."""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nstutils import images
from nstutils.backbones import VGG_CONVS, FeatureExtractor, vgg
from nstutils.library import weights

FOLDER = Path(__file__).parent.parent / "tools" / "bench"
ROWS = ("ours, VGG-19 ", "ours, VGG-19, float32 ", "ours, VGG-19, float32, L-BFGS ", "ours, classroom ", "pystiche 1.0.1 ")
Tool = Callable[[str], ModuleType]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Tool:
    """The modules of tools/bench by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def small(tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What makes the benchmark small: tiny networks, and its children in this process."""
    ours = tool("ours")

    def run(folder: Path, job: dict[str, Any], resume: bool) -> dict[str, Any]:
        with monkeypatch.context() as there:
            there.chdir(folder)
            getattr(ours, job["kind"])(job)
            return dict(json.loads(Path(job["out"]).read_text()))

    tiny = vgg((8, 8, 12, 12, 16), VGG_CONVS["vgg16"])
    save_file(tiny.state_dict(), tmp_path / "hed.safetensors")
    weights.save(FeatureExtractor(tiny, name="classroom"), tmp_path / "classroom.safetensors")
    classroom = {"backbone": "classroom", "weights": str(tmp_path / "classroom.safetensors")}
    drafted = {"backbone": "vgg16-hed", "weights": str(tmp_path / "hed.safetensors")}
    return {"networks": tool("jobs").Networks(classroom, classroom, drafted), "run": run}


def test_without_a_registry_the_benchmark_tells_it_in_a_sentence_and_goes_on_alone(
    small: dict[str, Any], tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tool("peers"), "install", lambda _: "the package registry did not give them")
    tool("bench").main(["--quick", "--sizes", "64", "--out", str(tmp_path)], **small)
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert text.count("| not run |") == 2
    assert "The peers were not run: the package registry did not give them." in text
    for row in ROWS:
        assert f"\n| {row}|" in text, row
    assert "| VGG-19 | 64 | ours, plain L-BFGS, float32 | 6 |" in text
    assert "| ours, VGG-19 (" in text
    assert text.count("| fast apply |") == text.count("| pytorch/examples | float32 | 1,679,235 |") == 1
    assert "A `paper` run of 500 steps" in text
    assert "Training, batch 2, 32 px, width 4: " in text
    assert "| vgg16-hed | town, swirls | 64 | 6 |" in text
    data = json.loads((tmp_path / "bench.json").read_text())
    assert all(seconds > 0 and loss > 0 for row in data["drafts"] for seconds, loss in row["ends"].values())
    assert all(row["step"] > 0 and row["peak"] >= row["imports"] for row in data["runs"])
    plain = next(row for row in data["equal"] if row["program"] == "ours, plain L-BFGS, float32")
    assert 0 < plain["reached"] <= plain["all"]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.rglob("*.part"))
    told = capsys.readouterr()
    assert "## Time to equal loss" in told.out
    assert "benchmark" in told.err


def test_an_interrupt_leaves_nothing_half_written(small: dict[str, Any], tool: Tool, tmp_path: Path) -> None:
    def run(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="interrupted"):
        tool("bench").main(["--quick", "--skip-peers", "--out", str(tmp_path)], small["networks"], run)
    assert not list(tmp_path.glob("bench.*"))


def test_a_child_measures_itself_is_not_run_twice_and_says_why_it_failed(tool: Tool, tmp_path: Path) -> None:
    bench = tool("bench")
    (tmp_path / "runs").mkdir()
    images.save(images.noise((48, 64)), tmp_path / "town-64.png")
    images.save(images.noise((48, 64), 1), tmp_path / "swirls-64.png")
    options = {"backbone": "classroom", "steps": 4, "dtype": "float32"}
    job = tool("jobs").our_job("try", "ours, classroom", 64, options, marks=[1, 4], limit=100.0)
    found = bench.child(tmp_path, job, True)
    assert len(found["seconds"]) == 4
    assert found["peak"] > found["imports"] > 0
    assert found["dtype"] == "float32"
    pictures = torch.load(tmp_path / "runs" / "try-ours-classroom-64.pt", weights_only=True)
    assert [picture.shape[-1] for _, picture in pictures] == [64, 64, 64]
    before = (tmp_path / job["out"]).stat().st_mtime_ns
    assert bench.child(tmp_path, job, True) == found
    assert (tmp_path / job["out"]).stat().st_mtime_ns == before
    job["script"] = "nothing.py"
    assert "nothing.py" in bench.child(tmp_path, job, True)["why"]
    assert not (tmp_path / job["out"]).exists()


def test_a_run_stops_at_its_limit_and_what_it_measured_counts(tool: Tool, tmp_path: Path) -> None:
    common = tool("common")
    job = {"limit": 0.0, "marks": [1], "out": str(tmp_path / "x.json")}
    common.measured(job, lambda clock: [clock.tick(torch.zeros(1)) for _ in range(9)])
    found = json.loads((tmp_path / "x.json").read_text())
    assert found["note"] == "stopped after 0 s and 1 steps"
    assert len(torch.load(tmp_path / "x.pt", weights_only=True)) == 1


def test_a_failed_write_leaves_what_was_there(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("before")

    def half() -> None:
        with tool("common").replacing(tmp_path / "x") as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_failed_installation_is_told_in_one_line(tool: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    peers = tool("peers")

    def run(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "pip", stderr="noise\nERROR: No matching distribution found\n")

    monkeypatch.setattr(peers.venv, "create", lambda folder, **_: peers.site(folder).mkdir(parents=True))
    monkeypatch.setattr(peers.subprocess, "run", run)
    assert peers.install(tmp_path).endswith("(ERROR: No matching distribution found)")
    assert not (tmp_path / ".ready").exists()


def test_medians_marks_curves_and_names(tool: Tool) -> None:
    rows, bench = tool("rows"), tool("bench")
    assert rows.median_step([0, 9, 18, 19, 20, 22]) == 1
    assert rows.median_step([0, 3]) == 3
    assert rows.median_step([1]) is None
    curve = [(1, 9, 8), (2, 5, 4), (3, 6, 7)]
    assert rows.reach(curve, 5) == 2
    assert rows.reach(curve, 4) is None
    assert rows.reach(curve, 4, 2) == 2
    assert rows.envelope([[(1, 9), (3, 6)], [(2, 5)]]) == [(1, 9), (2, 5)]
    assert rows.marks(500)[0] == 1
    assert rows.marks(500)[-1] == 500
    assert len(rows.marks(500)) > 15
    assert bench.sizes("512,256,256") == [256, 512]
    with pytest.raises(argparse.ArgumentTypeError, match="multiples of 64"):
        bench.sizes("100")
    assert tool("jobs").slug("ours, VGG-19") == "ours-vgg-19"
    assert bench.why(-9, "") == bench.MEMORY
    assert bench.why(1, "line\nError: a | b\n") == "Error: a / b"


def test_fast_transfer_is_told_with_its_ratios(tool: Tool) -> None:
    report, whole_run = tool("report"), tool("rows").whole_run
    rows = [(64, 0.0), (64, 9.0), (64, 18.0), (64, 18.5), (64, 19.0), (128, 30.0), (128, 50.0), (128, 70.0), (128, 72.0)]
    assert whole_run(rows, 3.0, 100) == 3 + 50 * 0.5 + 50 * 2
    one = {"dtype": "bfloat16", "weights": 1234, "seconds": [0.1, 9.0, 0.05]}
    programs = {"fast apply": one, "pytorch/examples": one | {"seconds": [0.6, 0.6, 0.6]}}
    answer = {"programs": programs, "paper": rows, "setup": 3.0, "training": [0, 9, 18, 20, 22]}
    text = "\n".join(
        report.fast_told(answer | {"size": 512, "limited": False, "recipe": {"batch": 4, "size": 128, "width": 16}})
    )
    assert "| fast apply | bfloat16 | 1,234 | 0.1 | 10 | 6.00× |" in text
    assert "takes 628.0 s, 6280 times one pass" in text
    assert "Training, batch 4, 128 px, width 16: 2.0 crops a second" in text


def test_the_network_of_pytorch_examples_has_its_weights_and_its_sizes(tool: Tool) -> None:
    net = tool("peer_fast").network()
    assert sum(weight.numel() for weight in net.parameters()) == 1_679_235
    assert net(torch.rand(1, 3, 32, 48) * 255).shape == (1, 3, 32, 48)
    assert net[:3](torch.rand(1, 3, 32, 48)).shape == (1, 128, 8, 12)


def test_the_table_of_drafts_has_the_share_of_the_time_or_why_there_is_none(tool: Tool) -> None:
    row = {"program": "a, b", "size": 64, "options": {"backbone": "n", "steps": 20}}
    ends = {"own": (10.0, 5.0), "draft": (7.0, 4.5)}
    drafts = [row | {"ends": ends, "reached": reached} for reached in (6.0, None)] + [row | {"why": "no network"}]
    reached, never, failed = tool("report").draft_table({"drafts": drafts}).splitlines()[2:]
    assert reached == "| n | a, b | 64 | 20 | 10.0 | 5 | 7.0 | 4.5 | 6.0 | 0.60 |"
    assert never.endswith("| 7.0 | 4.5 | not |  |")
    assert "| no network |" in failed


def test_passes_are_timed_in_turns_and_the_first_turn_does_not_count(tool: Tool) -> None:
    ours, called = tool("ours"), list[str]()
    programs = {name: ("torch.float32", 1, lambda name=name: called.append(name)) for name in "ab"}
    found = ours.timed(programs, 3)
    assert called == ["a", "b"] * 4
    assert [len(found[name]["seconds"]) for name in "ab"] == [3, 3]
    assert found["a"]["dtype"] == "float32"


def test_ratios_compare_steps_per_second(tool: Tool) -> None:
    rows = [
        {"program": name, "size": 256, "limited": False, "step": step} for name, step in (("ours, VGG-19", 0.5), ("p", 4.0))
    ]
    data = {"runs": rows, "programs": ["ours, VGG-19", "p"], "sizes": [256, 512]}
    assert "| as it is | ours, VGG-19 against p | 8.00× | – |" in tool("report").ratio_table(data)


def test_the_network_for_neural_style_is_the_same_one_answering_sqrt_c_times_as_strongly(tool: Tool) -> None:
    peers = tool("peers")
    torch.manual_seed(0)
    plain = FeatureExtractor(vgg((8, 12, 16, 20, 24), pool="max"), name="plain")
    state = peers.caffe_state(peers.torchvision_state(plain))
    other = nn.Sequential(*(type(m)(m.in_channels, m.out_channels, 3, padding=1) if isinstance(m, nn.Conv2d) else m
                            for m in plain.net))  # fmt: skip
    other.load_state_dict({key.removeprefix("features."): value for key, value in state.items()})
    x = images.noise((64, 64))
    bgr = 256 * x.flip(1) - torch.tensor(peers.CAFFE_MEAN).flip(0).view(1, 3, 1, 1)
    names = [name for name, _ in plain.net.named_children()]
    for layer, wanted in plain(x, ["relu1_1", "relu2_1", "relu3_2", "relu5_1"]).items():
        found = other[: names.index(layer) + 1](bgr) / wanted.shape[1] ** 0.5
        assert (found - wanted).norm() / wanted.norm() < 0.01


def test_the_peers_weights_make_their_sums_ours_times_a_number(tool: Tool) -> None:
    peers = tool("peers")
    facts = {"total": 50.0, "alpha": 1.0, "kappa": 0.3, "beta": 3000.0, "elements": 1000}
    content, style = 7.0, 0.01
    ours = facts["alpha"] * facts["kappa"] * content + facts["beta"] * style
    factors = {"pystiche": (2 / 1000, 4), "neural-style": (2 * 512 / 1000, 20)}
    for name, (a, b) in factors.items():
        given = peers.weights(name, facts)
        sum_ = given["content_weight"] * a * content + given["style_weight"] * b * style
        assert sum_ == pytest.approx(ours * peers.START / 50)


@pytest.mark.long
@pytest.mark.parametrize(
    "command", [["bench.py", "--skip-peers", "--sizes", "64", "--out"], ["preflight.py"], ["preflight.py", "--large"]]
)
def test_the_programs_run(command: list[str], tmp_path: Path) -> None:
    more = [str(tmp_path)] if "--out" in command else []
    done = subprocess.run(
        [sys.executable, str(FOLDER / command[0]), "--quick", *command[1:], *more], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-500:]
    for row in ("| ours, VGG-19 |", "| ours, classroom |") if more else ("| classroom, 64 ", "in tiles of "):
        assert row in done.stdout


def test_the_quickest_of_our_runs_is_named_that_has_a_peers_last_loss(tool: Tool) -> None:
    report = tool("report")
    points = {"pystiche 1": [(5, 9, 9), (20, 4, 4)], "other 2": [(8, 1, 1)], report.PLAIN: [(1, 1, 1)]}
    points |= {f"{report.DEFAULT}, 9 steps": [(1, 6, 6), (3, 4, 4)], f"{report.FINER}, 9 steps": [(1, 5, 5), (2, 3, 3)]}
    curves = [{"network": "n", "size": 64, "program": name, "points": found} for name, found in points.items()]
    text = report.peers_table({"equal": [{"network": "n", "size": 64}], "curves": curves})
    assert f"| n | 64 | pystiche 1 | 4 | 20.0 | {report.FINER}, 9 steps | 2.0 | 0.100 |" in text
    assert "| n | 64 | other 2 | 1 | 8.0 | none |  |  |" in text
