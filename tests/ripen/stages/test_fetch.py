import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ripen.core.errors import DataError
from ripen.core.layout import Layout
from ripen.settings.schema import Config
from ripen.stages import fetch
from tests.ripen.photographs import cats_and_dogs, write_raw, zipped

LAYOUT = Layout("cats_vs_dogs")
MakeConfig = Callable[..., Config]


def test_fetch_leaves_the_archive_and_the_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: MakeConfig
) -> None:
    archive = write_raw(tmp_path / "mirror/kaggle/dogs-vs-cats", cats_and_dogs())
    monkeypatch.setenv("RIPEN_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.chdir(tmp_path)
    fetch.run(make_config(), "cats_vs_dogs")
    assert (LAYOUT.raw / archive.name).read_bytes() == archive.read_bytes()
    assert LAYOUT.sample.read_text() == "id,label\n1,0\n2,0\n3,0\n4,0\n"
    # And without a mirror once more, since it is here.
    monkeypatch.delenv("RIPEN_MIRROR")
    fetch.run(make_config(), "cats_vs_dogs")
    assert (LAYOUT.raw / archive.name).read_bytes() == archive.read_bytes()


def test_an_archive_that_was_put_there_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_config: MakeConfig
) -> None:
    monkeypatch.chdir(tmp_path)
    nested = {"redux/sample_submission.csv": b"id,label\n1,0.5\n"}
    name = "dogs-vs-cats-redux-kernels-edition.zip"
    layout = Layout("cats_vs_dogs_redux")
    layout.download.mkdir(parents=True)
    (layout.download / name).write_bytes(zipped(nested))
    fetch.run(make_config(), "cats_vs_dogs_redux")
    assert layout.sample.read_bytes() == nested["redux/sample_submission.csv"]
    assert [path.name for path in sorted(layout.raw.iterdir())] == [name, layout.sample.name]


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
        (zipped({"train.zip": b""}), r"has no sample submission\. Needed: \S+ or \S+"),
    ],
)
def test_an_archive_that_is_none_says_what_to_delete(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_config: MakeConfig,
    content: bytes,
    message: str,
) -> None:
    config = make_config()
    monkeypatch.chdir(tmp_path)
    LAYOUT.download.mkdir(parents=True)
    (LAYOUT.download / "dogs-vs-cats.zip").write_bytes(content)
    path = r"data/cats_vs_dogs/download/dogs-vs-cats\.zip"
    with pytest.raises(
        DataError, match=rf"^{path}: {message} \({path} is taken as .* delete it\)$"
    ):
        fetch.run(config, "cats_vs_dogs")
    assert not LAYOUT.raw.exists()
