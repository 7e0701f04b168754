"""Kaggle's own metric files, unchanged: two of the published form, and what is refused."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import rel_entr
from sklearn.metrics import roc_auc_score

import ripen.competitions
from ripen.competition import kaggle_metric_utilities as utilities
from ripen.competition.metric_file import metric_of
from ripen.competition.metrics import Metric
from ripen.core.errors import ConfigError, DataError

# Both in the form of files that Kaggle publishes beside a competition: they delete and pop columns,
# check what they get, call scikit-learn through Kaggle's module, and have an error of their own.
AUC = '''
    """ROC AUC, the mean over the classes that occur."""
    import kaggle_metric_utilities
    import pandas as pd
    import pandas.api.types
    import sklearn.metrics


    class ParticipantVisibleError(Exception):
        pass


    def score(solution: pd.DataFrame, submission: pd.DataFrame, row_id_column_name: str) -> float:
        del solution[row_id_column_name]
        del submission[row_id_column_name]
        if not pandas.api.types.is_numeric_dtype(submission.values):
            raise ParticipantVisibleError(f"Invalid submission data types: {submission.dtypes}")
        totals = solution.sum(axis=0)
        scored = list(totals[totals > 0].index.values)
        assert len(scored) > 0
        return kaggle_metric_utilities.safe_call_score(
            sklearn.metrics.roc_auc_score,
            solution[scored].values,
            submission[scored].values,
            average="macro",
        )
'''
KL = '''
    """Kullback-Leibler divergence with weights of the rows."""
    from typing import Optional

    import kaggle_metric_utilities
    import numpy as np
    import pandas as pd


    class ParticipantVisibleError(Exception):
        pass


    def score(
        solution: pd.DataFrame,
        submission: pd.DataFrame,
        row_id_column_name: str,
        epsilon: float = 10**-15,
        sample_weights_column_name: Optional[str] = None,
    ) -> float:
        del solution[row_id_column_name]
        del submission[row_id_column_name]
        weights = None
        if sample_weights_column_name:
            if sample_weights_column_name not in solution.columns:
                raise ParticipantVisibleError(f"{sample_weights_column_name} not found")
            weights = solution.pop(sample_weights_column_name)
        for column in solution.columns:
            if column not in submission.columns:
                raise ParticipantVisibleError(f"Missing submission column {column}")
        kaggle_metric_utilities.verify_valid_probabilities(solution, "solution")
        kaggle_metric_utilities.verify_valid_probabilities(submission, "submission")
        total = 0
        for column in solution.columns:
            solution[column] = np.clip(solution[column].astype(float), epsilon, 1 - epsilon)
            submission[column] = np.clip(submission[column], epsilon, 1 - epsilon)
            total += solution[column] * np.log(solution[column] / submission[column])
        return np.average(total, weights=weights)
'''
SOLUTION = pd.DataFrame({"id": ["a", "b", "c"], "x": [1, 0, 1], "y": [0, 1, 0], "z": [0, 0, 0]})
SAID = pd.DataFrame({"id": ["a", "b", "c"], "x": [0.7, 0.8, 0.6], "y": [0.2, 0.1, 0.3]})
SAID["z"] = 1 - SAID.x - SAID.y


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder of own code of a competition called cheese."""
    folder = tmp_path / "cheese"
    folder.mkdir()
    monkeypatch.setattr(ripen.competitions, "__path__", [str(tmp_path)])
    yield folder
    sys.modules.pop("ripen.competitions.cheese", None)


def metric(folder: Path, text: str, **settings: Any) -> Metric:
    (folder / "metric.py").write_text(dedent(text))
    return metric_of("cheese", {"metric": "metric.py", "greater_is_better": True} | settings)


def test_a_published_file_with_kaggles_module(own: Path) -> None:
    auc = metric(own, AUC)
    expected = roc_auc_score(SOLUTION[["x", "y"]], SAID[["x", "y"]])
    assert auc.score(SOLUTION, SAID, "id") == pytest.approx(expected)
    # It deletes columns, of a copy.
    assert list(SOLUTION) == list(SAID) == ["id", "x", "y", "z"]
    assert (auc.name, auc.title, auc.greater_is_better) == ("metric", "metric.py", True)
    auc.check("regression")
    with pytest.raises(DataError, match=r"metric\.py: Invalid submission data types: x"):
        auc.score(SOLUTION, SAID.astype(str), "id")


def test_a_published_file_with_settings_and_a_column_of_the_solution(own: Path) -> None:
    settings = {"epsilon": 1e-9, "sample_weights_column_name": "w", "greater_is_better": False}
    kl = metric(own, KL, **settings)
    assert kl.columns == {"w": "w"}
    assert not kl.greater_is_better
    weighted = SOLUTION.assign(w=[1, 2, 3])
    truth, said = (np.clip(t[["x", "y", "z"]], 1e-9, 1 - 1e-9) for t in (SOLUTION, SAID))
    expected = np.average(rel_entr(truth, said).sum(axis=1), weights=[1, 2, 3])
    assert kl.score(weighted, SAID, "id", **kl.settings) == pytest.approx(expected)
    for bad, said_of_it in (
        (SAID.assign(x=-1.0), "All target values in submission must be at least zero"),
        (SAID.assign(x=2.0), "All target values in submission must be no greater than one"),
        (SAID.assign(x=1.0), "All target values in submission must sum to one in each row"),
        (SAID.drop(columns="y"), "Missing submission column y"),
        (SAID.assign(x="s"), "All target values in submission must be numeric"),
    ):
        with pytest.raises(DataError, match=rf"metric\.py: {said_of_it}$"):
            kl.score(weighted, bad, "id", **kl.settings)


