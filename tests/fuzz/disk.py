"""Fills the disk while files are written: every writer of Caffe's, and every stage.

    python -m tests.fuzz.disk

Each writer runs in a child, on a small disk (a tmpfs, where one may be mounted; else under a limit
on the size of a file) with too little room, from none to nearly enough. It must end with one of our
errors in one line and leave nothing new, and write the same bytes once there is room.
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache, partial
from io import StringIO
from itertools import chain
from pathlib import Path

import numpy as np

# Before caffe: it keeps the log of Caffe to warnings.
import ripen  # noqa: F401  # isort: skip
import caffe
from caffe.databases import Writer
from caffe.errors import CaffeError
from caffe.hdf5 import opened
from caffe.transform import write_mean
from ripen.core.errors import RipenError, line
from tests.fuzz.children import Case, Outcome, run
from tests.fuzz.kills import ROOT, SMALL
from tests.fuzz.subjects import image
from tests.ripen.full_disk import limited
from tests.ripen.images import cats_and_dogs, write_raw
from tests.ripen.stages.conftest import run as run_stage
from tests.ripen.stages.conftest import write_params

Write = Callable[[], object]
SHARES = (0.0, 0.02, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97)  # of the room that is needed
SIZE = 64 << 20  # of the disk
BALLAST = "ballast"
REFUSED = "refused"  # as many bytes as writes were refused
WORDS = ("space", "full", "too large", "cannot be written")
NET = """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: [2, 3, 24, 17] } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 40 kernel_size: 9 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Softmax" bottom: "c" top: "p" }
"""
ROWS = """layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param {
  shape { dim: [100, 300] } shape { dim: 100 } data_filler { value: 3 } } }
layer { name: "o" type: "HDF5Output" bottom: "d" bottom: "l"
  hdf5_output_param { file_name: "out.h5" } }
"""
SOLVER = """train_net: "{}" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 max_iter: 1 snapshot: 1
snapshot_prefix: "s" snapshot_format: {} random_seed: 3 display: 0
"""
TRAINED = """layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param {
  shape { dim: [4, 300] } shape { dim: 4 } data_filler { value: 3 } data_filler { value: 0 } } }
