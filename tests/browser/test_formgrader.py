"""nbgrader's own page shows what the course's grader has found."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def formgrader(tmp_path: Path) -> Iterator[str]:
    """A course of one lesson with a right and a blank submission, graded, and the address of its page."""
    course, token = tmp_path / "course", secrets.token_hex(8)
    command, of = [sys.executable, str(ROOT / "tools" / "course")], ["--course", str(course), "--lesson", "02"]
    subprocess.run([*command, "make", *of], check=True)
    for student, folder in (("ada", ROOT / "notebooks" / "solutions"), ("bob", ROOT / "notebooks")):
        path = course / "submitted" / student / "02" / "02_content_reconstruction.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes((folder / path.name).read_bytes())
    subprocess.run([*command, "grade", *of, "--nbgrader"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--allow-root", f"--IdentityProvider.token={token}"]
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], cwd=course, env=os.environ | folders, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        time.sleep(0.2)
        try:
            urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=5).close()
            break
        except OSError:
            continue
    yield f"{address}/login?token={token}"
    server.terminate()
    server.wait(20)


def test_formgrader_shows_the_points_of_a_graded_class(formgrader: str, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 500})
    page.goto(formgrader)
    page.goto(formgrader.partition("/login")[0] + "/formgrader/gradebook/02/02_content_reconstruction")
    page.locator("text=Submission #1").first.wait_for(timeout=60_000)
    rows = page.locator("tbody tr").all_inner_texts()
    (ROOT / "build" / "browser").mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ROOT / "build" / "browser" / "formgrader.png")
    assert sorted(words[words.index("/") - 1] for row in rows if "/" in (words := row.split())) == ["0", "9"]
    page.close()
