"""evaluate: score every model, the net among them, and draw what there is to see."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, roc_curve

from ripen import plots, predictions
from ripen.atomic import fresh_folder, write_text
from ripen.config import leaves
from ripen.datasets import DATASETS
from ripen.datasets.pictures import Images
from ripen.datasets.prepared import read_part
from ripen.datasets.tabular import Tabular, read_table
from ripen.layout import WAYS, Layout
from ripen.metrics import DECIMALS, scores
from ripen.schema import CompetitionName, Config
from ripen.tracking import Tracker

MADE_BY = dict.fromkeys(("net", "head", "scratch"), "train")  # every other model: baselines


@dataclass(frozen=True)
class Scored:
    """One model's probabilities on one part, beside the truth."""

    model: str
    part: str
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def run(config: Config, competition: CompetitionName) -> None:
    """Read what the models left, write `evaluate/` and `metrics/<competition>.json`."""
    layout, dataset = Layout(competition), DATASETS[competition]
    scored = list(read_scored(layout))
    trained = trained_folders(layout, dataset)
    trainings = {name: read_training(own) for name, own in trained.items()}
    bayes = None
    if isinstance(dataset, Tabular):
        bayes = bayes_scores(config, competition, dataset, layout)
    metrics = evaluate(scored, trainings, bayes)
    learnt = pd.concat(
        [pd.read_csv(folder / "learning_curve.csv") for folder in (layout.baselines, layout.train)]
    )
    curves = {name: pd.read_csv(own / "curve.csv") for name, own in trained.items()}
    bins = getattr(config.competition, competition).evaluate.calibration_bins
    with fresh_folder(layout.evaluate) as folder:
        write_csv(folder / "leaderboard.csv", leaderboard(metrics, layout.baselines))
        # One column a model, which is what `dvc plots` draws lines from.
        wide = learnt.pivot(index="n_train", columns="model", values="accuracy").reset_index()
        write_csv(folder / "learning_curve.csv", wide)
        shown = [one for one in scored if one.part == last_part(scored)]
        points = pd.concat([roc_points(one) for one in shown])
        write_csv(folder / "roc.csv", points)
        for one in shown:
            draw(one, points, dataset, bins, folder / one.model)
        for name, curve in curves.items():
            ended = trainings[name]
            error = plots.error_curve(curve, ended["stopped"], ended["best_iteration"])
            plots.save(error, folder / name / "error.svg")
        if len(curves) > 1:
            write_csv(folder / "ways.csv", side_by_side(curves))
            plots.save(plots.ways(curves), folder / "ways.svg")
        plots.save(plots.roc(points, f"{competition}, {shown[0].part}"), folder / "roc.svg")
        expected = bayes["expected"]["accuracy"] if bayes else None
        plots.save(plots.learning_curve(learnt, expected), folder / "learning_curve.svg")
        write_text(layout.metrics, json.dumps(metrics, indent=2) + "\n")
        track(config, competition, metrics, folder)


