"""Days on which things go wrong: what must not be lost, and what is said.

The faults of the data's mirror, and a full disk, are in test_fashion_mnist.py.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import tidy
from conftest import make
from fashion_mnist import CACHE, load
from test_book import ROOT
from test_notebooks import NOTEBOOKS

# Python reads this file when it starts; it is inherited by all that make starts.
NO_NETWORK = """
import sys

def refuse(event, args):
    network = event == "socket.connect" and isinstance(args[1], tuple)
    if network or event == "socket.getaddrinfo":  # else a socket between processes
        raise RuntimeError(f"the network is asked for: {event} {args}")

sys.addaudithook(refuse)
"""


# Where the book lies.


def test_pages_are_the_same_from_an_odd_folder_without_network_and_with_crlf(
    copy, site
):
    hook = copy.parent / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(NO_NETWORK)
    offline = {"PYTHONPATH": str(hook)}
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1')"
    run = [sys.executable, "-c", ask]
    asked = subprocess.run(run, env={**os.environ, **offline}, capture_output=True)
    assert b"the network is asked for" in asked.stderr

    for pattern in ("_*.yml", "*.bib", "chapters/*", "code/**/*.*", "extensions/*.py"):
        for path in copy.glob(pattern):
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    built = make(copy, "book", **offline)
    assert built.returncode == 0, built.stderr
    assert built.stdout.endswith(f"Open {copy}/_build/html/index.html\n")
    made = [*site.rglob("*.html"), *site.glob("_static/figures.*")]
    assert len(made) > 12
    for page in [path.relative_to(site) for path in made]:
        assert (copy / "_build/html" / page).read_bytes() == (site / page).read_bytes()


def test_git_gives_and_takes_unix_line_ends_on_windows(tmp_path):
    def git(*command, at=tmp_path / "book"):
        windows = ["-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email="]
        subprocess.run(["git", *windows, *command], cwd=at, check=True)

    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / ".gitattributes", tmp_path / "book")
    texts = "Makefile", "a.ipynb", "a.py", "a.md", ".ci"
    for name in texts:
        (tmp_path / "book" / name).write_bytes(b"a\r\nb\r\n")
    picture = b"\x89PNG\r\n\x1a\n\0\0\r\n"
    (tmp_path / "book" / "a.png").write_bytes(picture)
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    git("clone", "--quiet", "book", "clone", at=tmp_path)
    for name in texts:
        assert (tmp_path / "clone" / name).read_bytes() == b"a\nb\n"
    assert (tmp_path / "clone" / "a.png").read_bytes() == picture


READ = """
import matplotlib
import nbformat
matplotlib.use("agg")
setup = nbformat.read("02-transform.ipynb", nbformat.NO_CONVERT).cells[1]
exec(setup.source)

import figures
from fashion_mnist import load

assert len(load()[0]) == 60_000
for name in figures.__all__:
    arguments = ["transform"] if name == "Quiz" else []
    assert getattr(figures, name)(*arguments).twin()
