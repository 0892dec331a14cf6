"""Stages of Gaussian splats."""
