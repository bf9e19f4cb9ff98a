"""Puts `code/`, as the notebooks' setup cell does, and `measurements/` on the path."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "code"), str(ROOT / "measurements")]
