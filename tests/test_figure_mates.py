"""The figure of batch-mates: it shows what the layer makes of the same stream."""

import math
import random
import re
from copy import deepcopy

import pytest
import torch

from bn import BatchNorm
from conftest import NOTEBOOK, alive, touch
from fashion_mnist import LABELS, load
from figures import Mates
from records import read_record

STATES = 50
RECORD = read_record("brightness")["runs"]["Fashion-MNIST"]
YOURS = RECORD["yours"]
START = {
    **{"size": 8, "momentum": 0.1, "seen": 32, "mode": "training", "moved": {}},
    "yours": YOURS,
}
LIMITS = [(0, 0.5), (0, 1), (-2.5, 4)]  # of the panels of mean, spread and output


def test_the_record_has_the_brightness_of_the_images():
    images, _, test_images, test_labels = load()
    crowd = images.long().sum(dim=(1, 2)).double() / (28 * 28 * 255)
    assert RECORD["stream"] == [round(v, 3) for v in crowd[:976].tolist()]
    assert RECORD["mean"] == pytest.approx(crowd.mean().item(), abs=6e-7)
    assert RECORD["variance"] == pytest.approx(crowd.var(correction=0).item(), abs=1e-6)
    yours = test_images[1].sum().item() / (28 * 28 * 255)
    assert RECORD["yours"] == round(yours, 3)
    assert LABELS[test_labels[1]] == "Pullover"


def expected(size, momentum, seen, mode, moved, yours):
    """What the layer says to each of the batches seen, and to the one at hand.

    Returns lists of mean, spread and your output: for each state of the running
    statistics, for each batch seen, for the batch at hand, for all images.
    """
    stream = list(RECORD["stream"])
    for place, value in moved.items():
        stream[int(place)] = value
    batches = torch.tensor(stream[: (seen + 1) * size], dtype=torch.float64)
    batches = batches.reshape(seen + 1, size, 1)
    asking = torch.full((1, 1), yours, dtype=torch.float64)
    layer = BatchNorm(1, num_dims=2, momentum=momentum).double()
    lines, dots = [], []
    for k, batch in enumerate(batches):
        company = torch.cat([asking, batch[:-1]])
        guest = deepcopy(layer)  # yours asks, and is not recorded
        trained, predicted = guest(company)[0].item(), layer.eval()(company)[0].item()
        spread = layer.running_var.sqrt().item()
        lines.append([layer.running_mean.item(), spread, predicted])
        if k < seen:
            dots.append([batch.mean().item(), batch.std().item(), trained])
            layer.train()(batch)
    own = [company.mean().item(), company.std(correction=0).item(), trained]
    mean, var = RECORD["mean"], RECORD["variance"]
    return lines, dots, own, [mean, var**0.5, (yours - mean) / (var + 1e-5) ** 0.5]


def flat(places):
    return [number for place in places for number in place]


def down(value, i):
    """How far down a value is in its panel, of 104 px; beyond the limits at the end."""
    low, high = LIMITS[i]
    return 104 * (high - min(high, max(low, value))) / (high - low)


def above(mode, yours, lines, own):
    """The marks on the axis of brightness, with a ruler from the mean to yours."""

    def band(mean, spread, _):
        return [mean - spread, 26, 158, mean + spread, 26]

    used = own if mode == "training" else lines[-1]
    mean, _, output = used
    count = abs(output)
    ticks = [mean + (yours - mean) * k / count for k in range(1, int(count) + 1)]
    return {
        "faint": band(*own),
        "band": band(*used),
        "used": [mean, 26, 158],
        "ruler": [mean, 128, yours, *flat((tick, 123, 10) for tick in ticks)],
    }


def below(mode, lines, dots, own, true, i):
    """The marks in the panel of means (0), spreads (1) or outputs (2)."""
    training, seen = mode == "training", len(dots)
    used = own if training else lines[-1]
    goal, at = down(true[i], i), down(used[i], i)
    return {
        "now": [seen, 0, 104],
        "true": [0, goal, 60],
        "dots": flat((k + 1, down(dot[i], i)) for k, dot in enumerate(dots)),
        "run": flat((k, down(line[i], i)) for k, line in enumerate(lines)),
        "gap": [seen + training, at, goal],
        "mark": [seen + training, at],
    }


