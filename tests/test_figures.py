"""What all interactive figures have in common."""

import contextlib
import json
import re
import sys
import types

import pytest
from jupyter_client.manager import start_new_kernel

from conftest import ROOT
from figures import Batch

MODULES = sorted((ROOT / "code" / "figures").glob("*.js"))


def test_the_state_of_a_figure_is_its_own_traits():
    figure = Batch(x=[1.0, 3.0], gamma=2.0)
    assert figure.state() == {"x": [1.0, 3.0], "gamma": 2.0, "beta": 0.0, "eps": 1e-5}
    assert repr(figure) == "Batch(beta=0.0, eps=1e-05, gamma=2.0, x=[1.0, 3.0])"


def test_the_twin_has_the_state_as_data_a_caption_and_a_picture():
    figure = Batch(x=[2.0, 4.0])
    data = figure._repr_mimebundle_()[0]
    assert data["text/plain"] == repr(figure)
    twin = data["text/html"]
    state = re.search(r'<script type="application/json">(.*?)</script>', twin)[1]
    assert json.loads(state) == figure.state()
    assert figure.caption in twin
    assert twin.count('class="bn-thread"') == 2


def test_in_colab_the_widget_has_no_rival(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("colab"))
    data = Batch()._repr_mimebundle_()[0]
    assert "text/html" not in data
    assert "application/vnd.jupyter.widget-view+json" in data


def test_the_modules_stay_small_enough_to_be_read():
    sources = [path.read_text(encoding="utf-8") for path in MODULES]
    assert sum(len(source.encode()) for source in sources) < 40_000
    assert sum(source.count("\n") for source in sources) < 900


def test_a_module_stands_alone():
    for path in MODULES:
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*import\b|\bimport\(", source, re.M)
        assert source.endswith("export default { render };\n")
        assert set(re.findall(r"\bmodel\.(\w+)", source)) <= {
            "get",
            "set",
            "on",
            "save_changes",
        }


@pytest.fixture(scope="module")
def kernel():
    """A client of a running kernel that has the book's code on its path."""
    manager, client = start_new_kernel(kernel_name="python3")
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def execute(client, source):
    """Run it; returns the contents of the messages that it caused, by type."""
    messages = []
    reply = client.execute_interactive(
        source,
        timeout=60,
        output_hook=lambda message: messages.append(message),
    )
    assert reply["content"]["status"] == "ok", reply["content"]
    contents = {}
    for message in messages:
        contents.setdefault(message["msg_type"], []).append(message["content"])
    return contents


def test_a_live_figure_is_in_step_with_python_both_ways(kernel):
    path = f"import sys; sys.path.insert(0, {str(ROOT / 'code')!r})"
    sent = execute(kernel, f"{path}\nfrom figures import Batch\nbatch = Batch()\nbatch")
    opened = [c["data"]["state"] for c in sent["comm_open"]]
    (state,) = [s for s in opened if s.get("_model_name") == "AnyModel"]
    assert state["gamma"] == 1.0 and "export default" in state["_esm"]
    view = sent["execute_result"][0]["data"]["application/vnd.jupyter.widget-view+json"]

    # Python changes a value, and the browser is told.
    (update,) = execute(kernel, "batch.beta = 2.5")["comm_msg"]
    assert update["data"]["state"] == {"beta": 2.5}

    # The browser changes a value, and Python has it.
    data = {"method": "update", "state": {"gamma": 3.5}, "buffer_paths": []}
    content = {"comm_id": view["model_id"], "data": data}
    kernel.shell_channel.send(kernel.session.msg("comm_msg", content))
    (shown,) = execute(kernel, "print(batch.gamma)")["stream"]
    assert shown["text"] == "3.5\n"


def placed():
    """Where figures are: pairs of a page in chapters/ and a figure's name."""
    found = {("index", "explorer")}
    for path in (ROOT / "chapters").glob("*.ipynb"):
        stored = path.read_text(encoding="utf-8")
        names = re.findall(r'data-figure=\\"(\w+)\\"', stored)
        found |= {(path.stem, name) for name in names}
    return sorted(found)


def test_every_figure_has_its_place():
    assert {name for _, name in placed()} == {path.stem for path in MODULES}


@contextlib.contextmanager
def offline(browser, site, chapter, name, **options):
    """A figure on a page that was opened from a file, with the network cut off."""
    context = browser.new_context(offline=True, has_touch=True, **options)
    page = context.new_page()
    page.goto((site / "chapters" / f"{chapter}.html").as_uri())
    yield page.locator(f"[data-figure={name}]").last
    context.close()


def react(figure):
    """Operate its controls by keyboard until what it shows changes."""
    before = figure.inner_html()
    for control in figure.locator("input, button, [role=slider]").all():
        control.focus()
        for key in ("Space", "ArrowRight", "ArrowLeft"):
            figure.page.keyboard.press(key)
            if figure.inner_html() != before:
                return True
    return False


@pytest.mark.parametrize(("chapter", "name"), placed())
def test_it_reacts_with_the_network_cut_off(browser, site, chapter, name):
    with offline(browser, site, chapter, name) as figure:
        assert react(figure)
        assert figure.locator(".bn-caption").inner_text()


@pytest.mark.parametrize(("chapter", "name"), placed())
def test_nothing_in_it_moves_by_itself(browser, site, chapter, name):
    with offline(
        browser, site, chapter, name, reduced_motion="no-preference"
    ) as figure:
        react(figure)
        moving = "e => e.getAnimations({subtree: true}).length"
        assert figure.evaluate(moving) == 0


@pytest.mark.parametrize(("chapter", "name"), placed())
def test_focus_is_visible(browser, site, chapter, name):
    with offline(browser, site, chapter, name) as figure:
        page = figure.page
        page.keyboard.press("Tab")  # focus is shown to those who use keys
        seen = set()
        for control in figure.locator("input, button, a, [tabindex='0']").all():
            kind = control.evaluate("e => e.tagName + e.type + e.parentNode.className")
            if kind in seen or not (control.is_enabled() and control.is_visible()):
                continue
            seen.add(kind)
            control.focus()
            box = control.bounding_box()
            clip = {
                "x": box["x"] - 8,
                "y": box["y"] - 8,
                "width": box["width"] + 16,
                "height": box["height"] + 16,
            }
            focused = page.screenshot(clip=clip, caret="hide")
            control.blur()
            assert page.screenshot(clip=clip, caret="hide") != focused, kind


@pytest.mark.parametrize(("chapter", "name"), placed())
def test_without_javascript_it_is_a_picture(browser, site, chapter, name):
    options = {"java_script_enabled": False}
    with offline(browser, site, chapter, name, **options) as figure:
        picture = figure.locator("svg, .bn-question, .bn-quiz").first
        assert picture.bounding_box()["width"] > 100
        assert figure.locator(".bn-caption").is_visible()
        assert figure.locator("button, input").count() == 0


@pytest.mark.parametrize(("chapter", "name"), placed())
def test_on_paper_it_is_a_picture(browser, site, chapter, name):
    with offline(browser, site, chapter, name) as figure:
        figure.page.emulate_media(media="print")
        picture = figure.locator("svg, .bn-question, .bn-quiz").first
        assert picture.bounding_box()["width"] > 100
        assert figure.locator(".bn-caption").is_visible()
        controls = figure.locator("button, .bn-controls input")
        assert not any(control.is_visible() for control in controls.all())
