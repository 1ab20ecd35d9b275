"""The project as a whole: its dependencies, help, links, sizes, the direction of its imports, and what doctor tells."""

import argparse
import ast
import importlib.metadata
import json
import re
import shlex
import statistics
import subprocess
import sys
import tomllib
import types
from functools import cache
from pathlib import Path

import apart
import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nstutils
from nstutils import cli, doctor
from nstutils.backbones import VGG_CONVS, FeatureExtractor, vgg
from nstutils.library import weights
from nstutils.library.settings import BACKBONES
from nstutils.papers import figures
from nstutils.papers.experiments import ROWS
from nstutils.runs import devices

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "nstutils"
MODULES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))}
MAY = {  # the rooms that the modules of a room may import from; everybody may ask the core, and the command line everybody
    "core": {"library", "runs"},
    "library": set(),
    "runs": {"library"},
    "fast": {"library", "runs"},
    "papers": {"library", "runs", "fast", "course"},
    "course": {"library", "runs", "fast", "papers"},
}


@cache
def tree(module: str) -> ast.Module:
    """What a module says."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def project() -> dict[str, list[str]]:
    """The dependencies that pyproject.toml names."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"all": table["dependencies"], "dev": table["optional-dependencies"]["dev"]}


def pins() -> dict[str, str]:
    """The versions that constraints.txt pins."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in pairs}


def test_conda_and_pip_install_the_same() -> None:
    parts = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    (by_pip,) = [part["pip"] for part in parts if isinstance(part, dict)]
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(set(by_pip) - {"-e ."}) == sorted(project()["all"])
    assert f"python={table['requires-python'].removeprefix('>=')}" in parts  # repo2docker reads no range


@pytest.mark.parametrize("text", project()["all"] + project()["dev"])
def test_every_dependency_is_pinned_within_its_range(text: str) -> None:
    wanted = Requirement(text)
    pinned = pins().get(canonicalize_name(wanted.name))
    assert pinned, f"constraints.txt does not pin {wanted.name}"
    assert wanted.specifier.contains(pinned)


def test_every_module_that_is_imported_is_a_dependency() -> None:
    names = importlib.metadata.packages_distributions()
    wanted = {canonicalize_name(Requirement(text).name) for text in project()["all"]}
    for module in MODULES:
        found = {n.module for n in ast.walk(tree(module)) if isinstance(n, ast.ImportFrom) and n.module}
        found |= {alias.name for n in ast.walk(tree(module)) if isinstance(n, ast.Import) for alias in n.names}
        for name in {name.split(".")[0] for name in found} & set(names) - {"nstutils"}:
            assert {canonicalize_name(package) for package in names[name]} & wanted, f"{module} imports {name}"


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers by the command that they read."""
    top = cli.parser()
    (sub,) = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    return {"": top} | dict(sub.choices)


@pytest.mark.parametrize(("name", "command"), commands().items(), ids=commands())
def test_the_help_of_every_command_states_every_default(
    name: str, command: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([*name.split(), "--help"])
    assert end.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"usage: nstutils {name}".strip())
    for action in command._actions:
        if action.dest in ("help", "version", "command"):
            continue
        assert action.help
        assert " ".join(action.help.split()).replace("%%", "%") in said
        if action.option_strings and not action.required:
            assert "(default: " in action.help, f"{action.dest} does not say its default"
        if isinstance(action.default, str | float | int) and not isinstance(action.default, bool):
            assert f"(default: {action.default})" in action.help
        assert action.help.count("(default: ") <= 1


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    said = capsys.readouterr().out
    assert all(re.search(rf"^ +{name} ", said, re.MULTILINE) for name in commands() if name)


