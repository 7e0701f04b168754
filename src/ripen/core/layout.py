"""Where each stage of a competition leaves its files, relative to the repository's root."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The folders and files of one competition; dvc.yaml declares the same."""

    competition: str

    @property
    def data(self) -> Path:
        return Path("data") / self.competition

    @property
    def download(self) -> Path:
        """Where archives arrive and stay: no stage's, so that none is fetched a second time."""
        return self.data / "download"

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def inputs(self) -> Path:
        """What models learn from: a model that takes features depends on this folder."""
        return self.data / "inputs"

    @property
    def prepared(self) -> Path:
        return self.inputs / "prepared"

    @property
    def features(self) -> Path:
        return self.inputs / "features"

    @property
    def swept(self) -> Path:
        """The settings that a sweep chose, which the swept model takes where it is told to."""
        return self.inputs / "sweep.json"

    @property
    def models(self) -> Path:
        return self.data / "models"

    def model(self, name: str) -> Path:
        """One model: its files, its predictions, how its training went."""
        return self.models / name

    @property
    def sweep(self) -> Path:
        return self.data / "sweep"

    @property
    def evaluate(self) -> Path:
        return self.data / "evaluate"

    @property
    def calibration(self) -> Path:
        """What was fitted on each model's validation rows, which `predict` takes."""
        return self.evaluate / "calibration.csv"

    @property
    def submission(self) -> Path:
        return self.data / "submission.csv"

    @property
    def report(self) -> Path:
        return Path("reports") / f"{self.competition}.html"

    @property
    def metrics(self) -> Path:
        return Path("metrics") / f"{self.competition}.json"
