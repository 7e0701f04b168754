from collections.abc import Callable

import numpy as np
from ripen.competition.datasets import digits
from sklearn.datasets import load_digits

from ripen.settings.schema import Config

MakeConfig = Callable[..., Config]


def test_every_picture_is_in_one_file_with_its_own_label(make_config: MakeConfig) -> None:
    files, tables = digits.generate(make_config().competition.digits.fetch, seed=1)
    sizes = {name: len(raw.ids) for name, raw in files.items()}
    assert sizes == {"pretrain": 901, "train": 125, "more": 275, "test": 496}
    ids = np.concatenate([raw.ids for raw in files.values()])
    assert sorted(ids) == list(range(1, 1798))
    source = load_digits()
    known = {
        (picture.astype(np.uint8).tobytes(), label)
        for picture, label in zip(source.images, source.target, strict=True)
    }
    for name, first in (("pretrain", 0), ("train", 5), ("more", 5)):
        raw = files[name]
        assert raw.labels is not None
        for picture, label in zip(raw.pictures, raw.labels, strict=True):
            assert (picture.tobytes(), label + first) in known
    assert files["test"].labels is None
    assert tables["solution"].id.tolist() == files["test"].ids.tolist()
    for picture, label in zip(files["test"].pictures, tables["solution"].label, strict=True):
        assert (picture.tobytes(), label + 5) in known


def test_train_and_more_hold_as_many_of_each_class(make_config: MakeConfig) -> None:
    files, _ = digits.generate(make_config().competition.digits.fetch, seed=1)
    for name, each in (("train", 25), ("more", 55)):
        assert np.bincount(files[name].labels).tolist() == [each] * 5  # type: ignore[arg-type]


def test_a_seed_gives_one_dealing(make_config: MakeConfig) -> None:
    settings = make_config().competition.digits.fetch
    first, again, other = (digits.generate(settings, seed)[0]["train"].ids for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_the_sample_guesses_every_class_alike(make_config: MakeConfig) -> None:
    sample = digits.generate(make_config().competition.digits.fetch, seed=1)[1]["sample_submission"]
    assert sample.columns.tolist() == ["id", "5", "6", "7", "8", "9"]
    assert (sample[list(digits.CLASSES)] == 0.2).all(axis=None)
