"""Columns as numbers: what every encoder has in common, and what each makes of categories."""

from io import BytesIO
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import f_classif
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler, TargetEncoder
from skops.io import dumps

from ripen.core.errors import ConfigError, DataError
from ripen.data.encoders import ALPHA, COMPONENTS, ENCODERS, LEVELS, Encoder, columns, inner_folds

TRAIN = pd.DataFrame({"a": [1.0, 3.0, 5.0, 7.0], "b": [2.0, 2.0, 4.0, 4.0]})


def test_numbers_are_standardized_by_the_training_rows_alone() -> None:
    encoder = Encoder().fit(TRAIN)
    found = encoder.transform(pd.DataFrame({"a": [4.0, 104.0], "b": [3.0, 5.0]}))
    # Means 4 and 3; standard deviations sqrt(5) and 1.
    np.testing.assert_allclose(found, [[0, 0], [100 / np.sqrt(5), 2]], rtol=1e-6)
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(encoder.transform(TRAIN).mean(axis=0), 0, atol=1e-7)


def test_with_a_scale_numbers_are_divided_by_it() -> None:
    encoder = Encoder(16.0).fit(TRAIN)
    found = encoder.transform(TRAIN * 2)
    np.testing.assert_array_equal(found, (TRAIN.to_numpy() / 8).astype(np.float32))


def test_blanks_become_the_training_rows_median_with_a_column_for_them() -> None:
    train = pd.DataFrame({"a": [1.0, np.nan, 2.0, 9.0]})
    encoder = Encoder().fit(train)
    found = encoder.transform(pd.DataFrame({"a": [2.0, np.nan]}))
    assert found.shape == (2, 2)
    assert found[0, 0] == found[1, 0]  # the median is 2
    assert found[1, 1] > found[0, 1]  # and the second column tells them apart
    assert np.isfinite(found).all()


@pytest.mark.parametrize("sparse", [False, True])
def test_standardized_numbers_are_cut_off(sparse: bool) -> None:
    table = TRAIN.assign(note=["one two", "two three", "three one", "two one"])
    encoder = Encoder(sparse=sparse, types={"note": {"type": "text"}}, clip=2).fit(table)
    found = encoder.transform(table.assign(a=[4.0, 104.0, -96.0, 6.0]))
    found = found.toarray() if sparse else found
    np.testing.assert_allclose(found[:, 0], [0, 2, -2, 2 / np.sqrt(5)], atol=1e-7)
    raw = Encoder(encode="native", clip=2).fit(TRAIN).transform(TRAIN + 100)
    np.testing.assert_array_equal(raw, TRAIN + 100)


def test_a_category_is_a_column_a_level_and_unknown_levels_are_none_of_them() -> None:
    train = pd.DataFrame({"city": ["Rome", "Bern", "Rome"], "a": [1.0, 2.0, 3.0]})
    encoder = Encoder().fit(train)
    found = encoder.transform(pd.DataFrame({"a": [2.0] * 3, "city": ["Bern", "Rome", "Oslo"]}))
    # Numbers come first, then the levels by the alphabet.
    np.testing.assert_allclose(found, [[0, 1, 0], [0, 0, 1], [0, 0, 0]], atol=1e-7)


def test_rare_levels_share_a_column() -> None:
    names = [f"city {chr(97 + k // 10)}{chr(97 + k % 10)}" for k in range(100)]
    cities = [name for k, name in enumerate(names) for _ in range(1 + 5 * (k < LEVELS - 1))]
    encoder = Encoder().fit(pd.DataFrame({"city": cities}))
    found = encoder.transform(pd.DataFrame({"city": [names[0], names[50], names[99], "new"]}))
    assert found.shape == (4, LEVELS)
    assert found.sum(axis=1).tolist() == [1.0] * 4
    assert found[1].tolist() == found[2].tolist() == found[3].tolist() != found[0].tolist()


def test_rows_may_come_with_more_columns_but_not_with_fewer() -> None:
    encoder = Encoder().fit(TRAIN)
    shuffled = TRAIN.assign(c=1.0)[["c", "b", "a"]]
    np.testing.assert_array_equal(encoder.transform(shuffled), encoder.transform(TRAIN))
    with pytest.raises(DataError, match=r"input: column 'b' is missing\. Needed: a, b"):
        encoder.transform(TRAIN[["a"]])


