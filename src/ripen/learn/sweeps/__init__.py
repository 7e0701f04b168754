"""Sweeps: many trainings of one net with other settings, kept in a store that outlives a kill."""
