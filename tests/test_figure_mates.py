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
START = {"size": 8, "momentum": 0.1, "seen": 32, "mode": "training", "moved": {}}


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

    Returns for each state of the running statistics the mean, your output and the
    spread; for each batch seen its mean and your output in it; and what is used now.
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
        lines.append([layer.running_mean.item(), predicted, spread])
        if k < seen:
            dots.append([batch.mean().item(), trained])
            layer.train()(batch)
    used = lines[-1]
    if mode == "training":
        spread = company.std(correction=0).item()
        used = [company.mean().item(), trained, spread]
    return lines, dots, used


def truth():
    mean, var = RECORD["mean"], RECORD["variance"]
    return [mean, (RECORD["yours"] - mean) / (var + 1e-5) ** 0.5, var**0.5]


def flat(places):
    return [number for place in places for number in place]


def marks(lines, dots, used, i, start, end):
    """Where the marks are for mean (0) or output (1): from `start` a ruler to `end`."""
    now, true, seen = lines[-1][i], truth()[i], len(dots)
    count = abs(used[1])
    ticks = [start + (end - start) * k / count for k in range(1, int(count) + 1)]
    return {
        "true": [true, 0, 60],
        "dots": flat((dot[i], seen - k - 0.5) for k, dot in enumerate(dots)),
        "run": flat((line[i], seen - k) for k, line in enumerate(lines)),
        "gap": [now, 1, true],
        "thread": [end, -8, 60],
        "ruler": [start, -3, end, *flat((tick, -4, 2) for tick in ticks)],
        "mark": [end, -8],
    }


def tape(lines, dots, used):
    """The marks of means and spreads, on the axis of brightness."""
    mean, _, spread = used
    true, _, wide = truth()
    low, high = (
        [(m + sign * s, len(dots) - k) for k, (m, _, s) in enumerate(lines)]
        for sign in (-1, 1)
    )
    return {
        **marks(lines, dots, used, 0, mean, RECORD["yours"]),
        "river": flat([*low, *reversed(high)]),
        "band": [mean - spread, 0, -36, mean + spread, 0],
        "faint": [true - wide, 0, 61, true + wide, 0],
        "used": [mean, -36, 0],
    }


READ = """e => {
  const box = node => node.getBoundingClientRect();
  return {
    words: e.querySelector(".bn-mates > output").innerText,
    parts: [...e.querySelectorAll("svg")].map(svg => ({
      axes: svg.getAttribute("viewBox"),
      words: svg.parentNode.querySelector("p").innerText,
      paths: Object.fromEntries([...svg.querySelectorAll("path")].map(
        p => [p.className.baseVal.slice(3), p.getAttribute("d")])),
      labels: Object.fromEntries([...svg.parentNode.querySelectorAll("i")].map(i => [
        i.innerText, [box(i).left, (box(i).left + box(i).right) / 2, box(i).top].map(
          (v, j) => j < 2 ? (v - box(svg).left) / box(svg).width : v - box(svg).top)])),
      width: box(svg).width,
    })),
    beads: [...e.querySelectorAll("[name=moved]")].filter(b => b.checkVisibility()).map(
      b => [b.valueAsNumber, b.getAttribute("aria-valuetext")]),
    controls: [...e.querySelectorAll("label output")].map(o => o.innerText),
    spoken: [...e.querySelectorAll("label [type=range]")].map(
      o => o.getAttribute("aria-valuetext")),
    mode: e.querySelector("[name=mode]:checked").value,
    colours: [...e.querySelectorAll(".bn-mark, .bn-run, .bn-dots")].map(
      mark => getComputedStyle(mark).stroke),
    fills: [...e.querySelectorAll(".bn-band, .bn-river")].map(
      mark => getComputedStyle(mark).fill),
  };
}"""


def numbers(text):
    found = re.findall(r"[-+]?\d+(?:\.\d+)?(?:e-\d+)?", text.replace("−", "-"))
    return [float(number) for number in found]


