"""Finds a C++ compiler, which `torch.compile` calls, and installs one where it can.

Only the tests need it: without one, the book runs what it would have compiled as it is.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig

HELP = """No C++ compiler works here with this Python's headers, and none could be
installed. Install one, on Debian and Ubuntu the packages g++ and python3-dev, on macOS
with xcode-select --install; or name it in the environment variable CXX."""


def find_compiler():
    """Return the command of a C++ compiler that finds Python's headers, or None."""
    command = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    include = sysconfig.get_path("include")
    try:
        done = subprocess.run(
            [command, "-x", "c++", "-fsyntax-only", "-I", include, "-"],
            input=b"#include <vector>\n#include <Python.h>\n",
            capture_output=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else command


def commands():
    """Return the commands that may install what is missing; none if there is no way."""
    if not shutil.which("apt-get"):
        return []
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]  # -n: never asks a password
    packages = ["g++"]
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        packages.append("python{}.{}-dev".format(*sys.version_info))
    apt = [*root, "apt-get"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    return [[*apt, "update"], install]


def main():
    if os.name == "nt":
        return  # the tests that compile are left out there
    if find_compiler():
        return
    print("No C++ compiler works here; the tests need one. Installing it:")
    for command in commands():
        print(f"+ {shlex.join(command)}", flush=True)
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError):
            break
    if not find_compiler():
        sys.exit(HELP)


if __name__ == "__main__":
    main()
