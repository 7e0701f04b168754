"""ROIPooling, PSROIPooling, Proposal, SmoothL1Loss."""

import numpy as np
import pytest

from caffe.errors import LayerError
from caffe.layers.regions import anchors, suppressed
from tests.caffe.layer_case import Alone, Case, run, values

MAPS = values(2, 3, 6, 7)
REGIONS = np.array([[0, 0, 0, 5, 5], [1, 2, 1, 11, 9], [0, 6, 3, 6, 3], [1, 30, 30, 40, 40.0]])
POOLED = "roi_pooling_param { pooled_h: 2 pooled_w: 3 spatial_scale: 0.5 }"
SENSITIVE = "psroi_pooling_param { spatial_scale: 0.5 output_dim: 3 group_size: 2 }"
SCORES, DELTAS = values(1, 18, 3, 4), values(1, 36, 3, 4, seed=1, low=-0.3, high=0.3)
IMAGE = np.array([[48.0, 64, 1]])
PAIR = values(3, 4), values(3, 4, seed=1)
CASES = [
    Case("ROIPooling", POOLED, (MAPS, REGIONS)),
    Case("PSROIPooling", SENSITIVE, (values(2, 12, 6, 7), REGIONS)),
    Case("Proposal", "", (SCORES, DELTAS, IMAGE), tops=2, learns=()),
    Case("SmoothL1Loss", "", PAIR, learns=(0, 1)),
    Case("SmoothL1Loss", "", (*PAIR, values(3, 4, seed=2)), learns=(0, 1)),
    Case(
        "SmoothL1Loss",
        "smooth_l1_loss_param { sigma: 3 }",
        (*PAIR, values(3, 4, seed=2), np.abs(values(3, 4, seed=3))),
        learns=(0, 1),
    ),
]


def test_maxima_of_regions():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    region = np.array([[0.0, 0, 0, 2, 2]])  # 3 x 3 pixels, in bins of 1.5 that overlap
    settings = "roi_pooling_param { pooled_h: 2 pooled_w: 2 }"
    (top,), (grad,) = run(Case("ROIPooling", settings, (x, region)), np.ones((1, 1, 2, 2)))
    assert top[0, 0].tolist() == [[5, 6], [9, 10]]
    assert np.flatnonzero(grad).tolist() == [5, 6, 9, 10]
    tie = np.ones((1, 1, 4, 4))
    _, (grad,) = run(Case("ROIPooling", settings, (tie, region)), np.ones((1, 1, 2, 2)))
    assert np.flatnonzero(grad).tolist() == [0, 1, 4, 5]  # the first of equal values
    far = np.array([[0.0, 20, 20, 30, 30]])
    (top,), (grad,) = run(Case("ROIPooling", settings, (x, far)), np.ones((1, 1, 2, 2)))
    assert not top.any()
    assert not grad.any()


def test_each_bin_has_its_own_channels():
    x = np.arange(8.0).reshape(1, 8, 1, 1) * np.ones((1, 8, 4, 4))
    settings = "psroi_pooling_param { spatial_scale: 1 output_dim: 2 group_size: 2 }"
    case = Case("PSROIPooling", settings, (x, np.array([[0.0, 0, 0, 3, 3]])))
    (top,), (grad,) = run(case, np.ones((1, 2, 2, 2)))
    assert top[0].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert grad[0, 1].tolist() == [[0, 0, 0.25, 0.25]] * 2 + [[0] * 4] * 2


def test_anchors_are_the_published_ones():
    expected = [
        *([-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199]),
        *([-56, -56, 71, 71], [-120, -120, 135, 135], [-248, -248, 263, 263]),
        *([-36, -80, 51, 95], [-80, -168, 95, 183], [-168, -344, 183, 359]),
    ]
    assert anchors(16, [0.5, 1, 2], [8, 16, 32]).tolist() == expected


def test_better_boxes_suppress_others():
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 8], [5, 0, 14, 9], [20, 20, 29, 29.0]])
    assert suppressed(boxes, 0.7, 9) == [0, 2, 3]
    assert suppressed(boxes, 0.3, 9) == [0, 3]
    assert suppressed(boxes, 0.95, 2) == [0, 1]


