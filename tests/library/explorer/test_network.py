"""The picture of a network: what it holds is the network, its perceptron, and where they meet."""

from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest

import equivlib
from equivlib import UnsupportedLayer, explore_network, to_mlp
from equivlib.layers import (
    Add,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    LeakyReLU,
    MaxPool,
    Network,
    ReLU,
    ReLU6,
    Sigmoid,
)

rng = np.random.default_rng(0)


def small(*shape):
    return rng.integers(-2, 3, shape)


NETWORKS = {
    "classifier": Network(
        [
            Conv(small(2, 1, 3, 3), small(2)),
            ReLU(),
            MaxPool(2, stride=1),
            Flatten(),
            Dense(small(2, 2), small(2)),
        ],
        (1, 4, 4),
    ),
    "shortcut": Network(
        [Conv(small(1, 1, 3), padding=1), LeakyReLU(0.5), Add(1, -1), ReLU()], (1, 5)
    ),
    "groups and average": Network(
        [Conv(small(4, 1, 2, 2), groups=2), ReLU6(), AvgPool(2)], (2, 3, 3)
    ),
    "transposed": Network([ConvTranspose(small(2, 1, 3), stride=2), ReLU()], (2, 3)),
    "mirrored": Network([Conv(small(1, 1, 3), padding=1, padding_mode="reflect")], (1, 4)),
    "folded": Network(
        [
            Conv(small(2, 1, 2), small(2)),
            BatchNorm([2.0, 0.5], [1.0, 0.0], [0.0, 1.0], [1.0, 4.0], eps=0),
            ReLU(),
        ],
        (1, 4),
    ),
    "exact": Network([Conv([[[Fraction(1, 2), Fraction(0), Fraction(-1, 3)]]]), ReLU()], (1, 5)),
}


@pytest.fixture(params=NETWORKS, ids=str)
def net(request):
    return NETWORKS[request.param]


def numbers(texts):
    return [Fraction(text) for text in texts]


def signed(sign, terms, bias):
    if sign == "max":
        return max(terms)
    total = sum(terms) + bias
    if sign == "leaky":
        return max(total, 0) + Fraction(1, 2) * min(total, 0)
    return {"relu": max(total, 0), "relu6": min(max(total, 0), 6)}.get(sign, total)


def test_each_unit_is_what_it_says_it_is_made_of(net):
    layers = explore_network(net, small(*net.input_shape)).facts()["layers"]
    for layer in layers[1:]:
        if layer["name"] == "BatchNorm":  # alone it is a matrix as well, but its numbers round
            continue
        bias = numbers(layer.get("bias") or ["0"] * len(layer["values"]))
        for unit, reads in enumerate(layer["reads"]):
            terms = [
                Fraction(f) * Fraction(layers[source + 1]["values"][u]) for source, u, f, _ in reads
            ]
            expected = Fraction(layer["values"][unit])
            assert signed(layer["sign"], terms, bias[unit]) == expected, layer["name"]


def test_each_stage_is_what_it_says_it_is_made_of(net):
    facts = explore_network(net, small(*net.input_shape)).facts()
    before = numbers(facts["layers"][0]["values"])
    for stage in facts["stages"]:
        now = numbers(stage["values"])
        if stage["kind"] == "ReLU":
            assert now == [max(value, 0) for value in before]
        else:
            bias = numbers(stage["bias"] or ["0"] * len(now))
            for unit, reads in enumerate(stage["reads"]):
                assert now[unit] == sum(before[j] * Fraction(f) for j, f in reads) + bias[unit]
        before = now


def test_the_stages_are_those_of_the_conversion(net):
    x = small(*net.input_shape)
    facts, mlp = explore_network(net, x).facts(), to_mlp(net)
    assert [stage["kind"] for stage in facts["stages"]] == [layer.name for layer in mlp.layers]
    assert numbers(facts["stages"][-1]["values"]) == [Fraction(v) for v in mlp(x.ravel()).tolist()]


