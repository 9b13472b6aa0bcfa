"""Precision and recall curves of distributions, for several models."""
