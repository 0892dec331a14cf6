"""Fast twins of the engine's hot loops, in NVIDIA Warp: one source for CPU and CUDA.

Each has a plain PyTorch reference that says what it must compute: hash_grid.py for the hash
grid, sampling.py for the samples along rays. Tests compare the two; docs/kernels.md has the
measurements that chose Warp.
"""
