"""The six options: shown everywhere, refused by name, and what other libraries call them."""

import ast
import inspect
import re
import subprocess
import sys
import typing

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

import equivlib
from equivlib import Geometry, conv, conv_matrix, conv_transpose, draw, explore, layers
from equivlib.convolution import options
from equivlib.convolution.geometry import check_words

OPTIONS = ["stride", "padding", "dilation", "groups", "padding_mode", "flip"]
WEIGHT, X = np.ones((4, 3, 3, 2)), np.ones((3, 5, 6))
ROW, ONE = np.ones((1, 1, 2)), np.ones((1, 4))

#: Every public function and class that takes the options, called with nothing but what it needs.
CALLS = {
    Geometry: lambda **given: Geometry((4, 3, 3, 2), (3, 5, 6), **given),
    Geometry.of_transpose: lambda **given: Geometry.of_transpose((4, 3, 3, 2), (5, 6), **given),
    conv: lambda **given: conv(X, WEIGHT, **given),
    conv_transpose: lambda **given: conv_transpose(np.ones((4, 5, 6)), WEIGHT, **given),
    conv_matrix: lambda **given: conv_matrix(WEIGHT, X.shape, **given),
    equivlib.conv_operator: lambda **given: equivlib.conv_operator(WEIGHT, X.shape, **given),
    equivlib.tap_matrix: lambda **given: equivlib.tap_matrix((0, 0, 1), (1, 1, 2), (1, 4), **given),
    equivlib.im2col: lambda **given: equivlib.im2col(X, (3, 2), **given),
    equivlib.col2im: lambda **given: equivlib.col2im(np.ones((18, 15)), X.shape, (3, 2), **given),
    equivlib.project: lambda **given: equivlib.project(np.ones((3, 4)), (1, 1, 2), (1, 4), **given),
    equivlib.kernel_from_matrix: lambda **given: equivlib.kernel_from_matrix(
        np.eye(4), (1, 1, 1), (1, 4), **given
    ),
    equivlib.singular_values: lambda **given: equivlib.singular_values(ROW, (1, 4), **given),
    equivlib.operator_norm: lambda **given: equivlib.operator_norm(ROW, (1, 4), **given),
    equivlib.norm_bounds: lambda **given: equivlib.norm_bounds(ROW, (1, 4), **given),
    layers.Conv: lambda **given: layers.Conv(WEIGHT, **given),
    layers.ConvTranspose: lambda **given: layers.ConvTranspose(WEIGHT, **given),
    explore: lambda **given: explore(ROW, (1, 4), **given),
    draw.layer: lambda **given: draw.layer(ROW, ONE, **given),
    draw.structure: lambda **given: draw.structure((1, 1, 2), (1, 4), **given),
    draw.patches: lambda **given: draw.patches(np.ones((4, 4)), 2, [0], **given),
    draw.inclusions: lambda **given: draw.inclusions((1, 1, 2), (1, 4), **given),
    draw.transpose: lambda **given: draw.transpose((1, 1, 2), (1, 4), column=1, **given),
    draw.shared_gradient: lambda **given: draw.shared_gradient(
        (1, 1, 2), ONE, np.ones((1, 3)), **given
    ),
}
each_call = pytest.mark.parametrize(
    ("function", "call"), CALLS.items(), ids=[function.__qualname__ for function in CALLS]
)


def public():
    """Yield every public function and class of the library, by its full name."""
    for module in (equivlib, layers, draw):
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)
    for name in ("of_transpose", "of_pool"):
        yield f"equivlib.Geometry.{name}", getattr(Geometry, name)


# --- shown --------------------------------------------------------------------------------------


@each_call
def test_signature_and_docstring_show_the_six_options(function, call):
    keywords = inspect.signature(function).parameters
    assert [name for name in keywords if name in OPTIONS] == OPTIONS
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in keywords.values())
    said = inspect.getdoc(function)
    assert options.MEANING in said
    named = re.findall(r"^([a-z_, ]+) : ", options.MEANING, re.M)
    assert set(", ".join(named).split(", ")) == set(OPTIONS)


