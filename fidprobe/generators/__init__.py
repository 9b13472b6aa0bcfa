"""Models to audit: the GANs of Zhou et al. (AM-GAN) and of the lecture notes, and a plain variational autoencoder."""
