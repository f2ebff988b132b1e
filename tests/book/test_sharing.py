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


def test_a_unit_is_not_compared_with_itself():
    a = np.random.default_rng(0).normal(size=(50, 3))
    assert (sharing.best_of_others(a, a) < 0.9).all()
    twins = a[:, [0, 0, 1]]
    assert np.allclose(sharing.best_of_others(twins, twins)[:2], 1)


@pytest.mark.parametrize(("model", "low", "high"), [("cnn", 0.03, 0.2), ("local", -0.03, 0.03)])
def test_ties_are_found_and_locality_alone_is_not(model, low, high):
    x = nets.examples(0, 1000)[2][0]
    chain = nets.matrices(more_data.network(model, np.random.default_rng([0, 1])))
    found = sharing.sharing(chain, x)
    assert low < found["as it is"] - found["mirrored"] < high
    other = sharing.sharing(nets.renamed(chain, np.random.default_rng(1)), x)
    assert other == pytest.approx(found, abs=2e-3)