def test_no_public_function_hides_its_options():
    for name, function in public():
        own = inspect.isclass(function) and not issubclass(function, (dict, Exception))
        if own or inspect.isfunction(function):
            assert "**options" not in str(inspect.signature(function)), name
        assert options.PLACE not in (function.__doc__ or ""), name


def test_the_defaults_that_are_shown_are_those_that_hold():
    shown = inspect.signature(conv).parameters
    given = {name: shown[name].default for name in OPTIONS}
    assert Geometry((4, 3, 3, 2), X.shape, **given) == Geometry((4, 3, 3, 2), X.shape)


def test_each_default_that_a_docstring_tells_is_that_of_the_signature():
    told = 0
    described = [(n, f) for n, f in public() if f is not options.GeometryOptions]
    for name, function in described:
        pattern = r"^([a-z_]+(?:, [a-z_]+)*) : .*, default ([\w.-]+)$"
        for keywords, value in re.findall(pattern, inspect.getdoc(function) or "", re.M):
            for keyword in keywords.split(", "):
                shown = inspect.signature(function).parameters[keyword].default
                assert shown == ast.literal_eval(value), (name, keyword)
                told += 1
    assert told > 60


def test_the_types_of_the_options_can_be_read_at_run_time():
    hints = inspect.get_annotations(options.GeometryOptions, eval_str=True)
    assert list(hints) == OPTIONS
    assert set(hints) == set(options.DEFAULTS)
    assert set(options.PoolOptions.__annotations__) == set(options.POOL_DEFAULTS)
    assert set(options.TransposeOptions.__annotations__) == set(options.TRANSPOSE_DEFAULTS)


