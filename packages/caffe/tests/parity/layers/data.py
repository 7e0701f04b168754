"""Sources, whose parity is that of the nets they feed: test_mlp.py, and test_data.py."""

from tests.caffe.layer_case import Case

CASES: list[Case] = []
REFUSED: list[Case] = []
# The numbers that these draw are not real Caffe's, or they need files.
TESTED_ELSEWHERE = {
    *("Input", "DummyData", "MemoryData", "HDF5Data", "HDF5Output"),
    *("Data", "ImageData", "WindowData"),
}
