"""The figure of the steps: every number that it shows is held against autograd."""

import random
import re

import pytest
import torch

from bn import batch_norm
from conftest import alive, touch
from figures import Steps

STATES = 50
ROWS = [["x"], ["μ"], ["c"], ["σ²"], ["x̂"], ["γ", "β"], ["y"]]
START = {"x": [1, 7, 9, 15], "dL/dy": [1, 0, 0, 0], "γ": [2], "β": [-1]}
# The formulas of each step and the numbers in them, signs included; [...] are summed.
FORMULAS = {
    1: {"Σ(x) / 4 = μ": "[x] 4 μ"},
    2: {"x − μ = c": "x -μ c"},
    3: {"Σ(c²) / 4 = σ²": "[c] 4 σ²"},
    4: {"c / √(σ²+ε) = x̂": "c σ² x̂"},
    5: {"x̂ · γ + β = y": "x̂ γ β y"},
    7: {
        "Σ(dL/dy · x̂) = dL/dγ": "[dL/dy x̂] dL/dγ",
        "Σ(dL/dy) = dL/dβ": "[dL/dy] dL/dβ",
    },
    8: {"dL/dy · γ = dL/dx̂": "dL/dy γ dL/dx̂"},
    9: {"−Σ(dL/dx̂ · x̂) / 2 / (σ²+ε) = dL/dσ²": "[dL/dx̂ x̂] 2 σ² dL/dσ²"},
    10: {
        "dL/dx̂ / √(σ²+ε) = ①": "dL/dx̂ σ² ①",
        "c/2 · dL/dσ² = ②": "c 2 dL/dσ² ②",
        "① + ② = dL/dc": "① ② dL/dc",
    },
    11: {
        "−Σ(①) − Σ(②) = dL/dμ": "[①] [②] dL/dμ",
        "dL/dμ / 4 = ③": "dL/dμ 4 ③",
    },
    12: {
        "① + ② + ③ = dL/dx": "① ② ③ dL/dx",
        "Σ(dL/dx) = ④": "[dL/dx] ④",
        "Σ(dL/dx · x̂) = ⑤": "[dL/dx x̂] ⑤",
    },
}


def computed(state, eps=1e-5):
    """All values and gradients: by the layer at the ends, by its steps between."""
    x, dy, gamma, beta = (
        torch.tensor(values, dtype=torch.float64).reshape(-1, 1).requires_grad_()
        for values in state.values()
    )
    mean = x.mean()
    c = x - mean
    var = c.square().mean()
    x_hat = c / torch.sqrt(var + eps)
    y = gamma * x_hat + beta
    steps = {"x": x, "μ": mean, "c": c, "σ²": var, "x̂": x_hat}
    steps |= {"γ": gamma, "β": beta, "y": y}
    (direct,) = torch.autograd.grad(
        c / torch.sqrt(var.detach() + eps), c, gamma.detach() * dy, retain_graph=True
    )
    for step in steps.values():
        step.retain_grad()
    y.backward(dy)
    values = dict(steps)
    values |= {f"dL/d{name}": step.grad for name, step in steps.items()}

    x, gamma, beta = (t.detach().requires_grad_() for t in (x, gamma, beta))
    y = batch_norm(x, gamma=gamma, beta=beta, eps=eps)
    y.backward(dy)
    values |= {"y": y, "x̂": batch_norm(x, eps=eps)}
    values |= {"dL/dx": x.grad, "dL/dγ": gamma.grad, "dL/dβ": beta.grad}
    values |= {"①": direct, "②": values["dL/dc"] - direct}
    values |= {"③": x.grad - values["dL/dc"], "④": x.grad.sum()}
    values |= {"⑤": (x.grad * values["x̂"]).sum()}
    return {name: v.detach().flatten().tolist() for name, v in values.items()}


def is_shown(text, value):
    """Whether a number, as shown, is the value rounded to the digits shown."""
    text = text.replace("−", "-")
    digits = len(text.partition(".")[2])
    small = 1e-9 * max(1, abs(value))
    return abs(float(text) - value) <= 0.5 * 10**-digits + small


@pytest.fixture
def figure(browser, server):
    with alive(browser, server, "03-fully-connected", "steps") as figure:
        yield figure


