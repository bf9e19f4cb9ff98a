"""Change the address of the book's repository, everywhere.

    python tools/repository.py https://github.com/OWNER/NAME [BRANCH]

`_config.yml` has the old address. What names it in the guides, the citation, the pages,
the workflows and the notebooks is made to name the new one; nothing else is touched.
Without a branch, the branch stays as it is.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PLACES = [
    "_config.yml",
    "*.md",
    "CITATION.cff",
    "chapters/*.md",
    "chapters/*.ipynb",
    "starters/*.ipynb",
    ".github/**/*.yml",
]
ADDRESS = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)")
BRANCH = re.compile(r"(?!.*\.\.)\w[\w./-]*(?<![./])")


def site(root=ROOT):
    """The address of the pages: GitHub's, unless `_config.yml` has another one."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    owner, name = ADDRESS.fullmatch(config["repository"]["url"]).groups()
    return config["html"].get("baseurl") or f"https://{owner}.github.io/{name}/"


def changes(url, branch, new_url, new_branch):
    """Pairs of a pattern and its replacement, each for a form an address takes."""
    (owner, name), (new_owner, new_name) = (
        ADDRESS.fullmatch(address).groups() for address in (url, new_url)
    )
    old = re.escape(f"{owner}/{name}")
    new = f"{new_owner}/{new_name}"
    quote = r'(\\?")'  # escaped in a notebook
    return [
        # Colab's links first: they have the branch as well.
        (
            rf"/github/{old}/blob/{re.escape(branch)}/",
            f"/github/{new}/blob/{new_branch}/",
        ),
        (rf"github\.com/{old}(?![\w-])", f"github.com/{new}"),
        (
            rf"{re.escape(owner)}\.github\.io/{re.escape(name)}(?![\w-])",
            f"{new_owner}.github.io/{new_name}",
        ),
        # The folder that git makes, in the README and in the notebooks' first cell.
        (rf"^cd {re.escape(name)}$", f"cd {new_name}"),
        (rf"Path\({quote}{re.escape(name)}{quote}\)", rf"Path(\g<1>{new_name}\2)"),
        # The branch, there, in _config.yml and in the workflows.
        (
            rf"{quote}--branch{quote}, {quote}{re.escape(branch)}{quote}",
            rf"\1--branch\2, \g<3>{new_branch}\4",
        ),
        (rf'^  branch: "{re.escape(branch)}"$', f'  branch: "{new_branch}"'),
        (
            rf'^    branches: \["{re.escape(branch)}"\]$',
            f'    branches: ["{new_branch}"]',
        ),
    ]


def move(root, new_url, new_branch=None):
    """Rewrite the files under `root` and return those that changed.

    Raises:
        ValueError: the address is none of a repository on GitHub, which is where Colab
            opens notebooks from, or the branch is no name of one.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    url, branch = (config["repository"][key] for key in ("url", "branch"))
    new_url, new_branch = new_url.removesuffix("/"), new_branch or branch
    new_url = new_url.removesuffix(".git")
    if not ADDRESS.fullmatch(new_url):
        raise ValueError(f"expected https://github.com/OWNER/NAME, got {new_url!r}")
    if not BRANCH.fullmatch(new_branch):
        raise ValueError(f"expected the name of a branch, got {new_branch!r}")
    changed = []
    for path in sorted({p for place in PLACES for p in root.glob(place)}):
        old = text = path.read_bytes().decode()  # as it is, line ends included
        for pattern, replacement in changes(url, branch, new_url, new_branch):
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        if text != old:
            path.write_bytes(text.encode())
            changed.append(path)
    return changed


if __name__ == "__main__":
    try:
        for path in move(ROOT, *sys.argv[1:]):
            print(path.relative_to(ROOT).as_posix())
    except (TypeError, ValueError) as error:
        usage = "make repository URL=https://github.com/OWNER/NAME BRANCH=main"
        sys.exit(f"{error}\nUsage: {usage}")
