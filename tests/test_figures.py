"""What all interactive figures have in common."""

import json
import re

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
