"""docs/metrics.md, written from the registry: ``python -m ripen.competition.metric_page``."""

import inspect
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

from ripen.competition.metrics import METRICS, Metric, settings_of
from ripen.core.atomic import write_text

PAGE = Path("docs/metrics.md")
HEAD = """# Metrics

<!-- Written by: python -m ripen.competition.metric_page -->

`metric` of a competition's file decides which model is best, and the order of every table. It is \
a name, or a mapping with the name and its settings:

```yaml
metric: rmsle
metric: {metric: f_beta, beta: 2}
metric: {metric: mae, weight: sample_weight} # a column of the training file
metric: {metric: metric.py, greater_is_better: true}
```

- **Needs**: what of a model's outputs is scored. A label is the most probable class, or each \
label with a probability above 0.5; a ranking is the classes, the most probable first.
- **Columns of the rows** (weights, groups, events) are named by a setting, and read from the \
training file and, for test rows of known target, from `solution.csv` or the test file, by id. \
They need not be features: list them under `columns.drop` where the model must not see them.
- **The score** is in `metrics/<competition>.json` under `score`, with six decimals (Kaggle shows \
five), beside `standard_error`. Over folds that is the standard deviation of the folds' scores by \
the root of their number; of a hold-out or a test part it is that of 100 bootstrap samples of the \
rows. `rivals` has how far each other model is behind the best, and the standard error of that \
difference on the same folds or samples; below two of them the rows show no difference.
- A score that is not defined (the AUC of one class) is left out. A metric that does not fit the \
task is an error of `ripen compose`.

## Kaggle's own metric file

Many competitions publish the code of their metric. Put that file, unchanged, into \
`src/ripen/competitions/<name>/` and name it: `metric: {metric: metric.py, greater_is_better: \
true}`. Kaggle keeps the direction beside the file, so it must be stated. Other keys are keyword \
arguments of its `score(solution, submission, row_id_column_name, …)`. Both tables have the \
sample submission's columns; the solution also has the column that a setting `…_column_name` \
names, and those listed as `solution_columns: [weight, group]`. It gets copies, and finds \
`kaggle_metric_utilities`. Whatever it raises is one line, with its own line's number unless it \
is a `ParticipantVisibleError`. It is code, run only because the settings name it.
"""
FAMILIES = {
    "classification": "One class a row",
    "ranking": "A ranking of the classes",
    "multilabel": "Several labels a row",
    "regression": "Values",
}


def page() -> str:
    """Return the page: a section for each family, an entry for each metric."""
    families: dict[str, list[Metric]] = defaultdict(list)
    for metric in METRICS.values():
        families[metric.score.__module__.rpartition(".")[2]].append(metric)
    parts = [HEAD]
    for family in [*FAMILIES, *sorted(set(families) - set(FAMILIES))]:
        parts.append(f"\n## {FAMILIES.get(family, family.capitalize())}\n")
        parts += [entry(metric) for metric in families[family]]
    return "".join(parts)


def entry(metric: Metric) -> str:
    """Return a metric's entry on the page."""
    text = inspect.getdoc(metric.score) or ""
    definition, _, source = text.removeprefix("Return ").partition("\n\nSource: ")
    definition = definition[:1].upper() + definition[1:]
    better = "higher" if metric.greater_is_better else "lower"
    facts = [
        f"{better} is better",
        f"needs a {metric.needs}",
        f"tasks: {', '.join(metric.tasks)}",
        *_settings(metric),
    ]
    body = "\n\n".join(" ".join(each.split()) for each in definition.split("\n\n"))
    return (
        f"\n### `{metric.name}`: {metric.title}\n\n{body}\n\n*{'; '.join(facts)}.*"
        f"\n\nSource: {' '.join(source.split())}\n"
    )


def _settings(metric: Metric) -> list[str]:
    """Return the settings of a metric, each with its default."""
    parameters = inspect.signature(metric.score).parameters
    found = []
    for field in fields(settings_of(metric.score)):
        default = parameters[field.name].default
        needed = default is inspect.Parameter.empty
        value = " (needed)" if needed else "" if default is None else f" ({default:g})"
        found.append(f"`{field.name}`{value}")
    return [f"settings: {', '.join(found)}"] if found else []


if __name__ == "__main__":
    write_text(PAGE, page())
