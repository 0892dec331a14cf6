"""Gaussian splats trained from posed photos, for every viewer of splats."""
