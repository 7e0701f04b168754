"""Caffe's files: prototxt and binary messages, and blobs in them."""

import math
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from caffe import forks
from caffe.errors import CaffeError, FormatError, UnreadableError, ValuesError, naming
from caffe.proto.caffe_pb2 import BlobProto, NetParameter, SolverParameter
from caffe.proto.fields import is_repeated

M = TypeVar("M", bound=Message)
PathLike = str | bytes | os.PathLike[str]
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")  # never part of a text file
_STRING_OR_COMMENT = re.compile(r"""#.*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?""")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")
HDF5 = b"\x89HDF\r\n\x1a\n"  # the first bytes of such a file
HANDLES = Path("/proc/self/fd")  # Linux: a path to each open file
MAX_AXES = 32  # Caffe's kMaxBlobAxes


def read_text(path: PathLike, message: M, strict: bool = False) -> M:
    """Read a prototxt file into a message.

    Parameters
    ----------
    path : path
    message : Message
        One of `caffe_pb2`; the text is merged into it.
    strict : bool
        Refuse fields and types that only forks of Caffe have (`caffe.forks`), as real Caffe does.

    Raises
    ------
    FormatError
        If the file cannot be read, is not text, or has an unknown or invalid field; the message
        gives line and column, counted from 1.
    """
    name = os.fsdecode(path)
    text = _decoded(read_file(path))
    if text is None:
        raise FormatError(
            f"{name}: is binary; a text file (prototxt) of {message.DESCRIPTOR.name} is needed"
        )
    return parse_text(text, message, name, strict)


def read_file(path: PathLike) -> bytes:
    """Return a file's content.

    Raises
    ------
    UnreadableError
        If it cannot be read.
    """
    try:
        return Path(os.fsdecode(path)).read_bytes()
    except (OSError, ValueError) as error:  # a ValueError if the path contains NUL
        raise UnreadableError(f"{shown(path)}: cannot be read: {reason(error)}") from None


def shown(path: PathLike) -> str:
    """Return a path as errors show it, without control characters, which a terminal would obey."""
    name = os.fsdecode(path)
    return name if name.isprintable() else repr(name)[1:-1]


def _decoded(content: bytes) -> str | None:
    """Return a prototxt's text; None if it is binary.

    Caffe reads bytes: comments and strings may be in any encoding. What is not UTF-8 is decoded as
    Latin-1, in which each byte is one character.
    """
    if _CONTROL.search(content):
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def parse_text(text: str, message: M, source: str = "text", strict: bool = False) -> M:
    """Parse prototxt text into a message; `source` names it in the error."""
    kind = type(message)
    name = message.DESCRIPTOR.name
    _check_escapes(text, source, name)
    try:
        if strict:
            text_format.Parse(text, message)
        else:
            message.MergeFrom(forks.plain(text_format.Parse(text, forks.superset(kind)()), kind))
    except text_format.ParseError as error:
        where = f"{source}:{error.GetLine() or 1}:{error.GetColumn() or 1}"
        raise FormatError(f"{where}: {_explained(error)} (reading {name})") from None
    except FormatError as error:
        raise FormatError(f"{source}: {error} (reading {name})") from None
    if strict:
        _refuse_forks(message, source)
    return message


def _check_escapes(text: str, source: str, name: str) -> None:
    """Refuse escapes that C++ refuses; protobuf's Python parser only warns about them."""
    for number, line in enumerate(text.split("\n") if "\\" in text else (), 1):
        for part in _STRING_OR_COMMENT.finditer(line):
            for escape in _ESCAPE.finditer("" if part[0].startswith("#") else part[0]):
                code = escape[1]
                octal = set(code) <= set("01234567")
                if int(code, 8) > 0o377 if octal else code not in "abfnrtvxuU\"'\\":
                    where = f"{source}:{number}:{part.start() + escape.start() + 1}"
                    raise FormatError(
                        f"{where}: \\{code} is not a valid escape in a string (reading {name})"
                    )


def _explained(error: text_format.ParseError) -> str:
    """Return a parser's message without its position, with the fork that a name is from."""
    text = re.sub(r"^\d+:\d+ : ", "", str(error)).strip()
    if text.startswith("'"):
        text = text.rpartition("': ")[2]  # the message begins with the line itself
    unknown = re.search(r'has no field named "(\w+)"', text)
    whose = forks.of_field(unknown[1]) if unknown else ""
    if old := re.search(r'LayerType" has no value named "?(\w+)', text):
        whose = forks.of_old_type(old[1])
    return f"{text} It is {whose}." if whose else text


def _refuse_forks(message: Message, source: str) -> None:
    nets = [message] if isinstance(message, NetParameter) else []
    if isinstance(message, SolverParameter):
        nets = [message.net_param, message.train_net_param, *message.test_net_param]
    for layer in (layer for net in nets for layer in net.layer):
        if whose := forks.of_type(layer.type):
            raise FormatError(f"{source}: layer '{layer.name}': type '{layer.type}' is {whose}")


def to_text(message: Message) -> str:
    """Return a message as prototxt."""
    whole = forks.superset(type(message)).FromString(message.SerializeToString())
    return text_format.MessageToString(whole)


def read_binary(path: PathLike, message: M) -> M:
    """Read a binary file into a message.

    Raises
    ------
    FormatError
        If the file cannot be read, is truncated, empty or of another format.
    """
    content = read_file(path)
    where = shown(path)
    name = message.DESCRIPTOR.name
    try:
        message.ParseFromString(content)
        whole = True
    except DecodeError:
        whole = False
    if whole and not message.IsInitialized():  # not every protobuf runtime checks this
        missing = ", ".join(cast(Any, message).FindInitializationErrors())
        raise FormatError(f"{where}: is not a {name}, or is damaged: {missing} is missing")
    if whole and message.ListFields():
        _check_strings(message, where)
        return message
    if content.strip() and _is_text(content):
        raise FormatError(f"{where}: is text; a binary file of {name} is needed")
    if content.startswith(HDF5):
        raise FormatError(f"{where}: is HDF5; a binary file of {name} is needed")
    if whole:
        raise FormatError(f"{where}: holds no {name}")
    raise FormatError(f"{where}: is not a binary {name}, or is truncated")


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)


