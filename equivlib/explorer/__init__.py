"""The linked picture: a layer beside its matrix, a network beside its perceptron."""

from .layer import Explorer, explore
from .network import NetworkExplorer, explore_network

__all__ = ["Explorer", "NetworkExplorer", "explore", "explore_network"]
