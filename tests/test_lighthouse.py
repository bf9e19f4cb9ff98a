"""Lighthouse itself is not run here: it needs Node.js, and minutes."""

import functools
import gzip
import urllib.error
import urllib.request

import pytest

import lighthouse
from lighthouse import GOALS, TRIES
from serve import in_background


@pytest.mark.parametrize("name", [None, *GOALS])
def test_a_page_must_reach_every_goal(name, monkeypatch, capsys):
    reached = {goal: score - (goal == name) for goal, score in GOALS.items()}
    asked = []

    def look_at(address, browser):
        asked.append((address, browser))
        return reached, ["an-audit"]

    monkeypatch.setattr(lighthouse, "look_at", look_at)
    assert lighthouse.reaches_goals("http://a/b/page.html", "chromium") == (not name)
    assert asked == [("http://a/b/page.html", "chromium")] * (TRIES if name else 1)
    text = capsys.readouterr().out
    assert text.startswith("page: ")
    assert ("an-audit" in text) == bool(name)
    for goal, score in reached.items():
        assert f"{goal} {score}" in text


def test_one_good_try_is_enough(monkeypatch):
    tries = iter([(dict.fromkeys(GOALS, score), []) for score in (0, 100)])
    monkeypatch.setattr(lighthouse, "look_at", lambda *_: next(tries))
    assert lighthouse.reaches_goals("http://a/page.html", None)


def test_pages_are_served_compressed(tmp_path):
    (tmp_path / "page.html").write_bytes(b"a page " * 99)
    handler = functools.partial(lighthouse.Compressed, directory=tmp_path)
    with in_background(handler) as address:
        with urllib.request.urlopen(f"{address}/page.html") as answer:
            assert answer.headers["Content-Type"] == "text/html"
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.read()) == b"a page " * 99
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/missing.html")


def test_without_pages_it_says_how_to_build_them(tmp_path, monkeypatch):
    monkeypatch.setattr(lighthouse, "SITE", tmp_path)
    with pytest.raises(SystemExit, match="run make book"):
        lighthouse.main([])


def test_a_page_that_is_not_there_is_named(tmp_path, monkeypatch):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "a.html").touch()
    monkeypatch.setattr(lighthouse, "SITE", tmp_path)
    with pytest.raises(SystemExit, match="no page b; there are a"):
        lighthouse.main(["b"])
