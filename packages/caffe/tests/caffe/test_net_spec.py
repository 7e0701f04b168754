"""NetSpec: definitions written in Python."""

import copy

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.errors import CaffeError
from caffe.proto.caffe_pb2 import NetParameter


def parse(text: str) -> NetParameter:
    return text_format.Parse(text, NetParameter())


def test_flags_count_as_numbers_and_unknown_tops_are_attribute_errors():
    made = caffe.NetSpec()
    made.data = L.Input(shape={"dim": [1, True]})
    assert list(made.to_proto().layer[0].input_param.shape[0].dim) == [1, 1]
    with pytest.raises(AttributeError, match="no top 'nope'"):
        del made.nope


def test_a_net():
    n = caffe.NetSpec()
    n.data, n.label = L.HDF5Data(source="rows.txt", batch_size=10, ntop=2)
    n.ip = L.InnerProduct(n.data, num_output=3, weight_filler={"type": "xavier"})
    n.act = L.ReLU(n.ip, in_place=True, negative_slope=0.5)
    n.loss = L.SoftmaxWithLoss(n.act, n.label, loss_weight=2)
    assert n.to_proto() == parse("""
        layer { name: "data" type: "HDF5Data" top: "data" top: "label"
          hdf5_data_param { source: "rows.txt" batch_size: 10 } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
          inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
        layer { name: "act" type: "ReLU" bottom: "ip" top: "ip"
          relu_param { negative_slope: 0.5 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss"
          loss_weight: 2 }
    """)


def test_definitions_can_be_built():
    n = caffe.NetSpec()
    n.x = L.Input(shape={"dim": [2, 3]})
    n.y = L.Sigmoid(L.InnerProduct(n.x, num_output=4), in_place=True)
    net = caffe.Net(n.to_proto(), caffe.TEST)
    assert net.forward()["InnerProduct1"].shape == (2, 4)


def test_field_values_of_every_kind():
    top = L.Convolution(
        L.Input(shape=[{"dim": [1, 2]}, {"dim": 3}], ntop=1),
        num_output=4,
        kernel_size=3,
        stride=[1, 2],
        param=[{"lr_mult": 1, "decay_mult": 0}, {"lr_mult": 2}],
        weight_filler={"type": "gaussian", "std": 0.1, "variance_norm": 1},
        include={"phase": caffe.TEST},
        name="conv",
    )
    assert caffe.to_proto(top) == parse("""
        layer { name: "Input1" type: "Input" top: "Input1"
          input_param { shape { dim: 1 dim: 2 } shape { dim: 3 } } }
        layer { name: "conv" type: "Convolution" bottom: "Input1" top: "Convolution1"
          param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 2 } include { phase: TEST }
          convolution_param { num_output: 4 kernel_size: 3 stride: 1 stride: 2
            weight_filler { type: "gaussian" std: 0.1 variance_norm: FAN_OUT } } }
    """)


def test_enums_and_loss_settings():
    pool = L.Pooling(L.Input(), pool=P.Pooling.AVE, kernel_size=2)
    loss = L.SoftmaxWithLoss(
        pool, L.Input(), loss_param={"normalization": P.Loss.NONE, "ignore_label": 3}
    )
    written = caffe.to_proto(loss).layer
    assert written[1].pooling_param.pool == P.Pooling.AVE == 1
    assert written[3].loss_param.normalization == P.Loss.NONE == 3


def test_layers_without_tops_and_names():
    n = caffe.NetSpec()
    n.x = L.Input()
    n.silence = L.Silence(n.x, ntop=0)
    written = n.to_proto().layer[1]
    assert (written.name, list(written.bottom), list(written.top)) == ("silence", ["x"], [])


def test_names_by_attribute_and_by_item():
    n = caffe.NetSpec()
    n["conv1/7x7"] = L.Input()
    n.y = L.TanH(n["conv1/7x7"])
    assert list(n.tops) == ["conv1/7x7", "y"]
    assert n.to_proto().layer[1].bottom == ["conv1/7x7"]
    del n.y
    del n["conv1/7x7"]
    assert list(n.tops) == []


def test_one_top_under_two_names_takes_the_first():
    n = caffe.NetSpec()
    n.a = L.Input()
    n.b = n.a
    n.c = L.TanH(n.b)
    assert [layer.name for layer in n.to_proto().layer] == ["b", "c"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda: L.InnerProduct("x"), "InnerProduct input 0 is not a Top .*str"),
        (lambda: caffe.to_proto(L.TanH(L.Input(), nam="x")), "TanH: .*no field 'nam'"),
        (lambda: caffe.to_proto(L.InnerProduct(L.Input(), num_output="a")), "num_output='a'"),
        (
            lambda: caffe.to_proto(L.TanH(*L.Input(ntop=2)[:1], engine="GPU")),
            "TanH: engine='GPU': allowed: DEFAULT, CAFFE, CUDNN",
        ),
        (
            lambda: caffe.to_proto(L.Convolution(weight_filler={"typ": "xavier"})),
            "Convolution: FillerParameter has no field 'typ'",
        ),
        (lambda: caffe.to_proto(L.Reshape(shape=3)), "Reshape: shape=3: "),
        (lambda: P.Pooling.MIN, "Pooling has no value 'MIN'"),
        (lambda: P.Poling.MAX, "no PolingParameter in caffe.proto"),
    ],
)
def test_errors_name_the_layer_and_the_field(write, message):
    with pytest.raises(CaffeError, match=message):
        write()


def test_no_such_top():
    n = caffe.NetSpec()
    with pytest.raises(AttributeError, match="no top 'x'"):
        _ = n.x
    with pytest.raises(KeyError, match="no top 'x'"):
        _ = n["x"]
    assert not hasattr(n, "x")


def test_errors_are_instances_of_pycaffes():
    with pytest.raises(TypeError, match="TanH input 0 is not a Top .type is <class 'tuple'>"):
        L.TanH(L.Input(ntop=2))
    with pytest.raises(AttributeError, match="no field 'nam'"):
        caffe.to_proto(L.TanH(L.Input(), nam="x"))


def test_a_spec_can_be_copied():
    n = caffe.NetSpec()
    n.x = L.Input(shape={"dim": 3})
    assert copy.deepcopy(n).to_proto() == n.to_proto()


def test_numpy_numbers_and_tuples():
    shape = {"dim": tuple(np.array([2, 3]))}
    top = L.Power(L.Input(shape=shape), power=np.float32(0.5), scale=np.int64(3))
    written = caffe.to_proto(top).layer
    assert list(written[0].input_param.shape[0].dim) == [2, 3]
    assert (written[1].power_param.power, written[1].power_param.scale) == (0.5, 3)


def test_names_of_settings():
    names = caffe.net_spec.param_name_dict()
    assert names["InnerProduct"] == "inner_product"
    assert names["Transformation"] == "transform"
    assert "Deconvolution" not in names