def agrees(figure, size, momentum, seen, mode, moved):
    """Every number that the figure shows is what Python says of this state."""
    shown = figure.evaluate(READ)
    lines, dots, used = expected(size, momentum, seen, mode, moved)
    assert shown["mode"] == mode and f"in {mode} mode" in shown["words"]
    assert ("batch" if mode == "training" else "running") + " mean" in shown["words"]
    # Blue is what the output rests on, and what this mode said in the past.
    training = mode == "training"
    cloud, line, blue, past, said, _ = shown["colours"]
    assert [c == blue for c in (cloud, line, past, said)] == [
        *(False, not training, training, not training)
    ]
    river, band = shown["fills"]
    assert (river == band) == (not training)
    output, mean, spread = numbers(shown["words"])
    assert output == pytest.approx(used[1], abs=0.00501)
    assert ("+" in shown["words"]) == (used[1] >= 0)
    assert [mean, spread] == pytest.approx([used[0], used[2]], abs=0.000501)

    left, right = shown["parts"]
    assert (left["axes"], right["axes"]) == ("0 -36 1 96", "-4 -36 8 96")
    for part, drawn in (
        (left, tape(lines, dots, used)),
        (right, marks(lines, dots, used, 1, 0, used[1])),
    ):
        assert set(part["paths"]) == set(drawn)
        for kind, places in drawn.items():
            seen_places = numbers(part["paths"][kind].replace("h0", ""))
            assert seen_places == pytest.approx(places, abs=1e-7), kind
    written = numbers(left["words"] + right["words"])
    for i, shown_gap in zip((0, 2, 1), range(0, 9, 3), strict=True):
        now, true = lines[-1][i], truth()[i]
        assert written[shown_gap : shown_gap + 3] == pytest.approx(
            [now, true, abs(now - true)], abs=0.000501
        )
    true, goal, _ = truth()
    assert left["labels"]["truth"][1] == pytest.approx(true, abs=0.002)
    assert right["labels"]["truth"][1] == pytest.approx((goal + 4) / 8, abs=0.002)
    assert right["labels"]["0"][1] == pytest.approx(0.5, abs=0.002)
    beside, _, _ = left["labels"]["yours"]
    assert 0 < (beside - RECORD["yours"]) * left["width"] < 20
    _, _, foot = left["labels"]["start: mean 0, spread 1"]
    assert foot == pytest.approx(148 + 4 * min(54, max(26, seen)), abs=0.1)

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
  const line = e.querySelector("svg").getBoundingClientRect();
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


MARK = "e => [...e.querySelectorAll('.bn-mark')].pop().getAttribute('d')"


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
    agrees(figure, **{**state, "seen": 33})


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
        agrees(figure, **{**START, "moved": {"257": value}})


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
    state = {"size": 16, "momentum": 0.079, "seen": 33, "mode": "prediction"}
    agrees(figure, **state, moved={})
    assert figure.page.url == url


def test_the_buttons_set_telling_states_and_reset_the_start(figure):
    def press(name, **changes):
        figure.get_by_role("button", name=name, exact=True).click()
        return agrees(figure, **{**START, **changes})

    assert press("a glaring stranger", moved={"256": 1.0}) == 0.54
    press("impatient", momentum=1.0, mode="prediction")
    patient = {"momentum": 0.01, "mode": "prediction", "seen": 60}
    press("patient", **patient)
    press("next batch", **patient)  # there is none
    press("reset")
    press("next batch", seen=33)


