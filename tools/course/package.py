"""The autograder of a lesson as one archive for Gradescope, or for any container: it needs nothing of this repository."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import begin

HERE = Path(__file__).resolve().parent
NEEDED = ("wire.py", "sandbox.py", "bundle.py", "repair.py", "grade.py", "__main__.py", "batch.py", "begin.py")
PACKAGES = (  # what grading imports; of the package's dependencies JupyterLab and nbgrader are not needed
    "anywidget", "h5py", "ipython", "ipywidgets", "matplotlib", "numpy", "pillow", "pooch", "psutil",
    "requests", "safetensors", "scikit-image", "scipy", "statsmodels", "torchvision", "tqdm", "traitlets",
)  # fmt: skip
SETUP = """#!/usr/bin/env bash
# what the autograder needs: Python 3.11 or later (Ubuntu 22.04 has 3.10), PyTorch for processors, the course's package
set -e
cd "$(dirname "$0")"
found() {
    for one in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        "$one" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$one" && return
    done
}
if ! found; then
    apt-get update
    apt-get install -y python3 python3-venv
    found || apt-get install -y python3.11 python3.11-venv
fi
PYTHON=$(found) || { echo "Python 3.11 or later is wanted; choose a newer base image"; exit 1; }
INDEX=${TORCH_INDEX---index-url https://download.pytorch.org/whl/cpu}
"$PYTHON" -m venv venv
venv/bin/pip install --no-cache-dir -c constraints.txt $INDEX torch torchvision
venv/bin/pip install --no-cache-dir -c constraints.txt -r requirements.txt
venv/bin/pip install --no-cache-dir --no-deps nstutils-*.whl
chmod -R go-rwx tests
"""
RUN = """#!/usr/bin/env bash
# grade what was handed in; a folder and a file given are those of another service than Gradescope
cd "$(dirname "$0")"
test -d /autograder/source/course && cd /autograder/source
exec venv/bin/python course autograde "${1:-/autograder/submission}" --lesson LESSON --tests tests --memory 384 --gradescope \\
    -o "${2:-/autograder/results/results.json}"
"""


def wheel(folder: Path) -> Path:
    """The package with its pictures and weights."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(HERE.parents[1]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        command.remove("--no-build-isolation")
        subprocess.run(command, check=True)
    return next(folder.glob("nstutils-*.whl"))


def archive(number: str, tests: Path, target: Path) -> Path:
    """All that grades one lesson, in all versions that were handed out."""
    begin.bundles(tests, [number])
    root = HERE.parents[1]
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        files = {f"course/{name}": HERE / name for name in NEEDED} | {"constraints.txt": root / "constraints.txt"}
        files |= {f"tests/{path.name}": path for path in sorted(tests.glob(f"{number}-*.json"))}
        built = wheel(place)
        files[built.name] = built
        texts = {
            "setup.sh": SETUP,
            "run_autograder": RUN.replace("LESSON", number),
            "requirements.txt": "\n".join(PACKAGES) + "\n",
        }
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
            os.chmod(place / name, 0o755)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, path in (files | {name: place / name for name in texts}).items():
                packed.write(path, name)
        shutil.move(part, target)
    return target
