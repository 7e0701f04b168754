"""Bundles for competitions that take a notebook with no network: models, wheels, the notebook."""
