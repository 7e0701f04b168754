"""The layers, one family a file; importing this registers them all."""

from caffe.layers import (
    activation,
    conv,
    data,
    database,
    dense,
    embed,
    hdf5,
    im2col,
    image,
    join,
    loss,
    norm,
    pool,
    python,
    recurrent,
    reduce,
    shape,
)
from caffe.layers.base import Layer, registry

__all__ = [
    "Layer",
    "activation",
    "conv",
    "data",
    "database",
    "dense",
    "embed",
    "hdf5",
    "im2col",
    "image",
    "join",
    "loss",
    "norm",
    "pool",
    "python",
    "recurrent",
    "reduce",
    "registry",
    "shape",
]
