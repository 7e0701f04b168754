"""The same pycaffe scripts in both engines: NetSpec's messages, including generated names.

A script ends with a net definition as `net`.
"""

from typing import Any

import pytest
from google.protobuf import text_format

from caffe.errors import CaffeError, RealCaffeRefused
from caffe.net_spec import param_name_dict
from caffe.proto.caffe_pb2 import NetParameter

BEGIN = """
import caffe
from caffe import layers as L, params as P, to_proto
from caffe.net_spec import NetSpec, Top, Function, assign_proto
n = caffe.NetSpec()
"""
LENET = """
def lenet(source, batch_size):
    n.data, n.label = L.Data(batch_size=batch_size, backend=P.Data.LMDB, source=source,
                             transform_param=dict(scale=1./255), ntop=2)
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type='xavier'))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=500, weight_filler=dict(type='xavier'))
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu1, num_output=10, weight_filler=dict(type='xavier'))
    n.loss = L.SoftmaxWithLoss(n.ip2, n.label)
    return n.to_proto()
net = lenet('mnist/train', 64)
"""
CAFFENET = """
def conv_relu(bottom, ks, nout, stride=1, pad=0, group=1):
    conv = L.Convolution(bottom, kernel_size=ks, stride=stride, num_output=nout, pad=pad,
                         group=group)
    return conv, L.ReLU(conv, in_place=True)
data, label = L.Data(source='db', backend=P.Data.LMDB, batch_size=256, ntop=2,
    transform_param=dict(crop_size=227, mean_value=[104, 117, 123], mirror=True))
conv1, relu1 = conv_relu(data, 11, 96, stride=4)
pool1 = L.Pooling(relu1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
norm1 = L.LRN(pool1, local_size=5, alpha=1e-4, beta=0.75)
conv2, relu2 = conv_relu(norm1, 5, 256, pad=2, group=2)
drop = L.Dropout(relu2, in_place=True)
fc = L.InnerProduct(drop, num_output=1000)
loss = L.SoftmaxWithLoss(fc, label)
net = to_proto(loss, L.Accuracy(fc, label))
"""
FIELDS = """
n.data = L.DummyData(shape=[dict(dim=[1, 3]), dict(dim=7)], data_filler=dict(type='uniform'))
n.conv = L.Convolution(n.data, num_output=2, kernel_size=[3, 5], pad=1,
    param=[dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0, name='b')],
    bias_term=False, include=dict(phase=caffe.TEST, stage=['a', 'b']), name='other',
    exclude=[dict(min_level=1), dict(not_stage='c')], loss_weight=0.5, propagate_down=[True],
    bias_filler=dict(type='constant', value=0.1, variance_norm=P.Filler.FAN_OUT))
n.up = L.Deconvolution(n.conv, convolution_param=dict(num_output=2, kernel_size=4, stride=2,
    weight_filler=dict(type='bilinear')), param=dict(lr_mult=0))
n.py = L.Python(n.up, module='m', layer='Mine', param_str=str(dict(a=1)), ntop=1)
n.lstm = L.LSTM(n.py, n.data, recurrent_param=dict(num_output=3))
n.elt = L.Eltwise(n.up, n.py, operation=P.Eltwise.SUM, coeff=[1, -1])
n.bn = L.BatchNorm(n.elt, use_global_stats=False, in_place=True)
n.loss = L.SigmoidCrossEntropyLoss(n.bn, n.py, loss_param=dict(ignore_label=3,
    normalization=P.Loss.VALID), phase=caffe.TRAIN)
net = n.to_proto()
"""
EMPTY = """
n.data = L.Data(transform_param=dict(), source='x', data_param=dict(prefetch=2))
n.x = L.InnerProduct(n.data, weight_filler=dict(), param=[dict(), dict(lr_mult=0)])
net = n.to_proto()
"""
NAMES = """
a, b = L.DummyData(ntop=2)
n['conv1/7x7'] = L.Convolution(a, num_output=1)
x = L.ReLU(L.InnerProduct(n['conv1/7x7']), in_place=True)
y = L.Dropout(x, in_place=True)
n.late = L.Concat(L.TanH(y), L.TanH(b), L.ReLU(b))
n.silence = L.Silence(y, ntop=0)
c, d, e = L.Slice(n.late, ntop=3, slice_point=[1, 2])
n.e = e
n.sum = L.Eltwise(c, d)
n.other = n.sum
n.two = L.Split(d, ntop=2)[1]
n.sum = L.TanH(n.sum)
net = n.to_proto()
"""
ORDER = """
x = L.Input(shape=dict(dim=[2, 3]))
split = L.Split(x, ntop=2)
left = L.Power(L.Power(split[0]), power=2, in_place=True)
right = L.Power(split[1], L.Input(), L.Input(), in_place=True, ntop=2)
net = to_proto(L.Power(right[1]), left, L.Power(x), left)
"""
TOPS = """
n.x = L.Input(ntop=1)
n.y = L.ReLU(n.x)
assert list(n.tops) == ['x', 'y'] and isinstance(n.y, Top) and isinstance(n.y.fn, Function)
assert n.tops['y'] is n.y and n['y'] is n.y and n.y.fn.inputs == (n.x,) and n.y.n == 0
assert n.y.fn.type_name == 'ReLU' and n.y.fn.params == {} and n.y.fn.ntop == 1
net = n.y.to_proto()
"""
ASSIGNED = """
from caffe.proto import caffe_pb2
net = caffe_pb2.NetParameter()
assign_proto(net, 'name', 'x')
assign_proto(net, 'input_dim', 3)
assign_proto(net, 'layer', [dict(name='l', top=['a', 'b'], relu_param=dict(negative_slope=1))])
assign_proto(net, 'layer', dict(name='k', top='c'))
assign_proto(net, 'state', dict(phase=P.Solver.CPU, stage='s'))
"""
SCRIPTS = {
    name: globals()[name]
    for name in ["LENET", "CAFFENET", "FIELDS", "EMPTY", "NAMES", "ORDER", "TOPS", "ASSIGNED"]
}
WRONG = {
    "a top of a pair": "L.TanH(L.Input(ntop=2))",
    "an unknown field": "to_proto(L.TanH(L.Input(), nam='x'))",
    "an unknown nested field": "to_proto(L.Convolution(weight_filler=dict(typ='x')))",
    "a value of another type": "to_proto(L.InnerProduct(num_output='a'))",
    "an unknown enum": "P.Pooling.MIN",
    "an unknown top": "n['x']",
}


def run(script: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(BEGIN + script, names)
    return names


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(real_caffe, name):
    script = SCRIPTS[name]
    real = real_caffe.script(f"{BEGIN}{script}\nresult = str(net)")
    assert run(script)["net"] == text_format.Parse(real, NetParameter())


@pytest.mark.parametrize("name", WRONG)
def test_both_refuse(real_caffe, name):
    with pytest.raises(RealCaffeRefused, match=r"^(Type|Attribute|Key|Value)Error: "):
        real_caffe.script(f"{BEGIN}{WRONG[name]}\nresult = ''")
    with pytest.raises(CaffeError):
        run(WRONG[name])


def test_names_of_settings(real_caffe):
    real = real_caffe.script("from caffe.net_spec import *\nresult = param_name_dict()")
    ours = param_name_dict()
    assert {name: ours.get(name) for name in real if name in ours} == {
        name: field for name, field in real.items() if name in ours
    }
    assert set(real) - set(ours) == {
        "CtcLoss",
        "ContinuationIndicator",
        "LabelsequenceAccuracy",
    }
