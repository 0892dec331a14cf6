"""Stages of dense stereo."""