def shown(figure):
    """The numbers that the nodes show, by their labels."""
    return figure.evaluate("""figure => Object.fromEntries(
      [...figure.querySelectorAll(".bn-steps span > *")]
        .filter(e => e.checkVisibility({ visibilityProperty: true }))
        .map(e => [e.ariaLabel, e.value]))""")


def told(figure):
    """The lines of words and formulas."""
    return [
        re.sub(r"\s+", " ", line).strip()
        for line in figure.locator("[aria-live=polite] p").all_text_contents()
    ]


def to_step(figure, step):
    figure.get_by_label("step").fill(str(step))


def write(figure, state, label, value):
    """Type a number into a node, and into `state`."""
    field = figure.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    name, example = label.split()
    state[name][int(example) - 1] = value


def reached(step):
    """The names of the rows that show their values and gradients at a step."""
    for row, names in enumerate(ROWS):
        for name in names:
            if step >= min(row, 5) or name in "γβ":  # these are given
                yield name
            if step >= 12 - row:
                yield f"dL/d{name}"


def expected(line, values, i):
    """The values of a formula, for example `i` where it is not a sum."""
    for part in re.findall(r"\[.*?\]|\S+", line):
        for k in range(4) if part.startswith("[") else [i]:
            for name in part.strip("[]").split():
                sign, name = (-1, name[1:]) if name.startswith("-") else (1, name)
                of = values.get(name) or [int(name)]
                yield sign * (of[k] if len(of) > 1 else of[0])


def numbers(line):
    """The numbers in a line as they are shown, with the sign that stands before."""
    for sign, enclosed, bare in re.findall(
        r"([+−] )?(?:\((−[0-9.]+)\)|(−?[0-9.]+))", line
    ):
        minus = (sign == "− ") != (enclosed + bare).startswith("−")
        yield ("−" if minus else "") + (enclosed + bare).lstrip("−")


def agrees(figure, state, step):
    """Nodes and formulas show what is computed, and nothing that is yet to come."""
    values = computed(state)
    nodes = shown(figure)
    assert set(nodes) == {
        f"{name} {i + 1}" for name in reached(step) for i in range(len(values[name]))
    }
    for label, text in nodes.items():
        name, example = label.split()
        value = values[name][int(example) - 1]
        assert is_shown(text, value), (label, text)
        if name not in START:
            digits = 0 if abs(value) > 999 else 3 if "dL" in name else 2
            assert re.fullmatch(rf"−?\d+(\.\d{{{digits}}})?", text)
            assert not re.fullmatch(r"−0\.0*", text)
    lines = told(figure)[1:]
    for formula, line in FORMULAS.get(step, {}).items():
        assert lines[0] == formula
        size = 1 if "[" in line else 4
        for i, text in enumerate(lines[1 : 1 + size]):
            wanted = expected(line, values, i)
            for number, value in zip(numbers(text), wanted, strict=True):
                assert is_shown(number, value), (text, number, value)
        lines = lines[1 + size :]
    assert lines == []


def test_in_random_states_all_numbers_are_those_of_autograd(figure):
    draw = random.Random(0)
    state = {name: list(values) for name, values in START.items()}
    sizes = {"x": 20, "dL/dy": 5, "γ": 4, "β": 9}
    for _state in range(STATES):
        to_step(figure, 12)
        for name in draw.sample(list(sizes), 2):
            size = sizes[name]
            example = draw.randint(1, len(state[name]))
            value = round(draw.uniform(-size, size), draw.randint(0, 2))
            write(figure, state, f"{name} {example}", value)
        step = draw.randint(0, 12)
        to_step(figure, step)
        agrees(figure, state, step)


# The rows and edges that are lit: "0 to 2" is an edge forward, "2 to 0" one back.
LIT = """figure => {
  const probe = document.createElement("i");
  probe.style.color = "var(--bn-other)";
  figure.append(probe);
  const purple = getComputedStyle(probe).color, lit = [];
  probe.remove();
  figure.querySelectorAll("[data-nodes]").forEach((row, r) => {
    if (row.classList.contains("bn-now")) lit.push(`row ${r}`);
  });
  for (const path of figure.querySelectorAll("[data-edge]")) {
    const { stroke, opacity, strokeWidth } = getComputedStyle(path);
    if (opacity !== "1" || strokeWidth !== "2px") continue;
    const [a, b] = path.dataset.edge;
    lit.push(stroke === purple ? `${b} to ${a}` : `${a} to ${b}`);
  }
  return lit;
}"""