def test_a_constant_column_stays_finite() -> None:
    encoder = Encoder().fit(TRAIN.assign(b=3.0))
    assert np.isfinite(encoder.transform(TRAIN)).all()


CITIES = pd.DataFrame({"city": ["Rome", "Bern", "Rome", "Oslo", "Rome", "Bern", "Rome", "Rome"]})


def test_rows_that_lack_what_the_training_rows_have_become_the_median() -> None:
    for train in ([1.0, 2.0, 9.0], [np.nan, np.nan, np.nan]):
        encoder = Encoder().fit(pd.DataFrame({"a": train}))
        found = encoder.transform(pd.DataFrame({"a": [np.nan, 2.0 if train[0] == 1 else 0.0]}))
        assert found[0].tolist() == found[1].tolist() or train[0] != 1
        assert np.isfinite(found).all()


def test_a_dtype_says_what_a_column_holds_unless_the_settings_do() -> None:
    table = pd.DataFrame(
        {
            "n": [1, 2],
            "b": pd.array([True, None], "boolean"),
            "d": pd.to_datetime(["2016-03-01", "2016-03-02"]),
            "c": pd.Categorical(["x", "y"]),
            "o": pd.Categorical(["S", "M"], ["S", "M"], ordered=True),
            "s": ["x", "y"],
            "t": ["two words", "three more words"],
        }
    )
    kinds = ["number", "boolean", "date", "category", "ordered", "category", "text"]
    assert list(columns.kinds(table).values()) == kinds
    assert columns.kinds(table, {"s": {"type": "text"}, "n": {"type": "category"}}) == {
        **dict(zip(table, kinds, strict=True)), "s": "text", "n": "category"
    }  # fmt: skip


def test_truth_values_ordered_levels_and_dates_are_numbers() -> None:
    table = pd.DataFrame(
        {
            "b": ["True", "no", ""],
            "o": ["M", "", "L"],
            "d": pd.to_datetime(["2016-03-01 06:00", None, "1970-01-02 18:00"]),
        }
    )
    types = {"b": {"type": "boolean"}, "o": {"type": "ordered", "levels": ["S", "M", "L"]}}
    found = columns.as_numbers(table, columns.kinds(table, types), columns.levels(table, types))
    np.testing.assert_array_equal(found["b"], [1, 0, np.nan])
    np.testing.assert_array_equal(found["o"], [1, np.nan, 2])
    np.testing.assert_array_equal(found["d days"], [16861.25, np.nan, 1.75])
    np.testing.assert_array_equal(found["d weekday"], [1, np.nan, 4])  # a Tuesday, a Friday
    np.testing.assert_allclose(found["d day sin"], [1, np.nan, -1], atol=1e-12)
    angle = 2 * np.pi * 61 / 365.25  # 1 March is day 61 of a leap year
    np.testing.assert_allclose(found["d year cos"][0], np.cos(angle))


def test_a_text_is_the_tf_idf_of_its_words_and_characters() -> None:
    rng = np.random.default_rng(0)
    words = np.array(["ripe", "green", "soft", "hard", "large", "small", "from", "Peru"])
    texts = [" ".join(rng.choice(words, 4)) for _ in range(60)]
    table = pd.DataFrame({"note": texts})
    union = make_union(
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
    )
    expected = union.fit_transform(texts)
    found = Encoder(sparse=True).fit_transform(table)
    np.testing.assert_allclose(found.toarray(), expected.toarray(), rtol=1e-6)
    dense = Encoder(seed=3).fit_transform(table)
    assert dense.shape == (60, len(words)) < (60, COMPONENTS)
    svd = TruncatedSVD(len(words), random_state=3).fit_transform(expected)
    np.testing.assert_allclose(dense, svd, atol=1e-5)
    blank = Encoder(types={"other": {"type": "text"}}).fit(table.assign(other=""))
    assert blank.transform(table.assign(other="new words")).shape == (60, len(words) + 3)


def test_components_of_a_text_that_tell_nothing_of_the_target_are_left_out() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    names = rng.choice(["Ada", "Eva", "Mia", "Zoe", "Ida"], 80)
    table = pd.DataFrame(
        {"name": [f"{('Mr', 'Miss')[k]} {name}" for k, name in zip(y, names, strict=True)]}
    )
    types = {"name": {"type": "text"}}
    whole = Encoder(types=types).fit_transform(table)
    encoder = Encoder(types=types)
    found = encoder.fit_transform(table, y)
    assert 0 < found.shape[1] < whole.shape[1]
    np.testing.assert_array_equal(encoder.transform(table), found)
    scores = f_classif(whole, y)[1]
    np.testing.assert_allclose(found, whole[:, scores < ALPHA], atol=1e-6)
    # None is left of names alone.
    none = Encoder(types=types).fit_transform(
        table.assign(name=[f"x {n}" for n in names], a=1.0), y
    )
    assert none.shape == (80, 1)


