"""The book's parts agree: addresses, versions, commands, licences."""

import contextlib
import importlib.metadata
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
URL = CONFIG["repository"]["url"]
BRANCH = CONFIG["repository"]["branch"]
OWNER, NAME = URL.removeprefix("https://github.com/").split("/")
COLAB = f"https://colab.research.google.com/github/{OWNER}/{NAME}/blob/{BRANCH}/"


def toc_files(root=ROOT):
    """Return the files that _toc.yml names, without suffix, in reading order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = toc.get("parts", [toc])
    return [toc["root"], *(c["file"] for part in parts for c in part["chapters"])]


def read(path):
    """Return the text of a file of the book; fail if it is not there."""
    if not (ROOT / path).is_file():
        pytest.fail(f"{path} is missing")
    return (ROOT / path).read_text(encoding="utf-8")


def text_files():
    """Return the files of the book that are text, without what git ignores."""
    ignored = {line.rstrip("/") for line in read(".gitignore").splitlines()}
    # Of what is hidden:
    kept = {".ci", ".github", ".gitignore", ".gitattributes", ".pre-commit-config.yaml"}
    found = []
    for path in ROOT.glob("*"):
        hidden = path.name.startswith(".") or path.name in ignored
        if path.name in kept or not hidden:
            found += [path, *path.rglob("*")]
    files = [path.relative_to(ROOT) for path in found if path.is_file()]
    binary = (".png", ".jpg", ".pyc")
    return sorted(
        file.as_posix()
        for file in files
        if not ignored & set(file.parts) and file.suffix not in binary
    )


def private_paths(text):
    """Return the paths in `text` that only the machine of its author has."""
    return re.findall(r"(?<![\w.~>])/(?:root|home|work|tmp|Users)\b\S*", text)


def strangers(text):
    """Return the addresses of this book in `text` that are not as in _config.yml.

    An address with our owner and our name is ours, one with neither is none of our
    business, one with either is wrong. A Colab link always opens a chapter of ours.
    """
    site = r"https?://(?:www\.)?(?:github\.com/([\w.-]+)|([\w-]+)\.github\.io)/([\w-]+)"
    colab = r"https?://colab\.research\.google\.com/github/[^\s\"')]*"
    return [
        link[0]
        for link in re.finditer(site, text)
        if ((link[1] or link[2]) == OWNER) != (link[3] == NAME)
    ] + [link for link in re.findall(colab, text) if not link.startswith(COLAB)]


# Two files have other addresses for examples.
@pytest.mark.parametrize(
    "path", sorted({*text_files()} - {"tests/test_book.py", "tests/test_repository.py"})
)
def test_every_address_of_the_book_is_the_one_in_config(path):
    assert strangers(read(path)) == []


# Notebooks are checked cell by cell in test_notebooks.py.
@pytest.mark.parametrize("path", [p for p in text_files() if ".ipynb" not in p])
def test_no_file_names_a_folder_of_the_machine_it_was_written_on(path):
    assert private_paths(read(path)) == []


@pytest.mark.parametrize("name", ["root", "home", "work", "tmp", "Users"])
def test_folders_of_a_machine_would_be_noticed(name):
    folder = f"/{name}/me/book"
    for text in (folder, f"'{folder}'", f"in {folder}", f"file://{folder}"):
        assert private_paths(text), text
    for text in (f"https://a.org{folder}", f"~{folder}", f"../{name}", f"/{name}s"):
        assert private_paths(text) == [], text


def test_the_books_text_files_are_found():
    files = set(text_files())
    chapters = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("chapters/*.*")]
    assert files >= {".ci/run", ".gitignore", "Makefile", "code/bn.py", *chapters}
    assert not any(file.startswith(("_build", ".venv", ".git/")) for file in files)


@pytest.mark.parametrize("path", ["README.md", "CITATION.cff"])
def test_the_address_is_named(path):
    assert URL in read(path)


def test_the_readme_enters_the_folder_that_git_makes():
    assert re.findall(r"^cd (\S+)$", read("README.md"), re.MULTILINE) == [NAME]


def test_other_addresses_of_the_book_would_be_noticed():
    good = f"{URL} {URL}/issues {URL}.git https://github.com/pytorch/pytorch {COLAB}a"
    assert strangers(good + f" https://{OWNER}.github.io/{NAME}/") == []
    bad = [
        f"https://github.com/someone/{NAME}",
        f"https://github.com/{OWNER}/another-book",
        f"https://someone.github.io/{NAME}",
        f"https://colab.research.google.com/github/{OWNER}/{NAME}/blob/old/a.ipynb",
    ]
    assert strangers(" ".join(bad)) == bad


@pytest.mark.parametrize(
    "file", [file for file in toc_files() if (ROOT / f"{file}.ipynb").exists()]
)
def test_the_colab_buttons_of_a_chapter_open_it_and_its_starter(file):
    page = read(f"_build/html/{file}.html")
    links = set(re.findall(r'href="(https://colab\.[^"]*)"', page))
    starter = file.replace("chapters/", "starters/")
    assert links == {f"{COLAB}{file}.ipynb", f"{COLAB}{starter}.ipynb"}
    assert strangers(page) == []


@pytest.mark.parametrize("file", toc_files())
def test_every_file_in_the_table_of_contents_exists(file):
    found = [s for s in (".ipynb", ".md") if (ROOT / (file + s)).is_file()]
    assert len(found) == 1, f"{file} has the sources {found}"


def test_every_chapter_is_in_the_table_of_contents():
    chapters = (ROOT / "chapters").iterdir()
    written = {f"chapters/{p.stem}" for p in chapters if p.suffix in (".ipynb", ".md")}
    assert written <= set(toc_files())


def requirements(path):
    """Return the requirements that a file lists, by name."""
    lines = (line.split("#")[0].strip() for line in read(path).splitlines())
    listed = [Requirement(line) for line in lines if line]
    return {canonicalize_name(r.name): r for r in listed}


@pytest.mark.parametrize("name", requirements("requirements.txt"))
def test_the_pinned_version_is_one_that_the_range_admits(name):
    pins = requirements("constraints.txt")
    assert name in pins, f"constraints.txt does not pin {name}"
    pinned = str(pins[name].specifier).removeprefix("==")
    assert requirements("requirements.txt")[name].specifier.contains(pinned, True)


@pytest.mark.parametrize(
    "name",
    sorted(requirements("tests/colab.txt").keys() & requirements("requirements.txt")),
)
def test_the_range_admits_the_version_that_colab_has(name):
    version = str(requirements("tests/colab.txt")[name].specifier).removeprefix("==")
    assert requirements("requirements.txt")[name].specifier.contains(version)


def targets():
    """Return the names of the Makefile's commands."""
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md"])
def test_every_command_that_a_guide_names_is_in_the_makefile(path):
    code = " ".join(re.findall(r"```.*?```|`[^`]+`", read(path), re.DOTALL))
    named = set(re.findall(r"\bmake ([a-z-]+)", code))
    assert named, f"{path} names no command"
    assert named <= targets()


