"""Layers of forks, and the rarer ones of Caffe, as operators of ONNX."""

from typing import Any

import numpy as np

from caffe.build import Step
from caffe.layers.channels import mirrored
from caffe.layers.upsample import cubic
from caffe.onnx_graph import Graph, converts, linear, reshaped
from caffe.proto.caffe_pb2 import TRAIN
from caffe.proto.forks_pb2 import BNParameter, PadParameter


@converts("Normalize")
def _normalize(graph: Graph, step: Step, inputs: list[str]) -> str:
    param, axes = step.layer.extra().norm_param, len(step.bottom[0].shape)
    summed = list(range(1, axes)) if param.across_spatial else [1]
    square = graph.node("ReduceSumSquare", inputs, axes=summed, keepdims=1)
    unit = graph.node("Div", [*inputs, graph.node("Sqrt", [linear(graph, square, 1, param.eps)])])
    scale = step.layer.blobs[0].data.reshape(-1, *[1] * (axes - 2))
    return graph.node("Mul", [unit, graph.constant(step.layer.name, scale)])


@converts("MVN")
def _mvn(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.mvn_param
    axes = [1, 2, 3] if param.across_channels else [2, 3]
    x = reshaped(graph, inputs[0], step.top[0].shape)
    y = graph.node("Sub", [x, graph.node("ReduceMean", [x], axes=axes, keepdims=1)])
    if not param.normalize_variance:
        return y
    square = graph.node("ReduceMean", [graph.node("Mul", [y, y])], axes=axes, keepdims=1)
    return graph.node("Div", [y, linear(graph, graph.node("Sqrt", [square]), 1, param.eps)])


@converts("BN")
def _bn(graph: Graph, step: Step, inputs: list[str]) -> str:
    layer, param = step.layer, step.layer.extra().bn_param
    scale, shift, *running = (blob.data.astype(np.float64) for blob in layer.blobs)
    if not running and param.bn_mode != BNParameter.INFERENCE:
        raise layer.error("uses the batch's statistics. Export the net with bn_mode: INFERENCE")
    if running and layer.phase == TRAIN and not param.frozen:
        raise layer.error("uses the batch's statistics. Export the net of the test phase")
    if running:
        mean, variance = running
        scale = scale / np.sqrt(variance + param.eps)
        shift = shift - mean * scale
    shape = (-1, *[1] * (len(step.bottom[0].shape) - 2))
    factors = [
        graph.constant(layer.name, each.astype(np.float32).reshape(shape))
        for each in (scale, shift)
    ]
    return graph.node("Add", [graph.node("Mul", [*inputs, factors[0]]), factors[1]])


@converts("Axpy")
def _axpy(graph: Graph, step: Step, inputs: list[str]) -> str:
    scale = reshaped(graph, inputs[0], (*step.bottom[1].shape[:2], 1, 1))
    return graph.node("Add", [graph.node("Mul", [scale, inputs[1]]), inputs[2]])


@converts("Pad")
def _pad(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.extra().pad_param
    if param.padtype == PadParameter.REFLECT:  # ONNX's omits the edge
        for axis in (2, 3):
            places = mirrored(step.bottom[0].shape[axis], param.pad)
            inputs = [
                graph.node("Gather", [*inputs, graph.constant(step.layer.name, places)], axis=axis)
            ]
        return inputs[0]
    mode = "constant" if param.padtype == PadParameter.ZERO else "edge"
    sides = graph.constant(step.layer.name, np.array([0, 0, param.pad, param.pad] * 2, np.int64))
    return graph.node("Pad", [*inputs, sides], mode=mode)


@converts("Reverse")
def _reverse(graph: Graph, step: Step, inputs: list[str]) -> str:
    axis = step.layer.extra().reverse_param.axis
    # From the last value down to before the first: the end is clamped.
    edges = ([-1], [np.iinfo(np.int64).min], [axis], [-1])
    given = [graph.constant(step.layer.name, np.array(each, np.int64)) for each in edges]
    return graph.node("Slice", [*inputs, *given])


@converts("Interp")
def _interp(graph: Graph, step: Step, inputs: list[str]) -> str:
    param, (h, w) = step.layer.extra().interp_param, step.bottom[0].shape[2:]
    first = -param.pad_beg
    ends = ([first, first], [h + param.pad_end, w + param.pad_end], [2, 3])
    edges = [graph.constant(step.layer.name, np.array(each, np.int64)) for each in ends]
    cut = graph.node("Slice", [inputs[0], *edges]) if first or param.pad_end else inputs[0]
    return _resized(graph, step, cut, mode="linear", coordinate_transformation_mode="align_corners")


@converts("ImResize")
def _im_resize(graph: Graph, step: Step, inputs: list[str]) -> str:
    sizes, wanted = step.bottom[0].shape, step.top[0].shape[2:]
    if sizes[0] != 1 or step.layer.extra().imresize_param.start_scale != 1:
        raise step.layer.error("has no operator in ONNX for several scales")
    rows, columns = (
        graph.constant(step.layer.name, cubic(*each).astype(np.float32))
        for each in zip(sizes[2:], wanted, strict=True)
    )
    wide = graph.node("MatMul", [inputs[0], graph.node("Transpose", [columns], perm=[1, 0])])
    return graph.node("MatMul", [rows, wide])


@converts("Upsample")
def _upsample(graph: Graph, step: Step, inputs: list[str]) -> str:
    if len(inputs) > 1:
        raise step.layer.error("has no operator in ONNX with a second bottom, a pooling's mask")
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _resized(graph, step, inputs[0], mode="nearest", **how)


def _resized(graph: Graph, step: Step, value: str, **how: Any) -> str:
    sizes = graph.constant(step.layer.name, np.array(step.top[0].shape, np.int64))
    return graph.node("Resize", [value, "", "", sizes], **how)


@converts("Embed")
def _embed(graph: Graph, step: Step, inputs: list[str]) -> str:
    table, *bias = (graph.constant(step.layer.name, blob.data) for blob in step.layer.blobs)
    y = graph.node("Gather", [table, _indexes(graph, inputs[0])])
    return graph.node("Add", [y, *bias]) if bias else y


@converts("BatchReindex")
def _reindex(graph: Graph, step: Step, inputs: list[str]) -> str:
    return graph.node("Gather", [inputs[0], _indexes(graph, inputs[1])])


def _indexes(graph: Graph, value: str) -> str:
    return graph.node("Cast", [value], to=graph.onnx.TensorProto.INT64)


@converts("ArgMax")
def _arg_max(graph: Graph, step: Step, inputs: list[str]) -> str:
    param = step.layer.param.argmax_param
    if param.top_k != 1:
        raise step.layer.error("has no operator in ONNX for several: their ties have another order")
    whole = not param.HasField("axis")
    x = reshaped(graph, inputs[0], (step.bottom[0].shape[0], -1)) if whole else inputs[0]
    axis = 1 if whole else param.axis
    place = graph.node("ArgMax", [x], axis=axis, keepdims=1, select_last_index=1)
    results = [graph.node("Cast", [place], to=graph.onnx.TensorProto.FLOAT)]
    if param.out_max_val:
        values = graph.node("ReduceMax", [x], axes=[axis], keepdims=1)
        results = [*results, values] if whole else [values]
    y = graph.node("Concat", results, axis=1) if len(results) > 1 else results[0]
    return reshaped(graph, y, step.top[0].shape)


@converts("PriorBox", "Parameter")
def _fixed(graph: Graph, step: Step, inputs: list[str]) -> str:
    """Store what depends on no value: boxes of these shapes, or a learnt blob."""
    step.forward()
    return graph.constant(step.layer.name, step.top[0].data)
