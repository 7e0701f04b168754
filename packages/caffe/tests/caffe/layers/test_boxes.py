"""PriorBox, DetectionOutput, MultiBoxLoss."""

import math

import numpy as np
import pytest

import caffe
from caffe.errors import LayerError
from caffe.layers.boxes import matched, overlaps
from tests.caffe.layer_case import Alone, Case, run, values
from tests.caffe.net_case import net

MAP, IMAGE = values(1, 2, 2, 3), values(1, 3, 40, 60)
PRIOR = "prior_box_param { min_size: 10 max_size: 20 aspect_ratio: 2 variance: 0.1 }"
# Three boxes side by side, a third of the image each, with SSD's usual variances.
BOXES = np.array([[0, 0, 1 / 3, 1], [1 / 3, 0, 2 / 3, 1], [2 / 3, 0, 1, 1]])
VARIANCES = np.array([[0.1, 0.1, 0.2, 0.2]] * 3)
PRIORS = np.stack([BOXES.ravel(), VARIANCES.ravel()])[None]
DELTAS, SCORES = values(2, 12, low=-1, high=1), values(2, 9)
OBJECTS = np.array(
    [[0, 1, 0, 0.05, 0.1, 0.35, 0.9, 0], [0, 2, 0, 0.7, 0, 1, 1, 0], [1, 2, 0, 0.3, 0, 0.6, 0.9, 1]]
).reshape(1, 1, 3, 8)
LOSS = "num_classes: 3 code_type: CENTER_SIZE"
OUTPUT = "num_classes: 3 code_type: CENTER_SIZE nms_param { nms_threshold: 0.4 top_k: 9 }"
CASES = [
    Case("PriorBox", PRIOR, (MAP, IMAGE), learns=()),
    Case(
        "DetectionOutput",
        f"detection_output_param {{ {OUTPUT} keep_top_k: 4 }}",
        (DELTAS, SCORES, PRIORS),
        learns=(),
    ),
    *(
        Case(
            "MultiBoxLoss",
            f"multibox_loss_param {{ {LOSS} {more} }}",
            (DELTAS, SCORES, PRIORS, OBJECTS),
            learns=(0, 1),
        )
        for more in (
            "",
            "mining_type: NONE loc_loss_type: L2 loc_weight: 2",
            "match_type: BIPARTITE neg_pos_ratio: 1 use_difficult_gt: false",
        )
    ),
    Case(
        "MultiBoxLoss",
        "multibox_loss_param { num_classes: 3 } loss_param { normalization: NONE }",
        (DELTAS, SCORES, PRIORS, OBJECTS),
        learns=(0, 1),
    ),
]


def test_boxes_around_each_position():
    (top,), _ = run(Case("PriorBox", PRIOR, (MAP, IMAGE)))
    assert top.shape == (1, 2, 2 * 3 * 4 * 4)
    middle, wide, narrow = math.sqrt(200), 10 * math.sqrt(2), 10 / math.sqrt(2)
    sizes = [(10, 10), (middle, middle), (wide, narrow), (narrow, wide)]
    # The first cell's centre is (10, 10): the image is 60 wide and 40 high, the map 3 x 2.
    expected = [
        [(10 - w / 2) / 60, (10 - h / 2) / 40, (10 + w / 2) / 60, (10 + h / 2) / 40]
        for w, h in sizes
    ]
    assert top[0, 0].reshape(-1, 4)[:4] == pytest.approx(np.array(expected))
    assert top[0, 0].reshape(2, 3, 4, 4)[1, 2, 0] == pytest.approx(
        [45 / 60, 25 / 40, 55 / 60, 35 / 40]
    )
    assert (top[0, 1] == np.float32(0.1)).all()


def test_settings_of_boxes():
    more = "min_size: 90 clip: true flip: false aspect_ratio: 2 aspect_ratio: 1 step: 8 offset: 0"
    more += " variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 img_size: 100"
    (top,), _ = run(Case("PriorBox", f"prior_box_param {{ {more} }}", (MAP, IMAGE)))
    boxes = top[0, 0].reshape(2, 3, 2, 4)
    assert boxes[0, 0, 0] == pytest.approx([0, 0, 0.45, 0.45])
    assert boxes[1, 2, 0] == pytest.approx([0, 0, 0.61, 0.53])
    assert top[0, 1, :4] == pytest.approx([0.1, 0.1, 0.2, 0.2])


