"""Read the classifiers of torchvision, and compare what is read with PyTorch.

python -m benchmarks.classifiers [NAME ...]

It needs ``torchvision==0.28.0``, which fits the pinned torch and is no dependency of the project.
Taken are all models for classification whose modules are affine or piecewise linear in inference;
their weights are random, their statistics those of one batch. Each is read from PyTorch, written
as a plain network (``to_plain``), and both are applied to an image; the size of their perceptron
is counted without building it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torchvision
from torch import nn

import equivlib
from equivlib.convert import conversion_table
from equivlib.interop.torch import from_torch

#: Modules that are neither affine nor piecewise linear in inference.
CURVED = (
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Sigmoid,
    nn.LayerNorm,
    nn.MultiheadAttention,
)
#: The side of the image; the stem of Inception takes nothing smaller than 75.
SIDE = 96


def models(names: Sequence[str]) -> Iterable[tuple[str, nn.Module]]:
    """Yield the classifiers that are piecewise linear, ready for inference."""
    for name in names or torchvision.models.list_models(module=torchvision.models):
        torch.manual_seed(0)
        builder = torchvision.models.get_model_builder(name)
        branched = name in {"googlenet", "inception_v3"}
        extra = {"aux_logits": False, "init_weights": True} if branched else {}
        model = builder(weights=None, **extra)
        if any(isinstance(module, CURVED) for module in model.modules()):
            continue
        with torch.no_grad():
            model(torch.randn(4, 3, SIDE, SIDE))  # in training, which sets the statistics
        yield name, model.eval()


def difference(y: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number expected."""
    return float(abs(y - expected).max() / abs(expected).max())


def examine(model: nn.Module) -> tuple[str, ...]:
    """Return what is measured of a model: sizes, differences, seconds."""
    start = time.process_time()
    x = np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE), dtype=np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x)).numpy()
    net = from_torch(model, (3, SIDE, SIDE))
    total = conversion_table(net).total
    read = difference(net(x), expected)
    plain = equivlib.to_plain(net)
    rewritten = difference(plain(x), expected)
    seconds = time.process_time() - start
    parameters = sum(p.numel() for p in model.parameters())
    return (
        f"{parameters:,}",
        f"{total.depth}",
        f"{total.stored:.2e}",
        f"{read:.0e}",
        f"{rewritten:.0e}",
        f"{seconds:.0f} s",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each classifier; the number is the exit code: 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.classifiers", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="of models; default: all")
    failed = 0
    heads = ["model", "parameters", "depth", "stored", "read", "plain", "processor"]
    print("| " + " | ".join(heads) + " |\n| --- |" + " ---: |" * (len(heads) - 1))
    for name, model in models(parser.parse_args(argv).names):
        try:
            cells = examine(model)
        except (ValueError, NotImplementedError, MemoryError) as error:
            failed += 1
            cells = (f"{type(error).__name__}: {error}",)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
