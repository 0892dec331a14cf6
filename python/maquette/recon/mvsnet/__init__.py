"""Depth maps from a learned plane sweep: networks, data sets, training and inference."""