def test_it_follows_changes_that_python_makes(browser):
    page = browser.new_page()
    page.evaluate(NOTEBOOK, [str(Mates()._esm), Mates().state()])
    changes = {"size": 4, "momentum": 0.5, "seen": 3, "mode": "prediction"}
    changes |= {"moved": {"1": 0.9}, "yours": 0.5, "truth": [0.25, 0.01]}
    changes["stream"] = [0.25 + 0.001 * i for i in range(100)]
    for name, value in changes.items():
        page.evaluate("([name, value]) => window.set(name, value)", [name, value])
    seen = page.locator("output").first.text_content()
    seen += page.locator(".bn-mates p").first.text_content()
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
    figure.locator(".bn-beads").scroll_into_view_if_needed()
    state = dict(START)
    drag(figure, 0, 0.7, state, by_mouse)
    agrees(figure, **state)
    labels = figure.locator("label").all()
    assert all(label.bounding_box()["height"] < 40 for label in labels)


def test_no_words_lie_on_others(figure):
    """On a wide page and on a phone, at the ends and in the middle of the tape."""
    for width in (1000, 390, 360):
        figure.page.set_viewport_size({"width": width, "height": 800})
        for seen in (0, 20, 60):
            slider(figure, "seen").fill(str(seen))
            words = figure.locator(".bn-mates").evaluate(WORDS)
            assert len(words) == 3 + 7 + 6
            for i, (text, left, right, top, bottom) in enumerate(words):
                for other, start, end, upper, lower in words[:i]:
                    beside = right <= start or end <= left
                    assert beside or bottom <= upper or lower <= top, (text, other)


WORDS = """e => [...e.querySelectorAll("output, p, i")].flatMap(node => {
  const range = document.createRange();
  range.selectNodeContents(node);
  const { left, right, top, bottom } = range.getBoundingClientRect();
  return [[node.innerText, left, right, top + 1, bottom - 1]];
})"""


@pytest.mark.parametrize("mode", ["training", "prediction"])
def test_the_picture_shows_the_same(mode):
    state = {**START, "mode": mode, "moved": {"256": 1.0}}
    figure = Mates(**state)
    lines, dots, used = expected(**state)
    assert figure.output() == pytest.approx(used[1])
    assert figure.running() == [
        (mean, pytest.approx(spread**2)) for mean, _, spread in lines
    ]
    picture = figure.picture()
    assert f">{used[1]:+.2f}<" in picture
    assert f"mean {used[0]:.3f}, spread {used[2]:.3f}<" in picture
    for name, i in (("running mean", 0), ("prediction", 1), ("running spread", 2)):
        assert f">{name} {lines[-1][i]:.3f}<" in picture
        assert f"true {truth()[i]:.3f}" in picture
        assert f"gap {abs(lines[-1][i] - truth()[i]):.3f}<" in picture
    drawn = re.findall(r' d="(.*?)"', picture)
    drawn = [numbers(d.replace("h0", "").replace("h25", "")) for d in drawn]
    axes = (lambda v: 14 + 400 * min(1, max(0, v))), (lambda v: 564 + 26 * v)
    for i, (start, end) in enumerate([(used[0], RECORD["yours"]), (0, used[1])]):
        for kind, places in marks(lines, dots, used, i, start, end).items():
            xs, ys = slice(0, None, 2), slice(1, None, 2)
            if kind in ("true", "thread"):  # down to the foot
                xs, ys = slice(0, 1), slice(1, None)
            places = places[:3] if kind == "ruler" else places
            places[xs] = [axes[i](x) for x in places[xs]]
            places[ys] = [144 + 4 * y for y in places[ys]]
            same = [d[: len(places)] for d in drawn if kind == "ruler"] or drawn
            assert pytest.approx(places, abs=0.06) in same, kind
    shown = numbers(re.search(r'd="(M[\d.]+ 144V0H[\d.]+V144)"', picture)[1])
    band = [used[0] - used[2], used[0] + used[2]]
    assert [shown[0], shown[3]] == pytest.approx([axes[0](v) for v in band], abs=0.06)
    beads = re.findall(r'class="bn-in" .*?cx="([\d.]+)"', picture)
    strangers = [1.0, *RECORD["stream"][257:263]]
    places = [axes[0](value) for value in strangers]
    assert [float(x) for x in beads] == pytest.approx(places, abs=0.06)
