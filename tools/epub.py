"""Builds the book as an EPUB: no scripts, mathematics as MathML, figures as pictures.

The pages come from Sphinx's builder. The configuration is the book's own, less what
serves the web alone. `tools/pdf.py` prints the same pages.
"""

import html
import os
import re
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import latex2mathml.converter
import yaml
from docutils import nodes
from jupyter_book.config import get_final_config
from myst_nb.sphinx_ import HideCodeCellNode
from sphinx.application import Sphinx
from sphinx.builders.epub3 import Epub3Builder
from sphinx.util.docutils import docutils_namespace, patch_docutils
from sphinx.util.math import get_node_equation_number

import title_page
from title_page import CITATION, CONFIG, ROOT

PAGES = ROOT / "_build" / "epub"
BOOK = ROOT / "_build" / "batch-normalization.epub"
STYLES = ["pygments.css", "figures.css", "epub.css"]
COVER = "_static/cover.png"
WEB = {  # extensions that serve the web pages and their theme alone
    "book_pages",
    "colab_badge",
    "notfound.extension",
    "sphinx_book_theme",
    "sphinx_comments",
    "sphinx_copybutton",
    "sphinx_jupyterbook_latex",
    "sphinx_sitemap",
    "sphinx_togglebutton",
    "sphinx-mathjax-offline",
    "sphinxext.opengraph",
}
OPF, DC = "{http://www.idpf.org/2007/opf}", "{http://purl.org/dc/elements/1.1/}"
ACCESS = {  # https://www.w3.org/TR/epub-a11y-11/
    "accessMode": ["textual", "visual"],
    "accessModeSufficient": ["textual"],
    "accessibilityFeature": ["alternativeText", "MathML", "tableOfContents"],
    "accessibilityHazard": ["none"],
    "accessibilitySummary": ["Figures are described, and mathematics is MathML."],
}


def chapters():
    """Yield name and short title, if any, of each page, and of the part it opens."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    yield toc["root"], CONFIG["title"], None
    for part in toc["parts"]:
        opens = part["caption"]
        for chapter in part["chapters"]:
            yield chapter["file"], chapter.get("title"), opens
            opens = None


def ancestors(node):
    while node := node.parent:
        yield node


class Builder(Epub3Builder):
    """Sphinx's builder, and what it leaves out."""

    html_tag = Epub3Builder.html_tag.replace(">", ' lang="en" xml:lang="en">')

    def get_toc(self):
        """Collect chapters and sections with numbers, which Sphinx leaves out."""
        for name, title, _ in chapters():
            page = name + self.out_suffix
            title = title or self.env.titles[name].astext()
            self.refnodes.append(self.entry(1, page, self.number(name, ""), title))
            for link in self.env.tocs[name].findall(nodes.reference):
                anchor = link["anchorname"]
                depth = sum(isinstance(a, nodes.list_item) for a in ancestors(link))
                if anchor and depth == 2:
                    number = self.number(name, anchor)
                    title = link.astext()
                    self.refnodes.append(self.entry(2, page + anchor, number, title))

    def number(self, name, anchor):
        numbers = self.env.toc_secnumbers.get(name, {}).get(anchor, ())
        return "".join(f"{number}." for number in numbers)

    def entry(self, level, address, number, title):
        text = html.escape(f"{number} {title}".strip())
        return {"level": level, "refuri": html.escape(address), "text": text}

    def toc_metadata(self, level, navpoints):
        """Have the old table of contents name the book by the same identifier."""
        metadata = super().toc_metadata(level, navpoints)
        return metadata | {"uid": html.escape(self.config.epub_identifier)}

    def copy_static_files(self):
        """Write what the pages use, and the cover; no theme's files."""
        static = Path(self.outdir, "_static")
        shutil.rmtree(static)
        static.mkdir()
        self.create_pygments_style_file()
        shutil.copy(ROOT / "code" / "figures" / "figures.css", static)
        shutil.copy(ROOT / "tools" / "epub.css", static)
        title_page.draw(static / "cover.png")

    def build_content(self):
        """Write the list of files, and say in it what the standard asks to be said."""
        super().build_content()
        path = Path(self.outdir, "content.opf")
        ET.register_namespace("", OPF[1:-1])
        ET.register_namespace("dc", DC[1:-1])
        package = ET.parse(path)
        metadata = package.find(f"{OPF}metadata")
        metadata.remove(metadata.find(f"{DC}contributor"))  # the authors are named
        for name, values in ACCESS.items():
            for value in values:
                meta = ET.SubElement(metadata, f"{OPF}meta", property=f"schema:{name}")
                meta.text = value
        for item in package.iter(f"{OPF}item"):
            properties = [item.get("properties", "")]
            if item.get("href") == COVER:
                properties.append("cover-image")
            elif item.get("href") in self.files and item.get("href").endswith("xhtml"):
                page = Path(self.outdir, item.get("href")).read_text(encoding="utf-8")
                properties += ["mathml"] * ("<math " in page)
                properties += ["svg"] * ("<svg " in page)
            if properties := " ".join(filter(None, properties)):
                item.set("properties", properties)
        ET.indent(package)
        package.write(path, encoding="utf-8", xml_declaration=True)