def test_detections_by_hand():
    """The second prior moves right by half its width and overlaps the third by one third."""
    deltas = np.zeros((1, 12))
    deltas[0, 4] = 5  # 5 * 0.1 of the width
    scores = np.array([[[0.1, 0.7, 0.2], [0.1, 0.9, 0.0], [0.2, 0.8, 0.0]]]).reshape(1, 9)

    def rows(settings: str) -> np.ndarray:
        if "confidence" not in settings:
            settings += " confidence_threshold: 0.1"
        more = f"num_classes: 3 code_type: CENTER_SIZE {settings}"
        case = Case(
            "DetectionOutput", f"detection_output_param {{ {more} }}", (deltas, scores, PRIORS)
        )
        return run(case)[0][0][0, 0]

    best, first, third = (
        [0, 1, 0.9, 0.5, 0, 5 / 6, 1],
        [0, 1, 0.7, *BOXES[0]],
        [0, 1, 0.8, *BOXES[2]],
    )
    other = [0, 2, 0.2, *BOXES[0]]
    assert rows("nms_param { nms_threshold: 0.3 }") == pytest.approx(np.array([best, first, other]))
    assert rows("nms_param { nms_threshold: 0.4 }") == pytest.approx(
        np.array([best, third, first, other])
    )
    assert rows("nms_param { nms_threshold: 0.4 } keep_top_k: 2") == pytest.approx(
        np.array([best, third])
    )
    assert rows("nms_param { top_k: 1 }") == pytest.approx(np.array([best, other]))
    assert rows("confidence_threshold: 0.95").tolist() == [[0, *[-1] * 6]]


@pytest.mark.parametrize(
    ("code", "box"),
    [
        ("CORNER", [0.1, 0.2, 1 / 3 + 0.3 * 2, 1 + 0.4 * 2]),
        ("CORNER_SIZE", [0.1 / 3, 0.2, 1 / 3 + 0.6 / 3, 1.8]),
    ],
)
def test_codes_of_boxes(code, box):
    deltas = np.zeros((1, 12))
    deltas[0, :4] = [1, 2, 3, 4]
    scores = np.tile([0.0, 1], 3).reshape(1, 6) * [1, 1, 1, 0.5, 1, 0.5]
    settings = f"detection_output_param {{ num_classes: 2 code_type: {code} }}"
    (top,), _ = run(Case("DetectionOutput", settings, (deltas, scores, PRIORS)))
    assert top[0, 0, 0, 3:] == pytest.approx(box)


def test_matching():
    found = overlaps(BOXES, np.array([[0, 0, 0.4, 1], [0.5, 0, 1, 1.0]]))
    assert found[0, 0] == pytest.approx(1 / 3 / 0.4)
    assert found[1] == pytest.approx([(0.4 - 1 / 3) / (1 / 3 + 0.4 - (0.4 - 1 / 3)), 0.25])
    assert matched(found, 0.2, every=False).tolist() == [0, -1, 1]
    assert matched(found, 0.2, every=True).tolist() == [0, 1, 1]
    assert matched(np.zeros((3, 0)), 0.5, every=True).tolist() == [-1] * 3