"""


def test_a_checkout_that_is_read_only_can_be_read(tmp_path):
    load()  # fetches the data if no place has them yet
    book = tmp_path / "book"
    for folder in ("code", "chapters", "measurements"):
        shutil.copytree(ROOT / folder, book / folder)
    if CACHE.is_dir():
        (book / "data").symlink_to(CACHE)
    paths = [book, *(path for path in book.rglob("*") if not path.is_symlink())]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    # Root may write everywhere; as root, give that right up.
    command = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    command += [sys.executable, "-W", "error", "-c"]

    def run(code):
        run = [*command, code]
        return subprocess.run(run, cwd=book / "chapters", capture_output=True)

    try:
        assert b"PermissionError" in run("open('a', 'w')").stderr
        reading = run(READ)
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)
    assert reading.returncode == 0, reading.stderr


# The port of `make serve`.


@contextlib.contextmanager
def serving(site, port):
    """Run the server as `make serve` does; yield it and the lines that it prints."""
    code = f"import serve, pathlib; serve.serve(pathlib.Path({str(site)!r}), {port})"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT / "tools",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that a shell started in the background would hand on its deafness.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        lines = [process.stdout.readline()]
        if "http://" not in lines[0]:
            lines.append(process.stdout.readline())
        try:
            yield process, lines
        finally:
            process.kill()


def fetch(line):
    address = line.split()[0]
    assert address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(address) as page:
        return page.read()


@pytest.fixture
def pages(tmp_path):
    (tmp_path / "index.html").write_bytes(b"a page")
    return tmp_path


def test_a_port_in_use_is_left_alone_and_another_one_taken(pages):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with serving(pages, port) as (_, (complaint, address)):
            assert str(port) in complaint and str(port) not in address
            assert fetch(address) == b"a page"


def test_the_port_that_was_asked_for_is_taken_and_free_again_afterwards(pages):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    for _ in range(2):
        with serving(pages, port) as (process, (address,)):
            assert address.startswith(f"http://127.0.0.1:{port}/ ")
            assert fetch(address) == b"a page"
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert "Traceback" not in process.stderr.read()


def test_without_pages_the_server_says_how_to_build_them(tmp_path):
    with serving(tmp_path, 0) as (process, lines):
        assert process.wait(60) == 1
        assert lines == ["", ""]
        assert process.stderr.read() == "There are no pages yet: run make book\n"


def test_make_serve_serves_the_pages_of_the_book(site):
    with subprocess.Popen(
        ["make", "serve"], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        lines = iter(lambda: process.stdout.readline().decode(), "")
        address = next(line for line in lines if line.startswith("http://"))
        served = fetch(address)
        os.killpg(process.pid, signal.SIGKILL)
    assert served == (site / "index.html").read_bytes()


# A kernel that dies.


@pytest.fixture
def notebooks(copy):
    """Write notebooks of one cell into a copy of the book; give their paths."""
    for path in copy.glob("chapters/*"):
        path.unlink()

    def write(**sources):
        for name, source in sources.items():
            book = new_notebook(cells=[new_code_cell(source)])
            nbformat.write(tidy.tidy(book), copy / "chapters" / f"{name}.ipynb")
        return [copy / "chapters" / f"{name}.ipynb" for name in sources]

    write.folder = copy
    return write


def printed(path):
    [cell] = nbformat.read(path, nbformat.NO_CONVERT).cells
    return [output.text for output in cell.outputs]


def test_a_notebook_whose_kernel_dies_stays_as_it_was_and_the_rest_is_done(notebooks):
    first, last = notebooks(first="import os; os._exit(9)", last="print('last')")
    stored = first.read_bytes()
    run = make(notebooks.folder, "execute")
    assert run.returncode == 2
    assert "left as they were: chapters/first.ipynb. " in run.stderr
    assert first.read_bytes() == stored
    assert printed(last) == ["last\n"]

    # A second run goes on with what is left, and a third has nothing to do.
    notebooks(first="print('first')")
    done = last.stat().st_mtime_ns
    for _ in range(2):
        run = make(notebooks.folder, "execute")
        assert run.returncode == 0, run.stderr
        assert printed(first) == ["first\n"]
        assert last.stat().st_mtime_ns == done
    assert "Converting" not in run.stderr

    # After a change of the code all is run again.
    (notebooks.folder / "code" / "bn.py").touch()
    asked = make(notebooks.folder, "--dry-run", "execute").stdout
    assert asked.count("--execute") == 2
    asked = make(notebooks.folder, "--dry-run", "execute", "NOTEBOOKS=chapters/a.ipynb")
    assert "chapters/a.ipynb" in asked.stderr


def test_who_ends_a_run_in_the_middle_loses_nothing(notebooks):
    [path] = notebooks(
        slow="open('../begun', 'w').close(); import time; time.sleep(99)"
    )
    stored = path.read_bytes()
    process = subprocess.Popen(
        ["make", "execute"],
        cwd=notebooks.folder,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        while not (notebooks.folder / "begun").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert path.read_bytes() == stored
    assert list(path.parent.iterdir()) == [path]
    assert "--execute" in make(notebooks.folder, "--dry-run", "execute").stdout


# A notebook that another tool saved.


def as_colab_saves(book):
    book["nbformat_minor"] = 0
    book["metadata"] |= {"colab": {"name": "a.ipynb", "toc_visible": True}}
    book["metadata"]["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    book["metadata"].pop("language_info")
    book["metadata"].pop("accelerator")
    book["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    for cell in book["cells"]:
        cell["metadata"] |= {"id": cell.pop("id"), "executionInfo": {"elapsed": 12}}


def as_visual_studio_code_saves(book):
    book["metadata"]["kernelspec"] |= {"name": ".venv", "display_name": ".venv (3.13)"}
    book["metadata"]["language_info"] |= {"version": "3.13.0", "pygments_lexer": "a"}
    for cell in book["cells"]:
        cell["metadata"]["vscode"] = {"languageId": "python"}


def as_jupyter_saves_with_timings(book):
    book["metadata"]["toc-autonumbering"] = True
    for cell in book["cells"]:
        times = {"iopub.execute_input": "2026-11-01T12:00:00.000000Z"}
        cell["metadata"] |= {"execution": times, "collapsed": False, "scrolled": True}
    copied = dict(book["cells"][2])  # a cell that was copied with its identifier
    book["cells"].insert(3, copied)


@pytest.mark.parametrize(
    "spoil",
    [as_colab_saves, as_visual_studio_code_saves, as_jupyter_saves_with_timings],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_notebook_saved_by_another_tool_is_made_tidy(spoil, ends, tmp_path):
    stored = NOTEBOOKS["01-motivation"].read_bytes()
    book = json.loads(stored)
    spoil(book)
    path = tmp_path / "a.ipynb"
    path.write_bytes(json.dumps(book, indent=4).replace("\n", ends).encode())
    command = [sys.executable, "-W", "error", ROOT / "tools" / "tidy.py", path]
    subprocess.run(command, check=True)
    found, expected = json.loads(path.read_bytes()), json.loads(stored)
    assert len({cell["id"] for cell in found["cells"]}) == len(book["cells"])
    if spoil is as_jupyter_saves_with_timings:
        assert found["cells"].pop(3)["source"] == expected["cells"][2]["source"]
    if spoil is as_colab_saves:  # the old form had no identifiers to keep
        for cells in found["cells"], expected["cells"]:
            for cell in cells:
                cell.pop("id")
    assert found == expected
    if spoil is as_visual_studio_code_saves:
        assert path.read_bytes() == stored


@pytest.mark.parametrize(
    "stored",
    [b"", b"<<<<<<< HEAD\n{}", b"\xff\xfe{}", b"{}", b'{"cells": [{}]}', b"[]"],
)
def test_what_is_no_notebook_is_named_and_left_and_the_others_are_done(
    stored, tmp_path, capsys
):
    bad, good = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    bad.write_bytes(stored)
    book = json.loads(NOTEBOOKS["01-motivation"].read_bytes())
    book["metadata"]["widgets"] = {}
    good.write_text(json.dumps(book))
    assert tidy.main([bad, good])
    assert bad.read_bytes() == stored
    assert good.read_bytes() == NOTEBOOKS["01-motivation"].read_bytes()
    assert capsys.readouterr().err.startswith(f"{bad} is left as it is; ")


def test_what_is_tidy_is_not_written_again(tmp_path):
    path = Path(shutil.copy(NOTEBOOKS["01-motivation"], tmp_path))
    before = path.stat()
    subprocess.run([sys.executable, ROOT / "tools" / "tidy.py", path], check=True)
    assert (path.stat().st_ino, path.stat().st_mtime) == (
        before.st_ino,
        before.st_mtime,
    )
    assert list(tmp_path.iterdir()) == [path]


def test_make_tidy_tidies_every_notebook():
    recipe = make(ROOT, "--dry-run", "tidy").stdout.splitlines()[-1]
    names = [f"chapters/{path.name}" for path in NOTEBOOKS.values()]
    assert recipe.split()[1:] == ["tools/tidy.py", *names]
