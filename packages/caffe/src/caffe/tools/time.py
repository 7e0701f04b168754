"""`caffe time`: time the layers; optionally sorted with shares, and as a plot."""

import time
from collections.abc import Sequence
from pathlib import Path

import caffe
from caffe import glog
from caffe.formats import replacing
from caffe.profile import LayerTime, profile
from caffe.tools import devices, strict
from caffe.tools.flags import Flags, add_net_flags, names

_PHASES = {"": caffe.TRAIN, "TRAIN": caffe.TRAIN, "TEST": caffe.TEST}
_BAR = 30  # characters of the longest bar


def main(argv: Sequence[str]) -> int:
    """Time the net of the flags."""
    flags = Flags("time", "Time a net's layers, forward and backward.")
    add_net_flags(flags)
    flags.add("sorted", False, "also print a table, the slowest layer first")
    flags.add("plot", "", "also write a plot to this .svg, .png or .pdf file")
    found = flags.parse(argv)
    if not found.model:
        flags.error("flag '--model' is needed: the net's prototxt")
    if found.phase not in _PHASES:
        flags.error(f"--phase is '{found.phase}'. Allowed: TRAIN, TEST")
    if found.iterations < 1:
        flags.error(f"--iterations is {found.iterations}. Allowed: 1 or more")
    strict.check(found)
    devices.choose(found.gpu, "caffe.cpp:345")
    phase, stages = _PHASES[found.phase], names(found.stage)
    net = caffe.Net(found.model, phase, level=found.level, stages=stages)
    times = measure(net, found.iterations)
    if found.sorted:
        print(table(times))
    if found.plot:
        plot(times, found.plot)
    return 0


def measure(net: caffe.Net, iterations: int) -> list[LayerTime]:
    """Time a net's layers and log them, as Caffe does."""
    glog.info("caffe.cpp:351", "Performing Forward")
    glog.info("caffe.cpp:356", "Initial loss: %g", net.run_forward())
    glog.info("caffe.cpp:357", "Performing Backward")
    net.run_backward()
    glog.info("caffe.cpp:365", "*** Benchmark begins ***")
    glog.info("caffe.cpp:366", "Testing for %d iterations.", iterations)
    line = "Iteration: %d forward-backward time: %g ms."
    began = time.perf_counter()
    times = profile(
        net, iterations, lambda number, ms: glog.info("caffe.cpp:394", line, number, ms)
    )
    total = (time.perf_counter() - began) * 1000
    glog.info("caffe.cpp:397", "Average time per layer: ")
    for layer in times:
        glog.info("caffe.cpp:400", "%10s\tforward: %g ms.", layer.name, layer.forward)
        glog.info("caffe.cpp:403", "%10s\tbackward: %g ms.", layer.name, layer.backward)
    forward = sum(layer.forward for layer in times)
    backward = sum(layer.backward for layer in times)
    glog.info("caffe.cpp:408", "Average Forward pass: %g ms.", forward)
    glog.info("caffe.cpp:410", "Average Backward pass: %g ms.", backward)
    glog.info("caffe.cpp:412", "Average Forward-Backward: %g ms.", total / iterations)
    glog.info("caffe.cpp:414", "Total Time: %g ms.", total)
    glog.info("caffe.cpp:415", "*** Benchmark ends ***")
    return times


def table(times: Sequence[LayerTime]) -> str:
    """Return a table of the layers, the slowest first, with shares of the total and bars."""
    whole = sum(layer.total for layer in times) or 1.0
    ordered = _slowest_first(times)
    longest = ordered[0].total or 1.0
    names_of = [f"{layer.name} ({layer.type})" for layer in ordered]
    wide = max(map(len, names_of))
    lines = [f"{'layer':{wide}} {'forward':>11} {'backward':>11} {'share':>7}"]
    for name, layer in zip(names_of, ordered, strict=True):
        bar = "█" * round(_BAR * layer.forward / longest)
        bar += "░" * round(_BAR * layer.backward / longest)
        share = 100 * layer.total / whole
        parts = f"{layer.forward:8.3f} ms {layer.backward:8.3f} ms {share:6.1f}%"
        lines.append(f"{name:{wide}} {parts} {bar}".rstrip())
    forward, backward = (sum(getattr(t, p) for t in times) for p in ("forward", "backward"))
    lines.append(f"{'all':{wide}} {forward:8.3f} ms {backward:8.3f} ms {100:6.1f}%")
    return "\n".join(lines)


def plot(times: Sequence[LayerTime], path: str) -> None:
    """Draw the layers as bars, the slowest on top.

    Raises
    ------
    FormatError
        If the file cannot be written, or its extension is unknown.
    """
    from matplotlib.figure import Figure  # slow to import, and needed only here

    ordered = _slowest_first(times)[::-1]
    labels = [layer.name for layer in ordered]
    forward = [layer.forward for layer in ordered]
    figure = Figure(figsize=(8, 1 + 0.2 * len(ordered)), layout="constrained")
    axes = figure.subplots()
    axes.barh(range(len(labels)), forward, label="forward", color="#4477aa")
    backward = [layer.backward for layer in ordered]
    axes.barh(range(len(labels)), backward, left=forward, label="backward", color="#ee8866")
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_xlabel("milliseconds")
    axes.margins(y=0.01)
    axes.legend(loc="lower right")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=Path(path).suffix[1:] or "png")


def _slowest_first(times: Sequence[LayerTime]) -> list[LayerTime]:
    return sorted(times, key=lambda layer: -layer.total)
