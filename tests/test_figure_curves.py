"""Learning curves: they grow during training, and show what was measured."""

import json
import math
import re
from itertools import combinations

import nbclient
import nbformat
import pytest

from conftest import NOTEBOOK, ROOT, alive, touch
from figures import Curves
from training import History

LISTS = ("train_loss", "train_acc", "test_acc")
WHAT = {"train_acc": "training", "test_acc": "test", "fresh": "test, fresh"}
# Geometry in px: where the worst accuracy and the slider lie, and more.
LEFT, RIGHT, TOP, ZERO, AXIS, ROW, THUMB = 56, 136, 14, 240, 296, 34, 24
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


def lines_of(state, epoch=99):
    """Kind and accuracies of every line of a figure, the best at an epoch first."""
    lines = [
        (run, key, run[key]) for run in state["runs"] for key in WHAT if run.get(key)
    ]
    return sorted(lines, key=lambda line: -line[2][:epoch][-1])


def height(value, state):
    """Where an accuracy lies: errors are on a logarithmic scale, from 0.001 on."""
    every = [v for _, _, values in lines_of(state) for v in values]
    level, worst, best = (
        math.log10(max(1 - v, 0.001))
        for v in (value, min([*every, 0.8]), max([*every, 0.9]))
    )
    return ZERO - (ZERO - TOP) / 1.05 * (level - worst) / (best - worst)


def points(line):
    pairs = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", line)
    return [(float(x), float(y)) for x, y in pairs]


def test_the_picture_has_lines_and_numbers_of_each_run():
    curves = Curves(epochs=3, epoch=2)
    curves.add("a", "bn", [1, 1, 1], [0, 0.5, 0.9], [0.8, 0.5, 0], [0.8, 0.75, 0.5])
    curves.add("b", "plain")
    curves.add("a name that is long", "other", [1], [0.5], [0.5])
    picture = curves.picture()
    pattern = r'class="bn-curve bn-(\w+) bn-(\w+)".*? d="(.*?)"'
    found = re.findall(pattern, picture)
    for (kind, key, line), (run, name, values) in zip(
        found, lines_of(curves.state(), 2), strict=True
    ):
        assert (kind, key) == (run["kind"], name)
        expected = [height(v, curves.state()) for v in values]
        assert [y for _, y in points(line)] == pytest.approx(expected, abs=0.06)
        places = [56, 305, 554][: len(values)]
        assert [x for x, _ in points(line)] == pytest.approx(places)
    # 0.8 and 0.9 make errors 5 and 10 times fewer; 226 px are 1.05 decades.
    assert height(0.8, curves.state()) == pytest.approx(240 - 226 / 1.05 * 0.69897)
    texts = re.findall(">([^<>]+)</text>", picture)
    assert "Accuracy after epoch 2 of 3" in texts
    assert "Training loss: a 1.000, b –, a name that is long –" in texts
    for text in ("training 0.500", "test 0.500", "test, fresh 0.750", "training –"):
        assert text in texts
    assert "a name that i…" in texts
    assert "0.250 lost to" in texts
    label = "Test accuracy after epoch 2: a 0.500, b –, a name that is long –"
    assert f'aria-label="{label}"' in picture


def test_what_is_said_of_the_gap_is_true_of_every_epoch():
    curves = Curves(epochs=2)
    curves.add("a", "bn", [1, 1], [0.5, 0.5], [0.6, 0.5], fresh=[0.5, 0.625])
    assert "0.125 lost to" in curves.picture()
    curves.epoch = 1
    assert "nothing lost to" in curves.picture()


@pytest.fixture(params=["two nets", "fresh statistics"])
def figure(browser, server, request):
    with alive(browser, server, "06-lenet", "curves") as last:
        figures = last.page.locator("[data-figure=curves] > .bn-live")
        figure = figures.nth(1) if request.param == "two nets" else last
        figure.scroll_into_view_if_needed()
        yield figure


@pytest.fixture(scope="module")
def shown(site):
    """The states of the chapter's figures: one net, two nets, fresh statistics."""
    page = site / "chapters" / "06-lenet.html"
    return states(page.read_text(encoding="utf-8"))


@pytest.fixture
def state(shown, request):
    name = request.node.callspec.params["figure"]
    return shown[1] if name == "two nets" else shown[2]


