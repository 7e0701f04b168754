"""Write a net as ONNX, so that any engine that reads ONNX can run it.

Each layer type is one function, here or in `onnx_forks`, registered by its name. The exported
shapes are the net's current ones. Needs the package `onnx`, which is not a dependency of Caffe.
"""

import math
import os
from typing import Any

import numpy as np

from caffe import onnx_forks  # noqa: F401 - it registers its converters
from caffe.build import Step
from caffe.errors import CaffeError
from caffe.formats import replacing
from caffe.layers.pool_windows import Windows
from caffe.net import Net
from caffe.onnx_graph import CONVERTERS, Graph, converts, linear, number, reshaped
from caffe.proto.caffe_pb2 import (
    EltwiseParameter,
    LRNParameter,
    PoolingParameter,
    ReductionParameter,
)

OPSET = 17


def export(net: Net, path: str | os.PathLike[str]) -> None:
    """Write a net as ONNX.

    Parameters
    ----------
    net : Net
        In the test phase, its inputs by Input layers.
    path : path

    Raises
    ------
    CaffeError
        If ONNX has no operator for some layers, which it names, or the file cannot be written.
    """
    graph = Graph(net)
    helper, kind = graph.onnx.helper, graph.onnx.TensorProto.FLOAT
    unknown = [s.layer for s in net.steps if s.layer.type not in {*CONVERTERS, "Input"}]
    if unknown:
        named = ", ".join(f"'{layer.name}' ({layer.type})" for layer in unknown)
        raise CaffeError(f"these layers have no operator in ONNX: {named}. Export the deploy net")
    for step in net.steps:
        if step.layer.type == "Input":
            for name in step.top_names:
                graph.give(name)
            continue
        inputs = [graph.value(name) for name in step.layer.param.bottom]
        results = CONVERTERS[step.layer.type](graph, step, inputs)
        results = [results] if isinstance(results, str) else results
        for name, result in zip(step.top_names, results, strict=True):
            graph.node("Identity", [result], graph.give(name))
    values = [
        [helper.make_tensor_value_info(n, kind, net.blobs[n].shape) for n in names]
        for names in (net.inputs, net.outputs)
    ]
    made = helper.make_graph(graph.nodes, net.name or "net", *values, graph.constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=opset, ir_version=9, producer_name="caffe")
    graph.onnx.checker.check_model(model)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


@converts("Split")
def _copies(graph: Graph, step: Step, inputs: list[str]) -> list[str]:
    return inputs * len(step.top)


@converts("Silence")
def _nothing(graph: Graph, step: Step, inputs: list[str]) -> list[str]:
    return []


@converts("Slice")
def _parts(graph: Graph, step: Step, inputs: list[str]) -> list[str]:
    axis = _axis_between(step)
    sizes = np.array([top.shape[axis] for top in step.top], np.int64)
    given = [*inputs, graph.constant(step.layer.name, sizes)]
    return graph.several("Split", given, len(step.top), axis=axis)


def _axis_between(step: Step) -> int:
    """Return the axis in which a Slice's tops differ from its bottom."""
    pairs = zip(step.bottom[0].shape, step.top[0].shape, strict=True)
    return next((i for i, (whole, part) in enumerate(pairs) if whole != part), 0)


def _blobs(graph: Graph, step: Step) -> list[str]:
    return [graph.constant(step.layer.name, blob.data.copy()) for blob in step.layer.blobs]


