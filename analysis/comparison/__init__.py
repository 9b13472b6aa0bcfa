"""Several models of nearly equal FID, compared by second opinions and recall."""