# All that is drawn, read at once.
SNAPSHOT = """figure => {
  const box = e => e.getBoundingClientRect().toJSON();
  const svg = figure.querySelector("svg"), input = figure.querySelector("input");
  return {
    head: figure.querySelector(".bn-head").textContent,
    note: figure.querySelector(".bn-note").textContent,
    said: input.ariaValueText, epoch: Number(input.value), max: Number(input.max),
    slider: box(input), svg: box(svg), width: svg.viewBox.baseVal.width,
    marks: [...svg.children].map(e => ({
      kind: e.getAttribute("class").replaceAll("bn-", "").split(" "),
      text: e.textContent, box: box(e),
      ...Object.fromEntries([...e.attributes].map(a => [a.name, a.value])) })),
  };
}"""


def marks(shown, kind):
    return [mark for mark in shown["marks"] if mark["kind"][0] == kind]


def labels(shown):
    """Pairs of marks at the ends of the lines: a name, and what it reaches."""
    inks = [
        mark
        for mark in marks(shown, "ink")
        if mark["text"] and "lost" not in mark["text"]
    ]
    inks = [mark for mark in inks if mark["text"] != "the running statistics"]
    return [*zip(inks[::2], inks[1::2], strict=True)]


def agrees(figure, state, epoch):
    """Lines, marks, words and the slider are those of this epoch."""
    shown = figure.evaluate(SNAPSHOT)
    epochs = state["epochs"]
    assert shown["head"] == f"Accuracy after epoch {epoch} of {epochs}"
    losses = re.findall(
        r" (\S.*?) (\d+\.\d{3})(?:,|$)", shown["note"].removeprefix("Training loss:")
    )
    for (name, loss), run in zip(losses, state["runs"], strict=True):
        assert name == run["name"]
        assert float(loss) == pytest.approx(run["train_loss"][epoch - 1], abs=0.00051)
    right = shown["width"] - RIGHT
    places = [LEFT + (right - LEFT) * k / (epochs - 1) for k in range(epochs)]
    at = places[epoch - 1]
    # The slider, its line and its label.
    assert (shown["epoch"], shown["max"]) == (epoch, epochs)
    centre = (shown["slider"]["width"] - THUMB) * (epoch - 1) / (epochs - 1) + THUMB / 2
    assert shown["slider"]["x"] - shown["svg"]["x"] + centre == pytest.approx(
        at, abs=0.6
    )
    (line,) = marks(shown, "line")
    assert points(line["d"])[0] == pytest.approx((at, TOP))
    stops = {
        m["text"]: float(m["x"])
        for m in marks(shown, "quiet")
        if m["y"] == f"{AXIS + 24}"
    }
    assert stops == pytest.approx({f"{e}": places[e - 1] for e in range(1, epochs + 1)})
    # The lines, and what stands at their ends.
    lines = lines_of(state, epoch)
    curves, dots, leads = (marks(shown, kind) for kind in ("curve", "point", "lead"))
    top = TOP - ROW
    for (run, key, values), *drawn in zip(
        lines, curves, dots, leads, labels(shown), strict=True
    ):
        curve, dot, lead, (name, text) = drawn
        assert curve["kind"] == ["curve", run["kind"], key]
        assert dot["kind"] == ["point", run["kind"], key]
        expected = [height(value, state) for value in values]
        assert [y for _, y in points(curve["d"])] == pytest.approx(expected, abs=1e-6)
        assert [x for x, _ in points(curve["d"])] == pytest.approx(places)
        assert points(dot["d"]) == [pytest.approx((at, expected[epoch - 1]))]
        assert run["kind"] in name["kind"] and run["kind"] in text["kind"]
        assert name["text"] == run["name"]
        what, number = text["text"].rsplit(" ", 1)
        assert what == WHAT[key]
        assert float(number) == pytest.approx(values[epoch - 1], abs=0.00051)
        top = max(top + ROW, expected[epoch - 1])
        assert (float(name["y"]) + 2, float(text["y"]) - 13) == pytest.approx(
            (top, top)
        )
        assert points(lead["d"]) == [
            pytest.approx((at, expected[epoch - 1])),
            pytest.approx((right + 10, top)),
        ]
        assert f"{run['name']} {text['text']}" in shown["said"]
    assert shown["said"].startswith(f"{epoch}: ")
    costs(shown, state, epoch, at)


