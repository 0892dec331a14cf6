"""Drone photos from above: splats, an ortho photo, and heights in map coordinates."""
