"""One command gives the book another address, and with it all of its parts agree."""

import re
import shutil
import subprocess
import sys

import nbformat
import pytest
import yaml

import repository
from test_book import BRANCH, NAME, OWNER, ROOT, URL, text_files

MOVED = [
    ("https://github.com/someone/elsewhere", "trunk"),
    ("https://github.com/some-one/book", None),  # a name that is also a word
    ("https://github.com/a/batch-norm-book.2/", "feature/x"),
    ("https://github.com/1/2d-norm", "2.x"),
    ("https://github.com/someone/elsewhere", "20"),  # in YAML this is a number
    ("https://github.com/someone/elsewhere", "on"),  # and this is true
]


@pytest.fixture
def texts(tmp_path):
    """The book's text files, in another place."""
    for file in text_files():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def contents(root):
    return {file: (root / file).read_bytes() for file in text_files()}


@pytest.mark.parametrize(("url", "branch"), MOVED)
def test_everything_names_the_new_address_and_nothing_the_old_one(texts, url, branch):
    repository.move(texts, url, branch)
    url, branch = url.rstrip("/"), branch or BRANCH
    owner, name = url.split("/")[-2:]
    config = yaml.safe_load((texts / "_config.yml").read_text())
    assert config["repository"] == {"url": url, "branch": branch}
    places = [p for place in repository.PLACES for p in texts.glob(place)]
    assert len(places) > 15
    for path in places:
        text = path.read_text(encoding="utf-8")
        assert f"{OWNER}/{NAME}" not in text, path
        for link in re.findall(r"colab\.research\.google\.com/github/[^\s\"')]*", text):
            assert f"/github/{owner}/{name}/blob/{branch}/chapters/" in link
    assert re.findall(r"^cd (\S+)$", (texts / "README.md").read_text(), re.M) == [name]
    workflow = (texts / ".github" / "workflows" / "test.yml").read_text()
    assert re.findall(r'branches: \["(.*)"\]', workflow) == [branch]
    for path in texts.glob("chapters/*.ipynb"):
        setup = nbformat.read(path, nbformat.NO_CONVERT).cells[1].source
        assert f'URL = "{url}"' in setup
        assert f'pathlib.Path("{name}")' in setup
        assert f'"--branch", "{branch}", URL' in setup


@pytest.mark.parametrize(("url", "branch"), MOVED)
def test_moving_back_restores_every_byte(texts, url, branch):
    before = contents(texts)
    assert len(repository.move(texts, url, branch)) > 10
    repository.move(texts, URL, BRANCH)
    assert contents(texts) == before


def test_the_same_address_changes_nothing(texts):
    assert repository.move(texts, f"{URL}.git") == []


@pytest.mark.parametrize(
    ("url", "branch"),
    [
        ("https://gitlab.com/a/b", None),
        ("https://github.com/a", None),
        ("a/b", None),
        (URL, "two words"),
        (URL, '"'),
        (URL, "-x"),
        (URL, "a..b"),
        (URL, "a/"),
    ],
)
def test_what_is_no_address_is_refused_and_nothing_touched(texts, url, branch):
    before = contents(texts)
    with pytest.raises(ValueError, match="expected"):
        repository.move(texts, url, branch)
    assert contents(texts) == before


def test_the_command_says_what_it_wants(texts):
    command = [sys.executable, texts / "tools" / "repository.py"]
    for arguments in ([], [""], ["a/b"]):
        run = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert run.returncode == 1
        assert "make repository URL=" in run.stderr
    address = "https://github.com/someone/elsewhere"
    run = subprocess.run([*command, address], capture_output=True, text=True)
    assert run.returncode == 0
    assert "chapters/01-motivation.ipynb" in run.stdout.splitlines()
