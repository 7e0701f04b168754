"""MVN and BatchNorm."""

import caffe
from tests.caffe.layer_case import Case, values
from tests.parity.layers.inputs import MAPS, X

# Running statistics of three channels.
STORED = (
    "blobs { shape { dim: 3 } data: [1, -3, 0.5] } blobs { shape { dim: 3 } data: [4, 10, 0.1] } "
    "blobs { shape { dim: 1 } data: 2.5 }"
)
CASES = [
    *(
        Case("MVN", f"mvn_param {{ {settings} }}", (x,))
        for settings in ("", "across_channels: true", "normalize_variance: false", "eps: 0.5")
        for x in (MAPS, values(2, 3, 5), values(3, 1, 2, 6, low=5, high=8))
    ),
    *(
        # In place real Caffe overwrites the gradient before it reads it, except for means alone.
        Case("MVN", f"mvn_param {{ {settings} }}", (x,), learns=learns, in_place=True)
        for settings, learns in (
            ("", ()),
            ("across_channels: true", ()),
            ("normalize_variance: false", (0,)),
            ("eps: 0.5", ()),
        )
        for x in (MAPS, values(3, 1, 2, 6, low=5, high=8))  # of four axes, as its bottom gets
    ),
    Case("MVN", "mvn_param { across_channels: true normalize_variance: false }", (X,)),
    # The wheel's BatchNorm does not compute the statistics of a batch (it divides by the last
    # deviation again), so only stored ones can be compared; test_norm.py compares with torch.
    *(
        Case("BatchNorm", f"{settings} {STORED}", (x,), phase=caffe.TEST, in_place=in_place)
        for settings in ("", "batch_norm_param { eps: 0.3 moving_average_fraction: 0.7 }")
        for x, in_place in ((MAPS, False), (MAPS, True), (values(4, 3, 2, 3, 2), False))
    ),
    Case("BatchNorm", f"batch_norm_param {{ use_global_stats: true }} {STORED}", (MAPS,)),
    Case("BatchNorm", f"param {{ lr_mult: 0 }} {STORED}", (values(9, 3),), phase=caffe.TEST),
    Case("BatchNorm", bottoms=(X,), phase=caffe.TEST),
]
REFUSED = [
    Case("BatchNorm", "param { decay_mult: 0 }", (X,)),
    Case("BatchNorm", "param { lr_mult: 1 }", (X,)),
    Case("BatchNorm", bottoms=(values(5),)),
    Case("MVN", bottoms=(values(1, 2, 1, 3, 2),)),
]
NOT_IN_REAL = {"Normalize"}
