"""Measure how long a frame takes while the interactive figures are operated.

    python measurements/frame_rate.py

Opens the built pages in headless Chromium, drags or slides in each figure but the quiz
120 times, one move a frame, and reads the browser's own trace: how long the main thread
was busy between two frames (scripts, styles, layout and painting together), and how
often a script forced a layout in the middle of its work. Frames count in which the
figure's state changed; one has 1000 / 60 = 16.7 ms. It takes less than a minute and
writes `results/frame_rate.json`. Build the book first.
"""

import json
import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "code"), str(ROOT / "tools")]

from install_browser import FLAGS, find_chromium
from records import stamp, write_record

MOVES = 120
# What is moved in each figure: a slider, which a bead is too, or the pointer over it.
FIGURES = {
    "batch": ("02-transform", ".bn-beads input"),
    "mates": ("05-prediction", ".bn-beads input"),
    "share": ("04-convolution", "svg"),
    "steps": ("03-fully-connected", "input[type=range]"),
    "depth": ("01-motivation", "svg"),
    "curves": ("06-lenet", "input[type=range]"),
    "explorer": ("06-lenet", "input[type=range]"),
}
# One move after each frame, as a hand would at 60 frames a second: to the next stop of
# a slider and back from its ends, to the next cell, or up and down the 50 layers of a
# ladder. Returns for each move whether it changed the figure's state.
SWEEP = """async ([element, moves]) => {
  const figure = element.closest("[data-figure]"), changed = [];
  const cells = element.querySelectorAll("rect");
  const box = element.getBoundingClientRect();
  const state = () => [...figure.querySelectorAll("input")].map((e) => e.value).join();
  const point = (type, target, share) => target.dispatchEvent(
    new PointerEvent(type, { bubbles: true, pointerId: 1,
      clientX: box.left + box.width / 2,
      clientY: box.top + 5 + share * (box.height - 10) }));
  let [by, before] = [1, state()];
  for (let i = 0; i < moves; i++) {
    await new Promise(requestAnimationFrame);
    performance.mark("move");
    if (element.type === "range") {
      const old = element.value;
      element.stepUp(by);
      if (element.value === old) element.stepUp(by = -by);
      element.dispatchEvent(new Event("input", { bubbles: true }));
    } else if (cells.length) {
      point("pointerover", cells[i % cells.length], 0.5);
    } else {
      const layer = Math.abs(49 - (i % 98));
      point("pointermove", element, (layer + 0.5) / 50);
    }
    changed.push(state() !== before);
    before = state();
  }
  return changed;
}"""


def measure(browser, chapter, name, selector):
    """Busy milliseconds of the main thread, and forced layouts.

    Only of frames in which the state changed; forced layouts are those of all.
    """
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.goto((ROOT / "_build/html/chapters" / f"{chapter}.html").as_uri())
    moved = page.locator(f"[data-figure={name}]").last.locator(selector).first
    moved.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    categories = ["devtools.timeline", "blink.user_timing", "toplevel"]
    browser.start_tracing(page=page, categories=categories)
    changed = page.evaluate(SWEEP, [moved.element_handle(), MOVES])
    events = json.loads(browser.stop_tracing())["traceEvents"]
    page.close()
    busy, forced = frames(events)
    return [ms for ms, new in zip(busy, changed, strict=False) if new], forced


def frames(events):
    """Split the main thread's work at the marks that the sweep set."""
    marks = sorted(e["ts"] for e in events if e["name"] == "move")
    thread = next((e["pid"], e["tid"]) for e in events if e["name"] == "move")
    own = [e for e in events if (e["pid"], e["tid"]) == thread and "dur" in e]
    tasks = [e for e in own if e["name"] == "ThreadControllerImpl::RunTask"]
    scripts = [e for e in own if e["name"] in ("FunctionCall", "EventDispatch")]
    forced = 0
    for e in own:
        if e["name"] == "Layout":
            forced += any(
                s["ts"] <= e["ts"] and e["ts"] + e["dur"] <= s["ts"] + s["dur"]
                for s in scripts
            )
    busy = [
        sum(t["dur"] for t in tasks if start <= t["ts"] + t["dur"] / 2 < end) / 1000
        for start, end in zip(marks, marks[1:], strict=False)
    ]
    return busy, forced


def main():
    record = {"runs": {}}
    chromium = find_chromium()  # starts a Playwright of its own
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, (chapter, selector) in FIGURES.items():
            busy, forced = measure(browser, chapter, name, selector)
            record["runs"][name] = {
                "frames": len(busy),
                "busy_ms_median": round(statistics.median(busy), 2),
                "busy_ms_95_percent": round(statistics.quantiles(busy, n=20)[-1], 2),
                "frames_over_16.7_ms": sum(ms > 1000 / 60 for ms in busy),
                "forced_layouts_per_frame": round(forced / MOVES, 2),
                "browser": browser.version,
                "measured": stamp("cpu"),
            }
            print(name, record["runs"][name], flush=True)
        browser.close()
    write_record("frame_rate", record)


if __name__ == "__main__":
    main()
