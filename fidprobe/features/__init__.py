"""From images to features: the value, its parts and cache on disk, extraction, the forward pass."""
