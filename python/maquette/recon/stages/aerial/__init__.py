"""Stages of drone photos from above."""
