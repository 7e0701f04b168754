from ripen.competition.metric_page import PAGE, page
from ripen.competition.metrics import METRICS
from tests.ripen.conftest import ROOT


def test_the_page_of_metrics_is_current() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()


def test_the_page_has_every_metric_with_its_direction_and_source() -> None:
    text = page()
    for name, metric in METRICS.items():
        section = text.partition(f"\n### `{name}`: {metric.title}\n")[2].partition("\n### ")[0]
        assert (
            f"*{'higher' if metric.greater_is_better else 'lower'} is better; needs a " in section
        )
        assert "\n\nSource: " in section
    assert (
        "*lower is better; needs a value; tasks: regression; settings: `group` (needed).*" in text
    )
    assert "settings: `quantile` (0.5).*" in text
