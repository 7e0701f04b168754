"""`ripen new`, from the command line to the file: the mirror's archives, and small folders."""

import builtins
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ripen import cli
from ripen.cli.command import INTERRUPTED
from ripen.data.sources import download
from ripen.entry import new as command
from ripen.settings.yaml_files import read
from tests.ripen.conftest import ROOT
from tests.ripen.http_server import running
from tests.ripen.images import encoded, make_image, zipped
from tests.ripen.kaggle_server import COMPETITION, Kaggle, sign_in

FACTS = ("files", "id", "target", "task", "metric", "submission", "validation", "images")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Leave the test in a folder with `conf/` and `models/`."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "models").symlink_to(ROOT / "models")
    return tmp_path


def write_folder(folder: Path, target: list[Any], sample: Any = 0, **columns: list[Any]) -> None:
    """Write train.csv and test.csv of as many rows, and a sample that holds one value."""
    n, rng = len(target), np.random.default_rng(0)
    frame = pd.DataFrame({"id": range(2 * n), "size": rng.normal(size=2 * n), **columns})
    folder.mkdir()
    frame[:n].assign(y=target).to_csv(folder / "train.csv", index=False)
    frame[n:].to_csv(folder / "test.csv", index=False)
    frame[n:][["id"]].assign(y=sample).to_csv(folder / "sample_submission.csv", index=False)


def settings(name: str) -> dict[str, Any]:
    text = Path(f"conf/competition/{name}.yaml").read_text()
    assert len(text.splitlines()) <= 20
    # The line of the source is as long as the path that the user gave.
    assert max(len(line) for line in text.splitlines() if not line.startswith("source:")) <= 140
    found = read(Path(f"conf/competition/{name}.yaml"))
    return {key: found[key] for key in FACTS if key in found}


EXPECTED: dict[str, dict[str, Any]] = {
    "titanic": {
        "files": {"sample": "gender_submission.csv"}, "id": "PassengerId", "target": "Survived",
        "task": "binary", "metric": "accuracy", "submission": "label",
        "validation": {"split": "stratified", "folds": 5},
    },
    "house-prices-advanced-regression-techniques": {
        "id": "Id", "target": "SalePrice", "task": "regression", "metric": "rmsle",
        "submission": "value", "validation": {"split": "kfold", "folds": 5},
    },
    "spaceship-titanic": {
        "id": "PassengerId", "target": "Transported", "task": "binary", "metric": "accuracy",
        "submission": "label",
        "validation": {
            "split": "stratified_group", "group": "PassengerId", "pattern": r"^(.+)_\d+$",
            "folds": 5,
        },
    },
    "flavia-leaf-classification": {
        "id": "id", "target": "species", "task": "multiclass", "metric": "log_loss",
        "submission": "probability", "validation": {"split": "stratified", "folds": 5},
    },
    "digit-recognizer-images": {
        "id": "ImageId", "target": "label", "task": "multiclass", "metric": "accuracy",
        "submission": "label", "images": {"labels": {"read": "csv"}, "min_side": 28},
    },
    "sign-language-digits": {
        "id": "filename", "task": "multiclass", "metric": "accuracy", "submission": "label",
        "validation": {"split": "stratified_group", "group": "signer", "folds": 5},
        "files": {"groups": "signer_imgs_list.csv"}, "images": {"labels": {"read": "folder"}},
    },
}  # fmt: skip


@pytest.mark.parametrize("slug", EXPECTED)
def test_the_archives_of_the_mirror(slug: str, here: Path, mirror: Path) -> None:
    archive = mirror.parent / "kaggle" / slug / f"{slug}.zip"
    assert cli.main(["new", "it", "--from", str(archive), "--yes"]) == 0
    assert settings("it") == EXPECTED[slug]


