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
START = {"size": 8, "momentum": 0.1, "seen": 20, "mode": "training", "moved": {}}


def test_the_record_has_the_brightness_of_the_images():
    images, _, test_images, test_labels = load()
    crowd = images.long().sum(dim=(1, 2)).double() / (28 * 28 * 255)
    assert RECORD["stream"] == [round(v, 3) for v in crowd[:976].tolist()]
    assert RECORD["mean"] == pytest.approx(crowd.mean().item(), abs=6e-7)
    assert RECORD["variance"] == pytest.approx(crowd.var().item(), abs=1e-6)
    yours = test_images[1].sum().item() / (28 * 28 * 255)
    assert RECORD["yours"] == round(yours, 3)
    assert LABELS[test_labels[4]] == "Shirt"


def expected(size, momentum, seen, mode, moved):
    """What the layer says to each of the batches seen, and to the one at hand.

    Returns the points of the three charts (of mean, spread, output): lines, dots, and
    the mark of what is used now.
    """
    stream = list(RECORD["stream"])
    for place, value in moved.items():
        stream[int(place)] = value
    batches = torch.tensor(stream[: (seen + 1) * size], dtype=torch.float64)
    batches = batches.reshape(seen + 1, size, 1)
    yours = torch.full((1, 1), RECORD["yours"], dtype=torch.float64)
    layer = BatchNorm(1, num_dims=2, momentum=momentum).double()
    lines, dots = [], []
    for k, batch in enumerate(batches):
        company = torch.cat([yours, batch[:-1]])
        guest = deepcopy(layer)  # yours asks, and is not recorded
        trained, predicted = guest(company)[0].item(), layer.eval()(company)[0].item()
        spread = layer.running_var.sqrt().item()
        lines.append([layer.running_mean.item(), spread, predicted])
        if k < seen:
            dots.append([batch.mean().item(), batch.std().item(), trained])
            layer.train()(batch)
    used = lines[-1]
    if mode == "training":
        spread = company.std(correction=0).item()
        used = [company.mean().item(), spread, trained]
    return lines, dots, used


def truth():
    mean, var = RECORD["mean"], RECORD["variance"]
    return [mean, var**0.5, (RECORD["yours"] - mean) / (var + 1e-5) ** 0.5]


LIMITS = [(0, 0.6), (0, 1), (-3, 3)]  # of the charts
READ = """e => ({
  words: e.querySelector(".bn-beside output").innerText,
  charts: [...e.querySelectorAll(".bn-charts div")].map(box => ({
    words: box.innerText,
    paths: Object.fromEntries([...box.querySelectorAll("path")].map(
      p => [p.className.baseVal, p.getAttribute("d")])),
  })),
  strip: [...e.querySelectorAll(".bn-strip line, .bn-strip svg svg")].flatMap(
    p => ["x", "x1", "x2"].map(name => p.getAttribute(name)).filter(v => v)),
  beads: [...e.querySelectorAll("[name=moved]")].filter(b => b.checkVisibility()).map(
    b => [b.valueAsNumber, b.getAttribute("aria-valuetext")]),
  controls: [...e.querySelectorAll("label output")].map(o => o.innerText),
  spoken: [...e.querySelectorAll("label [type=range]")].map(
    o => o.getAttribute("aria-valuetext")),
  mode: e.querySelector("[name=mode]:checked").value,
  colours: ["dots", "run", "mark"].map(
    kind => getComputedStyle(e.querySelector(`.bn-${kind}`)).stroke),
})"""


def numbers(text):
    found = re.findall(r"[-+]?\d+(?:\.\d+)?(?:e-\d+)?", text.replace("−", "-"))
    return [float(number) for number in found]


