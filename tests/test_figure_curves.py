"""Learning curves: they grow during training, and show what was measured."""

import json
import math
import re

import nbclient
import nbformat
import pytest

from conftest import NOTEBOOK, ROOT, alive, touch
from figures import Curves
from training import History

LISTS = ("train_loss", "train_acc", "test_acc")
# Geometry in px: the height of a panel, and what lies in it.
TALL, LEFT, ZERO, AXIS, TOP, THUMB = 290, 56, 80, 44, 12, 24
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


def height(value, best):
    """Where an accuracy lies: errors are on a logarithmic scale, from 0.001 on."""
    level, top = (math.log10(max(1 - v, 0.001)) for v in (value, max(best, 0.9)))
    return TALL - ZERO - (TALL - ZERO - TOP) * level / (1.1 * top)


def points(line):
    pairs = re.findall(r"[ML]([\d.]+) ([\d.]+)", line)
    return [(float(x), float(y)) for x, y in pairs]


def test_the_picture_has_a_line_for_each_run_in_each_panel():
    curves = Curves(epochs=3)
    curves.add("a", "bn", [1, 1, 1], [0, 0.5, 0.9], [0.8, 0.5, 0])
    curves.add("b", "plain")
    picture = curves.picture()
    lines = re.findall(r'class="bn-curve bn-bn".*? d="(.*?)"', picture)
    # 0.5, 0.8 and 0.9 make errors 2, 5 and 10 times fewer; 198 px are 1.1 decades.
    heights = {value: 210 - 180 * math.log10(1 / (1 - value)) for value in (0.5, 0.8)}
    assert heights == pytest.approx({v: height(v, 0.9) for v in heights})
    train, test = [0, 0.5, 0.9], [0.8, 0.5, 0]
    for line, values in zip(map(points, lines), (train, test), strict=True):
        assert [y for _, y in line] == pytest.approx(
            [height(v, 0.9) for v in values], abs=0.06
        )
        assert [x for x, _ in line] == pytest.approx([56, 182.5, 309])
    assert re.findall(r">([ab])<", picture) == ["a", "a"]


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "06-lenet", "curves") as figure:
        yield figure


@pytest.fixture(scope="module")
def state(site):
    page = site / "chapters" / "06-lenet.html"
    return states(page.read_text(encoding="utf-8"))[-1]


def agrees(figure, state, epoch):
    first, *lines = figure.locator("[aria-live=polite]").inner_text().split("\n")
    assert first == f"Epoch {epoch} of {state['epochs']}"
    for line, run in zip(lines, state["runs"], strict=True):
        assert line.startswith(f"{run['name']}: ")
        shown = [float(number) for number in re.findall(r"\d\.\d+", line)]
        assert shown == pytest.approx([run[k][epoch - 1] for k in LISTS], abs=0.00051)
    for svg, key in zip(figure.locator("svg").all(), LISTS[1:], strict=True):
        stands(svg, state, key, epoch)


def scale(svg):
    """Where epochs 1 and the last lie, from the labels of the axis."""
    texts = svg.locator("text").evaluate_all(
        "all => all.map(e => [e.textContent, +e.getAttribute('x')])"
    )
    return [next(x for t, x in texts[7:] if t == text) for text in ("1", "10")]


def stands(svg, state, key, epoch):
    """Line, thumb, label and points are at this epoch."""
    first, last = scale(svg)
    x = first + (last - first) * (epoch - 1) / (state["epochs"] - 1)
    line = svg.locator(".bn-line").get_attribute("d")
    assert float(re.match(r"M([\d.]+)", line)[1]) == pytest.approx(x, abs=0.1)
    slider = svg.locator("xpath=../input")
    assert int(slider.input_value()) == epoch
    box = slider.bounding_box()
    centre = (box["width"] - THUMB) * (epoch - 1) / (state["epochs"] - 1) + THUMB / 2
    centre += box["x"] - svg.bounding_box()["x"]
    assert centre == pytest.approx(x, abs=0.6)
    dots = svg.locator(".bn-point").evaluate_all(
        "all => all.map(e => [e.getAttribute('class'), e.getAttribute('d')])"
    )
    for run in state["runs"]:
        (dot,) = [d for kind, d in dots if f"bn-{run['kind']}" in kind]
        expected = x, height(run[key][epoch - 1], best(state))
        assert points(dot) == [pytest.approx(expected, abs=0.1)]


def best(state):
    return max(max(run[key]) for run in state["runs"] for key in LISTS[1:])


