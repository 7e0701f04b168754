"""Label readers: invariants over the registry, each reader's rules, and real competitions."""

import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ripen.core.archives import Archive
from ripen.core.errors import ConfigError, DataError
from ripen.data.decode import open_archives
from ripen.data.image_index import build, survey
from ripen.data.labels import LABELS, Known, Labels, Part, is_mask
from ripen.data.labels.listed import labels_in
from tests.ripen.images import encoded, make_image, zipped

PETS = ("cat", "dog")


class Case(NamedTuple):
    """Files of two classes, cat first, and what a reader finds: part, class and id of each."""

    known: Known
    expected: dict[str, tuple[Part, str | None, str]]
    unknown: str
    not_image: str


CASES = {
    "name": Case(
        Known(),
        {
            "train/cat.0.jpg": ("train", "cat", "cat.0"),
            "dogs/Train/dog.12499.JPEG": ("train", "dog", "dog.12499"),
            "test1/12500.jpg": ("test", None, "12500"),
            "test/7.png": ("test", None, "7"),
        },
        "train/bird.1.jpg",
        "train/cat.1.txt",
    ),
    "folder": Case(
        Known(ids=["IMG_3.JPG", "IMG_4.JPG"]),
        {
            "train/cat/IMG_1.JPG": ("train", "cat", "IMG_1.JPG"),
            "all/train_images/dog/IMG_2.jpeg": ("train", "dog", "IMG_2.jpeg"),
            "test/IMG_3.JPG": ("test", None, "IMG_3.JPG"),
            "all/test_stg1/IMG_4.JPG": ("test", None, "IMG_4.JPG"),
        },
        "train/bird/IMG_9.JPG",
        "train/cat/IMG_1.txt",
    ),
    "csv": Case(
        Known(ids=["00001", "00002"], table={"00001": "cat", "b.png": "dog", "c": "dog"}),
        {
            "train/00001.png": ("train", "cat", "00001"),
            "train/b.png": ("train", "dog", "b.png"),
            "elsewhere/c.gif": ("train", "dog", "c"),
            "test/00001.png": ("test", None, "00001"),
            "elsewhere/00002.png": ("test", None, "00002"),
        },
        "train/d.png",
        "train/00001.txt",
    ),
    "synset": Case(
        Known(part="test"),
        {
            "n02123045_tabby.JPEG": ("test", "n02123045", "n02123045_tabby"),
            "train/n02085620/n02085620_16.JPEG": ("test", "n02085620", "n02085620_16"),
            "val/n02085620/ILSVRC2012_val_3.jpg": ("test", "n02085620", "ILSVRC2012_val_3"),
        },
        "n00000001_x.JPEG",
        "n02123045_tabby.txt",
    ),
}


def found(labels: Labels) -> list[tuple[Part, str | None, str]]:
    return [
        (each.part, None if each.label < 0 else labels.classes[each.label], each.id)
        for each in labels.images
        if each is not None
    ]


def one(form: str, name: str, known: Known) -> tuple[Part, str | None, str]:
    (result,) = found(LABELS[form]([name], known))
    return result


def test_every_reader_has_a_case() -> None:
    assert list(CASES) == ["name", "folder", "csv", "synset"]
    assert sorted(CASES) == list(LABELS)


@pytest.mark.parametrize("form", CASES)
def test_part_class_and_id_of_every_image(form: str) -> None:
    case = CASES[form]
    labels = LABELS[form](list(case.expected), case.known)
    assert found(labels) == list(case.expected.values())
    assert labels.classes == tuple(sorted({c for _, c, _ in case.expected.values() if c}))


@pytest.mark.parametrize("form", CASES)
def test_the_order_of_files_has_no_effect(form: str) -> None:
    case = CASES[form]
    names = list(case.expected)
    forwards, backwards = (LABELS[form](order, case.known) for order in (names, names[::-1]))
    assert forwards.images == backwards.images[::-1]


@pytest.mark.parametrize("form", CASES)
def test_tables_archives_and_junk_are_not_images(form: str) -> None:
    case = CASES[form]
    others = [
        "train/",
        "sampleSubmission.csv",
        "train.zip",
        "__MACOSX/train/._cat.0.jpg",
        "train/.DS_Store",
        "train/Thumbs.db",
        "train/README.txt",
        "train_tfrecords/ld_train00.tfrec",
        "meta/label_map.json",
    ]
    labels = LABELS[form]([*others, *case.expected], case.known)
    assert labels.images[: len(others)] == [None] * len(others)
    assert found(labels) == list(case.expected.values())


@pytest.mark.parametrize("form", CASES)
def test_other_files_among_the_images_are_refused_by_name(form: str) -> None:
    case = CASES[form]
    with pytest.raises(DataError, match=rf"^{case.not_image}: is not an image's name\. Allowed"):
        LABELS[form]([*case.expected, case.not_image], case.known)


