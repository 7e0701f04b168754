"""Runs nets for `caffe_speed.py`, in whichever Caffe this Python imports.

Each request is a line of JSON that names what to run; the answer is the seconds of one run. The
file imports nothing of this repository and uses pycaffe's names only, so that real Caffe's CPython
3.9 runs the very same code.
"""

import json
import os
import sys
import time

import numpy as np

import caffe

CLASSES = 10  # every net has at least as many


class Engine:
    """Three nets that share weights: for training, for inference, and for single items."""

    def __init__(self, folder):
        random = np.random.RandomState(0)
        self.solver = caffe.get_solver(os.path.join(folder, "solver.prototxt"))
        self.nets = {"train": self.solver.net}
        for name in ("infer", "single"):
            net = caffe.Net(os.path.join(folder, name + ".prototxt"), caffe.TEST)
            net.share_with(self.solver.net)
            self.nets[name] = net
        for net in self.nets.values():
            data = net.blobs["data"].data
            data[...] = random.uniform(-120, 120, data.shape)
        labels = self.solver.net.blobs["label"].data
        labels[...] = random.randint(0, CLASSES, labels.shape)

    def seconds(self, what, least):
        """Return the seconds of one run, averaged over at least `least` seconds.

        It first sleeps as long: the other engine's idle threads still spin for a while, waiting
        for work, and would take processor time from this one.
        """
        run = self.nets[what].forward if what != "train" else lambda: self.solver.step(1)
        time.sleep(least)
        run()
        started, runs, passed = time.perf_counter(), 0, 0.0
        while passed < least:
            run()
            runs += 1
            passed = time.perf_counter() - started
        return passed / runs

    def kinds(self, what, least):
        """Return the seconds of each type of layer, forward and backward."""
        net, found, runs, started = self.nets[what], {}, [0], [0.0]

        def before(i):
            runs[0] += i == 0
            started[0] = time.perf_counter()

        def after(direction):
            def add(i):
                seconds = found.setdefault(net.layers[i].type, [0.0, 0.0])
                seconds[direction] += time.perf_counter() - started[0]

            return add

        net.before_forward(before)
        net.before_backward(lambda _: before(-1))
        net.after_forward(after(0))
        net.after_backward(after(1))
        self.seconds(what, least)
        return {kind: [s / runs[0] for s in seconds] for kind, seconds in found.items()}


def main():
    # Answers keep the original standard output; anything that libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    engine = Engine(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        call = getattr(engine, request["call"])
        answers.write(json.dumps(call(request["what"], request["least"])) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
