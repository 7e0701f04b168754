from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ripen import predictions
from ripen.datasets.avocado import DATASET
from ripen.errors import ConfigError, DataError
from ripen.stages.predict import chosen_model, predict

SAMPLE = Path("sample_submission.csv")
METRICS = {"models": {"svm": {}, "net": {}}, "best": "net"}


def rows(ids: list[int], ripe: list[float]) -> pd.DataFrame:
    return predictions.table("net", "test", np.array(ids), np.stack([1 - np.array(ripe), ripe], 1))


def test_the_submission_has_the_samples_columns_order_and_ids() -> None:
    sample = pd.DataFrame({"ripe": ["0.5"] * 3, "id": [30, 10, 20]})
    submission = predict(rows([10, 20, 30], [0.1, 0.2, 0.3]), sample, DATASET, 0.0, SAMPLE)
    assert submission.to_csv(index=False) == "ripe,id\n0.3,30\n0.1,10\n0.2,20\n"


def test_probabilities_are_clipped() -> None:
    sample = pd.DataFrame({"id": [1, 2, 3], "ripe": ["0.5"] * 3})
    submission = predict(rows([1, 2, 3], [0.0, 0.5, 1.0]), sample, DATASET, 0.01, SAMPLE)
    assert submission.ripe.tolist() == [0.01, 0.5, 0.99]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 2, 4], r"sample_submission\.csv: column 'id': 4 is not an id of the test part"),
        ([1, 2], r"sample_submission\.csv: column 'id': 3 of the test part is missing"),
    ],
)
def test_other_ids_are_refused(ids: list[int], message: str) -> None:
    sample = pd.DataFrame({"id": ids, "ripe": ["0.5"] * len(ids)})
    with pytest.raises(DataError, match=message):
        predict(rows([1, 2, 3], [0.1, 0.2, 0.3]), sample, DATASET, 0.0, SAMPLE)


def test_the_best_or_a_named_model_is_chosen() -> None:
    assert chosen_model("best", METRICS) == "net"  # type: ignore[arg-type]
    assert chosen_model("svm", METRICS) == "svm"  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"'smv': no such model\. Allowed: best, svm, net"):
        chosen_model("smv", METRICS)  # type: ignore[arg-type]
