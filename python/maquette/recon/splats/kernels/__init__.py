"""Warp kernels that draw and train Gaussian splats, on CPU and CUDA from one source."""
