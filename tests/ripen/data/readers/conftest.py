"""Readers are tested through the stage `prepare`, in the folders of the stages' tests."""

from tests.ripen.stages.conftest import cats as cats
from tests.ripen.stages.conftest import here as here
