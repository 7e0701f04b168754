"""Sources; nets that read from them are compared in test_mlp.py and test_data.py."""

from tests.caffe.layer_case import Case

CASES: list[Case] = []
REFUSED: list[Case] = []
# These draw other random numbers than real Caffe, or need files.
TESTED_ELSEWHERE = {
    *("Input", "DummyData", "MemoryData", "HDF5Data", "HDF5Output"),
    *("Data", "ImageData", "WindowData"),
}