def test_without_docstrings_the_options_still_work():
    code = "import equivlib; print(equivlib.conv.__doc__, equivlib.conv([[1, 2]], [[[3]]]))"
    done = subprocess.run(
        [sys.executable, "-OO", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "None [[3 6]]\n"


def test_importing_the_library_does_not_import_what_only_messages_need():
    code = "import sys, numpy, scipy.sparse; before = set(sys.modules); import equivlib; "
    code += "print('difflib' in set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# --- unknown options ----------------------------------------------------------------------------


@each_call
def test_without_an_option_nothing_is_refused(function, call):
    call()


@each_call
def test_an_unknown_option_is_refused_with_the_nearest_one_and_the_list(function, call):
    with pytest.raises(ValueError, match=r"^strides \(=2\) is not an option of ") as refused:
        call(strides=2)
    message = str(refused.value)
    assert f"an option of {function.__qualname__};" in message.replace("draw.", "")
    assert "did you mean stride?" in message
    assert all(name in message for name in OPTIONS)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: conv(X, WEIGHT, pading=1), "padding"),
        (lambda: conv(X, WEIGHT, pad=1), "padding"),
        (lambda: conv(X, WEIGHT, pads=(1, 1)), "padding"),
        (lambda: conv(X, WEIGHT, auto_pad="SAME_UPPER"), "padding"),
        (lambda: conv(X, WEIGHT, dilations=2), "dilation"),
        (lambda: conv(X, WEIGHT, dilation_rate=2), "dilation"),
        (lambda: conv(X, WEIGHT, group=1), "groups"),
        (lambda: conv(X, WEIGHT, mode="wrap"), "padding_mode"),
        (lambda: conv(X, WEIGHT, boundary="wrap"), "padding_mode"),
        (lambda: conv(X, WEIGHT, flipped=True), "flip"),
        (lambda: conv(X, WEIGHT, biass=1), "bias"),
        (lambda: conv_matrix(WEIGHT, X.shape, fromat="dense"), "format"),
        (lambda: conv_transpose(X, WEIGHT, outputpadding=1), "output_padding"),
        (lambda: conv_transpose(X, WEIGHT, outputshape=1), "output_shape"),
        (lambda: conv_transpose(X, WEIGHT, biass=1), "bias"),
        (lambda: conv_transpose(X, WEIGHT, auto_pad="VALID"), "padding"),
        (lambda: layers.ConvTranspose(WEIGHT, outputshape=1), "output_shape"),
        (lambda: conv_matrix(WEIGHT, X.shape, max_byte=9), "max_bytes"),
        (lambda: conv_matrix(WEIGHT, X.shape, row=slice(1)), "rows"),
        (lambda: equivlib.kernel_from_matrix(np.eye(4), (1, 1, 1), (1, 4), tols=1), "tol"),
        (lambda: equivlib.singular_values(ROW, (1, 4), max_byte=9), "max_bytes"),
        (lambda: equivlib.operator_norm(ROW, (1, 4), tol=9), "rtol"),
        (lambda: equivlib.operator_norm(ROW, (1, 4), seeds=9), "seed"),
        (lambda: layers.Conv(WEIGHT, sources=1), "source"),
        (lambda: layers.MaxPool(2, strides=1), "stride"),
        (lambda: layers.AvgPool(2, count_include=True), "count_include_pad"),
        (lambda: Geometry.of_pool((1, 4), 2, ceil=True), "ceil_mode"),
        (lambda: Geometry.of_transpose((1, 1, 2), (4,), outputpadding=1), "output_padding"),
        (lambda: Geometry.of_transpose((1, 1, 2), (4,), outputshape=5), "output_shape"),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(call, meant):
    with pytest.raises(ValueError, match=rf"; did you mean {meant}\?"):
        call()


def test_a_name_near_to_none_is_refused_without_a_guess():
    with pytest.raises(ValueError, match=r"xyz \(=1\) is not an option of conv\. The options are"):
        conv(X, WEIGHT, xyz=1)


def test_the_geometry_of_a_pool_is_named_when_it_refuses_an_option():
    with pytest.raises(ValueError, match=r"is not an option of Geometry\.of_pool"):
        Geometry.of_pool((1, 4), 2, groups=1)


def test_options_of_other_layers_are_no_options_of_a_pool():
    for name in ("padding_mode", "flip", "groups"):
        with pytest.raises(ValueError, match=rf"{name} .* is not an option of MaxPool\. The"):
            layers.MaxPool(2, **{name: 1})


class Untouched:
    """An input that must not be looked at."""

    shape = (3, 5, 6)

    def __array__(self, *_, **__):
        raise AssertionError("looked at the numbers")


@pytest.mark.parametrize(
    "call",
    [
        lambda: conv(Untouched(), Untouched(), strides=2),
        lambda: conv_transpose(Untouched(), Untouched(), strides=2),
        lambda: conv_matrix(Untouched(), (1, 10**9), strides=2),
        lambda: equivlib.conv_operator(Untouched(), (1, 10**9), strides=2),
        lambda: equivlib.im2col(Untouched(), 2, strides=2),
        lambda: equivlib.col2im(Untouched(), (1, 9), 2, strides=2),
        lambda: equivlib.project(Untouched(), (1, 1, 2), (1, 9), strides=2),
        lambda: equivlib.tap_matrix((0, 0, 0), (1, 1, 10**12), (1, 10**12), strides=2),
        lambda: equivlib.operator_norm(Untouched(), (1, 9), strides=2),
        lambda: equivlib.norm_bounds(Untouched(), (1, 9), strides=2),
        lambda: layers.Conv(Untouched(), strides=2),
    ],
)
def test_an_unknown_option_is_refused_before_any_work(call):
    with pytest.raises(ValueError, match="did you mean stride"):
        call()


@pytest.mark.parametrize("layer", [layers.Conv, layers.ConvTranspose])
def test_a_layer_refuses_names_of_other_libraries_at_once(layer):
    with pytest.raises(ValueError, match=r"'full' is padding=\(4, 2\) here"):
        layer(WEIGHT, padding="full", dilation=2)
    with pytest.raises(ValueError, match="'wrap' is padding_mode='circular' here"):
        layer(WEIGHT, padding_mode="wrap")


def test_words_are_refused_without_an_input():
    check_words((3,), {"padding": "valid"})
    with pytest.raises(ValueError, match=r"^dilation \(=0\) must be an integer of at least 1"):
        check_words((3,), {"padding": "valid", "dilation": 0})


# --- the names of other libraries ---------------------------------------------------------------


def suggested(**given):
    """Return what the message says to write here: the keywords after each "is" or "and"."""
    weight, x = given.pop("weight"), given.pop("x")
    with pytest.raises(ValueError, match=r"^padding(_mode)? \(=") as refused:
        conv(x, weight, **given)
    _, said = str(refused.value).split("; ", 1)
    value = r"'[a-z_]+'|\d+|\(.*?\)+"
    found = re.findall(rf"(padding|padding_mode)=({value})(?= here|, dil|, \(dil| if)", said)
    return [{name: ast.literal_eval(value)} for name, value in found]


def dilated(kernel, dilation):
    """Return the kernel with zeros between its weights."""
    step = np.zeros([dilation * (k - 1) + 1 for k in kernel.shape], dtype=kernel.dtype)
    step[(slice(None, None, dilation),) * kernel.ndim] = kernel
    return step


def random_case(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(-9, 10, shape) for shape in shapes]


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [(1,), (3,), (4,), (3, 2), (2, 2), (1, 3)])
def test_full_is_that_of_scipy(kernel_size, dilation):
    x, kernel = random_case((7, 8)[: len(kernel_size)], kernel_size)
    given = {"weight": kernel[None, None], "x": x[None], "dilation": dilation}
    ((here),) = suggested(**given, padding="full")
    correlated = scipy.signal.correlate(x, dilated(kernel, dilation), "full", "direct")
    convolved = scipy.signal.convolve(x, dilated(kernel, dilation), "full", "direct")
    ours = conv(x[None], kernel[None, None], dilation=dilation, **here)
    flipped = conv(x[None], kernel[None, None], dilation=dilation, flip=True, **here)
    np.testing.assert_array_equal(ours[0], correlated)
    np.testing.assert_array_equal(flipped[0], convolved)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("taps", [1, 2, 3])
