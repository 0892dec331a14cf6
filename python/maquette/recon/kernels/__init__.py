"""What all rooms with Warp kernels share: starting them on PyTorch's tensors."""

from maquette.recon import kernel_cache

kernel_cache.settle()