@pytest.mark.parametrize("form", CASES)
def test_an_image_of_no_known_class_is_refused_by_name(form: str) -> None:
    case = CASES[form]
    classes = LABELS[form](list(case.expected), case.known).classes
    known = Known(classes, case.known.ids, case.known.table, case.known.part)
    with pytest.raises(DataError, match=rf"^{case.unknown}: ") as caught:
        LABELS[form]([*case.expected, case.unknown], known)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", CASES)
def test_given_classes_decide_the_labels(form: str) -> None:
    case = CASES[form]
    classes = LABELS[form](list(case.expected), case.known).classes[::-1]
    known = Known(classes, case.known.ids, case.known.table, case.known.part)
    labels = LABELS[form](list(case.expected), known)
    assert labels.classes == classes
    assert found(labels) == list(case.expected.values())


def test_an_unknown_reader() -> None:
    with pytest.raises(
        ConfigError, match=r"^unknown label reader 'folders'; did you mean 'folder'"
    ):
        LABELS["folders"]
    with pytest.raises(ConfigError, match=r"\. Allowed: csv, folder, name, synset$"):
        LABELS["x"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/bird.1.jpg", r"^train/bird\.1\.jpg: unknown class 'bird'. Allowed: cat, dog$"),
        ("train/cat.jpg", r"^train/cat\.jpg: is not an image's name. Allowed: train/<class>"),
        ("test1/cat.1.jpg", r"^test1/cat\.1\.jpg: is not a test image's name. Allowed: test1/<num"),
        ("cat.1.jpg", r"^cat\.1\.jpg: is not an image's name"),
    ],
)
def test_bad_names_of_the_reader_name(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LABELS["name"]([name], Known(classes=PETS))


@given(st.lists(st.integers(0, 20000), unique=True))
def test_test_images_sort_by_number(numbers: list[int]) -> None:
    labels = LABELS["name"]([f"test1/{n}.jpg" for n in numbers], Known(classes=PETS))
    images = sorted(each for each in labels.images if each is not None)
    assert [each.id for each in images] == [str(n) for n in sorted(numbers)]


@pytest.mark.parametrize("form", ["name", "folder", "csv"])
@pytest.mark.parametrize("id", ["007", "007.jpg"])
def test_test_ids_are_spelled_like_the_samples(form: str, id: str) -> None:
    assert one(form, "test/007.jpg", Known(ids=["001", id])) == ("test", None, id)


def test_without_a_sample_ids_have_no_suffix() -> None:
    assert one("name", "test/007.jpg", Known()) == ("test", None, "7")
    assert one("folder", "test/007.jpg", Known()) == ("test", None, "007")
    assert one("folder", "cat/IMG_1.JPG", Known()) == ("train", "cat", "IMG_1")


def test_file_names_that_repeat_in_classes_get_ids_with_the_class() -> None:
    names = ["train/cat/1.jpg", "train/dog/1.jpg", "train/dog/2.jpg", "test/1.jpg"]
    assert [id for _, _, id in found(LABELS["folder"](names, Known()))] == [
        "cat/1",
        "dog/1",
        "dog/2",
        "1",
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train/test_tube/1.jpg", "test_tube"),
        ("trainers/1.jpg", "trainers"),
        ("testudo/1.jpg", "testudo"),
        ("a/b/training set/cat/1.jpg", "cat"),
        ("n02123045/n02123045_1.JPEG", "n02123045"),
    ],
)
def test_classes_whose_names_resemble_a_part(name: str, expected: str) -> None:
    assert one("folder", name, Known())[:2] == ("train", expected)


@pytest.mark.parametrize("name", ["train/1.jpg", "a/Train1/1.jpg", "1.jpg"])
def test_training_images_need_the_folder_of_a_class(name: str) -> None:
    with pytest.raises(DataError, match=rf"^{name}: is not in the folder of a class\. Allowed"):
        LABELS["folder"]([name], Known())


def test_every_training_image_needs_a_row_and_every_row_an_image() -> None:
    known = Known(table={"1": "cat", "2": "dog", "3": "dog"}, ids=["9"])
    names = ["train/1.png", "train/2.png", "train/3.png", "test/9.png"]
    assert len(found(LABELS["csv"](names, known))) == 4
    for folder in ("train", "elsewhere"):
        with pytest.raises(DataError, match=rf"^{folder}/4\.png: the table of labels has no row 4"):
            LABELS["csv"]([*names, f"{folder}/4.png"], known)
    message = r"^the table of labels has a row 2, but no image of it, nor of 1 others$"
    with pytest.raises(DataError, match=message):
        LABELS["csv"]([names[0], names[3]], known)


def test_images_of_one_object_have_its_id_and_one_to_be_left_out_has_none() -> None:
    known = Known(ids=["9"], table={"1": "cat", "2": "dog", "3": ""})
    names = [
        f"{part}_{side}.png"
        for part in ("train/1", "train/2", "train/3", "test/9")
        for side in ("a", "b")
    ]
    images = LABELS["csv"](names, known).images
    assert [each and each.id for each in images] == ["1", "1", "2", "2", None, None, "9", "9"]
    assert len({each.key for each in images if each}) == 6


