from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ripen.competition import predictions


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1)))
def test_every_digit_survives_the_file(values: np.ndarray) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.csv"
        predictions.write(path, [predictions.table("net", "test", np.arange(4), values)])
        back = predictions.read(path)
    np.testing.assert_array_equal(predictions.probabilities(back), values)


def test_tables_are_joined_in_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table = predictions.table(name, "test", np.array([5, 6]), np.array([[0.5, 0.5]] * 2))
        predictions.write(tmp_path / f"{name}.csv", [table])
    both = predictions.read(tmp_path / "a.csv", tmp_path / "b.csv")
    assert both.model.tolist() == ["a", "a", "b", "b"]
    assert both.columns.tolist() == ["model", "part", "id", "p0", "p1"]
