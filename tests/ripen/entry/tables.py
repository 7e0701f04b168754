"""Small tables as text."""

import io

import pandas as pd

from ripen.entry.files import Table


def table(name: str, text: str) -> Table:
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    return Table(name, frame)


TEST = table("test.csv", "key,x\na,1\nb,2\n")
