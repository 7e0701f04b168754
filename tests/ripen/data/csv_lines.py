"""Lines of a CSV of avocados, and functions that damage them."""

from collections.abc import Callable

import numpy as np

from ripen.competitions.avocado.distribution import sample

Rewrite = Callable[[list[str]], list[str]]


def good_lines(n: int = 5) -> list[str]:
    frame = sample(n, 0.0, np.random.default_rng(0)).assign(ripe=[0, 1] * (n // 2) + [0] * (n % 2))
    frame.insert(0, "id", np.arange(1, n + 1))
    return frame.to_csv(index=False).splitlines()


def cell(row: int, column: str, value: str) -> Rewrite:
    def rewrite(lines: list[str]) -> list[str]:
        at = lines[0].split(",").index(column)
        cells = lines[row].split(",")
        cells[at] = value
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    return rewrite


def without_column(name: str) -> Rewrite:
    def rewrite(lines: list[str]) -> list[str]:
        at = lines[0].split(",").index(name)
        rows = [line.split(",") for line in lines]
        return [",".join(row[:at] + row[at + 1 :]) for row in rows]

    return rewrite
