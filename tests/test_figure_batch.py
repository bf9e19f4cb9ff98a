"""The figure of a batch: every number that it shows is held against the layer."""

import math
import random
import re

import pytest
import torch
from traitlets import TraitError

from bn import batch_norm
from conftest import alive, touch
from figures import Batch

STATES = 50


def normalized(x, gamma, beta, eps):
    """x_hat and y by the book's own layer."""
    column = torch.tensor(x, dtype=torch.float64).reshape(-1, 1)
    x_hat = batch_norm(column, eps=eps)
    return x_hat.flatten().tolist(), (gamma * x_hat + beta).flatten().tolist()


def spread(x):
    """The mean of the batch and its standard deviation."""
    column = torch.tensor(x, dtype=torch.float64)
    return column.mean().item(), column.std(correction=0).item()


LINES = [64, 160, 256]  # how far down x, x_hat and y are, in px


def test_the_picture_shows_where_the_examples_go():
    def place(value):
        return 40 + 24 * (value + 4)

    x = [1.0, 7.0, 9.0, 15.0]
    picture = Batch(x=x, gamma=3.0, beta=2.0).picture()
    ways = list(zip(x, *normalized(x, 3.0, 2.0, 1e-5), strict=True))
    circles = re.findall(r'cx="([-\d.]+)" cy="(\d+)"', picture)
    assert [float(v) for v, _ in circles] == pytest.approx(
        [place(value) for way in ways for value in way], abs=0.06
    )
    assert [int(v) for _, v in circles] == LINES * 4
    threads = re.findall(r'class="bn-thread" [^>]*d="(.*?)"', picture)
    for thread, way in zip(threads, ways, strict=True):
        ends = [float(v) for v in re.findall(r"[-\d.]+", thread)]
        assert ends[::2] == pytest.approx([place(v) for v in way], abs=0.06)
        assert ends[1::2] == LINES
    for words in ("mean μ 8.0", "spread σ 5.0", "x̂", "y"):
        assert f">{words}<" in picture
    assert f"M{place(3.0)} 44V84H{place(13.0)}V44" in picture
    assert f"M{place(-1.0)} 140V180H{place(1.0)}V140" in picture
    assert "→" not in picture
    picture = Batch(x=[1.0, 7.0], gamma=8.0, beta=14.0).picture()
    assert ">22.0 →<" in picture and "←" not in picture
    picture = Batch(x=[1.0, 7.0], gamma=8.0, beta=2.0).picture()
    assert ">← −6.0<" in picture and "→" not in picture


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "02-transform", "batch") as figure:
        yield figure


def numbers(figure):
    """The rows of the figure's table: x, x_hat and y."""
    rows = figure.locator("tr").all()
    return [
        [float(cell.replace("−", "-")) for cell in row.locator("td").all_inner_texts()]
        for row in rows
    ]


def agrees(figure, gamma, beta, eps):
    x, x_hat, y = numbers(figure)
    expected_x_hat, expected_y = normalized(x, gamma, beta, eps)
    assert x_hat == pytest.approx(expected_x_hat, abs=0.0051)
    assert y == pytest.approx(expected_y, abs=0.0051)
    shown = figure.evaluate(READ)
    for (placed, said), value, hat, image in zip(
        shown["beads"], x, x_hat, y, strict=True
    ):
        names, spoken = words_and_numbers(said)
        assert names == "x , x̂ , y "
        assert spoken == pytest.approx([value, hat, image], abs=0.0051)
        assert placed == value
    assert shown["axes"] == "-4 0 24 290"
    ways = [list(way) for way in zip(x, expected_x_hat, expected_y, strict=True)]
    threads = shown["paths"]["thread"]
    assert [thread[::2] for thread in threads] == [pytest.approx(w) for w in ways]
    assert [thread[1::2] for thread in threads] == [LINES] * len(x)
    (dots,) = shown["paths"]["dots"]
    images = [v for _, hat, y in ways for v in (hat, 160, y, 256)]
    assert dots == pytest.approx(images)
    says(shown, gamma, beta, eps, x)
    # Mean and spread are drawn, and written where they are.
    mean, sigma = spread(x)
    (band,), (ruler,) = shown["paths"]["band"], shown["paths"]["span"]
    assert band == pytest.approx([mean - sigma, 44, 84, mean + sigma, 44])
    assert ruler[:3] == pytest.approx([mean, 36, mean + sigma])
    labels = shown["labels"]
    ends = {}
    for name, value in (("mean μ", mean), ("spread σ", sigma)):
        (text,) = (text for text in labels if text.startswith(name))
        assert float(text.split()[2].replace("−", "-")) == pytest.approx(
            value, abs=0.0501
        )
        ends[name] = labels[text]
    left, right = ends["spread σ"]
    assert left - 0.01 <= (mean + sigma / 2 + 4) / 24 <= right + 0.01
    left, right = ends["mean μ"]  # ends at its place, or else begins with the line
    at = (mean + 4) / 24
    assert left > -0.01 and (at - 0.04 < right < at or left < 0.1)
    assert shown["band"] == pytest.approx([3 / 24, 5 / 24], abs=0.001)  # from -1 to 1
    for value in (0, 5, 10, 15, 20):
        left, right = labels[str(value)]
        assert (left + right) / 2 == pytest.approx((value + 4) / 24, abs=0.002)
    return x