def test_the_help_lists_every_command():
    listed = re.findall(r'echo "make ([a-z-]+) ', read("Makefile"))
    assert sorted(listed) == sorted(targets() - {"help"})


@pytest.mark.parametrize(
    ("path", "words"),
    [("LICENSE", "MIT License"), ("LICENSE-TEXT", "Creative Commons Attribution 4.0")],
)
def test_the_licence_is_there(path, words):
    assert words in " ".join(read(path).split())


def test_the_citation_file_has_what_a_citation_needs():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert str(citation["cff-version"]).startswith("1.2")
    assert citation["message"]
    assert CONFIG["title"] in citation["title"]
    assert citation["authors"]
    for author in citation["authors"]:
        assert "name" in author or {"family-names", "given-names"} <= set(author)
    licences = citation["license"]
    licences = {licences} if isinstance(licences, str) else set(licences)
    assert licences == {"MIT", "CC-BY-4.0"}
    assert citation["repository-code"] == URL


def test_the_pinned_versions_allow_the_oldest_python_that_the_readme_names():
    refused = []
    for line in read("constraints.txt").splitlines():
        if "==" in line:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                package = importlib.metadata.metadata(line.split("==")[0])
                versions = SpecifierSet(package.get("Requires-Python") or "")
                refused += [line] * (not versions.contains("3.11.0"))
    assert refused == []
