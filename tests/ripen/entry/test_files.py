"""Reading files of unknown form: separators, nested archives, folders."""

import zipfile
from pathlib import Path

import pytest

from ripen.core.errors import DataError
from ripen.entry.files import parts_of, read, read_table
from tests.ripen.images import encoded, make_image, zipped


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"id,size\n1,2.5\n", {}),
        (b"\xef\xbb\xbfid,size\n1,2.5\n", {}),
        (b"id;size;n\n1;2,5;3\n2;;4\n", {"separator": ";", "decimal": ","}),
        (b"id\tname\n1\ta,b\n", {"separator": "\t"}),
        ("id;größe\n1;2\n".encode("latin-1"), {"separator": ";", "encoding": "latin-1"}),
        ('id,text\n1,"a; b;\n\u2028c"\n2,d\n'.encode(), {}),
        (b"id,text\n" + b'1,"a\nb"\n' * 60, {}),
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
    flat = zipped({"a.jpg": image})
    files = {
        "test.zip": flat,
        "train.zip": nested,
        "sampleSubmission.csv": b"id,label\na,0\n",
        "notes.md": b"x",
    }
    packed, folder = tmp_path / "x.zip", tmp_path / "x"
    packed.write_bytes(zipped(files, zipfile.ZIP_DEFLATED))
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for path in (packed, folder):
        found = read(path)
        assert list(found.images) == ["test/a.jpg", "train/a.jpg"]
        assert list(found.tables) == ["sampleSubmission.csv"]
        assert found.smallest == 30


A, B = "id,x,y\n1,2,0\n2,3,1\n", "id,x\n7,2\n8,3\n"  # a training table and a test table
S, L = "id,y\n7,0\n8,0\n", "id,y\n1,0\n2,1\n"  # a sample and a table of labels
TABLES = {  # the sample, training, test and labels' tables of some files
    "usual": ({"train": A, "test": B, "gender_submission": S}, "gender_submission train test -"),
    "capitals": ({"Train": A, "Test": B, "SampleSubmission": S}, "SampleSubmission Train Test -"),
    "stages": (
        {"sample_submission_1": S, "sample_submission_2": S, "train_2": A, "test": B},
        "sample_submission_2 train_2 test -",
    ),
    "joined words": ({"sample": S, "traindata": A, "testdata": B}, "sample traindata testdata -"),
    "no words": ({"known": A, "new": B, "submission": S}, "submission known new -"),
    "a nameless sample": ({"train": A, "test": B, "zeros": S}, "zeros train test -"),
    "labels of their own": (
        {"train_values": B.replace("7", "1").replace("8", "2"), "train_labels": L,
         "test_values": B, "submission_format": S},
        "submission_format train_values test_values train_labels",
    ),
    "X and y": (
        {"X_train": B.replace("7", "1").replace("8", "2"), "y_train": L, "X_test": B, "sample": S},
        "sample X_train X_test y_train",
    ),
    "the labels that are asked for": (
        {"train_values": B.replace("7", "1").replace("8", "2"), "test_values": B, "sample": S,
         "train_a": L.replace("y", "z"), "train_b": L},
        "sample train_values test_values train_b",
    ),
    "several rows for each id": (
        {"train_data": "id,x\n1,2\n1,3\n2,3\n", "test_data": "id,x\n7,2\n8,3\n8,4\n",
         "train_labels": L, "sample": S},
        "sample train_labels sample -",
    ),
    "folders of one name": (
        {"train/data": A, "test/data": B, "sample": S}, "sample train/data test/data -"
    ),
    "no training table": ({"constrained": "a,b\n1,2\n", "format_submission": S},
                          "format_submission - - -"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_which_table_is_which(case: str, tmp_path: Path) -> None:
    tables, expected = TABLES[case]
    for name, content in tables.items():
        (tmp_path / f"{name}.csv").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.csv").write_text(content)
    parts = parts_of(read(tmp_path))
    found = (parts.sample, parts.train, parts.test, parts.labels)
    assert " ".join(each.name.removesuffix(".csv") if each else "-" for each in found) == expected


def test_one_table_of_both_parts(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("n,y,x\n1,0,3\n2,,4\n3,1,5\n4,NA,6\n")
    (tmp_path / "sample_submission.csv").write_text("n,y\n2,0.5\n4,0.5\n")
    parts = parts_of(read(tmp_path))
    assert parts.train is not None
    assert parts.test is not None
    assert (parts.train.name, parts.test.name) == ("data.csv", "data.csv")
    assert (parts.train.text["n"].tolist(), parts.test.text["n"].tolist()) == (
        ["1", "3"],
        ["2", "4"],
    )


def test_nothing_to_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such file or folder$"):
        read(tmp_path / "nowhere")
    (tmp_path / "data.json").write_text("{}")
    with pytest.raises(DataError, match=r"holds neither a table .* Its files: data\.json$"):
        read(tmp_path)
    (tmp_path / "x.zip").write_bytes(zipped({"a.csv": b"id\n1\n"})[:-20])
    with pytest.raises(DataError, match=r"x\.zip: the zip is truncated\. Fetch it again$"):
        read(tmp_path / "x.zip")


def test_an_archive_that_is_not_opened_is_named(tmp_path: Path) -> None:
    table = b"id,y\n1,0\n"
    files = {"train.7z": b"7z", "trainLabels.csv": table, "sampleSubmission.csv": table}
    (tmp_path / "x.zip").write_bytes(zipped(files))
    shown = read(tmp_path / "x.zip").shown
    assert shown.endswith("Unpack train.7z first: of archives ripen opens zip alone")
