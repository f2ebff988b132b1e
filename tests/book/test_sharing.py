"""The measure of sharing: what it compares, and that it finds ties and nothing else."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "chapters"))
from experiments import more_data, nets, sharing


def test_a_mirror_image_keeps_the_window_and_reverses_it():
    weight = np.array([[0, 0, 1, 2, 5, 0, 0.5], [4, 2, 3, 0, 0, 0, -1]])
    images = sharing.mirrored(weight, 3)
    assert images[0].tolist() == [0.5, 0, 5, 2, 1, 0, 0]
    assert images[1].tolist() == [3, 2, 4, -1, 0, 0, 0]
    assert (sharing.mirrored(images, 3) == weight).all()


def test_only_allowed_units_are_compared_and_who_has_none_is_left_out():
    a = np.random.default_rng(0).normal(size=(50, 3))
    allowed = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    found = sharing.best_among(a, a, allowed, np.array([1.0, 3.0, 7.0]))
    assert found == pytest.approx(np.corrcoef(a.T)[0, 1], abs=1e-4)


def test_only_copies_at_the_other_place_count_as_sharing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 40))
    here = np.zeros((4, 40))
    here[:, 10:15] = rng.normal(size=(4, 5))
    left = sharing.sharing(np.concatenate([here, np.roll(here, -2, axis=1)]), x, np.ones(8))
    assert left["as it is, there"] == pytest.approx(1)
    assert left["mirrored, there"] < 0.99
    elsewhere = rng.normal(size=(4, 5))
    other = np.roll(here, -2, axis=1)
    other[:, 8:13] = elsewhere
    found = sharing.sharing(np.concatenate([here, here, other]), x, np.ones(12))
    assert found["as it is, there"] < 0.99


@pytest.mark.parametrize(("model", "low", "high"), [("cnn", 0.03, 0.2), ("local", -0.03, 0.03)])
def test_ties_are_found_and_locality_alone_is_not(model, low, high):
    x = nets.examples(0, 1000)[2][0]
    chain = nets.matrices(more_data.network(model, np.random.default_rng([0, 1])))
    found = sharing.of(chain, x)
    for where in ("", ", there"):
        assert low < found["as it is" + where] - found["mirrored" + where] < high
    assert (found["as it is, there"] > 0.999) == (model == "cnn")
    other = sharing.of(nets.renamed(chain, np.random.default_rng(1)), x)
    assert other == pytest.approx(found, abs=2e-3)
