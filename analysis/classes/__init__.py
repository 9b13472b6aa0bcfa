"""Which classes a classifier sees more or less often in one set than in another."""
