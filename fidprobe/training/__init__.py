"""Training of generators, of a classifier for a data set, and of a self-supervised second opinion."""