def test_loss_by_hand():
    """One object on the first prior exactly; of the other two the worse one counts, too."""
    objects = np.array([0, 1, 0, *BOXES[0], 0.0]).reshape(1, 1, 1, 8)
    deltas = np.zeros((1, 12))
    deltas[0, :4] = [0.5, 2, 0, 0]
    scores = np.log([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]).reshape(1, 6)
    settings = "num_classes: 2 code_type: CENTER_SIZE neg_pos_ratio: 1"
    case = Case(
        "MultiBoxLoss",
        f"multibox_loss_param {{ {settings} }}",
        (deltas, scores, PRIORS, objects),
        learns=(0, 1),
    )
    (loss,), (boxes, classes) = run(case, np.ones(()))
    assert loss == pytest.approx(0.125 + 1.5 - math.log(0.5) - math.log(0.2))
    assert boxes[0, :4].tolist() == [0.5, 1, 0, 0]
    assert classes.reshape(3, 2) == pytest.approx(np.array([[0.5, -0.5], [0, 0], [-0.8, 0.8]]))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case("PriorBox", "", (MAP, IMAGE)), "needs min_size"),
        (
            Case("PriorBox", "prior_box_param { min_size: 9 max_size: 8 }", (MAP, IMAGE)),
            "above its",
        ),
        (Case("DetectionOutput", "", (DELTAS, SCORES, PRIORS)), "num_classes is missing"),
        (
            Case(
                "DetectionOutput",
                f"detection_output_param {{ {OUTPUT} }}",
                (DELTAS, DELTAS, PRIORS),
            ),
            "Needed for 3 priors and 3 classes: 12 and 9",
        ),
        (
            Case("MultiBoxLoss", f"multibox_loss_param {{ {LOSS} bp_inside: true }}", (MAP,) * 4),
            "bp_inside is True. Supported: False",
        ),
        (Case("MultiBoxLoss", f"multibox_loss_param {{ {LOSS} }}", (MAP,) * 4), "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(case, message):
    with pytest.raises(LayerError, match=message):
        Alone(case)


HEAD = """
layer {{ name: "loc{0}" type: "Convolution" bottom: "{1}" top: "loc{0}"
  convolution_param {{ num_output: {2} kernel_size: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "lp{0}" type: "Permute" bottom: "loc{0}" top: "lp{0}"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "lf{0}" type: "Flatten" bottom: "lp{0}" top: "lf{0}" }}
layer {{ name: "conf{0}" type: "Convolution" bottom: "{1}" top: "conf{0}"
  convolution_param {{ num_output: {3} kernel_size: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "cp{0}" type: "Permute" bottom: "conf{0}" top: "cp{0}"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "cf{0}" type: "Flatten" bottom: "cp{0}" top: "cf{0}" }}
layer {{ name: "pr{0}" type: "PriorBox" bottom: "{1}" bottom: "data" top: "pr{0}"
  prior_box_param {{ min_size: {4} {5} aspect_ratio: 2 variance: [0.1, 0.1, 0.2, 0.2] }} }}
"""
NET = (
    """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 3, 32, 32] } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1" convolution_param {
  num_output: 8 kernel_size: 3 pad: 1 stride: 8 weight_filler { type: "msra" } } }
layer { name: "r1" type: "ReLU" bottom: "c1" top: "c1" }
layer { name: "n1" type: "Normalize" bottom: "c1" top: "n1" norm_param {
  across_spatial: false scale_filler { value: 20 } channel_shared: false } }
layer { name: "dw" type: "DepthwiseConvolution" bottom: "c1" top: "dw" convolution_param {
  num_output: 8 group: 8 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "msra" } } }
"""
    + HEAD.format(1, "n1", 3 * 4, 3 * 3, 8, "")
    + HEAD.format(2, "dw", 4 * 4, 4 * 3, 16, "max_size: 24")
    + """
layer { name: "loc" type: "Concat" bottom: "lf1" bottom: "lf2" top: "loc" }
layer { name: "conf" type: "Concat" bottom: "cf1" bottom: "cf2" top: "conf" }
layer { name: "priors" type: "Concat" bottom: "pr1" bottom: "pr2" top: "priors"
  concat_param { axis: 2 } }
layer { name: "apart" type: "Reshape" bottom: "conf" top: "apart"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } include { phase: TEST } }
layer { name: "soft" type: "Softmax" bottom: "apart" top: "soft" softmax_param { axis: 2 }
  include { phase: TEST } }
layer { name: "flat" type: "Flatten" bottom: "soft" top: "flat" include { phase: TEST } }
layer { name: "out" type: "DetectionOutput" bottom: "loc" bottom: "flat" bottom: "priors" top: "out"
  include { phase: TEST } detection_output_param { num_classes: 3 code_type: CENTER_SIZE
  nms_param { nms_threshold: 0.45 top_k: 100 } keep_top_k: 20 confidence_threshold: 0.01 } }
layer { name: "objects" type: "DummyData" top: "objects" include { phase: TRAIN }
  dummy_data_param { shape { dim: [1, 1, 2, 8] } } }
layer { name: "loss" type: "MultiBoxLoss" bottom: "loc" bottom: "conf" bottom: "priors"
  bottom: "objects" top: "loss" include { phase: TRAIN }
  multibox_loss_param { num_classes: 3 code_type: CENTER_SIZE } propagate_down: true
  propagate_down: true propagate_down: false propagate_down: false }
"""
)


def test_a_detector_learns_its_objects_and_finds_them():
    caffe.set_random_seed(3)
    learning = net(NET)
    rng = np.random.default_rng(0)
    learning.blobs["data"].data[...] = rng.normal(size=(2, 3, 32, 32))
    objects = [[0, 1, 0, 0.1, 0.1, 0.4, 0.4, 0], [1, 2, 0, 0.5, 0.4, 0.9, 0.9, 0]]
    learning.blobs["objects"].data[...] = objects
    losses = []
    for _ in range(60):
        losses.append(learning.forward()["loss"].item())
        learning.clear_param_diffs()
        learning.backward()
        for blobs in learning.params.values():
            for blob in blobs:
                blob.data[...] -= 0.04 * np.clip(blob.diff, -1, 1)
    assert losses[-1] < 0.1 * losses[0]
    assert learning.blobs["priors"].shape == (1, 2, (4 * 4 * 3 + 2 * 2 * 4) * 4)
    testing = net(NET, caffe.TEST)
    testing.share_with(learning)
    found = testing.forward(data=learning.blobs["data"].data)["out"][0, 0]
    for item, kind, _, *box, _ in objects:
        best = max(found[found[:, 0] == item], key=lambda row: row[2])
        assert best[1] == kind
        assert overlaps(best[None, 3:], np.array([box]))[0, 0] > 0.7
