import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ripen.core.archives import Archive
from ripen.core.errors import ConfigError, DataError, SourceError
from ripen.core.layout import Layout
from ripen.settings.compose import changed
from ripen.settings.schema import Files
from ripen.stages import fetch
from tests.ripen.images import cats_and_dogs, write_raw, zipped
from tests.ripen.learn import fits

LAYOUT = Layout("cats_vs_dogs")
SAMPLE = "sample_submission.csv"
Here = Callable[..., dict[str, Any]]


def test_fetch_leaves_the_archive_and_the_sample(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_raw(tmp_path / "mirror/kaggle/dogs-vs-cats", cats_and_dogs())
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "mirror"))
    here("competitions=[cats_vs_dogs]")
    fetch.run("cats_vs_dogs")
    assert (LAYOUT.raw / archive.name).read_bytes() == archive.read_bytes()
    sample = LAYOUT.raw / "sampleSubmission.csv"
    assert sample.read_text() == "id,label\n1,0\n2,0\n3,0\n4,0\n"
    # And without a mirror once more, since it is here.
    monkeypatch.delenv("RIPEN_MIRROR")
    fetch.run("cats_vs_dogs")
    assert (LAYOUT.raw / archive.name).read_bytes() == archive.read_bytes()


def test_an_archive_that_was_put_there_is_taken(here: Here) -> None:
    here("competitions=[cats_vs_dogs_redux]")
    nested = {f"redux/{SAMPLE}": b"id,label\n1,0.5\n"}
    name = "dogs-vs-cats-redux-kernels-edition.zip"
    layout = Layout("cats_vs_dogs_redux")
    layout.download.mkdir(parents=True)
    (layout.download / name).write_bytes(zipped(nested))
    fetch.run("cats_vs_dogs_redux")
    assert (layout.raw / SAMPLE).read_bytes() == nested[f"redux/{SAMPLE}"]
    assert [path.name for path in sorted(layout.raw.iterdir())] == [name, SAMPLE]


def test_the_tables_are_the_texts_of_the_section_files() -> None:
    named = Files(
        labels="y.csv", joined=["shops.csv"], histories=["visits.csv"],
        keys={"shops.csv": {"shop": "id"}}, drop_unlabelled=True,
    )  # fmt: skip
    others = {"y.csv", "shops.csv", "visits.csv"}
    assert fetch.tables_of(named) == fetch.tables_of(Files()) | others
    assert fetch.tables_of(Files()) == {"train.csv", "test.csv", SAMPLE, "solution.csv", "more.csv"}


def test_a_file_system_without_hard_links(tmp_path: Path) -> None:
    if not Path("/dev/shm").exists():
        pytest.skip("there is no second file system")
    (tmp_path / "a.zip").write_bytes(b"zip")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        target = Path(elsewhere) / "a.zip"
        fetch.link_or_copy(tmp_path / "a.zip", target)
        assert target.read_bytes() == b"zip"
        assert target.stat().st_nlink == 1
    fetch.link_or_copy(tmp_path / "a.zip", tmp_path / "b.zip")
    assert (tmp_path / "b.zip").stat().st_nlink == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped(cats_and_dogs())[:-99], r"the zip is truncated\. Fetch it again"),
        (
            zipped({"train.zip": zipped({}), "a/more.csv": b""}),
            r"has no sampleSubmission\.csv \(files\.sample\)\. Its tables: a/more\.csv",
        ),
        (zipped({"train.zip": zipped({})}), r"has no sampleSubmission\.csv .*\. Its tables: none"),
    ],
)
def test_an_invalid_archive_is_named_with_what_to_delete(
    here: Here, content: bytes, message: str
) -> None:
    here("competitions=[cats_vs_dogs]")
    LAYOUT.download.mkdir(parents=True)
    (LAYOUT.download / "dogs-vs-cats.zip").write_bytes(content)
    path = r"data/cats_vs_dogs/download/dogs-vs-cats\.zip"
    with pytest.raises(
        DataError, match=rf"^{path}: {message} \({path} is taken as .* delete it\)$"
    ):
        fetch.run("cats_vs_dogs")
    assert not LAYOUT.raw.exists()


