"""PyTorch modules of the usual shapes, read: network, perceptron and convolutions equal PyTorch."""

import operator

import numpy as np
import pytest
from networks import NETWORKS, flat, inputs, normal, with_random_weights

from equivlib import MatrixTooLarge, conv_matrix, conversion_table, im2col, to_cnn, to_mlp
from equivlib.convert import UnsupportedLayer
from equivlib.interop.graph import Builder, Value
from equivlib.interop.torch import from_torch, operations, to_torch
from equivlib.layers import Dense, Layer, Network, ReLU
from equivlib.rounding import error_bound

torch = pytest.importorskip("torch", reason="PyTorch makes the modules: install the extra 'torch'")
nn, functional = torch.nn, torch.nn.functional

#: Stored numbers up to which every matrix is built; larger perceptrons are applied unbuilt.
BUILT = 3_000_000


def ready(module, seed=0, dtype=torch.float64):
    """Return the module in eval mode, with random weights and statistics of every normalisation."""
    generator = torch.Generator().manual_seed(seed)
    module = module.to(dtype).eval()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.dtype != dtype:
                continue
            drawn = torch.randn(tensor.shape, generator=generator, dtype=dtype)
            fan_in = max(1, tensor[0].numel()) if tensor.ndim > 1 else 4
            tensor.copy_(drawn / fan_in**0.5)
            if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
                tensor.copy_(drawn.abs() / 2 + 0.5)
    return module


def outputs(module, x):
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


def agrees(module, shape, *, batch=2, seed=0, cnn=True):
    """Assert that all forms of the module equal PyTorch within the bound on rounding."""
    net, x = from_torch(ready(module, seed), shape), normal(batch, *shape, seed=seed)
    expected, allowed = outputs(module, x), error_bound(net, x)
    assert abs(expected).max() > 1e-3
    assert allowed.max() < 1e-2 * abs(expected).max()
    y = net(x)
    assert y.shape == expected.shape
    assert (abs(y - expected) <= allowed).all()
    built = to_mlp(net, matrix_free=not cnn)
    assert {type(layer) for layer in built.layers} <= {Dense, ReLU}
    assert (abs(built(flat(x)) - flat(expected)) <= flat(allowed)).all()
    if cnn:
        ours = to_cnn(net)(x.reshape(batch, *to_cnn(net).input_shape))
        assert (abs(flat(ours) - flat(expected)) <= flat(allowed)).all()
    return net


# --- the usual shapes ---------------------------------------------------------------------------


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.max_pool2d(torch.relu(self.conv2(x)), (2, 2))
        x = x.view(x.size(0), -1)
        x = functional.dropout(functional.relu(self.fc1(x)), training=self.training)
        return self.fc3(self.dropout(self.fc2(x).relu()))


def vgg(width=8):
    layers, into = [], 3
    for block in range(3):
        for _ in range(2):
            out = width * 2**block
            layers += [nn.Conv2d(into, out, 3, padding="same"), nn.BatchNorm2d(out), nn.ReLU(True)]
            into = out
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(
        nn.Sequential(*layers),
        nn.AdaptiveAvgPool2d((2, 2)),
        nn.Flatten(),
        nn.Linear(into * 4, 32),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(32, 10),
    )


