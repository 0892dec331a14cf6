"""The fast kernels of dense stereo; each has a plain twin in `recon/mvs/`."""
