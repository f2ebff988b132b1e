"""The protocol of the experiments: searches that end inside, plateaus, comparisons, controls."""

import sys

import numpy as np
import pytest
import scipy.stats
from conftest import ROOT

sys.path.insert(0, str(ROOT / "chapters"))
from experiments import let_go, measures, nets, protocol
from experiments.protocol import LADDER, SEARCH_SEEDS, SEEDS, Plateau, Task

from equivlib import Network, project
from equivlib.layers import Dense


def searched(task, score):
    """Return the runs of a search whose score is a function of the rate and the alternative."""
    runs = []
    while missing := [
        setting
        for setting in protocol.settings([task], runs)
        if setting not in [run["setting"] for run in runs]
    ]:
        assert len(runs) < 500
        for setting in missing:
            value = score(setting) if setting["search"] else 0.5
            runs.append({"setting": setting, "result": {"valid": value, "test": 0.5}})
    return runs


@pytest.mark.parametrize("best", [1e-5, 1e-4, 1e-3, 1e-2, 0.3])
def test_a_search_goes_on_until_the_best_rate_lies_inside(best):
    task = Task({"net": "some"}, (1e-3, 3e-3, 1e-2))
    runs = searched(task, lambda s: -abs(np.log(s["rate"] / best)))
    rates = sorted({run["setting"]["rate"] for run in runs if run["setting"]["search"]})
    assert protocol.chosen(task, runs) == {"rate": best}
    assert rates[0] < best < rates[-1]
    first, last = LADDER.index(rates[0]), LADDER.index(rates[-1])
    assert rates == list(LADDER[first : last + 1])  # no rung is left out


def test_the_seeds_of_a_search_never_judge():
    task = Task({"net": "some"}, (1e-3, 3e-3, 1e-2))
    runs = searched(task, lambda s: -abs(np.log(s["rate"] / 3e-3)))
    seeds = {
        search: {r["setting"]["seed"] for r in runs if r["setting"]["search"] is search}
        for search in (True, False)
    }
    assert seeds == {True: set(SEARCH_SEEDS), False: set(SEEDS)}
    assert len(SEARCH_SEEDS) >= 3
    assert len(SEEDS) >= 10


def test_rates_that_diverge_are_kept_and_the_search_goes_down():
    task = Task({"net": "some"}, (0.1, 0.3, 1.0))
    runs = searched(task, lambda s: None if s["rate"] > 0.05 else -abs(np.log(s["rate"] / 3e-3)))
    assert protocol.chosen(task, runs) == {"rate": 3e-3}
    assert any(run["result"]["valid"] is None for run in runs)


def test_one_diverged_seed_rules_a_rate_out():
    task = Task({"net": "some"}, (1e-3, 3e-3, 1e-2))

    def score(setting):
        fails = setting["rate"] == 3e-3 and setting["seed"] == SEARCH_SEEDS[1]
        return None if fails else -abs(np.log(setting["rate"] / 3e-3))

    assert protocol.chosen(task, searched(task, score)) != {"rate": 3e-3}


def test_of_several_alternatives_only_the_best_is_judged():
    task = Task({"net": "some"}, (1e-3, 3e-3, 1e-2), alternatives=({"decay": 0.1}, {"decay": 1.0}))
    best = {0.1: (1e-3, 0.8), 1.0: (1e-2, 0.9)}

    def score(setting):
        rate, height = best[setting["decay"]]
        return height - abs(np.log(setting["rate"] / rate))

    runs = searched(task, score)
    assert protocol.chosen(task, runs) == {"decay": 1.0, "rate": 1e-2}
    judged = protocol.judged(task, runs)
    assert [run["setting"]["seed"] for run in judged] == list(SEEDS)
    assert {run["setting"]["decay"] for run in judged} == {1.0}
    with pytest.raises(ValueError, match="not complete"):
        protocol.judged(task, runs[:-1])


@pytest.mark.parametrize("best", [0.01, 0.03, 0.3, 3.0])
def test_strengths_of_decay_are_searched_until_the_best_lies_inside(best):
    task = Task({"net": "some"}, (1e-3, 3e-3, 1e-2), decays=(0.1, 0.3, 1.0))
    rate = {0.01: 1e-2, 0.03: 3e-3, 0.3: 1e-3, 3.0: 3e-3}[best]

    def score(setting):
        from_best = abs(np.log(setting["decay"] / best))
        return -2 * from_best - abs(np.log(setting["rate"] / rate))

    runs = searched(task, score)
    assert protocol.chosen(task, runs) == {"decay": best, "rate": rate}
    tried = [run["setting"] for run in runs if run["setting"]["search"]]
    decays = sorted({setting["decay"] for setting in tried})
    assert decays[0] < best < decays[-1]
    first, last = LADDER.index(decays[0]), LADDER.index(decays[-1])
    assert decays == list(LADDER[first : last + 1])  # no rung is left out
    for decay in decays:  # each with a search of rates that ends inside
        rates = sorted({setting["rate"] for setting in tried if setting["decay"] == decay})
        assert rates[0] < rate < rates[-1]
    judged = protocol.judged(task, runs)
    assert {run["setting"]["decay"] for run in judged} == {best}
    without = [run for run in runs if run["setting"]["decay"] != decays[0]]
    assert protocol.chosen(task, without) is None  # an end is missing


