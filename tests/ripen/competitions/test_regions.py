"""The talk's figures of the avocado's net, on a small net that is trained here."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import caffe
from ripen.competition import index as indexes
from ripen.competition.own import hook
from ripen.competitions.avocado import regions
from ripen.core.layout import Layout
from ripen.data.encoders import Encoder
from ripen.judge import plots
from ripen.nets.engines.pycaffe import probabilities
from ripen.settings.compose import changed
from ripen.settings.schema import Competition

LAYOUT = Layout("avocado")
SHOWN = ["red", "height_cm"]


def split(competition: Competition) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns of the rows that train, and of those that are held out."""
    index = indexes.read(LAYOUT, competition)
    table = pd.read_parquet(LAYOUT.table)
    rows = index.learnable()
    held = index.folds[rows] == 0
    return table.iloc[rows[~held]], table.iloc[rows[held]]


def test_the_hook_draws_the_net_and_its_regions(
    trained_avocado: Competition, tmp_path: Path
) -> None:
    draw = hook("avocado", "draw")
    assert draw is not None
    for name in ("one", "two"):
        (tmp_path / name / "net").mkdir(parents=True)
        draw(trained_avocado, LAYOUT, tmp_path / name)
    found = {path.name: path.read_bytes() for path in (tmp_path / "one/net").iterdir()}
    assert set(found) == {
        *(f"network{name}.svg" for name in ("", "_before", "_after", "_strip")),
        "regions.svg",
    }
    assert all((tmp_path / "two/net" / name).read_bytes() == each for name, each in found.items())
    assert b"<title>green against squishiness" in found["regions.svg"]


def test_nothing_is_drawn_without_a_net(trained_avocado: Competition, tmp_path: Path) -> None:
    draw = hook("avocado", "draw")
    assert draw is not None
    (tmp_path / "out/svm").mkdir(parents=True)
    draw(changed(trained_avocado, models={"svm": {"estimator": "svm"}}), LAYOUT, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["svm"]


def test_regions_show_the_held_out_rows(
    trained_avocado: Competition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(plots, "save", lambda figure, path: drawn.append(figure))
    (tmp_path / "out/net").mkdir(parents=True)
    own = {"regions": SHOWN, "bayes_sample": 10}
    regions.draw(changed(trained_avocado, own=own), LAYOUT, tmp_path / "out")
    axes = drawn[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("red", "height_cm")
    points = np.concatenate([marks.get_offsets() for marks in axes.collections[-2:]])
    expected = split(trained_avocado)[1][SHOWN].to_numpy()
    order = np.lexsort(points.T)
    np.testing.assert_allclose(points[order], expected[np.lexsort(expected.T)], rtol=1e-5)


def test_regions_hold_the_other_columns_at_their_medians(trained_avocado: Competition) -> None:
    train, held = split(trained_avocado)
    encoder = Encoder().fit(train)
    x, y, found = regions.landscape(LAYOUT, encoder, held, SHOWN)
    row = held.median()
    row["red"], row["height_cm"] = x[5], y[60]
    folder = LAYOUT.model("net")
    net = caffe.Net(str(folder / "deploy.prototxt"), str(folder / "model.caffemodel"), caffe.TEST)
    expected = probabilities(net, encoder.transform(row.to_frame().T))
    assert found[60, 5] == pytest.approx(expected[0, 1], rel=1e-4)
    # The range of the rows, and a twentieth around it.
    low, high = held.red.min(), held.red.max()
    assert x[[0, -1]].tolist() == pytest.approx([low - (high - low) / 20, high + (high - low) / 20])
