"""The formats under test: a small valid file of each, its mutations, and our reader of it."""

import atexit
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

import caffe
from caffe.databases import Writer, records
from caffe.formats import read_blob
from caffe.image_files import read_image
from caffe.onnx_export import export
from caffe.onnx_import import read as read_model
from caffe.solver import Solver
from ripen.competition import predictions
from ripen.competition.metrics import order_of
from ripen.core.archives import Archive
from ripen.core.csv_files import read_text, sniff
from ripen.core.layout import Layout
from ripen.core.lineage import model_stage
from ripen.data.scan import scan_image
from ripen.data.sources.from_folder import pack
from ripen.judge.leaderboard import leaderboard, read_metrics
from ripen.judge.terminal import as_table
from ripen.kaggle.ledger import read as read_ledger
from ripen.settings.compose import compose, load_competition, load_run
from tests.fuzz.children import Case, Read
from tests.fuzz.mutations import (
    BYTES,
    CSV_WORDS,
    YAML_WORDS,
    Mutation,
    deep,
    line,
    png,
    proto,
    tar,
    token,
    value,
    zip_header,
)

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
NET = """name: "small"
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param {
  shape { dim: 2 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
  param { lr_mult: 2 } convolution_param { num_output: 4 kernel_size: 3 stride: 1 pad: 1 group: 1
  weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.2 } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "norm" }
layer { name: "relu" type: "ReLU" bottom: "norm" top: "norm" relu_param { negative_slope: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "slice" type: "Slice" bottom: "pool" top: "a" top: "b"
  slice_param { axis: 1 slice_point: 2 } }
layer { name: "concat" type: "Concat" bottom: "a" bottom: "b" top: "both" concat_param { axis: 1 } }
layer { name: "flat" type: "Reshape" bottom: "both" top: "flat"
  reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip" inner_product_param {
  num_output: 3 axis: 1 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss"
  loss_weight: 1 include { phase: TRAIN } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST } }
"""
SOLVER = """net_param { name: "tiny"
  layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { lr_mult: 1 }
    inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 } }
base_lr: 0.1
lr_policy: "multistep"
gamma: 0.5
stepvalue: 10
stepvalue: 20
momentum: 0.9
weight_decay: 0.001
regularization_type: "L2"
max_iter: 3
display: 0
average_loss: 1
iter_size: 1
random_seed: 1
clip_gradients: 5
snapshot_after_train: false
type: "SGD"
"""
YAML = """defaults: [/kind/table]
about:
  title: A small competition
  source: https://example.org
  licence: CC0
source: {kaggle: small}
files: {sample: sample.csv}
id: Id
target: y
task: binary
metric: accuracy
submission: label
validation: {split: stratified, folds: 5}
"""
PREDICTIONS = "part,row,p0,p1\n" + "".join(f"validation,{i},0.25,0.75\n" for i in range(12))
LEDGER = json.dumps(
    {
        "time": "2026-01-01T00:00:00Z", "competition": "x", "ref": 3, "file": "x.csv", "rows": 3,
        "sha256": "0" * 64, "md5": None, "message": "m", "model": "net", "members": {"a": 0.5},
        "metric": "rmse", "cv": 0.5, "cv_error": None, "commit": "abc", "dirty": False,
        "run": None, "status": "complete", "score": "0.5", "place": 3, "teams": 9, "left": 4,
    }
)  # fmt: skip
CSV = "id,x,name,y\n" + "".join(f'{i},{i / 7:.4f},"a, ""b"" {i}",{i % 2}\n' for i in range(12))


@dataclass(frozen=True)
class Subject:
    """A format: the name its file has, a valid file, the mutations and the reader under test."""

    name: str
    file: str
    seed: Callable[[], bytes]
    mutations: tuple[Mutation, ...]
    read: Read
    weight: int = 4  # how often it is drawn; less where a case is slow

    def case(self, content: bytes) -> Case:
        return Case(self.file, content, self.read)


@cache
def _net() -> caffe.Net:
    caffe.set_random_seed(1)
    return caffe.Net(str(_kept("net.prototxt", NET)), caffe.TEST)


@cache
def _solver() -> Solver:
    solver = caffe.get_solver(str(_kept("solver.prototxt", SOLVER)))
    solver.step(1)
    return solver


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-seeds-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _kept(name: str, text: str) -> Path:
    path = _folder() / name
    path.write_text(text)
    return path


def _weights(name: str) -> bytes:
    _net().save(str(_folder() / name))
    return (_folder() / name).read_bytes()


