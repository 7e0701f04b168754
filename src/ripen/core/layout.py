"""Where each stage of a competition leaves its files, relative to the repository's root."""

from dataclasses import dataclass
from pathlib import Path

BLEND = "blend"
"""The name of the blend among a competition's models."""


@dataclass(frozen=True)
class Layout:
    """The folders and files of one competition; dvc.yaml declares the same."""

    competition: str

    @property
    def data(self) -> Path:
        return Path("data") / self.competition

    @property
    def download(self) -> Path:
        """Downloaded archives. They belong to no stage, so that DVC never deletes them."""
        return self.data / "download"

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def inputs(self) -> Path:
        """The training inputs. A model on features depends on this whole folder."""
        return self.data / "inputs"

    @property
    def prepared(self) -> Path:
        return self.inputs / "prepared"

    @property
    def table(self) -> Path:
        """The typed columns, in the order of the index. Only competitions with tables have them."""
        return self.prepared / "table.parquet"

    @property
    def features(self) -> Path:
        return self.inputs / "features"

    @property
    def swept(self) -> Path:
        """The settings chosen by a sweep, which its model uses if `sweep.train_best` is set."""
        return self.inputs / "sweep.json"

    @property
    def models(self) -> Path:
        return self.data / "models"

    def model(self, name: str) -> Path:
        """One model: its files, its predictions and its training curve."""
        return self.blend if name == BLEND else self.models / name

    @property
    def blend(self) -> Path:
        """The blend of all models. It depends on the folder of models, so it lies beside it."""
        return self.data / BLEND

    @property
    def sweep(self) -> Path:
        return self.data / "sweep"

    @property
    def evaluate(self) -> Path:
        return self.data / "evaluate"

    @property
    def calibration(self) -> Path:
        """The calibration fitted on each model's validation rows, for `predict`."""
        return self.evaluate / "calibration.csv"

    @property
    def decisions(self) -> Path:
        """The decision fitted on each model's validation rows, for `predict`."""
        return self.evaluate / "decisions.json"

    @property
    def submission(self) -> Path:
        return self.data / "submission.csv"

    @property
    def report(self) -> Path:
        return Path("reports") / f"{self.competition}.html"

    @property
    def submissions(self) -> Path:
        """The page of the submissions and their scores, which no stage makes."""
        return self.report.with_name(f"{self.competition}-submissions.html")

    @property
    def metrics(self) -> Path:
        return Path("metrics") / f"{self.competition}.json"
