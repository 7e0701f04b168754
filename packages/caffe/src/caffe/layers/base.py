"""The base class of layers, and the registry of their types.

A layer has the life cycle of Caffe: `setup` once, `reshape` before every `forward`, then `forward`
and, if needed for a gradient, `backward`. A family of layers is one file in this folder:

- `setup(bottom, top)` reads and checks `self.param`, and creates the learnt `self.blobs`;
- `reshape(bottom, top)` gives each top its shape (`top[0].reshape(...)`);
- `forward(bottom, top)` reads `bottom[i].tensor` and ends with `top[i].set_data(result)`;
- `backward(top, propagate_down, bottom)` reads `top[i].grad`, **adds** to the gradients of its own
  blobs (`blob.grad.add_(...)`, in place, for those with `self.param_propagate_down`), and ends with
  `bottom[i].set_diff(result)` where `propagate_down[i]`.

No layer writes into a tensor that it gets: an in-place layer, whose top is its bottom, creates a
new tensor like any other, unless its net has set `self.overwrites`. Gradients are written by hand,
since Caffe's are not always those of the forward pass. Layers compute in the precision of their
bottoms.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, TypeVar

from caffe import forks, rng
from caffe.blob import Blob, BlobVec
from caffe.errors import LayerError, ShapeError, naming
from caffe.fillers import fill
from caffe.memory import check_room
from caffe.proto import forks_pb2
from caffe.proto.caffe_pb2 import FillerParameter, LayerParameter

Blobs = Sequence[Blob]
ANY: tuple[int, int | None] = (0, None)


class Layer(ABC):
    """A layer of a net.

    Parameters
    ----------
    param : LayerParameter
        Its definition.
    phase : int
        `caffe.TRAIN` or `caffe.TEST`.

    Attributes
    ----------
    bottoms, tops : (int, int or None)
        Minimum and maximum number of blobs; None for no limit.
    is_loss : bool
        Whether the first top is a loss, of weight 1 unless the definition says otherwise.
    no_backward : frozenset of int
        Bottoms that can have no gradient, such as labels.
    overwritable : bool
        Whether its tops are new tensors that it keeps no reference to, so that an in-place layer
        above may overwrite them.
    overwrites : bool
        Whether the layer is in place and may write into its bottom's tensor.
    blobs : list of Blob
        The learnt blobs.
    param_propagate_down : list of bool
        For each of `blobs`, whether its gradient is needed.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    same_count: ClassVar[bool] = False
    is_loss: ClassVar[bool] = False
    is_data: ClassVar[bool] = False
    no_backward: ClassVar[frozenset[int]] = frozenset()
    overwritable: ClassVar[bool] = False

    def __init__(self, param: LayerParameter, phase: int) -> None:
        self.param = param
        self.phase = phase
        self._blobs: list[Blob] = BlobVec()
        self.param_propagate_down: list[bool] = []
        self.overwrites = False

    @property
    def blobs(self) -> list[Blob]:
        return self._blobs

    @property
    def name(self) -> str:
        return str(self.param.name)

    @property
    def type(self) -> str:
        return str(self.param.type)

    def extra(self) -> forks_pb2.LayerParameter:
        """Return the part of the definition that only forks of Caffe have."""
        return forks.extra(self.param)

    def check_counts(self, bottom: Blobs, top: Blobs) -> None:
        """Check the numbers of bottoms and tops.

        Raises
        ------
        LayerError
            If one is not allowed; the message gives the layer, the number and the limits.
        """
        for what, blobs, (least, most) in (
            ("bottom", bottom, self.bottoms),
            ("top", top, self.tops),
        ):
            if len(blobs) < least or (most is not None and len(blobs) > most):
                allowed = f"{least}" if most == least else f"{least} to {most or 'any number'}"
                raise self.error(f"has {len(blobs)} {what} blobs. Allowed: {allowed}")
        if self.same_count and len(bottom) != len(top):
            raise self.error(
                f"has {len(bottom)} bottom and {len(top)} top blobs: the numbers must be equal"
            )

    def setup(self, bottom: Blobs, top: Blobs) -> None:  # noqa: B027 (most types need none)
        """Read the settings and create the learnt blobs. By default it does nothing."""

    @abstractmethod
    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Set the shapes of the tops from those of the bottoms."""

    @abstractmethod
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Compute the tops' values."""

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Compute the gradients of the bottoms and of the layer's blobs.

        Raises
        ------
        LayerError
            By default, since the type has no gradient.
        """
        if any(propagate_down):
            raise self.error("has no gradient: nothing below it can learn")

    def learn(self, shape: Sequence[int], filler: FillerParameter) -> None:
        """Create a learnt blob; it keeps values that the definition contains."""
        index = len(self.blobs)
        try:
            blob = Blob(shape)
            # As much again come for its gradient, a solver's state, and a copy that is saved.
            check_room(16 * blob.count, f"a learnt blob of shape {blob.shape}")
        except ShapeError as error:
            raise self.error(str(error)) from None
        if index >= len(self.param.blobs):
            try:
                fill(blob, filler, rng.generator())
            except LayerError as error:
                raise self.error(str(error)) from None
        self.blobs.append(blob)
        self.param_propagate_down.append(True)

    def axis(self, blob: Blob, index: int) -> int:
        """Return `blob.axis(index)`; its error names the layer."""
        try:
            return blob.axis(index)
        except ShapeError as error:
            raise self.error(str(error)) from None

    def refuse_in_place(self, bottom: Blobs, top: Blobs) -> None:
        """Refuse a top that is the first bottom."""
        if any(blob is bottom[0] for blob in top):
            raise self.error("its top is its bottom. Allowed: another blob")

    def naming(self) -> AbstractContextManager[None]:
        """Prefix errors of any kind with the layer's name."""
        return naming(self._place)

    def error(self, message: str) -> LayerError:
        """Return an error that names the layer."""
        begins = message.startswith(f"{self._place}: ")
        return LayerError(message if begins else f"{self._place}: {message}")

    @property
    def _place(self) -> str:
        return f"layer '{self.name}' ({self.type})"


T = TypeVar("T", bound=Layer)

_REGISTRY: dict[str, type[Layer]] = {}


def register(*names: str) -> Callable[[type[T]], type[T]]:
    """Register a class as the layer of these types."""

    def registered(layer: type[T]) -> type[T]:
        _REGISTRY.update(dict.fromkeys(names, layer))
        return layer

    return registered


def registry() -> dict[str, type[Layer]]:
    """Return every type that can be built, by name."""
    return dict(sorted(_REGISTRY.items()))


def layer_type_list() -> list[str]:
    """Return the layer types that a net may have."""
    return list(registry())
