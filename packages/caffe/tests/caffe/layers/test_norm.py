"""MVN, BatchNorm, Normalize."""

import numpy as np
import pytest
import torch
from google.protobuf import text_format

import caffe
from caffe.blob import Blob
from caffe.errors import LayerError
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter
from tests.caffe.layer_case import Alone, Case, run, values

MAPS = values(3, 2, 4, 3)


def mvn(settings: str, x: np.ndarray = MAPS, **more) -> Case:
    return Case("MVN", f"mvn_param {{ {settings} }}", (x,), **more)


def batch_norm(settings: str, x: np.ndarray = MAPS, **more) -> Case:
    return Case("BatchNorm", f"batch_norm_param {{ {settings} }}", (x,), **more)


CASES = [
    *(
        mvn(settings, in_place=in_place)
        for settings in ("", "across_channels: true", "normalize_variance: false")
        for in_place in (False, True)
    ),
    *(
        batch_norm(settings, x, in_place=in_place, phase=phase)
        for settings, x, phase in (
            ("", MAPS, TRAIN),
            ("eps: 0.1", values(7, 3), TRAIN),
            ("", MAPS, TEST),
            ("use_global_stats: true eps: 0.5", MAPS, TRAIN),
            ("use_global_stats: false", values(2, 3, 2, 3, 2), TEST),
        )
        for in_place in (False, True)
    ),
    Case("Normalize", bottoms=(MAPS,)),
]


def test_mvn_by_hand():
    x = np.array([[[[1.0, 3]], [[10, 30]]]])
    tops, bottoms = run(mvn("", x), np.array([[[[1.0, 0]], [[0, 1]]]]))
    assert tops[0] == pytest.approx(np.array([[[[-1, 1]], [[-1, 1]]]]))
    assert bottoms[0] == pytest.approx(np.zeros((1, 2, 1, 2)), abs=1e-8)
    tops, bottoms = run(mvn("normalize_variance: false", x), np.array([[[[1.0, 0]], [[0, 1]]]]))
    assert tops[0].tolist() == [[[[-1, 1]], [[-10, 10]]]]
    assert bottoms[0].tolist() == [[[[0.5, -0.5]], [[-0.5, 0.5]]]]


def test_mvn_across_channels():
    tops, _ = run(mvn("across_channels: true"))
    assert tops[0].mean((1, 2, 3)) == pytest.approx(np.zeros(3), abs=1e-12)
    assert tops[0].std((1, 2, 3)) == pytest.approx(np.ones(3))


def test_mvn_adds_eps_to_the_deviation():
    tops, _ = run(mvn("eps: 0.5"))
    expected = (MAPS - MAPS.mean((2, 3), keepdims=True)) / (MAPS.std((2, 3), keepdims=True) + 0.5)
    assert tops[0] == pytest.approx(expected, rel=1e-6)


def test_batch_norm_by_hand():
    x = np.array([[1.0, 0], [3, 4], [5, 8]])
    tops, bottoms = run(batch_norm("eps: 1e-12", x), np.array([[1.0, 0], [0, 0], [0, 0]]))
    unit = np.sqrt(3 / 2)
    assert tops[0] == pytest.approx(np.array([[-unit, -unit], [0, 0], [unit, unit]]))
    # (1, 0, 0) minus its mean and its component along the top, (5/6, -1/3, -1/6), over the
    # deviation
    expected = np.array([1 / 6, -1 / 3, 1 / 6]) / np.sqrt(8 / 3)
    assert bottoms[0] == pytest.approx(np.stack([expected, np.zeros(3)], 1), abs=1e-9)


def test_batch_norm_accumulates_its_statistics():
    alone = Alone(batch_norm("moving_average_fraction: 0.5"))
    mean, variance = MAPS.mean((0, 2, 3)), MAPS.var((0, 2, 3), ddof=1)
    for total in (1, 1.5, 1.75):
        alone.forward()
        found = [blob.data for blob in alone.layer.blobs]
        assert found[0] == pytest.approx(total * mean, rel=1e-6)
        assert found[1] == pytest.approx(total * variance, rel=1e-6)
        assert found[2].tolist() == [total]


def test_what_unset_memory_held_is_not_in_the_statistics(monkeypatch):
    alone = Alone(batch_norm(""))
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)  # now unset memory is NaN
    try:
        alone.forward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert alone.layer.blobs[0].data == pytest.approx(MAPS.mean((0, 2, 3)), rel=1e-6)
    assert alone.layer.blobs[1].data == pytest.approx(MAPS.var((0, 2, 3), ddof=1), rel=1e-6)


@pytest.mark.parametrize("x", [MAPS, values(9, 4), values(4, 3, 2, 3, 2, low=20, high=30)])
@pytest.mark.parametrize("in_place", [False, True])
def test_batch_norm_equals_torch(x, in_place):
    diff = values(*x.shape, seed=1)
    given = torch.tensor(x, requires_grad=True)
    mean, variance = torch.zeros(x.shape[1]).double(), torch.zeros(x.shape[1]).double()
    expected = torch.nn.functional.batch_norm(given, mean, variance, None, None, True, 1.0, 1e-3)
    expected.backward(torch.tensor(diff))
    alone = Alone(batch_norm("eps: 1e-3", x, in_place=in_place))
    assert alone.forward()[0] == pytest.approx(expected.detach().numpy(), rel=1e-6)
    assert alone.backward([diff])[0] == pytest.approx(given.grad.numpy(), rel=1e-6, abs=1e-9)
    assert alone.layer.blobs[0].data == pytest.approx(mean.numpy())
    assert alone.layer.blobs[1].data == pytest.approx(variance.numpy())


