"""Installs the versions that Colab has, to run the notebooks as it does.

They go into an environment of their own, `_build/colab`, which takes 5 GB. Where it is
complete, nothing is done.
"""

import os
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).resolve().with_name("colab.txt")
FOLDER = PINS.parent.parent / "_build" / "colab"
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / "installed.txt"  # says that all went well, and what was installed


def find_python():
    """Return the path of a Python 3.13, as Colab has, or else of this Python."""
    # Where pyenv manages versions, a command exists and fails unless told its version.
    environment = {**os.environ, "PYENV_VERSION": "3.13"}
    command = ["python3.13", "-c", "import ensurepip, sys; print(sys.executable)"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    except OSError:
        return sys.executable
    return done.stdout.strip() if done.returncode == 0 else sys.executable


def wanted():
    return f"{find_python()}\n{PINS.read_text(encoding='utf-8')}"


def is_installed():
    return STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted()


def main():
    if sys.platform != "linux":
        return print("Colab is a Linux; its versions are not tried here.")
    if is_installed():
        return
    python = find_python()
    print(f"Installing Colab's versions for {python} into {FOLDER}:")
    print("5 GB, a few minutes ...", flush=True)
    try:
        subprocess.run([python, "-m", "venv", "--clear", FOLDER], check=True)
        install = [PYTHON, "-m", "pip", "install", "--quiet", "-r", PINS]
        subprocess.run(install, check=True)
    except subprocess.CalledProcessError:
        sys.exit(
            f"That failed. With Python 3.13 as python3.13 on the PATH, {PINS.name}"
            " can be installed; then try again."
        )
    STAMP.write_text(wanted(), encoding="utf-8")


if __name__ == "__main__":
    main()
