"""Run every chapter with ten values of BOOK_SEED and record what its claims measured.

    python measurements/claims_over_seeds.py                    # all chapters
    python measurements/claims_over_seeds.py 05-prediction      # one of them

It takes about two hours on one core, and resumes where it was stopped. A chapter whose
claims were changed since is run again. The record has, for every claim with a bound,
the values that were held against it; the page of all claims shows their range.
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "code"))

from claims import stored_claims
from records import read_record, stamp, write_record

CHAPTERS = HERE.parent / "chapters"
SEEDS = range(10)
# One thread, on the processor, as the stored outputs were made.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "TRY_GPU": "0"}


def bounded(notebook):
    """The values with bounds, by sentence and name, in the outputs of a notebook."""
    return {
        claim.sentence: {
            name: measured.value
            for name, measured in claim.measured.items()
            if measured.bounded
        }
        for claim in stored_claims(notebook)
    }


def names(claims):
    return {sentence: set(values) for sentence, values in claims.items()}


def run(path, seed):
    """Execute a chapter, to its end even if claims fail; return what it measured."""
    os.environ.update(ENVIRONMENT, BOOK_SEED=str(seed))
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, timeout=None, allow_errors=True, resources=resources
    ).execute()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    errors = [o.evalue for o in outputs if o.output_type == "error"]
    for error in errors:
        tqdm.write(f"{path.stem}, seed {seed}: {error}")
    measured = {**stamp("cpu"), "threads": int(ENVIRONMENT["OMP_NUM_THREADS"])}
    return {"claims": bounded(notebook), "errors": errors, "measured": measured}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="names, as 05-prediction")
    args = parser.parse_args()
    record = read_record("claims_over_seeds", default={"runs": {}})
    paths = [CHAPTERS / f"{name}.ipynb" for name in args.chapters]
    for path in paths or sorted(CHAPTERS.glob("*.ipynb")):
        stored = bounded(nbformat.read(path, nbformat.NO_CONVERT))
        for seed in tqdm(SEEDS, path.stem):
            key = f"{path.stem} seed={seed}"
            done = record["runs"].get(key, {"claims": {}})["claims"]
            if names(done) != names(stored):
                record["runs"][key] = run(path, seed)
                write_record("claims_over_seeds", record)


if __name__ == "__main__":
    main()
