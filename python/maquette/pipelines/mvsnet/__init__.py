"""Depth maps by a network that is trained on scenes with true depth."""
