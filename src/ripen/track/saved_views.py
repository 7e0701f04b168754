"""Saved views of an experiment's page in MLflow: the runs, columns and charts that it shows first.

MLflow 3 lists them in the page's menu "Views", and stores each as a tag of the experiment. The tags
have the form in which MLflow's own page writes them.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ripen.competition.metrics import METRICS, Order

TAG = "mlflow.sharedViewState."
OURS = f"{TAG}ripen-"
SECTION = "ripen"

Chart = dict[str, Any]


def models(evaluation: str, decides: str, metric: Order) -> dict[str, str]:
    """Return the tags of the views of all models of one evaluation, best first.

    One has the list of runs beside the charts. In a narrow window that leaves no room for them, so
    another one has the charts alone.

    Parameters
    ----------
    evaluation : str
        Hash of the evaluation's inputs, a tag of the models' runs.
    decides : str
        The part and the metric that decide the order: "validation/log_loss".
    metric : Order
        That metric's title and direction.
    """
    part, _, name = decides.partition("/")
    test = f"test/{name}"
    charts = [
        _line("error against iterations", ["curve/loss", "curve/validation_loss"], "linear"),
        _bars(f"{part} {metric.title}", decides),
        _bars(f"test {metric.title}", test),
        _points("score against training time", ("METRIC", "training_seconds"), decides),
    ]
    columns = [
        *_metrics(decides, test, "training_seconds", "iterations", "best_iteration"),
        *_tags("dvc.stage", "stopped"),
    ]
    query = f"tags.`dvc.evaluate_hash` = '{evaluation}'"
    shown = query, columns, charts, decides, not metric.greater_is_better
    return _tag("models", *shown) | _tag("models, charts alone", *shown, alone=True)


def trials(
    sweep: str, parent: str, parameters: Sequence[str], scores: Sequence[str], metric: str
) -> dict[str, str]:
    """Return the tag of the view of a sweep's trials, best first.

    Parameters
    ----------
    sweep : str
        Its name.
    parent : str
        The id of its run.
    parameters : sequence of str
        The varied settings.
    scores : sequence of str
        What each trial's run has of the validation rows, the loss first.
    metric : str
        The competition's. It decides the order where it is among the scores, else the loss does.
    """
    decides = metric if metric in scores else scores[0]
    title = METRICS[decides].title if decides in METRICS else decides
    ascending = decides not in METRICS or not METRICS[decides].greater_is_better
    first, *others = (f"validation/{name}" for name in sorted(scores, key=lambda s: s != decides))
    charts = [
        _line("error against iterations", ["curve/validation_loss"], "log"),
        _parallel(parameters, ["best_iteration", first]),
        *[_points(f"{key}: {title}", ("PARAM", key), first) for key in parameters],
        _bars(f"validation {title}", first),
    ]
    columns = [
        *_metrics(first, *others, "iterations", "converged_at", "training_seconds"),
        *[f"params.`{key}`" for key in parameters],
        *_tags("stopped"),
    ]
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    return _tag(f"sweep {sweep}", query, columns, charts, first, ascending)


def paths(experiment: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Return the paths of an experiment's views below the server's address, by name.

    Parameters
    ----------
    experiment : str
        Its id.
    tags : mapping
        Its tags.
    """
    page = f"/#/experiments/{experiment}/runs"
    shown = "compareRunsMode=CHART&workflowType=machine_learning"
    ours = sorted(key for key in tags if key.startswith(OURS))
    return {
        json.loads(tags[key])["name"]: f"{page}?viewStateShareKey={key.removeprefix(TAG)}&{shown}"
        for key in ours
    }


def _tag(
    name: str,
    query: str,
    columns: list[str],
    charts: list[Chart],
    order: str,
    ascending: bool,
    alone: bool = False,
) -> dict[str, str]:
    state = {
        "searchFilter": query,
        "orderByKey": f"metrics.`{order}`",
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "SHOW_ALL",
        "runListHidden": alone,
        # Charts in this order, and not in alphabetical order.
        "isAccordionReordered": True,
        "hideEmptyCharts": True,
        "compareRunSections": [
            {
                "uuid": SECTION,
                "name": SECTION,
                "display": True,
                "isReordered": True,
                "columns": 1 if alone else 2,
            }
        ],
        "compareRunCharts": charts,
    }
    now = int(time.time() * 1000)
    view = {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    return {f"{OURS}{name.replace(',', '').replace(' ', '-')}": json.dumps(view)}


def _line(name: str, keys: list[str], scale: str) -> Chart:
    return _chart(
        "LINE",
        name,
        metricKey=keys[-1],
        selectedMetricKeys=keys,
        xAxisKey="step",
        xAxisScaleType="linear",
        scaleType=scale,
        yAxisKey="metric",
        range={},
        lineSmoothness=0,
        useGlobalXaxisKey=True,
        useGlobalLineSmoothing=True,
    )


def _bars(name: str, key: str) -> Chart:
    return _chart("BAR", name, metricKey=key)


def _points(name: str, x: tuple[str, str], y: str) -> Chart:
    kind, key = x
    xaxis, yaxis = {"type": kind, "key": key}, {"type": "METRIC", "key": y}
    return _chart("SCATTER", name, xaxis=xaxis, yaxis=yaxis)


def _parallel(parameters: Sequence[str], metrics: list[str]) -> Chart:
    return _chart(
        "PARALLEL",
        "parallel coordinates",
        selectedParams=list(parameters),
        selectedMetrics=metrics,
        showAllRuns=False,
    )


def _chart(kind: str, name: str, **values: Any) -> Chart:
    usual = {"runsCountToCompare": 100, "deleted": False, "isGenerated": False}
    named = {"type": kind, "uuid": name, "displayName": name, "metricSectionId": SECTION}
    return named | usual | values


def _metrics(*keys: str) -> list[str]:
    return [f"metrics.`{key}`" for key in keys]


def _tags(*keys: str) -> list[str]:
    return [f"tags.`{key}`" for key in keys]