def test_the_reasons_are_comments_and_guesses_are_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(here / "mine", [0, 1] * 10)
    assert cli.main(["new", "mine", "--from", "mine", "--yes"]) == 0
    out = capsys.readouterr().out
    assert (
        "not sure of submission: sample_submission.csv holds 0 in every row. Chosen: label, not "
        "probability. For probability: --metric roc_auc, or log_loss\n"
    ) in out
    text = Path("conf/competition/mine.yaml").read_text()
    assert "source: {folder: mine}\n" in text
    assert "id: id # the column that sample_submission.csv and test.csv share\n" in text
    assert "task: binary # 10 rows of 0 and 10 rows of 1\n" in text


def test_tables_beside_are_used_or_said_to_be_unused(here: Path) -> None:
    write_folder(here / "mine", [0, 1] * 10)
    (here / "mine" / "orders.csv").write_text(
        "ID,paid\n" + "".join(f"{k},{paid}\n" for k in range(40) for paid in (3, 5))
    )
    (here / "mine" / "terms.csv").write_text("word,meaning\nid,whose\n")
    assert cli.main(["new", "mine", "--from", "mine", "--yes"]) == 0
    text = Path("conf/competition/mine.yaml").read_text()
    assert (
        "# orders.csv has several rows for each id; not used: terms.csv\n"
        "files: {histories: [orders.csv], keys: {orders.csv: {id: ID}}}\n"
    ) in text


def test_a_column_for_each_day_is_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "sales_train.csv").write_text("id,d_1,d_2\na,4,5\nb,6,7\n")
    (here / "mine" / "sample_submission.csv").write_text("id,F1\na,0\nb,0\n")
    assert cli.main(["new", "mine", "--from", "mine", "--yes"]) == 1
    assert capsys.readouterr().err.endswith(
        "mine: sales_train.csv has the ids of sample_submission.csv, and there is no test table. "
        "ripen predicts rows: put the columns of a series, such as its days, into rows\n"
    )


def test_the_metric_is_what_the_user_or_a_text_says(here: Path) -> None:
    write_folder(here / "mine", [0, 1] * 10)
    said = ["new", "mine", "--from", "mine", "--yes"]
    assert cli.main([*said, "--metric", "rocauc"]) == 2
    assert cli.main([*said, "--metric", "roc_auc"]) == 0
    assert (settings("mine")["metric"], settings("mine")["submission"]) == (
        "roc_auc", "probability"
    )  # fmt: skip
    Path("conf/competition/mine.yaml").unlink()
    words = "# Columns\nkappa: a ratio\n## Evaluation\nBy the area under the ROC curve.\n"
    (here / "mine/description.md").write_text(words)
    assert cli.main(said) == 0
    assert (settings("mine")["metric"], settings("mine")["submission"]) == (
        "roc_auc", "probability"
    )  # fmt: skip


def test_zipped_tables_whose_rows_the_sample_numbers(here: Path) -> None:
    """As Kaggle's digit-recognizer: no ids but those of the sample."""
    write_folder(here / "mine", list(range(10)) * 3)
    for name in ("train", "test"):
        file = here / f"mine/{name}.csv"
        table = pd.read_csv(file).drop(columns="id").to_csv(index=False)
        Path(f"{file}.zip").write_bytes(zipped({file.name: table.encode()}))
        file.unlink()
    numbers = pd.DataFrame({"ImageId": range(1, 31), "Label": 0})
    numbers.to_csv(here / "mine/sample_submission.csv", index=False)
    assert cli.main(["new", "mine", "--from", "mine", "--yes"]) == 0
    found = settings("mine")
    assert (found["id"], found["target"], found["task"]) == ("ImageId", "y", "multiclass")


