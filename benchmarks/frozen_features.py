"""The last layer of SqueezeNet on photographs: real Caffe's usual way against features made once.

python -m benchmarks.frozen_features --pictures 4000 --epochs 30
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

import caffe
from caffe.databases import Writer
from caffe.formats import read_binary, to_text
from caffe.proto.caffe_pb2 import TEST, TRAIN, Datum, NetParameter, SolverParameter
from ripen.core.atomic import write_text
from ripen.data.decode import decode, open_archives
from ripen.nets.engines.engine import Engine, RealEngine, TorchEngine
from ripen.nets.surgery import Change, finetuned
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.zoo.squeezenet import decode as decompressed

LAST = "fire9/concat"  # of what is frozen
NEW = "conv_final_pets"
CHANGE = Change(["conv_final"], "pets", 2, 10, freeze_until=LAST)
WEIGHTS = "github.com/songhan/SqueezeNet-Deep-Compression/compressed_SqueezeNet.net"


def write_pictures(mirror: Path, folder: Path, count: int, side: int) -> int:
    """Write the mirror's photographs, cats and dogs in turn, as an LMDB; return how many."""
    with open_archives(mirror / "kaggle" / "dogs-vs-cats") as archives, Writer(folder) as writer:
        archive = archives["dogs-vs-cats.zip/train.zip"]
        names = sorted(m.name for m in archive.members if m.name.endswith(".jpg"))
        kinds = [[name for name in names if f"/{kind}." in name] for kind in ("cat", "dog")]
        turns = [(name, k) for pair in zip(*kinds, strict=True) for k, name in enumerate(pair)]
        for i, (name, label) in enumerate(turns[:count]):
            picture = decode(archive.read(name), name).convert("RGB").resize((side, side))
            pixels = np.asarray(picture, np.uint8)[..., ::-1].transpose(2, 0, 1).tobytes()
            datum = Datum(channels=3, height=side, width=side, data=pixels, label=label)
            writer.put(f"{i:08d}".encode(), datum.SerializeToString())
        return writer.count


def whole(pictures: Path, batch: int) -> NetParameter:
    """Return the net as it is trained the usual way, its frozen part at the rate 0.

    It has no dropout, so that both ways come to the same.
    """
    made = DEFINITIONS["squeezenet"].train_val
    assert made is not None
    net = finetuned(made(), CHANGE)
    for layer in net.layer[:2]:
        layer.data_param.source, layer.data_param.batch_size = str(pictures), batch
        layer.transform_param.mirror, layer.transform_param.crop_size = False, 0
    kept = [layer for layer in net.layer if layer.type != "Dropout"]
    for layer in kept:
        if layer.type == "Accuracy":
            layer.top[:] = ["accuracy"]
    del net.layer[:]
    net.layer.extend(kept)
    return net


def split(net: NetParameter, folder: Path, batch: int) -> tuple[NetParameter, NetParameter]:
    """Return the frozen part, which reads pictures, and what learns, which reads its features."""
    end = 1 + next(i for i, layer in enumerate(net.layer) if layer.name == LAST)
    frozen, head = NetParameter(name="frozen"), NetParameter(name="head")
    frozen.layer.extend(net.layer[1:end])
    for phase, source in ((TRAIN, "features"), (TEST, "look")):
        data = head.layer.add(name="data", type="HDF5Data", top=[LAST, "label"])
        data.include.add(phase=phase)
        data.hdf5_data_param.source = str(folder / f"{source}.txt")
        data.hdf5_data_param.batch_size = batch
    head.layer.extend(net.layer[end:])
    return frozen, head


def write_features(net: caffe.Net, count: int, folder: Path) -> None:
    """Write the frozen part's maps of all pictures; and of the first batch, to be looked at."""
    batch, tops = len(net.blobs["label"].data), (LAST, "label")
    for name in ("features", "look"):
        (folder / f"{name}.txt").write_text(f"{folder / name}.h5\n")
    with h5py.File(folder / "features.h5", "w") as file, h5py.File(folder / "look.h5", "w") as look:
        for top in tops:
            file.create_dataset(top, (count, *net.blobs[top].data.shape[1:]), np.float32)
        for done in range(0, count, batch):
            net.forward()
            for top in tops:
                file[top][done : done + batch] = net.blobs[top].data[: count - done]
        for top in tops:
            look[top] = file[top][:batch]


