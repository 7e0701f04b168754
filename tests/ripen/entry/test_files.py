"""Reading files of unknown form: separators, nested archives, folders."""

import zipfile
from pathlib import Path

import pytest

from ripen.core.errors import DataError
from ripen.entry.files import part_of, read, read_table, sample_of
from tests.ripen.images import encoded, make_image, zipped


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"id,size\n1,2.5\n", {}),
        (b"\xef\xbb\xbfid,size\n1,2.5\n", {}),
        (b"id;size;n\n1;2,5;3\n2;;4\n", {"separator": ";", "decimal": ","}),
        (b"id\tname\n1\ta,b\n", {"separator": "\t"}),
        ("id;größe\n1;2\n".encode("latin-1"), {"separator": ";", "encoding": "latin-1"}),
    ],
)
def test_the_form_of_a_table(content: bytes, form: dict[str, str]) -> None:
    table = read_table(content, "train.csv", "here: train.csv")
    assert table.form == form
    assert table.text.iloc[0, 0] == "1"
    assert str(table.text.columns[0]) == "id"


def test_values_stay_as_they_are_written() -> None:
    table = read_table(b"id,a\n007,NA\n08,\n", "train.csv", "")
    assert table.text.to_numpy().tolist() == [["007", "NA"], ["08", ""]]


def test_a_table_of_unequal_rows_is_one_line() -> None:
    with pytest.raises(
        DataError, match=r"^here: x\.csv: not a table of one header .*line 3, saw 3$"
    ):
        read_table(b"a,b\n1,2\n1,2,3\n", "x.csv", "here: x.csv")


def test_archives_in_archives_and_folders_are_the_same(tmp_path: Path) -> None:
    image = encoded(make_image(0, 40, 30))
    nested = zipped({"train/a.jpg": image, "train/._a.jpg": b"junk"})
    files = {"train.zip": nested, "sampleSubmission.csv": b"id,label\na,0\n", "notes.md": b"x"}
    packed, folder = tmp_path / "x.zip", tmp_path / "x"
    packed.write_bytes(zipped(files, zipfile.ZIP_DEFLATED))
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for path in (packed, folder):
        found = read(path)
        assert list(found.images) == ["train/a.jpg"]
        assert list(found.tables) == ["sampleSubmission.csv"]
        assert found.smallest == 30


@pytest.mark.parametrize(
    ("names", "sample", "train"),
    [
        (["train.csv", "test.csv", "gender_submission.csv"], "gender_submission.csv", "train.csv"),
        (["SampleSubmission.csv", "Train.csv", "Test.csv"], "SampleSubmission.csv", "Train.csv"),
        (["sample_submission_stage1.csv", "sample_submission_stage2.csv", "train_2.csv"],
         "sample_submission_stage2.csv", "train_2.csv"),
        (["training_data.csv", "sample.csv"], "sample.csv", "training_data.csv"),
        (["constrained.csv", "submission_format.csv"], "submission_format.csv", None),
    ],
)  # fmt: skip
def test_which_table_is_which(
    names: list[str], sample: str, train: str | None, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / name).write_text("id,x\n1,2\n")
    files = read(tmp_path)
    found, known = sample_of(files), part_of(files, "train")
    assert found is not None
    assert found.name == sample
    assert (known and known.name) == train


def test_nothing_to_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such file or folder$"):
        read(tmp_path / "nowhere")
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds neither a table .* Its files: data\.json$"):
        read(tmp_path)
    (tmp_path / "x.zip").write_bytes(zipped({"a.csv": b"id\n1\n"})[:-20])
    with pytest.raises(DataError, match=r"x\.zip: the zip is truncated\. Fetch it again$"):
        read(tmp_path / "x.zip")