def costs(shown, state, epoch, at):
    """What the running statistics cost is marked, and said."""
    for kind in ("lost", "loss"):
        assert len(marks(shown, kind)) == sum("fresh" in run for run in state["runs"])
    for run in [run for run in state["runs"] if "fresh" in run]:
        test, fresh = run["test_acc"], run["fresh"]
        gap = fresh[epoch - 1] - test[epoch - 1]
        text = f"{gap:.3f}" if gap > 0 else "nothing"
        assert f"{text} lost to the running statistics" in shown["said"]
        (bar,) = marks(shown, "loss")
        ends = [float(y) for y in re.findall(r"[ V]([\d.]+)", bar["d"])]
        expected = [height(test[epoch - 1], state), height(fresh[epoch - 1], state)]
        assert ends == pytest.approx(expected)
        assert float(re.match(r"M([\d.]+)", bar["d"])[1]) == pytest.approx(at)
        outline = [y for _, y in points(marks(shown, "lost")[0]["d"])]
        upper = map(max, fresh, test)  # shaded where fresh statistics help
        around = [height(v, state) for v in [*upper, *test[::-1]]]
        assert outline == pytest.approx(around)
        words = [m for m in marks(shown, "ink") if m["text"].startswith(text)]
        assert float(words[0]["y"]) > max(around)


def test_it_opens_with_the_last_epoch(figure, state):
    agrees(figure, state, 10)


def test_the_chapters_figures_follow_its_story(shown):
    one, two, fresh = shown
    assert [[run["kind"] for run in state["runs"]] for state in shown] == [
        ["bn"],
        ["bn", "plain"],
        ["bn"],
    ]
    assert one["runs"][0] == two["runs"][0]
    (run,) = fresh["runs"]
    assert {key: run[key] for key in run if key != "fresh"} == one["runs"][0]
    jumps, calm = (
        sum(abs(a - b) for a, b in zip(run[key][1:], run[key], strict=False))
        for key in ("test_acc", "fresh")
    )
    assert len(run["fresh"]) == 10 and calm < jumps / 2


def test_the_scale_is_labelled_where_it_lies(figure, state):
    shown = figure.evaluate(SNAPSHOT)
    ticks = {m["text"]: m for m in marks(shown, "quiet") if m["text-anchor"] == "end"}
    assert len(ticks) >= 2
    for text, mark in ticks.items():
        y = float(mark["y"]) - 5
        assert y == pytest.approx(height(float(text), state), abs=1e-6)
        assert 0 < y <= ZERO


def test_no_text_lies_on_another_one_or_leaves_the_figure(figure, state):
    for width in (1000, 390):
        figure.page.set_viewport_size({"width": width, "height": 900})
        figure.page.wait_for_timeout(100)
        for epoch in range(1, 11):
            figure.locator("input").fill(str(epoch))
            shown = figure.evaluate(SNAPSHOT)
            boxes = [mark["box"] for mark in marks(shown, "ink")]
            assert all(
                shown["svg"]["left"] <= box["left"]
                and box["right"] <= shown["svg"]["right"]
                and box["bottom"] <= shown["svg"]["bottom"]
                for box in boxes
            )
            assert not any(overlap(*pair) for pair in combinations(boxes, 2))


def overlap(a, b, margin=4):
    """Whether two boxes share more than the margin of a line of text."""
    across = min(a["right"], b["right"]) - max(a["left"], b["left"])
    down = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
    return across > 0 and down > margin


def in_a_notebook(browser, curves):
    page = browser.new_page()
    page.evaluate(NOTEBOOK, [str(curves._esm), curves.state()])
    return page


@pytest.mark.parametrize("reached", [0.85, 0.93, 0.985, 1.0])
def test_the_scale_ends_just_above_the_best_accuracy(browser, reached):
    curves = Curves(epochs=2)
    curves.add("a", "bn", [1, 1], [0, reached], [0.0, 0.5])
    curves.add("<b>&amp;", "other", [1, 1], [0.5, 0.5], [0.1, 0.1])
    page = in_a_notebook(browser, curves)
    line = page.locator(".bn-curve.bn-bn.bn-train_acc").get_attribute("d")
    (_, low), (_, high) = points(line)
    assert (low, high) == pytest.approx((240, height(reached, curves.state())))
    assert TOP < high < 40 or reached < 0.9
    drawn = r'class="bn-curve bn-bn bn-train_acc".*? d="(.*?)"'
    picture = re.findall(drawn, curves.picture())
    assert points(picture[0])[1][1] == pytest.approx(high, abs=0.06)
    names = page.locator(".bn-ink.bn-other:not(.bn-value)").all_text_contents()
    assert names == ["<b>&amp;", "<b>&amp;"]
    page.close()


