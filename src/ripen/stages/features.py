"""features: what frozen nets say of each photograph, once."""

import json
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ripen.core.atomic import fresh_folder, write_text
from ripen.core.layout import SHELVES, Layout
from ripen.core.progress import progress
from ripen.data import image_index as indexes
from ripen.data.decode import File, in_order, open_archives
from ripen.data.decode import decode as decoded
from ripen.data.image_input import histogram
from ripen.data.images.features import Extractor, fill, gather
from ripen.settings.compose import as_mapping
from ripen.settings.schema import CompetitionName, Config
from ripen.settings.schema.photos import Features


def run(config: Config, competition: CompetitionName) -> None:
    """Read the index and the archives, write `features/`: a file for each net."""
    layout, own = Layout(competition), getattr(config.competition, competition)
    index = indexes.read(layout.prepared / "index.csv")
    good = index[index["problem"] == ""]
    with open_archives(layout.raw) as archives, fresh_folder(layout.features) as folder:
        files = indexes.files(good, archives)
        described = {
            name: of_net(name, own.features, good, files, own.compute.threads, folder)
            for name in own.features.nets
        }
        of_colours(own.features.histogram_bins, good, files, own.compute.threads, folder)
        write_text(folder / "features.json", json.dumps(described, indent=2) + "\n")


def of_net(
    name: str,
    settings: Features,
    index: pd.DataFrame,
    files: list[File],
    threads: int,
    folder: Path,
) -> dict[str, object]:
    """Write one net's features of the pictures of an index.

    Returns
    -------
    dict
        What they are.
    """
    chosen, sha256 = settings.nets[name], index["sha256"].tolist()
    started, sides = time.perf_counter(), len(chosen.sides)
    described = as_mapping(chosen)
    with (
        h5py.File(folder / f"{name}.h5", "w") as file,
        progress(f"features {name}", len(files) * sides) as advance,
    ):

        def show(pictures: int) -> None:
            seconds = time.perf_counter() - started
            advance(f"pictures in {seconds:.0f} s", pictures)

        file["row"] = index.index.to_numpy(np.int64)
        file.attrs.update(described)
        for number, side in enumerate(chosen.sides):
            extractor = Extractor(chosen, side, settings.crop, settings.precision)
            shelf, (views, size) = SHELVES / extractor.key, extractor.shape
            fill(extractor, shelf, files, sha256, settings.batch_size, threads, show)
            shape = (len(files), sides * views, size)
            out = file.require_dataset("features", shape, extractor.dtype)
            gather(shelf, sha256, out, slice(number * views, (number + 1) * views))
    return described | {"pictures": len(files), "size": size}


def of_colours(
    bins: int, index: pd.DataFrame, files: list[File], threads: int, folder: Path
) -> None:
    """Write the histograms of an index's pictures, as those of a net: ``histogram.h5``."""

    def counted(named: tuple[str, bytes]) -> NDArray[np.float32]:
        name, content = named
        return histogram(decoded(content, name), bins)

    contents = ((file.name, file.read()) for file in files)
    with (
        h5py.File(folder / "histogram.h5", "w") as out,
        progress("features histogram", len(files)) as advance,
    ):
        features = out.create_dataset("features", (len(files), 1, bins**3), np.float32)
        for row, values in enumerate(in_order(counted, contents, threads)):
            features[row, 0] = values
            advance("pictures")
        out["row"] = index.index.to_numpy(np.int64)
