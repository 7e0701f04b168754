"""Normalization: LRN, MVN, BatchNorm, Scale, Bias."""