def test_while_a_second_net_trains_the_numbers_are_those_that_both_have(browser):
    curves = Curves(epochs=3)
    curves.add("first", "bn", [3, 2, 1], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    page = in_a_notebook(browser, curves)
    head, value = page.locator(".bn-head"), page.locator(".bn-value")
    assert head.inner_text() == "Accuracy after epoch 3 of 3"
    curves.add("a second net, longer", "plain")
    for epoch in (0, 1, 2):
        run = {**curves.runs[1], "train_loss": [2.0] * epoch}
        run |= {"train_acc": [0.7] * epoch, "test_acc": [0.8] * epoch}
        runs = [curves.runs[0], run]
        page.evaluate("([name, value]) => window.set(name, value)", ["runs", runs])
        reached = epoch or 3
        assert head.inner_text() == f"Accuracy after epoch {reached} of 3"
        numbers = [f"training {0.1 * reached:.3f}", f"test {0.3 + 0.1 * reached:.3f}"]
        numbers += ["training 0.700", "test 0.800"] * (epoch > 0)
        assert sorted(value.all_text_contents()) == sorted(numbers)
    assert page.locator("text", has_text="a second net,…").count() == 2
    page.evaluate("window.set('epoch', 3)")  # which only one of them has reached
    assert "training –" in value.all_text_contents()
    page.close()


def test_thirty_epochs_of_two_nets_that_learn_nothing_are_readable(browser):
    curves = Curves(epochs=30)
    for kind in ("plain", "other"):
        curves.add(kind, kind, [2.3], [0.1], [0.1])
    page = in_a_notebook(browser, curves)
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_timeout(100)
    shown = page.locator(".bn-figure").last.evaluate(SNAPSHOT)
    boxes = [mark["box"] for mark in shown["marks"] if mark["text"]]
    assert len(marks(shown, "ink")) == 8
    assert all(box["bottom"] <= shown["svg"]["bottom"] for box in boxes)
    assert not any(overlap(*pair) for pair in combinations(boxes, 2))
    page.close()


def spot(figure, epoch, y=60):
    """A place in the chart, at an epoch of ten."""
    box = figure.locator("svg").bounding_box()
    unit = (box["width"] - RIGHT - LEFT) / 9
    return box["x"] + LEFT + unit * (epoch - 1), box["y"] + y


def test_a_click_or_a_finger_on_the_chart_chooses_the_epoch(figure, state):
    for epoch in (3, 1, 8, 10):
        figure.page.mouse.click(*spot(figure, epoch))
        agrees(figure, state, epoch)
    touch(figure, spot(figure, 1.2))
    agrees(figure, state, 1)


def test_the_thumb_can_be_dragged_along_its_axis(figure, state):
    mouse = figure.page.mouse
    mouse.move(*spot(figure, 10, AXIS))
    mouse.down()
    mouse.move(*spot(figure, 5, AXIS), steps=4)
    mouse.up()
    agrees(figure, state, 5)


def test_keys_choose_the_epoch(figure, state):
    assert figure.locator("input").count() == 1
    figure.locator("input").focus()
    figure.page.keyboard.press("Home")
    agrees(figure, state, 1)
    figure.page.keyboard.press("ArrowRight")
    agrees(figure, state, 2)


def test_it_works_on_a_phone(figure, state):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    figure.page.wait_for_timeout(100)
    svg = figure.locator("svg")
    assert svg.evaluate("e => e.clientWidth - e.viewBox.baseVal.width") == 0
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    agrees(figure, state, 10)
    sizes = figure.locator("text").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12


def test_the_curves_end_where_the_runs_printed_that_they_did(shown):
    notebook = nbformat.read(ROOT / "chapters" / "06-lenet.ipynb", nbformat.NO_CONVERT)
    printed = [
        [float(number) for number in re.findall(r"(?:loss|acc) ([\d.]+)", output.text)]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout" and "examples/sec" in output.text
    ]
    ends = [[run[key][-1] for key in LISTS] for run in shown[1]["runs"]]
    assert ends == [pytest.approx(numbers, abs=0.00056) for numbers in printed]