def test_masks_beside_images_are_no_images() -> None:
    names = ["images/1.png", "masks/1.png", "with_mask/with_mask_2.png", "train/3_mask.png"]
    assert [is_mask(name) for name in names] == [False, True, False, True]
    assert LABELS["csv"](names[:2], Known(table={"1": "cat"})).images[1] is None


def test_a_label_of_an_unknown_class_is_refused() -> None:
    known = Known(classes=PETS, table={"1": "bird"})
    with pytest.raises(DataError, match=r"^1\.png: unknown class 'bird'\. Allowed: cat, dog$"):
        LABELS["csv"](["1.png"], known)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["1"], "labels": ["a"]}, r"has no column 'label'\. Found: id, labels$"),
        ({"id": ["1", "1"], "label": ["a", "b"]}, r"row 2 has id 1 a second time$"),
        ({"id": ["1", "2"], "label": ["a", ""]}, r"row 2 has no label$"),
        ({"id": [""], "label": ["a"]}, r"row 1 has no id$"),
    ],
)
def test_bad_tables(columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=rf"^train\.csv: {message}"):
        labels_in(pd.DataFrame(columns), "train.csv", "id", "label")


def test_folders_to_an_index_sorted_by_class_and_number(tmp_path: Path) -> None:
    names = [
        "test/10.jpg",
        "test/9.jpg",
        "train/dog/a2.jpg",
        "train/cat/a10.jpg",
        "train/cat/a9.jpg",
    ]
    files = {name: encoded(make_image(i, 48, 36)) for i, name in enumerate(names)}
    (tmp_path / "all.zip").write_bytes(zipped(files))

    def read_labels(names: Sequence[str]) -> Labels:
        return LABELS["folder"](names, Known())

    with open_archives(tmp_path) as archives:
        index, _ = build(survey(archives, read_labels, 20, 1))
    assert index["name"].tolist() == [names[i] for i in (4, 3, 2, 1, 0)]
    assert index["label"].tolist() == [0, 0, 1, -1, -1]


def mirrored(competition: str) -> Path:
    folder = os.environ.get("RIPEN_MIRROR")
    if not folder:
        pytest.skip("RIPEN_MIRROR is not set")
    return Path(folder) / "kaggle" / competition / f"{competition}.zip"


def sample_ids(archive: Archive) -> list[str]:
    rows = archive.read("sample_submission.csv").decode().splitlines()[1:]
    return [row.partition(",")[0] for row in rows]


def test_a_real_competition_with_labels_in_a_table() -> None:
    with Archive(mirrored("digit-recognizer-images")) as archive:
        text = pd.read_csv(io.BytesIO(archive.read("train.csv")), dtype=str)
        table = labels_in(text, "train.csv", "id", "label")
        ids = sample_ids(archive)
        names = [member.name for member in archive.members]
    labels = LABELS["csv"](names, Known(ids=ids, table=table))
    assert labels.classes == tuple("0123456789")
    training = [each for each in labels.images if each and each.part == "train"]
    assert Counter(each.label for each in training) == dict.fromkeys(range(10), 350)
    assert {each.id: labels.classes[each.label] for each in training} == table
    tests = sorted(each for each in labels.images if each and each.part == "test")
    assert [each.id for each in tests] == ids == [f"{n:05}" for n in range(1, 1501)]


def test_a_real_competition_with_folders() -> None:
    with Archive(mirrored("sign-language-digits")) as archive:
        ids = sample_ids(archive)
        text = pd.read_csv(io.BytesIO(archive.read("signer_imgs_list.csv")), dtype=str)
        signers = labels_in(text, "signer_imgs_list.csv", "img", "classname")
        names = [member.name for member in archive.members]
    labels = LABELS["folder"](names, Known(ids=ids))
    assert labels.classes == (
        *("eight", "five", "four", "nine", "one", "seven", "six", "three", "two", "zero"),
    )
    training = [each for each in labels.images if each and each.part == "train"]
    # The ids are those of the table of signers, which gives the groups.
    assert {each.id: labels.classes[each.label] for each in training} == signers
    tests = sorted(each for each in labels.images if each and each.part == "test")
    assert [each.id for each in tests] == sorted(ids)
    assert len(training) == 1540
    assert len(tests) == 522


def test_a_few_images_or_rows_that_lack_the_other_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [f"train/{i}.png" for i in range(201)]
    table = {str(i): "ab"[i % 2] for i in range(1, 201)} | {"999": "a"}
    images = LABELS["csv"](names, Known(table=table)).images
    assert [each is None for each in images] == [True] + [False] * 200
    assert capsys.readouterr().out.splitlines() == [
        "left out: train/0.png: the table of labels has no row 0.png or 0",
        "left out: the table of labels has a row 999, but no image of it",
    ]
