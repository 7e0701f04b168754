"""Submitting to Kaggle, and the history of submissions."""
