"""Starts programs as several workers, and reads what they report.

A notebook cannot start workers inside itself on every system; it can start a program.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

CODE = Path(__file__).resolve().parent


def report(**values):
    """Print values as one line of JSON, with the rank of this worker.

    >>> report(mean=8.0)
    {"rank": 0, "mean": 8.0}
    """
    values = {"rank": int(os.environ.get("RANK", 0)), **values}
    plain = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in values.items()}
    # In one piece, so that the lines of several workers do not mix.
    sys.stdout.write(json.dumps(plain) + "\n")
    sys.stdout.flush()


def torchrun(program, workers=2, timeout=120, **options):
    """Run a program as several workers on this machine.

    Args:
        program: the source of a Python program, or the name of a file in `code/`. It
            can import what is in `code/`.
        workers: how many processes run it, each with one thread.
        timeout: after so many seconds all of them are stopped.
        options: arguments of the program; `steps=3` is passed as `--steps 3`, and a
            list as several values.

    Returns:
        What the workers gave to `report`, a list of dictionaries, ordered by rank.

    Raises:
        RuntimeError: a worker failed; the message names the first one that did, and has
            the end of what they printed.
        TimeoutError: they were not done in time.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = CODE / program
        if "\n" in program:
            path = Path(folder, "program.py")
            path.write_text(program, encoding="utf-8")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(workers), str(path)]
        for name, value in options.items():
            command.append("--" + name.replace("_", "-"))
            command += map(str, value if isinstance(value, list) else [value])
        output, errors, status = _run(command, timeout)
    if status:
        # The workers' errors stand before torchrun's report of the first that failed.
        # The exit code of one that was killed is the negative of the signal.
        report = r"^.*failed (\(exitcode: -?\d+\) local_rank: \d+)"
        said, *found = re.split(report, errors, maxsplit=1, flags=re.MULTILINE)
        which = found[0] if found else f"with exit status {status}"
        end = "\n".join((said.strip() or errors.strip()).splitlines()[-40:])
        raise RuntimeError(f"a worker failed {which}:\n{end}")
    lines = [json.loads(s) for s in output.splitlines() if s.startswith('{"rank"')]
    return sorted(lines, key=lambda line: line["rank"])


def environment():
    """The environment of a worker: it has one thread and finds the book's code."""
    paths = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    if sys.platform == "win32":
        own["USE_LIBUV"] = "0"  # torch for Windows is built without it
    if sys.platform == "darwin":
        own["GLOO_SOCKET_IFNAME"] = "lo0"  # a Mac's own name may have no address
    return {**os.environ, **own}


def _run(command, timeout):
    """Run a command, and stop it with what it started when it takes too long."""
    with subprocess.Popen(
        command,
        env=environment(),
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the workers were not done after {timeout} s") from None
        finally:
            if process.poll() is None:  # torchrun stops its workers, if it is asked to
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=40)
                except subprocess.TimeoutExpired:
                    process.kill()
    return output, errors, process.returncode