def _state(form: str) -> bytes:
    end = ".h5" if form == "HDF5" else ""
    text = SOLVER + f'snapshot_format: {form}\nsnapshot_prefix: "{_folder() / "s"}"\n'
    solver = caffe.get_solver(str(_kept("snapshots.prototxt", text)))
    solver.step(1)
    solver.snapshot()
    return (_folder() / f"s_iter_1.solverstate{end}").read_bytes()


@cache
def _model() -> bytes:
    deploy = NET[: NET.index('layer { name: "label"')] + NET[NET.index('layer { name: "conv"') :]
    text = deploy[: deploy.index('layer { name: "loss"')]
    export(caffe.Net(_kept("export.prototxt", text), caffe.TEST), _folder() / "x.onnx")
    return (_folder() / "x.onnx").read_bytes()


def _mean() -> bytes:
    values = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    return bytes(caffe.io.array_to_blobproto(values).SerializeToString())


def _lmdb() -> bytes:
    target = _folder() / "records"
    shutil.rmtree(target, ignore_errors=True)
    with Writer(target) as writer:
        for i in range(60):
            datum = caffe.io.array_to_datum(np.full((3, 8, 8), i, np.uint8), i)
            writer.put(b"%08d" % i, datum.SerializeToString())
        writer.put(b"x" * 100, b"y" * 9000)
    return (target / "data.mdb").read_bytes()


def image(kind: str, mode: str = "RGB") -> Callable[[], bytes]:
    def made() -> bytes:
        pixels = np.random.default_rng(0).integers(0, 255, (24, 17, 3), np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(stream, kind)
        return stream.getvalue()

    return made


def _zip() -> bytes:
    stream, inner = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("c.txt", "inner " * 20)
    with zipfile.ZipFile(stream, "w") as archive:
        for method in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
            zipfile.ZIP_BZIP2,
            zipfile.ZIP_LZMA,
        ):
            member = zipfile.ZipInfo(f"folder/{method}.csv", (2020, 1, 1, 0, 0, 0))
            archive.writestr(member, CSV, method)
        archive.writestr(zipfile.ZipInfo("in.zip", (2020, 1, 1, 0, 0, 0)), inner.getvalue())
    return stream.getvalue()


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.jpg", "folder/b.jpg", "é" * 80 + ".jpg"):
            info = tarfile.TarInfo(name)
            info.size = 600
            archive.addfile(info, io.BytesIO(b"\xff" * 600))
    return stream.getvalue()


def _read_net(path: Path) -> object:
    return caffe.Net(str(path), caffe.TEST).forward()


def _read_training_net(path: Path) -> object:
    net = caffe.Net(str(path), caffe.TRAIN)
    net.forward()
    return net.backward()


def _read_solver(path: Path) -> object:
    return caffe.get_solver(str(path))


def _read_weights(path: Path) -> None:
    _net().copy_from(str(path))


def _read_state(path: Path) -> None:
    _solver().restore(str(path))


def _read_records(path: Path) -> object:
    return sum(len(value) for _, value in records(path.parent))


def _read_datum(path: Path) -> object:
    target = path.parent / "db"
    with Writer(target) as writer:
        writer.put(b"0", path.read_bytes())
    text = f"""layer {{ name: "d" type: "Data" top: "d" top: "l"
      data_param {{ source: "{target}" backend: LMDB batch_size: 1 }} }}"""
    net = path.parent / "net.prototxt"
    net.write_text(text)
    try:
        return caffe.Net(str(net), caffe.TEST).forward()
    finally:
        net.unlink()
        shutil.rmtree(target)


def _read_image(path: Path) -> object:
    return read_image(path)


def _scan_image(path: Path) -> object:
    return scan_image(path.name, path.read_bytes(), 10)


def _read_zip(path: Path) -> None:
    with Archive(path) as archive:
        if "in.zip" in archive:
            with archive.inner("in.zip") as inner:
                inner.unpack(path.parent / "inner")
                shutil.rmtree(path.parent / "inner")
        archive.unpack(path.parent / "unpacked")


def _read_tar(path: Path) -> None:
    pack(path.parent, path.parents[1] / "packed.zip")


def _read_csv(path: Path) -> object:
    form = sniff(path)
    return read_text(path, form.get("separator", ","), form.get("encoding", "utf-8"))


def _read_competition(path: Path) -> object:
    conf = path.parents[1]
    for each in CONF.iterdir():
        if each.name != "competition":
            (conf / each.name).symlink_to(each)
    try:
        return compose(["competitions=[small]"], conf)
    finally:
        for each in conf.iterdir():
            if each.is_symlink():
                each.unlink()


def _read_metrics(path: Path) -> object:
    with chdir(path.parents[1]):
        metrics = read_metrics(path.stem)
    return as_table(leaderboard(metrics), {}, path.stem), order_of(metrics)