class BasicBlock(nn.Module):
    def __init__(self, into, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Identity()
        if stride != 1 or into != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += self.shortcut(x)
        return functional.relu(y)


class ResNet18(nn.Module):
    """For 32 x 32 pixels: a first convolution of 3 x 3 without pooling."""

    def __init__(self, width=64, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        blocks, into = [], width
        for stage in range(4):
            out = width * 2**stage
            blocks += [BasicBlock(into, out, 1 + (stage > 0)), BasicBlock(out, out, 1)]
            into = out
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(into, classes)

    def forward(self, x):
        x = self.blocks(functional.relu(self.bn1(self.conv1(x))))
        x = functional.avg_pool2d(x, 4)
        return self.fc(torch.flatten(x, 1))


def separable(into, out, stride):
    return nn.Sequential(
        nn.Conv2d(into, into, 3, stride, 1, groups=into, bias=False),
        nn.BatchNorm2d(into),
        nn.ReLU6(),
        nn.Conv2d(into, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU6(inplace=True),
    )


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardtanh(0, 6))
        self.body = nn.Sequential(separable(8, 8, 1), separable(8, 16, 2), separable(16, 16, 1))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.body[0](x)
        return self.head(self.body[2](self.body[1](x)).mean([2, 3]))


def audio():
    return nn.Sequential(
        nn.Conv1d(1, 4, 9, stride=4, padding=4, padding_mode="replicate"),
        nn.BatchNorm1d(4),
        nn.LeakyReLU(0.2),
        nn.MaxPool1d(3, 2, 1, ceil_mode=True),
        nn.Conv1d(4, 8, 3, dilation=2),
        nn.PReLU(8),
        nn.AvgPool1d(2, padding=1, count_include_pad=False),
        nn.AdaptiveAvgPool1d(3),
        nn.Flatten(),
        nn.Linear(24, 4),
        nn.BatchNorm1d(4),
    )


def volume():
    return nn.Sequential(
        nn.Conv3d(1, 3, 3, padding=1),
        nn.BatchNorm3d(3),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(3, 4, (1, 2, 3), stride=(1, 2, 1)),
        nn.ReLU(),
        nn.AvgPool3d((2, 1, 1)),
        nn.Flatten(),
        nn.Linear(4 * 2 * 2 * 2, 3),
    )


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU()
        )
        self.code, self.back = nn.Linear(6 * 3 * 4, 5), nn.Linear(5, 6 * 3 * 4)
        self.up = nn.Sequential(
            nn.ReLU(),
            nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 3, 2, 1, output_padding=1, groups=1),
        )

    def forward(self, x):
        code = self.code(torch.flatten(self.down(x), start_dim=1))
        return self.up(self.back(code).view(-1, 6, 3, 4))


def test_lenet():
    net = agrees(LeNet(), (1, 28, 28))
    assert [layer.name for layer in net.layers].count("MaxPool") == 2


def test_a_network_like_vgg():
    agrees(vgg(4), (3, 16, 16))


def test_resnet_18_at_32_x_32():
    # Narrow, so that its convolutions and its perceptron are computed in seconds.
    net = from_torch(ready(ResNet18(4)), (3, 32, 32))
    assert sum(layer.name == "Add" for layer in net.layers) == 8
    assert sum(layer.name == "Conv" for layer in net.layers) == 20
    x = normal(1, 3, 32, 32)
    module = ready(ResNet18(4))
    expected, allowed = outputs(module, x), error_bound(net, x)
    mlp = to_mlp(net)
    for y in (net(x), mlp(flat(x)), to_cnn(net)(x)):
        assert (abs(flat(y) - expected) <= allowed).all()
        # The bound is far from what happens: this is closer.
        np.testing.assert_allclose(flat(y), expected, rtol=1e-11, atol=1e-12)


def test_a_network_like_mobilenet():
    agrees(MobileNet(), (3, 16, 16))


def test_an_audio_network():
    agrees(audio(), (1, 101))


def test_a_network_of_three_axes():
    agrees(volume(), (1, 8, 9, 8))


def test_an_autoencoder():
    net = agrees(Autoencoder(), (1, 12, 16))
    assert net.output_shape == (1, 12, 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_precision_stays(dtype):
    module = ready(LeNet(), dtype=dtype)
    net = from_torch(module, (1, 28, 28))
    x = normal(2, 1, 28, 28).astype(str(dtype).removeprefix("torch."))
    assert {value.dtype for _, _, value in net.parameters()} == {x.dtype}
    expected, y = outputs(module, x), net(x)
    assert y.dtype == x.dtype
    assert (abs(y.astype(float) - expected) <= error_bound(net, x, x.dtype)).all()


def test_the_network_keeps_its_numbers_when_the_module_is_trained_on():
    module = ready(nn.Sequential(nn.Linear(3, 2)))
    net, x = from_torch(module, (3,)), normal(2, 3)
    before = net(x)
    with torch.no_grad():
        module[0].weight += 1
    np.testing.assert_array_equal(net(x), before)


def test_a_matrix_takes_a_parameter_or_a_convolution_of_pytorch():
    conv = nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, bias=False)
    x = normal(2, 5, 5).astype(np.float32)
    expected = outputs(conv, x[None])[0].ravel()
    options = {"stride": 2, "padding": 1, "groups": 2}
    for matrix in (conv_matrix(conv.weight, x.shape, **options), conv_matrix(conv, x.shape)):
        np.testing.assert_allclose(matrix @ x.ravel(), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"the options of weight \(a module Conv2d\) are its own"):
        conv_matrix(conv, x.shape, stride=1)
    for other in (nn.Linear(2, 2), nn.ConvTranspose2d(2, 4, 3)):
        with pytest.raises(ValueError, match=r"must be a convolution; .*from_torch"):
            conv_matrix(other, x.shape)