def words_and_numbers(text):
    """A text without its numbers, and these."""
    number = r"-?\d[\d.]*\d|-?\d"
    text = text.replace("−", "-")
    return re.sub(number, "", text), [float(v) for v in re.findall(number, text)]


def says(shown, gamma, beta, eps, x):
    """What stands beside the sliders and in the sentence, and what is marked."""
    gammas, betas, epsilons = shown["outputs"]
    assert [words_and_numbers(text)[1] for text in gammas] == [
        [pytest.approx(gamma, abs=0.0501)]
    ] * 2
    assert [words_and_numbers(text)[1] for text in betas] == [
        [pytest.approx(beta, abs=0.0501)]
    ] * 2
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    assert epsilons == [f"10{str(round(math.log10(eps))).translate(raised)}"] * 2
    words, told = words_and_numbers(shown["sentence"])
    assert words == "x: mean , spread . y: mean , spread ."
    images = normalized(x, gamma, beta, eps)[1]
    assert told == pytest.approx([*spread(x), *spread(images)], abs=0.0501)
    low, high = shown["beyond"]
    assert (low != "", high != "") == (min(images) < -4, max(images) > 20)
    for text, value in ((low, min(images)), (high, max(images))):
        if text:
            assert words_and_numbers(text)[1] == [pytest.approx(value, abs=0.0501)]
            assert text.startswith("← ") or text.endswith(" →")


READ = """e => {
  const svg = e.querySelector("svg"), { left, width } = svg.getBoundingClientRect();
  const paths = {}, labels = {};
  for (const path of svg.querySelectorAll("path")) {
    const d = path.getAttribute("d").replaceAll("h0", "");
    (paths[path.className.baseVal.slice(3)] ??= []).push(
      d.match(/-?[\\d.]+(e-?\\d+)?/g)?.map(Number));
  }
  for (const label of e.querySelectorAll(".bn-batch i")) {
    const words = document.createRange();
    words.selectNodeContents(label);
    const box = words.getBoundingClientRect();
    labels[label.innerText] = [box.left, box.right].map(x => (x - left) / width);
  }
  const beads = [...e.querySelectorAll("[name=x]")].filter(
    b => b.checkVisibility()).map(
    b => [b.valueAsNumber, b.getAttribute("aria-valuetext")]);
  const outputs = [...e.querySelectorAll("output")].map(
    o => [o.textContent, o.previousSibling.ariaValueText]);
  const beyond = [...e.querySelectorAll(".bn-batch i")].slice(4, 6).map(
    i => i.innerText);
  const sentence = e.querySelector("[aria-live=polite]").textContent;
  const axes = svg.getAttribute("viewBox");
  const ground = getComputedStyle(svg), wide = parseFloat(ground.backgroundSize) / 100;
  const start = parseFloat(ground.backgroundPositionX) / 100 * (1 - wide);
  const band = [start, start + wide];
  return { axes, band, paths, labels, beads, outputs, beyond, sentence };
}"""