def test_proposals_by_hand():
    """One anchor of 16 x 16 at each of 1 x 3 cells; the second moves right by half its width."""
    settings = "proposal_param { ratio: 1 scale: 1 min_size: 8 nms_thresh: 0.3 }"
    scores = np.array([[0.5] * 3, [0.1, 0.9, 0.6]]).reshape(1, 2, 1, 3)
    deltas = np.zeros((1, 4, 1, 3))
    deltas[0, 0, 0, 1] = 0.5
    case = Case("Proposal", settings, (scores, deltas, np.array([[16.0, 48, 1]])), 2, learns=())
    (regions, kept), _ = run(case)
    assert kept.ravel().tolist() == [0.9, 0.1]
    # The third anchor, cut to 32..47, shares 9 columns with the moved one: 9 / 24 is above 0.3.
    assert regions.tolist() == [[0, 24, 0, 40, 15], [0, 0, 0, 16, 15]]


def test_small_boxes_have_the_score_0():
    """Of 16 x 16 and 32 x 16 pixels with a scale of 1.5 for the height and 1 for the width."""
    settings = "proposal_param { ratio: 1 scale: 1 min_size: 17 feat_stride: 64 }"
    scores = np.array([[0.5] * 2, [0.9, 0.6]]).reshape(1, 2, 1, 2)
    deltas = np.zeros((1, 4, 1, 2))
    deltas[0, 2:, 0, 1] = np.log(2)
    case = Case("Proposal", settings, (scores, deltas, np.array([[99.0, 199, 1, 1.5]])), 2, ())
    (regions, kept), _ = run(case)
    assert kept.ravel().tolist() == [0.6, 0]
    assert regions.tolist() == [[0, 56, 0, 88, 24], [0, 0, 0, 16, 16]]


def test_anchors_round_halves_up():
    width = anchors(32, [0.5], [1])[0]
    assert (width[2:] - width[:2] + 1).tolist() == [45, 23]


def test_the_threshold_of_suppression_falls():
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 6], [20, 0, 29, 9], [20, 0, 29, 6.0]])
    assert suppressed(boxes, 0.75, 9) == [0, 1, 2, 3]  # overlaps of 0.7
    assert suppressed(boxes, 0.75, 9, eta=0.9) == [0, 2]


def test_smooth_loss_by_hand():
    far = np.array([[0.5, -2.0]])
    case = Case("SmoothL1Loss", "", (far, np.zeros((1, 2))), learns=(0, 1))
    (loss,), (x, target) = run(case, np.ones(()))
    assert loss == pytest.approx(0.125 + 1.5)
    assert x.tolist() == [[0.5, -1]]
    assert target.tolist() == [[-0.5, 1]]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case("ROIPooling", POOLED, (MAPS, REGIONS[:, :4])), r"Needed: \(N, C, H, W\), \(R, 5\)"),
        (Case("ROIPooling", "", (MAPS, REGIONS)), "pooled_h and pooled_w"),
        (Case("ROIPooling", POOLED, (MAPS, REGIONS + [2, 0, 0, 0, 0])), "an item from 0 to 1"),
        (Case("PSROIPooling", SENSITIVE, (MAPS, REGIONS)), "Needed: 12 channels"),
        (Case("Proposal", "proposal_param { ratio: 0 }", (SCORES, DELTAS, IMAGE)), "above 0"),
        (Case("Proposal", "", (SCORES, SCORES, IMAGE)), "for 9 anchors"),
        (Case("SmoothL1Loss", "", (*PAIR, PAIR[0][:2])), "Needed: 2 to 4"),
    ],
)
def test_what_does_not_fit_is_refused(case, message):
    with pytest.raises(LayerError, match=message):
        Alone(case).forward()


@pytest.mark.parametrize(("length", "last"), [(29, 28), (31, 30), (57, 57)])
def test_bins_end_where_single_precision_says(length, last):
    """7 * (29 / 7) is 29 in single and more in double precision; with 57 it is the reverse."""
    x = np.arange(60.0).reshape(1, 1, 60, 1)
    region = np.array([[0.0, 0, 0, 0, length - 1]])
    (top,), _ = run(
        Case("ROIPooling", "roi_pooling_param { pooled_h: 7 pooled_w: 1 }", (x, region))
    )
    assert top[0, 0, -1, 0] == last