def agrees(figure, size, momentum, seen, mode, moved):
    """Every number that the figure shows is what Python says of this state."""
    shown = figure.evaluate(READ)
    lines, dots, used = expected(size, momentum, seen, mode, moved)
    assert shown["mode"] == mode and f"in {mode} mode" in shown["words"]
    assert ("batch" if mode == "training" else "running") + " mean" in shown["words"]
    dots_colour, line_colour, blue = shown["colours"]
    assert (dots_colour == blue, line_colour == blue) == (
        mode == "training",
        mode == "prediction",
    )
    output, mean, spread = numbers(shown["words"])
    assert output == pytest.approx(used[2], abs=0.00501)
    assert ("+" in shown["words"]) == (used[2] >= 0)
    assert [mean, spread] == pytest.approx(used[:2], abs=0.000501)
    band = [100 * (used[0] + sign * used[1]) for sign in (-1, 1)]
    strip = [float(x.rstrip("%")) for x in shown["strip"]]
    assert strip == pytest.approx([*band, 100 * used[0], 100 * RECORD["yours"]])

    for i, (chart, (low, high)) in enumerate(zip(shown["charts"], LIMITS, strict=True)):

        def clip(value, low=low, high=high):
            return -min(high, max(low, value))

        value, true, gap, *_ = numbers(chart["words"])
        assert value == pytest.approx(lines[-1][i], abs=0.000501)
        assert true == pytest.approx(truth()[i], abs=0.000501)
        assert gap == pytest.approx(abs(lines[-1][i] - truth()[i]), abs=0.000501)
        line = [(k, clip(values[i])) for k, values in enumerate(lines)]
        cloud = [(k, clip(values[i])) for k, values in enumerate(dots, 1)]
        for kind, places in (
            ("run", line),
            ("dots", cloud),
            ("mark", [(seen + (mode == "training"), clip(used[i]))]),
            ("gap", [line[-1], [-truth()[i]]]),
            ("true", [[0, -truth()[i], 61]]),
        ):
            drawn = numbers(chart["paths"][f"bn-{kind}"].replace("h0", ""))
            assert drawn == pytest.approx([n for p in places for n in p], abs=1e-9)

    assert len(shown["beads"]) == size - 1
    for j, (value, text) in enumerate(shown["beads"]):
        place = seen * size + j
        exact = moved.get(str(place), RECORD["stream"][place])
        assert value == pytest.approx(exact, abs=0.00501)
        assert numbers(text) == pytest.approx([value, output])
    half_life = math.log(2) / -math.log(1 - momentum) if momentum < 1 else 0
    weight, life = numbers(shown["controls"][0])
    assert (weight, life) == (momentum, pytest.approx(half_life, abs=0.0501))
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
  const line = e.querySelector(".bn-strip > svg").getBoundingClientRect();
  return [...e.querySelectorAll("[name=moved]")].map(bead => {
    const box = bead.getBoundingClientRect();
    return [bead.valueAsNumber, line.left, line.width, box.top + box.height / 2];
  });
}"""


def drag(figure, j, target, state, move):
    """Drag what lies on top where stranger j is; updates `state`."""
    beads = figure.evaluate(BEADS)
    before = [bead[0] for bead in beads]
    _, left, width, y = beads[j]
    move(figure, (left + before[j] * width, y), (left + target * width, y))
    after = [bead[0] for bead in figure.evaluate(BEADS)]
    changed = {
        str(state["seen"] * state["size"] + i): new
        for i, (old, new) in enumerate(zip(before, after, strict=True))
        if new != old
    }
    assert len(changed) == 1 or abs(target - before[j]) < 0.03
    assert list(changed.values()) == pytest.approx([target] * len(changed), abs=0.03)
    state["moved"] = {**state["moved"], **changed}


def by_mouse(figure, start, end):
    mouse = figure.page.mouse
    mouse.move(*start)
    mouse.down()
    mouse.move(*end, steps=2)
    mouse.up()


def test_it_opens_in_a_state_in_which_company_and_crowd_disagree(opened):
    assert agrees(opened, **START) == 2.44
    opened.get_by_role("radio", name="prediction").check()
    assert agrees(opened, **{**START, "mode": "prediction"}) == 0.7


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
        j, target = draw.randrange(state["size"] - 1), draw.uniform(0, 1)
        drag(figure, j, target, state, by_mouse)
        j = draw.randrange(state["size"] - 1)
        figure.get_by_label(f"stranger {j + 1}", exact=True).press("ArrowRight")
        place = str(state["seen"] * state["size"] + j)
        value = state["moved"].get(place, RECORD["stream"][int(place)])
        if value < 1:
            value = round(math.floor(value * 100 + 0.5) + 1) / 100
        state["moved"] = {**state["moved"], place: value}
        agrees(figure, **state)


MARK = "e => e.querySelector('.bn-charts div:last-child .bn-mark').getAttribute('d')"


@pytest.mark.parametrize("mode", ["training", "prediction"])
def test_a_stranger_moves_your_output_in_training_mode_alone(figure, mode):
    figure.get_by_role("radio", name=mode).check()
    state = {**START, "mode": mode}
    before = figure.evaluate(MARK)
    for target in (0.9, 0.5, 0.0):
        drag(figure, 0, target, state, by_mouse)
        agrees(figure, **state)
        assert (figure.evaluate(MARK) == before) == (mode == "prediction")
    figure.get_by_role("button", name="next batch").click()  # now it is recorded
    agrees(figure, **{**state, "seen": 21})


def test_keys_move_a_stranger_and_stay_in_the_range(figure):
    bead = figure.get_by_role("slider", name="stranger 2", exact=True)
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
        agrees(figure, **{**START, "moved": {"161": value}})


def test_a_finger_drags_a_stranger(figure):
    def by_finger(figure, start, end):
        touch(figure, start, ((start[0] + end[0]) / 2, end[1]), end)

    state = dict(START)
    drag(figure, 0, 0.8, state, by_finger)
    agrees(figure, **state)


def test_keys_and_enter_on_the_controls(figure):
    url = figure.page.url
    slider(figure, "seen").press("ArrowRight")
    slider(figure, "size").press("End")
    slider(figure, "momentum").press("ArrowLeft")
    figure.get_by_role("radio", name="training").press("ArrowRight")
    for control in (slider(figure, "seen"), figure.get_by_role("radio").last):
        control.press("Enter")
    state = {"size": 16, "momentum": 0.079, "seen": 21, "mode": "prediction"}
    agrees(figure, **state, moved={})
    assert figure.page.url == url


def test_the_buttons_set_telling_states_and_reset_the_start(figure):
    def press(name, **changes):
        figure.get_by_role("button", name=name, exact=True).click()
        return agrees(figure, **{**START, **changes})

    assert press("a glaring stranger", moved={"160": 1.0}) == 0.54
    press("impatient", momentum=1.0, mode="prediction")
    patient = {"momentum": 0.01, "mode": "prediction", "seen": 60}
    press("patient", **patient)
    press("next batch", **patient)  # there is none
    press("reset")
    press("next batch", seen=21)


def test_it_follows_changes_that_python_makes(browser):
    page = browser.new_page()
    page.evaluate(NOTEBOOK, [str(Mates()._esm), Mates().state()])
    changes = {"size": 4, "momentum": 0.5, "seen": 3, "mode": "prediction"}
    changes |= {"moved": {"1": 0.9}, "yours": 0.5, "truth": [0.25, 0.01]}
    changes["stream"] = [0.25 + 0.001 * i for i in range(100)]
    for name, value in changes.items():
        page.evaluate("([name, value]) => window.set(name, value)", [name, value])
    seen = page.locator("output").first.text_content()
    seen += page.locator(".bn-charts div").first.text_content()
    page.close()
    same = Mates(**changes)
    output, mean, spread, again, true, gap, *_ = numbers(seen)
    running, var = same.running()[-1]
    assert output == pytest.approx(same.output(), abs=0.00501)
    assert [mean, spread, again] == pytest.approx(
        [running, var**0.5, running], abs=0.000501
    )
    assert (true, gap) == (0.25, pytest.approx(abs(running - 0.25), abs=0.000501))


def test_it_works_on_a_phone(figure):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    assert figure.page.evaluate("document.documentElement.scrollWidth") <= 390
    figure.locator(".bn-strip").scroll_into_view_if_needed()
    state = dict(START)
    drag(figure, 0, 0.7, state, by_mouse)
    agrees(figure, **state)
    labels = figure.locator("label").all()
    assert all(label.bounding_box()["height"] < 40 for label in labels)


@pytest.mark.parametrize("mode", ["training", "prediction"])
def test_the_picture_shows_the_same(mode):
    state = {**START, "mode": mode, "moved": {"160": 1.0}}
    figure = Mates(**state)
    lines, dots, used = expected(**state)
    assert figure.output() == pytest.approx(used[2])
    assert figure.running() == [
        (mean, pytest.approx(spread**2)) for mean, spread, _ in lines
    ]
    picture = figure.picture()
    assert f">\n{used[2]:+.2f}<" in picture or f">{used[2]:+.2f}<" in picture
    assert f"running mean {lines[-1][0]:.3f} after 20 batches" in picture
    drawn = re.search(r'stroke-width: 5" d="(.*?)"', picture)[1]
    heights = [float(y) for y in re.findall(r" ([\d.]+)h0", drawn)]
    assert heights == pytest.approx([270 - 130 * dot[0] for dot in dots], abs=0.06)
    fulcrum = float(re.search(r"M([\d.]+) 140l", picture)[1])
    assert fulcrum == pytest.approx(16 + 448 * used[0], abs=0.06)
    beads = re.findall(r'class="bn-in" .*?cx="([\d.]+)"', picture)
    strangers = [1.0, *RECORD["stream"][161:167]]
    places = [16 + 448 * value for value in strangers]
    assert [float(x) for x in beads] == pytest.approx(places, abs=0.06)
