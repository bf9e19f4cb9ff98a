"""Puts the book's code on the path, and has the built site and a browser ready."""

import contextlib
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from playwright.sync_api import sync_playwright
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = "code", "extensions", "measurements", "tools"
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]

from install_browser import FLAGS, find_chromium
from serve import in_background
from test_book import read, toc_files

SITE = ROOT / "_build" / "html"
PAGES = toc_files()
SOURCES = [
    "_config.yml",
    "_toc.yml",
    "*.bib",
    "_static/*",
    "chapters/*",
    "code/figures/*",
    "extensions/*.py",
    "measurements/results/*.json",
]
# What Windows lacks the signals, limits, links and, in its path, the compiler for; and
# Colab is a Linux.
collect_ignore = []
if os.name == "nt":
    collect_ignore += ["test_bad_days.py", "test_fashion_mnist.py", "test_habits.py"]
    collect_ignore += ["test_compiled.py", "test_sync.py"]
if sys.platform != "linux":
    collect_ignore += ["test_colab.py"]
STORED_WITH = "AVX512"  # the vector unit that made the stored outputs
# Draws a figure as a notebook does; `window.set` changes its state from outside.
NOTEBOOK = """async ([module, state]) => {
  const listeners = {};
  const model = {
    get: name => state[name],
    set() {}, save_changes() {},
    on(event, f) { (listeners[event] ??= []).push(f); },
  };
  window.set = (name, value) => {
    state[name] = value;
    for (const f of listeners["change:" + name] ?? []) f();
  };
  const source = new Blob([module], { type: "text/javascript" });
  const { default: widget } = await import(URL.createObjectURL(source));
  widget.render({ model, el: document.body });
}"""


def pytest_configure(config):
    """Compare the values in claims only where they can be equal."""
    if torch.backends.cpu.get_cpu_capability() != STORED_WITH:
        config.option.nbval_sanitize_with = str(ROOT / "tests/other_processors.cfg")


class ByNotebook(LoadScopeScheduling):
    """A module of tests stays on one worker, but for the notebooks in Colab.

    Together they take longer than anything else, so each is a group for itself.
    """

    def _split_scope(self, nodeid):
        notebook = re.search(r"test_colab\.py::\w+\[(.+)\]$", nodeid)
        return notebook[1] if notebook else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return ByNotebook(config, log)


def pytest_terminal_summary(terminalreporter):
    """Report what tests measured and did not judge."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


def pytest_report_header():
    return [f"left out on this system: {name}" for name in collect_ignore]


@pytest.fixture(scope="module")
def site():
    """The folder of the built pages; fails unless it is newer than its sources."""
    sources = [p for s in SOURCES for p in ROOT.glob(s) if p.is_file()]
    built = [p for p in SITE.rglob("*") if p.is_file()]
    pages = [SITE / f"{name}.html" for name in PAGES]
    if not all(page.exists() for page in pages):
        pytest.fail("pages are missing: run make book")
    if max(p.stat().st_mtime for p in sources) > max(p.stat().st_mtime for p in built):
        pytest.fail("the pages are older than their sources: run make book")
    return SITE


@pytest.fixture(scope="module")
def server(site):
    """The address of a server of the built pages."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=site)
    with in_background(handler) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        pytest.fail("no Chromium: run python tools/install_browser.py")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def copy(tmp_path):
    """A copy of the book, installed, in a folder with spaces and an umlaut."""
    folder = tmp_path / "büch mit leerzeichen"
    ignored = [line.rstrip("/") for line in read(".gitignore").splitlines()]
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", *ignored))
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("requirements.txt", "constraints.txt"):
        os.utime(folder / name, (0, 0))  # older than what was installed
    return folder


def make(folder, *arguments, **environment):
    """Run make in a copy of the book, as if no other make had started the tests."""
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MF"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**outside, **environment},
        capture_output=True,
        text=True,
    )


def without_mathematics(context):
    """Let pages open in half the time, for tests of other things than formulas."""
    context.route("**/mathjax/*", lambda route: route.abort())


@contextlib.contextmanager
def alive(browser, server, chapter, name):
    """The last figure `name` on a chapter's page, once its script has drawn it."""
    context = browser.new_context(
        viewport={"width": 1000, "height": 900}, has_touch=True
    )
    without_mathematics(context)
    page = context.new_page()
    page.goto(f"{server}chapters/{chapter}.html")
    figure = page.locator(f"[data-figure={name}] > .bn-live").last
    figure.locator("input, button").first.wait_for()
    figure.scroll_into_view_if_needed()
    yield figure
    context.close()


def touch(figure, *places):
    """Move one finger over the `places`, given as (x, y) in px."""
    session = figure.page.context.new_cdp_session(figure.page)
    kinds = ["Start", *["Move"] * (len(places) - 1), "End"]
    for kind, place in zip(kinds, [*places, None], strict=True):
        points = [] if place is None else [{"x": place[0], "y": place[1]}]
        session.send(
            "Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points}
        )
