"""Real places: positions of photos, control points, scale, up, and the world's place on Earth."""