def test_it_opens_with_both_nets_and_the_last_epoch(figure, state):
    assert [run["kind"] for run in state["runs"]] == ["bn", "plain"]
    agrees(figure, state, 10)


def test_the_curves_show_the_numbers(figure, state):
    for svg, key in zip(figure.locator("svg").all(), LISTS[1:], strict=True):
        for value in (0, 0.5, 0.8, 0.9):
            tick = svg.locator("text", has_text=re.compile(f"^{value}$"))
            y = float(tick.get_attribute("y")) - 5
            assert y == pytest.approx(height(value, best(state)), abs=1e-6)
        for run in state["runs"]:
            line = svg.locator(f".bn-curve.bn-{run['kind']}").get_attribute("d")
            expected = [height(value, best(state)) for value in run[key]]
            assert [y for _, y in points(line)] == pytest.approx(expected, abs=1e-6)


def test_the_names_stand_at_the_ends_of_the_lines(figure, state):
    for width in (1000, 390):
        figure.page.set_viewport_size({"width": width, "height": 900})
        figure.page.wait_for_timeout(100)
        for svg, key in zip(figure.locator("svg").all(), LISTS[1:], strict=True):
            names = svg.locator(".bn-ink").all()
            order = sorted(state["runs"], key=lambda run: -run[key][-1])
            assert [e.text_content() for e in names] == [run["name"] for run in order]
            last = None
            for name, run in zip(names, order, strict=True):
                y = float(name.get_attribute("y")) - 5
                free = height(run[key][-1], best(state))
                assert y == pytest.approx(free if last is None else max(free, last))
                last = y + 18
                box, panel = name.bounding_box(), svg.bounding_box()
                assert box["x"] + box["width"] <= panel["x"] + panel["width"]


@pytest.mark.parametrize("reached", [0.85, 0.93, 0.985, 1.0])
def test_the_scale_ends_just_above_the_best_accuracy(browser, reached):
    curves = Curves(epochs=2)
    curves.add("a", "bn", [1, 1], [0, reached], [0.0, 0.5])
    curves.add("<b>", "other", [1], [0.5], [0.1])
    page = browser.new_page()
    page.evaluate(NOTEBOOK, [str(curves._esm), curves.state()])
    svg = page.locator("svg").first
    ((_, low), (_, high)) = points(svg.locator(".bn-curve.bn-bn").get_attribute("d"))
    assert (low, high) == pytest.approx((210, height(reached, reached)), abs=0.01)
    assert 10 < high < 40 or reached < 0.9
    picture = re.findall(r'class="bn-curve bn-bn".*? d="(.*?)"', curves.picture())
    assert points(picture[0])[1][1] == pytest.approx(high, abs=0.06)
    assert svg.locator(".bn-ink.bn-other").text_content() == "<b>"
    page.close()


def test_a_click_or_a_finger_on_a_panel_chooses_the_epoch(figure, state):
    for svg in figure.locator("svg").all():
        box = svg.bounding_box()
        first, last = scale(svg)
        for epoch in (3, 1, 8):
            x = box["x"] + first + (last - first) * (epoch - 1) / 9
            figure.page.mouse.click(x, box["y"] + 60)
            agrees(figure, state, epoch)
        touch(figure, (box["x"] + first + 4, box["y"] + 60))
        agrees(figure, state, 1)


def test_a_thumb_can_be_dragged_along_its_axis(figure, state):
    svg = figure.locator("svg").last
    box, (first, last) = svg.bounding_box(), scale(svg)
    y = box["y"] + TALL - AXIS
    mouse = figure.page.mouse
    mouse.move(box["x"] + last, y)
    mouse.down()
    mouse.move(box["x"] + first + (last - first) * 4 / 9, y, steps=4)
    mouse.up()
    agrees(figure, state, 5)


def test_keys_choose_the_epoch(figure, state):
    figure.locator("input").first.focus()
    figure.page.keyboard.press("Home")
    agrees(figure, state, 1)
    figure.page.keyboard.press("ArrowRight")
    agrees(figure, state, 2)


def test_it_works_on_a_phone(figure, state):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    panel = "[...document.querySelectorAll('[data-figure=curves] .bn-live svg')].at(-1)"
    figure.page.wait_for_function(
        f"{panel}.clientWidth == {panel}.viewBox.baseVal.width"
    )
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    agrees(figure, state, 10)
    sizes = figure.locator("text").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12


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
