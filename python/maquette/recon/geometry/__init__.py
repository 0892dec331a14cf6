"""Cameras, rays and conventions shared by everything that reconstructs."""