def test_the_words_of_a_text_share_the_files_that_it_is_saved_in() -> None:
    table = pd.DataFrame({"name": [f"word{row} of {row}" for row in range(60)]})
    for targets in (None, np.arange(60) % 2):
        encoder = Encoder(types={"name": {"type": "text"}}).fit(table, targets)
        assert len(ZipFile(BytesIO(dumps(encoder))).namelist()) < 20


def test_of_texts_alone_something_remains_even_if_it_tells_nothing() -> None:
    words = np.random.default_rng(0).choice([f"word{i}" for i in range(30)], (40, 2, 6))
    texts = pd.DataFrame(
        {name: [" ".join(row) for row in words[:, k]] for k, name in enumerate("ab")}
    )
    targets = np.tile([0, 1], 20)
    alone = Encoder().fit_transform(texts, targets).shape[1]
    beside = Encoder().fit_transform(texts.assign(n=range(40)), targets).shape[1]
    assert alone == max(1, beside - 1)


def test_ordinal_and_native_codes_and_those_of_embed_layers() -> None:
    new = pd.DataFrame({"city": ["Bern", "Oslo", "Rome", "Nice"]})
    ordinal = Encoder(encode="ordinal").fit(CITIES)
    assert ordinal.transform(new)[:, 0].tolist() == [0, 1, 2, -1]
    native = Encoder(encode="native").fit(CITIES)
    np.testing.assert_array_equal(native.transform(new)[:, 0], [0, 1, 2, np.nan])
    embed = Encoder(encode="embed").fit(CITIES)
    # Bern and Oslo have too few rows each, and share a code.
    assert embed.transform(new)[:, 0].tolist() == [2, 2, 1, 0]
    assert (ordinal.codes_, native.codes_, embed.codes_) == ([], [4], [3])


def test_numbers_keep_their_gaps_for_an_estimator_that_takes_them() -> None:
    table = pd.DataFrame({"city": ["x", "y", "x"], "a": [1.0, np.nan, 5.0]})
    found = Encoder(encode="native").fit_transform(table)
    np.testing.assert_array_equal(found, [[1, 0], [np.nan, 1], [5, 0]])


def test_two_texts_of_a_row_are_compared_by_their_words() -> None:
    table = pd.DataFrame(
        {
            "one": ["How do I learn to swim?", "Why is the sky blue?", ""],
            "other": ["how do i learn SWIMMING", "What is a blue moon", "What else"],
            "city": "Rome",
        }
    )
    kinds = {"one": "text", "other": "text", "city": "category"}
    found = columns.as_numbers(table, kinds, {})
    # By hand: how do i learn, of 7 words and of the shorter one's 5; is blue, of 8 and of 5.
    np.testing.assert_allclose(found["one and other shared words"], [4 / 7, 2 / 8, 0])
    np.testing.assert_allclose(found["one and other overlap"], [4 / 5, 2 / 5, 0])
    np.testing.assert_allclose(found["one and other length"], np.log([7 / 6, 6 / 6, 1 / 3]))
    four = pd.DataFrame(dict.fromkeys("abcd", table.one))
    compared = columns.as_numbers(four, dict.fromkeys("abcd", "text"), {})
    assert len(compared.columns) == 4 + 3 * 3  # of the first three texts