@pytest.mark.parametrize("function", [to_mlp, to_cnn, conversion_table, to_torch])
def test_a_module_in_place_of_a_network_is_told_of_from_torch(function):
    with pytest.raises(ValueError, match=r"net \(a Sequential\) must be .*from_torch makes one"):
        function(nn.Sequential(nn.ReLU()))
    with pytest.raises(ValueError, match=r"net \(a int\) must be an equivlib\.Network$"):
        function(3)
    with pytest.raises(ValueError, match=r"x \(a module ReLU\) must hold numbers: .*from_torch"):
        im2col(nn.ReLU(), 1)


# --- operations one by one ----------------------------------------------------------------------


class Does(nn.Module):
    """A module that does what a function says."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


FUNCTIONS = {
    "reshape": lambda m, x: x.reshape(x.shape[0], -1, 2),
    "reshape of a list": lambda m, x: torch.reshape(x, (-1, 12, 5)),
    "view": lambda m, x: x.view((x.size()[0], 3, -1)),
    "flatten in the middle": lambda m, x: x.flatten(2, 3),
    "unflatten": lambda m, x: x.flatten(1).unflatten(1, (5, 12)),
    "permute": lambda m, x: x.permute(0, 3, 1, 2).contiguous(),
    "transpose": lambda m, x: torch.transpose(x, 1, -1),
    "squeeze and unsqueeze": lambda m, x: x.unsqueeze(1).unsqueeze(-1).squeeze(1).squeeze(-1),
    "sum": lambda m, x: torch.add(x, x.relu(), alpha=2),
    "difference": lambda m, x: x.relu() - x,
    "affine": lambda m, x: 2 * x / 4 - 1 + 3,
    "negative": lambda m, x: 1 - (-x),
    "parameter": lambda m, x: x + m.shift,
    "functional convolution": lambda m, x: functional.conv2d(x, m.kernel, None, (1, 2), (1,)),
    "linear over channels last": lambda m, x: m.linear(x.permute(0, 2, 3, 1)),
    "leaky": lambda m, x: functional.leaky_relu(x, 0.5, inplace=False),
    "clamp": lambda m, x: torch.clamp(x, min=-0.5).clamp(max=0.25),
    "relu6": lambda m, x: functional.relu6(x * 8),
    "hardtanh": lambda m, x: functional.hardtanh(x, -0.25, 0.5),
    "pad": lambda m, x: functional.pad(x, (1, 0, 2, 3)),
    "reflect": lambda m, x: functional.pad(x, (1, 2), mode="reflect") if x is None else x.relu(),
    "mean": lambda m, x: x.mean((-1, -2), keepdim=True),
    "adaptive": lambda m, x: functional.adaptive_avg_pool2d(x, (None, 2)),
    "adaptive maximum": lambda m, x: functional.adaptive_max_pool2d(x, (1, 2)),
    "average": lambda m, x: functional.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True),
    "maximum": lambda m, x: functional.max_pool2d(x, (2, 3), 1, padding=(1, 0), dilation=(2, 1)),
    "in place": lambda m, x: functional.relu_(x.clone()) if x is None else x.mul(2).relu_(),
    "nothing": lambda m, x: x,
    # parts, and parts put together
    "slices": lambda m, x: x[:, ::2, 1:-1, -3:],
    "integers and new axes": lambda m, x: x[:, 1, None, ..., -1],
    "an array": lambda m, x: x[:, :, m.places],
    "flip and roll": lambda m, x: torch.roll(x.flip(1, -1), (2, -1), (2, 3)),
    "narrow and select": lambda m, x: x.narrow(2, 1, 3).select(1, -1),
    "cat": lambda m, x: torch.cat((x, x.relu(), x[:, 1:]), 1),
    "cat along the last axis": lambda m, x: torch.cat([x, x.relu(), -x], -1),
    "cat of one value": lambda m, x: torch.cat((x[:, 1:], x[:, :1]), dim=1),
    "stack": lambda m, x: torch.stack((x, x.relu()), 2),
    "chunk": lambda m, x: halves(x),
    "split": lambda m, x: torch.maximum(*x.split([2, 2], -1)) if x is None else x.split(3, 2)[1],
    "unbind": lambda m, x: x.unbind(1)[2],
    "unpacked shape": lambda m, x: unpacked(x),
    "moved": lambda m, x: x.movedim(1, -1).swapaxes(1, 2),
    "expanded": lambda m, x: x.mean(1, keepdim=True).expand(-1, 4, -1, -1),
    "repeated": lambda m, x: x.repeat(1, 2, 1, 3),
    "windows": lambda m, x: x.unfold(2, 3, 2),
    "unfold and fold": lambda m, x: functional.fold(
        functional.unfold(x, (2, 3), 1, 1, 2), (5, 4), (2, 3), 1, 1, 2
    ),
    "shuffled": lambda m, x: functional.pixel_shuffle(
        functional.pixel_unshuffle(x[:, :, :4], 2), 2
    ),
    "padded channels": lambda m, x: functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2)),
    "padded with a number": lambda m, x: functional.pad(x, (1, 2), value=1.5),
    "cut by negative padding": lambda m, x: functional.pad(x, (-1, 2, 1, -2), value=0.5),
    # reductions and products
    "mean, one axis after the other": lambda m, x: x.mean(3).mean(2),
    "mean over channels": lambda m, x: x.mean((1, 3)),
    "sum over two axes": lambda m, x: x.sum((1, 2)),
    "sum of all": lambda m, x: x.sum((1, 2, 3), keepdim=True),
    "largest and smallest": lambda m, x: x.amax((2, 3)) - x.amin((2, 3)),
    "largest along an axis": lambda m, x: x.max(2)[0] + x.min(2).values,
    "adaptive maximum of unequal windows": lambda m, x: functional.adaptive_max_pool2d(x, (3, 2)),
    "divisor": lambda m, x: functional.avg_pool2d(x, 3, 1, 1, divisor_override=5),
    "product": lambda m, x: x @ m.weight,
    "product on the left": lambda m, x: torch.matmul(m.weight.T, x.transpose(2, 3)),
    "product with a vector": lambda m, x: x @ m.weight[:, 0],
    "product in each channel": lambda m, x: x @ m.stack,
    "einsum": lambda m, x: torch.einsum("bchw,wo->bohc", x, m.weight),
    "einsum over channels": lambda m, x: torch.einsum("cwo,bchw->bho", m.stack, x),
    # pieces that are linear
    "absolute": lambda m, x: abs(x) + x.abs(),
    "larger of two": lambda m, x: torch.max(x, -x),
    "smaller, broadcast": lambda m, x: torch.minimum(x, x.mean((2, 3), keepdim=True)),
    "larger than constants": lambda m, x: torch.max(x, m.shift),
    "broadcast sum": lambda m, x: x - x.mean((2, 3), keepdim=True),
    "hard sigmoid": lambda m, x: functional.hardsigmoid(4 * x),
    "shrunk": lambda m, x: functional.softshrink(x, 0.25),
    "threshold": lambda m, x: functional.threshold(x, 0.25, 0.25),
    # interpolation
    "nearest": lambda m, x: functional.interpolate(x, scale_factor=(2, 1.5)),
    "nearest, smaller": lambda m, x: functional.interpolate(x, size=(3, 3), mode="nearest"),
    "nearest exact": lambda m, x: functional.interpolate(x, (7, 3), mode="nearest-exact"),
    "bilinear": lambda m, x: functional.interpolate(x, scale_factor=2, mode="bilinear"),
    "corners": lambda m, x: functional.interpolate(x, (9, 2), mode="bilinear", align_corners=True),
    "constants from constants": lambda m, x: (
        x * (m.weight.T @ m.weight).sum() + m.stack[1, :, :1].T
    ),
    "area": lambda m, x: functional.interpolate(x, size=(2, 3), mode="area"),
}


def halves(x):
    first, second = x.chunk(2, 3)
    return torch.maximum(first, second)


def unpacked(x):
    batch, channels, height, width = x.shape
    return x.view(batch, channels * height, width)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_read(name):
    parts = {"shift": nn.Parameter(torch.zeros(3, 1, 1)), "linear": nn.Linear(3, 7)}
    parts["kernel"] = nn.Parameter(torch.zeros(2, 3, 2, 2))
    parts["weight"], parts["row"] = (
        nn.Parameter(torch.zeros(*shape)) for shape in ((4, 2), (1, 3, 4, 1))
    )
    parts["stack"] = nn.Parameter(torch.zeros(3, 4, 2))
    parts["places"] = torch.tensor([[1, 0], [3, -1]])
    agrees(Does(FUNCTIONS[name], **parts), (3, 5, 4))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("given", [{"size": (3, 7)}, {"scale_factor": 1.7}, {"size": (8, 1)}])
@pytest.mark.parametrize("corners", [False, True])
def test_interpolation_has_the_weights_of_pytorch(mode, given, corners):
    """Up to rounding: both compute the places of the outputs in their own way."""
    function = Does(
        lambda m, x: functional.interpolate(x, mode=mode, align_corners=corners, **given)
    )
    x = normal(2, 3, 5, 4)
    net = from_torch(function.eval(), x.shape[1:])
    np.testing.assert_allclose(net(x), outputs(function, x), atol=1e-13)
    np.testing.assert_allclose(to_mlp(net)(flat(x)), flat(net(x)), atol=1e-13)


MODULES = {
    "same padding": nn.Conv2d(2, 3, (2, 4), padding="same", dilation=(2, 2)),
    "circular": nn.Conv2d(2, 4, 3, padding=(1, 2), padding_mode="circular", groups=2),
    "reflect": nn.Conv2d(2, 4, 3, padding=(1, 2), padding_mode="reflect", stride=(1, 2)),
    "dilated, transposed": nn.ConvTranspose2d(2, 4, 2, 2, 1, 1, 2, dilation=(3, 2)),
    "transposed without bias": nn.ConvTranspose2d(2, 3, 3, bias=False),
    "normalisation without numbers": nn.BatchNorm2d(2, eps=0.1, affine=False),
    "ceil": nn.MaxPool2d(2, ceil_mode=True),
    "dilated maximum": nn.MaxPool2d((2, 3), 1, 1, dilation=(1, 2)),
    "average": nn.AvgPool2d((3, 2), 2, 1, ceil_mode=True, count_include_pad=False),
    "adaptive": nn.AdaptiveAvgPool2d((4, None)),
    "adaptive maximum": nn.AdaptiveMaxPool2d(1),
    "one slope": nn.PReLU(),
    "unflattened": nn.Sequential(nn.Flatten(), nn.Unflatten(1, (7, 2, 5)), nn.Conv2d(7, 1, 2)),
    "padded": nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.ReflectionPad2d(1)),
    "edge": nn.Sequential(nn.ReplicationPad2d((1, 0, 2, 1)), nn.CircularPad2d(1)),
    "dropped": nn.Sequential(nn.Dropout2d(), nn.Identity(), nn.ReLU()),
    "clipped": nn.Hardtanh(-0.5, 0.25),
    "larger by repetition": nn.Upsample(scale_factor=2),
    "larger by lines": nn.UpsamplingBilinear2d((7, 9)),
    "patches": nn.Unfold((2, 3), padding=1, stride=2),
    "patches back": nn.Sequential(nn.Unfold(2), nn.Fold((5, 7), 2)),
    "adaptive maximum of unequal windows": nn.AdaptiveMaxPool2d((3, 4)),
    "divided by another number": nn.AvgPool2d(2, divisor_override=3),
    "one window larger than the input": nn.AvgPool2d(9, ceil_mode=True),
    "hard sigmoid": nn.Sequential(nn.Hardsigmoid(), nn.Softshrink(0.25), nn.Threshold(0.1, 0.1)),
    "shuffled": nn.Sequential(nn.Conv2d(2, 8, 1), nn.PixelShuffle(2), nn.ChannelShuffle(2)),
    "padded with a number": nn.ConstantPad2d((1, 0, -1, 2), 0.5),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_read(name):
    agrees(MODULES[name], (2, 5, 7))


@pytest.mark.parametrize(
    "module", [nn.Sigmoid(), nn.Tanh(), nn.Softmax(1), nn.Softmax(-1), nn.Softmax2d()]
)
def test_what_has_no_perceptron_is_read_all_the_same(module):
    x = normal(2, 3, 4, 5)
    net = from_torch(module.eval(), x.shape[1:])
    np.testing.assert_allclose(net(x), outputs(module, x), rtol=1e-13, atol=1e-15)
    with pytest.raises(UnsupportedLayer, match="cannot be written with Dense and ReLU layers"):
        to_mlp(net)


# --- what cannot be read ------------------------------------------------------------------------


def test_training_mode_is_refused():
    module = vgg()
    with pytest.raises(ValueError, match=r"must be in eval mode, and .* first the module itself"):
        from_torch(module, (3, 16, 16))
    module.eval()[1].train()
    with pytest.raises(ValueError, match="1 of its parts are in training mode, first 1: call"):
        from_torch(module, (3, 16, 16))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: torch.erf(x), r"node 'erf' \(erf\): erf is not supported; .*relu"),
        (lambda m, x: x.cumsum(1), r"node 'cumsum' \(cumsum\): cumsum is not supported"),
        (lambda m, x: m.lstm(x), r"module 'lstm' \(LSTM\): LSTM is not supported; .*Linear"),
        (lambda m, x: x * x.relu(), r"product of two activations is not piecewise linear"),
        (lambda m, x: 1 / x, "division by an activation"),
        (lambda m, x: x.view(-1), "must begin with the size of the batch"),
        (lambda m, x: x.view(12, x.size(0)), "must begin with the size of the batch"),
        (lambda m, x: x.view(x.size(0) * 3, -1), r"node 'mul' \(mul\)"),
        (lambda m, x: x.permute(1, 0, 2), "must leave the batch axis first"),
        (lambda m, x: functional.dropout(x), "drops numbers at random"),
        (lambda m, x: functional.max_pool1d(x, 2, return_indices=True), "with_indices is not"),
        (lambda m, x: x.mean(), "must not be that of the batch"),
        (lambda m, x: x.max(), "the axis must be named"),
        (lambda m, x: x[0], "must not be that of the batch"),
        (lambda m, x: x[:, [0, 1], 0], "an array and other indices"),
        (lambda m, x: x[:, 5:], "has no elements"),
        (lambda m, x: x @ x.transpose(1, 2), "product of two activations"),
        (lambda m, x: torch.einsum("bij,bjk->bik", x, x), "product of two activations"),
        (lambda m, x: torch.einsum("bij,jb->ib", x, m.square), "leave the batch axis first"),
        (lambda m, x: m.square @ x[:, 0], "sums over the batch axis"),
        (lambda m, x: torch.cat((x, x), 0), "must not be that of the batch"),
        (lambda m, x: functional.hardswish(x), "quadratic between its corners"),
        (lambda m, x: functional.threshold(x, 0.5, 0.0), "it jumps"),
        (lambda m, x: x.repeat(2, 1, 1), "repeats samples"),
        (lambda m, x: functional.interpolate(x, scale_factor=1e9), "not huge"),
        (lambda m, x: x.max(1)[1] + x[:, 0], "it must read|NoneType|real numbers"),
        (lambda m, x: x.flatten(), "must not be that of the batch"),
        (lambda m, x: x.softmax(0), "not be that of the batch"),
        (lambda m, x: functional.pad(x, (1, 1), value=float("inf")), "must be finite"),
        (
            lambda m, x: functional.relu(x, out=None) if x is None else x.relu().size(1),
            "one output",
        ),
        (lambda m, x: x + m.weights, "do not spread"),
        (lambda m, x: m.wide(x), r"module 'wide' \(Linear\): a weight of"),
        (lambda m, x: functional.linear(x, x), "its weight must be a parameter"),
    ],
)
def test_what_is_not_read_is_named(function, message):
    parts = {"lstm": nn.LSTM(4, 4), "wide": nn.Linear(9, 2)}
    parts["weights"], parts["square"] = (nn.Parameter(torch.zeros(*n)) for n in ((5,), (4, 4)))
    with pytest.raises(ValueError, match=message):
        from_torch(Does(function, **parts).eval(), (3, 4))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.AvgPool2d(2, divisor_override=0), "divisor must not be 0|divisor must be not zero"),
        (nn.MaxPool2d(2, return_indices=True), "return_indices=True"),
        (nn.BatchNorm2d(2, track_running_stats=False), "track_running_stats=False"),
        (nn.AdaptiveMaxPool2d(0), r"output_size \(=\(0, 0\)\) must fit"),
        (nn.Conv2d(2, 2, 9), r"module '0' \(Conv2d\): the kernel of"),
        (nn.Conv2d(3, 2, 1), r"module '0' \(Conv2d\): in_channels|input"),
        (nn.Linear(4, 2).half(), r"of torch\.float16\) must have parameters of float32"),
    ],
)
def test_an_option_that_is_not_read_is_named(module, message):
    with pytest.raises(ValueError, match=message):
        from_torch(nn.Sequential(module).eval(), (2, 5, 5))


def raises(error):
    """Return a rule with a bug, and the signature of that of ReLU."""

    def rule(b: Builder, x: Value, inplace: bool = False) -> Value:
        raise error

    return rule


@pytest.mark.parametrize("error", [TypeError("a bug"), KeyError("a bug"), IndexError("a bug")])
def test_a_bug_within_a_rule_is_not_reported_as_an_unsupported_call(error, monkeypatch):
    monkeypatch.setitem(operations.METHODS, "relu", raises(error))
    monkeypatch.setitem(operations.function_rules(), functional.relu, raises(error))
    monkeypatch.setitem(operations.module_rules(), nn.ReLU, raises(error))
    for module in (
        Does(lambda m, x: x.relu()),
        Does(lambda m, x: functional.relu(x)),
        nn.Sequential(nn.ReLU()),
    ):
        with pytest.raises(type(error)) as found:
            from_torch(module.eval(), (3, 4))
        assert found.value is error
        assert error.args == ("a bug",)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, x: x.flatten(out=x), "got an unexpected keyword argument 'out'"),
        (lambda m, x: x.transpose(1), "missing a required argument: 'dim1'"),
        (lambda m, x: functional.leaky_relu(x, x), "its negative_slope must be given by numbers"),
        (lambda m, x: x.clamp(m.bounds), "its min must be given by numbers, not by a tensor"),
        (lambda m, x: x.clamp(min=x.size(0)), "it computes with the size of the batch"),
        (lambda m, x: x.view(x.size(0), -1, x.shape[0]), "must begin with the size .* once"),
        (lambda m, x: functional.pad(x, (1, 1), mode="none"), r"mode \(='none'\) is not supported"),
    ],
)
def test_arguments_that_no_rule_takes_are_named(function, message):
    module = Does(function, bounds=nn.Parameter(torch.zeros(4)))
    with pytest.raises(UnsupportedLayer, match=message):
        from_torch(module.eval(), (3, 4))


def reads_again(change):
    def function(m, x):
        y = x + 1
        z = change(m, y)
        return y + z

    return function


def forgets(m, x):
    y = x - 1
    functional.relu(y, inplace=True)
    return y


@pytest.mark.parametrize(
    "function",
    [
        reads_again(lambda m, y: m.relu(y)),
        reads_again(lambda m, y: m.relu(y.view(-1, 12)).view(-1, 3, 4)),
        reads_again(lambda m, y: functional.relu(y, inplace=True)),
        reads_again(lambda m, y: y.mul_(2)),
        forgets,
    ],
)
def test_what_is_changed_in_place_and_read_again_is_refused(function):
    # PyTorch reads the changed numbers there, and the graph does not show it.
    module = Does(function, relu=nn.ReLU(inplace=True)).eval()
    with pytest.raises(UnsupportedLayer, match="changes in place what node"):
        from_torch(module, (3, 4))


def test_what_a_trace_does_not_show_is_found_out():
    module = Does(reads_again(lambda m, y: operator.iadd(y, 3))).eval()
    with pytest.raises(ValueError, match=r"module \(of Does\) does something .* differs .* by 3"):
        from_torch(module, (3, 4))
    hooked = nn.Sequential(nn.ReLU()).eval()
    hooked[0].register_forward_hook(lambda m, inputs, y: y + 1)
    with pytest.raises(ValueError, match=r"such as \+= .* or a hook: .* by 1"):
        from_torch(hooked, (3, 4))


def test_what_is_changed_in_place_and_not_read_again_is_read():
    agrees(Does(lambda m, x: m.relu(x - 1).add_(1).relu_(), relu=nn.ReLU(True)), (3, 4))


def test_code_that_decides_by_numbers_is_refused():
    module = Does(lambda m, x: x if x.sum() > 0 else -x)
    with pytest.raises(ValueError, match=r"module \(of Does\) cannot be traced by torch\.fx"):
        from_torch(module.eval(), (3,))
    with pytest.raises(ValueError, match="must have one input, and has 2: x, y"):
        from_torch(Two().eval(), (3,))
    with pytest.raises(ValueError, match=r"module \(=3\) must be a torch\.nn\.Module"):
        from_torch(3, (3,))
    with pytest.raises(ValueError, match="input_shape"):
        from_torch(nn.ReLU().eval(), ())


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


# --- the way back -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_becomes_a_module_and_a_network_again(name):
    net = with_random_weights(NETWORKS[name](), np.float64, seed=1)
    module, x = to_torch(net), inputs(net)
    allowed = error_bound(net, x)
    assert not module.training
    assert (abs(outputs(module, x) - net(x)) <= allowed).all()
    chain = all(net.sources(p) == (p - 1,) for p in range(len(net.layers)))
    assert isinstance(module, nn.Sequential) == chain
    if name != "dilated windows with a rest":  # padded by minus infinity, which is no layer
        assert (abs(from_torch(module, net.input_shape)(x) - net(x)) <= allowed).all()


def test_a_perceptron_becomes_linear_and_relu():
    net = with_random_weights(NETWORKS["residual"](), np.float32, seed=1)
    mlp, x = to_mlp(net), inputs(net).astype(np.float32)
    module = to_torch(mlp)
    assert {type(part) for part in module} == {nn.Linear, nn.ReLU}
    assert {tensor.dtype for tensor in module.parameters()} == {torch.float32}
    allowed = flat(error_bound(net, x, np.float32))
    assert (abs(outputs(module, flat(x)).astype(float) - flat(net(x))) <= allowed).all()


class Unknown(Layer):
    def forward(self, *xs):
        return xs[0]


def test_what_has_no_module_is_named():
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import aslinearoperator

    with pytest.raises(MatrixTooLarge, match="the dense weights would take 80 GB"):
        to_torch(Network([Dense(csr_array((10**5, 10**5)))], (10**5,)))
    with pytest.raises(
        ValueError, match=r"layer 0 \(Dense\) has no PyTorch equivalent: its weight is"
    ):
        to_torch(Network([Dense(aslinearoperator(np.eye(3)))], (3,)))
    with pytest.raises(UnsupportedLayer, match=r"layer 0 \(Unknown\) has no PyTorch equivalent"):
        to_torch(Network([Unknown()], (3,)))
    with pytest.raises(ValueError, match="must hold float32 or float64"):
        to_torch(Network([Dense(np.eye(3) * 1j)], (3,)))
