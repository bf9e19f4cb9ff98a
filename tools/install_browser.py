"""Finds a Chromium, for tests and PDF, and installs one where there is none."""

import os
import platform
import shlex
import shutil
import subprocess
import sys

FLAGS = [  # starts as root in a container, and asks for nothing on its own account
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
PLAYWRIGHT = [sys.executable, "-m", "playwright", "install"]
HELP = f"""No Chromium starts here, and none could be installed. Install Chromium or
Google Chrome, or run `{" ".join(PLAYWRIGHT)} --with-deps chromium`; then try again."""


def find_chromium():
    """Return the path of a Chromium or Chrome that starts, or None."""
    from playwright.sync_api import sync_playwright

    for name in ("chromium", "chromium-browser", "google-chrome"):
        # Stubs that want a snap, and browsers that lack a library, do not start.
        if (path := shutil.which(name)) and _starts(path):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path  # where its own would be
    return path if _starts(path) else None


def ways_to_install():
    """Return the ways to install a Chromium here, best first; each is some commands."""
    ways = [[[*PLAYWRIGHT, "chromium"]]]
    if not shutil.which("apt-get"):
        return ways
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]  # -n: never asks a password
    if _runs([*root, "true"]):
        apt = [*root, "apt-get"]
        package = ["install", "-y", "--no-install-recommends", "chromium"]
        ways.insert(0, [[*apt, "update"], [*apt, *package]])
        # Ubuntu's package is a stub that wants a snap: Playwright's goes first there.
        ubuntu = platform.freedesktop_os_release().get("ID") == "ubuntu"
        ways.insert(0 if ubuntu else 1, [[*PLAYWRIGHT, "--with-deps", "chromium"]])
    return ways


def _starts(path):
    # On Windows, asked for its version, a browser opens a window instead.
    return os.path.isfile(path) if os.name == "nt" else _runs([path, "--version"])


def _runs(command):
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _do(command):
    """Run a command that may change this machine, and say so before it does."""
    print(f"+ {shlex.join(command)}", flush=True)
    return subprocess.run(command).returncode == 0


def main():
    if find_chromium():
        return
    print("No Chromium starts here; the book needs one. Installing it:")
    for way in ways_to_install():
        if all(_do(command) for command in way) and find_chromium():
            return
    sys.exit(HELP)


if __name__ == "__main__":
    main()
