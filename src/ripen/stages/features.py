"""features: one set of features of each image, from a frozen net or of its pixels."""

import time
from collections.abc import Callable
from typing import Any

from caffe.device import current
from ripen.competition import index as indexes
from ripen.core.layout import Layout
from ripen.core.progress import progress
from ripen.data import image_index
from ripen.data.decode import open_archives
from ripen.nets import device, frozen
from ripen.settings.compose import load_competition


def run(name: str, features: str, part: str = "") -> None:
    """Read the index and the archives, write `features/<features>.h5`.

    Parameters
    ----------
    name, features : str
    part : str, optional
        One whose images alone are needed. The batches are those of all images, because the last
        bits depend on them.
    """
    competition, layout = load_competition(name), Layout(name)
    images = competition.images
    assert images is not None  # or there would be no features
    index = indexes.read(layout, competition)
    good = index.rows[index.rows["problem"] == ""]
    if part:
        first, size = int((good["part"] == part).to_numpy().argmax()), images.batch_size or 1
        good = good.iloc[first // size * size :]
    rows = good.index.to_numpy()
    settings = frozen.settings(competition.features[features], f"features.{features}")
    with open_archives(layout.raw) as archives, device.on(competition.device):
        files = image_index.files(good, archives)
        with progress(f"features {features}", len(files) * settings.passes) as advance:
            found = settings.extract(files, images, competition.threads, _timed(advance))
            attributes: dict[str, Any] = settings.attributes()
            frozen.write(layout.features / f"{features}.h5", rows, found, attributes)
        if current() is not None:
            print(f"features {features}: {found.waits}")


def _timed(advance: Callable[..., None]) -> Callable[[int], None]:
    started = time.perf_counter()

    def show(images: int) -> None:
        advance(f"images in {time.perf_counter() - started:.0f} s", images)

    return show
