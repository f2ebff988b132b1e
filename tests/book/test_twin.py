"""One experiment done twice: by this library and by PyTorch."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "chapters"))
from experiments import more_data, nets, protocol, results

torch = pytest.importorskip("torch")


twin = pytest.importorskip("experiments.twin")

#: With many examples runs of equal seeds end near each other, so that few seeds tell much.
EXAMPLES = 12_000


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads that share the cores with other tests are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def losses_of_ours(seed, rate, count, steps):
    train, valid, _ = nets.examples(seed, count)
    rng, losses = np.random.default_rng([seed, 1]), []

    def loss(outputs, labels):
        value, grad = protocol.cross_entropy(outputs, labels)
        losses.append(value)
        return value, grad

    protocol.train(
        nets.network("cnn", rng),
        train,
        valid,
        rate=rate,
        rng=rng,
        loss=loss,
        plateau=protocol.Plateau(most=steps),
    )
    return losses


def test_the_first_hundred_losses_are_those_of_pytorch():
    ours = losses_of_ours(0, 0.003, 1000, 100)
    setting = {"seed": 0, "rate": 0.003, "examples": 1000}
    theirs = twin.run(setting, most=100)["losses"]
    assert len(ours) == len(theirs) == 100
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)
    assert ours[0] - ours[-1] > 0.1  # it has learned something meanwhile
    other = twin.run(setting | {"rate": 0.004}, most=100)["losses"]
    assert np.abs(np.subtract(ours, other)).max() > 1e-2


@pytest.mark.slow
def test_ten_seeds_of_pytorch_end_where_ours_do():
    task = more_data.task("cnn", EXAMPLES)
    runs = results.load("more_data")
    if protocol.chosen(task, runs) is None:
        pytest.skip("the runs of this size are not there yet")
    judged = protocol.judged(task, runs)
    theirs = [twin.run(run["setting"])["test"] for run in judged]
    ours = results.values(judged, "test")
    mean, half = results.interval(np.subtract(ours, theirs), level=0.99)
    assert abs(mean) < half < 0.01, (mean, half)
