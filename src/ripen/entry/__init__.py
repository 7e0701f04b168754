"""Entering a competition: what its files and Kaggle say of it, as one file of settings."""
