"""Interactive figures that live in Jupyter, in Colab and in the static book.

A figure is an anywidget: its traits are its state, and its JavaScript module draws that
state and changes it. In a notebook with a kernel the state is kept in step with
Python. For pages without one, the output also holds a twin as plain HTML: a picture, a
caption and the state as data. `extensions/book_figures.py` brings the twin to life with
the same JavaScript module.

Each figure is a Python module with its class and a JavaScript module of the same name.
"""

from figures.batch import Batch
from figures.curves import Curves
from figures.depth import Depth
from figures.explorer import Explorer
from figures.mates import Mates
from figures.quiz import Quiz
from figures.share import Share
from figures.steps import Steps

__all__ = ["Batch", "Curves", "Depth", "Explorer", "Mates", "Quiz", "Share", "Steps"]
