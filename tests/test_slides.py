"""The slides: every chapter's, with nothing fetched and nothing cut off."""

import re
import zipfile

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

import slides
from test_notebooks import NOTEBOOKS, load

# How far the contents of each slide reach, in the units of the deck.
EXTENTS = """async () => {
  const found = [];
  for (const slide of Reveal.getSlides()) {
    const { h, v } = Reveal.getIndices(slide);
    Reveal.slide(h, v);
    await new Promise((done) => setTimeout(done, 5));
    const at = slide.getBoundingClientRect();
    const ends = [...slide.querySelectorAll(":scope *:not(svg *)")].map((part) => {
      const box = part.getBoundingClientRect();
      return [box.right - at.left, box.bottom - at.top];
    });
    const [right, bottom] = [0, 1].map(
      (axis) => Math.max(...ends.map((end) => end[axis])) / Reveal.getScale(),
    );
    found.push([slide.innerText, right, bottom]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    place = tmp_path_factory.mktemp("slides")
    patch.setattr(slides, "SLIDES", place / "slides")
    patch.setattr(slides, "ARCHIVE", place / "slides.zip")
    slides.main()
    patch.undo()
    return place


def start(page, folder):
    page.goto((folder / "slides" / "index.html").as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")


@pytest.fixture(scope="module")
def deck(folder, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_offline(True)
    page = context.new_page()
    page.requests, page.problems = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("requestfailed", lambda request: page.problems.append(request.url))
    page.on("console", lambda message: page.problems.append(message.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    start(page, folder)
    yield page
    context.close()


def test_nothing_comes_from_elsewhere(deck, folder):
    assert deck.problems == []
    here = folder.as_uri()
    assert all(url.startswith((here, "data:")) for url in deck.requests)
    assert len(deck.requests) > 4


def test_every_chapter_has_its_question_and_its_figures(deck):
    questions = deck.locator("section section:first-child h1").all_text_contents()
    titles = [load(name).cells[0].source.split("\n")[0][2:] for name in NOTEBOOKS]
    assert [question.rstrip("¶") for question in questions[1:]] == titles
    for column, name in enumerate(NOTEBOOKS, start=1):
        shown = deck.locator(f".slides > section:nth-child({column + 1})")
        figures = [
            cell
            for title, cells in slides.sections(load(name))
            for cell in cells
            if title not in slides.RECURRING and slides.picture(cell)
        ]
        assert shown.locator(".caption").count() == len(figures), name


def test_every_picture_is_described(deck):
    assert deck.locator('img:not([alt]), img[alt=""]').count() == 0
    assert deck.locator("img").count() > 20


def test_no_slide_is_cut_off_and_no_markup_shows(deck):
    found = deck.evaluate(EXTENTS)
    assert len(found) > 200
    for text, right, bottom in found:
        assert right <= 1121 and bottom <= 701, text
        assert text.strip()
        assert not re.search(r"\$|\{\w+\}`|\\\\", text), text


def test_the_keyboard_leads_through_the_slides(deck, folder):
    deck.goto("about:blank")  # forget where in each chapter another test has been
    start(deck, folder)
    seen = []
    for key in ("ArrowRight", "ArrowDown", "Space", "ArrowRight"):
        deck.keyboard.press(key)
        deck.wait_for_timeout(100)
        seen.append(deck.evaluate("Object.values(Reveal.getIndices()).slice(0, 2)"))
    assert seen == [[1, 0], [1, 1], [1, 2], [2, 0]]


def test_the_archive_has_all_files(folder):
    with zipfile.ZipFile(folder / "slides.zip") as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    files = [path for path in folder.rglob("slides/**/*") if path.is_file()]
    assert names == {path.relative_to(folder).as_posix() for path in files}
    assert "slides/reveal.js/LICENSE" in names


def test_a_section_is_what_stands_below_its_title():
    notebook = load("02-transform")
    found = dict(slides.sections(notebook))
    assert list(found)[1:3] == ["Four numbers", "Three more symbols"]
    assert sum(map(len, found.values())) >= len(notebook.cells) - 1
    last = new_markdown_cell("Text\n\n```\n# a comment\n```\n\n## Last")
    found = slides.sections(new_notebook(cells=[new_markdown_cell("# A"), last]))
    assert [title for title, _ in found] == ["A", "Last"]


def test_markdown_becomes_what_a_slide_can_show():
    assert slides.plain("a [b](c.ipynb#d) {cite:p}`e`.") == "a b."
    assert (
        slides.plain("`x[0](y)` costs `$5` and `$6`") == "`x[0](y)` costs `$5` and `$6`"
    )
    fraction = slides.plain("$$\n\\frac{a}{b}\n$$ (eq-label)")
    assert fraction.startswith("<math") and "mfrac" in fraction
    assert fraction.endswith("</math>")
    assert slides.opening("One:\n\n- two\n\nThree") == "One:\n\n- two"
