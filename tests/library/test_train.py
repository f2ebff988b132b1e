"""Losses, optimisers and the training loop, against PyTorch and against what must come out."""

import numpy as np
import pytest
import scipy.sparse
from networks import normal, quotient

from equivlib.layers import BatchNorm, Conv, Dense, Flatten, MaxPool, Network, ReLU
from equivlib.train import SGD, Adam, cross_entropy, fit, he_normal, predict, squared_error


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip(
        "torch", reason="PyTorch is an optional oracle: install the extra 'torch' to run these"
    )


def small_network(seed=0):
    return Network(
        [
            Conv(he_normal((4, 1, 3, 3), seed, np.float64), np.zeros(4)),
            ReLU(),
            MaxPool(2),
            Flatten(),
            Dense(he_normal((3, 36), seed, np.float64), np.zeros(3)),
        ],
        (1, 8, 8),
    )


def bars(count, seed=0):
    """Return images with a horizontal bar, a vertical one, or none, in noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    x = 0.3 * rng.standard_normal((count, 1, 8, 8))
    for image, label in zip(x[:, 0], labels, strict=True):
        place = rng.integers(1, 7)
        if label == 1:
            image[place] += 1
        if label == 2:
            image[:, place] += 1
    return x, labels


LOSSES = {
    "cross_entropy": (cross_entropy, np.array([2, 0, 1, 1])),
    "squared_error": (squared_error, normal(4, 3, seed=1)),
}


@pytest.mark.parametrize(("loss", "targets"), LOSSES.values(), ids=LOSSES)
def test_the_gradient_of_a_loss_is_its_difference_quotient(loss, targets):
    outputs = 3 * normal(4, 3)
    _, grad = loss(outputs, targets)
    slopes = quotient(lambda: loss(outputs, targets)[0], outputs)
    np.testing.assert_allclose(grad, slopes, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_pytorch(torch, name):
    loss, targets = LOSSES[name]
    theirs = {
        "cross_entropy": torch.nn.functional.cross_entropy,
        "squared_error": torch.nn.functional.mse_loss,
    }[name]
    outputs = normal(4, 3)
    leaf = torch.tensor(outputs, requires_grad=True)
    expected = theirs(leaf, torch.tensor(targets))
    expected.backward()
    value, grad = loss(outputs, targets)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-12)
    np.testing.assert_allclose(grad, leaf.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_cross_entropy_of_large_logits_is_finite():
    loss, grad = cross_entropy(np.array([[1e4, -1e4]], np.float32), np.array([1]))
    assert loss == 2e4
    assert grad.tolist() == [[1, -1]]
    assert grad.dtype == np.float32


OPTIMIZERS = {
    "SGD": (lambda: SGD(0.1), "SGD", {"lr": 0.1}),
    "momentum and decay": (
        lambda: SGD(0.05, momentum=0.9, weight_decay=0.1),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    ),
    "Adam": (lambda: Adam(0.01), "Adam", {"lr": 0.01}),
    "Adam with decay": (
        lambda: Adam(0.02, betas=(0.8, 0.9), eps=1e-4, weight_decay=0.2),
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-4, "weight_decay": 0.2},
    ),
    "Adam with decoupled decay": (
        lambda: Adam(0.02, weight_decay=0.3, decoupled=True),
        "AdamW",
        {"lr": 0.02, "weight_decay": 0.3},
    ),
}


@pytest.mark.parametrize(("ours", "name", "options"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimiser_takes_the_steps_of_pytorch(torch, ours, name, options):
    net, optimizer = small_network(), ours()
    params = {
        (i, key): torch.tensor(value, requires_grad=True) for i, key, value in net.parameters()
    }
    theirs = getattr(torch.optim, name)(params.values(), **options)
    x, labels = bars(20)
    for _ in range(5):
        net.backward(cross_entropy(net(x), labels)[1])
        for (position, key), leaf in params.items():
            leaf.grad = torch.tensor(net.gradients[position][key])
        optimizer.step(net)
        theirs.step()
        for position, key, value in net.parameters():
            expected = params[position, key].detach().numpy()
            np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", [lambda: SGD(0.1, momentum=0.9), lambda: Adam(0.01)])
def test_a_small_network_learns_to_tell_bars_apart(optimizer):
    net, (x, labels) = small_network(), bars(300)
    losses = fit(
        net, x, labels, loss=cross_entropy, optimizer=optimizer(), epochs=12, batch_size=20
    )
    assert len(losses) == 12
    assert losses[-1] < 0.3 * losses[0]
    unseen, truth = bars(300, seed=1)
    assert (predict(net, unseen).argmax(axis=1) == truth).mean() > 0.9


def test_a_callback_sees_every_step_changes_the_rate_and_ends_the_training():
    (x, labels), optimizer, seen = bars(50), SGD(0.1), []

    def halve_and_end(steps, loss):
        seen.append((steps, loss, optimizer.rate))
        optimizer.rate /= 2
        return steps == 5

    options = {"loss": cross_entropy, "batch_size": 20, "epochs": 9}
    losses = fit(small_network(), x, labels, optimizer=optimizer, callback=halve_and_end, **options)
    assert [steps for steps, _, _ in seen] == [1, 2, 3, 4, 5]
    assert [rate for _, _, rate in seen] == [0.1 / 2**k for k in range(5)]
    # Batches of 20, 20 and 10; the second epoch ends after two of its three.
    means = [loss for _, loss, _ in seen]
    assert losses[0] == pytest.approx(np.average(means[:3], weights=[20, 20, 10]))
    assert losses[1] == pytest.approx(np.mean(means[3:]))
    assert len(losses) == 2


def test_a_callback_that_returns_nothing_changes_nothing():
    x, labels = bars(30)
    options = {"loss": cross_entropy, "batch_size": 20, "epochs": 3}
    watched, plain = (
        fit(small_network(), x, labels, optimizer=SGD(0.1), callback=callback, **options)
        for callback in (lambda steps, loss: None, None)
    )
    assert watched == plain


def test_one_seed_gives_the_same_numbers_and_another_others():
    x, labels = bars(50)

    def trained(seed):
        net = small_network()
        fit(net, x, labels, loss=cross_entropy, optimizer=SGD(0.1), seed=seed, batch_size=7)
        return net.layers[0].weight

    assert (trained(3) == trained(3)).all()
    assert (trained(3) != trained(4)).any()


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples():
    x = np.array([[1.0], [2.0], [6.0]])
    losses = fit(
        Network([Dense([[1.0]])], (1,)),
        x,
        np.zeros((3, 1)),
        loss=squared_error,
        optimizer=SGD(0.0),
        batch_size=2,
    )
    assert losses == [(1 + 4 + 36) / 3]


def test_training_leaves_the_arrays_it_was_given_alone():
    weight = normal(3, 36)
    kept = weight.copy()
    net = Network([Flatten(), Dense(weight)], (1, 6, 6))
    fit(net, normal(4, 1, 6, 6), normal(4, 3), loss=squared_error, optimizer=SGD(0.1))
    assert (weight == kept).all()
    assert (net.layers[1].weight != kept).any()


def test_training_keeps_the_precision():
    net = Network([Dense(he_normal((2, 3))), BatchNorm(*np.ones((4, 2), np.float32))], (3,))
    x, y = normal(5, 3).astype(np.float32), normal(5, 2).astype(np.float32)
    for optimizer in (SGD(0.1, momentum=0.5, weight_decay=0.1), Adam(weight_decay=0.1)):
        fit(net, x, y, loss=squared_error, optimizer=optimizer)
    assert {value.dtype for _, _, value in net.parameters()} == {np.dtype(np.float32)}


def test_the_bar_goes_to_the_standard_error_stream_and_only_if_asked(capsys):
    net, (x, labels) = small_network(), bars(30)
    fit(net, x, labels, loss=cross_entropy, optimizer=SGD(0.1))
    assert capsys.readouterr() == ("", "")
    fit(net, x, labels, loss=cross_entropy, optimizer=SGD(0.1), epochs=2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "epoch 1/2" in err
    assert "epoch 2/2 [##############################] 100%  loss 1." in err


X, Y = np.ones((4, 3)), np.ones((4, 2))
NET = Network([Dense(np.ones((2, 3)))], (3,))
COUNTS = Network([Dense(np.ones((2, 3), int))], (3,))
SPARSE = Network([Dense(scipy.sparse.csr_array(np.ones((2, 3))))], (3,))


def fitted(net=NET, x=X, targets=Y, **options):
    return fit(net, x, targets, **{"loss": squared_error, "optimizer": SGD(0.1), **options})


BAD = {
    "epochs": (lambda: fitted(epochs=0), r"epochs \(=0\)"),
    "batch_size": (lambda: fitted(batch_size=2.5), r"batch_size \(=2\.5\)"),
    "samples": (lambda: fitted(x=np.ones((4, 2))), r"x \(of shape \(4, 2\)\)"),
    "no samples": (lambda: fitted(x=np.ones((0, 3)), targets=np.ones((0, 2))), "at least one"),
    "number of targets": (lambda: fitted(targets=np.ones((5, 2))), r"targets \(of shape \(5, 2\)"),
    "shape of targets": (lambda: fitted(targets=np.ones((4, 1))), r"targets \(of shape \(4, 1\)"),
    "labels": (lambda: cross_entropy(np.ones((2, 3)), np.array([0, 3])), r"from 0 to classes - 1"),
    "float labels": (lambda: cross_entropy(np.ones((1, 3)), np.array([0.0])), r"dtype float64"),
    "rate": (lambda: SGD(-1), r"rate \(=-1\) must be a number at least 0"),
    "momentum": (lambda: SGD(1, momentum=1), r"momentum \(=1\) .* from 0 to less than 1"),
    "betas": (lambda: Adam(betas=(0.9, 2)), r"betas\[1\] \(=2\)"),
    "step before backward": (lambda: SGD(1).step(small_network()), "gradients of a backward pass"),
    "integers": (lambda: fitted(COUNTS), r"weight of layer 0 \(Dense\) \(of dtype int64\)"),
    "sparse": (lambda: fitted(SPARSE), r"weight of layer 0 \(Dense\) .* must be an ndarray"),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_trained_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
