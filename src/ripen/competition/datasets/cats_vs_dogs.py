"""Kaggle's cats and dogs: the competition of 2013, and its second edition of 2016 by log loss."""

from ripen.competition.datasets.photos import Photos

CLASSES = ("cat", "dog")
LICENCE = "The rules of the competition: for it, and for research and education"


def _photos(kaggle: str, title: str) -> Photos:
    return Photos(
        id="id",
        named=CLASSES,
        submitted={"label": CLASSES.index("dog")},
        kaggle=kaggle,
        title=title,
        source=f"https://www.kaggle.com/c/{kaggle}/data",
        licence=LICENCE,
    )


DATASET = _photos("dogs-vs-cats", "Dogs vs. Cats")
REDUX = _photos("dogs-vs-cats-redux-kernels-edition", "Dogs vs. Cats Redux: Kernels Edition")
