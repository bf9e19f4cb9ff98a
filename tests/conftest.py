"""Puts `code/` on the path, as the notebooks' setup cell does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "code"))
