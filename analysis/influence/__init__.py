"""How much each image and each class raises or lowers a distance."""
