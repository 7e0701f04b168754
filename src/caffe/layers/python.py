"""Layers that a script writes."""