READ = """e => {
  const box = node => node.getBoundingClientRect();
  const chart = svg => ({
    axes: svg.getAttribute("viewBox"),
    paths: Object.fromEntries([...svg.querySelectorAll("path")].map(
      p => [p.className.baseVal.slice(3), p.getAttribute("d")])),
    shown: [...svg.querySelectorAll("path")].filter(p => p.checkVisibility()).map(
      p => p.className.baseVal.slice(3)),
    colours: Object.fromEntries([...svg.querySelectorAll("path")].map(
      p => [p.className.baseVal.slice(3), getComputedStyle(p).stroke])),
    labels: [...svg.parentNode.querySelectorAll("i")].filter(
      i => i.checkVisibility()).map(i => [i.innerText, [
        ...[box(i).left, box(i).right].map(v => (v - box(svg).left) / box(svg).width),
        ...[box(i).top, box(i).bottom].map(v => v - box(svg).top)]]),
    width: box(svg).width,
  });
  return {
    words: e.querySelector(".bn-today > output > div").innerText,
    said: e.querySelector(".bn-today p").innerText,
    today: chart(e.querySelector(".bn-today svg")),
    past: [...e.querySelectorAll(".bn-past svg")].map(chart),
    beads: [...e.querySelectorAll("[name=moved]")].filter(b => b.checkVisibility()).map(
      b => b.valueAsNumber),
    yours: e.querySelector("[name=yours]").valueAsNumber,
    controls: [...e.querySelectorAll("label output")].map(o => o.innerText),
    spoken: [...e.querySelectorAll("label [type=range]")].map(
      o => o.getAttribute("aria-valuetext")),
    mode: e.querySelector("[name=mode]:checked").value,
  };
}"""


def numbers(text):
    found = re.findall(r"[-+]?\d+(?:\.\d+)?(?:e-\d+)?", text.replace("−", "-"))
    return [float(number) for number in found]


def drawn(chart):
    """The numbers in the paths of a chart, by their kind."""
    strip = re.compile("(?<=[0-9])h0")
    return {k: numbers(strip.sub("", d)) for k, d in chart["paths"].items()}


def today_agrees(shown, mode, yours, lines, own):
    training = mode == "training"
    mean, spread, output = own if training else lines[-1]
    assert shown["mode"] == mode and f"in {mode} mode" in shown["words"]
    (big,) = numbers(shown["words"])
    assert big == pytest.approx(output, abs=0.00501)
    assert ("+" in shown["words"]) == (output >= 0)
    chart = shown["today"]
    assert chart["axes"] == "0 0 1 158"
    marks = above(mode, yours, lines, own)
    assert drawn(chart) == {k: pytest.approx(v, abs=1e-7) for k, v in marks.items()}
    assert ("faint" in chart["shown"]) == (not training)

    (name, beside), (basis, over), *ticks = chart["labels"]
    assert name == "yours" and beside[0] <= yours <= beside[1]
    assert basis.startswith("batch mean" if training else "running mean")
    assert numbers(basis) == pytest.approx([mean, spread], abs=0.000501)
    assert over[0] <= min(1, max(0, mean)) <= over[1]
    counted = range(1, int(abs(output)) + 1) if abs(output) < 6 else []
    assert [text for text, _ in ticks] == [str(k) for k in counted]
    for k, (_, (left, right, *_)) in zip(counted, ticks, strict=True):
        place = mean + (yours - mean) * k / abs(output)
        assert (left + right) / 2 == pytest.approx(place, abs=0.002)
    return big


