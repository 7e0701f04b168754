"""What evaluate says of a competition to MLflow."""

from ripen.judge.leaderboard import leaderboard
from ripen.stages.evaluate import note


def test_the_experiments_description_begins_with_the_result() -> None:
    scores = {"n": 200, "log_loss": 0.2037, "score": 0.203741, "standard_error": 0.0357}
    metrics = {
        "models": {"net": {"validation": scores}},
        "best": "net",
        "best_by": "validation/log_loss",
    }
    said = note("avocado", leaderboard(metrics))
    assert said.startswith("Best: net, validation log loss 0.20374 ± 0.036. Chosen by ")
    assert "`ripen run 'competitions=[avocado]'`" in said
