"""What `import caffe` gives."""

import pytest

import caffe
from caffe.errors import CaffeError


def test_names_of_pycaffe():
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert caffe.__version__ == "1.0.0"
    assert "InnerProduct" in caffe.layer_type_list()
    assert all(hasattr(caffe, name) for name in caffe.__all__)
    caffe.set_mode_cpu()


def test_no_gpu():
    with pytest.raises(CaffeError, match=r"set_mode_gpu: .* processor only. Allowed: set_mode_cpu"):
        caffe.set_mode_gpu()
    with pytest.raises(CaffeError, match=r"set_device\(3\): .* processor only"):
        caffe.set_device(3)
