"""Warp kernels of meshing; each has a plain twin beside the algorithm that uses it."""