def mathml(tex, display):
    """TeX as MathML, with the TeX as its text for readers that know none."""
    text = latex2mathml.converter.convert(tex, display=display)
    if "\\" in html.unescape(text):
        raise ValueError(f"no MathML for {tex!r}: {text}")
    # Between a function's name and its argument TeX sets a thin space.
    text = re.sub(r"(<mi>\w\w+</mi>)(?=<m[in])", r'\1<mspace width="0.17em"/>', text)
    return text.replace("<math ", f'<math alttext="{html.escape(tex.strip())}" ', 1)


def visit_math(self, node):
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_displaymath(self, node):
    tex = node.astext()
    # Side by side where there is room, and one below the other where there is not.
    row = [tex] if r"\begin" in tex else tex.split(r"\qquad")
    self.body.append(self.starttag(node, "div", CLASS="math") + '<span class="row">')
    self.body += [mathml(part, "block") for part in row] + ["</span>"]
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})</span>')
    self.body.append("</div>\n")
    raise nodes.SkipNode


def drawing(tag):
    """The start of an SVG that an e-reader draws, its text as large as a caption's."""
    width = float(re.search(r'viewBox="\S+ \S+ ([\d.]+)', tag[0])[1]) / 16
    tag = re.sub(r' style="[^"]*"', "", tag[0])
    style = f'xmlns="http://www.w3.org/2000/svg" style="width: {width:g}em"'
    return tag.replace("<svg ", f"<svg {style} ")


def picture(twin):
    """The HTML of a figure without its state, as XHTML."""
    twin = re.sub(r"<script.*?</script>", "", twin, flags=re.DOTALL)
    twin = re.sub("<svg .*?>", drawing, twin, count=1)
    return re.sub(r'(href="[\w-]+\.)html', r"\1xhtml", twin)  # to other chapters


def note():
    """What the reader of a book without scripts should know, as a node."""
    url = CONFIG["repository"]["url"]
    link = nodes.reference("", url.removeprefix("https://"), refuri=url)
    text = (
        "In this edition figures stand still, and the answers to exercises are open. "
    )
    text += "Where you are asked to move or to press something, open the chapter at "
    return nodes.emphasis("", text, link, nodes.Text("."))


def put_on_paper(app, doctree, docname):
    """Open what is folded away, and put pictures for what moves."""
    if docname == app.config.root_doc:
        title = next(doctree.findall(nodes.title))
        title.parent.insert(1, nodes.paragraph("", "", note()))
    for node in list(doctree.findall(HideCodeCellNode)):
        node.replace_self(node.children)
    for node in list(doctree.findall(nodes.raw)):
        if "data-figure=" in node.astext():
            text = picture(node.astext())
            node.replace_self(nodes.raw("", text, format="html"))
    for node in doctree.findall(nodes.section):
        if node["ids"] in (["exercise-content"], ["solution-content"]):
            node["ids"] = []  # sphinx-exercise gives it to each on the page


def finish_page(app, pagename, templatename, context, doctree):
    """Load nothing but the book's own styles."""
    context["css_files"] = [f"_static/{style}" for style in STYLES]
    context["script_files"] = []
    if "body" in context:  # docutils marks up references with a role that was given up
        context["body"] = context["body"].replace(' role="doc-biblioentry"', "")


def setup(app):
    app.add_builder(Builder, override=True)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    app.connect("doctree-resolved", put_on_paper)
    app.connect("html-page-context", finish_page, priority=900)


def configuration():
    """The book's configuration for Sphinx, with what an EPUB needs."""
    config, _ = get_final_config(
        user_yaml=ROOT / "_config.yml",
        sourcedir=ROOT,
        cli_config={
            "latex_individualpages": False,
            "external_toc_path": str(ROOT / "_toc.yml"),
        },
    )
    theirs = "comments_config", "ogp_", "sitemap_"
    config = {k: v for k, v in config.items() if not k.startswith(theirs)}
    extensions = [name for name in config["extensions"] if name not in WEB]
    return config | {
        "extensions": [*extensions, "epub"],
        "nitpicky": True,
        "html_math_renderer": "mathml",
        "pygments_style": "a11y-high-contrast-light",
        "version": title_page.edition()[0],
        "epub_basename": BOOK.stem,
        "epub_description": " ".join(CITATION["abstract"].split()),
        "epub_copyright": f"{CONFIG['copyright']} {CONFIG['author']}. "
        "Text: CC BY 4.0. Code: MIT.",
        "epub_identifier": CONFIG["repository"]["url"],
        "epub_uid": "book",
        "epub_cover": (COVER, "epub-cover.html"),
        "epub_tocscope": "includehidden",
        "epub_tocdup": False,
        "epub_show_urls": "no",
        "epub_use_index": False,
    }


def main():
    os.environ["SOURCE_DATE_EPOCH"] = str(title_page.edition()[2])
    shutil.rmtree(PAGES, ignore_errors=True)  # it would pack what was there
    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            srcdir=ROOT,
            confdir=None,
            outdir=PAGES,
            doctreedir=PAGES.with_name(".epub-doctrees"),
            buildername="epub",
            confoverrides=configuration(),
            freshenv=True,
            warningiserror=True,
            keep_going=True,
        )
        app.build(force_all=True)
    if app.statuscode:
        sys.exit(app.statuscode)
    shutil.move(PAGES / BOOK.name, BOOK)
    print(BOOK)


if __name__ == "__main__":
    main()
