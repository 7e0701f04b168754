"""`caffe test`: run a net in its test phase and average its outputs."""

from collections.abc import Sequence

import numpy as np

import caffe
from caffe import glog
from caffe.progress import with_loss
from caffe.tools import devices, strict
from caffe.tools.flags import Flags, add_net_flags, names


def main(argv: Sequence[str]) -> int:
    """Score the net of the flags."""
    flags = Flags("test", "Score a net: its outputs of each batch, and their means.")
    add_net_flags(flags)
    found = flags.parse(argv)
    for needed in ("model", "weights"):
        if not getattr(found, needed):
            flags.error(f"flag '--{needed}' is needed")
    if found.iterations < 1:
        flags.error(f"--iterations is {found.iterations}. Allowed: 1 or more")
    strict.check(found)
    devices.choose(found.gpu, "caffe.cpp:275")
    stages = names(found.stage)
    net = caffe.Net(found.model, caffe.TEST, level=found.level, stages=stages)
    for weights in names(found.weights):
        net.copy_from(weights)
    score(net, found.iterations)
    return 0


def score(net: caffe.Net, iterations: int) -> dict[str, list[float]]:
    """Run a net and log its outputs, as Caffe does; return their means, number by number."""
    glog.info("caffe.cpp:281", "Running for %d iterations.", iterations)
    sums: dict[str, np.ndarray] = {}
    loss = 0.0
    for i in range(iterations):
        loss += net.run_forward()
        for name in net.outputs:
            values = net.blobs[name].data.ravel()
            sums[name] = sums.get(name, 0) + values
            for value in values:
                glog.info("caffe.cpp:304", "Batch %d, %s = %g", i, name, value)
    glog.info("caffe.cpp:309", "Loss: %g", loss / iterations)
    weights = net.blob_loss_weights
    means = {name: [float(value) / iterations for value in sums[name]] for name in sums}
    for name, numbers in means.items():
        for mean in numbers:
            glog.info("caffe.cpp:321", "%s", with_loss(name, mean, weights[name]))
    return means