def test_a_code_becomes_its_letters_and_numbers() -> None:
    cabins = [f"{'ABC'[k % 3]}/{k % 40}/{'PS'[k % 2]}" for k in range(80)]
    table = pd.DataFrame({"cabin": [*cabins, ""], "seat": [*(f"{k:02}" for k in range(80)), "99"]})
    kinds = columns.kinds(table)
    coded = columns.codes(table, kinds)
    # 80 different cabins and seats: none says anything but by its parts, of which each counts once.
    assert coded == {"cabin": ["letters", "last letters", "number"], "seat": ["number"]}
    found = columns.as_numbers(
        pd.DataFrame({"cabin": ["F/7/S", "", "12"], "seat": "03"}), kinds, {}, coded
    )
    assert found["cabin letters"].tolist() == ["F", "", ""]
    assert found["cabin last letters"].tolist() == ["S", "", ""]
    np.testing.assert_array_equal(found["cabin number"], [7, np.nan, 12])
    np.testing.assert_array_equal(found["seat number"], [3, 3, 3])
    # Codes that return are categories as well; names and few levels are no codes.
    often = pd.DataFrame(
        {"ticket": [f"PC {k % 33}" for k in range(99)], "city": CITIES["city"].iloc[0]}
    )
    assert columns.codes(often, {"ticket": "category", "city": "category"}) == {
        "ticket": ["", "number"]
    }
    encoder = Encoder(encode="native").fit(often.assign(a=1.0))
    assert (encoder.numbers_, len(encoder.codes_)) == (["ticket number", "a"], 2)


def test_the_mean_target_is_scikit_learns_and_cross_fitted() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"city": rng.choice(list("abcdefgh"), 80)})
    y = rng.integers(0, 2, 80)
    folds = inner_folds(y, None, 4)
    expected = make_pipeline(TargetEncoder(target_type="binary", cv=folds), StandardScaler())
    encoder = Encoder(encode="target", seed=4)
    np.testing.assert_allclose(
        encoder.fit_transform(table, y), expected.fit_transform(table, y), rtol=1e-6
    )
    np.testing.assert_allclose(encoder.transform(table), expected.transform(table), rtol=1e-6)
    with pytest.raises(ConfigError, match="target needs one target"):
        Encoder(encode="target").fit(table, np.zeros((80, 2)))


def test_a_level_that_is_an_id_tells_its_own_rows_nothing_of_their_target() -> None:
    y = np.arange(50) % 2
    table = pd.DataFrame({"id": [f"id {k}" for k in range(50)]})
    found = Encoder(encode="target").fit_transform(table, y)[:, 0]
    assert abs(np.corrcoef(found, y)[0, 1]) < 0.5
    # In one fold, a group tells nothing either.
    groups = np.arange(50) // 5
    found = Encoder(encode="target").fit_transform(
        pd.DataFrame({"group": groups.astype(str)}), groups % 2, groups
    )[:, 0]
    assert len(np.unique(found.round(5))) <= 5  # the mean of the other folds, one a fold


@pytest.mark.parametrize("classes", [2, 5])
def test_groups_stay_whole_in_inner_folds_and_each_row_is_held_out_once(classes: int) -> None:
    y, groups = np.arange(40) % classes, np.arange(40) // 4
    for given in (None, groups):
        folds = inner_folds(y, given, 0)
        assert sorted(np.concatenate([held for _, held in folds])) == list(range(40))
        for kept, held in folds:
            assert not set(kept) & set(held)
            assert given is None or not set(groups[kept]) & set(groups[held])


def test_a_competitions_own_transformers_come_first() -> None:
    table = pd.DataFrame({"a": np.arange(8.0), "city": CITIES["city"]})
    own = KBinsDiscretizer(2, encode="ordinal", quantile_method="averaged_inverted_cdf")
    before = make_column_transformer(
        (own, ["a"]), remainder="passthrough", verbose_feature_names_out=False
    )
    encoder = Encoder(before=[before]).fit(table)
    assert encoder.transform(table).shape == (8, 4)
    assert len(np.unique(encoder.transform(table)[:, 0])) == 2
    assert not hasattr(before, "transformers_")  # each fold has its own


@pytest.mark.parametrize("encode", ENCODERS)
def test_training_rows_decide_and_any_others_can_be_encoded(encode: str) -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "a": rng.normal(size=40),
            "city": rng.choice(["Rome", "Bern", ""], 40),
            "d": pd.Timestamp("2016-03-01") + pd.to_timedelta(np.arange(40), "D"),
            "note": [f"a note {k}" for k in range(40)],
        }
    )
    encoder = Encoder(encode=encode).fit(table.iloc[:30], np.arange(30) % 2)
    strange: dict[str, Any] = {"a": np.nan, "city": "new", "d": pd.NaT, "note": "no such words"}
    others = pd.concat([table.iloc[30:], pd.DataFrame([strange])], ignore_index=True)
    found = encoder.transform(others)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:10], encoder.transform(table.iloc[30:]))
    assert np.isfinite(found).all() != ENCODERS[encode].keeps_missing
