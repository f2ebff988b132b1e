"""The layers of a network, and the network: forward and backward, for any number of axes."""

from .activations import LeakyReLU, ReLU, ReLU6, Sigmoid, Softmax, Tanh
from .affine import Conv, ConvTranspose, Dense
from .base import Layer
from .network import Add, Concat, Maximum, Network
from .normalization import BatchNorm
from .pooling import AdaptiveAvgPool, AvgPool, MaxPool, Resample
from .rearrange import Flatten, Rearrange

__all__ = [
    "AdaptiveAvgPool",
    "Add",
    "AvgPool",
    "BatchNorm",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "Maximum",
    "Network",
    "ReLU",
    "ReLU6",
    "Rearrange",
    "Resample",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
