"""What all interactive figures have in common."""

import contextlib
import json
import re
import sys
import types

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

import book_figures
import figures
from conftest import NOTEBOOK, ROOT, without_mathematics
from figures import Batch, Share
from test_pages import violations

TWIN = r'data-figure="(\w+)">.*<script type="application/json">(.*?)</script>'
RUN = {
    "name": "a run",
    "kind": "bn",
    "train_loss": [2.0, 1.0, 0.5],
    "train_acc": [0.1, 0.5, 0.9],
    "test_acc": [0.1, 0.5, 0.8],
}
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


def placed_once():
    """The last place of each figure: most are in one chapter, quizzes are in all."""
    return sorted(
        (chapter, name) for name, chapter in {n: c for c, n in placed()}.items()
    )


def test_every_figure_has_its_place():
    assert {name for _, name in placed()} == {path.stem for path in MODULES}


@contextlib.contextmanager
def offline(browser, site, chapter, name, **options):
    """A figure on a page that was opened from a file, with the network cut off."""
    context = browser.new_context(offline=True, has_touch=True, **options)
    without_mathematics(context)
    page = context.new_page()
    page.goto((site / "chapters" / f"{chapter}.html").as_uri())
    yield page.locator(f"[data-figure={name}]").last
    context.close()


def react(figure):
    """Operate its controls by keyboard until what it shows changes."""
    before = figure.inner_html()
    for control in figure.locator("input, button").all():
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
        caption = figure.locator(".bn-caption").inner_text()
        assert caption
        group = figure.page.get_by_role("group", name=caption, exact=True)
        assert group.last.get_attribute("data-figure") == name


@pytest.mark.parametrize(("chapter", "name"), placed_once())
def test_nothing_in_it_moves_by_itself(browser, site, chapter, name):
    with offline(
        browser, site, chapter, name, reduced_motion="no-preference"
    ) as figure:
        react(figure)
        moving = "e => e.getAnimations({subtree: true}).length"
        assert figure.evaluate(moving) == 0


@pytest.mark.parametrize(("chapter", "name"), placed_once())
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


@pytest.mark.parametrize(("chapter", "name"), placed_once())
def test_without_javascript_it_is_a_picture(browser, site, chapter, name):
    options = {"java_script_enabled": False}
    with offline(browser, site, chapter, name, **options) as figure:
        picture = figure.locator("svg, .bn-question, .bn-quiz").first
        assert picture.bounding_box()["width"] > 100
        assert figure.locator(".bn-caption").is_visible()
        assert figure.locator("button, input").count() == 0


@pytest.mark.parametrize(("chapter", "name"), placed_once())
def test_on_paper_it_is_the_picture(browser, site, chapter, name):
    with offline(browser, site, chapter, name) as figure:
        react(figure)
        figure.page.emulate_media(media="print")
        assert not figure.locator(".bn-live").is_visible()
        picture = figure.locator(".bn-paper > *")
        assert picture.bounding_box()["width"] > 100
        assert figure.locator(".bn-caption").is_visible()


@pytest.mark.parametrize(("chapter", "name"), placed_once())
def test_it_is_accessible_in_other_states_too(browser, site, chapter, name):
    with offline(browser, site, chapter, name) as figure:
        react(figure)
        figure.page.keyboard.press("End")
        for scheme in ("light", "dark"):
            figure.page.emulate_media(color_scheme=scheme)
            figure.page.wait_for_selector(f"html[data-theme={scheme}]")
            assert violations(figure.page, context=f"[data-figure={name}]") == []


