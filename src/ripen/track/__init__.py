"""MLflow: runs, the registered models, saved views and the server. No other room imports it."""

import os

# MLflow reads these when it is imported, so they are set before any module of this room does that.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