def test_without_a_source_that_has_it_each_is_named(
    here: Here, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "empty"))
    here("competitions=[cats_vs_dogs]", "~source.kaggle", "source.url=file:///nothing.zip")
    with pytest.raises(SourceError, match=r"^cats_vs_dogs\.zip not found\. Tried mirror: "):
        fetch.run("cats_vs_dogs")
    assert not LAYOUT.raw.exists()


def test_a_local_folder_is_packed_each_time_and_its_tables_are_taken(here: Here) -> None:
    here("competitions=[cats_vs_dogs]", "~source.kaggle", "source.folder=mine")
    Path("mine/below").mkdir(parents=True)
    Path("mine/below/sampleSubmission.csv").write_text("id,label\n")
    Path("mine/train.csv").write_text("first")
    for content in ("first", "second"):
        Path("mine/train.csv").write_text(content)
        fetch.run("cats_vs_dogs")
        assert (LAYOUT.raw / "train.csv").read_text() == content
    assert (LAYOUT.raw / "sampleSubmission.csv").read_text() == "id,label\n"
    with Archive(LAYOUT.raw / "cats_vs_dogs.zip") as archive:
        names = [member.name for member in archive.members]
    assert names == ["below/sampleSubmission.csv", "train.csv"] or names == [
        "train.csv",
        "below/sampleSubmission.csv",
    ]


def test_a_local_archive_is_read_where_it_is(here: Here, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(zipped({"x/sampleSubmission.csv": b"id,label\n"}))
    here("competitions=[cats_vs_dogs]", "~source.kaggle", "source.folder=mine.zip")
    fetch.run("cats_vs_dogs")
    assert {path.name for path in LAYOUT.raw.iterdir()} == {"mine.zip", "sampleSubmission.csv"}
    here("competitions=[cats_vs_dogs]", "~source.kaggle", "source.folder=yours.zip")
    with pytest.raises(DataError, match=r"^yours\.zip: no such file\. Correct source\.folder$"):
        fetch.run("cats_vs_dogs")


@pytest.mark.parametrize("chosen", ["avocado", "cats_vs_dogs"])
def test_tables_that_are_zipped_by_themselves(chosen: str, tmp_path: Path) -> None:
    names = ("train.csv", "test.csv", SAMPLE, "stores.csv")
    tables = {name: f"{name}\n".encode() for name in names}
    content = {f"{name}.zip": zipped({name: text}) for name, text in tables.items()}
    content["stores.zip"] = content.pop("stores.csv.zip")
    content |= {"images.zip": zipped({"train.csv": b"of another kind"}), "a/test.csv": b"plain"}
    (tmp_path / "mine.zip").write_bytes(zipped(content))
    (tmp_path / "raw").mkdir()
    with Archive(tmp_path / "mine.zip") as archive:
        competition = fits.competition(f"competitions=[{chosen}]")
        files = {"sample": SAMPLE, "joined": ["stores.csv"]}
        fetch.extract_tables(archive, changed(competition, files=files), tmp_path / "raw")
    found = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
    assert found == tables | {"test.csv": b"plain"}


def test_what_own_code_generates(here: Here) -> None:
    here("competitions=[avocado]", "source.generate.n_test=30", "source.generate.n_more=10")
    fetch.run("avocado")
    raw = Layout("avocado").raw
    sizes = {path.stem: len(pd.read_csv(path)) for path in raw.iterdir()}
    assert sizes == {
        "train": 1000,
        "test": 30,
        "sample_submission": 30,
        "solution": 30,
        "more": 10,
    }
    first = {path.name: path.read_bytes() for path in raw.iterdir()}
    fetch.run("avocado")
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == first


def test_a_competition_without_own_code_generates_nothing(here: Here) -> None:
    here("competitions=[cats_vs_dogs]", "~source.kaggle", "source.generate={}")
    with pytest.raises(ConfigError, match=r"^source: there is no ripen/competitions/cats_vs_dogs"):
        fetch.run("cats_vs_dogs")
