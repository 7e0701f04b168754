"""Layers with random settings and bottoms run, or raise one error that names the layer."""

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caffe
from caffe.layers import registry
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter
from tests.caffe.message_case import VALUES, messages

SMALL = VALUES | {
    FieldDescriptor.TYPE_FLOAT: st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.5]),
    FieldDescriptor.TYPE_INT32: st.integers(-3, 6),
    FieldDescriptor.TYPE_INT64: st.integers(-3, 6),
    FieldDescriptor.TYPE_UINT32: st.one_of(st.integers(0, 6), st.just(2**32 - 1)),
    FieldDescriptor.TYPE_STRING: st.sampled_from(["", "x", "xavier", "uniform", "/nowhere", "."]),
}
SHAPES = [[2, 3, 4, 4], [2, 3], [2], [], [1, 1, 1, 1], [2, 3, 0, 4], [2, 3, 5], [2, 1, 3, 4, 2]]
FIELDS = {
    field.message_type.name.removesuffix("Parameter"): field.name
    for field in LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param")
} | {
    "ConvolutionDepthwise": "convolution_param",
    "Deconvolution": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "Im2col": "convolution_param",
    "LSTM": "recurrent_param",
    "RNN": "recurrent_param",
    "SoftmaxWithLoss": "loss_param",
}
# Python layers run arbitrary code, and HDF5Output writes files.
TYPES = sorted(set(registry()) - {"Python", "HDF5Output"})


@st.composite
def nets(draw: st.DrawFn, kind: str) -> NetParameter:
    net = NetParameter(force_backward=draw(st.booleans()))
    names = [f"b{i}" for i in range(draw(st.integers(0, 3)))]
    for name in names:
        layer = net.layer.add(name=name, type="Input", top=[name])
        layer.input_param.shape.add(dim=draw(st.sampled_from(SHAPES)))
    layer = net.layer.add(name="any", type=kind, bottom=names)
    layer.top.extend(draw(st.lists(st.sampled_from([*names, "t", "u"]), max_size=2)))
    if kind in FIELDS:
        field = getattr(layer, FIELDS[kind])
        field.CopyFrom(draw(messages(type(field), values=SMALL)))
    return net


@pytest.mark.parametrize("kind", TYPES)
@settings(
    max_examples=settings.default.max_examples * 3 // 5, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_any_layer(kind, data):
    net = data.draw(nets(kind))
    try:
        made = caffe.Net(net, caffe.TRAIN)
        for name in made.inputs:
            made.blobs[name].data[...] = data.draw(st.integers(-1, 3))
        made.forward()
        made.backward()
    except caffe.CaffeError as error:
        assert "'any'" in str(error)  # noqa: PT017 - a random layer may be valid
