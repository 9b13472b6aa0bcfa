"""Attacks on whole sets: extract, attack, draw, write."""
