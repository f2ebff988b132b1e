"""The layers of a network, and the network: forward and backward, for any number of axes."""

from .activations import LeakyReLU, ReLU, ReLU6, Sigmoid, Softmax, Tanh
from .affine import Conv, ConvTranspose, Dense
from .base import Layer
from .network import Add, Network
from .normalization import BatchNorm
from .pooling import AdaptiveAvgPool, AvgPool, MaxPool
from .rearrange import Flatten, Rearrange

__all__ = [
    "AdaptiveAvgPool",
    "Add",
    "AvgPool",
    "BatchNorm",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "Network",
    "ReLU",
    "ReLU6",
    "Rearrange",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
