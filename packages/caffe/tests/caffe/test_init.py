"""The names that `import caffe` provides."""

import caffe


def test_names_of_pycaffe():
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    assert caffe.__version__ == "1.0.0"
    assert "InnerProduct" in caffe.layer_type_list()
    assert all(hasattr(caffe, name) for name in caffe.__all__)
    caffe.set_mode_cpu()