def write_solver(folder: Path, name: str, net: NetParameter, iterations: int) -> Path:
    """Write a net and its solver; return the solver's file."""
    (folder / f"{name}.prototxt").write_text(to_text(net))
    solver = SolverParameter(
        net=str(folder / f"{name}.prototxt"),
        base_lr=1e-4,
        lr_policy="fixed",
        momentum=0.9,
        weight_decay=2e-4,
        max_iter=iterations,
        test_iter=[1],
        test_interval=iterations + 1,
        test_initialization=False,
        snapshot_prefix=str(folder / name),
        snapshot_after_train=False,
        random_seed=1,
    )
    (folder / f"{name}.solver").write_text(to_text(solver))
    return folder / f"{name}.solver"


def usual(engine: Engine, solver: Path, start: Path, iterations: int) -> float:
    """Train the whole net for some iterations and keep it; return the seconds of one."""
    solving = engine.solver(solver, start)
    seconds = solving.advance(iterations)["seconds"]
    solving.snapshot()
    return seconds / iterations


def made_once(
    folder: Path, nets: tuple[NetParameter, NetParameter], count: int, measured: int, budget: int
) -> tuple[float, float]:
    """Make the features and train the head; return the seconds of each.

    It is kept after as many iterations as were measured of the usual way, too.
    """
    first = folder / "first.caffemodel"
    started = time.perf_counter()
    write_text(folder / "frozen.prototxt", to_text(nets[0]))
    frozen = caffe.Net(str(folder / "frozen.prototxt"), TEST, weights=str(first))
    write_features(frozen, count, folder)
    made = time.perf_counter()
    solving = TorchEngine().solver(write_solver(folder, "head", nets[1], budget), first)
    for iterations in (measured, budget - measured):
        found = solving.advance(iterations)
        solving.snapshot()
    print(f"head: loss {np.mean(found['losses'][-100:]):.4f} in the last 100 iterations")
    return made - started, time.perf_counter() - made


def learnt(caffemodel: Path) -> NDArray[np.float32]:
    """Return the new layer's weights in a file."""
    layers = {layer.name: layer for layer in read_binary(caffemodel, NetParameter()).layer}
    return np.concatenate([np.array(blob.data, np.float32) for blob in layers[NEW].blobs])


def first_weights(mirror: Path, solver: Path, file: Path) -> None:
    """Write the published weights, and those that the new layer begins with."""
    published = caffe.Net(DEFINITIONS["squeezenet"].deploy(), TEST)
    decompressed((mirror / WEIGHTS).read_bytes(), published, "squeezenet")
    published.save(str(file))
    made = caffe.get_solver(str(solver))
    made.net.copy_from(str(file))
    made.net.save(str(file))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--side", type=int, default=227, help="of the pictures, in pixels")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=5, help="measured of the usual way")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both ways and print the table; real Caffe before and after ours."""
    given = parsed(arguments)
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    os.environ.update(dict.fromkeys(threads, str(given.threads)))
    torch.set_num_threads(given.threads)
    mirror = Path(os.environ["RIPEN_MIRROR"])
    with tempfile.TemporaryDirectory() as temporary, RealEngine() as real:
        folder = Path(temporary)
        count = write_pictures(mirror, folder / "pictures", given.pictures, given.side)
        budget = given.epochs * count // given.batch
        net = whole(folder / "pictures", given.batch)
        solver, first = write_solver(folder, "whole", net, budget), folder / "first.caffemodel"
        first_weights(mirror, solver, first)
        print(f"{count} photographs, {budget} iterations of {given.batch}", flush=True)
        n = given.iterations
        before = usual(real, solver, first, n)
        expected = learnt(folder / f"whole_iter_{n}.caffemodel")
        once = made_once(folder, split(net, folder, given.batch), count, n, budget)
        found = learnt(folder / f"head_iter_{n}.caffemodel")
        after, ours = usual(real, solver, first, n), usual(TorchEngine(), solver, first, n)
    print("\n".join(table(before, after, ours, once, n, budget)))
    begun = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"the new layer after {n} iterations: relative difference {begun:.1e}")


def table(
    before: float, after: float, ours: float, once: tuple[float, float], n: int, budget: int
) -> list[str]:
    """Return the lines of the result; the usual way is extrapolated by the count.

    Of real Caffe's two measurements the quicker one counts: a busy machine only adds to them.
    """
    usual_seconds = budget * min(before, after)
    total = sum(once)
    return [
        f"real Caffe, whole net: {before:.2f} and {after:.2f} s an iteration ({n} measured before "
        f"and {n} after ours); {budget} would take {usual_seconds:.0f} s",
        f"ours, whole net: {ours:.2f} s an iteration; {budget} would take {budget * ours:.0f} s",
        f"ours, features once: {once[0]:.1f} s, head: {once[1]:.1f} s, together {total:.1f} s",
        f"real Caffe's usual way over ours: {usual_seconds / total:.1f}",
    ]


if __name__ == "__main__":
    main()
