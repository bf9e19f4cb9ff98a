"""Sphinx extension: takes from the finished pages what no reader needs.

The theme puts a megabyte and a half of icons on every page, of which the book shows
a few; here each becomes a drawing of its own. Scripts inside the pages move to a file,
so that a server may forbid them (with a Content-Security-Policy). From the address of
the repository follows that of the site, which search engines and social cards name.
"""

import html
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import imagesize
from bs4 import BeautifulSoup
from sphinx_design.icons import get_octicon

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

import repository

ICONS = {
    "angle-left": "chevron-left",
    "angle-right": "chevron-right",
    "arrow-up": "arrow-up",
    "bars": "three-bars",
    "circle-half-stroke": "device-desktop",
    "download": "download",
    "expand": "screen-full",
    "file": "file",
    "file-pdf": "file",
    "github": "mark-github",
    "lightbulb": "light-bulb",
    "list": "list-unordered",
    "magnifying-glass": "search",
    "moon": "moon",
    "rocket": "rocket",
    "sun": "sun",
}
# What MathJax loads, at once or from its menu, of the 24 MB that it comes with.
MATHJAX = "tex-chtml.js", "output/chtml/", "input/tex/", "a11y/", "ui/", "sre/mathmaps/"
LANGUAGES = "base.json", "en.json", "nemeth.json"  # in which it can read aloud
# What no page asks for: the icon font, other languages of the theme, debugging maps.
UNUSED = "scripts/fontawesome*", "vendor", "locales", "scripts/*.map", "styles/*.map"
# Scripts that differ from page to page: two names that nothing reads, and the one that
# puts the cursor into the search field.
DROPPED = "DOCUMENTATION_OPTIONS.", "// Activate the search field"
REDIRECT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={page}">
<link rel="canonical" href="{site}{page}">
{tags}
</head>
<body><p><a href="{page}">{title}</a></p></body>
</html>
"""


def set_site(app, config):
    """Tell the extensions that name the site's address which it is."""
    site = repository.site()
    config.html_baseurl = config.ogp_site_url = site
    config.notfound_urls_prefix = urlsplit(site).path


def draw_icons(page):
    """Put drawings in the place of the names of icons; no icon font is needed then."""
    for icon in page.select("i[class*=fa-], span[class*=fa-]"):
        (name,) = {c.removeprefix("fa-") for c in icon["class"]} & ICONS.keys()
        svg = BeautifulSoup(get_octicon(ICONS[name], "1em"), "html.parser").svg
        svg["class"] += [c for c in icon["class"] if not c.startswith("fa")]
        if "data-mode" in icon.attrs:  # light, dark, or as the system has it
            svg["data-mode"] = icon["data-mode"]
        icon.replace_with(svg)
    for script in page.select("script[src*=fontawesome]"):
        script.decompose()


def move_scripts(page, root):
    """Move what pages have of code into a file, and return it."""
    found = []
    place = None
    for script in page.select("script:not([src], [type])"):
        code = script.string.strip()
        if not code.startswith(DROPPED):
            place = place or script.insert_before(
                page.new_tag("script", src=f"{root}_static/settings.js")
            )
            # The theme complains of a first visit, when no mode is stored yet.
            found.append(code.replace('"mode") || ""', '"mode") || "auto"'))
        script.decompose()
    for button in page.select("[onclick]"):  # see _static/book.js
        call = button.attrs.pop("onclick")
        button["data-call"] = call.removeprefix("window.").removesuffix("()")
    return found


def lighten(app, exception):
    """Rewrite all pages once they are written."""
    if exception or app.builder.name != "html":
        return
    site, settings = Path(app.outdir), {}
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:
            continue
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        if not page.html:
            continue  # the page that leads from / to the first one
        draw_icons(page)
        for entry in page.select("[role=doc-biblioentry]"):
            entry["role"] = "listitem"  # the other role was given up
        size_pictures(page, path.parent)
        root = "../" * (len(path.relative_to(site).parts) - 1)
        if path.stem == app.config.notfound_pagename:  # shown at any address
            root = app.config.notfound_urls_prefix
        settings |= dict.fromkeys(move_scripts(page, root))
        for again in page.select("meta[name=viewport] ~ meta[name=viewport]"):
            again.decompose()
        path.write_text(str(page), encoding="utf-8")
    code = "\n".join(settings) + "\n"
    Path(site, "_static", "settings.js").write_text(code, encoding="utf-8")
    write_redirect(app, site)
    for path in {path for name in UNUSED for path in site.glob(f"_static/{name}")}:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    prune_mathjax(site / "_static" / "mathjax")


def size_pictures(page, folder):
    """Let the browser keep the room of pictures free until they are there."""
    for picture in page.select("img:not([width])"):
        width, height = imagesize.get(folder / picture["src"])
        if width > 0:
            picture["width"], picture["height"] = width, height


def write_redirect(app, site):
    """Give the address without a page's name what search engines and cards need."""
    first = f"{app.config.root_doc}.html"
    page = BeautifulSoup((site / first).read_text(encoding="utf-8"), "html.parser")
    tags = page.select("meta[name=description], meta[property], meta[name^=twitter]")
    text = REDIRECT.format(
        title=html.escape(app.config.project),
        page=first,
        site=app.config.html_baseurl,
        tags="\n".join(map(str, tags)),
    )
    (site / "index.html").write_text(text, encoding="utf-8")


def prune_mathjax(folder):
    for path in folder.rglob("*.*"):
        name = path.relative_to(folder).as_posix()
        foreign = path.parent.name == "mathmaps" and path.name not in LANGUAGES
        if path.is_file() and (foreign or not name.startswith(MATHJAX)):
            path.unlink()


def setup(app):
    app.connect("config-inited", set_site)
    app.connect("build-finished", lighten, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
