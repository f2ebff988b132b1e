"""The measures of the experiment on what emerges, against loops and known cases."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "chapters"))
from experiments import emergence, measures, nets

from equivlib.layers import Dense, Network, ReLU


def test_gaussian_inputs_have_the_covariances_of_the_others():
    rng = np.random.default_rng(0)
    for reach in emergence.REACHES:
        both = [
            emergence.ring_inputs(kind, reach, 20_000, rng) for kind in ("Gaussian", "not Gaussian")
        ]
        first, second = (x.T @ x / len(x) for x in both)
        assert abs(np.diag(first) - 1).max() < 0.06
        assert abs(first - second).max() < 0.06
        # Fourth moments tell them apart: 3 for Gaussian inputs.
        fourth = [(x**4).mean() for x in both]
        assert abs(fourth[0] - 3) < 0.1
        assert fourth[1] < 2


def test_participation_counts_equal_weights():
    weight = np.zeros((3, 100))
    weight[0] = 1
    weight[1, :9] = -2
    weight[2, 40] = 3
    assert emergence.participation(weight) == pytest.approx([1, 100 / 9, 100])


def test_an_arc_goes_around_the_ring():
    weight = np.zeros((2, 10))
    weight[0, [8, 9, 0, 1]] = 1, 2, 2, 1
    weight[1] = 1
    assert emergence.in_arc(weight, 2) == pytest.approx([0.8, 0.2])
    assert emergence.in_arc(weight, 4) == pytest.approx([1, 0.4])


def test_distance_is_that_of_all_pairs():
    mask = (np.random.default_rng(1).random((20, 12)) < 0.3).astype(float)
    of_units = []
    for row in mask:
        there = np.flatnonzero(row)
        pairs = [abs(i - j) for i in there for j in there if i != j]
        if pairs:
            of_units.append(np.mean(pairs))
    any_two = [abs(i - j) for i in range(12) for j in range(12) if i != j]
    used = mask.sum(axis=0)
    weights = [used[i] * used[j] for i in range(12) for j in range(12) if i != j]
    found = emergence.distance(mask)
    mean = np.mean(of_units)
    assert found["to any"] == pytest.approx(mean / np.mean(any_two), abs=1e-4)
    assert found["to used"] == pytest.approx(mean / np.average(any_two, weights=weights), abs=1e-4)


def test_a_band_is_near_and_a_random_mask_is_chance():
    windows = np.stack([np.roll(np.repeat([1.0, 0], [5, 35]), s) for s in range(36)])
    assert emergence.distance(windows)["to any"] == pytest.approx(2 / (41 / 3), abs=1e-4)
    anywhere = np.random.default_rng(2).permuted(np.tile(windows, (20, 1)), axis=1)
    for value in emergence.distance(anywhere).values():
        assert abs(value - 1) < 0.05


def test_units_that_read_the_middle_alone_are_not_local():
    mask = np.zeros((2000, 40))
    mask[:, 15:25] = np.random.default_rng(3).random((2000, 10)) < 0.5
    found = emergence.distance(mask)
    assert found["to any"] < 0.4
    assert abs(found["to used"] - 1) < 0.03


def test_survivors_are_the_largest_that_are_left():
    weight = np.array([[4.0, -3, 2], [1, -5, 0]])
    mask = np.array([[1.0, 1, 1], [1, 0, 1]])
    assert emergence.survivors(weight, mask, 1 / 3).tolist() == [[1, 1, 0], [0, 0, 0]]


def test_names_and_scales_change_nothing():
    rng = np.random.default_rng(4)
    layers = [nets.dense(100, 6, rng), ReLU(), nets.dense(6, 2, rng)]
    net, order = Network(layers, (100,)), rng.permutation(100)
    x = rng.normal(size=(200, 100)).astype(np.float32)
    first = emergence.localisation(net, x, order)
    again = emergence.localisation(nets.renamed(net, rng), x, order)
    assert again == pytest.approx(first, abs=1e-3)
    assert emergence.importance(net, x) == pytest.approx(measures.importance(net, x)[0], rel=1e-4)
    # Of a network with one unit that reads five neighbours, this unit decides.
    layers[0].weight[0] = np.where(np.arange(100) < 5, 9, 0)
    assert emergence.localisation(net, x, order)["arc"] > first["arc"] + 0.2


@pytest.mark.parametrize("kind", emergence.KINDS)
def test_many_tasks_show_what_they_share(kind):
    result = emergence.run({"part": "tasks", "kind": kind, "noise": 1.0, "seed": 3})
    last = result["counts"][-1]
    pattern = np.count_nonzero(emergence.basis(emergence.TASK_GEOMETRY).any(axis=0))
    expected = {"convolution": 10, "local": pattern}
    if kind in expected:
        assert last["rank"] == expected[kind]
    assert (last["angle"] < 5) == (kind == "convolution")


def test_a_pruned_layer_keeps_its_zeros():
    start = Network(
        [
            nets.dense(5, 4, np.random.default_rng(5)),
            ReLU(),
            nets.dense(4, 3, np.random.default_rng(6)),
        ],
        (5,),
    )
    mask = np.eye(4, 5, dtype=np.float32)
    net = emergence.pruned(start, mask)
    x = np.ones((2, 5), np.float32)
    net.backward(net(x))
    assert isinstance(net.layers[0], Dense)
    assert not net.gradients[0]["weight"][mask == 0].any()
