from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ripen.competition.datasets import avocado
from ripen.competition.datasets.avocado import DATASET
from ripen.core.errors import DataError
from ripen.data.sources import builtin
from ripen.settings.schema import Config
from ripen.stages.prepare import Prepared, prepare, read_test

MakeConfig = Callable[..., Config]


def prepared(make_config: MakeConfig, seed: int = 3) -> tuple[dict, Prepared]:  # type: ignore[type-arg]
    files = avocado.generate(make_config().competition.avocado.fetch, seed=1)
    return files, prepare(DATASET, files["train"], files["test"], files["more"], 0.2, seed)


def test_the_split_is_stratified_and_complete(make_config: MakeConfig) -> None:
    files, result = prepared(make_config)
    train, validation = result.parts["train"], result.parts["validation"]
    assert (len(train.ids), len(validation.ids)) == (800, 200)
    assert set(train.ids) | set(validation.ids) == set(files["train"].id)
    share = files["train"].ripe.mean()
    for part in (train, validation):
        assert abs(part.arrays()[1].mean() - share) <= 1 / len(part.ids)


def test_scaling_is_fitted_on_the_training_part_only(make_config: MakeConfig) -> None:
    files, result = prepared(make_config)
    rows = files["train"].set_index("id")[DATASET.feature_names]
    kept = rows.loc[result.parts["train"].ids].to_numpy()
    for name, table in (("validation", rows), ("test", files["test"].set_index("id"))):
        part = result.parts[name]
        values = table.loc[part.ids, DATASET.feature_names].to_numpy()
        expected = (values - kept.mean(axis=0)) / kept.std(axis=0)
        np.testing.assert_allclose(part.data, expected, rtol=1e-5, atol=1e-6)


def test_a_seed_gives_one_split(make_config: MakeConfig) -> None:
    first, again, other = (prepared(make_config, seed)[1].parts["train"].ids for seed in (3, 3, 4))
    assert first.tolist() == again.tolist() != other.tolist()


def test_test_labels_are_those_of_the_solution(make_config: MakeConfig, tmp_path: Path) -> None:
    builtin.fetch(DATASET, make_config().competition.avocado.fetch, 1, tmp_path)
    labels = read_test(tmp_path, DATASET)["ripe"].tolist()
    assert (
        labels
        == avocado.generate(make_config().competition.avocado.fetch, 1)["solution"].ripe.tolist()
    )
    (tmp_path / "solution.csv").unlink()
    assert "ripe" not in read_test(tmp_path, DATASET)


def test_a_solution_of_other_rows_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    builtin.fetch(DATASET, make_config().competition.avocado.fetch, 1, tmp_path)
    lines = (tmp_path / "solution.csv").read_text().splitlines()
    (tmp_path / "solution.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match=r"solution\.csv: its ids are not those of .*test\.csv"):
        read_test(tmp_path, DATASET)