def test_causal_reads_the_present_and_the_past(taps, dilation, stride):
    x, kernel = random_case(9, taps)
    given = {"weight": kernel[None, None], "x": x[None], "dilation": dilation, "stride": stride}
    (here,) = suggested(**given, padding="causal")
    expected = [
        sum(
            kernel[taps - 1 - back] * x[now - dilation * back]
            for back in range(taps)
            if now >= dilation * back
        )
        for now in range(0, 9, stride)
    ]
    ours = conv(x[None], kernel[None, None], dilation=dilation, stride=stride, **here)
    np.testing.assert_array_equal(ours[0], expected)


def test_causal_in_two_axes_has_a_pair_for_each():
    weight, x = np.ones((1, 1, 3, 2)), np.ones((1, 5, 5))
    (here,) = suggested(weight=weight, x=x, padding="causal", dilation=2)
    assert here == {"padding": ((4, 0), (2, 0))}


MODES = "zeros, circular, reflect, replicate, symmetric"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"padding": "causal"},
            "; 'causal' is padding=((2, 0), (1, 0)) here, (dilation * (kernel - 1), 0) "
            "if every axis is causal, and (0, 0) for one that is not",
        ),
        ({"padding": "xyz"}, ", or one of valid, same, same_lower"),
        (
            {"padding": "NOTSET"},
            "; 'NOTSET' is padding=0 or the (low, high) pairs of the node's pads here",
        ),
        (
            {"padding": "Edge"},
            "; 'Edge' is padding_mode='replicate' here, beside a number in padding",
        ),
        (
            {"padding": "reflect"},
            "; 'reflect' is padding_mode='reflect' here, beside a number in padding",
        ),
        (
            {"padding_mode": "REFLECT"},
            "; 'REFLECT' is padding_mode='reflect' here, mirrored without its edge, as in "
            "TensorFlow, numpy and PyTorch",
        ),
        ({"padding_mode": "ZEROS"}, "; 'ZEROS' is padding_mode='zeros' here"),
        ({"padding_mode": "edge"}, "; 'edge' is padding_mode='replicate' here"),
        (
            {"padding_mode": "constant"},
            "; 'constant' is padding_mode='zeros' here (with the constant 0)",
        ),
        ({"padding_mode": "fill"}, "; 'fill' is padding_mode='zeros' here (with fillvalue 0)"),
        (
            {"padding_mode": "grid-constant"},
            "; 'grid-constant' is padding_mode='zeros' here (with cval 0)",
        ),
        (
            {"padding_mode": "wrap"},
            "; 'wrap' is padding_mode='circular' here (as in numpy.pad, ONNX, and the filters of "
            "scipy.ndimage; its interpolation differs)",
        ),
        (
            {"padding_mode": "mirror"},
            "; 'mirror' is padding_mode='reflect' here (in scipy.ndimage \"reflect\" is "
            "'symmetric' here, and \"mirror\" is 'reflect')",
        ),
        (
            {"padding_mode": "grid-mirror"},
            "; 'grid-mirror' is padding_mode='symmetric' here (in scipy.ndimage \"reflect\" is "
            "'symmetric' here, and \"mirror\" is 'reflect')",
        ),
        ({"padding_mode": "grid-wrap"}, "; 'grid-wrap' is padding_mode='circular' here"),
        ({"padding_mode": "nearest"}, "; 'nearest' is padding_mode='replicate' here"),
        ({"padding_mode": "symm"}, "; 'symm' is padding_mode='symmetric' here"),
        ({"padding_mode": "symmetrix"}, "; did you mean 'symmetric'?"),
        ({"padding_mode": "xyz"}, f"must be one of {MODES}"),
        ({"padding_mode": 1}, f"must be one of {MODES}"),
        ({"padding": (1, -1, 0, 0)}, "for each of 2 spatial axes"),
        ({"padding": (1, True, 0, 0)}, "for each of 2 spatial axes"),
        (
            {"padding": (0, 1, 0, 1)},
            "a flat list is padding=(0, 1) here if it is ONNX's pads (all low ends, then all high "
            "ends), and padding=((0, 1), (0, 1)) if it is that of PyTorch's F.pad (low and high "
            "end of the last axis, then of the one before it)",
        ),
        (
            {"padding": (1, 2, 3, 4)},
            "a flat list is padding=((1, 3), (2, 4)) here if it is ONNX's pads (all low ends, then "
            "all high ends), and padding=((3, 4), (1, 2)) if it is that of PyTorch's F.pad (low "
            "and high end of the last axis, then of the one before it)",
        ),
        ({"padding": (2, 2, 2, 2)}, "a flat list of two ends for each axis is padding=2 here"),
    ],
    ids=str,
)
def test_a_message_ends_with_what_is_known_and_no_more(given, said):
    with pytest.raises(ValueError, match=r"^padding(_mode)? \(=") as refused:
        conv(X, WEIGHT, **given)
    assert str(refused.value).endswith(said)


