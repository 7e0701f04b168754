"""A small net that the tests of nets share."""

import numpy as np

import caffe
from caffe.formats import parse_text
from caffe.proto.caffe_pb2 import NetParameter

MLP = """
name: "mlp"
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "h" inner_product_param {
  num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "act" type: "Sigmoid" bottom: "h" top: "h" }
layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "y" inner_product_param {
  num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
layer { name: "acc" type: "Accuracy" bottom: "y" bottom: "label" top: "acc"
  include { phase: TEST } }
"""
X = np.array([[1.0, -2, 3], [0.5, 1, -1]], np.float32)
LABEL = np.array([1.0, 0], np.float32)


def parse(text: str) -> NetParameter:
    return parse_text(text, NetParameter())


def net(text: str = MLP, phase: int = caffe.TRAIN, **options: object) -> caffe.Net:
    return caffe.Net(parse(text), phase, **options)


def run(made: caffe.Net) -> dict[str, np.ndarray]:
    return made.forward(x=X, label=LABEL)
