"""report: everything about a competition on one page that holds all that it shows."""

import json

import yaml

from ripen.core.atomic import write_text
from ripen.core.layout import Layout
from ripen.core.lineage import content_hash, leaves
from ripen.judge import page
from ripen.settings.compose import as_mapping, load_competition


def run(name: str) -> None:
    """Read what the stages before left, write `reports/<competition>.html`."""
    competition, layout = load_competition(name), Layout(name)
    card = layout.prepared / "card.json"
    values = page.Page(
        competition=name,
        metrics=json.loads(layout.metrics.read_text(encoding="utf-8")),
        card=json.loads(card.read_text(encoding="utf-8")) if card.exists() else None,
        figures=page.figures(layout.evaluate, layout.sweep / "figures"),
        settings={
            key: yaml.safe_dump(value).split("\n")[0]
            for key, value in leaves(as_mapping(competition))
        },
        hashes={
            folder.as_posix(): content_hash(folder)
            for folder in (layout.raw, layout.inputs, layout.models)
        },
        seed=competition.seed,
    )
    write_text(layout.report, page.html(values))
