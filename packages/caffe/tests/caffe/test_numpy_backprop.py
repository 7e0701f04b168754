"""A net trained here equals the same net trained by backpropagation in plain numpy."""

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.proto.caffe_pb2 import SolverParameter

SOLVER = """
base_lr: 0.2 momentum: 0.9 weight_decay: 0.01 lr_policy: "step" gamma: 0.5 stepsize: 40
random_seed: 5 net_param {
  layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 50 dim: 6 } } }
  layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 50 } } }
  layer { name: "ip1" type: "InnerProduct" bottom: "x" top: "a" inner_product_param {
    num_output: 8 weight_filler { type: "xavier" } } }
  layer { name: "s1" type: "Sigmoid" bottom: "a" top: "a" }
  layer { name: "ip2" type: "InnerProduct" bottom: "a" top: "b" inner_product_param {
    num_output: 8 weight_filler { type: "xavier" } } }
  layer { name: "s2" type: "Sigmoid" bottom: "b" top: "b" }
  layer { name: "ip3" type: "InnerProduct" bottom: "b" top: "y" inner_product_param {
    num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }
}
"""
LAYERS = ("ip1", "ip2", "ip3")


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class HandWritten:
    """Two hidden layers of sigmoids and a softmax, in double precision."""

    def __init__(self, weights: list[np.ndarray]) -> None:
        self.weights = [w.astype(np.float64) for w in weights]
        self.velocity = [np.zeros_like(w) for w in self.weights]

    def step(self, x: np.ndarray, label: np.ndarray, rate: float) -> float:
        """Update the weights once; return the loss before the update."""
        w1, b1, w2, b2, w3, b3 = self.weights
        h1 = sigmoid(x @ w1.T + b1)  # (n, 8)
        h2 = sigmoid(h1 @ w2.T + b2)  # (n, 8)
        y = h2 @ w3.T + b3  # (n, 2)
        p = np.exp(y - y.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        n = len(x)
        loss = -np.log(p[np.arange(n), label]).mean()
        d3 = p.copy()
        d3[np.arange(n), label] -= 1
        d3 /= n
        d2 = d3 @ w3 * h2 * (1 - h2)
        d1 = d2 @ w2 * h1 * (1 - h1)
        gradients = [d1.T @ x, d1.sum(0), d2.T @ h1, d2.sum(0), d3.T @ h2, d3.sum(0)]
        for w, v, gradient in zip(self.weights, self.velocity, gradients, strict=True):
            v *= 0.9
            v += rate * (gradient + 0.01 * w)
            w -= v
        return float(loss)


def test_training_equals_backpropagation_in_numpy():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 6)).astype(np.float32)
    label = (x[:, 0] * x[:, 1] + x[:, 2] > 0).astype(int)
    solver = caffe.SGDSolver(text_format.Parse(SOLVER, SolverParameter()))
    solver.net.blobs["x"].data[...] = x
    solver.net.blobs["label"].data[...] = label
    blobs = [blob for name in LAYERS for blob in solver.net.params[name]]
    by_hand = HandWritten([blob.data for blob in blobs])
    for i in range(100):
        solver.step(1)
        loss = by_hand.step(x.astype(np.float64), label, 0.2 * 0.5 ** (i // 40))
        assert float(solver.net.blobs["loss"].data) == pytest.approx(loss, rel=2e-6)
    for blob, expected in zip(blobs, by_hand.weights, strict=True):
        assert blob.data == pytest.approx(expected, rel=1e-4, abs=1e-5)
