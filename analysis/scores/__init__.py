"""Scores of sets in every space: the metrics by name, and what measures them."""
