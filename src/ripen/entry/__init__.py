"""Entering a competition: one file of settings, proposed from its files and Kaggle's pages."""
