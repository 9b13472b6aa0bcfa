"""The null-space budget: how much of a distance choosing among a model's own images removes."""
