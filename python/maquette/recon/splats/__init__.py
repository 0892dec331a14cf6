"""Gaussian splats: their parameters, how they are drawn, and how photographs train them."""