def _check_strings(message: Message, path: str) -> None:
    """Refuse strings that are not UTF-8, which protobuf returns as bytes."""
    for field, value in message.ListFields():
        parts = value if is_repeated(field) else (value,)
        if field.message_type is not None:
            for part in parts:
                _check_strings(part, path)
        elif field.type == field.TYPE_STRING and any(isinstance(part, bytes) for part in parts):
            name = message.DESCRIPTOR.name
            raise FormatError(f"{path}: the {field.name} of a {name} is not UTF-8 text")


def write_binary(path: PathLike, message: Message) -> None:
    """Write a message as a binary file: deterministic bytes, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(message.SerializeToString(deterministic=True))


def write_text(path: PathLike, message: Message) -> None:
    """Write a message as a prototxt file, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(to_text(message), encoding="utf-8")


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path to write to; on success it replaces the file.

    Where the system can, the temporary file has no name in its folder until it is whole, so that a
    process that is killed leaves nothing.

    Raises
    ------
    FormatError
        If it cannot be written; the file is then unchanged.
    """
    target = Path(os.fsdecode(path))
    handle, temporary = -1, None
    try:
        if target.is_char_device() or target.is_fifo():  # /dev/null, /dev/stdout
            yield target
            return
        handle, temporary = _beside(target)
        yield temporary or HANDLES / str(handle)
        os.fsync(handle)
        temporary = temporary or _name(handle, target)
        temporary.replace(target)
    except CaffeError:
        raise
    except (OSError, ValueError) as error:  # a ValueError if the path contains NUL
        raise FormatError(f"{shown(path)}: cannot be written: {reason(error)}") from None
    finally:
        if handle >= 0:
            os.close(handle)
        if temporary is not None:
            with suppress(OSError):  # the original error says more
                temporary.unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """Return why a file cannot be read or written, in a line; HDF5's own texts have several."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())


def _beside(target: Path) -> tuple[int, Path | None]:
    """Create an empty file beside a target, with a name if it must have one, and open it.

    Returns
    -------
    int
        The open file.
    Path or None
        Its unpredictable name; None if it has none yet.
    """
    if HANDLES.is_dir():
        with suppress(AttributeError, OSError):  # this file system has no such files
            return os.open(target.parent, os.O_TMPFILE | os.O_RDWR, 0o666), None
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    os.fchmod(handle, 0o666 & ~_UMASK)
    return handle, Path(name)


def _name(handle: int, target: Path) -> Path:
    """Give an open file without a name one beside a target."""
    name = target.parent / f".{secrets.token_hex(8)}.tmp"
    # Only with a folder's handle, any one, does Python call linkat, which follows such a path.
    os.link(HANDLES / str(handle), name, src_dir_fd=handle)
    return name


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()  # at import, since reading it changes it for a moment


def blob_shape(proto: BlobProto) -> tuple[int, ...]:
    """Return a stored blob's shape; blobs older than BlobShape have four axes."""
    if has_four_axes(proto):
        return (proto.num, proto.channels, proto.height, proto.width)
    if proto.HasField("shape"):
        return tuple(proto.shape.dim)
    return (len(proto.data) or len(proto.double_data),)


def has_four_axes(proto: BlobProto) -> bool:
    """Return whether a blob is older than BlobShape: padded with leading axes of size 1."""
    return any(proto.HasField(axis) for axis in ("num", "channels", "height", "width"))


def blob_array(proto: BlobProto, *, diff: bool = False) -> NDArray[Any]:
    """Return a stored blob's values (or gradients) as float32, or float64 if stored so.

    Raises
    ------
    FormatError
        If the number of values does not fit the shape.
    """
    double = proto.double_diff if diff else proto.double_data
    single = proto.diff if diff else proto.data
    values = np.array(double, np.float64) if len(double) else np.array(single, np.float32)
    shape = blob_shape(proto)
    if len(shape) > MAX_AXES:
        raise ValuesError(f"a blob of {len(shape)} axes is stored. Allowed: {MAX_AXES}")
    if values.size != math.prod(shape) or min(shape, default=0) < 0:
        raise ValuesError(f"a blob of shape {shape} is stored with {values.size} values")
    return values.reshape(shape)


def read_blob(path: PathLike) -> NDArray[Any]:
    """Read a file of one blob (`mean.binaryproto`, an infogain matrix).

    Raises
    ------
    FormatError
        If it cannot be read, is not such a file, or holds no values.
    """
    proto = read_binary(path, BlobProto())
    with naming(path):
        values = blob_array(proto)
        if not values.size:
            raise FormatError("holds no BlobProto with values")
    return values


def set_blob(proto: BlobProto, values: NDArray[Any], diff: NDArray[Any] | None = None) -> None:
    """Store an array, and its gradients if given, in a message."""
    proto.shape.dim.extend(values.shape)
    for number, array in ((proto.DATA_FIELD_NUMBER, values), (proto.DIFF_FIELD_NUMBER, diff)):
        if array is not None:
            content = np.ascontiguousarray(array, np.dtype("<f4")).tobytes()
            # Merge the packed field in wire format: appending millions of floats is slow.
            proto.MergeFromString(bytes([number << 3 | 2]) + _varint(len(content)) + content)


def _varint(value: int) -> bytes:
    """Encode a number as protobuf does: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