@converts("Convolution", "Deconvolution", "DepthwiseConvolution", "ConvolutionDepthwise")
def _filter(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    window, pad = layer.window, layer.window.pad
    if len(step.bottom) > 1 or layer.first_axis != 1 or not 1 <= len(pad) <= 3:
        raise layer.error("has no operator in ONNX with several bottoms or another axis than 1")
    kind = "ConvTranspose" if layer.transposed else "Conv"
    return graph.node(
        kind,
        inputs + _blobs(graph, step),
        kernel_shape=window.kernel,
        strides=window.stride,
        pads=[*pad, *pad],
        dilations=window.dilation,
        group=layer.groups,
    )


@converts("Pooling")
def _pooling(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    windows: Windows = layer.windows
    _, right, _, below = (max(0, margin) for margin in windows.margins)
    pads = [*windows.pad, below, right]
    shape: dict[str, Any] = {"kernel_shape": windows.kernel, "strides": windows.stride}
    pool = layer.param.pooling_param.pool
    if pool == PoolingParameter.STOCHASTIC or len(step.top) > 1:
        raise layer.error("has no operator in ONNX: stochastic, or with a mask")
    if pool == PoolingParameter.MAX:
        return graph.node("MaxPool", inputs, pads=pads, **shape)
    mean = graph.node("AveragePool", inputs, pads=pads, count_include_pad=1, **shape)
    areas = windows.areas(step.bottom[0].tensor).cpu().numpy().astype(np.float32)
    area = np.float32(math.prod(windows.kernel))
    if (areas == area).all():
        return mean
    # Caffe does not count positions beyond the padding.
    return graph.node("Mul", [mean, graph.constant(layer.name, area / areas)])


@converts("InnerProduct")
def _product(graph: Graph, step: Step, inputs: list[str]) -> str:
    weight, *bias = _blobs(graph, step)
    transposed = int(not step.layer.param.inner_product_param.transpose)
    inputs_of_one = math.prod(step.layer.blobs[0].shape) // step.top[0].shape[-1]
    flat = reshaped(graph, inputs[0], (-1, inputs_of_one))
    y = graph.node("Gemm", [flat, weight, *bias], transB=transposed)
    return reshaped(graph, y, step.top[0].shape)


@converts("Flatten", "Reshape")
def _reshape(graph: Graph, step: Step, inputs: list[str]) -> str:
    return reshaped(graph, inputs[0], step.top[0].shape)


@converts("ReLU")
def _relu(graph: Graph, step: Step, inputs: list[str]) -> str:
    slope = step.layer.param.relu_param.negative_slope
    return graph.node("LeakyRelu", inputs, alpha=slope) if slope else graph.node("Relu", inputs)


@converts("ReLU6")
def _relu6(graph: Graph, step: Step, inputs: list[str]) -> str:
    return graph.node("Clip", [*inputs, number(graph, 0), number(graph, 6)])


@converts("Clip")
def _clip(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.clip_param
    return graph.node("Clip", [*inputs, number(graph, param.min), number(graph, param.max)])


@converts("PReLU")
def _prelu(graph: Graph, step: Step, inputs: list[str]) -> str:
    slopes = step.layer.blobs[0].data.reshape(-1, *[1] * (len(step.bottom[0].shape) - 2))
    return graph.node("PRelu", [*inputs, graph.constant(step.layer.name, slopes)])


@converts("ELU")
def _elu(graph: Graph, step: Step, inputs: list[str]) -> str:
    return graph.node("Elu", inputs, alpha=step.layer.param.elu_param.alpha)


_PLAIN = {
    "Sigmoid": "Sigmoid",
    "TanH": "Tanh",
    "BNLL": "Softplus",
    "AbsVal": "Abs",
    "HardSwish": "HardSwish",
    "Erf": "Erf",
    "MatMul": "MatMul",
}


@converts(*_PLAIN)
def _plain(graph: Graph, step: Step, inputs: list[str]) -> str:
    return graph.node(_PLAIN[step.layer.type], inputs)


@converts("Mish")
def _mish(graph: Graph, step: Step, inputs: list[str]) -> str:
    gate = graph.node("Tanh", [graph.node("Softplus", inputs)])  # ONNX's own Mish is of set 18
    return graph.node("Mul", [*inputs, gate])


@converts("Swish")
def _swish(graph: Graph, step: Step, inputs: list[str]) -> str:
    beta = number(graph, step.layer.param.swish_param.beta)
    gate = graph.node("Sigmoid", [graph.node("Mul", [*inputs, beta])])
    return graph.node("Mul", [*inputs, gate])


@converts("Power")
def _power(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.power_param
    y = linear(graph, inputs[0], param.scale, param.shift)
    return y if param.power == 1 else graph.node("Pow", [y, number(graph, param.power)])


@converts("Exp")
def _exp(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.exp_param
    factor = 1 if param.base == -1 else math.log(param.base)
    return graph.node("Exp", [linear(graph, inputs[0], factor * param.scale, factor * param.shift)])


@converts("Log")
def _log(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.log_param
    y = graph.node("Log", [linear(graph, inputs[0], param.scale, param.shift)])
    return linear(graph, y, 1 if param.base == -1 else 1 / math.log(param.base), 0)


@converts("Threshold")
def _threshold(graph: Graph, step: Step, inputs: list[str]) -> str:
    above = graph.node(
        "Greater", [*inputs, number(graph, step.layer.param.threshold_param.threshold)]
    )
    return graph.node("Cast", [above], to=graph.onnx.TensorProto.FLOAT)


@converts("Permute", "Transpose")
def _permute(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    return graph.node("Transpose", inputs, perm=layer.order)


@converts("ShuffleChannel")
def _shuffle(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    groups, (n, c, *rest) = layer.extra().shuffle_channel_param.group, step.bottom[0].shape
    y = reshaped(graph, inputs[0], (n, groups, c // groups, *rest))
    y = graph.node("Transpose", [y], perm=[0, 2, 1, *range(3, 3 + len(rest))])
    return reshaped(graph, y, step.top[0].shape)


@converts("Tile")
def _tile(graph: Graph, step: Step, inputs: list[str]) -> str:
    pairs = zip(step.top[0].shape, step.bottom[0].shape, strict=True)
    times = np.array([after // before for after, before in pairs], np.int64)
    return graph.node("Tile", [*inputs, graph.constant(step.layer.name, times)])


@converts("Crop")
def _crop(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    parts = [part.indices(n)[:2] for part, n in zip(layer.part, step.bottom[0].shape, strict=True)]
    edges = [
        graph.constant(layer.name, np.array(edge, np.int64)) for edge in zip(*parts, strict=True)
    ]
    return graph.node("Slice", [inputs[0], *edges])


_REDUCTIONS = {
    ReductionParameter.SUM: "ReduceSum",
    ReductionParameter.ASUM: "ReduceL1",
    ReductionParameter.SUMSQ: "ReduceSumSquare",
    ReductionParameter.MEAN: "ReduceMean",
}


@converts("Reduction")
def _reduction(graph: Graph, step: Step, inputs: list[str]) -> str:
    param, kept = step.layer.param.reduction_param, step.top[0].shape
    rows = reshaped(graph, inputs[0], (*kept, -1))
    axis = [graph.constant(step.layer.name, np.array([len(kept)], np.int64))]
    kind = _REDUCTIONS[param.operation]
    # Until set 18 only ReduceSum has its axes as an input.
    settings: dict[str, Any] = {} if kind == "ReduceSum" else {"axes": [len(kept)]}
    given = [rows, *axis] if kind == "ReduceSum" else [rows]
    return linear(graph, graph.node(kind, given, keepdims=0, **settings), param.coeff, 0)


@converts("Dropout")
def _dropout(graph: Graph, step: Step, inputs: list[str]) -> str:
    return graph.node("Identity", inputs)


@converts("Softmax")
def _softmax(graph: Graph, step: Step, inputs: list[str]) -> str:
    return graph.node("Softmax", inputs, axis=step.layer.param.softmax_param.axis)


@converts("Concat")
def _concat(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    return graph.node("Concat", inputs, axis=layer.concat_axis)


@converts("Eltwise")
def _eltwise(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.eltwise_param
    if param.operation == EltwiseParameter.SUM:
        factors = list(param.coeff) or [1.0] * len(inputs)
        inputs = [
            x if factor == 1 else graph.node("Mul", [x, number(graph, factor)])
            for x, factor in zip(inputs, factors, strict=True)
        ]
    kind = {EltwiseParameter.SUM: "Add", EltwiseParameter.PROD: "Mul"}.get(param.operation, "Max")
    result = inputs[0]
    for x in inputs[1:]:
        result = graph.node(kind, [result, x])
    return result


@converts("BatchNorm")
def _batch_norm(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    if not layer.fixed:
        raise layer.error("uses the batch's statistics. Export the net of the test phase")
    mean, variance = (graph.constant(layer.name, v.cpu().numpy()) for v in layer.learnt())
    size = step.bottom[0].shape[1]
    ones = graph.constant(layer.name, np.ones(size, np.float32))
    zeros = graph.constant(layer.name, np.zeros(size, np.float32))
    given = [*inputs, ones, zeros, mean, variance]
    return graph.node("BatchNormalization", given, epsilon=layer.param.batch_norm_param.eps)


@converts("Scale", "Bias")
def _scale(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer: Any = step.layer
    spread = layer.broadcast
    small = [reshaped(graph, inputs[1], spread)] if len(inputs) > 1 else []
    small += [graph.constant(layer.name, blob.data.reshape(spread)) for blob in layer.blobs]
    kinds = ["Add"] if layer.type == "Bias" else ["Mul", "Add"]
    y = inputs[0]
    for kind, factor in zip(kinds, small, strict=False):
        y = graph.node(kind, [y, factor])
    return y


@converts("LRN")
def _lrn(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.lrn_param
    if param.norm_region != LRNParameter.ACROSS_CHANNELS:
        raise step.layer.error("has no operator in ONNX within a channel")
    return graph.node(
        "LRN", inputs, size=param.local_size, alpha=param.alpha, beta=param.beta, bias=param.k
    )
