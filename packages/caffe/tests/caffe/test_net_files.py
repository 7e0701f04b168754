"""Weights in files: copying them, and refusing those that do not fit."""

import numpy as np
import pytest

import caffe
from caffe.errors import FormatError, ShapeError
from caffe.proto.caffe_pb2 import NetParameter
from tests.caffe.net_case import MLP, net


class TestFiles:
    def test_save_and_copy_from(self, tmp_path):
        first, second = net(), net()
        first.save(tmp_path / "w.caffemodel")
        second.copy_from(tmp_path / "w.caffemodel")
        for name in first.params:
            for mine, theirs in zip(first.params[name], second.params[name], strict=True):
                assert np.array_equal(mine.data, theirs.data)
        stored = NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
        assert stored.name == "mlp"
        assert [layer.name for layer in stored.layer] == list(first.layer_dict)

    def test_copy_from_by_layer_name(self, tmp_path):
        first = net()
        first.save(tmp_path / "w.caffemodel")
        other = net(
            MLP.replace('name: "ip2"', 'name: "new"').replace("num_output: 2", "num_output: 5")
        )
        before = other.params["new"][0].data.copy()
        other.copy_from(tmp_path / "w.caffemodel")
        assert np.array_equal(other.params["ip1"][0].data, first.params["ip1"][0].data)
        assert np.array_equal(other.params["new"][0].data, before)

    def test_copy_from_refuses_other_shapes(self, tmp_path):
        net().save(tmp_path / "w.caffemodel")
        with pytest.raises(ShapeError, match=r"w.caffemodel: layer 'ip1'.*\(4, 3\).*\(5, 3\)"):
            net(MLP.replace("num_output: 4", "num_output: 5")).copy_from(tmp_path / "w.caffemodel")

    def test_copy_from_refuses_another_number_of_blobs(self, tmp_path):
        net().save(tmp_path / "w.caffemodel")
        text = MLP.replace("num_output: 2", "num_output: 2 bias_term: false")
        with pytest.raises(ShapeError, match="layer 'ip2' has 2 blobs; the net's has 1"):
            net(text).copy_from(tmp_path / "w.caffemodel")

    def test_values_in_the_definition_are_used(self):
        blob = "blobs { shape { dim: 2 dim: 4 } data: [1,2,3,4,5,6,7,8] } blobs { data: [1, 2] }"
        made = net(MLP.replace('layer { name: "ip2"', f'layer {{ {blob} name: "ip2"'))
        assert made.params["ip2"][0].data.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]

    @pytest.mark.parametrize("length", [0, 1, 50, -1])
    def test_truncated_weights(self, tmp_path, length):
        net().save(tmp_path / "w.caffemodel")
        content = (tmp_path / "w.caffemodel").read_bytes()
        (tmp_path / "w.caffemodel").write_bytes(content[:length])
        with pytest.raises(FormatError, match=r"w.caffemodel: .*(truncated|holds no)"):
            net().copy_from(tmp_path / "w.caffemodel")

    def test_text_instead_of_weights(self, tmp_path):
        (tmp_path / "w.caffemodel").write_text(MLP)
        with pytest.raises(FormatError, match="w.caffemodel: .*NetParameter"):
            net().copy_from(tmp_path / "w.caffemodel")

    def test_weights_instead_of_text(self, tmp_path):
        net().save(tmp_path / "w.caffemodel")
        with pytest.raises(FormatError, match="w.caffemodel.*text"):
            caffe.Net(str(tmp_path / "w.caffemodel"), caffe.TEST)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FormatError, match="net.prototxt: cannot be read: No such file"):
            caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