layer { name: "i" type: "InnerProduct" bottom: "d" top: "i"
  inner_product_param { num_output: 200 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "i" bottom: "l" top: "loss" }
"""
LOG = "I0101 00:00:00.1 1 solver.cpp:289] Solving\n" + "".join(
    f"I0101 00:00:{i % 60:02}.5 1 solver.cpp:239] Iteration {i}, loss = 1\n"
    f"I0101 00:00:{i % 60:02}.6 1 solver.cpp:258]     Train net output #0: loss = {i}\n"
    for i in range(2000)
)


@cache
def inputs() -> Path:
    """Make what the writers read, once, on the usual disk."""
    folder = Path(tempfile.mkdtemp(prefix="disk-inputs-"))
    for name, text in {
        "net.prototxt": NET,
        "rows.prototxt": ROWS,
        "trained.prototxt": TRAINED,
        "train.log": LOG,
        "list.txt": "".join(f"{i}.png {i}\n" for i in range(40)),
        "windows.csv": "filename,xmin,ymin,xmax,ymax\n"
        + "".join(f"{folder}/{i % 40}.png,0,0,9,9\n" for i in range(300)),
        "old.prototxt": 'name: "old"\n'
        + "".join(
            f'layers {{ name: "r{i}" type: RELU bottom: "x" top: "r{i}" }}\n' for i in range(500)
        ),
    }.items():
        (folder / name).write_text(text)
    (folder / "0.png").write_bytes(image("PNG")())
    for i in range(1, 40):
        (folder / f"{i}.png").hardlink_to(folder / "0.png")
    caffe.Net(str(folder / "net.prototxt"), caffe.TEST).save(str(folder / "net.caffemodel"))
    message = caffe.proto.caffe_pb2.NetParameter()
    caffe.formats.read_text(folder / "old.prototxt", message)
    (folder / "old.caffemodel").write_bytes(message.SerializeToString())
    with Writer(folder / "db") as writer:
        for i in range(20):
            datum = caffe.io.array_to_datum(np.full((3, 24, 17), i, np.uint8), i)
            writer.put(b"%08d" % i, datum.SerializeToString())
    data = f"""layer {{ name: "d" type: "Data" top: "x" top: "label"
      data_param {{ source: "{folder}/db" backend: LMDB batch_size: 2 }} }}"""
    (folder / "data.prototxt").write_text(data + NET.partition("\n")[2])
    return folder


def net() -> caffe.Net:
    """Return a small net with its weights."""
    return caffe.Net(str(inputs() / "net.prototxt"), str(inputs() / "net.caffemodel"), caffe.TEST)


def command(name: str, *arguments: str) -> Write:
    """Return a call of one of Caffe's commands; `{}` in an argument is the inputs' folder."""

    def call() -> None:
        words = [each.replace("{}", str(inputs())) for each in arguments]
        importlib.import_module(f"caffe.tools.{name}").main(words)

    return call


def _snapshot(form: str) -> Write:
    def call() -> None:
        definition = caffe.proto.caffe_pb2.SolverParameter()
        text = SOLVER.format(inputs() / "trained.prototxt", form)
        caffe.get_solver(caffe.formats.parse_text(text, definition)).solve()

    return call


def _rows() -> None:
    made = caffe.Net(str(inputs() / "rows.prototxt"), caffe.TEST)
    try:
        for _ in range(3):
            made.forward()
    except CaffeError:  # the passes before stay whole
        with opened("out.h5") as file:
            lengths = {len(file[name]) % 100 for name in file}
        if lengths <= {0}:
            Path("out.h5").unlink()
        raise


CLASSIFIER = ("--model_def={}/net.prototxt", "--pretrained_model={}/net.caffemodel", "--mean_file=")
WINDOWS = ("--crop_mode=list", "--context_pad=0", "{}/windows.csv")
WRITERS: dict[str, Write] = {
    "save": lambda: net().save("x.caffemodel"),
    "save_hdf5": lambda: net().save_hdf5("x.caffemodel.h5"),
    "snapshot": _snapshot("BINARYPROTO"),
    "HDF5 snapshot": _snapshot("HDF5"),
    "HDF5Output": _rows,
    "write_mean": lambda: write_mean("mean.binaryproto", np.ones((3, 99, 99), "f")),
    "convert_imageset": command("convert_imageset", "{}/", "{}/list.txt", "made"),
    "compute_image_mean": command("compute_image_mean", "{}/db", "mean.binaryproto"),
    "extract_features": command(
        "extract_features", "{}/net.caffemodel", "{}/data.prototxt", "c,p", "a,b", "10", "lmdb"
    ),
    "parse_log": command("parse_log", "{}/train.log", "."),
    "parse_log -plot": command("parse_log", "{}/train.log", ".", "-plot=x.svg"),
    "time -plot": command("time", "-model={}/net.prototxt", "-iterations=1", "-plot=x.svg"),
    "classify": command("classify", *CLASSIFIER, "--images_dim=24,17", "{}/0.png", "out.npy"),
    "detect .csv": command("detect", *CLASSIFIER, *WINDOWS, "out.csv"),
    "detect .h5": command("detect", *CLASSIFIER, *WINDOWS, "out.h5"),
    "draw_net": command("draw_net", "{}/net.prototxt", "out.dot"),
    "export-onnx": command("export_onnx", "{}/net.prototxt", "{}/net.caffemodel", "out.onnx"),
    "upgrade text": command("upgrade_net_proto_text", "{}/old.prototxt", "new.prototxt"),
    "upgrade binary": command("upgrade_net_proto_binary", "{}/old.caffemodel", "new.caffemodel"),
}


IMAGES = """defaults: [/kind/_images]
source: {folder: mine.zip}
files: {sample: sampleSubmission.csv}
classes: [cat, dog]
task: binary
metric: log_loss
submission: probability
validation: {split: stratified_group, folds: 2}
features: {colours: {extract: histogram, bins: 4}}
models:
  bayes: {estimator: gaussian_nb, inputs: [colours], components: 4}
  logistic: {estimator: logistic_regression, inputs: [colours], components: 4}
learning_curve: []
blend: {}
"""
COMPETITIONS = {"avocado": SMALL, "mine": ("competitions=[mine]",)}
STAGES = (
    *("fetch", "generate", "prepare", "colours", "sweep", "fit", "blend", "evaluate", "predict"),
    "report",
)
STORES = (".mlflow.lock", "mlflow.db", "mlruns", ".ripen")  # whole or not, the next run uses them


def stages(competition: str) -> Iterator[tuple[str, Write, Path, Path]]:
    """Run a competition's stages with room; yield each with the folders before and after it."""
    top = inputs() / competition
    work = top / "work"
    shutil.copytree(ROOT / "conf", work / "conf")
    os.chdir(work)
    Path("conf/competition/mine.yaml").write_text(IMAGES)
    write_raw(Path("raw"), cats_and_dogs()).rename("mine.zip")
    graph = write_params(*COMPETITIONS[competition], conf=Path("conf"))["graph"]
    for stage in STAGES:
        for key in graph[stage]:
            before = top / f"{stage}@{key}"
            shutil.copytree(work, before)
            write = partial(run_stage, stage, *key.split("."))
            with redirect_stdout(StringIO()):
                write()
            yield before.name, write, before, work


class Wrong(Exception):
    """A writer did something else than it should."""


Contents = dict[str, bytes]


def contents(folder: Path) -> Contents:
    """Return the bytes of all files, and "" for each folder, by their paths."""
    return {
        str(each.relative_to(folder)): each.read_bytes() if each.is_file() else b""
        for each in sorted(folder.rglob("*"))
        if each.relative_to(folder).parts[0] not in STORES
    }


def crowded(
    write: Write, share: float, disk: Path | None, before: Path, after: Path
) -> Callable[[Path], None]:
    """Return a case: write with a share of the room that is needed, and again with enough.

    Parameters
    ----------
    before, after : Path
        The folder before and after it was written to with enough room.
    """
    expected, needed = contents(after), _room(before, after, bool(disk))

    def case(path: Path) -> None:
        if disk:
            (disk / BALLAST).unlink(missing_ok=True)  # of a case that ended its child
        folder = path.parent / "work"
        shutil.copytree(before, folder)
        there = contents(folder)
        os.chdir(folder)
        room = int(share * needed)
        with _ballast(room, disk) if disk else limited(room):
            _refused(write)
            for name, content in contents(folder).items():
                if content not in (there.get(name), expected.get(name)):
                    raise Wrong(f"left: {name}, which is not whole")
        write()
        found = contents(folder)
        if found.keys() != expected.keys():
            raise Wrong(f"the rerun wrote {sorted(found.keys() ^ expected.keys())}")
        differ = [name for name in found if found[name] != expected[name]]
        if [name for name in differ if not name.endswith((".svg", ".mdb"))]:
            raise Wrong(f"the rerun wrote other bytes: {differ}")
        shutil.rmtree(folder)

    return case


def _room(before: Path, after: Path, of_all: bool) -> int:
    """Return the bytes that were written between two states: of all files, or of the largest."""
    sizes = []
    for each in after.rglob("*"):
        old = before / each.relative_to(after)
        if each.is_file() and each.stat().st_nlink == 1 and not _same(each, old):
            grows = each.suffix == ".db" and old.exists()  # others are replaced
            sizes.append(each.stat().st_size - (old.stat().st_size if grows else 0))
    return sum(-(-size // 4096) * 4096 for size in sizes) if of_all else max(sizes, default=0)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and other.read_bytes() == one.read_bytes()


def _refused(write: Write) -> None:
    try:
        write()
    except (CaffeError, RipenError) as error:
        text = str(error)
        if "\n" in text or not any(word in text.lower() for word in WORDS):
            raise Wrong(f"the error is: {text}") from None
    except OSError as error:
        raise Wrong(f"the error is no own one: {error!r}, shown as {line(error)!r}") from None
    else:  # a tmpfs counts its pages roughly
        return
    with (inputs() / REFUSED).open("a") as file:
        file.write("x")


@contextmanager
def _ballast(room: int, disk: Path) -> Iterator[None]:
    """Leave so much room on a disk."""
    ballast = disk / BALLAST
    with ballast.open("wb") as file:
        free = os.statvfs(disk)
        if (size := free.f_bavail * free.f_frsize - room) > 0:
            os.posix_fallocate(file.fileno(), 0, size)
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """Mount a small disk and let temporary folders lie on it; None where that is not allowed."""
    with tempfile.TemporaryDirectory(prefix="disk-") as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", name]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        before, tempfile.tempdir = tempfile.tempdir, name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = before
            subprocess.run(["umount", "--lazy", name], check=True)


def of_writers(
    names: Iterable[str], shares: Sequence[float], disk: Path | None
) -> Iterator[tuple[str, float, Outcome]]:
    """Yield what comes of each of Caffe's writers with each share of its room."""
    inputs()
    for name in names:
        before, after = (Path(tempfile.mkdtemp(dir=inputs())) for _ in range(2))
        os.chdir(after)
        WRITERS[name]()
        yield from _outcomes(name, WRITERS[name], shares, disk, before, after)


def of_stages(competition: str, disk: Path | None) -> Iterator[tuple[str, float, Outcome]]:
    """Yield what comes of each stage of a competition with each share of its room."""
    for name, write, before, after in stages(competition):
        yield from _outcomes(name, write, SHARES[::2], disk, before, after)


def _outcomes(
    name: str, write: Write, shares: Sequence[float], disk: Path | None, before: Path, after: Path
) -> Iterator[tuple[str, float, Outcome]]:
    cases = [Case("x", b"", crowded(write, share, disk, before, after)) for share in shares]
    for share, (_, outcome) in zip(shares, run(cases), strict=True):
        yield name, share, outcome


def main() -> int:
    """Run every writer with every share, print what was found, and return 1 if something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.disk", description=__doc__)
    parser.add_argument("--only", choices=["writers", *COMPETITIONS])
    chosen = parser.parse_args()
    inputs()
    here = Path.cwd()
    counts: Counter[str] = Counter()
    with small_disk() as disk:
        print(f"on {'a tmpfs' if disk else 'a disk with a limit on the size of files'}")
        parts = (
            of_writers(WRITERS, SHARES, disk) if part == "writers" else of_stages(part, disk)
            for part in ([chosen.only] if chosen.only else ["writers", *COMPETITIONS])
        )
        for name, share, outcome in chain.from_iterable(parts):
            counts[outcome.kind] += 1
            if outcome.kind != "value":
                text = f"{name}, {share:.0%} of the room: {outcome.kind} {outcome.text}"
                print(text, flush=True)
    os.chdir(here)
    refused = (inputs() / REFUSED).stat().st_size
    shutil.rmtree(inputs(), ignore_errors=True)
    wrong = counts.total() - counts["value"]
    print(f"{counts.total()} cases, {refused} writes refused, {wrong} found")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
