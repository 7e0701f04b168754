"""Columns as numbers, by encoders fitted on the training rows alone.

One file an encoder, which says how categories become numbers. All other types are encoded alike.
Numbers are standardized; blanks become the median, and an indicator column marks them. Booleans
become 0 and 1, ordered levels their ranks, a date its parts and cycles, a code such as ``C85`` its
letters and numbers, a text the TF-IDF of its words and characters.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse as sparse_arrays
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import f_classif, f_regression
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from ripen.core.errors import DataError
from ripen.core.registry import Registry
from ripen.data.encoders import columns
from ripen.settings.schema import Columns

LEVELS = 30  # of a category with a column of their own; the rest share one
COMPONENTS = 32  # of a text in a dense array
ALPHA = 0.01  # of the F-test that a component depends on the target
WORDS, CHARACTERS = 10_000, 20_000  # the most frequent ones are used
Array = NDArray[np.float32]
Folds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class Encoding:
    """How categories become numbers.

    Attributes
    ----------
    categories : callable
        Returns an unfitted transformer of text columns, given the inner folds of the training rows,
        the targets, and whether its output may be sparse.
    codes : bool
        Whether it returns codes, one column for each category, whose size has no meaning.
    first : int
        Offset of the codes.
    keeps_missing : bool
        Whether numbers are left unchanged, NaN where blank.
    supervised : bool
        Whether it learns from the targets.
    """

    categories: Callable[[Folds, Any, bool], Any]
    codes: bool = False
    first: int = 0
    keeps_missing: bool = False
    supervised: bool = False


ENCODERS: Registry[Encoding] = Registry("encoder", "ripen.data.encoders")


class Encoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Encodes typed columns as float32 numbers, fitted on the training rows alone.

    The features are, in this order, numbers in the order of their columns, indicators of their
    blanks, texts, and categories.

    Parameters
    ----------
    scale : float, optional
        Divides all numbers, instead of standardizing them.
    encode : str
        An encoder of the registry.
    types : dict of str to dict, optional
        Types that the columns' dtypes do not show (`ripen.data.encoders.columns`).
    before : sequence of transformers
        scikit-learn transformers from table to table, fitted first.
    sparse : bool
        Whether texts may become a sparse array; otherwise they are reduced to `COMPONENTS`.
    seed : int
    clip : float, optional
        Standardized numbers are cut off at -clip and clip.

    Attributes
    ----------
    columns_ : list of str
        Columns of the table that it was fitted to.
    kinds_ : dict of str to str
        Their types (`columns.KINDS`).
    numbers_ : list of str
        The source columns of the first features; a date has several features.
    parts_ : dict of str to list of str
        The parts of each category whose levels are codes (`columns.codes`).
    codes_ : list of int
        The number of codes of each category, code 0 for unknown levels included, if the last
        features are codes.
    """

    def __init__(
        self,
        scale: float | None = None,
        encode: str = "one_hot",
        types: Mapping[str, Mapping[str, Any]] | None = None,
        before: Sequence[Any] = (),
        sparse: bool = False,
        seed: int = 0,
        clip: float | None = None,
    ) -> None:
        self.scale = scale
        self.encode = encode
        self.types = types
        self.before = before
        self.sparse = sparse
        self.seed = seed
        self.clip = clip

    def fit(self, table: pd.DataFrame, targets: Any = None, groups: Any = None) -> Self:
        """Learn means, medians, levels and words (`fit_transform`)."""
        self.fit_transform(table, targets, groups)
        return self

    def fit_transform(self, table: pd.DataFrame, targets: Any = None, groups: Any = None) -> Any:
        """Learn from rows, and return them encoded.

        An encoder that learns from targets encodes these rows fold by fold, from the other folds
        (Micci-Barreca, 2001): `transform` would leak each row's own target into its features.

        Parameters
        ----------
        table : DataFrame of shape (n, columns)
        targets : ndarray of shape (n,) or (n, k), optional
        groups : sequence of length n, optional
            Rows of a group stay in one fold.
        """
        self.columns_ = [str(name) for name in table]
        self.kinds_ = columns.kinds(table, self.types)
        self.before_ = [clone(each) for each in self.before]
        for each in self.before_:
            # A transformer without set_output returns a table already.
            each = each.set_output(transform="pandas") if hasattr(each, "set_output") else each
            table = each.fit_transform(table, targets)
        inner = columns.kinds(table, self.types)
        self.levels_ = columns.levels(table, self.types)
        self.inner_ = inner
        self.parts_ = columns.codes(table, inner)
        found = columns.as_numbers(table, inner, self.levels_, self.parts_)
        texts = [name for name, kind in inner.items() if kind == "text"]
        self.numbers_ = [name for name in found if found[name].dtype != object]
        categories = [name for name in found if name not in (*texts, *self.numbers_)]
        encoding = ENCODERS[self.encode]
        learns = encoding.supervised and np.ndim(targets) == 1
        folds = inner_folds(targets, groups, self.seed) if learns else []
        sparse = self.sparse and bool(texts)
        parts: list[tuple[str, Any, Any]] = [("numbers", self._numbers(encoding), self.numbers_)]
        y = _labels(targets)
        # Where there is nothing else something of the texts must be left.
        only = None if self.numbers_ or categories else next(iter(texts), None)
        parts += [
            (f"text {name}", self._text(found[name], sparse, y, name == only), name)
            for name in texts
        ]
        parts.append(("categories", encoding.categories(folds, targets, sparse), categories))
        self.transformer_ = ColumnTransformer(parts, sparse_threshold=1.0 if sparse else 0)
        encoded = self.transformer_.fit_transform(found, y)
        for name in texts:
            number_words(self.transformer_.named_transformers_[f"text {name}"])
        fitted = self.transformer_.named_transformers_["categories"]
        self.codes_ = encoding_levels(fitted) if encoding.codes and categories else []
        return self._array(encoded)

    def transform(self, table: pd.DataFrame) -> Any:
        """Return numbers of shape (n, features).

        Raises
        ------
        DataError
            If a column is missing.
        """
        if missing := [name for name in self.columns_ if name not in table]:
            needed = ", ".join(self.columns_)
            raise DataError(f"input: column '{missing[0]}' is missing. Needed: {needed}")
        table = table[self.columns_]
        for each in self.before_:
            table = each.transform(table)
        found = columns.as_numbers(table, self.inner_, self.levels_, self.parts_)
        return self._array(self.transformer_.transform(found))

    def _numbers(self, encoding: Encoding) -> Any:
        if encoding.keeps_missing:
            return "passthrough"
        # Only columns with blanks in the training rows get an indicator; others may have blanks
        # later.
        steps = [SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)]
        return make_pipeline(*steps, *([] if self.scale else [StandardScaler()]))

    def _text(self, values: "pd.Series[str]", sparse: bool, targets: Any, only: bool) -> Any:
        """Return a transformer of a text column; a blank column has no features.

        Of a dense array's components those remain that the target depends on: the names of people,
        for instance, are otherwise 32 features that tell nothing. With `only` the first remains in
        any case.
        """
        words = set(values.str.lower().str.findall(r"\w+").explode().dropna())
        if not words:
            return "drop"
        steps: list[Any] = [
            make_union(
                TfidfVectorizer(
                    ngram_range=(1, 2),
                    token_pattern=r"(?u)\b\w+\b",
                    max_features=WORDS,
                    sublinear_tf=True,
                ),
                TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=CHARACTERS),
            )
        ]
        if not sparse:
            most = min(COMPONENTS, len(words), max(1, len(values) - 1))
            steps.append(TruncatedSVD(most, random_state=self.seed))
        if sparse or targets is None:
            return make_pipeline(*steps)
        reduced = make_pipeline(*steps)
        score = f_classif if np.issubdtype(targets.dtype, np.integer) else f_regression
        related = score(reduced.fit_transform(values), targets)[1] < ALPHA
        related[0] |= only and not related.any()
        reduced[-1].components_ = reduced[-1].components_[related]
        return FrozenEstimator(reduced) if related.any() else "drop"

    def _array(self, found: Any) -> Any:
        raw = self.scale or ENCODERS[self.encode].keeps_missing
        limit = None if raw else self.clip
        if sparse_arrays.issparse(found):
            rows = found.tocsr().astype(np.float32)
            if limit is not None:
                np.clip(rows.data, -limit, limit, out=rows.data)
            return rows
        array = np.asarray(found, np.float32, order="C")
        values, codes = np.split(array, [array.shape[1] - len(self.codes_)], axis=1)
        if self.scale:
            values /= np.float32(self.scale)
        if limit is not None:
            np.clip(values, -limit, limit, out=values)
        codes += ENCODERS[self.encode].first
        return array


