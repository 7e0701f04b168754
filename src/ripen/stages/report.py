"""report: everything about a competition on one page that needs no other file."""

import pandas as pd
import yaml

from ripen.competition import index as indexes
from ripen.competition.metrics import order_of
from ripen.core.atomic import write_text
from ripen.core.frames import read_frame
from ripen.core.json_files import read_json
from ripen.core.layout import BLEND, Layout
from ripen.core.lineage import content_hash, leaves
from ripen.judge import page, steps
from ripen.judge.data_report import examine
from ripen.judge.leaderboard import leaderboard, read_metrics
from ripen.settings.compose import as_mapping, load_competition

CARD = "card.json"  # the data card of images


def run(name: str) -> None:
    """Read the outputs of the earlier stages, write `reports/<competition>.html`."""
    competition, layout = load_competition(name), Layout(name)
    card, table = layout.prepared / CARD, layout.table
    index = indexes.read(layout, competition)
    columns = read_frame(table) if table.exists() else pd.DataFrame(index=index.rows.index)
    metrics = read_metrics(name)
    board = leaderboard(metrics)
    values = page.Page(
        competition=name,
        lead=page.lead(competition, index, order_of(metrics)),
        board=board,
        models=list(metrics["models"]),
        facts=page.facts(competition, index, order_of(metrics)),
        card=read_json(card) if card.exists() else None,
        # Splitters may have turned the rows: only `ripen check` knows their order in the files.
        data=examine(index, columns, competition.seed, file_order=False),
        figures=page.figures(layout.evaluate, layout.sweep, board, metrics),
        settings={
            key: yaml.safe_dump(value).split("\n")[0]
            for key, value in leaves(as_mapping(competition))
        },
        hashes={
            folder.as_posix(): content_hash(folder)
            for folder in (layout.raw, layout.inputs, layout.models, layout.blend)
            if folder.exists()
        },
        seed=competition.seed,
        steps=steps.read(layout.evaluate / steps.FILE),
        members=metrics["models"].get(BLEND, {}).get("members", {}),
        submissions=layout.submissions.name if "kaggle" in competition.source else "",
    )
    write_text(layout.report, page.html(values))
