"""Python: a layer that the user writes as a class."""

import importlib
from abc import ABC
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from caffe.blob import BlobVec, RawBlobVec
from caffe.errors import ClassMissing, ModuleError
from caffe.layers import base
from caffe.layers.base import Blobs, register
from caffe.proto.caffe_pb2 import LayerParameter

_REFUSED: ContextVar[str] = ContextVar("refused", default="")


@contextmanager
def without_python_layers(remedy: str) -> Iterator[None]:
    """Refuse Python layers in a block: they are code, and a net may be somebody else's.

    Parameters
    ----------
    remedy : str
        How to allow them, for the error.
    """
    token = _REFUSED.set(remedy)
    try:
        yield
    finally:
        _REFUSED.reset(token)


class Layer(ABC):
    """The base of layers written in Python: `caffe.Layer`.

    A prototxt names the class by ``python_param { module: "..." layer: "..." param_str: "..." }``.
    It reads and writes its blobs' arrays in place: ``top[0].data[...] = bottom[0].data * 2``.

    - ``setup(bottom, top)`` reads `param_str` and checks the blobs, once;
    - ``reshape(bottom, top)`` sets the shapes of the tops, before every pass;
    - ``forward(bottom, top)`` writes the `data` of the tops;
    - ``backward(top, propagate_down, bottom)`` writes the `diff` of each bottom that is True in
      `propagate_down`, and adds to the `diff` of `blobs`.

    Attributes
    ----------
    param_str : str
        Free text of the definition; also under its old name, `param_str_`.
    phase : int
        `caffe.TRAIN` or `caffe.TEST`.
    blobs : list of Blob
        The learnt blobs; `setup` adds one by ``self.blobs.add_blob(*shape)``.
    """

    param_str: str
    param_str_: str
    phase: int

    def __init__(self, param: LayerParameter) -> None:
        self._blobs = BlobVec()

    @property
    def blobs(self) -> BlobVec:
        return self._blobs

    @property
    def type(self) -> str:
        return "Python"

    def setup(self, bottom: Blobs, top: Blobs) -> None:  # noqa: B027 (as in pycaffe)
        """Read `param_str` and check the blobs, once. By default it does nothing."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:  # noqa: B027 (as in pycaffe)
        """Set the shapes of the tops: ``top[0].reshape(*shape)``. By default they keep theirs."""


# In pycaffe every layer of a net is a caffe.Layer. mypy takes no abstract class for a type here.
Layer.register(base.Layer)  # type: ignore[type-abstract]


@register("Python")
class PythonLayer(base.Layer):
    """The layer of a net that runs an object of the user's class, `user`.

    Errors of that class are passed on unchanged. `share_in_parallel` has no effect: a net runs on
    one device.
    """

    bottoms = base.ANY
    tops = base.ANY

    def __init__(self, param: LayerParameter, phase: int) -> None:
        super().__init__(param, phase)
        if remedy := _REFUSED.get():
            raise self._missing(
                f"a Python layer runs the code of module '{param.python_param.module}'. {remedy}"
            )
        self.user: Layer = self._class()(param)
        self._blobs = self.user.blobs

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self.user.param_str = self.user.param_str_ = self.param.python_param.param_str
        self.user.phase = self.phase
        self.user.setup(RawBlobVec(bottom), RawBlobVec(top))
        self.param_propagate_down = [True] * len(self.blobs)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.user.reshape(RawBlobVec(bottom), RawBlobVec(top))

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._method("forward")(RawBlobVec(bottom), RawBlobVec(top))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self._method("backward")(RawBlobVec(top), propagate_down, RawBlobVec(bottom))

    def _class(self) -> Any:
        param = self.param.python_param
        if not param.module or not param.layer:
            raise self.error("python_param needs module and layer, the names of a class")
        if param.module.startswith(".") or "\0" in param.module:
            raise self._missing(f"module is '{param.module}'. Allowed: an absolute name")
        try:
            module = importlib.import_module(param.module)
        except ModuleNotFoundError as error:
            if not f"{param.module}.".startswith(f"{error.name}."):
                raise  # an import inside the module failed
            raise self._missing(
                f"there is no Python module '{param.module}'. Its folder must be in PYTHONPATH"
            ) from None
        found = getattr(module, param.layer, None)
        if found is None:
            raise ClassMissing(str(self.error(f"there is no {self._named()}")))
        if not isinstance(found, type) or not issubclass(found, Layer):
            raise self.error(f"{self._named()} is not a subclass of caffe.Layer")
        return found

    def _missing(self, message: str) -> ModuleError:
        return ModuleError(str(self.error(message)))

    def _method(self, name: str) -> Any:
        method = getattr(self.user, name, None)
        if method is None:
            raise ClassMissing(str(self.error(f"{self._named()} has no method {name}")))
        return method

    def _named(self) -> str:
        param = self.param.python_param
        return f"class '{param.layer}' of module '{param.module}'"
