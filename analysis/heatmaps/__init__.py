"""Where in images FID is sensitive: Grad-CAM of the Fréchet distance."""