@pytest.mark.parametrize(("chapter", "name"), placed_once())
def test_its_controls_are_fresh_when_a_reader_comes_back(browser, site, chapter, name):
    def controls():
        return figure.locator("input").evaluate_all(
            "all => all.map(e => e.type === 'radio' ? e.checked : e.value)"
        )

    with offline(browser, site, chapter, name) as figure:
        before = controls()
        react(figure)
        figure.page.goto("about:blank")
        figure.page.go_back()
        figure.locator("input").first.wait_for(state="attached")
        assert controls() == before


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("*.ipynb")))
def test_stored_figures_have_the_pictures_of_their_states(path):
    """Also where nbval compares nothing, a number cannot drift alone."""
    notebook = nbformat.read(path, nbformat.NO_CONVERT)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            twin = output.get("data", {}).get("text/html", "")
            for figure, state in re.findall(TWIN, twin):
                kind = getattr(figures, figure.capitalize())
                traits = {
                    name: value
                    for name, value in json.loads(state).items()
                    if not kind.class_traits()[name].read_only
                }
                if figure != "quiz":  # nbval compares each of them
                    assert kind(**traits).twin() == twin


# Other values for every trait that is not fixed, and the figures' own to start from.
OTHERS = {
    "batch": {"x": [2.0, 3.0, 7.0], "gamma": 3.0, "beta": 2.0, "eps": 10.0},
    "curves": {
        "runs": [{**RUN, "test_acc": [0.3, 0.4, 0.5]}],
        "epochs": 5,
        "epoch": 1,
    },
    "depth": {"depth": 10, "layer": 7, "net": "plain"},
    "explorer": {"rate": 0, "epoch": 3},
    "mates": {
        "size": 4,
        "momentum": 0.5,
        "seen": 3,
        "mode": "prediction",
        "moved": {"13": 0.9},
        "stream": [0.5] * 976,
        "yours": 0.1,
        "truth": [0.2, 0.01],
    },
    "quiz": {"chosen": [0, 0, 0, 0]},
    "share": {"kind": "layer", "cell": [0, 0, 0, 0], "sizes": [2, 2, 2, 2]},
    "steps": {
        "x": [1.0, 2.0, 3.0, 5.0],
        "dy": [0.0, 1.0, 0.0, 0.0],
        "gamma": 3.0,
        "beta": 0.0,
        "eps": 10.0,
        "step": 3,
    },
}
STARTS = {
    "curves": {"runs": [RUN], "epochs": 3},
    "quiz": {"chapter": "transform"},
    "steps": {"step": 12},
}
SEEN = """() => document.body.innerHTML
  + [...document.querySelectorAll("input, output")].map(e => e.value + e.checked)"""


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_the_view_follows_every_change_that_python_makes(browser, name):
    figure = getattr(figures, name.capitalize())(**STARTS.get(name, {}))
    page = browser.new_page()
    state = figure.state()
    fixed = {n for n in state if figure.traits()[n].read_only} | {"questions"}
    assert set(OTHERS[name]) == set(state) - fixed
    page.evaluate(NOTEBOOK, [str(figure._esm), state])
    assert page.locator(".bn-caption").inner_text() == figure.caption
    group = page.get_by_role("group", name=figure.caption, exact=True)
    assert group.locator(".bn-caption").count() == 1
    page.evaluate("window.addEventListener('keydown', e => { window.heard = e.key; })")
    page.locator("input").first.press("ArrowDown")
    assert page.evaluate("window.heard") is None  # a notebook has keys of its own
    page.wait_for_timeout(100)
    for trait, value in OTHERS[name].items():
        before = page.evaluate(SEEN)
        page.evaluate("([name, value]) => window.set(name, value)", [trait, value])
        assert page.evaluate(SEEN) != before, trait
    page.close()


def test_a_figure_that_fails_leaves_its_picture_and_the_others_alone(browser):
    script = book_figures.SCRIPT % ",".join(map(book_figures.wrap, MODULES))
    broken = Share().twin().replace('"kind": "batch"', '"kind": "none"')
    page = browser.new_page()
    page.set_content(f"{broken}{Batch().twin()}<script>{script}</script>")
    first, second = page.locator("[data-figure]").all()
    assert first.locator("rect.bn-lit").count() == 47
    assert first.locator("input").count() == 0
    assert second.locator("input").count() > 0
    page.close()


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError):
        Batch(x=[float("nan")]).twin()
