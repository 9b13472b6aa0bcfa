"""Whether heatmaps show where FID looks: noise in bright and dark regions, randomised weights."""
