"""Ways to lower FID without better images: what choosing among generated images can buy, and nothing else."""