def evaluate(
    scored: list[Scored], trainings: dict[str, dict[str, Any]], bayes: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what `metrics/<competition>.json` holds.

    Parameters
    ----------
    scored : list of Scored
        Every model on every part whose labels are known.
    trainings : dict of str to dict
        What ended the training of each net, and when.
    bayes : dict or None
        Scores of the best possible rule, where it is known.

    Returns
    -------
    dict
        ``models`` by name and part, ``best`` (lowest validation log loss), ``bayes``.
    """
    models: dict[str, dict[str, Any]] = {}
    for one in scored:
        models.setdefault(one.model, {})[one.part] = scores(one.labels, one.probabilities)
    for name, training in trainings.items():
        models[name] |= training
    best = min(models, key=lambda name: models[name]["validation"]["log_loss"])
    return {"models": models, "best": best} | ({"bayes": bayes} if bayes else {})


def trained_folders(layout: Layout, dataset: Tabular | Images) -> dict[str, Path]:
    """Return where the files of each net that was trained are, by the model's name."""
    if isinstance(dataset, Tabular):
        return {"net": layout.train}
    return {name: layout.train / folder for name, folder in WAYS.items()}


def read_training(folder: Path) -> dict[str, Any]:
    """Read what ended a training, and when."""
    values: dict[str, Any] = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    return values


def side_by_side(curves: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the validation losses of all nets by iteration, one column a net."""
    losses = {name: c.set_index("iteration").validation_loss for name, c in curves.items()}
    return pd.DataFrame(losses).reset_index()


def read_scored(layout: Layout) -> Iterator[Scored]:
    """Yield every model's probabilities on each part whose labels are known."""
    table = predictions.read(layout.baselines / "predictions.csv", layout.train / "predictions.csv")
    parts = {name: read_part(layout.prepared, name) for name in ("validation", "test")}
    for (model, name), rows in table.groupby(["model", "part"], sort=False):
        part = parts[str(name)]
        if part.labels is not None:
            labels = pd.Series(part.labels, index=part.ids).loc[rows["id"]].to_numpy()
            yield Scored(str(model), str(name), labels, predictions.probabilities(rows))


def last_part(scored: list[Scored]) -> str:
    """Return the part that is drawn: "test" where its labels are known, else "validation"."""
    return "test" if any(one.part == "test" for one in scored) else "validation"


def bayes_scores(
    config: Config, competition: CompetitionName, dataset: Tabular, layout: Layout
) -> dict[str, Any]:
    """Score the best possible rule: on the test rows, and its expected accuracy."""
    noise = getattr(config.competition, competition).fetch.label_noise
    columns = dataset.columns(label=False)
    ripe = dataset.bayes_probability(read_table(layout.raw / "test.csv", dataset, columns), noise)
    labels = read_part(layout.prepared, "test").arrays()[1]
    expected = dataset.bayes_accuracy(noise, np.random.default_rng(config.seed))
    return {
        "test": scores(labels, np.stack([1 - ripe, ripe], axis=1)),
        "expected": {"accuracy": round(expected, DECIMALS)},
    }


def leaderboard(metrics: dict[str, Any], baselines: Path) -> pd.DataFrame:
    """Return one row a model, best validation log loss first, and the Bayes rule last."""
    bayes = {"bayes": metrics["bayes"]} if "bayes" in metrics else {}
    flat = {
        model: {
            f"{part}_{name}": value
            for part in ("validation", "test")
            if part in values
            for name, value in values[part].items()
        }
        for model, values in (metrics["models"] | bayes).items()
    }
    crossed = pd.read_csv(baselines / "cross_validation.csv", index_col="model")
    table = pd.DataFrame.from_dict(flat, orient="index")
    table = table.join(crossed.add_prefix("cross_validation_").round(DECIMALS))
    return table.sort_values("validation_log_loss").rename_axis("model").reset_index()


def roc_points(one: Scored) -> pd.DataFrame:
    """Return the curve of the last class against the rest: model and both rates."""
    last = one.probabilities.shape[1] - 1
    false, true, _ = roc_curve(one.labels == last, one.probabilities[:, last])
    return pd.DataFrame(
        {
            "model": one.model,
            "false_positive_rate": false.round(DECIMALS),
            "true_positive_rate": true.round(DECIMALS),
        }
    )


def draw(
    one: Scored, points: pd.DataFrame, dataset: Tabular | Images, bins: int, folder: Path
) -> None:
    """Write one model's confusion matrix, reliability curve and ROC, as tables and as pictures."""
    folder.mkdir()
    title = f"{one.model}, {one.part}"
    predicted = one.probabilities.argmax(axis=1)
    names = np.array(dataset.classes)
    classified = pd.DataFrame({"actual": names[one.labels], "predicted": names[predicted]})
    write_csv(folder / "confusion.csv", classified)
    counts = pd.DataFrame(confusion_matrix(one.labels, predicted, labels=range(len(names))))
    plots.save(plots.confusion(counts, dataset.classes, title), folder / "confusion.svg")
    last = len(names) - 1
    observed, mean = calibration_curve(
        one.labels == last, one.probabilities[:, last], n_bins=bins, strategy="quantile"
    )
    calibration = pd.DataFrame({"predicted": mean, "observed": observed}).round(DECIMALS)
    write_csv(folder / "reliability.csv", calibration)
    plots.save(plots.reliability(calibration, one.model), folder / "reliability.svg")
    plots.save(plots.roc(points[points.model == one.model], title), folder / "roc.svg")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def track(
    config: Config, competition: CompetitionName, metrics: dict[str, Any], folder: Path
) -> None:
    """Add scores and figures to each model's run, and the scores of all to the pipeline's."""
    with Tracker(config, competition, "evaluate") as tracker:
        for model, values in metrics["models"].items():
            parts = {part: values[part] for part in ("validation", "test") if part in values}
            flat = {key.replace(".", "/"): value for key, value in leaves(parts)}
            tracker.pipeline.log_metrics({f"{model}/{key}": v for key, v in flat.items()})
            tracked = tracker.evaluated(model, MADE_BY.get(model, "baselines"))
            if tracked is not None:
                tracked.log_metrics(flat)
                tracked.flush()
                for figure in sorted((folder / model).glob("*.svg")):
                    tracked.log_artifacts(figure, "figures")
        if "bayes" in metrics:
            bayes = {f"bayes.{key}".replace(".", "/"): v for key, v in leaves(metrics["bayes"])}
            tracker.pipeline.log_metrics(bayes)
        tracker.pipeline.set_tags({"best": metrics["best"]})
        for name in ("leaderboard.csv", "roc.svg", "learning_curve.svg", "ways.svg"):
            if (folder / name).exists():
                tracker.pipeline.log_artifacts(folder / name, "evaluate")
