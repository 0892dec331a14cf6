"""Poses that people already have, from other programs, read out of what they gave as input."""
