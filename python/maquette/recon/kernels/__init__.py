"""What all rooms with Warp kernels share: starting them on PyTorch's tensors."""
