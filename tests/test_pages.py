"""The built pages in a real browser: offline, on a phone, in the dark, by axe-core."""

import html.parser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from conftest import PAGES
from test_book import COLAB, ROOT

WIDE, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
SMALLEST = 11  # px

# What axe-core finds in every book of this theme: rule, element, why it stays.
BASELINE = [
    # The theme has the logo in a plain <div> beside the navigation.
    ("region", "a.navbar-brand.logo img"),
    # Sphinx marks up a bibliography as docutils does, with roles of DPUB-ARIA 1.0.
    ("aria-allowed-role", "div.citation[role=doc-biblioentry]"),
    ("aria-deprecated-role", "div.citation[role=doc-biblioentry]"),
    ("aria-required-children", "div.citation-list[role=list]"),
]

# Shows what is folded away: code cells, dropdowns, solutions.
UNFOLD = """() => {
  for (const e of document.querySelectorAll("details")) e.open = true;
  for (const e of document.querySelectorAll("button.toggle-button-hidden")) e.click();
  return window.MathJax?.startup?.promise.then(() => null);
}"""
# Code has thousands of coloured pieces, and to judge the contrast of one takes time. Of
# those that look alike the first is enough.
MARK_ALIKE = """() => {
  const seen = new Set();
  for (const e of document.querySelectorAll(".highlight pre span")) {
    const around = e.closest(".highlight").parentElement.parentElement;
    const look = e.className + " in " + around.className;
    if (seen.has(look)) e.dataset.alike = "";
    seen.add(look);
  }
}"""
HIDE_ALIKE = "[data-alike] { visibility: hidden !important }"
TOO_WIDE = """width => [...document.querySelectorAll("article *")]
  .filter(e => e.getBoundingClientRect().right > width)
  .map(e => e.outerHTML.slice(0, 80))"""
# MathJax sets its own sizes; the text of a drawing shrinks with the drawing.
TOO_SMALL = """smallest => {
  const article = document.querySelector("article"), found = [];
  const walk = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), e = walk.currentNode.parentElement;
    if (!text || e.closest("mjx-container, script, style")) continue;
    if (!e.checkVisibility()) continue;
    const scale = e.ownerSVGElement ? e.getScreenCTM().a : 1;
    const size = parseFloat(getComputedStyle(e).fontSize) * scale;
    if (size < smallest) found.push(`${size.toFixed(1)} px: ${text.slice(0, 60)}`);
  }
  return found;
}"""
TEX_IN_TEXT = r"""() => {
  const article = document.querySelector("article").cloneNode(true);
  article.querySelectorAll("pre, code, script, style, mjx-container")
    .forEach(e => e.remove());
  return article.textContent.match(/.*(\\[a-zA-Z([]|\$\S).*/)?.[0] ?? null;
}"""
WITHOUT_ALT = """() => [...document.querySelectorAll("article img")]
  .filter(e => !e.alt.trim()).map(e => e.src.slice(0, 80))"""


class Visit:
    """A page that is open in a new profile, and what it asked for and complained of."""

    def __init__(self, browser, base, name):
        self.outside, self.failed, self.errors = [], [], []
        context = browser.new_context(viewport=WIDE, color_scheme="light")
        self.page = context.new_page()
        self.base = base
        self.page.on("request", self._request)
        self.page.on("requestfailed", lambda r: self.failed.append(r.url))
        self.page.on("response", self._response)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        context.route(self._is_outside, lambda route: route.abort())
        self.page.goto(f"{base}{name}.html")
        self.page.add_style_tag(content="* { transition: none !important }")
        self.page.evaluate(MARK_ALIKE)
        self.page.add_style_tag(content=HIDE_ALIKE)
        self.page.evaluate(UNFOLD)
        # As _static/book.js does after a click; the theme waits 300 ms.
        self.page.evaluate("window.dispatchEvent(new Event('resize'))")
        self.page.wait_for_timeout(400)
        self.page.wait_for_load_state("networkidle")

    def close(self):
        self.page.context.close()

    def look(self, viewport=WIDE, scheme="light"):
        """Return the page at another width, or in the dark."""
        if self.page.viewport_size != viewport:
            self.page.set_viewport_size(viewport)
            self.page.wait_for_timeout(400)  # after 300 the theme sets new tab stops
        self.page.emulate_media(color_scheme=scheme)
        self.page.wait_for_selector(f"html[data-theme={scheme}]")
        return self.page

    def _is_outside(self, url):
        return not url.startswith((self.base, "data:", "blob:", "about:"))

    def _request(self, request):
        if self._is_outside(request.url):
            self.outside.append(request.url)

    def _response(self, response):
        if response.status >= 400:
            self.failed.append(f"{response.status} {response.url}")

    def _console(self, message):
        if message.type == "error":
            self.errors.append(message.text)


@pytest.fixture(scope="module", params=PAGES)
def visit(request, browser, site):
    visit = Visit(browser, f"{site.as_uri()}/", request.param)
    yield visit
    visit.close()


def violations(page, context=None, **options):
    """Return what axe-core finds beyond the baseline, within `context` if given."""
    # No preload: from file://, a page may not fetch its own style sheets again.
    options = {"resultTypes": ["violations"], "preload": False, **options}
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in Axe().run(page, context, options).response["violations"]
        for node in violation["nodes"]
        if not any(
            rule == violation["id"]
            and page.locator(node["target"][0]).evaluate("(e, s) => e.matches(s)", css)
            for rule, css in BASELINE
        )
    ]