def test_no_strength_of_decay_at_all_ends_the_search_with_an_error():
    task = Task({"net": "some"}, (1e-3, 3e-3, 1e-2), decays=(0.1, 0.3, 1.0))
    with pytest.raises(ValueError, match="end of the ladder"):
        searched(task, lambda s: -s["decay"] - abs(np.log(s["rate"] / 3e-3)))


def test_the_plan_counts_what_is_missing():
    task = Task({"net": "some"}, (1e-3, 3e-3, 1e-2), seconds=2.0)
    assert protocol.plan([task], []) == (9 + 10, 38.0)
    runs = searched(task, lambda s: -abs(np.log(s["rate"] / 3e-3)))
    assert protocol.plan([task], runs) == (0, 0.0)
    assert protocol.plan([task], runs[:-1]) == (1, 2.0)


class Scores:
    """Validation scores from a list, whatever the network is."""

    def __init__(self, scores):
        self.scores = list(scores)

    def __call__(self, net, x, targets):
        return self.scores.pop(0) if len(self.scores) > 1 else self.scores[0]


def trained(scores, **rule):
    net = Network([Dense(np.zeros((2, 3)), np.zeros(2))], (3,))
    rng = np.random.default_rng(0)
    data = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    weights = {}

    def watch(steps, net):
        weights[steps] = net.layers[0].weight.copy()

    made = []

    def optimizer(rate):
        made.append(protocol.Adam(rate))
        return made[0]

    out = protocol.train(
        net,
        data,
        data,
        rate=0.1,
        rng=rng,
        plateau=Plateau(every=2, patience=3, **rule),
        score=Scores(scores),
        optimizer=optimizer,
        batch=20,
        watch=watch,
    )
    rates = [rate for _, _, rate in out.curve]
    return out, net, rates, weights


def test_training_divides_the_rate_at_two_plateaus_and_ends_at_the_third():
    out, net, rates, weights = trained([0.1, 0.5, 0.4, 0.3, 0.2, 0.6, 0.6])
    # Best at the second check; three checks without a better one; a better one; three; three.
    assert out.stopped == "plateau"
    assert rates == pytest.approx([0.1] * 5 + [0.02] * 4 + [0.004] * 3)
    assert out.steps == 24
    assert (out.best, out.best_step, out.valid) == (0.6, 12, 0.6)
    assert out.record()["cuts"] == [12, 20]
    assert (net.layers[0].weight == weights[24]).all()
    out.restore(net)
    assert (net.layers[0].weight == weights[12]).all()
    assert (weights[12] != weights[24]).any()


def test_training_says_when_it_met_its_cap_or_diverged():
    out, *_ = trained(np.linspace(0, 1, 100), most=10)
    assert (out.stopped, out.steps) == ("cap", 10)
    out, *_ = trained([0.1, float("nan")])
    assert (out.stopped, out.valid) == ("diverged", None)
    assert out.record()["valid"] is None


def test_comparisons_are_paired_and_corrected_by_holm():
    rng = np.random.default_rng(3)
    base = rng.normal(size=10)
    pairs = {
        "none": (base, base + 0.1 * rng.normal(size=10)),
        "some": (base + 0.08, base + 0.1 * rng.normal(size=10)),
        "large": (base + 1, base + 0.1 * rng.normal(size=10)),
    }
    found = {one.name: one for one in protocol.compare(pairs)}
    plain = {name: scipy.stats.ttest_rel(*pair).pvalue for name, pair in pairs.items()}
    assert {name: one.p for name, one in found.items()} == pytest.approx(plain)
    ordered = sorted(plain, key=plain.get)
    largest = 0.0
    for place, name in enumerate(ordered):
        largest = max(largest, min(1.0, (3 - place) * plain[name]))
        assert found[name].corrected == pytest.approx(largest)
    assert found["large"].mean == pytest.approx(np.mean(np.subtract(*pairs["large"])))


# The networks -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inputs():
    return nets.generated(5, 300)


@pytest.mark.parametrize("kind", nets.KINDS)
def test_a_network_and_its_matrices_are_one_function(kind, inputs):
    net, (x, _) = nets.network(kind, np.random.default_rng(1)), inputs
    chain = nets.matrices(net)
    y = net(x.reshape(-1, *net.input_shape))
    np.testing.assert_allclose(chain(x), y, atol=1e-5)
    other = nets.renamed(chain, np.random.default_rng(2))
    np.testing.assert_allclose(other(x), y, atol=1e-5)
    assert np.abs(other.layers[0].weight - chain.layers[0].weight).max() > 0.1


