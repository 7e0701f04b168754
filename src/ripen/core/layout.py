"""Where each stage of a competition leaves its files, relative to the repository's root."""

from dataclasses import dataclass
from pathlib import Path

# Folder of train/ by the model's name, where a net is trained in several ways; "net" is the one
# that is compared with the baselines.
WAYS = {"net": "full", "head": "head", "scratch": "scratch"}


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
    def sample(self) -> Path:
        """The sample submission."""
        return self.raw / "sample_submission.csv"

    @property
    def inputs(self) -> Path:
        """What models learn from: a stage that takes all of it depends on this folder."""
        return self.data / "inputs"

    @property
    def prepared(self) -> Path:
        return self.inputs / "prepared"

    @property
    def features(self) -> Path:
        return self.inputs / "features"

    @property
    def models(self) -> Path:
        """What was learnt, whichever stages the competition has."""
        return self.data / "models"

    @property
    def baselines(self) -> Path:
        return self.models / "baselines"

    @property
    def train(self) -> Path:
        return self.models / "train"

    @property
    def sweep(self) -> Path:
        return self.models / "sweep"

    @property
    def swept(self) -> Path:
        """What `train` takes of a sweep; no file where the competition has none."""
        return self.inputs / "sweep.json"

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
