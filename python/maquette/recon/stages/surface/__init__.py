"""Stages of the neural surface: training, its mesh, and pictures of that."""
