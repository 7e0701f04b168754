"""The handwritten digits of scikit-learn (Alpaydin and Kaynak, 1998): 1,797 pictures of 8x8.

A net is pretrained on 0-4; the competition is to tell 5-9 apart, from few pictures with a label.
"""

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from ripen.competition.datasets.pictures import Images, Raw, alternated, part
from ripen.settings.schema.digits import DigitsFetch

PRETRAINED = ("0", "1", "2", "3", "4")
CLASSES = ("5", "6", "7", "8", "9")


def generate(config: DigitsFetch, seed: int) -> tuple[dict[str, Raw], dict[str, pd.DataFrame]]:
    """Deal the pictures to the competition's files.

    Parameters
    ----------
    config : DigitsFetch
        How many go to ``train`` and ``more``; the others of 5-9 are ``test``.
    seed : int
        Of the dealing.

    Returns
    -------
    (dict of str to Raw, dict of str to DataFrame)
        ``pretrain`` (0-4), ``train``, ``more`` (5-9, with labels from 0 to 4) and ``test``
        (without); the tables ``sample_submission`` and ``solution``.
    """
    source = load_digits()
    shuffled = np.random.default_rng(seed).permutation(len(source.target))
    labels = source.target[shuffled].astype(np.int64)
    whole = Raw(np.arange(1, len(labels) + 1), source.images[shuffled].astype(np.uint8), labels % 5)
    # Classes take turns, so that train and more hold as many pictures of each.
    target = alternated(part(_rows(whole, labels >= 5), DATASET)).ids - 1
    ends = np.cumsum([config.n_train, config.n_more])
    train, more, test = (np.sort(rows) for rows in np.split(target, ends))
    solution = pd.DataFrame({"id": whole.ids[test], "label": labels[test] % 5})
    sample = pd.DataFrame({"id": whole.ids[test]} | dict.fromkeys(CLASSES, 1 / len(CLASSES)))
    files = {
        "pretrain": _rows(whole, labels < 5),
        "train": _rows(whole, train),
        "more": _rows(whole, more),
        "test": Raw(whole.ids[test], whole.pictures[test], None),
    }
    return files, {"sample_submission": sample, "solution": solution}


def _rows(raw: Raw, chosen: np.ndarray) -> Raw:
    assert raw.labels is not None
    return Raw(raw.ids[chosen], raw.pictures[chosen], raw.labels[chosen])


DATASET = Images(
    id="id",
    classes=CLASSES,
    pretrained=PRETRAINED,
    submitted={name: k for k, name in enumerate(CLASSES)},
    size=(8, 8),
    white=16,
    generate=generate,
)
