"""Holds the built pages to what Lighthouse asks of pages on a desktop.

    python tools/lighthouse.py [PAGE...]

It needs Node.js, whose npx fetches Lighthouse on first use. The pages are served
compressed, as hosts of pages do. Search, index and 404 are left out: search engines
have no business there.
"""

import functools
import gzip
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from install_browser import FLAGS, find_chromium
from serve import SITE, in_background

GOALS = {"accessibility": 100, "best-practices": 96, "seo": 100, "performance": 90}
LIGHTHOUSE = "lighthouse@12.8.2"
# What else runs on the machine can lower the score of speed, and nothing raises it.
TRIES = 3


class Compressed(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", len(content))
        self.end_headers()
        self.wfile.write(content)


def look_at(address, browser):
    """Return Lighthouse's four scores of a page, and the names of what lowers them."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = ["npx", "--yes", LIGHTHOUSE, address, "--quiet", "--preset=desktop"]
        command += ["--output=json", f"--output-path={report}"]
        command += [f"--only-categories={','.join(GOALS)}"]
        command += [f"--chrome-flags={' '.join(['--headless', *FLAGS])}"]
        environment = {**os.environ, "CHROME_PATH": browser}
        subprocess.run(command, check=True, env=environment)
        found = json.loads(report.read_text(encoding="utf-8"))
    scores = {name: round(100 * found["categories"][name]["score"]) for name in GOALS}
    audits = found["audits"].items()
    return scores, [name for name, audit in audits if audit["score"] == 0]


def reaches_goals(address, browser):
    """Print a page's scores, of the last try; say whether they are high enough."""
    for _ in range(TRIES):
        reached, faults = look_at(address, browser)
        if good := all(reached[name] >= goal for name, goal in GOALS.items()):
            break
    text = "  ".join(f"{name} {score}" for name, score in reached.items())
    print(f"{Path(address).stem}: {text}", *([] if good else faults), flush=True)
    return good


def main(pages):
    there = sorted(path.stem for path in SITE.glob("chapters/*.html"))
    if not there:
        sys.exit("There are no pages yet: run make book")
    if missing := set(pages) - set(there):
        sys.exit(f"There is no page {missing.pop()}; there are {', '.join(there)}")
    if not shutil.which("npx"):
        sys.exit("Lighthouse needs Node.js, which has npx; there is none")
    handler = functools.partial(Compressed, directory=SITE)
    with in_background(handler) as address:
        browser = find_chromium()
        good = [
            reaches_goals(f"{address}/chapters/{page}.html", browser)
            for page in pages or there
        ]
    if not all(good):
        sys.exit(f"Lighthouse asks for more: {GOALS}")


if __name__ == "__main__":
    main(sys.argv[1:])
