"""Lessons in a real browser: a JupyterLab server on loopback with a token, Chromium, and a notebook to press keys on."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 180  # the longest wait for a whole lesson, on a busy machine
SETTINGS = {  # of JupyterLab: every cell is in the page, and nothing is asked of the network
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
}

RUN = """(cells => cells.every(cell => cell.executionCount) || cells.some(cell =>
    !(cell.getMetadata('tags') ?? []).includes('raises-exception')
    && cell.outputs.toJSON().some(output => output.output_type === 'error'))
)(jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model)
    .filter(cell => cell.type === 'code' && cell.sharedModel.getSource().trim()))"""  # whether a notebook has run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything below this folder needs a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            if not CHROMIUM:
                item.add_marker(pytest.mark.skip(reason="no Chromium; make browser installs it"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Leave on each test whether it failed, for the screenshot."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


FAILED = pytest.StashKey[bool]()


class Lab:
    """A JupyterLab server over a copy of the lessons."""

    def __init__(self, folder: Path):
        self.folder, self.token, self.workspaces = folder / "lessons", secrets.token_hex(16), 0
        shutil.copytree(ROOT / "notebooks", self.folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        for name, values in SETTINGS.items():
            file = folder / "settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = folder / "server.log"
        self.process = self._start(folder)
        self._wait()

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        """The server, in an environment of its own."""
        places = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "RUNTIME", "DATA")}
        places |= {f"JUPYTERLAB_{name}_DIR": str(folder / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
        settings = {"NSTUTILS_PRESET": "smoke", "OMP_NUM_THREADS": "1", "NSTUTILS_CACHE": str(folder / "cache")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("NSTUTILS_")}
        options = [
            f"--port={self.port}",
            "--ServerApp.port_retries=0",
            "--no-browser",
            f"--IdentityProvider.token={self.token}",
        ]
        options += [f"--ServerApp.root_dir={self.folder}", "--LabApp.expose_app_in_browser=True", "--allow-root"]
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "jupyterlab", *options]
            return subprocess.Popen(command, env=kept | places | settings, stdout=log, stderr=log, cwd=folder)

    def _wait(self, seconds: float = 60) -> None:
        """Until the server answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                self.ask("status")
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not start; it said: {self.log.read_text(encoding='utf-8')[-1000:]}")

    def ask(self, what: str, method: str = "GET") -> Any:
        """One question to the server's own interface."""
        address = f"http://127.0.0.1:{self.port}/api/{what}"
        request = urllib.request.Request(address, method=method, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def url(self, file: str) -> str:
        """The address of a notebook, in a workspace that nothing was opened in before."""
        self.workspaces += 1
        return f"http://127.0.0.1:{self.port}/lab/workspaces/w{self.workspaces}/tree/{file}?token={self.token}&reset"

    def write(self, name: str, *cells: str) -> str:
        """Make a notebook of these code cells, and give its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / name)
        return name

    def rest(self) -> None:
        """End all kernels: the next test wants the memory."""
        for kernel in self.ask("kernels"):
            self.ask(f"kernels/{kernel['id']}", "DELETE")

    def close(self) -> None:
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Notebook:
    """A notebook in the browser, as a reader has it before them."""

    def __init__(self, page: Any):
        self.page = page
        self.wait("jupyterapp.shell.currentWidget?.context?.isReady && jupyterapp.shell.currentWidget.sessionContext.isReady")
        self.wait_idle()

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Until a JavaScript condition holds."""
        guarded = f"() => {{ try {{ return Boolean({condition}) }} catch {{ return false }} }}"
        self.page.wait_for_function(guarded, timeout=1000 * seconds, polling=100)

    def wait_idle(self) -> None:
        """Until the kernel has nothing to do."""
        self.wait("jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")

    def start(self, command: str, what: str = "Restart") -> None:
        """Begin a command of JupyterLab's menus, and press the button of the question it asks."""
        self.page.evaluate(
            "name => { window.ended = false; window.jupyterapp.commands.execute(name).finally(() => window.ended = true) }",
            command,
        )
        if what:
            self.page.locator(".jp-Dialog-button.jp-mod-accept", has_text=what).click()

    def restart_and_run_all(self, seconds: float = SECONDS) -> None:
        """Kernel, Restart Kernel and Run All Cells."""
        self.start("notebook:restart-run-all")
        self.wait_run(seconds)

    def wait_run(self, seconds: float = SECONDS) -> None:
        """Until every cell has run, or one that may not raise has: the command itself ends with the first that does."""
        self.wait(f"window.ended && ({RUN})", seconds)
        self.wait_idle()

    def cells(self) -> list[dict[str, Any]]:
        """The code cells with their outputs, as they would be saved."""
        script = "jupyterapp.shell.currentWidget.context.model.toJSON().cells.filter(cell => cell.cell_type === 'code')"
        return list(self.page.evaluate(script))

    def errors(self) -> list[tuple[str, str]]:
        """What went wrong: the first line of each cell that raised, and its error."""
        found = []
        for cell in self.cells():
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            for output in cell["outputs"]:
                if output["output_type"] == "error":
                    found.append((source.splitlines()[0], f"{output['ename']}: {output['evalue']}"))
        return found

    def unrun(self) -> list[str]:
        """Code cells that have never run."""
        return [str(cell["source"])[:60] for cell in self.cells() if cell["source"] and not cell["execution_count"]]

    def broken_pictures(self) -> int:
        """Pictures in the outputs that the browser could not show."""
        script = (
            "[...document.querySelectorAll('.jp-OutputArea-output img')].filter(i => !(i.complete && i.naturalWidth)).length"
        )
        return int(self.page.evaluate(script))

    def output(self, number: int) -> Any:
        """The output area of a code cell."""
        return self.page.locator(".jp-CodeCell").nth(number).locator(".jp-Cell-outputArea")

    def text(self, number: int) -> str:
        """All text below a code cell."""
        return str(self.output(number).inner_text())

    def save_and_reload(self, lab: Lab) -> None:
        """Save the notebook, and load its page again."""
        self.page.evaluate("jupyterapp.shell.currentWidget.context.save()")
        file = self.page.evaluate("jupyterapp.shell.currentWidget.context.path")
        self.page.goto(lab.url(file))
        self.__init__(self.page)  # type: ignore[misc]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One server for all tests."""
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; pip install -e .[dev]")
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=root)
        yield running
        running.close()


Open = Callable[..., Notebook]


@pytest.fixture
def show(lab: Lab, browser: Any, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open a notebook in a page of its own, of some width; on failure a screenshot is left in build/browser."""
    pages: list[Any] = []

    def opened(file: str, width: int = 1280, height: int = 900, **options: Any) -> Notebook:
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.set_default_timeout(60_000)
        page.goto(lab.url(file))
        return Notebook(page)

    yield opened
    for number, page in enumerate(pages):
        if request.node.stash.get(FAILED, True):
            folder = ROOT / "build" / "browser"
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{re.sub(r'[^0-9A-Za-z_-]+', '-', request.node.name)}-{number}.png")
        page.close()
    lab.rest()