def test_mutable_settings_are_copied(own: Path) -> None:
    code = "def score(s, t, i, *, names):\n    names.append('x')\n    return len(names)\n"
    own_metric = metric(own, code, names=["a"])
    assert own_metric.score(SOLUTION, SAID, "id", **own_metric.settings) == 2
    assert own_metric.score(SOLUTION, SAID, "id", **own_metric.settings) == 2


THREE = "def score(solution, submission, row_id_column_name, beta=1.0):\n    "


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (THREE + "return submission['nope'].mean()", r"metric\.py: line 2: KeyError: 'nope'$"),
        (THREE + "raise ValueError('two\\nlines')", r"metric\.py: line 2: ValueError: two lines$"),
        (THREE + "return None", r"metric\.py: score returned None, which is not a number$"),
        (THREE + "return float('nan')", r"metric\.py: score returned nan, which is not a finite"),
        ("def score(:\n", r"metric\.py: line 1: SyntaxError: "),
        ("import cheddar\n", r"metric\.py: line 1: ModuleNotFoundError: No module"),
        ("def measure(): ...\n", r"metric\.py: has no function score\(solution"),
        ("def score(a, b): ...\n", r"metric\.py: score takes 2 arguments\. Needed: solution, "),
    ],
)  # fmt: skip
def test_a_file_that_raises_is_one_line(own: Path, code: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        metric(own, code).score(SOLUTION, SAID, "id")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"metric": "metric.py"}, r"metric: state which scores of metric\.py are better: \{"),
        ({"greater_is_better": "yes"}, r"metric: state which scores of metric\.py are better"),
        ({"betta": 2}, r"metric 'metric\.py': unknown key 'betta'; did you mean 'beta'\?$"),
        ({"solution_columns": "w"}, r"metric: solution_columns is 'w': a list of columns"),
        ({"metric": "metrik.py"}, r"metric: there is no src/ripen/competitions/cheese/metrik\.py"),
        ({"metric": "../metric.py"}, r"metric: '\.\./metric\.py' is a path\. Give the name"),
    ],
)  # fmt: skip
def test_settings_of_a_file_that_do_not_fit(own: Path, settings: dict[str, Any], said: str) -> None:
    (own / "metric.py").write_text(THREE + "return 1.0\n")
    usual = {} if settings.get("metric") == "metric.py" else {"greater_is_better": True}
    with pytest.raises(ConfigError, match=said):
        metric_of("cheese", {"metric": "metric.py"} | usual | settings)


def test_an_argument_that_a_file_needs_is_missing(own: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric 'metric\.py': key 'beta' is missing$"):
        metric(own, "def score(a, b, c, beta): ...\n")


def test_a_competition_without_code_has_no_file(own: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no src/ripen/competitions/brie/metric\.py"):
        metric_of("brie", {"metric": "metric.py", "greater_is_better": True})
    assert metric_of("brie", "rmse").name == "rmse"


# --- Kaggle's module -----------------------------------------------------------------------------


def test_the_module_has_kaggles_names() -> None:
    for name in (
        "ParticipantVisibleError", "HostVisibleError", "treat_as_participant_error",
        "safe_call_score", "verify_valid_probabilities",
    ):  # fmt: skip
        assert hasattr(utilities, name)


@pytest.mark.parametrize(
    ("message", "solution", "visible"),
    [
        ("no such column", SOLUTION[["x", "y"]], True),
        ("value 3 is wrong", SOLUTION[["x"]], False),
        ("no such column", SOLUTION, False),  # the ids are text
        ("it is True", pd.DataFrame({"x": [True]}), False),
        ("it is True", np.array([1.0, 2.0]), True),
    ],
)
def test_errors_that_cannot_tell_the_solution(message: str, solution: Any, visible: bool) -> None:
    assert utilities.treat_as_participant_error(message, solution) == visible

    def fails(solution: Any, submission: Any) -> float:
        raise RuntimeError(message)

    expected = utilities.ParticipantVisibleError if visible else RuntimeError
    with pytest.raises(expected, match=message):
        utilities.safe_call_score(fails, solution, SAID)


def test_errors_keep_their_class_by_its_name() -> None:
    for name in ("ParticipantVisibleError", "HostVisibleError"):
        own_error = type(name, (Exception,), {})

        def fails(solution: Any, submission: Any, error: type = own_error) -> float:
            raise error("row 7")

        with pytest.raises(getattr(utilities, name), match="row 7"):
            utilities.safe_call_score(fails, SOLUTION, SAID)
