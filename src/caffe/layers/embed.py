"""Embed, Parameter."""
