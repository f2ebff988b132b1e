"""The measure of sharing: what it compares, and that it finds ties and nothing else."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "chapters"))
from experiments import measures, more_data, nets, sharing

STEP, WIDTH = measures.STEPS[0], measures.FIELDS[0]


def test_a_mirror_image_keeps_the_window_and_reverses_it():
    weight = np.array([[0, 0, 1, 2, 5, 0, 0.5], [4, 2, 3, 0, 0, 0, -1]])
    start = sharing.best_windows(weight, 3)
    assert start.tolist() == [2, 0]
    units = sharing.in_windows(weight, start, 3)
    assert units.tolist() == [[0, 0, 1, 2, 5, 0, 0], [4, 2, 3, 0, 0, 0, 0]]
    images = sharing.mirrored(units, start, 3)
    assert images.tolist() == [[0, 0, 5, 2, 1, 0, 0], [3, 2, 4, 0, 0, 0, 0]]
    assert (sharing.mirrored(images, start, 3) == units).all()


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


def beyond(found, where="there"):
    return found[f"as it is, {where}"] - found[f"mirrored, {where}"]


@pytest.mark.parametrize(("model", "low", "high"), [("cnn", 0.03, 0.2), ("local", -0.03, 0.03)])
def test_ties_are_found_and_locality_alone_is_not(model, low, high):
    x = nets.examples(0, 1000)[2][0]
    chain = nets.matrices(more_data.network(model, np.random.default_rng([0, 1])))
    found = sharing.of(chain, x)
    assert low < beyond(found) < high
    assert (found["as it is, there"] > 0.999) == (model == "cnn")
    other = sharing.of(nets.renamed(chain, np.random.default_rng(1)), x)
    assert other == pytest.approx(found, abs=2e-3)


def unit_rows(weight):
    return weight / np.linalg.norm(weight, axis=1, keepdims=True)


def scored(make):
    """Return what exceeds the mirror image, in windows alone and in whole rows, over five seeds."""
    x, found = nets.examples(0, 1000)[2][0], []
    for seed in range(5):
        weight = make(np.random.default_rng([seed, 77]), seed)
        inside = beyond(sharing.sharing(weight, x, np.ones(len(weight))))
        start = sharing.best_windows(weight, WIDTH)
        moved, answers = measures.shift(x, STEP), x @ weight.T
        there = start[None, :] == start[:, None] - STEP
        whole = [
            sharing.best_among(moved @ one.T, answers, there, np.ones(len(weight)))
            for one in (weight, sharing.mirrored(weight, start, WIDTH))
        ]
        found.append((inside, whole[0] - whole[1]))
    return np.mean(found, axis=0)


def test_what_units_have_in_common_outside_their_windows_does_not_count():
    places = np.arange(40)
    smooth = np.exp(-(np.subtract.outer(places, places) ** 2) / 18)

    def alike(rng, _):
        near = abs(places - rng.integers(0, 40, 475)[:, None]) <= 2
        noise, common = rng.normal(size=(475, 40)), unit_rows(rng.normal(size=(1, 40)) @ smooth)
        local = unit_rows(rng.normal(size=(475, 40)) * near)
        return local + 0.5 * unit_rows(noise) + 0.5 * np.sign(rng.normal(size=(475, 1))) * common

    inside, whole = scored(alike)
    assert whole > 0.08  # which is why only windows are compared
    assert abs(inside) < 0.02


def test_ties_are_found_under_noise():
    def noisy(rng, seed):
        net = more_data.network("cnn", np.random.default_rng([seed, 1]))
        first = measures.affine(nets.matrices(net))[0].weight
        return unit_rows(first) + 0.6 * unit_rows(rng.normal(size=first.shape))

    assert scored(noisy)[0] > 0.04