@pytest.mark.parametrize(
    ("kind", "zeros", "tied"),
    [
        ("cnn", True, True),
        ("local", True, False),
        ("ties", False, True),
        ("free", False, False),
    ],
)
def test_each_kind_keeps_what_its_name_says(kind, zeros, tied):
    chain = nets.matrices(nets.network(kind, np.random.default_rng(1)))
    for position, (geometry, ties) in enumerate(zip(nets.geometries(), nets.ties(), strict=True)):
        weight = chain.layers[2 * position].weight
        assert weight.shape == geometry.matrix_shape
        assert bool(np.abs(weight[ties.mask == 0]).max() < 1e-6) is zeros
        units, channels = geometry.weight_shape[:2]
        by_place = weight.reshape(units, geometry.output_shape[1], channels, -1)
        # One output further on reads two inputs further on.
        moved = by_place[:, 1:, :, 2:] - by_place[:, :-1, :, :-2]
        assert bool(np.abs(moved).max() < 1e-6) is tied


def test_ties_project_as_the_library_does():
    rng = np.random.default_rng(4)
    for geometry, ties in zip(nets.geometries(), nets.ties(), strict=True):
        matrix = rng.normal(size=geometry.matrix_shape)
        nearest = project(
            matrix,
            geometry.weight_shape,
            geometry.input_shape,
            stride=nets.STRIDE,
            padding=nets.PADDING,
        )
        np.testing.assert_allclose(ties.means(matrix), nearest.weight.ravel(), atol=1e-12)
        norm = np.linalg.norm(ties.difference(matrix))
        assert norm == pytest.approx(nearest.residual)
        assert sum(ties.distances(matrix)) == pytest.approx(nearest.relative_residual**2, abs=1e-5)


def test_a_penalty_is_the_gradient_of_its_term_and_a_pull_goes_to_the_convolutions():
    rng = np.random.default_rng(0)
    net = let_go.penalised(rng, 0.3)
    layer = net.layers[2]
    x = rng.normal(size=(4, layer.weight.shape[1])).astype(np.float32)
    grad = np.zeros((4, layer.weight.shape[0]), np.float32)  # the term alone
    gradients = layer.parameter_gradients((x,), None, grad)

    def term(weight, bias):
        spread = bias.reshape(nets.CHANNELS, -1)
        spread = spread - spread.mean(axis=1, keepdims=True)
        return 0.3 * ((layer.ties.difference(weight) ** 2).sum() + (spread**2).sum())

    weight, bias = layer.weight.astype(float), layer.bias.astype(float)
    direction = rng.normal(size=weight.shape)
    e = 1e-4
    slope = (term(weight + e * direction, bias) - term(weight - e * direction, bias)) / (2 * e)
    assert slope == pytest.approx((gradients["weight"] * direction).sum(), rel=1e-3)
    along = rng.normal(size=bias.shape)
    slope = (term(weight, bias + e * along) - term(weight, bias - e * along)) / (2 * e)
    assert slope == pytest.approx((gradients["bias"] * along).sum(), rel=1e-3)

    optimizer = let_go.Pull(1e-3)
    optimizer.share = 1.0
    free = nets.network("free", rng)
    free.backward(free(rng.normal(size=(4, 40)).astype(np.float32)))
    optimizer.step(free)
    for position, ties in enumerate(nets.ties()):
        assert sum(ties.distances(free.layers[2 * position].weight)) < 1e-9


# The measures -------------------------------------------------------------------------------------


def measured(net, x, names=None):
    chain = nets.matrices(net)
    if names is not None:
        chain = nets.renamed(chain, np.random.default_rng(names))
    return measures.measure(chain, x, np.random.default_rng(9))


def test_a_renamed_and_rescaled_convolutional_network_scores_as_it_is(inputs):
    x, _ = inputs
    net = nets.network("cnn", np.random.default_rng(1))
    plain, renamed = measured(net, x), measured(net, x, names=3)
    assert renamed["window"] == pytest.approx([1, 1, 1], abs=1e-3)
    for name in ("window", "sharing", "renamed inputs"):
        assert renamed[name] == pytest.approx(plain[name], abs=2e-3)
    assert renamed["neighbours"] == pytest.approx(plain["neighbours"], abs=2e-3)
    assert renamed["same class"] == pytest.approx(plain["same class"], abs=0.02)
    # All units but those at the border have another one that does the same one place further on.
    assert all(np.array(renamed["sharing"]) > np.array(renamed["renamed inputs"]) + 0.15)


def test_untrained_free_networks_score_as_shuffled_inputs_do(inputs):
    x, _ = inputs
    found = measured(nets.network("free", np.random.default_rng(1)), x)
    shuffled = found["shuffled"]
    assert found["window"] == pytest.approx(shuffled["window"], abs=0.02)
    assert found["neighbours"] == pytest.approx(0, abs=0.05)  # a smooth unit counts more
    assert found["sharing"] == pytest.approx(found["renamed inputs"], abs=0.05)


def test_locally_connected_networks_are_local_and_share_less(inputs):
    x, _ = inputs
    local, cnn = (
        measured(nets.network(kind, np.random.default_rng(1)), x) for kind in ("local", "cnn")
    )
    assert local["window"] == pytest.approx([1, 1, 1], abs=1e-6)
    assert (np.array(local["sharing"]) < np.array(cnn["sharing"]) - 0.05).all()
