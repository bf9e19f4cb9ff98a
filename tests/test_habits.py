"""What a contributor uses: the quick checks, the hook, the template of a chapter."""

import os
import shlex
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml

import new_chapter
from conftest import make
from test_book import read, toc_files
from test_notebooks import NOTEBOOKS

FAULTS = {  # what is appended to a file, and the check that has to notice it
    "code/bn.py": ("import os\n", "ruff check"),
    "code/nets.py": ("x = [1,2]\n", "ruff format"),
    # In two parts, as codespell reads this file, too.
    "chapters/notation.md": ("It " + "occ" + "ured.\n", "codespell"),
    "_static/book.js": ("var unused = 1;\n", "oxlint"),
    "code/figures/quiz.js": ("\n\n\n", "oxfmt"),
    "chapters/02-transform.ipynb": ("", "test_notebooks"),
}


@pytest.mark.parametrize("path", FAULTS)
def test_each_check_notices_a_fault(path, copy):
    text, check = FAULTS[path]
    recipe = make(copy, "--dry-run", "check").stdout.splitlines()
    [command] = [line for line in recipe if check in line]
    run = shlex.split(command)
    assert subprocess.run(run, cwd=copy, capture_output=True).returncode == 0
    with open(copy / path, "a") as file:
        file.write(text)
    if path.endswith(".ipynb"):
        book = nbformat.read(copy / path, nbformat.NO_CONVERT)
        book.cells[-1].metadata.collapsed = True
        nbformat.write(book, copy / path)
    found = subprocess.run(run, cwd=copy, capture_output=True, text=True)
    assert found.returncode != 0
    assert path.split("/")[-1].split(".")[0] in found.stdout + found.stderr


def test_the_quick_checks_begin_the_whole_test(copy):
    quick = make(copy, "--dry-run", "check").stdout
    whole = make(copy, "--dry-run", "test").stdout.splitlines()
    first = whole.index("make --no-print-directory -j 2 check colab pdf") + 1
    assert whole[first : first + len(quick.splitlines())] == quick.splitlines()
    checks = {check for _, check in FAULTS.values()}
    assert len([line for line in quick.splitlines() if ".venv" in line]) == len(checks)


def test_the_hook_lets_good_commits_pass_and_stops_others(copy):
    """In the copy, `make check` is replaced by something quicker."""

    def git(*command):
        me = ["-c", "user.name=a", "-c", "user.email=a@b"]
        run = ["git", *me, *command]
        outside = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        environment = {**outside, "PRE_COMMIT_HOME": str(copy.parent / "hooks")}
        return subprocess.run(
            run, cwd=copy, env=environment, capture_output=True, text=True
        )

    git("init")
    git("add", ".")
    installed = make(copy, "hooks")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    [hook] = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert hook["entry"] == "make check"
    (copy / "Makefile").write_text("check:\n\t! grep -r forbidden chapters/*.md\n")
    git("add", "Makefile")
    good = git("commit", "--message", "good")
    assert good.returncode == 0, good.stderr
    notation = copy / "chapters" / "notation.md"
    stored = notation.read_text()
    notation.write_text(stored + "forbidden\n")
    git("add", ".")
    notation.write_text(stored)  # what counts is what would be committed
    bad = git("commit", "--message", "bad")
    assert bad.returncode == 1
    assert "forbidden" in bad.stderr
    assert git("log", "--format=%s").stdout == "good\n"
    assert notation.read_text() == stored


def test_a_new_chapter_passes_every_check_as_it_is(copy):
    run = make(copy, "new-chapter", "NAME=close-relatives")
    assert run.returncode == 0, run.stderr
    path = f"chapters/{len(NOTEBOOKS) + 1:02}-close-relatives"
    assert f"Now write {path}.ipynb" in run.stdout
    for target in "check", "book":
        run = make(copy, target)
        assert run.returncode == 0, run.stdout + run.stderr
    files = toc_files(copy)
    assert files[: len(NOTEBOOKS) + 2] == [*toc_files()[: len(NOTEBOOKS) + 1], path]
    assert "Close relatives" in (copy / f"_build/html/{path}.html").read_text()
    index = (copy / "_build/html/chapters/index.html").read_text()
    assert f'href="{path.split("/")[1]}.html"' in index
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"]
    compared = subprocess.run([*command, f"{path}.ipynb"], cwd=copy)
    assert compared.returncode == 0
    in_browser = [*command[:3], "tests/test_pages.py", "-k", path.split("/")[1]]
    assert subprocess.run(in_browser, cwd=copy).returncode == 0


@pytest.mark.parametrize("name", ["", "Big", "two words", "../up", "transform"])
def test_a_name_that_is_none_or_taken_is_refused_and_nothing_changed(name, copy):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    with pytest.raises(ValueError, match="small letters|already"):
        new_chapter.add(copy, name)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


@pytest.mark.parametrize("name", ["_toc.yml", "chapters/index.md"])
def test_where_no_place_is_found_nothing_is_changed(name, copy):
    (copy / name).write_text("nothing\n")
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    with pytest.raises(ValueError, match="names no chapter"):
        new_chapter.add(copy, "cousins")
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_without_a_name_the_command_says_what_it_wants(copy):
    run = make(copy, "new-chapter")
    assert run.returncode == 2
    assert "make new-chapter NAME=" in run.stderr


def test_a_chapter_gets_the_next_number_and_comes_after_the_last(tmp_path):
    (tmp_path / "chapters").mkdir()
    shutil.copy(NOTEBOOKS["02-transform"], tmp_path / "chapters" / "41-a.ipynb")
    toc = "root: a\nchapters:\n  - file: chapters/41-a\n  - file: chapters/glossary\n"
    (tmp_path / "_toc.yml").write_text(toc)
    table = "| [A](41-a.ipynb) | ? |\n\nText.\n"
    (tmp_path / "chapters" / "index.md").write_text(table)
    path = new_chapter.add(tmp_path, "b")
    assert path.name == "42-b.ipynb"
    assert (tmp_path / "_toc.yml").read_text() == toc.replace(
        "41-a\n", "41-a\n  - file: chapters/42-b\n    title: B\n"
    )
    row = f"| [B](42-b.ipynb) | {new_chapter.QUESTION} |\n"
    assert (tmp_path / "chapters" / "index.md").read_text() == table.replace(
        "\n\n", f"\n{row}\n", 1
    )
