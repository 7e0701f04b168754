"""A small convolutional net and its solver, in files, for the commands' tests."""

from pathlib import Path

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 1 dim: 6 dim: 6 } shape { dim: 4 }
  data_filler { type: "gaussian" } data_filler { value: 1 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
  num_output: 2 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "ip1" type: "InnerProduct" bottom: "conv1" top: "ip1" inner_product_param {
  num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip1" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip1" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""
SOLVER = """
net: "{folder}/net.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "step" gamma: 0.5 stepsize: 4
display: 2 test_iter: 2 test_interval: 5 random_seed: 1 solver_mode: CPU
snapshot_prefix: "{folder}/s" {more}
"""


def written(folder: Path, more: str = "max_iter: 10", net: str = NET) -> Path:
    """Write net and solver into a folder; return the solver's file."""
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(SOLVER.format(folder=folder, more=more))
    return folder / "solver.prototxt"
