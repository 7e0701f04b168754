"""Estimators by name, each with its settings: one file an estimator, and nothing else to edit."""