def test_a_step_shows_what_is_reached_and_lights_its_way(figure):
    edges = [(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4), (4, 6), (5, 6)]
    for step in range(13):
        to_step(figure, step)
        agrees(figure, START, step)
        lit = {f"row {r}" for r in range(7) if step in (min(r, 5), 12 - r)}
        for a, b in edges:
            if step == min(b, 5):
                lit.add(f"{a} to {b}")
            if step == 12 - a:
                lit.add(f"{b} to {a}")
        assert set(figure.evaluate(LIT)) == lit


def test_steps_are_taken_by_button_key_and_finger(figure):
    step = figure.get_by_label("step")
    go_on, back = (figure.get_by_role("button", name=n) for n in ("next", "back"))
    assert step.input_value() == "1"
    go_on.click()
    go_on.press("Enter")
    agrees(figure, START, 3)
    back.click()
    agrees(figure, START, 2)
    for key, expected_step in (
        ("ArrowRight", 3),
        ("ArrowLeft", 2),
        ("End", 12),
        ("ArrowUp", 12),
        ("Home", 0),
        ("ArrowLeft", 0),
    ):
        step.press(key)
        agrees(figure, START, expected_step)
    back.click()
    agrees(figure, START, 0)
    box = go_on.bounding_box()
    touch(figure, (box["x"] + 20, box["y"] + 10))
    agrees(figure, START, 1)


def test_four_equal_examples_give_beta(figure):
    to_step(figure, 12)
    state = {name: list(values) for name, values in START.items()}
    for example in range(1, 5):
        write(figure, state, f"x {example}", 8)
    for step in range(13):
        to_step(figure, step)
        agrees(figure, state, step)
    nodes = shown(figure)
    assert [nodes[f"y {i}"] for i in (1, 2, 3, 4)] == ["−1.00"] * 4
    write(figure, state, "x 4", 7.998)  # now numbers are tiny, or huge
    for step in range(13):
        to_step(figure, step)
        agrees(figure, state, step)


def test_what_is_typed_may_have_a_minus_or_a_comma_and_must_be_a_number(figure):
    field = figure.get_by_label("β 1", exact=True)
    for text, value in (("−3", "−3"), ("-2,5", "−2.5"), ("5000", "999"), ("a", "999")):
        field.fill(text)
        field.press("Enter")
        assert field.input_value() == value
    field.fill("")
    field.blur()
    assert field.input_value() == "999"


def test_reset_brings_the_start_back(figure):
    to_step(figure, 12)
    state = {name: list(values) for name, values in START.items()}
    for label in ("x 1", "dL/dy 4", "γ 1", "β 1"):
        write(figure, state, label, 0)
        agrees(figure, state, 12)
    figure.get_by_role("button", name="reset").click()
    agrees(figure, START, 1)
    to_step(figure, 12)
    agrees(figure, START, 12)


def test_it_works_on_a_phone(figure):
    figure.page.set_viewport_size({"width": 390, "height": 800})
    for step in (1, 10, 12):
        to_step(figure, step)
        agrees(figure, START, step)
        sideways = "document.documentElement.scrollWidth"
        assert figure.page.evaluate(sideways) <= 390
    right = figure.get_by_label("x 4", exact=True).bounding_box()
    assert right["x"] + right["width"] < 390


def test_the_picture_shows_the_way_forward():
    state = {"x": [2.0, -4.0, 3.0, 5.0], "dL/dy": [0.0] * 4, "γ": [3.0], "β": [0.5]}
    picture = Steps(x=state["x"], gamma=3.0, beta=0.5).picture()
    texts = re.findall(r"<text text-anchor[^>]*>(.*?)</text>", picture)
    values = computed(state)
    wanted = [value for row in ROWS for name in row for value in values[name]]
    for text, value in zip(texts, wanted, strict=True):
        assert is_shown(text, value)