def number_words(text: Any) -> None:
    """Give the words of a fitted text Python's integers: skops has a file for each of NumPy's."""
    if text != "drop":
        for _, words in text[0].transformer_list:
            words.vocabulary_ = {word: int(place) for word, place in words.vocabulary_.items()}


def encoding_levels(fitted: Any) -> list[int]:
    """Return how many codes each column of a fitted OrdinalEncoder has, 0 included."""
    infrequent = getattr(fitted, "infrequent_categories_", None)
    found = []
    for place, known in enumerate(fitted.categories_):
        rare = infrequent[place] if infrequent is not None else None
        found.append(len(known) + 1 if rare is None else len(known) - len(rare) + 2)
    return found


def inner_folds(targets: Any, groups: Any, seed: int) -> Folds:
    """Deal training rows to at most five folds; groups stay whole, classes are spread evenly."""
    from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

    y, classes = np.asarray(targets), np.unique(targets, return_inverse=True)[1]
    least = np.bincount(classes).min()
    if groups is not None and len(np.unique(groups)) > 1:
        most = min(5, len(np.unique(groups)))
        dealt = GroupKFold(most, shuffle=True, random_state=seed).split(y, groups=groups)
    elif np.issubdtype(y.dtype, np.integer) and least > 1:
        dealt = StratifiedKFold(min(5, least), shuffle=True, random_state=seed).split(y, classes)
    else:
        dealt = KFold(min(5, len(y)), shuffle=True, random_state=seed).split(y)
    return [(kept.astype(np.int64), held.astype(np.int64)) for kept, held in dealt]


def described(settings: Columns) -> dict[str, dict[str, Any]]:
    """Return the types that a competition's settings give, as `Encoder` takes them."""
    found = {}
    for name, column in settings.types.items():
        values = {"type": column.type, "levels": getattr(column, "levels", None)}
        found[name] = {key: value for key, value in values.items() if value is not None}
    return {name: values for name, values in found.items() if values}


def _labels(targets: Any) -> Any:
    """Return targets as scikit-learn's transformers take them: one column, or none."""
    return targets if targets is None or np.ndim(targets) == 1 else None