def test_along_one_axis_causal_needs_no_more_words():
    with pytest.raises(ValueError, match=r"is padding=\(\(1, 0\),\) here, \(dil.*- 1\), 0\)$"):
        conv(ONE, ROW, padding="causal")


@pytest.mark.parametrize(
    ("pairs", "form"),
    [
        (((1, 1), (1, 1)), 1),
        (((0, 0),), 0),
        (((1, 1), (2, 2)), (1, 2)),
        (((1, 1), (1, 2)), ((1, 1), (1, 2))),
        (((1, 2), (1, 2)), ((1, 2), (1, 2))),
    ],
)
def test_the_shortest_form_of_a_padding(pairs, form):
    assert options.shortest(pairs) == form


@pytest.mark.parametrize("word", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel_size", [(3, 2), (4, 4), (1, 5)])
def test_words_of_onnx_are_those_of_onnxruntime(word, stride, kernel_size):
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    x, weight = random_case((1, 1, 7, 8), (1, 1, *kernel_size))
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=word, strides=[stride] * 2)
    entries = [helper.make_tensor_value_info(name, kind, a.shape)
               for name, a in (("x", x), ("w", weight))]  # fmt: skip
    result = helper.make_tensor_value_info("y", kind, None)
    model = helper.make_model(
        helper.make_graph([node], "g", entries, [result]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"x": x.astype("f4"), "w": weight.astype("f4")})
    (here,) = suggested(weight=weight, x=x[0], stride=stride, padding=word)
    np.testing.assert_array_equal(conv(x[0], weight, stride=stride, **here), expected[0])


