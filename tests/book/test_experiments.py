"""The stored results: all there, nothing else, and kept in a way that loses nothing."""

import json
import re
import sys

import pytest
import scipy.stats
from conftest import ROOT

sys.path.insert(0, str(ROOT / "chapters"))
from experiments import protocol, results
from experiments.__main__ import EXPERIMENTS, asked, module

STORED = [name for name in EXPERIMENTS if results.path(name).exists()]


@pytest.mark.parametrize("name", STORED)
def test_the_stored_runs_are_those_the_experiment_asks_for(name):
    runs = results.load(name)
    wanted = asked(module(name), runs)
    there = [results.key(run["setting"]) for run in runs]
    assert len(set(there)) == len(there)
    assert set(there) <= {results.key(setting) for setting in wanted}
    assert results.stored(name)["complete"] == (not results.missing(wanted, runs))


def test_no_page_quotes_runs_that_are_not_complete():
    """Chapters read their results by `load_complete`, which refuses what is not complete."""
    pages = [*sorted((ROOT / "chapters").glob("*.ipynb")), ROOT / "intro.ipynb"]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "results.load(" not in text, page.name
        for name in re.findall(r'load_complete\(\\"(\w+)\\"\)', text):
            assert results.stored(name)["complete"], (page.name, name)


@pytest.mark.parametrize("name", STORED)
def test_what_a_complete_search_chose_lies_inside_what_it_tried(name):
    """A rate, and a strength of decay where that is searched; a fixed list of strengths is not."""
    if not results.stored(name)["complete"]:
        return
    runs = results.load(name)
    for task in getattr(module(name), "tasks", list)():
        best = protocol.chosen(task, runs)
        searched = results.select(runs, **task.what, search=True)
        if not task.rates or not searched:
            continue
        other = {key: value for key, value in best.items() if key != "rate"}
        beside = results.select(searched, **other)
        rates = {run["setting"]["rate"] for run in beside}
        assert min(rates) < best["rate"] < max(rates), task.what
        if task.decays:
            decays = {run["setting"]["decay"] for run in searched}
            assert min(decays) < best["decay"] < max(decays), task.what


@pytest.mark.parametrize("name", STORED)
def test_each_run_says_how_to_repeat_it(name):
    for run in results.load(name):
        assert isinstance(run["setting"]["seed"], int)
        assert run["seconds"] >= 0
        assert {"python", "numpy", "scipy", "equivlib"} <= run["versions"].keys()


def test_an_interval_is_that_of_scipy():
    sample = [0.61, 0.64, 0.60, 0.66, 0.63]
    mean, half = results.interval(sample)
    expected = scipy.stats.ttest_1samp(sample, 0).confidence_interval()
    assert (mean - half, mean + half) == pytest.approx((expected.low, expected.high))
    with pytest.raises(ValueError, match="at least two numbers"):
        results.interval([1.0])


def test_a_stopped_experiment_loses_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "DATA", tmp_path)
    runs = [{"setting": {"seed": s}, "result": {"right": s / 10}} for s in (1, 0)]
    results.save("some", runs[:1])
    with pytest.raises(TypeError):  # in the middle of writing: the file stays as it was
        results.save("some", [runs[0], {"setting": {"seed": 2}, "result": object()}])
    assert results.load("some") == runs[:1]
    results.save("some", runs)
    assert [run["setting"]["seed"] for run in results.load("some")] == [0, 1]
    assert results.missing([{"seed": s} for s in range(3)], runs) == [{"seed": 2}]
    assert json.loads((tmp_path / "some.json").read_text())["experiment"] == "some"
    with pytest.raises(ValueError, match=r"some\.json is not complete"):
        results.load_complete("some")
    results.save("some", runs, complete=True)
    assert results.load_complete("some") == results.load("some")