def test_each_unit_equals_the_units_it_points_to_on_every_input(net):
    for _ in range(5):
        facts = explore_network(net, rng.integers(-9, 10, net.input_shape)).facts()
        outputs = [facts["layers"][0]["values"], *(s["values"] for s in facts["stages"])]
        for position, (stage, terms) in facts["forms"].items():
            values = numbers(facts["layers"][position + 1]["values"])
            found = [
                sum(Fraction(f) * Fraction(outputs[stage + 1][start + u]) for f, start in terms)
                for u in range(len(values))
            ]
            assert found == values


def test_only_a_folded_layer_has_no_equal():
    missing = {
        name: set(range(len(net.layers))) - set(explore_network(net).facts()["forms"])
        for name, net in NETWORKS.items()
    }
    assert missing == {name: {0} if name == "folded" else set() for name in NETWORKS}


def test_weights_are_told_by_their_place_in_the_kernel():
    layer = explore_network(NETWORKS["classifier"]).facts()["layers"][1]
    for reads in layer["reads"]:
        for _, _, factor, weight in reads:
            assert factor == layer["kernel"]["values"][weight]
    assert {w for reads in layer["reads"] for *_, w in reads} == set(range(18))


def test_it_starts_at_a_unit_that_can_be_followed(net):
    x = small(*net.input_shape)
    facts = explore_network(net, x).facts()
    position, unit = map(int, facts["start"].split(","))
    with_kernel = [i for i, layer in enumerate(facts["layers"]) if "kernel" in layer]
    assert position == (with_kernel[0] if with_kernel else len(net.layers)) - 1
    reads = facts["layers"][position + 1]["reads"]
    values = numbers(facts["layers"][position + 1]["values"])
    full = [v for v, read in zip(values, reads, strict=True) if len(read) == max(map(len, reads))]
    assert len(reads[unit]) == max(map(len, reads))
    assert values[unit] == max(full)


def test_it_starts_at_the_unit_that_somebody_names():
    net = NETWORKS["classifier"]
    facts = explore_network(net, start="b001").facts()
    position, unit = map(int, facts["start"].split(","))
    assert facts["layers"][position + 1]["labels"][unit] == "b001"
    assert not facts["walks"]
    assert explore_network(net).facts()["walks"]
    with pytest.raises(ValueError, match=r"start \(='z9'\) must be a unit of the network: x00 to"):
        explore_network(net, start="z9")


def test_it_is_the_same_text_every_time_and_asks_nobody():
    first, second = (explore_network(NETWORKS["classifier"]) for _ in range(2))
    assert first._repr_html_() == second._repr_html_()
    assert "http" not in first._repr_html_().replace("http://www.w3.org/", "")
    assert len(first._repr_html_().partition("<script data-shared>")[0].encode()) <= 40_000


def test_the_static_picture_names_layers_and_stages():
    shown = explore_network(NETWORKS["classifier"])
    picture = ElementTree.fromstring(shown._repr_svg_())
    assert picture.get("aria-label") == repr(shown)
    texts = " ".join(node.text or "" for node in picture.iter())
    assert "layer 2: MaxPool stage 2: Dense of 8, stage 3: ReLU of 8" in " ".join(texts.split())


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: explore_network(Network([Sigmoid()], (3,))), "Sigmoid"),
        (lambda: explore_network([ReLU()]), "must be a Network"),
        (lambda: explore_network(Network([ReLU()], (1, 2, 2, 2))), "two spatial axes"),
        (lambda: explore_network(Network([ReLU()], (1, 40, 40))), "3200 units.*at most 1500"),
        (lambda: explore_network(Network([ReLU()], (3,)), [1, 2]), r"x \(of shape \(2,\)\)"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(action, message):
    with pytest.raises(ValueError, match=message):
        action()


def test_what_has_no_perceptron_is_refused_by_its_own_error():
    with pytest.raises(UnsupportedLayer):
        equivlib.explore_network(Network([Sigmoid()], (3,)))


@pytest.mark.parametrize("kind", [ReLU, LeakyReLU, ReLU6, Flatten])
def test_a_class_of_ones_own_is_drawn_as_what_it_comes_from(kind):
    own = type("Mine", (kind,), {})
    drawn = [
        explore_network(Network([Conv(small(1, 1, 2) * 0 + 1), made()], (1, 3))).facts()
        for made in (kind, own)
    ]
    parts = [[(made.get("sign"), made.get("reads")) for made in one["layers"]] for one in drawn]
    assert parts[0] == parts[1]