def test_same_of_tensorflow_has_the_size_and_the_offset_of_its_definition():
    # out = ceil(n / stride); the smaller half of the padding comes first.
    x, kernel = random_case(8, 3)
    (here,) = suggested(weight=kernel[None, None], x=x[None], stride=2, padding="SAME")
    low, high = 0, 1  # (4 - 1) * 2 + 3 - 8 = 1 element in all
    padded = np.pad(x, (low, high))
    expected = [kernel @ padded[o : o + 3] for o in range(0, 8, 2)]
    np.testing.assert_array_equal(conv(x[None], kernel[None, None], stride=2, **here)[0], expected)


@pytest.mark.parametrize("pads", [(1, 2, 0, 3), (2, 0, 1, 1), (0, 1, 0, 1), (2, 2, 2, 2)])
def test_a_flat_list_has_the_reading_of_onnx_and_that_of_pytorch(pads):
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    x, weight = random_case((1, 1, 5, 6), (1, 1, 2, 3))
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=pads)
    (as_onnx,) = ReferenceEvaluator(node).run(
        None, {"x": x.astype(float), "w": weight.astype(float)}
    )
    padded = torch.nn.functional.pad(torch.tensor(x), pads)
    as_torch = torch.nn.functional.conv2d(padded.double(), torch.tensor(weight).double()).numpy()
    readings = suggested(weight=weight, x=x[0], padding=pads)
    np.testing.assert_array_equal(conv(x[0], weight, **readings[0]), as_onnx[0])
    np.testing.assert_array_equal(conv(x[0], weight, **readings[-1]), as_torch[0])
    assert len(readings) == (1 if len(set(pads)) == 1 else 2)


@pytest.mark.parametrize("form", [tuple, list, np.array])
def test_for_one_axis_both_readings_of_a_flat_list_are_one(form):
    assert suggested(weight=ROW, x=ONE, padding=form((1, 2))) == [{"padding": ((1, 2),)}]


@pytest.mark.parametrize("padding", [(1, 2, 3), (1, 2, -1, 2), (1.0, 2, 1, 2), (True, 2, 1, 2)])
def test_what_is_no_flat_list_gets_no_reading(padding):
    with pytest.raises(ValueError, match=r"spatial axes$"):
        conv(X, WEIGHT, padding=padding)


NDIMAGE = ["wrap", "grid-wrap", "nearest", "mirror", "grid-mirror", "constant", "grid-constant"]


def mode_here(word):
    weight, x = np.ones((1, 1, 3)), np.ones((1, 5))
    (here,) = suggested(weight=weight, x=x, padding_mode=word)
    return here["padding_mode"]


@pytest.mark.parametrize("word", ["constant", "wrap", "edge"])
def test_modes_of_numpy(word):
    x, kernel = random_case((4, 5), (3, 3))
    padded = np.pad(x, 3, mode=word)
    expected = scipy.signal.correlate2d(padded, kernel, "valid")
    ours = conv(x[None], kernel[None, None], padding=3, padding_mode=mode_here(word))
    np.testing.assert_array_equal(ours[0], expected)


