"""How a trial ended, as it is kept in the store."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A training at one check."""

    iteration: int
    loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes
    ----------
    ended : str
        "converged", "early_stopping" or "max_iter"; "pruned" or "diverged".
    iterations, best_iteration : int
        Where it ended, and where its validation loss was lowest; 0 where it never was a number.
    curve : tuple of Point
        All its checks.
    seconds : float
        How long it took, 0 where its numbers were there already.
    """

    ended: str
    iterations: int
    curve: tuple[Point, ...]
    seconds: float

    @property
    def best(self) -> Point | None:
        """The check of the lowest validation loss."""
        return min(self.curve, key=lambda point: point.validation_loss, default=None)

    @property
    def best_iteration(self) -> int:
        return self.best.iteration if self.best else 0

    @property
    def whole(self) -> bool:
        """Whether it went as far as its settings say, whichever sweep it belongs to."""
        return self.ended != "pruned"

    def cut(self, checks: int) -> "Outcome":
        """Return how it would have ended, had it been pruned after some checks."""
        curve = self.curve[:checks]
        return Outcome("pruned", curve[-1].iteration, curve, 0.0)

    def dumps(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self) | {"curve": [list(point) for point in self.curve]})

    @classmethod
    def loads(cls, text: str) -> "Outcome":
        """Read what `dumps` wrote."""
        values: dict[str, Any] = json.loads(text)
        curve = tuple(Point(*point) for point in values["curve"])
        return cls(values["ended"], values["iterations"], curve, values["seconds"])


@dataclass(frozen=True)
class Finished:
    """A trial of a sweep that has ended: its number, counted from 0, its settings, their hash."""

    index: int
    settings: dict[str, Any]
    key: str
    outcome: Outcome


def thinned(points: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many points, evenly spread, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    last = len(points) - 1
    return [points[round(i * last / (most - 1))] for i in range(most)]
