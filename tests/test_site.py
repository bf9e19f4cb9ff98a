"""The site as a whole: its weight, its scripts, what search engines and servers ask."""

import functools
import http.server
import re
import shutil
import subprocess
import sys
from importlib.metadata import files
from urllib.parse import urljoin, urlsplit

import imagesize
import pytest
from bs4 import BeautifulSoup

from conftest import PAGES, ROOT
from serve import in_background
from test_book import NAME, OWNER, URL

ADDRESS = f"https://{OWNER}.github.io/{NAME}/"
# As strict as may be, but for styles: MathJax writes its own into the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
CHAPTER = "chapters/03-fully-connected"


def page_of(site, name):
    return BeautifulSoup((site / f"{name}.html").read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def strict(site):
    """The address of a server that sends POLICY and has the book under its name."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def end_headers(self):
            self.send_header("Content-Security-Policy", POLICY)
            super().end_headers()

        def translate_path(self, path):
            inside = path.startswith(f"/{NAME}/")
            path = path.removeprefix(f"/{NAME}") if inside else "/nothing/is/here"
            return super().translate_path(path)

        def send_error(self, code, *args):
            self.send_response(code)
            self.end_headers()
            self.wfile.write((site / "404.html").read_bytes())

    handler = functools.partial(Handler, directory=site)
    with in_background(handler) as address:
        yield f"{address}/{NAME}/"


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.problems = []
    page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda request: page.problems.append(request.url))
    yield page
    context.close()


@pytest.mark.parametrize("name", [*PAGES, "search", "genindex"])
def test_a_page_works_from_a_server_with_a_strict_policy(page, strict, name):
    page.goto(f"{strict}{name}.html")
    page.wait_for_load_state("networkidle")
    assert page.problems == []
    assert page.locator("article .math:not(:has(mjx-container))").count() == 0
    for kind in page.locator("[data-figure]").all():
        assert kind.locator("> .bn-live > *").count() > 0


def test_a_strict_policy_would_be_noticed_if_it_forbade_something(page, strict):
    page.goto(f"{strict}{CHAPTER}.html")
    page.evaluate("document.body.setAttribute('onclick', '1')")
    page.locator("article h1").click()
    assert any("Content Security Policy" in problem for problem in page.problems)


def test_what_is_asked_for_outside_the_books_folder_would_be_noticed(page, strict):
    page.goto(f"{strict}{CHAPTER}.html")
    assert page.problems == []
    page.evaluate("fetch('/_static/book.css')")
    page.wait_for_load_state("networkidle")
    assert any("404" in problem for problem in page.problems)


def test_under_the_policy_the_theme_can_be_changed_and_stays(page, strict):
    page.goto(f"{strict}{CHAPTER}.html")
    theme = "document.documentElement.dataset.mode"
    assert page.evaluate(theme) == "auto"
    page.locator(".theme-switch-button:visible").click()
    chosen = page.evaluate(theme)
    assert chosen in ("light", "dark")
    page.reload()
    assert page.evaluate(theme) == chosen


def test_the_buttons_print_and_fill_the_screen(page, strict):
    page.goto(f"{strict}{CHAPTER}.html")
    page.evaluate("window.print = () => (window.printed = true)")
    page.locator(".dropdown-download-buttons button").first.click()
    page.locator("[data-call=print]").click()
    assert page.evaluate("window.printed")
    page.locator("[data-call=toggleFullScreen]").click()
    page.wait_for_function("document.fullscreenElement !== null")


def test_what_is_not_there_is_answered_with_a_page_that_works(page, strict):
    page.goto(f"{strict}some/where/else.html")
    assert [p for p in page.problems if "404" not in p] == []
    home = page.locator("a.navbar-brand").first.evaluate("a => a.href")
    assert home.startswith(strict)
    page.goto(home)
    assert page.locator("article h1").inner_text().startswith("Batch Normalization")


def test_search_works_without_a_network_or_a_server(page, site):
    page.goto(f"{site.as_uri()}/search.html?q=momentum")
    page.wait_for_selector("ul.search li a")
    found = page.locator("ul.search li a").evaluate_all("es => es.map(a => a.href)")
    assert any("05-prediction" in link for link in found)


@pytest.mark.parametrize("name", [*PAGES, "search", "genindex", "404"])
def test_a_page_has_no_script_of_its_own_and_no_icon_font(site, name):
    page = page_of(site, name)
    assert page.select("script:not([src], [type='application/json'])") == []
    assert [
        tag for tag in page.find_all(True) if any(a[:2] == "on" for a in tag.attrs)
    ] == []
    assert page.select("script[src*=fontawesome], [class*=fa-]") == []
    assert len(page.select("meta[name=viewport]")) == 1
    assert page.select("svg.sd-octicon")


def test_every_page_says_what_it_is_about_and_where_it_is(site):
    descriptions = set()
    for name in PAGES:
        head = page_of(site, name).head
        tags = {
            m.get("property", m.get("name")): m.get("content") for m in head("meta")
        }
        (canonical,) = [link["href"] for link in head("link", rel="canonical")]
        assert canonical == tags["og:url"] == f"{ADDRESS}{name}.html"
        assert 20 < len(tags["description"]) <= 170
        assert tags["og:description"] == tags["description"]
        descriptions.add(tags["description"])
        card = tags["og:image"].removeprefix(ADDRESS)
        assert imagesize.get(site / card) == (1146, 600)
        assert tags["twitter:card"] == "summary_large_image"
    assert len(descriptions) == len(PAGES)


def test_the_bare_address_leads_to_the_landing_page_and_describes_it(site, page):
    head, landing = page_of(site, "index").head, page_of(site, PAGES[0]).head
    for tag in ('meta[property="og:image"]', "meta[name=description]"):
        assert head.select_one(tag)["content"] == landing.select_one(tag)["content"]
    assert head.title.string == "Batch Normalization"
    page.goto(f"{site.as_uri()}/index.html")
    page.wait_for_url(f"**/{PAGES[0]}.html")


def test_the_site_map_has_every_page(site):
    links = re.findall("<loc>(.*?)</loc>", (site / "sitemap.xml").read_text())
    assert sorted(links) == sorted(f"{ADDRESS}{name}.html" for name in PAGES)


def test_the_page_of_a_missing_address_finds_its_files_where_the_book_is(site):
    page = page_of(site, "404")
    paths = [tag.get("src", tag.get("href")) for tag in page.select("[src], [href]")]
    paths = [path for path in paths if not path.startswith(("#", "https:"))]
    assert len(paths) > 30
    for path in paths:
        assert path.startswith(f"/{NAME}/")
        file = site / urlsplit(path).path.removeprefix(f"/{NAME}/")
        assert file.is_file() or (file / "index.html").is_file(), path


def loaded(page, address):
    """The bytes of what a page loads, by path."""
    responses = []
    page.on("response", lambda response: responses.append(response))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return {urlsplit(r.url).path: len(r.body()) for r in responses}


@pytest.fixture(scope="module")
def default_book(tmp_path_factory):
    """A chapter as Jupyter Book shows it when nothing but its title is set."""
    folder = tmp_path_factory.mktemp("default")
    shutil.copy(ROOT / f"{CHAPTER}.ipynb", folder / "chapter.ipynb")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: chapter\n")
    (folder / "_config.yml").write_text(
        "title: A book\nonly_build_toc_files: true\n"
        "execute: {execute_notebooks: 'off'}\n"
        "sphinx: {extra_extensions: [sphinx_exercise]}\n"
        f"repository: {{url: {URL}}}\nhtml: {{use_repository_button: true}}\n"
    )
    command = "from jupyter_book.cli.main import main; main()"
    arguments = [sys.executable, "-c", command, "build", "--quiet", str(folder)]
    subprocess.run(arguments, check=True, capture_output=True)
    return folder / "_build" / "html"


def test_a_chapter_weighs_at_most_three_fifths_of_what_it_would_by_default(
    browser, server, default_book
):
    ours = loaded(browser.new_page(), urljoin(server, f"{CHAPTER}.html"))
    fonts = {path: size for path, size in ours.items() if path.endswith(".woff")}
    assert len(fonts) > 2
    # Figures aside, drawn and live.
    figures = re.compile(r"/_images/|/figures\.(js|css)$")
    ours = {path: size for path, size in ours.items() if not figures.search(path)}
    page = browser.new_page()
    page.route("https://**", lambda route: route.abort())
    wanted = []
    page.on("requestfailed", lambda request: wanted.append(request.url))
    theirs = loaded(page, f"{default_book.as_uri()}/chapter.html")
    theirs = {path: size for path, size in theirs.items() if not figures.search(path)}
    # What it takes from elsewhere: MathJax, and with it the same fonts.
    assert [url.rpartition("/")[2] for url in wanted] == ["tex-mml-chtml.js"]
    (mathjax,) = (
        file.locate()
        for file in files("sphinx-mathjax-offline")
        if file.name == "tex-mml-chtml.js"
    )
    default = sum(theirs.values()) + mathjax.stat().st_size + sum(fonts.values())
    assert sum(ours.values()) <= 0.6 * default
