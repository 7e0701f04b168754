"""Pooling, SPP."""
