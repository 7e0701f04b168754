"""The mode, and values that are on a device and in host memory.

The device here keeps double precision, so that every value that goes there or comes back is a real
copy, and one that was not sent would be found at once.
"""

import numpy as np
import pytest
import torch

import caffe
from caffe.__main__ import main
from caffe.blob import Blob
from caffe.device import Device, current, use
from caffe.errors import CaffeError
from tests.caffe.net_case import LABEL, X, net, run
from tests.caffe.test_solver import NET, solver, weights
from tests.caffe.tools.small import written

DATA = NET.replace('type: "gaussian"', "value: 0.3")
DOUBLE = Device("cpu", torch.Tensor.double, torch.Tensor.float)


@pytest.fixture
def device():
    use(DOUBLE)
    yield DOUBLE
    use(None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu():
    with pytest.raises(CaffeError, match=r"set_mode_gpu\(\): .*no CUDA.*Allowed: set_mode_cpu"):
        caffe.set_mode_gpu()
    with pytest.raises(CaffeError, match=r"set_device\(3\): .*no CUDA"):
        caffe.set_device(3)
    caffe.set_mode_cpu()
    assert current() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_same():
    made = net()
    before = run(made)["loss"].copy()
    made.backward()
    gradient = made.params["ip1"][0].diff.copy()
    made.clear_param_diffs()
    try:
        caffe.set_mode_gpu()
        assert run(made)["loss"] == pytest.approx(before, rel=1e-5)
        made.backward()
        assert made.blobs["y"].tensor.is_cuda
        assert made.params["ip1"][0].diff == pytest.approx(gradient, rel=1e-4, abs=1e-6)
        with pytest.raises(CaffeError, match=r"set_device\(99\): .* Allowed: 0 to"):
            caffe.set_device(99)
    finally:
        caffe.set_mode_cpu()


class TestSync:
    def test_layer_reads_what_the_script_wrote(self, device):
        blob = Blob((2,))
        blob.data[...] = [1, 2]
        assert blob.tensor.dtype == torch.float64
        assert blob.tensor.tolist() == [1, 2]

    def test_script_reads_what_a_layer_wrote(self, device):
        blob = Blob((2,))
        view = blob.data
        blob.set_data(torch.tensor([3.0, 4]))
        assert view.tolist() == [0, 0]  # downloaded on access, as in Caffe
        assert blob.data.tolist() == [3, 4]
        assert view.tolist() == [3, 4]
        assert np.shares_memory(view, blob.data)
        assert view.dtype == np.float32

    def test_changed_in_place_by_a_layer(self, device):
        blob = Blob((2,))
        blob.diff[...] = 1
        blob.grad.add_(2)
        assert blob.diff.tolist() == [3, 3]
        blob.grad.add_(2)
        assert blob.diff.tolist() == [5, 5]

    def test_writes_after_a_new_access_are_uploaded(self, device):
        blob = Blob((2,))
        blob.set_data(torch.tensor([3.0, 4]))
        blob.data[0] = 7
        assert blob.tensor.tolist() == [7, 4]

    def test_writes_without_a_new_access_are_not_uploaded(self, device):
        # As in Caffe, the device's copy is the newest until `data` is accessed.
        blob = Blob((2,))
        view = blob.data
        blob.set_data(torch.tensor([3.0, 4]))
        view[0] = 7
        assert blob.tensor.tolist() == [3, 4]

    def test_shared(self, device):
        first, second, third = Blob((2, 3)), Blob((2, 3)), Blob((6,))
        second.share_data(first)
        third.share_data(first)
        first.data[...] = 1
        assert third.tensor.tolist() == [1] * 6
        second.set_data(torch.full((2, 3), 2.0))
        assert third.data.tolist() == first.data.ravel().tolist() == [2] * 6
        third.data[5] = 9
        assert second.tensor[1, 2].item() == 9

    def test_reshape(self, device):
        blob = Blob((2, 3))
        blob.data[...] = np.arange(6).reshape(2, 3)
        blob.reshape(3, 2)
        assert blob.tensor.tolist() == [[0, 1], [2, 3], [4, 5]]
        blob.reshape(4)
        assert blob.data.shape == (4,)

    def test_blobs_follow_the_mode(self):
        blob = Blob((2,))
        view = blob.data
        view[...] = [1, 2]
        blob.follow(DOUBLE)
        assert blob.tensor.tolist() == [1, 2]
        blob.set_data(torch.tensor([3.0, 4]))
        blob.follow(None)
        assert view.tolist() == [3, 4]
        assert blob.tensor.dtype == torch.float32
        assert np.shares_memory(view, blob.data)


def test_a_net_follows_the_mode():
    made = net()
    weights = made.params["ip1"][0].data
    expected = run(made)["loss"].copy()
    made.backward()
    gradient = made.params["ip1"][0].diff.copy()
    made.clear_param_diffs()
    try:
        use(DOUBLE)
        assert run(made)["loss"] == pytest.approx(expected, rel=1e-6)
        assert made.blobs["y"].tensor.dtype == torch.float64
        made.backward()
        assert made.params["ip1"][0].diff == pytest.approx(gradient, rel=1e-4, abs=1e-8)
        made.params["ip1"][0].data[...] = 0
        made.params["ip2"][0].data[...] = 0
        assert run(made)["loss"] == pytest.approx(np.log(2), rel=1e-6)
        assert made.blobs["loss"].tensor.item() == pytest.approx(np.log(2), rel=1e-7)
    finally:
        use(None)
    assert run(made)["loss"] == pytest.approx(np.log(2), rel=1e-6)
    assert made.blobs["y"].tensor.dtype == torch.float32
    assert np.shares_memory(weights, made.params["ip1"][0].data)


def test_net_built_on_the_device(device, tmp_path):
    made = net()
    assert made.params["ip1"][0].tensor.dtype == torch.float64
    out = made.forward(x=X, label=LABEL)["loss"].copy()
    made.save(tmp_path / "w.caffemodel")
    use(None)
    again = net(weights=tmp_path / "w.caffemodel")
    assert run(again)["loss"] == pytest.approx(out, rel=1e-6)


def test_nets_that_share_weights_follow_together():
    first, second = net(), net()
    second.share_with(first)
    try:
        use(DOUBLE)
        expected = run(first)["loss"].copy()
        assert run(second)["loss"] == pytest.approx(expected, rel=1e-12)
        first.params["ip1"][0].data[...] *= -1
        assert run(second)["loss"] != pytest.approx(expected, rel=1e-3)
    finally:
        use(None)


def test_dropout_draws_from_the_devices_generator(device):
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1000 } } }'
    made = net(text + 'layer { name: "d" type: "Dropout" bottom: "x" top: "y" }')
    draws = []
    for seed in (1, 1, 2):
        caffe.set_random_seed(seed)
        draws.append(made.forward(x=np.ones(1000, np.float32))["y"].copy())
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert set(draws[0].tolist()) == {0.0, 2.0}