def test_questions_are_asked_on_a_terminal(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(here / "mine", [0, 1] * 10)
    answers = ["3", "2", "y"]
    monkeypatch.setattr(builtins, "input", lambda shown: answers.pop(0))
    monkeypatch.setattr(command, "_terminal", lambda: True)
    assert cli.main(["new", "mine", "--from", "mine"]) == 0
    assert settings("mine")["submission"] == "probability"
    assert answers == []


def test_the_end_of_the_input_is_no_traceback(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(here / "mine", ["a", "b"] * 10)

    def ended(shown: str) -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", ended)
    monkeypatch.setattr(command, "_terminal", lambda: True)
    assert cli.main(["new", "mine", "--from", "mine"]) == INTERRUPTED
    assert capsys.readouterr().err == "\nripen: interrupted\n"
    assert not Path("conf/competition/mine.yaml").exists()


def test_rows_without_a_target_do_not_count_once_they_may_be_left_out(here: Path) -> None:
    write_folder(here / "mine", [*["a", "b"] * 10, None, None])
    assert cli.main(["new", "mine", "--from", "mine", "--yes", "--drop-unlabelled"]) == 0
    assert settings("mine")["files"]["drop_unlabelled"] is True
    assert settings("mine")["task"] == "binary"
    text = Path("conf/competition/mine.yaml").read_text()
    assert "; 2 of 22 rows have no y, and are left out\n" in text
    assert "task: binary # 10 rows of a and 10 rows of b\n" in text


def test_images_without_their_targets_are_left_out_as_rows_are(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [str(1.5 * i) for i in range(30)]
    table = pd.DataFrame({"id": [f"{i}.jpg" for i in range(30)], "x": places, "y": places})
    sample = pd.DataFrame({"id": ["90.jpg", "91.jpg"], "x": 0, "y": 0})
    (here / "mine").mkdir()
    sample.to_csv(here / "mine/sample_submission.csv", index=False)
    images = {f"train/{i}.jpg": encoded(make_image(i, 48, 36)) for i in range(30)}
    images |= {f"test/{i}.jpg": encoded(make_image(i, 48, 36)) for i in (90, 91)}
    (here / "mine/images.zip").write_bytes(zipped(images))
    table.to_csv(here / "mine/train.csv", index=False)
    new = ["new", "mine", "--from", "mine", "--yes"]
    assert cli.main([*new, "--drop-unlabelled"]) == 0
    assert "files" not in settings("mine")  # none lacks its targets
    Path("conf/competition/mine.yaml").unlink()
    table.assign(x=["", *places[1:]], y=["", *places[1:]]).to_csv("mine/train.csv", index=False)
    assert cli.main(new) == 1
    assert "1 of 30 rows have no x or y: row 1. Remove these rows, or add --drop-unlabelled" in (
        capsys.readouterr().err
    )
    assert cli.main([*new, "--drop-unlabelled"]) == 0
    assert settings("mine")["files"] == {"drop_unlabelled": True}
    assert "# 1 of 30 rows have no x or y, and are left out\n" in (
        Path("conf/competition/mine.yaml").read_text()
    )


@pytest.mark.parametrize(
    ("name", "target", "code", "message"),
    [
        ("avocado", [0, 1] * 9, 2, "'avocado' is taken: conf/competition/avocado.yaml exists"),
        ("My-Own", [0, 1] * 9, 2, "'My-Own' is no name: small letters, digits and _ are allowed. "
         "For instance: my_own"),
        ("mine", [0] * 9, 1, "target 'y': has one value (9 rows of 0): nothing to predict"),
        ("mine", [0, None, 1], 1, "train.csv: 1 of 3 rows have no y: row 2. Remove these rows, or "
         "add --drop-unlabelled"),
        ("mine", [None] * 3, 1, "train.csv: 3 of 3 rows have no y: there is nothing to learn"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_written(
    name: str, target: list[Any], code: int, message: str, here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_folder(here / "mine", target)
    before = sorted(here.rglob("*"))
    assert cli.main(["new", name, "--from", "mine", "--yes"]) == code
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert sorted(here.rglob("*")) == before


def test_nobody_to_ask_is_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(here / "mine", [0, 1] * 10)
    assert not sys.stdin.isatty()
    assert cli.main(["new", "mine", "--from", "mine"]) == 2
    assert "Run it on a terminal, or with --yes" in capsys.readouterr().err
    assert not Path("conf/competition/mine.yaml").exists()


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(download, "WAITS", (0.0,))
    monkeypatch.delenv("RIPEN_MIRROR", raising=False)
    (tmp_path / "home").mkdir()
    with running() as server:
        sign_in(monkeypatch, server, tmp_path / "home")
        yield Kaggle(server)


def test_what_kaggle_says(
    here: Path, kaggle: Kaggle, capsys: pytest.CaptureFixture[str], archive: Callable[..., bytes]
) -> None:
    kaggle.files[f"{COMPETITION}.zip"] = archive([0, 1] * 10)
    kaggle.facts = {
        "title": "Dogs: a test", "evaluationMetric": "Area Under Receiver Operating "
        "Characteristic Curve", "isKernelsSubmissionsOnly": True, "maxDailySubmissions": 5,
        "deadline": "2030-05-30T23:59:00Z", "userHasEntered": False, "licenseName": "CC0",
    }  # fmt: skip
    kaggle.pages = {"Description": "accuracy", "Evaluation": "<p>the ROC curve</p>"}
    assert cli.main(["new", "mine", "--kaggle", COMPETITION, "--yes"]) == 0
    out = capsys.readouterr().out
    for line in (
        "Dogs: a test: 5 submissions a day\n",
        "deadline: 2030-05-30 23:59 UTC\n",
        "only notebooks may submit",
        f"Accept the rules at https://www.kaggle.com/c/{COMPETITION}/rules\n",
    ):
        assert line in out
    found = settings("mine")
    # The sample's zeros are probabilities, as the metric needs.
    assert (found["metric"], found["submission"]) == ("roc_auc", "probability")
    values = read(Path("conf/competition/mine.yaml"))
    assert values["source"] == {"kaggle": COMPETITION}
    assert values["about"]["licence"] == "CC0"
    assert Path(f"data/mine/download/{COMPETITION}.zip").exists()


def test_the_page_says_what_the_short_name_does_not(
    here: Path, kaggle: Kaggle, archive: Callable[..., bytes]
) -> None:
    kaggle.files[f"{COMPETITION}.zip"] = archive([i + 0.5 for i in range(40)])
    kaggle.facts = {"evaluationMetric": "The Host's Own", "userHasEntered": True}
    kaggle.pages = {"Evaluation": "<p>Submissions are scored by the mean absolute error.</p>"}
    assert cli.main(["new", "mine", "--kaggle", COMPETITION, "--yes"]) == 0
    assert settings("mine")["metric"] == "mae"


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., bytes]:
    """Return a function from a target to a competition's zip."""

    def make(target: list[Any]) -> bytes:
        write_folder(tmp_path / "packed", target)
        return zipped({file.name: file.read_bytes() for file in (tmp_path / "packed").iterdir()})

    return make


def test_a_refusal_is_one_line(
    here: Path, kaggle: Kaggle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["new", "mine", "--kaggle", "nowhere", "--yes"]) == 1
    err = capsys.readouterr().err
    assert "Kaggle says 404 Not found. Check the names" in err
    assert err.count("\n") == 1
    assert not Path("conf/competition/mine.yaml").exists()


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"title": ["Dogs"]}, "title"),
        ({"evaluationMetric": {"name": "AUC"}}, "evaluation_metric"),
        ({"deadline": 5}, "AttributeError"),
        ({"deadline": "soon"}, "ValueError"),
        ({"maxDailySubmissions": "five"}, "max_daily_submissions"),
    ],
)
def test_an_odd_fact_of_kaggles_is_one_line(
    here: Path,
    kaggle: Kaggle,
    capsys: pytest.CaptureFixture[str],
    facts: dict[str, object],
    field: str,
) -> None:
    kaggle.facts = facts
    assert cli.main(["new", "mine", "--kaggle", COMPETITION, "--yes"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("ripen: Kaggle's answer is not understood")
    assert field in err
    assert err.count("\n") == 1
    assert not Path("conf/competition/mine.yaml").exists()
