"""The notebooks as Colab runs them: its versions, and of the book only the notebook.

Colab and the network are simulated. A local repository that holds the files as they are
stands in for the one at GitHub, and nothing else can be reached. Every notebook runs as
it is, but for the four that would train longest: there, a tenth of the images and steps
has to do, and no claim has to hold. How long each takes is reported at the end.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

import fashion_mnist
from install_colab import FOLDER, PYTHON, is_installed
from test_book import BRANCH, NAME, ROOT, URL, requirements
from test_notebooks import NOTEBOOKS, code_cells, load

VIEW = "application/vnd.jupyter.widget-view+json"
NOWHERE = "http://127.0.0.1:9"  # where no proxy listens
SHORTEST = "03-fully-connected"
LONGEST = "06-lenet", "07-concise", "11-debate", "12-extras"
# What these import after their setup: fewer images or steps, and claims that only show.
SMALLER = """
import contextlib

import claims
import fashion_mnist
import training

claim, load, fit = claims.claim, fashion_mnist.load, training.fit


def show(*arguments, **measured):
    with contextlib.suppress(AssertionError):
        claim(*arguments, **measured)


def fit_a_little(net, X, y, lr, batch_size, steps, on_step=lambda step: None):
    net = fit(net, X, y, lr, batch_size, steps // 10, on_step)
    for step in range(steps // 10, steps):
        on_step(step + 1)
    return net


claims.claim, training.fit = show, fit_a_little
fashion_mnist.load = lambda: [part[: len(part) // 10] for part in load()]
"""
# What anywidget uses of google.colab.
STUB = """
class _widgets:
    _installed_url = None


def enable_custom_widget_manager():
    _widgets._installed_url = "the manager of widgets"
"""
KERNEL = (
    "import google.colab.output, ipykernel.kernelapp as app; app.launch_new_instance()"
)
WHERE = "import bn; print(bn.__file__)"


# PyTorch 2.11 hands folders to the compiler without quotes; so there must be no space.
LINK = Path(tempfile.mkdtemp()) / "colab"


class Colab(AsyncKernelManager):
    """Starts a kernel that has Colab's versions, and google.colab imported."""

    kernel_spec = KernelSpec(
        argv=[
            str(LINK / PYTHON.relative_to(FOLDER)),
            *("-c", KERNEL, "-f", "{connection_file}"),
        ],
        language="python",
    )


class Reader(NotebookClient):
    """Runs a notebook, and looks at the clock when the first figure appears."""

    first_figure = None

    def output(self, outs, msg, display_id, cell_index):
        data = msg["content"].get("data", {})
        if self.first_figure is None and {VIEW, "image/png"} & data.keys():
            self.first_figure = time.perf_counter()
        return super().output(outs, msg, display_id, cell_index)


def run(book, folder, environment, kernel=AsyncKernelManager):
    """Run a notebook; returns the seconds until its first figure and its end."""
    resources = {"metadata": {"path": str(folder)}}
    reader = Reader(
        book,
        kernel_manager_class=kernel,
        resources=resources,
        timeout=1800,
        coalesce_streams=True,
    )
    start = time.perf_counter()
    reader.execute(env=environment)
    seconds = time.perf_counter() - start
    return reader.first_figure and reader.first_figure - start, seconds


def git(environment, *arguments):
    command = ["git", "-c", "user.name=the book", "-c", "user.email=@", *arguments]
    done = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """An environment without network, and without anything of this user's but data."""
    fashion_mnist.load()  # fetches it where it is missing
    cache = fashion_mnist.CACHE
    data = cache if cache.is_dir() else fashion_mnist.SYSTEM
    ours = ("GIT_", "PYTEST_", "TQDM_")
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith(ours)},
        "HOME": str(tmp_path_factory.mktemp("home")),
        # What other versions compile at the same time is none of its business.
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
        "FASHION_MNIST": os.environ.get("FASHION_MNIST", str(data)),
    }


@pytest.fixture(scope="module")
def online(offline, tmp_path_factory):
    """The same with the book's repository, which has a past and another branch."""
    repository = tmp_path_factory.mktemp("github") / "book.git"
    git(offline, "init", "--bare", f"--initial-branch={BRANCH}", repository)
    there = [f"--git-dir={repository}", f"--work-tree={ROOT}"]
    git(offline, *there, "commit", "--allow-empty", "-m", "Before the book")
    git(offline, *there, "branch", "empty")
    git(offline, *there, "add", ".")
    git(offline, *there, "commit", "-m", "The book")
    git(offline, *there, "symbolic-ref", "HEAD", "refs/heads/empty")
    return {
        **offline,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": URL,
    }


@pytest.fixture(scope="module")
def colab(online, tmp_path_factory):
    """The environment of a kernel in Colab."""
    if not is_installed():
        pytest.fail("Colab's versions are missing: run python tests/install_colab.py")
    LINK.symlink_to(FOLDER)
    modules = tmp_path_factory.mktemp("modules")
    (modules / "google" / "colab").mkdir(parents=True)
    (modules / "google" / "colab" / "output.py").write_text(STUB)
    (modules / "smaller.py").write_text(SMALLER)
    return {
        **online,
        "PYTHONPATH": str(modules),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "COLAB_RELEASE_TAG": "simulated",
    }


def packages():
    """What is installed, and since when."""
    found = FOLDER.glob("lib/python*/site-packages/*.dist-info")
    return {path: path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def installed():
    """What is there before the first notebook runs."""
    return packages()


@pytest.fixture(scope="module", params=NOTEBOOKS)
def opened(request, colab, installed, tmp_path_factory):
    """A notebook after it ran in Colab, and its setup a second time at the end."""
    folder = tmp_path_factory.mktemp("content")
    shutil.copy(NOTEBOOKS[request.param], folder)
    book = load(request.param)
    setup = code_cells(book)[0]
    book.cells += [new_code_cell(setup.source), new_code_cell(WHERE)]
    if request.param in LONGEST:
        setup.source += "\nimport smaller"
    first_figure, seconds = run(book, folder, colab, Colab)
    return SimpleNamespace(
        name=request.param,
        folder=folder,
        book=book,
        first_figure=first_figure,
        seconds=seconds,
        installed=packages(),
    )


def test_every_cell_runs(opened, record_property):
    assert opened.first_figure is not None
    record_property(
        f"{opened.name} in Colab",
        f"first figure after {opened.first_figure:.0f} s, "
        f"last cell after {opened.seconds:.0f} s",
    )


def shown(cell):
    """The kinds of what a cell shows; of a figure, those that Colab gets."""
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            if output.name == "stdout":  # on stderr there are bars of progress
                yield "text"
        else:
            kinds = set(output.data)
            if "data-figure=" in output.data.get("text/html", ""):
                kinds = kinds - {"text/html"} | {VIEW}
            yield " ".join(sorted(kinds))


def test_its_cells_show_what_the_page_shows(opened):
    stored = load(opened.name)
    for page, cell in zip(stored.cells[2:], opened.book.cells[2:], strict=False):
        assert list(shown(cell)) == list(shown(page)), cell.get("outputs")
    assert any(VIEW in kinds for cell in stored.cells for kinds in shown(cell))


def test_its_figures_can_be_drawn_by_colab(opened):
    states = opened.book.metadata.widgets["application/vnd.jupyter.widget-state+json"]
    for output in itertools.chain(*(c.outputs for c in code_cells(opened.book))):
        if VIEW in output.get("data", {}):
            assert "text/html" not in output.data  # which it might prefer
            model = states["state"][output.data[VIEW]["model_id"]]
            assert model["model_name"] == "AnyModel"
            assert "export default" in model["state"]["_esm"]
            manager = output.metadata[VIEW]["colab"]["custom_widget_manager"]
            assert manager == {"url": "the manager of widgets"}


def test_it_runs_the_code_that_it_fetched_and_fetches_it_once(opened, online):
    clone = opened.folder / NAME
    *_, again, where = opened.book.cells
    assert again.outputs == []
    assert where.outputs[0].text == f"{clone / 'code' / 'bn.py'}\n"
    there = online["GIT_CONFIG_KEY_0"].removeprefix("url.").removesuffix(".insteadOf")
    fetched = git(online, "-C", clone, "rev-parse", "HEAD")
    assert git(online, "ls-remote", there, BRANCH).split()[0] == fetched
    assert git(online, "-C", clone, "rev-list", "--count", "HEAD") == "1"
    assert git(online, "-C", clone, "status", "--porcelain") == ""


def test_it_replaces_nothing_that_was_installed(opened, installed):
    assert any("torch-" in path.name for path in installed)
    assert opened.installed == installed


def test_the_simulation_has_colabs_versions(colab, tmp_path, record_property):
    pins = requirements("tests/colab.txt")
    source = f"""import sys
from importlib.metadata import version
print("google.colab" in sys.modules, *map(version, {list(pins)}))
print(sys.version.split()[0])"""
    book = new_notebook(cells=[new_code_cell(source)])
    run(book, tmp_path, colab, Colab)
    versions, python = book.cells[0].outputs[0].text.splitlines()
    pinned = [str(pin.specifier).removeprefix("==") for pin in pins.values()]
    assert versions.split() == ["True", *pinned]
    record_property("Colab's versions", f"with Python {python}; Colab has 3.13")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_page_offers_its_notebook(site, name):
    page = (site / "chapters" / f"{name}.html").read_text(encoding="utf-8")
    assert f'href="../_sources/chapters/{name}.ipynb"' in page
    offered = site / "_sources" / "chapters" / f"{name}.ipynb"
    assert offered.read_bytes() == NOTEBOOKS[name].read_bytes()


def test_a_notebook_that_was_downloaded_runs_elsewhere(online, tmp_path):
    book = load(SHORTEST)
    run(book, tmp_path, online)
    assert (tmp_path / NAME / "code" / "bn.py").exists()
    figures = [
        output.data
        for cell in code_cells(book)
        for output in cell.outputs
        if VIEW in output.get("data", {})
    ]
    assert len(figures) > 1
    assert all("data-figure=" in figure["text/html"] for figure in figures)


def test_without_a_network_it_says_what_to_do(offline, online, tmp_path):
    def setup():
        cells = [new_code_cell(code_cells(load(SHORTEST))[0].source)]
        return new_notebook(cells=[*cells, new_code_cell(WHERE)])

    book = setup()
    with pytest.raises(CellExecutionError):
        run(book, tmp_path, offline)
    said = "".join(o.text for o in book.cells[0].outputs if o.output_type == "stream")
    assert "Without a network, run this notebook\ninside a copy of the book" in said
    assert URL in said
    assert list(tmp_path.iterdir()) == []
    run(setup(), tmp_path, online)  # later, with one
    run(setup(), tmp_path, offline)  # in a new kernel, with what was fetched before