class TestSolver:
    SETTINGS = 'base_lr: 0.1 lr_policy: "fixed" weight_decay: 0.01 momentum: 0.9 random_seed: 1 '

    @pytest.mark.parametrize("kind", ["SGD", "Adam"])
    @pytest.mark.parametrize("before", [0, 3, 10], ids=["first", "between", "last"])
    def test_switching_devices_does_not_change_training(self, kind, before):
        expected = solver(self.SETTINGS, DATA, kind)
        expected.step(10)
        made = solver(self.SETTINGS, DATA, kind)
        made.step(before)
        try:
            use(DOUBLE)
            made.step(10 - before)
            made.net.run_forward()
            assert made.net.params["ip1"][0].tensor.dtype == torch.float64
        finally:
            use(None)
        for first, second in zip(weights(expected), weights(made), strict=True):
            assert second == pytest.approx(first, rel=1e-4, abs=1e-6)

    def test_a_snapshot_taken_on_a_device(self, device, tmp_path):
        settings = f'{self.SETTINGS} snapshot_prefix: "{tmp_path / "s"}"'
        made = solver(settings, DATA)
        made.step(3)
        made.snapshot()
        other = solver(settings, DATA)
        other.restore(tmp_path / "s_iter_3.solverstate")
        use(None)
        third = solver(settings, DATA)
        third.restore(tmp_path / "s_iter_3.solverstate")
        third.step(2)
        use(device)
        other.step(2)
        for first, second in zip(weights(third), weights(other), strict=True):
            assert second == pytest.approx(first, rel=1e-4, abs=1e-6)


class Exhausts(caffe.Layer):
    """Fails as torch does where the memory of a device does not suffice."""

    def forward(self, bottom, top):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")


def test_too_little_memory_names_a_batch_that_would_fit():
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 64 dim: 8 } } }'
    python = 'python_param { module: "tests.caffe.test_device" layer: "Exhausts" }'
    made = net(f'{text} layer {{ name: "y" type: "Python" bottom: "x" top: "y" {python} }}')
    with pytest.raises(CaffeError, match=r"a batch of 64 take 0\.0 GiB.* Try a batch of 32$"):
        made.run_forward()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_commands_compute_on_the_gpu(tmp_path, capsys):
    path = written(tmp_path)
    model = f"-model={tmp_path / 'net.prototxt'}"
    try:
        assert main(["train", f"-solver={path}", "-gpu=0"]) == 0
        snapshot = tmp_path / "s_iter_10.solverstate"
        written(tmp_path, "max_iter: 14")
        assert main(["train", f"-solver={path}", f"-snapshot={snapshot}"]) == 0
        weights = f"-weights={tmp_path / 's_iter_14.caffemodel'}"
        assert main(["test", model, weights, "-iterations=2", "-gpu=0"]) == 0
        assert main(["time", model, "-iterations=2", "-gpu=0"]) == 0
        assert main(["device_query", "-gpu=0"]) == 0
    finally:
        caffe.set_mode_cpu()
    printed = capsys.readouterr()
    assert printed.err.count("Use GPU with device ID 0") == 3
    assert "Total global memory" in printed.out