def test_the_mathematics_is_set(visit):
    assert visit.page.locator("article .math:not(:has(mjx-container))").count() == 0
    assert visit.page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert visit.page.evaluate(TEX_IN_TEXT) is None


def test_badges_open_a_notebook_and_its_starter_in_colab(visit):
    name = visit.page.url.removeprefix(visit.base).removesuffix(".html")
    if (ROOT / f"{name}.ipynb").exists():
        for heading, notebook in (
            ("h1", name),
            ("#exercises > h2", name.replace("chapters/", "starters/")),
        ):
            badge = visit.page.locator(f"{heading} + .bn-colab > a")
            assert badge.is_visible()
            assert badge.get_attribute("href") == f"{COLAB}{notebook}.ipynb"
            assert (ROOT / f"{notebook}.ipynb").is_file()
    else:
        assert visit.page.locator(".bn-colab").count() == 0


def test_every_picture_is_shown_and_described(visit):
    assert visit.page.evaluate(WITHOUT_ALT) == []
    broken = "es => es.filter(e => !e.naturalWidth).map(e => e.src)"
    assert visit.page.locator("article img").evaluate_all(broken) == []


def test_the_page_is_accessible_in_light_mode(visit):
    assert violations(visit.look(scheme="light")) == []


def test_the_page_is_accessible_in_dark_mode(visit):
    # What has no colour was checked in the light.
    rules = ["color-contrast", "link-in-text-block"]
    assert violations(visit.look(scheme="dark"), runOnly=rules) == []


def test_the_page_is_accessible_on_a_phone(visit):
    # Colours, which take longest, were checked at full width.
    rules = {"color-contrast": {"enabled": False}}
    assert violations(visit.look(PHONE), rules=rules) == []


def test_the_page_fits_a_phone(visit):
    page = visit.look(PHONE)
    if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]:
        pytest.fail("\n".join(page.evaluate(TOO_WIDE, PHONE["width"])))


def test_the_text_is_legible_on_a_phone(visit):
    assert visit.look(PHONE).evaluate(TOO_SMALL, SMALLEST) == []


# Last of those that use the page: by now it was wide and narrow, light and dark.
def test_the_page_asked_for_nothing_outside_the_book(visit):
    assert visit.outside == []


def test_the_page_got_what_it_asked_for_and_reported_no_error(visit):
    visit.page.wait_for_load_state("networkidle")
    assert visit.failed == []
    assert visit.errors == []


def test_the_checks_notice_a_bad_page(browser, tmp_path):
    (tmp_path / "bad.html").write_text(
        """<!doctype html><html data-theme="light"><title>Bad</title>
        <article><img src="gone.png"><img src="https://example.org/a.png">
        <p style="font-size: 9px; width: 500px">small and wide</p>
        <p style="color: #999">pale</p><p>$\\mu$</p></article><script>oops()</script>"""
    )
    visit = Visit(browser, f"{tmp_path.as_uri()}/", "bad")
    assert visit.outside == ["https://example.org/a.png"]
    assert f"{tmp_path.as_uri()}/gone.png" in visit.failed
    assert any("oops" in error for error in visit.errors)
    assert len(visit.page.evaluate(WITHOUT_ALT)) == 2
    assert visit.page.evaluate(TEX_IN_TEXT).strip() == "pale$\\mu$"
    assert any(v.startswith("color-contrast") for v in violations(visit.look()))
    page = visit.look(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]
    assert page.evaluate(TOO_SMALL, SMALLEST) == ["9.0 px: small and wide"]
    visit.close()


class Links(html.parser.HTMLParser):
    """The ids of a page, the links it offers, and what it loads."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes.get("id"), attributes.get("name")} - {None}
        address = attributes.get("src", attributes.get("href"))
        if address is not None:
            leads = tag in ("a", "form") or attributes.get("rel") == "canonical"
            (self.links if leads else self.loads).add(address)


@pytest.fixture(scope="module")
def links(site):
    files = {*site.glob("*.html"), *site.glob("chapters/**/*.html")}
    files.remove(site / "404.html")  # its addresses are absolute, see test_site.py
    return {f.as_uri(): Links(f.read_text(encoding="utf-8")) for f in files}


def test_every_link_inside_the_book_leads_somewhere(links, site):
    broken = []
    for page, found in links.items():
        for address in found.links | found.loads:
            target, anchor = urldefrag(urljoin(page, address))
            path = unquote(urlsplit(target).path)
            if target.startswith("file:") and (
                not (site / path).is_file()
                or (target in links and anchor and anchor not in links[target].ids)
            ):
                broken.append(f"{page} -> {address}")
    assert broken == []


def test_no_page_loads_a_part_from_elsewhere(links):
    elsewhere = {a for page in links.values() for a in page.loads if urlsplit(a).netloc}
    assert elsewhere == set()


def test_what_a_reader_unfolds_can_be_scrolled_by_keyboard(browser, site):
    page = browser.new_page(viewport=WIDE)
    page.goto((site / "chapters/03-fully-connected.html").as_uri())
    page.wait_for_load_state("networkidle")
    unfold = page.locator("article :is(.toggle-button, summary):visible").all()
    assert len(unfold) >= 3
    for button in unfold:
        button.click()
    page.wait_for_timeout(600)  # after 300 the theme sets new tab stops
    out_of_reach = page.evaluate(
        """[...document.querySelectorAll("article pre")]
        .filter(e => e.scrollWidth > e.clientWidth && e.clientWidth > 0)
        .filter(e => e.tabIndex < 0).map(e => e.id)"""
    )
    page.close()
    assert out_of_reach == []