def _read_params(path: Path) -> object:
    with chdir(path.parent):
        return load_run(), load_competition("avocado")


def _read_pipeline(path: Path) -> object:
    path.with_name("params.yaml").symlink_to(ROOT / "params.yaml")
    try:
        return model_stage("avocado", "net", path.parent)
    finally:
        path.with_name("params.yaml").unlink()


def _read_predictions(path: Path) -> object:
    with chdir(path.parents[4]):
        return predictions.outputs(predictions.read(Layout("x"), ["m"])["m"])


def _own(name: str) -> Callable[[], bytes]:
    return (ROOT / name).read_bytes


TEXT = (*BYTES, line, token(), token(), token())
PROTOTXT = (
    *TEXT,
    *[value] * 12,
    deep("layer {", "}"),
    deep("#", "\n"),
    deep("transform_param {", "}"),
)
JSON = (*TEXT, token("[]", "{}", "null", '"x"', "1", "1e999"), deep("[", "]"), deep('{"a": ', "}"))
SETTINGS = (*TEXT, token(*YAML_WORDS), deep("[", "]"), deep("{a: ", "}"))
PROTO = (*BYTES, proto, proto, proto, proto, proto, proto)
SUBJECTS = {
    each.name: each
    for each in (
        Subject("prototxt", "net.prototxt", NET.encode, PROTOTXT, _read_net),
        Subject("training prototxt", "net.prototxt", NET.encode, PROTOTXT, _read_training_net),
        Subject("solver", "solver.prototxt", SOLVER.encode, PROTOTXT, _read_solver),
        Subject(
            "caffemodel", "x.caffemodel", lambda: _weights("x.caffemodel"), PROTO, _read_weights
        ),
        Subject("ONNX model", "x.onnx", _model, PROTO, read_model),
        Subject("solverstate", "x.solverstate", lambda: _state("BINARYPROTO"), PROTO, _read_state),
        Subject("binaryproto", "mean.binaryproto", _mean, PROTO, read_blob),
        Subject("HDF5 weights", "x.caffemodel.h5", lambda: _weights("x.h5"), BYTES, _read_weights),
        Subject("HDF5 state", "x.solverstate.h5", lambda: _state("HDF5"), BYTES, _read_state),
        Subject("LMDB", "db/data.mdb", _lmdb, BYTES, _read_records),
        Subject("datum", "datum", lambda: _datum(), PROTO, _read_datum),
        Subject("PNG", "x.png", image("PNG"), (*BYTES, png, png, png), _read_image),
        Subject("JPEG", "x.jpg", image("JPEG"), BYTES, _read_image),
        Subject("GIF", "x.gif", image("GIF", "P"), BYTES, _scan_image),
        Subject("TIFF", "x.tif", image("TIFF"), BYTES, _scan_image),
        Subject("BMP", "x.bmp", image("BMP"), BYTES, _read_image),
        Subject("scanned PNG", "x.png", image("PNG", "P"), (*BYTES, png, png, png), _scan_image),
        Subject("scanned JPEG", "x.jpg", image("JPEG", "L"), BYTES, _scan_image),
        Subject("zip", "x.zip", _zip, (*BYTES, zip_header, zip_header, zip_header), _read_zip),
        Subject("tar", "in/x.tar", _tar, (*BYTES, tar, tar, tar), _read_tar),
        Subject("CSV", "x.csv", CSV.encode, (*TEXT, token(*CSV_WORDS)), _read_csv),
        Subject(
            "metrics", "metrics/avocado.json", _own("metrics/avocado.json"), JSON, _read_metrics
        ),
        Subject("params", "params.yaml", _own("params.yaml"), SETTINGS, _read_params, weight=1),
        Subject("pipeline", "dvc.yaml", _own("dvc.yaml"), SETTINGS, _read_pipeline, weight=1),
        Subject("ledger", "x.jsonl", LEDGER.encode, JSON, read_ledger),
        Subject(
            "predictions",
            "data/x/models/m/predictions.csv",
            PREDICTIONS.encode,
            (*TEXT, token(*CSV_WORDS)),
            _read_predictions,
        ),
        Subject(
            "competition",
            "competition/small.yaml",
            YAML.encode,
            (
                *TEXT,
                token(*YAML_WORDS),
                deep("[", "]"),
                deep("{a: ", "}"),
                deep("a: &a [*a]\n", ""),
            ),
            _read_competition,
            weight=1,
        ),
    )
}


def _datum() -> bytes:
    return bytes(caffe.io.array_to_datum(np.ones((3, 8, 8), np.uint8), 3).SerializeToString())
