"""Submitting to Kaggle, and the ledger of submissions."""
