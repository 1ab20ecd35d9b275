"""What the makers run: the training resumes and leaves weights that load, the pictures are drawn again bit for bit."""

import ast
import functools
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_backbones import mixed_signs, picture
from test_backbones import network as plain_network

from nstutils import backbone, images
from nstutils.backbones import VGG_CONVS, FeatureExtractor, vgg
from nstutils.course import measures
from nstutils.fast import network
from nstutils.library import pictures, weights
from nstutils.papers import figures
from nstutils.papers.experiments import ROWS
from nstutils.papers.verdicts import cell, verdict, verdicts

MADE = (".jpg", ".png", ".safetensors", ".ipynb")
TOOLS = Path(__file__).parent.parent / "tools"


def tool(name: str) -> ModuleType:
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two classes of ten small pictures and some without a class."""
    for number in range(24):
        folder = tmp_path / "photos" / ("cats" if number < 10 else "dogs" if number < 20 else "")
        images.save(images.resize(images.noise((6, 8), number), 64), folder / f"{number}.png")
    return tmp_path / "photos"


def test_a_training_resumes_exactly_and_leaves_weights_that_load(photographs: Path, tmp_path: Path) -> None:
    module = tool("train_squeezenet")
    straight, halved = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    common = [str(photographs), "--batch", "4", "--size", "32", "--every", "2", "--steps", "4", "-o"]
    module.main([*common, str(straight)])
    step = module.train_step

    def broken(*args: object) -> dict[str, float]:
        if args[-1] == 4:
            raise KeyboardInterrupt
        return step(*args)

    module.train_step = broken
    with pytest.raises(KeyboardInterrupt):
        module.main([*common, str(halved)])
    module.train_step = step
    module.main([*common, str(halved)])
    files = [load_file(path) for path in (straight, halved)]
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])
    assert backbone("squeezenet", weights=straight).name == "squeezenet"
    facts = json.loads(weights.read(straight).header["facts"])
    assert facts["steps"] == 4
    assert 0 <= facts["accuracy"] <= 1


def test_batch_norm_folds_into_the_convolutions() -> None:
    module = tool("train_squeezenet")
    torch.manual_seed(0)
    trainee = module.Trainee(2, 24)
    x = torch.rand(4, 3, 32, 32)
    for _ in range(3):
        trainee(torch.rand(8, 3, 32, 32))
    trainee.eval()
    torch.testing.assert_close(module.folded(trainee)(x), trainee.net(x), rtol=1e-4, atol=1e-5)


def drawn(folder: Path, *names: str) -> list[Path]:
    """What `tools/pictures` writes."""
    subprocess.run([sys.executable, TOOLS / "pictures", *names, "--out", folder], check=True, capture_output=True)
    return sorted(folder.iterdir())


def test_a_picture_is_drawn_again_bit_for_bit(tmp_path: Path) -> None:
    (again,) = drawn(tmp_path, "impasto")
    shipped = pictures.find("impasto")
    assert again.read_bytes() == shipped.read_bytes() or (images.load(again) - images.load(shipped)).abs().mean() < 1 / 255


def test_a_picture_that_is_not_known_is_told_with_those_that_are(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, TOOLS / "pictures", "monet"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "there is no picture monet; choose from style_swirls" in done.stderr


@pytest.mark.long
def test_all_pictures_are_drawn_again(tmp_path: Path) -> None:
    folder, made = pictures.data_folder() / "pictures", drawn(tmp_path)
    assert [path.name for path in made] == sorted(path.name for path in folder.iterdir() if path.suffix != ".md")
    for path in made:
        assert (images.load(path) - images.load(folder / path.name)).abs().mean() < 0.5 / 255


def test_a_fast_network_is_judged_against_optimisation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network.save(network.TransformNet(["swirls"], width=4, blocks=1), tmp_path / "net.safetensors")
    sheet = tmp_path / "sheet.png"
    small = ["--photographs", "chelsea", "--size", "64", "--steps", "4", "--sheet", str(sheet)]
    tool("judge_fast").main([str(tmp_path / "net.safetensors"), *small])
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("| style (1 pictures, 64 px) | network | optimisation, 4 steps |")
    assert re.match(r"\| swirls \| \d+\.\d+ \| \d+\.\d+ \| \d+\.\d+ \| \d \|", rows[2])
    assert re.fullmatch(r"a clip flickers \d+\.\d times as much as it did itself, with --temporal \d+\.\d times", rows[-2])
    assert rows[-1].startswith("one pass ")
    assert images.load(sheet).shape[-1] > 2 * 64


def test_the_judge_writes_its_table_and_sheets_and_finds_nothing_wrong_with_its_teachers_double(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    small = FeatureExtractor(vgg((8, 8, 12, 12, 16), VGG_CONVS["vgg16"]), name="classroom")
    weights.save(small, tmp_path / "teacher.safetensors")
    kept = {name: list(range(conv.out_channels)) for name, conv in small.net.named_children() if name.startswith("conv")}
    weights.save(small, tmp_path / "double.safetensors", kept=json.dumps(kept))
    networks = [str(tmp_path / f"{name}.safetensors") for name in ("double", "teacher")]
    tool("judge_backbone").main([networks[0], "--teacher", networks[1], "--quick", "--sheets", str(tmp_path)])
    numbers = json.loads((tmp_path / "double.json").read_text())
    assert numbers["error of relu5_1, half-way"] == pytest.approx(0, abs=1e-6)
    assert numbers["from noise: teacher's sum / its own picture's, worst"] == pytest.approx(1, abs=1e-3)
    assert {"rebuilt from relu1_1, dB", "texture: grain / style's"} <= numbers.keys()
    assert "| from content: edge correlation with content, median |" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.jpg"))) == 6


def test_a_copy_keeps_its_teachers_filters_and_goes_on_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tool("copy_backbone")
    monkeypatch.setattr(copy, "FIT", (8, 64))
    monkeypatch.setattr(copy, "EVERY", 1)
    monkeypatch.setattr(images, "load", functools.cache(images.load))  # the same artworks five times
    torch.manual_seed(0)
    teacher = FeatureExtractor(vgg((8, 8, 16, 16, 16), VGG_CONVS["vgg16"]), name="vgg16")
    weights.save(teacher, tmp_path / "teacher.safetensors")
    for name in ("chelsea", "coffee", "rocket"):
        images.save(images.load(name, 120), tmp_path / "photographs" / f"{name}.png")
    common = [str(tmp_path / "photographs"), "--teacher", str(tmp_path / "teacher.safetensors"), "--widths", "4,4,8,8,16"]
    common += ["--steps", "4", "--batch", "3", "--size", "48"]
    copy.main([*common, "-o", str(tmp_path / "one.safetensors")])
    step = copy.Training.step

    def stopped(self: Any, number: int, *rest: Any) -> float:
        if number == 3:
            raise KeyboardInterrupt
        return step(self, number, *rest)

    monkeypatch.setattr(copy.Training, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        copy.main([*common, "-o", str(tmp_path / "two.safetensors")])
    monkeypatch.setattr(copy.Training, "step", step)
    copy.main([*common, "-o", str(tmp_path / "two.safetensors")])
    files = [load_file(tmp_path / f"{name}.safetensors") for name in ("one", "two")]
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])

    header = weights.read(tmp_path / "one.safetensors").header
    kept, scales = json.loads(header["kept"]), json.loads(header["scales"])
    net = weights.backbone("classroom", weights=tmp_path / "one.safetensors")
    p = images.load("chelsea", 64)
    own = net(p, ["relu1_1", "relu5_1"])
    theirs = teacher(p, ["relu1_1", "relu5_1"])
    for layer in own:  # relu1_1 is the teacher's up to the scale, relu5_1 by least squares and four steps
        wanted = theirs[layer][:, kept[f"conv{layer[4:]}"]] / scales[f"conv{layer[4:]}"]
        assert measures.correlation(own[layer], wanted) > (0.999 if layer == "relu1_1" else 0.5)


def test_the_table_of_claims_says_what_the_figures_say(tmp_path: Path) -> None:
    claims = tool("claims")
    parts = {"falls": "2 of 3", "rises": "3 of 3"}
    for name, holds in (("one", True), ("two", False)):
        (tmp_path / name).mkdir()
        numbers = {"parts": {"falls": "3 of 3"} if holds else parts, "median": {"falls": 0.5}, "cases": [1, 2]}
        record = {
            "claim": "It falls.",
            "measure": "how far",
            "holds": holds,
            "numbers": numbers,
            "preset": "quick",
            "seconds": 1.0,
        }
        (tmp_path / name / "tv.json").write_text(json.dumps(record))
    readme = tmp_path / "README.md"
    readme.write_text("before\n" + "\n".join(claims.MARKS) + "\nafter\n")
    claims.main([str(tmp_path / "one"), str(tmp_path / "two"), "--page", str(readme), "--data", str(tmp_path / "claims.json")])
    assert verdicts(tmp_path / "claims.json")["two"]["tv"]["numbers"] == {"parts": parts, "median": {"falls": 0.5}}
    text = readme.read_text()
    assert "1 of 1 hold with `one`, 0 of 1 hold with `two`" in text
    assert "| `tv` | holds | no (falls: 2 of 3) |" in text
    assert "| `seeds` | not run | not run |" in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")


def test_readme_and_lessons_tell_the_same_verdicts() -> None:
    readme, everything = (TOOLS.parent / "docs" / "claims.md").read_text(encoding="utf-8"), verdicts()
    for id in figures():
        found = {name: records.get(id) for name, records in everything.items()}
        assert f"| `{id}` | {' | '.join(cell(record) for record in found.values())} |" in readme
        for name, record in found.items():
            assert record is None or f"- `{name}`: **{cell(record)}**" in verdict(id).data
            assert record is None or record["claim"] == ROWS[id].claim
            made = record["numbers"] if record else {}
            assert (made.get("size"), made.get("steps")) in ((None, None), ROWS[id].effort[0][:2])


def test_lessons_store_the_verdicts_that_they_print() -> None:
    shown = 0
    for path in sorted((TOOLS.parent / "notebooks" / "solutions").glob("*.ipynb")):
        outputs = [o for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] for o in cell.get("outputs", ())]
        for text in ("".join(output.get("data", {}).get("text/markdown", "")) for output in outputs):
            if found := re.match(r"\*\*`([a-z-]+)`\*\*, over all", text):
                assert text == verdict(found[1]).data, path.name
                shown += 1
    assert shown > 20


def test_what_made_every_committed_file_is_told() -> None:
    root, readme = TOOLS.parent, (TOOLS / "README.md").read_text(encoding="utf-8")
    told = [text for text in re.findall(r"`([^` ]+)`", readme) if "/" in text]
    folders = (
        "data/pictures",
        "data/weights",
        "data/gallery",
        "data/reference",
        "notebooks",
        "notebooks/solutions",
        "tools/bench",
    )
    made = [
        path.relative_to(root)
        for folder in folders
        for path in (root / folder).iterdir()
        if path.suffix in MADE and path.stem[:3] != "my_"
    ]
    assert len(made) > 40
    assert [path for path in made if not any(path.match(pattern) for pattern in told)] == []
    tools = [path for path in TOOLS.iterdir() if path.suffix == ".py" or (path / "__main__.py").exists()]
    assert [path.name for path in tools if f"tools/{path.name}" not in readme] == []
    assert [name for name in re.findall(r"python (tools/[\w/.]+)", readme) if not (root / name).exists()] == []


@pytest.mark.parametrize("kind", ["vgg19", "squeezenet"])
def test_rescaled_filters_have_mean_activation_one_and_compute_the_same_up_to_their_scales(kind: str) -> None:
    net, pictures = mixed_signs(kind, "avg"), [picture(1, 3, 48, 60), picture(1, 3, 60, 40, seed=1)]
    scaled = tool("train_squeezenet").rescaled(net, pictures)
    names = [name for name in net.layers if name.startswith(("relu", "fire"))]
    old, new = ([n(x, names) for x in pictures] for n in (net, scaled))
    for name in names:
        before, after = (torch.cat([f[name].flatten(2) for f in found], 2)[0] for found in (old, new))
        mean = before.mean(1)
        alive = mean > 1e-6 * mean.max()
        assert alive.any()
        torch.testing.assert_close(after.mean(1)[alive], torch.ones_like(mean)[alive], rtol=1e-9, atol=0)
        torch.testing.assert_close(after[alive] * mean[alive, None], before[alive], rtol=1e-8, atol=1e-12)


def test_a_filter_that_never_fires_is_not_scaled_and_the_network_given_stays_as_it_was() -> None:
    net = plain_network("vgg19")
    net.net.conv2_1.bias.data[0] = -1e9  # type: ignore[union-attr, operator]
    before = {k: v.clone() for k, v in net.state_dict().items()}
    scaled = tool("train_squeezenet").rescaled(net, [picture(1, 3, 40, 40)])
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert all(torch.isfinite(v).all() for v in scaled.state_dict().values())
    found = scaled(picture(1, 3, 40, 40), ["relu2_1"])["relu2_1"].mean((0, 2, 3))
    assert found[0] == 0
    torch.testing.assert_close(found[1:], torch.ones(3).double())


@pytest.mark.parametrize("path", sorted(TOOLS.rglob("*.py")), ids=lambda path: path.relative_to(TOOLS).as_posix())
def test_what_a_tool_asks_of_the_package_is_there(path: Path) -> None:
    """No tool is run by a test from end to end: a name that the package lost was seen months later."""
    tree, modules = ast.parse(path.read_text(encoding="utf-8")), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nstutils"):
            for alias in node.names:
                module = importlib.import_module(node.module or "")
                found = getattr(module, alias.name, None) or importlib.import_module(f"{node.module}.{alias.name}")
                modules[alias.asname or alias.name] = found
    own = {node.arg if isinstance(node, ast.arg) else node.id for node in ast.walk(tree)
           if isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))}  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in set(modules) - own:
            assert hasattr(modules[node.value.id], node.attr), f"line {node.lineno}: {ast.unparse(node)} is not there"