def beads(figure):
    """The examples that are there, as range inputs."""
    return [b for b in figure.locator(".bn-beads input").all() if b.is_visible()]


def centre(figure, bead):
    """Where the thumb of a bead is."""
    box = figure.locator(".bn-beads").bounding_box()
    share = (float(bead.input_value()) + 4) / 24
    return box["x"] + share * box["width"], box["y"] + 64


def test_in_random_states_all_numbers_are_those_of_the_layer(figure):
    draw = random.Random(0)
    mouse = figure.page.mouse
    for _state in range(STATES):
        button = figure.get_by_role("button", name=draw.choice(["add an", "remove"]))
        if button.is_enabled():
            button.click()
        x, y = centre(figure, draw.choice(beads(figure)))
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + draw.uniform(-300, 300), y, steps=2)
        mouse.up()
        point = draw.choice(beads(figure))
        point.focus()
        for key in draw.choices(["ArrowLeft", "ArrowUp", "PageDown", "End"], k=2):
            point.press(key)
        gamma, beta = draw.randint(0, 80) / 10, draw.randint(-40, 160) / 10
        exponent = draw.choice([-5, -2, 0, 3])
        for slider, value in zip(
            figure.locator("label input").all(),
            (gamma, beta, exponent),
            strict=True,
        ):
            slider.fill(str(value))
        agrees(figure, gamma, beta, 10**exponent)


def test_keys_move_an_example_and_stay_in_the_range(figure):
    point = beads(figure)[0]
    point.focus()
    for key, expected in (
        ("ArrowRight", 1.1),
        ("ArrowLeft", 1.0),
        ("ArrowUp", 1.1),
        ("Home", -4.0),
        ("ArrowDown", -4.0),
        ("End", 20.0),
    ):
        point.press(key)
        assert numbers(figure)[0][0] == expected
    agrees(figure, 1.0, 0.0, 1e-5)


def test_a_finger_drags_an_example(figure):
    x, y = centre(figure, beads(figure)[0])
    touch(figure, (x, y), (x + 50, y), (x + 100, y))
    assert numbers(figure)[0][0] > 2
    agrees(figure, 1.0, 0.0, 1e-5)


def test_one_example_left_collapses_to_beta(figure):
    figure.get_by_role("button", name="one example left").click()
    figure.locator("label input").nth(1).fill("3")
    assert numbers(figure) == [[1.0], [0.0], [3.0]]
    assert figure.get_by_role("button", name="remove").is_disabled()


def test_undo_gives_the_batch_back_and_reset_the_start(figure):
    figure.get_by_role("button", name="one outlier").click()
    figure.get_by_role("button", name="undo it").click()
    x, _, y = numbers(figure)
    assert x == [1, 2, 3, 20]
    assert y == pytest.approx(x, abs=0.0051)
    mean, sigma = spread(x)
    agrees(figure, (sigma**2 + 1e-5) ** 0.5, mean, 1e-5)
    figure.get_by_role("button", name="reset").click()
    assert numbers(figure)[0] == [1, 7, 9, 15]
    assert agrees(figure, 1.0, 0.0, 1e-5) == [1, 7, 9, 15]


def test_the_steps_are_written_beside_the_lines(figure):
    words = list(figure.evaluate(READ)["labels"])
    assert words[5:7] == ["mean μ 8.0", "spread σ 5.0"]
    assert words[7:9] == [
        "normalize: x̂ = (x − μ) / √(σ² + ε)",
        "scale and shift: y = γ x̂ + β",
    ]


@pytest.mark.parametrize("start", ["reset", "one outlier", "one example left"])
def test_no_example_is_added_upon_another(figure, start):
    figure.get_by_role("button", name=start).click()
    add = figure.get_by_role("button", name="add an example")
    while add.is_enabled():
        add.click()
    x = numbers(figure)[0]
    assert len(set(x)) == 8 == len(x)


def test_an_eps_of_zero_has_no_place():
    with pytest.raises(TraitError):
        Batch(eps=0.0)


def test_it_works_on_a_phone(figure):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    sideways = "document.documentElement.scrollWidth"
    assert figure.page.evaluate(sideways) <= 390
    agrees(figure, 1.0, 0.0, 1e-5)
