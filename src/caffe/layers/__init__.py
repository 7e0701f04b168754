"""The layers, one family a file; importing this registers them all."""

from caffe.layers import activation, data, dense, loss, shape
from caffe.layers.base import Layer, registry

__all__ = ["Layer", "activation", "data", "dense", "loss", "registry", "shape"]
