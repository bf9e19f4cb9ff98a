"""Learning curves: they grow during training, and show what was measured."""

import json
import re

import nbclient
import nbformat
import pytest

from conftest import ROOT, alive, touch
from figures import Curves
from training import History

LISTS = ("train_loss", "train_acc", "test_acc")
TRAINING = f"""
import sys
sys.path.insert(0, {str(ROOT / "code")!r})
import torch
from torch import nn
from figures import Curves
from training import train

data = [(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]))]
curves = Curves(epochs=3)
history = train(nn.Linear(1, 2), data, data, 3, LR, "cpu",
                on_epoch=curves.follow("tiny", "plain"))
print(history.train_loss)
"""


def states(html):
    """The states of all figures of learning curves in a piece of HTML."""
    pattern = r'data-figure="curves">.*?<script type="application/json">(.*?)</script>'
    return [json.loads(state) for state in re.findall(pattern, html, re.DOTALL)]


def run(source):
    """Run it in a kernel as the only cell of a notebook; returns its outputs."""
    cell = nbformat.v4.new_code_cell(source)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook.cells[0].outputs


def test_the_stored_output_shows_the_finished_run():
    outputs = run(TRAINING.replace("LR", "0.5"))
    (twin,) = [o.data["text/html"] for o in outputs if "data" in o]
    (state,) = states(twin)
    (measured,) = [o.text for o in outputs if o.get("name") == "stdout"]
    losses = json.loads(measured.splitlines()[-1])
    (shown,) = state["runs"]
    assert len(losses) == 3
    assert shown["train_loss"] == pytest.approx(losses, abs=5e-5)
    assert len(shown["train_acc"]) == len(shown["test_acc"]) == 3


def test_a_run_that_diverges_is_stored_as_far_as_it_came():
    outputs = run(TRAINING.replace("LR", "float('inf')"))
    (twin,) = [o.data["text/html"] for o in outputs if "data" in o]
    (shown,) = states(twin)[0]["runs"]
    assert len(shown["train_loss"]) == len(shown["test_acc"]) == 1


def test_the_run_grows_with_every_epoch():
    curves = Curves(epochs=2)
    curves.add("before", "bn", [1.0, 0.5], [0.5, 0.7], [0.4, 0.6])
    seen = []
    curves.observe(lambda change: seen.append(len(change.new[-1]["test_acc"])), "runs")
    on_epoch = curves.follow("now", "plain")
    on_epoch(History([2.0], [0.1], [0.2]))
    on_epoch(History([2.0, 1.0], [0.1, 0.3], [0.2, 0.4]))
    assert seen == [0, 1, 2]
    assert [run["name"] for run in curves.runs] == ["before", "now"]
    assert curves.runs[1]["test_acc"] == [0.2, 0.4]


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind must be one of .*'blue'"):
        Curves().add("a run", "blue")


def test_the_picture_has_a_line_for_each_run_in_each_panel():
    curves = Curves(epochs=3)
    curves.add("a", "bn", [1, 1, 1], [0, 0.5, 1], [1, 0.5, 0])
    curves.add("b", "plain")
    lines = re.findall(r'class="bn-curve bn-bn".*? d="(.*?)"', curves.picture())
    assert lines == [
        "M30.0 200.0L165.0 115.0L300.0 30.0",
        "M350.0 30.0L485.0 115.0L620.0 200.0",
    ]


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "06-lenet", "curves") as figure:
        yield figure


@pytest.fixture(scope="module")
def state(site):
    page = site / "chapters" / "06-lenet.html"
    return states(page.read_text(encoding="utf-8"))[-1]


def agrees(figure, state, epoch):
    assert figure.locator("output").inner_text() == f"{epoch} of {state['epochs']}"
    lines = figure.locator("[aria-live=polite] p").all_inner_texts()
    for line, run in zip(lines, state["runs"], strict=True):
        assert line.startswith(run["name"])
        shown = [float(number) for number in re.findall(r"\d\.\d+", line)]
        assert shown == pytest.approx([run[k][epoch - 1] for k in LISTS], abs=0.00051)


def test_it_opens_with_both_nets_and_the_last_epoch(figure, state):
    assert [run["kind"] for run in state["runs"]] == ["bn", "plain"]
    agrees(figure, state, 10)


def test_the_curves_show_the_numbers(figure, state):
    for svg, key in zip(figure.locator("svg").all(), LISTS[1:], strict=True):
        for value, y in (("0", 199), ("0.5", 117)):
            tick = svg.locator("text", has_text=re.compile(f"^{value}$"))
            assert float(tick.get_attribute("y")) == y
        for line, run in zip(
            svg.locator(".bn-curve").all(), state["runs"], strict=True
        ):
            points = re.findall(r"[ML]([\d.]+) ([\d.]+)", line.get_attribute("d"))
            shown = [(194 - float(y)) / 164 for _, y in points]
            assert shown == pytest.approx(run[key], abs=1e-6)


def test_pointing_at_a_panel_chooses_the_epoch(figure, state):
    svg = figure.locator("svg").last
    box = svg.bounding_box()
    for epoch in (3, 1, 8):
        share = (epoch - 1) / 9
        x = box["x"] + 34 + share * (box["width"] - 46)
        figure.page.mouse.move(x, box["y"] + 60)
        agrees(figure, state, epoch)
    touch(figure, (box["x"] + 40, box["y"] + 60))
    agrees(figure, state, 1)


def test_keys_choose_the_epoch(figure, state):
    figure.locator("input").focus()
    figure.page.keyboard.press("Home")
    agrees(figure, state, 1)
    figure.page.keyboard.press("ArrowRight")
    agrees(figure, state, 2)


def test_the_curves_end_where_the_runs_printed_that_they_did(state):
    notebook = nbformat.read(ROOT / "chapters" / "06-lenet.ipynb", nbformat.NO_CONVERT)
    printed = [
        [float(number) for number in re.findall(r"(?:loss|acc) ([\d.]+)", output.text)]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout" and "examples/sec" in output.text
    ]
    ends = [[run[key][-1] for key in LISTS] for run in state["runs"]]
    assert ends == [pytest.approx(numbers, abs=0.00056) for numbers in printed]
