"""Models that several estimators share: nets, stacks of nets, served models."""
