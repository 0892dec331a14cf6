"""Kernels of generated scenes."""
