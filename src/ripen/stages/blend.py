"""blend: one model of all, by their out-of-fold predictions."""

import time

from ripen.competition import index as indexes
from ripen.competition import predictions
from ripen.competition.scorer import scorer
from ripen.core.atomic import fresh_folder
from ripen.core.layout import BLEND, Layout
from ripen.core.lineage import leaves
from ripen.learn import blending
from ripen.settings.compose import as_mapping, load_competition
from ripen.track.tracker import Tracker

LEAST = 0.005  # share that is named


def run(name: str) -> None:
    """Read the predictions of every member, write `blend/` and an MLflow run."""
    competition, layout = load_competition(name), Layout(name)
    settings, seed = competition.blend, competition.seed
    assert settings is not None  # or the stage is not in the graph
    index = indexes.read(layout, competition)
    tables = predictions.read(layout, blending.members(competition))
    pool = blending.pool(tables, index, layout, settings, seed)
    with (
        fresh_folder(layout.blend) as folder,
        Tracker(name, BLEND) as tracker,
        tracker.model(BLEND) as tracked,
    ):
        started = time.perf_counter()
        found = blending.blend(pool, index, scorer(competition, layout, index), settings, seed)
        blending.write(folder, found, pool)
        weights = blending.weights(folder)
        tracked.log_params(dict(leaves(as_mapping(settings))) | {"method": found.mixture.method})
        tracked.log_metrics({f"weight/{model}": weight for model, weight in weights.items()})
        tracked.log_training(None, time.perf_counter() - started)
    shown = ", ".join(f"{model} {weight:.2f}" for model, weight in weights.items() if weight)
    rest = 1 - sum(weights.values())
    if found.mixture.method == "greedy" and rest > LEAST:
        shown += f", the same for all rows {rest:.2f}"
    print(f"blend: {found.mixture.method} of {shown}")
