from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ripen.competition.datasets.avocado import DATASET
from ripen.settings.schema.common import Predict

from ripen.competition import predictions
from ripen.core.errors import ConfigError, DataError
from ripen.judge.evaluation.calibration import Calibration
from ripen.stages.predict import calibrated, chosen_model, predict

SAMPLE = Path("sample_submission.csv")
METRICS = {"models": {"svm": {}, "net": {}}, "best": "net"}


def rows(ids: list[int], ripe: list[float]) -> pd.DataFrame:
    return predictions.table("net", "test", np.array(ids), np.stack([1 - np.array(ripe), ripe], 1))


def test_the_submission_has_the_samples_columns_order_and_ids() -> None:
    sample = pd.DataFrame({"ripe": ["0.5"] * 3, "id": [30, 10, 20]})
    submission = predict(rows([10, 20, 30], [0.1, 0.2, 0.3]), sample, DATASET, SAMPLE)
    assert submission.to_csv(index=False) == "ripe,id\n0.3,30\n0.1,10\n0.2,20\n"


@pytest.mark.parametrize(
    ("temperature", "clip", "expected"),
    [
        (False, 0.01, [0.01, 0.2, 0.99]),
        (False, "validation", [0.05, 0.2, 0.95]),
        # The root of 0.2 to 0.8 is 1 to 2.
        (True, "validation", [0.1, 1 / 3, 0.9]),
    ],
)
def test_probabilities_are_scaled_and_clipped(
    temperature: bool, clip: float | str, expected: list[float]
) -> None:
    fitted = Calibration(temperature=2.0, clip=0.05, clip_scaled=0.1)
    settings = Predict(model="best", temperature=temperature, clip=clip)  # type: ignore[arg-type]
    found = calibrated(rows([1, 2, 3], [0.0, 0.2, 1.0]), fitted, settings)
    assert found.p1.tolist() == pytest.approx(expected)
    assert (found.p0 + found.p1).tolist() == pytest.approx([1, 1, 1])


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
        predict(rows([1, 2, 3], [0.1, 0.2, 0.3]), sample, DATASET, SAMPLE)


def test_the_best_or_a_named_model_is_chosen() -> None:
    assert chosen_model("best", METRICS) == "net"  # type: ignore[arg-type]
    assert chosen_model("svm", METRICS) == "svm"  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"'smv': no such model\. Allowed: best, svm, net"):
        chosen_model("smv", METRICS)  # type: ignore[arg-type]
