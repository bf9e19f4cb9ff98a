"""The title page: the PDF opens with it, and the EPUB's cover is its picture."""

import calendar
import html
import math
import subprocess
from pathlib import Path

import font_source_sans_pro
import font_source_serif_pro
import yaml
from playwright.sync_api import sync_playwright

from install_browser import FLAGS, find_chromium

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
SERIF, SANS = font_source_serif_pro, font_source_sans_pro
FACES = [  # family, weight, style, file
    (family, weight, style, f"{fonts.font_directory}/{name}-{cut}.ttf")
    for family, fonts, name in (
        ("Book Serif", SERIF, "SourceSerifPro"),
        ("Book Sans", SANS, "SourceSansPro"),
    )
    for weight, style, cut in (
        (400, "normal", "Regular"),
        (400, "italic", "It"),
        (600, "normal", "Semibold"),
        (600, "italic", "SemiboldIt"),
    )
]
# The italics have no Greek letters; a browser slants these.
FACES.append(
    ("Book Greek", 400, "normal", f"{SANS.font_directory}/SourceSansPro-Regular.ttf")
)
# Five channels, each with a mean and a standard deviation of its own.
CHANNELS = ((-3.4, 0.55), (-1.7, 1.6), (0.4, 0.42), (1.5, 1.1), (3.6, 0.7))


def edition():
    """The version, date and Unix time of the last commit, or else of the citation."""
    git = ["git", "-C", str(ROOT)]
    describe = [*git, "describe", "--tags", "--always", "--dirty"]
    log = [*git, "log", "-1", "--format=%cs %ct"]
    try:
        version, stamp = (
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for command in (describe, log)
        )
    except (OSError, subprocess.CalledProcessError):
        date = CITATION["date-released"]
        return f"of {date}", str(date), calendar.timegm(date.timetuple())
    date, seconds = stamp.split()
    return version.strip(), date, int(seconds)


def faces():
    """The style rules by which a page of this machine has the book's fonts."""
    return "".join(
        f'@font-face {{ font-family: "{family}"; font-weight: {weight}; '
        f'font-style: {style}; src: url("{Path(file).as_uri()}"); }}\n'
        for family, weight, style, file in FACES
    )


def curve(mean, std, foot, height):
    """A normal density as the data of an SVG path, over an axis from -6 to 6."""
    steps = [3.2 * i / 40 for i in range(-40, 41)]
    points = [
        f"{500 + 83 * (mean + std * z):.1f} "
        f"{foot - height * math.exp(-z * z / 2) / std**0.5:.1f}"
        for z in steps
    ]
    return f'd="M{"L".join(points)}"'


def markup():
    """The title page as HTML."""
    version, date, _ = edition()
    text = {key: html.escape(str(CONFIG[key])) for key in ("title", "author")}
    url = html.escape(CONFIG["repository"]["url"])
    above = "".join(f"<path {curve(*channel, 250, 150)}/>" for channel in CHANNELS)
    return f"""<section class="title-page">
<p class="title">{text["title"].replace(" ", "<br/>")}</p>
<p class="subtitle">In PyTorch.<br/>Every claim is an assertion that runs.</p>
<svg viewBox="0 0 1000 640" fill="none" aria-hidden="true">
<path d="M0 250H1000M0 600H1000" stroke="#8a9099" stroke-width="2"/>
<g stroke="#d55e00" stroke-width="5" stroke-linejoin="round">{above}</g>
<path {curve(0, 1, 600, 240)} stroke="#0072b2" stroke-width="9"/></svg>
<p class="author">{text["author"]}</p>
<p class="edition"><a href="{url}">{url.removeprefix("https://")}</a><br/>
version {version}, {date}</p>
</section>"""


def draw(path):
    """Draw the title page into a PNG file, with the proportions of A4."""
    style = (ROOT / "tools" / "title_page.css").read_text(encoding="utf-8")
    page_file = path.with_suffix(".html")  # only a page in a file may load fonts
    page_file.write_text(
        f"<!doctype html><meta charset=utf-8><style>{faces()}{style}</style>{markup()}",
        encoding="utf-8",
    )
    chromium = find_chromium()  # starts a Playwright of its own
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(
            viewport={"width": 794, "height": 1123}, device_scale_factor=2
        )
        page.goto(page_file.as_uri())
        page.evaluate("document.fonts.ready.then(() => null)")
        page.screenshot(path=path)
        browser.close()
    page_file.unlink()