def tracked() -> list[Path]:
    """The files that git knows; skips where there is no git."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name]


def test_no_file_in_git_is_larger_than_eight_megabytes() -> None:
    files = [path for path in tracked() if path.is_file()]
    assert len(files) > 20
    assert {path.name: path.stat().st_size for path in files if path.stat().st_size > 8 * 2**20} == {}


def test_every_picture_of_the_gallery_stands_above_the_command_that_makes_it() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\(\.\./(data/gallery/([\w-]+)\.jpg)\)\n\n.+\n\n```\nnstutils figure ([\w-]+)\n```", page)
    assert len(shown) == page.count("data/gallery/") >= 4
    assert [name for _, name, command in shown if name != command] == []
    assert set(ROWS) >= {name for _, name, _ in shown}
    assert sum((ROOT / file).stat().st_size for file, _, _ in shown) < 1.5e6


PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("data/*/*.md"),
    ROOT / "tools" / "README.md",
    ROOT / "notebooks" / "README.md",
]


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith(("#", "mailto:"))]
    assert [link for link in local if not (page.parent / link.split("#")[0]).exists()] == []


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 1200


def test_every_command_of_the_pages_is_one_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [block for page in PAGES for block in re.split(r"^```\w*$", page.read_text(encoding="utf-8"), flags=re.M)[1::2]]
    lines = [line.split("#")[0].strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = {line for line in lines if line.startswith("nstutils ")}
    words = {"CONTENT": "town", "STYLE": "swirls", "[STYLE": "swirls", "...]": "glass", "NETWORK": "classroom"}
    assert len(commands) > 12
    for command in commands:
        asked = [words.get(word, word) for word in shlex.split(command)[1:]]
        assert cli.parser().parse_args(asked).command == asked[0], command  # it exits where a word is not known


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(code.replace("256", "64").replace("512", "64").replace("steps=100", "steps=2"), {})
    assert (tmp_path / "mine.png").exists()


def imports(module: str) -> set[str]:
    """The modules of this package that a module imports, also inside its functions."""
    found = set()
    typing = {n for i in tree(module).body if isinstance(i, ast.If) and ast.unparse(i.test) == "TYPE_CHECKING" for n in i.body}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node not in typing:  # those for typing are read by mypy alone
            assert node.level == 0, "imports name the package"
            parts = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            found |= {part.removeprefix("nstutils.") for part in parts if part.startswith("nstutils.")}
    return found & set(MODULES)


def room(module: str) -> str:
    """The room of a module; those of the package itself are the core."""
    return module.partition(".")[0] if "." in module else "core"


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("__init__", "__main__", "cli", "doctor")])
def test_a_room_knows_only_the_rooms_beneath_it(module: str) -> None:
    assert {room(other) for other in imports(module)} <= MAY[room(module)] | {"core", room(module)}


def test_no_circle_of_imports() -> None:
    left = {name: imports(name) - {name} for name in MODULES if not name.startswith("__")}
    while left:
        free = {name for name, wanted in left.items() if not wanted & set(left)}
        assert free, f"these import each other in a circle: {', '.join(left)}"
        left = {name: wanted for name, wanted in left.items() if name not in free}


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_and_checks_print_and_nobody_opens_windows(module: str) -> None:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print" or module == "cli" or "check" in module, f"line {node.lineno} prints"
        if isinstance(node, ast.Attribute):
            assert not (node.attr == "show" and isinstance(node.value, ast.Name) and node.value.id == "plt")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not any("pyplot" in name for name in names), f"line {node.lineno} imports pyplot"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_private_of_another_module_is_used(module: str) -> None:
    imported, used = set(), set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom | ast.Import):
            imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
            used |= {part for alias in node.names for part in f"{getattr(node, 'module', '')}.{alias.name}".split(".")}
        if isinstance(node, ast.Attribute):
            *path, name = ast.unparse(node).split(".")
            used |= {name} if path[0] in imported else set()
    assert {name for name in used if re.match("_[^_]", name)} <= {"_exit"}  # of os: public, for all its name


def test_functions_are_short() -> None:
    functions = {
        f"{module}.{node.name}, line {node.lineno}": (node.end_lineno or 0) - node.lineno + 1
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: lines for name, lines in functions.items() if lines > 40} == {}
    assert statistics.median(functions.values()) <= 6


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("__")])
def test_modules_and_public_names_have_a_docstring(module: str) -> None:
    assert ast.get_docstring(tree(module))
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_doctor_tells_what_is_chosen_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    facts = {line.partition(":")[0]: line.partition(":")[2].strip() for line in said.splitlines()}
    device, dtype = devices.choose()
    assert f"{device}, {str(dtype).removeprefix('torch.')} inside the network (" in facts["computing"]
    assert re.search(r"\((as asked|the processor .+)\)", facts["computing"])
    assert f"torch {torch.__version__}".split("+")[0] in facts["packages"]
    assert "quick: 256 px" in facts["preset"]
    assert re.search(r"^classroom .*weights [0-9a-f]{8}$", facts["backbone"])
    assert "starry_night" in facts["to fetch"]
    assert facts["networks"] == "none kept; vgg19, vgg16, squeezenet, vgg16-hed not (nstutils fetch NAME)"
    assert "cores" in facts["processor"]
    assert "GB" in facts["memory"]


def test_doctor_also_speaks_where_a_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "a-package-that-is-not-there"))
    assert "a-package-that-is-not-there missing" in doctor.facts()["packages"]


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_the_number_type_that_is_asked_for_is_taken(asked: str) -> None:
    assert devices.choose("cpu", asked) == (torch.device("cpu"), getattr(torch, asked))


@pytest.mark.parametrize("pays", [True, False])
def test_bfloat16_is_taken_where_the_processor_has_it(pays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_has", lambda feature: pays)
    monkeypatch.setattr(devices, "_used_by_onednn", lambda: True)  # else this processor decides
    assert devices.choose("cpu")[1] == (torch.bfloat16 if pays else torch.float32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert ("no bfloat16" in devices.reasons()) != pays


@pytest.mark.parametrize("words", [("tpu", "auto"), ("cpu", "float16"), ("mps", "auto"), ("cuda", "auto")])
def test_what_this_computer_does_not_have_is_refused(words: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="; "):
        devices.choose(*words)


@pytest.mark.parametrize("name", [name for name in BACKBONES if not name.startswith("vgg") and name != "squeezenet"])
def test_doctor_shows_the_layers_of_a_network(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--layers", name]) == 0
    lines = capsys.readouterr().out.splitlines()
    end = next(index for index, line in enumerate(lines) if line.startswith(f"{name}: "))
    rows = {line.split()[0]: line.split() for line in lines[1:end]}
    assert list(rows) == list(weights.structure(name).layers)
    assert rows["pool5"][2] == "8"
    assert rows["relu1_1"][7] == "0"
    counted = sum(int(row[7].replace(",", "")) for row in rows.values())
    assert f"{counted:,} parameters" in lines[end]
    if name == "random-vgg19":
        assert counted == 20_024_384


def test_doctor_shows_which_filters_a_copy_has_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    widths = (4, 4, 5, 224, 4)
    net = FeatureExtractor(vgg(widths, VGG_CONVS["vgg16"]), name="classroom")
    many = [511, *range(3, 9), *range(40, 474, 2)]
    kept = {"conv1_1": [3, 9, 1, 7], "conv3_1": [0, 1, 2, 3, 9], "conv4_2": many, "conv5_3": [1]}
    weights.save(net, tmp_path / "copy.safetensors", kept=json.dumps(kept))
    monkeypatch.setenv("NSTUTILS_WEIGHTS", str(tmp_path / "copy.safetensors"))
    assert cli.main(["doctor", "--layers", "classroom"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 128
    table = "\n".join(lines[34:])
    assert "conv1_1   3 9 1 7" in table
    assert "conv3_1   0 1 2 3 9" in table
    assert "conv5_3   1" in table
    told = table[table.index("conv4_2") + len("conv4_2") : table.index("conv5_3")].split()
    assert told == list(map(str, many))


def test_doctor_says_nothing_of_kept_filters_where_a_file_tells_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.layers("vgg16-hed").endswith("14,714,688 parameters in all")


def test_bfloat16_is_not_chosen_where_onednn_may_not_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not apart.found(apart.bfloat16_by_avx2)  # torch asks oneDNN, and we ask torch
    monkeypatch.setattr(devices, "_has", lambda feature: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert devices.choose("cpu")[1] == torch.float32


def test_the_names_that_the_command_line_knows_without_loading_anything_are_those_there_are() -> None:
    assert figures() == list(ROWS)


@pytest.mark.parametrize("words", ["-c 'import nstutils'", "-m nstutils", "-m nstutils --help", "-m nstutils figure list"])
def test_what_needs_no_torch_does_not_load_it(words: str) -> None:
    done = subprocess.run(f"{sys.executable} -X importtime {words}", shell=True, capture_output=True, text=True, check=False)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "nstutils" in loaded
    assert not loaded & {"torch", "numpy", "PIL", "matplotlib"}


def test_the_program_that_is_installed_begins_where_the_project_says() -> None:
    """One that was installed before an interrupt was told while modules load would not tell it."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (found,) = importlib.metadata.entry_points(group="console_scripts", name="nstutils")
    assert found.value == table["scripts"]["nstutils"], "pip install -e . brings the program up to date"


def test_every_name_of_the_package_is_found_and_none_is_that_of_a_module() -> None:
    assert all(callable(getattr(nstutils, name)) for name in nstutils.__all__)
    assert all(isinstance(getattr(nstutils, name), types.ModuleType) for name in nstutils.MODULES)
    assert not set(nstutils.__all__) & {path.stem for path in PACKAGE.iterdir()}
