"""The steps of batch norm on a batch of four, and the way back."""

import torch
import traitlets

from bn import batch_norm
from figures.figure import Figure

EVERY, MIDDLE = (0, 1, 2, 3), (1.5,)
# The rows of the graph: a name, and the places of the nodes.
ROWS = [
    ("x", EVERY),
    ("μ", MIDDLE),
    ("c", EVERY),
    ("σ²", MIDDLE),
    ("x̂", EVERY),
    ("γ β", (0.5, 2.5)),
    ("y", EVERY),
]
EDGES = [(0, 1), (0, 2), (1, 2), (2, 3), (2, 4), (3, 4), (4, 6), (5, 6)]

# What is told at each step: words, and formulas. One without Σ is for each example.
TOLD = [
    ["Four examples."],
    ["Their mean: here the examples meet.", "Σ(x) / 4 = μ"],
    ["All four get it back: c is x, centred.", "x − μ = c"],
    ["The mean of c²: they meet again.", "Σ(c²) / 4 = σ²"],
    ["All four get it back.", "c / √(σ²+ε) = x̂"],
    ["Scale and shift, the same for all four.", "x̂ · γ + β = y"],
    [
        "Now back. Purple says how a loss L changes with a number. Given is dL/dy: at "
        "first, L is just the first y."
    ],
    [
        "γ and β served all four examples, so their gradients are sums.",
        "Σ(dL/dy · x̂) = dL/dγ",
        "Σ(dL/dy) = dL/dβ",
    ],
    ["Back through the scale.", "dL/dy · γ = dL/dx̂"],
    [
        "σ² served all four examples: a sum.",
        "−Σ(dL/dx̂ · x̂) / 2 / (σ²+ε) = dL/dσ²",
    ],
    [
        "Two paths lead to c, and add up: ① direct and ② through σ².",
        "dL/dx̂ / √(σ²+ε) = ①",
        "c/2 · dL/dσ² = ②",
        "① + ② = dL/dc",
    ],
    [
        "μ served all four examples: a sum. Through σ² comes nothing, as c sums to 0.",
        "−Σ(①) − Σ(②) = dL/dμ",
        "dL/dμ / 4 = ③",
    ],
    [
        "Three paths lead to x, and add up. Shift all x alike, and no y changes: so "
        "the sum ④ is 0. Stretch them, and y changes only through ε: so ⑤ is next "
        "to 0.",
        "① + ② + ③ = dL/dx",
        "Σ(dL/dx) = ④",
        "Σ(dL/dx · x̂) = ⑤",
    ],
]


def _at(place):
    return round(74 + 76 * place)


def _edge(start, end):
    """The curves between two rows of nodes, in px."""
    above, below = 64 * start + 38, 64 * end
    return "".join(
        f"M{_at(a)} {above}C{_at(a)} {below} {_at(b)} {above} {_at(b)} {below}"
        for a in ROWS[start][1]
        for b in ROWS[end][1]
        if a == b or (a + b) % 1  # no edge from one example to another
    )


class Steps(Figure):
    """The graph of batch norm on four examples of one feature, step by step.

    Steps 0 to 5 go forward, from x to y; step 6 turns round, and steps 7 to 12 carry
    the gradient of a loss back from y to x.

    Traits: `x`, the four examples; `dy`, the gradient of the loss with respect to y;
    `gamma`, `beta` and `eps`, as in `bn.batch_norm`; `step`; `told`, the words and
    formulas of each step; `edges`, the curves of the graph.

    >>> Steps(step=3).step
    3
    """

    name = "steps"
    caption = (
        "Four examples of one feature, from x to y. c is x minus the mean μ; γ and β "
        "scale and shift. Numbers on a grey ground can be changed. Purple numbers are "
        "gradients of a loss L."
    )
    x = traitlets.List(traitlets.Float(), [1.0, 7.0, 9.0, 15.0], 4, 4).tag(sync=True)
    dy = traitlets.List(traitlets.Float(), [1.0, 0.0, 0.0, 0.0], 4, 4).tag(sync=True)
    gamma = traitlets.Float(2.0).tag(sync=True)
    beta = traitlets.Float(-1.0).tag(sync=True)
    eps = traitlets.Float(1e-5).tag(sync=True)
    step = traitlets.Int(1, min=0, max=12).tag(sync=True)
    edges = traitlets.Dict(
        default_value={f"{a}{b}": _edge(a, b) for a, b in EDGES}, read_only=True
    ).tag(sync=True, data=True)
    told = traitlets.List(default_value=TOLD, read_only=True).tag(sync=True, data=True)

    def picture(self):
        return _picture(self.x, self.gamma, self.beta, self.eps)


def _picture(x, gamma, beta, eps):
    """The graph with all numbers of the way forward, one row below the other."""
    column = torch.tensor(x, dtype=torch.float64).reshape(-1, 1)
    scale = torch.tensor([[gamma]], dtype=torch.float64)
    shift = torch.tensor([[beta]], dtype=torch.float64)
    var, mean = torch.var_mean(column, correction=0)
    x_hat = batch_norm(column, eps=eps)
    y = batch_norm(column, gamma=scale, beta=shift, eps=eps)
    parameters = torch.cat([scale, shift])
    rows = [column, mean, column - mean, var, x_hat, parameters, y]

    lines = "".join(_edge(*edge) for edge in EDGES)
    parts = [
        '<svg viewBox="0 0 340 426" style="max-width: 24rem" fill="currentColor" '
        'role="img" aria-label="From x to y in five steps">'
        '<path class="bn-line" stroke="#8a9099" fill="none" '
        f'transform="translate(0 2)" d="{lines}"/>'
    ]
    for row, ((name, places), values) in enumerate(zip(ROWS, rows, strict=True)):
        top = 64 * row + 2
        shared = len(places) == 1
        look = 'class="bn-line bn-band"' if shared else 'class="bn-line"'
        fill = "#d9eaf4" if shared else "none"
        parts.append(f'<text class="bn-name" x="0" y="{top + 24}">{name}</text>')
        for place, value in zip(places, values.flatten().tolist(), strict=True):
            box = f'x="{_at(place) - 32}" y="{top}" width="64" height="38" rx="8"'
            text = f"{round(value, 2) + 0:.2f}".replace("-", "−")
            parts.append(f'<rect {look} stroke="#8a9099" fill="{fill}" {box}/>')
            middle = f'text-anchor="middle" x="{_at(place)}" y="{top + 24}"'
            parts.append(f"<text {middle}>{text}</text>")
    return "".join([*parts, "</svg>"])
