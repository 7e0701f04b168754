"""Competitions that have code of their own, a folder each (`ripen.competition.own`)."""
