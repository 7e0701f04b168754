"""The archive that the benchmark makes, and one small run of it; no time is asserted."""

import re
from functools import partial
from itertools import islice
from pathlib import Path

import psutil
import pytest

from benchmarks.full_size import images, main, memory, write_archive
from ripen.data.decode import open_archives
from ripen.data.image_index import build, survey
from ripen.data.labels import LABELS, Known
from ripen.data.scan import find_duplicates, scan_image

pytestmark = pytest.mark.slow


def test_the_archive_is_kaggles_and_has_no_duplicates(tmp_path: Path) -> None:
    write_archive(tmp_path / "dogs-vs-cats.zip", 5, 3)
    read = partial(LABELS["name"], known=Known(classes=["cat", "dog"]))
    with open_archives(tmp_path) as archives:
        index, duplicates = build(survey(archives, read, 32, 1))
    assert index["id"].tolist() == ["cat.0", "cat.1", "cat.2", "dog.0", "dog.1", "1", "2", "3"]
    assert set(index["problem"]) == {""}
    assert set(zip(index["width"], index["height"], strict=True)) == {(500, 375)}
    assert index["bytes"].mean() == pytest.approx(22_000, rel=0.1)
    assert len(duplicates.exact) == len(duplicates.near) == 0


def test_images_are_of_different_looks() -> None:
    looks = [
        scan_image(str(i), content, 32) for i, content in enumerate(islice(images(100, 75), 60))
    ]
    found = find_duplicates(looks)
    assert found.group.tolist() == list(range(60))


def test_memory_is_at_least_this_process() -> None:
    rss = psutil.Process().memory_info().rss
    assert memory(psutil.Process().pid) == pytest.approx(rss, rel=0.5)
    assert memory(2**22 + 1) == 0


def test_a_small_run(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--sizes", "30", "--stages", "prepare"])
    found = re.findall(r"^prepare +30 +1 +([0-9.]+) +(\d+)$", capsys.readouterr().out, re.MULTILINE)
    ((seconds, memory_in_mib),) = found
    assert float(seconds) > 0
    assert 50 < int(memory_in_mib) < 1536