def past_agrees(shown, mode, lines, dots, own, true):
    training, seen = mode == "training", len(dots)
    used = own if training else lines[-1]
    for i, chart in enumerate(shown["past"]):
        assert chart["axes"] == "0 0 60 104"
        marks = below(mode, lines, dots, own, true, i)
        assert drawn(chart) == {k: pytest.approx(v, abs=1e-6) for k, v in marks.items()}
        # Of the outputs, dots are drawn in training mode, and a line in prediction.
        hidden = set()
        if i == 2:
            hidden = {"run"} if training else {"dots"}
        assert set(chart["paths"]) - set(chart["shown"]) == hidden
        # Blue is what the output rests on.
        colours = chart["colours"]
        assert colours["mark"] != colours["gap"]
        assert (colours["run"] == colours["mark"]) == (i == 2 or not training)
        assert (colours["dots"] == colours["mark"]) == (i == 2)

        high, zero, goal, gap = chart["labels"]
        assert [high[0], zero[0]] == [str(LIMITS[i][1]), "0"]
        for (_, (_, _, top, bottom)), place in (
            *((high, 0), (zero, down(0, i)), (goal, down(true[i], i))),
        ):
            assert (top + bottom) / 2 == pytest.approx(place, abs=0.6)
        assert goal[0].startswith("true")
        assert numbers(goal[0]) == pytest.approx([true[i]], abs=0.000501)
        text, (left, _, top, bottom) = gap
        values = [used[i], abs(used[i] - true[i])][i // 2 :]
        basis = "batch" if training else "running"
        assert text.split()[::2] == [basis, "gap"][i // 2 :]
        assert numbers(text) == pytest.approx(values, abs=0.000501)
        # Beside the end of the line, but never on the words about the truth.
        assert 0 < (left - seen / 60) * chart["width"] < 24
        _, (_, _, upper, lower) = goal
        assert top >= lower - 1 or bottom <= upper + 1
        assert top >= -1 and bottom <= 107


def agrees(figure, **state):
    """Every number that the figure shows is what Python says of this state."""
    shown = figure.evaluate(READ)
    lines, dots, own, true = expected(**state)
    output = today_agrees(shown, state["mode"], state["yours"], lines, own)
    past_agrees(shown, state["mode"], lines, dots, own, true)

    size, seen, momentum = state["size"], state["seen"], state["momentum"]
    places = range(seen * size, seen * size + size - 1)
    mates = [state["moved"].get(str(k), RECORD["stream"][k]) for k in places]
    assert shown["beads"] == pytest.approx(mates, abs=0.00501)
    assert shown["yours"] == pytest.approx(state["yours"], abs=1e-9)
    if momentum < 1:
        half_life = math.log(2) / -math.log(1 - momentum)
        weight, life = numbers(shown["controls"][0])
        assert (weight, life) == (momentum, pytest.approx(half_life, abs=0.0501))
    else:
        assert shown["controls"][0] == "1, only the last batch counts"
    assert shown["controls"][1:] == [str(size), str(seen)]
    assert shown["spoken"] == shown["controls"]
    return output


@pytest.fixture(scope="module")
def opened(browser, server):
    with alive(browser, server, "05-prediction", "mates") as figure:
        yield figure


@pytest.fixture
def figure(opened):
    """The figure, reset."""
    opened.page.set_viewport_size({"width": 1000, "height": 900})
    opened.get_by_role("button", name="reset").click()
    return opened


def slider(figure, name):
    return figure.locator(f"label [name={name}]")


BEADS = """e => {
  const line = e.querySelector("svg").getBoundingClientRect();
  return [...e.querySelectorAll("[name=moved], [name=yours]")].map(bead => {
    const box = bead.getBoundingClientRect();
    return [bead.valueAsNumber, line.left, line.width, box.top + box.height / 2];
  });
}"""


def drag(figure, j, target, state, move):
    """Drag what lies on top where batch-mate j is, or yours (-1); updates `state`."""
    figure.locator(".bn-today").scroll_into_view_if_needed()
    beads = figure.evaluate(BEADS)
    before = [bead[0] for bead in beads]
    _, left, width, y = beads[j]
    move(figure, (left + before[j] * width, y), (left + target * width, y))
    after = [bead[0] for bead in figure.evaluate(BEADS)]
    *mates, yours = zip(before, after, strict=True)
    changed = {
        str(state["seen"] * state["size"] + i): new
        for i, (old, new) in enumerate(mates)
        if new != old
    }
    moved = [*changed.values(), *([yours[1]] if yours[1] != yours[0] else [])]
    assert len(moved) == 1 or abs(target - before[j]) < 0.03
    assert moved == pytest.approx([target] * len(moved), abs=0.03)
    state["moved"] = {**state["moved"], **changed}
    state["yours"] = yours[1]


def by_mouse(figure, start, end):
    mouse = figure.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(*end, steps=2)
    mouse.up()


def test_it_opens_in_a_state_in_which_company_and_crowd_disagree(opened):
    assert agrees(opened, **START) == 2.24
    opened.get_by_role("radio", name="prediction").check()
    assert agrees(opened, **{**START, "mode": "prediction"}) == 0.96


def test_in_random_states_all_numbers_are_those_of_the_layer(figure):
    draw = random.Random(0)
    state = dict(START)
    for k in range(STATES):
        if k == STATES // 2:
            state["mode"] = "prediction"
            figure.get_by_role("radio", name="prediction").check()
        state["size"], state["seen"] = draw.randint(2, 16), draw.randint(0, 60)
        exponent = draw.randint(-20, 0) / 10
        state["momentum"] = float(f"{10**exponent:.2g}")
        slider(figure, "size").fill(str(state["size"]))
        slider(figure, "seen").fill(str(state["seen"]))
        slider(figure, "momentum").fill(str(exponent))
        if draw.random() < 0.5:
            figure.get_by_role("button", name="next batch").click()
            state["seen"] = min(60, state["seen"] + 1)
        j = draw.randrange(state["size"] - 1)
        drag(figure, draw.choice([j, j, -1]), draw.uniform(0, 1), state, by_mouse)
        j = draw.randrange(state["size"] - 1)
        figure.get_by_label(f"batch-mate {j + 1}", exact=True).press("ArrowRight")
        place = str(state["seen"] * state["size"] + j)
        value = state["moved"].get(place, RECORD["stream"][int(place)])
        if value < 1:
            value = round(math.floor(value * 100 + 0.5) + 1) / 100
        state["moved"] = {**state["moved"], place: value}
        agrees(figure, **state)


MARK = "e => [...e.querySelectorAll('.bn-mark')].pop().getAttribute('d')"
SAID = "e => e.querySelector('.bn-today p').innerText"


@pytest.mark.parametrize("mode", ["training", "prediction"])
def test_a_batch_mate_moves_your_output_in_training_mode_alone(figure, mode):
    figure.get_by_role("radio", name=mode).check()
    state = {**START, "mode": mode}
    before = figure.evaluate(MARK)
    for target in (0.9, 0.5, 0.0):
        drag(figure, 0, target, state, by_mouse)
        agrees(figure, **state)
        assert (figure.evaluate(MARK) == before) == (mode == "prediction")
        did = "so did your output" if mode == "training" else "your output did not"
        assert did in figure.evaluate(SAID)
    figure.get_by_role("button", name="next batch").click()  # now it is recorded
    agrees(figure, **{**state, "seen": 33})


@pytest.mark.parametrize("mode", ["training", "prediction"])
def test_what_happened_is_said(figure, mode):
    figure.get_by_role("radio", name=mode).check()
    words = Mates().words[mode]
    for name, value in (
        *(("seen", "33"), ("size", "9"), ("momentum", "-2"), ("yours", "0.3")),
        *(("moved", "0.3"),),
    ):
        figure.locator(f"[name={name}]").first.fill(value)
        assert figure.evaluate(SAID) == words[name]
    assert len({words[name] for name in START}) == len(START)


def test_yours_can_be_moved_past_the_mean(figure):
    for mode in ("training", "prediction"):
        figure.get_by_role("radio", name=mode).check()
        state = {**START, "mode": mode}
        for target in (0.0, 0.2, 1.0):
            state["yours"] = target
            figure.get_by_label("yours").fill(str(target))
            agrees(figure, **state)


def test_keys_move_a_batch_mate_and_stay_in_the_range(figure):
    bead = figure.get_by_role("slider", name="batch-mate 2", exact=True)
    bead.focus()
    for key, value in (
        ("End", 1.0),
        ("ArrowRight", 1.0),
        ("ArrowLeft", 0.99),
        ("Home", 0.0),
        ("ArrowUp", 0.01),
        ("PageUp", 0.11),
        ("ArrowDown", 0.1),
    ):
        bead.press(key)
        agrees(figure, **{**START, "moved": {"257": value}})


def test_a_finger_drags_a_batch_mate_and_yours(figure):
    def by_finger(figure, start, end):
        touch(figure, start, ((start[0] + end[0]) / 2, end[1]), end)

    state = dict(START)
    for j, target in ((0, 0.8), (-1, 0.3)):
        drag(figure, j, target, state, by_finger)
        agrees(figure, **state)


def test_keys_and_enter_on_the_controls(figure):
    url = figure.page.url
    slider(figure, "seen").press("ArrowRight")
    slider(figure, "size").press("End")
    slider(figure, "momentum").press("ArrowLeft")
    figure.get_by_role("radio", name="training").press("ArrowRight")
    for control in (slider(figure, "seen"), figure.get_by_role("radio").last):
        control.press("Enter")
    state = {"size": 16, "momentum": 0.079, "seen": 33, "mode": "prediction"}
    agrees(figure, **state, moved={}, yours=YOURS)
    assert figure.page.url == url


def test_the_buttons_set_telling_states_and_reset_the_start(figure):
    def press(name, **changes):
        figure.get_by_role("button", name=name, exact=True).click()
        return agrees(figure, **{**START, **changes})

    assert press("a glaring batch-mate", moved={"256": 1.0}) == 0.54
    figure.get_by_role("radio", name="prediction").check()
    assert press("a glaring batch-mate", moved={"256": 1.0}) == 0.54
    for mode in ("training", "prediction"):  # which stays, as all but the momentum
        press("reset")
        figure.get_by_role("radio", name=mode).check()
        slider(figure, "seen").fill("60")
        for momentum in (1.0, 0.01):
            press(f"momentum {momentum:g}", momentum=momentum, mode=mode, seen=60)
            assert figure.evaluate(SAID) == Mates().words[mode]["momentum"]
        press("next batch", momentum=0.01, mode=mode, seen=60)  # there is none
    press("reset")
    press("next batch", seen=33)


def test_it_follows_changes_that_python_makes(browser):
    page = browser.new_page()
    page.evaluate(NOTEBOOK, [str(Mates()._esm), Mates().state()])
    changes = {"size": 4, "momentum": 0.5, "seen": 3, "mode": "prediction"}
    changes |= {"moved": {"1": 0.9}, "yours": 0.4, "truth": [0.25, 0.01]}
    changes["stream"] = [0.25 + 0.001 * i for i in range(100)]
    for name, value in changes.items():
        page.evaluate("([name, value]) => window.set(name, value)", [name, value])
    (output,) = numbers(page.locator(".bn-today > output > div").text_content())
    mean, spread = numbers(page.locator(".bn-today i").nth(1).text_content())
    true, now, gap = numbers(
        "; ".join(page.locator(".bn-past i").all_text_contents()[2:4])
    )
    page.close()
    same = Mates(**changes)
    running, var = same.running()[-1]
    assert output == pytest.approx(same.output(), abs=0.00501)
    assert [mean, spread, now] == pytest.approx([running, var**0.5, running], abs=5e-4)
    assert (true, gap) == (0.25, pytest.approx(abs(running - 0.25), abs=0.000501))


def test_it_works_on_a_phone(figure):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    figure.locator(".bn-today").scroll_into_view_if_needed()
    state = dict(START)
    drag(figure, 0, 0.7, state, by_mouse)
    agrees(figure, **state)
    labels = figure.locator(".bn-controls label").all()
    assert all(label.bounding_box()["height"] < 40 for label in labels)


@pytest.mark.parametrize("mode", ["training", "prediction"])
def test_no_words_lie_on_others(figure, mode):
    """On a wide page and on a phone, from the first batch to the last."""
    figure.get_by_role("radio", name=mode).check()
    for width in (1000, 390, 360):
        figure.page.set_viewport_size({"width": width, "height": 800})
        for seen, exponent in ((0, -1), (1, 0), (20, -1), (60, -1), (60, -2)):
            slider(figure, "seen").fill(str(seen))
            slider(figure, "momentum").fill(str(exponent))
            words = figure.evaluate(WORDS)
            assert len(words) == 20
            for i, (text, left, right, top, bottom) in enumerate(words):
                assert left >= 0 and right <= width
                for other, start, end, upper, lower in words[:i]:
                    beside = right <= start or end <= left
                    assert beside or bottom <= upper or lower <= top, (text, other)


# Ticks aside, whose numbers may touch.
WORDS = """e => [...e.querySelectorAll(
  ".bn-today output > div, p, .bn-today i:nth-of-type(-n + 2), .bn-past i"
)].filter(node => node.checkVisibility() && node.innerText).map(node => {
  const range = document.createRange();
  range.selectNodeContents(node);
  const { left, right, top, bottom } = range.getBoundingClientRect();
  return [node.innerText, left, right, top + 1, bottom - 1];
})"""


@pytest.mark.parametrize("mode", ["training", "prediction"])
def test_the_picture_shows_the_same(mode):
    state = {**START, "mode": mode, "moved": {"256": 1.0}}
    figure = Mates(**state)
    lines, dots, own, true = expected(**state)
    used = own if mode == "training" else lines[-1]
    assert figure.output() == pytest.approx(used[2])
    assert figure.running() == [
        (mean, pytest.approx(spread**2)) for mean, spread, _ in lines
    ]
    picture = figure.picture()
    assert f">{used[2]:+.2f}<" in picture
    assert f"mean {used[0]:.3f} ± spread {used[1]:.3f}<" in picture
    for i in range(3):
        assert f">true {true[i]:.3f}<" in picture
        assert f">gap {abs(used[i] - true[i]):.3f}<" in picture
        basis = "batch" if mode == "training" else "running"
        assert (f">{basis} {used[i]:.3f}<" in picture) == (i < 2)
    top, *panels = picture.split("<g transform")
    held = [
        (
            top,
            above(mode, YOURS, lines, own),
            lambda x: 14 + 460 * x,
            {"faint", "used"},
        ),
        *(
            (
                panel,
                below(mode, lines, dots, own, true, i),
                lambda x: 34 + 9 * x,
                {"now"},
            )
            for i, panel in enumerate(panels)
        ),
    ]
    for i, (part, marks, across, apart) in enumerate(held):
        paths = [
            numbers(re.sub("(?<=[0-9])h0", "", d))
            for d in re.findall(r' d="(.*?)"', part)
        ]
        if i == 3:
            apart = apart | {"run" if mode == "training" else "dots"}
        for kind in set(marks) - apart:
            places = marks[kind]
            if kind == "true":
                xs = [0, 2]
            elif kind == "band":
                xs = [0, 3]
            elif kind == "ruler":
                xs = [0, 2, *range(3, len(places), 3)]
            elif kind == "gap":
                xs = [0]
            else:
                xs = range(0, len(places), 2)
            places = [across(v) if k in xs else v for k, v in enumerate(places)]
            assert pytest.approx(places, abs=0.06) in paths, kind
    beads = re.findall(r'class="bn-in" .*?cx="([\d.]+)"', picture)
    mates = [1.0, *RECORD["stream"][257:263]]
    assert [float(x) for x in beads] == pytest.approx(
        [14 + 460 * v for v in mates], abs=0.06
    )
