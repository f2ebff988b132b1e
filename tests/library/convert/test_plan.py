"""What a plan carries from stage to stage, and that no step of it changes an earlier one."""

import numpy as np
import pytest
from networks import NETWORKS, each_network, norm, whole

from equivlib.convert.operators import AffineStage, Diagonal, ReLUStage
from equivlib.convert.plan import (
    Block,
    State,
    Value,
    emit_affine,
    emit_relu,
    fold_norms,
    liveness,
    make_plan,
)
from equivlib.convert.to_mlp import to_mlp
from equivlib.layers import Add, BatchNorm, Conv, Dense, Network, ReLU

FLOAT = np.dtype(float)


@each_network
def test_a_value_is_live_from_its_layer_to_the_last_that_reads_it(net):
    after = liveness(net)
    for position in range(len(net.layers) - 1):
        later = range(position + 1, len(net.layers))
        read = {source for reader in later for source in net.sources(reader)}
        assert after[position] == {source for source in read if source <= position}
    assert after[-1] == {len(net.layers) - 1}


@each_network
def test_each_layer_is_found_in_the_chain(net):
    plan = make_plan(net, FLOAT)
    x = np.random.default_rng(0).integers(-9, 10, net.input_shape).astype(float)
    state = x.ravel()
    states = [state]
    for stage in plan.stages:
        state = stage.layer(FLOAT).forward(state[None])[0]
        states.append(state)
    values = [x[None]]
    for position, layer in enumerate(net.layers):
        values.append(layer.forward(*(values[s + 1] for s in net.sources(position))))
    folds = enumerate(zip(fold_norms(net), net.layers, strict=True))
    changed = {position for position, (layer, own) in folds if layer not in (None, own)}
    assert set(plan.forms) == {*range(-1, len(net.layers))} - changed
    for position, form in plan.forms.items():
        value, given = values[position + 1].ravel(), states[form.stage + 1]
        found = sum(factor * given[start : start + len(value)] for factor, start in form.terms)
        np.testing.assert_array_equal(found, value)


def two_values():
    """Return a state that carries x and twice x, after one affine stage."""
    state = State((), (Block(2, False),), {-1: Value(((1, 0),))})
    row = state.values[-1].row(Diagonal(np.array([2]), 2))
    state, value = emit_affine(state, 0, row)
    return state.holding(0, value)


def test_a_relu_is_appended_and_the_given_state_stays_as_it_was():
    state = two_values()
    before, text = state.stages, str(state.stages[0])
    assert text == "Diagonal b0 | b0"
    row = state.copy(0)
    after, results = emit_relu(state.keeping({-1}), 1, row)
    assert state.stages is before
    assert str(state.stages[0]) == text
    # x is carried as relu(x) - relu(-x), and -x comes from the stage that copied x.
    assert [str(stage) for stage in after.stages] == ["Diagonal b0 | b0 | -b0", "relu"]
    assert [stage.owner for stage in after.stages] == [0, 1]
    assert after.values == {-1: Value(((1, 1), (-1, 2)))}
    assert results == (0,)
    assert all(block.nonnegative for block in after.blocks)


def test_what_is_computed_is_not_computed_again_to_be_negated():
    # Twice x is no copy of anything, so a stage is put between.
    state = two_values()
    after, results = emit_relu(state.keeping({0}), 1, state.copy(0))
    assert [str(stage) for stage in after.stages] == ["Diagonal b0 | b0", "b0 | -b0", "relu"]
    assert [type(stage) for stage in after.stages] == [AffineStage, AffineStage, ReLUStage]
    assert after.values == {0: Value(((1, 0), (-1, 1)))}
    assert results == (0,)


def test_a_value_is_split_once():
    conv = Conv(whole(2, 2, 1))
    net = Network([conv, ReLU(), conv, ReLU(), conv, Add(4, -1)], (2, 3))
    assert [str(stage) for stage in make_plan(net, FLOAT).stages] == [
        "Convolution b0 | b0 | -b0",
        "relu",
        "Convolution b0 | b1 | b2",
        "relu",
        "Convolution b0 | b1 | b2",
        "b0 + b1 - b2",
    ]


@pytest.mark.parametrize("name", ["residual", "branches"])
def test_a_plan_of_the_same_network_is_the_same(name):
    net = NETWORKS[name]()
    first, second = make_plan(net, FLOAT), make_plan(net, FLOAT)
    assert [str(stage) for stage in first.stages] == [str(stage) for stage in second.stages]
    assert first.forms == second.forms


def test_a_normalisation_is_folded_where_it_alone_reads_an_affine_layer():
    conv, scale = Conv(whole(2, 1, 3)), norm(2)
    folded, gone = fold_norms(Network([conv, scale], (1, 7)))
    assert gone is None
    np.testing.assert_array_equal(folded.weight, scale.folded(conv).weight)
    for layers in ([conv, scale, Add(0, 1)], [norm(1), ReLU()], [ReLU(), norm(1)]):
        net = Network(layers, (1, 7))
        assert fold_norms(net) == list(net.layers)


def test_a_layer_of_a_more_special_kind_has_the_rule_of_its_kind():
    class Half(BatchNorm):
        def __init__(self):
            super().__init__([0.5], [0.0], [0.0], [1.0], 0)

    mlp = to_mlp(Network([Half()], (1, 3)))
    assert isinstance(mlp.layers[0], Dense)
    np.testing.assert_array_equal(mlp(np.ones(3)), np.full(3, 0.5))
