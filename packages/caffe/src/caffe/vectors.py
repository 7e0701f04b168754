"""pycaffe's containers: an assignment that real Caffe refuses fails here too, at once."""

from collections.abc import Iterable
from typing import Any, ClassVar, SupportsIndex, TypeVar

from caffe.errors import AssignmentError, CopyError, ReadOnlyError

T = TypeVar("T")


class Uncopied:
    """What no script can copy or pickle, as in pycaffe; `instead` says what it can do.

    Raises
    ------
    CopyError
        If one does.
    """

    __slots__ = ()
    instead: ClassVar[str] = "make another, and share weights"

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        raise CopyError(f"a {type(self).__name__} cannot be copied or pickled: {self.instead}")


class Fixed(Uncopied):
    """A net or a solver: some attributes can be set only once, since pycaffe's are read-only.

    Raises
    ------
    ReadOnlyError
        If a script replaces one.
    """

    fixed: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.fixed and name in self.__dict__:
            raise ReadOnlyError(f"can't set attribute '{name}': write into its arrays instead")
        super().__setattr__(name, value)


class Vector(list[T]):
    """A list whose elements have one type.

    Raises
    ------
    AssignmentError
        If something else is assigned or added.
    """

    kind: ClassVar[Any] = object
    hint: ClassVar[str] = ""

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            super().__setitem__(index, [self._checked(each) for each in value])
        else:
            super().__setitem__(index, self._checked(value))

    def append(self, value: T) -> None:
        super().append(self._checked(value))

    def extend(self, values: Iterable[T]) -> None:
        super().extend([self._checked(value) for value in values])

    def insert(self, index: SupportsIndex, value: T) -> None:
        super().insert(index, self._checked(value))

    def _checked(self, value: T) -> T:
        if not isinstance(value, self.kind):
            raise AssignmentError(
                f"Invalid assignment: a {type(value).__name__} to an element of a "
                f"{type(self).__name__}{self.hint}"
            )
        return value


class IntVec(Vector[int]):
    """Whole numbers."""

    kind = int


class DtypeVec(Vector[float]):
    """Numbers, such as loss weights."""

    kind = (int, float)


class BoolVec(Vector[bool]):
    """Flags."""

    kind = bool


class StringVec(Vector[str]):
    """Names."""

    kind = str


class LayerVec(Vector[Any]):
    """The layers of a net; none can be replaced."""

    kind = ()


class NetVec(Vector[Any]):
    """The test nets of a solver; none can be replaced."""

    kind = ()
