"""Distances and scores: pure functions from features or statistics to small result objects."""
