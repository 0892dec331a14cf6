"""Warp kernels that sweep planes through features, on CPU and CUDA from one source."""
