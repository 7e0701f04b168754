"""The stages of the pipeline, in the order of dvc.yaml: one module each."""

STAGES = (
    "settings",
    "fetch",
    "prepare",
    "features",
    "baselines",
    "sweep",
    "train",
    "evaluate",
    "predict",
    "report",
)