def test_memory_format_is_kept_and_changes_nothing():
    x, diff = (torch.from_numpy(values(3, 4, 5, 6, seed=seed)) for seed in (0, 1))
    for case in CASES[:3] + [batch_norm("", x.numpy()), batch_norm("", x.numpy(), phase=TEST)]:
        results = []
        for memory_format in (torch.contiguous_format, torch.channels_last):
            alone = Alone(Case(case.type, case.settings, (x.numpy(),), phase=case.phase))
            blobs = [Blob(x.shape, torch.float64) for _ in range(2)]
            blobs[0].set_data(x.to(memory_format=memory_format))
            alone.layer.forward(blobs[:1], blobs[1:])
            blobs[1].set_diff(diff.to(memory_format=memory_format))
            alone.layer.backward(blobs[1:], [True], blobs[:1])
            results.append((blobs[1].tensor, blobs[0].grad))
            assert all(t.is_contiguous(memory_format=memory_format) for t in results[-1])
        for found, expected in zip(*results, strict=True):
            np.testing.assert_allclose(found.cpu(), expected.cpu(), rtol=1e-9, atol=1e-12)


def test_the_variance_of_one_value_is_zero():
    alone = Alone(batch_norm("", np.array([[2.0, 3]])))
    assert alone.forward()[0].tolist() == [[0, 0]]
    assert [blob.data.tolist() for blob in alone.layer.blobs] == [[2, 3], [0, 0], [1]]


@pytest.mark.parametrize(("settings", "phase"), [("", TEST), ("use_global_stats: true", TRAIN)])
@pytest.mark.parametrize("in_place", [False, True])
def test_batch_norm_by_its_statistics(settings, phase, in_place):
    case = batch_norm(f"eps: 2 {settings}", phase=phase, in_place=in_place)
    blobs = [np.array([1.0, -3]), np.array([4.0, 10]), np.array([2.0])]
    tops, bottoms = run(case, MAPS, blobs=blobs)
    mean, variance = (np.array(pair).reshape(2, 1, 1) for pair in ([0.5, -1.5], [2, 5]))
    assert tops[0] == pytest.approx((MAPS - mean) / np.sqrt(variance + 2))
    assert bottoms[0] == pytest.approx(MAPS / np.sqrt(variance + 2))


def test_a_second_training_step_in_place_has_its_own_values():
    x, diff = values(5, 2, 3, 3), values(5, 2, 3, 3, seed=1)
    apart, within = Alone(batch_norm("", x)), Alone(batch_norm("", x, in_place=True))
    for scale in (1, 2):
        results = []
        for alone in (apart, within):
            alone.bottom[0].data[...] = scale * x**scale
            results.append((alone.forward()[0], alone.backward([diff])[0]))
        assert np.array_equal(results[0][0], results[1][0])
        assert np.array_equal(results[0][1], results[1][1])


def test_statistics_have_no_gradient():
    text = (
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 3 dim: 2 } } } '
        'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" }'
    )
    net = caffe.Net(text_format.Parse(text, NetParameter()), caffe.TRAIN)
    assert [(known.lr, known.lr_mult) for known in net.learnable_params] == [(0, 0)] * 3
    assert [spec.lr_mult for spec in net.to_proto().layer[1].param] == [0, 0, 0]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (mvn("", values(1, 1, 1, 2, 2)), r"bottom has shape \(1, 1, 1, 2, 2\)\. Allowed: 1 to 4"),
        (batch_norm("", values(3)), r"bottom has shape \(3,\)\. Allowed: 2 axes or more"),
        (
            Case("BatchNorm", "param { lr_mult: 0 } param { decay_mult: 0 }", (MAPS,)),
            r"param 1 has lr_mult 1\. Allowed: 0",
        ),
        (Case("Normalize", bottoms=(values(3),)), r"shape \(3,\)\. Allowed: 2 axes or more"),
        (Case("Normalize", bottoms=(MAPS,), in_place=True), "its top is its bottom"),
    ],
)
def test_bad_settings_are_refused(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .*: .*{message}"):
        Alone(case)


@pytest.mark.parametrize("kind", ["BatchNorm"])
def test_a_changed_number_of_channels_is_refused(kind):
    alone = Alone(Case(kind, bottoms=(MAPS,)))
    alone.bottom[0].reshape(3, 5, 4, 3)
    with pytest.raises(LayerError, match=r"shape \(3, 5, 4, 3\)\. Needed: 2 channels"):
        alone.forward()


NORM = {
    "across_spatial: true": np.sqrt(30),
    "across_spatial: false": np.sqrt([[[[1 + 9, 4 + 16]]]]),
}


@pytest.mark.parametrize(("settings", "norm"), NORM.items())
@pytest.mark.parametrize("shared", ["true", "false"])
def test_normalize(tmp_path, settings, norm, shared):
    (tmp_path / "net.prototxt").write_text(
        'force_backward: true layer { name: "x" type: "Input" top: "x" input_param { shape { '
        "dim: 1 dim: 2 dim: 1 dim: 2 } } } "
        f'layer {{ name: "l" type: "Normalize" bottom: "x" top: "y" norm_param {{ {settings} '
        f"channel_shared: {shared} scale_filler {{ value: 20 }} }} }}"
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    x = np.array([[[[1.0, 2]], [[3, 4]]]])
    found = net.forward(x=x)["y"]
    assert found == pytest.approx(20 * x / norm, rel=1e-6)
    net.blobs["y"].diff[...] = found
    scale = net.params["l"][0]
    net.backward()
    # The gradient along the top itself, its length, is 0.
    assert net.blobs["x"].diff == pytest.approx(np.zeros((1, 2, 1, 2)), abs=1e-3)
    along = (found * x / norm).sum((0, 2, 3))
    assert scale.diff == pytest.approx(along.sum() if shared == "true" else along, rel=1e-5)
