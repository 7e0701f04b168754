"""features: features of each image from frozen nets, and its colour histogram."""

import json
import time
from collections.abc import Callable

import numpy as np

from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data import image_index as indexes
from ripen.data.decode import open_archives
from ripen.nets import frozen
from ripen.settings.compose import as_mapping
from ripen.settings.schema import CompetitionName, Config


def run(config: Config, competition: CompetitionName) -> None:
    """Read the index and the archives, write `features/`: a file for each net."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    settings, threads = own.features, own.compute.threads
    index = indexes.read(layout.prepared / "index.csv")
    good = index[index["problem"] == ""]
    rows = good.index.to_numpy(np.int64)
    described = {}
    with open_archives(layout.raw) as archives, fresh_folder(layout.features) as folder:
        files = indexes.files(good, archives)
        for name, net in settings.nets.items():
            with progress(f"features {name}", len(files) * len(net.sides)) as advance:
                features = frozen.extract(
                    net,
                    settings.crop,
                    settings.precision,
                    files,
                    settings.batch_size,
                    threads,
                    _timed(advance),
                )
                frozen.write(folder / f"{name}.h5", rows, features, as_mapping(net))
            described[name] = as_mapping(net) | {
                "pictures": len(files),
                "size": features.shape[2],
            }
        with progress("features histogram", len(files)) as advance:
            features = frozen.colours(settings.histogram_bins, files, threads, _timed(advance))
            frozen.write(folder / "histogram.h5", rows, features, {})
        write_text(folder / "features.json", json.dumps(described, indent=2) + "\n")


def _timed(advance: Callable[..., None]) -> Callable[[int], None]:
    started = time.perf_counter()

    def show(images: int) -> None:
        advance(f"images in {time.perf_counter() - started:.0f} s", images)

    return show
