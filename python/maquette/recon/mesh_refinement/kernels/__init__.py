"""Warp kernels of the photometric refinement; the twins are the modules one level up."""