@pytest.mark.parametrize("word", NDIMAGE)
def test_modes_of_scipy_ndimage(word):
    x, kernel = random_case((4, 5), (5, 3))
    expected = scipy.ndimage.correlate(x, kernel, mode=word)
    ours = conv(x[None], kernel[None, None], padding=(2, 1), padding_mode=mode_here(word))
    np.testing.assert_array_equal(ours[0], expected)


@pytest.mark.parametrize("word", ["fill", "wrap", "symm"])
def test_boundaries_of_scipy_signal(word):
    x, kernel = random_case((4, 5), (3, 3))
    expected = scipy.signal.correlate2d(x, kernel, "same", boundary=word)
    ours = conv(x[None], kernel[None, None], padding=1, padding_mode=mode_here(word))
    np.testing.assert_array_equal(ours[0], expected)


def test_reflect_of_scipy_ndimage_is_symmetric_here_as_the_docstring_says():
    x, kernel = random_case((4, 5), (3, 3))
    filtered = scipy.ndimage.correlate(x, kernel, mode="reflect")
    ours = {
        mode: conv(x[None], kernel[None, None], padding=1, padding_mode=mode)[0]
        for mode in ("reflect", "symmetric")
    }
    np.testing.assert_array_equal(ours["symmetric"], filtered)
    assert (ours["reflect"] != filtered).any()
    with pytest.raises(ValueError, match=r"in scipy\.ndimage \"reflect\" is 'symmetric' here"):
        conv(x[None], kernel[None, None], padding_mode="mirror")


@pytest.mark.parametrize("word", ["REFLECT", "SYMMETRIC", "CONSTANT"])
def test_modes_of_tensorflow_are_those_of_numpy_in_capitals(word):
    x, kernel = random_case((4, 5), (3, 3))
    expected = scipy.signal.correlate2d(np.pad(x, 2, mode=word.lower()), kernel, "valid")
    ours = conv(x[None], kernel[None, None], padding=2, padding_mode=mode_here(word))
    np.testing.assert_array_equal(ours[0], expected)


def test_a_mode_in_the_place_of_the_padding_is_sent_to_its_own_option():
    assert suggested(weight=ROW, x=ONE, padding="wrap") == [{"padding_mode": "circular"}]
    with pytest.raises(ValueError, match="'wrap' is padding_mode='circular' here, beside"):
        conv(ONE, ROW, padding="wrap")
    with pytest.raises(ValueError, match="'reflect' is padding_mode='reflect' here, beside"):
        conv(ONE, ROW, padding="reflect")


def test_a_mode_that_is_nearly_spelled_and_one_that_is_not_known():
    with pytest.raises(ValueError, match=r"did you mean 'zeros'\?"):
        conv(ONE, ROW, padding_mode="zero")
    with pytest.raises(ValueError, match=r"symmetric$"):
        conv(ONE, ROW, padding_mode="linear_ramp")


# --- types --------------------------------------------------------------------------------------


def test_the_matrix_has_a_type_for_each_format():
    csr, dense, either = (
        inspect.signature(overload) for overload in typing.get_overloads(conv_matrix)
    )
    assert csr.parameters["format"].default == "csr"
    assert csr.return_annotation == "csr_array"
    assert dense.return_annotation == "Array"
    assert either.return_annotation == "csr_array | Array"


@pytest.mark.slow
def test_a_type_checker_names_the_nearest_option(tmp_path):
    api = pytest.importorskip("mypy.api")
    calls = ["conv(x, k, strides=2)", "layers.Conv(k, pading=1)"]
    source = "import numpy as np\nfrom equivlib import conv, layers\nx = k = np.ones((1, 1, 1))\n"
    file = tmp_path / "calls.py"
    file.write_text(source + "\n".join(calls))
    said, _, _ = api.run([str(file), "--cache-dir", str(tmp_path / "cache")])
    assert 'Unexpected keyword argument "strides" for "conv"; did you mean "stride"?' in said
    assert 'Unexpected keyword argument "pading" for "Conv"; did you mean "padding"?' in said
