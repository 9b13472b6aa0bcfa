"""Every metric that `fidprobe score --metrics` takes, by name, in the order in which results are printed."""

from fidprobe.analysis.scores.metric_row import Metric
from fidprobe.analysis.scores.metric_rows_class import ROWS as CLASSES
from fidprobe.analysis.scores.metric_rows_distance import ROWS as DISTANCES
from fidprobe.analysis.scores.metric_rows_neighbour import ROWS as NEIGHBOURS

__all__ = ["METRICS"]

METRICS: dict[str, Metric] = {row.name: row for row in (*DISTANCES, *NEIGHBOURS, *CLASSES)}
"""Metric name -> its row."""
