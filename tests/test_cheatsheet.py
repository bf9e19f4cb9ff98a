"""The cheat sheet: its code runs, its tables and links agree with the book."""

import re

import pytest
import torch
from torch import nn

from bn import batch_norm
from claims import stored_claims
from conventions import CONVENTIONS
from test_book import read
from test_notebooks import NOTEBOOKS, load
from test_questions import CLAIMS, LINK

PAGE = read("chapters/cheatsheet.md")
CODE = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
POWERS = {"$10^{-5}$": 1e-5, "$10^{-3}$": 1e-3}


def rows(section):
    """The rows of a section's table, as lists of cells, without the head."""
    text = PAGE.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


@pytest.fixture(scope="module")
def names():
    namespace = {}
    for source in CODE:
        exec(compile(source, "cheat sheet", "exec"), namespace)
    return namespace


def test_the_few_lines_are_batch_norm(names):
    x = 3 + 2 * torch.randn(4, 3, 5, 5, dtype=torch.double)
    gamma, beta = torch.randn(2, 1, 3, 1, 1, dtype=torch.double)
    y = names["batch_norm"](x, gamma, beta)
    flat = gamma.flatten(), beta.flatten()
    expected = nn.functional.batch_norm(x, None, None, *flat, training=True)
    torch.testing.assert_close(y, expected)
    ours = batch_norm(x, gamma=gamma, beta=beta, training=True)
    torch.testing.assert_close(y, ours)


def test_the_comments_on_its_use_are_true(names):
    net = names["net"]
    trained = {name for name, _ in net.named_parameters()}
    assert {"1.running_mean", "1.running_var"} <= names["state"].keys() - trained
    assert [id(p) for p in names["decayed"]] == [id(net[0].weight)]
    x = torch.randn(8, 3, 6, 6)
    for training in (True, False):
        before = net[1].running_mean.clone()
        alone, among_others = net.train(training)(x[:4]), net(x)[:4]
        assert torch.allclose(alone, among_others, atol=1e-5) != training
        assert torch.equal(net[1].running_mean, before) != training


@pytest.mark.parametrize("shape, layer, axes, m", rows("Who shares a mean"))
def test_who_shares_a_mean(shape, layer, axes, m):
    sizes = {"N": 6, "C": 4, "L": 5, "H": 3, "W": 7, "G": 2}
    x = torch.randn([sizes[axis] for axis in re.findall("[A-Z]", shape)])
    made = eval(f"nn.{layer.strip('`')}", {"nn": nn, **sizes})
    grouped = x.unflatten(1, (2, 2)) if "Group" in layer else x
    over = (2, 3, 4) if "Group" in layer else tuple(map(int, re.findall(r"\d", axes)))
    count = eval(m.strip("$").replace(" / ", "/").replace(" ", "*"), sizes)
    means = grouped.mean(over, keepdim=True)
    assert x.numel() / means.numel() == count
    torch.testing.assert_close(
        made(x),
        nn.functional.normalize(grouped - means, dim=over).view_as(x) * count**0.5,
        atol=1e-4,
        rtol=1e-4,
    )
    assert sum(p.numel() for p in made.parameters()) == 2 * sizes["C"]


def test_the_conventions_are_those_of_the_chapter():
    for name, of_newest, default, epsilon, variance in rows("Momentum"):
        convention = CONVENTIONS[name]
        assert float(default) == convention.momentum
        assert ("−" not in of_newest) == convention.of_newest
        assert POWERS[epsilon] == convention.epsilon
        assert variance == ("biased", "unbiased")[convention.correction]
    assert len(rows("Momentum")) == 4


@pytest.mark.parametrize(
    "phrase, chapter, claim",
    [
        ("rates 300 times apart", "06-lenet", "at rates 300 times apart"),
        ("grow by a fifth", "10-depth", "grows about 1.21 times with each layer"),
        ("twelve times", "09-cost", "forward pass makes twelve moves"),
    ],
)
def test_a_number_is_that_of_a_claim(phrase, chapter, claim):
    assert phrase in PAGE.replace("\n", " ")
    sentences = [stored.sentence for stored in stored_claims(load(chapter))]
    assert any(claim in sentence for sentence in sentences)


def test_every_link_leads_to_a_section_with_a_claim():
    links = LINK.findall(PAGE)
    assert len(links) > 15
    for chapter, section in links:
        assert CLAIMS[chapter].get(section), f"no claim in {chapter}#{section}"
    chapters = set(re.findall(r"\]\((\d\d-[\w-]+)\.ipynb", PAGE))
    assert chapters <= NOTEBOOKS.keys()
