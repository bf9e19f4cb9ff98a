"""The page of all claims, and the record of what they measured over seeds."""

import re

import nbformat
import pytest

import claims_over_seeds
from claims import Measured, stored_claims
from records import read_record
from test_book import ROOT
from test_notebooks import NOTEBOOKS

BOOKS = {
    name: nbformat.read(path, nbformat.NO_CONVERT) for name, path in NOTEBOOKS.items()
}
CLAIMS = {name: list(stored_claims(book)) for name, book in BOOKS.items()}
ALL = [(name, claim) for name, claims in CLAIMS.items() for claim in claims]
RUNS = read_record("claims_over_seeds")["runs"]
SEEDS = claims_over_seeds.SEEDS


def printed(book):
    """The lines of the claims in the outputs of a notebook, as text."""
    outputs = [o for cell in book.cells for o in cell.get("outputs", [])]
    texts = [o.get("data", {}).get("text/plain", "") for o in outputs]
    return [text for text in texts if text.startswith(("✓", "✗"))]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_claim_is_overlooked(name):
    assert list(map(str, CLAIMS[name])) == printed(BOOKS[name])


def test_there_are_many_claims():
    assert len(ALL) > 100


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_stored_value_keeps_its_bounds(name):
    for claim in CLAIMS[name]:
        assert claim.holds
        for measured in claim.measured.values():
            assert not measured.bounded or measured.margin > 0, str(claim)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_two_claims_of_a_chapter_share_an_anchor(name):
    anchors = [claim.anchor for claim in CLAIMS[name]]
    assert len(anchors) == len(set(anchors))


def test_the_values_of_every_recorded_run_kept_their_bounds():
    assert len(SEEDS) >= 10
    assert RUNS.keys() == {f"{name} seed={seed}" for name in CLAIMS for seed in SEEDS}
    for key, run in RUNS.items():
        assert run["errors"] == [], key
        name = key.split()[0]
        stored = claims_over_seeds.bounded(BOOKS[name])
        names = claims_over_seeds.names
        assert names(run["claims"]) == names(stored), f"{key}: run make measure"
        for claim in CLAIMS[name]:
            for name_, value in run["claims"][claim.sentence].items():
                measured = claim.measured[name_]
                again = Measured(value, measured.low, measured.high)
                assert again.margin > 0, (key, claim.sentence, name_, value)


def test_the_page_lists_every_claim_and_links_to_it(site):
    page = (site / "chapters" / "measured.html").read_text(encoding="utf-8")
    items = re.findall(r"<li>(.*?)</li>", page.split('class="claims', 1)[1], re.S)
    found = []
    for item in items:
        if link := re.search(r'href="(\d\d-[\w-]+)\.html#(claim-[\w-]+)"', item):
            found.append(link.groups())
    assert found == [(name, claim.anchor) for name, claim in ALL]
    for name, anchor in found:
        chapter = (site / "chapters" / f"{name}.html").read_text(encoding="utf-8")
        assert chapter.count(f'id="{anchor}"') == 1


def test_the_page_tells_values_bounds_margins_and_seeds(browser, server):
    page = browser.new_page()
    page.goto(f"{server}chapters/measured.html")
    items = page.locator(".claims > li")
    assert items.count() == len(ALL)
    texts = items.all_inner_texts()
    for (_, claim), text in zip(ALL, texts, strict=True):
        sentence, *lines = filter(None, text.split("\n"))
        assert sentence.replace("’", "'") == claim.sentence
        bounded = {n: m for n, m in claim.measured.items() if m.bounded}
        if not bounded:
            assert lines == ["true or false, without a bound"]
        for (name, measured), line in zip(bounded.items(), lines, strict=False):
            assert line.startswith(f"{name} {measured}, margin {measured.margin:.3g}")
            assert f"; {len(SEEDS)} seeds: " in line
    page.close()


def test_the_seed_shifts_what_is_drawn_and_only_that(monkeypatch):
    import torch

    from seeds import set_seed

    def draw(seed, shift):
        monkeypatch.setenv("BOOK_SEED", str(shift))
        set_seed(seed)
        return torch.rand(4).tolist()

    assert draw(0, 0) == draw(0, 0)
    drawn = [tuple(draw(seed, shift)) for seed in range(4) for shift in range(10)]
    assert len(set(drawn)) == len(drawn)
    monkeypatch.delenv("BOOK_SEED")
    torch.manual_seed(3)
    expected = torch.rand(4).tolist()
    set_seed(3)
    assert torch.rand(4).tolist() == expected


def test_no_chapter_seeds_in_another_way():
    for path in NOTEBOOKS.values():
        assert "manual_seed" not in path.read_text(encoding="utf-8")
    assert "BOOK_SEED" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
