"""The answers of a served model and its description, as the plain values that the page gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

TOP = 5  # classes in an answer


@dataclass(frozen=True)
class Field:
    """A question of a form: one column of a table.

    Attributes
    ----------
    name : str
    kind : str
        One of `ripen.data.encoders.columns.KINDS`.
    usual : str
        A value that is common in the training rows: the median, or the most frequent one.
    levels : tuple of str
        The values to choose from; empty where any may be given.
    least, most : float or None
        The range of a number in the training rows.
    """

    name: str
    kind: str
    usual: str
    levels: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Answer:
    """A model's answer.

    Attributes
    ----------
    top : list of (str, float)
        The most probable classes, the most probable first; of independent labels the same.
    values : list of (str, float)
        The predicted values of a regression, by the targets' names.
    notes : list of str
        What the reader must know: a value that no training row has.
    seen, saliency : bytes or None
        PNG images: what a net sees of an image, and which pixels decide.
    """

    top: Sequence[tuple[str, float]] = ()
    values: Sequence[tuple[str, float]] = ()
    notes: Sequence[str] = ()
    seen: bytes | None = None
    saliency: bytes | None = None


class Served(Protocol):
    """A model that the page asks.

    Attributes
    ----------
    title, about : str
        A heading, and a sentence about the model.
    takes : "image" or "row"
        What a question is: the bytes of an image file, or a mapping of columns to values.
    fields : sequence of Field
        The columns of a row.
    """

    @property
    def title(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def takes(self) -> Literal["image", "row"]: ...
    @property
    def fields(self) -> Sequence[Field]: ...

    def answer(self, question: Any) -> Answer:
        """Return the model's answer.

        Raises
        ------
        DataError
            If the question is not what the model takes.
        """


def most_probable(
    probabilities: NDArray[np.floating], names: Sequence[str]
) -> list[tuple[str, float]]:
    """Return the names of the `TOP` highest probabilities with these, the highest first.

    >>> most_probable(np.array([0.25, 0.75]), ["unripe", "ripe"])
    [('ripe', 0.75), ('unripe', 0.25)]
    """
    best = np.argsort(-probabilities, kind="stable")[:TOP]
    return [(names[place], float(probabilities[place])) for place in best]
