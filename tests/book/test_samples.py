"""The experiment on the number of samples: its layers, its rules and how it walks."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "chapters"))
from experiments import samples

from equivlib.layers import Conv


@pytest.mark.parametrize(
    ("channels", "places", "taps", "stride", "units"),
    [(2, 5, 1, 1, 3), (1, 9, 3, 1, 2), (1, 12, 6, 6, 3), (2, 9, 3, 2, 2)],
)
def test_equal_kernels_make_a_locally_connected_layer_the_convolution(
    channels, places, taps, stride, units
):
    rng = np.random.default_rng(0)
    kernel, bias = rng.standard_normal((units, channels, taps)), rng.standard_normal(units)
    conv = Conv(kernel, bias, stride=stride)
    x = rng.standard_normal((7, channels, places))
    y = conv.forward(x)
    outputs = y.shape[2]
    local = samples.Local(
        np.tile(kernel.transpose(1, 2, 0), (outputs, 1, 1, 1)),
        np.tile(bias[:, None], outputs),
        stride,
    )
    assert local.output_shape(x.shape[1:]) == y.shape[1:]
    assert np.allclose(local.forward(x), y)
    grad = rng.standard_normal(y.shape)
    shared = conv.parameter_gradients((x,), y, grad)
    by_place = local.parameter_gradients((x,), y, grad)
    assert np.allclose(by_place["weight"].sum(axis=0).transpose(2, 0, 1), shared["weight"])
    assert np.allclose(by_place["bias"].sum(axis=1), shared["bias"])


@pytest.mark.parametrize("rule", samples.RULES)
def test_fewer_samples_are_the_first_of_more(rule):
    size = samples.RULES[rule].sizes[0]
    few, many = (samples.samples(rule, size, count, [3, 0]) for count in (5, 50))
    assert (few[0] == many[0][:5]).all()
    assert (few[1] == many[1][:5]).all()
    assert 0.2 < many[1].mean() < 0.8


def walked(accuracies, start):
    """Return a walk on a curve that is given at each rung."""
    asked = []

    def at(count):
        asked.append(count)
        return {"samples": count, "test": accuracies[samples.LADDER.index(count)]}

    return samples.walk(start, at), asked


@pytest.mark.parametrize("start", [0, 5, 9, 15])
def test_a_walk_has_both_levels_inside(start):
    rising = [0.5 + 0.03 * j for j in range(16)] + [0.99] * 20
    curve, asked = walked(rising, start)
    counts = [one["samples"] for one in curve]
    assert counts == sorted(set(asked))
    assert counts == list(samples.LADDER[samples.LADDER.index(counts[0]) :][: len(counts)])
    assert curve[0]["test"] < samples.LOWER
    assert min(one["test"] for one in curve[-2:]) >= samples.LEVEL
    needed = samples.crossing(curve, samples.LEVEL)
    assert samples.LADDER[11] < needed < samples.LADDER[12]


def test_a_curve_that_does_not_reach_the_level_has_no_crossing():
    curve, _ = walked([0.7] * 40, 20)
    assert curve[-1]["samples"] == samples.LADDER[-1]
    assert np.isnan(samples.crossing(curve, samples.LEVEL))
    diverged = [{"samples": 1, "test": None}, {"samples": 2, "test": 0.9}]
    assert 1 < samples.crossing(diverged, samples.LEVEL) < 2
    assert samples.crossing([{"samples": 4, "test": 0.9}], samples.LEVEL) == 4


def test_exponents_leave_out_sizes_that_a_run_did_not_reach():
    sizes, seeds = (6, 12, 24), np.array([[1.0], [2.0]])
    needed = seeds * np.array(sizes) ** 2.0
    assert samples.exponents(sizes, needed) == pytest.approx([2, 2])
    needed[1, 2] = np.nan
    assert samples.reached(needed) == 2
    assert samples.exponents(sizes, needed) == pytest.approx([2, 2])
    needed[0, 1] = np.nan
    with pytest.raises(ValueError, match="at least two sizes"):
        samples.exponents(sizes, needed)
