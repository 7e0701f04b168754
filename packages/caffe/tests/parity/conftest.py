"""The tests of this folder compare with real Caffe."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Not `pytest_plugins`, which pytest accepts from the topmost conftest only.
    config.pluginmanager.import_plugin("tests.parity.plugin")
